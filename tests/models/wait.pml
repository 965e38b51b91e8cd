/* gst-mmap: a model of the threads of a producer that wait for blocks, one of which leads: none waits in vain
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Two threads want a block each. One comes back from a consumer, through its release ring, and one from another thread of the producer; or instead
 * one of the waiters is cancelled. Who leads polls what the consumer wakes, and the producer's own eventfd; the other waits on a condition.
 *
 * Stands for: mmap_producer_wait(), producer_lead_locked(), follow_locked(), watch_begin_locked(), watch_sleep_locked(),
 * mmap_producer_touch_locked(), wake_followers_locked(), mmap_producer_collect(), mmap_producer_collect_locked(), mmap_block_unref(),
 * mmap_producer_set_cancelled(), link_release()
 *
 * BROKEN_no_successor: safety: who has led doesn't wake the others, one of whom has to lead now
 * BROKEN_deaf_leader: safety: news of this process doesn't reach the eventfd
 * BROKEN_late_asleep: safety: a leader says that it polls after it has given the lock away
 * BROKEN_no_recheck: safety: a leader doesn't look once more after it has told consumers that it sleeps
 * BROKEN_late_serial: safety: who found no block asks for the serial only when it begins to wait
 */
#define IS_DUE (sleep_odd && !sleep_woken)      /* see wakeup.pml */

bool locked;
byte serial;
bool led;
bool asleep;
bool own_edge;                  /* the producer's eventfd */
bool following[2];              /* on the condition */
byte unused;                    /* blocks */
bool cancelled;                 /* the second waiter */
bool done[2];

/* the link */
bool held = true;
byte releases;
bool sleep_odd;
bool sleep_woken;
bool edge;

inline lock ()
{
  atomic { !locked -> locked = true }
}

inline unlock ()
{
  locked = false
}

inline wake_followers ()
{
  d_step { following[0] = false; following[1] = false }
}

inline touch ()
{
  serial++;
  /* Sooner than the leader would. */
  wake_followers ();
#ifndef BROKEN_deaf_leader
  if
  :: asleep -> own_edge = true
  :: else
  fi
#endif
}

inline collect ()
{
  if
  :: releases > 0 ->
    d_step { unused = unused + releases; releases = 0; held = false }
    touch ()
  :: else
  fi
}

/* Polls for all. */
inline lead ()
{
  led = true;
  watched = held;
  begun = serial;
  if
  :: watched -> d_step { sleep_odd = true; sleep_woken = false }
  :: else
  fi;
#ifndef BROKEN_no_recheck
  collect ();
#endif
  if
  :: serial == begun ->
#ifdef BROKEN_late_asleep
    unlock ();
    asleep = true;
#else
    asleep = true;
    unlock ();
#endif
    own_edge || (watched && edge);
    lock ();
    asleep = false
  :: else
  fi;
  d_step { sleep_odd = false; edge = false; own_edge = false };
  led = false;
  collect ();
#ifndef BROKEN_no_successor
  wake_followers ()
#endif
}

inline follow ()
{
  d_step { following[self] = true; locked = false }
  !following[self];
  lock ()
}

proctype Waiter (byte self)
{
  byte mine, begun;
  bool watched;

  do
  :: lock ();
    collect ();
    mine = serial;
    if
    :: unused > 0 ->
      unused--;
      unlock ();
      /* It is used, and given back. */
      lock ();
      unused++;
      touch ();
      unlock ();
      break
    :: unused == 0 && self == 1 && cancelled -> unlock (); break
    :: else -> unlock ()
    fi;
    lock ();
#ifdef BROKEN_late_serial
    mine = serial;
#endif
    do
    :: serial != mine || (self == 1 && cancelled) -> break
    :: else ->
      if
      :: led -> follow ()
      :: else -> lead ()
      fi
    od;
    unlock ()
  od;
  done[self] = true
}

active proctype Consumer ()
{
  releases++;
  d_step {
    if
    :: IS_DUE -> sleep_woken = true; edge = true
    :: else
    fi
  }
}

/* Another thread of the producer. */
active proctype Other ()
{
  lock ();
  if
  :: unused++
  :: cancelled = true
  fi;
  touch ();
  unlock ()
}

/* When nobody can go on, there is nothing to be done. */
active proctype Monitor ()
{
end:
  timeout -> assert (done[0] && done[1])
}

init
{
  atomic { run Waiter (0); run Waiter (1) }
}

ltl first { <> done[0] }
ltl second { <> done[1] }
