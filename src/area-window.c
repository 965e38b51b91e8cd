/* gst-mmap: windows of an area: slices that belong to a channel
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Claimed when a channel starts and for each region; freed when the last block of a region is. Any thread.
 */
#include "area-channel-private.h"

#include "atomics.h"
#include "error.h"
#include "token.h"

/* How long it is looked who lives, when slices are needed that somebody seems to have left; chosen: longer than a heartbeat may fail to come. */
#define OBSERVE_US (MMAP_AREA_DEAD_US + 3 * MMAP_AREA_BEAT_US)

/* When others claim slices at the same time; chosen, untuned. */
#define MAX_ATTEMPTS 16
#define PAUSE_US 10000

static guint64 *
get_owner (const MmapArea * area, guint slice)
{
  return &area->start->owners[slice];
}

void
mmap_area_free_slices (MmapArea * area, guint64 id)
{
  guint i;

  for (i = 1; i < area->slice_count; i++) {
    guint64 owner = id;

    mmap_swap_release (get_owner (area, i), &owner, 0);
  }
}

static gboolean
has_entry (const MmapArea * area, guint64 id)
{
  guint c;

  for (c = 0; c < MMAP_AREA_CHANNELS; c++)
    /* Acquire: who is there no more was there before. Pairs with the releases in take_entry() and leave_entry(). */
    if (mmap_load_acquire (&area->start->channels[c].owner) == id
        || mmap_load_relaxed (&area->start->channels[c].before) == id)
      return TRUE;
  return FALSE;
}

void
mmap_area_free_orphans (MmapArea * area)
{
  guint i;

  for (i = 1; i < area->slice_count; i++) {
    guint64 owner = mmap_load_relaxed (get_owner (area, i));

    if (owner != 0 && !has_entry (area, owner))
      mmap_swap_release (get_owner (area, i), &owner, 0);
  }
}

/* Slices that were looked at: whose they were, and which may be had. */
typedef struct
{
  guint64 owners[MMAP_AREA_MAX_SLICES];
  gboolean free[MMAP_AREA_MAX_SLICES];
} Slices;

/* Our own windows are where they are, whatever the words say. */
static void
slices_keep_windows_locked (Slices * slices, const MmapChannel * channel)
{
  guint w, i;

  for (w = 0; w < channel->windows->len; w++) {
    const MmapWindow *window = g_ptr_array_index (channel->windows, w);

    for (i = window->first; i < window->first + window->n; i++)
      slices->free[i] = FALSE;
  }
}

static void
slices_keep_windows (Slices * slices, MmapChannel * channel)
{
  g_mutex_lock (&channel->lock);
  slices_keep_windows_locked (slices, channel);
  g_mutex_unlock (&channel->lock);
}

static void
slices_read (Slices * slices, MmapChannel * channel)
{
  guint i;

  for (i = 1; i < channel->area->slice_count; i++) {
    slices->owners[i] = mmap_load_acquire (get_owner (channel->area, i));
    slices->free[i] = slices->owners[i] == 0;
  }
  slices_keep_windows (slices, channel);
}

/* Also those of the owner whose entry was taken over. */
static void
slices_inherit (Slices * slices, MmapChannel * channel)
{
  guint i;

  for (i = 1; i < channel->area->slice_count && channel->heir_of != 0; i++)
    if (slices->owners[i] == channel->heir_of)
      slices->free[i] = TRUE;
  slices_keep_windows (slices, channel);
}

/* Returns: the first run of @n free slices, or the longest if there is none; @found: (out): how long it is */
static guint
slices_find (const Slices * slices, const MmapArea * area, guint n,
    guint * found)
{
  guint i, run = 0, best = 0, best_end = 0;

  for (i = 1; i < area->slice_count && best < n; i++) {
    run = slices->free[i] ? run + 1 : 0;
    if (run > best) {
      best = run;
      best_end = i + 1;
    }
  }
  *found = best;
  return best_end - best;
}

/* Whether any are neither free nor @id's. */
static gboolean
slices_have_others (const Slices * slices, const MmapArea * area, guint64 id)
{
  guint i;

  for (i = 1; i < area->slice_count; i++)
    if (slices->owners[i] != 0 && slices->owners[i] != id && !slices->free[i])
      return TRUE;
  return FALSE;
}

/* Sees to those whose owner has no entry that lives. Takes more than a second, unless all have gone whose processes can be seen. */
static void
slices_free_dead (Slices * slices, MmapChannel * channel)
{
  MmapArea *area = channel->area;
  MmapPulse pulses[MMAP_AREA_CHANNELS] = { 0 };
  gboolean dead[MMAP_AREA_CHANNELS], alive;
  MmapChannelInfo infos[MMAP_AREA_CHANNELS];
  gint64 now, looked = 0, until = 0;
  guint i, c, began = 0;

  for (;;) {
    now = g_get_monotonic_time ();
    /* What it saw before it stood still doesn't count. */
    if (began == 0 || (now - looked > MMAP_AREA_STILL_US
            && began < MAX_ATTEMPTS)) {
      began++;
      until = now + OBSERVE_US;
    }
    looked = now;
    for (c = 0; c < MMAP_AREA_CHANNELS; c++) {
      mmap_channel_read (area, c, &infos[c]);
      dead[c] = mmap_pulse_is_dead (&pulses[c], infos[c].heartbeat, now)
          || mmap_area_peer_is_gone (&infos[c].peer);
    }
    if (now >= until)
      break;
    mmap_channel_beat_unclaimed (channel);
    g_usleep (MMAP_AREA_BEAT_US / 2);
  }
  for (i = 1; i < area->slice_count; i++) {
    alive = FALSE;
    for (c = 0; c < MMAP_AREA_CHANNELS; c++)
      if (infos[c].owner == slices->owners[i] && !dead[c])
        alive = TRUE;
    /* Who has changed hands meanwhile is found out by the swap. */
    slices->free[i] = slices->owners[i] == 0 || !alive;
  }
  slices_keep_windows (slices, channel);
}

/* FALSE: somebody was quicker. */
static gboolean
slices_take_locked (Slices * slices, MmapChannel * channel, guint first,
    guint n)
{
  MmapArea *area = channel->area;
  guint64 id = channel->id;
  guint i;

  /* Another thread of ours may have taken them, and somebody overwritten the words. */
  slices_keep_windows_locked (slices, channel);
  for (i = first; i < first + n; i++)
    if (!slices->free[i])
      return FALSE;
  for (i = first; i < first + n; i++) {
    guint64 owner = slices->owners[i];

    if (!mmap_swap_release (get_owner (area, i), &owner, id))
      break;
  }
  if (i == first + n)
    return TRUE;
  while (i-- > first) {
    guint64 owner = id;

    mmap_swap_release (get_owner (area, i), &owner, 0);
  }
  return FALSE;
}

/* %NULL: somebody was quicker. */
static MmapWindow *
window_take (MmapChannel * channel, Slices * slices, guint first, guint n)
{
  MmapWindow *window = NULL;

  g_mutex_lock (&channel->lock);
  if (slices_take_locked (slices, channel, first, n)) {
    window = g_new0 (MmapWindow, 1);
    window->channel = mmap_channel_ref (channel);
    window->first = first;
    window->n = n;
    window->offset = first * channel->area->slice_bytes;
    window->size = n * channel->area->slice_bytes;
    g_ptr_array_add (channel->windows, window);
  }
  g_mutex_unlock (&channel->lock);
  return window;
}

MmapWindow *
mmap_window_claim (MmapChannel * channel, guint64 bytes, guint64 at_least,
    GError ** error)
{
  MmapArea *area = channel->area;
  guint64 n = (bytes + area->slice_bytes - 1) / area->slice_bytes;
  guint64 least = (at_least + area->slice_bytes - 1) / area->slice_bytes;
  guint first, found = 0, attempt;
  gboolean looked = FALSE;
  MmapWindow *window;
  Slices slices;

  n = MIN (n, area->slice_count);
  for (attempt = 0; attempt < MAX_ATTEMPTS; attempt++) {
    slices_read (&slices, channel);
    first = slices_find (&slices, area, n, &found);
    if (found < n) {
      slices_inherit (&slices, channel);
      first = slices_find (&slices, area, n, &found);
    }
    if (found < n && !looked && slices_have_others (&slices, area, channel->id)) {
      looked = TRUE;
      slices_free_dead (&slices, channel);
      first = slices_find (&slices, area, n, &found);
    }
    found = MIN (found, n);
    if (found == 0 || found < least)
      break;
    window = window_take (channel, &slices, first, found);
    if (window)
      return window;
    looked = FALSE;
    g_usleep (mmap_random_below (PAUSE_US));
  }
  g_set_error (error, MMAP_ERROR, MMAP_ERROR_NO_SPACE,
      "%s of %" G_GSIZE_FORMAT " bytes has no room for %" G_GUINT64_FORMAT
      " bytes of channel %s, but for %" G_GUINT64_FORMAT
      ": set a smaller size, "
      "or use a larger file; others have the rest (gst-mmap list)", area->path,
      area->size, bytes, (const char *) channel->name,
      found * area->slice_bytes);
  return NULL;
}

void
mmap_window_free (MmapWindow * window)
{
  MmapChannel *channel = window->channel;
  guint i;

  g_mutex_lock (&channel->lock);
  g_ptr_array_remove_fast (channel->windows, window);
  /* After the end they may be others' already, but for the number. */
  for (i = window->first; i < window->first + window->n
      && !channel->bequeaths; i++) {
    guint64 owner = channel->id;

    mmap_swap_release (get_owner (channel->area, i), &owner, 0);
  }
  g_mutex_unlock (&channel->lock);
  mmap_channel_unref (channel);
  g_free (window);
}

/* Of one slice. FALSE: another one has it, and lives. */
static gboolean
keep_slice (MmapChannel * channel, guint slice, gint64 now_us,
    gboolean * damaged, gboolean * robbed)
{
  guint64 *word = get_owner (channel->area, slice);
  guint64 owner = mmap_load_acquire (word);

  if (owner == channel->id)
    return TRUE;
  *damaged = TRUE;
  *robbed = TRUE;
  if (owner != 0 && mmap_channel_is_alive (channel, owner))
    return FALSE;
  if (owner == 0 || (channel->robbed_us != 0
          && now_us - channel->robbed_us > OBSERVE_US))
    mmap_swap_release (word, &owner, channel->id);
  return TRUE;
}

gboolean
mmap_channel_keep_windows (MmapChannel * channel, gint64 now_us,
    gboolean * damaged, GError ** error)
{
  gboolean robbed = FALSE, kept = TRUE;
  guint w, i;

  g_mutex_lock (&channel->lock);
  for (w = 0; w < channel->windows->len; w++) {
    MmapWindow *window = g_ptr_array_index (channel->windows, w);

    for (i = window->first; i < window->first + window->n && kept; i++)
      kept = keep_slice (channel, i, now_us, damaged, &robbed);
  }
  g_mutex_unlock (&channel->lock);
  if (!robbed)
    channel->robbed_us = 0;
  else if (channel->robbed_us == 0)
    channel->robbed_us = now_us;
  if (!kept)
    g_set_error (error, MMAP_ERROR, MMAP_ERROR_IN_USE,
        "While this process stood still, another one took memory of channel %s "
        "in %s: start it anew", (const char *) channel->name,
        channel->area->path);
  return kept;
}
