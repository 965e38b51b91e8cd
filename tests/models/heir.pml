/* gst-mmap: a model of what becomes of a producer's slices in an area after it: its heir leaves them alone, and none is lost
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Two producers come to an area with two entries, in which others were before: killed, or ended in order with something that consumers have
 * not read. Each takes over an entry, frees what belongs to nobody, claims a slice, and ends, or is killed between any two steps; who ends
 * may leave something unread. One more, with an entry elsewhere, frees at any time what belongs to nobody. Who is dead is known to others
 * some time later, never too soon. How a name is claimed is the subject of area.pml: here who has lost it gives its entry back. Stores are
 * seen in their order, and loads are done in theirs.
 *
 * What is promised: the slices of who was killed, or has ended while something was unread, are its own until its successor has ended, or
 * was killed and somebody takes over from it. Only who finds no free one takes them. And nobody lacks a slice while one belongs to nobody
 * who lives.
 *
 * Stands for: look_for_entry(), take_entry(), write_before(), read_before(), leave_entry(), mmap_channel_end(), mmap_channel_bequeath(),
 * mmap_area_free_slices(), mmap_area_free_orphans(), has_entry(), mmap_window_claim(), slices_inherit(), slices_free_dead()
 *
 * BROKEN_before_late: safety: who takes over an entry writes only then whose it was
 * BROKEN_no_look: safety: what a successor has written is written over
 * BROKEN_before_first: safety: it is looked who was there before, then who is there
 * BROKEN_owners_only: safety: slices of who was there before are taken for orphans
 * BROKEN_leaves_first: safety: who ends gives back its entry, then says that it leaves something
 * BROKEN_frees: safety: who ends frees what somebody has not read
 * BROKEN_inherits_first: safety: the heir takes what it inherits though there is other room
 * BROKEN_keeps: safety: who ends leaves what its predecessor had
 * BROKEN_dead_stay: safety: slices of the dead are not to be had, but for the heir
 */
#define PRODUCERS 2
#define ENTRIES 2
#define SLICES 2

/* Before them: */
#define FIRST 4                 /* had entry 0 */
#define SECOND 5                /* had entry 1 */
#define OLDER 6                 /* had entry 0 before FIRST */
#define ALL 7

/* shared memory; numbers of producers are from 1 */
byte owner[ENTRIES];
byte before[ENTRIES];
byte slice[SLICES];

/* the world */
bool dead[ALL];
bool ended[ALL];                /* in order */
bool kept[ALL];                 /* its slices are to stay: it lives, or somebody may not have read all */
bool left[ALL];                 /* it has ended, or is about to, and leaves something */
bool over[ALL];                 /* its heir has ended, and freed all */
byte last[ENTRIES];             /* who has the entry, or had it last */
byte previous[ENTRIES];         /* who had it before that one */
byte n_done;

#define DIES dead[me] = true; goto end

/* Between any two steps. */
#define STEP if :: DIES :: true fi

/* look_for_entry(). */
#define LOOK \
  if \
  :: owner[0] == 0 || dead[owner[0]] -> e = 0 \
  :: owner[1] == 0 || dead[owner[1]] -> e = 1 \
  fi; \
  seen = owner[e]

#define SWAP_TO_0(i, who) \
  if \
  :: slice[i] == who -> assert (!kept[who]); slice[i] = 0 \
  :: else \
  fi

/* mmap_area_free_orphans(), of slice i. */
inline free_orphan ()
{
  atomic { seen = slice[i]; found = (seen == 0); c = 0 };
  do
  :: !found && c < ENTRIES ->
#ifndef BROKEN_before_first
     entry_owner = owner[c];
     atomic {
#ifndef BROKEN_owners_only
       found = (entry_owner == seen || before[c] == seen);
#else
       found = (entry_owner == seen);
#endif
#else
     entry_owner = before[c];
     atomic {
       found = (entry_owner == seen || owner[c] == seen);
#endif
       entry_owner = 0;
       c++
     }
  :: else -> break
  od;
  atomic { if :: !found -> SWAP_TO_0 (i, seen) :: else fi }
}

/* One that has an entry of its own, and looks at any slice. */
proctype Other ()
{
  byte i, c, seen, entry_owner;
  bool found;

  if :: i = 0 :: i = 1 fi;
  free_orphan ();
  atomic { i = 0; c = 0; seen = 0; found = false }
}

proctype Producer (byte me)
{
  byte e, i, c, seen, seen_before, inherits, entry_owner;
  bool sweeps, found, had_room, bequeaths;

  atomic { LOOK };
look:
  /* take_entry() */
  if
  :: seen != 0 ->
#ifndef BROKEN_before_late
     seen_before = before[e];
#ifndef BROKEN_no_look
     atomic {
       if
       :: owner[e] != seen -> LOOK; goto look
       :: else
       fi
     };
#endif
     atomic {
       STEP;
       if
       :: before[e] == seen_before ->
          before[e] = seen;
          if :: owner[e] == seen -> kept[previous[e]] = false :: else fi
       :: else -> LOOK; goto look
       fi
     };
#endif
     skip
  :: else
  fi;
  atomic {
    STEP;
    if
    :: owner[e] != seen ->
       /* Somebody was quicker. */
       LOOK;
       goto look
    :: else ->
       owner[e] = me;
       kept[me] = true;
       kept[previous[e]] = false;
       previous[e] = last[e];
       last[e] = me
    fi
  };
  atomic {
    STEP;
    inherits = seen;
    if
    :: seen == 0 && before[e] != owner[0] && before[e] != owner[1] -> inherits = before[e]
    :: else
    fi
  };
  atomic { STEP; before[e] = inherits; sweeps = (seen != 0); seen = 0; seen_before = 0 };

  i = 0;
  do
  :: sweeps && i < SLICES -> free_orphan (); atomic { STEP; i++ }
  :: else -> break
  od;
  atomic { i = 0; c = 0; seen = 0; found = false };

  /* Another one has the name: leave_entry(). What it would have inherited is another's. */
  if
  :: atomic {
       owner[e] = 0;
       kept[me] = false;
       ended[me] = true;
       last[e] = previous[e];
       previous[e] = 0;
       goto end
     }
  :: true
  fi;

claim:
  /* mmap_window_claim() */
  atomic {
    STEP;
    had_room = false; found = false; i = 0;
    do
    :: i < SLICES ->
       had_room = (had_room || slice[i] == 0);
       i++
    :: else -> break
    od;
    i = 0;
    do
#ifndef BROKEN_inherits_first
    :: i < SLICES && !found && had_room && slice[i] == 0 -> found = true; c = i
    :: i < SLICES && !found && !had_room && slice[i] == inherits && inherits != 0 -> found = true; c = i
#else
    :: i < SLICES && !found && (slice[i] == 0 || slice[i] == inherits) -> found = true; c = i
#endif
    :: i >= SLICES || found -> break
    :: else -> i++
    od;
    i = 0;
    do
#ifndef BROKEN_dead_stay
    :: i < SLICES && !found && slice[i] != owner[0] && slice[i] != owner[1] -> found = true; c = i
    :: i < SLICES && !found && dead[slice[i]] -> found = true; c = i
#endif
    :: i >= SLICES || found -> break
    :: else -> i++
    od;
    if
    :: found -> seen = slice[c]
    :: else ->
       /* No room: all are of some that live. */
       i = 0;
       do
       :: i < SLICES -> assert (!dead[slice[i]] && !ended[slice[i]]); i++
       :: else -> break
       od;
       goto leave
    fi
  };
  atomic {
    STEP;
    if
    :: slice[c] != seen -> goto claim
    :: else ->
       assert (seen == 0 || !kept[seen] || (!had_room && (dead[seen] || ended[seen])));
       slice[c] = me
    fi
  };

leave:
  atomic { i = 0; c = 0; seen = 0; found = false; had_room = false; sweeps = false };
  /* mmap_channel_end() */
  if
  :: bequeaths = true; left[me] = true
  :: bequeaths = false; kept[me] = false
  fi;
#ifdef BROKEN_leaves_first
  atomic { STEP; ended[me] = true; kept[previous[e]] = false; owner[e] = 0 };
  atomic { STEP; before[e] = (bequeaths -> me : 0) };
#else
  atomic { STEP; kept[previous[e]] = false; before[e] = (bequeaths -> me : 0) };
  atomic { STEP; ended[me] = true; owner[e] = 0 };
#endif
  atomic {
    STEP;
    for (i : 0 .. SLICES - 1) {
#ifndef BROKEN_frees
      if :: !bequeaths -> SWAP_TO_0 (i, me) :: else fi
#else
      SWAP_TO_0 (i, me)
#endif
    }
  };
  atomic {
    STEP;
#ifndef BROKEN_keeps
    for (i : 0 .. SLICES - 1) {
      if :: inherits != 0 -> SWAP_TO_0 (i, inherits) :: else fi
    };
#endif
    over[inherits] = true
  };

end:
  /* What is the same to all others is one state. */
  atomic {
    e = 0; i = 0; c = 0; seen = 0; seen_before = 0; inherits = 0; entry_owner = 0; found = false; had_room = false; sweeps = false; bequeaths = false;
    n_done++
  }
}

#define CAME_BEFORE(e, who) \
  if \
  :: owner[e] = who; dead[who] = true \
  :: before[e] = who; ended[who] = true; left[who] = true \
  fi; \
  kept[who] = true; last[e] = who

init
{
  byte i;

  atomic {
    CAME_BEFORE (0, FIRST);
    CAME_BEFORE (1, SECOND);
    slice[0] = FIRST;
    slice[1] = SECOND;
    if
    :: owner[0] == FIRST -> before[0] = OLDER; ended[OLDER] = true; left[OLDER] = true; kept[OLDER] = true; previous[0] = OLDER; slice[1] = OLDER
    :: true
    fi;
    run Producer (1); run Producer (2); run Other ()
  };
  /* Who has ended leaves only what was unread, and nothing of its predecessor. What one leaves who is killed as it frees belongs to nobody:
   * it is freed, or taken, when others come. */
  n_done == PRODUCERS;
  atomic {
    do
    :: i < SLICES ->
       assert (slice[i] == 0 || (dead[slice[i]] && ended[slice[i]])
           || ((dead[slice[i]] || left[slice[i]]) && !over[slice[i]]));
       i++
    :: else -> break
    od
  }
}
