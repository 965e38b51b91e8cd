/* gst-mmap: fuzz target: events of another process
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Caps, segments, and all that comes as a dictionary. What is accepted is an event of that type that GStreamer doesn't complain of, and can
 * be written again.
 */
#include "fuzz-gst.h"

#include "gstmmapevent.h"
#include "gstmmaptext.h"
#include "gstmmapsegment.h"

#include <string.h>

static const guint32 types[] = {
  GST_EVENT_FLUSH_START, GST_EVENT_FLUSH_STOP, GST_EVENT_STREAM_START,
  GST_EVENT_STREAM_GROUP_DONE, GST_EVENT_TAG, GST_EVENT_TOC,
  GST_EVENT_PROTECTION, GST_EVENT_SEGMENT_DONE, GST_EVENT_GAP,
  GST_EVENT_INSTANT_RATE_CHANGE, GST_EVENT_SEEK, GST_EVENT_NAVIGATION,
  GST_EVENT_LATENCY, GST_EVENT_STEP, GST_EVENT_RECONFIGURE,
  GST_EVENT_TOC_SELECT, GST_EVENT_SELECT_STREAMS, GST_EVENT_CUSTOM_UPSTREAM,
  GST_EVENT_CUSTOM_DOWNSTREAM, GST_EVENT_CUSTOM_DOWNSTREAM_OOB,
  GST_EVENT_CUSTOM_DOWNSTREAM_STICKY, GST_EVENT_CUSTOM_BOTH,
  GST_EVENT_CUSTOM_BOTH_OOB, GST_EVENT_CAPS, GST_EVENT_SEGMENT, GST_EVENT_EOS,
  GST_EVENT_QOS, GST_EVENT_BUFFERSIZE, GST_EVENT_STREAM_COLLECTION
};

static const FuzzKey keys[] = {
  {"stream-id", "s"}, {"flags", "u"}, {"group-id", "u"}, {"tags", "s"},
  {"scope", "u"}, {"toc", "(usav)"}, {"toc", "v"}, {"updated", "b"},
  {"system-id", "s"}, {"data", "ay"}, {"origin", "s"}, {"timestamp", "t"},
  {"duration", "t"}, {"format", "u"}, {"position", "x"}, {"multiplier", "d"},
  {"structure", "s"}, {"force-key-unit", "b"}, {"stream-time", "t"},
  {"running-time", "t"}, {"all-headers", "b"}, {"count", "u"}, {"rate", "d"},
  {"start-type", "u"}, {"start", "x"}, {"stop-type", "u"}, {"stop", "x"},
  {"trickmode-interval", "t"}, {"amount", "t"}, {"flush", "b"},
  {"intermediate", "b"}, {"latency", "t"}, {"uid", "s"}, {"streams", "as"},
  {"reset-time", "b"}, {"upstream-id", "s"}, {"streams", "a(suuss)"},
  {"stream", "(suuss)"}, {NULL, NULL}
};

static const FuzzWords words = { fuzz_gst_strings, NULL };

/* A pad keeps it, as that of mmapsrc does. */
static void
store (GstEvent * event)
{
  GstPad *pad;

  if (!GST_EVENT_IS_STICKY (event))
    return;
  pad = gst_pad_new ("src", GST_PAD_SRC);
  gst_pad_set_active (pad, TRUE);
  gst_pad_store_sticky_event (pad, event);
  gst_object_unref (pad);
}

static void
check_event (GstEvent * event, guint32 type, GstClockTimeDiff shift)
{
  GVariantDict dict;
  GVariant *again;
  GstEvent *second;

  fuzz_assert (GST_EVENT_TYPE (event) == (GstEventType) type);
  store (event);
  g_variant_dict_init (&dict, NULL);
  fuzz_assert (gst_mmap_event_to_dict (event, 0, &dict));
  again = g_variant_ref_sink (g_variant_dict_end (&dict));
  second = gst_mmap_event_from_variant (type, 0, shift, again);
  g_clear_pointer (&second, gst_event_unref);
  g_variant_unref (again);
  gst_event_unref (event);
}

static void
try_dict (FuzzInput * input)
{
  guint32 type = fuzz_one_in (input, 32) ? fuzz_number (input) :
      types[fuzz_below (input, G_N_ELEMENTS (types))];
  guint32 seqnum = fuzz_byte (input);
  GstClockTimeDiff shift = fuzz_number (input);
  g_autoptr (GByteArray) bytes = NULL;
  g_autoptr (GVariant) dict = NULL;
  GstEvent *event;

  bytes = fuzz_serialise (input, fuzz_dict (input, "a{sv}", keys, &words));
  dict = gst_mmap_dict_from_wire (bytes->data, bytes->len);
  if (!dict)
    return;
  event = gst_mmap_event_from_variant (type, seqnum, shift, dict);
  if (event)
    check_event (event, type, shift);
}

static void
try_caps (FuzzInput * input)
{
  g_autofree char *string = fuzz_gst_string (input);
  g_autofree guint8 *exact = NULL;
  gsize size = strlen (string);
  GstEvent *event;
  GstCaps *caps;

  /* Without the terminator: none comes from the other side. */
  if (fuzz_one_in (input, 4) && size > 0)
    string[fuzz_number (input) % size] = fuzz_byte (input);
  exact = g_memdup2 (string, size);
  caps = gst_mmap_caps_from_wire (exact, size);
  if (!caps)
    return;
  fuzz_assert (gst_caps_is_fixed (caps));
  event = gst_event_new_caps (caps);
  store (event);
  gst_event_unref (event);
  gst_caps_unref (caps);
}

static void
try_segment (FuzzInput * input)
{
  MmapSegment wire = {
    fuzz_number (input), fuzz_below (input, 8), fuzz_double (input),
    fuzz_double (input), fuzz_number (input), fuzz_number (input),
    fuzz_number (input), fuzz_number (input), fuzz_number (input),
    fuzz_number (input), fuzz_number (input)
  }, again;
  gsize size = fuzz_one_in (input, 16) ? fuzz_byte (input) % sizeof wire :
      sizeof wire;
  guint64 position = fuzz_number (input);
  GstSegment segment, shifted;
  GstEvent *event;

  if (!gst_mmap_segment_from_wire (&wire, size, &segment))
    return;
  fuzz_assert (size == sizeof wire);
  gst_mmap_segment_to_wire (&segment, &again);
  fuzz_assert (again.format == wire.format && again.stop == wire.stop);
  gst_segment_to_running_time (&segment, segment.format, position);
  gst_segment_to_stream_time (&segment, segment.format, position);
  shifted = segment;
  if (segment.format == GST_FORMAT_TIME)
    gst_segment_offset_running_time (&shifted, GST_FORMAT_TIME,
        fuzz_number (input));
  event = gst_event_new_segment (&shifted);
  store (event);
  gst_event_unref (event);
}

void
fuzz_run (FuzzInput * input)
{
  switch (fuzz_below (input, 8)) {
    case 0:
      try_caps (input);
      break;
    case 1:
      try_segment (input);
      break;
    default:
      try_dict (input);
      break;
  }
}
