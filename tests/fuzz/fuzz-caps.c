/* gst-mmap: fuzz target: capabilities as caps, and what accept-capabilities allows of them
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * The capabilities are another process's; the caps come from an application that may have got them from anywhere.
 */
#include "fuzz-gst.h"

#include "error.h"
#include "gstmmapcapabilities.h"
#include "gstmmapevent.h"
#include "gstmmaptext.h"

static const FuzzKey keys[] = {
  {"protocol", "u"}, {"session", "t"}, {"region-id", "u"}, {"link-id", "u"},
  {"file", "s"}, {"size", "t"}, {"token", "s"}, {"token-index", "t"},
  {"token-bytes", "u"}, {"max-held", "t"}, {"media", "s"}, {NULL, NULL}
};

static const FuzzWords words = { fuzz_gst_strings, NULL };

static void
check_error (gboolean good, const GError * error)
{
  fuzz_assert (good == (error == NULL));
  fuzz_assert (!error || (error->domain == MMAP_ERROR && error->message[0]));
}

static void
try_caps (GstCaps * caps)
{
  g_autoptr (GVariant) variant = NULL;
  g_autoptr (GError) error = NULL;
  GstCaps *again;

  variant = gst_mmap_capabilities_from_caps (caps, &error);
  check_error (variant != NULL, error);
  if (!variant)
    return;
  again = gst_mmap_capabilities_to_caps (variant);
  fuzz_assert (gst_caps_is_fixed (again) || gst_structure_has_field
      (gst_caps_get_structure (again, 0), "media"));
  gst_caps_unref (again);
}

static void
try_offer (GVariant * offer, GstCaps * accept)
{
  g_autofree gchar *string = NULL;
  g_autoptr (GError) error = NULL;
  const char *media = NULL;
  gboolean good;
  GstCaps *caps;

  caps = gst_mmap_capabilities_to_caps (offer);
  string = gst_caps_to_string (caps);
  gst_caps_unref (caps);
  good = gst_mmap_capabilities_check (accept, offer, &error);
  check_error (good, error);
  /* What the elements show of it. */
  g_variant_lookup (offer, "media", "&s", &media);
  caps = gst_mmap_capabilities_summarise ("memfd", 1, 0, media);
  gst_caps_unref (caps);
}

void
fuzz_run (FuzzInput * input)
{
  g_autofree char *string = fuzz_gst_string (input);
  g_autoptr (GByteArray) bytes = NULL;
  g_autoptr (GVariant) offer = NULL;
  GstCaps *caps;

  caps = gst_mmap_caps_from_string (string);
  bytes = fuzz_serialise (input, fuzz_dict (input, "a{sv}", keys, &words));
  offer = gst_mmap_dict_from_wire (bytes->data, bytes->len);
  if (caps)
    try_caps (caps);
  if (offer)
    try_offer (offer, caps);
  gst_clear_caps (&caps);
}
