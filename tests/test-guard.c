/* gst-mmap: tests of files that somebody truncates while they are mapped
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Run by `meson test`. The first cases run in children, before this process has a guard itself: what they set up is what was there before.
 */
#include "guard.h"
#include "consumer-private.h"
#include "leak-check.h"
#include "peers.h"
#include "system-faults.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#define PAGE MMAP_PAGE_BYTES
#define SIZE (64 * PAGE)
/* Begins at a page. */
#define FRAME (16 * PAGE)

static char *path;
static char *address;

static void
truncate_file (const char *name, guint64 size)
{
  g_assert_cmpint (truncate (name, size), ==, 0);
}

/* A page of a file that is empty: whoever touches it gets SIGBUS. */
static guint8 *
map_nothing (void)
{
  int fd = memfd_create ("test", MFD_CLOEXEC);
  guint8 *memory;

  memory = mmap (NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  g_assert_true (memory != MAP_FAILED);
  close (fd);
  return memory;
}

static void
touch (volatile guint8 * memory)
{
  *memory = 1;
}

static MmapRegion *
make_file (const char *name)
{
  GError *error = NULL;
  MmapRegion *region = mmap_region_new_file (name, SIZE, 1, 1, &error);

  g_assert_no_error (error);
  return region;
}

static void
remove_file (MmapRegion * region)
{
  mmap_region_unlink (region);
  mmap_region_unref (region);
}

static MmapRegion *
open_file (const char *name)
{
  GError *error = NULL;
  MmapRegion *region = mmap_region_open_path (name, SIZE, &error);

  g_assert_no_error (error);
  return region;
}

/* A guard of this process's works, so that its handler is installed. */
static void
use_guard (void)
{
  MmapRegion *region = make_file (path);

  truncate_file (path, PAGE);
  touch (region->base + PAGE);
  g_assert_true (mmap_region_is_broken (region));
  g_assert_cmpuint (region->base[PAGE], ==, 1);
  remove_file (region);
}

static void
restore_default (void)
{
  struct sigaction standard = {.sa_handler = SIG_DFL };

  g_assert_cmpint (sigaction (SIGBUS, &standard, NULL), ==, 0);
}

/* --- what was there before --- */

/* Fails the test unless a child that runs @function is ended by SIGBUS. */
static void
expect_end (void (*function) (void))
{
  struct rlimit none = { 0, 0 };
  int status;
  pid_t pid = fork ();

  g_assert_cmpint (pid, >=, 0);
  if (pid == 0) {
    setrlimit (RLIMIT_CORE, &none);
    restore_default ();
    use_guard ();
    function ();
    _exit (0);
  }
  g_assert_cmpint (waitpid (pid, &status, 0), ==, pid);
  g_assert_true (WIFSIGNALED (status));
  g_assert_cmpint (WTERMSIG (status), ==, SIGBUS);
}

static void
touch_nothing (void)
{
  touch (map_nothing ());
}

static void
send_signal (void)
{
  kill (getpid (), SIGBUS);
  pause ();
}

/* A guard that is gone guards nothing: another mapping at the same place. */
static void
touch_after_guard (void)
{
  MmapRegion *region = make_file (path);
  guint8 *base = region->base;
  int fd = memfd_create ("test", MFD_CLOEXEC);

  remove_file (region);
  g_assert_true (mmap (base, PAGE, PROT_READ | PROT_WRITE,
          MAP_SHARED | MAP_FIXED_NOREPLACE, fd, 0) == base);
  touch (base);
}

/* Whatever isn't ours ends as if we were not there. */
static void
test_default (void)
{
  expect_end (touch_nothing);
  expect_end (send_signal);
  expect_end (touch_after_guard);
}

static guint8 *expected;
static gint n_handled;

/* The application's: makes its memory readable. */
static void
handle_with_info (int number, siginfo_t * info, gpointer context)
{
  if (info->si_addr != expected || info->si_code != BUS_ADRERR || !context)
    _exit (2);
  n_handled++;
  mmap (expected, PAGE, PROT_READ | PROT_WRITE,
      MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
  errno = EIO;
}

static void
handle (int number)
{
  if (number != SIGBUS)
    _exit (2);
  n_handled++;
  mmap (expected, PAGE, PROT_READ | PROT_WRITE,
      MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
}

static void
check_handler (gconstpointer data)
{
  const struct sigaction *action = data;

  n_handled = 0;
  g_assert_cmpint (sigaction (SIGBUS, action, NULL), ==, 0);
  use_guard ();
  /* It is not asked about what is ours. */
  g_assert_cmpint (n_handled, ==, 0);
  expected = map_nothing ();
  errno = 0;
  touch (expected);
  g_assert_cmpint (errno, ==, 0);
  g_assert_cmpint (n_handled, ==, 1);
  use_guard ();
  g_assert_cmpint (n_handled, ==, 1);
}

static void
check_ignored (gconstpointer data)
{
  signal (SIGBUS, SIG_IGN);
  use_guard ();
  kill (getpid (), SIGBUS);
  use_guard ();
}

static void
check_other_stack (gconstpointer data)
{
  stack_t stack = {.ss_sp = g_malloc (65536),.ss_size = 65536 };

  g_assert_cmpint (sigaltstack (&stack, NULL), ==, 0);
  restore_default ();
  use_guard ();
  stack.ss_flags = SS_DISABLE;
  g_assert_cmpint (sigaltstack (&stack, NULL), ==, 0);
  g_free (stack.ss_sp);
}

static void
test_previous_handler (void)
{
  static const struct sigaction with_info = {.sa_sigaction = handle_with_info,
    .sa_flags = SA_SIGINFO
  };
  static const struct sigaction without = {.sa_handler = handle };

  run_in_child (check_handler, &with_info);
  run_in_child (check_handler, &without);
  run_in_child (check_ignored, NULL);
  run_in_child (check_other_stack, NULL);
}

/* --- guards --- */

static gboolean
is_readable (int fd)
{
  struct pollfd poll_fd = { fd, POLLIN, 0 };

  return poll (&poll_fd, 1, 0) == 1;
}

static void
test_read (void)
{
  MmapRegion *made = make_file (path), *region = open_file (path);
  MmapAlarm *alarm = mmap_alarm_new (), *late = mmap_alarm_new ();
  guint i;

  memset (made->base + SIZE - 4 * PAGE, 7, 4 * PAGE);
  mmap_region_set_alarm (region, alarm);
  g_assert_cmpuint (region->base[SIZE - 1], ==, 7);
  truncate_file (path, SIZE - 2 * PAGE);
  /* What is left is as it was. */
  for (i = 0; i < PAGE; i++)
    g_assert_cmpuint (region->base[SIZE - 4 * PAGE + i], ==, 7);
  g_assert_false (mmap_region_is_broken (region));
  g_assert_false (mmap_alarm_is_rung (alarm));
  g_assert_false (is_readable (mmap_alarm_get_fd (alarm)));
  for (i = 0; i < 2 * PAGE; i++)
    g_assert_cmpuint (region->base[SIZE - 1 - i], ==, 0);
  g_assert_true (mmap_region_is_broken (region));
  g_assert_true (mmap_alarm_is_rung (alarm));
  g_assert_true (is_readable (mmap_alarm_get_fd (alarm)));
  for (i = 0; i < 2 * PAGE; i++)
    g_assert_cmpuint (region->base[SIZE - 4 * PAGE + i], ==, 7);

  /* The other mapping of the same file has not been touched. */
  g_assert_false (mmap_region_is_broken (made));
  touch (made->base + SIZE - 1);
  g_assert_true (mmap_region_is_broken (made));
  mmap_region_set_alarm (made, late);
  g_assert_true (mmap_alarm_is_rung (late));
  mmap_region_unref (region);
  remove_file (made);
  mmap_alarm_unref (alarm);
  mmap_alarm_unref (late);
}

/* The system reads and writes as well: then there is no signal, but an error. */
static void
test_system_call (void)
{
  MmapRegion *region = make_file (path);
  int fds[2];

  g_assert_cmpint (pipe (fds), ==, 0);
  truncate_file (path, 0);
  g_assert_cmpint (write (fds[1], region->base, 1), ==, -1);
  g_assert_cmpint (errno, ==, EFAULT);
  close (fds[0]);
  close (fds[1]);
  remove_file (region);
}

/* What is left of a region isn't reserved as if nothing had happened. */
static void
test_reserve_more (void)
{
  GError *error = NULL;
  MmapRegion *region = mmap_region_begin_file (path, SIZE, 4 * PAGE, 1, 1,
      &error);

  g_assert_no_error (error);
  g_assert_true (mmap_region_reserve_more (region, PAGE, &error));
  truncate_file (path, 0);
  g_assert_false (mmap_region_reserve_more (region, PAGE, &error));
  check_error (&error, MMAP_ERROR_TRUNCATED, path);
  remove_file (region);
}

#define N_ROUNDS 100

static gpointer
break_and_touch (gpointer data)
{
  g_autofree char *own = g_strdup_printf ("%s-%d", path,
      GPOINTER_TO_INT (data));
  guint i, j;

  for (i = 0; i < N_ROUNDS; i++) {
    MmapRegion *made = make_file (own), *opened = open_file (own);

    truncate_file (own, PAGE);
    for (j = 1; j < SIZE / PAGE; j++) {
      touch (made->base + SIZE - j * PAGE);
      g_assert_cmpuint (opened->base[j * PAGE], ==, 0);
    }
    g_assert_true (mmap_region_is_broken (made));
    g_assert_true (mmap_region_is_broken (opened));
    mmap_region_unref (opened);
    remove_file (made);
  }
  return NULL;
}

/* Guards come and go while other threads are in the handler. */
static void
test_threads (void)
{
  GThread *threads[4];
  guint i;

  for (i = 0; i < G_N_ELEMENTS (threads); i++)
    threads[i] = g_thread_new ("break", break_and_touch, GINT_TO_POINTER (i));
  for (i = 0; i < G_N_ELEMENTS (threads); i++)
    g_thread_join (threads[i]);
}

static void
test_limit (void)
{
  static MmapGuard *guards[MMAP_MAX_GUARDS];
  MmapRegion *region = make_file (path);
  g_autofree char *other = g_strconcat (path, "-other", NULL);
  guint8 *memory = map_nothing ();
  GError *error = NULL;
  guint i;

  for (i = 0; i < MMAP_MAX_GUARDS - 1; i++)
    guards[i] = mmap_guard_new (memory, PAGE, TRUE);
  g_assert_nonnull (guards[MMAP_MAX_GUARDS - 2]);
  g_assert_null (mmap_guard_new (memory, PAGE, TRUE));
  g_assert_null (mmap_region_open_path (path, SIZE, &error));
  check_error (&error, MMAP_ERROR_LIMIT, "files of regions");
  g_assert_null (mmap_region_new_file (other, SIZE, 1, 1, &error));
  check_error (&error, MMAP_ERROR_LIMIT, "files of regions");
  g_assert_cmpint (access (other, F_OK), ==, -1);
  remove_file (region);
  region = make_file (path);
  remove_file (region);
  for (i = 0; i < MMAP_MAX_GUARDS - 1; i++)
    mmap_guard_free (guards[i]);
  munmap (memory, PAGE);
}

/* --- links --- */

typedef struct
{
  GMutex lock;
  GCond cond;
  guint n;
  MmapError code;
} Failures;

static void
failed (const GError * reason, gpointer data)
{
  Failures *failures = data;

  g_mutex_lock (&failures->lock);
  failures->n++;
  failures->code = reason->code;
  g_cond_broadcast (&failures->cond);
  g_mutex_unlock (&failures->lock);
}

static MmapProducer *
make_file_producer (Failures * failures)
{
  MmapProducerCallbacks callbacks = {.failed = failed };
  GError *error = NULL;
  MmapProducer *producer =
      mmap_producer_new (address, path, MMAP_TOKEN_DEFAULT_BYTES, &error);

  g_assert_no_error (error);
  mmap_producer_set_callbacks (producer, &callbacks, failures);
  g_assert_true (mmap_producer_start (producer, NULL));
  mmap_producer_set_region (producer, mmap_producer_size_for (8 * FRAME),
      G_MAXUINT64, "video/x-test", &error);
  g_assert_no_error (error);
  return producer;
}

static MmapConsumer *
connect_consumer (MmapProducer * producer)
{
  GError *error = NULL;
  MmapConsumer *consumer = mmap_consumer_new (address, &error);
  MmapItem item;

  g_assert_no_error (error);
  next_item (consumer, &item, MMAP_NEXT_CONNECTED);
  wait_for_links (producer, 1);
  return consumer;
}

static guint64
sum (const MmapItem * item)
{
  guint64 total = 0, i;

  for (i = 0; i < item->descriptor.size; i++)
    total += item->data[i];
  return total;
}

/* Somebody downstream reads while the consumer sleeps. */
static void
test_consumer (void)
{
  Failures failures = { 0, };
  MmapProducer *producer = make_file_producer (&failures);
  MmapConsumer *consumer = connect_consumer (producer);
  GError *error = NULL;
  MmapItem item, none;
  Reader reader;

  reader_start (&reader, address, TRUE);
  wait_for_links (producer, 2);
  publish_frame (producer, 1, FRAME);
  next_item (consumer, &item, MMAP_NEXT_FRAME);
  check_frame (&item, 1);
  reader_wait (&reader, reader.frames == 1);
  g_assert_true (mmap_consumer_check_memory (consumer, &error));
  truncate_file (path, item.descriptor.offset);
  /* It has its own mapping: in this process, as in any other. */
  g_assert_cmpuint (sum (&item), ==, 0);
  g_assert_false (mmap_consumer_check_memory (consumer, &error));
  check_error (&error, MMAP_ERROR_TRUNCATED, path);
  g_assert_cmpint (mmap_consumer_next (consumer, &none, &error), ==,
      MMAP_NEXT_ERROR);
  check_error (&error, MMAP_ERROR_TRUNCATED, path);
  wait_for_failures (producer, MMAP_ERROR_TRUNCATED, 1);

  /* This one sleeps until it is told. */
  g_assert_cmpuint (sum (&g_array_index (reader.held, MmapItem, 0)), ==, 0);
  reader_wait (&reader, reader.error);
  check_error (&reader.error, MMAP_ERROR_TRUNCATED, path);
  reader_stop (&reader);

  release_item (&item);
  end_producer (producer);
  g_assert_cmpuint (failures.n, ==, 0);
  /* The next one is as good as new. */
  producer = make_file_producer (&failures);
  next_item (consumer, &none, MMAP_NEXT_CONNECTED);
  publish_frame (producer, 1, FRAME);
  next_item (consumer, &item, MMAP_NEXT_FRAME);
  check_frame (&item, 1);
  release_item (&item);
  mmap_consumer_free (consumer);
  end_producer (producer);
}

/* What is held of an earlier link. */
static void
test_after_the_link (void)
{
  Failures failures = { 0, };
  MmapProducer *producer = make_file_producer (&failures);
  MmapConsumer *consumer = connect_consumer (producer);
  int fd = open (path, O_RDWR | O_CLOEXEC);
  GError *error = NULL;
  MmapItem item, none;

  publish_frame (producer, 1, FRAME);
  next_item (consumer, &item, MMAP_NEXT_FRAME);
  end_producer (producer);
  next_item (consumer, &none, MMAP_NEXT_DISCONNECTED);
  check_frame (&item, 1);
  g_assert_cmpint (ftruncate (fd, 0), ==, 0);
  close (fd);
  g_assert_cmpuint (sum (&item), ==, 0);
  g_assert_cmpint (mmap_consumer_next (consumer, &none, &error), ==,
      MMAP_NEXT_ERROR);
  check_error (&error, MMAP_ERROR_TRUNCATED, "truncated");
  release_item (&item);
  mmap_consumer_free (consumer);
}

MmapRingResult __real_mmap_ring_peek (MmapRing * ring, void *slot);
MmapRingResult __wrap_mmap_ring_peek (MmapRing * ring, void *slot);

static MmapConsumer *ended;     /* when it has seen the end of its link ... */
static const MmapItem *lost;    /* ... and looks at the rings once more, this is lost ... */
static int lost_fd;             /* ... that lies here */

/* The linker puts this in the place of mmap_ring_peek(). */
MmapRingResult
__wrap_mmap_ring_peek (MmapRing * ring, void *slot)
{
  if (ended && g_atomic_int_get (&ended->hung_up)) {
    ended = NULL;
    g_assert_cmpint (ftruncate (lost_fd, 0), ==, 0);
    g_assert_cmpuint (sum (lost), ==, 0);
  }
  return __real_mmap_ring_peek (ring, slot);
}

/* The link's end comes of it, but is seen before: as in an area, whose messages another thread looks for. */
static void
test_end_is_seen_first (void)
{
  Failures failures = { 0, };
  MmapProducer *producer = make_file_producer (&failures);
  MmapConsumer *consumer = connect_consumer (producer);
  GError *error = NULL;
  MmapItem item, none;

  lost_fd = open (path, O_RDWR | O_CLOEXEC);
  publish_frame (producer, 1, FRAME);
  next_item (consumer, &item, MMAP_NEXT_FRAME);
  end_producer (producer);
  lost = &item;
  ended = consumer;
  g_assert_cmpint (mmap_consumer_next (consumer, &none, &error), ==,
      MMAP_NEXT_ERROR);
  g_assert_null (ended);
  check_error (&error, MMAP_ERROR_TRUNCATED, "truncated");
  close (lost_fd);
  release_item (&item);
  mmap_consumer_free (consumer);
}

/* The producer writes. */
static void
test_producer (void)
{
  Failures failures = { 0, };
  MmapProducer *producer = make_file_producer (&failures);
  MmapConsumer *consumer = connect_consumer (producer);
  MmapCancel cancel = { FALSE };
  GError *error = NULL;
  MmapEvent event = {.kind = MMAP_EVENT_CAPS,.data = "x",.size = 1 };
  guint64 serial;
  MmapItem none;

  publish_frame (producer, 1, FRAME);
  truncate_file (path, 0);
  /* Even the header has gone, which is written with each frame. */
  serial = mmap_producer_collect (producer);
  g_assert_cmpint (try_publish_frame (producer, 2, FRAME), ==,
      MMAP_PUBLISH_FULL);
  g_assert_cmpint (mmap_producer_push_event (producer, &event), ==,
      MMAP_PUBLISH_FULL);
  while (mmap_producer_wait (producer, &cancel, serial, -1) == MMAP_WAIT_OK)
    serial = mmap_producer_collect (producer);
  g_assert_true (mmap_producer_has_failed (producer));
  g_mutex_lock (&failures.lock);
  g_assert_cmpuint (failures.n, ==, 1);
  g_assert_cmpint (failures.code, ==, MMAP_ERROR_TRUNCATED);
  g_mutex_unlock (&failures.lock);
  wait_for_failures (producer, MMAP_ERROR_TRUNCATED, 1);
  g_assert_cmpuint (mmap_producer_get_n_links (producer), ==, 0);
  /* The consumer hears why, though it has read nothing that was gone. */
  while (mmap_consumer_next (consumer, &none, &error) == MMAP_NEXT_FRAME)
    release_item (&none);
  check_error (&error, MMAP_ERROR_TRUNCATED, path);
  mmap_consumer_free (consumer);
  end_producer (producer);
  g_assert_cmpuint (failures.n, ==, 1);
}

int
main (int argc, char **argv)
{
  int result;

  g_test_init (&argc, &argv, NULL);
  path = leak_check_path ("guard");
  address =
      g_strdup_printf ("%s/gst-mmap-test-%d-guard", g_get_tmp_dir (),
      getpid ());
  leak_check_add_test ("/before/default", test_default);
  leak_check_add_test ("/before/handler", test_previous_handler);
  leak_check_add_test ("/guard/read", test_read);
  leak_check_add_test ("/guard/system-call", test_system_call);
  leak_check_add_test ("/guard/reserve-more", test_reserve_more);
  leak_check_add_test ("/guard/threads", test_threads);
  leak_check_add_test ("/guard/limit", test_limit);
  leak_check_add_test ("/guard/consumer", test_consumer);
  leak_check_add_test ("/guard/after-the-link", test_after_the_link);
  leak_check_add_test ("/guard/end-is-seen-first", test_end_is_seen_first);
  leak_check_add_test ("/guard/producer", test_producer);
  result = g_test_run ();
  g_free (address);
  g_free (path);
  return result;
}
