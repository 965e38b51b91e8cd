/* gst-mmap: tests of the clock that follows another machine's
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Readings of a made-up clock; what is asked is what the clock would say at their instants.
 */
#include "gstmmapclock.h"
#include "leak-check.h"

#define MS G_GINT64_CONSTANT (1000000)
#define US G_GINT64_CONSTANT (1000)
#define SECOND (1000 * MS)

/* Of all sums in the clock: four are less than what fits. */
#define MOST (G_MAXINT64 >> 2)

typedef struct
{
  GstMmapClock *clock;
  GRand *rand;
  gint64 now;
  gint64 offset;                /* of the other clock at 0 */
  gint64 ppm;
  guint64 number;
} Pair;

static void
pair_init (Pair * pair, gint64 offset, gint64 ppm)
{
  *pair = (Pair) {
  gst_mmap_clock_new (), g_rand_new_with_seed (1), 1000 * SECOND, offset, ppm};
}

static void
pair_clear (Pair * pair)
{
  g_rand_free (pair->rand);
  gst_object_unref (pair->clock);
}

static gint64
clock_time (GstMmapClock * clock, gint64 at)
{
  GstClockTime internal, external, numerator, denominator;

  gst_clock_get_calibration (GST_CLOCK (clock), &internal, &external,
      &numerator, &denominator);
  return gst_clock_adjust_with_calibration (GST_CLOCK (clock), at, internal,
      external, numerator, denominator);
}

static gint64
pair_get_offset (const Pair * pair)
{
  return pair->offset + pair->now / 1000000 * pair->ppm;
}

/* Half a second later there is another reading. Returns: whether the clock has begun anew */
static gboolean
pair_read (Pair * pair)
{
  MmapClockReading reading;

  pair->now += SECOND / 2;
  reading.error = g_rand_int_range (pair->rand, 1, 20 * US);
  reading.number = ++pair->number;
  reading.at = pair->now;
  reading.offset = pair_get_offset (pair)
      + g_rand_int_range (pair->rand, -reading.error, reading.error + 1);
  return gst_mmap_clock_follow (pair->clock, &reading);
}

/* Half a second after the last reading, if there were some. */
static void
check_follows (Pair * pair)
{
  gint64 origin, away;

  g_assert_true (gst_mmap_clock_get_origin (pair->clock, &origin));
  pair->now += SECOND / 2;
  away = clock_time (pair->clock, pair->now)
      - (pair->now + pair_get_offset (pair) + origin);
  g_assert_cmpint (ABS (away), <, 200 * US);
}

static void
run (Pair * pair, guint readings)
{
  guint i;

  for (i = 0; i < readings; i++) {
    g_assert_false (pair_read (pair));
    if (i > 8)
      check_follows (pair);
  }
}

/* Whatever the other clock says, and however fast it is. */
static void
test_drift (void)
{
  static const gint64 ppm[] = { -450, -30, 0, 30, 450 };
  static const gint64 offsets[] = { 0, -900 * SECOND, 1000000 * SECOND };
  guint i, j;

  for (i = 0; i < G_N_ELEMENTS (ppm); i++) {
    for (j = 0; j < G_N_ELEMENTS (offsets); j++) {
      Pair pair;
      gint64 origin;

      pair_init (&pair, offsets[j], ppm[i]);
      g_assert_false (gst_mmap_clock_get_origin (pair.clock, &origin));
      g_assert_true (pair_read (&pair));
      /* It goes on from what this machine's says. */
      g_assert_cmpint (clock_time (pair.clock, pair.now), ==, pair.now);
      run (&pair, 100);
      pair_clear (&pair);
    }
  }
}

/* The other machine was suspended, or is another one, whose clock is not as fast. */
static void
test_jump (void)
{
  static const gint64 jumps[] = { 5 * MS, -5 * MS, 100000 * SECOND,
    -200000 * SECOND, SECOND, -SECOND
  };
  gint64 origin, origin_before, before, jump;
  Pair pair;
  guint i;

  pair_init (&pair, 0, 400);
  g_assert_true (pair_read (&pair));
  for (i = 0; i < G_N_ELEMENTS (jumps); i++) {
    run (&pair, 20);
    gst_mmap_clock_get_origin (pair.clock, &origin_before);
    before = pair_get_offset (&pair);
    pair.offset += jumps[i];
    pair.ppm = -pair.ppm;
    jump = pair_get_offset (&pair) - before;
    g_assert_true (pair_read (&pair));
    g_assert_true (gst_mmap_clock_get_origin (pair.clock, &origin));
    g_assert_cmpint (ABS (origin_before - origin - jump), <, MS);
  }
  run (&pair, 20);
  pair_clear (&pair);
}

/* What is too inexact, or older than what is known. */
static void
test_useless (void)
{
  MmapClockReading reading = { 1, 10 * SECOND, SECOND, 10 * MS };
  GstMmapClock *clock = gst_mmap_clock_new ();
  gint64 origin;

  g_assert_false (gst_mmap_clock_follow (clock, &reading));
  g_assert_false (gst_mmap_clock_get_origin (clock, &origin));
  reading.error = MS;
  g_assert_true (gst_mmap_clock_follow (clock, &reading));
  g_assert_false (gst_mmap_clock_follow (clock, &reading));
  reading.at -= SECOND;
  reading.offset = 7 * SECOND;
  g_assert_false (gst_mmap_clock_follow (clock, &reading));
  g_assert_true (gst_mmap_clock_get_origin (clock, &origin));
  g_assert_cmpint (origin, ==, -SECOND);
  g_assert_cmpint (clock_time (clock, 20 * SECOND), ==, 20 * SECOND);
  gst_object_unref (clock);
}

static gint64
draw_offset (GRand * rand)
{
  static const gint64 extremes[] = { G_MININT64, G_MAXINT64, -MOST, MOST,
    MOST + 1, -MOST - 1
  };
  gint64 range = (G_GINT64_CONSTANT (1)) << g_rand_int_range (rand, 10, 60);

  if (g_rand_int_range (rand, 0, 10) == 0)
    return extremes[g_rand_int_range (rand, 0, G_N_ELEMENTS (extremes))];
  return g_rand_double_range (rand, -range, range);
}

/* A producer that lies: the clock goes on, and about as fast as any. */
static void
test_lies (void)
{
  guint i, n = 20000 / leak_check_get_times ();
  Pair pair;

  pair_init (&pair, 0, 0);
  for (i = 0; i < n; i++) {
    gint64 from = pair.now, before = clock_time (pair.clock, from), passed;
    MmapClockReading reading;

    pair.now += g_rand_int_range (pair.rand, 1, SECOND);
    reading.number = ++pair.number;
    reading.at = pair.now;
    reading.offset = draw_offset (pair.rand);
    reading.error = g_rand_int_range (pair.rand, 0, 6 * MS);
    gst_mmap_clock_follow (pair.clock, &reading);
    passed = clock_time (pair.clock, pair.now) - before;
    g_assert_cmpint (ABS (passed - (pair.now - from)), <, 20 * MS);
  }
  pair_clear (&pair);
}

int
main (int argc, char **argv)
{
  gst_init (&argc, &argv);
  g_test_init (&argc, &argv, NULL);
  leak_check_add_test ("/clock/drift", test_drift);
  leak_check_add_test ("/clock/jump", test_jump);
  leak_check_add_test ("/clock/useless", test_useless);
  leak_check_add_test ("/clock/lies", test_lies);
  return g_test_run ();
}
