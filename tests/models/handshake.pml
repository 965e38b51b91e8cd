/* gst-mmap: a model of the handshake, and of regions that are replaced while it goes on
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * One producer and one consumer, both by the rules. The producer's region is replaced at any moment; the handshake goes through the socket
 * from the start, with an access token or without, or offer and answer go through an application's channel. The consumer may fall silent, and the handshake may take too long. A token
 * is the number of the region whose offer or answer it belongs to. Every assertion is an error of the code that ends a link: between two
 * that follow the rules there is none.
 *
 * Stands for: mmap_producer_link_offer_locked(), link_make_offer_locked(), link_write_token_locked(), pending_offer_free_locked(),
 * link_handle_hello(), link_handle_answer(), link_take_answer_locked(), link_check_answer(), link_answered_locked(),
 * link_settle_carried_locked(), create_offer_locked(), accept_answer_locked(), link_timed_out(), producer_offer_region_locked(),
 * mmap_producer_link_admit_locked(), mmap_producer_link_end_locked(), mmap_producer_link_challenge_locked(), link_check_proof_locked(),
 * mmap_consumer_say_hello(), handle_challenge(), handle_proof(), take_offer(), open_region(), make_answer(), send_answer(),
 * handle_message(), switch_region(), mmap_consumer_accept_offer()
 *
 * BROKEN_accept_wipes: safety: the consumer wipes its token when ACCEPT comes, though a later answer's may not have been compared
 * BROKEN_compare_all: safety: the producer compares the token of an answer when it has made another offer already
 * BROKEN_wipe_early: safety: the token of an offer is wiped when the next one is made
 * BROKEN_offer_overtakes: safety: a region is offered through the socket before the answer came through the application's channel
 * BROKEN_not_again: safety: a region that came while the application had the first offer is not offered after its answer
 * BROKEN_frame_first: safety: a frame is published in a region before that is offered
 * BROKEN_offer_unproved: safety: a new region is offered to a consumer that has not proved its access token yet
 * BROKEN_no_offer: settled: HELLO isn't answered if there is a region already
 * BROKEN_no_timeout: settled: a consumer that falls silent is waited for
 */
#define REGIONS 3

mtype = { HELLO, CHALLENGE, PROOF, OFFER, ANSWER, ACCEPT, REFUSE }
mtype = { GREETING, CHALLENGED, WAITING, OFFERED, ANSWERED, UP, ENDED }

/* the socket, and the application's channel */
chan to_producer = [4] of { mtype, byte };
chan to_consumer = [6] of { mtype, byte };
chan carried_offer = [1] of { byte };
chan carried_answer = [1] of { byte };

/* shared memory */
bool region_token[REGIONS + 1];
byte link_token;
chan frames = [2] of { byte };  /* the regions that they lie in */

/* the producer's, under its lock */
bool locked;
mtype state;
byte region;                    /* the current one; 0: none yet */
byte offered;
chan offers = [REGIONS] of { byte };    /* not answered yet */
bool carried;
bool verified;
bool secret;                    /* both have an access token */
bool proved;
bool can_wake;                  /* the descriptor that wakes the producer has come */

/* the consumer's */
bool connected;                 /* its link is up */
bool quiet;                     /* it says nothing any more */

inline lock ()
{
  atomic { !locked -> locked = true }
}

inline unlock ()
{
  locked = false
}

/* Remembers the offer, and writes its token. */
inline make_offer ()
{
#ifdef BROKEN_wipe_early
  region_token[offered] = false;
#endif
  offered = region;
  region_token[offered] = true;
  assert (nfull (offers));
  offers ! offered
}

inline send_offer ()
{
  if
#ifndef BROKEN_offer_overtakes
  :: carried && !verified
#endif
  :: else ->
    if
    :: state == WAITING -> state = OFFERED
    :: else
    fi;
    make_offer ();
    to_consumer ! OFFER, offered
  fi
}

inline settle ()
{
  if
  :: verified && can_wake && state == OFFERED -> state = ANSWERED
  :: else
  fi
}

/* Of region @answer: sets @newest. */
inline take_answer (answer)
{
  assert (nempty (offers));
  offers ? oldest;
  assert (oldest == answer);
  newest = answer == offered;
#ifdef BROKEN_compare_all
  assert (link_token == answer);
#endif
  if
  :: newest ->
    assert (link_token == answer);
    link_token = 0
  :: else
  fi;
  region_token[answer] = false
}

inline handle_hello ()
{
  if
  :: carried ->
    assert (!can_wake);
    can_wake = true;
    settle ()
  :: secret && !proved ->
    assert (state == GREETING);
    state = CHALLENGED;
    to_consumer ! CHALLENGE, 0
  :: else ->
    assert (state == GREETING);
    state = WAITING;
    if
#ifndef BROKEN_no_offer
    :: region != 0 -> send_offer ()
#endif
    :: else
    fi
  fi
}

inline handle_answer (answer)
{
  assert (state == OFFERED || state == ANSWERED || state == UP);
  assert (!carried || state != OFFERED || verified);
  take_answer (answer);
  assert (can_wake || !carried);
  can_wake = true;
  if
  :: newest && state == OFFERED -> state = ANSWERED
  :: else
  fi
}

/* The producer's service thread. */
proctype Service ()
{
  byte number, oldest;
  bool newest;

end:
  do
  :: to_producer ? HELLO, number ->
    lock ();
    if
    :: state != ENDED -> handle_hello ()
    :: else
    fi;
    unlock ()
  :: to_producer ? PROOF, number ->
    lock ();
    if
    :: state != ENDED ->
      assert (state == CHALLENGED);
      proved = true;
      state = GREETING;         /* for another HELLO */
      to_consumer ! PROOF, 0
    :: else
    fi;
    unlock ()
  :: to_producer ? ANSWER, number ->
    lock ();
    if
    :: state != ENDED -> handle_answer (number)
    :: else
    fi;
    unlock ()
  :: state == ENDED -> break
  od
}

/* Who answers for the application. */
proctype Application ()
{
  byte number, oldest;
  bool newest;

end:
  carried_answer ? number;
  lock ();
  if
  :: state != ENDED ->
    assert (state == OFFERED && !verified);
    take_answer (number);
    assert (newest);
    verified = true;
    if
#ifndef BROKEN_not_again
    :: offered != region -> send_offer ()
#endif
    :: else -> settle ()
    fi
  :: else
  fi;
  unlock ()
}

/* Who publishes: new caps need another region now and then. */
proctype Stream ()
{
end:
  do
  :: region < REGIONS ->
    lock ();
    region++;
#ifdef BROKEN_frame_first
    if
    :: state == UP && nfull (frames) -> frames ! region
    :: else
    fi;
    unlock ();
    lock ();
#endif
    if
#ifdef BROKEN_offer_unproved
    :: state != GREETING && state != ENDED -> send_offer ()
#else
    :: state != GREETING && state != CHALLENGED && state != ENDED -> send_offer ()
#endif
    :: else
    fi;
    unlock ()
  :: atomic { state == UP && !locked && nfull (frames) -> frames ! region };
    if
    :: region == REGIONS -> break
    :: else
    fi
  :: state == ENDED -> break
  od
}

/* Who looks whether the consumer's caps fit. */
proctype Admission ()
{
  do
  :: state == ANSWERED ->
    lock ();
    if
    :: state == ANSWERED -> state = UP; to_consumer ! ACCEPT, 0
    :: else
    fi;
    unlock ();
    break
  :: state == ENDED -> break
  od
}

/* The time of the handshake is over. */
proctype Timeout ()
{
#ifdef BROKEN_no_timeout
  skip
#else
  do
  :: state == GREETING || state == CHALLENGED || state == OFFERED ->
    lock ();
    if
    :: state == GREETING || state == CHALLENGED || state == OFFERED -> state = ENDED; to_consumer ! REFUSE, 0
    :: else
    fi;
    unlock ()
  :: state == ANSWERED || state == UP || state == ENDED -> break
  od
#endif
}

proctype Consumer ()
{
  byte number, mine;
  bool sure;                    /* the producer has proved that it knows the access token */
  chan next = [REGIONS] of { byte };

  if
  :: carried ->
    carried_offer ? number;
    assert (region_token[number] || state == ENDED);
    mine = number;
    link_token = number;
    if
    :: to_producer ! HELLO, 0; carried_answer ! number
    :: quiet = true; goto out
    fi
  :: else ->
    if
    :: to_producer ! HELLO, 0
    :: quiet = true; goto out
    fi
  fi;

  do
  :: to_consumer ? CHALLENGE, number ->
    if
    :: to_producer ! PROOF, 0
    :: quiet = true; goto out
    fi
  :: to_consumer ? PROOF, number ->
    sure = true;
    to_producer ! HELLO, 0
  :: to_consumer ? OFFER, number ->
    assert (sure || !secret);
    assert (region_token[number] || state == ENDED);
    if
    :: mine == 0 -> mine = number
    :: else -> next ! number
    fi;
    link_token = number;
    if
    :: to_producer ! ANSWER, number
    :: !connected -> quiet = true; goto out
    fi
  :: to_consumer ? ACCEPT, number ->
    assert (!connected && mine != 0);
    connected = true;
#ifdef BROKEN_accept_wipes
    link_token = 0
#endif
  :: to_consumer ? REFUSE, number -> goto out
  :: connected && nempty (frames) ->
    frames ? number;
    do
    :: mine == number -> break
    :: mine != number && nempty (next) -> next ? mine
    :: mine != number && empty (next) ->
      /* It named a region that it did not offer? */
      assert (to_consumer ?? [OFFER, eval (number)]);
      break
    od
  :: connected && empty (frames) && empty (to_consumer) && region == REGIONS -> break
  od;
out:
  skip
}

init
{
  atomic {
    state = GREETING;
    if
    :: region = 0; secret = true
    :: region = 0
    :: region = 1
    :: region = 1;
      carried = true;
      state = OFFERED;
      make_offer ();
      carried_offer ! offered
    fi;
    run Service ();
    run Application ();
    run Stream ();
    run Admission ();
    run Timeout ();
    run Consumer ()
  }
}

/* It comes to an end, one way or the other. */
ltl settled { <> (state == UP || state == ENDED) }
ltl connects { <> (connected || quiet || state == ENDED) }
