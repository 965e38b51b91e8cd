/* gst-mmap: a model of how several sides format an area at once: nobody is elected, and nobody writes over what is in use
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Three producers open an area that is blank, or holds something else; each may die at any step. A consumer looks meanwhile. Who has formatted
 * it, or found it formatted, claims something. All see the same size; stores are seen in their order.
 *
 * Stands for: mmap_area_check(), area_is_blank(), area_write_header(), area_format(), mmap_area_open_existing()
 *
 * BROKEN_magic_first: safety: the magic is written before the rest
 * BROKEN_clear: safety: who formats an area clears it
 * BROKEN_foreign: safety: it isn't looked at what comes behind the header
 * BROKEN_early_magic: safety: what is in use is judged by the magic of an earlier look
 * BROKEN_half: formatted: what another one has begun to write counts as something else
 */
#define PRODUCERS 3

/* shared memory: 0 is blank, RIGHT what follows from the size */
#define RIGHT 1
byte magic;
byte size;                      /* stands for all words but the magic */
byte slices;
byte rest;                      /* behind the header: who has claimed it */

/* the world */
bool foreign;                   /* it held something else from the start */
byte n_done;                    /* who has formatted it, or was refused what is foreign */
byte n_dead;
byte claimed_by;

#define MAY_DIE if :: n_dead < PRODUCERS -> atomic { n_dead++; goto end } :: true fi

proctype Producer (byte me)
{
  byte seen;

  /* mmap_area_check() */
  seen = magic;
  if
  :: seen == RIGHT ->
     atomic { assert (size == RIGHT && slices == RIGHT); goto formatted }
  :: else
  fi;
  /* area_is_blank() */
#ifdef BROKEN_half
  if :: size != 0 || slices != 0 -> atomic { n_done++; goto end } :: else fi;
#else
  if :: size != 0 && size != RIGHT -> goto refused :: else fi;
  if :: slices != 0 && slices != RIGHT -> goto refused :: else fi;
#endif
#ifndef BROKEN_foreign
  if
  :: rest != 0 ->
#ifndef BROKEN_early_magic
     seen = magic;
#endif
     if :: seen == RIGHT :: else -> goto refused fi
  :: else
  fi;
#endif
  /* area_write_header() */
  MAY_DIE;
#ifdef BROKEN_clear
  rest = 0;
#endif
#ifdef BROKEN_magic_first
  magic = RIGHT;
#endif
  size = RIGHT;
  MAY_DIE;
  slices = RIGHT;
  MAY_DIE;
  magic = RIGHT;

formatted:
  atomic {
    assert (!foreign);
    n_done++;
    /* What was claimed stays so. */
    assert (claimed_by == 0 || rest == claimed_by);
    if :: rest == 0 -> rest = me; claimed_by = me :: else fi
  };
  MAY_DIE;
  goto end;

refused:
  /* Only what is not ours. */
  atomic { assert (foreign); n_done++ };
end:
  skip
}

active proctype Consumer ()
{
  /* Somebody may never come. */
end:
  atomic { magic == RIGHT -> assert (size == RIGHT && slices == RIGHT) }
}

init
{
  atomic {
    if
    :: foreign = true; rest = PRODUCERS + 1
    :: true
    fi;
    run Producer (1); run Producer (2); run Producer (3)
  }
}

/* Whoever dies, wherever: who comes then can use it. */
ltl formatted { <> (n_done + n_dead >= PRODUCERS && (magic == RIGHT || foreign || n_dead == PRODUCERS)) }
