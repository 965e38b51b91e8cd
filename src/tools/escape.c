/* gst-mmap: the command-line tool: what is shown of others' words
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "tool.h"

char *
tool_escape (const char *text)
{
  GString *escaped = g_string_new (NULL);

  while (*text != '\0') {
    gunichar c = g_utf8_get_char_validated (text, -1);
    const char *next = text + 1;

    if (c != (gunichar) - 1 && c != (gunichar) - 2) {
      next = g_utf8_next_char (text);
      if (g_unichar_isprint (c)) {
        g_string_append_len (escaped, text, next - text);
        text = next;
        continue;
      }
    }
    for (; text < next; text++)
      g_string_append_printf (escaped, "\\x%02x", (guint8) * text);
  }
  return g_string_free (escaped, FALSE);
}
