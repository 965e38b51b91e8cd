/* gst-mmap: how late a frame is, and what waiting for it costs, by the way in which its consumer is woken
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Two processes send each other frames: "ping" publishes one 60 times a second and waits for the answer, "pong" answers at once. Half of the
 * round trip is what one wake-up takes, whatever the two clocks say. Then nothing is sent for a while. Both say what processor they used.
 *
 *   vm-wakeups both PLACE [poll-interval ns [spin-time ns [seconds]]]     a process for each side, on one machine
 *   vm-wakeups ping|pong PLACE ...                                        one of them
 *
 * PLACE is a file, an ivshmem device or server (as file=), unix:PATH, a socket, or tcp:FILE, a file whose sides find each other through TCP.
 */
#include "blocks.h"
#include "consumer.h"
#include "producer.h"
#include "wakeup.h"

#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define RATE 60
#define FRAME_BYTES 4096
#define AREA_BYTES (16 << 20)

/* Where they listen, with tcp:. */
#define PING_ADDRESS "tcp:127.0.0.1:47480"
#define PONG_ADDRESS "tcp:127.0.0.1:47481"

typedef struct
{
  const char *place;
  gint64 poll_interval;
  gint64 spin_time;
  guint seconds;
} Options;

typedef struct
{
  MmapProducer *producer;
  MmapConsumer *consumer;
  struct rusage usage;
  gint64 since_us;
} Side;

static gint64
now_ns (void)
{
  struct timespec now;

  clock_gettime (CLOCK_MONOTONIC, &now);
  return now.tv_sec * G_GINT64_CONSTANT (1000000000) + now.tv_nsec;
}

static void
die (GError * error)
{
  if (!error)
    return;
  g_printerr ("%s\n", error->message);
  exit (1);
}

/* NULL: the channel is in a file, and found there. */
static const char *
get_remote (const Options * options, const char *channel)
{
  if (!g_str_has_prefix (options->place, "tcp:"))
    return NULL;
  return strcmp (channel, "ping") == 0 ? PING_ADDRESS : PONG_ADDRESS;
}

static const char *
get_file (const Options * options)
{
  return options->place + (g_str_has_prefix (options->place, "tcp:") ? 4 : 0);
}

static MmapProducer *
make_producer (const Options * options, const char *channel)
{
  const char *remote = get_remote (options, channel);
  static const MmapMode own = MMAP_MODE_OWN;
  MmapUsers *users = mmap_users_new (NULL, NULL);
  GError *error = NULL;
  MmapProducer *producer;

  if (g_str_has_prefix (options->place, "unix:")) {
    g_autofree char *address = g_strconcat (options->place + 5, channel, NULL);

    producer = mmap_producer_new (address, NULL, MMAP_TOKEN_DEFAULT_BYTES,
        &error);
  } else {
    producer = mmap_producer_new_in_area (get_file (options), channel,
        AREA_BYTES, &own, users, MMAP_TOKEN_DEFAULT_BYTES, &error);
  }
  die (error);
  if (remote)
    mmap_producer_listen_remote (producer, remote, FALSE, &error);
  die (error);
  mmap_users_free (users);
  mmap_producer_set_poll_interval (producer, options->poll_interval);
  mmap_producer_set_spin_time (producer, options->spin_time);
  mmap_producer_start (producer, &error);
  die (error);
  mmap_producer_set_region (producer, mmap_producer_size_for (16 * FRAME_BYTES),
      G_MAXUINT64, "video/x-test", &error);
  die (error);
  return producer;
}

static MmapConsumer *
make_consumer (const Options * options, const char *channel)
{
  const char *remote = get_remote (options, channel);
  GError *error = NULL;
  MmapConsumer *consumer;

  if (g_str_has_prefix (options->place, "unix:")) {
    g_autofree char *address = g_strconcat (options->place + 5, channel, NULL);

    consumer = mmap_consumer_new (address, &error);
  } else if (remote) {
    consumer = mmap_consumer_new_remote (remote, get_file (options), FALSE,
        &error);
  } else {
    consumer = mmap_consumer_new_in_area (options->place, channel, &error);
  }
  die (error);
  mmap_consumer_set_poll_interval (consumer, options->poll_interval);
  mmap_consumer_set_spin_time (consumer, options->spin_time);
  return consumer;
}

static void
begin (Side * side)
{
  getrusage (RUSAGE_SELF, &side->usage);
  side->since_us = g_get_monotonic_time ();
}

static gdouble
seconds_of (const struct timeval *time)
{
  return time->tv_sec + time->tv_usec / 1e6;
}

static void
report (Side * side, const char *who, const char *when)
{
  gdouble took = (g_get_monotonic_time () - side->since_us) / 1e6;
  struct rusage now;

  getrusage (RUSAGE_SELF, &now);
  g_print ("%s %s: %.2f %% of a processor, woken %.0f times a second\n", who,
      when, 100 * (seconds_of (&now.ru_utime) + seconds_of (&now.ru_stime)
          - seconds_of (&side->usage.ru_utime)
          - seconds_of (&side->usage.ru_stime)) / took,
      (now.ru_nvcsw - side->usage.ru_nvcsw) / took);
}

static void
publish (MmapProducer * producer, gint64 value)
{
  MmapDescriptor frame = { 0 };
  MmapBlock *block;

  mmap_producer_collect (producer);
  block = mmap_producer_alloc (producer, FRAME_BYTES, 64, MMAP_ALLOC_COPY);
  if (!block)
    return;
  memcpy (mmap_block_get_data (block), &value, sizeof value);
  frame.offset = block->offset;
  frame.size = FRAME_BYTES;
  frame.pts = value;
  frame.dts = frame.duration = frame.anchor = MMAP_TIME_NONE;
  if (mmap_producer_publish (producer, &frame, block,
          (GDestroyNotify) mmap_block_unref, block) != MMAP_PUBLISH_OK)
    mmap_block_unref (block);
}

/* The next frame's value; -1: the other side has gone */
static gint64
receive (MmapConsumer * consumer)
{
  MmapNextResult next;
  gint64 value = -1;

  do {
    GError *error = NULL;
    MmapItem item;

    next = mmap_consumer_next (consumer, &item, &error);
    die (error);
    if (next == MMAP_NEXT_FRAME) {
      memcpy (&value, item.data, sizeof value);
      mmap_consumer_link_release (item.link, item.descriptor.id,
          item.descriptor.size);
    }
    mmap_item_clear (&item);
  } while (next != MMAP_NEXT_FRAME && next != MMAP_NEXT_DISCONNECTED);
  return value;
}

static void
connect_both (Side * side, const Options * options, gboolean is_ping)
{
  MmapItem item;

  side->producer = make_producer (options, is_ping ? "ping" : "pong");
  side->consumer = make_consumer (options, is_ping ? "pong" : "ping");
  if (mmap_consumer_next (side->consumer, &item, NULL) != MMAP_NEXT_CONNECTED)
    exit (1);
  while (mmap_producer_get_n_links (side->producer) == 0)
    g_usleep (1000);
}

static int
compare (gconstpointer a, gconstpointer b)
{
  gint64 left = *(const gint64 *) a, right = *(const gint64 *) b;

  return (left > right) - (left < right);
}

static void
run_ping (const Options * options)
{
  guint n = options->seconds * RATE, i;
  g_autofree gint64 *trips = g_new (gint64, n);
  Side side;
  gint64 next;

  connect_both (&side, options, TRUE);
  begin (&side);
  next = now_ns ();
  for (i = 0; i < n; i++) {
    struct timespec until;
    gint64 sent;

    next += 1000000000 / RATE;
    until.tv_sec = next / 1000000000;
    until.tv_nsec = next % 1000000000;
    clock_nanosleep (CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL);
    sent = now_ns ();
    publish (side.producer, 1 + i);
    if (receive (side.consumer) < 0)
      exit (1);
    trips[i] = now_ns () - sent;
  }
  report (&side, "ping", "at 60 frames a second");
  qsort (trips, n, sizeof trips[0], compare);
  g_print ("a wake-up: p50 %.1f us, p99 %.1f us\n", trips[n / 2] / 2e3,
      trips[n * 99 / 100] / 2e3);
  publish (side.producer, 0);
  begin (&side);
  g_usleep (options->seconds * G_USEC_PER_SEC);
  report (&side, "ping", "idle");
  publish (side.producer, 0);
  g_usleep (G_USEC_PER_SEC);
}

static void
run_pong (const Options * options)
{
  gint64 value;
  Side side;

  connect_both (&side, options, FALSE);
  begin (&side);
  while ((value = receive (side.consumer)) > 0)
    publish (side.producer, value);
  report (&side, "pong", "at 60 frames a second");
  begin (&side);
  receive (side.consumer);
  report (&side, "pong", "idle");
}

int
main (int argc, char **argv)
{
  Options options = {.poll_interval = MMAP_POLL_DEFAULT_NS,
    .spin_time = MMAP_SPIN_ADAPTIVE,.seconds = 10
  };
  pid_t child = 0;

  if (argc < 3) {
    g_printerr ("Usage: %s ping|pong|both PLACE [POLL-NS [SPIN-NS [S]]]\n",
        argv[0]);
    return 2;
  }
  options.place = argv[2];
  if (argc > 3)
    options.poll_interval = g_ascii_strtoll (argv[3], NULL, 10);
  if (argc > 4)
    options.spin_time = g_ascii_strtoll (argv[4], NULL, 10);
  if (argc > 5)
    options.seconds = g_ascii_strtoll (argv[5], NULL, 10);
  if (strcmp (argv[1], "both") == 0)
    child = fork ();
  if (strcmp (argv[1], "pong") == 0
      || (strcmp (argv[1], "both") == 0 && child == 0))
    run_pong (&options);
  else
    run_ping (&options);
  if (child > 0)
    waitpid (child, NULL, 0);
  return 0;
}
