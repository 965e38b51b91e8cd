/* gst-mmap: what the targets of the core library share: messages, and a consumer that never sleeps
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include "fuzz.h"

#include "capabilities.h"
#include "consumer.h"
#include "link.h"
#include "message.h"

G_BEGIN_DECLS

/* Keys of all messages, and strings in them. */
extern const FuzzKey fuzz_message_keys[];
extern const FuzzWords fuzz_message_words;

/* Returns: (transfer full): a body for any message */
GVariant *fuzz_body (FuzzInput * input);

/* Sends a message that is mostly as it should be, with descriptors of any kind.
 * @body: (transfer full)
 * @fds: the right descriptors, @n_fds of them */
void fuzz_send (FuzzInput * input, int socket_fd, guint kind, GVariant * body,
    const int *fds, guint n_fds);

/* The same with the right descriptors left out, others put in. Returns: how many; to be closed, each a copy
 * @made: room for FUZZ_MAX_FDS */
#define FUZZ_MAX_FDS 8
guint fuzz_choose_fds (FuzzInput * input, const int *fds, guint n_fds,
    int made[FUZZ_MAX_FDS]);

/* As mmap_consumer_next(), with MMAP_NEXT_CANCELLED where that would sleep. The program is linked with --wrap=ppoll and
 * --wrap=epoll_wait. */
MmapNextResult fuzz_next (MmapConsumer * consumer, MmapItem * item);

/* What the last one failed with, or "". */
const char *fuzz_get_error (void);

/* Ends the program unless the item's bytes lie in its region, and can be read. */
void fuzz_check_item (const MmapItem * item);

/* Gives it back. */
void fuzz_release (MmapItem * item);

/* Writes a number into a 64-bit word of a link's memory: one that means something, or any.
 * @id: one that may be released */
void fuzz_write_word (FuzzInput * input, MmapLinkArea * area, guint64 id);

G_END_DECLS
