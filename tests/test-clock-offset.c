/* gst-mmap: tests of the offset between two clocks
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "clock-offset.h"

#define MS G_GINT64_CONSTANT (1000000)
#define SECOND (1000 * MS)

/* Two clocks, of which the other one runs at another speed. */
typedef struct
{
  gint64 now;
  gint64 zero;                  /* the other at our zero */
  gint64 ppm;
  GRand *rand;
} Pair;

static gint64
pair_get_other (const Pair * pair)
{
  return pair->zero + pair->now + pair->now / 1000000 * pair->ppm;
}

/* An exchange whose two ways take any time up to @most each. */
static void
pair_exchange (Pair * pair, MmapClockOffset * offset, gint64 most)
{
  gint64 sent = pair->now, answered;

  pair->now += g_rand_double_range (pair->rand, 200, most);
  answered = pair_get_other (pair);
  pair->now += g_rand_double_range (pair->rand, 200, most);
  g_assert_true (mmap_clock_offset_add (offset, sent, answered, pair->now));
}

static void
check_truth (const Pair * pair, const MmapClockOffset * offset)
{
  gint64 truth = pair_get_other (pair) - pair->now;
  gint64 error = mmap_clock_offset_get_error (offset, pair->now);

  g_assert_cmpint (ABS (mmap_clock_offset_get (offset) - truth), <=, error);
  g_assert_cmpint (ABS (offset->applied - truth), <=,
      2 * error + MMAP_CLOCK_TOLERANCE_NS);
}

/* Each half a second one slow exchange and a burst, as on a link. */
static void
run_pair (Pair * pair, MmapClockOffset * offset, guint seconds)
{
  guint i, j;

  for (i = 0; i < 2 * seconds; i++) {
    pair_exchange (pair, offset, 20 * MS);
    for (j = 0; j < 16; j++)
      pair_exchange (pair, offset, 5000);
    mmap_clock_offset_apply (offset, FALSE, pair->now);
    check_truth (pair, offset);
    g_assert_cmpint (mmap_clock_offset_get_error (offset, pair->now), <, 5000);
    pair->now += SECOND / 2;
    check_truth (pair, offset);
  }
}

static void
test_drift (void)
{
  static const gint64 zeros[] = { 0, 1, 12345 * SECOND, -5 * SECOND,
    G_MAXINT64 / 4
  };
  static const gint64 ppms[] = { 0, 20, -20, 200, -499, 499 };
  guint i, j;

  for (i = 0; i < G_N_ELEMENTS (zeros); i++)
    for (j = 0; j < G_N_ELEMENTS (ppms); j++) {
      MmapClockOffset offset = { 0 };
      Pair pair = { 100000 * SECOND, zeros[i], ppms[j],
        g_rand_new_with_seed (i * 10 + j)
      };

      run_pair (&pair, &offset, 100);
      g_assert_cmpuint (offset.steps, ==, 0);
      g_rand_free (pair.rand);
    }
}

/* The other machine is suspended, and its clock stands still; or it is set forward. */
static void
test_steps (void)
{
  MmapClockOffset offset = { 0 };
  Pair pair = { 1000 * SECOND, 7 * SECOND, 50, g_rand_new_with_seed (1) };

  run_pair (&pair, &offset, 10);
  pair.now += 3 * SECOND;
  pair.zero -= 3 * SECOND;
  run_pair (&pair, &offset, 10);
  g_assert_cmpuint (offset.steps, ==, 1);
  pair.zero += 20 * MS;
  run_pair (&pair, &offset, 10);
  g_assert_cmpuint (offset.steps, ==, 2);
  g_rand_free (pair.rand);
}

/* What is used changes seldom. */
static void
test_applied (void)
{
  MmapClockOffset offset = { 0 };
  Pair pair = { SECOND, 5 * SECOND, 100, g_rand_new_with_seed (2) };
  guint i, changes = 0;

  for (i = 0; i < 200; i++) {
    pair_exchange (&pair, &offset, 3000);
    changes += mmap_clock_offset_apply (&offset, FALSE, pair.now);
    pair.now += SECOND / 2;
  }
  /* The first, and then each millisecond of 10. */
  g_assert_cmpuint (changes, >=, 9);
  g_assert_cmpuint (changes, <=, 12);
  g_rand_free (pair.rand);
}

static void
test_same (void)
{
  MmapClockOffset offset = { 0 };

  g_assert_false (mmap_clock_offset_apply (&offset, TRUE, 0));
  g_assert_cmpint (mmap_clock_offset_get_error (&offset, 0), ==, G_MAXINT64);
  /* Slow, and no more than half of the way. */
  g_assert_true (mmap_clock_offset_add (&offset, SECOND, SECOND + 19 * MS,
          SECOND + 20 * MS));
  g_assert_false (mmap_clock_offset_apply (&offset, TRUE, SECOND + 20 * MS));
  g_assert_cmpint (offset.applied, ==, 0);
  /* One kernel, but another time namespace. */
  g_assert_true (mmap_clock_offset_add (&offset, 2 * SECOND, 9 * SECOND,
          2 * SECOND + 1000));
  g_assert_true (mmap_clock_offset_apply (&offset, TRUE, 2 * SECOND + 1000));
  g_assert_cmpint (offset.applied / MS, ==, 6999);
  g_assert_cmpuint (offset.steps, ==, 1);
}

static void
test_nonsense (void)
{
  static const gint64 times[] = { G_MININT64, -1, 0, 1, SECOND, G_MAXINT64 / 2,
    G_MAXINT64 / 2 + 1, G_MAXINT64
  };
  guint i, j, k;

  for (i = 0; i < G_N_ELEMENTS (times); i++)
    for (j = 0; j < G_N_ELEMENTS (times); j++)
      for (k = 0; k < G_N_ELEMENTS (times); k++) {
        MmapClockOffset offset = { 0 };

        mmap_clock_offset_add (&offset, 1, 1, 1);
        mmap_clock_offset_add (&offset, times[i], times[j], times[k]);
        mmap_clock_offset_apply (&offset, FALSE, G_MAXINT64 / 2);
        g_assert_true (mmap_clock_offset_add (&offset, G_MAXINT64 / 2,
                times[2], G_MAXINT64 / 2));
        g_assert_cmpint (offset.low, <=, offset.high);
      }
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/clock-offset/drift", test_drift);
  g_test_add_func ("/clock-offset/steps", test_steps);
  g_test_add_func ("/clock-offset/applied", test_applied);
  g_test_add_func ("/clock-offset/same", test_same);
  g_test_add_func ("/clock-offset/nonsense", test_nonsense);
  return g_test_run ();
}
