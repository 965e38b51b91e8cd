/* gst-mmap: fuzz target: the JSON that gst-mmap answer and gst-mmap verify read
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "fuzz.h"

#include "error.h"
#include "tools/tool.h"

#include <json-glib/json-glib.h>
#include <string.h>

static const char *const words[] = {
  "{", "}", "[", "]", "\"", ":", ",", "\"file\"", "\"size\"", "\"token\"",
  "\"token_index\"", "\"token_bytes\"", "\"/dev/shm/x\"", "65536", "1e3", "-1",
  "0", "16", "1025", "\"0x1\"", "\"0x0123456789abcdef0123456789abcdef\"",
  "null", "true", "\\u0000", "\\ud800", "\\", "//", "/*", "1.5",
  "99999999999999999999", " ", "\n",
  "{\"file\": \"/f\", \"size\": 65536, \"token\": \"0x1\", "
      "\"token_index\": 8192, \"token_bytes\": 16",
  "{\"file\": \"/f\", \"size\": 65536, \"token\": \"0x1\", "
      "\"token_bytes\": 16, \"token_index\": ", NULL
};

/* json-glib itself leaks what it has of a string or a comment that doesn't end. The tool ends then. */
gboolean __real_json_parser_load_from_data (JsonParser * parser,
    const gchar * data, gssize length, GError ** error);
gboolean __wrap_json_parser_load_from_data (JsonParser * parser,
    const gchar * data, gssize length, GError ** error);

gboolean
__wrap_json_parser_load_from_data (JsonParser * parser, const gchar * data,
    gssize length, GError ** error)
{
  gboolean loaded;

  fuzz_allow_leaks (TRUE);
  loaded = __real_json_parser_load_from_data (parser, data, length, error);
  fuzz_allow_leaks (FALSE);
  return loaded;
}

void
fuzz_start (void)
{
}

void
fuzz_run (FuzzInput * input)
{
  g_autofree char *text = NULL;
  g_autoptr (GError) error = NULL;
  MmapCapabilities read;

  if (fuzz_one_in (input, 4))
    text = g_strndup ((const char *) input->data, input->size);
  else
    text = fuzz_string (input, words);
  /* That would be standard input. */
  if (strcmp (text, "-") == 0)
    return;
  if (tool_json_read (&read, text, &error)) {
    fuzz_assert (!error && read.file && read.size > 0
        && read.size <= MMAP_REGION_MAX_BYTES);
    fuzz_assert (read.token.n_bytes >= MMAP_TOKEN_MIN_BYTES
        && read.token.n_bytes <= MMAP_TOKEN_MAX_BYTES);
    fuzz_assert (read.token_index <= read.size
        && read.token.n_bytes <= read.size - read.token_index);
    mmap_capabilities_clear (&read);
  } else {
    fuzz_assert (error && error->domain == MMAP_ERROR);
  }
}
