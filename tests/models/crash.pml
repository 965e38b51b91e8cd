/* gst-mmap: a model of what happens when a side dies: blocks come back, nobody waits for ever, and the survivor goes on
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * A producer and a consumer, one of which may be killed between any two steps, and is then started again. The kernel closes a dead one's sockets.
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
#define LINKS 4                 /* no more come about */

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
byte n_links;
chan arriving = [LINKS] of { byte };    /* what the listening socket has */
bool listening;

/* the producer's */
bool restart_publisher;
bool restart_server;
bool locked;
bool up;                        /* it has a link: */
byte mine;
byte held;                      /* blocks */
bool waiting;
bool asleep;
bool touched;                   /* its own eventfd */
bool news;
byte sent;

/* the consumer's */
bool restart_taker;
bool restart_hearer;
bool attached;
byte its;
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
  links[i].accepted = false
}

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
  watched = mine;
  was_up = up;
  news = false;
  PREPARE (links[watched].producer_sleep);
  collect ();
  if
  :: held < BLOCKS || news
  :: else ->
    asleep = true;
    unlock ();
    touched || (was_up && links[watched].producer_edge);
    lock ();
    d_step { asleep = false; touched = false }
  fi;
  FINISH (links[watched].producer_sleep);
  d_step { links[watched].producer_edge = false; watched = 0; was_up = false; news = false }
  collect ()
}

active proctype Publisher ()
{
  byte watched;
  bool was_up;

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
        :: else -> forget (mine)
        fi
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
      listening ->
      its = n_links;
      n_links++;
      arriving ! its
    }
    if
    :: links[its].accepted
#ifndef BROKEN_deaf_greeting
    :: !links[its].accepted && links[its].producer_closed -> links[its].consumer_closed = true; goto search
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
      links[its].consumer_closed = true;
      forget (its)
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
    :: i < n_links ->
      links[i].producer_closed = true;
      if
      :: links[i].consumer_closed -> forget (i)
      :: else
      fi;
      i++
    :: else -> break
    od;
    do
    :: nempty (arriving) -> arriving ? _
    :: empty (arriving) -> break
    od;
    locked = false; up = false; mine = 0; held = 0; waiting = false; asleep = false; touched = false; news = false; sent = 0
  }
}

inline kill_consumer ()
{
  d_step {
    restart_taker = true;
    restart_hearer = true;
    if
    :: n_links > 0 ->
      links[its].consumer_closed = true;
      if
      :: links[its].producer_closed -> forget (its)
      :: else
      fi
    :: else
    fi;
    attached = false;
    hung_up = false
  }
}

/* Kills one of them, or none, when it likes. Who dies begins again. */
active proctype Killer ()
{
  byte i;

  atomic {
    if
    :: goto none
    :: goto producer
    :: goto consumer
    fi
  }
producer:
  kill_producer ();
  goto none;
consumer:
  kill_consumer ();
none:
  skip
}

/* When nobody can go on, there is nothing to be done. */
active proctype Monitor ()
{
end:
  timeout -> assert (attached && up && its == mine && !waiting && links[its].frames == 0)
}

/* In the end the two that live have each other. */
ltl survivors { <> [] (attached && up && its == mine) }
ltl room { [] (waiting -> <> !waiting) }
/* What is held comes back. */
ltl blocks { [] (OWED -> <> !OWED) }
