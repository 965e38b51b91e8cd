/* gst-mmap: a model of a link slot in an area: no two consumers use it at the same time, and it is free again whatever they do
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Two consumers claim the only slot, use its memory, leave it or die, again and again. The producer serves it, and ends the link of one that has
 * died or, sometimes, for a reason of its own. That a consumer is dead is known by its heartbeat, some time later. The memory of the link belongs
 * to the consumer that it was made ready for; writing a fresh link over one that somebody still uses is what must not happen.
 *
 * Stands for: claim_slot(), introduce(), look_at_producer(), leave_slot(), slot_run_claimed(), slot_serve(), slot_run_served(),
 * slot_run_ending(), slot_free()
 *
 * BROKEN_free_at_once: safety: the producer frees a slot without waiting until its consumer has left
 * BROKEN_serve_early: safety: the consumer uses the memory before it is served
 * BROKEN_no_heartbeat: free: a consumer that has died keeps the slot
 */
#define CONSUMERS 2

/* shared memory; a consumer's number is another one each time: here its own, and what is left of an earlier time is cleared where the code
 * would draw a new one */
byte claim, served, left;

/* the world */
byte memory;                    /* for whom the link's memory was made ready */
bool uses[CONSUMERS + 1];
bool dead[CONSUMERS + 1];

proctype Consumer (byte me)
{
end_again:
  /* claim_slot() */
  atomic { claim == 0 -> claim = me };
  left = 0;
#ifndef BROKEN_serve_early
  if
  :: atomic { served == me -> uses[me] = true; assert (memory == me) }
  :: claim != me -> goto end_again
  fi;
#else
  atomic { uses[me] = true; assert (memory == me) };
#endif
  do
  :: atomic { uses[me] -> assert (memory == me) }
  /* It leaves, because it wants to, or was hung up on. */
  :: break
  :: atomic { dead[me] = true; uses[me] = false; goto end }
  od;
  uses[me] = false;
  atomic { if :: claim == me -> left = me :: else fi };
  /* Its next number is another. */
  claim != me;
  goto end_again;
end:
  skip
}

active proctype Producer ()
{
  byte consumer;

end_free:
  /* slot_run_claimed(), slot_serve() */
  atomic { claim != 0 -> consumer = claim };
  memory = consumer;
  served = consumer;
  do
  :: left == consumer -> break
#ifndef BROKEN_no_heartbeat
  :: dead[consumer] -> break
#endif
  /* For a reason of its own. */
  :: true -> break
  od;
  served = 0;
  /* slot_run_ending() */
#ifndef BROKEN_free_at_once
  /* One that has not used it, and now never will, is given a second. */
  if
  :: left == consumer
  :: atomic { !uses[consumer] && !dead[consumer] -> skip }
#ifndef BROKEN_no_heartbeat
  :: dead[consumer]
#endif
  fi;
#endif
  /* slot_free(); another consumer is started in the place of one that has died. */
  atomic { dead[consumer] = false; claim = 0 };
  goto end_free
}

init
{
  atomic { run Consumer (1); run Consumer (2) }
}

ltl free { [] <> (claim == 0 || left != 0 || !dead[1] && !dead[2]) }
