/* gst-mmap: channels of an area
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Claimed when a producer starts, then kept by the thread of its relay. Nobody is asked and nothing is locked: an entry is claimed by
 * compare-and-swap, and who lives is known by heartbeats. The spin models tests/models/area.pml and heir.pml are of this.
 */
#include "area-channel-private.h"

#include "atomics.h"
#include "error.h"
#include "token.h"

#include <string.h>

/* Consumers that are believed to have come in vain between two heartbeats; chosen: more than anybody starts. */
#define MAX_REFUSED 16

/* How often a heartbeat is looked at while it is waited for. */
#define LOOK_US 20000

/* How long it may take until a name is claimed: whoever is dead is known to be after one second, and who takes over what it left may die, too.
 * Chosen. */
#define CLAIM_TIMEOUT_US (5 * G_USEC_PER_SEC)

/* A look after longer than this is that of a process which stood still: meanwhile it has found out nothing. Chosen: ten looks. */
#define MAX_LOOK_US (10 * LOOK_US)

/* Link slots have this part of an area, and so many of them there may be; chosen: of 64 MiB 12. */
#define LINKS_PART 32
#define MIN_LINKS 2
#define MAX_LINKS 16

gboolean
mmap_channel_check_name (const char *name, GError ** error)
{
  if (name[0] != '\0' && strlen (name) < MMAP_AREA_NAME_BYTES
      && g_utf8_validate (name, -1, NULL))
    return TRUE;
  g_set_error (error, MMAP_ERROR, MMAP_ERROR_SETTING,
      "channel=%s is no name of a channel: expected 1 to %d bytes of UTF-8",
      g_utf8_validate (name, -1, NULL) ? name : "(no UTF-8)",
      MMAP_AREA_NAME_BYTES - 1);
  return FALSE;
}

/* --- entries --- */

static MmapAreaEntry *
get_entry (const MmapArea * area, guint i)
{
  return &area->start->channels[i];
}

void
mmap_channel_read (const MmapArea * area, guint i, MmapChannelInfo * info)
{
  const MmapAreaEntry *entry = get_entry (area, i);
  guint64 name[G_N_ELEMENTS (entry->name)];
  guint w;

  info->owner = mmap_load_acquire (&entry->owner);
  /* Acquire: the rest was written before. Pairs with the release in mmap_channel_claim() and mmap_channel_beat(). */
  info->session = mmap_load_acquire (&entry->session);
  info->links_offset = mmap_load_relaxed (&entry->links_offset);
  info->link_slot_bytes = mmap_load_relaxed (&entry->link_slot_bytes);
  info->link_count = mmap_load_relaxed (&entry->link_count);
  info->peer.pid = mmap_load_relaxed (&entry->pid);
  info->peer.uid = mmap_load_relaxed (&entry->uid);
  info->peer.boot_id = mmap_load_relaxed (&entry->boot_id);
  info->peer.pid_namespace = mmap_load_relaxed (&entry->pid_namespace);
  info->peer.doorbell = mmap_load_relaxed (&entry->doorbell);
  info->heartbeat = mmap_load_relaxed (&entry->heartbeat);
  info->before = mmap_load_relaxed (&entry->before);
  for (w = 0; w < G_N_ELEMENTS (name); w++)
    name[w] = mmap_load_relaxed (&entry->name[w]);
  memcpy (info->name, name, sizeof info->name);
  info->name[sizeof info->name - 1] = '\0';
}

MmapLinkSlot *
mmap_channel_info_get_slot (const MmapArea * area,
    const MmapChannelInfo * info, guint slot)
{
  guint64 bytes = sizeof (MmapLinkSlot);

  if (info->link_slot_bytes != bytes || slot >= info->link_count
      || info->link_count > MMAP_MAX_LINKS
      || info->links_offset < area->slice_bytes
      || info->links_offset % area->slice_bytes != 0
      || info->links_offset > area->size
      || info->link_count * bytes > area->size - info->links_offset)
    return NULL;
  return (MmapLinkSlot *) (area->base + info->links_offset + slot * bytes);
}

/* But for the session, which says that the rest is there. TRUE if something was not so already. */
static gboolean
describe (MmapChannel * channel)
{
  MmapAreaEntry *entry = get_entry (channel->area, channel->entry);
  guint64 links_offset = channel->links ? channel->links->offset : 0;
  gboolean changed = FALSE;
  guint w;

#define KEEP(field, value) \
  G_STMT_START { \
    if (mmap_load_relaxed (&(field)) != (value)) { \
      mmap_store_relaxed (&(field), (value)); \
      changed = TRUE; \
    } \
  } G_STMT_END
  for (w = 0; w < G_N_ELEMENTS (channel->name); w++)
    KEEP (entry->name[w], channel->name[w]);
  KEEP (entry->pid, channel->self.pid);
  KEEP (entry->uid, channel->self.uid);
  KEEP (entry->boot_id, channel->self.boot_id);
  KEEP (entry->pid_namespace, channel->self.pid_namespace);
  KEEP (entry->doorbell, channel->self.doorbell);
  KEEP (entry->before, channel->heir_of);
  KEEP (entry->links_offset, links_offset);
  KEEP (entry->link_slot_bytes, (guint32) sizeof (MmapLinkSlot));
  KEEP (entry->link_count, channel->link_count);
#undef KEEP
  return changed;
}

static void
beat (MmapChannel * channel)
{
  mmap_store_relaxed (&get_entry (channel->area, channel->entry)->heartbeat,
      ++channel->beats);
}

/* --- who lives --- */

void
mmap_channel_observe (MmapChannel * channel, gint64 now_us)
{
  guint i;

  for (i = 0; i < MMAP_AREA_CHANNELS; i++) {
    MmapAreaEntry *entry = get_entry (channel->area, i);
    guint64 owner = mmap_load_acquire (&entry->owner);

    if (owner != channel->owners[i])
      memset (&channel->pulses[i], 0, sizeof channel->pulses[i]);
    channel->owners[i] = owner;
    mmap_pulse_is_dead (&channel->pulses[i],
        mmap_load_relaxed (&entry->heartbeat), now_us);
  }
}

gboolean
mmap_channel_is_alive (const MmapChannel * channel, guint64 id)
{
  guint i;

  for (i = 0; i < MMAP_AREA_CHANNELS; i++)
    if (channel->owners[i] == id && mmap_pulse_is_alive (&channel->pulses[i]))
      return TRUE;
  return FALSE;
}

typedef enum
{
  LIFE_UNKNOWN,
  LIFE_ALIVE,
  LIFE_DEAD
} Life;

/* After mmap_channel_observe(). */
static Life
get_life (const MmapChannel * channel, guint i, const MmapChannelInfo * info)
{
  const MmapPulse *pulse = &channel->pulses[i];

  if (info->owner == 0 || mmap_area_peer_is_gone (&info->peer))
    return LIFE_DEAD;
  if (info->owner != channel->owners[i])
    return LIFE_UNKNOWN;
  if (mmap_pulse_is_alive (pulse))
    return LIFE_ALIVE;
  return pulse->looked_us - pulse->changed_us > MMAP_AREA_DEAD_US ?
      LIFE_DEAD : LIFE_UNKNOWN;
}

/* --- claiming --- */

static void
set_in_use (GError ** error, const MmapChannel * channel,
    const MmapChannelInfo * other)
{
  g_set_error (error, MMAP_ERROR, MMAP_ERROR_IN_USE,
      "Channel %s of %s belongs to a live process, pid %u%s: choose another "
      "channel, or end that process", (const char *) channel->name,
      channel->area->path, other->peer.pid,
      mmap_area_peer_is_near (&other->peer) ? "" :
      " of another machine, or of one that was started anew");
}

typedef enum
{
  LOOK_FREE,                    /* @candidate is to be had */
  LOOK_WAIT,                    /* it isn't known yet */
  LOOK_LOST                     /* with an error */
} Look;

/* Looks for an entry to claim: that of an owner of the same name who is dead or has ended, else a free one, best where nobody has left
 * anything, else that of any dead owner.
 * @owner: (out): what it holds */
static Look
look_for_entry (MmapChannel * channel, guint * candidate, guint64 * owner,
    GError ** error)
{
  gint best = 0;
  gboolean unknown = FALSE;
  guint i;

  mmap_channel_observe (channel, g_get_monotonic_time ());
  for (i = 0; i < MMAP_AREA_CHANNELS; i++) {
    MmapChannelInfo info;
    gboolean same, named;
    Life life;
    gint rank;

    mmap_channel_read (channel->area, i, &info);
    named = strcmp (info.name, (const char *) channel->name) == 0;
    same = info.owner != 0 && named;
    life = get_life (channel, i, &info);
    if (same && life == LIFE_ALIVE && info.session != 0) {
      set_in_use (error, channel, &info);
      return LOOK_LOST;
    }
    if (same && life != LIFE_DEAD)
      return LOOK_WAIT;
    unknown = unknown || life == LIFE_UNKNOWN;
    rank = life != LIFE_DEAD ? 0 : named ? 4 : info.owner != 0 ? 1 :
        info.before != 0 ? 2 : 3;
    if (rank > best) {
      best = rank;
      *candidate = i;
      *owner = info.owner;
    }
  }
  if (best > 0)
    return LOOK_FREE;
  if (unknown)
    return LOOK_WAIT;
  g_set_error (error, MMAP_ERROR, MMAP_ERROR_LIMIT,
      "%s has %d channels already, which is the limit: use another file",
      channel->area->path, MMAP_AREA_CHANNELS);
  return LOOK_LOST;
}

/* Who stands still is dead to others, and they take what it has. */
static gboolean
owns_entry (const MmapChannel * channel)
{
  return mmap_load_acquire (&get_entry (channel->area,
          channel->entry)->owner) == channel->id;
}

static void
leave_entry (MmapChannel * channel)
{
  MmapAreaEntry *entry = get_entry (channel->area, channel->entry);
  guint64 id = channel->id;

  /* It may be another's by now, who has links. */
  if (!owns_entry (channel))
    return;
  mmap_store_relaxed (&entry->session, 0);
  mmap_swap_release (&entry->owner, &id, 0);
}

void
mmap_channel_beat_unclaimed (MmapChannel * channel)
{
  if (!channel->claimed && owns_entry (channel))
    beat (channel);
}

/* Whose a free entry was; 0: nobody's, or somebody has written there who is in the area now. */
static guint64
read_before (const MmapArea * area, const MmapAreaEntry * entry)
{
  guint64 before = mmap_load_relaxed (&entry->before);
  guint i;

  for (i = 0; i < MMAP_AREA_CHANNELS; i++)
    if (mmap_load_relaxed (&get_entry (area, i)->owner) == before)
      return 0;
  return before;
}

/* While @owner, who is dead, is in the entry, and after that, its slices are no orphans: they would be if this were written later.
 * FALSE: somebody was quicker. */
static gboolean
write_before (MmapAreaEntry * entry, guint64 owner)
{
  /* Acquire: that of @owner, if that is still there, not what a successor has written. */
  guint64 before = mmap_load_acquire (&entry->before);

  return mmap_load_relaxed (&entry->owner) == owner && (before == owner
      || mmap_swap_release (&entry->before, &before, owner));
}

static gboolean
take_entry (MmapChannel * channel, guint candidate, guint64 owner)
{
  MmapAreaEntry *entry = get_entry (channel->area, candidate);
  guint64 expected = owner;

  if ((owner != 0 && !write_before (entry, owner))
      || !mmap_swap_release (&entry->owner, &expected, channel->id))
    return FALSE;
  channel->entry = candidate;
  mmap_store_relaxed (&entry->session, 0);
  channel->beats = mmap_load_relaxed (&entry->heartbeat);
  channel->refused = mmap_load_relaxed (&entry->refused);
  /* Somebody may still look at frames of the one before: its memory is used last, that of the one before it from now on. */
  channel->heir_of = owner ? owner : read_before (channel->area, entry);
  beat (channel);
  describe (channel);
  if (owner != 0)
    mmap_area_free_orphans (channel->area);
  /* The name is visible before the others' are looked at: of two who do this at once, one sees the other. */
  mmap_fence_full ();
  return TRUE;
}

/* After take_entry(): whether nobody else has the name. */
static Look
look_for_rivals (MmapChannel * channel, GError ** error)
{
  guint i;

  mmap_channel_observe (channel, g_get_monotonic_time ());
  for (i = 0; i < MMAP_AREA_CHANNELS; i++) {
    MmapChannelInfo info;

    if (i == channel->entry)
      continue;
    mmap_channel_read (channel->area, i, &info);
    if (info.owner == 0 || strcmp (info.name, (const char *) channel->name) != 0
        || get_life (channel, i, &info) == LIFE_DEAD)
      continue;
    if (info.session != 0) {
      set_in_use (error, channel, &info);
      return LOOK_LOST;
    }
    /* Neither is ready. One yields; the other waits until it has. */
    if (channel->id > info.owner) {
      leave_entry (channel);
      channel->entry = MMAP_AREA_CHANNELS;
    }
    return LOOK_WAIT;
  }
  return LOOK_FREE;
}

/* One attempt. LOOK_FREE: the name is this channel's. */
static Look
try_claim (MmapChannel * channel, GError ** error)
{
  guint64 owner = 0;
  guint candidate = 0;
  Look look;

  if (channel->entry == MMAP_AREA_CHANNELS) {
    look = look_for_entry (channel, &candidate, &owner, error);
    if (look != LOOK_FREE)
      return look;
    if (!take_entry (channel, candidate, owner))
      return LOOK_WAIT;
  } else if (!owns_entry (channel)) {
    channel->entry = MMAP_AREA_CHANNELS;
    return LOOK_WAIT;
  } else {
    beat (channel);
  }
  look = look_for_rivals (channel, error);
  if (look == LOOK_LOST)
    leave_entry (channel);
  return look;
}

static gboolean
claim_entry (MmapChannel * channel, GError ** error)
{
  gint64 looked_us = g_get_monotonic_time (), waited_us = 0;

  for (;;) {
    gint64 now_us;

    switch (try_claim (channel, error)) {
      case LOOK_FREE:
        return TRUE;
      case LOOK_LOST:
        return FALSE;
      default:
        break;
    }
    now_us = g_get_monotonic_time ();
    waited_us += MIN (now_us - looked_us, MAX_LOOK_US);
    looked_us = now_us;
    if (waited_us > CLAIM_TIMEOUT_US) {
      if (channel->entry != MMAP_AREA_CHANNELS)
        leave_entry (channel);
      g_set_error (error, MMAP_ERROR, MMAP_ERROR_IN_USE,
          "Channel %s of %s can't be had: other processes start there all the "
          "time", (const char *) channel->name, channel->area->path);
      return FALSE;
    }
    g_usleep (LOOK_US / 2 + mmap_random_below (LOOK_US));
  }
}

/* --- link slots --- */

/* What a dead owner left. The rest is written when a slot is served. */
static void
clear_slot (MmapLinkSlot * slot)
{
  mmap_store_relaxed (&slot->mailbox.served, 0);
  mmap_store_relaxed (&slot->mailbox.freed, 0);
  mmap_store_relaxed (&slot->mailbox.consumer, 0);
  mmap_store_relaxed (&slot->mailbox.left, 0);
  mmap_store_release (&slot->mailbox.claim, 0);
}

static gboolean
make_links (MmapChannel * channel, GError ** error)
{
  guint64 bytes = sizeof (MmapLinkSlot);
  guint i, n = CLAMP (channel->area->size / LINKS_PART / bytes, MIN_LINKS,
      MAX_LINKS);
  MmapWindow *links = mmap_window_claim (channel, n * bytes, n * bytes, error);

  if (!links)
    return FALSE;
  if (!mmap_area_reserve (channel->area, links->offset, links->size, error)) {
    mmap_window_free (links);
    return FALSE;
  }
  channel->links = links;
  channel->link_count = n;
  for (i = 0; i < n; i++)
    clear_slot (mmap_channel_get_slot (channel, i));
  return TRUE;
}

/* --- a channel's life --- */

MmapChannel *
mmap_channel_claim (MmapArea * area, const char *name, guint64 session,
    GError ** error)
{
  MmapChannel *channel;
  guint64 id;

  if (!mmap_channel_check_name (name, error) || !mmap_random_id (&id, error))
    return NULL;
  channel = g_new0 (MmapChannel, 1);
  channel->ref_count = 1;
  g_mutex_init (&channel->lock);
  channel->area = mmap_area_ref (area);
  channel->id = id;
  channel->session = session;
  channel->entry = MMAP_AREA_CHANNELS;
  channel->windows = g_ptr_array_new ();
  memcpy (channel->name, name, strlen (name));
  mmap_area_peer_init_self (&channel->self);
  channel->self.doorbell = mmap_area_get_doorbell_address (area);
  if (!claim_entry (channel, error)) {
    channel->ended = TRUE;
    mmap_channel_unref (channel);
    return NULL;
  }
  if (!make_links (channel, error)) {
    mmap_channel_end (channel);
    mmap_channel_unref (channel);
    return NULL;
  }
  channel->claimed = TRUE;
  /* Else the first beat says whose it is now. */
  if (owns_entry (channel)) {
    describe (channel);
    /* Release: the rest is there. Pairs with the acquire in mmap_channel_read(). */
    mmap_store_release (&get_entry (area, channel->entry)->session, session);
  }
  return channel;
}

MmapChannel *
mmap_channel_ref (MmapChannel * channel)
{
  g_atomic_int_inc (&channel->ref_count);
  return channel;
}

void
mmap_channel_unref (MmapChannel * channel)
{
  if (!g_atomic_int_dec_and_test (&channel->ref_count))
    return;
  g_ptr_array_unref (channel->windows);
  mmap_area_unref (channel->area);
  g_mutex_clear (&channel->lock);
  g_free (channel);
}

void
mmap_channel_bequeath (MmapChannel * channel)
{
  g_mutex_lock (&channel->lock);
  channel->bequeaths = TRUE;
  g_mutex_unlock (&channel->lock);
}

void
mmap_channel_end (MmapChannel * channel)
{
  MmapWindow *links;
  gboolean bequeaths;

  g_mutex_lock (&channel->lock);
  channel->ended = TRUE;
  bequeaths = channel->bequeaths;
  links = g_steal_pointer (&channel->links);
  g_mutex_unlock (&channel->lock);
  /* While it is in the entry, one way or another, no slice of it is an orphan. */
  if (owns_entry (channel))
    mmap_store_relaxed (&get_entry (channel->area, channel->entry)->before,
        bequeaths ? channel->id : 0);
  leave_entry (channel);
  if (!bequeaths)
    mmap_area_free_slices (channel->area, channel->id);
  if (channel->heir_of != 0)
    mmap_area_free_slices (channel->area, channel->heir_of);
  if (links)
    mmap_window_free (links);
}

/* FALSE with an error: another one has it, and lives. */
static gboolean
keep_entry (MmapChannel * channel, gint64 now_us, gboolean * damaged,
    GError ** error)
{
  MmapAreaEntry *entry = get_entry (channel->area, channel->entry);
  guint64 owner = mmap_load_acquire (&entry->owner);
  MmapPulse *pulse = &channel->pulses[channel->entry];

  if (owner == channel->id)
    return TRUE;
  *damaged = TRUE;
  if (owner != 0 && owner == channel->owners[channel->entry]
      && mmap_pulse_is_alive (pulse)) {
    MmapChannelInfo info;

    mmap_channel_read (channel->area, channel->entry, &info);
    set_in_use (error, channel, &info);
    g_prefix_error (error, "While this process stood still, another one took "
        "its place. ");
    return FALSE;
  }
  if (owner == 0 || now_us - pulse->changed_us > MMAP_AREA_DEAD_US)
    mmap_swap_release (&entry->owner, &owner, channel->id);
  return TRUE;
}

gboolean
mmap_channel_beat (MmapChannel * channel, gboolean * damaged, GError ** error)
{
  MmapAreaEntry *entry = get_entry (channel->area, channel->entry);
  gint64 now_us = g_get_monotonic_time ();

  *damaged = mmap_area_restore (channel->area);
  mmap_channel_observe (channel, now_us);
  if (!keep_entry (channel, now_us, damaged, error)
      || !mmap_channel_keep_windows (channel, now_us, damaged, error))
    return FALSE;
  if (mmap_load_relaxed (&entry->owner) != channel->id)
    return TRUE;
  if (describe (channel)
      || mmap_load_relaxed (&entry->session) != channel->session)
    *damaged = TRUE;
  mmap_store_release (&entry->session, channel->session);
  beat (channel);
  return TRUE;
}

void
mmap_channel_note_refused (MmapArea * area, guint i)
{
  mmap_add_relaxed (&get_entry (area, i)->refused, 1);
}

guint
mmap_channel_take_refused (MmapChannel * channel)
{
  MmapAreaEntry *entry = get_entry (channel->area, channel->entry);
  guint32 refused = mmap_load_relaxed (&entry->refused);
  guint32 more = refused - channel->refused;

  channel->refused = refused;
  return MIN (more, MAX_REFUSED);
}

MmapArea *
mmap_channel_get_area (MmapChannel * channel)
{
  return channel->area;
}

guint64
mmap_channel_get_id (const MmapChannel * channel)
{
  return channel->id;
}

const char *
mmap_channel_get_name (const MmapChannel * channel)
{
  return (const char *) channel->name;
}

guint
mmap_channel_get_link_count (const MmapChannel * channel)
{
  return channel->link_count;
}

MmapLinkSlot *
mmap_channel_get_slot (MmapChannel * channel, guint slot)
{
  return (MmapLinkSlot *) (channel->area->base + channel->links->offset
      + slot * sizeof (MmapLinkSlot));
}
