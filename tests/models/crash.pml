/* gst-mmap: a model of what happens when a side dies: blocks come back, nobody waits for ever, and the survivor goes on
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * A producer and a consumer, each of which may be killed between any two steps, and is then started again: any number of times, in any order,
 * until that ends. The kernel closes a dead one's sockets.
 * The handshake is one message here, see handshake.pml. The consumer has two threads: one that takes frames, one that hears of the socket's
 * end; the producer, too: one that publishes, one that serves the sockets.
 *
 * Stands for: mmap_producer_accept(), link_readable(), mmap_producer_link_end_locked(), mmap_producer_drop_held_locked(),
 * mmap_producer_touch_locked(), mmap_producer_wait(), watch_sleep_locked(), mmap_producer_collect_locked(), mmap_producer_publish(),
 * mmap_consumer_connect(), search(), link_next(), link_sleep(), mmap_consumer_receive(), mmap_consumer_receive_for_peer(),
 * mmap_consumer_disconnect(), link_release()
 *
 * BROKEN_hung_up_last: safety: the consumer looks whether the producer has gone after it has looked at the rings
 * BROKEN_end_early: safety: it ends as soon as it knows
 * BROKEN_deaf_sleep: safety: it doesn't watch the socket while it sleeps
 * BROKEN_deaf_greeting: safety: nor while it waits for ACCEPT
 * BROKEN_no_touch: safety: a link that ends doesn't wake who waits for a block
 * BROKEN_keep_held: safety: what a dead consumer held is not free
 * BROKEN_serve_late: safety: the end of a link is noticed when something is published on it
 */
#define FRAMES 2                /* of each of the producer's lives */
#define BLOCKS 1
#define LINKS 2                 /* at once: one that is up, one that waits; who comes then waits, as for a place in a socket's queue */

typedef SleepWord {             /* see wakeup.pml */
  bool odd;
  bool woken
}

#define PREPARE(word) d_step { word.odd = true; word.woken = false }
#define FINISH(word) d_step { word.odd = false; word.woken = false }
/* The sleeper is woken, if it sleeps and was not yet. */
#define WAKE(word, edge) \
  d_step { \
    if \
    :: word.odd && !word.woken -> word.woken = true; edge = true \
    :: else \
    fi \
  }

/* A connection: what both sides share, and the kernel. */
typedef Link {
  bool used;                    /* by a side that has not closed it */
  byte frames;
  byte releases;
  SleepWord consumer_sleep;
  SleepWord producer_sleep;
  bool consumer_edge;
  bool producer_edge;
  bool accepted;                /* ACCEPT was sent */
  bool producer_closed;
  bool consumer_closed
}

#ifdef BROKEN_serve_late
#define HAS_LEFT(link) (up && link.consumer_closed && !waiting)
#else
#define HAS_LEFT(link) (up && link.consumer_closed)
#endif

Link links[LINKS];
chan arriving = [LINKS] of { byte };    /* what the listening socket has */
bool listening;

bool calm;                      /* nobody is killed any more */

/* the producer's */
bool restart_publisher;
bool restart_server;
bool locked;
bool up;                        /* it has a link: */
byte mine;
byte held;                      /* blocks */
bool waiting;
bool watches;                   /* while it sleeps, a link: */
byte watched;
bool asleep;
bool touched;                   /* its own eventfd */
bool news;
byte sent;

/* the consumer's */
bool restart_taker;
bool restart_hearer;
bool connected;                 /* it has a link: */
byte its;
bool attached;                  /* which is up */
bool hung_up;

/* Nobody has it mapped any more. */
inline forget (i)
{
  links[i].frames = 0;
  links[i].releases = 0;
  links[i].consumer_sleep.odd = false;
  links[i].consumer_sleep.woken = false;
  links[i].producer_sleep.odd = false;
  links[i].producer_sleep.woken = false;
  links[i].consumer_edge = false;
  links[i].producer_edge = false;
  links[i].accepted = false;
  links[i].producer_closed = false;
  links[i].consumer_closed = false;
  links[i].used = false
}

inline close_consumer (i)
{
  links[i].consumer_closed = true;
  if
  :: links[i].producer_closed -> forget (i)
  :: else
  fi
}

inline close_producer (i)
{
  links[i].producer_closed = true;
  if
  :: links[i].consumer_closed -> forget (i)
  :: else
  fi
}

#define CAN_BEGIN(i) (!links[i].used && !(watches && watched == i))

/* The producer lacks blocks that nobody has given back yet. */
#define OWED (held > 0 && (!up || held > links[mine].releases))

inline lock ()
{
  atomic { !locked -> locked = true }
}

inline unlock ()
{
  locked = false
}

inline collect ()
{
  d_step {
    if
    :: up -> held = held - links[mine].releases; links[mine].releases = 0
    :: else
    fi
  }
}

/* With the lock. */
inline sleep ()
{
  d_step { watched = mine; watches = up };
  news = false;
  PREPARE (links[watched].producer_sleep);
  collect ();
  if
  :: held < BLOCKS || news
  :: else ->
    asleep = true;
    unlock ();
    touched || (watches && links[watched].producer_edge);
    lock ();
    d_step { asleep = false; touched = false }
  fi;
  FINISH (links[watched].producer_sleep);
  d_step { links[watched].producer_edge = false; watched = 0; watches = false; news = false }
  collect ()
}

active proctype Publisher ()
{
born:
  {
    do
    :: sent < FRAMES ->
      d_step { !locked -> locked = true };
      collect ();
      do
      :: held < BLOCKS -> break
      :: else -> waiting = true; sleep ()
      od;
      waiting = false;
      if
      :: up ->
        d_step { links[mine].frames++; held++ }
        WAKE (links[mine].consumer_sleep, links[mine].consumer_edge)
      :: else
      fi;
      sent++;
      unlock ()
    :: else -> end_done: false
    od
  } unless {
    d_step { restart_publisher -> restart_publisher = false }
  }
  goto born
}

active proctype Server ()
{
born:
  {
    listening = true;
end_idle:
    do
    :: d_step { !locked && !up && nempty (arriving) -> arriving ? mine; up = true };
      links[mine].accepted = true
    /* The socket's end: what the link held is free, and who waits hears of it. */
    :: d_step {
        !locked && HAS_LEFT (links[mine]) ->
        up = false;
#ifndef BROKEN_keep_held
        held = 0;
#endif
        news = true;
        if
#ifndef BROKEN_no_touch
        :: asleep -> touched = true
#endif
        :: else
        fi;
        close_producer (mine);
        mine = 0
      }
    od
  } unless {
    d_step { restart_server -> restart_server = false }
  }
  goto born
}

inline take ()
{
  d_step {
    found = links[its].frames > 0;
    if
    :: found -> links[its].frames--
    :: else
    fi
  }
}

inline give_back ()
{
  d_step { links[its].releases++; found = false }
  WAKE (links[its].producer_sleep, links[its].producer_edge)
}

active proctype Taker ()
{
  bool found, gone;

born:
  {
    skip;
search:
    atomic {
      listening && (CAN_BEGIN (0) || CAN_BEGIN (1)) ->
      its = (CAN_BEGIN (0) -> 0 : 1);
      links[its].used = true;
      connected = true;
      arriving ! its
    }
    if
    :: links[its].accepted
#ifndef BROKEN_deaf_greeting
    :: !links[its].accepted && links[its].producer_closed ->
      d_step { close_consumer (its); connected = false; its = 0 };
      goto search
#endif
    fi;
    d_step { attached = true; hung_up = false }
    do
    :: true ->
#ifndef BROKEN_hung_up_last
      gone = hung_up;
#endif
      take ();
#ifdef BROKEN_hung_up_last
      gone = hung_up;
#endif
      if
#ifdef BROKEN_end_early
      :: gone -> break
#endif
      :: !found && gone -> break
      :: !found && !gone ->
        PREPARE (links[its].consumer_sleep);
        take ();
        if
        :: found
        :: else ->
end_asleep:
          if
          :: links[its].consumer_edge -> links[its].consumer_edge = false
#ifndef BROKEN_deaf_sleep
          :: links[its].producer_closed -> hung_up = true
#endif
          fi
        fi;
        FINISH (links[its].consumer_sleep)
      :: else
      fi;
      if
      :: found -> give_back ()
      :: else
      fi
    od;
    /* Whatever the producer published before it died has arrived. */
    assert (links[its].frames == 0 && !found);
    d_step {
      attached = false;
      hung_up = false;
      gone = false;
      close_consumer (its);
      connected = false;
      its = 0
    }
    goto search
  } unless {
    d_step { restart_taker -> restart_taker = false }
  }
  goto born
}

/* The consumer's other thread. */
active proctype Hearer ()
{
born:
  {
    skip;
end_deaf:
    do
    /* At once, under a lock: for another connection it doesn't count. */
    :: d_step { attached && !hung_up && links[its].producer_closed -> hung_up = true }
    od
  } unless {
    d_step { restart_hearer -> restart_hearer = false }
  }
  goto born
}

inline kill_producer ()
{
  d_step {
    restart_publisher = true;
    restart_server = true;
    listening = false;
    i = 0;
    do
    :: i < LINKS ->
      if
      :: links[i].used -> close_producer (i)
      :: else
      fi;
      i++
    :: else -> break
    od;
    i = 0;
    do
    :: nempty (arriving) -> arriving ? _
    :: empty (arriving) -> break
    od;
    locked = false; up = false; mine = 0; held = 0; waiting = false; watches = false; watched = 0; asleep = false; touched = false; news = false; sent = 0
  }
}

inline kill_consumer ()
{
  d_step {
    restart_taker = true;
    restart_hearer = true;
    if
    :: connected -> close_consumer (its)
    :: else
    fi;
    connected = false;
    its = 0;
    attached = false;
    hung_up = false
  }
}

/* Kills one of them when it likes, as often as it likes. Who dies begins again. */
active proctype Killer ()
{
  byte i;

  do
  :: kill_producer ()
  :: kill_consumer ()
  :: break
  od;
  calm = true
}

/* When nobody can go on, there is nothing to be done. */
active proctype Monitor ()
{
end:
  timeout -> assert (attached && up && its == mine && !waiting && links[its].frames == 0)
}

/* Once nobody is killed any more, the two that live have each other. */
ltl survivors { <> calm -> <> [] (attached && up && its == mine) }
ltl room { [] (waiting -> <> !waiting) }
/* What is held comes back. */
ltl blocks { [] (OWED -> <> !OWED) }
