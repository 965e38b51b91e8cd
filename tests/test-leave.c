/* gst-mmap: tests of buffers that are kept when their link has ended, while the producer goes on
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Run by `meson test`. What the core does is tested in test-producer-leave.c. The test is the streaming thread of the producer, whose region
 * is small: each block is used again soon.
 */
#include "harness.h"
#include "leak-check.h"
#include "pipe.h"

#include <string.h>

#define FRAME_BYTES 65536
#define REGION_BYTES (1024 * 1024)
/* As many as fit in there, three times over. */
#define MANY 48

static Harness *
producer_new (const char *path)
{
  Harness *producer = harness_new (path, "size", (guint64) REGION_BYTES,
      "wait-for-connection", FALSE, NULL);

  harness_start (producer, HARNESS_CAPS);
  return producer;
}

static void
push (Harness * producer, guint number)
{
  GstBuffer *buffer = gst_buffer_new_allocate (NULL, FRAME_BYTES, NULL);

  gst_buffer_memset (buffer, 0, number, FRAME_BYTES);
  GST_BUFFER_PTS (buffer) = number * GST_SECOND;
  g_assert_cmpint (gst_harness_push (producer->harness, buffer), ==,
      GST_FLOW_OK);
}

static void
go_on (Harness * producer)
{
  guint i;

  for (i = 0; i < MANY; i++)
    push (producer, 100 + i);
}

static Pipe *
consumer_new (const char *path, const char *rest)
{
  Pipe *consumer = pipe_new ("mmapsrc name=src socket-path=%s is-live=false ! "
      "%s fakesink name=out sync=false", path, rest);

  consumer->hold = TRUE;
  return consumer;
}

/* Plays, and keeps @n frames that lie in the region. */
static void
keep (Harness * producer, Pipe * consumer, guint n)
{
  guint before, i;

  g_mutex_lock (&consumer->lock);
  before = consumer->frames->len;
  g_mutex_unlock (&consumer->lock);
  pipe_play (consumer);
  harness_wait_clients (producer, 1);
  for (i = 0; i < n; i++) {
    push (producer, 1 + i);
    pipe_wait_frames (consumer, before + i + 1);
  }
  g_assert_cmpuint (pipe_get_stat (consumer, "src", "copied"), ==, 0);
}

/* What is kept is what came. */
static void
check_kept (Pipe * consumer)
{
  guint i;

  g_assert_cmpuint (consumer->held->len, ==, consumer->frames->len);
  for (i = 0; i < consumer->held->len; i++) {
    GstBuffer *buffer = g_ptr_array_index (consumer->held, i);
    g_autofree char *pixels = pipe_hash (buffer, NULL);

    g_assert_cmpstr (pixels, ==, pipe_get_frame (consumer, i)->pixels);
  }
}

/* @held: (out): frames that those hold which are leaving. Returns: how many these are */
static guint
count_leaving (Harness * producer, guint * held)
{
  g_autoptr (GstStructure) stats = NULL;
  const GValue *list;
  guint n = 0, i;

  *held = 0;
  g_object_get (producer->sink, "stats", &stats, NULL);
  list = gst_structure_get_value (stats, "consumers");
  for (i = 0; i < gst_value_array_get_size (list); i++) {
    const GstStructure *link =
        gst_value_get_structure (gst_value_array_get_value (list, i));
    gboolean leaving;
    guint holds;

    g_assert_true (gst_structure_get_boolean (link, "leaving", &leaving));
    g_assert_true (gst_structure_get_uint (link, "held", &holds));
    if (leaving) {
      n++;
      *held += holds;
    }
  }
  return n;
}

static void
wait_until_gone (Harness * producer)
{
  gint64 end = g_get_monotonic_time () + GST_TIME_AS_USECONDS (PIPE_TIMEOUT);
  guint held;

  while (count_leaving (producer, &held) > 0) {
    g_assert_cmpint (g_get_monotonic_time (), <, end);
    g_usleep (500);
  }
}

/* An application keeps samples of a mmapsrc that it has stopped, and even freed. */
static void
test_stopped (void)
{
  g_autofree char *path = pipe_socket_path ();
  Harness *producer = producer_new (path);
  Pipe *consumer = consumer_new (path, "");
  guint held;

  keep (producer, consumer, 3);
  pipe_set_state (consumer, GST_STATE_NULL);
  harness_wait_clients (producer, 0);
  g_assert_cmpuint (count_leaving (producer, &held), ==, 1);
  g_assert_cmpuint (held, ==, 3);
  go_on (producer);
  check_kept (consumer);
  pipe_free (consumer);
  wait_until_gone (producer);
  harness_free (producer);
}

/* It starts again: another link, and both sets of frames are right. */
static void
test_started_again (void)
{
  g_autofree char *path = pipe_socket_path ();
  Harness *producer = producer_new (path);
  Pipe *consumer = consumer_new (path, "");
  guint round, held;

  for (round = 1; round < 4; round++) {
    keep (producer, consumer, 2);
    pipe_set_state (consumer, GST_STATE_NULL);
    harness_wait_clients (producer, 0);
    g_assert_cmpuint (count_leaving (producer, &held), ==, round);
    g_assert_cmpuint (held, ==, 2 * round);
    go_on (producer);
    check_kept (consumer);
  }
  pipe_free (consumer);
  wait_until_gone (producer);
  harness_free (producer);
}

/* The application hears of that before the error. */
static void
expect_disconnected (Pipe * consumer)
{
  g_autoptr (GstBus) bus = gst_element_get_bus (consumer->pipeline);
  const GstStructure *structure = NULL;
  g_autoptr (GstMessage) message = NULL;
  GstCaps *caps = NULL;

  do {
    g_clear_pointer (&message, gst_message_unref);
    message = gst_bus_timed_pop_filtered (bus, PIPE_TIMEOUT,
        GST_MESSAGE_ELEMENT | GST_MESSAGE_ERROR);
    g_assert_nonnull (message);
    structure = gst_message_get_structure (message);
    g_assert_cmpstr (GST_MESSAGE_TYPE_NAME (message), ==, "element");
  } while (!gst_structure_has_name (structure, "mmap-disconnected"));
  g_assert_cmpstr (gst_structure_get_string (structure, "reason"), ==,
      "not-negotiated");
  g_assert_cmpstr (gst_structure_get_string (structure, "action"), ==, "error");
  g_object_get (pipe_get (consumer, "src"), "capabilities", &caps, NULL);
  g_assert_null (caps);
}

/* The producer ends the link, as the consumer can't have its next caps. */
static void
test_refused (void)
{
  g_autofree char *path = pipe_socket_path ();
  Harness *producer = producer_new (path);
  Pipe *consumer = consumer_new (path, HARNESS_CAPS " !");
  g_autoptr (GstCaps) other = gst_caps_from_string ("application/x-other");
  g_autoptr (GError) error = NULL;

  /* Nobody asks for other caps. */
  g_object_set (producer->sink, "forward-events", 0, NULL);
  keep (producer, consumer, 3);
  harness_push_event (producer, gst_event_new_caps (other));
  go_on (producer);
  expect_disconnected (consumer);
  error = pipe_wait_error (consumer);
  g_assert_nonnull (strstr (error->message, "does not accept"));
  go_on (producer);
  check_kept (consumer);
  pipe_set_state (consumer, GST_STATE_NULL);
  go_on (producer);
  check_kept (consumer);
  pipe_free (consumer);
  wait_until_gone (producer);
  harness_free (producer);
}

/* A sink keeps its last sample as long as it likes. */
static void
test_last_sample (void)
{
  g_autofree char *path = pipe_socket_path ();
  Harness *producer = producer_new (path);
  Pipe *consumer = consumer_new (path, "");
  g_autofree char *pixels = NULL;
  GstSample *sample = NULL;

  consumer->hold = FALSE;
  keep (producer, consumer, 1);
  g_object_get (pipe_get (consumer, "out"), "last-sample", &sample, NULL);
  pipe_set_state (consumer, GST_STATE_NULL);
  harness_wait_clients (producer, 0);
  go_on (producer);
  pixels = pipe_hash (gst_sample_get_buffer (sample), NULL);
  g_assert_cmpstr (pixels, ==, pipe_get_frame (consumer, 0)->pixels);
  gst_sample_unref (sample);
  wait_until_gone (producer);
  pipe_free (consumer);
  harness_free (producer);
}

static void
add_tests (void)
{
  leak_check_add_test ("/leave/stopped", test_stopped);
  leak_check_add_test ("/leave/started-again", test_started_again);
  leak_check_add_test ("/leave/refused", test_refused);
  leak_check_add_test ("/leave/last-sample", test_last_sample);
}

int
main (int argc, char **argv)
{
  return pipe_test_main (argc, argv, add_tests);
}
