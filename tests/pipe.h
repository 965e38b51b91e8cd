/* gst-mmap: pipelines for the tests of the elements
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include "leak-check.h"

#include <gst/gst.h>

G_BEGIN_DECLS

/* A wait that takes longer than this has hung. */
#define PIPE_TIMEOUT (60 * GST_SECOND * leak_check_get_times ())

/**
 * PipeFrame:
 *
 * What is remembered of a buffer that reached the element named "out".
 */
typedef struct
{
  GstClockTime pts, dts, duration, running_time;
  GstFormat format;             /* of the segment */
  guint64 offset, offset_end;
  guint flags;
  gsize size;
  gboolean is_fd, is_read_only;
  gchar *caps;
  gchar *pixels;                /* SHA-256 of the bytes; of raw video: of its pixels, without padding */
} PipeFrame;

/**
 * Pipe:
 * @frames: (element-type PipeFrame): in order, under @lock
 * @held: (element-type GstBuffer): buffers kept, if @hold
 *
 * A pipeline of gst_parse_launch(). If it has an element named "out", a fakesink, its buffers are recorded.
 */
typedef struct
{
  GstElement *pipeline;
  GMutex lock;
  GCond cond;
  GPtrArray *frames;
  gboolean hold;
  GPtrArray *held;
} Pipe;

/* Aborts the test if @format is no pipeline. Set to PLAYING by pipe_play(). */
Pipe *pipe_new (const char *format, ...) G_GNUC_PRINTF (1, 2);
/* Sets it to NULL. */
void pipe_free (Pipe * pipe);
void pipe_play (Pipe * pipe);
/* Waits until the state is reached. */
void pipe_set_state (Pipe * pipe, GstState state);
/* Waits for EOS; an error message fails the test. */
void pipe_wait_eos (Pipe * pipe);
/* Waits for an error message. Returns: (transfer full) */
GError *pipe_wait_error (Pipe * pipe);
/* Waits until "out" has had @n buffers. */
void pipe_wait_frames (Pipe * pipe, guint n);
PipeFrame *pipe_get_frame (Pipe * pipe, guint i);
GstElement *pipe_get (Pipe * pipe, const char *name);
/* A field of the "stats" of the element @name. */
guint64 pipe_get_stat (Pipe * pipe, const char *name, const char *field);
/* Waits until property @property of the element @name is @value. */
void pipe_wait_uint (Pipe * pipe, const char *name, const char *property,
    guint value);
/* The records of two pipelines are the same: pixels, caps, time stamps, offsets, flags. */
void pipe_assert_same (Pipe * one, Pipe * two);
/* Returns: (transfer full): a socket path of this test's own */
char *pipe_socket_path (void);
/* SHA-256 of a buffer as in PipeFrame. Returns: (transfer full) */
char *pipe_hash (GstBuffer * buffer, GstCaps * caps);

/* Returns: @n, or less where everything is slower: with a sanitizer */
guint pipe_rounds (guint n);

/* Registers the elements and runs the tests; at the end no object may be left. */
int pipe_test_main (int argc, char **argv, void (*add_tests) (void));

G_END_DECLS
