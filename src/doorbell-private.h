/* gst-mmap: the two kinds of doorbells
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include "doorbell.h"

G_BEGIN_DECLS

typedef struct
{
  void (*free) (MmapDoorbell * doorbell);
  guint64 (*take) (MmapDoorbell * doorbell);
  gboolean (*ring) (MmapDoorbell * doorbell, guint32 address);
  gboolean (*has_server) (MmapDoorbell * doorbell);
  gboolean (*get_memory) (MmapDoorbell * doorbell, int *fd,
      guint64 * offset, guint64 * size);
} MmapDoorbellClass;

/* First member of each kind. */
struct _MmapDoorbell
{
  const MmapDoorbellClass *klass;
  guint32 address;
  int fd;                       /* to be polled */
};

/* Takes what an eventfd has counted, and never waits: who else has it may have made it blocking. 0 if there is nothing. */
guint64 mmap_doorbell_read_eventfd (int fd);

/* Counts one, if there is room: who else has it may have filled it, and then whoever waits for it is awake. */
void mmap_doorbell_write_eventfd (int fd);

G_END_DECLS
