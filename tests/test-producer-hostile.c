/* gst-mmap: tests of the producer, with consumers that break the rules
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Run by `meson test`. In each case a consumer by the rules is there, too: it must not notice, and the bad one must be
 * counted under the right reason.
 */
#include "leak-check.h"
#include "peers.h"
#include "producer-private.h"

#include <fcntl.h>
#include <linux/futex.h>
#include <sched.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#define MIB (G_GUINT64_CONSTANT (1) << 20)

static char *address;

typedef struct
{
  MmapProducer *producer;
  Reader good;
  RawConsumer bad;
  guint64 published;
} Scene;

static void
scene_begin (Scene * scene)
{
  memset (scene, 0, sizeof (*scene));
  scene->producer = make_producer (address, MIB);
  reader_start (&scene->good, address, FALSE);
  wait_for_links (scene->producer, 1);
}

/* Publishes so much that each index of each link is looked at. */
static void
scene_publish (Scene * scene, guint n)
{
  guint i;

  for (i = 0; i < n; i++)
    publish_frame (scene->producer, ++scene->published, 1024);
  reader_wait (&scene->good, scene->good.frames == scene->published);
}

/* The bad one, and nobody else, was ended, for @code; the other link works as before, and nothing is held. */
static void
scene_end (Scene * scene, MmapError code)
{
  MmapProducerStats stats;
  guint i;

  wait_for_failures (scene->producer, code, 1);
  wait_for_links (scene->producer, 1);
  scene_publish (scene, 300);
  wait_for_held (scene->producer, 0);
  check_all_free (scene->producer);
  mmap_producer_get_stats (scene->producer, &stats);
  for (i = 0; i < MMAP_N_ERRORS; i++)
    g_assert_cmpuint (stats.failures[i], ==, i == code);
  raw_clear (&scene->bad);
  reader_stop (&scene->good);
  end_producer (scene->producer);
}

static void
scene_end_refused (Scene * scene, MmapError code, const char *reason)
{
  raw_expect_refusal (&scene->bad, code, reason);
  scene_end (scene, code);
}

/* Offered, and not answered yet. */
static void
scene_begin_offered (Scene * scene, MmapCapabilities * answer)
{
  scene_begin (scene);
  raw_connect (&scene->bad, address);
  raw_send_hello (&scene->bad, MMAP_PROTOCOL_VERSION);
  raw_take_offer (&scene->bad);
  raw_make_answer (&scene->bad, answer);
}

static void
scene_begin_up (Scene * scene)
{
  scene_begin (scene);
  raw_bring_up (&scene->bad, address);
}

static void
test_wrong_token (void)
{
  MmapCapabilities answer;
  Scene scene;

  scene_begin_offered (&scene, &answer);
  answer.token.bytes[answer.token.n_bytes / 2] ^= 1;
  raw_send_answer (&scene.bad, &answer);
  scene_end_refused (&scene, MMAP_ERROR_TOKEN, "token");
}

static void
test_token_changed (void)
{
  MmapCapabilities answer;
  Scene scene;

  scene_begin_offered (&scene, &answer);
  memset (scene.bad.link->area->token_area, 0x55, MMAP_TOKEN_AREA_BYTES);
  raw_send_answer (&scene.bad, &answer);
  scene_end_refused (&scene, MMAP_ERROR_TOKEN, "token");
}

/* The token may lie at the very end of its area. It is wiped when it was compared. */
static void
test_token_index_last (void)
{
  MmapCapabilities answer;
  MmapMessage message;
  Scene scene;
  guint i;

  scene_begin_offered (&scene, &answer);
  answer.token_index = offsetof (MmapLinkArea, token_area)
      + MMAP_TOKEN_AREA_BYTES - answer.token.n_bytes;
  mmap_token_write (&answer.token,
      (guint8 *) scene.bad.link->area + answer.token_index);
  raw_send_answer (&scene.bad, &answer);
  g_assert_true (raw_receive (scene.bad.socket, &message));
  g_assert_cmpint (message.kind, ==, MMAP_MESSAGE_ACCEPT);
  mmap_message_clear (&message);
  for (i = 1; i <= answer.token.n_bytes; i++)
    g_assert_cmpuint (scene.bad.link->area->token_area[MMAP_TOKEN_AREA_BYTES -
            i], ==, 0);
  wait_for_links (scene.producer, 2);
  raw_clear (&scene.bad);
  wait_for_links (scene.producer, 1);
  reader_stop (&scene.good);
  end_producer (scene.producer);
}

static void
test_token_index (gconstpointer data)
{
  const guint64 *index = data;
  MmapCapabilities answer;
  LeakCheck check;
  Scene scene;

  leak_check_begin (&check);
  scene_begin_offered (&scene, &answer);
  answer.token_index = *index;
  raw_send_answer (&scene.bad, &answer);
  scene_end_refused (&scene, MMAP_ERROR_TOKEN_INDEX, "token_index");
  leak_check_end (&check);
}

static const guint64 indices[] = {
  0,
  offsetof (MmapLinkArea, token_area) - 1,
  offsetof (MmapLinkArea, token_area) + MMAP_TOKEN_AREA_BYTES - 127,
  offsetof (MmapLinkArea, token_area) + MMAP_TOKEN_AREA_BYTES,
  sizeof (MmapLinkArea) - 1,
  sizeof (MmapLinkArea),
  G_GUINT64_CONSTANT (1) << 40,
  G_MAXINT64,
  G_MAXUINT64 - 128,
  G_MAXUINT64,
};

static void
test_answer_twice (void)
{
  MmapCapabilities answer;
  Scene scene;

  scene_begin_offered (&scene, &answer);
  raw_send_answer (&scene.bad, &answer);
  raw_send_answer (&scene.bad, &answer);
  scene_end_refused (&scene, MMAP_ERROR_MESSAGE, "not made");
}

static void
test_answer_first (void)
{
  MmapCapabilities answer;
  MmapError none = MMAP_ERROR_MESSAGE;
  Scene scene;
  GError *error = NULL;

  scene_begin (&scene);
  raw_connect (&scene.bad, address);
  mmap_capabilities_init (&answer);
  mmap_token_init_random (&answer.token, 128, &error);
  answer.region_id = 1;
  raw_send_answer (&scene.bad, &answer);
  scene_end_refused (&scene, none, "before it was offered");
}

static void
test_answer_other (gconstpointer data)
{
  gboolean session = GPOINTER_TO_INT (data);
  MmapCapabilities answer;
  LeakCheck check;
  Scene scene;

  leak_check_begin (&check);
  scene_begin_offered (&scene, &answer);
  if (session)
    answer.session++;
  else
    answer.region_id++;
  raw_send_answer (&scene.bad, &answer);
  scene_end_refused (&scene, session ? MMAP_ERROR_SESSION : MMAP_ERROR_MESSAGE,
      session ? "session" : "region 2");
  leak_check_end (&check);
}

static void
test_hello_twice (void)
{
  MmapCapabilities answer;
  Scene scene;

  scene_begin_offered (&scene, &answer);
  raw_send_hello (&scene.bad, MMAP_PROTOCOL_VERSION);
  scene_end_refused (&scene, MMAP_ERROR_MESSAGE, "out of turn");
}

static void
test_hello_other_version (void)
{
  Scene scene;

  scene_begin (&scene);
  raw_connect (&scene.bad, address);
  raw_send_hello (&scene.bad, 7);
  scene_end_refused (&scene, MMAP_ERROR_VERSION, "7");
}

/* magic, version and kind, size, reserved */
static const guint32 other_version[] = { 0x316d6d67u, 2 | 1 << 16, 0, 0 };

static void
test_message_other_version (void)
{
  Scene scene;

  scene_begin (&scene);
  raw_connect (&scene.bad, address);
  raw_send_bytes (scene.bad.socket, other_version, sizeof (other_version));
  scene_end_refused (&scene, MMAP_ERROR_VERSION, "2");
}

static void
test_garbage (void)
{
  Scene scene;
  guint i;

  scene_begin (&scene);
  raw_connect (&scene.bad, address);
  /* More than is read before the end: the refusal comes through all the same. */
  raw_send_bytes (scene.bad.socket, "GET / HTTP/1.1\r\n\r\n", 18);
  for (i = 0; i < 10; i++)
    g_socket_send (scene.bad.socket, "GET / HTTP/1.1\r\n\r\n", 18, NULL, NULL);
  scene_end_refused (&scene, MMAP_ERROR_MESSAGE, "18 bytes");
}

static void
test_garbage_after (void)
{
  Scene scene;

  scene_begin_up (&scene);
  raw_send_bytes (scene.bad.socket, "x", 1);
  scene_end_refused (&scene, MMAP_ERROR_MESSAGE, "1 bytes");
}

static void
test_producers_message (gconstpointer data)
{
  MmapMessageKind kind = GPOINTER_TO_INT (data);
  GVariantBuilder body;
  GError *error = NULL;
  LeakCheck check;
  Scene scene;

  leak_check_begin (&check);
  scene_begin_up (&scene);
  g_variant_builder_init (&body, G_VARIANT_TYPE_VARDICT);
  mmap_message_send (scene.bad.socket, kind, g_variant_builder_end (&body),
      NULL, 0, &error);
  g_assert_no_error (error);
  scene_end_refused (&scene, MMAP_ERROR_MESSAGE, "out of turn");
  leak_check_end (&check);
}

/* What the consumer says about the producer is counted as it says. */
static void
test_refuses (void)
{
  GError *error = NULL;
  Scene scene;

  scene_begin_up (&scene);
  g_set_error (&error, MMAP_ERROR, MMAP_ERROR_SEALS, "no seals there");
  mmap_message_send_refusal (scene.bad.socket, error);
  g_clear_error (&error);
  scene_end_refused (&scene, MMAP_ERROR_SEALS, "no seals there");
}

static void
test_refuses_unknown (void)
{
  GVariantBuilder body;
  GError *error = NULL;
  Scene scene;

  scene_begin_up (&scene);
  g_variant_builder_init (&body, G_VARIANT_TYPE_VARDICT);
  g_variant_builder_add (&body, "{sv}", "reason",
      g_variant_new_uint64 (G_MAXUINT64));
  mmap_message_send (scene.bad.socket, MMAP_MESSAGE_REFUSE,
      g_variant_builder_end (&body), NULL, 0, &error);
  g_assert_no_error (error);
  scene_end_refused (&scene, MMAP_ERROR_FAILED, "no reason given");
}

static void
test_silent (void)
{
  Scene scene;

  scene_begin (&scene);
  raw_connect (&scene.bad, address);
  scene_end_refused (&scene, MMAP_ERROR_TIMEOUT, "5000 ms");
}

static void
test_silent_offered (void)
{
  MmapCapabilities answer;
  Scene scene;

  scene_begin_offered (&scene, &answer);
  scene_end_refused (&scene, MMAP_ERROR_TIMEOUT, "5000 ms");
}

/* Waiting for a region is no silence. */
static void
test_patient (void)
{
  MmapProducer *producer = make_producer (address, 0);
  GError *error = NULL;
  RawConsumer raw;

  raw_connect (&raw, address);
  raw_send_hello (&raw, MMAP_PROTOCOL_VERSION);
  g_socket_set_timeout (raw.socket, 6);
  g_assert_false (g_socket_condition_timed_wait (raw.socket, G_IO_IN,
          6 * G_USEC_PER_SEC, NULL, &error));
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_TIMED_OUT);
  g_clear_error (&error);
  mmap_producer_set_region (producer, MIB, G_MAXUINT64, NULL, &error);
  g_assert_no_error (error);
  raw_take_offer (&raw);
  raw_clear (&raw);
  end_producer (producer);
}

/* What should wake the producer does so all the time: it looks each millisecond, and not as often as it can. */
static void
test_restless (void)
{
  MmapProducer *producer = make_producer (address, MIB);
  MmapCancel cancel = { FALSE };
  MmapProducerStats stats;
  MmapDescriptor frame;
  gint64 began, ended;
  Restless restless;
  guint64 serial;
  RawConsumer raw;

  raw_bring_up (&raw, address);
  wait_for_links (producer, 1);
  publish_frame (producer, 1, 1024);
  restless_start (&restless, raw.link->peer_bell);

  began = g_get_monotonic_time ();
  do {
    serial = mmap_producer_collect (producer);
    mmap_producer_wait (producer, &cancel, serial, G_USEC_PER_SEC / 5);
    ended = g_get_monotonic_time ();
  } while (ended < began + G_USEC_PER_SEC / 5);
  mmap_producer_get_stats (producer, &stats);
  /* However long it took; and those of before. */
  g_assert_cmpuint (stats.waits, <=, 100 + (ended - began) / 1000);

  /* What it gives back is still seen. */
  g_assert_cmpint (mmap_ring_peek (&raw.link->frames, &frame), ==,
      MMAP_RING_OK);
  g_assert_cmpint (mmap_ring_push (&raw.link->releases, &frame.id), ==,
      MMAP_RING_OK);
  wait_for_held (producer, 0);
  restless_stop (&restless);
  raw_clear (&raw);
  end_producer (producer);
}

/* A timer that expired just before it was set anew. */
static void
test_late_timer (void)
{
  MmapProducer *producer = make_producer (address, MIB);
  MmapCapabilities answer;
  MmapProducerStats stats;
  GSourceFunc function;
  GSource *timer;
  gpointer data;
  RawConsumer raw;

  raw_connect (&raw, address);
  raw_send_hello (&raw, MMAP_PROTOCOL_VERSION);
  raw_take_offer (&raw);
  g_mutex_lock (&producer->lock);
  timer = g_source_ref (producer->links[0]->timeout);
  g_mutex_unlock (&producer->lock);
  timer->callback_funcs->get (timer->callback_data, timer, &function, &data);
  g_assert_true (function (data));
  mmap_producer_get_stats (producer, &stats);
  g_assert_cmpuint (stats.failures[MMAP_ERROR_TIMEOUT], ==, 0);

  raw_make_answer (&raw, &answer);
  raw_send_answer (&raw, &answer);
  wait_for_links (producer, 1);
  g_source_unref (timer);
  raw_clear (&raw);
  end_producer (producer);
}

/* It was in time: what it said lies in the socket, but this process stood still. */
static void
test_late_reader (void)
{
  MmapProducer *producer = make_producer (address, MIB);
  MmapCapabilities answers[3];
  RawConsumer raw;
  guint i;

  raw_connect (&raw, address);
  raw_send_hello (&raw, MMAP_PROTOCOL_VERSION);
  for (i = 0; i < 3; i++) {
    if (i > 0)
      g_assert_true (mmap_producer_set_region (producer,
              mmap_producer_size_for (MIB << i), G_MAXUINT64, NULL, NULL));
    raw_take_offer (&raw);
    raw_make_answer (&raw, &answers[i]);
  }
  g_mutex_lock (&producer->lock);
  for (i = 0; i < 3; i++)
    raw_send_answer (&raw, &answers[i]);
  g_source_set_ready_time (producer->links[0]->timeout, 0);
  g_mutex_unlock (&producer->lock);
  wait_for_links (producer, 1);
  wait_for_failures (producer, MMAP_ERROR_TIMEOUT, 0);
  for (i = 0; i < 3; i++)
    mmap_capabilities_clear (&answers[i]);
  raw_clear (&raw);
  end_producer (producer);
}

/* Leaves at every point of the handshake: that is no failure. */
static void
test_leaves (void)
{
  MmapCapabilities answer;
  MmapProducerStats stats;
  Scene scene;
  guint i;

  scene_begin (&scene);
  for (i = 0; i < 200; i++) {
    raw_connect (&scene.bad, address);
    if (i % 4 > 0)
      raw_send_hello (&scene.bad, MMAP_PROTOCOL_VERSION);
    if (i % 4 > 1)
      raw_take_offer (&scene.bad);
    if (i % 4 > 2) {
      raw_make_answer (&scene.bad, &answer);
      raw_send_answer (&scene.bad, &answer);
    }
    raw_clear (&scene.bad);
    publish_frame (scene.producer, ++scene.published, 1024);
  }
  wait_for_links (scene.producer, 1);
  mmap_producer_get_stats (scene.producer, &stats);
  for (i = 0; i < MMAP_N_ERRORS; i++)
    g_assert_cmpuint (stats.failures[i], ==, 0);
  scene_publish (&scene, 10);
  wait_for_held (scene.producer, 0);
  check_all_free (scene.producer);
  reader_stop (&scene.good);
  end_producer (scene.producer);
}

/* Never answers the offers of new regions. */
static void
test_unanswered_regions (void)
{
  GError *error = NULL;
  Scene scene;
  guint i;

  scene_begin_up (&scene);
  for (i = 1; i < 30; i++) {
    mmap_producer_set_region (scene.producer,
        mmap_producer_size_for (MIB + i * 4096), G_MAXUINT64, NULL, &error);
    g_assert_no_error (error);
    scene_publish (&scene, 1);
  }
  scene_end_refused (&scene, MMAP_ERROR_LIMIT, "unanswered");
}

/* --- What it writes into its link --- */

typedef void (*Attack) (RawConsumer * raw, MmapDescriptor * frame);

static void
release (RawConsumer * raw, guint64 id)
{
  g_assert_cmpint (mmap_ring_push (&raw->link->releases, &id), ==,
      MMAP_RING_OK);
}

static void
release_zero (RawConsumer * raw, MmapDescriptor * frame)
{
  release (raw, 0);
}

static void
release_unknown (RawConsumer * raw, MmapDescriptor * frame)
{
  release (raw, G_GUINT64_CONSTANT (0x1234) << 32 | 77);
}

static void
release_huge (RawConsumer * raw, MmapDescriptor * frame)
{
  release (raw, G_MAXUINT64);
}

static void
release_other_generation (RawConsumer * raw, MmapDescriptor * frame)
{
  release (raw, frame->id + (G_GUINT64_CONSTANT (1) << 32));
}

static void
release_twice (RawConsumer * raw, MmapDescriptor * frame)
{
  release (raw, frame->id);
  release (raw, frame->id);
}

static void
jump_release_head (RawConsumer * raw, MmapDescriptor * frame)
{
  __atomic_store_n (&raw->link->area->release_head, 5000, __ATOMIC_RELEASE);
}

static void
turn_release_head_back (RawConsumer * raw, MmapDescriptor * frame)
{
  __atomic_store_n (&raw->link->area->release_head, G_MAXUINT64,
      __ATOMIC_RELEASE);
}

static void
fake_releases (RawConsumer * raw, MmapDescriptor * frame)
{
  __atomic_store_n (&raw->link->area->release_head, MMAP_RELEASE_RING_SLOTS,
      __ATOMIC_RELEASE);
}

static void
overwrite_release_tail (RawConsumer * raw, MmapDescriptor * frame)
{
  __atomic_store_n (&raw->link->area->release_tail, 1, __ATOMIC_RELEASE);
  release (raw, frame->id);
}

static void
overwrite_release_tail_far (RawConsumer * raw, MmapDescriptor * frame)
{
  __atomic_store_n (&raw->link->area->release_tail, G_MAXUINT64 / 2,
      __ATOMIC_RELEASE);
  release (raw, frame->id);
}

static void
jump_frame_tail (RawConsumer * raw, MmapDescriptor * frame)
{
  __atomic_store_n (&raw->link->area->frame_tail, 100000, __ATOMIC_RELEASE);
}

static void
turn_frame_tail_back (RawConsumer * raw, MmapDescriptor * frame)
{
  __atomic_store_n (&raw->link->area->frame_tail, G_MAXUINT64,
      __ATOMIC_RELEASE);
}

static void
jump_event_tail (RawConsumer * raw, MmapDescriptor * frame)
{
  __atomic_store_n (&raw->link->area->event_tail, 100000, __ATOMIC_RELEASE);
}

typedef struct
{
  const char *path;
  Attack attack;
  guint n_events;
  const char *says;
} AttackCase;

static const AttackCase attacks[] = {
  {"/producer-hostile/release-zero", release_zero, 0,
      "number 0 of generation 0, which it did not hold (there are "},
  {"/producer-hostile/release-unknown", release_unknown, 0,
      ", which it did not hold (there are "},
  {"/producer-hostile/release-huge", release_huge, 0,
      "number 4294967295 of generation 4294967295, which it did not hold"},
  {"/producer-hostile/release-other-generation",
      release_other_generation, 0, "(that is a frame of generation "},
  {"/producer-hostile/release-twice", release_twice, 0,
      ", which it did not hold (that is "},
  {"/producer-hostile/release-head-jumps", jump_release_head},
  {"/producer-hostile/release-head-back", turn_release_head_back},
  {"/producer-hostile/release-head-full", fake_releases},
  {"/producer-hostile/release-tail", overwrite_release_tail},
  {"/producer-hostile/release-tail-far", overwrite_release_tail_far},
  {"/producer-hostile/frame-tail-jumps", jump_frame_tail},
  {"/producer-hostile/frame-tail-back", turn_frame_tail_back},
  {"/producer-hostile/event-tail-jumps", jump_event_tail,
      MMAP_EVENT_RING_SLOTS + 1},
};

/* In each of them the consumer has read a frame, and @attack does something to what it can write. */
static void
test_attack (gconstpointer data)
{
  const AttackCase *attack = data;
  MmapDescriptor frame;
  LeakCheck check;
  Scene scene;
  guint i;

  leak_check_begin (&check);
  scene_begin_up (&scene);
  scene_publish (&scene, 1);
  g_assert_cmpint (mmap_ring_peek (&scene.bad.link->frames, &frame), ==,
      MMAP_RING_OK);
  g_assert_cmpint (mmap_ring_pop (&scene.bad.link->frames), ==, MMAP_RING_OK);
  attack->attack (&scene.bad, &frame);
  for (i = 0; i < attack->n_events; i++)
    push_event (scene.producer, MMAP_EVENT_CAPS, "caps");
  scene_publish (&scene, 300);
  scene_end_refused (&scene, MMAP_ERROR_RING,
      attack->says ? attack->says : "broke the protocol");
  leak_check_end (&check);
}

/* A frame that was published before it came, and that another link still holds. */
static void
test_release_of_another (void)
{
  g_autofree char *says = NULL;
  GError *error = NULL;
  MmapConsumer *holder;
  MmapItem held, item;
  guint64 generation;
  Scene scene;

  scene_begin (&scene);
  holder = mmap_consumer_new (address, &error);
  next_item (holder, &item, MMAP_NEXT_CONNECTED);
  wait_for_links (scene.producer, 2);
  scene_publish (&scene, 1);
  next_item (holder, &held, MMAP_NEXT_FRAME);

  generation = held.descriptor.id >> 32;
  raw_bring_up (&scene.bad, address);
  scene_publish (&scene, 1);
  release (&scene.bad, held.descriptor.id);
  wait_for_failures (scene.producer, MMAP_ERROR_RING, 1);
  says = g_strdup_printf ("it gave back number %u of generation %"
      G_GUINT64_FORMAT ", which it did not hold (that is a frame of generation "
      "%" G_GUINT64_FORMAT " now, links that hold it: 1; it holds 1, frames "
      "among them: 1)", (guint) held.descriptor.id, generation, generation);
  raw_expect_refusal (&scene.bad, MMAP_ERROR_RING, says);

  /* It is held as before. */
  g_assert_cmpuint (mmap_producer_get_held (scene.producer), ==, 2);
  check_frame (&held, 1);
  next_item (holder, &item, MMAP_NEXT_FRAME);
  release_item (&item);
  release_item (&held);
  wait_for_held (scene.producer, 0);
  mmap_consumer_free (holder);
  scene_end (&scene, MMAP_ERROR_RING);
}

/* Writes all over its link, again and again, while frames go by. */
static gpointer
scribble (gpointer data)
{
  RawConsumer *raw = data;
  GRand *random = g_rand_new_with_seed (3);
  guint64 *words = (guint64 *) raw->link->area;
  guint i;

  for (i = 0; i < 200000; i++)
    __atomic_store_n (&words[g_rand_int_range (random, 0, 80)],
        (guint64) g_rand_int (random) << g_rand_int_range (random, 0, 33),
        __ATOMIC_RELAXED);
  g_rand_free (random);
  return NULL;
}

static void
test_scribbles (void)
{
  GThread *thread;
  Scene scene;
  guint i;

  scene_begin (&scene);
  for (i = 0; i < 5; i++) {
    raw_bring_up (&scene.bad, address);
    thread = g_thread_new ("scribbler", scribble, &scene.bad);
    scene_publish (&scene, 400);
    g_thread_join (thread);
    raw_clear (&scene.bad);
    wait_for_links (scene.producer, 1);
  }
  wait_for_held (scene.producer, 0);
  check_all_free (scene.producer);
  reader_stop (&scene.good);
  end_producer (scene.producer);
}

/* Tears holes in the link's memory: it reads zero then, and nobody is killed by a signal. */
static void
test_punches_holes (void)
{
  MmapDescriptor frame;
  Scene scene;
  guint i;

  scene_begin_up (&scene);
  for (i = 0; i < 300; i++) {
    scene_publish (&scene, 1);
    g_assert_cmpint (mmap_ring_peek (&scene.bad.link->frames, &frame), ==,
        MMAP_RING_OK);
    g_assert_cmpint (mmap_ring_pop (&scene.bad.link->frames), ==, MMAP_RING_OK);
    release (&scene.bad, frame.id);
  }
  wait_for_held (scene.producer, 0);
  g_assert_cmpint (ftruncate (scene.bad.link->fd, 0), ==, -1);
  g_assert_cmpint (fallocate (scene.bad.link->fd,
          FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0,
          sizeof (MmapLinkArea)), ==, 0);
  scene_publish (&scene, 300);
  scene_end_refused (&scene, MMAP_ERROR_RING, "broke the protocol");
}

/* Says all the time that it has just gone to sleep: that costs system calls, and nothing else. */
static void
test_insomniac (void)
{
  Scene scene;
  guint i;

  scene_begin_up (&scene);
  for (i = 0; i < 200; i++) {
    scene.bad.link->area->consumer_sleep = 2 * i + 1;
    scene_publish (&scene, 1);
  }
  raw_clear (&scene.bad);
  wait_for_links (scene.producer, 1);
  scene_publish (&scene, 10);
  reader_stop (&scene.good);
  end_producer (scene.producer);
}



/* Passes descriptors which block whoever closes them. Where the kernel keeps them out, it is told not to. */
static void
check_passes_descriptors (gboolean early, gboolean gone)
{
  Lingering lingering;
  int fds[MMAP_MESSAGE_MAX_FDS], yes = 1;
  Scene scene;
  guint i;

  scene_begin (&scene);
  setsockopt (g_socket_get_fd (scene.producer->listener->socket), SOL_SOCKET,
      83, &yes, sizeof yes);
  lingering_init (&lingering);
  for (i = 0; i < G_N_ELEMENTS (fds); i++)
    fds[i] = lingering.fd;
  if (early)
    raw_connect (&scene.bad, address);
  else
    raw_bring_up (&scene.bad, address);
  /* The producer is the last to have it. */
  g_mutex_lock (&scene.producer->lock);
  g_assert_true (mmap_message_send (scene.bad.socket,
          early ? MMAP_MESSAGE_HELLO : MMAP_MESSAGE_WISHES, raw_body (NULL,
              NULL), fds, G_N_ELEMENTS (fds), NULL));
  close (lingering.fd);
  g_mutex_unlock (&scene.producer->lock);
  if (gone)
    g_clear_object (&scene.bad.socket);
  scene_end (&scene, MMAP_ERROR_MESSAGE);
  close (lingering.peer);
}

static void
test_passes_descriptors (void)
{
  check_passes_descriptors (TRUE, FALSE);
  check_passes_descriptors (FALSE, FALSE);
  check_passes_descriptors (FALSE, TRUE);
}

static gint stop_requeue;

/* Moves all who wait for the words of its link to another that nobody changes, over and over, and says all the time that it sleeps: it has no others'
 * words, and the producer's own isn't shared. */
static gpointer
requeue (gpointer data)
{
  RawConsumer *raw = data;
  MmapLinkArea *area = raw->link->area;

  while (!g_atomic_int_get (&stop_requeue)) {
    syscall (SYS_futex, &area->producer_bell, FUTEX_REQUEUE, 0, G_MAXINT,
        (guint32 *) area->token_area, 0);
    syscall (SYS_futex, &area->consumer_bell, FUTEX_REQUEUE, 0, G_MAXINT,
        (guint32 *) area->token_area, 0);
    sched_yield ();
  }
  return NULL;
}

static void
test_blocks_wakeups (void)
{
  GThread *thread;
  Scene scene;
  guint i;

  scene_begin_up (&scene);
  g_atomic_int_set (&stop_requeue, FALSE);
  thread = g_thread_new ("requeue", requeue, &scene.bad);
  for (i = 0; i < 200; i++) {
    scene.bad.link->area->consumer_sleep = 2 * i + 1;
    scene_publish (&scene, 1);
  }
  g_atomic_int_set (&stop_requeue, TRUE);
  g_thread_join (thread);
  raw_clear (&scene.bad);
  wait_for_links (scene.producer, 1);
  scene_publish (&scene, 10);
  wait_for_held (scene.producer, 0);
  reader_stop (&scene.good);
  end_producer (scene.producer);
}

int
main (int argc, char **argv)
{
  int result;
  guint i;

  g_test_init (&argc, &argv, NULL);
  address = leak_check_path ("socket");
  leak_check_add_test ("/producer-hostile/wrong-token", test_wrong_token);
  leak_check_add_test ("/producer-hostile/token-changed", test_token_changed);
  leak_check_add_test ("/producer-hostile/token-index-last",
      test_token_index_last);
  for (i = 0; i < G_N_ELEMENTS (indices); i++) {
    char *path = g_strdup_printf ("/producer-hostile/token-index-%u", i);

    g_test_add_data_func (path, &indices[i], test_token_index);
    g_free (path);
  }
  leak_check_add_test ("/producer-hostile/answer-twice", test_answer_twice);
  leak_check_add_test ("/producer-hostile/answer-first", test_answer_first);
  g_test_add_data_func ("/producer-hostile/answer-session",
      GINT_TO_POINTER (TRUE), test_answer_other);
  g_test_add_data_func ("/producer-hostile/answer-region",
      GINT_TO_POINTER (FALSE), test_answer_other);
  leak_check_add_test ("/producer-hostile/hello-twice", test_hello_twice);
  leak_check_add_test ("/producer-hostile/hello-version",
      test_hello_other_version);
  leak_check_add_test ("/producer-hostile/message-version",
      test_message_other_version);
  leak_check_add_test ("/producer-hostile/garbage", test_garbage);
  leak_check_add_test ("/producer-hostile/garbage-after", test_garbage_after);
  g_test_add_data_func ("/producer-hostile/offer",
      GINT_TO_POINTER (MMAP_MESSAGE_OFFER), test_producers_message);
  g_test_add_data_func ("/producer-hostile/accept",
      GINT_TO_POINTER (MMAP_MESSAGE_ACCEPT), test_producers_message);
  leak_check_add_test ("/producer-hostile/refuses", test_refuses);
  leak_check_add_test ("/producer-hostile/refuses-unknown",
      test_refuses_unknown);
  leak_check_add_test ("/producer-hostile/leaves", test_leaves);
  leak_check_add_test ("/producer-hostile/unanswered-regions",
      test_unanswered_regions);
  for (i = 0; i < G_N_ELEMENTS (attacks); i++)
    g_test_add_data_func (attacks[i].path, &attacks[i], test_attack);
  leak_check_add_test ("/producer-hostile/release-of-another",
      test_release_of_another);
  leak_check_add_test ("/producer-hostile/scribbles", test_scribbles);
  leak_check_add_test ("/producer-hostile/punches-holes", test_punches_holes);
  leak_check_add_test ("/producer-hostile/insomniac", test_insomniac);
  leak_check_add_test ("/producer-hostile/passes-descriptors",
      test_passes_descriptors);
  leak_check_add_test ("/producer-hostile/blocks-wakeups", test_blocks_wakeups);
  leak_check_add_test ("/producer-hostile/restless", test_restless);
  leak_check_add_test ("/producer-hostile/late-timer", test_late_timer);
  leak_check_add_test ("/producer-hostile/late-reader", test_late_reader);
  leak_check_add_test ("/producer-hostile/silent", test_silent);
  leak_check_add_test ("/producer-hostile/silent-offered", test_silent_offered);
  leak_check_add_test ("/producer-hostile/patient", test_patient);
  result = g_test_run ();
  g_free (address);
  return result;
}
