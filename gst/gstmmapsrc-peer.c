/* gst-mmap: mmapsrc: a producer comes, and goes
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * On the streaming thread.
 */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include "gstmmapsrc-private.h"

#include "address.h"
#include "gstmmapitempool.h"

#include <string.h>

#define GST_CAT_DEFAULT gst_mmap_src_debug

static const GEnumValue on_disconnect_values[] = {
  {GST_MMAP_ON_DISCONNECT_AUTO, "Wait if live, else end", "auto"},
  {GST_MMAP_ON_DISCONNECT_WAIT, "Wait for another producer", "wait"},
  {GST_MMAP_ON_DISCONNECT_EOS, "End of the stream", "eos"},
  {GST_MMAP_ON_DISCONNECT_ERROR, "An error", "error"},
  {0, NULL, NULL}
};

GType
gst_mmap_on_disconnect_get_type (void)
{
  static gsize type = 0;

  if (g_once_init_enter (&type)) {
    GType made = g_enum_register_static ("GstMmapOnDisconnect",
        on_disconnect_values);

    g_once_init_leave (&type, made);
  }
  return type;
}

/* Returns: (transfer full) (nullable): where producers are looked for; %NULL: an application brings their offers */
static char *
gst_mmap_src_dup_address (GstMmapSrc * self)
{
  gboolean application;
  char *path;

  GST_OBJECT_LOCK (self);
  application = self->signalling == GST_MMAP_SIGNALLING_APPLICATION;
  if (self->file && !self->address)
    path = g_strdup_printf ("channel %s of %s", self->channel, self->file);
  else
    path = g_strdup (self->address ? self->address : self->socket_path);
  GST_OBJECT_UNLOCK (self);
  if (application)
    g_clear_pointer (&path, g_free);
  else if (!path)
    path = mmap_address_get_default (FALSE, NULL);
  return path;
}

static GstMmapOnDisconnect
gst_mmap_src_get_on_disconnect (GstMmapSrc * self)
{
  GstMmapOnDisconnect action;

  GST_OBJECT_LOCK (self);
  action = self->on_disconnect;
  GST_OBJECT_UNLOCK (self);
  if (action == GST_MMAP_ON_DISCONNECT_AUTO)
    action = self->is_live ? GST_MMAP_ON_DISCONNECT_WAIT :
        GST_MMAP_ON_DISCONNECT_EOS;
  return action;
}

/* @structure: (transfer full): what else there is to say */
static void
gst_mmap_src_post_peer (GstMmapSrc * self, GstStructure * structure)
{
  g_autofree char *address = gst_mmap_src_dup_address (self);

  gst_structure_set (structure, "session", G_TYPE_UINT64, self->session, NULL);
  GST_OBJECT_LOCK (self);
  if (self->file) {
    gst_structure_set (structure, "file", G_TYPE_STRING, self->file,
        self->address ? "address" : "channel", G_TYPE_STRING,
        self->address ? self->address : self->channel, NULL);
    g_clear_pointer (&address, g_free);
  }
  GST_OBJECT_UNLOCK (self);
  if (address)
    gst_structure_set (structure, "socket-path", G_TYPE_STRING, address, NULL);
  GST_INFO_OBJECT (self, "%" GST_PTR_FORMAT, structure);
  gst_element_post_message (GST_ELEMENT (self),
      gst_message_new_element (GST_OBJECT (self), structure));
}

void
gst_mmap_src_forget_resume (GstMmapSrc * self)
{
  memset (&self->resume, 0, sizeof self->resume);
  self->resume.origin = GST_MMAP_NO_ANCHOR;
}

GstClockTimeDiff
gst_mmap_src_get_resumed_shift (GstMmapSrc * self, const MmapItem * item)
{
  GstMmapResume *resume = &self->resume;
  gint64 anchor = gst_mmap_src_get_anchor (item);

  if (!resume->again) {
    if (resume->origin == GST_MMAP_NO_ANCHOR)
      resume->origin = anchor;
    return 0;
  }
  if (!resume->known) {
    resume->known = TRUE;
    resume->shift = resume->end;
    if (anchor != GST_MMAP_NO_ANCHOR && resume->origin != GST_MMAP_NO_ANCHOR)
      resume->shift = MAX (resume->shift, anchor - resume->origin);
  }
  return resume->shift;
}

void
gst_mmap_src_note_end (GstMmapSrc * self, const MmapDescriptor * frame)
{
  GstClockTime end = frame->pts;

  if (self->is_live || !self->have_segment
      || self->segment.format != GST_FORMAT_TIME)
    return;
  if (GST_CLOCK_TIME_IS_VALID (end) && frame->duration < G_MAXINT64 >> 1)
    end = MIN (end, G_MAXINT64 >> 1) + frame->duration;
  end = gst_segment_to_running_time (self->as_played ? &self->played :
      &self->segment, GST_FORMAT_TIME, end);
  /* It is the producer's word. */
  if (end < G_MAXINT64 >> 2)
    self->resume.end = MAX (self->resume.end, end + self->resume.shift);
}

void
gst_mmap_src_connected (GstMmapSrc * self)
{
  g_autofree char *file = NULL, *media = NULL;
  guint64 size;

  self->linked = TRUE;
  self->discont = TRUE;
  self->missed = 0;
  self->resume.again = self->resume.end > 0;
  self->resume.known = FALSE;
  self->have_caps = FALSE;
  self->have_segment = FALSE;
  self->link = mmap_consumer_get_link (self->consumer);
  self->flush_seen = 0;
  self->wait_key_unit = TRUE;
  gst_mmap_needs_init (&self->needs);
  self->asked_key_unit = FALSE;
  mmap_consumer_get_offer (self->consumer, &file, &size, &self->session,
      &media);
  g_object_notify (G_OBJECT (self), "capabilities");
  gst_mmap_src_post_peer (self, gst_structure_new ("mmap-connected",
          "waited", G_TYPE_UINT64, gst_mmap_monotonic_now () -
          self->alone_since, NULL));
}

void
gst_mmap_src_look_for_producer (GstMmapSrc * self)
{
  g_autofree char *address = gst_mmap_src_dup_address (self);

  self->linked = FALSE;
  self->alone_since = gst_mmap_monotonic_now ();
  GST_INFO_OBJECT (self, "waiting for a producer at %s",
      address ? address : "the application's channel");
}

/* Applications hear of each end of a link. */
static void
gst_mmap_src_post_disconnected (GstMmapSrc * self, MmapError reason,
    GstMmapOnDisconnect action)
{
  gst_mmap_src_look_for_producer (self);
  gst_mmap_item_pool_forget_region (self->pool);
  g_clear_pointer (&self->dmabuf, gst_mmap_dmabuf_free);
  gst_clear_buffer (&self->next);
  /* From now on an application may give it the next offer. */
  g_object_notify (G_OBJECT (self), "capabilities");
  gst_mmap_src_post_peer (self, gst_structure_new ("mmap-disconnected",
          "reason", G_TYPE_STRING, mmap_error_get_name (reason),
          "action", G_TYPE_STRING, on_disconnect_values[action].value_nick,
          NULL));
}

void
gst_mmap_src_lost (GstMmapSrc * self, const GError * error)
{
  if (self->linked)
    gst_mmap_src_post_disconnected (self,
        error->domain == MMAP_ERROR ? error->code : MMAP_ERROR_FAILED,
        GST_MMAP_ON_DISCONNECT_ERROR);
  gst_mmap_post_error (GST_ELEMENT (self), error);
}

GstFlowReturn
gst_mmap_src_disconnected (GstMmapSrc * self)
{
  GstMmapOnDisconnect action = gst_mmap_src_get_on_disconnect (self);
  g_autofree char *address = gst_mmap_src_dup_address (self);
  g_autoptr (GError) error = NULL;
  GstFlowReturn flow;

  gst_mmap_src_post_disconnected (self, MMAP_ERROR_CLOSED, action);
  switch (action) {
    case GST_MMAP_ON_DISCONNECT_EOS:
      flow = gst_mmap_src_ensure_stream_start (self);
      return flow == GST_FLOW_OK ? GST_FLOW_EOS : flow;
    case GST_MMAP_ON_DISCONNECT_ERROR:
      error = g_error_new (MMAP_ERROR, MMAP_ERROR_CLOSED,
          "The producer at %s has gone without an end of its stream: it was "
          "stopped or killed. With on-disconnect=wait another one would be "
          "waited for", address ? address : "the application's channel");
      gst_mmap_post_error (GST_ELEMENT (self), error);
      return GST_FLOW_ERROR;
    default:
      return GST_FLOW_OK;
  }
}
