/* gst-mmap: tests of the consumer, with producers that break the rules
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Run by `meson test`. Each time next() has to return an error that says which rule was broken, and nothing else may
 * happen.
 */
#include "leak-check.h"
#include "peers.h"

#include <fcntl.h>
#include <glib/gstdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static char *address;

typedef struct
{
  RawProducer raw;
  MmapConsumer *consumer;
  GThread *thread;
  MmapNextResult next;
  guint frames;
  GError *error;
} Scene;

/* Takes all there is, up to the first error. */
static gpointer
consume (gpointer data)
{
  Scene *scene = data;
  MmapItem item;

  do {
    scene->next = mmap_consumer_next (scene->consumer, &item, &scene->error);
    if (scene->next == MMAP_NEXT_FRAME) {
      scene->frames++;
      release_item (&item);
    }
    if (scene->next == MMAP_NEXT_EVENT)
      mmap_item_clear (&item);
  } while (scene->next != MMAP_NEXT_ERROR
      && scene->next != MMAP_NEXT_DISCONNECTED
      && scene->next != MMAP_NEXT_CANCELLED);
  return NULL;
}

static void
scene_begin (Scene * scene)
{
  GError *error = NULL;

  memset (scene, 0, sizeof (*scene));
  raw_producer_init (&scene->raw, address);
  scene->consumer = mmap_consumer_new (address, &error);
  g_assert_no_error (error);
  scene->thread = g_thread_new ("consumer", consume, scene);
}

/* The error reaches the caller, and, as a refusal, the producer. */
static void
scene_end (Scene * scene, MmapError code, const char *reason)
{
  GError *error = NULL;
  MmapMessage message;

  g_thread_join (scene->thread);
  g_assert_cmpint (scene->next, ==, MMAP_NEXT_ERROR);
  check_error (&scene->error, code, reason);
  for (;;) {
    g_assert_true (raw_receive (scene->raw.socket, &message));
    if (message.kind == MMAP_MESSAGE_REFUSE)
      break;
    mmap_message_clear (&message);
  }
  mmap_message_get_refusal (&message, &error);
  check_error (&error, code, reason);
  mmap_message_clear (&message);
  mmap_consumer_free (scene->consumer);
  raw_producer_clear (&scene->raw);
}

static void
send_offer_and_end (Scene * scene, MmapError code, const char *reason)
{
  raw_producer_greet (&scene->raw);
  raw_producer_send_offer (&scene->raw, NULL);
  scene_end (scene, code, reason);
}

/* --- Offers --- */

static void
test_wrong_token (void)
{
  Scene scene;

  scene_begin (&scene);
  scene.raw.offer.token.bytes[0] ^= 0x80;
  send_offer_and_end (&scene, MMAP_ERROR_TOKEN, "different memory");
}

static void
test_token_index (gconstpointer data)
{
  const guint64 *index = data;
  LeakCheck check;
  Scene scene;

  leak_check_begin (&check);
  scene_begin (&scene);
  scene.raw.offer.token_index = *index;
  send_offer_and_end (&scene, MMAP_ERROR_TOKEN_INDEX, "token_index");
  leak_check_end (&check);
}

static const guint64 indices[] = {
  0, sizeof (MmapRegionHeader) - 1, RAW_SIZE - 31, RAW_SIZE, RAW_SIZE + 1,
  G_GUINT64_CONSTANT (1) << 40, G_MAXUINT64 - 31, G_MAXUINT64
};

/* The offer with one value replaced. */
static GVariant *
change_offer (Scene * scene, const char *key, GVariant * value)
{
  g_autoptr (GVariant) offer =
      g_variant_ref_sink (mmap_capabilities_to_variant (&scene->raw.offer));
  GVariantDict dict;

  g_variant_dict_init (&dict, offer);
  g_variant_dict_insert_value (&dict, key, value);
  return g_variant_dict_end (&dict);
}

static void
check_changed_offer (const char *key, GVariant * value, MmapError code,
    const char *reason)
{
  Scene scene;

  scene_begin (&scene);
  raw_producer_greet (&scene.raw);
  raw_producer_send_offer (&scene.raw, change_offer (&scene, key, value));
  scene_end (&scene, code, reason);
}

static void
test_token_bytes (void)
{
  static const guint32 numbers[] = { 0, 1, 15, 1025, 2000, G_MAXUINT32 };
  guint i;

  for (i = 0; i < G_N_ELEMENTS (numbers); i++)
    check_changed_offer ("token-bytes", g_variant_new_uint32 (numbers[i]),
        MMAP_ERROR_TOKEN_BYTES, "token_bytes is");
  check_changed_offer ("token-bytes", g_variant_new_string ("32"),
      MMAP_ERROR_MESSAGE, "token-bytes");
}

static void
test_offer_fields (void)
{
  check_changed_offer ("token", g_variant_new_string ("42"),
      MMAP_ERROR_TOKEN, "malformed");
  check_changed_offer ("session", g_variant_new_uint64 (4711),
      MMAP_ERROR_SESSION, "another");
  check_changed_offer ("region-id", g_variant_new_uint32 (2),
      MMAP_ERROR_SESSION, "another");
  check_changed_offer ("protocol", g_variant_new_uint32 (2),
      MMAP_ERROR_VERSION, "2");
  check_changed_offer ("file", g_variant_new_string (""),
      MMAP_ERROR_MESSAGE, "file");
  check_changed_offer ("size", g_variant_new_uint64 (0), MMAP_ERROR_SIZE, "0");
  check_changed_offer ("size", g_variant_new_uint64 (RAW_SIZE * 2),
      MMAP_ERROR_SIZE, "131072");
  check_changed_offer ("size", g_variant_new_uint64 (RAW_SIZE - 1),
      MMAP_ERROR_SIZE, "65535");
  check_changed_offer ("size", g_variant_new_uint64 (G_MAXUINT64),
      MMAP_ERROR_SIZE, "18446744073709551615");
}

static void
test_no_file (void)
{
  Scene scene;

  scene_begin (&scene);
  g_clear_pointer (&scene.raw.offer.file, g_free);
  send_offer_and_end (&scene, MMAP_ERROR_FILE, "where its region is");
}

/* A file that is offered by its path. */
static void
check_offered_path (const char *path, MmapError code, const char *reason)
{
  int fds[2];
  Scene scene;

  scene_begin (&scene);
  g_free (scene.raw.offer.file);
  scene.raw.offer.file = g_strdup (path);
  raw_producer_greet (&scene.raw);
  fds[0] = scene.raw.link->fd;
  fds[1] = scene.raw.link->peer_fd;
  raw_producer_send_fds (&scene.raw, NULL, fds, 2);
  scene_end (&scene, code, reason);
}

static void
test_file (void)
{
  char *path = leak_check_path ("file");
  char *link = leak_check_path ("link");
  char *text = g_strnfill (RAW_SIZE, 'x');
  GError *error = NULL;
  MmapRegion *region;

  check_offered_path ("/nonexistent", MMAP_ERROR_FILE, "/nonexistent");
  check_offered_path ("relative/path", MMAP_ERROR_FILE, "relative/path");
  check_offered_path ("/dev/shm", MMAP_ERROR_FILE, "directory");
  check_offered_path ("/dev/zero", MMAP_ERROR_FILE, "no regular file");
  g_assert_cmpint (mkfifo (path, 0600), ==, 0);
  check_offered_path (path, MMAP_ERROR_FILE, "no regular file");
  g_unlink (path);

  g_file_set_contents (path, text, RAW_SIZE, &error);
  g_assert_no_error (error);
  check_offered_path (path, MMAP_ERROR_NOT_A_REGION, "no region");
  g_assert_cmpint (symlink (path, link), ==, 0);
  check_offered_path (link, MMAP_ERROR_FILE, "symbolic link");
  g_unlink (path);

  /* The right region, behind a link; and another's. */
  region = mmap_region_new_file (path, RAW_SIZE, RAW_SESSION, 1, &error);
  g_assert_no_error (error);
  check_offered_path (link, MMAP_ERROR_FILE, "symbolic link");
  check_offered_path (path, MMAP_ERROR_TOKEN, "different memory");
  mmap_region_unlink (region);
  mmap_region_unref (region);
  region = mmap_region_new_file (path, RAW_SIZE, 5, 1, &error);
  check_offered_path (path, MMAP_ERROR_SESSION, path);
  mmap_region_unlink (region);
  mmap_region_unref (region);
  g_unlink (link);
  g_free (text);
  g_free (link);
  g_free (path);
}

/* Takes the region's place in the offer. @seals: 0: none */
static void
check_memfd (int seals, gsize size, const char *start, MmapError code,
    const char *reason)
{
  int fd = memfd_create ("test", MFD_CLOEXEC | MFD_ALLOW_SEALING);
  int fds[3];
  Scene scene;

  g_assert_true (size == 0 || posix_fallocate (fd, 0, size) == 0);
  g_assert_cmpint (pwrite (fd, start, strlen (start), 0), ==, strlen (start));
  g_assert_cmpint (fcntl (fd, F_ADD_SEALS, seals), ==, 0);
  scene_begin (&scene);
  raw_producer_greet (&scene.raw);
  fds[0] = fd;
  fds[1] = scene.raw.link->fd;
  fds[2] = scene.raw.link->peer_fd;
  raw_producer_send_fds (&scene.raw, NULL, fds, 3);
  scene_end (&scene, code, reason);
  close (fd);
}

static void
test_memfd (void)
{
  check_memfd (0, RAW_SIZE, MMAP_REGION_MAGIC, MMAP_ERROR_SEALS, "shrunk");
  check_memfd (F_SEAL_GROW, RAW_SIZE, MMAP_REGION_MAGIC, MMAP_ERROR_SEALS,
      "shrunk");
  check_memfd (F_SEAL_SHRINK, RAW_SIZE, "nothing", MMAP_ERROR_NOT_A_REGION,
      "no region");
  check_memfd (F_SEAL_SHRINK, RAW_SIZE, MMAP_REGION_MAGIC, MMAP_ERROR_VERSION,
      "byte order");
  check_memfd (F_SEAL_SHRINK, RAW_SIZE * 2, "", MMAP_ERROR_SIZE, "131072");
  check_memfd (F_SEAL_SHRINK, 0, "", MMAP_ERROR_SIZE, "0 bytes");
}

/* The first @n descriptors of an offer, but for @hole, which is a pipe's end. */
static void
check_descriptors (guint n, int hole, MmapError code, const char *reason)
{
  int fds[3], ends[2];
  Scene scene;

  g_assert_cmpint (pipe (ends), ==, 0);
  scene_begin (&scene);
  raw_producer_greet (&scene.raw);
  fds[0] = scene.raw.region->fd;
  fds[1] = scene.raw.link->fd;
  fds[2] = scene.raw.link->peer_fd;
  if (hole >= 0)
    fds[hole] = ends[0];
  raw_producer_send_fds (&scene.raw, NULL, fds, n);
  scene_end (&scene, code, reason);
  close (ends[0]);
  close (ends[1]);
}

static void
test_descriptors (void)
{
  check_descriptors (0, -1, MMAP_ERROR_FILE, "descriptor");
  check_descriptors (1, -1, MMAP_ERROR_MESSAGE, "descriptors");
  check_descriptors (2, -1, MMAP_ERROR_MESSAGE, "descriptors");
  check_descriptors (3, 0, MMAP_ERROR_FILE, "regular file");
  check_descriptors (3, 1, MMAP_ERROR_SEALS, "sealed");
}

static void
test_link_session (void)
{
  Scene scene;

  scene_begin (&scene);
  scene.raw.link->area->session++;
  send_offer_and_end (&scene, MMAP_ERROR_SESSION, "session");
}

static void
test_link_version (void)
{
  Scene scene;

  scene_begin (&scene);
  scene.raw.link->area->version = 9;
  send_offer_and_end (&scene, MMAP_ERROR_VERSION, "9");
}

/* What isn't an epoll descriptor could make the consumer block, or spin. */
static void
test_wakeup_pipe (void)
{
  check_descriptors (3, 2, MMAP_ERROR_MESSAGE, "epoll");
}

/* --- Messages out of turn --- */

static void
test_accept_first (void)
{
  Scene scene;

  scene_begin (&scene);
  raw_producer_greet (&scene.raw);
  raw_producer_send (&scene.raw, MMAP_MESSAGE_ACCEPT);
  scene_end (&scene, MMAP_ERROR_MESSAGE, "out of turn");
}

static void
test_accept_twice (void)
{
  Scene scene;

  scene_begin (&scene);
  raw_producer_bring_up (&scene.raw);
  raw_producer_send (&scene.raw, MMAP_MESSAGE_ACCEPT);
  scene_end (&scene, MMAP_ERROR_MESSAGE, "out of turn");
}

static void
test_hello (void)
{
  Scene scene;

  scene_begin (&scene);
  raw_producer_greet (&scene.raw);
  raw_producer_send (&scene.raw, MMAP_MESSAGE_HELLO);
  scene_end (&scene, MMAP_ERROR_MESSAGE, "out of turn");
}

static void
test_garbage (void)
{
  Scene scene;

  scene_begin (&scene);
  raw_producer_greet (&scene.raw);
  raw_send_bytes (scene.raw.socket, "SSH-2.0-OpenSSH_9.2", 19);
  scene_end (&scene, MMAP_ERROR_MESSAGE, "19 bytes");
}

static void
test_empty_offer (void)
{
  Scene scene;

  scene_begin (&scene);
  raw_producer_greet (&scene.raw);
  raw_producer_send (&scene.raw, MMAP_MESSAGE_OFFER);
  scene_end (&scene, MMAP_ERROR_MESSAGE, "protocol");
}

/* What the producer says reaches whoever called. */
static void
test_refused (void)
{
  GError *reason = g_error_new (MMAP_ERROR, MMAP_ERROR_LIMIT, "no room here");
  Scene scene;

  scene_begin (&scene);
  raw_producer_greet (&scene.raw);
  mmap_message_send_refusal (scene.raw.socket, reason);
  g_clear_object (&scene.raw.socket);
  g_thread_join (scene.thread);
  g_assert_cmpint (scene.next, ==, MMAP_NEXT_ERROR);
  check_error (&scene.error, MMAP_ERROR_LIMIT, "no room here");
  g_error_free (reason);
  mmap_consumer_free (scene.consumer);
  raw_producer_clear (&scene.raw);
}

/* Leaves in the middle of the handshake: the consumer goes on looking. */
static void
test_leaves (void)
{
  Scene scene;
  guint i;

  scene_begin (&scene);
  for (i = 0; i < 5; i++)
    raw_producer_greet (&scene.raw);
  raw_producer_send_offer (&scene.raw, NULL);
  raw_producer_greet (&scene.raw);
  mmap_consumer_set_cancelled (scene.consumer, TRUE);
  g_thread_join (scene.thread);
  g_assert_cmpint (scene.next, ==, MMAP_NEXT_CANCELLED);
  mmap_consumer_free (scene.consumer);
  raw_producer_clear (&scene.raw);
}

/* --- What it writes into the link --- */

static void
check_descriptor (void (*change) (MmapDescriptor * descriptor), gboolean event,
    const char *reason)
{
  MmapDescriptor descriptor;
  Scene scene;

  scene_begin (&scene);
  raw_producer_bring_up (&scene.raw);
  /* One that is right before. */
  descriptor = raw_producer_describe (&scene.raw);
  raw_producer_push (&scene.raw, &scene.raw.link->frames, &descriptor);
  descriptor = raw_producer_describe (&scene.raw);
  descriptor.kind = event ? MMAP_EVENT_CAPS : 0;
  change (&descriptor);
  raw_producer_push (&scene.raw, event ? &scene.raw.link->events :
      &scene.raw.link->frames, &descriptor);
  scene_end (&scene, MMAP_ERROR_RING, reason);
  /* Unless the wrong one says that it is the older. */
  g_assert_cmpuint (scene.frames, <=, 1);
}

static void
offset_beyond (MmapDescriptor * descriptor)
{
  descriptor->offset = RAW_SIZE - 63;
}

static void
offset_at_end (MmapDescriptor * descriptor)
{
  descriptor->offset = RAW_SIZE;
  descriptor->size = 1;
}

static void
offset_overflows (MmapDescriptor * descriptor)
{
  descriptor->offset = G_MAXUINT64 - 32;
}

static void
offset_in_header (MmapDescriptor * descriptor)
{
  descriptor->offset = sizeof (MmapRegionHeader) - 1;
}

static void
size_overflows (MmapDescriptor * descriptor)
{
  descriptor->size = G_MAXUINT64 - descriptor->offset + 65;
}

static void
size_beyond (MmapDescriptor * descriptor)
{
  descriptor->size = RAW_SIZE - descriptor->offset + 1;
}

static void
metas_beyond (MmapDescriptor * descriptor)
{
  descriptor->metas_offset = RAW_SIZE - 63;
  descriptor->metas_size = 64;
}

static void
metas_overflow (MmapDescriptor * descriptor)
{
  descriptor->metas_offset = G_MAXUINT64 - 32;
  descriptor->metas_size = 64;
}

static void
metas_in_header (MmapDescriptor * descriptor)
{
  descriptor->metas_offset = sizeof (MmapRegionHeader) - 1;
  descriptor->metas_size = 1;
}

static void
metas_too_large (MmapDescriptor * descriptor)
{
  descriptor->metas_offset = descriptor->offset;
  descriptor->metas_size = G_MAXUINT32;
}

static void
other_ring (MmapDescriptor * descriptor)
{
  descriptor->kind = descriptor->kind ? 0 : MMAP_EVENT_EOS;
}

static void
sequence_back (MmapDescriptor * descriptor)
{
  descriptor->sequence = 1;
}

static void
sequence_zero (MmapDescriptor * descriptor)
{
  descriptor->sequence = 0;
}

static void
five_planes (MmapDescriptor * descriptor)
{
  descriptor->n_planes = 5;
}

static void
many_planes (MmapDescriptor * descriptor)
{
  descriptor->n_planes = G_MAXUINT32;
}

static void
other_region (MmapDescriptor * descriptor)
{
  descriptor->region_id = 2;
}

static void
region_zero (MmapDescriptor * descriptor)
{
  descriptor->region_id = 0;
}

static void
test_descriptors_in_rings (void)
{
  int event;

  for (event = 0; event < 2; event++) {
    check_descriptor (offset_beyond, event, "outside");
    check_descriptor (offset_at_end, event, "outside");
    check_descriptor (offset_overflows, event, "outside");
    check_descriptor (offset_in_header, event, "outside");
    check_descriptor (size_overflows, event, "outside");
    check_descriptor (size_beyond, event, "outside");
    check_descriptor (metas_beyond, event, "outside");
    check_descriptor (metas_overflow, event, "outside");
    check_descriptor (metas_in_header, event, "outside");
    check_descriptor (metas_too_large, event, "outside");
    check_descriptor (other_ring, event, "wrong ring");
    check_descriptor (sequence_back, event, "went back");
    check_descriptor (sequence_zero, event, "went back");
    check_descriptor (five_planes, event, "four planes");
    check_descriptor (many_planes, event, "four planes");
    check_descriptor (other_region, event, "did not offer");
    check_descriptor (region_zero, event, "did not offer");
  }
}

/* With a region of which only the first 16 KiB are reserved, and a token at @token_index. */
static void
begin_with_hole (Scene * scene, guint64 token_index)
{
  MmapRegion *region;
  GError *error = NULL;

  scene_begin (scene);
  region = mmap_region_begin_memfd (RAW_SIZE, 16384, RAW_SESSION, 1, &error);
  g_assert_no_error (error);
  mmap_region_unref (scene->raw.region);
  scene->raw.region = region;
  scene->raw.offer.token_index = token_index;
}

/* To read a hole of the producer's memory would cost the consumer memory. */
static void
check_hole (gboolean event, gboolean metas)
{
  MmapDescriptor descriptor;
  Scene scene;

  begin_with_hole (&scene, 16384 - 32);
  mmap_token_write (&scene.raw.offer.token,
      scene.raw.region->base + scene.raw.offer.token_index);
  raw_producer_bring_up (&scene.raw);
  descriptor = raw_producer_describe (&scene.raw);
  descriptor.kind = event ? MMAP_EVENT_CAPS : 0;
  if (metas) {
    descriptor.metas_offset = descriptor.offset;
    descriptor.metas_size = 16384 - descriptor.offset + 1;
  } else {
    descriptor.size = 16384 - descriptor.offset + 1;
  }
  raw_producer_push (&scene.raw, event ? &scene.raw.link->events :
      &scene.raw.link->frames, &descriptor);
  scene_end (&scene, MMAP_ERROR_RING, "not reserved");
  g_assert_cmpuint (scene.frames, ==, 0);
}

static void
test_holes (void)
{
  Scene scene;
  int event;

  begin_with_hole (&scene, 16384);
  send_offer_and_end (&scene, MMAP_ERROR_TOKEN, "different memory");

  for (event = 0; event < 2; event++) {
    check_hole (event, FALSE);
    check_hole (event, TRUE);
  }
}

static void
check_index (gsize field, guint64 value)
{
  MmapDescriptor descriptor;
  guint64 *word;
  Scene scene;

  scene_begin (&scene);
  raw_producer_bring_up (&scene.raw);
  descriptor = raw_producer_describe (&scene.raw);
  raw_producer_push (&scene.raw, &scene.raw.link->frames, &descriptor);
  word = (guint64 *) ((guint8 *) scene.raw.link->area + field);
  __atomic_store_n (word, value, __ATOMIC_RELEASE);
  /* Awake or not. */
  scene.raw.link->waker.woken = 0;
  mmap_waker_wake (&scene.raw.link->waker, scene.raw.link->wake_fd);
  scene_end (&scene, MMAP_ERROR_RING, "impossible indices");
}

static void
test_indices (void)
{
  check_index (offsetof (MmapLinkArea, frame_head), 5000);
  check_index (offsetof (MmapLinkArea, frame_head), G_MAXUINT64);
  check_index (offsetof (MmapLinkArea, event_head), 5000);
  check_index (offsetof (MmapLinkArea, event_head), MMAP_EVENT_RING_SLOTS + 1);
  check_index (offsetof (MmapLinkArea, event_head), G_MAXUINT64);
}

/* The release ring is the consumer's to push: what the other side does to its tail is found out, and harms nobody. */
static void
test_release_tail (void)
{
  MmapDescriptor descriptor;
  Scene scene;
  guint i;

  scene_begin (&scene);
  raw_producer_bring_up (&scene.raw);
  __atomic_store_n (&scene.raw.link->area->release_tail, G_MAXUINT64 / 2,
      __ATOMIC_RELEASE);
  for (i = 0; i < 3000; i++) {
    descriptor = raw_producer_describe (&scene.raw);
    while (mmap_ring_has_room (&scene.raw.link->frames) != MMAP_RING_OK)
      g_thread_yield ();
    raw_producer_push (&scene.raw, &scene.raw.link->frames, &descriptor);
  }
  descriptor = raw_producer_describe (&scene.raw);
  descriptor.region_id = 9;
  while (mmap_ring_has_room (&scene.raw.link->frames) != MMAP_RING_OK)
    g_thread_yield ();
  raw_producer_push (&scene.raw, &scene.raw.link->frames, &descriptor);
  scene_end (&scene, MMAP_ERROR_RING, "did not offer");
  g_assert_cmpuint (scene.frames, ==, 3000);
}

/* A new region of another session, and one that isn't what it says. */
static void
test_second_offer (void)
{
  Scene scene;

  scene_begin (&scene);
  raw_producer_bring_up (&scene.raw);
  scene.raw.offer.session++;
  raw_producer_send_offer (&scene.raw, NULL);
  scene_end (&scene, MMAP_ERROR_SESSION, "another session");

  scene_begin (&scene);
  raw_producer_bring_up (&scene.raw);
  scene.raw.offer.region_id++;
  raw_producer_send_offer (&scene.raw, NULL);
  scene_end (&scene, MMAP_ERROR_SESSION, "earlier one");
}

/* --- Two things at once --- */

MmapRingResult __real_mmap_ring_peek (MmapRing * ring, void *slot);
MmapRingResult __wrap_mmap_ring_peek (MmapRing * ring, void *slot);

static RawProducer *between;    /* pushes between two looks of the consumer ... */
static guint32 between_slots;   /* ... after that at the ring with so many slots */

/* The linker puts this in the place of mmap_ring_peek(). */
MmapRingResult
__wrap_mmap_ring_peek (MmapRing * ring, void *slot)
{
  MmapRingResult result = __real_mmap_ring_peek (ring, slot);
  RawProducer *raw = between;

  if (raw && ring->n_slots == between_slots && result == MMAP_RING_WAIT) {
    MmapDescriptor frame = raw_producer_describe (raw);
    MmapDescriptor event = raw_producer_describe (raw);

    between = NULL;
    event.kind = MMAP_EVENT_EOS;
    raw_producer_push (raw, &raw->link->frames, &frame);
    raw_producer_push (raw, &raw->link->events, &event);
  }
  return result;
}

static gpointer
bring_up (gpointer raw)
{
  raw_producer_bring_up (raw);
  return NULL;
}

static void
check_between_two_looks (guint32 n_slots)
{
  GError *error = NULL;
  RawProducer raw;
  MmapConsumer *consumer;
  GThread *thread;
  MmapItem item;

  raw_producer_init (&raw, address);
  consumer = mmap_consumer_new (address, &error);
  g_assert_no_error (error);
  thread = g_thread_new ("producer", bring_up, &raw);
  next_item (consumer, &item, MMAP_NEXT_CONNECTED);
  g_thread_join (thread);
  between_slots = n_slots;
  between = &raw;
  next_item (consumer, &item, MMAP_NEXT_FRAME);
  g_assert_null (between);
  g_assert_cmpuint (item.descriptor.sequence, ==, 1);
  release_item (&item);
  next_item (consumer, &item, MMAP_NEXT_EVENT);
  g_assert_cmpuint (item.descriptor.sequence, ==, 2);
  mmap_item_clear (&item);
  mmap_consumer_free (consumer);
  raw_producer_clear (&raw);
}

/* A frame and then an event come after the consumer looked at the frames, and before it looks at the events. */
static void
test_between_two_looks (void)
{
  check_between_two_looks (MMAP_FRAME_RING_SLOTS);
}

static gpointer
push_later (gpointer data)
{
  RawProducer *raw = data;
  MmapDescriptor descriptor = raw_producer_describe (raw);

  g_usleep (G_USEC_PER_SEC / 5);
  raw_producer_push (raw, &raw->link->frames, &descriptor);
  return NULL;
}

/* What should wake the consumer does so all the time: it looks each millisecond, and not as often as it can. */
static void
test_restless (void)
{
  MmapConsumerStats stats;
  GError *error = NULL;
  MmapConsumer *consumer;
  RawProducer raw;
  GThread *thread;
  MmapItem item;
  gint64 began;
  int event_fd;
  guint i;

  raw_producer_init (&raw, address);
  mmap_link_close_peer_fd (raw.link);
  raw.link->peer_fd = new_restless_fd (&event_fd);
  consumer = mmap_consumer_new (address, &error);
  g_assert_no_error (error);
  thread = g_thread_new ("producer", bring_up, &raw);
  next_item (consumer, &item, MMAP_NEXT_CONNECTED);
  g_thread_join (thread);
  for (i = 0; i < 2; i++) {
    guint64 waits;

    mmap_consumer_get_stats (consumer, &stats);
    waits = stats.waits;
    began = g_get_monotonic_time ();
    thread = g_thread_new ("producer", push_later, &raw);
    next_item (consumer, &item, MMAP_NEXT_FRAME);
    mmap_consumer_get_stats (consumer, &stats);
    g_assert_cmpuint (stats.waits - waits, <=,
        100 + (g_get_monotonic_time () - began) / 1000);
    release_item (&item);
    g_thread_join (thread);
  }
  mmap_consumer_free (consumer);
  raw_producer_clear (&raw);
  close (event_fd);
}

/* No hostile one: the frame that the consumer looks at is taken back, and a later one takes its slot, but an older one than the event is still
 * there. It is not the event's turn. */
static void
test_taken_back_before_event (void)
{
  MmapDescriptor descriptor;
  GError *error = NULL;
  RawProducer raw;
  MmapConsumer *consumer;
  GThread *thread;
  MmapItem item;
  guint64 i;

  raw_producer_init (&raw, address);
  consumer = mmap_consumer_new (address, &error);
  g_assert_no_error (error);
  thread = g_thread_new ("producer", bring_up, &raw);
  next_item (consumer, &item, MMAP_NEXT_CONNECTED);
  g_thread_join (thread);
  /* It has seen that there are three. */
  for (i = 1; i <= 3; i++) {
    descriptor = raw_producer_describe (&raw);
    raw_producer_push (&raw, &raw.link->frames, &descriptor);
  }
  next_item (consumer, &item, MMAP_NEXT_FRAME);
  release_item (&item);
  for (; i <= MMAP_FRAME_RING_SLOTS + 1; i++) {
    descriptor = raw_producer_describe (&raw);
    raw_producer_push (&raw, &raw.link->frames, &descriptor);
  }
  descriptor = raw_producer_describe (&raw);
  descriptor.kind = MMAP_EVENT_EOS;
  raw_producer_push (&raw, &raw.link->events, &descriptor);
  g_assert_cmpint (mmap_ring_has_room (&raw.link->frames), ==, MMAP_RING_WAIT);
  __atomic_store_n (&raw.link->area->frame_tail, 2, __ATOMIC_RELEASE);
  descriptor = raw_producer_describe (&raw);
  raw_producer_push (&raw, &raw.link->frames, &descriptor);

  for (i = 3; i <= MMAP_FRAME_RING_SLOTS + 1; i++) {
    next_item (consumer, &item, MMAP_NEXT_FRAME);
    g_assert_cmpuint (item.descriptor.sequence, ==, i);
    release_item (&item);
  }
  next_item (consumer, &item, MMAP_NEXT_EVENT);
  g_assert_cmpuint (item.descriptor.sequence, ==, i);
  mmap_item_clear (&item);
  next_item (consumer, &item, MMAP_NEXT_FRAME);
  g_assert_cmpuint (item.descriptor.sequence, ==, i + 1);
  release_item (&item);
  mmap_consumer_free (consumer);
  raw_producer_clear (&raw);
}

/* They come after it found both rings empty, and before it says that it sleeps: nobody wakes it. */
static void
test_before_sleep (void)
{
  check_between_two_looks (MMAP_EVENT_RING_SLOTS);
}

int
main (int argc, char **argv)
{
  int result;
  guint i;

  g_test_init (&argc, &argv, NULL);
  address = leak_check_path ("socket");
  leak_check_add_test ("/consumer-hostile/wrong-token", test_wrong_token);
  for (i = 0; i < G_N_ELEMENTS (indices); i++) {
    char *path = g_strdup_printf ("/consumer-hostile/token-index-%u", i);

    g_test_add_data_func (path, &indices[i], test_token_index);
    g_free (path);
  }
  leak_check_add_test ("/consumer-hostile/token-bytes", test_token_bytes);
  leak_check_add_test ("/consumer-hostile/offer-fields", test_offer_fields);
  leak_check_add_test ("/consumer-hostile/no-file", test_no_file);
  leak_check_add_test ("/consumer-hostile/file", test_file);
  leak_check_add_test ("/consumer-hostile/memfd", test_memfd);
  leak_check_add_test ("/consumer-hostile/descriptors", test_descriptors);
  leak_check_add_test ("/consumer-hostile/wakeup-pipe", test_wakeup_pipe);
  leak_check_add_test ("/consumer-hostile/link-session", test_link_session);
  leak_check_add_test ("/consumer-hostile/link-version", test_link_version);
  leak_check_add_test ("/consumer-hostile/accept-first", test_accept_first);
  leak_check_add_test ("/consumer-hostile/accept-twice", test_accept_twice);
  leak_check_add_test ("/consumer-hostile/hello", test_hello);
  leak_check_add_test ("/consumer-hostile/garbage", test_garbage);
  leak_check_add_test ("/consumer-hostile/empty-offer", test_empty_offer);
  leak_check_add_test ("/consumer-hostile/refused", test_refused);
  leak_check_add_test ("/consumer-hostile/leaves", test_leaves);
  leak_check_add_test ("/consumer-hostile/descriptors-in-rings",
      test_descriptors_in_rings);
  leak_check_add_test ("/consumer-hostile/holes", test_holes);
  leak_check_add_test ("/consumer-hostile/indices", test_indices);
  leak_check_add_test ("/consumer-hostile/release-tail", test_release_tail);
  leak_check_add_test ("/consumer-hostile/second-offer", test_second_offer);
  leak_check_add_test ("/consumer-hostile/between-two-looks",
      test_between_two_looks);
  leak_check_add_test ("/consumer-hostile/before-sleep", test_before_sleep);
  leak_check_add_test ("/consumer-hostile/restless", test_restless);
  leak_check_add_test ("/consumer-hostile/taken-back-before-event",
      test_taken_back_before_event);
  result = g_test_run ();
  g_free (address);
  return result;
}
