/* gst-mmap: a model of two sides that ring each other's doorbells: no wake-up is lost, unless a ring is, and then it comes late
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * A producer publishes frames, and waits for room; a consumer takes them, and waits for more. Rings become one on their way, as in an eventfd.
 * A ring may get lost, as in a device that is being set up, or to a peer of whom the server has not told yet: only then somebody may wait until
 * his time is up. Stores are seen in their order: that the fences in the code make it so is shown by model-wakeup.cpp.
 *
 * Stands for: mmap_sleeper_prepare(), mmap_sleeper_finish(), mmap_waker_is_due(), mmap_link_wake(), mmap_doorbell_take(),
 * mmap_doorbell_ring(), mmap_consumer_wait_for_ring(), sleep_or_nap()
 *
 * BROKEN_recheck: safety: a side doesn't look once more after it has said that it sleeps
 * BROKEN_late_prepare: safety: a side says that it sleeps after its last look
 * BROKEN_ring_first: safety: the other side is rung before something is published, not after
 * BROKEN_woken_once: safety: who rings remembers that it did, but not for which sleep
 * BROKEN_take_first: safety: rings are taken between the last look and the sleep
 * BROKEN_no_timer: safety: who waits for a ring waits for ever
 */
#define SLOTS 2
#define CONSUMER 0
#define PRODUCER 1

/* As in wakeup.pml. */
typedef SleepWord {
  bool odd;
  bool woken
}

#ifdef BROKEN_woken_once
#define PREPARE(side) sleep[side].odd = true
#else
#define PREPARE(side) d_step { sleep[side].odd = true; sleep[side].woken = false }
#endif
#define FINISH(side) sleep[side].odd = false

/* shared memory */
byte frames;
SleepWord sleep[2];             /* of whom */

/* the eventfds, and what is on its way to them */
bool rung[2];
bool lost[2];

/* for the properties */
bool asleep[2];
bool took;

inline ring (side)
{
  d_step {
    due = sleep[side].odd && !sleep[side].woken;
    if
    :: due -> sleep[side].woken = true
    :: else
    fi
  };
  if
  :: due ->
     if
     :: rung[side] = true
     :: lost[side] = true
     fi
  :: else
  fi
}

inline wait_for_ring (side)
{
#ifdef BROKEN_take_first
  rung[side] = false;
#endif
  asleep[side] = true;
end_asleep:
  d_step {
    if
    :: rung[side] -> rung[side] = false
#ifndef BROKEN_no_timer
    :: lost[side] -> lost[side] = false
#endif
    fi;
    asleep[side] = false
  }
}

active proctype Producer ()
{
  bool due;

  do
  :: true ->
    do
    :: frames < SLOTS -> break
    :: else ->
#ifndef BROKEN_late_prepare
       PREPARE (PRODUCER);
#endif
       if
#ifndef BROKEN_recheck
       :: frames < SLOTS
#endif
       :: else ->
#ifdef BROKEN_late_prepare
          PREPARE (PRODUCER);
#endif
          wait_for_ring (PRODUCER)
       fi;
       FINISH (PRODUCER)
    od;
#ifdef BROKEN_ring_first
    ring (CONSUMER);
    frames++
#else
    frames++;
    ring (CONSUMER)
#endif
  :: true -> break
  od
}

active proctype Consumer ()
{
  bool due;

  do
  :: frames > 0 ->
     d_step { frames--; took = true };
     ring (PRODUCER);
     took = false
  :: else ->
#ifndef BROKEN_late_prepare
     PREPARE (CONSUMER);
#endif
     if
#ifndef BROKEN_recheck
     :: frames > 0
#endif
     :: else ->
#ifdef BROKEN_late_prepare
        PREPARE (CONSUMER);
#endif
        wait_for_ring (CONSUMER)
     fi;
     FINISH (CONSUMER)
  od
}

/* When nobody can go on, there is nothing to be done. */
active proctype Monitor ()
{
end:
  timeout -> assert (!(asleep[CONSUMER] && frames > 0)
      && !(asleep[PRODUCER] && frames < SLOTS))
}

ltl taken { [] (frames > 0 -> <> took) }
