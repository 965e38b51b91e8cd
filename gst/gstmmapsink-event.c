/* gst-mmap: mmapsink: events
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Serialised ones go in the order of the frames, on the streaming thread; the others at once, from any thread.
 */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include "gstmmapsink-private.h"

#include "gstmmapevent.h"
#include "gstmmapsegment.h"

#define GST_CAT_DEFAULT gst_mmap_sink_debug

/* As gst_mmap_sink_wait(), in the handler of a serialised event, which goes on in PAUSED and ends when the pad is flushed. The base class
 * calls it with its lock, which a change of state needs. */
static GstFlowReturn
gst_mmap_sink_wait_in_event (GstMmapSink * self, guint64 serial)
{
  GstPad *pad = GST_BASE_SINK_PAD (self);
  MmapWaitResult result = MMAP_WAIT_OK;

  GST_BASE_SINK_PREROLL_UNLOCK (self);
  if (!GST_PAD_IS_FLUSHING (pad))
    result = mmap_producer_wait (self->producer, &self->never, serial,
        gst_mmap_sink_get_patience (self));
  GST_BASE_SINK_PREROLL_LOCK (self);
  return (result == MMAP_WAIT_OK || result == MMAP_WAIT_TIMEOUT)
      && !GST_PAD_IS_FLUSHING (pad) ? GST_FLOW_OK : GST_FLOW_FLUSHING;
}

GstFlowReturn
gst_mmap_sink_push_wire (GstMmapSink * self, const MmapEvent * wire,
    gboolean in_event)
{
  GstFlowReturn flow = GST_FLOW_OK;

  while (flow == GST_FLOW_OK) {
    guint64 serial = mmap_producer_collect (self->producer);
    MmapPublishResult result = mmap_producer_push_event (self->producer, wire);

    if (result == MMAP_PUBLISH_OK)
      break;
    if (result == MMAP_PUBLISH_TOO_LARGE) {
      GST_ELEMENT_WARNING (self, RESOURCE, NO_SPACE_LEFT,
          ("An event of %" G_GSIZE_FORMAT " bytes was not sent: the region is "
              "too small, or there are too many such events. Set size to more.",
              wire->size), ("%s", wire->name));
      break;
    }
    flow = in_event ? gst_mmap_sink_wait_in_event (self, serial) :
        gst_mmap_sink_wait (self, serial);
  }
  return flow;
}

guint32
gst_mmap_sink_order_of (GstEventType type)
{
  return type >> GST_EVENT_NUM_SHIFT;
}

/* @event as the consumers see it; in their ring. */
static GstFlowReturn
gst_mmap_sink_push_event (GstMmapSink * self, GstEvent * event,
    gboolean in_event)
{
  GstEventType type = GST_EVENT_TYPE (event);
  const GstStructure *structure = gst_event_get_structure (event);
  g_autoptr (GVariant) dict = NULL, normal = NULL;
  GVariantDict builder;
  MmapEvent wire = { type, gst_event_get_seqnum (event), 0, NULL, NULL, 0 };

  g_variant_dict_init (&builder, NULL);
  if (!gst_mmap_event_to_dict (event, 0, &builder)) {
    GST_INFO_OBJECT (self, "stays here: %" GST_PTR_FORMAT, event);
    g_variant_dict_clear (&builder);
    return GST_FLOW_OK;
  }
  dict = g_variant_ref_sink (g_variant_dict_end (&builder));
  normal = g_variant_get_normal_form (dict);
  wire.data = g_variant_get_data (normal);
  wire.size = g_variant_get_size (normal);
  wire.anchor = gst_mmap_sink_get_anchor (self);
  wire.latency = gst_base_sink_get_latency (GST_BASE_SINK (self));
  wire.droppable = type == GST_EVENT_GAP;
  if (GST_EVENT_IS_STICKY (event))
    wire.order = gst_mmap_sink_order_of (type);
  if (type & GST_EVENT_TYPE_STICKY_MULTI && structure)
    wire.name = gst_structure_get_name (structure);
  return gst_mmap_sink_push_wire (self, &wire, in_event);
}

static GstFlowReturn
gst_mmap_sink_push_segment (GstMmapSink * self, GstEvent * event)
{
  MmapEvent wire = { MMAP_EVENT_SEGMENT, gst_event_get_seqnum (event),
    gst_mmap_sink_order_of (GST_EVENT_SEGMENT)
  };
  const GstSegment *segment;
  MmapSegment data;

  gst_event_parse_segment (event, &segment);
  gst_mmap_segment_to_wire (segment, &data);
  wire.data = &data;
  wire.size = sizeof data;
  mmap_producer_forget_event (self->producer, MMAP_EVENT_RATE);
  return gst_mmap_sink_push_wire (self, &wire, TRUE);
}

gboolean
gst_mmap_sink_element_event (GstElement * element, GstEvent * event)
{
  GstMmapSink *self = GST_MMAP_SINK (element);
  GstEventType type = GST_EVENT_TYPE (event);
  guint32 seqnum = gst_event_get_seqnum (event);
  gboolean handled =
      GST_ELEMENT_CLASS (GST_MMAP_SINK_PARENT)->send_event (element, event);

  /* The pipeline has told the base class from when on its segment goes at another rate. */
  if (type == GST_EVENT_INSTANT_RATE_SYNC_TIME) {
    g_atomic_int_set (&self->rate_seqnum, seqnum);
    g_atomic_int_set (&self->rate_untold, TRUE);
  }
  return handled;
}

GstFlowReturn
gst_mmap_sink_tell_rate (GstMmapSink * self)
{
  MmapEvent wire = { MMAP_EVENT_RATE, 0,
    gst_mmap_sink_order_of (GST_EVENT_SEGMENT) + 1
  };
  GstFlowReturn flow;
  MmapSegment data;

  if (!g_atomic_int_get (&self->rate_untold))
    return GST_FLOW_OK;
  g_atomic_int_set (&self->rate_untold, FALSE);
  wire.seqnum = g_atomic_int_get (&self->rate_seqnum);
  gst_mmap_segment_to_wire (&GST_BASE_SINK (self)->segment, &data);
  wire.data = &data;
  wire.size = sizeof data;
  flow = gst_mmap_sink_push_wire (self, &wire, FALSE);
  if (flow != GST_FLOW_OK)
    g_atomic_int_set (&self->rate_untold, TRUE);
  return flow;
}

void
gst_mmap_sink_forget_rate (GstMmapSink * self)
{
  g_atomic_int_set (&self->rate_seqnum, GST_SEQNUM_INVALID);
  g_atomic_int_set (&self->rate_untold, FALSE);
}

static void
message_new (GstEvent * event, GVariantDict * dict)
{
  g_variant_dict_init (dict, NULL);
  gst_mmap_event_to_dict (event, 0, dict);
  g_variant_dict_insert (dict, "type", "u", (guint32) GST_EVENT_TYPE (event));
  g_variant_dict_insert (dict, "seqnum", "u", gst_event_get_seqnum (event));
}

/* What consumers are to hear at once, whatever they have not read yet. */
static void
gst_mmap_sink_send_event (GstMmapSink * self, GstEvent * event)
{
  GVariantDict dict;

  message_new (event, &dict);
  if (GST_EVENT_TYPE (event) == GST_EVENT_INSTANT_RATE_CHANGE)
    g_variant_dict_insert (&dict, "again", "b",
        g_atomic_int_get (&self->rate_seqnum) != GST_SEQNUM_INVALID);
  if (!mmap_producer_send (self->producer, 0, MMAP_MESSAGE_EVENT,
          g_variant_dict_end (&dict)))
    GST_WARNING_OBJECT (self, "not all consumers hear of %" GST_PTR_FORMAT
        ": it is too large, or they don't read", event);
}

static void
gst_mmap_sink_flush_start (GstMmapSink * self, GstEvent * event)
{
  gst_mmap_sink_set_flag (self, &self->pad_flushing, TRUE);
  gst_mmap_sink_send_event (self, event);
}

static void
gst_mmap_sink_flush_stop (GstMmapSink * self, GstEvent * event)
{
  gboolean reset_time;
  GVariantDict dict;
  guint64 number;

  gst_mmap_sink_set_flag (self, &self->pad_flushing, FALSE);
  gst_event_parse_flush_stop (event, &reset_time);
  if (reset_time) {
    gst_mmap_stall_reset (self->pipeline_stall);
    gst_mmap_sink_forget_rate (self);
  }
  gst_mmap_sink_apply_stall (self);
  mmap_producer_forget_event (self->producer, MMAP_EVENT_EOS);
  mmap_producer_forget_event (self->producer, MMAP_EVENT_SEGMENT);
  mmap_producer_forget_event (self->producer, MMAP_EVENT_RATE);
  mmap_producer_forget_event (self->producer, GST_EVENT_STREAM_GROUP_DONE);
  GST_OBJECT_LOCK (self);
  number = ++self->n_flushes;
  GST_OBJECT_UNLOCK (self);
  message_new (event, &dict);
  g_variant_dict_insert (&dict, "flush", "t", number);
  mmap_producer_push_flush (self->producer, number, g_variant_dict_end (&dict));
}

static void
gst_mmap_sink_stream_start (GstMmapSink * self)
{
  mmap_producer_forget_event (self->producer, MMAP_EVENT_EOS);
  mmap_producer_forget_event (self->producer, GST_EVENT_STREAM_GROUP_DONE);
}

/* FALSE: a serialised event could not be sent, because the pad is flushing. */
static gboolean
gst_mmap_sink_forward_event (GstMmapSink * self, GstEvent * event)
{
  switch (GST_EVENT_TYPE (event)) {
    case GST_EVENT_CAPS:
    case GST_EVENT_EOS:
    case GST_EVENT_GAP:
      /* See set_caps() and wait_event(). */
      return TRUE;
    case GST_EVENT_SEGMENT:
      return gst_mmap_sink_push_segment (self, event) == GST_FLOW_OK;
    case GST_EVENT_FLUSH_START:
      gst_mmap_sink_flush_start (self, event);
      return TRUE;
    case GST_EVENT_FLUSH_STOP:
      gst_mmap_sink_flush_stop (self, event);
      return TRUE;
    case GST_EVENT_STREAM_START:
      gst_mmap_sink_forget_policy (self);
      gst_mmap_sink_stream_start (self);
      break;
    default:
      break;
  }
  if (GST_EVENT_IS_SERIALIZED (event))
    return gst_mmap_sink_push_event (self, event, TRUE) == GST_FLOW_OK;
  gst_mmap_sink_send_event (self, event);
  return TRUE;
}

gboolean
gst_mmap_sink_event (GstBaseSink * sink, GstEvent * event)
{
  GstMmapSink *self = GST_MMAP_SINK (sink);
  gboolean segment = GST_EVENT_TYPE (event) == GST_EVENT_SEGMENT, handled;

  if (!gst_mmap_sink_forward_event (self, event)) {
    gst_event_unref (event);
    return FALSE;
  }
  handled = GST_MMAP_SINK_PARENT->event (sink, event);
  /* What has changed the rate changes that of this one, too. */
  if (segment && g_atomic_int_get (&self->rate_seqnum) != GST_SEQNUM_INVALID)
    g_atomic_int_set (&self->rate_untold, TRUE);
  return handled;
}

GstFlowReturn
gst_mmap_sink_wait_event (GstBaseSink * sink, GstEvent * event)
{
  GstMmapSink *self = GST_MMAP_SINK (sink);
  MmapEvent wire = { MMAP_EVENT_EOS, gst_event_get_seqnum (event),
    gst_mmap_sink_order_of (GST_EVENT_EOS)
  };
  GstFlowReturn flow = GST_MMAP_SINK_PARENT->wait_event (sink, event);

  if (flow != GST_FLOW_OK)
    return flow;
  if (GST_EVENT_TYPE (event) == GST_EVENT_GAP)
    return gst_mmap_sink_push_event (self, event, FALSE);
  if (GST_EVENT_TYPE (event) != GST_EVENT_EOS)
    return flow;
  flow = gst_mmap_sink_push_wire (self, &wire, FALSE);
  g_object_notify (G_OBJECT (self), "stats");
  return flow;
}
