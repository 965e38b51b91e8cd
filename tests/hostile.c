/* gst-mmap: a consumer, and a producer that breaks the rules, for tests
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "hostile.h"

#include <string.h>

/* Takes all there is, up to the first error. */
static gpointer
consume (gpointer data)
{
  Hostile *scene = data;
  MmapItem item;

  do {
    scene->next = mmap_consumer_next (scene->consumer, &item, &scene->error);
    if (scene->next == MMAP_NEXT_FRAME) {
      scene->frames++;
      release_item (&item);
    }
    if (scene->next == MMAP_NEXT_EVENT)
      mmap_item_clear (&item);
  } while (scene->next != MMAP_NEXT_ERROR
      && scene->next != MMAP_NEXT_DISCONNECTED
      && scene->next != MMAP_NEXT_CANCELLED);
  return NULL;
}

void
hostile_begin (Hostile * scene, const char *address)
{
  GError *error = NULL;

  memset (scene, 0, sizeof (*scene));
  raw_producer_init (&scene->raw, address);
  scene->consumer = mmap_consumer_new (address, &error);
  g_assert_no_error (error);
  scene->thread = g_thread_new ("consumer", consume, scene);
}

void
hostile_end (Hostile * scene, MmapError code, const char *reason)
{
  GError *error = NULL;
  MmapMessage message;

  g_thread_join (scene->thread);
  g_assert_cmpint (scene->next, ==, MMAP_NEXT_ERROR);
  check_error (&scene->error, code, reason);
  for (;;) {
    g_assert_true (raw_receive (scene->raw.socket, &message));
    if (message.kind == MMAP_MESSAGE_REFUSE)
      break;
    mmap_message_clear (&message);
  }
  mmap_message_get_refusal (&message, &error);
  check_error (&error, code, reason);
  mmap_message_clear (&message);
  mmap_consumer_free (scene->consumer);
  raw_producer_clear (&scene->raw);
}
