/* gst-mmap: tests of looking before sleeping
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Run by `meson test`.
 */
#include "leak-check.h"
#include "spin.h"

#define N_WAITS 2000

typedef struct
{
  guint looks;
  guint ready_after;
} Looker;

static gboolean
look (gpointer data)
{
  Looker *looker = data;

  return ++looker->looks >= looker->ready_after;
}

static void
test_never (void)
{
  Looker looker = { 0, 1 };
  MmapSpin spin = { 0 };

  g_assert_false (mmap_spin (&spin, MMAP_SPIN_MAX_NS, look, &looker));
  g_assert_cmpuint (looker.looks, ==, 0);
}

static void
test_for_a_time (void)
{
  Looker looker = { 0, G_MAXUINT };
  MmapSpin spin = { 0 };
  gint64 began = g_get_monotonic_time ();

  mmap_spin_set_time (&spin, 30000000);
  g_assert_false (mmap_spin (&spin, MMAP_SPIN_MAX_NS, look, &looker));
  g_assert_cmpint (g_get_monotonic_time () - began, >=, 29999);

  /* The caller has less time than that. */
  mmap_spin_set_time (&spin, MMAP_SPIN_MAX_NS);
  began = g_get_monotonic_time ();
  g_assert_false (mmap_spin (&spin, 1000000, look, &looker));
  g_assert_false (mmap_spin (&spin, 0, look, &looker));
  g_assert_false (mmap_spin (&spin, -5, look, &looker));
  g_assert_cmpint (g_get_monotonic_time () - began, <, 900000);

  looker = (Looker) {
  0, 3};
  g_assert_true (mmap_spin (&spin, MMAP_SPIN_MAX_NS, look, &looker));
  g_assert_cmpuint (looker.looks, ==, 3);
}

static guint
count_tries (MmapSpin * spin, guint ready_after)
{
  guint i, tries = 0;

  for (i = 0; i < N_WAITS; i++) {
    Looker looker = { 0, ready_after };

    mmap_spin (spin, MMAP_SPIN_MAX_NS, look, &looker);
    if (looker.looks > 0)
      tries++;
  }
  return tries;
}

/* What was in vain is tried less and less; what succeeded is tried always. */
static void
test_adapts (void)
{
  MmapSpin spin = { 0 };
  Looker looker = { 0, 1 };
  guint i;

  mmap_spin_set_time (&spin, MMAP_SPIN_ADAPTIVE);
  g_assert_cmpuint (count_tries (&spin, 2), ==, N_WAITS);
  /* 1, 3, 7, ... 255 waits without between them. */
  g_assert_cmpuint (count_tries (&spin, G_MAXUINT), <=, 8 + N_WAITS / 256 + 1);
  for (i = 0; i < 256 && looker.looks == 0; i++)
    mmap_spin (&spin, MMAP_SPIN_MAX_NS, look, &looker);
  g_assert_cmpuint (looker.looks, ==, 1);
  g_assert_cmpuint (count_tries (&spin, 2), ==, N_WAITS);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  leak_check_add_test ("/spin/never", test_never);
  leak_check_add_test ("/spin/for-a-time", test_for_a_time);
  leak_check_add_test ("/spin/adapts", test_adapts);
  return g_test_run ();
}
