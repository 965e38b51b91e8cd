/* gst-mmap: tests of events as dictionaries, and back
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * G_DEBUG=fatal-warnings ends the program if something is handed on that GStreamer takes for a bug of its caller.
 */
#include "gstmmapevent.h"
#include "leak-check.h"
#include "pipe.h"

#include <gst/video/video.h>
#include <math.h>
#include <string.h>

/* Returns: (transfer full): as the other side sees it */
static GVariant *
to_wire (GstEvent * event, GstClockTimeDiff shift)
{
  g_autoptr (GVariant) dict = NULL, normal = NULL;
  g_autofree gpointer copy = NULL;
  GVariantDict builder;
  GVariant *wire;

  g_variant_dict_init (&builder, NULL);
  g_assert_true (gst_mmap_event_to_dict (event, shift, &builder));
  dict = g_variant_ref_sink (g_variant_dict_end (&builder));
  normal = g_variant_get_normal_form (dict);
  copy = g_memdup2 (g_variant_get_data (normal), g_variant_get_size (normal));
  wire = gst_mmap_dict_from_wire (copy, g_variant_get_size (normal));
  g_assert_nonnull (wire);
  return wire;
}

/* @event: (transfer full). Returns: (transfer full): what the other side makes of it */
static GstEvent *
cross (GstEvent * event)
{
  g_autoptr (GVariant) dict = to_wire (event, 0);
  GstEvent *back = gst_mmap_event_from_variant (GST_EVENT_TYPE (event),
      gst_event_get_seqnum (event), 0, dict);

  g_assert_nonnull (back);
  g_assert_cmpint (GST_EVENT_TYPE (back), ==, GST_EVENT_TYPE (event));
  g_assert_cmpuint (gst_event_get_seqnum (back), ==,
      gst_event_get_seqnum (event));
  gst_event_unref (event);
  return back;
}

/* @event: (transfer full): all that it says is in the fields of its structure. */
static void
assert_crosses (GstEvent * event)
{
  g_autoptr (GstEvent) kept = gst_event_ref (event);
  g_autoptr (GstEvent) back = cross (event);
  const GstStructure *one = gst_event_get_structure (kept);
  const GstStructure *two = gst_event_get_structure (back);

  g_assert_true ((one != NULL) == (two != NULL));
  if (one && !gst_structure_is_equal (one, two)) {
    g_autofree char *first = gst_structure_to_string (one);
    g_autofree char *second = gst_structure_to_string (two);

    g_error ("%s became %s", first, second);
  }
}

static GstEvent *
make_stream_start (void)
{
  GstEvent *event = gst_event_new_stream_start ("a/b \303\244");

  gst_event_set_group_id (event, 17);
  gst_event_set_stream_flags (event, GST_STREAM_FLAG_SPARSE);
  return event;
}

/* @id: of one that has caps and tags; %NULL: a name is made up, and there are none */
static GstStream *
make_stream (const char *id)
{
  GstCaps *caps = id ? gst_caps_from_string ("audio/mpeg, layer=[1,3]") : NULL;
  GstStream *stream = gst_stream_new (id, caps, GST_STREAM_TYPE_AUDIO,
      GST_STREAM_FLAG_SELECT);
  GstTagList *tags = gst_tag_list_new (GST_TAG_LANGUAGE_CODE, "de", NULL);

  if (id)
    gst_stream_set_tags (stream, tags);
  gst_clear_caps (&caps);
  gst_tag_list_unref (tags);
  return stream;
}

static GstEvent *
make_collection (void)
{
  GstStreamCollection *collection = gst_stream_collection_new ("up");
  GstEvent *event;

  gst_stream_collection_add_stream (collection, make_stream ("up/1"));
  gst_stream_collection_add_stream (collection, make_stream (NULL));
  event = gst_event_new_stream_collection (collection);
  gst_object_unref (collection);
  return event;
}

static GstEvent *
make_gap (void)
{
  GstEvent *event = gst_event_new_gap (5, GST_CLOCK_TIME_NONE);

  gst_event_set_gap_flags (event, GST_GAP_FLAG_MISSING_DATA);
  return event;
}

static GstEvent *
make_seek (void)
{
  GstEvent *event = gst_event_new_seek (-1.5, GST_FORMAT_TIME,
      GST_SEEK_FLAG_FLUSH | GST_SEEK_FLAG_SEGMENT, GST_SEEK_TYPE_SET, 1,
      GST_SEEK_TYPE_END, -7);

  gst_event_set_seek_trickmode_interval (event, 3 * GST_SECOND);
  return event;
}

static GstEvent *
make_instant_rate_seek (void)
{
  return gst_event_new_seek (2.0, GST_FORMAT_TIME,
      GST_SEEK_FLAG_INSTANT_RATE_CHANGE, GST_SEEK_TYPE_NONE, 0,
      GST_SEEK_TYPE_NONE, 0);
}

static GstStructure *
make_structure (void)
{
  return gst_structure_new ("application/x-test", "text", G_TYPE_STRING,
      "\303\244; \"{", "number", G_TYPE_INT64, G_MININT64, "real",
      G_TYPE_DOUBLE, 0.5, "rate", GST_TYPE_FRACTION, 30000, 1001, NULL);
}

static GstEvent *
make_custom (GstEventType type)
{
  return gst_event_new_custom (type, make_structure ());
}

static GstEvent *
make_selection (void)
{
  GList *streams = g_list_append (g_list_append (NULL, "one"), "two");
  GstEvent *event = gst_event_new_select_streams (streams);

  g_list_free (streams);
  return event;
}

static GstEvent *
make_tag (GstTagScope scope)
{
  GstTagList *tags = gst_tag_list_new (GST_TAG_TITLE, "\303\244 \"; {",
      GST_TAG_BITRATE, 128000, GST_TAG_ARTIST, "one", GST_TAG_ARTIST, "two",
      NULL);

  gst_tag_list_set_scope (tags, scope);
  return gst_event_new_tag (tags);
}

static GstEvent *
make_toc (void)
{
  GstToc *toc = gst_toc_new (GST_TOC_SCOPE_GLOBAL);
  GstTocEntry *edition = gst_toc_entry_new (GST_TOC_ENTRY_TYPE_EDITION, "e");
  GstTocEntry *chapter = gst_toc_entry_new (GST_TOC_ENTRY_TYPE_CHAPTER, "c");
  GstEvent *event;

  gst_toc_set_tags (toc, gst_tag_list_new (GST_TAG_TITLE, "book", NULL));
  gst_toc_entry_set_tags (chapter, gst_tag_list_new (GST_TAG_TITLE, "one",
          NULL));
  gst_toc_entry_set_start_stop_times (chapter, 5, 6);
  gst_toc_entry_append_sub_entry (edition, chapter);
  gst_toc_append_entry (toc, edition);
  event = gst_event_new_toc (toc, TRUE);
  gst_toc_unref (toc);
  return event;
}

static GstEvent *
make_protection (gsize size)
{
  GstBuffer *data = size ? gst_buffer_new_memdup ("key", size) :
      gst_buffer_new ();
  GstEvent *event = gst_event_new_protection ("system", data, "origin");

  gst_buffer_unref (data);
  return event;
}

static GstEvent *
make_key_unit (gboolean upstream)
{
  return upstream ? gst_video_event_new_upstream_force_key_unit (GST_SECOND,
      TRUE, 3) : gst_video_event_new_downstream_force_key_unit (4, 5,
      GST_SECOND, TRUE, 6);
}

static void
test_round_trips (void)
{
  assert_crosses (gst_event_new_flush_start ());
  assert_crosses (gst_event_new_flush_stop (TRUE));
  assert_crosses (gst_event_new_flush_stop (FALSE));
  assert_crosses (make_stream_start ());
  assert_crosses (gst_event_new_stream_start (""));
  assert_crosses (gst_event_new_stream_group_done (9));
  assert_crosses (gst_event_new_segment_done (GST_FORMAT_BYTES, -1));
  assert_crosses (make_gap ());
  assert_crosses (gst_event_new_gap (0, 7));
  assert_crosses (gst_event_new_instant_rate_change (0.5,
          GST_SEGMENT_FLAG_TRICKMODE));
  assert_crosses (make_seek ());
  assert_crosses (make_instant_rate_seek ());
  assert_crosses (gst_event_new_step (GST_FORMAT_BUFFERS, G_MAXUINT64, 2.0,
          TRUE, FALSE));
  assert_crosses (gst_event_new_latency (7));
  assert_crosses (gst_event_new_toc_select ("uid"));
  assert_crosses (gst_event_new_navigation (make_structure ()));
  assert_crosses (make_custom (GST_EVENT_CUSTOM_UPSTREAM));
  assert_crosses (make_custom (GST_EVENT_CUSTOM_DOWNSTREAM));
  assert_crosses (make_custom (GST_EVENT_CUSTOM_DOWNSTREAM_OOB));
  assert_crosses (make_custom (GST_EVENT_CUSTOM_DOWNSTREAM_STICKY));
  assert_crosses (make_custom (GST_EVENT_CUSTOM_BOTH));
  assert_crosses (make_custom (GST_EVENT_CUSTOM_BOTH_OOB));
  assert_crosses (gst_event_new_custom (GST_EVENT_CUSTOM_BOTH, NULL));
  assert_crosses (make_key_unit (TRUE));
  assert_crosses (make_key_unit (FALSE));
}

static void
test_select_streams (void)
{
  g_autoptr (GstEvent) event = cross (make_selection ());
  GList *streams;

  gst_event_parse_select_streams (event, &streams);
  g_assert_cmpuint (g_list_length (streams), ==, 2);
  g_assert_cmpstr (streams->data, ==, "one");
  g_assert_cmpstr (streams->next->data, ==, "two");
  g_list_free_full (streams, g_free);
}

static void
test_tags (void)
{
  static const GstTagScope scopes[] = { GST_TAG_SCOPE_STREAM,
    GST_TAG_SCOPE_GLOBAL
  };
  guint i;

  for (i = 0; i < G_N_ELEMENTS (scopes); i++) {
    g_autoptr (GstEvent) sent = make_tag (scopes[i]);
    g_autoptr (GstEvent) event = cross (gst_event_ref (sent));
    GstTagList *one, *two;

    gst_event_parse_tag (sent, &one);
    gst_event_parse_tag (event, &two);
    g_assert_true (gst_tag_list_is_equal (one, two));
    g_assert_cmpint (gst_tag_list_get_scope (two), ==, scopes[i]);
  }
}

/* Tags with a picture: a sample. */
static void
test_cover (void)
{
  GstBuffer *buffer = gst_buffer_new_memdup ("picture", 7);
  GstCaps *caps = gst_caps_new_empty_simple ("image/png");
  GstSample *sample = gst_sample_new (buffer, caps, NULL, NULL);
  g_autoptr (GstEvent) event = cross (gst_event_new_tag (gst_tag_list_new
          (GST_TAG_IMAGE, sample, NULL)));
  GstSample *back;
  GstTagList *tags;

  gst_event_parse_tag (event, &tags);
  g_assert_true (gst_tag_list_get_sample (tags, GST_TAG_IMAGE, &back));
  g_assert_true (gst_caps_is_equal (gst_sample_get_caps (back), caps));
  g_assert_cmpint (gst_buffer_memcmp (gst_sample_get_buffer (back), 0,
          "picture", 7), ==, 0);
  gst_sample_unref (back);
  gst_sample_unref (sample);
  gst_buffer_unref (buffer);
  gst_caps_unref (caps);
}

static void
test_empty_tags (void)
{
  g_autoptr (GstEvent) event =
      cross (gst_event_new_tag (gst_tag_list_new_empty ()));
  GstTagList *tags;

  gst_event_parse_tag (event, &tags);
  g_assert_true (gst_tag_list_is_empty (tags));
}

static void
test_toc (void)
{
  g_autoptr (GstEvent) event = cross (make_toc ());
  GstTocEntry *edition, *chapter;
  gint64 start, stop;
  gboolean updated;
  gchar *title;
  GstToc *toc;

  gst_event_parse_toc (event, &toc, &updated);
  g_assert_true (updated);
  g_assert_cmpint (gst_toc_get_scope (toc), ==, GST_TOC_SCOPE_GLOBAL);
  g_assert_true (gst_tag_list_get_string (gst_toc_get_tags (toc),
          GST_TAG_TITLE, &title));
  g_assert_cmpstr (title, ==, "book");
  g_free (title);
  edition = gst_toc_get_entries (toc)->data;
  g_assert_cmpint (gst_toc_entry_get_entry_type (edition), ==,
      GST_TOC_ENTRY_TYPE_EDITION);
  chapter = gst_toc_entry_get_sub_entries (edition)->data;
  g_assert_cmpstr (gst_toc_entry_get_uid (chapter), ==, "c");
  g_assert_true (gst_toc_entry_get_start_stop_times (chapter, &start, &stop));
  g_assert_cmpint (start, ==, 5);
  g_assert_cmpint (stop, ==, 6);
  gst_toc_entry_get_start_stop_times (edition, &start, &stop);
  g_assert_cmpint (start, ==, -1);
  g_assert_cmpint (stop, ==, -1);
  gst_toc_unref (toc);
}

static void
assert_same_stream (GstStream * one, GstStream * two)
{
  GstCaps *caps[2] = { gst_stream_get_caps (one), gst_stream_get_caps (two) };
  GstTagList *tags[2] =
      { gst_stream_get_tags (one), gst_stream_get_tags (two) };
  guint i;

  g_assert_cmpstr (gst_stream_get_stream_id (one), ==,
      gst_stream_get_stream_id (two));
  g_assert_cmpint (gst_stream_get_stream_type (one), ==,
      gst_stream_get_stream_type (two));
  g_assert_cmpint (gst_stream_get_stream_flags (one), ==,
      gst_stream_get_stream_flags (two));
  g_assert_true (caps[0] ? caps[1] && gst_caps_is_equal (caps[0], caps[1]) :
      !caps[1]);
  g_assert_true (tags[0] ? tags[1] && gst_tag_list_is_equal (tags[0], tags[1]) :
      !tags[1]);
  for (i = 0; i < 2; i++) {
    gst_clear_caps (&caps[i]);
    gst_clear_tag_list (&tags[i]);
  }
}

static void
test_streams (void)
{
  g_autoptr (GstEvent) event = make_collection ();
  g_autoptr (GstEvent) back = cross (gst_event_ref (event));
  g_autoptr (GstEvent) start = make_stream_start ();
  g_autoptr (GstEvent) start_back = NULL;
  GstStreamCollection *one, *two;
  GstStream *stream = make_stream ("up/1"), *stream_back;
  guint i;

  gst_event_parse_stream_collection (event, &one);
  gst_event_parse_stream_collection (back, &two);
  g_assert_cmpstr (gst_stream_collection_get_upstream_id (two), ==, "up");
  g_assert_cmpuint (gst_stream_collection_get_size (two), ==, 2);
  for (i = 0; i < 2; i++)
    assert_same_stream (gst_stream_collection_get_stream (one, i),
        gst_stream_collection_get_stream (two, i));
  gst_event_set_stream (start, stream);
  start_back = cross (gst_event_ref (start));
  gst_event_parse_stream (start_back, &stream_back);
  assert_same_stream (stream, stream_back);
  gst_object_unref (stream_back);
  gst_object_unref (stream);
  gst_object_unref (one);
  gst_object_unref (two);
}

static void
test_protection (void)
{
  static const gsize sizes[] = { 0, 3 };
  guint i;

  for (i = 0; i < G_N_ELEMENTS (sizes); i++) {
    g_autoptr (GstEvent) event = cross (make_protection (sizes[i]));
    const gchar *system, *origin;
    GstBuffer *data;

    gst_event_parse_protection (event, &system, &data, &origin);
    g_assert_cmpstr (system, ==, "system");
    g_assert_cmpstr (origin, ==, "origin");
    g_assert_cmpuint (gst_buffer_get_size (data), ==, sizes[i]);
    g_assert_cmpint (gst_buffer_memcmp (data, 0, "key", sizes[i]), ==, 0);
  }
}

static GstClockTime
key_unit_running_time (GstEvent * event)
{
  GstClockTime time = 0;

  if (GST_EVENT_IS_UPSTREAM (event))
    gst_video_event_parse_upstream_force_key_unit (event, &time, NULL, NULL);
  else
    gst_video_event_parse_downstream_force_key_unit (event, NULL, NULL, &time,
        NULL, NULL);
  return time;
}

/* Running times are those of the other pipeline; none is none, and nothing is before the start. */
static void
test_key_unit_shift (void)
{
  static const struct
  {
    GstClockTime time;
    GstClockTimeDiff shift;
    GstClockTime expected;
  } cases[] = {
    {5, 3, 8}, {5, -3, 2}, {5, -5, 0}, {5, -6, 0}, {0, 0, 0},
    {5, G_MININT64, 0}, {5, G_MAXINT64, (GstClockTime) G_MAXINT64 + 5},
    {GST_CLOCK_TIME_NONE, 3, GST_CLOCK_TIME_NONE},
    {GST_CLOCK_TIME_NONE - 1, 1, GST_CLOCK_TIME_NONE - 1},
    {GST_CLOCK_TIME_NONE - 1, 10, GST_CLOCK_TIME_NONE - 1},
  };
  guint i, upstream, receiver;

  for (i = 0; i < G_N_ELEMENTS (cases); i++)
    for (upstream = 0; upstream < 2; upstream++)
      for (receiver = 0; receiver < 2; receiver++) {
        g_autoptr (GstEvent) event = upstream ?
            gst_video_event_new_upstream_force_key_unit (cases[i].time, FALSE,
            0) : gst_video_event_new_downstream_force_key_unit (0, 0,
            cases[i].time, FALSE, 0);
        g_autoptr (GVariant) dict = to_wire (event, receiver ? 0 :
            cases[i].shift);
        g_autoptr (GstEvent) back =
            gst_mmap_event_from_variant (GST_EVENT_TYPE (event), 0,
            receiver ? cases[i].shift : 0, dict);

        g_assert_cmpuint (key_unit_running_time (back), ==, cases[i].expected);
      }
}

/* A field that no string can stand for is left out; the rest crosses. */
static void
test_unwritable_field (void)
{
  GstStructure *structure = make_structure ();
  g_autoptr (GstEvent) event = NULL;

  gst_structure_set (structure, "pointer", G_TYPE_POINTER, structure, NULL);
  event = cross (gst_event_new_custom (GST_EVENT_CUSTOM_UPSTREAM, structure));
  g_assert_false (gst_structure_has_field (gst_event_get_structure (event),
          "pointer"));
  g_assert_true (gst_structure_has_field (gst_event_get_structure (event),
          "text"));
}

/* Types that mean nothing in another process, or that travel by themselves. */
static void
test_what_stays (void)
{
  GstEvent *events[] = {
    gst_event_new_buffer_size (GST_FORMAT_TIME, 1, 2, FALSE),
    gst_event_new_eos (),
    gst_event_new_instant_rate_sync_time (1.0, 0, 0),
  };
  guint i;

  for (i = 0; i < G_N_ELEMENTS (events); i++) {
    GVariantDict dict;

    g_variant_dict_init (&dict, NULL);
    g_assert_false (gst_mmap_event_to_dict (events[i], 0, &dict));
    g_variant_dict_clear (&dict);
    gst_event_unref (events[i]);
  }
}

/* --- what makes no sense --- */

/* @text: of a{sv} */
static GstEvent *
event_of (guint32 type, const char *text)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (GVariant) dict = g_variant_parse (G_VARIANT_TYPE_VARDICT, text,
      NULL, NULL, &error);

  g_assert_no_error (error);
  return gst_mmap_event_from_variant (type, 0, 0, dict);
}

static void
test_refused (void)
{
  static const struct
  {
    guint32 type;
    const char *text;
  } cases[] = {
    {0, "@a{sv} {}"},
    {G_MAXUINT32, "@a{sv} {}"},
    {GST_EVENT_UNKNOWN | GST_EVENT_TYPE_BOTH, "@a{sv} {}"},
    {GST_EVENT_CAPS, "@a{sv} {}"},
    {GST_EVENT_STREAM_START, "@a{sv} {}"},
    {GST_EVENT_STREAM_START, "{'stream-id': <5>}"},
    {GST_EVENT_STREAM_COLLECTION, "@a{sv} {}"},
    {GST_EVENT_STREAM_COLLECTION, "{'streams': <5>}"},
    {GST_EVENT_STREAM_COLLECTION,
        "{'streams': <[('id', uint32 2, uint32 0, '{', '')]>}"},
    {GST_EVENT_RECONFIGURE, "@a{sv} {}"},
    {GST_EVENT_STREAM_GROUP_DONE, "@a{sv} {}"},
    {GST_EVENT_STREAM_GROUP_DONE, "{'group-id': <uint32 0>}"},
    {GST_EVENT_TAG, "@a{sv} {}"},
    {GST_EVENT_TAG, "{'tags': <''>}"},
    {GST_EVENT_TAG, "{'tags': <'title=(string)no'>}"},
    {GST_EVENT_TAG, "{'tags': <'video/x-raw, title=(string)no'>}"},
    {GST_EVENT_TAG, "{'tags': <uint32 5>}"},
    {GST_EVENT_TOC, "@a{sv} {}"},
    {GST_EVENT_TOC, "{'toc': <5>}"},
    {GST_EVENT_TOC, "{'toc': <<5>>}"},
    {GST_EVENT_TOC, "{'toc': <<(uint32 7, '', @av [])>>}"},
    /* An entry of no type; of one that is none. */
    {GST_EVENT_TOC, "{'toc': <<(uint32 1, '', [<('e', 0, int64 0, int64 1, "
          "'', @av [])>])>>}"},
    {GST_EVENT_TOC, "{'toc': <<(uint32 1, '', [<('e', 77, int64 0, int64 1, "
          "'', @av [])>])>>}"},
    /* An alternative beside a sequence. */
    {GST_EVENT_TOC, "{'toc': <<(uint32 1, '', ["
          "<('e', -2, int64 0, int64 1, '', @av [])>, "
          "<('c', 3, int64 0, int64 1, '', @av [])>])>>}"},
    {GST_EVENT_PROTECTION, "@a{sv} {}"},
    {GST_EVENT_PROTECTION, "{'system-id': <'x'>}"},
    {GST_EVENT_PROTECTION, "{'data': <b'x'>}"},
    /* No name of a structure, as GStreamer makes one of it. */
    {GST_EVENT_PROTECTION, "{'data': <b'x'>, 'system-id': <'{'>}"},
    {GST_EVENT_PROTECTION, "{'data': <b'x'>, 'system-id': <'x'>, "
          "'origin': <'\303\244'>}"},
    {GST_EVENT_SEGMENT_DONE, "{'format': <uint32 3>}"},
    {GST_EVENT_SEGMENT_DONE, "{'format': <uint32 99>, 'position': <int64 1>}"},
    {GST_EVENT_GAP, "@a{sv} {}"},
    {GST_EVENT_GAP, "{'timestamp': <uint64 0xffffffffffffffff>}"},
    {GST_EVENT_INSTANT_RATE_CHANGE, "@a{sv} {}"},
    {GST_EVENT_INSTANT_RATE_CHANGE, "{'multiplier': <0.0>}"},
    {GST_EVENT_LATENCY, "@a{sv} {}"},
    {GST_EVENT_SEEK, "@a{sv} {}"},
    {GST_EVENT_STEP, "@a{sv} {}"},
    {GST_EVENT_TOC_SELECT, "@a{sv} {}"},
    {GST_EVENT_SELECT_STREAMS, "@a{sv} {}"},
    {GST_EVENT_SELECT_STREAMS, "{'streams': <@as []>}"},
    {GST_EVENT_NAVIGATION, "@a{sv} {}"},
    {GST_EVENT_NAVIGATION, "{'structure': <''>}"},
    {GST_EVENT_CUSTOM_BOTH, "{'structure': <'{'>}"},
    /* Each is kept under its name. */
    {GST_EVENT_CUSTOM_DOWNSTREAM_STICKY, "@a{sv} {}"},
  };
  guint i;

  for (i = 0; i < G_N_ELEMENTS (cases); i++) {
    GstEvent *event = event_of (cases[i].type, cases[i].text);

    if (event)
      g_error ("%s was accepted: %s", cases[i].text,
          GST_EVENT_TYPE_NAME (event));
  }
}

/* Each of these a seek or step must not have. */
static void
test_refused_seeks (void)
{
  static const char *const seeks[] = {
    /* rate, format, flags, start-type, stop-type */
    "0.0 3 1 1 0", "inf 3 1 1 0", "nan 3 1 1 0", "1.0 0 1 1 0",
    "1.0 99 1 1 0", "1.0 3 1 3 0", "1.0 3 1 1 3", "1.0 3 1 4294967295 0",
    /* An instant change of rate that is more than that: INSTANT is 1024. */
    "1.0 3 1024 1 0", "1.0 3 1024 0 1", "1.0 3 1025 0 0",
    /* To snap (32, 64) is of use to whole units (4) only. */
    "1.0 3 33 1 0", "1.0 3 64 1 0", "1.0 3 96 1 0",
  };
  static const char *const steps[] = { "0.0", "-1.0", "inf", "nan" };
  guint i;

  for (i = 0; i < G_N_ELEMENTS (seeks); i++) {
    g_auto (GStrv) words = g_strsplit (seeks[i], " ", -1);
    g_autofree char *text = g_strdup_printf ("{'rate': <@d %s>, "
        "'format': <uint32 %s>, 'flags': <uint32 %s>, "
        "'start-type': <uint32 %s>, 'stop-type': <uint32 %s>, "
        "'start': <int64 0>, 'stop': <int64 0>}", words[0], words[1], words[2],
        words[3], words[4]);

    g_assert_null (event_of (GST_EVENT_SEEK, text));
  }
  for (i = 0; i < G_N_ELEMENTS (steps); i++) {
    g_autofree char *text = g_strdup_printf ("{'format': <uint32 3>, "
        "'amount': <uint64 1>, 'rate': <@d %s>, 'flush': <true>, "
        "'intermediate': <true>}", steps[i]);

    g_assert_null (event_of (GST_EVENT_STEP, text));
  }
}

/* Of tags that this process doesn't know, or that have values of another type, the others cross. */
static void
test_odd_tags (void)
{
  g_autoptr (GstEvent) event = event_of (GST_EVENT_TAG, "{'tags': <'taglist, "
      "x-unknown=(int)5, title=(int)5, bitrate=(string)many, "
      "artist=(string){ \"one\", \"two\" }, genre={ (string)one, (int)2 }, "
      "album=(string)good'>}");
  GstTagList *tags, *merged;
  gchar *text;

  g_assert_nonnull (event);
  gst_event_parse_tag (event, &tags);
  g_assert_false (gst_tag_list_get_string (tags, GST_TAG_TITLE, &text));
  g_assert_false (gst_tag_list_get_string (tags, GST_TAG_GENRE, &text));
  g_assert_cmpuint (gst_tag_list_get_tag_size (tags, GST_TAG_ARTIST), ==, 2);
  g_assert_true (gst_tag_list_get_string (tags, GST_TAG_ALBUM, &text));
  g_assert_cmpstr (text, ==, "good");
  g_free (text);
  merged = gst_tag_list_merge (tags, tags, GST_TAG_MERGE_APPEND);
  gst_tag_list_unref (merged);
}

/* Deeper than any stack. */
static void
test_deep (void)
{
  static const char *const keys[] = { "structure", "tags" };
  guint i;

  for (i = 0; i < G_N_ELEMENTS (keys); i++) {
    g_autoptr (GString) string = g_string_new ("taglist, title=");
    g_autoptr (GVariant) dict = NULL;
    GVariantDict builder;
    guint j;

    for (j = 0; j < 1000000; j++)
      g_string_append_c (string, '{');
    g_variant_dict_init (&builder, NULL);
    g_variant_dict_insert (&builder, keys[i], "s", string->str);
    dict = g_variant_ref_sink (g_variant_dict_end (&builder));
    g_assert_null (gst_mmap_event_from_variant (i ? GST_EVENT_TAG :
            GST_EVENT_NAVIGATION, 0, 0, dict));
  }
}

/* --- random dictionaries --- */

static GVariant *
random_value (void)
{
  static const guint64 numbers[] = { 0, 1, 3, 1024, G_MAXINT32, G_MAXUINT32,
    G_MAXINT64, (guint64) G_MAXINT64 + 1, G_MAXUINT64 - 1, G_MAXUINT64
  };
  static const gdouble reals[] = { 0, -0.0, 1, -1, 1e300, -1e-300, NAN,
    INFINITY, -INFINITY
  };
  static const char *const strings[] =
      { "", "x", "taglist", "taglist, a=(int)5",
    "taglist, title=(int)1", "taglist, image=(string)5", "a/b, c=(int)5",
    "\303\244", "force-key-unit"
  };
  guint64 number = numbers[g_test_rand_int_range (0, G_N_ELEMENTS (numbers))];

  switch (g_test_rand_int_range (0, 9)) {
    case 0:
      return g_variant_new_uint32 (number);
    case 1:
      return g_variant_new_uint64 (number);
    case 2:
      return g_variant_new_int64 (number);
    case 3:
      return g_variant_new_int32 (number);
    case 4:
      return g_variant_new_boolean (number & 1);
    case 5:
      return g_variant_new_double (reals[g_test_rand_int_range (0,
                  G_N_ELEMENTS (reals))]);
    case 6:
      return g_variant_new_strv (strings, number & 3);
    case 7:
      return g_variant_new_bytestring (strings[number & 7]);
    default:
      return g_variant_new_string (strings[g_test_rand_int_range (0,
                  G_N_ELEMENTS (strings))]);
  }
}

/* The same type, but another value. */
static GVariant *
random_value_like (GVariant * value)
{
  guint i;

  for (i = 0; i < 100; i++) {
    GVariant *other = g_variant_ref_sink (random_value ());

    if (g_variant_is_of_type (other, g_variant_get_type (value)))
      return other;
    g_variant_unref (other);
  }
  return g_variant_ref (value);
}

/* Some keys have gone, others another value, or one of another type. */
static GVariant *
mutate (GVariant * dict)
{
  GVariantBuilder builder;
  GVariantIter iter;
  const char *key;
  GVariant *value;

  g_variant_builder_init (&builder, G_VARIANT_TYPE_VARDICT);
  g_variant_iter_init (&iter, dict);
  while (g_variant_iter_next (&iter, "{&sv}", &key, &value)) {
    gint what = g_test_rand_int_range (0, 12);
    g_autoptr (GVariant) other = what == 1 ?
        g_variant_ref_sink (random_value ()) :
        what < 5 ? random_value_like (value) : g_variant_ref (value);

    if (what != 0)
      g_variant_builder_add (&builder, "{sv}", key, other);
    g_variant_unref (value);
  }
  return g_variant_ref_sink (g_variant_builder_end (&builder));
}

/* What elements do with an event. */
static void
use_event (GstPad * pad, GstEvent * event)
{
  g_autoptr (GVariant) again = NULL;
  GVariantDict builder;

  /* It could go on to a third process. */
  g_variant_dict_init (&builder, NULL);
  g_assert_true (gst_mmap_event_to_dict (event, 5, &builder));
  again = g_variant_ref_sink (g_variant_dict_end (&builder));
  if (GST_EVENT_IS_DOWNSTREAM (event)
      && GST_EVENT_TYPE (event) != GST_EVENT_FLUSH_START)
    gst_pad_push_event (pad, gst_event_ref (event));
  if (GST_EVENT_TYPE (event) == GST_EVENT_TAG) {
    GstTagList *tags, *merged;
    gchar *text;

    gst_event_parse_tag (event, &tags);
    merged = gst_tag_list_merge (tags, tags, GST_TAG_MERGE_APPEND);
    if (gst_tag_list_get_string (merged, GST_TAG_TITLE, &text))
      g_free (text);
    gst_tag_list_unref (merged);
  }
}

static GstPad *
make_pad (void)
{
  GstPad *pad = gst_pad_new ("src", GST_PAD_SRC);
  GstSegment segment;

  gst_segment_init (&segment, GST_FORMAT_TIME);
  gst_pad_set_active (pad, TRUE);
  gst_pad_push_event (pad, gst_event_new_stream_start ("id"));
  gst_pad_push_event (pad, gst_event_new_segment (&segment));
  return pad;
}

static GPtrArray *
make_all (void)
{
  GPtrArray *all =
      g_ptr_array_new_with_free_func ((GDestroyNotify) gst_event_unref);

  g_ptr_array_add (all, gst_event_new_flush_stop (TRUE));
  g_ptr_array_add (all, make_stream_start ());
  g_ptr_array_add (all, gst_event_new_stream_group_done (9));
  g_ptr_array_add (all, gst_event_new_segment_done (GST_FORMAT_TIME, 5));
  g_ptr_array_add (all, make_collection ());
  g_ptr_array_add (all, make_gap ());
  g_ptr_array_add (all, gst_event_new_instant_rate_change (2.0, 0));
  g_ptr_array_add (all, make_seek ());
  g_ptr_array_add (all, make_instant_rate_seek ());
  g_ptr_array_add (all, gst_event_new_step (GST_FORMAT_TIME, 1, 1.0, 1, 1));
  g_ptr_array_add (all, gst_event_new_latency (7));
  g_ptr_array_add (all, gst_event_new_toc_select ("uid"));
  g_ptr_array_add (all, make_selection ());
  g_ptr_array_add (all, gst_event_new_navigation (make_structure ()));
  g_ptr_array_add (all, make_custom (GST_EVENT_CUSTOM_DOWNSTREAM_STICKY));
  g_ptr_array_add (all, make_custom (GST_EVENT_CUSTOM_BOTH_OOB));
  g_ptr_array_add (all, make_key_unit (TRUE));
  g_ptr_array_add (all, make_key_unit (FALSE));
  g_ptr_array_add (all, make_tag (GST_TAG_SCOPE_GLOBAL));
  g_ptr_array_add (all, make_toc ());
  g_ptr_array_add (all, make_protection (3));
  return all;
}

static void
test_random (void)
{
  g_autoptr (GPtrArray) all = make_all ();
  GstPad *pad = make_pad ();
  guint n = pipe_rounds (30000), n_accepted = 0, i;

  for (i = 0; i < n; i++) {
    GstEvent *model = g_ptr_array_index (all, i % all->len);
    g_autoptr (GVariant) dict = to_wire (model, 0);
    g_autoptr (GVariant) mutated = mutate (dict);
    g_autoptr (GstEvent) event =
        gst_mmap_event_from_variant (GST_EVENT_TYPE (model), i, -7, mutated);

    if (event) {
      use_event (pad, event);
      n_accepted++;
    }
  }
  g_assert_cmpuint (n_accepted, >, n / 6);
  g_assert_cmpuint (n_accepted, <, n - n / 30);
  gst_object_unref (pad);
}

/* Bytes that are no dictionary at all, or nearly one. */
static void
test_random_bytes (void)
{
  g_autoptr (GPtrArray) all = make_all ();
  guint n = pipe_rounds (30000), i, j;

  g_assert_null (gst_mmap_dict_from_wire ("x", 1));
  for (i = 0; i < n; i++) {
    g_autoptr (GVariant) dict =
        to_wire (g_ptr_array_index (all, i % all->len), 0);
    gsize size = g_variant_get_size (dict);
    g_autofree guint8 *data = g_memdup2 (g_variant_get_data (dict), size);
    GVariant *back;

    for (j = g_test_rand_int_range (0, 4); j > 0 && size > 0; j--)
      data[g_test_rand_int_range (0, size)] = g_test_rand_int ();
    back = gst_mmap_dict_from_wire (data, size
        && g_test_rand_bit ()? size - 1 : size);
    if (back) {
      g_assert_true (g_variant_is_normal_form (back));
      g_variant_unref (back);
    }
  }
}

static void
add_tests (void)
{
  leak_check_add_test ("/event-dict/round-trips", test_round_trips);
  leak_check_add_test ("/event-dict/select-streams", test_select_streams);
  leak_check_add_test ("/event-dict/tags", test_tags);
  leak_check_add_test ("/event-dict/cover", test_cover);
  leak_check_add_test ("/event-dict/empty-tags", test_empty_tags);
  leak_check_add_test ("/event-dict/toc", test_toc);
  leak_check_add_test ("/event-dict/streams", test_streams);
  leak_check_add_test ("/event-dict/protection", test_protection);
  leak_check_add_test ("/event-dict/key-unit-shift", test_key_unit_shift);
  leak_check_add_test ("/event-dict/unwritable-field", test_unwritable_field);
  leak_check_add_test ("/event-dict/what-stays", test_what_stays);
  leak_check_add_test ("/event-dict/refused", test_refused);
  leak_check_add_test ("/event-dict/refused-seeks", test_refused_seeks);
  leak_check_add_test ("/event-dict/odd-tags", test_odd_tags);
  leak_check_add_test ("/event-dict/deep", test_deep);
  leak_check_add_test ("/event-dict/random", test_random);
  leak_check_add_test ("/event-dict/random-bytes", test_random_bytes);
}

int
main (int argc, char **argv)
{
  return pipe_test_main (argc, argv, add_tests);
}
