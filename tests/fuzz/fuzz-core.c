/* gst-mmap: what the targets of the core library share: messages, and a consumer that never sleeps
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "fuzz-core.h"

#include "wakeup.h"

#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#define MESSAGE_MAGIC 0x316d6d67u

const FuzzKey fuzz_message_keys[] = {
  {"protocol", "u"}, {"session", "t"}, {"region-id", "u"}, {"file", "s"},
  {"size", "t"}, {"token", "s"}, {"token-index", "t"}, {"token-bytes", "u"},
  {"max-held", "t"}, {"media", "s"}, {"link-id", "u"}, {"reason", "s"},
  {"message", "s"}, {"type", "u"}, {"seqnum", "u"}, {"id", "u"},
  {"handled", "b"}, {NULL, NULL}
};

static const char *const words[] = {
  "", "memfd", "/dev/null", "/", "/proc/self/mem", "0x", "0x1", "0",
  "0x0123456789abcdef0123456789abcdef", "f", "F", "g", "video/x-raw", "ANY",
  "token", "token-index", "limit", "failed", "\033[2J", "\n", "%s", "/dev/zero",
  NULL
};

const FuzzWords fuzz_message_words = { words, NULL };

GVariant *
fuzz_body (FuzzInput * input)
{
  return fuzz_dict (input, "a{sv}", fuzz_message_keys, &fuzz_message_words);
}

static int
make_epoll (void)
{
  int wake_fd = mmap_wake_fd_new (), fd = mmap_wake_fd_watch (wake_fd);

  close (wake_fd);
  return fd;
}

static int
make_memfd (guint64 size, int seals)
{
  int fd = memfd_create ("fuzz", MFD_CLOEXEC | MFD_ALLOW_SEALING);

  fuzz_assert (fd >= 0 && ftruncate (fd, size) == 0);
  fcntl (fd, F_ADD_SEALS, seals);
  return fd;
}

static int
make_socket (int type)
{
  int fds[2];

  fuzz_assert (socketpair (AF_UNIX, type | SOCK_CLOEXEC, 0, fds) == 0);
  close (fds[1]);
  return fds[0];
}

static int
make_fd (FuzzInput * input)
{
  switch (fuzz_below (input, 8)) {
    case 0:
      return make_epoll ();
    case 1:
      return eventfd (0, EFD_CLOEXEC);
    case 2:
      return make_memfd (sizeof (MmapLinkArea), F_SEAL_SHRINK | F_SEAL_GROW);
    case 3:
      return make_memfd (fuzz_number (input) & G_MAXINT32, F_SEAL_SHRINK);
    case 4:
      return make_memfd (0, 0);
    case 5:
      return make_socket (SOCK_SEQPACKET);
    case 6:
      return make_socket (SOCK_STREAM);
    default:
      return open ("/dev/null", O_RDWR | O_CLOEXEC);
  }
}

guint
fuzz_choose_fds (FuzzInput * input, const int *fds, guint n_fds,
    int made[FUZZ_MAX_FDS])
{
  guint8 choice = fuzz_byte (input), left_out = FUZZ_MAX_FDS;
  guint n = 0, extra = 0, i;

  if (choice >= 192)
    left_out = fuzz_below (input, FUZZ_MAX_FDS);
  if (choice >= 224)
    extra = fuzz_below (input, 6);
  for (i = 0; i < n_fds && n < FUZZ_MAX_FDS; i++)
    if (fds[i] >= 0 && i != left_out)
      made[n++] = fcntl (fds[i], F_DUPFD_CLOEXEC, 0);
    else if (fds[i] >= 0 && (choice & 1))
      made[n++] = make_fd (input);
  while (extra-- > 0 && n < FUZZ_MAX_FDS)
    made[n++] = make_fd (input);
  return n;
}

static void
send_packet (int socket_fd, const GByteArray * packet, const int *fds,
    guint n_fds)
{
  union
  {
    struct cmsghdr align;
    guint8 bytes[CMSG_SPACE (FUZZ_MAX_FDS * sizeof (int))];
  } control;
  struct iovec vector = { packet->data, packet->len };
  struct msghdr message = {.msg_iov = &vector,.msg_iovlen = 1 };

  if (n_fds > 0) {
    struct cmsghdr *header = &control.align;

    memset (&control, 0, sizeof control);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN (n_fds * sizeof (int));
    memcpy (CMSG_DATA (header), fds, n_fds * sizeof (int));
    message.msg_control = &control;
    message.msg_controllen = CMSG_SPACE (n_fds * sizeof (int));
  }
  sendmsg (socket_fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
}

void
fuzz_send (FuzzInput * input, int socket_fd, guint kind, GVariant * body,
    const int *fds, guint n_fds)
{
  g_autoptr (GByteArray) bytes = fuzz_serialise (input, body);
  int chosen[FUZZ_MAX_FDS];
  guint n = fuzz_choose_fds (input, fds, n_fds, chosen), i;
  guint32 header[4] = { MESSAGE_MAGIC, MMAP_PROTOCOL_VERSION | kind << 16,
    bytes->len, 0
  };

  g_byte_array_prepend (bytes, (const guint8 *) header, sizeof header);
  if (fuzz_byte (input) >= 240)
    bytes->data[fuzz_below (input, sizeof header)] = fuzz_byte (input);
  send_packet (socket_fd, bytes, chosen, n);
  for (i = 0; i < n; i++)
    close (chosen[i]);
}

/* --- a consumer that never sleeps --- */

static MmapConsumer *awake;
static char last_error[256];

int __real_ppoll (struct pollfd *fds, nfds_t n, const struct timespec *timeout,
    const sigset_t * mask);
int __wrap_ppoll (struct pollfd *fds, nfds_t n, const struct timespec *timeout,
    const sigset_t * mask);

int
__wrap_ppoll (struct pollfd *fds, nfds_t n, const struct timespec *timeout,
    const sigset_t * mask)
{
  static const struct timespec none = { 0, 0 };
  int ready = __real_ppoll (fds, n, &none, mask);

  if (ready == 0 && awake)
    mmap_consumer_set_cancelled (awake, TRUE);
  return ready;
}

/* No thread makes the pages of a region present: it would come and go as it likes. Who closes what may block is waited for. */
GThread *__real_g_thread_try_new (const gchar * name, GThreadFunc function,
    gpointer data, GError ** error);
GThread *__wrap_g_thread_try_new (const gchar * name, GThreadFunc function,
    gpointer data, GError ** error);

GThread *
__wrap_g_thread_try_new (const gchar * name, GThreadFunc function,
    gpointer data, GError ** error)
{
  if (strcmp (name, "mmap-close") == 0)
    return __real_g_thread_try_new (name, function, data, error);
  g_set_error (error, G_THREAD_ERROR, G_THREAD_ERROR_AGAIN, "no threads here");
  return NULL;
}

MmapNextResult
fuzz_next (MmapConsumer * consumer, MmapItem * item)
{
  g_autoptr (GError) error = NULL;
  MmapNextResult next;

  awake = consumer;
  next = mmap_consumer_next (consumer, item, &error);
  awake = NULL;
  mmap_consumer_set_cancelled (consumer, FALSE);
  fuzz_assert ((next == MMAP_NEXT_ERROR) == (error != NULL));
  g_strlcpy (last_error, error ? error->message : "", sizeof last_error);
  if (next == MMAP_NEXT_FRAME || next == MMAP_NEXT_EVENT)
    fuzz_check_item (item);
  return next;
}

const char *
fuzz_get_error (void)
{
  return last_error;
}

static void
check_bytes (const MmapRegion * region, const guint8 * data, guint64 offset,
    guint64 size)
{
  guint64 i;

  fuzz_assert ((data == NULL) == (size == 0));
  if (!data)
    return;
  fuzz_assert (data == region->base + offset);
  fuzz_assert (offset >= sizeof (MmapRegionHeader) && offset <= region->size
      && size <= region->size - offset);
  for (i = 0; i < size; i += 64)
    (void) *(volatile const guint8 *) (data + i);
  (void) *(volatile const guint8 *) (data + size - 1);
}

void
fuzz_check_item (const MmapItem * item)
{
  const MmapDescriptor *descriptor = &item->descriptor;

  fuzz_assert (item->region && item->link);
  fuzz_assert (descriptor->n_planes <= 4);
  check_bytes (item->region, item->data, descriptor->offset, descriptor->size);
  check_bytes (item->region, item->metas, descriptor->metas_offset,
      descriptor->metas_size);
}

void
fuzz_release (MmapItem * item)
{
  if (item->descriptor.kind == 0)
    mmap_consumer_link_release (item->link, item->descriptor.id,
        item->descriptor.size);
  mmap_item_clear (item);
}

void
fuzz_write_word (FuzzInput * input, MmapLinkArea * area, guint64 id)
{
  static const gsize offsets[] = {
    offsetof (MmapLinkArea, frame_head), offsetof (MmapLinkArea, event_head),
    offsetof (MmapLinkArea, frame_tail), offsetof (MmapLinkArea, event_tail),
    offsetof (MmapLinkArea, release_head),
    offsetof (MmapLinkArea, release_tail),
    offsetof (MmapLinkArea, consumer_sleep),
    offsetof (MmapLinkArea, producer_sleep),
    offsetof (MmapLinkArea, qos.serial), offsetof (MmapLinkArea, qos.type),
    offsetof (MmapLinkArea, qos.proportion),
    offsetof (MmapLinkArea, upstream_head), offsetof (MmapLinkArea, session),
    offsetof (MmapLinkArea, release_slots[0]),
    offsetof (MmapLinkArea, release_slots[1]),
    offsetof (MmapLinkArea, release_slots[2])
  };
  guint choice = fuzz_below (input, G_N_ELEMENTS (offsets) + 1);
  gsize offset = choice < G_N_ELEMENTS (offsets) ? offsets[choice] :
      fuzz_number (input) % (sizeof *area / 8) * 8;
  guint64 *word = (guint64 *) ((guint8 *) area + offset), value;

  switch (fuzz_below (input, 4)) {
    case 0:
      value = *word + (gint8) fuzz_byte (input);
      break;
    case 1:
      value = id;
      break;
    case 2:
      value = id + (fuzz_number (input) << 32);
      break;
    default:
      value = fuzz_number (input);
      break;
  }
  __atomic_store_n (word, value, __ATOMIC_RELAXED);
}
