/* gst-mmap: a model of how consumers sleep and a producer wakes them: no wake-up is lost
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * A producer publishes frames for two consumers, each of which has a bell of its own, for ever or until it likes to stop. Stores are seen in their
 * order: that the fences in the code make it so is shown by model-wakeup.cpp. A bell is a number that counts up: whether it is another than it was
 * when the sleeper read it is all that matters.
 *
 * Stands for: mmap_link_prepare_sleep(), mmap_sleeper_finish(), mmap_waker_is_due(), mmap_futex_wake(), mmap_futex_wait(), mmap_link_ring(),
 * mmap_producer_wake_locked(), mmap_producer_announce(), link_sleep(), link_next(), try_next()
 *
 * BROKEN_recheck: safety: a consumer doesn't look once more after it has said that it sleeps
 * BROKEN_wake_first: safety: consumers are woken before something is published, not after
 * BROKEN_woken_once: safety: a waker remembers that it woke the sleeper, but not for which sleep
 * BROKEN_late_read: safety: a consumer reads its bell after its last look
 * BROKEN_late_prepare: safety: a consumer says that it sleeps after its last look
 * BROKEN_first_due: second: a producer looks no further than to the first consumer
 */
#define SLOTS 2

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
byte frames[2];                 /* in the ring */
SleepWord sleep[2];

/* each consumer's bell is another than it was when it was read */
bool rung[2];

/* for the properties */
bool took[2];

inline wake_one (i)
{
  d_step {
    if
    :: IS_DUE (sleep[i]) -> sleep[i].woken = true; due = true
    :: else
    fi
  };
  d_step {
    if
    :: due -> rung[i] = true; due = false
    :: else
    fi
  }
}

inline wake ()
{
  wake_one (0);
#ifndef BROKEN_first_due
  wake_one (1);
#endif
}

active proctype Producer ()
{
  bool due;

  do
  :: true ->
    if
    :: wake ()                  /* as soon as it is known that a frame comes */
    :: true
    fi;
    /* How it waits for this is in room.pml. */
end_full:
    frames[0] < SLOTS && frames[1] < SLOTS;
    frames[0]++;
    frames[1]++;
#ifndef BROKEN_wake_first
    wake ()
#endif
  :: true -> break
  od
}

inline try_next ()
{
  d_step {
    found = frames[self] > 0;
    if
    :: found -> frames[self]--; took[self] = true
    :: else
    fi
  }
}

proctype Consumer (byte self)
{
  bool found;

  do
  :: true ->
    d_step { took[self] = false; found = false }
    try_next ();
    if
    :: found
    :: else ->
#ifdef BROKEN_late_prepare
      rung[self] = false;
      try_next ();
      PREPARE (sleep[self]);
#else
#ifndef BROKEN_late_read
      rung[self] = false;
#endif
      PREPARE (sleep[self]);
#ifndef BROKEN_recheck
      try_next ();
#endif
#endif
#ifdef BROKEN_late_read
      rung[self] = false;
#endif
      if
      :: found
      :: else ->
end_asleep:
        rung[self]
      fi;
      FINISH (sleep[self])
    fi
  od
}

/* When nobody can go on, there is nothing to be done. */
active proctype Monitor ()
{
end:
  timeout -> assert (frames[0] == 0 && frames[1] == 0)
}

init
{
  run Consumer (0);
  run Consumer (1)
}

ltl first { [] (frames[0] > 0 -> <> took[0]) }
ltl second { [] (frames[1] > 0 -> <> took[1]) }
