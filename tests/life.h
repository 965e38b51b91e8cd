/* gst-mmap: the life of a producer and a consumer, in which calls fail
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include "call-faults.h"

G_BEGIN_DECLS

typedef enum
{
  LIFE_MEMFD,
  LIFE_FILE,
  LIFE_CARRIED,                 /* without a socket of its own */
  LIFE_SECRET,                  /* as memfd, with an access token */
  LIFE_AREA,                    /* a file, and the handshake in it */
  LIFE_REMOTE,                  /* a file, and TCP */
  N_LIVES
} LifeKind;

/* Adds tests named "/@program/once/KIND" of the kinds from @first to @last, and chooses where they live. */
void life_add_tests (const char *program, LifeKind first, LifeKind last);

/* Lives once, from the first frame to the last, while the calls from the @first to the @last one of @call fail with @errnum; see
 * call_faults_set().
 * @reconnect_timeout: of the consumer, ns; 0: for ever
 * @n_calls: (out) (optional): how many there were
 * Returns: (transfer full) (nullable): the error that ended it; %NULL: all frames arrived */
GError *life_live (LifeKind kind, Call call, guint first, guint last,
    int errnum, gint64 reconnect_timeout, guint * n_calls);

/* A socket's, and a file's, that are the program's own. */
const char *life_get_address (void);
const char *life_get_path (void);
void life_clear (void);

G_END_DECLS
