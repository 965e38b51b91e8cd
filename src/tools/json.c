/* gst-mmap: offers and answers as JSON
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Reads the five fields that another program wrote, believing nothing, and
 * prints them. Called by the tool's commands. One thread.
 */
#include "tool.h"
#include "error.h"

#include <errno.h>
#include <json-glib/json-glib.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* A path of 4096 bytes, each written as \u0000, is 24 KiB, the longest token
 * is 2. */
#define MAX_JSON_BYTES 32768
/* The five fields are one level; fields of later versions may have more. */
#define MAX_JSON_DEPTH 8

static gboolean
set_malformed (GError ** error, const char *reason)
{
  g_set_error (error, MMAP_ERROR, MMAP_ERROR_MESSAGE,
      "No JSON object with the fields file, size, token, token_index and "
      "token_bytes: %s", reason);
  return FALSE;
}

/* All of standard input, up to one byte more than is allowed. */
static GString *
read_stdin (GError ** error)
{
  GString *text = g_string_new (NULL);
  char buffer[4096];

  while (text->len <= MAX_JSON_BYTES) {
    gssize n = read (STDIN_FILENO, buffer, sizeof (buffer));

    if (n < 0 && errno == EINTR)
      continue;
    if (n < 0) {
      set_malformed (error, g_strerror (errno));
      g_string_free (text, TRUE);
      return NULL;
    }
    if (n == 0)
      break;
    g_string_append_len (text, buffer, n);
  }
  explicit_bzero (buffer, sizeof (buffer));
  return text;
}

/* What JSON knows besides strings: json-glib takes numbers in other bases as well, and any word. */
#define LITERAL_CHARS G_CSET_A_2_Z G_CSET_a_2_z G_CSET_DIGITS "+-."
#define LITERAL "^(true|false|null|-?(0|[1-9]\\d*)(\\.\\d+)?([eE][-+]?\\d+)?)$"

static gboolean
check_literal (const char *literal, gsize n)
{
  g_autofree char *text = g_strndup (literal, n);

  return g_regex_match_simple (LITERAL, text, G_REGEX_DOLLAR_ENDONLY, 0);
}

/* json-glib's parser takes more than JSON, such as what follows the object, and
 * calls itself for each level. */
static gboolean
check_object (const GString * text, GError ** error)
{
  gboolean in_string = FALSE, ended = FALSE;
  guint depth = 0;
  gsize i, n;

  for (i = 0; i < text->len; i++) {
    char c = text->str[i];

    if (in_string) {
      if (g_str_has_prefix (text->str + i, "\\u0000"))
        return set_malformed (error, "there is a character 0 in a string");
      if (c == '\\')
        i++;
      else if (c == '"')
        in_string = FALSE;
      continue;
    }
    if (g_ascii_isspace (c))
      continue;
    if (ended || (depth == 0 && c != '{'))
      return set_malformed (error, "there is something before or behind it");
    /* No comments, and no strings in other quotes: in these, this function
     * would not know what is nested. */
    n = strspn (text->str + i, LITERAL_CHARS);
    if (n == 0 && strchr ("{}[]\",:", c) == NULL)
      return set_malformed (error, "there is a character that isn't JSON's");
    if (n > 0 && !check_literal (text->str + i, n))
      return set_malformed (error, "there is a word or number that isn't "
          "JSON's");
    i += MAX (n, 1) - 1;
    if (c == '"')
      in_string = TRUE;
    else if (c == '{' || c == '[')
      depth++;
    else if (c == '}' || c == ']')
      depth--;
    ended = depth == 0;
    if (depth > MAX_JSON_DEPTH)
      return set_malformed (error, "it is nested too deep");
  }
  return TRUE;
}

static gboolean
check_text (const GString * text, GError ** error)
{
  if (text->len == 0)
    return set_malformed (error, "nothing was given");
  if (text->len > MAX_JSON_BYTES)
    return set_malformed (error, "it is longer than 32768 bytes");
  if (!g_utf8_validate (text->str, text->len, NULL))
    return set_malformed (error, "it is no UTF-8");
  return check_object (text, error);
}

static JsonNode *
get_field (JsonObject * object, const char *name, GType type,
    MmapError code, GError ** error)
{
  JsonNode *node = json_object_get_member (object, name);

  if (node == NULL) {
    g_set_error (error, MMAP_ERROR, code, "%s is missing", name);
    return NULL;
  }
  if (json_node_get_value_type (node) != type) {
    g_set_error (error, MMAP_ERROR, code, "%s is of type %s, expected %s",
        name, json_node_type_name (node),
        type == G_TYPE_STRING ? "String" : "Integer");
    return NULL;
  }
  return node;
}

static gboolean
get_string (JsonObject * object, const char *name, MmapError code,
    const char **value, GError ** error)
{
  JsonNode *node = get_field (object, name, G_TYPE_STRING, code, error);

  if (node == NULL)
    return FALSE;
  *value = json_node_get_string (node);
  if (**value == '\0') {
    g_set_error (error, MMAP_ERROR, code, "%s is empty", name);
    return FALSE;
  }
  return TRUE;
}

static gboolean
get_number (JsonObject * object, const char *name, MmapError code,
    guint64 least, guint64 most, guint64 * value, GError ** error)
{
  JsonNode *node = get_field (object, name, G_TYPE_INT64, code, error);
  gint64 number;

  if (node == NULL)
    return FALSE;
  number = json_node_get_int (node);
  if (number < 0 || (guint64) number < least || (guint64) number > most) {
    g_set_error (error, MMAP_ERROR, code, "%s is %" G_GINT64_FORMAT
        ", expected %" G_GUINT64_FORMAT " to %" G_GUINT64_FORMAT, name, number,
        least, most);
    return FALSE;
  }
  *value = number;
  return TRUE;
}

static gboolean
read_fields (MmapCapabilities * capabilities, JsonObject * object,
    GError ** error)
{
  const char *file, *token;
  guint64 n_bytes;

  if (!get_string (object, "file", MMAP_ERROR_FILE, &file, error)
      || !get_number (object, "size", MMAP_ERROR_SIZE, 1,
          MMAP_REGION_MAX_BYTES, &capabilities->size, error)
      || !get_string (object, "token", MMAP_ERROR_TOKEN, &token, error)
      || !get_number (object, "token_bytes", MMAP_ERROR_TOKEN_BYTES,
          MMAP_TOKEN_MIN_BYTES, MMAP_TOKEN_MAX_BYTES, &n_bytes, error)
      || !get_number (object, "token_index", MMAP_ERROR_TOKEN_INDEX, 0,
          MMAP_REGION_MAX_BYTES, &capabilities->token_index, error)
      || !mmap_token_init_string (&capabilities->token, token, n_bytes, error))
    return FALSE;
  capabilities->file = g_strdup (file);
  if (n_bytes > capabilities->size
      || capabilities->token_index > capabilities->size - n_bytes) {
    g_set_error (error, MMAP_ERROR, MMAP_ERROR_TOKEN_INDEX,
        "token_index is %" G_GUINT64_FORMAT ", expected that the %"
        G_GUINT64_FORMAT " bytes of the token end within size, %"
        G_GUINT64_FORMAT, capabilities->token_index, n_bytes,
        capabilities->size);
    return FALSE;
  }
  return TRUE;
}

/* json-glib takes the last of two equal names in silence. */
static void
count_member (JsonParser * parser, JsonObject * object, const char *name,
    GHashTable * seen)
{
  char *key = g_strdup_printf ("%p %s", object, name);

  if (!g_hash_table_add (seen, key))
    g_hash_table_add (seen, g_strdup ("twice"));
}

static gboolean
parse_text (MmapCapabilities * capabilities, const GString * text,
    GError ** error)
{
  JsonParser *parser = json_parser_new ();
  GHashTable *seen =
      g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);
  GError *local = NULL;
  JsonNode *root;
  gboolean ok;

  g_signal_connect (parser, "object-member", G_CALLBACK (count_member), seen);
  if (!json_parser_load_from_data (parser, text->str, text->len, &local)) {
    ok = set_malformed (error, local->message);
    g_error_free (local);
  } else if (g_hash_table_contains (seen, "twice")) {
    ok = set_malformed (error, "a field is there twice");
  } else {
    root = json_parser_get_root (parser);
    if (root == NULL || !JSON_NODE_HOLDS_OBJECT (root))
      ok = set_malformed (error, "it is something else");
    else
      ok = read_fields (capabilities, json_node_get_object (root), error);
  }
  g_object_unref (parser);
  g_hash_table_unref (seen);
  return ok;
}

gboolean
tool_json_read (MmapCapabilities * capabilities, const char *argument,
    GError ** error)
{
  GString *text;
  gboolean ok;

  mmap_capabilities_init (capabilities);
  if (argument == NULL || strcmp (argument, "-") == 0)
    text = read_stdin (error);
  else
    text = g_string_new (argument);
  if (text == NULL)
    return FALSE;
  ok = check_text (text, error) && parse_text (capabilities, text, error);
  if (!ok)
    mmap_capabilities_clear (capabilities);
  explicit_bzero (text->str, text->len);
  g_string_free (text, TRUE);
  return ok;
}

void
tool_json_print (const MmapCapabilities * capabilities)
{
  JsonObject *object = json_object_new ();
  JsonNode *node = json_node_new (JSON_NODE_OBJECT);
  char *token = mmap_token_to_string (&capabilities->token);
  char *text;

  json_object_set_string_member (object, "file", capabilities->file);
  json_object_set_int_member (object, "size", capabilities->size);
  json_object_set_string_member (object, "token", token);
  json_object_set_int_member (object, "token_index", capabilities->token_index);
  json_object_set_int_member (object, "token_bytes",
      capabilities->token.n_bytes);
  json_node_take_object (node, object);
  text = json_to_string (node, FALSE);
  puts (text);                  /* UTF-8 in any locale, unlike g_print() */
  json_node_unref (node);
  g_free (token);
  g_free (text);
}
