/* gst-mmap: the memory, rings and wake-ups of one consumer's connection
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Made by the producer's service thread or by the consumer's streaming thread.
 */
#include "link.h"

#include "atomics.h"
#include "error.h"
#include "foreign.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

/* From errno. */
static gboolean
fail (GError ** error, const char *what)
{
  g_set_error (error, MMAP_ERROR, mmap_error_from_errno (errno),
      "Can't make a link: %s: %s", what, g_strerror (errno));
  return FALSE;
}

static gboolean
link_map (MmapLink * link, GError ** error)
{
  void *area = mmap (NULL, sizeof (MmapLinkArea), PROT_READ | PROT_WRITE,
      MAP_SHARED | MAP_POPULATE, link->fd, 0);

  if (area == MAP_FAILED)
    return fail (error, "mmap");
  link->area = area;
  return TRUE;
}

static void
link_init_rings (MmapLink * link)
{
  MmapLinkArea *area = link->area;

  mmap_ring_init (&link->frames, &area->frame_head, &area->frame_tail,
      area->frame_slots, MMAP_FRAME_RING_SLOTS, sizeof (MmapDescriptor));
  mmap_ring_init (&link->events, &area->event_head, &area->event_tail,
      area->event_slots, MMAP_EVENT_RING_SLOTS, sizeof (MmapDescriptor));
  mmap_ring_init (&link->releases, &area->release_head, &area->release_tail,
      area->release_slots, MMAP_RELEASE_RING_SLOTS, sizeof (guint64));
}

static MmapLink *
link_alloc (int fd)
{
  MmapLink *link = g_new0 (MmapLink, 1);

  link->fd = fd;
  return link;
}

static gboolean
link_create_memory (MmapLink * link, GError ** error)
{
  link->fd = memfd_create ("gst-mmap-link", MFD_CLOEXEC | MFD_ALLOW_SEALING);
  if (link->fd < 0)
    return fail (error, "memfd_create");
  /* Reserved now, so that a lack of memory is an error here and not a SIGBUS later. */
  if (fallocate (link->fd, 0, 0, sizeof (MmapLinkArea)) < 0)
    return fail (error, "fallocate");
  if (fcntl (link->fd, F_ADD_SEALS,
          F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) < 0)
    return fail (error, "F_ADD_SEALS");
  return link_map (link, error);
}

static void
link_write_header (MmapLinkArea * area, guint64 session, guint32 link_id)
{
  memcpy (area->magic, MMAP_LINK_MAGIC, sizeof area->magic);
  area->version = MMAP_PROTOCOL_VERSION;
  area->byte_order = MMAP_BYTE_ORDER;
  area->session = session;
  area->link_id = link_id;
  area->link_bytes = sizeof (MmapLinkArea);
}

/* Both sides are on one kernel.
 * @own_word, @bell: this side's
 * @cpu: the sleeper's of the consumer, or the waker's of the producer: processors have the same numbers on one kernel alone */
static void
link_init_near (MmapLink * link, guint32 * own_word, guint32 * bell,
    guint32 * peer_bell, guint32 ** cpu)
{
  *cpu = &link->area->consumer_cpu;
  link->peer_bell = peer_bell;
  if (!mmap_futex_is_usable (bell))
    return;
  link->bell.word = bell;
  link->sleeper.word = own_word;
}

MmapLink *
mmap_link_new (guint64 session, guint32 link_id, GError ** error)
{
  MmapLink *link = link_alloc (-1);
  MmapLinkArea *area;

  if (!link_create_memory (link, error)) {
    mmap_link_free (link);
    return NULL;
  }
  area = link->area;
  link_write_header (area, session, link_id);
  link_init_rings (link);
  link->waker.word = &area->consumer_sleep;
  link_init_near (link, &area->producer_sleep, &area->producer_bell,
      &area->consumer_bell, &link->waker.cpu);
  return link;
}

/* Both sides do this, or neither does: each has told the other of its doorbell, and its kernel. */
static void
link_init_bells (MmapLink * link, guint32 * own_word, guint32 * bell,
    guint32 * peer_bell, const MmapAreaPeer * peer, guint32 ** cpu)
{
  if (link->memory->doorbell && peer->doorbell != MMAP_DOORBELL_NONE) {
    link->doorbell = link->memory->doorbell;
    link->peer_doorbell = peer->doorbell;
    link->sleeper.word = own_word;
    if (mmap_area_peer_is_near (peer))
      *cpu = &link->area->consumer_cpu;
  } else if (mmap_area_peer_is_near (peer)) {
    link_init_near (link, own_word, bell, peer_bell, cpu);
  }
}

MmapLink *
mmap_link_new_in_area (MmapArea * memory, MmapLinkArea * area,
    guint64 session, guint32 link_id, const MmapAreaPeer * peer)
{
  MmapLink *link = link_alloc (-1);

  /* The consumer doesn't look before it is told to; one that had it before may still write. */
  memset (area, 0, offsetof (MmapLinkArea, frame_slots));
  link_write_header (area, session, link_id);
  link->memory = mmap_area_ref (memory);
  link->area = area;
  link->waker.word = &area->consumer_sleep;
  if (peer)
    mmap_link_meet (link, peer);
  link_init_rings (link);
  return link;
}

void
mmap_link_meet (MmapLink * link, const MmapAreaPeer * peer)
{
  MmapLinkArea *area = link->area;

  link_init_bells (link, &area->producer_sleep, &area->producer_bell,
      &area->consumer_bell, peer, &link->waker.cpu);
}

static gboolean
link_check_memory (MmapLink * link, GError ** error)
{
  struct stat st;
  int seals = fcntl (link->fd, F_GET_SEALS);

  if (seals < 0 || !(seals & F_SEAL_SHRINK)) {
    g_set_error (error, MMAP_ERROR, MMAP_ERROR_SEALS,
        "The link's memory is not sealed against shrinking");
    return FALSE;
  }
  if (fstat (link->fd, &st) < 0)
    return fail (error, "fstat");
  if (st.st_size != sizeof (MmapLinkArea)) {
    g_set_error (error, MMAP_ERROR, MMAP_ERROR_SIZE,
        "The link's memory has %" G_GINT64_FORMAT " bytes, expected %"
        G_GSIZE_FORMAT, (gint64) st.st_size, sizeof (MmapLinkArea));
    return FALSE;
  }
  return TRUE;
}

static gboolean
link_check_header (MmapLink * link, guint64 session, GError ** error)
{
  /* Only this line, and only once: the other side may change it at any time. */
  struct
  {
    guint8 magic[8];
    guint32 version, byte_order;
    guint64 session;
    guint32 link_id, link_bytes;
  } header;

  mmap_copy_once (&header, link->area, sizeof header);
  if (memcmp (header.magic, MMAP_LINK_MAGIC, sizeof header.magic) != 0) {
    g_set_error (error, MMAP_ERROR, MMAP_ERROR_NOT_A_REGION,
        "The link's memory does not begin with \"" MMAP_LINK_MAGIC "\"");
    return FALSE;
  }
  if (header.version != MMAP_PROTOCOL_VERSION
      || header.byte_order != MMAP_BYTE_ORDER) {
    g_set_error (error, MMAP_ERROR, MMAP_ERROR_VERSION,
        "The link speaks protocol %u (byte order %#x), this side %u (%#x)",
        header.version, header.byte_order, MMAP_PROTOCOL_VERSION,
        MMAP_BYTE_ORDER);
    return FALSE;
  }
  if (header.session != session) {
    g_set_error (error, MMAP_ERROR, MMAP_ERROR_SESSION,
        "The link belongs to session %016" G_GINT64_MODIFIER
        "x, expected %016" G_GINT64_MODIFIER "x", header.session, session);
    return FALSE;
  }
  if (header.link_bytes != sizeof (MmapLinkArea)) {
    g_set_error (error, MMAP_ERROR, MMAP_ERROR_LAYOUT,
        "The link says it has %u bytes, expected %" G_GSIZE_FORMAT,
        header.link_bytes, sizeof (MmapLinkArea));
    return FALSE;
  }
  return TRUE;
}

static gboolean
link_check_fd (const MmapLink * link, GError ** error)
{
  if (link->fd >= 0)
    return TRUE;
  g_set_error_literal (error, MMAP_ERROR, MMAP_ERROR_MESSAGE,
      "The link's descriptor is missing: expected its memory");
  return FALSE;
}

MmapLink *
mmap_link_open (int fd, guint64 session, GError ** error)
{
  MmapLink *link = link_alloc (fd);
  MmapLinkArea *area;

  if (!link_check_fd (link, error) || !link_check_memory (link, error)
      || !link_map (link, error)
      || !link_check_header (link, session, error)) {
    mmap_link_free (link);
    return NULL;
  }
  area = link->area;
  link->waker.word = &area->producer_sleep;
  link_init_near (link, &area->consumer_sleep, &area->consumer_bell,
      &area->producer_bell, &link->sleeper.cpu);
  link_init_rings (link);
  return link;
}

MmapLink *
mmap_link_open_in_area (MmapArea * memory, guint64 offset, guint64 session,
    const MmapAreaPeer * peer, GError ** error)
{
  MmapLink *link;

  if (offset < memory->slice_bytes || offset % MMAP_PAGE_BYTES != 0
      || offset > memory->size
      || sizeof (MmapLinkArea) > memory->size - offset) {
    g_set_error (error, MMAP_ERROR, MMAP_ERROR_LAYOUT,
        "The offer's link at %" G_GUINT64_FORMAT " is not in %s, which has %"
        G_GSIZE_FORMAT " bytes here", offset, memory->path, memory->size);
    return NULL;
  }
  link = link_alloc (-1);
  link->memory = mmap_area_ref (memory);
  link->area = (MmapLinkArea *) (memory->base + offset);
  link->waker.word = &link->area->producer_sleep;
  link_init_bells (link, &link->area->consumer_sleep,
      &link->area->consumer_bell, &link->area->producer_bell, peer,
      &link->sleeper.cpu);
  if (!link_check_header (link, session, error)) {
    mmap_link_free (link);
    return NULL;
  }
  link_init_rings (link);
  return link;
}

gboolean
mmap_link_ring (MmapLink * link)
{
  if (link->doorbell)
    return mmap_doorbell_ring (link->doorbell, link->peer_doorbell);
  if (link->peer_bell)
    mmap_futex_wake (link->peer_bell, &link->peer_bell_count);
  return link->peer_bell != NULL;
}

gboolean
mmap_link_wake (MmapLink * link)
{
  /* What was published is visible before the word is looked at. Pairs with the fence in mmap_sleeper_prepare(). */
  mmap_fence_full ();
  return mmap_waker_is_due (&link->waker) && mmap_link_ring (link);
}

void
mmap_link_prepare_sleep (MmapLink * link)
{
  /* Before the last look: what changes the bell after this ends the sleep at once. */
  if (link->bell.word)
    link->bell.seen = mmap_load_relaxed (link->bell.word);
  mmap_sleeper_prepare (&link->sleeper);
}

gboolean
mmap_link_was_rung (const MmapLink * link)
{
  return link->bell.word
      && mmap_load_relaxed (link->bell.word) != link->bell.seen;
}

/* Once may be chance. */
#define MAX_LATE 2

void
mmap_link_note_sleep (MmapLink * link, gboolean missed)
{
  link->late = missed && !mmap_link_was_rung (link) ? link->late + 1 : 0;
  if (link->late < MAX_LATE)
    return;
  /* It says that it is awake, for good. */
  if (link->sleeper.count & 1)
    mmap_sleeper_finish (&link->sleeper);
  link->bell.word = NULL;
  link->sleeper.word = NULL;
}

void
mmap_link_free (MmapLink * link)
{
  if (link->memory)
    mmap_area_unref (link->memory);
  else if (link->area)
    munmap (link->area, sizeof (MmapLinkArea));
  mmap_foreign_close (link->fd);
  g_free (link);
}
