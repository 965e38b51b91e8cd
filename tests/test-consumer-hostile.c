/* gst-mmap: tests of the consumer, with producers that break the rules of the handshake
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Run by `meson test`. Each time next() has to return an error that says which rule was broken, and nothing else may
 * happen. What such a producer writes into a link that is up is in test-consumer-hostile-link.c.
 */
#include "foreign.h"
#include "hostile.h"
#include "leak-check.h"

#include <fcntl.h>
#include <glib/gstdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static char *address;

static void
send_offer_and_end (Hostile * scene, MmapError code, const char *reason)
{
  raw_producer_greet (&scene->raw);
  raw_producer_send_offer (&scene->raw, NULL);
  hostile_end (scene, code, reason);
}

/* --- Offers --- */

static void
test_wrong_token (void)
{
  Hostile scene;

  hostile_begin (&scene, address);
  scene.raw.offer.token.bytes[0] ^= 0x80;
  send_offer_and_end (&scene, MMAP_ERROR_TOKEN, "different memory");
}

static void
test_token_index (gconstpointer data)
{
  const guint64 *index = data;
  LeakCheck check;
  Hostile scene;

  leak_check_begin (&check);
  hostile_begin (&scene, address);
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
change_offer (Hostile * scene, const char *key, GVariant * value)
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
  Hostile scene;

  hostile_begin (&scene, address);
  raw_producer_greet (&scene.raw);
  raw_producer_send_offer (&scene.raw, change_offer (&scene, key, value));
  hostile_end (&scene, code, reason);
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
  Hostile scene;

  hostile_begin (&scene, address);
  g_clear_pointer (&scene.raw.offer.file, g_free);
  send_offer_and_end (&scene, MMAP_ERROR_FILE, "where its region is");
}

/* A file that is offered by its path. */
static void
check_offered_path (const char *path, MmapError code, const char *reason)
{
  Hostile scene;

  hostile_begin (&scene, address);
  g_free (scene.raw.offer.file);
  scene.raw.offer.file = g_strdup (path);
  raw_producer_greet (&scene.raw);
  raw_producer_send_fds (&scene.raw, NULL, &scene.raw.link->fd, 1);
  hostile_end (&scene, code, reason);
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
  int fds[2];
  Hostile scene;

  g_assert_true (size == 0 || posix_fallocate (fd, 0, size) == 0);
  g_assert_cmpint (pwrite (fd, start, strlen (start), 0), ==, strlen (start));
  g_assert_cmpint (fcntl (fd, F_ADD_SEALS, seals), ==, 0);
  hostile_begin (&scene, address);
  raw_producer_greet (&scene.raw);
  fds[0] = fd;
  fds[1] = scene.raw.link->fd;
  raw_producer_send_fds (&scene.raw, NULL, fds, 2);
  hostile_end (&scene, code, reason);
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
  int fds[2], ends[2];
  Hostile scene;

  g_assert_cmpint (pipe (ends), ==, 0);
  hostile_begin (&scene, address);
  raw_producer_greet (&scene.raw);
  fds[0] = scene.raw.region->fd;
  fds[1] = scene.raw.link->fd;
  if (hole >= 0)
    fds[hole] = ends[0];
  raw_producer_send_fds (&scene.raw, NULL, fds, n);
  hostile_end (&scene, code, reason);
  close (ends[0]);
  close (ends[1]);
}

static void
test_descriptors (void)
{
  check_descriptors (0, -1, MMAP_ERROR_FILE, "descriptor");
  check_descriptors (1, -1, MMAP_ERROR_MESSAGE, "descriptor");
  check_descriptors (2, 0, MMAP_ERROR_FILE, "regular file");
  check_descriptors (2, 1, MMAP_ERROR_SEALS, "sealed");
}

/* What blocks whoever closes it, in place of what is expected or behind it, is refused at once. */
static void
test_lingering (void)
{
  guint i;

  for (i = 0; i < 3; i++) {
    Lingering lingering;
    int fds[3];
    Hostile scene;

    lingering_init (&lingering);
    hostile_begin (&scene, address);
    raw_producer_greet (&scene.raw);
    fds[0] = i == 0 ? lingering.fd : scene.raw.region->fd;
    fds[1] = i == 1 ? lingering.fd : scene.raw.link->fd;
    fds[2] = lingering.fd;
    if (i == 2)
      scene.raw.offer.token.bytes[0] ^= 1;
    raw_producer_send_fds (&scene.raw, NULL, fds, 3);
    /* Whoever is the last to close it. */
    mmap_foreign_close (lingering.fd);
    hostile_end (&scene, i == 0 ? MMAP_ERROR_FILE : i == 1 ? MMAP_ERROR_SEALS :
        MMAP_ERROR_TOKEN, "");
    close (lingering.peer);
  }
}

static void
test_link_session (void)
{
  Hostile scene;

  hostile_begin (&scene, address);
  scene.raw.link->area->session++;
  send_offer_and_end (&scene, MMAP_ERROR_SESSION, "session");
}

static void
test_link_version (void)
{
  Hostile scene;

  hostile_begin (&scene, address);
  scene.raw.link->area->version = 9;
  send_offer_and_end (&scene, MMAP_ERROR_VERSION, "9");
}

/* --- Messages out of turn --- */

static void
test_accept_first (void)
{
  Hostile scene;

  hostile_begin (&scene, address);
  raw_producer_greet (&scene.raw);
  raw_producer_send (&scene.raw, MMAP_MESSAGE_ACCEPT);
  hostile_end (&scene, MMAP_ERROR_MESSAGE, "out of turn");
}

static void
test_accept_twice (void)
{
  Hostile scene;

  hostile_begin (&scene, address);
  raw_producer_bring_up (&scene.raw);
  raw_producer_send (&scene.raw, MMAP_MESSAGE_ACCEPT);
  hostile_end (&scene, MMAP_ERROR_MESSAGE, "out of turn");
}

static void
test_hello (void)
{
  Hostile scene;

  hostile_begin (&scene, address);
  raw_producer_greet (&scene.raw);
  raw_producer_send (&scene.raw, MMAP_MESSAGE_HELLO);
  hostile_end (&scene, MMAP_ERROR_MESSAGE, "out of turn");
}

static void
test_garbage (void)
{
  Hostile scene;

  hostile_begin (&scene, address);
  raw_producer_greet (&scene.raw);
  raw_send_bytes (scene.raw.socket, "SSH-2.0-OpenSSH_9.2", 19);
  hostile_end (&scene, MMAP_ERROR_MESSAGE, "19 bytes");
}

static void
test_empty_offer (void)
{
  Hostile scene;

  hostile_begin (&scene, address);
  raw_producer_greet (&scene.raw);
  raw_producer_send (&scene.raw, MMAP_MESSAGE_OFFER);
  hostile_end (&scene, MMAP_ERROR_MESSAGE, "protocol");
}

/* What the producer says reaches whoever called. */
static void
test_refused (void)
{
  GError *reason = g_error_new (MMAP_ERROR, MMAP_ERROR_LIMIT, "no room here");
  Hostile scene;

  hostile_begin (&scene, address);
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
  Hostile scene;
  guint i;

  hostile_begin (&scene, address);
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
  leak_check_add_test ("/consumer-hostile/lingering", test_lingering);
  leak_check_add_test ("/consumer-hostile/link-session", test_link_session);
  leak_check_add_test ("/consumer-hostile/link-version", test_link_version);
  leak_check_add_test ("/consumer-hostile/accept-first", test_accept_first);
  leak_check_add_test ("/consumer-hostile/accept-twice", test_accept_twice);
  leak_check_add_test ("/consumer-hostile/hello", test_hello);
  leak_check_add_test ("/consumer-hostile/garbage", test_garbage);
  leak_check_add_test ("/consumer-hostile/empty-offer", test_empty_offer);
  leak_check_add_test ("/consumer-hostile/refused", test_refused);
  leak_check_add_test ("/consumer-hostile/leaves", test_leaves);
  result = g_test_run ();
  g_free (address);
  return result;
}
