/* gst-mmap: what a numbered frame of the fault suite holds
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

/* The least bytes of a frame: its header. */
#define PAYLOAD_MIN_BYTES 40

/**
 * PayloadName:
 * @producer: number of the producer's process, given by the controller
 * @number: of the frame, from 1
 * @bytes: of the frame
 *
 * What a frame says of itself. Each byte of it follows from these and the seed.
 */
typedef struct
{
  guint64 producer;
  guint64 number;
  guint64 bytes;
} PayloadName;

/* Returns: a number that looks random, and follows from @value */
guint64 payload_mix (guint64 value);

/* Fills @name->bytes bytes at @data, at least PAYLOAD_MIN_BYTES. */
void payload_write (guint8 * data, guint64 seed, const PayloadName * name);

/* Reads the name of the frame in @size bytes at @data, and compares each byte with what it should be. Returns: whether all are right.
 * @name: (out): what the header says, all 0 if it contradicts itself
 * @wrong: (out): the first wrong byte */
gboolean payload_check (const guint8 * data, gsize size, guint64 seed,
    PayloadName * name, gsize * wrong);

G_END_DECLS
