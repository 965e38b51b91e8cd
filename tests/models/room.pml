/* gst-mmap: a model of how a producer waits for blocks and consumers wake it: it never waits in vain
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * A producer publishes frames for two consumers, for ever or until it likes to stop. A frame's block is free when both have given it back. When
 * no block is free, the producer watches the links that hold something. Stores are seen in their order: that the fences in the code make it so
 * is shown by model-wakeup.cpp.
 *
 * Stands for: mmap_link_prepare_sleep(), mmap_sleeper_finish(), mmap_waker_is_due(), mmap_link_wake(), mmap_futex_wait(), link_release(),
 * watch_begin_locked(), watch_sleep_locked(), producer_lead_locked(), mmap_producer_link_collect_locked(), mmap_producer_collect_locked()
 *
 * BROKEN_recheck: safety: the producer doesn't look once more after it has said that it sleeps
 * BROKEN_woken_once: safety: a waker remembers that it woke the sleeper, but not for which sleep
 * BROKEN_one_link: safety: the producer watches one of the links that hold something
 * BROKEN_wake_first: safety: a consumer wakes the producer before it gives back, not after
 * BROKEN_silent: room: a consumer doesn't wake it at all
 * BROKEN_late_read: safety: the producer reads the bells after its last look
 */
#define BLOCKS 2
#define KEPT 1                  /* as most sinks do: so each that is given back counts */

/* A sleep word is odd, and a waker has not yet woken its owner for that value of it: values never come again, so two bits do. */
typedef SleepWord {
  bool odd;
  bool woken
}

#ifdef BROKEN_woken_once
#define PREPARE(word) word.odd = true
#else
#define PREPARE(word) d_step { word.odd = true; word.woken = false }
#endif
#define FINISH(word) word.odd = false
#define IS_DUE(word) (word.odd && !word.woken)

/* shared memory, by link */
byte releases[2];               /* in the release ring */
SleepWord sleep[2];

/* the bell in each link is another than it was when the producer read it */
bool rung[2];

/* the producer's */
byte held[2];                   /* frames that were published and not collected */
bool watched[2];
bool waiting;

/* the consumers': frames in the ring, or further on */
byte frames[2];

#define ROOM (held[0] < BLOCKS && held[1] < BLOCKS)

inline collect_from (i)
{
  d_step { held[i] = held[i] - releases[i]; releases[i] = 0 }
}

inline collect ()
{
  collect_from (0);
  collect_from (1)
}

inline prepare_for (i)
{
  if
  :: held[i] > 0 -> watched[i] = true; rung[i] = false; PREPARE (sleep[i])
  :: else
  fi
}

inline finish_for (i)
{
  if
  :: watched[i] -> FINISH (sleep[i]); watched[i] = false
  :: else
  fi
}

inline wait_for_room ()
{
  do
  :: ROOM -> break
  :: else ->
    waiting = true;
    prepare_for (0);
#ifndef BROKEN_one_link
    prepare_for (1);
#endif
#ifndef BROKEN_recheck
    collect ();
#endif
#ifdef BROKEN_late_read
    rung[0] = false;
    rung[1] = false;
#endif
    if
    :: ROOM
    :: else -> (watched[0] && rung[0]) || (watched[1] && rung[1])
    fi;
    finish_for (0);
    finish_for (1);
    collect ()
  od;
  waiting = false
}

active proctype Producer ()
{
  do
  :: true ->
    collect ();
    wait_for_room ();
    d_step { frames[0]++; held[0]++; frames[1]++; held[1]++ }
  :: true -> break
  od
}

inline wake ()
{
  d_step {
    due = IS_DUE (sleep[self]);
    sleep[self].woken = sleep[self].woken || due
  }
  if
  :: due -> rung[self] = true
  :: else
  fi
}

/* Gives frames back when it likes, but does. */
proctype Consumer (byte self)
{
  bool due;

  do
  :: true ->
end_idle:
    frames[self] > KEPT;
#ifdef BROKEN_wake_first
    wake ();
#endif
    d_step { frames[self]--; releases[self]++ }
#if !defined (BROKEN_wake_first) && !defined (BROKEN_silent)
    wake ()
#endif
  od
}

init
{
  run Consumer (0);
  run Consumer (1)
}

ltl room { [] (waiting -> <> !waiting) }
