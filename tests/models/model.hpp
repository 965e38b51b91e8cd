/* gst-mmap: what the models under relacy have in common
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * A scenario is a relacy test suite: threads that call the project's own functions, and say what has to hold. relacy runs it many
 * times; each time another thread goes on at each access, and a load sees any value that C11's memory model allows, but one: a load
 * never sees a store that has not been made yet. So that a slot is not overwritten before it is read is checked by the clocks.
 *
 * model_main() runs all scenarios of a program as the code is, which none may fail, and then once for each site, without that
 * site's order, which one of them has to find out. relacy's random numbers are the same in each run.
 *
 * Shared words are the cells of one array, and each stands for an atomic of relacy's: the code under test knows only their addresses.
 */
#pragma once

#include <glib.h>
#include <sstream>
#include <string.h>
#include <relacy/relacy.hpp>

#define MODEL_MAX_CELLS 32
#define MODEL_MAX_THREADS 4

/* A place in the code with an order stronger than relaxed. All are in a section of their own, which is how model_main() finds them. */
struct ModelSite
{
  const char *file;
  int line;
  const char *order;
  bool weakened;
};

#define MODEL_SITE(order) \
  ({ \
    static ModelSite site __attribute__((section ("model_sites"), used)) = \
        { __FILE__, __LINE__, order, false }; \
    &site; \
  })

extern ModelSite __start_model_sites[], __stop_model_sites[];

/* --- shared words --- */

static guint64 model_cells[MODEL_MAX_CELLS];

struct ModelWord
{
  rl::atomic < guint64 > value;
  bool is_slot;
  guint64 looked[MODEL_MAX_THREADS];    /* time of that thread when it last read the word */
  int reader;                   /* who took what it read; -1: nobody */
  guint64 read;                 /* its time then */
};

/* Of the scenario that runs: a member of it, so that relacy makes it anew for each run. */
struct ModelWords
{
  ModelWord words[MODEL_MAX_CELLS];

  ModelWords ()
  {
    current = this;
  }

  /* In the scenario's before(). */
  void init (unsigned n_cells)
  {
    for (unsigned i = 0; i < n_cells; i++) {
      words[i].value.store (0, rl::mo_relaxed, $);
      words[i].is_slot = false;
      words[i].reader = -1;
    }
  }

  static ModelWords *current;
};

ModelWords *
ModelWords::current;

static inline ModelWord *
model_word (const void *word)
{
  return &ModelWords::current->words[((const char *) word -
          (const char *) model_cells) / sizeof (guint64)];
}

static inline rl::thread_info_base *
model_thread ()
{
  return rl::ctx ().threadx_;
}

template < typename T > static T
model_load (const T * word, const ModelSite * site, rl::debug_info_param info)
{
  ModelWord *shared = model_word (word);
  rl::memory_order order = site && !site->weakened ? rl::mo_acquire :
      rl::mo_relaxed;
  T value = shared->value.load (order, info);

  shared->looked[model_thread ()->index_] = model_thread ()->own_acq_rel_order_;
  return value;
}

template < typename T, typename V > static void
model_store (T * word, V value, const ModelSite * site,
    rl::debug_info_param info)
{
  ModelWord *shared = model_word (word);

  shared->value.store ((T) value, site && !site->weakened ? rl::mo_release :
      rl::mo_relaxed, info);
  /* Who has taken what was in the slot has read it before. */
  if (shared->is_slot && shared->reader >= 0)
    RL_ASSERT (model_thread ()->acq_rel_order_[shared->reader] >= shared->read);
  shared->reader = -1;
}

template < typename T, typename V > static gboolean
model_swap (T * word, T * expected, V value, const ModelSite * site,
    rl::debug_info_param info)
{
  guint64 seen = *expected;
  bool swapped = model_word (word)->value.compare_exchange (rl::bool_t < false >
      (), seen, (T) value, site->weakened ? rl::mo_relaxed : rl::mo_release,
      rl::mo_relaxed, info);

  *expected = seen;
  return swapped;
}

/* Without its order a full fence is still one that acquires and releases: that is not enough. */
static inline void
model_fence (rl::memory_order order, const ModelSite * site,
    rl::debug_info_param info)
{
  if (!site->weakened)
    rl::atomic_thread_fence (order, info);
  else if (order == rl::mo_seq_cst)
    rl::atomic_thread_fence (rl::mo_acq_rel, info);
}

/* What this thread read in these cells when it looked last it has taken: they may be written again, after that. */
static inline void
model_take (const guint64 * cells, unsigned n)
{
  int self = model_thread ()->index_;

  for (unsigned i = 0; i < n; i++) {
    ModelWord *shared = model_word (&cells[i]);

    shared->reader = self;
    shared->read = shared->looked[self];
  }
}

/* The first of @n free cells. */
static inline guint64 *
model_slots (unsigned first, unsigned n)
{
  for (unsigned i = 0; i < n; i++)
    ModelWords::current->words[first + i].is_slot = true;
  return &model_cells[first];
}

/* --- running --- */

struct ModelScenario
{
  const char *name;
  rl::test_result_e (*run) (unsigned runs, unsigned *stopped);
  bool (*explain) (unsigned runs);
};

template < typename Suite > static rl::test_result_e
model_run (unsigned runs, unsigned *stopped)
{
  rl::test_params params;
  std::ostringstream ignored;
  rl::test_result_e result;

  params.iteration_count = runs;
  params.execution_depth_limit = 5000;
  result = rl::run_test < Suite,
      rl::random_scheduler < Suite::params::thread_count > >(params, ignored,
      false);
  *stopped = params.stop_iteration;
  return result;
}

/* The same, and if it fails tells each step of the run. */
template < typename Suite > static bool
model_explain (unsigned runs)
{
  rl::test_params params;

  params.iteration_count = runs;
  params.execution_depth_limit = 5000;
  return rl::simulate < Suite > (params);
}

#define MODEL_SCENARIO(suite) \
  { #suite, model_run < suite >, model_explain < suite > }

/* Prints TAP. */
static int
model_main (const ModelScenario * scenarios, unsigned n_scenarios,
    unsigned runs)
{
  unsigned test = 0, failures = 0, stopped, i;
  ModelSite *site;

  printf ("1..%d\n", (int) (n_scenarios + (__stop_model_sites -
              __start_model_sites)));
  for (i = 0; i < n_scenarios; i++) {
    rl::test_result_e result = scenarios[i].run (runs, &stopped);

    if (result == rl::test_result_success) {
      printf ("ok %u - %s: %u runs\n", ++test, scenarios[i].name, stopped);
      continue;
    }
    failures++;
    fflush (stdout);
    scenarios[i].explain (runs);
    printf ("not ok %u - %s: run %u: %s\n", ++test, scenarios[i].name, stopped,
        rl::test_result_str (result));
  }

  for (site = __start_model_sites; site < __stop_model_sites; site++) {
    rl::test_result_e result = rl::test_result_success;

    site->weakened = true;
    for (i = 0; i < n_scenarios && result == rl::test_result_success; i++)
      result = scenarios[i].run (runs, &stopped);
    site->weakened = false;
    if (result == rl::test_result_success)
      failures++;
    printf ("%s %u - without the %s in line %d of %s: %s", result ?
        "ok" : "not ok", ++test, site->order, site->line,
        g_path_get_basename (site->file), rl::test_result_str (result));
    if (result)
      printf (" in run %u of %s", stopped, scenarios[i - 1].name);
    printf ("\n");
    fflush (stdout);
  }
  return failures > 0;
}
