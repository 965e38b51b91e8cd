/* gst-mmap: what all fuzz targets share
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * A target reads the bytes of its input as decisions: which word, which number, which message next. So almost every input is a
 * case, and what the coverage rewards is a decision. What parsers get can be damaged afterwards, byte by byte.
 */
#pragma once

#include <gio/gio.h>

G_BEGIN_DECLS

/* --- what a target, fuzz-NAME.c, is --- */

/**
 * FuzzInput:
 * @had_many: there was an array of thousands of elements: one takes long enough
 *
 * What is left of the input. At its end all that is taken is 0.
 */
typedef struct
{
  const guint8 *data;
  gsize size;
  gboolean had_many;
} FuzzInput;

/* Once, before the first input. */
void fuzz_start (void);

/* One input. Nothing may be left of it: no descriptor, no thread, no memory. */
void fuzz_run (FuzzInput * input);

/* --- what fuzz.c does with it --- */

/* As libFuzzer, and replay.c without it, call them. */
int LLVMFuzzerInitialize (int *argc, char ***argv);
int LLVMFuzzerTestOneInput (const guint8 * data, gsize size);

/* Ends the program: the target has found something. */
#define fuzz_assert(condition) \
  G_STMT_START { \
    if (G_UNLIKELY (!(condition))) \
      fuzz_fail (__FILE__, __LINE__, #condition); \
  } G_STMT_END
G_NORETURN void fuzz_fail (const char *file, int line, const char *condition);

/* While it is allowed, warnings and criticals don't end the program: see fuzz-gst.c. */
void fuzz_allow_complaints (gboolean allow);

/* What is allocated while it is allowed may be leaked. */
void fuzz_allow_leaks (gboolean allow);

/* --- decisions --- */

guint8 fuzz_byte (FuzzInput * input);
guint fuzz_below (FuzzInput * input, guint n);
gboolean fuzz_one_in (FuzzInput * input, guint n);

/* Small ones, those at the limits of types and of what the protocol allows, or any. */
guint64 fuzz_number (FuzzInput * input);
gdouble fuzz_double (FuzzInput * input);

/* Bytes of the input itself, @n at most. */
const guint8 *fuzz_bytes (FuzzInput * input, gsize n, gsize * taken);

/* Returns: (transfer full): words of @words, whole or damaged, repeated, in a row; valid UTF-8
 * @words: ends with %NULL */
char *fuzz_string (FuzzInput * input, const char *const *words);

/* --- GVariant --- */

/* A name, and the type of the value that goes with it. A table ends with %NULL. */
typedef struct
{
  const char *name;
  const char *type;
} FuzzKey;

/**
 * FuzzWords:
 * @words: for strings
 * @values: (nullable): names for "(sv)" and "(ssv)", where the value has to have a type by its name
 */
typedef struct
{
  const char *const *words;
  const FuzzKey *values;
} FuzzWords;

/* Returns: (transfer full): a value of @type */
GVariant *fuzz_variant (FuzzInput * input, const GVariantType * type,
    const FuzzWords * words);

/* Returns: (transfer full): an array of @type, "a{sv}" or "a(sv)", with names of @keys, mostly with values of their types */
GVariant *fuzz_dict (FuzzInput * input, const char *type,
    const FuzzKey * keys, const FuzzWords * words);

/* Returns: (transfer full): @dict, an a{sv}, with some values replaced, added, left out, mostly none
 * @dict: (transfer full) */
GVariant *fuzz_edit_dict (FuzzInput * input, GVariant * dict,
    const FuzzKey * keys, const FuzzWords * words);

/* Returns: (transfer full): the bytes of @variant (transfer full), mostly whole */
GByteArray *fuzz_serialise (FuzzInput * input, GVariant * variant);

/* Returns: (transfer full): those bytes as another process's, of @type, not checked */
GVariant *fuzz_reparse (GByteArray * bytes, const char *type);

G_END_DECLS
