/* gst-mmap: what both elements have in common
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include "gstmmaputil.h"

#include "area-channel.h"
#include "gstmmapclock.h"
#include "remote.h"

#include <time.h>

static gint
resource_error (MmapError code)
{
  switch (code) {
    case MMAP_ERROR_NO_DIRECTORY:
    case MMAP_ERROR_NOT_FOUND:
      return GST_RESOURCE_ERROR_NOT_FOUND;
    case MMAP_ERROR_PERMISSION:
    case MMAP_ERROR_USER:
    case MMAP_ERROR_UNSAFE_PATH:
    case MMAP_ERROR_ACCESS_TOKEN:
      return GST_RESOURCE_ERROR_NOT_AUTHORIZED;
    case MMAP_ERROR_IN_USE:
    case MMAP_ERROR_LIMIT:
      return GST_RESOURCE_ERROR_BUSY;
    case MMAP_ERROR_NO_RESOURCES:
    case MMAP_ERROR_NO_SPACE:
    case MMAP_ERROR_TOO_SMALL:
      return GST_RESOURCE_ERROR_NO_SPACE_LEFT;
    case MMAP_ERROR_EXISTS:
    case MMAP_ERROR_ADDRESS:
    case MMAP_ERROR_TOKEN_BYTES:
    case MMAP_ERROR_SETTING:
      return GST_RESOURCE_ERROR_SETTINGS;
    case MMAP_ERROR_CLOSED:
      return GST_RESOURCE_ERROR_READ;
    case MMAP_ERROR_FAILED:
      return GST_RESOURCE_ERROR_FAILED;
    case MMAP_ERROR_TRUNCATED:
      return GST_RESOURCE_ERROR_READ;
    default:
      return GST_RESOURCE_ERROR_OPEN_READ;
  }
}

static void
post (GstElement * element, GstMessageType type, const GError * error)
{
  gboolean caps = g_error_matches (error, MMAP_ERROR,
      MMAP_ERROR_NOT_NEGOTIATED);
  const char *name = error->domain == MMAP_ERROR ?
      mmap_error_get_name (error->code) : g_quark_to_string (error->domain);

  gst_element_message_full (element, type,
      caps ? GST_CORE_ERROR : GST_RESOURCE_ERROR,
      caps ? GST_CORE_ERROR_NEGOTIATION :
      error->domain == MMAP_ERROR ? resource_error (error->code) :
      GST_RESOURCE_ERROR_FAILED, g_strdup_printf ("%s.", error->message),
      g_strdup_printf ("reason: %s", name), __FILE__, G_STRFUNC, __LINE__);
}

void
gst_mmap_post_error (GstElement * element, const GError * error)
{
  post (element, GST_MESSAGE_ERROR, error);
}

void
gst_mmap_post_warning (GstElement * element, const GError * error)
{
  post (element, GST_MESSAGE_WARNING, error);
}

MmapUsers *
gst_mmap_new_users (GstElement * element, const char *text)
{
  g_autoptr (GError) error = NULL;
  MmapUsers *users = mmap_users_new (text, &error);

  if (!users)
    gst_mmap_post_warning (element, error);
  return users;
}

MmapUsers *
gst_mmap_start_users (const char *text, gboolean carried, GError ** error)
{
  if (carried && text && text[0] != '\0') {
    g_set_error (error, MMAP_ERROR, MMAP_ERROR_SETTING,
        "allowed-uids=%s can't be had with signalling=application: who gets an "
        "offer is what the application decides", text);
    return NULL;
  }
  return mmap_users_new (text, error);
}

gboolean
gst_mmap_check_channel (const char *channel, gboolean in_area, GError ** error)
{
  if (in_area || g_strcmp0 (channel, MMAP_CHANNEL_DEFAULT) == 0)
    return TRUE;
  g_set_error (error, MMAP_ERROR, MMAP_ERROR_SETTING,
      "channel=%s names a stream in a file that has no socket: set file, and "
      "neither socket-path nor signalling=application", channel ? channel : "");
  return FALSE;
}

gboolean
gst_mmap_check_address (const char *address, gboolean in_area, GError ** error)
{
  if (!address)
    return TRUE;
  if (in_area)
    return mmap_remote_check (address, error);
  g_set_error (error, MMAP_ERROR, MMAP_ERROR_SETTING,
      "address=%s needs a file: set it to the file or device that both sides "
      "see, and neither socket-path nor signalling=application", address);
  return FALSE;
}

GstClockTime
gst_mmap_monotonic_now (void)
{
  struct timespec now;

  clock_gettime (CLOCK_MONOTONIC, &now);
  return GST_TIMESPEC_TO_TIME (now);
}

/* Whether its time is CLOCK_MONOTONIC, but for its calibration. Clocks of the network (PTP, NTP) are system clocks, too: by their type,
 * and by what they say in "clock-type". */
static gboolean
is_system_monotonic (GstClock * clock)
{
  GstClockType type = GST_CLOCK_TYPE_REALTIME;

  if (G_OBJECT_TYPE (clock) != GST_TYPE_SYSTEM_CLOCK
      && G_OBJECT_TYPE (clock) != GST_TYPE_MMAP_CLOCK)
    return FALSE;
  g_object_get (clock, "clock-type", &type, NULL);
  return type == GST_CLOCK_TYPE_MONOTONIC;
}

static gboolean
is_calibrated (GstClock * clock)
{
  GstClockTime internal, external, numerator, denominator;

  gst_clock_get_calibration (clock, &internal, &external, &numerator,
      &denominator);
  return internal != external || numerator != denominator;
}

GstClockTime
gst_mmap_anchor_get (GstMmapAnchor * anchor, GstElement * element)
{
  GstClock *old = anchor->clock, *clock;
  GstClockTime base_time;

  GST_OBJECT_LOCK (element);
  clock = GST_ELEMENT_CLOCK (element);
  base_time = element->base_time;
  if (clock != old)
    anchor->clock = clock ? gst_object_ref (clock) : NULL;
  GST_OBJECT_UNLOCK (element);

  if (clock != old) {
    gst_clear_object (&old);
    anchor->monotonic = clock && is_system_monotonic (clock);
  }
  if (!clock || !GST_CLOCK_TIME_IS_VALID (base_time))
    return GST_CLOCK_TIME_NONE;
  if (anchor->monotonic && !is_calibrated (clock))
    return base_time;
  return base_time + (gst_mmap_monotonic_now () - gst_clock_get_time (clock));
}

void
gst_mmap_anchor_clear (GstMmapAnchor * anchor)
{
  gst_clear_object (&anchor->clock);
}
