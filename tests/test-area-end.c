/* gst-mmap: tests of producers in areas that end while consumers have something of theirs, and of those that come just then
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "area-channel-private.h"
#include "area-client.h"
#include "areas.h"
#include "leak-check.h"
#include "peers.h"

#include <netinet/in.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#define SIZE (G_GUINT64_CONSTANT (64) << 20)
#define FRAME_BYTES 65536
#define CAPACITY (10 * FRAME_BYTES)
#define N_UNREAD 4
/* More than fill a region, so that memory of the one before would be used. */
#define N_MORE 40

static const MmapConsumerCallbacks callbacks;

static MmapProducer *
start_producer (const char *file)
{
  return make_area_producer (file, SIZE, NULL, CAPACITY);
}

static MmapConsumer *
start_consumer (const char *file)
{
  GError *error = NULL;
  MmapConsumer *consumer = mmap_consumer_new_in_area (file, "default", &error);

  g_assert_no_error (error);
  g_assert_true (mmap_consumer_start (consumer, &callbacks, NULL, &error));
  return consumer;
}

static void
take_frame (MmapConsumer * consumer, guint64 number)
{
  MmapItem item;

  next_item (consumer, &item, MMAP_NEXT_FRAME);
  check_frame (&item, number);
  release_item (&item);
}

/* Another one has written all over what it has. */
static MmapProducer *
start_successor (const char *file)
{
  MmapProducer *producer = start_producer (file);
  MmapConsumer *consumer = start_consumer (file);
  MmapItem item;
  guint i;

  next_item (consumer, &item, MMAP_NEXT_CONNECTED);
  for (i = 0; i < N_MORE; i++) {
    publish_frame (producer, 1000 + i, FRAME_BYTES);
    take_frame (consumer, 1000 + i);
  }
  mmap_consumer_free (consumer);
  return producer;
}

static guint
count_owned (MmapArea * area, guint64 id)
{
  guint i, n = 0;

  for (i = 1; i < area->slice_count; i++)
    n += area->start->owners[i] == id;
  return n;
}

/* What was published before a producer ended in order is there for those who were connected, whoever comes after it. */
static void
test_unread (void)
{
  g_autofree char *file = leak_check_path ("unread");
  MmapArea *area = open_area ("unread", SIZE);
  MmapProducer *first = start_producer (file), *second;
  MmapConsumer *consumer = start_consumer (file);
  MmapItem item, held;
  guint64 id = area->start->channels[0].owner;
  guint i;

  next_item (consumer, &item, MMAP_NEXT_CONNECTED);
  publish_frame (first, 1, FRAME_BYTES);
  next_item (consumer, &held, MMAP_NEXT_FRAME);
  for (i = 0; i < N_UNREAD; i++)
    publish_frame (first, 2 + i, FRAME_BYTES);
  end_producer (first);
  g_assert_cmpuint (count_owned (area, id), >, 0);
  second = start_successor (file);
  g_assert_cmpuint (area->start->channels[0].before, ==, id);

  for (i = 0; i < N_UNREAD; i++)
    take_frame (consumer, 2 + i);
  next_item (consumer, &item, MMAP_NEXT_DISCONNECTED);
  next_item (consumer, &item, MMAP_NEXT_CONNECTED);
  check_frame (&held, 1);
  release_item (&held);
  mmap_consumer_free (consumer);
  wait_for_held (second, 0);
  end_producer (second);
  /* Nobody had anything of it: nor does anybody keep what the first one left. */
  g_assert_cmpuint (count_owned (area, 0), ==, area->slice_count - 1);
  close_area (area);
}

/* A producer of another name leaves alone what is kept, too. */
static void
test_other_name (void)
{
  g_autofree char *file = leak_check_path ("other");
  MmapArea *area = open_area ("other", SIZE);
  MmapProducer *first = start_producer (file);
  MmapConsumer *consumer = start_consumer (file);
  MmapChannel *others[2];
  guint64 id = area->start->channels[0].owner;
  MmapItem item;
  guint n, i;

  next_item (consumer, &item, MMAP_NEXT_CONNECTED);
  publish_frame (first, 1, FRAME_BYTES);
  end_producer (first);
  n = count_owned (area, id);
  /* The second takes over from the first, as if that were dead. */
  for (i = 0; i < G_N_ELEMENTS (others); i++) {
    GError *error = NULL;

    others[i] = mmap_channel_claim (area, "other", 17, &error);
    g_assert_no_error (error);
    g_assert_cmpuint (count_owned (area, id), ==, n);
    if (i == 0)
      g_usleep (MMAP_AREA_DEAD_US);
  }
  take_frame (consumer, 1);
  mmap_consumer_free (consumer);
  for (i = 0; i < G_N_ELEMENTS (others); i++) {
    mmap_channel_end (others[i]);
    mmap_channel_unref (others[i]);
  }
  close_area (area);
}

/* --- behind a stream --- */

static int listener = -1;       /* set: the test's producer hangs up when its area is looked for */
static const char *hidden;      /* the file that isn't there when it is looked for next */

MmapAreaClient *__real_mmap_area_client_new_remote (const char *path,
    MmapArea * kept, int stream, const MmapUsers * trusted, GSocket ** socket,
    GError ** error);
MmapAreaClient *__wrap_mmap_area_client_new_remote (const char *path,
    MmapArea * kept, int stream, const MmapUsers * trusted, GSocket ** socket,
    GError ** error);

MmapAreaClient *
__wrap_mmap_area_client_new_remote (const char *path, MmapArea * kept,
    int stream, const MmapUsers * trusted, GSocket ** socket, GError ** error)
{
  if (listener >= 0)
    close (listener);
  listener = -1;
  if (hidden) {
    g_autofree char *aside = g_strconcat (hidden, "-aside", NULL);
    MmapAreaClient *client;

    g_assert_cmpint (rename (hidden, aside), ==, 0);
    client = __real_mmap_area_client_new_remote (path, kept, stream, trusted,
        socket, error);
    g_assert_null (client);
    g_assert_cmpint (rename (aside, hidden), ==, 0);
    hidden = NULL;
    return NULL;
  }
  return __real_mmap_area_client_new_remote (path, kept, stream, trusted,
      socket, error);
}

static int
listen_anywhere (char **address)
{
  struct sockaddr_in name = {.sin_family = AF_INET };
  socklen_t size = sizeof name;
  int fd = socket (AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

  name.sin_addr.s_addr = htonl (INADDR_LOOPBACK);
  g_assert_cmpint (bind (fd, (struct sockaddr *) &name, size), ==, 0);
  g_assert_cmpint (listen (fd, 8), ==, 0);
  g_assert_cmpint (getsockname (fd, (struct sockaddr *) &name, &size), ==, 0);
  *address = g_strdup_printf ("tcp:127.0.0.1:%u", ntohs (name.sin_port));
  return fd;
}

static void
look_for_producer (const char *address, const char *file, MmapError code,
    const char *reason)
{
  GError *error = NULL;
  MmapConsumer *consumer = mmap_consumer_new_remote (address, file, FALSE,
      &error);
  MmapItem item;

  g_assert_no_error (error);
  mmap_consumer_set_reconnect_timeout (consumer, 50 * 1000 * 1000);
  g_assert_true (mmap_consumer_start (consumer, &callbacks, NULL, &error));
  g_assert_cmpint (mmap_consumer_next (consumer, &item, &error), ==,
      MMAP_NEXT_ERROR);
  check_error (&error, code, reason);
  mmap_consumer_free (consumer);
}

/* The file of a producer that has just ended isn't there any more; another one may come. That of one that is there has another name. */
static void
test_just_ended (void)
{
  g_autofree char *file = leak_check_path ("nothing");
  g_autofree char *ended = NULL, *there = NULL;
  int fd;

  listener = listen_anywhere (&ended);
  look_for_producer (ended, file, MMAP_ERROR_NOT_FOUND, "No producer was at");
  fd = listen_anywhere (&there);
  look_for_producer (there, file, MMAP_ERROR_FILE, "not what it uses");
  close (fd);
}

/* One ended, and its file is gone; the next has taken its address and made another file. To who connects in between it looks as if there was a
 * producer, but not its file. */
static void
test_file_comes (void)
{
  g_autofree char *file = leak_check_path ("comes");
  g_autofree char *address =
      g_strdup_printf ("tcp:127.0.0.1:%d", 10000 + getpid () % 10000);
  MmapProducer *producer = make_area_producer (file, SIZE, address, CAPACITY);
  GError *error = NULL;
  MmapConsumer *consumer = mmap_consumer_new_remote (address, file, FALSE,
      &error);
  MmapItem item;

  g_assert_no_error (error);
  hidden = file;
  g_assert_true (mmap_consumer_start (consumer, &callbacks, NULL, &error));
  next_item (consumer, &item, MMAP_NEXT_CONNECTED);
  g_assert_null (hidden);
  mmap_consumer_free (consumer);
  end_producer (producer);
}

static gpointer
wait_for_producer (gpointer consumer)
{
  MmapItem item;

  next_item (consumer, &item, MMAP_NEXT_CONNECTED);
  return NULL;
}

/* A producer that is refused its own place, because it stood still, says so to a consumer that has just come: that waits for another one. */
static void
test_lost_its_place (void)
{
  g_autofree char *file = leak_check_path ("lost");
  g_autofree char *address = NULL;
  MmapArea *area = open_area ("lost", SIZE);
  MmapAreaEntry *entry = &area->start->channels[0];
  MmapProducer *producer;
  MmapConsumer *consumer;
  GError *error = NULL;
  MmapProducerStats stats;
  MmapChannelInfo info;
  MmapMailbox *mailbox;
  GThread *thread;

  /* None that the system gives to anybody. */
  address = g_strdup_printf ("tcp:127.0.0.1:%d", 20000 + getpid () % 10000);
  producer = make_area_producer (file, SIZE, address, 0);
  consumer = mmap_consumer_new_remote (address, file, FALSE, &error);
  g_assert_no_error (error);
  g_assert_true (mmap_consumer_start (consumer, &callbacks, NULL, &error));
  thread = g_thread_new ("consumer", wait_for_producer, consumer);
  mmap_channel_read (area, 0, &info);
  mailbox = &mmap_channel_info_get_slot (area, &info, 0)->mailbox;
  while (__atomic_load_n (&mailbox->served, __ATOMIC_ACQUIRE) == 0)
    g_usleep (1000);
  __atomic_store_n (&entry->owner, 17, __ATOMIC_RELEASE);
  do {
    __atomic_add_fetch (&entry->heartbeat, 1, __ATOMIC_RELAXED);
    g_usleep (MMAP_AREA_BEAT_US / 2);
    mmap_producer_get_stats (producer, &stats);
  } while (stats.failures[MMAP_ERROR_IN_USE] == 0);
  end_producer (producer);
  __atomic_store_n (&entry->owner, 0, __ATOMIC_RELEASE);

  producer = make_area_producer (file, SIZE, address, CAPACITY);
  g_thread_join (thread);
  mmap_consumer_free (consumer);
  end_producer (producer);
  close_area (area);
}

/* --- a token that isn't there --- */

typedef struct
{
  char *address;                /* NULL: the producer stays */
  const char *file;
  MmapProducer *producer;
} Stage;

static guint n_wrong_tokens;    /* so many looks of the consumer find another one */
static Stage *stage;

gboolean __real_mmap_token_check (const MmapToken * token,
    const guint8 * memory);
gboolean __wrap_mmap_token_check (const MmapToken * token,
    const guint8 * memory);

gboolean
__wrap_mmap_token_check (const MmapToken * token, const guint8 * memory)
{
  if (n_wrong_tokens == 0)
    return __real_mmap_token_check (token, memory);
  n_wrong_tokens--;
  /* Who ends wipes its token: so it looks to who has been offered it just before. */
  if (stage->address) {
    end_producer (stage->producer);
    stage->producer = make_area_producer (stage->file, SIZE, stage->address,
        CAPACITY);
  }
  return FALSE;
}

/* n_wrong: how often the memory is not what the offer says; ends: since its producer was just ending. */
static MmapNextResult
meet_with_wrong_tokens (guint n_wrong, gboolean ends, GError ** error)
{
  g_autofree char *file = leak_check_path ("tokens");
  g_autofree char *address =
      g_strdup_printf ("tcp:127.0.0.1:%d", 10000 + getpid () % 10000);
  Stage here = { ends ? address : NULL, file, NULL };
  MmapArea *area = open_area ("tokens", SIZE);
  MmapConsumer *consumer;
  MmapNextResult next;
  MmapItem item;
  GError *cause = NULL;

  here.producer = make_area_producer (file, SIZE, address, CAPACITY);
  consumer = mmap_consumer_new_remote (address, file, FALSE, &cause);
  g_assert_no_error (cause);
  g_assert_true (mmap_consumer_start (consumer, &callbacks, NULL, &cause));
  stage = &here;
  n_wrong_tokens = n_wrong;
  next = mmap_consumer_next (consumer, &item, error);
  g_assert_cmpuint (n_wrong_tokens, ==, 0);
  mmap_consumer_free (consumer);
  end_producer (here.producer);
  close_area (area);
  return next;
}

/* Of a producer that stays, and offers memory that isn't what the consumer has opened: once may be chance, twice is not. */
static void
test_wrong_token (void)
{
  GError *error = NULL;

  g_assert_cmpint (meet_with_wrong_tokens (1, FALSE, &error), ==,
      MMAP_NEXT_CONNECTED);
  g_assert_no_error (error);
  g_assert_cmpint (meet_with_wrong_tokens (2, FALSE, &error), ==,
      MMAP_NEXT_ERROR);
  check_error (&error, MMAP_ERROR_TOKEN, "oken");
}

/* Of producers that end while their offer is looked at: however often, the consumer waits for one that stays. */
static void
test_token_of_ended (void)
{
  GError *error = NULL;

  g_assert_cmpint (meet_with_wrong_tokens (3, TRUE, &error), ==,
      MMAP_NEXT_CONNECTED);
  g_assert_no_error (error);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  leak_check_add_test ("/area-end/unread", test_unread);
  leak_check_add_test ("/area-end/other-name", test_other_name);
  leak_check_add_test ("/area-end/just-ended", test_just_ended);
  leak_check_add_test ("/area-end/file-comes", test_file_comes);
  leak_check_add_test ("/area-end/lost-its-place", test_lost_its_place);
  leak_check_add_test ("/area-end/wrong-token", test_wrong_token);
  leak_check_add_test ("/area-end/token-of-ended", test_token_of_ended);
  return g_test_run ();
}
