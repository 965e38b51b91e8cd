/* gst-mmap: the life of a producer and a consumer, in which calls fail
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Each system call fails once, at each place where it is called: each time in a child, which has to end either with all frames or with an
 * error that says what was wrong, has to leave nothing behind, and has to do it all once more when nothing fails. Called by test programs.
 */
#include "life.h"

#include "leak-check.h"
#include "peers.h"
#include "secret.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define FRAME 65536
#define N_FRAMES 6
/* For a life that takes some milliseconds: reaching it is a failure. */
#define LIFE_LIMIT_US (20 * G_USEC_PER_SEC * leak_check_get_times ())
/* One that hangs is killed, and named. */
#define CHILD_LIMIT_S 30
/* Of one call; those for polling come as often as they like. */
#define MAX_NUMBER 20
#define AREA_BYTES (8 << 20)

static const char *const life_names[] =
    { "memfd", "file", "carried", "secret", "area", "remote" };

typedef struct
{
  LifeKind kind;
  MmapProducer *producer;
  MmapConsumer *consumer;
  GThread *thread;
  gint64 reconnect_timeout;     /* ns */
  gboolean offered;
  GMutex lock;
  GCond cond;
  /* under the lock */
  gboolean may_begin;
  guint64 frames;
  gboolean wrong;               /* one of them */
  gboolean ended;               /* EOS has arrived */
  gboolean over;                /* next() isn't called any more */
  GError *error;                /* the first, of whoever */
} Life;

static char *address;
static char *path;
static char *remote;            /* of LIFE_REMOTE */

static void
life_note (Life * life, const GError * error)
{
  g_mutex_lock (&life->lock);
  if (!life->error)
    life->error = g_error_copy (error);
  g_mutex_unlock (&life->lock);
}

static void
failed (const GError * reason, gpointer data)
{
  life_note (data, reason);
}

/* Answers each query. */
static void
message (guint32 link_id, MmapMessageKind kind, GVariant * body, gpointer data)
{
  Life *life = data;
  GVariantDict result;
  guint32 id = 0;

  g_variant_lookup (body, "id", "u", &id);
  g_variant_dict_init (&result, NULL);
  g_variant_dict_insert (&result, "id", "u", id);
  g_variant_dict_insert (&result, "handled", "b", TRUE);
  mmap_producer_send (life->producer, link_id, MMAP_MESSAGE_RESULT,
      g_variant_dict_end (&result));
}

static gboolean
is_right (const MmapItem * item)
{
  g_autofree guint8 *expected = g_malloc (item->descriptor.size);

  fill_frame (expected, item->descriptor.size, item->descriptor.pts);
  return memcmp (item->data, expected, item->descriptor.size) == 0;
}

/* FALSE at the end. */
static gboolean
life_take (Life * life)
{
  g_autoptr (GError) error = NULL;
  gboolean more = TRUE, right;
  MmapItem item;

  switch (mmap_consumer_next (life->consumer, &item, &error)) {
    case MMAP_NEXT_FRAME:
      right = is_right (&item);
      release_item (&item);
      g_mutex_lock (&life->lock);
      life->frames++;
      life->wrong = life->wrong || !right;
      g_mutex_unlock (&life->lock);
      break;
    case MMAP_NEXT_EVENT:
      g_mutex_lock (&life->lock);
      life->ended = item.descriptor.kind == MMAP_EVENT_EOS;
      g_mutex_unlock (&life->lock);
      mmap_item_clear (&item);
      break;
    case MMAP_NEXT_ERROR:
      life_note (life, error);
      more = FALSE;
      break;
    case MMAP_NEXT_CANCELLED:
      more = FALSE;
      break;
    default:
      break;
  }
  return more;
}

/* Made before anything fails: it is not what is tested. */
static gpointer
life_thread (gpointer data)
{
  Life *life = data;
  gboolean begun;

  g_mutex_lock (&life->lock);
  while (!life->may_begin)
    g_cond_wait (&life->cond, &life->lock);
  begun = life->consumer != NULL;
  g_mutex_unlock (&life->lock);
  while (begun && life_take (life));
  g_mutex_lock (&life->lock);
  life->over = TRUE;
  g_mutex_unlock (&life->lock);
  return NULL;
}

static gboolean
life_has_error (Life * life)
{
  gboolean error;

  g_mutex_lock (&life->lock);
  error = life->error != NULL;
  g_mutex_unlock (&life->lock);
  return error;
}

static gboolean
has_link (Life * life)
{
  return mmap_producer_get_n_links (life->producer) > 0;
}

static gboolean
has_ended (Life * life)
{
  gboolean ended;

  g_mutex_lock (&life->lock);
  ended = life->ended;
  g_mutex_unlock (&life->lock);
  return ended;
}

static gboolean
publish_next (Life * life)
{
  MmapBlock *block = mmap_producer_alloc (life->producer, FRAME, 64,
      MMAP_ALLOC_COPY);
  MmapDescriptor frame = { 0, };
  MmapProducerStats stats;

  if (!block)
    return FALSE;
  mmap_producer_get_stats (life->producer, &stats);
  fill_frame (mmap_block_get_data (block), FRAME, stats.frames);
  frame.offset = block->offset;
  frame.size = FRAME;
  frame.pts = stats.frames;
  if (mmap_producer_publish (life->producer, &frame, block,
          (GDestroyNotify) mmap_block_unref, block) == MMAP_PUBLISH_OK)
    return TRUE;
  mmap_block_unref (block);
  return FALSE;
}

static gboolean
push_eos (Life * life)
{
  /* Kept, for a link that is made anew. */
  MmapEvent event = {.kind = MMAP_EVENT_EOS,.order = 1 };

  return mmap_producer_push_event (life->producer, &event) == MMAP_PUBLISH_OK;
}

static void
life_hangs (Life * life, const char *what)
{
  MmapConsumerStats consumed;
  MmapProducerStats produced;

  mmap_producer_get_stats (life->producer, &produced);
  mmap_consumer_get_stats (life->consumer, &consumed);
  g_error ("It hangs: %s; frames: %" G_GUINT64_FORMAT
      " sent, %" G_GUINT64_FORMAT " taken; links: %" G_GUINT64_FORMAT " made, %"
      G_GUINT64_FORMAT
      " of the consumer, %u there", what, produced.frames, life->frames,
      produced.links, consumed.links,
      mmap_producer_get_n_links (life->producer));
}

/* Until @condition; FALSE after an error. */
static gboolean
life_wait (Life * life, gboolean (*condition) (Life *), const char *what)
{
  gint64 limit = g_get_monotonic_time () + LIFE_LIMIT_US;
  MmapCancel cancel = { FALSE };
  gboolean done = FALSE;

  while (!done && !life_has_error (life)) {
    guint64 serial = mmap_producer_collect (life->producer);

    done = condition (life);
    if (!done)
      mmap_producer_wait (life->producer, &cancel, serial, 10000);
    if (g_get_monotonic_time () > limit)
      life_hangs (life, what);
  }
  return done;
}

static gboolean
life_publish (Life * life, guint64 capacity)
{
  g_autoptr (GError) error = NULL;
  guint i;

  if (!mmap_producer_set_region (life->producer,
          mmap_producer_size_for (capacity), FRAME, "video/x-test", &error)) {
    life_note (life, error);
    return FALSE;
  }
  if (life->kind == LIFE_CARRIED && !life->offered) {
    g_autoptr (GVariant) offer = NULL, answer = NULL;
    int fds[MMAP_MESSAGE_MAX_FDS];
    guint n_fds;

    life->offered = TRUE;
    if (mmap_producer_create_offer (life->producer, &offer, fds, &n_fds,
            &error))
      answer = mmap_consumer_accept_offer (life->consumer, offer, fds, n_fds,
          &error);
    if (!answer || !mmap_producer_accept_answer (life->producer, answer,
            &error)) {
      life_note (life, error);
      return FALSE;
    }
  }
  if (!life_wait (life, has_link, "no link"))
    return FALSE;
  for (i = 0; i < N_FRAMES; i++)
    if (!life_wait (life, publish_next, "a frame"))
      return FALSE;
  return TRUE;
}

/* What is asked is answered, or in time not. */
static void
life_ask (Life * life)
{
  GVariantDict body;
  GVariant *result;

  g_variant_dict_init (&body, NULL);
  result = mmap_consumer_call (life->consumer, MMAP_MESSAGE_QUERY, &body,
      G_USEC_PER_SEC / 5);
  g_clear_pointer (&result, g_variant_unref);
}

/* NULL with an error. */
static MmapProducer *
make_lifes_producer (const Life * life, GError ** error)
{
  static const MmapMode own = MMAP_MODE_OWN;
  const char *at = life->kind == LIFE_CARRIED ? MMAP_ADDRESS_NONE : address;
  MmapProducer *producer;
  MmapUsers *users;

  if (life->kind < LIFE_AREA)
    return mmap_producer_new (at, life->kind == LIFE_FILE ? path : NULL,
        MMAP_TOKEN_DEFAULT_BYTES, error);
  users = mmap_users_new (NULL, NULL);
  producer = mmap_producer_new_in_area (path, "default", AREA_BYTES, &own,
      users, MMAP_TOKEN_DEFAULT_BYTES, error);
  mmap_users_free (users);
  if (producer && life->kind == LIFE_REMOTE
      && !mmap_producer_listen_remote (producer, remote, FALSE, error)) {
    end_producer (producer);
    return NULL;
  }
  return producer;
}

static MmapConsumer *
make_lifes_consumer (const Life * life, GError ** error)
{
  const char *at = life->kind == LIFE_CARRIED ? MMAP_ADDRESS_NONE : address;

  switch (life->kind) {
    case LIFE_AREA:
      return mmap_consumer_new_in_area (path, "default", error);
    case LIFE_REMOTE:
      return mmap_consumer_new_remote (remote, path, FALSE, error);
    default:
      return mmap_consumer_new (at, error);
  }
}

/* Both sides'. */
static gboolean
make_secret (const Life * life, MmapSecret ** secret, GError ** error)
{
  static const char token[] = "a token of tests that nobody guesses";

  *secret = NULL;
  if (life->kind != LIFE_SECRET)
    return TRUE;
  *secret = mmap_secret_new (token, sizeof token, "access-token", error);
  return *secret != NULL;
}

/* libsodium looks for random numbers once, for ever. */
static void
init_sodium (void)
{
  Life life = {.kind = LIFE_SECRET };
  MmapSecret *secret;

  g_assert_true (make_secret (&life, &secret, NULL));
  mmap_secret_unref (secret);
}

static gboolean
life_begin (Life * life, GError ** error)
{
  MmapProducerCallbacks producer_callbacks = {.failed = failed,.message =
        message
  };
  MmapConsumerCallbacks consumer_callbacks = { NULL };
  MmapSecret *secret;

  life->producer = make_lifes_producer (life, error);
  if (!life->producer || !make_secret (life, &secret, error))
    return FALSE;
  mmap_producer_set_secret (life->producer, secret);
  mmap_producer_set_callbacks (life->producer, &producer_callbacks, life);
  if (!mmap_producer_start (life->producer, error))
    return FALSE;
  life->consumer = make_lifes_consumer (life, error);
  if (!life->consumer || !make_secret (life, &secret, error))
    return FALSE;
  mmap_consumer_set_secret (life->consumer, secret);
  if (life->reconnect_timeout != 0)
    mmap_consumer_set_reconnect_timeout (life->consumer,
        life->reconnect_timeout);
  return mmap_consumer_start (life->consumer, &consumer_callbacks, life, error);
}

static gboolean
has_failures (MmapProducer * producer)
{
  MmapProducerStats stats;
  guint i;

  mmap_producer_get_stats (producer, &stats);
  for (i = 0; i < MMAP_N_ERRORS; i++)
    if (stats.failures[i] > 0)
      return TRUE;
  return FALSE;
}

static void
life_end (Life * life)
{
  if (life->consumer)
    mmap_consumer_set_cancelled (life->consumer, TRUE);
  g_mutex_lock (&life->lock);
  life->may_begin = TRUE;
  g_cond_signal (&life->cond);
  g_mutex_unlock (&life->lock);
  g_thread_join (life->thread);
  /* Blocks of a link that the producer ends for cause are used again before the consumer hears of it. */
  if (life->wrong)
    g_assert_true (has_failures (life->producer));
  if (life->consumer)
    mmap_consumer_free (life->consumer);
  if (life->producer)
    end_producer (life->producer);
}

/* A link that ended, and was made anew, has lost what was on the way; so has one that the producer ended for cause, of which the consumer may
 * still take the end of the stream. */
static void
check_frames (Life * life, Call call)
{
  MmapProducerStats stats;

  mmap_producer_get_stats (life->producer, &stats);
  /* What a relay could not move for a lack of memory it moves later. */
  if (call == CALL_RECV || call == CALL_SEND)
    g_assert_cmpuint (stats.links, ==, 1);
  g_assert_cmpuint (life->frames, <=, 2 * N_FRAMES);
  if (stats.links == 1 && !has_failures (life->producer))
    g_assert_cmpuint (life->frames, ==, 2 * N_FRAMES);
}

GError *
life_live (LifeKind kind, Call call, guint first, guint last, int errnum,
    gint64 reconnect_timeout, guint * n_calls)
{
  Life life = {.kind = kind,.reconnect_timeout = reconnect_timeout };
  g_autoptr (GError) error = NULL;

  life.thread = g_thread_new ("life", life_thread, &life);
  if (first > 0)
    call_faults_set (call, first, last, errnum);
  if (life_begin (&life, &error)) {
    g_mutex_lock (&life.lock);
    life.may_begin = TRUE;
    g_cond_signal (&life.cond);
    g_mutex_unlock (&life.lock);
    if (life_publish (&life, 3 * FRAME)) {
      life_ask (&life);
      if (life_publish (&life, 8 * FRAME)
          && life_wait (&life, push_eos, "an event")
          && life_wait (&life, has_ended, "the end"))
        check_frames (&life, call);
    }
  } else {
    life_note (&life, error);
  }
  life_end (&life);
  if (n_calls)
    *n_calls = call_faults_get_count ();
  call_faults_set (call, 0, 0, 0);
  return life.error;
}

/* Mappings of regions and links. */
static guint
count_mappings (void)
{
  g_autofree char *maps = NULL;
  const char *found;
  guint n = 0;

  g_assert_true (g_file_get_contents ("/proc/self/maps", &maps, NULL, NULL));
  for (found = maps; (found = strstr (found, "gst-mmap")); found++)
    if (!g_str_has_prefix (found, "gst-mmap/"))
      n++;
  return n;
}

/* --- each call fails once --- */

typedef struct
{
  Call call;
  int errnum;
} Fault;

static const Fault faults[] = {
  {CALL_ACCEPT, EMFILE}, {CALL_ACCEPT, ENOBUFS}, {CALL_BIND, ENOMEM},
  {CALL_CONNECT, ENOMEM}, {CALL_EPOLL_CREATE, EMFILE}, {CALL_EPOLL_CTL, ENOMEM},
  {CALL_EVENTFD, EMFILE}, {CALL_FALLOCATE, ENOSPC}, {CALL_FCHMOD, EIO},
  {CALL_FCNTL, EMFILE}, {CALL_FLOCK, ENOLCK}, {CALL_FSTAT, ENOMEM},
  {CALL_FSTATAT, EIO}, {CALL_FSTATFS, EIO}, {CALL_FTRUNCATE, ENOSPC},
  {CALL_GETRANDOM, ENOSYS}, {CALL_GETSOCKOPT, ENOBUFS}, {CALL_LINKAT, ENOSPC},
  {CALL_LISTEN, ENOBUFS}, {CALL_MADVISE, ENOMEM}, {CALL_MEMFD_CREATE, EMFILE},
  {CALL_MMAP, ENOMEM}, {CALL_OPEN, EMFILE}, {CALL_OPENAT, EMFILE},
  {CALL_POLL, ENOMEM}, {CALL_PREAD, EIO}, {CALL_PTHREAD_CREATE, EAGAIN},
  {CALL_PWRITE, ENOSPC}, {CALL_RECV, ENOMEM}, {CALL_RECVMSG, ENOMEM},
  {CALL_SEND, ENOBUFS}, {CALL_SENDMSG, ENOBUFS}, {CALL_SOCKET, EMFILE},
  {CALL_SOCKETPAIR, EMFILE}, {CALL_TRY_MALLOC, ENOMEM},
  {CALL_SODIUM_MALLOC, ENOMEM},
};

/* In a child. @out: gets a line. Returns: whether the call was made so often */
static gboolean
fail_once (LifeKind kind, const Fault * fault, guint number, int out)
{
  g_autoptr (GError) error = NULL, again = NULL;
  guint n_calls, n_mappings = count_mappings ();
  g_autofree char *line = NULL;
  LeakCheck leaks;
  gboolean stays;

  /* GLib's main loop warns if it can't poll. */
  g_log_set_always_fatal (G_LOG_FATAL_MASK | G_LOG_LEVEL_CRITICAL);
  leak_check_begin (&leaks);
  error =
      life_live (kind, fault->call, number, number, fault->errnum, 0, &n_calls);
  if (n_calls < number) {
    g_assert_no_error (error);
    leak_check_end (&leaks);
    return FALSE;
  }
  /* A file, as the lock of a socket, stays if nobody can say whether it is the own one, or whether others use the area: the next one has to
   * see to it. */
  stays = fault->call == CALL_FSTATAT || (fault->call == CALL_FLOCK
      && kind >= LIFE_AREA);
  if (!stays)
    leak_check_end (&leaks);
  g_assert_cmpuint (count_mappings (), ==, n_mappings);
  again = life_live (kind, fault->call, 0, 0, 0, 0, NULL);
  g_assert_no_error (again);
  if (stays)
    leak_check_end (&leaks);
  if (error)
    g_assert_true (error->domain == MMAP_ERROR);
  line = g_strdup_printf ("%s, %s %u, %s: %s%s%s", life_names[kind],
      call_get_name (fault->call), number, g_strerror (fault->errnum),
      error ? mmap_error_get_name (error->code) : "all frames arrive",
      error ? ": " : "", error ? error->message : "");
  g_assert_cmpint (write (out, line, strlen (line)), ==, strlen (line));
  return TRUE;
}

/* Returns: (transfer full) (nullable): what came of it; %NULL: the call was not made so often */
static char *
fail_in_child (LifeKind kind, const Fault * fault, guint number)
{
  char line[1024];
  int fds[2], status;
  gssize n;
  pid_t pid;

  g_assert_cmpint (pipe (fds), ==, 0);
  pid = fork ();
  g_assert_cmpint (pid, >=, 0);
  if (pid == 0) {
    alarm (CHILD_LIMIT_S * leak_check_get_times ());
    close (fds[0]);
    _exit (fail_once (kind, fault, number, fds[1]) ? 0 : 77);
  }
  close (fds[1]);
  n = read (fds[0], line, sizeof line - 1);
  close (fds[0]);
  g_assert_cmpint (waitpid (pid, &status, 0), ==, pid);
  if (!WIFEXITED (status) || (WEXITSTATUS (status) != 0
          && WEXITSTATUS (status) != 77))
    g_error ("%s, %s %u, %s: ended with status %#x", life_names[kind],
        call_get_name (fault->call), number, g_strerror (fault->errnum),
        status);
  if (WEXITSTATUS (status) == 77)
    return NULL;
  line[MAX (n, 0)] = '\0';
  return g_strdup (line);
}

static void
test_once (gconstpointer data)
{
  LifeKind kind = GPOINTER_TO_UINT (data);
  guint i, number, n_failed = 0, n_errors = 0;

  for (i = 0; i < G_N_ELEMENTS (faults); i++)
    for (number = 1; number <= MAX_NUMBER; number++) {
      g_autofree char *line = fail_in_child (kind, &faults[i], number);

      if (!line)
        break;
      n_failed++;
      if (!strstr (line, "all frames arrive"))
        n_errors++;
      g_test_message ("%s", line);
    }
  g_test_message ("%s: %u calls failed, %u ended with an error, %u did not "
      "matter", life_names[kind], n_failed, n_errors, n_failed - n_errors);
  g_assert_cmpuint (n_failed, >, 50);
  g_assert_cmpuint (n_errors, >, 20);
}

/* --- where --- */

void
life_add_tests (const char *program, LifeKind first, LifeKind last)
{
  LifeKind kind;

  address =
      g_strdup_printf ("%s/gst-mmap-test-%d-%s", g_get_tmp_dir (), getpid (),
      program);
  path = leak_check_path (program);
  init_sodium ();
  remote = g_strdup_printf ("tcp:127.0.0.1:%u", find_tcp_port ());
  for (kind = first; kind <= last; kind++) {
    g_autofree char *name = g_strdup_printf ("/%s/once/%s", program,
        life_names[kind]);

    g_test_add_data_func (name, GUINT_TO_POINTER (kind), test_once);
  }
}

const char *
life_get_address (void)
{
  return address;
}

const char *
life_get_path (void)
{
  return path;
}

void
life_clear (void)
{
  g_clear_pointer (&address, g_free);
  g_clear_pointer (&path, g_free);
  g_clear_pointer (&remote, g_free);
}
