/* gst-mmap: a model of a link that ends while its consumer still has something: that isn't written to, and comes back
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * One link that is up, of a region of two blocks. It may end in three ways, also in several at once: the consumer leaves, the producer ends it
 * for a cause, the consumer is killed. The producer has a thread that publishes, one that ends links, and one that serves the sockets; the
 * consumer one that takes frames and one that gives them back, which downstream does when it likes.
 *
 * Stands for: mmap_producer_link_end_locked(), mmap_producer_link_leave_locked(), mmap_producer_link_close_locked(),
 * mmap_producer_link_settle_locked(), link_take_back_unread_locked(), link_readable(), mmap_producer_link_collect_locked(),
 * mmap_producer_publish(), try_next(), leave(), mmap_consumer_drop_link_locked(), mmap_consumer_link_unref(), link_release()
 *
 * BROKEN_end_as_well: safety: the end of the stream is told although frames before it were taken back
 * BROKEN_free_at_leave: safety: what a consumer has that leaves is free at once
 * BROKEN_free_at_end: safety: what a consumer has whose link is ended is free at once
 * BROKEN_leave_in_ring: safety: what it has not read of a link that is ended is free, but can still be read
 * BROKEN_close_early: safety: the consumer closes its socket although it still has something
 * BROKEN_silent: safety: it keeps the socket, but doesn't say that it has left
 * BROKEN_keep_unread: safety: what it has not read when it leaves is not taken back
 * BROKEN_deaf: safety: the end of the socket of a link that is leaving is not noticed
 */
#define BLOCKS 2
#define TAKES 2                 /* then the consumer leaves */
#define FRAMES 4                /* each block is used again */

chan frames = [BLOCKS] of { byte };     /* to take one out is a compare-and-swap of the ring's tail */
chan releases = [BLOCKS] of { byte };
chan said = [1] of { bool };    /* LEAVE, in the socket */
bool eos;                       /* the last event of the stream, unread: it comes after all frames */
bool ended;                     /* the word of that name */
bool lost;                      /* a frame was taken back */
bool refused;                   /* REFUSE, in the other direction */
bool hung_up;                   /* the consumer's end of the socket is closed */

/* the producer's */
bool locked;
bool up = true;
bool leaving;
bool held[BLOCKS];

/* the consumer's */
bool has[BLOCKS];               /* somebody reads it */
bool left;
bool dead;

#define FREE (!held[0] && !held[1])
#define OWES (has[0] || has[1])

inline lock ()
{
  atomic { !locked -> locked = true }
}

inline unlock ()
{
  locked = false
}

/* Each is a step of its own: the consumer may take one before. */
inline take_back ()
{
  do
  :: atomic { nempty (frames) -> frames ? taken; held[taken] = false; taken = 0; lost = true }
  :: empty (frames) -> break
  od;
  eos = false
}

inline drop_all ()
{
  d_step { held[0] = false; held[1] = false }
}

inline settle ()
{
  d_step {
    if
    :: leaving && FREE -> leaving = false
    :: else
    fi
  }
}

inline collect ()
{
  do
  :: atomic { nempty (releases) -> releases ? block; held[block] = false }
  :: empty (releases) -> break
  od;
  settle ()
}

active proctype Publisher ()
{
  byte block, sent;

end:
  do
  :: nempty (releases) && (up || leaving) ->
    lock ();
    if
    :: up || leaving -> collect ()
    :: else
    fi;
    unlock ()
  :: sent < FRAMES ->
    lock ();
    sent++;
    if
    :: !held[0] -> block = 0
    :: !held[1] -> block = 1
    :: held[0] && held[1] -> block = BLOCKS
    fi;
    if
    :: block < BLOCKS ->
      /* Written to. */
      assert (!has[block]);
      if
      :: atomic { up -> held[block] = true; frames ! block }
      :: else
      fi
    :: else
    fi;
    block = 0;
    unlock ()
  /* Then the stream ends. */
  :: sent == FRAMES ->
    lock ();
    sent++;
    d_step {
      if
      :: up -> eos = true
      :: else
      fi
    };
    unlock ()
  od
}

/* For a cause, if there is one. */
active proctype Ender ()
{
  byte taken;

  if
  :: skip
  :: lock ();
    if
    :: up ->
      d_step { up = false; leaving = true; refused = true };
      ended = true;
#ifdef BROKEN_leave_in_ring
      drop_all ();
#else
      take_back ();
#endif
#ifdef BROKEN_free_at_end
      drop_all ();
#endif
      settle ()
    :: else
    fi;
    unlock ()
  fi
}

active proctype Server ()
{
  byte taken;

end:
  do
  :: atomic { !locked && nempty (said) -> locked = true; said ? _ };
    if
    :: up ->
      d_step { up = false; leaving = true };
      ended = true;
#ifndef BROKEN_keep_unread
      take_back ();
#endif
#ifdef BROKEN_free_at_leave
      drop_all ();
#endif
      settle ()
    :: else
    fi;
    unlock ()
  /* After all that it had said. */
#ifdef BROKEN_deaf
  :: d_step { !locked && hung_up && empty (said) && up -> up = false; held[0] = false; held[1] = false }
#else
  :: d_step { !locked && hung_up && empty (said) && (up || leaving) -> up = false; leaving = false; held[0] = false; held[1] = false }
#endif
  od
}

active proctype Taker ()
{
  byte n, block;

  {
    do
    :: n < TAKES ->
      if
      :: atomic { nempty (frames) -> frames ? block; has[block] = true; n++; block = 0 }
      /* It looks at the frames first. */
      :: atomic { empty (frames) && eos ->
#ifndef BROKEN_end_as_well
          if
          :: !ended -> eos = false; assert (!lost)
          :: ended
          fi
#else
          eos = false; assert (!lost)
#endif
        };
        break
      :: refused -> break
      fi
    :: true -> break
    od;
    /* It goes. */
    if
#ifdef BROKEN_close_early
    :: true -> hung_up = true
#else
    :: OWES ->
#ifndef BROKEN_silent
      said ! true;
#endif
      left = true
    :: !OWES -> hung_up = true
#endif
    fi
  } unless {
    dead
  }
}

/* Downstream, which keeps what it likes as long as it likes. */
active proctype Giver ()
{
  byte block;
  bool keeps;

  {
    if
    :: keeps = false
    :: keeps = true
    fi;
end:
    do
    :: d_step { has[0] && !keeps -> has[0] = false; block = 0 }; releases ! block
    :: d_step { has[1] -> has[1] = false; block = 1 }; releases ! block
    /* The last reference. */
    :: d_step { left && !OWES && !hung_up -> hung_up = true }
    od
  } unless {
    dead
  }
}

/* Or not. */
active proctype Killer ()
{
  if
  :: skip
  :: d_step { dead = true; has[0] = false; has[1] = false; hung_up = true }
  fi
}

/* When nobody can go on, the link has ended, and nothing is held but what somebody has. */
active proctype Monitor ()
{
end:
  timeout -> assert (!up && (has[0] || !held[0]) && (has[1] || !held[1]) && (!leaving || !FREE))
}
