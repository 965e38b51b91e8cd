/* gst-mmap: the ring under a model checker
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * src/ring.c as it is, with two threads for the two processes; see model.hpp. The rings are short, and what is pushed is little, as each
 * step may go in many ways.
 */
#include "atomics.h"

#include "ring.inc"

/* A descriptor: its number, and the block that it names. */
#define SLOT_WORDS 2
#define SLOT_BYTES (SLOT_WORDS * sizeof (guint64))

/* The last indices before they begin again at 0. */
#define NEAR_OVERFLOW (G_MAXUINT64 - 1)

/* One ring in shared memory, and both sides' views of it. */
struct Ring
{
  MmapRing pusher;
  MmapRing popper;

  /* @first: the first of 2 + @n_slots * @words free cells */
  void init (unsigned first, unsigned n_slots, unsigned words, guint64 start)
  {
    guint64 *head = &model_cells[first], *tail = &model_cells[first + 1];
    guint64 *slots = model_slots (first + 2, n_slots * words);

    mmap_ring_init (&pusher, head, tail, slots, n_slots,
        words * sizeof (guint64));
    pusher.own = pusher.seen = start;
    popper = pusher;
    model_word (head)->value.store (start, rl::mo_relaxed, $);
    model_word (tail)->value.store (start, rl::mo_relaxed, $);
  }

  MmapRingResult peek (guint64 * slot)
  {
    MmapRingResult result = mmap_ring_peek (&popper, slot);

    RL_ASSERT (result != MMAP_RING_BROKEN);
    return result;
  }

  MmapRingResult check ()
  {
    MmapRingResult result = mmap_ring_check (&popper);

    RL_ASSERT (result != MMAP_RING_BROKEN);
    return result;
  }

  MmapRingResult pop ()
  {
    const guint64 *slot = ring_slot (&popper, popper.own);
    MmapRingResult result = mmap_ring_pop (&popper);

    RL_ASSERT (result != MMAP_RING_BROKEN);
    if (result == MMAP_RING_OK)
      model_take (slot, popper.slot_words);
    return result;
  }
};

static inline void
wait_a_moment ()
{
  rl::yield (1, $);
}

/* Events: a ring alone. Each is popped, once, in order, and whole. */
template < unsigned N_SLOTS, guint64 START >
struct Events : rl::test_suite < Events < N_SLOTS, START >, 2 >
{
  static const guint64 N = 4;
  ModelWords words;
  Ring events;

  void before ()
  {
    words.init (2 + N_SLOTS * SLOT_WORDS);
    events.init (0, N_SLOTS, SLOT_WORDS, START);
  }

  void push ()
  {
    for (guint64 i = 1; i <= N; i++) {
      guint64 slot[SLOT_WORDS] = { i, ~i };
      MmapRingResult result;

      while ((result = mmap_ring_push (&events.pusher, slot)) == MMAP_RING_WAIT)
        wait_a_moment ();
      RL_ASSERT (result == MMAP_RING_OK);
    }
  }

  void pop ()
  {
    for (guint64 i = 1; i <= N; i++) {
      guint64 slot[SLOT_WORDS];

      while (events.peek (slot) == MMAP_RING_WAIT)
        wait_a_moment ();
      RL_ASSERT (slot[0] == i && slot[1] == ~i);
      RL_ASSERT (events.pop () == MMAP_RING_OK);
    }
  }

  void thread (unsigned index)
  {
    if (index == 0)
      push ();
    else
      pop ();
  }
};

/* A link's frame ring and release ring, and the blocks of the region. */
template < unsigned N_SLOTS, unsigned N_BLOCKS > struct Link
{
  static const unsigned N_RELEASES = 4;
  ModelWords words;
  Ring frames;
  Ring releases;
  rl::var < guint64 > pixels[N_BLOCKS];
  bool is_free[N_BLOCKS];       /* the producer's knowledge */

  void init ()
  {
    unsigned first = 2 + N_SLOTS * SLOT_WORDS;

    words.init (first + 2 + N_RELEASES);
    frames.init (0, N_SLOTS, SLOT_WORDS, 0);
    releases.init (first, N_RELEASES, 1, NEAR_OVERFLOW);
    for (unsigned i = 0; i < N_BLOCKS; i++)
      is_free[i] = true;
  }

  void collect ()
  {
    guint64 block;

    /* The producer pops, so its view of this ring is the popper's. */
    while (releases.peek (&block) == MMAP_RING_OK) {
      RL_ASSERT (releases.pop () == MMAP_RING_OK);
      RL_ASSERT (block < N_BLOCKS && !is_free[block]);
      is_free[block] = true;
    }
  }

  /* -1: none */
  int find_block ()
  {
    for (unsigned i = 0; i < N_BLOCKS; i++)
      if (is_free[i])
        return i;
    return -1;
  }

  /* Writes the pixels of frame @number, and publishes it. */
  MmapRingResult publish (guint64 number, int block)
  {
    guint64 slot[SLOT_WORDS] = { number, (guint64) block };
    MmapRingResult result = mmap_ring_has_room (&frames.pusher);

    RL_ASSERT (result != MMAP_RING_BROKEN);
    if (result == MMAP_RING_WAIT)
      return result;
    is_free[block] = false;
    pixels[block] ($) = number;
    result = mmap_ring_push (&frames.pusher, slot);
    RL_ASSERT (result == MMAP_RING_OK);
    return result;
  }

  /* Looks at the frame's pixels, and gives it back. */
  void use (const guint64 * slot)
  {
    RL_ASSERT (pixels[slot[1]] ($) == slot[0]);
    RL_ASSERT (mmap_ring_push (&releases.pusher, &slot[1]) == MMAP_RING_OK);
  }
};

/* Frames: each arrives, and no block is written while the consumer holds it. */
template < unsigned N_SLOTS, unsigned N_BLOCKS >
struct Frames : rl::test_suite < Frames < N_SLOTS, N_BLOCKS >, 2 >
{
  static const guint64 N = 4;
  Link < N_SLOTS, N_BLOCKS > link;

  void before ()
  {
    link.init ();
  }

  void produce ()
  {
    for (guint64 i = 1; i <= N;) {
      int block = link.find_block ();

      if (block < 0)
        link.collect ();
      if (block >= 0 && link.publish (i, block) == MMAP_RING_OK)
        i++;
      else
        wait_a_moment ();
    }
  }

  void consume ()
  {
    for (guint64 i = 1; i <= N; i++) {
      guint64 slot[SLOT_WORDS];

      while (link.frames.peek (slot) == MMAP_RING_WAIT)
        wait_a_moment ();
      RL_ASSERT (slot[0] == i);
      RL_ASSERT (link.frames.pop () == MMAP_RING_OK);
      link.use (slot);
    }
  }

  void thread (unsigned index)
  {
    if (index == 0)
      produce ();
    else
      consume ();
  }
};

/* Frames for a consumer that may be too slow: the producer never waits for it to read. If @LIMIT frames are unread, it takes the oldest back,
 * and its block is free at once. */
template < unsigned N_SLOTS, unsigned LIMIT, unsigned N_BLOCKS, unsigned BEFORE >
struct TakeBack : rl::test_suite < TakeBack < N_SLOTS, LIMIT, N_BLOCKS, BEFORE >, 2 >
{
  static const guint64 N = BEFORE + (BEFORE > 0 ? 2 : 5);
  static const unsigned LOOKS = BEFORE > 0 ? 2 : 4;
  Link < N_SLOTS, N_BLOCKS > link;
  int block_of[N + 1];
  bool taken_back[N + 1];
  bool arrived[N + 1];
  guint64 published;

  void before ()
  {
    link.init ();
    memset (taken_back, 0, sizeof taken_back);
    memset (arrived, 0, sizeof arrived);
    published = 0;
    produce (BEFORE);
  }

  void take_back ()
  {
    guint64 index;
    MmapRingResult result = mmap_ring_take_back (&link.frames.pusher, &index);

    RL_ASSERT (result != MMAP_RING_BROKEN);
    if (result == MMAP_RING_OK) {
      taken_back[index + 1] = true;
      link.is_free[block_of[index + 1]] = true;
    }
  }

  void produce (guint64 n)
  {
    while (published < n) {
      int block;

      link.collect ();
      if (mmap_ring_get_unread (&link.frames.pusher) >= LIMIT)
        take_back ();
      block = link.find_block ();
      if (block >= 0 && link.publish (published + 1, block) == MMAP_RING_OK)
        block_of[++published] = block;
      else
        wait_a_moment ();
    }
  }

  void consume ()
  {
    for (unsigned i = 0; i < LOOKS; i++) {
      guint64 slot[SLOT_WORDS], index;

      if (link.frames.peek (slot) == MMAP_RING_WAIT)
        continue;
      index = link.frames.popper.own;
      if (i % 2 == 1 && link.frames.check () == MMAP_RING_WAIT)
        continue;
      /* After a check it was the oldest one, even if it is no more. */
      RL_ASSERT (i % 2 == 0 || slot[0] == index + 1);
      if (link.frames.pop () == MMAP_RING_WAIT)
        continue;
      RL_ASSERT (slot[0] == index + 1);
      arrived[slot[0]] = true;
      link.use (slot);
    }
  }

  void thread (unsigned index)
  {
    if (index == 0)
      produce (N);
    else
      consume ();
  }

  /* Each frame has arrived, or was taken back, or is still there. */
  void after ()
  {
    guint64 tail = model_word (link.frames.pusher.tail)->value.debug_value ();

    for (guint64 i = 1; i <= N; i++)
      RL_ASSERT (arrived[i] + taken_back[i] == (i <= tail ? 1 : 0));
  }
};

typedef Events < 1, 0 > Events1;
typedef Events < 2, NEAR_OVERFLOW > Events2;
typedef Frames < 1, 1 > Frames1;
typedef Frames < 2, 2 > Frames2;
typedef TakeBack < 1, 1, 3, 0 > TakeBack1;
typedef TakeBack < 2, 2, 3, 0 > TakeBack2;
typedef TakeBack < 4, 2, 3, 0 > TakeBack4;
/* The consumer has not looked for longer than the ring is long. */
typedef TakeBack < 1, 1, 3, 2 > CatchUp1;
typedef TakeBack < 2, 2, 3, 4 > CatchUp2;

int
main (void)
{
  static const ModelScenario scenarios[] = {
    MODEL_SCENARIO (Events1),
    MODEL_SCENARIO (Events2),
    MODEL_SCENARIO (Frames1),
    MODEL_SCENARIO (Frames2),
    MODEL_SCENARIO (TakeBack1),
    MODEL_SCENARIO (TakeBack2),
    MODEL_SCENARIO (TakeBack4),
    MODEL_SCENARIO (CatchUp1),
    MODEL_SCENARIO (CatchUp2),
  };

  return model_main (scenarios, G_N_ELEMENTS (scenarios), 20000);
}
