/* gst-mmap: quality of service under a model checker: what is read was written together
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * mmap_consumer_send_qos() of src/consumer-service.c and link_read_qos_locked() of src/producer-message.c as they are; see model.hpp.
 */
#include "atomics.h"

#include <math.h>

/* The two that there are for a word that is no integer: here it holds one. */
#define __atomic_store(word, value, order) \
  model_store ((guint64 *) (word), (guint64) *(value), NULL, $)
#define __atomic_load(word, value, order) \
  (*(value) = model_load ((const guint64 *) (word), NULL, $))

/* --- as much of both sides as these functions know --- */

struct MmapQos
{
  guint64 serial;
  guint64 type;
  gdouble proportion;
  gint64 diff;
  guint64 timestamp;
};

struct LinkArea
{
  MmapQos qos;
};

struct MmapLink
{
  LinkArea *area;
};

struct MmapConsumerLink
{
  MmapLink *link;
  GMutex lock;
  gboolean ended;
  guint64 qos_serial;
};

struct MmapConsumer
{
  GMutex lock;
  MmapConsumerLink *link;
};

struct MmapProducerLink
{
  MmapLink *link;
  MmapQos qos;
};

/* One thread a side: what the locks do is not in question. */
#define g_mutex_lock(lock) ((void) (lock))
#define g_mutex_unlock(lock) ((void) (lock))
#define mmap_consumer_link_ref(link) (link)
#define mmap_consumer_link_unref(link) ((void) (link))

#include "qos.inc"

struct Qos : rl::test_suite < Qos, 2 >
{
  static const guint64 N = 3;
  ModelWords words;
  MmapLink link;
  MmapConsumerLink consumer_link;
  MmapConsumer consumer;
  MmapProducerLink producer_link;

  void before ()
  {
    words.init (sizeof (MmapQos) / sizeof (guint64));
    link.area = (LinkArea *) model_cells;
    memset (&consumer_link, 0, sizeof consumer_link);
    memset (&producer_link, 0, sizeof producer_link);
    consumer_link.link = producer_link.link = &link;
    consumer.link = &consumer_link;
  }

  void send ()
  {
    for (guint64 i = 1; i <= N; i++) {
      MmapQos qos = { 0, i, (gdouble) i, (gint64) i, i };

      mmap_consumer_send_qos (&consumer, &qos);
    }
  }

  void read ()
  {
    for (guint64 i = 0; i < N; i++) {
      const MmapQos *qos = &producer_link.qos;

      if (!link_read_qos_locked (&producer_link))
        continue;
      RL_ASSERT (qos->serial == 2 * qos->type);
      RL_ASSERT (qos->proportion == qos->type);
      RL_ASSERT (qos->diff == (gint64) qos->type);
      RL_ASSERT (qos->timestamp == qos->type);
    }
  }

  void thread (unsigned index)
  {
    if (index == 0)
      send ();
    else
      read ();
  }
};

int
main (void)
{
  static const ModelScenario scenarios[] = { MODEL_SCENARIO (Qos) };

  return model_main (scenarios, G_N_ELEMENTS (scenarios), 20000);
}
