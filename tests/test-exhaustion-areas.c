/* gst-mmap: tests of a system that has nothing left, for links in areas
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Run by `meson test`. As test-exhaustion.c, where the handshake is in the area, or goes through TCP.
 */
#include "life.h"

int
main (int argc, char **argv)
{
  int result;

  g_test_init (&argc, &argv, NULL);
  life_add_tests ("exhaustion-areas", LIFE_AREA, LIFE_REMOTE);
  result = g_test_run ();
  life_clear ();
  return result;
}
