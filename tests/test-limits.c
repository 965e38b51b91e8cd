/* gst-mmap: tests of crowds before a producer's socket
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Run by `meson test`, as root. A crowd is a process of its own, forked before there are threads; the producer's descriptors are those of
 * this process.
 */
#include "leak-check.h"
#include "peers.h"
#include "producer-private.h"
#include "system-faults.h"

#include <dirent.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#define ALICE 1001
#define MIB (G_GUINT64_CONSTANT (1) << 20)

static char *address;

/* What a process of user @uid does with @n connections, until it is told to end. */
typedef struct
{
  guint uid;
  guint n;
  gboolean says_hello;
  int ready[2], done[2];
  int pid;
} Crowd;

static void
crowd_begin (Crowd * crowd)
{
  struct rlimit limit = { 4096, 4096 };

  close (crowd->ready[0]);
  close (crowd->done[1]);
  g_assert_cmpint (setrlimit (RLIMIT_NOFILE, &limit), ==, 0);
  if (crowd->uid != 0 && (setgid (crowd->uid) < 0 || setuid (crowd->uid) < 0))
    g_error ("This process can't become another user");
}

static void
crowd_stay (Crowd * crowd)
{
  char byte;

  g_assert_cmpint (write (crowd->ready[1], "x", 1), ==, 1);
  g_assert_cmpint (read (crowd->done[0], &byte, 1), ==, 0);
}

/* Connects as often as it takes. */
static GSocket *
push_in (void)
{
  GError *error = NULL;
  GSocket *socket;

  while (!(socket = mmap_address_connect (address, &error))) {
    g_assert_error (error, MMAP_ERROR, MMAP_ERROR_NOT_FOUND);
    g_clear_error (&error);
    g_usleep (100);
  }
  return socket;
}

static void
say_hello (GSocket * socket)
{
  GVariantBuilder body;

  g_variant_builder_init (&body, G_VARIANT_TYPE_VARDICT);
  g_variant_builder_add (&body, "{sv}", "protocol",
      g_variant_new_uint32 (MMAP_PROTOCOL_VERSION));
  /* If there is no room, it is closed already. */
  mmap_message_send (socket, MMAP_MESSAGE_HELLO, g_variant_builder_end (&body),
      NULL, 0, NULL);
}

static void
be_silent (gconstpointer data)
{
  Crowd *crowd = (Crowd *) data;
  guint i;

  crowd_begin (crowd);
  for (i = 0; i < crowd->n; i++) {
    GSocket *socket = push_in ();

    if (crowd->says_hello)
      say_hello (socket);
  }
  crowd_stay (crowd);
}

/* By the rules, as many as one user may have, and one more. */
static void
take_all (gconstpointer data)
{
  Crowd *crowd = (Crowd *) data;
  RawConsumer *raw = g_new0 (RawConsumer, crowd->n + 1);
  guint i;

  crowd_begin (crowd);
  g_object_unref (push_in ());
  for (i = 0; i < crowd->n; i++)
    raw_bring_up (&raw[i], address);
  raw_connect (&raw[i], address);
  raw_expect_refusal (&raw[i], MMAP_ERROR_LIMIT, "32 consumers of user 1001");
  crowd_stay (crowd);
}

static void
crowd_start (Crowd * crowd, void (*function) (gconstpointer))
{
  g_assert_cmpint (pipe (crowd->ready), ==, 0);
  g_assert_cmpint (pipe (crowd->done), ==, 0);
  crowd->pid = start_child (function, crowd);
  close (crowd->ready[1]);
  close (crowd->done[0]);
}

static void
crowd_wait (Crowd * crowd)
{
  char byte;

  g_assert_cmpint (read (crowd->ready[0], &byte, 1), ==, 1);
}

static void
crowd_end (Crowd * crowd)
{
  close (crowd->ready[0]);
  close (crowd->done[1]);
  end_child (crowd->pid);
}

static MmapProducer *
produce_for_all (void)
{
  GError *error = NULL;
  MmapProducer *producer =
      mmap_producer_new (address, NULL, MMAP_TOKEN_DEFAULT_BYTES, &error);

  g_assert_no_error (error);
  mmap_producer_set_allowed (producer, mmap_users_new ("any", NULL));
  mmap_producer_set_region (producer, mmap_producer_size_for (MIB), G_MAXUINT64,
      NULL, &error);
  g_assert_no_error (error);
  g_assert_true (mmap_producer_start (producer, NULL));
  return producer;
}

/* It may be told that its time is over, but not be closed for another's sake. */
static void
check_stays (GSocket * socket)
{
  g_autoptr (GError) error = NULL;
  MmapMessage message;

  if (mmap_message_receive (socket, TRUE, &message, &error)) {
    mmap_message_get_refusal (&message, &error);
    g_assert_error (error, MMAP_ERROR, MMAP_ERROR_TIMEOUT);
    mmap_message_clear (&message);
  } else {
    g_assert_error (error, MMAP_ERROR, MMAP_ERROR_NOT_FOUND);
  }
}

/* Who comes after the crowd gets in, while it is still there, without being refused; and those who were there before stay. */
static void
with_crowd (Crowd * crowd)
{
  MmapProducer *producer;
  Reader before, after;
  GSocket *silent;
  guint n;

  crowd_start (crowd, be_silent);
  n = count_descriptors ();
  producer = produce_for_all ();
  reader_start (&before, address, FALSE);
  silent = push_in ();
  crowd_wait (crowd);
  /* A user who has too many is no concern of another's. */
  if (crowd->uid != 0)
    check_stays (silent);
  reader_start (&after, address, FALSE);
  wait_for_links (producer, 2);
  publish_frame (producer, 1, 64);
  reader_wait (&before, before.frames == 1);
  reader_wait (&after, after.frames == 1);
  g_assert_cmpuint (before.disconnected, ==, 0);
  /* Of a link that was offered there are six. */
  g_assert_cmpuint (count_descriptors (), <, n + 50 + 6 * MMAP_MAX_LINKS);
  g_object_unref (silent);
  reader_stop (&after);
  reader_stop (&before);
  crowd_end (crowd);
  end_producer (producer);
}

static void
test_silent (void)
{
  Crowd crowd = { 0, 1000, FALSE };

  with_crowd (&crowd);
}

/* Another user's, which may have no more than half of all, don't keep the producer's own out. */
static void
test_silent_of_other (void)
{
  Crowd crowd = { ALICE, 1000, FALSE };

  with_crowd (&crowd);
}

/* They say HELLO, and wait for a stream as long as there is none: who comes after them has a place all the same. */
static void
test_waiting (void)
{
  Crowd crowd = { 0, 200, TRUE };
  gboolean there = FALSE;
  MmapProducer *producer;
  Reader late;
  guint i;

  crowd_start (&crowd, be_silent);
  producer = make_producer (address, 0);
  crowd_wait (&crowd);
  reader_start (&late, address, FALSE);
  while (!there) {
    g_mutex_lock (&late.lock);
    g_assert_no_error (late.error);
    g_mutex_unlock (&late.lock);
    g_mutex_lock (&producer->lock);
    for (i = 0; i < MMAP_MAX_LINKS; i++)
      there = there || (producer->links[i]
          && producer->links[i]->state == LINK_WAITING
          && producer->links[i]->pid == (guint32) getpid ());
    g_mutex_unlock (&producer->lock);
    g_usleep (1000);
  }
  g_assert_true (mmap_producer_set_region (producer, mmap_producer_size_for
          (MIB), G_MAXUINT64, NULL, NULL));
  wait_for_links (producer, 1);
  reader_stop (&late);
  crowd_end (&crowd);
  end_producer (producer);
}

/* They say HELLO, get an offer, and leave it at that. */
static void
test_unanswered (void)
{
  Crowd crowd = { 0, 200, TRUE };

  with_crowd (&crowd);
}

static void
test_links_of_user (void)
{
  Crowd crowd = { ALICE, MMAP_MAX_LINKS / 2, FALSE };
  RawConsumer *raw = g_new0 (RawConsumer, MMAP_MAX_LINKS / 2 + 1);
  MmapProducer *producer;
  guint i;

  crowd_start (&crowd, take_all);
  producer = produce_for_all ();
  crowd_wait (&crowd);
  wait_for_links (producer, MMAP_MAX_LINKS / 2);
  wait_for_failures (producer, MMAP_ERROR_LIMIT, 1);
  /* The producer's own have no such limit, but there are no more than all. */
  for (i = 0; i < MMAP_MAX_LINKS / 2; i++)
    raw_bring_up (&raw[i], address);
  raw_connect (&raw[i], address);
  raw_expect_refusal (&raw[i], MMAP_ERROR_LIMIT, "64 consumers already");
  crowd_end (&crowd);
  wait_for_links (producer, MMAP_MAX_LINKS / 2);
  raw_clear (&raw[i]);
  raw_bring_up (&raw[i], address);
  for (i = 0; i <= MMAP_MAX_LINKS / 2; i++)
    raw_clear (&raw[i]);
  end_producer (producer);
  g_free (raw);
}

/* --- no descriptor left --- */

static gint n_ended;

static void
note_refusal (const GError * reason, gpointer user_data)
{
  if (strstr (reason->message, "place was needed"))
    g_atomic_int_inc (&n_ended);
}

/* They have taken all descriptors: then they go, long before their time is over. */
static void
test_descriptors (void)
{
  const MmapProducerCallbacks callbacks = {.refused = note_refusal };
  Crowd crowd = { 0, 40, FALSE };
  MmapProducer *producer;
  struct rlimit limit;
  rlim_t before;
  int fd;

  crowd_start (&crowd, be_silent);
  producer = mmap_producer_new (address, NULL, MMAP_TOKEN_DEFAULT_BYTES, NULL);
  mmap_producer_set_callbacks (producer, &callbacks, NULL);
  fd = dup (0);
  g_assert_cmpint (getrlimit (RLIMIT_NOFILE, &limit), ==, 0);
  before = limit.rlim_cur;
  limit.rlim_cur = fd + 10;
  close (fd);
  n_ended = 0;
  g_assert_cmpint (setrlimit (RLIMIT_NOFILE, &limit), ==, 0);
  g_assert_true (mmap_producer_start (producer, NULL));
  while (g_atomic_int_get (&n_ended) == 0)
    g_usleep (1000);
  limit.rlim_cur = before;
  g_assert_cmpint (setrlimit (RLIMIT_NOFILE, &limit), ==, 0);
  crowd_wait (&crowd);
  crowd_end (&crowd);
  end_producer (producer);
}

int
main (int argc, char **argv)
{
  int result;

  g_test_init (&argc, &argv, NULL);
  address = g_strdup_printf ("@gst-mmap-test-limits-%d", (int) getpid ());
  leak_check_add_test ("/limits/silent", test_silent);
  leak_check_add_test ("/limits/silent-of-other", test_silent_of_other);
  leak_check_add_test ("/limits/unanswered", test_unanswered);
  leak_check_add_test ("/limits/waiting", test_waiting);
  leak_check_add_test ("/limits/links-of-user", test_links_of_user);
  leak_check_add_test ("/limits/descriptors", test_descriptors);
  result = g_test_run ();
  g_free (address);
  return result;
}
