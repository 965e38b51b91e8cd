/* gst-mmap: tests of the private allocator of blocks
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Run by `meson test`. Random cases print the seed that `--seed` repeats.
 */
#include "blocks.h"
#include "leak-check.h"

#include <string.h>

#define KIB G_GUINT64_CONSTANT (1024)
#define MIB (1024 * KIB)

static void
test_one (void)
{
  MmapBlocks *blocks = mmap_blocks_new (8192, MIB);
  guint64 offset = 1;

  g_assert_cmpuint (mmap_blocks_get_free_bytes (blocks), ==, MIB);
  g_assert_cmpuint (mmap_blocks_get_count (blocks), ==, 0);
  g_assert_true (mmap_blocks_alloc (blocks, MIB, 0, &offset));
  g_assert_cmpuint (offset, ==, 8192);
  g_assert_cmpuint (mmap_blocks_get_free_bytes (blocks), ==, 0);
  g_assert_cmpuint (mmap_blocks_get_count (blocks), ==, 1);
  offset = 1;
  g_assert_false (mmap_blocks_alloc (blocks, 0, 1, &offset));
  g_assert_cmpuint (offset, ==, 1);
  mmap_blocks_release (blocks, 8192);
  g_assert_cmpuint (mmap_blocks_get_free_bytes (blocks), ==, MIB);
  g_assert_cmpuint (mmap_blocks_get_count (blocks), ==, 0);
  mmap_blocks_free (blocks);
}

static void
test_sizes (void)
{
  static const guint64 huge[] = { MIB + 1, 2 * MIB, G_MAXINT64,
    G_MAXUINT64 - 63, G_MAXUINT64
  };
  static const struct
  {
    guint64 asked, taken;
  } sizes[] = {
    {0, 64},
    {1, 64},
    {63, 64},
    {64, 64},
    {65, 128},
    {4095, 4096},
    {4097, 4160},
  };
  MmapBlocks *blocks = mmap_blocks_new (64, MIB + 63);
  guint64 offset;
  guint i;

  /* The size is rounded down. */
  g_assert_cmpuint (mmap_blocks_get_free_bytes (blocks), ==, MIB);
  for (i = 0; i < G_N_ELEMENTS (sizes); i++) {
    g_assert_true (mmap_blocks_alloc (blocks, sizes[i].asked, 1, &offset));
    g_assert_cmpuint (mmap_blocks_get_free_bytes (blocks), ==,
        MIB - sizes[i].taken);
    mmap_blocks_release (blocks, offset);
  }
  for (i = 0; i < G_N_ELEMENTS (huge); i++) {
    g_assert_false (mmap_blocks_alloc (blocks, huge[i], 1, &offset));
    g_assert_false (mmap_blocks_alloc (blocks, huge[i],
            G_GUINT64_CONSTANT (1) << 63, &offset));
  }
  g_assert_false (mmap_blocks_alloc (blocks, 1, G_GUINT64_CONSTANT (1) << 63,
          &offset));
  mmap_blocks_free (blocks);
}

static void
test_empty (void)
{
  MmapBlocks *blocks = mmap_blocks_new (8192, 63);
  guint64 offset;

  g_assert_false (mmap_blocks_alloc (blocks, 1, 1, &offset));
  g_assert_cmpuint (mmap_blocks_get_free_bytes (blocks), ==, 0);
  mmap_blocks_free (blocks);
  mmap_blocks_free (NULL);
}

/* A range of exactly n frames holds n frames, whatever their size class, and
 * a hole of exactly one frame is found again. */
static void
test_exact (void)
{
  static const guint64 frames[] = { 64, 1984, 2048, 2112, 12352, 460800,
    1382400, 3110400, 4147200, 12441600
  };
  guint i, k;

  for (i = 0; i < G_N_ELEMENTS (frames); i++) {
    MmapBlocks *blocks = mmap_blocks_new (8192, 9 * frames[i]);
    guint64 offsets[9], offset;

    for (k = 0; k < 9; k++)
      g_assert_true (mmap_blocks_alloc (blocks, frames[i], 64, &offsets[k]));
    g_assert_cmpuint (mmap_blocks_get_free_bytes (blocks), ==, 0);
    mmap_blocks_release (blocks, offsets[4]);
    g_assert_false (mmap_blocks_alloc (blocks, frames[i] + 1, 64, &offset));
    g_assert_true (mmap_blocks_alloc (blocks, frames[i], 64, &offset));
    g_assert_cmpuint (offset, ==, offsets[4]);
    mmap_blocks_free (blocks);
  }
}

static void
test_align (void)
{
  MmapBlocks *blocks = mmap_blocks_new (64, 4 * MIB);
  guint64 align, offset, page;

  for (align = 1; align <= MIB; align *= 2) {
    g_assert_true (mmap_blocks_alloc (blocks, 100, align, &offset));
    g_assert_cmpuint (offset % MAX (align, 64), ==, 0);
    g_assert_cmpuint (offset, >=, 64);
    mmap_blocks_release (blocks, offset);
    g_assert_cmpuint (mmap_blocks_get_free_bytes (blocks), ==, 4 * MIB);
  }
  /* What is cut off in front can be had. */
  g_assert_true (mmap_blocks_alloc (blocks, 4096, 4096, &page));
  g_assert_cmpuint (page, ==, 4096);
  g_assert_true (mmap_blocks_alloc (blocks, 4032, 64, &offset));
  g_assert_cmpuint (offset, ==, 64);
  mmap_blocks_free (blocks);

  /* A hole that begins at the right place is enough, though one that began
   * elsewhere would not be. */
  blocks = mmap_blocks_new (8192, 4096);
  g_assert_true (mmap_blocks_alloc (blocks, 4096, 4096, &offset));
  mmap_blocks_free (blocks);
  blocks = mmap_blocks_new (8192 + 64, 4096);
  g_assert_false (mmap_blocks_alloc (blocks, 4096, 4096, &offset));
  mmap_blocks_free (blocks);
}

/* Neighbours merge at once, on both sides. */
static void
test_merge (void)
{
  static const guint8 orders[6][3] = {
    {0, 1, 2}, {0, 2, 1}, {1, 0, 2}, {1, 2, 0}, {2, 0, 1}, {2, 1, 0}
  };
  guint i, k;

  for (i = 0; i < G_N_ELEMENTS (orders); i++) {
    MmapBlocks *blocks = mmap_blocks_new (0, 3 * 4096);
    guint64 offsets[3], offset;

    for (k = 0; k < 3; k++)
      g_assert_true (mmap_blocks_alloc (blocks, 4096, 64, &offsets[k]));
    for (k = 0; k < 3; k++)
      mmap_blocks_release (blocks, offsets[orders[i][k]]);
    g_assert_true (mmap_blocks_alloc (blocks, 3 * 4096, 64, &offset));
    mmap_blocks_free (blocks);
  }
}

/* A range that grows is as one that was made so long. */
static void
test_extend (void)
{
  MmapBlocks *blocks = mmap_blocks_new (8192, 0);
  guint64 first, second, all;

  g_assert_false (mmap_blocks_alloc (blocks, 1, 1, &first));
  mmap_blocks_extend (blocks, 63);
  g_assert_cmpuint (mmap_blocks_get_free_bytes (blocks), ==, 0);
  mmap_blocks_extend (blocks, 4096 + 63);
  g_assert_cmpuint (mmap_blocks_get_free_bytes (blocks), ==, 4096);

  /* Behind a block; then behind what is free, with which it merges. */
  g_assert_true (mmap_blocks_alloc (blocks, 4096, 64, &first));
  g_assert_cmpuint (first, ==, 8192);
  g_assert_false (mmap_blocks_has_room (blocks, 64, 64));
  mmap_blocks_extend (blocks, 4096);
  g_assert_false (mmap_blocks_has_room (blocks, 8192, 64));
  mmap_blocks_extend (blocks, 4096);
  g_assert_true (mmap_blocks_alloc (blocks, 8192, 64, &second));
  g_assert_cmpuint (second, ==, 8192 + 4096);
  g_assert_cmpuint (mmap_blocks_get_free_bytes (blocks), ==, 0);

  /* Behind a part of which the front was taken and given back. */
  mmap_blocks_release (blocks, first);
  mmap_blocks_release (blocks, second);
  g_assert_true (mmap_blocks_alloc (blocks, 64, 64, &first));
  mmap_blocks_release (blocks, first);
  mmap_blocks_extend (blocks, 4096);
  g_assert_true (mmap_blocks_alloc (blocks, 4 * 4096, 64, &all));
  g_assert_cmpuint (all, ==, 8192);
  mmap_blocks_free (blocks);
}

static void
test_huge_range (void)
{
  /* Sizes, not memory: nothing is touched. */
  MmapBlocks *blocks = mmap_blocks_new (8192, G_MAXUINT64 - 8192);
  guint64 half = G_GUINT64_CONSTANT (1) << 63;
  guint64 one, two;

  g_assert_true (mmap_blocks_alloc (blocks, half, 64, &one));
  g_assert_true (mmap_blocks_alloc (blocks, half - 16384, 64, &two));
  g_assert_false (mmap_blocks_alloc (blocks, half, 64, &two));

  /* Longer than offsets go. */
  g_test_expect_message (NULL, G_LOG_LEVEL_CRITICAL, "*assertion*failed*");
  mmap_blocks_extend (blocks, half);
  g_test_assert_expected_messages ();
  mmap_blocks_free (blocks);
}

static void
release_wrong (guint64 offset)
{
  MmapBlocks *blocks = mmap_blocks_new (8192, MIB);
  guint64 first, second;

  mmap_blocks_alloc (blocks, 4096, 64, &first);
  mmap_blocks_alloc (blocks, 4096, 64, &second);
  mmap_blocks_release (blocks, second);
  g_test_expect_message (NULL, G_LOG_LEVEL_CRITICAL, "*assertion*failed*");
  mmap_blocks_release (blocks, offset);
  g_test_assert_expected_messages ();
  /* Nothing has changed. */
  g_assert_cmpuint (mmap_blocks_get_count (blocks), ==, 1);
  g_assert_cmpuint (mmap_blocks_get_free_bytes (blocks), ==, MIB - 4096);
  mmap_blocks_release (blocks, first);
  g_assert_true (mmap_blocks_alloc (blocks, MIB, 64, &first));
  mmap_blocks_free (blocks);
}

static void
test_release_wrong (void)
{
  release_wrong (0);
  release_wrong (8193);         /* inside a block, not aligned */
  release_wrong (8192 + 64);    /* inside a block */
  release_wrong (8192 + 4096);  /* released before */
  release_wrong (8192 + MIB);   /* behind the end */
  release_wrong (G_MAXUINT64);
}

#define FUZZ_STEPS 200000
#define FUZZ_OFFSET 8192
#define FUZZ_BYTES (4 * MIB)
#define FUZZ_START (64 * KIB)
#define FUZZ_EXTEND_STEPS 500

typedef struct
{
  guint64 offset, size;
} Block;

typedef struct
{
  MmapBlocks *blocks;
  guint8 map[FUZZ_BYTES / 64];  /* 1: the quantum is allocated, or behind the end */
  guint64 bytes;                /* of the range, by now */
  GArray *live;                 /* of Block */
  guint64 free_bytes;
  guint refused;
} Shadow;

static gboolean
shadow_has_room (const Shadow * shadow, guint64 size, guint64 align)
{
  guint64 quanta = (size + 63) / 64;
  guint64 run = 0;
  guint64 i;

  /* Counts the free quanta from each place where a block could begin. */
  for (i = 0; i < G_N_ELEMENTS (shadow->map); i++) {
    if (shadow->map[i])
      run = 0;
    else if (run > 0 || (FUZZ_OFFSET + i * 64) % align == 0)
      run++;
    if (run >= quanta)
      return TRUE;
  }
  return FALSE;
}

static void
shadow_alloc (Shadow * shadow)
{
  guint64 size = 1 + (g_test_rand_int () & 0xfffff) / (1 + (g_test_rand_int ()
          & 0xff));
  guint64 align = G_GUINT64_CONSTANT (1) << g_test_rand_int_range (0, 14);
  Block block;
  guint64 i;

  if (!mmap_blocks_alloc (shadow->blocks, size, align, &block.offset)) {
    g_assert_false (shadow_has_room (shadow, size, MAX (align, 64)));
    shadow->refused++;
    return;
  }
  block.size = (size + 63) / 64 * 64;
  g_assert_cmpuint (block.offset % MAX (align, 64), ==, 0);
  g_assert_cmpuint (block.offset, >=, FUZZ_OFFSET);
  g_assert_cmpuint (block.offset + block.size, <=, FUZZ_OFFSET + shadow->bytes);
  for (i = 0; i < block.size / 64; i++) {
    guint8 *quantum = &shadow->map[(block.offset - FUZZ_OFFSET) / 64 + i];

    g_assert_cmpuint (*quantum, ==, 0);
    *quantum = 1;
  }
  shadow->free_bytes -= block.size;
  g_array_append_val (shadow->live, block);
}

static void
shadow_release (Shadow * shadow, guint index)
{
  Block block = g_array_index (shadow->live, Block, index);

  mmap_blocks_release (shadow->blocks, block.offset);
  memset (&shadow->map[(block.offset - FUZZ_OFFSET) / 64], 0, block.size / 64);
  shadow->free_bytes += block.size;
  g_array_remove_index_fast (shadow->live, index);
}

static void
shadow_extend (Shadow * shadow)
{
  guint64 bytes = 64 * g_test_rand_int_range (1, 2048);

  bytes = MIN (bytes, FUZZ_BYTES - shadow->bytes);
  mmap_blocks_extend (shadow->blocks, bytes);
  memset (&shadow->map[shadow->bytes / 64], 0, bytes / 64);
  shadow->bytes += bytes;
  shadow->free_bytes += bytes;
}

static void
test_random (void)
{
  Shadow *shadow = g_new0 (Shadow, 1);
  guint64 offset;
  guint step;

  shadow->blocks = mmap_blocks_new (FUZZ_OFFSET, FUZZ_START);
  shadow->live = g_array_new (FALSE, FALSE, sizeof (Block));
  shadow->bytes = shadow->free_bytes = FUZZ_START;
  memset (&shadow->map[FUZZ_START / 64], 1, (FUZZ_BYTES - FUZZ_START) / 64);
  for (step = 0; step < FUZZ_STEPS; step++) {
    /* Fills and empties by turns. */
    gboolean fill = (step / 5000) % 2 == 0;

    if (shadow->live->len == 0
        || g_test_rand_int_range (0, 100) < (fill ? 60 : 40))
      shadow_alloc (shadow);
    else
      shadow_release (shadow, g_test_rand_int_range (0, shadow->live->len));
    if (shadow->bytes < FUZZ_BYTES && step % FUZZ_EXTEND_STEPS == 0)
      shadow_extend (shadow);
    g_assert_cmpuint (mmap_blocks_get_free_bytes (shadow->blocks), ==,
        shadow->free_bytes);
    g_assert_cmpuint (mmap_blocks_get_count (shadow->blocks), ==,
        shadow->live->len);
  }
  g_test_message ("%u of %u steps found no room", shadow->refused, FUZZ_STEPS);
  g_assert_cmpuint (shadow->refused, >, 100);
  g_assert_cmpuint (shadow->bytes, ==, FUZZ_BYTES);
  while (shadow->live->len > 0)
    shadow_release (shadow, shadow->live->len - 1);
  g_assert_true (mmap_blocks_alloc (shadow->blocks, FUZZ_BYTES, 64, &offset));
  mmap_blocks_free (shadow->blocks);
  g_array_free (shadow->live, TRUE);
  g_free (shadow);
}

#define ROUNDS 120000
#define PHASES 6
#define STREAM_BYTES (16 * MIB)

/* Sizes like those of an encoded stream: most frames are small, each 30th is
 * large. */
static guint64
frame_size (guint n)
{
  if (n % 30 == 0)
    return g_test_rand_int_range (100 * 1024, 300 * 1024);
  return g_test_rand_int_range (200, 30 * 1024);
}

/* First in, first out: each frame that doesn't fit has the oldest ones
 * released until it does. The occupancy at which that happens must be high,
 * and must not fall over time. */
static void
test_fragmentation (void)
{
  MmapBlocks *blocks = mmap_blocks_new (8192, STREAM_BYTES);
  GQueue live = G_QUEUE_INIT;
  gdouble lowest[PHASES], sum[PHASES] = { 0.0, };
  guint failures[PHASES] = { 0, };
  guint64 offset;
  guint n, phase;

  for (phase = 0; phase < PHASES; phase++)
    lowest[phase] = 1.0;
  for (n = 0; n < ROUNDS; n++) {
    guint64 size = frame_size (n);

    phase = n / (ROUNDS / PHASES);
    while (!mmap_blocks_alloc (blocks, size, 64, &offset)) {
      gdouble occupancy = 1.0 - (gdouble) mmap_blocks_get_free_bytes (blocks)
          / STREAM_BYTES;

      lowest[phase] = MIN (lowest[phase], occupancy);
      sum[phase] += occupancy;
      failures[phase]++;
      mmap_blocks_release (blocks, GPOINTER_TO_SIZE (g_queue_pop_head (&live)));
    }
    g_queue_push_tail (&live, GSIZE_TO_POINTER (offset));
  }
  for (phase = 0; phase < PHASES; phase++) {
    g_assert_cmpuint (failures[phase], >, 0);
    g_test_message ("phase %u: %u failures, occupancy %.3f, lowest %.3f",
        phase, failures[phase], sum[phase] / failures[phase], lowest[phase]);
    g_assert_cmpfloat (lowest[phase], >, 0.80);
    g_assert_cmpfloat (sum[phase] / failures[phase], >, 0.93);
    g_assert_cmpfloat (sum[phase] / failures[phase], >,
        sum[1] / failures[1] - 0.01);
  }
  while (!g_queue_is_empty (&live))
    mmap_blocks_release (blocks, GPOINTER_TO_SIZE (g_queue_pop_head (&live)));
  g_assert_true (mmap_blocks_alloc (blocks, STREAM_BYTES, 64, &offset));
  mmap_blocks_free (blocks);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  leak_check_add_test ("/blocks/one", test_one);
  leak_check_add_test ("/blocks/sizes", test_sizes);
  leak_check_add_test ("/blocks/empty", test_empty);
  leak_check_add_test ("/blocks/exact", test_exact);
  leak_check_add_test ("/blocks/align", test_align);
  leak_check_add_test ("/blocks/merge", test_merge);
  leak_check_add_test ("/blocks/extend", test_extend);
  leak_check_add_test ("/blocks/huge-range", test_huge_range);
  leak_check_add_test ("/blocks/release-wrong", test_release_wrong);
  leak_check_add_test ("/blocks/random", test_random);
  leak_check_add_test ("/blocks/fragmentation", test_fragmentation);
  return g_test_run ();
}
