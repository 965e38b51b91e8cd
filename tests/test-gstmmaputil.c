/* gst-mmap: tests of what both elements have in common
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "gstmmaputil.h"
#include "leak-check.h"
#include "pipe.h"

#include <gio/gio.h>
#include <string.h>

/* --- errors --- */

static GstMessage *
pop_message (GstElement * element)
{
  GstBus *bus = gst_element_get_bus (element);
  GstMessage *message = gst_bus_pop (bus);

  g_assert_nonnull (message);
  g_assert_false (gst_bus_have_pending (bus));
  g_assert_true (GST_MESSAGE_SRC (message) == GST_OBJECT (element));
  gst_object_unref (bus);
  return message;
}

static GstElement *
element_with_bus (void)
{
  GstElement *element = gst_element_factory_make ("fakesink", NULL);
  GstBus *bus = gst_bus_new ();

  gst_element_set_bus (element, bus);
  gst_object_unref (bus);
  return element;
}

static void
free_element (GstElement * element)
{
  gst_element_set_bus (element, NULL);
  gst_object_unref (element);
}

static void
check_posted (GstElement * element, const GError * error, gboolean warning,
    gint code, const char *reason)
{
  g_autoptr (GError) posted = NULL;
  g_autofree char *debug = NULL;
  g_autofree char *sentence = g_strdup_printf ("%s.", error->message);
  GstMessage *message;

  if (warning)
    gst_mmap_post_warning (element, error);
  else
    gst_mmap_post_error (element, error);
  message = pop_message (element);
  g_assert_cmpint (GST_MESSAGE_TYPE (message), ==,
      warning ? GST_MESSAGE_WARNING : GST_MESSAGE_ERROR);
  if (warning)
    gst_message_parse_warning (message, &posted, &debug);
  else
    gst_message_parse_error (message, &posted, &debug);
  if (g_error_matches (error, MMAP_ERROR, MMAP_ERROR_NOT_NEGOTIATED))
    g_assert_error (posted, GST_CORE_ERROR, GST_CORE_ERROR_NEGOTIATION);
  else
    g_assert_error (posted, GST_RESOURCE_ERROR, code);
  g_assert_cmpstr (posted->message, ==, sentence);
  if (!strstr (debug, reason))
    g_error ("'%s' doesn't say '%s'", debug, reason);
  gst_message_unref (message);
}

/* What a program acts on, by code. */
static gint
expected_code (MmapError code)
{
  static const gint codes[MMAP_N_ERRORS] = {
    [MMAP_ERROR_FAILED] = GST_RESOURCE_ERROR_FAILED,
    [MMAP_ERROR_NO_DIRECTORY] = GST_RESOURCE_ERROR_NOT_FOUND,
    [MMAP_ERROR_NOT_FOUND] = GST_RESOURCE_ERROR_NOT_FOUND,
    [MMAP_ERROR_PERMISSION] = GST_RESOURCE_ERROR_NOT_AUTHORIZED,
    [MMAP_ERROR_IN_USE] = GST_RESOURCE_ERROR_BUSY,
    [MMAP_ERROR_LIMIT] = GST_RESOURCE_ERROR_BUSY,
    [MMAP_ERROR_NO_SPACE] = GST_RESOURCE_ERROR_NO_SPACE_LEFT,
    [MMAP_ERROR_TRUNCATED] = GST_RESOURCE_ERROR_READ,
    [MMAP_ERROR_NO_RESOURCES] = GST_RESOURCE_ERROR_NO_SPACE_LEFT,
    [MMAP_ERROR_USER] = GST_RESOURCE_ERROR_NOT_AUTHORIZED,
    [MMAP_ERROR_UNSAFE_PATH] = GST_RESOURCE_ERROR_NOT_AUTHORIZED,
    [MMAP_ERROR_ACCESS_TOKEN] = GST_RESOURCE_ERROR_NOT_AUTHORIZED,
    [MMAP_ERROR_SETTING] = GST_RESOURCE_ERROR_SETTINGS,
    [MMAP_ERROR_TOO_SMALL] = GST_RESOURCE_ERROR_NO_SPACE_LEFT,
    [MMAP_ERROR_EXISTS] = GST_RESOURCE_ERROR_SETTINGS,
    [MMAP_ERROR_ADDRESS] = GST_RESOURCE_ERROR_SETTINGS,
    [MMAP_ERROR_TOKEN_BYTES] = GST_RESOURCE_ERROR_SETTINGS,
    [MMAP_ERROR_CLOSED] = GST_RESOURCE_ERROR_READ,
  };

  return codes[code] ? codes[code] : GST_RESOURCE_ERROR_OPEN_READ;
}

static void
test_errors (void)
{
  GstElement *element = element_with_bus ();
  guint code;

  for (code = 0; code < MMAP_N_ERRORS; code++) {
    /* Percent signs are no format. */
    g_autoptr (GError) error = g_error_new (MMAP_ERROR, code,
        "The file '/tmp/%%s%%n' is \303\244, %u", code);
    g_autofree char *reason =
        g_strdup_printf ("reason: %s", mmap_error_get_name (code));

    g_assert_nonnull (mmap_error_get_name (code));
    check_posted (element, error, FALSE, expected_code (code), reason);
    check_posted (element, error, TRUE, expected_code (code), reason);
  }
  free_element (element);
}

static void
test_errors_of_others (void)
{
  GstElement *element = element_with_bus ();
  g_autoptr (GError) error =
      g_error_new (G_IO_ERROR, G_IO_ERROR_BUSY, "It is busy");
  g_autoptr (GError) newer =
      g_error_new (MMAP_ERROR, MMAP_N_ERRORS + 5, "Of a newer peer");

  check_posted (element, error, FALSE, GST_RESOURCE_ERROR_FAILED,
      "reason: g-io-error-quark");
  check_posted (element, newer, TRUE, GST_RESOURCE_ERROR_OPEN_READ,
      "reason: unknown");
  free_element (element);
}

/* --- anchor --- */

static GstClockTime
monotonic_now (void)
{
  return g_get_monotonic_time () * GST_USECOND;
}

static GstElement *
element_with_clock (GstClockType type, GstClockTime base_time)
{
  GstElement *element = gst_element_factory_make ("fakesink", NULL);
  GstClock *clock = g_object_new (GST_TYPE_SYSTEM_CLOCK, "name", "test",
      "clock-type", type, NULL);

  gst_object_ref_sink (clock);
  gst_element_set_clock (element, clock);
  gst_element_set_base_time (element, base_time);
  gst_object_unref (clock);
  return element;
}

static GstClockTime
get_anchor (GstElement * element)
{
  GstMmapAnchor anchor = { NULL };
  GstClockTime time = gst_mmap_anchor_get (&anchor, element);

  gst_mmap_anchor_clear (&anchor);
  return time;
}

static void
test_anchor_of_monotonic_clock (void)
{
  static const GstClockTime base_times[] = { 0, 1, 123 * GST_SECOND + 7 };
  guint i;

  for (i = 0; i < G_N_ELEMENTS (base_times); i++) {
    GstElement *element =
        element_with_clock (GST_CLOCK_TYPE_MONOTONIC, base_times[i]);

    g_assert_cmpuint (get_anchor (element), ==, base_times[i]);
    gst_element_set_clock (element, NULL);
    gst_object_unref (element);
  }
}

/* At the anchor, by CLOCK_MONOTONIC, the running time is 0: both are read now, one after the other. */
static void
check_anchor (GstElement * element, GstClock * clock)
{
  GstClockTime base_time = gst_element_get_base_time (element);
  GstClockTime before = gst_clock_get_time (clock);
  GstClockTime first = monotonic_now ();
  GstClockTime anchor = get_anchor (element);
  GstClockTime after = gst_clock_get_time (clock);
  GstClockTime last = monotonic_now ();

  /* monotonic_now() counts microseconds. */
  g_assert_cmpuint (anchor - base_time + after + GST_USECOND, >=, first);
  g_assert_cmpuint (anchor - base_time + before, <=, last + GST_USECOND);
}

static void
test_anchor_of_realtime_clock (void)
{
  GstClockTime now = g_get_real_time () * GST_USECOND;
  GstElement *element = element_with_clock (GST_CLOCK_TYPE_REALTIME,
      now - 10 * GST_SECOND);
  GstClock *clock = gst_element_get_clock (element);

  check_anchor (element, clock);
  gst_object_unref (clock);
  gst_element_set_clock (element, NULL);
  gst_object_unref (element);
}

/* A clock that runs ahead of CLOCK_MONOTONIC: its zero is before the machine's. */
static void
test_anchor_of_shifted_clock (void)
{
  static const gint64 shifts[] = { GST_SECOND, -GST_SECOND, 3600 * GST_SECOND };
  guint i;

  for (i = 0; i < G_N_ELEMENTS (shifts); i++) {
    GstElement *element = element_with_clock (GST_CLOCK_TYPE_TAI, 0);
    GstClock *clock = gst_element_get_clock (element);

    gst_clock_set_calibration (clock, 0, 3600 * GST_SECOND + shifts[i], 1, 1);
    gst_element_set_base_time (element, gst_clock_get_time (clock));
    check_anchor (element, clock);
    gst_object_unref (clock);
    gst_element_set_clock (element, NULL);
    gst_object_unref (element);
  }
}

/* CLOCK_MONOTONIC, but calibrated to another one. */
static void
test_anchor_of_calibrated_clock (void)
{
  GstElement *element = element_with_clock (GST_CLOCK_TYPE_MONOTONIC, 0);
  GstClock *clock = gst_element_get_clock (element);

  gst_clock_set_calibration (clock, 0, 3600 * GST_SECOND, 1, 1);
  gst_element_set_base_time (element, gst_clock_get_time (clock));
  check_anchor (element, clock);
  gst_object_unref (clock);
  gst_element_set_clock (element, NULL);
  gst_object_unref (element);
}

/* As GStreamer's clocks of the network are: of the system's type, with a time of their own. */
typedef GstSystemClock TestClock;
typedef GstSystemClockClass TestClockClass;
GType test_clock_get_type (void);
G_DEFINE_TYPE (TestClock, test_clock, GST_TYPE_SYSTEM_CLOCK);

static GstClockTime
test_clock_get_internal_time (GstClock * clock)
{
  return monotonic_now () + 7200 * GST_SECOND;
}

static void
test_clock_class_init (TestClockClass * klass)
{
  GST_CLOCK_CLASS (klass)->get_internal_time = test_clock_get_internal_time;
}

static void
test_clock_init (TestClock * self)
{
}

static void
test_anchor_of_network_clock (void)
{
  GstElement *element = gst_element_factory_make ("fakesink", NULL);
  GstClock *clock = g_object_new (test_clock_get_type (), NULL);

  gst_object_ref_sink (clock);
  gst_element_set_clock (element, clock);
  gst_element_set_base_time (element, gst_clock_get_time (clock));
  check_anchor (element, clock);
  gst_element_set_clock (element, NULL);
  gst_object_unref (element);
  gst_object_unref (clock);
}

/* The one that pipelines have. */
static void
test_anchor_of_system_clock (void)
{
  GstElement *element = gst_element_factory_make ("fakesink", NULL);
  GstClock *clock = gst_system_clock_obtain ();

  gst_element_set_clock (element, clock);
  gst_element_set_base_time (element, 99);
  g_assert_cmpuint (get_anchor (element), ==, 99);
  gst_element_set_clock (element, NULL);
  gst_object_unref (element);
  gst_object_unref (clock);
}

/* What was remembered of one clock is not taken for another's. */
static void
test_anchor_of_changing_clock (void)
{
  GstElement *element = element_with_clock (GST_CLOCK_TYPE_MONOTONIC, 99);
  GstClock *clock = g_object_new (GST_TYPE_SYSTEM_CLOCK, "name", "test",
      "clock-type", GST_CLOCK_TYPE_REALTIME, NULL);
  GstMmapAnchor anchor = { NULL };

  gst_object_ref_sink (clock);
  g_assert_cmpuint (gst_mmap_anchor_get (&anchor, element), ==, 99);
  g_assert_cmpuint (gst_mmap_anchor_get (&anchor, element), ==, 99);
  gst_element_set_clock (element, clock);
  g_assert_cmpuint (gst_mmap_anchor_get (&anchor, element), !=, 99);
  gst_element_set_base_time (element, 5);
  gst_element_set_clock (element, NULL);
  g_assert_cmpuint (gst_mmap_anchor_get (&anchor, element), ==,
      GST_CLOCK_TIME_NONE);
  gst_mmap_anchor_clear (&anchor);
  gst_object_unref (clock);
  gst_object_unref (element);
}

static void
test_no_anchor (void)
{
  GstElement *element = gst_element_factory_make ("fakesink", NULL);

  g_assert_cmpuint (get_anchor (element), ==, GST_CLOCK_TIME_NONE);
  gst_element_set_base_time (element, 5);
  g_assert_cmpuint (get_anchor (element), ==, GST_CLOCK_TIME_NONE);
  gst_object_unref (element);
}

static void
add_tests (void)
{
  leak_check_add_test ("/util/errors", test_errors);
  leak_check_add_test ("/util/errors-of-others", test_errors_of_others);
  leak_check_add_test ("/util/anchor-of-monotonic-clock",
      test_anchor_of_monotonic_clock);
  leak_check_add_test ("/util/anchor-of-realtime-clock",
      test_anchor_of_realtime_clock);
  leak_check_add_test ("/util/anchor-of-shifted-clock",
      test_anchor_of_shifted_clock);
  leak_check_add_test ("/util/anchor-of-calibrated-clock",
      test_anchor_of_calibrated_clock);
  leak_check_add_test ("/util/anchor-of-network-clock",
      test_anchor_of_network_clock);
  leak_check_add_test ("/util/anchor-of-changing-clock",
      test_anchor_of_changing_clock);
  leak_check_add_test ("/util/anchor-of-system-clock",
      test_anchor_of_system_clock);
  leak_check_add_test ("/util/no-anchor", test_no_anchor);
}

int
main (int argc, char **argv)
{
  return pipe_test_main (argc, argv, add_tests);
}
