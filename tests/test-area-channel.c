/* gst-mmap: tests of an area's channels and windows: who may have what, of many at once, living and dead
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "area-channel-private.h"
#include "areas.h"
#include "error.h"
#include "leak-check.h"
#include "peers.h"

#include <gmodule.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define SIZE (G_GUINT64_CONSTANT (64) << 20)
#define SESSION 4711
#define SECOND G_USEC_PER_SEC

/* Microseconds that this process has stood still. */
static gint64 stood_still_us;

gint64 __real_g_get_monotonic_time (void);
G_MODULE_EXPORT gint64 __wrap_g_get_monotonic_time (void);

gint64
__wrap_g_get_monotonic_time (void)
{
  return __real_g_get_monotonic_time ()
      + __atomic_load_n (&stood_still_us, __ATOMIC_RELAXED);
}

static MmapChannel *
claim (MmapArea * area, const char *name)
{
  GError *error = NULL;
  MmapChannel *channel = mmap_channel_claim (area, name, SESSION, &error);

  g_assert_no_error (error);
  return channel;
}

static void
end (MmapChannel * channel)
{
  mmap_channel_end (channel);
  mmap_channel_unref (channel);
}

static void
check_claim_refused (MmapArea * area, const char *name, MmapError code,
    const char *reason)
{
  GError *error = NULL;

  g_assert_null (mmap_channel_claim (area, name, SESSION, &error));
  check_error (&error, code, reason);
}

static guint
count_owned (MmapArea * area, guint64 id)
{
  guint i, n = 0;

  for (i = 0; i < area->slice_count; i++)
    n += area->start->owners[i] == id;
  return n;
}

static void
beat (MmapChannel * channel)
{
  gboolean damaged;

  g_assert_true (mmap_channel_beat (channel, &damaged, NULL));
}

/* Beats until it is told to stop. */
typedef struct
{
  MmapChannel *channel;
  GThread *thread;
  gint stop;
} Heart;

static gpointer
beat_on (gpointer data)
{
  Heart *heart = data;

  while (!g_atomic_int_get (&heart->stop)) {
    beat (heart->channel);
    g_usleep (MMAP_AREA_BEAT_US / 4);
  }
  return NULL;
}

static void
heart_start (Heart * heart, MmapChannel * channel)
{
  heart->channel = channel;
  heart->stop = FALSE;
  heart->thread = g_thread_new ("heart", beat_on, heart);
}

static void
heart_stop (Heart * heart)
{
  g_atomic_int_set (&heart->stop, TRUE);
  g_thread_join (heart->thread);
}

/* --- names --- */

static void
test_names (void)
{
  MmapArea *area = open_area ("names", SIZE);
  char name[MMAP_AREA_NAME_BYTES + 1];
  MmapChannelInfo info;
  MmapChannel *channel;

  memset (name, 'x', sizeof name - 1);
  name[sizeof name - 1] = '\0';
  check_claim_refused (area, "", MMAP_ERROR_SETTING, "1 to 63");
  check_claim_refused (area, name, MMAP_ERROR_SETTING, "1 to 63");
  check_claim_refused (area, "\xff", MMAP_ERROR_SETTING, "no UTF-8");
  name[MMAP_AREA_NAME_BYTES - 1] = '\0';
  channel = claim (area, name);
  mmap_channel_read (area, channel->entry, &info);
  g_assert_cmpstr (info.name, ==, name);
  g_assert_cmpuint (info.session, ==, SESSION);
  g_assert_cmpuint (info.peer.pid, ==, getpid ());
  g_assert_nonnull (mmap_channel_info_get_slot (area, &info,
          info.link_count - 1));
  g_assert_null (mmap_channel_info_get_slot (area, &info, info.link_count));
  end (channel);
  close_area (area);
}

static void
test_all_taken (void)
{
  MmapArea *area = open_area ("taken", SIZE);
  MmapChannel *channels[MMAP_AREA_CHANNELS];
  guint i;

  for (i = 0; i < MMAP_AREA_CHANNELS; i++) {
    g_autofree char *name = g_strdup_printf ("channel %u", i);

    channels[i] = claim (area, name);
  }
  /* They live: this process does. But nobody knows before they have beaten for a while, or not. */
  for (i = 0; i < MMAP_AREA_CHANNELS; i++)
    g_assert_cmpuint (channels[i]->entry, ==, i);
  {
    Heart hearts[MMAP_AREA_CHANNELS];

    for (i = 0; i < MMAP_AREA_CHANNELS; i++)
      heart_start (&hearts[i], channels[i]);
    check_claim_refused (area, "one more", MMAP_ERROR_LIMIT, "16 channels");
    check_claim_refused (area, "channel 7", MMAP_ERROR_IN_USE,
        "choose another");
    for (i = 0; i < MMAP_AREA_CHANNELS; i++)
      heart_stop (&hearts[i]);
  }
  end (channels[7]);
  channels[7] = claim (area, "one more");
  g_assert_cmpuint (channels[7]->entry, ==, 7);
  for (i = 0; i < MMAP_AREA_CHANNELS; i++)
    end (channels[i]);
  g_assert_cmpuint (count_owned (area, 0), ==, area->slice_count);
  close_area (area);
}

/* --- several at once --- */

static void
claim_and_hold (MmapArea * area, const char *name, int result_fd, int stop_fd)
{
  g_autoptr (GError) error = NULL;
  MmapChannel *channel = mmap_channel_claim (area, name, SESSION, &error);
  char byte = channel ? 'y' : error->code == MMAP_ERROR_IN_USE ? 'n' : '?';
  Heart heart;

  if (channel)
    heart_start (&heart, channel);
  g_assert_cmpint (write (result_fd, &byte, 1), ==, 1);
  g_assert_cmpint (read (stop_fd, &byte, 1), ==, 0);
  _exit (0);
}

#define RIVALS 4

/* Of many that claim one name exactly one has it, and all that it has. They end as if killed. */
static void
test_rivals (void)
{
  MmapArea *area = open_area ("rivals", SIZE);
  guint round, i, n;

  for (round = 0; round < 3; round++) {
    int results[2], stop[2];
    pid_t children[RIVALS];
    char bytes[RIVALS];

    g_assert_cmpint (pipe (results), ==, 0);
    g_assert_cmpint (pipe (stop), ==, 0);
    for (i = 0; i < RIVALS; i++) {
      children[i] = fork ();
      if (children[i] == 0) {
        close (stop[1]);
        claim_and_hold (area, "default", results[1], stop[0]);
      }
    }
    for (i = 0; i < RIVALS; i++)
      g_assert_cmpint (read (results[0], &bytes[i], 1), ==, 1);
    for (i = n = 0; i < RIVALS; i++)
      n += bytes[i] == 'y';
    g_assert_cmpuint (n, ==, 1);
    for (i = n = 0; i < MMAP_AREA_CHANNELS; i++)
      n += area->start->channels[i].session != 0;
    g_assert_cmpuint (n, ==, 1);
    close (stop[1]);
    for (i = 0; i < RIVALS; i++)
      waitpid (children[i], NULL, 0);
    close (stop[0]);
    close (results[0]);
    close (results[1]);
  }
  close_area (area);
}

/* A process claims @bytes, and dies. Returns: its number */
static guint64
claim_and_die (MmapArea * area, guint64 bytes)
{
  pid_t child = fork ();
  int status;

  if (child == 0) {
    MmapChannel *channel = mmap_channel_claim (area, "default", SESSION, NULL);

    _exit (channel && mmap_window_claim (channel, bytes, bytes, NULL) ? 0 : 1);
  }
  g_assert_cmpint (waitpid (child, &status, 0), ==, child);
  g_assert_cmpint (status, ==, 0);
  return area->start->channels[0].owner;
}

/* What a killed process had is there for the next, at once; but that is used last: somebody may still look at it. */
static void
test_killed (void)
{
  MmapArea *area = open_area ("killed", SIZE);
  guint64 dead[2];
  guint n;
  MmapWindow *elsewhere, *there;
  MmapChannel *channel;

  dead[0] = claim_and_die (area, SIZE / 8);
  dead[1] = claim_and_die (area, SIZE / 4);
  g_assert_cmpuint (dead[0], !=, dead[1]);
  g_assert_cmpuint (count_owned (area, dead[0]), >=, area->slice_count / 8);
  n = count_owned (area, dead[1]);
  g_assert_cmpuint (n, >=, area->slice_count / 4);
  channel = claim (area, "default");
  g_assert_cmpuint (channel->entry, ==, 0);
  /* Nobody has asked for that of the one before. */
  g_assert_cmpuint (count_owned (area, dead[0]), ==, 0);
  elsewhere = mmap_window_claim (channel, SIZE / 4, SIZE / 4, NULL);
  g_assert_nonnull (elsewhere);
  g_assert_cmpuint (count_owned (area, dead[1]), ==, n);
  there = mmap_window_claim (channel, SIZE, 1, NULL);
  g_assert_nonnull (there);
  g_assert_cmpuint (count_owned (area, dead[1]), <, n);
  mmap_window_free (there);
  mmap_window_free (elsewhere);
  end (channel);
  g_assert_cmpuint (count_owned (area, 0), ==, area->slice_count);
  close_area (area);
}

static gpointer
stand_still (gpointer data)
{
  g_usleep (SECOND / 3);
  __atomic_add_fetch (&stood_still_us, 3 * SECOND, __ATOMIC_RELAXED);
  return NULL;
}

/* Whose heartbeats nobody has heard for a second is dead; who has stood still meanwhile listens for another one. */
static void
test_dead_while_still (void)
{
  MmapArea *area = open_area ("still", SIZE);
  MmapChannel *channel;
  MmapWindow *window;
  GThread *thread;
  GError *error = NULL;

  claim_and_die (area, SIZE / 2);
  /* Of another kernel, whose processes can't be seen. */
  area->start->channels[0].boot_id++;
  channel = claim (area, "other");
  thread = g_thread_new ("still", stand_still, NULL);
  window = mmap_window_claim (channel, SIZE, SIZE / 2, &error);
  g_assert_no_error (error);
  g_thread_join (thread);
  mmap_window_free (window);
  end (channel);
  close_area (area);
}

/* --- windows --- */

static void
test_windows (void)
{
  MmapArea *area = open_area ("windows", SIZE);
  MmapChannel *channel = claim (area, "default");
  MmapWindow *windows[MMAP_AREA_MAX_SLICES], *one;
  guint free_slices = count_owned (area, 0) - 1, i;
  GError *error = NULL;

  for (i = 0; i < free_slices; i++) {
    windows[i] = mmap_window_claim (channel, 1, 1, &error);
    g_assert_no_error (error);
    g_assert_cmpuint (windows[i]->n, ==, 1);
  }
  g_assert_null (mmap_window_claim (channel, 1, 1, &error));
  check_error (&error, MMAP_ERROR_NO_SPACE, "no room");
  /* Two that are apart are no room for two. */
  mmap_window_free (windows[3]);
  mmap_window_free (windows[5]);
  g_assert_null (mmap_window_claim (channel, area->slice_bytes + 1,
          area->slice_bytes + 1, &error));
  check_error (&error, MMAP_ERROR_NO_SPACE, "no room");
  one = mmap_window_claim (channel, SIZE, 1, &error);
  g_assert_cmpuint (one->n, ==, 1);
  mmap_window_free (windows[4]);
  windows[4] = mmap_window_claim (channel, G_MAXUINT64 / 2, 1, &error);
  g_assert_cmpuint (windows[4]->n, ==, 2);
  mmap_window_free (one);
  for (i = 0; i < free_slices; i++)
    if (i != 3 && i != 5)
      mmap_window_free (windows[i]);
  g_assert_cmpuint (count_owned (area, 0), ==, free_slices + 1);
  end (channel);
  close_area (area);
}

#define N_HEIRS 300

/* Looks whose the entry is, and whose it was, all the time. */
typedef struct
{
  MmapAreaEntry *entry;
  guint64 owner;
  gint seen;                    /* atomic: so many have come */
} Watcher;

static gpointer
watch_heirs (gpointer data)
{
  Watcher *watcher = data;
  gint i;

  for (i = 1; i <= N_HEIRS; i++) {
    guint64 owner, before;

    do {
      owner = __atomic_load_n (&watcher->entry->owner, __ATOMIC_ACQUIRE);
      before = __atomic_load_n (&watcher->entry->before, __ATOMIC_RELAXED);
    } while (owner == watcher->owner);
    g_assert_cmpuint (before, ==, watcher->owner);
    watcher->owner = owner;
    g_atomic_int_set (&watcher->seen, i);
  }
  return NULL;
}

/* There is no moment at which the number of a killed producer is nowhere in its entry: what it left would seem to be nobody's to one that
 * comes to another channel. */
static void
test_heirs_seen (void)
{
  MmapArea *area = open_area ("heirs", SIZE);
  MmapChannel *channel = claim (area, "default"), *heir;
  Watcher watcher = { &area->start->channels[0], channel->id, 0 };
  pid_t gone = fork ();
  GThread *thread;
  gint i;

  if (gone == 0)
    _exit (0);
  g_assert_cmpint (waitpid (gone, NULL, 0), ==, gone);
  thread = g_thread_new ("watcher", watch_heirs, &watcher);
  for (i = 1; i <= N_HEIRS; i++) {
    __atomic_store_n (&watcher.entry->pid, gone, __ATOMIC_RELAXED);
    heir = claim (area, "default");
    g_assert_cmpuint (heir->entry, ==, 0);
    while (g_atomic_int_get (&watcher.seen) < i)
      g_thread_yield ();
    end (channel);
    channel = heir;
  }
  g_thread_join (thread);
  end (channel);
  close_area (area);
}

static gpointer
take_windows (gpointer data)
{
  MmapChannel *channel = data;
  guint i;

  for (i = 0; i < 300; i++) {
    MmapWindow *window = mmap_window_claim (channel, channel->area->slice_bytes
        * (1 + i % 5), 1, NULL);

    if (!window)
      continue;
    /* It is nobody else's. */
    memset (channel->area->base + window->offset, i, 64);
    g_thread_yield ();
    g_assert_cmpuint (channel->area->base[window->offset + 63], ==, i & 0xff);
    mmap_window_free (window);
  }
  return NULL;
}

/* Threads of two channels. */
static void
test_windows_at_once (void)
{
  MmapArea *area = open_area ("at-once", SIZE);
  MmapChannel *channels[2] = { claim (area, "a"), claim (area, "b") };
  GThread *threads[4];
  Heart hearts[2];
  guint i;

  for (i = 0; i < 2; i++)
    heart_start (&hearts[i], channels[i]);
  for (i = 0; i < 4; i++)
    threads[i] = g_thread_new ("windows", take_windows, channels[i / 2]);
  for (i = 0; i < 4; i++)
    g_thread_join (threads[i]);
  for (i = 0; i < 2; i++) {
    heart_stop (&hearts[i]);
    end (channels[i]);
  }
  g_assert_cmpuint (count_owned (area, 0), ==, area->slice_count);
  close_area (area);
}

/* Of an owner that is in no entry: it died before it had one, or the entry was overwritten. */
static void
test_slices_of_nobody (void)
{
  MmapArea *area = open_area ("nobody", SIZE);
  MmapChannel *channel = claim (area, "default");
  MmapWindow *window;
  guint i;

  for (i = 1; i < area->slice_count; i++)
    if (area->start->owners[i] == 0)
      area->start->owners[i] = 99;
  window = mmap_window_claim (channel, SIZE / 2, SIZE / 2, NULL);
  g_assert_nonnull (window);
  g_assert_cmpuint (count_owned (area, 99), <, area->slice_count / 2);
  mmap_window_free (window);
  end (channel);
  close_area (area);
}

/* Whatever others write, no byte is in two windows of this process. */
static void
test_own_slices_lost (void)
{
  MmapArea *area = open_area ("lost", SIZE);
  MmapChannel *channel = claim (area, "default");
  MmapWindow *first = mmap_window_claim (channel, SIZE / 4, SIZE / 4, NULL);
  MmapWindow *second;
  guint64 owner = area->start->channels[channel->entry].owner;

  memset (area->start->owners, 0, sizeof area->start->owners);
  second = mmap_window_claim (channel, SIZE / 4, SIZE / 4, NULL);
  g_assert_cmpuint (second->offset, >=, first->offset + first->size);
  mmap_window_free (second);
  /* Its own seem to be a dead one's. */
  beat (channel);
  area->start->channels[channel->entry].owner = 17;
  second = mmap_window_claim (channel, SIZE, 1, NULL);
  g_assert_nonnull (second);
  g_assert_true (second->offset >= first->offset + first->size
      || second->offset + second->size <= first->offset);
  area->start->channels[channel->entry].owner = owner;
  mmap_window_free (first);
  mmap_window_free (second);
  end (channel);
  close_area (area);
}

/* --- heartbeats --- */

static gpointer
claim_default (gpointer area)
{
  return claim (area, "default");
}

/* Who looks whether slices are a dead one's says meanwhile that it lives, or another would take the name. */
static void
test_beats_while_claiming (void)
{
  MmapArea *area = open_area ("claiming", SIZE);
  MmapAreaEntry *entry = &area->start->channels[0];
  guint64 last = 0, now;
  GThread *thread;
  guint i, beats = 0;

  for (i = 1; i < area->slice_count; i++)
    area->start->owners[i] = 17;
  thread = g_thread_new ("claim", claim_default, area);
  while (__atomic_load_n (&entry->session, __ATOMIC_ACQUIRE) == 0) {
    now = __atomic_load_n (&entry->heartbeat, __ATOMIC_RELAXED);
    beats += now != last;
    last = now;
    g_usleep (5000);
  }
  g_assert_cmpuint (beats, >, 2);
  end (g_thread_join (thread));
  close_area (area);
}

static void
test_garbage (void)
{
  MmapArea *area = open_area ("garbage", SIZE);
  MmapChannel *channel = claim (area, "default");
  MmapWindow *window = mmap_window_claim (channel, SIZE / 4, SIZE / 4, NULL);
  MmapAreaStart *good = g_memdup2 (area->start, sizeof *good);
  gboolean damaged;
  guint round;

  for (round = 0; round < 2; round++) {
    gint64 began = g_get_monotonic_time ();

    memset (area->start, round ? 0xff : 0, sizeof *area->start);
    /* Zeros are written back at once; another's number when that is known to be dead. */
    do {
      g_assert_true (mmap_channel_beat (channel, &damaged, NULL));
      g_usleep (MMAP_AREA_BEAT_US / 2);
      g_assert_cmpint (g_get_monotonic_time () - began, <, 60 * SECOND);
    } while (damaged);
    g_assert_cmpmem (&area->start->header, 44, &good->header, 44);
    g_assert_cmpuint (count_owned (area, channel->id), ==,
        window->n + channel->links->n);
    good->channels[channel->entry].heartbeat =
        area->start->channels[channel->entry].heartbeat;
    /* What is reserved is nobody's. */
    area->start->channels[channel->entry].reserved0 = 0;
    g_assert_cmpmem (&area->start->channels[channel->entry], 144,
        &good->channels[channel->entry], 144);
  }
  g_free (good);
  mmap_window_free (window);
  end (channel);
  close_area (area);
}

/* It stood still, and another one has its channel, and links: that one is not disturbed. */
static void
test_stood_still (void)
{
  MmapArea *area = open_area ("still", SIZE);
  MmapChannel *first = claim (area, "default"), *second;
  GError *error = NULL;
  gboolean damaged;
  Heart heart;

  g_usleep (MMAP_AREA_DEAD_US);
  second = claim (area, "default");
  g_assert_cmpuint (second->entry, ==, first->entry);
  heart_start (&heart, second);
  while (mmap_channel_beat (first, &damaged, &error))
    g_usleep (MMAP_AREA_BEAT_US / 2);
  check_error (&error, MMAP_ERROR_IN_USE, "stood still");
  heart_stop (&heart);
  mmap_channel_end (first);
  g_assert_cmpuint (area->start->channels[second->entry].session, ==, SESSION);
  g_assert_cmpuint (area->start->channels[second->entry].owner, ==, second->id);
  mmap_channel_unref (first);
  end (second);
  close_area (area);
}

static void
test_pulse (void)
{
  MmapPulse pulse = { 0 };
  gint64 now = 5 * SECOND;
  guint64 value;

  g_assert_false (mmap_pulse_is_dead (&pulse, 0, now));
  g_assert_false (mmap_pulse_is_alive (&pulse));
  for (value = 1; value < 30; value++) {
    now += MMAP_AREA_BEAT_US;
    g_assert_false (mmap_pulse_is_dead (&pulse, value, now));
    g_assert_cmpint (mmap_pulse_is_alive (&pulse), ==, value >= 2);
  }
  /* A second of its own clock, and not before. */
  for (; now <= pulse.changed_us + MMAP_AREA_DEAD_US; now += 10000)
    g_assert_false (mmap_pulse_is_dead (&pulse, value - 1, now));
  g_assert_true (mmap_pulse_is_dead (&pulse, value - 1, now));
  /* It comes back. */
  g_assert_false (mmap_pulse_is_dead (&pulse, value, now));
  /* Who has stood still itself begins anew. */
  now += 100 * SECOND;
  g_assert_false (mmap_pulse_is_dead (&pulse, value, now));
  g_assert_false (mmap_pulse_is_alive (&pulse));
  /* Leaps, and steps back, are no heartbeat. */
  for (; value < 20 * 1000; value += 1000, now += MMAP_AREA_BEAT_US)
    mmap_pulse_is_dead (&pulse, value, now);
  for (; value > 10; value--, now += MMAP_AREA_BEAT_US / 10)
    mmap_pulse_is_dead (&pulse, value, now);
  g_assert_false (mmap_pulse_is_alive (&pulse));
}

/* Who stands still while it claims a name goes on with that, however long it was. */
static void
test_stood_still_claiming (void)
{
  MmapArea *area = open_area ("still-claiming", SIZE);
  MmapChannel *dead = claim (area, "default"), *channel;
  GThread *thread = g_thread_new ("claim", claim_default, area);

  g_usleep (SECOND / 4);
  __atomic_add_fetch (&stood_still_us, 20 * SECOND, __ATOMIC_RELAXED);
  channel = g_thread_join (thread);
  g_assert_cmpuint (area->start->channels[dead->entry].owner, ==, channel->id);
  end (dead);
  end (channel);
  close_area (area);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  leak_check_add_test ("/area-channel/names", test_names);
  leak_check_add_test ("/area-channel/all-taken", test_all_taken);
  leak_check_add_test ("/area-channel/rivals", test_rivals);
  leak_check_add_test ("/area-channel/killed", test_killed);
  leak_check_add_test ("/area-channel/dead-while-still", test_dead_while_still);
  leak_check_add_test ("/area-channel/heirs-seen", test_heirs_seen);
  leak_check_add_test ("/area-channel/windows", test_windows);
  leak_check_add_test ("/area-channel/windows-at-once", test_windows_at_once);
  leak_check_add_test ("/area-channel/slices-of-nobody", test_slices_of_nobody);
  leak_check_add_test ("/area-channel/own-slices-lost", test_own_slices_lost);
  leak_check_add_test ("/area-channel/beats-while-claiming",
      test_beats_while_claiming);
  leak_check_add_test ("/area-channel/garbage", test_garbage);
  leak_check_add_test ("/area-channel/stood-still", test_stood_still);
  leak_check_add_test ("/area-channel/stood-still-claiming",
      test_stood_still_claiming);
  leak_check_add_test ("/area-channel/pulse", test_pulse);
  return g_test_run ();
}
