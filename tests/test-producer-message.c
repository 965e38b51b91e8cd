/* gst-mmap: tests of the producer's messages, and of what it tells its callers
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Run by `meson test`. What the callbacks hear is written down as lines, and compared.
 */
#include "capabilities.h"
#include "leak-check.h"
#include "peers.h"
#include "producer-private.h"

#include <math.h>
#include <string.h>

#define MIB (G_GUINT64_CONSTANT (1) << 20)
#define WAIT_US (60 * G_USEC_PER_SEC)

static char *address;

/* A producer, and what its callbacks were told. */
typedef struct
{
  MmapProducer *producer;
  gboolean admit;               /* atomic: whoever has answered */
  GMutex lock;
  GCond cond;
  /* under the lock */
  GString *told;                /* each with a space before it */
  gboolean block;               /* callbacks wait */
  guint n_blocked;
  guint n_messages;
} Scene;

static void
tell (Scene * scene, const char *format, ...)
G_GNUC_PRINTF (2, 3);

     static void tell (Scene * scene, const char *format, ...)
{
  va_list args;

  va_start (args, format);
  g_mutex_lock (&scene->lock);
  scene->n_blocked++;
  g_cond_broadcast (&scene->cond);
  while (scene->block)
    g_cond_wait (&scene->cond, &scene->lock);
  scene->n_blocked--;
  g_string_append_c (scene->told, ' ');
  g_string_append_vprintf (scene->told, format, args);
  g_cond_broadcast (&scene->cond);
  g_mutex_unlock (&scene->lock);
  va_end (args);
}

static void
on_links (guint n_links, gpointer data)
{
  Scene *scene = data;

  /* No lock is held: anything may be called. */
  mmap_producer_collect (scene->producer);
  tell (scene, "links-%u", n_links);
}

static void
on_refused (const GError * reason, gpointer data)
{
  Scene *scene = data;
  MmapProducerStats stats;

  mmap_producer_get_stats (scene->producer, &stats);
  g_assert_cmpuint (stats.failures[reason->code], >, 0);
  tell (scene, "refused-%s", mmap_error_get_name (reason->code));
}

static void
on_accepts (guint32 link_id, const char *media, gboolean answered,
    gpointer data)
{
  Scene *scene = data;

  tell (scene, "%s-%u-%s", answered ? "answered" : "hello", link_id,
      media ? media : "any");
  if (g_atomic_int_get (&scene->admit))
    mmap_producer_admit (scene->producer, link_id);
}

static void
on_left (guint32 link_id, gpointer data)
{
  Scene *scene = data;
  GError *reason = g_error_new (MMAP_ERROR, MMAP_ERROR_FAILED, "too late");

  /* It isn't there any more. */
  mmap_producer_admit (scene->producer, link_id);
  mmap_producer_suspend (scene->producer, link_id);
  mmap_producer_refuse (scene->producer, link_id, reason);
  g_assert_false (mmap_producer_send (scene->producer, link_id,
          MMAP_MESSAGE_EVENT, raw_body (NULL, NULL)));
  g_error_free (reason);
  tell (scene, "left-%u", link_id);
}

static void
on_message (guint32 link_id, MmapMessageKind kind, GVariant * body,
    gpointer data)
{
  const char *text = "";
  Scene *scene = data;

  g_variant_lookup (body, "text", "&s", &text);
  tell (scene, "%s-%u-%s", kind == MMAP_MESSAGE_EVENT ? "event" :
      kind == MMAP_MESSAGE_QUERY ? "query" : "other", link_id, text);
  g_mutex_lock (&scene->lock);
  scene->n_messages++;
  g_cond_broadcast (&scene->cond);
  g_mutex_unlock (&scene->lock);
  if (kind == MMAP_MESSAGE_QUERY)
    mmap_producer_send (scene->producer, link_id, MMAP_MESSAGE_RESULT,
        raw_body ("text", text));
  if (strcmp (text, "refuse-me") == 0) {
    GError *reason = g_error_new (MMAP_ERROR, MMAP_ERROR_NOT_NEGOTIATED, "%s",
        text);

    mmap_producer_refuse (scene->producer, link_id, reason);
    g_error_free (reason);
  }
}

static void
scene_begin (Scene * scene, gboolean admit, guint64 capacity)
{
  static const MmapProducerCallbacks callbacks = {
    on_links, on_refused, NULL, on_accepts, on_left, on_message
  };
  GError *error = NULL;

  memset (scene, 0, sizeof *scene);
  g_mutex_init (&scene->lock);
  g_cond_init (&scene->cond);
  scene->told = g_string_new (NULL);
  scene->admit = admit;
  scene->producer = mmap_producer_new (address, NULL, 32, &error);
  g_assert_no_error (error);
  mmap_producer_set_callbacks (scene->producer, &callbacks, scene);
  g_assert_true (mmap_producer_start (scene->producer, &error));
  if (capacity > 0)
    g_assert_true (mmap_producer_set_region (scene->producer,
            mmap_producer_size_for (capacity), G_MAXUINT64, NULL, &error));
}

/* Waits until just this was told since the last time. */
static void
scene_expect (Scene * scene, const char *expected)
{
  gint64 end = g_get_monotonic_time () + WAIT_US;

  g_mutex_lock (&scene->lock);
  while (scene->told->len < strlen (expected)
      && g_cond_wait_until (&scene->cond, &scene->lock, end));
  g_assert_cmpstr (scene->told->str, ==, expected);
  g_string_truncate (scene->told, 0);
  g_mutex_unlock (&scene->lock);
}

static void
scene_set_block (Scene * scene, gboolean block)
{
  g_mutex_lock (&scene->lock);
  scene->block = block;
  g_cond_broadcast (&scene->cond);
  g_mutex_unlock (&scene->lock);
}

static void
scene_end (Scene * scene)
{
  end_producer (scene->producer);
  g_string_free (scene->told, TRUE);
  g_mutex_clear (&scene->lock);
  g_cond_clear (&scene->cond);
}

static void
send_hello (RawConsumer * raw, const char *media)
{
  GVariantDict body;

  g_variant_dict_init (&body, NULL);
  g_variant_dict_insert (&body, "protocol", "u", MMAP_PROTOCOL_VERSION);
  if (media)
    g_variant_dict_insert (&body, "media", "s", media);
  raw_send_message (raw->socket, MMAP_MESSAGE_HELLO,
      g_variant_dict_end (&body));
}

static void
answer (RawConsumer * raw, const char *media)
{
  MmapCapabilities capabilities;

  raw_make_answer (raw, &capabilities);
  capabilities.media = g_strdup (media);
  raw_send_answer (raw, &capabilities);
  mmap_capabilities_clear (&capabilities);
}

static void
expect_message (RawConsumer * raw, MmapMessageKind kind, const char *text)
{
  const char *said = NULL;
  MmapMessage message;

  g_assert_true (raw_receive (raw->socket, &message));
  g_assert_cmpint (message.kind, ==, kind);
  g_variant_lookup (message.body, "text", "&s", &said);
  g_assert_cmpstr (said, ==, text);
  mmap_message_clear (&message);
}

static gboolean
has_message (RawConsumer * raw)
{
  return g_socket_condition_check (raw->socket, G_IO_IN) != 0;
}

/* As raw_bring_up(), where accepts() admits. */
static void
bring_up (Scene * scene, RawConsumer * raw)
{
  raw_connect (raw, address);
  send_hello (raw, "m");
  raw_take_offer (raw);
  answer (raw, "m");
  expect_message (raw, MMAP_MESSAGE_ACCEPT, NULL);
}

static void
test_wishes (void)
{
  RawConsumer raw, other;
  Scene scene;

  scene_begin (&scene, FALSE, MIB);
  raw_connect (&raw, address);
  send_hello (&raw, "a");
  scene_expect (&scene, " hello-1-a");
  raw_take_offer (&raw);
  answer (&raw, "b");
  scene_expect (&scene, " answered-1-b");
  g_assert_cmpuint (mmap_producer_get_n_links (scene.producer), ==, 0);
  g_assert_cmpuint (mmap_producer_get_n_waiting (scene.producer), ==, 1);
  raw_send_message (raw.socket, MMAP_MESSAGE_WISHES, raw_body ("media", "c"));
  scene_expect (&scene, " answered-1-c");
  g_assert_false (has_message (&raw));
  mmap_producer_admit (scene.producer, 1);
  expect_message (&raw, MMAP_MESSAGE_ACCEPT, NULL);
  scene_expect (&scene, " links-1");
  raw_send_message (raw.socket, MMAP_MESSAGE_WISHES, NULL);
  scene_expect (&scene, " answered-1-any");

  /* One that accepts anything says nothing. */
  raw_connect (&other, address);
  send_hello (&other, NULL);
  scene_expect (&scene, " hello-2-any");
  raw_take_offer (&other);
  answer (&other, NULL);
  scene_expect (&scene, " answered-2-any");
  /* Gone before it was up. */
  raw_clear (&other);
  scene_expect (&scene, " left-2");
  raw_clear (&raw);
  scene_expect (&scene, " left-1 links-0");
  scene_end (&scene);
}

/* Without somebody who would admit them, links come up. */
static void
test_no_callbacks (void)
{
  MmapProducer *producer = make_producer (address, MIB);
  RawConsumer raw;

  raw_bring_up (&raw, address);
  g_assert_cmpuint (mmap_producer_get_n_ready (producer), ==, 1);
  raw_send_message (raw.socket, MMAP_MESSAGE_WISHES, raw_body ("media", "c"));
  raw_send_message (raw.socket, MMAP_MESSAGE_EVENT, NULL);
  raw_send_message (raw.socket, MMAP_MESSAGE_QUERY, NULL);
  raw_clear (&raw);
  wait_for_links (producer, 0);
  end_producer (producer);
}

/* What is not its state's business changes nothing. */
static void
test_states (void)
{
  MmapProducerStats stats;
  RawConsumer raw;
  Scene scene;

  scene_begin (&scene, FALSE, 0);
  raw_connect (&raw, address);
  mmap_producer_admit (scene.producer, 1);
  mmap_producer_suspend (scene.producer, 1);
  send_hello (&raw, "a");
  scene_expect (&scene, " hello-1-a");
  mmap_producer_admit (scene.producer, 1);
  mmap_producer_suspend (scene.producer, 1);
  g_assert_cmpuint (mmap_producer_get_n_waiting (scene.producer), ==, 0);
  g_assert_true (mmap_producer_set_region (scene.producer,
          mmap_producer_size_for (MIB), G_MAXUINT64, NULL, NULL));
  raw_take_offer (&raw);
  mmap_producer_admit (scene.producer, 1);
  mmap_producer_suspend (scene.producer, 1);
  mmap_producer_admit (scene.producer, 0);
  mmap_producer_admit (scene.producer, 2);
  g_assert_cmpuint (mmap_producer_get_n_links (scene.producer), ==, 0);
  g_assert_false (has_message (&raw));

  answer (&raw, "a");
  scene_expect (&scene, " answered-1-a");
  mmap_producer_suspend (scene.producer, 1);
  push_event (scene.producer, MMAP_EVENT_CAPS, "caps");
  g_assert_cmpuint (raw.link->area->event_head, ==, 0);
  mmap_producer_admit (scene.producer, 1);
  g_assert_cmpuint (raw.link->area->event_head, ==, 1);
  mmap_producer_admit (scene.producer, 1);
  g_assert_cmpuint (raw.link->area->event_head, ==, 1);
  expect_message (&raw, MMAP_MESSAGE_ACCEPT, NULL);
  scene_expect (&scene, " links-1");

  /* Suspended, it gets nothing; then what is kept, again, and what comes. */
  mmap_producer_suspend (scene.producer, 1);
  mmap_producer_suspend (scene.producer, 1);
  g_assert_cmpuint (mmap_producer_get_n_links (scene.producer), ==, 1);
  g_assert_cmpuint (mmap_producer_get_n_ready (scene.producer), ==, 0);
  g_assert_cmpuint (mmap_producer_get_n_waiting (scene.producer), ==, 1);
  publish_frame (scene.producer, 1, 64);
  push_event (scene.producer, MMAP_EVENT_SEGMENT, "segment");
  g_assert_cmpuint (raw.link->area->frame_head, ==, 0);
  g_assert_cmpuint (raw.link->area->event_head, ==, 1);
  mmap_producer_admit (scene.producer, 1);
  g_assert_cmpuint (mmap_producer_get_n_ready (scene.producer), ==, 1);
  g_assert_cmpuint (raw.link->area->event_head, ==, 3);
  publish_frame (scene.producer, 2, 64);
  g_assert_cmpuint (raw.link->area->frame_head, ==, 1);
  mmap_producer_get_stats (scene.producer, &stats);
  g_assert_cmpuint (stats.unsent, ==, 1);
  g_assert_cmpuint (stats.links, ==, 1);
  g_assert_false (has_message (&raw));
  raw_clear (&raw);
  scene_expect (&scene, " left-1 links-0");
  check_all_free (scene.producer);
  scene_end (&scene);
}

static void
refuse (Scene * scene, RawConsumer * raw, guint32 id)
{
  g_autoptr (GError) reason = g_error_new (MMAP_ERROR,
      MMAP_ERROR_NOT_NEGOTIATED, "not that");

  mmap_producer_refuse (scene->producer, id, reason);
  mmap_producer_refuse (scene->producer, id, reason);
  raw_expect_refusal (raw, MMAP_ERROR_NOT_NEGOTIATED, "not that");
  raw_clear (raw);
}

static void
test_refuse (void)
{
  MmapProducerStats stats;
  RawConsumer raw;
  Scene scene;
  guint32 id = 0;

  scene_begin (&scene, FALSE, 0);
  /* Each is taken once it is known that the one before was. */
  raw_connect (&raw, address);
  send_hello (&raw, NULL);
  scene_expect (&scene, " hello-1-any");
  refuse (&scene, &raw, ++id);
  scene_expect (&scene, " refused-not-negotiated left-1");
  g_assert_true (mmap_producer_set_region (scene.producer,
          mmap_producer_size_for (MIB), G_MAXUINT64, NULL, NULL));

  raw_connect (&raw, address);
  send_hello (&raw, NULL);
  raw_take_offer (&raw);
  refuse (&scene, &raw, ++id);
  scene_expect (&scene, " hello-2-any refused-not-negotiated left-2");

  raw_connect (&raw, address);
  send_hello (&raw, NULL);
  raw_take_offer (&raw);
  answer (&raw, NULL);
  scene_expect (&scene, " hello-3-any answered-3-any");
  refuse (&scene, &raw, ++id);
  scene_expect (&scene, " refused-not-negotiated left-3");

  raw_connect (&raw, address);
  send_hello (&raw, NULL);
  raw_take_offer (&raw);
  answer (&raw, NULL);
  scene_expect (&scene, " hello-4-any answered-4-any");
  mmap_producer_admit (scene.producer, ++id);
  scene_expect (&scene, " links-1");
  publish_frame (scene.producer, 1, 64);
  mmap_producer_suspend (scene.producer, id);
  refuse (&scene, &raw, id);
  scene_expect (&scene, " refused-not-negotiated left-4 links-0");
  g_assert_cmpuint (mmap_producer_get_n_waiting (scene.producer), ==, 0);

  mmap_producer_get_stats (scene.producer, &stats);
  g_assert_cmpuint (stats.failures[MMAP_ERROR_NOT_NEGOTIATED], ==, 4);
  check_all_free (scene.producer);
  scene_end (&scene);
}

/* It has time for what it was given before. */
static void
test_refuse_later (void)
{
  g_autoptr (GError) reason = g_error_new (MMAP_ERROR,
      MMAP_ERROR_NOT_NEGOTIATED, "not that");
  MmapProducerStats stats;
  MmapDescriptor frame;
  RawConsumer raw;
  Scene scene;
  guint i;

  scene_begin (&scene, TRUE, MIB);
  bring_up (&scene, &raw);
  scene_expect (&scene, " hello-1-m answered-1-m links-1");
  publish_frame (scene.producer, 1, 64);
  mmap_producer_refuse_later (scene.producer, 1, reason);
  mmap_producer_refuse_later (scene.producer, 1, reason);
  mmap_producer_refuse_later (scene.producer, 2, reason);
  /* Nothing brings it back. */
  raw_send_message (raw.socket, MMAP_MESSAGE_WISHES, NULL);
  scene_expect (&scene, " answered-1-any");
  g_assert_cmpuint (mmap_producer_get_n_ready (scene.producer), ==, 0);
  g_assert_cmpuint (mmap_producer_get_n_waiting (scene.producer), ==, 0);
  publish_frame (scene.producer, 2, 64);
  g_assert_cmpuint (raw.link->area->frame_head, ==, 1);
  g_usleep (20000);
  g_assert_false (has_message (&raw));
  g_assert_cmpint (mmap_ring_peek (&raw.link->frames, &frame), ==,
      MMAP_RING_OK);
  g_assert_cmpint (mmap_ring_pop (&raw.link->frames), ==, MMAP_RING_OK);
  g_assert_cmpint (mmap_ring_push (&raw.link->releases, &frame.id), ==,
      MMAP_RING_OK);
  raw_expect_refusal (&raw, MMAP_ERROR_NOT_NEGOTIATED, "not that");
  scene_expect (&scene, " refused-not-negotiated left-1 links-0");
  raw_clear (&raw);

  /* One that holds nothing, at once; one that keeps what it has read, or never reads, in the end. */
  bring_up (&scene, &raw);
  mmap_producer_refuse_later (scene.producer, 2, reason);
  raw_expect_refusal (&raw, MMAP_ERROR_NOT_NEGOTIATED, "not that");
  raw_clear (&raw);
  for (i = 3; i <= 4; i++) {
    bring_up (&scene, &raw);
    publish_frame (scene.producer, i, 64);
    if (i == 3)
      g_assert_cmpint (mmap_ring_pop (&raw.link->frames), ==, MMAP_RING_OK);
    mmap_producer_refuse_later (scene.producer, i, reason);
    raw_expect_refusal (&raw, MMAP_ERROR_NOT_NEGOTIATED, "not that");
    raw_clear (&raw);
  }
  mmap_producer_get_stats (scene.producer, &stats);
  g_assert_cmpuint (stats.failures[MMAP_ERROR_NOT_NEGOTIATED], ==, 4);
  check_all_free (scene.producer);
  /* One that leaves meanwhile. */
  bring_up (&scene, &raw);
  publish_frame (scene.producer, 5, 64);
  mmap_producer_refuse_later (scene.producer, 5, reason);
  raw_clear (&raw);
  wait_for_links (scene.producer, 0);
  scene_end (&scene);
}

/* What it holds, it still gives back. */
static void
test_suspended_releases (void)
{
  MmapDescriptor frame;
  RawConsumer raw;
  Scene scene;
  guint i;

  scene_begin (&scene, TRUE, MIB);
  bring_up (&scene, &raw);
  for (i = 1; i <= 3; i++)
    publish_frame (scene.producer, i, 64);
  mmap_producer_suspend (scene.producer, 1);
  g_assert_cmpuint (mmap_producer_get_held (scene.producer), ==, 3);
  for (i = 1; i <= 3; i++) {
    g_assert_cmpint (mmap_ring_peek (&raw.link->frames, &frame), ==,
        MMAP_RING_OK);
    g_assert_cmpint (mmap_ring_pop (&raw.link->frames), ==, MMAP_RING_OK);
    g_assert_cmpint (mmap_ring_push (&raw.link->releases, &frame.id), ==,
        MMAP_RING_OK);
    g_assert_cmpuint (mmap_producer_has_unread (scene.producer), ==, i < 3);
  }
  wait_for_held (scene.producer, 0);
  check_all_free (scene.producer);
  /* What it never held ends it, as any other. */
  g_assert_cmpint (mmap_ring_push (&raw.link->releases, &frame.id), ==,
      MMAP_RING_OK);
  mmap_producer_admit (scene.producer, 1);
  publish_frame (scene.producer, 4, 64);
  wait_for_failures (scene.producer, MMAP_ERROR_RING, 1);
  raw_clear (&raw);
  wait_for_links (scene.producer, 0);
  scene_end (&scene);
}

static gboolean
send (Scene * scene, guint32 link_id, const char *text)
{
  return mmap_producer_send (scene->producer, link_id, MMAP_MESSAGE_EVENT,
      raw_body ("text", text));
}

static void
test_send (void)
{
  g_autofree char *long_text = g_strnfill (MMAP_CAPABILITIES_MAX_BYTES, 'x');
  RawConsumer one, two, answered;
  Scene scene;

  scene_begin (&scene, TRUE, MIB);
  g_assert_true (send (&scene, 0, "nobody"));
  g_assert_false (send (&scene, 1, "nobody"));
  bring_up (&scene, &one);
  bring_up (&scene, &two);
  g_atomic_int_set (&scene.admit, FALSE);
  raw_connect (&answered, address);
  send_hello (&answered, NULL);
  raw_take_offer (&answered);
  g_assert_false (send (&scene, 3, "offered"));
  answer (&answered, NULL);
  while (mmap_producer_get_n_waiting (scene.producer) == 0)
    g_usleep (100);
  g_assert_false (send (&scene, 3, "answered"));
  mmap_producer_suspend (scene.producer, 2);

  g_assert_true (send (&scene, 1, "first"));
  g_assert_true (send (&scene, 0, "all"));
  g_assert_true (send (&scene, 2, "second"));
  g_assert_false (send (&scene, 0, long_text));
  g_assert_false (send (&scene, 1, long_text));
  expect_message (&one, MMAP_MESSAGE_EVENT, "first");
  expect_message (&one, MMAP_MESSAGE_EVENT, "all");
  expect_message (&two, MMAP_MESSAGE_EVENT, "all");
  expect_message (&two, MMAP_MESSAGE_EVENT, "second");
  g_assert_false (has_message (&one));
  g_assert_false (has_message (&two));
  g_assert_false (has_message (&answered));
  g_assert_cmpuint (mmap_producer_get_n_links (scene.producer), ==, 2);
  raw_clear (&one);
  raw_clear (&two);
  raw_clear (&answered);
  wait_for_links (scene.producer, 0);
  mmap_producer_close (scene.producer);
  g_assert_false (send (&scene, 1, "closed"));
  scene_end (&scene);
}

/* One doesn't read its messages; the other goes on. */
static void
test_full_socket (void)
{
  MmapProducerStats stats;
  RawConsumer good, bad;
  Scene scene;
  guint n = 0;

  scene_begin (&scene, TRUE, MIB);
  bring_up (&scene, &bad);
  bring_up (&scene, &good);
  do {
    g_assert_cmpint (send (&scene, 0, "x"), ==,
        mmap_producer_get_n_links (scene.producer) == 2);
    expect_message (&good, MMAP_MESSAGE_EVENT, "x");
    mmap_producer_get_stats (scene.producer, &stats);
    n++;
  } while (stats.failures[MMAP_ERROR_LIMIT] == 0);
  g_test_message ("%u messages", n);
  g_assert_cmpuint (n, >, 16);
  g_assert_cmpuint (mmap_producer_get_n_links (scene.producer), ==, 1);
  publish_frame (scene.producer, 1, 64);
  g_assert_cmpuint (good.link->area->frame_head, ==, 1);
  g_assert_cmpuint (bad.link->area->frame_head, ==, 0);
  g_assert_true (send (&scene, 2, "alone"));
  expect_message (&good, MMAP_MESSAGE_EVENT, "alone");
  raw_clear (&good);
  raw_clear (&bad);
  wait_for_links (scene.producer, 0);
  scene_end (&scene);
}

/* Everything is told in the order in which it came, and the producer is called from each callback. */
static void
test_callbacks (void)
{
  RawConsumer one, two;
  Scene scene;

  scene_begin (&scene, TRUE, MIB);
  bring_up (&scene, &one);
  scene_expect (&scene, " hello-1-m answered-1-m links-1");
  raw_send_message (one.socket, MMAP_MESSAGE_EVENT, raw_body ("text", "a"));
  raw_send_message (one.socket, MMAP_MESSAGE_QUERY, raw_body ("text", "b"));
  raw_send_message (one.socket, MMAP_MESSAGE_WISHES, raw_body ("media", "c"));
  raw_send_message (one.socket, MMAP_MESSAGE_EVENT, raw_body (NULL, NULL));
  scene_expect (&scene, " event-1-a query-1-b answered-1-c event-1-");
  expect_message (&one, MMAP_MESSAGE_RESULT, "b");
  bring_up (&scene, &two);
  scene_expect (&scene, " hello-2-m answered-2-m links-2");
  raw_send_message (two.socket, MMAP_MESSAGE_EVENT, raw_body ("text",
          "refuse-me"));
  raw_expect_refusal (&two, MMAP_ERROR_NOT_NEGOTIATED, "refuse-me");
  scene_expect (&scene,
      " event-2-refuse-me refused-not-negotiated left-2 links-1");
  raw_clear (&two);
  /* What it said last is heard, though it has gone. */
  raw_send_message (one.socket, MMAP_MESSAGE_QUERY, raw_body ("text", "last"));
  raw_clear (&one);
  scene_expect (&scene, " query-1-last left-1 links-0");
  scene_end (&scene);
}

/* Who says more than is heard finds its socket full; nothing is lost, and little is queued meanwhile. */
static void
test_flood (void)
{
  RawConsumer raws[4];
  Scene scene;
  guint sent = 0, i;

  scene_begin (&scene, TRUE, MIB);
  for (i = 0; i < G_N_ELEMENTS (raws); i++)
    bring_up (&scene, &raws[i]);
  wait_for_links (scene.producer, G_N_ELEMENTS (raws));
  scene_set_block (&scene, TRUE);
  for (i = 0; i < G_N_ELEMENTS (raws); i++)
    while (mmap_message_send (raws[i].socket, MMAP_MESSAGE_EVENT,
            raw_body ("text", "x"), NULL, 0, NULL))
      sent++;
  g_mutex_lock (&scene.lock);
  while (scene.n_blocked == 0)
    g_cond_wait (&scene.cond, &scene.lock);
  g_mutex_unlock (&scene.lock);
  g_mutex_lock (&scene.producer->lock);
  g_assert_cmpuint (g_queue_get_length (&scene.producer->reports), <=,
      2 * G_N_ELEMENTS (raws));
  g_mutex_unlock (&scene.producer->lock);
  /* Frames go on meanwhile. */
  publish_frame (scene.producer, 1, 64);
  scene_set_block (&scene, FALSE);
  g_mutex_lock (&scene.lock);
  while (scene.n_messages < sent)
    g_cond_wait (&scene.cond, &scene.lock);
  g_mutex_unlock (&scene.lock);
  g_assert_cmpuint (scene.n_messages, ==, sent);
  g_assert_cmpuint (mmap_producer_get_n_links (scene.producer), ==,
      G_N_ELEMENTS (raws));
  for (i = 0; i < G_N_ELEMENTS (raws); i++)
    raw_clear (&raws[i]);
  wait_for_links (scene.producer, 0);
  check_all_free (scene.producer);
  scene_end (&scene);
}

/* --- quality of service --- */

static void
write_qos (RawConsumer * raw, gdouble proportion, gint64 diff)
{
  MmapQos *qos = &raw->link->area->qos;

  qos->type = 1;
  qos->proportion = proportion;
  qos->diff = diff;
  qos->timestamp = 3;
  __atomic_store_n (&qos->serial, qos->serial + 2, __ATOMIC_RELEASE);
}

static void
expect_qos (Scene * scene, gdouble proportion, gint64 diff)
{
  MmapQos qos;

  g_assert_true (mmap_producer_take_qos (scene->producer, &qos));
  g_assert_cmpfloat (qos.proportion, ==, proportion);
  g_assert_cmpint (qos.diff, ==, diff);
  g_assert_cmpuint (qos.type, ==, 1);
  g_assert_cmpuint (qos.timestamp, ==, 3);
  g_assert_false (mmap_producer_take_qos (scene->producer, &qos));
}

static void
test_qos (void)
{
  RawConsumer one, two;
  MmapQos qos;
  Scene scene;

  scene_begin (&scene, TRUE, MIB);
  g_assert_false (mmap_producer_take_qos (scene.producer, &qos));
  bring_up (&scene, &one);
  bring_up (&scene, &two);
  g_assert_false (mmap_producer_take_qos (scene.producer, &qos));
  write_qos (&one, 0.5, -1);
  expect_qos (&scene, 0.5, -1);
  write_qos (&two, 2, 2);
  expect_qos (&scene, 2, 2);
  /* News of the quicker one: the slower one still counts. */
  write_qos (&one, 1.5, 4);
  expect_qos (&scene, 2, 2);
  write_qos (&one, 3, 5);
  expect_qos (&scene, 3, 5);

  /* Who gets no frames has nothing to say. */
  mmap_producer_suspend (scene.producer, 1);
  write_qos (&one, 9, 6);
  g_assert_false (mmap_producer_take_qos (scene.producer, &qos));
  write_qos (&two, 1, 7);
  expect_qos (&scene, 1, 7);
  mmap_producer_admit (scene.producer, 1);
  expect_qos (&scene, 9, 6);
  raw_clear (&one);
  wait_for_links (scene.producer, 1);
  write_qos (&two, 0, 8);
  expect_qos (&scene, 0, 8);
  raw_clear (&two);
  wait_for_links (scene.producer, 0);
  g_assert_false (mmap_producer_take_qos (scene.producer, &qos));
  scene_end (&scene);
}

static void
test_qos_hostile (void)
{
  static const gdouble odd[] = { NAN, INFINITY, -INFINITY, -1, -0.0 };
  RawConsumer raw;
  MmapQos qos;
  Scene scene;
  guint i;

  scene_begin (&scene, TRUE, MIB);
  bring_up (&scene, &raw);
  for (i = 0; i < G_N_ELEMENTS (odd); i++) {
    write_qos (&raw, odd[i], G_MININT64);
    expect_qos (&scene, 0, G_MININT64);
  }
  /* It is being written, for ever. */
  raw.link->area->qos.serial = 99;
  g_assert_false (mmap_producer_take_qos (scene.producer, &qos));
  raw.link->area->qos.serial = G_MAXUINT64;
  g_assert_false (mmap_producer_take_qos (scene.producer, &qos));
  /* Backwards, or back to none: only what is new counts. */
  raw.link->area->qos.serial = 2;
  write_qos (&raw, 1, 1);
  expect_qos (&scene, 1, 1);
  raw.link->area->qos.serial = 0;
  g_assert_false (mmap_producer_take_qos (scene.producer, &qos));
  memset (&raw.link->area->qos, 0xfe, sizeof qos);
  g_assert_true (mmap_producer_take_qos (scene.producer, &qos));
  g_assert_true (isfinite (qos.proportion) && qos.proportion >= 0);
  publish_frame (scene.producer, 1, 64);
  g_assert_cmpuint (mmap_producer_get_n_links (scene.producer), ==, 1);
  raw_clear (&raw);
  wait_for_links (scene.producer, 0);
  scene_end (&scene);
}

#define N_QOS 200000

static gpointer
write_many_qos (gpointer data)
{
  guint i;

  for (i = 1; i <= N_QOS; i++) {
    MmapQos qos = { 0, i, i, i, i };

    mmap_consumer_send_qos (data, &qos);
  }
  return NULL;
}

/* It is never seen half written. */
static void
test_qos_torn (void)
{
  MmapProducer *producer = make_producer (address, MIB);
  MmapConsumer *consumer = mmap_consumer_new (address, NULL);
  MmapQos qos = { 0, }, first = { 0, 1, 1, 1, 1 };
  GThread *thread;
  guint64 last = 0;
  MmapItem item;

  /* Without a link it goes nowhere. */
  mmap_consumer_send_qos (consumer, &first);
  next_item (consumer, &item, MMAP_NEXT_CONNECTED);
  g_assert_false (mmap_producer_take_qos (producer, &qos));
  thread = g_thread_new ("qos", write_many_qos, consumer);
  while (last < N_QOS) {
    if (!mmap_producer_take_qos (producer, &qos))
      continue;
    g_assert_cmpuint (qos.type, >, last);
    last = qos.type;
    g_assert_cmpfloat (qos.proportion, ==, last);
    g_assert_cmpint (qos.diff, ==, last);
    g_assert_cmpuint (qos.timestamp, ==, last);
  }
  g_thread_join (thread);
  mmap_consumer_free (consumer);
  wait_for_links (producer, 0);
  end_producer (producer);
}

/* --- consumers that break the rules --- */

typedef enum
{
  FRESH, OFFERED, ANSWERED, UP
} When;

typedef struct
{
  const char *path;
  When when;
  MmapMessageKind kind;
  const char *type;             /* of "media"; NULL: no body to speak of */
  const char *reason;
} Wrong;

static const Wrong wrongs[] = {
  {"/producer-message/wishes-first", FRESH, MMAP_MESSAGE_WISHES, NULL,
      "kind 6 out of turn"},
  {"/producer-message/event-first", FRESH, MMAP_MESSAGE_EVENT, NULL,
      "kind 7 out of turn"},
  {"/producer-message/query-first", FRESH, MMAP_MESSAGE_QUERY, NULL,
      "kind 8 out of turn"},
  {"/producer-message/result-first", FRESH, MMAP_MESSAGE_RESULT, NULL,
      "kind 9 out of turn"},
  {"/producer-message/wishes-offered", OFFERED, MMAP_MESSAGE_WISHES, NULL,
      "kind 6 out of turn"},
  {"/producer-message/event-offered", OFFERED, MMAP_MESSAGE_EVENT, NULL,
      "kind 7 out of turn"},
  {"/producer-message/query-offered", OFFERED, MMAP_MESSAGE_QUERY, NULL,
      "kind 8 out of turn"},
  {"/producer-message/result-answered", ANSWERED, MMAP_MESSAGE_RESULT, NULL,
      "kind 9 out of turn"},
  {"/producer-message/result", UP, MMAP_MESSAGE_RESULT, NULL,
      "kind 9 out of turn"},
  {"/producer-message/wishes-number", UP, MMAP_MESSAGE_WISHES, "u",
      "of type u, not a string"},
  {"/producer-message/wishes-variant", ANSWERED, MMAP_MESSAGE_WISHES, "v",
      "of type v, not a string"},
  {"/producer-message/hello-number", FRESH, MMAP_MESSAGE_HELLO, "u",
      "of type u, not a string"},
};

static GVariant *
wrong_body (const Wrong * wrong)
{
  GVariantDict body;

  g_variant_dict_init (&body, NULL);
  g_variant_dict_insert (&body, "protocol", "u", MMAP_PROTOCOL_VERSION);
  if (g_strcmp0 (wrong->type, "u") == 0)
    g_variant_dict_insert (&body, "media", "u", 1);
  else if (wrong->type)
    g_variant_dict_insert_value (&body, "media",
        g_variant_new_variant (g_variant_new_string ("x")));
  return g_variant_dict_end (&body);
}

static void
test_wrong (gconstpointer data)
{
  const Wrong *wrong = data;
  MmapProducerStats stats;
  RawConsumer raw, good;
  LeakCheck check;
  Scene scene;

  leak_check_begin (&check);
  scene_begin (&scene, TRUE, MIB);
  bring_up (&scene, &good);
  wait_for_links (scene.producer, 1);
  g_atomic_int_set (&scene.admit, wrong->when == UP);
  raw_connect (&raw, address);
  if (wrong->when >= OFFERED) {
    send_hello (&raw, "m");
    raw_take_offer (&raw);
  }
  if (wrong->when >= ANSWERED)
    answer (&raw, "m");
  if (wrong->when == UP)
    expect_message (&raw, MMAP_MESSAGE_ACCEPT, NULL);
  raw_send_message (raw.socket, wrong->kind, wrong_body (wrong));
  raw_expect_refusal (&raw, MMAP_ERROR_MESSAGE, wrong->reason);
  mmap_producer_get_stats (scene.producer, &stats);
  g_assert_cmpuint (stats.failures[MMAP_ERROR_MESSAGE], ==, 1);
  publish_frame (scene.producer, 1, 64);
  g_assert_cmpuint (good.link->area->frame_head, ==, 1);
  raw_clear (&raw);
  raw_clear (&good);
  wait_for_links (scene.producer, 0);
  scene_end (&scene);
  leak_check_end (&check);
}

int
main (int argc, char **argv)
{
  int result;
  guint i;

  g_test_init (&argc, &argv, NULL);
  address = leak_check_path ("socket");
  leak_check_add_test ("/producer-message/wishes", test_wishes);
  leak_check_add_test ("/producer-message/no-callbacks", test_no_callbacks);
  leak_check_add_test ("/producer-message/states", test_states);
  leak_check_add_test ("/producer-message/refuse", test_refuse);
  leak_check_add_test ("/producer-message/refuse-later", test_refuse_later);
  leak_check_add_test ("/producer-message/suspended-releases",
      test_suspended_releases);
  leak_check_add_test ("/producer-message/send", test_send);
  leak_check_add_test ("/producer-message/full-socket", test_full_socket);
  leak_check_add_test ("/producer-message/callbacks", test_callbacks);
  leak_check_add_test ("/producer-message/flood", test_flood);
  leak_check_add_test ("/producer-message/qos", test_qos);
  leak_check_add_test ("/producer-message/qos-hostile", test_qos_hostile);
  leak_check_add_test ("/producer-message/qos-torn", test_qos_torn);
  for (i = 0; i < G_N_ELEMENTS (wrongs); i++)
    g_test_add_data_func (wrongs[i].path, &wrongs[i], test_wrong);
  result = g_test_run ();
  g_free (address);
  return result;
}
