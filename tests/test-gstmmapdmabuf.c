/* gst-mmap: tests of frames as dma-bufs
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * With a device of this test's own, whose dma-bufs are memfds with a copy of the block as it was then; tests/vm has a kernel's.
 */
#include "dmabuf.h"
#include "error.h"
#include "leak-check.h"
#include "peers.h"
#include "pipe.h"

#include <errno.h>
#include <fcntl.h>
#include <gst/allocators/allocators.h>
#include <gst/video/video.h>
#include <linux/udmabuf.h>
#include <stdarg.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#define SMALL "video/x-raw,format=I420,width=64,height=48,framerate=50/1"
#define SMALL_BYTES 4608
#define MAX_MADE 256

/* The device. Under the lock: two pipelines have a thread each. */
static GMutex lock;
static int open_errno;          /* 0: it can be opened */
static int create_errno;        /* of the one that is create_fails_at, and all later ones */
static guint create_fails_at;
static guint n_made;
static struct udmabuf_create made[MAX_MADE];

int __real_open (const char *path, int flags, ...);
int __wrap_open (const char *path, int flags, ...);
int __real_open64 (const char *path, int flags, ...);
int __wrap_open64 (const char *path, int flags, ...);
int __real_ioctl (int fd, unsigned long request, ...);
int __wrap_ioctl (int fd, unsigned long request, ...);

static int
fake_open (const char *path, int flags, mode_t mode)
{
  int error;

  if (strcmp (path, MMAP_UDMABUF_DEVICE) != 0)
    return openat (AT_FDCWD, path, flags, mode);
  g_mutex_lock (&lock);
  error = open_errno;
  g_mutex_unlock (&lock);
  errno = error;
  return error ? -1 : openat (AT_FDCWD, "/dev/null", flags);
}

static mode_t
take_mode (int flags, va_list args)
{
  return flags & (O_CREAT | O_TMPFILE) ? va_arg (args, mode_t) : 0;
}

int
__wrap_open (const char *path, int flags, ...)
{
  va_list args;
  mode_t mode;

  va_start (args, flags);
  mode = take_mode (flags, args);
  va_end (args);
  return fake_open (path, flags, mode);
}

int
__wrap_open64 (const char *path, int flags, ...)
{
  va_list args;
  mode_t mode;

  va_start (args, flags);
  mode = take_mode (flags, args);
  va_end (args);
  return fake_open (path, flags, mode);
}

static int
fake_create (const struct udmabuf_create *create)
{
  g_autofree char *bytes = g_malloc (create->size);
  int fd = memfd_create ("dma-buf", MFD_CLOEXEC);

  g_assert_cmpint (pread (create->memfd, bytes, create->size, create->offset),
      ==, create->size);
  g_assert_cmpint (write (fd, bytes, create->size), ==, create->size);
  return fd;
}

int
__wrap_ioctl (int fd, unsigned long request, ...)
{
  const struct udmabuf_create *create;
  va_list args;
  void *argument;
  int error = 0;

  va_start (args, request);
  argument = va_arg (args, void *);
  va_end (args);
  if (request != UDMABUF_CREATE)
    return __real_ioctl (fd, request, argument);
  create = argument;
  /* What the kernel asks for. */
  g_assert_cmpuint (create->offset % 4096, ==, 0);
  g_assert_cmpuint (create->size % 4096, ==, 0);
  g_assert_cmpuint (create->size, >, 0);
  g_mutex_lock (&lock);
  g_assert_cmpuint (n_made, <, MAX_MADE);
  if (create_errno && n_made >= create_fails_at)
    error = create_errno;
  else
    made[n_made++] = *create;
  g_mutex_unlock (&lock);
  errno = error;
  return error ? -1 : fake_create (create);
}

/* A device that does what it is told. */
static void
set_device (int errno_of_open, int errno_of_create, guint fails_at)
{
  g_mutex_lock (&lock);
  open_errno = errno_of_open;
  create_errno = errno_of_create;
  create_fails_at = fails_at;
  n_made = 0;
  g_mutex_unlock (&lock);
}

static guint
count_made (void)
{
  guint n;

  g_mutex_lock (&lock);
  n = n_made;
  g_mutex_unlock (&lock);
  return n;
}

/* --- the core --- */

static MmapRegion *
new_region (gboolean seal_writes)
{
  GError *error = NULL;
  MmapRegion *region = mmap_region_begin_memfd (65536, G_MAXUINT64, 1, 1,
      seal_writes, &error);

  g_assert_no_error (error);
  return region;
}

static void
expect_closed (MmapRegion * region, MmapError code, const char *reason)
{
  GError *error = NULL;

  g_assert_cmpint (mmap_dmabuf_open (region, &error), ==, -1);
  check_error (&error, code, reason);
}

static void
test_open (void)
{
  g_autofree char *path = leak_check_path ("region");
  MmapRegion *region = new_region (FALSE);
  GError *error = NULL;

  set_device (ENOENT, 0, 0);
  expect_closed (region, MMAP_ERROR_NOT_FOUND, "CONFIG_UDMABUF");
  set_device (EACCES, 0, 0);
  expect_closed (region, MMAP_ERROR_PERMISSION, "kvm");
  set_device (EMFILE, 0, 0);
  expect_closed (region, MMAP_ERROR_NO_RESOURCES, "can't be opened");
  mmap_region_unref (region);

  set_device (0, 0, 0);
  region = new_region (TRUE);
  expect_closed (region, MMAP_ERROR_SEALS, "allow-dmabuf=true");
  mmap_region_unref (region);
  region = mmap_region_new_file (path, 65536, 1, 1, &error);
  g_assert_no_error (error);
  expect_closed (region, MMAP_ERROR_FILE, "memfds only");
  mmap_region_unlink (region);
  mmap_region_unref (region);
}

static void
expect_none (MmapRegion * region, guint64 offset, guint64 size, MmapError code,
    const char *reason)
{
  GError *error = NULL;
  int device = mmap_dmabuf_open (region, &error);

  g_assert_no_error (error);
  g_assert_cmpint (mmap_dmabuf_new (device, region, offset, size, &error), ==,
      -1);
  check_error (&error, code, reason);
  close (device);
}

static void
test_blocks (void)
{
  MmapRegion *region = new_region (FALSE);
  GError *error = NULL;
  int device, fd;

  set_device (0, 0, 0);
  /* Neither the header, nor what lies beside it, nor behind the end. */
  expect_none (region, 0, 4096, MMAP_ERROR_LAYOUT, "pages of its own");
  expect_none (region, 8256, 100, MMAP_ERROR_LAYOUT, "pages of its own");
  expect_none (region, 8192, 0, MMAP_ERROR_LAYOUT, "pages of its own");
  expect_none (region, 61440, 4097, MMAP_ERROR_LAYOUT, "pages of its own");
  expect_none (region, 8192, G_MAXUINT64, MMAP_ERROR_LAYOUT, "of its own");
  expect_none (region, G_MAXUINT64 - 4095, 4096, MMAP_ERROR_LAYOUT, "own");
  expect_none (region, 8192, G_MAXUINT64 - 4095, MMAP_ERROR_LAYOUT, "own");
  g_assert_cmpuint (count_made (), ==, 0);

  device = mmap_dmabuf_open (region, &error);
  fd = mmap_dmabuf_new (device, region, 57344, 4097, &error);
  g_assert_no_error (error);
  g_assert_cmpuint (made[0].offset, ==, 57344);
  g_assert_cmpuint (made[0].size, ==, 8192);
  close (fd);
  close (device);

  set_device (0, EINVAL, 0);
  expect_none (region, 8192, 4096, MMAP_ERROR_LIMIT, "size_limit_mb");
  set_device (0, EMFILE, 0);
  expect_none (region, 8192, 4096, MMAP_ERROR_NO_RESOURCES, "no dma-buf");
  set_device (0, EIO, 0);
  expect_none (region, 8192, 4096, MMAP_ERROR_FAILED, "no dma-buf");
  mmap_region_unref (region);
}

/* --- elements --- */

#define SOURCE "videotestsrc num-buffers=%u pattern=ball ! " SMALL

static Pipe *
new_producer (guint n, const char *path, const char *more)
{
  return pipe_new (SOURCE " ! mmapsink socket-path=%s sync=false name=sink %s",
      n, path, more);
}

static Pipe *
play_reference (guint n)
{
  Pipe *reference = pipe_new (SOURCE " ! fakesink name=out sync=false", n);

  pipe_play (reference);
  pipe_wait_eos (reference);
  return reference;
}

/* The last buffer may be on its way back still. */
static void
wait_held (Pipe * pipe, guint n)
{
  gint64 end = g_get_monotonic_time () + PIPE_TIMEOUT / GST_USECOND;

  while (pipe_get_stat (pipe, "src", "held") != n) {
    g_assert_cmpint (g_get_monotonic_time (), <, end);
    g_usleep (1000);
  }
}

static gboolean
is_in_dmabuf (Pipe * pipe, guint i)
{
  return strstr (pipe_get_frame (pipe, i)->caps, "memory:DMABuf") != NULL;
}

static void
assert_pixels (Pipe * reference, Pipe * pipe, guint n)
{
  guint i;

  for (i = 0; i < n; i++)
    g_assert_cmpstr (pipe_get_frame (reference, i)->pixels, ==,
        pipe_get_frame (pipe, i)->pixels);
}

/* There is exactly one warning, with that reason. */
static void
assert_told (Pipe * pipe, MmapError reason)
{
  g_autofree char *expected = g_strdup_printf ("reason: %s",
      mmap_error_get_name (reason));
  GstBus *bus = gst_element_get_bus (pipe->pipeline);
  GstMessage *message = gst_bus_timed_pop_filtered (bus, PIPE_TIMEOUT,
      GST_MESSAGE_WARNING);
  g_autoptr (GError) error = NULL;
  g_autofree char *debug = NULL;

  g_assert_nonnull (message);
  gst_message_parse_warning (message, &error, &debug);
  g_assert_true (g_str_has_prefix (error->message, "io-mode=dmabuf can't be"));
  if (!g_str_has_suffix (debug, expected))
    g_error ("'%s', '%s': expected %s", error->message, debug, expected);
  gst_message_unref (message);
  message = gst_bus_pop_filtered (bus, GST_MESSAGE_WARNING);
  g_assert_null (message);
  gst_object_unref (bus);
}

/* Each frame lies in pages that no other has, and is given back when its memory is dropped, and no sooner. */
static void
test_frames (void)
{
  g_autofree char *path = pipe_socket_path ();
  Pipe *reference = play_reference (5);
  Pipe *producer = new_producer (5, path, "allow-dmabuf=true");
  Pipe *consumer = pipe_new ("mmapsrc socket-path=%s io-mode=dmabuf name=src "
      "! video/x-raw(memory:DMABuf) ! fakesink name=out sync=false "
      "enable-last-sample=false", path);
  GstMemory *part;
  guint i, j;

  set_device (0, 0, 0);
  consumer->hold = TRUE;
  pipe_play (reference);
  pipe_play (producer);
  pipe_play (consumer);
  pipe_wait_frames (consumer, 5);
  assert_pixels (reference, consumer, 5);
  g_assert_cmpuint (n_made, ==, 5);
  for (i = 0; i < 5; i++) {
    GstBuffer *buffer = g_ptr_array_index (consumer->held, i);
    GstMemory *memory = gst_buffer_peek_memory (buffer, 0);
    GstMapInfo map;

    g_assert_true (is_in_dmabuf (consumer, i));
    g_assert_true (gst_is_dmabuf_memory (memory));
    g_assert_cmpuint (memory->size, ==, SMALL_BYTES);
    g_assert_nonnull (gst_buffer_get_meta (buffer, GST_VIDEO_META_API_TYPE));
    g_assert_false (gst_memory_map (memory, &map, GST_MAP_WRITE));
    for (j = 0; j < i; j++)
      g_assert_true (made[j].offset + made[j].size <= made[i].offset
          || made[i].offset + made[i].size <= made[j].offset);
  }
  wait_held (consumer, 5);
  g_assert_cmpuint (pipe_get_stat (consumer, "src", "copied"), ==, 0);

  /* Who has a part of it has all of it. */
  part = gst_memory_share (gst_buffer_peek_memory (g_ptr_array_index
          (consumer->held, 0), 0), 100, 100);
  g_ptr_array_set_size (consumer->held, 0);
  wait_held (consumer, 1);
  gst_memory_unref (part);
  wait_held (consumer, 0);
  pipe_free (consumer);
  pipe_free (producer);
  pipe_free (reference);
}

static void
keep_first (GstElement * out, GstBuffer * buffer, GstPad * pad,
    GstBuffer ** kept)
{
  if (!*kept)
    *kept = gst_buffer_ref (buffer);
}

/* A block is made a dma-buf once. */
static void
test_again (void)
{
  g_autofree char *path = pipe_socket_path ();
  Pipe *producer = new_producer (500, path, "allow-dmabuf=true");
  Pipe *consumer = pipe_new ("mmapsrc socket-path=%s io-mode=dmabuf name=src "
      "! fakesink name=out sync=false enable-last-sample=false", path);
  GstBuffer *kept = NULL;
  guint i, j;

  set_device (0, 0, 0);
  g_signal_connect (pipe_get (consumer, "out"), "handoff",
      G_CALLBACK (keep_first), &kept);
  pipe_play (producer);
  pipe_play (consumer);
  pipe_wait_eos (consumer);
  g_assert_true (is_in_dmabuf (consumer, 499));
  for (i = 0; i < n_made; i++)
    for (j = 0; j < i; j++)
      g_assert_cmpuint (made[i].offset, !=, made[j].offset);
  wait_held (consumer, 1);
  /* It outlives all that it came from. */
  pipe_free (consumer);
  pipe_free (producer);
  gst_buffer_unref (kept);
}

static void
check_falls_back (const char *sink, const char *src, const char *then,
    MmapError reason)
{
  g_autofree char *path = pipe_socket_path ();
  Pipe *reference = play_reference (20);
  Pipe *producer = new_producer (20, path, sink);
  Pipe *consumer = pipe_new ("mmapsrc socket-path=%s io-mode=dmabuf name=src "
      "%s ! %s fakesink name=out sync=false enable-last-sample=false", path,
      src, then);

  pipe_play (producer);
  pipe_play (consumer);
  pipe_wait_frames (consumer, 20);
  assert_pixels (reference, consumer, 20);
  g_assert_false (is_in_dmabuf (consumer, 19));
  wait_held (consumer, 0);
  assert_told (consumer, reason);
  pipe_free (consumer);
  pipe_free (producer);
  pipe_free (reference);
}

static void
test_falls_back (void)
{
  g_autofree char *file = leak_check_path ("region");
  g_autofree char *in_file = g_strconcat ("file=", file, NULL);

  set_device (ENOENT, 0, 0);
  check_falls_back ("allow-dmabuf=true", "", "", MMAP_ERROR_NOT_FOUND);
  set_device (0, 0, 0);
  check_falls_back ("", "", "", MMAP_ERROR_SEALS);
  check_falls_back (in_file, "", "", MMAP_ERROR_FILE);
  check_falls_back ("allow-dmabuf=true", "untrusted=true", "",
      MMAP_ERROR_SETTING);
  check_falls_back ("allow-dmabuf=true", "", "video/x-raw !",
      MMAP_ERROR_NOT_NEGOTIATED);
  /* It can change under way. */
  set_device (0, EMFILE, 2);
  check_falls_back ("allow-dmabuf=true", "", "", MMAP_ERROR_NO_RESOURCES);
  set_device (0, EINVAL, 0);
  check_falls_back ("allow-dmabuf=true", "", "", MMAP_ERROR_LIMIT);
}

/* Whoever doesn't ask for dma-bufs has none, and what isn't raw video is none. */
static void
test_not_asked (void)
{
  g_autofree char *path = pipe_socket_path ();
  Pipe *producer = new_producer (10, path, "allow-dmabuf=true");
  Pipe *consumer = pipe_new ("mmapsrc socket-path=%s ! fakesink name=out "
      "sync=false", path);

  pipe_play (producer);
  pipe_play (consumer);
  pipe_wait_frames (consumer, 3);
  g_assert_false (is_in_dmabuf (consumer, 0));
  g_assert_cmpuint (count_made (), ==, 0);
  pipe_free (consumer);
  pipe_free (producer);
}

static void
test_setting (void)
{
  g_autofree char *file = leak_check_path ("region");
  Pipe *producer = pipe_new ("videotestsrc ! mmapsink file=%s "
      "allow-dmabuf=true", file);
  g_autoptr (GError) error = NULL;

  gst_element_set_state (producer->pipeline, GST_STATE_PLAYING);
  error = pipe_wait_error (producer);
  g_assert_error (error, GST_RESOURCE_ERROR, GST_RESOURCE_ERROR_SETTINGS);
  g_assert_nonnull (strstr (error->message, "memfds only"));
  g_assert_false (g_file_test (file, G_FILE_TEST_EXISTS));
  pipe_free (producer);
}

static void
add_tests (void)
{
  leak_check_add_test ("/dmabuf/open", test_open);
  leak_check_add_test ("/dmabuf/blocks", test_blocks);
  leak_check_add_test ("/dmabuf/frames", test_frames);
  leak_check_add_test ("/dmabuf/again", test_again);
  leak_check_add_test ("/dmabuf/falls-back", test_falls_back);
  leak_check_add_test ("/dmabuf/not-asked", test_not_asked);
  leak_check_add_test ("/dmabuf/setting", test_setting);
}

int
main (int argc, char **argv)
{
  return pipe_test_main (argc, argv, add_tests);
}
