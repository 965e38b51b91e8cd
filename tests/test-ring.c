/* gst-mmap: tests of the ring
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Run by `meson test`. Here both sides are in one process, each with its own view.
 */
#include "leak-check.h"
#include "ring.h"

#include <string.h>

#define N_SLOTS 8
#define WORDS 4

typedef struct
{
  guint64 head;
  guint64 tail;
  guint64 slots[N_SLOTS][WORDS];
  guint64 beyond;               /* nobody writes here */
  MmapRing pusher;
  MmapRing popper;
} Rings;

static void
rings_init (Rings * rings)
{
  memset (rings, 0, sizeof (*rings));
  mmap_ring_init (&rings->pusher, &rings->head, &rings->tail, rings->slots,
      N_SLOTS, sizeof (rings->slots[0]));
  mmap_ring_init (&rings->popper, &rings->head, &rings->tail, rings->slots,
      N_SLOTS, sizeof (rings->slots[0]));
}

static MmapRingResult
push (Rings * rings, guint64 number)
{
  guint64 slot[WORDS] = { number, number + 1, number + 2, ~number };

  return mmap_ring_push (&rings->pusher, slot);
}

/* The number at the front, checked whole; 0: nothing there. */
static guint64
peek (Rings * rings)
{
  guint64 slot[WORDS];

  if (mmap_ring_peek (&rings->popper, slot) != MMAP_RING_OK)
    return 0;
  g_assert_cmpuint (slot[1], ==, slot[0] + 1);
  g_assert_cmpuint (slot[2], ==, slot[0] + 2);
  g_assert_cmpuint (slot[3], ==, ~slot[0]);
  return slot[0];
}

static MmapRingResult
pop (Rings * rings)
{
  return mmap_ring_pop (&rings->popper);
}

static void
test_full_and_empty (void)
{
  Rings rings;
  guint64 slot[WORDS], i;

  rings_init (&rings);
  g_assert_cmpint (mmap_ring_peek (&rings.popper, slot), ==, MMAP_RING_WAIT);
  g_assert_true (mmap_ring_is_read (&rings.pusher));
  for (i = 1; i <= N_SLOTS; i++) {
    g_assert_cmpint (mmap_ring_has_room (&rings.pusher), ==, MMAP_RING_OK);
    g_assert_cmpint (push (&rings, i), ==, MMAP_RING_OK);
  }
  g_assert_false (mmap_ring_is_read (&rings.pusher));
  g_assert_cmpint (mmap_ring_has_room (&rings.pusher), ==, MMAP_RING_WAIT);
  g_assert_cmpint (push (&rings, i), ==, MMAP_RING_WAIT);
  g_assert_cmpuint (rings.beyond, ==, 0);

  for (i = 1; i <= N_SLOTS; i++) {
    /* A look takes nothing away. */
    g_assert_cmpuint (peek (&rings), ==, i);
    g_assert_cmpuint (peek (&rings), ==, i);
    g_assert_cmpint (pop (&rings), ==, MMAP_RING_OK);
  }
  g_assert_cmpint (mmap_ring_peek (&rings.popper, slot), ==, MMAP_RING_WAIT);
  g_assert_true (mmap_ring_is_read (&rings.pusher));
  g_assert_cmpint (push (&rings, i), ==, MMAP_RING_OK);
}

static void
test_wrap (void)
{
  Rings rings;
  guint64 pushed = 0, popped = 0, burst, i;

  rings_init (&rings);
  for (burst = 0; burst < 1000; burst++) {
    for (i = 0; i < 1 + burst % N_SLOTS; i++)
      g_assert_cmpint (push (&rings, ++pushed), ==, MMAP_RING_OK);
    while (popped < pushed) {
      g_assert_cmpuint (peek (&rings), ==, ++popped);
      g_assert_cmpint (pop (&rings), ==, MMAP_RING_OK);
    }
  }
  g_assert_cmpuint (rings.head, ==, pushed);
  g_assert_cmpuint (rings.tail, ==, pushed);
}

/* Indices count up for ever, past the end of their 64 bits as well. */
static void
test_overflow (void)
{
  Rings rings;
  guint64 start = G_MAXUINT64 - 2, i;

  rings_init (&rings);
  rings.head = rings.tail = start;
  rings.pusher.own = rings.pusher.seen = start;
  rings.popper.own = rings.popper.seen = start;
  for (i = 1; i <= N_SLOTS; i++)
    g_assert_cmpint (push (&rings, i), ==, MMAP_RING_OK);
  g_assert_cmpint (push (&rings, i), ==, MMAP_RING_WAIT);
  for (i = 1; i <= 5 * N_SLOTS; i++) {
    g_assert_cmpuint (peek (&rings), ==, i);
    g_assert_cmpint (pop (&rings), ==, MMAP_RING_OK);
    g_assert_cmpint (push (&rings, i + N_SLOTS), ==, MMAP_RING_OK);
  }
}

static void
test_broken_head (void)
{
  static const guint64 heads[] = { N_SLOTS + 1, 5000, G_MAXINT64, G_MAXUINT64 };
  guint64 slot[WORDS];
  Rings rings;
  guint i;

  for (i = 0; i < G_N_ELEMENTS (heads); i++) {
    rings_init (&rings);
    rings.head = heads[i];
    g_assert_cmpint (mmap_ring_peek (&rings.popper, slot), ==,
        MMAP_RING_BROKEN);
    /* Nothing has changed: the next look finds the same. */
    g_assert_cmpint (mmap_ring_peek (&rings.popper, slot), ==,
        MMAP_RING_BROKEN);
    g_assert_cmpuint (rings.tail, ==, 0);
  }
  /* It can't go back, either. */
  rings_init (&rings);
  push (&rings, 1);
  push (&rings, 2);
  g_assert_cmpuint (peek (&rings), ==, 1);
  pop (&rings);
  g_assert_cmpuint (peek (&rings), ==, 2);
  pop (&rings);
  rings.head = 1;
  g_assert_cmpint (mmap_ring_peek (&rings.popper, slot), ==, MMAP_RING_BROKEN);
}

static void
test_broken_tail (void)
{
  static const guint64 tails[] = { N_SLOTS + 1, 5000, G_MAXINT64, G_MAXUINT64 };
  Rings rings;
  guint i, j;

  for (i = 0; i < G_N_ELEMENTS (tails); i++) {
    rings_init (&rings);
    for (j = 0; j < N_SLOTS; j++)
      push (&rings, j + 1);
    rings.tail = tails[i];
    g_assert_cmpint (mmap_ring_has_room (&rings.pusher), ==, MMAP_RING_BROKEN);
    g_assert_cmpint (push (&rings, 9), ==, MMAP_RING_BROKEN);
    g_assert_cmpuint (rings.head, ==, N_SLOTS);
    g_assert_cmpuint (rings.slots[0][0], ==, 1);
  }
  /* Back behind what was seen. */
  rings_init (&rings);
  for (j = 0; j < N_SLOTS; j++)
    push (&rings, j + 1);
  rings.tail = 4;
  for (j = 0; j < 4; j++)
    g_assert_cmpint (push (&rings, 100), ==, MMAP_RING_OK);
  rings.tail = 3;
  g_assert_cmpint (push (&rings, 100), ==, MMAP_RING_BROKEN);
}

static void
test_broken_tail_of_popper (void)
{
  static const guint64 tails[] = { 3, 5000, G_MAXINT64, G_MAXUINT64 };
  Rings rings;
  guint i;

  for (i = 0; i < G_N_ELEMENTS (tails); i++) {
    rings_init (&rings);
    push (&rings, 1);
    push (&rings, 2);
    g_assert_cmpuint (peek (&rings), ==, 1);
    rings.tail = tails[i];
    g_assert_cmpint (pop (&rings), ==, MMAP_RING_BROKEN);
  }
}

static guint64
take_back (Rings * rings)
{
  guint64 index = G_MAXUINT64;

  g_assert_cmpint (mmap_ring_take_back (&rings->pusher, &index), ==,
      MMAP_RING_OK);
  return index;
}

static void
test_take_back (void)
{
  Rings rings;
  guint64 i;

  rings_init (&rings);
  for (i = 1; i <= N_SLOTS; i++)
    push (&rings, i);
  g_assert_cmpuint (peek (&rings), ==, 1);
  g_assert_cmpuint (mmap_ring_get_unread (&rings.pusher), ==, N_SLOTS);
  g_assert_cmpuint (take_back (&rings), ==, 0);
  g_assert_cmpuint (take_back (&rings), ==, 1);
  g_assert_cmpuint (mmap_ring_get_unread (&rings.pusher), ==, N_SLOTS - 2);
  g_assert_cmpint (push (&rings, 9), ==, MMAP_RING_OK);
  g_assert_cmpint (push (&rings, 10), ==, MMAP_RING_OK);
  g_assert_cmpint (push (&rings, 11), ==, MMAP_RING_WAIT);
  /* What was looked at is void. */
  g_assert_cmpint (pop (&rings), ==, MMAP_RING_WAIT);
  for (i = 3; i <= 10; i++) {
    g_assert_cmpuint (peek (&rings), ==, i);
    g_assert_cmpint (pop (&rings), ==, MMAP_RING_OK);
  }
  g_assert_cmpuint (peek (&rings), ==, 0);

  /* The only one there is. */
  push (&rings, 11);
  g_assert_cmpuint (peek (&rings), ==, 11);
  g_assert_cmpuint (take_back (&rings), ==, 10);
  g_assert_cmpint (mmap_ring_take_back (&rings.pusher, &i), ==, MMAP_RING_WAIT);
  g_assert_cmpint (pop (&rings), ==, MMAP_RING_WAIT);
  g_assert_cmpuint (peek (&rings), ==, 0);
  push (&rings, 12);
  g_assert_cmpuint (peek (&rings), ==, 12);
  g_assert_cmpint (pop (&rings), ==, MMAP_RING_OK);
  g_assert_cmpint (mmap_ring_take_back (&rings.pusher, &i), ==, MMAP_RING_WAIT);
}

/* A popper can't make the pusher take back what it has not pushed, or what was popped. */
static void
test_take_back_hostile (void)
{
  guint64 tails[] = { 4, 1, G_MAXUINT64, G_MAXUINT64 / 2 };
  guint i;

  for (i = 0; i < G_N_ELEMENTS (tails); i++) {
    guint64 index = 77;
    Rings rings;

    rings_init (&rings);
    push (&rings, 1);
    push (&rings, 2);
    push (&rings, 3);
    g_assert_cmpuint (take_back (&rings), ==, 0);
    g_assert_cmpuint (take_back (&rings), ==, 1);
    rings.tail = tails[i];
    g_assert_cmpint (mmap_ring_take_back (&rings.pusher, &index), ==,
        MMAP_RING_BROKEN);
    g_assert_cmpuint (index, ==, 77);
    g_assert_cmpuint (rings.tail, ==, tails[i]);
  }
}

#define N_PUSHED 1000000

static gpointer
push_all (gpointer data)
{
  Rings *rings = data;
  guint64 i;

  for (i = 1; i <= N_PUSHED; i++) {
    MmapRingResult result;

    while ((result = push (rings, i)) == MMAP_RING_WAIT)
      g_thread_yield ();
    g_assert_cmpint (result, ==, MMAP_RING_OK);
  }
  return NULL;
}

static void
test_two_threads (void)
{
  Rings *rings = g_new (Rings, 1);
  GThread *thread;
  guint64 slot[WORDS], i;

  rings_init (rings);
  thread = g_thread_new ("pusher", push_all, rings);
  for (i = 1; i <= N_PUSHED; i++) {
    guint64 number;

    while (!(number = peek (rings)))
      g_thread_yield ();
    g_assert_cmpuint (number, ==, i);
    g_assert_cmpint (pop (rings), ==, MMAP_RING_OK);
  }
  g_thread_join (thread);
  g_assert_cmpint (mmap_ring_peek (&rings->popper, slot), ==, MMAP_RING_WAIT);
  g_free (rings);
}

/* The pusher takes back more than the popper has seen, and wraps around: it is only ahead, not wrong. */
static void
test_taken_back_unseen (void)
{
  guint64 head = 0, tail = 0, slots[8], slot, i;
  MmapRing pusher, popper;

  mmap_ring_init (&pusher, &head, &tail, slots, 8, sizeof slot);
  mmap_ring_init (&popper, &head, &tail, slots, 8, sizeof slot);
  i = 0;
  g_assert_cmpint (mmap_ring_push (&pusher, &i), ==, MMAP_RING_OK);
  g_assert_cmpint (mmap_ring_peek (&popper, &slot), ==, MMAP_RING_OK);
  for (i = 1; i < 8; i++)
    g_assert_cmpint (mmap_ring_push (&pusher, &i), ==, MMAP_RING_OK);
  tail = 2;
  g_assert_cmpint (mmap_ring_pop (&popper), ==, MMAP_RING_WAIT);
  g_assert_cmpint (mmap_ring_peek (&popper, &slot), ==, MMAP_RING_OK);
  g_assert_cmpuint (slot, ==, 2);
  g_assert_cmpint (mmap_ring_pop (&popper), ==, MMAP_RING_OK);

  /* All that it has seen, and three more, are taken back while it is idle. */
  while (mmap_ring_peek (&popper, &slot) == MMAP_RING_OK)
    g_assert_cmpint (mmap_ring_pop (&popper), ==, MMAP_RING_OK);
  for (i = 8; i < 16; i++)
    g_assert_cmpint (mmap_ring_push (&pusher, &i), ==, MMAP_RING_OK);
  tail = 11;
  for (i = 16; i < 19; i++)
    g_assert_cmpint (mmap_ring_push (&pusher, &i), ==, MMAP_RING_OK);
  for (i = 11; i < 19; i++) {
    g_assert_cmpint (mmap_ring_peek (&popper, &slot), ==, MMAP_RING_OK);
    g_assert_cmpuint (slot, ==, i);
    g_assert_cmpint (mmap_ring_pop (&popper), ==, MMAP_RING_OK);
  }
  g_assert_cmpint (mmap_ring_peek (&popper, &slot), ==, MMAP_RING_WAIT);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/ring/full-and-empty", test_full_and_empty);
  g_test_add_func ("/ring/taken-back-unseen", test_taken_back_unseen);
  g_test_add_func ("/ring/wrap", test_wrap);
  g_test_add_func ("/ring/overflow", test_overflow);
  g_test_add_func ("/ring/broken-head", test_broken_head);
  g_test_add_func ("/ring/broken-tail", test_broken_tail);
  g_test_add_func ("/ring/broken-tail-of-popper", test_broken_tail_of_popper);
  g_test_add_func ("/ring/take-back", test_take_back);
  g_test_add_func ("/ring/take-back-hostile", test_take_back_hostile);
  leak_check_add_test ("/ring/two-threads", test_two_threads);
  return g_test_run ();
}
