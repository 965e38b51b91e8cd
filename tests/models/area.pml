/* gst-mmap: a model of how producers claim a channel's name in an area: at most one has it, and one gets it
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Three producers want the same name, in an area with two entries. Any may die at any step; that somebody is dead is known to others
 * some time later, by the heartbeat, never too soon. Stores are seen in their order.
 *
 * Stands for: look_for_entry(), take_entry(), look_for_rivals(), leave_entry(), try_claim(), claim_entry(), mmap_channel_claim(), get_life()
 *
 * BROKEN_look_first: safety: rivals are looked for before the name is written
 * BROKEN_ready_first: safety: it is ready before rivals were looked for
 * BROKEN_store: safety: an entry is claimed by a store, not by compare-and-swap
 * BROKEN_nobody_yields: claimed: of two that see each other, neither gives way
 * BROKEN_dead_stay: claimed: what a dead owner has left is not taken over
 */
#define PRODUCERS 3
#define ENTRIES 2

/* shared memory; numbers of producers are from 1 */
byte owner[ENTRIES];
bool named[ENTRIES];            /* the name in the entry is the one that all want */
bool ready[ENTRIES];            /* the session is there */

/* the world */
bool dead[PRODUCERS + 1];
byte n_ready;                   /* of those that live */
byte n_lost;                    /* told that another has it */
byte n_dead;

#define DIES atomic { dead[me] = true; n_dead++; if :: is_ready -> n_ready-- :: else fi; goto end }

proctype Producer (byte me)
{
  byte i, entry = ENTRIES, seen, candidate, expected;
  bool is_ready, wait;

look:
  /* Dying is one of the things that may happen at each step; here, and where it matters most, below. */
  if
  :: n_dead < 2 -> DIES
  :: true
  fi;
  candidate = ENTRIES; expected = 0; wait = false; i = 0;
  do
  :: i < ENTRIES ->
     atomic {
       seen = owner[i];
       if
       :: seen != 0 && !dead[seen] && named[i] && ready[i] -> goto lost
       :: seen != 0 && !dead[seen] && named[i] && !ready[i] -> wait = true
       :: seen != 0 && !dead[seen] && !named[i] -> skip
       :: seen == 0 && candidate == ENTRIES -> candidate = i; expected = 0
       :: seen == 0 && candidate != ENTRIES -> skip
#ifndef BROKEN_dead_stay
       :: seen != 0 && dead[seen] -> candidate = i; expected = seen
#else
       :: seen != 0 && dead[seen] -> skip
#endif
       fi
     };
     i++
  :: else -> break
  od;
  if
  :: wait || candidate == ENTRIES -> goto look
  :: else
  fi;

#ifdef BROKEN_look_first
  i = 0;
  do
  :: i < ENTRIES ->
     atomic { seen = owner[i]; if :: i != candidate && seen != 0 && named[i] && !dead[seen] -> goto look :: else fi };
     i++
  :: else -> break
  od;
#endif
  /* take_entry() */
  atomic {
    if
#ifndef BROKEN_store
    :: owner[candidate] != expected -> goto look
#endif
    :: else -> owner[candidate] = me; entry = candidate
    fi
  };
  ready[entry] = false;
  named[entry] = true;
#ifdef BROKEN_ready_first
  atomic { ready[entry] = true; n_ready++; is_ready = true; assert (n_ready == 1) };
#endif

rivals:
  if
  :: n_dead < 2 -> DIES
  :: true
  fi;
#ifndef BROKEN_look_first
  i = 0;
  do
  :: i < ENTRIES ->
     atomic {
       seen = owner[i];
       if
       :: i == entry || seen == 0 || dead[seen] || !named[i] -> skip
       :: else ->
          if
          :: ready[i] -> goto leave_lost
#ifndef BROKEN_nobody_yields
          :: !ready[i] && me > seen -> goto leave
          :: !ready[i] && me <= seen -> goto rivals
#else
          :: !ready[i] -> goto rivals
#endif
          fi
       fi
     };
     i++
  :: else -> break
  od;
#endif

  /* It has the name. */
  atomic {
    assert (owner[entry] == me);
    ready[entry] = true;
    if :: !is_ready -> n_ready++; is_ready = true :: else fi;
    assert (n_ready == 1)
  };
  if
  :: n_dead < 2 -> DIES
  :: true
  fi;
  goto end;

leave:
  ready[entry] = false;
  atomic { if :: owner[entry] == me -> owner[entry] = 0 :: else fi };
  entry = ENTRIES;
  goto look;

leave_lost:
  ready[entry] = false;
  atomic { if :: owner[entry] == me -> owner[entry] = 0 :: else fi };
lost:
  n_lost++;
end:
  skip
}

init
{
  atomic { run Producer (1); run Producer (2); run Producer (3) }
}

/* Sooner or later somebody has it, or had it and died; who was told that another has it was told the truth, or of one that died on the way. */
ltl claimed { <> (n_ready == 1 || n_dead + n_lost == PRODUCERS) }
