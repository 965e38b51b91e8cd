/* gst-mmap: tests of the consumer's own thread, and of what it sends
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Run by `meson test`. The producer is played by hand; what the callbacks hear is written down as words, and compared.
 */
#include "capabilities.h"
#include "consumer-private.h"
#include "leak-check.h"
#include "peers.h"

#include <string.h>

#define WAIT_US (60 * G_USEC_PER_SEC)

/* Longer than any test takes. */
#define LONG_US (100 * G_USEC_PER_SEC)

static char *address;

/* A producer without threads left to give; see meson.build. */
static gboolean no_threads;

GThread *__real_g_thread_try_new (const char *name, GThreadFunc func,
    gpointer data, GError ** error);
GThread *__wrap_g_thread_try_new (const char *name, GThreadFunc func,
    gpointer data, GError ** error);

GThread *
__wrap_g_thread_try_new (const char *name, GThreadFunc func, gpointer data,
    GError ** error)
{
  if (!no_threads)
    return __real_g_thread_try_new (name, func, data, error);
  g_set_error (error, G_THREAD_ERROR, G_THREAD_ERROR_AGAIN, "no threads left");
  return NULL;
}

typedef struct
{
  RawProducer raw;
  MmapConsumer *consumer;
  GThread *thread;              /* calls next() */
  MmapNextResult next;
  GError *error;
  GMutex lock;
  GCond cond;
  /* under the lock */
  GString *told;                /* each with a space before it */
  gboolean block;               /* callbacks wait */
  gboolean blocked;
  const char *on_asked;         /* what asked() does */
} Scene;

static void
tell (Scene * scene, const char *format, ...)
G_GNUC_PRINTF (2, 3);

     static void tell (Scene * scene, const char *format, ...)
{
  va_list args;

  va_start (args, format);
  g_mutex_lock (&scene->lock);
  scene->blocked = TRUE;
  g_cond_broadcast (&scene->cond);
  while (scene->block)
    g_cond_wait (&scene->cond, &scene->lock);
  scene->blocked = FALSE;
  g_string_append_c (scene->told, ' ');
  g_string_append_vprintf (scene->told, format, args);
  g_cond_broadcast (&scene->cond);
  g_mutex_unlock (&scene->lock);
  va_end (args);
}

static void
on_message (guint64 link, GVariant * body, gpointer data)
{
  const char *text = "";

  g_variant_lookup (body, "text", "&s", &text);
  tell (data, "%u-%s", (guint) link, text);
}

static void
on_closed (guint64 link, gpointer data)
{
  tell (data, "closed-%u", (guint) link);
}

static void
on_asked (gpointer data)
{
  Scene *scene = data;
  const char *what = scene->on_asked;
  GVariantDict body;

  scene->on_asked = NULL;
  if (g_strcmp0 (what, "again") == 0)
    mmap_consumer_ask (scene->consumer);
  if (g_strcmp0 (what, "media") == 0)
    mmap_consumer_set_media (scene->consumer, "asked");
  if (g_strcmp0 (what, "call") == 0) {
    g_variant_dict_init (&body, NULL);
    g_assert_null (mmap_consumer_call (scene->consumer, MMAP_MESSAGE_QUERY,
            &body, LONG_US));
  }
  tell (scene, "asked");
}

static void
scene_init (Scene * scene)
{
  GError *error = NULL;

  memset (scene, 0, sizeof *scene);
  g_mutex_init (&scene->lock);
  g_cond_init (&scene->cond);
  scene->told = g_string_new (NULL);
  raw_producer_init (&scene->raw, address);
  scene->consumer = mmap_consumer_new (address, &error);
  g_assert_no_error (error);
}

static void
scene_start (Scene * scene)
{
  static const MmapConsumerCallbacks callbacks = {
    on_message, on_closed, on_asked
  };
  GError *error = NULL;

  g_assert_true (mmap_consumer_start (scene->consumer, &callbacks, scene,
          &error));
  g_assert_no_error (error);
}

static gpointer
consume (gpointer data)
{
  Scene *scene = data;
  MmapItem item;

  do {
    scene->next = mmap_consumer_next (scene->consumer, &item, &scene->error);
    mmap_item_clear (&item);
  } while (scene->next != MMAP_NEXT_ERROR
      && scene->next != MMAP_NEXT_CANCELLED);
  return NULL;
}

/* The thread that calls next() ends when it is cancelled, or after an error. */
static void
scene_join (Scene * scene)
{
  g_thread_join (g_steal_pointer (&scene->thread));
}

static void
scene_cancel (Scene * scene)
{
  mmap_consumer_set_cancelled (scene->consumer, TRUE);
  if (scene->thread)
    scene_join (scene);
  mmap_consumer_set_cancelled (scene->consumer, FALSE);
}

/* Waits for what open_peer() does. */
static void
scene_wait_up (Scene * scene, guint64 link)
{
  while (mmap_consumer_get_link (scene->consumer) < link)
    g_usleep (100);
}

/* Up, and somebody calls next() all the time. */
static void
scene_begin (Scene * scene)
{
  scene_init (scene);
  scene_start (scene);
  scene->thread = g_thread_new ("next", consume, scene);
  raw_producer_bring_up (&scene->raw);
  scene_wait_up (scene, 1);
}

/* Up, and nobody calls next(). */
static void
scene_begin_held_up (Scene * scene)
{
  scene_begin (scene);
  scene_cancel (scene);
}

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
scene_wait_blocked (Scene * scene)
{
  g_mutex_lock (&scene->lock);
  while (!scene->blocked)
    g_cond_wait (&scene->cond, &scene->lock);
  g_mutex_unlock (&scene->lock);
}

static void
scene_end (Scene * scene)
{
  scene_cancel (scene);
  mmap_consumer_free (scene->consumer);
  raw_producer_clear (&scene->raw);
  g_assert_no_error (scene->error);
  g_string_free (scene->told, TRUE);
  g_mutex_clear (&scene->lock);
  g_cond_clear (&scene->cond);
}

static void
send_event (Scene * scene, const char *text)
{
  raw_send_message (scene->raw.socket, MMAP_MESSAGE_EVENT, raw_body ("text",
          text));
}

/* Takes the next message of the consumer. Returns: (transfer full): its body */
static GVariant *
take (Scene * scene, MmapMessageKind kind)
{
  MmapMessage message;
  GVariant *body;

  g_assert_true (raw_receive (scene->raw.socket, &message));
  g_assert_cmpint (message.kind, ==, kind);
  body = g_variant_ref (message.body);
  mmap_message_clear (&message);
  return body;
}

/* Fails the test unless the next message is of @kind and says @media; NULL: anything. */
static void
expect_media (Scene * scene, MmapMessageKind kind, const char *media)
{
  g_autoptr (GVariant) body = take (scene, kind);
  const char *said = NULL;

  g_variant_lookup (body, "media", "&s", &said);
  g_assert_cmpstr (said, ==, media);
}

static void
expect_nothing (Scene * scene)
{
  g_assert_cmpint (g_socket_condition_check (scene->raw.socket, G_IO_IN), ==,
      0);
}

/* --- messages --- */

static void
test_messages (void)
{
  Scene scene;
  guint i;

  scene_begin (&scene);
  for (i = 0; i < 3; i++)
    send_event (&scene, "a");
  scene_expect (&scene, " 1-a 1-a 1-a");
  raw_send_message (scene.raw.socket, MMAP_MESSAGE_EVENT, NULL);
  scene_expect (&scene, " 1-");
  /* Another producer: what the first said last is told before its end, and that before what the second says. */
  scene_set_block (&scene, TRUE);
  send_event (&scene, "b");
  send_event (&scene, "last");
  raw_producer_clear (&scene.raw);
  raw_producer_init (&scene.raw, address);
  raw_producer_bring_up (&scene.raw);
  scene_wait_up (&scene, 2);
  send_event (&scene, "first");
  scene_set_block (&scene, FALSE);
  scene_expect (&scene, " 1-b 1-last closed-1 2-first");
  scene_end (&scene);
}

/* Nobody calls next(): the thread that does is held up downstream. */
static void
test_held_up (void)
{
  Scene scene;
  MmapItem item;

  scene_begin_held_up (&scene);
  send_event (&scene, "a");
  scene_expect (&scene, " 1-a");
  send_event (&scene, "b");
  g_clear_object (&scene.raw.socket);
  scene_expect (&scene, " 1-b closed-1");
  g_assert_false (mmap_consumer_send (scene.consumer, MMAP_MESSAGE_EVENT,
          raw_body (NULL, NULL)));
  /* Once only. */
  next_item (scene.consumer, &item, MMAP_NEXT_DISCONNECTED);
  mmap_consumer_ask (scene.consumer);
  scene_expect (&scene, " asked");
  scene_end (&scene);
}

/* What the consumer's own thread finds to be wrong, next() returns. */
static void
test_failure_held_up (void)
{
  GError *error = NULL;
  MmapMessage message;
  MmapItem item;
  Scene scene;

  scene_begin_held_up (&scene);
  send_event (&scene, "a");
  raw_producer_send (&scene.raw, MMAP_MESSAGE_HELLO);
  scene_expect (&scene, " 1-a closed-1");
  g_assert_cmpint (mmap_consumer_next (scene.consumer, &item, &error), ==,
      MMAP_NEXT_ERROR);
  check_error (&error, MMAP_ERROR_MESSAGE, "kind 1 out of turn");
  g_assert_true (raw_receive (scene.raw.socket, &message));
  mmap_message_get_refusal (&message, &error);
  check_error (&error, MMAP_ERROR_MESSAGE, "kind 1 out of turn");
  mmap_message_clear (&message);
  g_assert_false (raw_receive (scene.raw.socket, &message));
  scene_end (&scene);
}

/* What breaks in the rings ends the link for good: nothing is told of it after closed(). */
static void
test_nothing_after_closed (void)
{
  Scene scene;
  guint i;

  scene_begin (&scene);
  scene_set_block (&scene, TRUE);
  send_event (&scene, "a");
  scene_wait_blocked (&scene);
  scene.raw.link->area->frame_head = 10000;
  mmap_link_ring (scene.raw.link);
  for (i = 0; i < 10; i++)
    if (!mmap_message_send (scene.raw.socket, MMAP_MESSAGE_EVENT,
            raw_body ("text", "b"), NULL, 0, NULL))
      break;
  scene_join (&scene);
  check_error (&scene.error, MMAP_ERROR_RING, "impossible");
  scene_set_block (&scene, FALSE);
  mmap_consumer_ask (scene.consumer);
  mmap_consumer_stop (scene.consumer);
  g_assert_nonnull (strstr (scene.told->str, " 1-a"));
  if (strstr (scene.told->str, "closed"))
    g_assert_null (strstr (strstr (scene.told->str, "closed"), "1-b"));
  scene_end (&scene);
}

/* A producer that says more than is heard. */
static void
test_flood (void)
{
  MmapMessage message;
  GError *error = NULL;
  Scene scene;

  scene_begin (&scene);
  scene_set_block (&scene, TRUE);
  send_event (&scene, "a");
  scene_wait_blocked (&scene);
  /* The thread that calls next() reads, too, so that the socket never stays full. */
  while (mmap_message_send (scene.raw.socket, MMAP_MESSAGE_EVENT,
          raw_body ("text", "b"), NULL, 0, &error)
      || g_socket_condition_check (scene.raw.socket, G_IO_HUP) == 0)
    g_clear_error (&error);
  g_clear_error (&error);
  scene_join (&scene);
  check_error (&scene.error, MMAP_ERROR_LIMIT, "not heard yet");
  g_assert_true (raw_receive (scene.raw.socket, &message));
  mmap_message_get_refusal (&message, &error);
  check_error (&error, MMAP_ERROR_LIMIT, "not heard yet");
  mmap_message_clear (&message);
  scene_set_block (&scene, FALSE);
  scene_end (&scene);
}

/* --- what the consumer sends --- */

static void
test_send (void)
{
  g_autofree char *long_text = g_strnfill (MMAP_CAPABILITIES_MAX_BYTES, 'x');
  g_autoptr (GVariant) body = NULL;
  const char *text = NULL;
  guint sent = 0;
  Scene scene;

  scene_init (&scene);
  scene_start (&scene);
  g_assert_false (mmap_consumer_send (scene.consumer, MMAP_MESSAGE_EVENT,
          raw_body (NULL, NULL)));
  scene.thread = g_thread_new ("next", consume, &scene);
  raw_producer_bring_up (&scene.raw);
  scene_wait_up (&scene, 1);
  g_assert_false (mmap_consumer_send (scene.consumer, MMAP_MESSAGE_EVENT,
          raw_body ("text", long_text)));
  g_assert_true (mmap_consumer_send (scene.consumer, MMAP_MESSAGE_EVENT,
          raw_body ("text", "hello")));
  body = take (&scene, MMAP_MESSAGE_EVENT);
  g_assert_true (g_variant_lookup (body, "text", "&s", &text));
  g_assert_cmpstr (text, ==, "hello");

  /* A producer that doesn't read costs nothing but what is said to it. */
  while (mmap_consumer_send (scene.consumer, MMAP_MESSAGE_EVENT,
          raw_body (NULL, NULL)))
    sent++;
  /* But for what it accepts: that is said as soon as it can be heard. */
  mmap_consumer_set_media (scene.consumer, "a");
  mmap_consumer_set_media (scene.consumer, "b");
  while (sent-- > 0)
    g_variant_unref (take (&scene, MMAP_MESSAGE_EVENT));
  expect_media (&scene, MMAP_MESSAGE_WISHES, "b");
  g_assert_true (mmap_consumer_send (scene.consumer, MMAP_MESSAGE_QUERY,
          raw_body (NULL, NULL)));
  g_variant_unref (take (&scene, MMAP_MESSAGE_QUERY));
  send_event (&scene, "still up");
  scene_expect (&scene, " 1-still up");
  scene_end (&scene);
}

/* --- calls --- */

typedef struct
{
  Scene *scene;
  MmapMessageKind kind;
  const char *text;
  gint64 timeout_us;
  GThread *thread;
  GVariant *result;
} Call;

static gpointer
call_thread (gpointer data)
{
  Call *call = data;
  GVariantDict body;

  g_variant_dict_init (&body, NULL);
  g_variant_dict_insert (&body, "text", "s", call->text);
  call->result = mmap_consumer_call (call->scene->consumer, call->kind, &body,
      call->timeout_us);
  return NULL;
}

static void
call_start (Call * call, Scene * scene, MmapMessageKind kind, const char *text,
    gint64 timeout_us)
{
  *call = (Call) {
  scene, kind, text, timeout_us, NULL, NULL};
  call->thread = g_thread_new ("call", call_thread, call);
}

/* Fails the test unless the result says @text; NULL: there must be none. */
static void
call_end (Call * call, const char *text)
{
  const char *said = NULL;

  g_thread_join (call->thread);
  if (call->result)
    g_variant_lookup (call->result, "text", "&s", &said);
  g_assert_cmpstr (said, ==, text);
  g_assert_cmpint (call->result != NULL, ==, text != NULL);
  g_clear_pointer (&call->result, g_variant_unref);
}

static guint32
take_call (Scene * scene, MmapMessageKind kind, char **text)
{
  g_autoptr (GVariant) body = take (scene, kind);
  guint32 id;

  g_assert_true (g_variant_lookup (body, "id", "u", &id));
  if (text)
    g_assert_true (g_variant_lookup (body, "text", "s", text));
  return id;
}

static void
send_result (Scene * scene, guint32 id, const char *text)
{
  GVariantDict body;

  g_variant_dict_init (&body, NULL);
  g_variant_dict_insert (&body, "id", "u", id);
  g_variant_dict_insert (&body, "text", "s", text);
  raw_send_message (scene->raw.socket, MMAP_MESSAGE_RESULT,
      g_variant_dict_end (&body));
}

static gpointer
unblock_soon (gpointer data)
{
  g_usleep (20000);
  scene_set_block (data, FALSE);
  return NULL;
}

static void
test_call (void)
{
  GThread *unblock;
  GVariantDict odd;
  guint32 id, earlier;
  Scene scene;
  Call call;

  scene_begin (&scene);
  call_start (&call, &scene, MMAP_MESSAGE_QUERY, "q", LONG_US);
  earlier = take_call (&scene, MMAP_MESSAGE_QUERY, NULL);
  send_result (&scene, earlier, "one");
  call_end (&call, "one");

  /* Duplicate, late, forged and senseless ones are nobody's. */
  call_start (&call, &scene, MMAP_MESSAGE_QUERY, "q", LONG_US);
  id = take_call (&scene, MMAP_MESSAGE_QUERY, NULL);
  g_assert_cmpuint (id, !=, earlier);
  send_result (&scene, earlier, "late");
  send_result (&scene, id + 2, "forged");
  send_result (&scene, id ^ 1, "forged");
  send_result (&scene, 0, "forged");
  raw_send_message (scene.raw.socket, MMAP_MESSAGE_RESULT, NULL);
  raw_send_message (scene.raw.socket, MMAP_MESSAGE_RESULT, raw_body ("id",
          "x"));
  g_variant_dict_init (&odd, NULL);
  g_variant_dict_insert (&odd, "id", "t", (guint64) id);
  raw_send_message (scene.raw.socket, MMAP_MESSAGE_RESULT,
      g_variant_dict_end (&odd));
  send_result (&scene, id, "right");
  send_result (&scene, id, "duplicate");
  call_end (&call, "right");
  send_result (&scene, id, "too late");

  /* Of an event: after what was said before it. */
  call_start (&call, &scene, MMAP_MESSAGE_EVENT, "e", LONG_US);
  id = take_call (&scene, MMAP_MESSAGE_EVENT, NULL);
  scene_set_block (&scene, TRUE);
  send_event (&scene, "a");
  send_event (&scene, "b");
  send_result (&scene, id, "done");
  scene_wait_blocked (&scene);
  unblock = g_thread_new ("unblock", unblock_soon, &scene);
  call_end (&call, "done");
  g_assert_cmpstr (scene.told->str, ==, " 1-a 1-b");
  g_string_truncate (scene.told, 0);
  g_thread_join (unblock);

  /* Of a query: whatever was not heard yet. */
  scene_set_block (&scene, TRUE);
  send_event (&scene, "c");
  scene_wait_blocked (&scene);
  call_start (&call, &scene, MMAP_MESSAGE_QUERY, "q", LONG_US);
  send_result (&scene, take_call (&scene, MMAP_MESSAGE_QUERY, NULL), "now");
  call_end (&call, "now");
  scene_set_block (&scene, FALSE);
  scene_expect (&scene, " 1-c");
  g_assert_cmpuint (g_hash_table_size (scene.consumer->calls), ==, 0);
  scene_end (&scene);
}

static void
test_call_without_result (void)
{
  Scene scene;
  Call call;
  guint32 id;

  scene_init (&scene);
  scene_start (&scene);
  /* There is nobody. */
  call_start (&call, &scene, MMAP_MESSAGE_QUERY, "q", LONG_US);
  call_end (&call, NULL);
  scene.thread = g_thread_new ("next", consume, &scene);
  raw_producer_bring_up (&scene.raw);
  scene_wait_up (&scene, 1);

  /* In time. */
  call_start (&call, &scene, MMAP_MESSAGE_QUERY, "q", 1000);
  call_end (&call, NULL);
  call_start (&call, &scene, MMAP_MESSAGE_EVENT, "q", 0);
  call_end (&call, NULL);
  id = take_call (&scene, MMAP_MESSAGE_QUERY, NULL);
  take_call (&scene, MMAP_MESSAGE_EVENT, NULL);
  send_result (&scene, id, "late");

  /* The link ends, and another comes, which can't answer for it. */
  call_start (&call, &scene, MMAP_MESSAGE_QUERY, "q", LONG_US);
  id = take_call (&scene, MMAP_MESSAGE_QUERY, NULL);
  raw_producer_clear (&scene.raw);
  raw_producer_init (&scene.raw, address);
  raw_producer_bring_up (&scene.raw);
  scene_wait_up (&scene, 2);
  send_result (&scene, id, "other");
  call_end (&call, NULL);
  scene_expect (&scene, " closed-1");

  /* From the thread that would have to receive it. */
  scene.on_asked = "call";
  mmap_consumer_ask (scene.consumer);
  scene_expect (&scene, " asked");
  take_call (&scene, MMAP_MESSAGE_QUERY, NULL);

  /* stop() meanwhile, and after it. */
  call_start (&call, &scene, MMAP_MESSAGE_QUERY, "q", LONG_US);
  take_call (&scene, MMAP_MESSAGE_QUERY, NULL);
  scene_cancel (&scene);
  mmap_consumer_stop (scene.consumer);
  call_end (&call, NULL);
  call_start (&call, &scene, MMAP_MESSAGE_EVENT, "q", LONG_US);
  call_end (&call, NULL);
  mmap_consumer_stop (scene.consumer);
  g_assert_cmpuint (g_hash_table_size (scene.consumer->calls), ==, 0);
  scene_end (&scene);
}

#define N_CALLERS 8
#define N_CALLS 100

static gpointer
call_many (gpointer data)
{
  guint i;

  for (i = 0; i < N_CALLS; i++) {
    g_autofree char *text = g_strdup_printf ("%p-%u", g_thread_self (), i);
    Call call = { data, i % 2 ? MMAP_MESSAGE_EVENT : MMAP_MESSAGE_QUERY, text,
      LONG_US, NULL, NULL
    };
    const char *said = NULL;

    call_thread (&call);
    g_assert_nonnull (call.result);
    g_assert_true (g_variant_lookup (call.result, "text", "&s", &said));
    g_assert_cmpstr (said, ==, text);
    g_variant_unref (call.result);
  }
  return NULL;
}

/* Each gets its own. */
static void
test_many_calls (void)
{
  GThread *threads[N_CALLERS];
  Scene scene;
  guint i;

  scene_begin (&scene);
  for (i = 0; i < N_CALLERS; i++)
    threads[i] = g_thread_new ("caller", call_many, &scene);
  for (i = 0; i < N_CALLERS * N_CALLS; i++) {
    g_autofree char *text = NULL;
    MmapMessage message;
    guint32 id;

    g_assert_true (raw_receive (scene.raw.socket, &message));
    g_assert_true (g_variant_lookup (message.body, "id", "u", &id));
    g_assert_true (g_variant_lookup (message.body, "text", "s", &text));
    mmap_message_clear (&message);
    send_result (&scene, id, text);
  }
  for (i = 0; i < N_CALLERS; i++)
    g_thread_join (threads[i]);
  g_assert_cmpuint (g_hash_table_size (scene.consumer->calls), ==, 0);
  scene_end (&scene);
}

/* --- media --- */

static void
test_media (void)
{
  g_autofree char *longest = g_strnfill (MMAP_CAPABILITIES_MAX_BYTES / 2, 'x');
  g_autofree char *too_long =
      g_strnfill (MMAP_CAPABILITIES_MAX_BYTES / 2 + 1, 'x');
  Scene scene;

  scene_init (&scene);
  scene_start (&scene);
  mmap_consumer_set_media (scene.consumer, "a");
  scene.thread = g_thread_new ("next", consume, &scene);
  raw_producer_greet (&scene.raw);
  mmap_consumer_set_media (scene.consumer, "b");
  raw_producer_send_offer (&scene.raw, NULL);
  expect_media (&scene, MMAP_MESSAGE_ANSWER, "b");
  /* Between the answer and the link: said as soon as it can be heard. */
  mmap_consumer_set_media (scene.consumer, "c");
  mmap_consumer_set_media (scene.consumer, "d");
  expect_nothing (&scene);
  raw_producer_send (&scene.raw, MMAP_MESSAGE_ACCEPT);
  expect_media (&scene, MMAP_MESSAGE_WISHES, "d");
  /* Only what is new. */
  mmap_consumer_set_media (scene.consumer, "d");
  mmap_consumer_set_media (scene.consumer, "e");
  expect_media (&scene, MMAP_MESSAGE_WISHES, "e");
  mmap_consumer_set_media (scene.consumer, NULL);
  expect_media (&scene, MMAP_MESSAGE_WISHES, NULL);
  mmap_consumer_set_media (scene.consumer, NULL);
  mmap_consumer_set_media (scene.consumer, longest);
  expect_media (&scene, MMAP_MESSAGE_WISHES, longest);
  /* As if it accepted anything. */
  mmap_consumer_set_media (scene.consumer, too_long);
  expect_media (&scene, MMAP_MESSAGE_WISHES, NULL);
  mmap_consumer_set_media (scene.consumer, too_long);
  scene.on_asked = "media";
  mmap_consumer_ask (scene.consumer);
  expect_media (&scene, MMAP_MESSAGE_WISHES, "asked");
  expect_nothing (&scene);

  /* The next producer hears it from the start, and only once. */
  raw_producer_clear (&scene.raw);
  raw_producer_init (&scene.raw, address);
  raw_producer_greet (&scene.raw);
  raw_producer_send_offer (&scene.raw, NULL);
  expect_media (&scene, MMAP_MESSAGE_ANSWER, "asked");
  raw_producer_send (&scene.raw, MMAP_MESSAGE_ACCEPT);
  scene_wait_up (&scene, 2);
  expect_nothing (&scene);
  scene_end (&scene);
}

/* A region is replaced while the link waits to be admitted: the producer looks at the first answer only. */
static void
test_media_between_offers (void)
{
  MmapRegion *bigger;
  GError *error = NULL;
  Scene scene;

  scene_init (&scene);
  scene_start (&scene);
  mmap_consumer_set_media (scene.consumer, "a");
  scene.thread = g_thread_new ("next", consume, &scene);
  raw_producer_greet (&scene.raw);
  raw_producer_send_offer (&scene.raw, NULL);
  expect_media (&scene, MMAP_MESSAGE_ANSWER, "a");
  mmap_consumer_set_media (scene.consumer, "b");
  bigger = mmap_region_new_memfd (2 * RAW_SIZE, RAW_SESSION, 2, &error);
  g_assert_no_error (error);
  scene.raw.offer.region_id = 2;
  scene.raw.offer.size = 2 * RAW_SIZE;
  mmap_token_write (&scene.raw.offer.token,
      bigger->base + scene.raw.offer.token_index);
  raw_producer_send_fds (&scene.raw, NULL, &bigger->fd, 1);
  expect_media (&scene, MMAP_MESSAGE_ANSWER, "b");
  raw_producer_send (&scene.raw, MMAP_MESSAGE_ACCEPT);
  expect_media (&scene, MMAP_MESSAGE_WISHES, "b");
  mmap_region_unref (bigger);
  scene_end (&scene);
}

static gpointer
set_many_media (gpointer data)
{
  guint i;

  for (i = 0; i < 500; i++) {
    g_autofree char *media = g_strdup_printf ("%p-%u", g_thread_self (), i);

    mmap_consumer_set_media (data, media);
  }
  return NULL;
}

static gpointer
read_media (gpointer data)
{
  Scene *scene = data;
  char *last = NULL;
  MmapMessage message;

  while (raw_receive (scene->raw.socket, &message)) {
    if (message.kind == MMAP_MESSAGE_EVENT) {
      mmap_message_clear (&message);
      break;
    }
    g_clear_pointer (&last, g_free);
    g_variant_lookup (message.body, "media", "s", &last);
    mmap_message_clear (&message);
  }
  return last;
}

/* What the producer heard last is what was set last, whoever set it. */
static void
test_media_from_threads (void)
{
  GThread *setters[4], *reader;
  g_autofree char *last = NULL;
  gboolean told;
  Scene scene;
  guint i;

  scene_begin (&scene);
  reader = g_thread_new ("reader", read_media, &scene);
  for (i = 0; i < G_N_ELEMENTS (setters); i++)
    setters[i] = g_thread_new ("setter", set_many_media, scene.consumer);
  for (i = 0; i < G_N_ELEMENTS (setters); i++)
    g_thread_join (setters[i]);
  /* Its own thread may still have to say it. */
  do {
    g_mutex_lock (&scene.consumer->lock);
    told = scene.consumer->told_serial == scene.consumer->media_serial;
    g_mutex_unlock (&scene.consumer->lock);
  } while (!told || !mmap_consumer_send (scene.consumer, MMAP_MESSAGE_EVENT,
          raw_body (NULL, NULL)));
  last = g_thread_join (reader);
  g_assert_cmpstr (last, ==, scene.consumer->media);
  scene_end (&scene);
}

/* --- life --- */

static void
test_ask (void)
{
  Scene scene;

  scene_init (&scene);
  mmap_consumer_ask (scene.consumer);
  scene_start (&scene);
  scene_expect (&scene, " asked");
  /* Asked again while it answers: it answers once more. */
  scene.on_asked = "again";
  mmap_consumer_ask (scene.consumer);
  scene_expect (&scene, " asked asked");
  scene_set_block (&scene, TRUE);
  mmap_consumer_ask (scene.consumer);
  scene_wait_blocked (&scene);
  mmap_consumer_ask (scene.consumer);
  mmap_consumer_ask (scene.consumer);
  scene_set_block (&scene, FALSE);
  scene_expect (&scene, " asked asked");
  mmap_consumer_stop (scene.consumer);
  mmap_consumer_ask (scene.consumer);
  scene_expect (&scene, "");
  scene_end (&scene);
}

static gpointer
unblock_later (gpointer data)
{
  Scene *scene = data;
  gboolean stopped;

  scene_wait_blocked (scene);
  do {
    g_mutex_lock (&scene->consumer->lock);
    stopped = scene->consumer->stopped;
    g_mutex_unlock (&scene->consumer->lock);
  } while (!stopped);
  scene_set_block (scene, FALSE);
  return NULL;
}

/* stop() waits for the callback that runs, and nothing is told after it. */
static void
test_stop (void)
{
  GThread *thread;
  Scene scene;

  scene_begin (&scene);
  scene_set_block (&scene, TRUE);
  send_event (&scene, "a");
  scene_wait_blocked (&scene);
  send_event (&scene, "b");
  send_event (&scene, "c");
  scene_cancel (&scene);
  thread = g_thread_new ("unblock", unblock_later, &scene);
  mmap_consumer_stop (scene.consumer);
  g_thread_join (thread);
  scene_expect (&scene, " 1-a");
  send_event (&scene, "d");
  scene_end (&scene);
}

/* Others still have a reference: nothing that they call does any harm. */
static void
test_after_free (void)
{
  MmapConsumer *consumer;
  MmapQos qos = { 0, };
  GVariantDict body;
  Scene scene;

  scene_begin_held_up (&scene);
  consumer = mmap_consumer_ref (scene.consumer);
  mmap_consumer_free (scene.consumer);
  mmap_consumer_set_media (consumer, "a");
  mmap_consumer_ask (consumer);
  mmap_consumer_send_qos (consumer, &qos);
  g_assert_false (mmap_consumer_send (consumer, MMAP_MESSAGE_EVENT,
          raw_body (NULL, NULL)));
  g_variant_dict_init (&body, NULL);
  g_assert_null (mmap_consumer_call (consumer, MMAP_MESSAGE_QUERY, &body,
          LONG_US));
  /* The scene's own way out. */
  scene.consumer = consumer;
  scene_end (&scene);
}

static void
test_no_thread (void)
{
  static const MmapConsumerCallbacks callbacks = { NULL, NULL, NULL };
  MmapProducer *producer;
  GError *error = NULL;
  MmapItem item;
  Scene scene;

  scene_init (&scene);
  no_threads = TRUE;
  g_assert_false (mmap_consumer_start (scene.consumer, &callbacks, NULL,
          &error));
  check_error (&error, MMAP_ERROR_NO_RESOURCES, "no threads left");
  mmap_consumer_set_media (scene.consumer, "a");
  mmap_consumer_ask (scene.consumer);
  mmap_consumer_set_cancelled (scene.consumer, TRUE);
  next_item (scene.consumer, &item, MMAP_NEXT_CANCELLED);
  scene_end (&scene);

  producer = mmap_producer_new (address, NULL, 32, &error);
  g_assert_no_error (error);
  g_assert_false (mmap_producer_start (producer, &error));
  check_error (&error, MMAP_ERROR_NO_RESOURCES, "no threads left");
  no_threads = FALSE;
  end_producer (producer);
}

/* Without the thread: what is said to nobody is not kept, and results are still had. */
static void
test_not_started (void)
{
  Scene scene;
  Call call;
  guint i;

  scene_init (&scene);
  scene.thread = g_thread_new ("next", consume, &scene);
  raw_producer_bring_up (&scene.raw);
  scene_wait_up (&scene, 1);
  for (i = 0; i < 2000; i++)
    while (!mmap_message_send (scene.raw.socket, MMAP_MESSAGE_EVENT,
            raw_body (NULL, NULL), NULL, 0, NULL))
      g_usleep (100);
  call_start (&call, &scene, MMAP_MESSAGE_QUERY, "q", LONG_US);
  send_result (&scene, take_call (&scene, MMAP_MESSAGE_QUERY, NULL), "one");
  call_end (&call, "one");
  g_assert_true (g_queue_is_empty (&scene.consumer->inbox));
  scene_end (&scene);
}

/* --- producers that break the rules --- */

typedef struct
{
  const char *path;
  guint step;                   /* 0: before the offer, 1: before ACCEPT, 2: after */
  MmapMessageKind kind;
  const char *reason;
} Wrong;

static const Wrong wrongs[] = {
  {"/consumer-service/event-first", 0, MMAP_MESSAGE_EVENT, "kind 7 out of"},
  {"/consumer-service/result-first", 0, MMAP_MESSAGE_RESULT, "kind 9 out of"},
  {"/consumer-service/event-early", 1, MMAP_MESSAGE_EVENT, "kind 7 out of"},
  {"/consumer-service/result-early", 1, MMAP_MESSAGE_RESULT, "kind 9 out of"},
  {"/consumer-service/wishes", 2, MMAP_MESSAGE_WISHES, "kind 6 out of turn"},
  {"/consumer-service/query", 2, MMAP_MESSAGE_QUERY, "kind 8 out of turn"},
  {"/consumer-service/accept-again", 2, MMAP_MESSAGE_ACCEPT, "kind 4 out of"},
};

static void
test_wrong (gconstpointer data)
{
  const Wrong *wrong = data;
  LeakCheck check;
  Scene scene;

  leak_check_begin (&check);
  scene_init (&scene);
  scene_start (&scene);
  scene.thread = g_thread_new ("next", consume, &scene);
  raw_producer_greet (&scene.raw);
  if (wrong->step > 0) {
    raw_producer_send_offer (&scene.raw, NULL);
    g_variant_unref (take (&scene, MMAP_MESSAGE_ANSWER));
  }
  if (wrong->step > 1)
    raw_producer_send (&scene.raw, MMAP_MESSAGE_ACCEPT);
  raw_producer_send (&scene.raw, wrong->kind);
  scene_join (&scene);
  check_error (&scene.error, MMAP_ERROR_MESSAGE, wrong->reason);
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
  leak_check_add_test ("/consumer-service/messages", test_messages);
  leak_check_add_test ("/consumer-service/held-up", test_held_up);
  leak_check_add_test ("/consumer-service/failure-held-up",
      test_failure_held_up);
  leak_check_add_test ("/consumer-service/nothing-after-closed",
      test_nothing_after_closed);
  leak_check_add_test ("/consumer-service/flood", test_flood);
  leak_check_add_test ("/consumer-service/send", test_send);
  leak_check_add_test ("/consumer-service/call", test_call);
  leak_check_add_test ("/consumer-service/call-without-result",
      test_call_without_result);
  leak_check_add_test ("/consumer-service/many-calls", test_many_calls);
  leak_check_add_test ("/consumer-service/media", test_media);
  leak_check_add_test ("/consumer-service/media-between-offers",
      test_media_between_offers);
  leak_check_add_test ("/consumer-service/media-from-threads",
      test_media_from_threads);
  leak_check_add_test ("/consumer-service/ask", test_ask);
  leak_check_add_test ("/consumer-service/stop", test_stop);
  leak_check_add_test ("/consumer-service/after-free", test_after_free);
  leak_check_add_test ("/consumer-service/no-thread", test_no_thread);
  leak_check_add_test ("/consumer-service/not-started", test_not_started);
  for (i = 0; i < G_N_ELEMENTS (wrongs); i++)
    g_test_add_data_func (wrongs[i].path, &wrongs[i], test_wrong);
  result = g_test_run ();
  g_free (address);
  return result;
}
