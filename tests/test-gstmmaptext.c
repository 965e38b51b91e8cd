/* gst-mmap: tests of what is said of caps
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "gstmmaptext.h"
#include "leak-check.h"
#include "pipe.h"

/* As of a converter that takes much. */
#define LONG "{ A, B, C, D, E, F, G, H, I, J, K, L, M, N, O, P, Q, R, S, T, " \
    "U, V, W, Y, Z, AA, BB, CC, DD, EE, FF, GG, HH, II, JJ, KK, LL, MM }"
#define MORE "width=[1,9999], height=[1,9999], framerate=[0/1,999/1]"

static void
check (const char *accepted, const char *sent, const char *expected)
{
  g_autoptr (GstCaps) caps = gst_caps_from_string (accepted);
  g_autoptr (GstCaps) stream = gst_caps_from_string (sent);
  g_autofree char *text = gst_mmap_caps_describe (caps, stream);

  g_assert_cmpstr (text, ==, expected);
}

static void
test_describe (void)
{
  check ("video/x-raw, width=1", "video/x-raw, width=2",
      "video/x-raw, width=(int)1");
  check ("EMPTY", "video/x-raw, width=2", "EMPTY");
  check ("video/x-raw, format=" LONG ", " MORE "; image/png, " MORE
      "; video/x-raw, " MORE, "audio/x-raw, rate=1", "video/x-raw; image/png");
  check ("video/x-raw, format=" LONG ", " MORE,
      "video/x-raw, format=B, width=10000, height=2",
      "video/x-raw, width=(int)[ 1, 9999 ]");
  check ("image/png, " MORE "; video/x-raw, " MORE ", format={ A, B, C, D }; "
      "video/x-raw, format=" LONG, "video/x-raw, format=X, width=2",
      "video/x-raw, format=(string){ A, B, C, D }");
  /* Not by a field. */
  check ("video/x-raw(memory:GLMemory), format=" LONG ", " MORE,
      "video/x-raw, format=A, width=2", "video/x-raw(memory:GLMemory)");
}

static void
add_tests (void)
{
  leak_check_add_test ("/text/describe", test_describe);
}

int
main (int argc, char **argv)
{
  return pipe_test_main (argc, argv, add_tests);
}
