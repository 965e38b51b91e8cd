/* gst-mmap: how far the producer's clock is from the consumer's, measured in a link slot
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Called by the threads that look after the two ends of a link, which look at it now and then. So the first answer takes its time; but who
 * has answered looks for the next question for a moment, and who has got an answer asks some more at once. These take a microsecond or two.
 *
 * What the producer answers is its word: it can be wrong, but then its frames are placed wrongly, and nothing else.
 */
#include "area-clock.h"

#include "atomics.h"
#include "token.h"

#define NS_PER_US G_GINT64_CONSTANT (1000)

/* Both sides look for so long at once. */
#define BURST_NS G_GINT64_CONSTANT (1000000)
#define BURST_ROUNDS 16

/* How soon after it was given an answer is seen: well within a burst. */
#define LOOK_US 100
/* A producer looks every 20 ms at least; one that hasn't answered after this is asked again. */
#define PATIENCE_NS G_GINT64_CONSTANT (200000000)

/* A clock that jumped is noticed within a second. Chosen. */
#define FIRST_ROUNDS 4
#define FIRST_INTERVAL_US 50000
#define INTERVAL_US 500000
/* On one kernel the clocks of both sides are equally fast, and don't jump. But guests that are copies of one that was saved say so, too. */
#define NEAR_INTERVAL_US 10000000
/* Whether there are frames again. */
#define IDLE_INTERVAL_US 100000

void
mmap_area_clock_init (MmapAreaClock * clock, MmapMailbox * mailbox,
    gboolean near)
{
  clock->mailbox = mailbox;
  clock->near = near;
  clock->asked_ns = -1;
  /* Whoever had the slot before may have asked the same. */
  clock->asked = mmap_random_below (G_MAXUINT64);
}

static void
ask (MmapAreaClock * clock)
{
  clock->asked++;
  clock->asked_ns = mmap_clock_now ();
  mmap_store_release (&clock->mailbox->clock_asked, clock->asked);
}

/* Returns: whether the question was answered */
static gboolean
take_answer (MmapAreaClock * clock)
{
  gint64 now, answered;

  /* Acquire: the time belongs to it. Pairs with the release in mmap_area_clock_answer(). */
  if (mmap_load_acquire (&clock->mailbox->clock_answered) != clock->asked)
    return FALSE;
  now = mmap_clock_now ();
  answered = mmap_load_relaxed (&clock->mailbox->clock_ns);
  mmap_clock_offset_add (&clock->offset, clock->asked_ns, answered, now);
  clock->asked_ns = -1;
  return TRUE;
}

static void
ask_more (MmapAreaClock * clock)
{
  gint64 until = mmap_clock_now () + BURST_NS;
  guint i;

  for (i = 0; i < BURST_ROUNDS; i++) {
    ask (clock);
    while (!take_answer (clock))
      if (mmap_clock_now () > until)
        return;
  }
}

static void
publish (MmapAreaClock * clock)
{
  gint64 now = mmap_clock_now ();

  if (!clock->offset.known)
    return;
  mmap_clock_offset_apply (&clock->offset, clock->near, now);
  mmap_store_relaxed (&clock->applied, clock->offset.applied);
  g_mutex_lock (&clock->lock);
  clock->reading = (MmapClockReading) {
    clock->reading.number + 1, now, mmap_clock_offset_get (&clock->offset),
        mmap_clock_offset_get_error (&clock->offset, now)
  };
  g_mutex_unlock (&clock->lock);
  mmap_store_release (&clock->number, clock->reading.number);
}

gint64
mmap_area_clock_run (MmapAreaClock * clock, gint64 now_us)
{
  if (clock->asked_ns < 0 && now_us < clock->next_us)
    return clock->next_us - now_us;
  /* An idle link costs little. */
  if (clock->asked_ns < 0 && clock->n_rounds >= FIRST_ROUNDS
      && !mmap_load_relaxed (&clock->wanted)) {
    clock->next_us = now_us + IDLE_INTERVAL_US;
    return IDLE_INTERVAL_US;
  }
  if (clock->asked_ns < 0) {
    mmap_store_relaxed (&clock->wanted, FALSE);
    ask (clock);
    return LOOK_US;
  }
  if (take_answer (clock)) {
    ask_more (clock);
    publish (clock);
  } else if (mmap_clock_now () - clock->asked_ns < PATIENCE_NS) {
    return LOOK_US;
  }
  clock->asked_ns = -1;
  clock->next_us = now_us + (clock->n_rounds++ < FIRST_ROUNDS ?
      FIRST_INTERVAL_US : clock->near && clock->offset.known ?
      NEAR_INTERVAL_US : INTERVAL_US);
  return clock->next_us - now_us;
}

gint64
mmap_area_clock_use (MmapAreaClock * clock)
{
  if (!mmap_load_relaxed (&clock->wanted))
    mmap_store_relaxed (&clock->wanted, TRUE);
  return mmap_load_relaxed (&clock->applied);
}

gboolean
mmap_area_clock_is_known (const MmapAreaClock * clock)
{
  return mmap_load_acquire (&clock->number) != 0;
}

gboolean
mmap_area_clock_read (MmapAreaClock * clock, MmapClockReading * reading)
{
  if (mmap_load_acquire (&clock->number) == reading->number)
    return FALSE;
  g_mutex_lock (&clock->lock);
  *reading = clock->reading;
  g_mutex_unlock (&clock->lock);
  return TRUE;
}

void
mmap_area_clock_get (MmapAreaClock * clock, gint64 * offset, guint64 * error)
{
  MmapClockReading reading = { 0 };
  MmapClockOffset then = { 0 };

  *offset = 0;
  *error = G_MAXUINT64;
  if (!mmap_area_clock_read (clock, &reading))
    return;
  *offset = reading.offset;
  then.known = TRUE;
  then.at = reading.at;
  *error = reading.error
      + mmap_clock_offset_get_error (&then, mmap_clock_now ());
}

/* --- the producer --- */

gboolean
mmap_area_clock_answer (MmapAreaClockAnswers * answers, MmapMailbox * mailbox)
{
  guint64 asked = mmap_load_acquire (&mailbox->clock_asked);

  if (asked == answers->answered)
    return FALSE;
  answers->answered = asked;
  mmap_store_relaxed (&mailbox->clock_ns, mmap_clock_now ());
  /* Release: the time is there. Pairs with the acquire in take_answer(). */
  mmap_store_release (&mailbox->clock_answered, asked);
  return TRUE;
}

void
mmap_area_clock_answer_more (MmapAreaClockAnswers * answers,
    MmapMailbox * mailbox)
{
  gint64 until = mmap_clock_now () + BURST_NS;

  while (mmap_clock_now () < until)
    mmap_area_clock_answer (answers, mailbox);
}
