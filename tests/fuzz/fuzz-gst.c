/* gst-mmap: what the targets of the elements share
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * GStreamer's parser of strings takes some of them for bugs of its caller, and logs warnings and criticals; and leaks some values. As
 * long as it is at work, and only then, that is let pass. The targets are linked with --wrap for these functions.
 */
#include "fuzz-gst.h"

const char *const fuzz_gst_strings[] = {
  "video/x-raw", "video/x-raw, format=(string)GRAY8, width=64, height=48",
  "audio/x-raw, format=S16LE, rate=48000, channels=2, layout=interleaved",
  "application/x-mmap", "taglist", "name", ", ", "=", ";", "{ ", " }", "[ ",
  " ]", "< ", " >", "(int)", "(string)", "(fraction)", "(structure)", "(caps)",
  "(GstCaps)", "(GstTagList)", "(bitmask)", "(buffer)", "(datetime)", "(date)",
  "(sample)", "(segment)", "(type)", "(uint64)", "(double)", "(boolean)",
  "(float)", "(GstCapsFeatures)", "(memory:DMABuf)", "ANY", "EMPTY", "NONE",
  "\"", "\\", "1", "-1", "1/2", "1/0", "0", "99999999999999999999", "true",
  "a", "title", "taglist, title=(string)a, track-number=(uint)3", "artist",
  "name, a=(int)1, b=(string)c", "format", "GstForceKeyUnit", "0x10",
  "2026-11-22T01:02:03Z", "01020304", "size", "token", "media", "protocol",
  "application/x-mmap, size=[ 1, 1000 ], token-bytes={ 32, 64 }", "file",
  "id", "uid", "system", "origin", "en", "gst-mmap", "", NULL
};

char *
fuzz_gst_string (FuzzInput * input)
{
  return fuzz_string (input, fuzz_gst_strings);
}

GstCaps *__real_gst_caps_from_string (const gchar * string);
GstCaps *__wrap_gst_caps_from_string (const gchar * string);
GstStructure *__real_gst_structure_from_string (const gchar * string,
    gchar ** end);
GstStructure *__wrap_gst_structure_from_string (const gchar * string,
    gchar ** end);
gboolean __real_gst_value_deserialize_with_pspec (GValue * value,
    const gchar * text, GParamSpec * pspec);
gboolean __wrap_gst_value_deserialize_with_pspec (GValue * value,
    const gchar * text, GParamSpec * pspec);

static void
begin_parser (void)
{
  fuzz_allow_complaints (TRUE);
  fuzz_allow_leaks (TRUE);
}

static void
end_parser (void)
{
  fuzz_allow_leaks (FALSE);
  fuzz_allow_complaints (FALSE);
}

GstCaps *
__wrap_gst_caps_from_string (const gchar * string)
{
  GstCaps *caps, *copy;

  begin_parser ();
  caps = __real_gst_caps_from_string (string);
  end_parser ();
  /* Whoever leaks that is seen. */
  copy = caps ? gst_caps_copy (caps) : NULL;
  gst_clear_caps (&caps);
  return copy;
}

GstStructure *
__wrap_gst_structure_from_string (const gchar * string, gchar ** end)
{
  GstStructure *structure, *copy;

  begin_parser ();
  structure = __real_gst_structure_from_string (string, end);
  end_parser ();
  copy = structure ? gst_structure_copy (structure) : NULL;
  g_clear_pointer (&structure, gst_structure_free);
  return copy;
}

gboolean
__wrap_gst_value_deserialize_with_pspec (GValue * value, const gchar * text,
    GParamSpec * pspec)
{
  gboolean good;

  begin_parser ();
  good = __real_gst_value_deserialize_with_pspec (value, text, pspec);
  end_parser ();
  return good;
}

void
fuzz_start (void)
{
  gst_init (NULL, NULL);
}
