/* gst-mmap: the private allocator of blocks
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Divides a region's bytes into extents, each free or allocated, linked in
 * the order of their addresses. Free ones are also listed by size class. The
 * producer calls it, under its lock. Nothing here touches the region: all
 * state is on the heap, and once as many extents exist as ever did, no call
 * allocates memory.
 *
 * Sizes and offsets are counted in quanta of MMAP_BLOCK_ALIGN_BYTES.
 */
#include "blocks.h"

/* Each power of two is divided into 32 classes, as the authors of TLSF
 * recommend: an extent that the search finds is at most 1/32 too large. */
#define CLASS_BITS 5
#define N_CLASSES (1u << CLASS_BITS)
/* Sizes in quanta are below 2^58; those below N_CLASSES share the first row. */
#define N_ROWS (58 - CLASS_BITS + 1)
#define EXTENTS_PER_SLAB 64     /* chosen, untuned */

typedef struct _Extent Extent;
struct _Extent
{
  guint64 offset;               /* quanta */
  guint64 size;                 /* quanta */
  Extent *before, *after;       /* neighbours in the range */
  Extent *prev, *next;          /* free: in its class; allocated: next in its
                                 * bucket; spare: next spare */
  gboolean free;
};

typedef struct _Slab Slab;
struct _Slab
{
  Slab *next;
  Extent extents[EXTENTS_PER_SLAB];
};

struct _MmapBlocks
{
  guint64 end;                  /* of the range, quanta */
  Extent *last;                 /* in the range; NULL: it is empty */
  guint64 free_quanta;
  guint count;                  /* allocated extents */
  guint64 rows;                 /* bit r: some class of row r has extents */
  guint32 classes[N_ROWS];      /* bit c: class c of the row has extents */
  Extent *heads[N_ROWS][N_CLASSES];
  Extent *spare;
  Slab *slabs;
  Extent **buckets;             /* allocated extents by offset */
  guint bucket_bits;
};

static guint
highest_bit (guint64 value)
{
  return 63 - __builtin_clzll (value);
}

/* The class of the extents of @size quanta. */
static void
size_class (guint64 size, guint * row, guint * class)
{
  guint bit;

  if (size < N_CLASSES) {
    *row = 0;
    *class = size;
    return;
  }
  bit = highest_bit (size);
  *row = bit - CLASS_BITS + 1;
  *class = (size >> (bit - CLASS_BITS)) - N_CLASSES;
}

static Extent *
new_extent (MmapBlocks * blocks, guint64 offset, guint64 size)
{
  Extent *extent;

  if (blocks->spare == NULL) {
    Slab *slab = g_new (Slab, 1);
    guint i;

    slab->next = blocks->slabs;
    blocks->slabs = slab;
    for (i = 0; i < EXTENTS_PER_SLAB; i++) {
      slab->extents[i].next = blocks->spare;
      blocks->spare = &slab->extents[i];
    }
  }
  extent = blocks->spare;
  blocks->spare = extent->next;
  *extent = (Extent) {
  .offset = offset,.size = size};
  return extent;
}

static void
free_extent (MmapBlocks * blocks, Extent * extent)
{
  extent->next = blocks->spare;
  blocks->spare = extent;
}

static void
list_free (MmapBlocks * blocks, Extent * extent)
{
  guint row, class;
  Extent **head;

  size_class (extent->size, &row, &class);
  head = &blocks->heads[row][class];
  extent->free = TRUE;
  extent->prev = NULL;
  extent->next = *head;
  if (*head != NULL)
    (*head)->prev = extent;
  *head = extent;
  blocks->rows |= G_GUINT64_CONSTANT (1) << row;
  blocks->classes[row] |= 1u << class;
}

static void
unlist_free (MmapBlocks * blocks, Extent * extent)
{
  guint row, class;

  size_class (extent->size, &row, &class);
  if (extent->prev != NULL)
    extent->prev->next = extent->next;
  else
    blocks->heads[row][class] = extent->next;
  if (extent->next != NULL)
    extent->next->prev = extent->prev;
  extent->free = FALSE;
  if (blocks->heads[row][class] == NULL) {
    blocks->classes[row] &= ~(1u << class);
    if (blocks->classes[row] == 0)
      blocks->rows &= ~(G_GUINT64_CONSTANT (1) << row);
  }
}

static Extent **
bucket_of (const MmapBlocks * blocks, guint64 offset)
{
  /* Fibonacci hashing: 2^64 divided by the golden ratio. */
  guint64 hash = offset * G_GUINT64_CONSTANT (0x9e3779b97f4a7c15);

  return &blocks->buckets[hash >> (64 - blocks->bucket_bits)];
}

static void
insert_allocated (MmapBlocks * blocks, Extent * extent)
{
  Extent **bucket = bucket_of (blocks, extent->offset);

  extent->next = *bucket;
  *bucket = extent;
}

/* Doubles the buckets as soon as there are as many blocks; they never shrink,
 * so that a steady state doesn't allocate. */
static void
grow_buckets (MmapBlocks * blocks)
{
  Extent **old = blocks->buckets;
  guint n_old = 1u << blocks->bucket_bits;
  guint i;

  if (blocks->count < n_old)
    return;
  blocks->bucket_bits++;
  blocks->buckets = g_new0 (Extent *, 2 * (gsize) n_old);
  for (i = 0; i < n_old; i++) {
    while (old[i] != NULL) {
      Extent *extent = old[i];

      old[i] = extent->next;
      insert_allocated (blocks, extent);
    }
  }
  g_free (old);
}

MmapBlocks *
mmap_blocks_new (guint64 offset, guint64 size)
{
  MmapBlocks *blocks;

  g_return_val_if_fail (offset % MMAP_BLOCK_ALIGN_BYTES == 0, NULL);
  g_return_val_if_fail (size <= G_MAXUINT64 - offset, NULL);

  blocks = g_new0 (MmapBlocks, 1);
  blocks->bucket_bits = 6;      /* chosen, untuned */
  blocks->buckets = g_new0 (Extent *, 1u << blocks->bucket_bits);
  blocks->end = offset / MMAP_BLOCK_ALIGN_BYTES;
  mmap_blocks_extend (blocks, size);
  return blocks;
}

void
mmap_blocks_extend (MmapBlocks * blocks, guint64 size)
{
  guint64 quanta = size / MMAP_BLOCK_ALIGN_BYTES;
  Extent *last = blocks->last;

  g_return_if_fail (size <= G_MAXUINT64 - blocks->end * MMAP_BLOCK_ALIGN_BYTES);

  if (quanta == 0)
    return;
  if (last != NULL && last->free) {
    unlist_free (blocks, last);
    last->size += quanta;
  } else {
    blocks->last = new_extent (blocks, blocks->end, quanta);
    blocks->last->before = last;
    if (last != NULL)
      last->after = blocks->last;
  }
  list_free (blocks, blocks->last);
  blocks->end += quanta;
  blocks->free_quanta += quanta;
}

void
mmap_blocks_free (MmapBlocks * blocks)
{
  if (blocks == NULL)
    return;
  while (blocks->slabs != NULL) {
    Slab *slab = blocks->slabs;

    blocks->slabs = slab->next;
    g_free (slab);
  }
  g_free (blocks->buckets);
  g_free (blocks);
}

/* First offset in the extent that is a multiple of @align. */
static guint64
align_up (guint64 offset, guint64 align)
{
  return (offset + align - 1) & ~(align - 1);
}

static gboolean
extent_fits (const Extent * extent, guint64 size, guint64 align)
{
  guint64 gap = align_up (extent->offset, align) - extent->offset;

  return gap <= extent->size && size <= extent->size - gap;
}

/* Constant time: the first extent of the first class all of whose extents are
 * large enough, wherever they begin. */
static Extent *
find_fast (const MmapBlocks * blocks, guint64 size)
{
  guint row, class;
  guint64 rows;
  guint32 classes;

  /* Rounds up to where a class begins. */
  if (size >= N_CLASSES)
    size += (G_GUINT64_CONSTANT (1) << (highest_bit (size) - CLASS_BITS)) - 1;
  size_class (size, &row, &class);
  if (row >= N_ROWS)
    return NULL;

  classes = blocks->classes[row] & (G_MAXUINT32 << class);
  if (classes == 0) {
    rows = blocks->rows & ((G_MAXUINT64 << row) << 1);
    if (rows == 0)
      return NULL;
    row = __builtin_ctzll (rows);
    classes = blocks->classes[row];
  }
  return blocks->heads[row][__builtin_ctz (classes)];
}

/* The rest: extents in the very class of @size, which may be large enough, and
 * those that happen to begin at a multiple of @align. Only when find_fast()
 * found nothing, that is, when the range is nearly full; it makes sure that a
 * range of exactly n frames holds n frames. */
static Extent *
find_exact (const MmapBlocks * blocks, guint64 size, guint64 align)
{
  guint row, class;
  Extent *extent;

  size_class (size, &row, &class);
  for (; row < N_ROWS; row++, class = 0) {
    guint32 classes = blocks->classes[row] & (G_MAXUINT32 << class);

    for (; classes != 0; classes &= classes - 1) {
      extent = blocks->heads[row][__builtin_ctz (classes)];
      for (; extent != NULL; extent = extent->next) {
        if (extent_fits (extent, size, align))
          return extent;
      }
    }
  }
  return NULL;
}

/* Cuts the extent at @size quanta. Returns: the part behind, on no list. */
static Extent *
split (MmapBlocks * blocks, Extent * extent, guint64 size)
{
  Extent *rest =
      new_extent (blocks, extent->offset + size, extent->size - size);

  extent->size = size;
  rest->before = extent;
  rest->after = extent->after;
  if (rest->after != NULL)
    rest->after->before = rest;
  else
    blocks->last = rest;
  extent->after = rest;
  return rest;
}

/* Bytes as quanta. */
static void
count_quanta (guint64 * size, guint64 * align)
{
  *size = (MAX (*size, 1) - 1) / MMAP_BLOCK_ALIGN_BYTES + 1;
  *align = MAX (*align, MMAP_BLOCK_ALIGN_BYTES) / MMAP_BLOCK_ALIGN_BYTES;
}

/* @size, @align: quanta */
static Extent *
find (const MmapBlocks * blocks, guint64 size, guint64 align)
{
  Extent *extent;

  if (size > blocks->free_quanta)
    return NULL;
  extent = find_fast (blocks, size + align - 1);
  return extent != NULL ? extent : find_exact (blocks, size, align);
}

gboolean
mmap_blocks_has_room (const MmapBlocks * blocks, guint64 size, guint64 align)
{
  g_return_val_if_fail ((align & (align - 1)) == 0, FALSE);

  count_quanta (&size, &align);
  return find (blocks, size, align) != NULL;
}

gboolean
mmap_blocks_alloc (MmapBlocks * blocks, guint64 size, guint64 align,
    guint64 * offset)
{
  Extent *extent;
  guint64 gap;

  g_return_val_if_fail ((align & (align - 1)) == 0, FALSE);

  count_quanta (&size, &align);
  extent = find (blocks, size, align);
  if (extent == NULL)
    return FALSE;

  unlist_free (blocks, extent);
  gap = align_up (extent->offset, align) - extent->offset;
  if (gap > 0) {
    Extent *front = extent;

    extent = split (blocks, front, gap);
    list_free (blocks, front);
  }
  if (extent->size > size)
    list_free (blocks, split (blocks, extent, size));

  grow_buckets (blocks);
  insert_allocated (blocks, extent);
  blocks->count++;
  blocks->free_quanta -= size;
  *offset = extent->offset * MMAP_BLOCK_ALIGN_BYTES;
  return TRUE;
}

/* Joins the extent with the one behind it. Neither is on a list. */
static void
merge_after (MmapBlocks * blocks, Extent * extent)
{
  Extent *after = extent->after;

  extent->size += after->size;
  extent->after = after->after;
  if (extent->after != NULL)
    extent->after->before = extent;
  else
    blocks->last = extent;
  free_extent (blocks, after);
}

void
mmap_blocks_release (MmapBlocks * blocks, guint64 offset)
{
  Extent **link, *extent;

  link = bucket_of (blocks, offset / MMAP_BLOCK_ALIGN_BYTES);
  while (*link != NULL && (*link)->offset * MMAP_BLOCK_ALIGN_BYTES != offset)
    link = &(*link)->next;
  g_return_if_fail (*link != NULL);

  extent = *link;
  *link = extent->next;
  blocks->count--;
  blocks->free_quanta += extent->size;

  if (extent->after != NULL && extent->after->free) {
    unlist_free (blocks, extent->after);
    merge_after (blocks, extent);
  }
  if (extent->before != NULL && extent->before->free) {
    extent = extent->before;
    unlist_free (blocks, extent);
    merge_after (blocks, extent);
  }
  list_free (blocks, extent);
}

guint64
mmap_blocks_get_free_bytes (const MmapBlocks * blocks)
{
  return blocks->free_quanta * MMAP_BLOCK_ALIGN_BYTES;
}

guint
mmap_blocks_get_count (const MmapBlocks * blocks)
{
  return blocks->count;
}
