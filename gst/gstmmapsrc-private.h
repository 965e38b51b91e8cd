/* gst-mmap: insides of mmapsrc, shared by its files
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * gstmmapsrc.c: life. gstmmapsrc-dmabuf.c: frames as dma-bufs. gstmmapsrc-event.c: what the producer says besides frames.
 * gstmmapsrc-frame.c: frames. gstmmapsrc-peer.c: a producer comes, and goes. gstmmapsrc-properties.c: properties. gstmmapsrc-rate.c: its
 * rate changes. gstmmapsrc-time.c: when all that takes place here. gstmmapsrc-upstream.c: what the producer is told.
 */
#pragma once

#include "gstmmapsrc.h"

#include "consumer.h"
#include "gstmmapcapabilities.h"
#include "gstmmapclock.h"
#include "gstmmapdmabuf.h"
#include "gstmmapframe.h"
#include "gstmmapneeds.h"
#include "gstmmaptoken.h"
#include "gstmmaputil.h"

#include <gst/base/gstpushsrc.h>
#include <gst/video/video.h>

G_BEGIN_DECLS

GST_DEBUG_CATEGORY_EXTERN (gst_mmap_src_debug);

/* See gst_mmap_src_on_event(). */
typedef struct
{
  GstEvent *ours;               /* nullable: the last one that was sent */
  guint32 made_up;              /* sequence number of the base class's last one */
} Substitute;

/* What follows when a producer has gone. */
typedef enum
{
  GST_MMAP_ON_DISCONNECT_AUTO,  /* wait for a live source, else eos */
  GST_MMAP_ON_DISCONNECT_WAIT,  /* for another one */
  GST_MMAP_ON_DISCONNECT_EOS,
  GST_MMAP_ON_DISCONNECT_ERROR
} GstMmapOnDisconnect;

/* Of a source that is not live: how its running times go on when another producer has come. Those of the first are handed out as they are. */
typedef struct
{
  gint64 origin;                /* the anchor that belongs to them; GST_MMAP_NO_ANCHOR: not known yet */
  GstClockTime end;             /* of the frames so far, running time here; 0: none since the start or a flush */
  gboolean again;               /* frames come from another producer now */
  gboolean known;               /* shift is that of this link */
  GstClockTimeDiff shift;
} GstMmapResume;

#define GST_TYPE_MMAP_ON_DISCONNECT (gst_mmap_on_disconnect_get_type ())
GType gst_mmap_on_disconnect_get_type (void);

struct _GstMmapSrc
{
  GstPushSrc parent;

  /* properties, under the object lock */
  gchar *socket_path;
  gchar *file;
  gchar *channel;
  gchar *address;
  gboolean allow_remote;
  guint64 poll_interval;
  gboolean untrusted;           /* atomic */
  GstMmapIoMode io_mode;
  GstMmapSignalling signalling;
  GstCaps *accept;
  gchar *allowed_uids;
  GstMmapToken token;
  gint64 spin_time;
  GstMmapOnDisconnect on_disconnect;
  gint64 reconnect_timeout;
  MmapConsumer *consumer;       /* between start() and stop() */
  MmapConsumerStats past;       /* of the one before */

  /* streaming thread */
  GstBufferPool *pool;
  GstBuffer *next;              /* to be filled */
  GstMmapDmabuf *dmabuf;        /* of the last region; NULL: the caps don't say so */
  gboolean told_no_dmabuf;      /* since the start */
  gboolean is_live;             /* as it was at the start: it doesn't change after that */
  GstVideoInfo info;            /* of the caps; format UNKNOWN if they are not raw video */
  GstMmapLayout layout;         /* that was found to be sound */
  guint64 session;              /* of the last link */
  GstClockTime alone_since;     /* monotonic: there was no link then */
  gboolean linked;              /* mmap-connected was posted, and no mmap-disconnected since */
  GstMmapResume resume;
  gboolean discont;
  gboolean told_of_missed;      /* since the start */
  guint64 missed;               /* frames that were dropped for this consumer since the last buffer */
  GstSegment segment;           /* the producer's; object lock where other threads look */
  GstSegment played;            /* what its sink makes of it; the same */
  gboolean as_played;           /* which of them was sent last; the same */
  gboolean have_segment;
  gboolean new_segment;
  gboolean begun;               /* the last segment was pushed before a frame, or a frame came after it */
  GstClockTimeDiff shift;       /* that was applied to it; object lock where other threads look */
  guint32 segment_seqnum;
  guint32 eos_seqnum;
  gboolean have_stream_start;
  gboolean have_caps;           /* of this link */
  gint flushed;                 /* atomic: a flush has ended since the last segment */
  gint flushed_time;            /* atomic: somebody else's, which made sinks forget what had changed the rate */
  gint flush_seqnum;            /* atomic: of the producer's */
  MmapItem kept;                /* see gst_mmap_src_take_next(); without a link: none */
  Substitute stream_start_event, segment_event; /* object lock */
  gulong event_probe;           /* see gst_mmap_src_watch_events(); object lock, the streaming thread looks without */
  guint n_watched;              /* frames since then; object lock */
  gboolean wait_key_unit;       /* the stream was entered in the middle */
  gboolean asked_key_unit;
  gboolean told_wishes;
  guint64 link;                 /* see mmap_consumer_get_link() */
  guint64 frame_link;           /* of the last frame */
  guint64 flush_seen;           /* the last mark of a flush in the link's ring */
  GstMmapAnchor anchor;
  GstMmapClock *clock;          /* see provide-clock; the streaming thread makes it follow the producer's */
  MmapClockReading reading;     /* what it has learnt last, from reading_link */
  guint64 reading_link;

  gulong probe;                 /* see gst_mmap_src_keep_time_stamps() */
  GstClockTime probe_dts;
  gulong no_caps_probe;         /* see drop_query_without_caps() */

  GMutex flush_lock;
  GCond flush_cond;
  gboolean unlocked;            /* between unlock() and unlock_stop() */
  guint64 flush_link;           /* the link of the last flush that was heard of, and its number */
  guint64 flush_heard;
  gint flush_told;              /* atomic: the streaming thread is to look at these */

  guint64 rate_heard_link;      /* flush lock: whose changes of the rate are handed on as events */
  guint64 rate_taken_link;      /* flush lock: whose are in the segment */

  gint n_seeks;                 /* atomic: threads that wait for the producer to seek; they end under the flush lock */
  GQueue left_to_seek;          /* (element-type GstEvent) flush lock: for them to push: see gst_mmap_src_push_or_leave() */
  guint n_left;                 /* flush lock: of these, which were not pushed yet */
  gint stopping;                /* atomic */
  guint64 flushing_link;        /* the consumer's own thread: which has begun a flush that has not ended */
  GMutex wishes_lock;           /* from the question downstream until the answer is told */

  gboolean downstream_has_video_meta;
  GstMmapNeeds needs;           /* that the producer was told of */
  guint64 latency;              /* of the producing pipeline; object lock */
  guint64 transfer;             /* ns, how late frames arrive beyond that; object lock */
  guint64 copied;               /* atomic */
};

/* The base class. */
#define GST_MMAP_SRC_PARENT GST_BASE_SRC_CLASS (g_type_class_peek \
    (GST_TYPE_PUSH_SRC))

/* gstmmapsrc-event.c */

void gst_mmap_src_message (guint64 link, GVariant * body, gpointer user_data);

/* The streaming thread, which is to meet the next producer, would never start again. */
void gst_mmap_src_closed (guint64 link, gpointer user_data);

/* A flush or a change of the rate that the producer told of. On any thread; whatever locks of the pipeline it has, it can have the others. @event:
 * (transfer full) */
void gst_mmap_src_push_out_of_band (GstMmapSrc * self, GstEvent * event);

void gst_mmap_src_substitute (GstMmapSrc * self, Substitute * substitute,
    GstEvent * ours);

/* What the base class makes up by itself is not what the producer has sent. A stream-start or segment of its own goes no further; the pad
 * keeps it, and sends it again when another element is linked: then ours takes its place. EOS gets its sequence number. */
GstPadProbeReturn gst_mmap_src_on_event (GstPad * pad, GstPadProbeInfo * info,
    gpointer data);

/* Before the base class, or the pad when it is linked again, may send one of these: from now on they come to gst_mmap_src_on_event(). A pad
 * asks all its probes about each frame, too, so that goes once some frames have passed. Any thread. */
void gst_mmap_src_watch_events (GstMmapSrc * self);

/* A frame is about to be sent. */
void gst_mmap_src_note_watched_frame (GstMmapSrc * self);

/* What it is that something could not be pushed. Nobody ends a flush meanwhile: this thread has the lock of the stream. */
GstFlowReturn gst_mmap_src_flow_or_flushing (GstMmapSrc * self,
    GstFlowReturn flow);

/* Nothing may come before it. */
GstFlowReturn gst_mmap_src_ensure_stream_start (GstMmapSrc * self);

/* Whether all that comes now is older than a flush that was heard of. */
gboolean gst_mmap_src_is_before_flush (GstMmapSrc * self);

GstFlowReturn gst_mmap_src_handle_event (GstMmapSrc * self,
    const MmapItem * item);

/* As gst_base_src_set_caps(), which sends none that are as the ones before: after another stream-start they belong there. */
gboolean gst_mmap_src_push_caps (GstMmapSrc * self, GstCaps * caps);

/* A custom meta on the first buffer after frames that were dropped, because this consumer was slow: "frames", a guint64. */
#define GST_MMAP_MISSED_META "mmap-missed"

/* gstmmapsrc-dmabuf.c */

/* Whether frames are dma-bufs from now on: then @caps (inout) (transfer full) are those that were sent. FALSE: they are to be sent as they
 * are; a warning says why, if it was wanted. */
gboolean gst_mmap_src_push_caps_as_dmabuf (GstMmapSrc * self,
    MmapRegion * region, GstCaps ** caps);

/* @memory: (out) (transfer full) (nullable): with the frame; %NULL: it isn't to be a dma-buf, or can't be one, and the caps say so now
 * FALSE: they could not be sent. */
gboolean gst_mmap_src_wrap_as_dmabuf (GstMmapSrc * self,
    const MmapItem * item, GstMemory ** memory);

/* gstmmapsrc-frame.c */

GstFlowReturn gst_mmap_src_handle_frame (GstMmapSrc * self,
    const MmapItem * item, GstBuffer ** buffer);

/* gstmmapsrc-peer.c */

/* There is none, or no more: the log says where one is looked for. */
void gst_mmap_src_look_for_producer (GstMmapSrc * self);

/* A link is up. */
void gst_mmap_src_connected (GstMmapSrc * self);

/* Running times begin anew. */
void gst_mmap_src_forget_resume (GstMmapSrc * self);

/* How much later than those of the producer the running times are, in a source that is not live: those of another producer come after
 * those of the one before, as much later as it started later. */
GstClockTimeDiff gst_mmap_src_get_resumed_shift (GstMmapSrc * self,
    const MmapItem * item);

/* @frame is handed out. */
void gst_mmap_src_note_end (GstMmapSrc * self, const MmapDescriptor * frame);

/* It has ended, and all that the producer sent was handed on. Does what on-disconnect says. */
GstFlowReturn gst_mmap_src_disconnected (GstMmapSrc * self);

/* The link, if there was one, has ended with an error, which is posted. */
void gst_mmap_src_lost (GstMmapSrc * self, const GError * error);

/* gstmmapsrc-properties.c */

void gst_mmap_src_install_properties (GObjectClass * klass);
void gst_mmap_src_init_properties (GstMmapSrc * self);
void gst_mmap_src_clear_properties (GstMmapSrc * self);

/* gstmmapsrc-rate.c */

/* Whether the event that says it is handed on. @again: there was one before, since the producer's sinks began or were flushed. The
 * consumer's own thread. */
gboolean gst_mmap_src_hear_rate (GstMmapSrc * self, guint64 link,
    gboolean again);

/* The producer's sink was flushed: what had changed its rate has ended. */
void gst_mmap_src_forget_rate (GstMmapSrc * self);

/* The sinks here were flushed, by somebody else. */
void gst_mmap_src_take_rate (GstMmapSrc * self);

/* In order with the frames. FALSE: it makes no sense. */
gboolean gst_mmap_src_handle_rate (GstMmapSrc * self, const MmapItem * item);

void gst_mmap_src_set_segment (GstMmapSrc * self, const GstSegment * segment);

/* That goes downstream now, but for the shift. */
void gst_mmap_src_choose_segment (GstMmapSrc * self, GstSegment * segment);

/* The running time in the producer's pipeline, before its sink, of what is played here at @running_time, of its sink. Any thread. */
GstClockTime gst_mmap_src_get_upstream_time (GstMmapSrc * self,
    GstClockTime running_time);

/* gstmmapsrc-time.c */

#define GST_MMAP_NO_ANCHOR G_MININT64

/* Returns: CLOCK_MONOTONIC here, in ns, when the producer's running time is 0: negative if that was before this machine started;
 *     GST_MMAP_NO_ANCHOR: it has no clock */
gint64 gst_mmap_src_get_anchor (const MmapItem * item);

/* Whether it is known what the segment is in this pipeline. A kept event may be older than the producer's clock. */
gboolean gst_mmap_src_can_tell_time (GstMmapSrc * self,
    const MmapItem * item);

/* How much later than the producer's pipeline rendered it, with the latency that it says, a frame arrives here: measured, not guessed. */
void gst_mmap_src_measure_transfer (GstMmapSrc * self, const MmapItem * item);

/* Before @item is handed on: pushes the segment, if it changes with it, and tells of the producer's latency. @position: of a frame, in the
 * segment. FALSE: it could not be pushed. */
gboolean gst_mmap_src_update_time (GstMmapSrc * self, const MmapItem * item,
    GstClockTime position);

/* gstmmapsrc-upstream.c */

/* Tells the producer what downstream accepts. Also on the streaming thread. */
void gst_mmap_src_tell_wishes (gpointer user_data);

gboolean gst_mmap_src_query (GstBaseSrc * src, GstQuery * query);

/* Hands an event to the producer's pipeline, and waits for what becomes of it. */
gboolean gst_mmap_src_send_upstream (GstMmapSrc * self, MmapConsumer * consumer,
    GstEvent * event);

gboolean gst_mmap_src_event (GstBaseSrc * src, GstEvent * event);

/* What an application sends to the element itself: upstream events go to the producer, as if they came from downstream. */
gboolean gst_mmap_src_send_event (GstElement * element, GstEvent * event);

void gst_mmap_src_note_allocation (GstMmapSrc * self, GstQuery * query);

/* A frame had to be copied because of where its planes lie. */
void gst_mmap_src_ask_for_default_layout (GstMmapSrc * self);

/* Buffers come from the producer: the base class needs no pool. */
gboolean gst_mmap_src_decide_allocation (GstBaseSrc * src, GstQuery * query);

/* gstmmapsrc.c */

void gst_mmap_src_remove_no_caps_probe (GstMmapSrc * self);

/* After reading what the producer wrote. FALSE: it was not what was read, and an error was posted. Streaming thread. */
gboolean gst_mmap_src_check_memory (GstMmapSrc * self);

/* Returns: (transfer full) (nullable) */
MmapConsumer *gst_mmap_src_dup_consumer (GstMmapSrc * self);

GstClockTimeDiff gst_mmap_src_read_shift (GstMmapSrc * self);

G_END_DECLS
