/* gst-mmap: what a numbered frame of the fault suite holds
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * A header, with a sum of its own, and words that differ from frame to frame and from place to place: one that is older, newer, of
 * another process or half written is seen wherever it is wrong. Called by producers before they send a frame, and by consumers.
 */
#include "payload.h"

#include <string.h>

#define MAGIC G_GUINT64_CONSTANT (0x74736574746c7561)

typedef struct
{
  guint64 magic;
  PayloadName name;
  guint64 sum;
} Header;

G_STATIC_ASSERT (sizeof (Header) == PAYLOAD_MIN_BYTES);

/* The finalizer of SplitMix64 (Steele, Lea, Flood: "Fast splittable pseudorandom number generators", 2014). */
guint64
payload_mix (guint64 value)
{
  value += G_GUINT64_CONSTANT (0x9e3779b97f4a7c15);
  value = (value ^ (value >> 30)) * G_GUINT64_CONSTANT (0xbf58476d1ce4e5b9);
  value = (value ^ (value >> 27)) * G_GUINT64_CONSTANT (0x94d049bb133111eb);
  return value ^ (value >> 31);
}

static guint64
sum_of (guint64 seed, const PayloadName * name)
{
  return payload_mix (payload_mix (payload_mix (seed ^ name->producer)
          ^ name->number) ^ name->bytes);
}

/* Bytes from @at on, a multiple of 8; fewer at the end. */
static inline guint64
word_at (guint64 sum, gsize at)
{
  return (sum + at) * G_GUINT64_CONSTANT (0x9e3779b97f4a7c15);
}

void
payload_write (guint8 * data, guint64 seed, const PayloadName * name)
{
  Header header = { MAGIC, *name, sum_of (seed, name) };
  gsize at;

  memcpy (data, &header, sizeof header);
  for (at = sizeof header; at < name->bytes; at += 8) {
    guint64 word = word_at (header.sum, at);

    memcpy (data + at, &word, MIN (8, name->bytes - at));
  }
}

gboolean
payload_check (const guint8 * data, gsize size, guint64 seed,
    PayloadName * name, gsize * wrong)
{
  Header header;
  gsize at;

  memset (name, 0, sizeof *name);
  *wrong = 0;
  if (size < sizeof header)
    return FALSE;
  memcpy (&header, data, sizeof header);
  if (header.magic != MAGIC || header.sum != sum_of (seed, &header.name))
    return FALSE;
  *name = header.name;
  for (at = sizeof header; at < size; at += 8) {
    guint64 word = word_at (header.sum, at);

    *wrong = at;
    if (memcmp (data + at, &word, MIN (8, size - at)) != 0)
      return FALSE;
  }
  *wrong = size;
  return header.name.bytes == size;
}
