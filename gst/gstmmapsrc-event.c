/* gst-mmap: mmapsrc: what the producer says besides frames
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * What is in order with the frames is handled on the streaming thread, the rest on the consumer's own.
 */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include "gstmmapsrc-private.h"

#include "gstmmapevent.h"
#include "gstmmapsegment.h"
#include "gstmmaptext.h"

#define GST_CAT_DEFAULT gst_mmap_src_debug

/* How long after the mark of a flush the message that tells of it may come; chosen: they were sent together. */
#define FLUSH_TIMEOUT_US (G_USEC_PER_SEC)

/* How often the lock of the pipeline's state is looked at; chosen: nobody sees it, and who has it has it for a moment. */
#define STATE_LOCK_INTERVAL_US 500

/* Returns: (transfer full): the pipeline */
static GstElement *
gst_mmap_src_get_toplevel (GstMmapSrc * self)
{
  GstObject *top = gst_object_ref (GST_OBJECT (self)), *parent;

  while ((parent = gst_object_get_parent (top))) {
    gst_object_unref (top);
    top = parent;
  }
  return GST_ELEMENT (top);
}

/* As an application's seek does it: no change of the pipeline's state comes between. FALSE: who has the lock waits for us, as who seeks or
 * stops the element. */
static gboolean
gst_mmap_src_lock_state (GstMmapSrc * self, GstElement * pipeline)
{
  while (!GST_STATE_TRYLOCK (pipeline)) {
    if (g_atomic_int_get (&self->n_seeks)
        || g_atomic_int_get (&self->stopping))
      return FALSE;
    g_usleep (STATE_LOCK_INTERVAL_US);
  }
  return TRUE;
}

/* The same, and the lock of the element's own state: somebody may change only that. FALSE: whoever stops the element waits for us.
 * @locked: whether the pipeline's was taken: not from who seeks */
static gboolean
gst_mmap_src_lock_states (GstMmapSrc * self, GstElement * pipeline,
    gboolean * locked)
{
  while (!g_atomic_int_get (&self->stopping)) {
    *locked = gst_mmap_src_lock_state (self, pipeline);
    if (GST_STATE_TRYLOCK (self))
      return TRUE;
    if (*locked)
      GST_STATE_UNLOCK (pipeline);
    g_usleep (STATE_LOCK_INTERVAL_US);
  }
  return FALSE;
}

/* @event: (transfer full) */
static void
push (GstMmapSrc * self, GstEvent * event)
{
  if (GST_EVENT_TYPE (event) == GST_EVENT_INSTANT_RATE_CHANGE)
    gst_pad_push_event (GST_BASE_SRC_PAD (self), event);
  else
    gst_element_send_event (GST_ELEMENT (self), event);
}

/* As who seeks, or with all locks: a sink loses its state as it is flushed; if the pipeline is just about to go to PLAYING, it would never get
 * there. */
void
gst_mmap_src_push_out_of_band (GstMmapSrc * self, GstEvent * event)
{
  GstElement *pipeline = gst_mmap_src_get_toplevel (self);
  gboolean locked;

  if (gst_mmap_src_lock_states (self, pipeline, &locked)) {
    push (self, event);
    GST_STATE_UNLOCK (self);
    if (locked)
      GST_STATE_UNLOCK (pipeline);
  } else {
    gst_event_unref (event);
  }
  gst_object_unref (pipeline);
}

/* Leaves @event (transfer full) to a thread that waits for the result of a seek. FALSE: there is none. */
static gboolean
gst_mmap_src_leave_to_seek (GstMmapSrc * self, GstEvent * event)
{
  gboolean left;

  g_mutex_lock (&self->flush_lock);
  left = g_atomic_int_get (&self->n_seeks) > 0;
  if (left) {
    g_queue_push_tail (&self->left_to_seek, event);
    self->n_left++;
  }
  g_mutex_unlock (&self->flush_lock);
  return left;
}

/* A flush takes the locks of the streams, and a sink makes the pipeline take that of its state: who seeks may have them, and waits for this
 * thread. As anywhere in GStreamer it does then by itself what comes of its seek. @event: (transfer full) */
static void
gst_mmap_src_push_or_leave (GstMmapSrc * self, GstEvent * event)
{
  GstElement *pipeline = gst_mmap_src_get_toplevel (self);
  gboolean locked = FALSE;

  while (!locked && !gst_mmap_src_leave_to_seek (self, event)) {
    if (!gst_mmap_src_lock_states (self, pipeline, &locked)) {
      gst_event_unref (event);
      break;
    }
    if (locked)
      push (self, event);
    GST_STATE_UNLOCK (self);
    if (locked)
      GST_STATE_UNLOCK (pipeline);
  }
  gst_object_unref (pipeline);
}

/* @event: (transfer full) */
static void
gst_mmap_src_flush_start (GstMmapSrc * self, guint64 link, GstEvent * event)
{
  self->flushing_link = link;
  gst_mmap_src_push_or_leave (self, event);
}

/* The streaming thread starts again; then it drops what comes before the mark of this flush. @event: (transfer full) */
static void
gst_mmap_src_flush_stop (GstMmapSrc * self, guint64 link, guint64 number,
    GstEvent * event)
{
  gboolean reset_time;

  gst_event_parse_flush_stop (event, &reset_time);
  if (reset_time)
    gst_mmap_src_forget_rate (self);
  g_mutex_lock (&self->flush_lock);
  self->flush_link = link;
  self->flush_heard = number;
  g_atomic_int_set (&self->flush_told, TRUE);
  g_cond_broadcast (&self->flush_cond);
  g_mutex_unlock (&self->flush_lock);
  /* It was flushing already when the link came up: downstream has got nothing that is to be dropped. */
  if (self->flushing_link != link) {
    gst_event_unref (event);
    return;
  }
  self->flushing_link = 0;
  g_atomic_int_set (&self->flush_seqnum, gst_event_get_seqnum (event));
  gst_mmap_src_push_or_leave (self, event);
}

void
gst_mmap_src_message (guint64 link, GVariant * body, gpointer user_data)
{
  GstMmapSrc *self = user_data;
  guint32 type = 0, seqnum = 0;
  guint64 number = 0;
  gboolean again = FALSE;
  GstEvent *event;

  g_variant_lookup (body, "type", "u", &type);
  g_variant_lookup (body, "seqnum", "u", &seqnum);
  g_variant_lookup (body, "flush", "t", &number);
  event = gst_mmap_event_from_variant (type, seqnum,
      gst_mmap_src_read_shift (self), body);
  if (!event || !GST_EVENT_IS_DOWNSTREAM (event)
      || (GST_EVENT_IS_SERIALIZED (event) && type != GST_EVENT_FLUSH_STOP)) {
    GST_WARNING_OBJECT (self, "an event of type %u makes no sense", type);
    g_clear_pointer (&event, gst_event_unref);
    return;
  }
  GST_DEBUG_OBJECT (self, "from the producer: %" GST_PTR_FORMAT, event);
  g_variant_lookup (body, "again", "b", &again);
  if (type == GST_EVENT_FLUSH_START)
    gst_mmap_src_flush_start (self, link, event);
  else if (type == GST_EVENT_FLUSH_STOP)
    gst_mmap_src_flush_stop (self, link, number, event);
  else if (type != GST_EVENT_INSTANT_RATE_CHANGE)
    gst_pad_push_event (GST_BASE_SRC_PAD (self), event);
  else if (gst_mmap_src_hear_rate (self, link, again))
    gst_mmap_src_push_or_leave (self, event);
  else
    gst_event_unref (event);
}

void
gst_mmap_src_closed (guint64 link, gpointer user_data)
{
  GstMmapSrc *self = user_data;

  if (self->flushing_link == link)
    gst_mmap_src_flush_stop (self, link, 0, gst_event_new_flush_stop (TRUE));
}

/* With the first frame go all the events that the base class and the pad have to send; one more, as it need not be known which of the two is
 * on its way while another thread calls gst_mmap_src_watch_events(). */
#define WATCHED_FRAMES 2

void
gst_mmap_src_watch_events (GstMmapSrc * self)
{
  gulong probe;

  GST_OBJECT_LOCK (self);
  self->n_watched = 0;
  if (self->event_probe == 0) {
    probe = gst_pad_add_probe (GST_BASE_SRC_PAD (self),
        GST_PAD_PROBE_TYPE_EVENT_DOWNSTREAM | GST_PAD_PROBE_TYPE_EVENT_FLUSH,
        gst_mmap_src_on_event, self, NULL);
    __atomic_store_n (&self->event_probe, probe, __ATOMIC_RELAXED);
  }
  GST_OBJECT_UNLOCK (self);
}

void
gst_mmap_src_note_watched_frame (GstMmapSrc * self)
{
  if (__atomic_load_n (&self->event_probe, __ATOMIC_RELAXED) == 0)
    return;
  GST_OBJECT_LOCK (self);
  if (self->n_watched++ == WATCHED_FRAMES) {
    gst_pad_remove_probe (GST_BASE_SRC_PAD (self), self->event_probe);
    __atomic_store_n (&self->event_probe, 0, __ATOMIC_RELAXED);
  }
  GST_OBJECT_UNLOCK (self);
}

void
gst_mmap_src_substitute (GstMmapSrc * self, Substitute * substitute,
    GstEvent * ours)
{
  gst_mmap_src_watch_events (self);
  GST_OBJECT_LOCK (self);
  gst_event_replace (&substitute->ours, ours);
  GST_OBJECT_UNLOCK (self);
}

static GstPadProbeReturn
substitute_event (GstMmapSrc * self, Substitute * substitute,
    GstPadProbeInfo * info)
{
  GstEvent *event = GST_PAD_PROBE_INFO_EVENT (info);
  guint32 seqnum = gst_event_get_seqnum (event);
  gboolean is_ours, again;

  GST_OBJECT_LOCK (self);
  is_ours = substitute->ours
      && gst_event_get_seqnum (substitute->ours) == seqnum;
  again = substitute->ours && substitute->made_up == seqnum;
  if (!is_ours) {
    substitute->made_up = seqnum;
    GST_PAD_PROBE_INFO_DATA (info) =
        again ? gst_event_ref (substitute->ours) : NULL;
  }
  GST_OBJECT_UNLOCK (self);
  if (is_ours)
    return GST_PAD_PROBE_OK;
  gst_event_unref (event);
  return again ? GST_PAD_PROBE_OK : GST_PAD_PROBE_HANDLED;
}

GstPadProbeReturn
gst_mmap_src_on_event (GstPad * pad, GstPadProbeInfo * info, gpointer data)
{
  GstMmapSrc *self = data;
  GstEvent *event = GST_PAD_PROBE_INFO_EVENT (info);
  gboolean reset_time;

  switch (GST_EVENT_TYPE (event)) {
    case GST_EVENT_STREAM_START:
      return substitute_event (self, &self->stream_start_event, info);
    case GST_EVENT_SEGMENT:
      return substitute_event (self, &self->segment_event, info);
    case GST_EVENT_FLUSH_STOP:
      gst_event_parse_flush_stop (event, &reset_time);
      if (reset_time && gst_event_get_seqnum (event) !=
          (guint32) g_atomic_int_get (&self->flush_seqnum))
        g_atomic_int_set (&self->flushed_time, TRUE);
      g_atomic_int_set (&self->flushed, TRUE);
      return GST_PAD_PROBE_OK;
    case GST_EVENT_EOS:
      if (self->eos_seqnum == GST_SEQNUM_INVALID)
        return GST_PAD_PROBE_OK;
      event = gst_event_make_writable (event);
      gst_event_set_seqnum (event, self->eos_seqnum);
      GST_PAD_PROBE_INFO_DATA (info) = event;
      return GST_PAD_PROBE_OK;
    default:
      return GST_PAD_PROBE_OK;
  }
}

GstFlowReturn
gst_mmap_src_flow_or_flushing (GstMmapSrc * self, GstFlowReturn flow)
{
  return GST_PAD_IS_FLUSHING (GST_BASE_SRC_PAD (self)) ? GST_FLOW_FLUSHING :
      flow;
}

gboolean
gst_mmap_src_push_caps (GstMmapSrc * self, GstCaps * caps)
{
  GstPad *pad = GST_BASE_SRC_PAD (self);
  GstCaps *before = gst_pad_get_current_caps (pad);
  gboolean again = !self->have_caps && before
      && gst_caps_is_equal (before, caps);

  gst_clear_caps (&before);
  self->have_caps = again ?
      gst_pad_push_event (pad, gst_event_new_caps (caps)) :
      gst_base_src_set_caps (GST_BASE_SRC (self), caps);
  return self->have_caps;
}

static GstFlowReturn
gst_mmap_src_set_caps (GstMmapSrc * self, const MmapItem * item)
{
  GstCaps *caps = gst_mmap_caps_from_wire (item->data, item->descriptor.size);
  GstQuery *query;

  if (!caps) {
    if (gst_mmap_src_check_memory (self))
      GST_ELEMENT_ERROR (self, STREAM, FORMAT,
          ("The producer sent caps that can't be parsed."), (NULL));
    return GST_FLOW_ERROR;
  }
  GST_INFO_OBJECT (self, "caps %" GST_PTR_FORMAT, caps);
  if (!gst_video_info_from_caps (&self->info, caps))
    gst_video_info_init (&self->info);
  if (!gst_mmap_src_push_caps_as_dmabuf (self, item->region, &caps)
      && !gst_mmap_src_push_caps (self, caps)) {
    gst_caps_unref (caps);
    return gst_mmap_src_flow_or_flushing (self, GST_FLOW_NOT_NEGOTIATED);
  }
  gst_mmap_src_remove_no_caps_probe (self);

  query = gst_query_new_allocation (caps, FALSE);
  if (!gst_pad_peer_query (GST_BASE_SRC_PAD (self), query))
    GST_DEBUG_OBJECT (self, "downstream did not answer an allocation query");
  gst_mmap_src_note_allocation (self, query);
  gst_query_unref (query);
  gst_caps_unref (caps);
  return GST_FLOW_OK;
}

/* @event: (transfer full) */
static GstFlowReturn
gst_mmap_src_push_stream_start (GstMmapSrc * self, GstEvent * event)
{
  self->eos_seqnum = GST_SEQNUM_INVALID;
  gst_mmap_src_substitute (self, &self->stream_start_event, event);
  self->have_stream_start = gst_pad_push_event (GST_BASE_SRC_PAD (self), event);
  return self->have_stream_start ? GST_FLOW_OK :
      gst_mmap_src_flow_or_flushing (self, GST_FLOW_OK);
}

GstFlowReturn
gst_mmap_src_ensure_stream_start (GstMmapSrc * self)
{
  GstPad *pad = GST_BASE_SRC_PAD (self);
  g_autofree gchar *id = NULL;

  if (self->have_stream_start)
    return GST_FLOW_OK;
  id = gst_pad_create_stream_id (pad, GST_ELEMENT (self), NULL);
  return gst_mmap_src_push_stream_start (self, gst_event_new_stream_start (id));
}

gboolean
gst_mmap_src_is_before_flush (GstMmapSrc * self)
{
  gboolean before;

  if (!g_atomic_int_get (&self->flush_told))
    return FALSE;
  g_mutex_lock (&self->flush_lock);
  before = self->flush_link == self->link
      && self->flush_seen < self->flush_heard;
  g_atomic_int_set (&self->flush_told, before);
  g_mutex_unlock (&self->flush_lock);
  return before;
}

/* The mark of a flush: what comes after it waits until the flush was heard of, and does not wait for who seeks, or it would be flushed, too. */
static GstFlowReturn
gst_mmap_src_handle_flush (GstMmapSrc * self, guint64 number)
{
  gint64 deadline = g_get_monotonic_time () + FLUSH_TIMEOUT_US;
  GstFlowReturn flow;

  self->flush_seen = number;
  gst_mmap_src_forget_resume (self);
  self->have_segment = FALSE;
  self->discont = TRUE;
  g_mutex_lock (&self->flush_lock);
  while (!self->unlocked) {
    if (self->n_left > 0)
      g_cond_wait (&self->flush_cond, &self->flush_lock);
    else if ((self->flush_link == self->link && self->flush_heard >= number)
        || !g_cond_wait_until (&self->flush_cond, &self->flush_lock, deadline))
      break;
  }
  flow = self->unlocked ? GST_FLOW_FLUSHING : GST_FLOW_OK;
  g_mutex_unlock (&self->flush_lock);
  return flow;
}

/* Who made the seek waits for such messages. @done: at the end of the segment */
static void
gst_mmap_src_post_segment (GstMmapSrc * self, gboolean done, GstFormat format,
    gint64 position, guint32 seqnum)
{
  GstObject *object = GST_OBJECT (self);
  GstMessage *message = done ?
      gst_message_new_segment_done (object, format, position) :
      gst_message_new_segment_start (object, format, position);

  if (seqnum != GST_SEQNUM_INVALID)
    gst_message_set_seqnum (message, seqnum);
  gst_element_post_message (GST_ELEMENT (self), message);
}

/* An event in the words of GStreamer. */
static GstFlowReturn
gst_mmap_src_handle_gst_event (GstMmapSrc * self, const MmapItem * item)
{
  g_autoptr (GVariant) dict =
      gst_mmap_dict_from_wire (item->data, item->descriptor.size);
  guint32 type = item->descriptor.kind;
  gboolean sticky = (type & GST_EVENT_TYPE_STICKY) != 0;
  GstFlowReturn flow = GST_FLOW_OK;
  GstEvent *event;
  GstFormat format;
  gint64 position;

  /* A flush drops all but what stays on the pads. */
  if (!sticky && gst_mmap_src_is_before_flush (self))
    return GST_FLOW_OK;
  event = dict ? gst_mmap_event_from_variant (type, item->descriptor.flags,
      gst_mmap_src_read_shift (self), dict) : NULL;
  if (!event || !GST_EVENT_IS_DOWNSTREAM (event)
      || !GST_EVENT_IS_SERIALIZED (event)) {
    /* Of a newer producer: what an older consumer can do without. */
    GST_WARNING_OBJECT (self, "an event of type %u makes no sense", type);
    g_clear_pointer (&event, gst_event_unref);
    return GST_FLOW_OK;
  }
  GST_DEBUG_OBJECT (self, "from the producer: %" GST_PTR_FORMAT, event);
  if (type == GST_EVENT_STREAM_START)
    return gst_mmap_src_push_stream_start (self, event);
  flow = gst_mmap_src_ensure_stream_start (self);
  if (flow == GST_FLOW_OK && (!sticky
          || gst_mmap_src_can_tell_time (self, item))
      && !gst_mmap_src_update_time (self, item, GST_CLOCK_TIME_NONE))
    flow = gst_mmap_src_flow_or_flushing (self, GST_FLOW_ERROR);
  if (flow != GST_FLOW_OK) {
    gst_event_unref (event);
    return flow;
  }
  if (type == GST_EVENT_SEGMENT_DONE) {
    gst_event_parse_segment_done (event, &format, &position);
    gst_mmap_src_post_segment (self, TRUE, format, position,
        item->descriptor.flags);
  }
  if (!gst_pad_push_event (GST_BASE_SRC_PAD (self), event))
    return gst_mmap_src_flow_or_flushing (self, GST_FLOW_OK);
  return GST_FLOW_OK;
}

static GstFlowReturn
gst_mmap_src_handle_segment (GstMmapSrc * self, const MmapItem * item)
{
  GstSegment segment;

  if (!gst_mmap_segment_from_wire (item->data, item->descriptor.size, &segment)) {
    if (gst_mmap_src_check_memory (self))
      GST_ELEMENT_ERROR (self, STREAM, FORMAT,
          ("The producer sent a segment that makes no sense."), (NULL));
    return GST_FLOW_ERROR;
  }
  if ((segment.flags & GST_SEGMENT_FLAG_SEGMENT)
      && !gst_mmap_src_is_before_flush (self))
    gst_mmap_src_post_segment (self, FALSE, segment.format,
        segment.position, item->descriptor.flags);
  self->segment_seqnum = item->descriptor.flags;
  gst_mmap_src_set_segment (self, &segment);
  return GST_FLOW_OK;
}

GstFlowReturn
gst_mmap_src_handle_event (GstMmapSrc * self, const MmapItem * item)
{
  GstFlowReturn flow;

  switch (item->descriptor.kind) {
    case MMAP_EVENT_CAPS:
      flow = gst_mmap_src_ensure_stream_start (self);
      return flow == GST_FLOW_OK ? gst_mmap_src_set_caps (self, item) : flow;
    case MMAP_EVENT_SEGMENT:
      return gst_mmap_src_handle_segment (self, item);
    case MMAP_EVENT_RATE:
      if (!gst_mmap_src_handle_rate (self, item))
        GST_WARNING_OBJECT (self, "a change of the rate makes no sense");
      return GST_FLOW_OK;
    case MMAP_EVENT_EOS:
      if (gst_mmap_src_is_before_flush (self))
        return GST_FLOW_OK;
      GST_INFO_OBJECT (self, "end of stream");
      flow = gst_mmap_src_ensure_stream_start (self);
      self->eos_seqnum = item->descriptor.flags;
      return flow == GST_FLOW_OK ? GST_FLOW_EOS : flow;
    case MMAP_EVENT_FLUSH:
      return gst_mmap_src_handle_flush (self, item->descriptor.frame_offset);
    default:
      return gst_mmap_src_handle_gst_event (self, item);
  }
}
