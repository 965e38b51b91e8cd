/* gst-mmap: what all fuzz targets share: GVariants, right and wrong
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "fuzz.h"

#include <string.h>

/* Deeper than anything here allows. */
#define MAX_DEPTH 40

/* More elements than that an array has only of the same one. */
#define MAX_ELEMENTS 8
#define MANY_FROM 252
#define MANY 1030
#define MAX_MANY_BYTES 200

/* What a boxed value may be, and should not. */
static const char *const types[] = {
  "u", "t", "s", "b", "x", "i", "d", "y", "ms", "as", "ay", "(ii)", "v",
  "a{sv}", "a(sv)", "n", "q", "o", "g", "h", "()", "av", "a(sa(ssv))",
  "(usav)", "(sixxsav)", "at", "mv", "a{us}", NULL
};

static GVariant *make (FuzzInput * input, const GVariantType * type,
    const FuzzWords * words, guint depth);

static GVariant *
make_string (FuzzInput * input, const FuzzWords * words)
{
  return g_variant_new_take_string (fuzz_string (input, words->words));
}

static GVariant *
make_number (FuzzInput * input, char type)
{
  guint64 number = fuzz_number (input);

  switch (type) {
    case 'b':
      return g_variant_new_boolean (number & 1);
    case 'y':
      return g_variant_new_byte (number);
    case 'n':
      return g_variant_new_int16 (number);
    case 'q':
      return g_variant_new_uint16 (number);
    case 'i':
      return g_variant_new_int32 (number);
    case 'u':
      return g_variant_new_uint32 (number);
    case 'x':
      return g_variant_new_int64 (number);
    case 'h':
      return g_variant_new_handle (number);
    default:
      return g_variant_new_uint64 (number);
  }
}

static GVariant *
make_any (FuzzInput * input, const FuzzWords * words, guint depth)
{
  const char *type = types[fuzz_below (input, G_N_ELEMENTS (types) - 1)];

  return make (input, G_VARIANT_TYPE (type), words, depth + 1);
}

/* By a name's type, or another. */
static GVariant *
make_for_key (FuzzInput * input, const FuzzKey * key, gboolean right,
    const FuzzWords * words, guint depth)
{
  return right ? make (input, G_VARIANT_TYPE (key->type), words, depth + 1) :
      make_any (input, words, depth);
}

static const FuzzKey *
choose_key (FuzzInput * input, const FuzzKey * keys, gboolean * right)
{
  guint8 choice = fuzz_byte (input);
  guint n = 0;

  while (keys[n].name)
    n++;
  *right = choice < 224;
  return &keys[choice % n];
}

/* "(sv)" and "(ssv)" where the one string says what type the value has. */
static GVariant *
make_named (FuzzInput * input, const FuzzWords * words, gboolean two,
    guint depth)
{
  gboolean right;
  const FuzzKey *key = choose_key (input, words->values, &right);
  g_autofree char *name = two ? fuzz_string (input, words->words) : NULL;
  GVariant *value = make_for_key (input, key, right, words, depth);

  return two ? g_variant_new ("(ssv)", name, key->name, value) :
      g_variant_new ("(sv)", key->name, value);
}

static GVariant *
make_array (FuzzInput * input, const GVariantType * type,
    const FuzzWords * words, guint depth)
{
  const GVariantType *element = g_variant_type_element (type);
  guint n = fuzz_byte (input), i;
  GVariantBuilder builder;

  if (g_variant_type_equal (element, G_VARIANT_TYPE_BYTE)) {
    gsize size;
    const guint8 *bytes = fuzz_bytes (input, n, &size);

    return g_variant_new_fixed_array (element, bytes, size, 1);
  }
  g_variant_builder_init (&builder, type);
  if (n >= MANY_FROM && !input->had_many) {
    g_autoptr (GVariant) same = NULL;

    input->had_many = TRUE;
    same = g_variant_ref_sink (make (input, element, words, depth + 1));
    n = g_variant_get_size (same) > MAX_MANY_BYTES ? 1 :
        (n - MANY_FROM + 1) * MANY;
    for (i = 0; i < n; i++)
      g_variant_builder_add_value (&builder, same);
  } else {
    for (i = 0; i < n % MAX_ELEMENTS; i++)
      g_variant_builder_add_value (&builder, make (input, element, words,
              depth + 1));
  }
  return g_variant_builder_end (&builder);
}

static GVariant *
make_tuple (FuzzInput * input, const GVariantType * type,
    const FuzzWords * words, guint depth)
{
  const GVariantType *item;
  GVariantBuilder builder;

  g_variant_builder_init (&builder, type);
  for (item = g_variant_type_first (type); item;
      item = g_variant_type_next (item))
    g_variant_builder_add_value (&builder, make (input, item, words,
            depth + 1));
  return g_variant_builder_end (&builder);
}

/* Returns: floating */
static GVariant *
make (FuzzInput * input, const GVariantType * type, const FuzzWords * words,
    guint depth)
{
  const char *start = g_variant_type_peek_string (type);

  if (words->values && (g_variant_type_equal (type, G_VARIANT_TYPE ("(sv)"))
          || g_variant_type_equal (type, G_VARIANT_TYPE ("(ssv)"))))
    return make_named (input, words, start[2] == 's', depth);
  switch (*start) {
    case 's':
      return make_string (input, words);
    case 'o':
      return g_variant_new_object_path ("/");
    case 'g':
      return g_variant_new_signature ("u");
    case 'd':
      return g_variant_new_double (fuzz_double (input));
    case 'v':
      return g_variant_new_variant (depth > MAX_DEPTH ?
          g_variant_new_byte (0) : make_any (input, words, depth));
    case 'm':
      return g_variant_new_maybe (g_variant_type_element (type),
          fuzz_one_in (input, 4) ? NULL : make (input,
              g_variant_type_element (type), words, depth + 1));
    case 'a':
      if (depth > MAX_DEPTH || input->size == 0)
        return g_variant_new_array (g_variant_type_element (type), NULL, 0);
      return make_array (input, type, words, depth);
    case '(':
    case '{':
      return make_tuple (input, type, words, depth);
    default:
      return make_number (input, *start);
  }
}

GVariant *
fuzz_variant (FuzzInput * input, const GVariantType * type,
    const FuzzWords * words)
{
  return g_variant_ref_sink (make (input, type, words, 0));
}

static void
add_entry (FuzzInput * input, GVariantBuilder * builder, gboolean is_dict,
    const FuzzKey * keys, const FuzzWords * words)
{
  gboolean right;
  const FuzzKey *key = choose_key (input, keys, &right);
  g_autofree char *name = !right && fuzz_one_in (input, 2) ?
      fuzz_string (input, words->words) : g_strdup (key->name);
  GVariant *value = make_for_key (input, key, right, words, 0);

  g_variant_builder_add (builder, is_dict ? "{sv}" : "(sv)", name, value);
}

GVariant *
fuzz_dict (FuzzInput * input, const char *type, const FuzzKey * keys,
    const FuzzWords * words)
{
  guint n = fuzz_below (input, 16);
  GVariantBuilder builder;

  g_variant_builder_init (&builder, G_VARIANT_TYPE (type));
  while (n-- > 0 && input->size > 0)
    add_entry (input, &builder, type[1] == '{', keys, words);
  return g_variant_ref_sink (g_variant_builder_end (&builder));
}

/* Returns: floating: @entry, with another value of the same type */
static GVariant *
replace_value (FuzzInput * input, GVariant * entry, const FuzzWords * words)
{
  g_autoptr (GVariant) old = NULL;
  const char *name;

  g_variant_get (entry, "{&sv}", &name, &old);
  return g_variant_new ("{sv}", name, make (input, g_variant_get_type (old),
          words, 0));
}

GVariant *
fuzz_edit_dict (FuzzInput * input, GVariant * dict, const FuzzKey * keys,
    const FuzzWords * words)
{
  guint8 choice = fuzz_byte (input);
  guint changed = choice & 3 ? fuzz_below (input, 16) : 16, i = 0;
  GVariantBuilder builder;
  GVariantIter iter;
  GVariant *entry;

  if (choice < 128)
    return dict;
  g_variant_builder_init (&builder, G_VARIANT_TYPE_VARDICT);
  g_variant_iter_init (&iter, dict);
  while ((entry = g_variant_iter_next_value (&iter))) {
    if (i != changed)
      g_variant_builder_add_value (&builder, entry);
    else if (choice & 1)
      g_variant_builder_add_value (&builder, replace_value (input, entry,
              words));
    g_variant_unref (entry);
    i++;
  }
  if (choice & 4)
    add_entry (input, &builder, TRUE, keys, words);
  g_variant_unref (dict);
  return g_variant_ref_sink (g_variant_builder_end (&builder));
}

GByteArray *
fuzz_serialise (FuzzInput * input, GVariant * variant)
{
  GByteArray *bytes = g_byte_array_new ();
  guint8 choice = fuzz_byte (input);
  gsize position;

  g_byte_array_append (bytes, g_variant_get_data (variant),
      g_variant_get_size (variant));
  g_variant_unref (variant);
  if (choice < 192)
    return bytes;
  for (choice &= 7; bytes->len > 0; choice--) {
    /* The offsets that say where values begin are at the end. */
    position = fuzz_number (input) % bytes->len;
    if (fuzz_one_in (input, 2))
      position = bytes->len - 1 - position;
    bytes->data[position] = fuzz_byte (input);
    if (choice == 0)
      break;
  }
  if (fuzz_one_in (input, 4))
    g_byte_array_set_size (bytes, fuzz_number (input) % (bytes->len + 1));
  return bytes;
}

GVariant *
fuzz_reparse (GByteArray * bytes, const char *type)
{
  /* A copy of exactly that size: who reads past its end is seen. */
  g_autoptr (GBytes) data = g_bytes_new (bytes->data, bytes->len);

  return g_variant_ref_sink (g_variant_new_from_bytes (G_VARIANT_TYPE (type),
          data, FALSE));
}
