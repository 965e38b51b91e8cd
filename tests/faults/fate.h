/* gst-mmap: a process that dies at a place of its own program
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

typedef enum
{
  FATE_NONE,
  FATE_CALL,                    /* before or after a system call: @count counts both */
  FATE_FRAME,                   /* with a frame, when fate_frame() is called */
  FATE_TIME                     /* after @count microseconds */
} FateKind;

/**
 * Fate:
 * @count: how often what @kind says must come to pass; from 1
 * @steps: instructions of the thread that gets there which it still executes then
 * @signal: what the process sends to itself in the end
 *
 * x86-64 only: elsewhere @steps is ignored.
 */
typedef struct
{
  FateKind kind;
  guint64 count;
  guint64 steps;
  int signal;
} Fate;

/* Parses "call:COUNT:STEPS:SIGNAL", "frame:…", "time:…". FALSE if it is none. */
gboolean fate_parse (const char *text, Fate * fate);

/* From now on things count. Once. */
void fate_arm (const Fate * fate);

/* A frame is handled in this thread. */
void fate_frame (void);

G_END_DECLS
