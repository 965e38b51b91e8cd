/* gst-mmap: tests of events as bytes, and back
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * G_DEBUG=fatal-warnings ends the program if something is handed on that GStreamer takes for a bug of its caller.
 */
#include "gstmmaptext.h"
#include "gstmmapsegment.h"
#include "leak-check.h"
#include "pipe.h"

#include <math.h>
#include <string.h>

/* As of GStreamer 1.22. */
#define ALL_FLAGS (GST_SEGMENT_FLAG_RESET | GST_SEGMENT_FLAG_TRICKMODE \
    | GST_SEGMENT_FLAG_SEGMENT | GST_SEGMENT_FLAG_TRICKMODE_KEY_UNITS \
    | GST_SEGMENT_FLAG_TRICKMODE_FORWARD_PREDICTED \
    | GST_SEGMENT_FLAG_TRICKMODE_NO_AUDIO)

static void
assert_same_segment (const GstSegment * one, const GstSegment * two)
{
  g_assert_cmphex (one->flags, ==, two->flags);
  g_assert_cmpint (one->format, ==, two->format);
  g_assert_cmpfloat (one->rate, ==, two->rate);
  g_assert_cmpfloat (one->applied_rate, ==, two->applied_rate);
  g_assert_cmpuint (one->base, ==, two->base);
  g_assert_cmpuint (one->offset, ==, two->offset);
  g_assert_cmpuint (one->start, ==, two->start);
  g_assert_cmpuint (one->stop, ==, two->stop);
  g_assert_cmpuint (one->time, ==, two->time);
  g_assert_cmpuint (one->position, ==, two->position);
  g_assert_cmpuint (one->duration, ==, two->duration);
}

static void
test_segment_round_trip (void)
{
  static const gdouble rates[] = { 1.0, -1.0, 0.5, -2.5, 1e300, -1e-300 };
  static const GstFormat formats[] = { GST_FORMAT_DEFAULT, GST_FORMAT_BYTES,
    GST_FORMAT_TIME, GST_FORMAT_BUFFERS, GST_FORMAT_PERCENT
  };
  guint r, f;

  for (r = 0; r < G_N_ELEMENTS (rates); r++)
    for (f = 0; f < G_N_ELEMENTS (formats); f++) {
      GstSegment segment, back;
      MmapSegment wire;

      /* What is left of it must not shine through. */
      memset (&back, 0x55, sizeof back);
      gst_segment_init (&segment, formats[f]);
      segment.flags = ALL_FLAGS;
      segment.rate = rates[r];
      segment.applied_rate = rates[(r + 1) % G_N_ELEMENTS (rates)];
      segment.base = 11;
      segment.offset = 22;
      segment.start = 33;
      segment.stop = G_MAXUINT64 - 1;
      segment.time = 44;
      segment.position = 55;
      segment.duration = G_MAXUINT64;
      gst_mmap_segment_to_wire (&segment, &wire);
      g_assert_true (gst_mmap_segment_from_wire (&wire, sizeof wire, &back));
      assert_same_segment (&segment, &back);
    }
}

/* Bits that GStreamer 1.22 doesn't know are dropped. */
static void
test_segment_flags (void)
{
  GstSegment segment, back;
  MmapSegment wire;

  gst_segment_init (&segment, GST_FORMAT_TIME);
  gst_mmap_segment_to_wire (&segment, &wire);
  wire.flags = G_MAXUINT32;
  g_assert_true (gst_mmap_segment_from_wire (&wire, sizeof wire, &back));
  g_assert_cmphex (back.flags, ==, ALL_FLAGS);
}

static MmapSegment
good_segment (void)
{
  GstSegment segment;
  MmapSegment wire;

  gst_segment_init (&segment, GST_FORMAT_TIME);
  segment.stop = GST_SECOND;
  gst_mmap_segment_to_wire (&segment, &wire);
  return wire;
}

static void
test_malformed_segment (void)
{
  static const gdouble rates[] = { 0.0, -0.0, NAN, -NAN, INFINITY, -INFINITY };
  static const guint32 formats[] = { GST_FORMAT_UNDEFINED, 6, 9999, G_MAXINT,
    0x80000000, G_MAXUINT32
  };
  MmapSegment wire = good_segment ();
  GstSegment segment;
  guint8 bytes[200] = { 0 };
  gsize size;
  guint i;

  memcpy (bytes, &wire, sizeof wire);
  for (size = 0; size < sizeof bytes; size++)
    g_assert_true (gst_mmap_segment_from_wire (bytes, size, &segment) ==
        (size == sizeof wire));
  g_assert_false (gst_mmap_segment_from_wire (NULL, 0, &segment));
  /* Payloads are not aligned to anything. */
  memcpy (bytes + 1, &wire, sizeof wire);
  g_assert_true (gst_mmap_segment_from_wire (bytes + 1, sizeof wire, &segment));

  for (i = 0; i < G_N_ELEMENTS (rates); i++) {
    wire = good_segment ();
    wire.rate = rates[i];
    g_assert_false (gst_mmap_segment_from_wire (&wire, sizeof wire, &segment));
    wire = good_segment ();
    wire.applied_rate = rates[i];
    g_assert_false (gst_mmap_segment_from_wire (&wire, sizeof wire, &segment));
  }
  for (i = 0; i < G_N_ELEMENTS (formats); i++) {
    wire = good_segment ();
    wire.format = formats[i];
    g_assert_false (gst_mmap_segment_from_wire (&wire, sizeof wire, &segment));
  }
  /* Backwards, from nowhere. */
  wire = good_segment ();
  wire.rate = -1.0;
  g_assert_true (gst_mmap_segment_from_wire (&wire, sizeof wire, &segment));
  wire.stop = wire.duration = MMAP_TIME_NONE;
  g_assert_false (gst_mmap_segment_from_wire (&wire, sizeof wire, &segment));
}

/* What elements do with a segment. */
static void
use_segment (const GstSegment * segment)
{
  static const guint64 positions[] = { 0, 7, GST_SECOND, G_MAXUINT64 - 1 };
  GstEvent *event = gst_event_new_segment (segment);
  guint64 start, stop;
  guint i;

  g_assert_nonnull (event);
  gst_event_unref (event);
  for (i = 0; i < G_N_ELEMENTS (positions); i++) {
    GstSegment shifted = *segment;

    gst_segment_to_running_time (segment, segment->format, positions[i]);
    gst_segment_to_stream_time (segment, segment->format, positions[i]);
    gst_segment_position_from_running_time (segment, segment->format,
        positions[i]);
    gst_segment_position_from_stream_time (segment, segment->format,
        positions[i]);
    gst_segment_clip (segment, segment->format, positions[i],
        positions[i] + 10, &start, &stop);
    gst_segment_offset_running_time (&shifted, segment->format, 5);
    shifted = *segment;
    gst_segment_offset_running_time (&shifted, segment->format, -5);
  }
}

/* Whatever the numbers: nobody downstream complains of a segment that was accepted. */
static void
test_odd_segments (void)
{
  static const guint64 values[] = { 0, 1, 5 * GST_SECOND, G_MAXINT64,
    G_MAXUINT64 - 1, G_MAXUINT64
  };
  static const gdouble rates[] = { 1.0, -1.0, 1e300, -1e-300 };
  guint n_accepted = 0, i;

  for (i = 0; i < 50000; i++) {
    MmapSegment wire = good_segment ();
    guint64 *fields = &wire.base;
    GstSegment segment;
    guint j;

    wire.format = g_test_rand_int_range (GST_FORMAT_DEFAULT,
        GST_FORMAT_PERCENT + 1);
    wire.rate = rates[g_test_rand_int_range (0, G_N_ELEMENTS (rates))];
    wire.applied_rate = rates[g_test_rand_int_range (0, G_N_ELEMENTS (rates))];
    /* From base to duration. */
    for (j = 0; j < 7; j++)
      fields[j] = values[g_test_rand_int_range (0, G_N_ELEMENTS (values))];
    if (!gst_mmap_segment_from_wire (&wire, sizeof wire, &segment))
      continue;
    use_segment (&segment);
    n_accepted++;
  }
  g_assert_cmpuint (n_accepted, >, 10000);
}

/* --- caps --- */

static void
assert_caps_refused (gconstpointer data, gsize size)
{
  g_assert_null (gst_mmap_caps_from_wire (data, size));
}

/* The payload has no terminator: on the heap, so that AddressSanitizer sees a read behind it. */
static GstCaps *
caps_of (const char *string)
{
  gsize size = strlen (string);
  char *data = g_memdup2 (string, size);
  GstCaps *caps = gst_mmap_caps_from_wire (data, size);

  g_free (data);
  return caps;
}

static void
test_caps (void)
{
  static const char *strings[] = {
    ("video/x-raw, format=(string)I420, width=(int)640, height=(int)480, "
        "framerate=(fraction)30/1"),
    "application/octet-stream",
    "video/x-raw(memory:SystemMemory), format=(string)NV12",
    "audio/x-vorbis, streamheader=(buffer)< 01766f, 0376 >",
    "video/x-h264, codec_data=(buffer)0142c01e, text=(string)\"\303\244 ; {\"",
  };
  guint i;

  for (i = 0; i < G_N_ELEMENTS (strings); i++) {
    GstCaps *expected = gst_caps_from_string (strings[i]);
    GstCaps *caps = caps_of (strings[i]);

    g_assert_nonnull (caps);
    g_assert_true (gst_caps_is_strictly_equal (caps, expected));
    gst_caps_unref (caps);
    gst_caps_unref (expected);
  }
}

/* GStreamer's parser complains of some of what it is given, and leaks the values of lists that don't end. */
#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/lsan_interface.h>
#else
#define __lsan_disable()
#define __lsan_enable()
#endif

static guint complaints_handler;
static GLogLevelFlags fatal_levels;

static void
ignore (const char *domain, GLogLevelFlags level, const char *message,
    gpointer data)
{
}

static void
allow_complaints (void)
{
  __lsan_disable ();
  fatal_levels = g_log_set_always_fatal (G_LOG_FATAL_MASK);
  complaints_handler = g_log_set_handler ("GStreamer",
      G_LOG_LEVEL_WARNING | G_LOG_LEVEL_CRITICAL, ignore, NULL);
}

static void
forbid_complaints (void)
{
  g_log_remove_handler ("GStreamer", complaints_handler);
  g_log_set_always_fatal (fatal_levels);
  __lsan_enable ();
}

static void
test_malformed_caps (void)
{
  static const char *strings[] = { "", " ", ";", "/", "video", "video/x-raw,",
    "video/x-raw, width", "video/x-raw, width=", "video/x-raw, width=(int)x",
    "video/x-raw, width=(nonsense)5", "\xff\xfe", "video/x-raw, a=\xc3",
    "=", "{", "video/x-raw, a={", "\n", "%s%s%n",
    /* Caps, but not of a stream: */
    "ANY", "EMPTY", "NONE", "video/x-raw; audio/x-raw",
    "video/x-raw, width=[1,5]", "video/x-raw, format={I420,NV12}"
  };
  static const char embedded[] = "video/x-raw\0, width=(int)5";
  guint i;

  allow_complaints ();
  for (i = 0; i < G_N_ELEMENTS (strings); i++) {
    GstCaps *caps = caps_of (strings[i]);

    /* What the parser takes must at least be good for an event. */
    if (caps && !gst_caps_is_fixed (caps))
      g_error ("'%s' was accepted", strings[i]);
    if (caps) {
      GstEvent *event = gst_event_new_caps (caps);

      g_assert_nonnull (event);
      g_test_message ("'%s' is accepted", strings[i]);
      gst_event_unref (event);
      gst_caps_unref (caps);
    }
  }
  assert_caps_refused (NULL, 0);
  assert_caps_refused (embedded, sizeof embedded - 1);
  /* With its terminator. */
  assert_caps_refused ("video/x-raw", sizeof "video/x-raw");
  forbid_complaints ();
}

/* Nesting that would overflow the stack of GStreamer's parser. */
static void
test_deep_caps (void)
{
  static const char brackets[] = "{[<";
  const char *start = "video/x-raw, a=";
  gsize size = 4 * 1024 * 1024;
  guint i;

  for (i = 0; brackets[i]; i++) {
    char *data = g_malloc (size);

    memset (data, brackets[i], size);
    memcpy (data, start, strlen (start));
    assert_caps_refused (data, size);
    g_free (data);
  }
}

static void
test_random_caps (void)
{
  static const char letters[] =
      "video/x-raw, a=(int)5;{}[]<>\"\\\n\303\244\377";
  guint i, j;

  allow_complaints ();
  for (i = 0; i < 50000; i++) {
    gsize size = g_test_rand_int_range (1, 60);
    char *data = g_malloc (size);
    GstCaps *caps;

    for (j = 0; j < size; j++)
      data[j] = i % 2 && j < 12 ? "video/x-raw,"[j] :
          letters[g_test_rand_int_range (0, sizeof letters)];
    caps = gst_mmap_caps_from_wire (data, size);
    g_assert_true (!caps || gst_caps_is_fixed (caps));
    gst_clear_caps (&caps);
    g_free (data);
  }
  forbid_complaints ();
}

static void
add_tests (void)
{
  leak_check_add_test ("/event/segment-round-trip", test_segment_round_trip);
  leak_check_add_test ("/event/segment-flags", test_segment_flags);
  leak_check_add_test ("/event/malformed-segment", test_malformed_segment);
  leak_check_add_test ("/event/odd-segments", test_odd_segments);
  leak_check_add_test ("/event/caps", test_caps);
  leak_check_add_test ("/event/malformed-caps", test_malformed_caps);
  leak_check_add_test ("/event/deep-caps", test_deep_caps);
  leak_check_add_test ("/event/random-caps", test_random_caps);
}

int
main (int argc, char **argv)
{
  return pipe_test_main (argc, argv, add_tests);
}
