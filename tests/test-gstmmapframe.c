/* gst-mmap: tests of buffers as descriptors, and back
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * What a producer says about planes must never make a consumer read behind a payload: payloads end where readable memory
 * ends.
 */
#include "gstmmapframe.h"
#include "leak-check.h"
#include "pipe.h"

#include <string.h>
#include <sys/mman.h>

static const struct
{
  guint width, height;
} sizes[] = { {1, 1}, {2, 2}, {37, 21}, {333, 77}, {130, 301} };

static guint
last_format (void)
{
  guint format = GST_VIDEO_FORMAT_ENCODED;

  while (gst_video_format_to_string (format + 1))
    format++;
  /* As of 1.22. */
  g_assert_cmpuint (format, >=, GST_VIDEO_FORMAT_NV12_10BE_8L128);
  return format;
}

/* What a peer sends of a picture with @info's layout. */
static void
describe_info (const GstVideoInfo * info, MmapDescriptor * frame)
{
  guint i;

  memset (frame, 0, sizeof *frame);
  frame->size = GST_VIDEO_INFO_SIZE (info);
  frame->video_format = GST_VIDEO_INFO_FORMAT (info);
  frame->width = GST_VIDEO_INFO_WIDTH (info);
  frame->height = GST_VIDEO_INFO_HEIGHT (info);
  frame->n_planes = GST_VIDEO_INFO_N_PLANES (info);
  for (i = 0; i < frame->n_planes; i++) {
    frame->plane_offset[i] = GST_VIDEO_INFO_PLANE_OFFSET (info, i);
    frame->plane_stride[i] = GST_VIDEO_INFO_PLANE_STRIDE (info, i);
  }
}

/* What was remembered of the frames before never changes the answer. */
static gboolean
restore_video (const MmapDescriptor * frame, GstBuffer * buffer)
{
  static GstMmapLayout known;
  GstMmapLayout nothing = { 0 };
  GstBuffer *other = gst_buffer_new ();
  gboolean accepted = gst_mmap_frame_restore_video (frame, other, &nothing);

  gst_buffer_unref (other);
  g_assert_cmpint (gst_mmap_frame_restore_video (frame, buffer, &known), ==,
      accepted);
  return accepted;
}

static gboolean
is_accepted (const MmapDescriptor * frame)
{
  GstBuffer *buffer = gst_buffer_new ();
  gboolean accepted = restore_video (frame, buffer);

  g_assert_true (accepted || !gst_buffer_get_video_meta (buffer));
  gst_buffer_unref (buffer);
  return accepted;
}

/* The smallest payload with which the layout is accepted. */
static guint64
least_size (const MmapDescriptor * layout)
{
  MmapDescriptor frame = *layout;
  guint64 refused = 0, accepted = layout->size;

  while (accepted - refused > 1) {
    frame.size = refused + (accepted - refused) / 2;
    if (is_accepted (&frame))
      accepted = frame.size;
    else
      refused = frame.size;
  }
  return accepted;
}

/* --- payloads with an end --- */

typedef struct
{
  guint8 *start;
  gsize bytes;
} Pages;

static void
pages_free (gpointer data)
{
  Pages *pages = data;

  munmap (pages->start, pages->bytes);
  g_free (pages);
}

/* Behind its last byte is a page that can't be read. */
static GstBuffer *
guarded_buffer (gsize size)
{
  gsize page = MMAP_PAGE_BYTES;
  gsize room = (size + page - 1) / page * page;
  Pages *pages = g_new (Pages, 1);

  pages->bytes = room + page;
  pages->start = mmap (NULL, pages->bytes, PROT_READ | PROT_WRITE,
      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  g_assert_true (pages->start != MAP_FAILED);
  memset (pages->start, 0x5a, room);
  g_assert_cmpint (mprotect (pages->start + room, page, PROT_NONE), ==, 0);
  return gst_buffer_new_wrapped_full (0, pages->start + room - size, size, 0,
      size, pages, pages_free);
}

/* For AddressSanitizer. */
static GstBuffer *
heap_buffer (gsize size)
{
  guint8 *data = g_malloc (size);

  memset (data, 0x5a, size);
  return gst_buffer_new_wrapped (data, size);
}

static guint64
touch_rows (const guint8 * data, gint stride, guint rows, guint bytes)
{
  guint64 sum = 0;
  guint i;

  for (i = 0; i < rows; i++)
    sum += data[(gsize) i * stride] + data[(gsize) i * stride + bytes - 1];
  return sum;
}

static guint64
touch_tiles (GstVideoFrame * frame, guint plane)
{
  const GstVideoFormatInfo *format = frame->info.finfo;
  gint stride = GST_VIDEO_FRAME_PLANE_STRIDE (frame, plane);
  guint across = GST_VIDEO_TILE_X_TILES (stride);
  guint down = GST_VIDEO_TILE_Y_TILES (stride);
  gsize bytes = GST_VIDEO_FORMAT_INFO_TILE_SIZE (format, plane);
  guint64 sum = 0;
  guint x, y;

  for (y = 0; y < down; y++)
    for (x = 0; x < across; x++) {
      const guint8 *tile = GST_VIDEO_FRAME_PLANE_DATA (frame, plane);
      guint index =
          gst_video_tile_get_index (GST_VIDEO_FORMAT_INFO_TILE_MODE (format),
          x, y, across, down);

      sum += tile[index * bytes] + tile[(index + 1) * bytes - 1];
    }
  return sum;
}

/* First and last byte of each row of each component. */
static guint64
touch_frame (GstVideoFrame * frame)
{
  const GstVideoFormatInfo *format = frame->info.finfo;
  guint64 sum = 0;
  guint i;

  for (i = 0; i < GST_VIDEO_FRAME_N_COMPONENTS (frame); i++) {
    guint plane = GST_VIDEO_FORMAT_INFO_PLANE (format, i);
    const guint8 *data = GST_VIDEO_FRAME_PLANE_DATA (frame, plane);
    gint stride = GST_VIDEO_FRAME_PLANE_STRIDE (frame, plane);
    guint rows = GST_VIDEO_FRAME_COMP_HEIGHT (frame, i);
    guint bytes = GST_VIDEO_FRAME_COMP_WIDTH (frame, i) *
        GST_VIDEO_FRAME_COMP_PSTRIDE (frame, i);

    if (GST_VIDEO_FORMAT_INFO_IS_TILED (format))
      sum += touch_tiles (frame, plane);
    else if (GST_VIDEO_FORMAT_INFO_HAS_PALETTE (format) && plane == 1)
      sum += touch_rows (data, 1024, 1, 1024);
    else
      sum +=
          touch_rows (data, stride, rows, bytes > 0 ? bytes : (guint) stride);
  }
  return sum;
}

/* GStreamer 1.22 itself reads some bytes behind pictures of these formats, even in its own layout. */
static gboolean
is_read_beyond (GstVideoFormat format)
{
  return format == GST_VIDEO_FORMAT_UYVP
      || format == GST_VIDEO_FORMAT_NV12_10LE32
      || format == GST_VIDEO_FORMAT_NV16_10LE32
      || format == GST_VIDEO_FORMAT_NV12_10BE_8L128;
}

static GstVideoConverter *
make_converter (GstVideoInfo * info, GstVideoInfo * rgb)
{
  gst_video_info_set_format (rgb, GST_VIDEO_FORMAT_ARGB64,
      GST_VIDEO_INFO_WIDTH (info), GST_VIDEO_INFO_HEIGHT (info));
  return gst_video_converter_new (info, rgb, NULL);
}

/* Does all that elements do to a picture. Takes @buffer. */
static void
read_picture (GstVideoInfo * info, const MmapDescriptor * frame,
    GstBuffer * buffer)
{
  GstVideoFrame picture, copy, converted;
  GstVideoInfo rgb;
  GstVideoConverter *converter = make_converter (info, &rgb);
  GstBuffer *copy_buffer =
      gst_buffer_new_allocate (NULL, GST_VIDEO_INFO_SIZE (info), NULL);
  GstBuffer *rgb_buffer =
      gst_buffer_new_allocate (NULL, GST_VIDEO_INFO_SIZE (&rgb), NULL);

  g_assert_nonnull (converter);
  g_assert_true (restore_video (frame, buffer));
  g_assert_true (gst_video_frame_map (&picture, info, buffer, GST_MAP_READ));
  g_assert_true (gst_video_frame_map (&copy, info, copy_buffer, GST_MAP_WRITE));
  g_assert_true (gst_video_frame_map (&converted, &rgb, rgb_buffer,
          GST_MAP_WRITE));
  g_assert_cmpuint (touch_frame (&picture), >, 0);
  g_assert_true (gst_video_frame_copy (&copy, &picture));
  if (!is_read_beyond (frame->video_format))
    gst_video_converter_frame (converter, &picture, &converted);
  gst_video_frame_unmap (&converted);
  gst_video_frame_unmap (&copy);
  gst_video_frame_unmap (&picture);
  gst_video_converter_free (converter);
  gst_buffer_unref (rgb_buffer);
  gst_buffer_unref (copy_buffer);
  gst_buffer_unref (buffer);
}

/* --- layouts --- */

static void
check_layout (GstVideoInfo * info)
{
  guint last = GST_VIDEO_INFO_N_PLANES (info) - 1;
  MmapDescriptor frame;

  g_test_message ("%s, %dx%d", GST_VIDEO_INFO_NAME (info),
      GST_VIDEO_INFO_WIDTH (info), GST_VIDEO_INFO_HEIGHT (info));
  describe_info (info, &frame);
  g_assert_true (is_accepted (&frame));
  read_picture (info, &frame, guarded_buffer (frame.size));

  /* As tight as it may be. */
  frame.size = least_size (&frame);
  read_picture (info, &frame, guarded_buffer (frame.size));
  read_picture (info, &frame, heap_buffer (frame.size));
  frame.size--;
  g_assert_false (is_accepted (&frame));
  frame.size = GST_VIDEO_INFO_PLANE_OFFSET (info, last);
  g_assert_false (is_accepted (&frame));
  frame.size = 0;
  g_assert_false (is_accepted (&frame));
}

static void
test_every_format (void)
{
  guint last = last_format ();
  guint format, i;

  for (format = GST_VIDEO_FORMAT_I420; format <= last; format++)
    for (i = 0; i < G_N_ELEMENTS (sizes); i++) {
      GstVideoInfo info;

      g_assert_true (gst_video_info_set_format (&info, format, sizes[i].width,
              sizes[i].height));
      check_layout (&info);
    }
}

/* Bytes of the last row, by the formats' own definitions. */
static void
test_last_row (void)
{
  static const struct
  {
    GstVideoFormat format;
    guint bytes;                /* of a row of the last plane, of 37 pixels */
  } rows[] = {
    {GST_VIDEO_FORMAT_GRAY8, 37},
    {GST_VIDEO_FORMAT_I420, 19},
    {GST_VIDEO_FORMAT_YV12, 19},
    {GST_VIDEO_FORMAT_NV12, 2 * 19},
    {GST_VIDEO_FORMAT_P010_10LE, 4 * 19},
    {GST_VIDEO_FORMAT_YUY2, 4 * 19},
    {GST_VIDEO_FORMAT_UYVY, 4 * 19},
    {GST_VIDEO_FORMAT_RGB, 3 * 37},
    {GST_VIDEO_FORMAT_BGRx, 4 * 37},
    {GST_VIDEO_FORMAT_A420, 37},
    {GST_VIDEO_FORMAT_AV12, 37},
    {GST_VIDEO_FORMAT_YUV9, 10},
    {GST_VIDEO_FORMAT_Y41B, 10},
    {GST_VIDEO_FORMAT_v210, 128},
    {GST_VIDEO_FORMAT_RGBA64_LE, 8 * 37},
    {GST_VIDEO_FORMAT_Y444_16LE, 2 * 37},
  };
  guint i;

  for (i = 0; i < G_N_ELEMENTS (rows); i++) {
    MmapDescriptor frame;
    GstVideoInfo info;
    guint plane, height;

    gst_video_info_set_format (&info, rows[i].format, 37, 21);
    describe_info (&info, &frame);
    plane = frame.n_planes - 1;
    height = GST_VIDEO_FORMAT_INFO_SCALE_HEIGHT (info.finfo,
        GST_VIDEO_INFO_N_COMPONENTS (&info) - 1, 21);
    g_test_message ("%s", GST_VIDEO_INFO_NAME (&info));
    g_assert_cmpuint (least_size (&frame), ==, frame.plane_offset[plane] +
        (height - 1) * frame.plane_stride[plane] + rows[i].bytes);
  }
}

/* Each plane is checked, not only the last. */
static void
test_each_plane (void)
{
  MmapDescriptor good, frame;
  GstVideoInfo info;
  guint i;

  gst_video_info_set_format (&info, GST_VIDEO_FORMAT_A420, 37, 21);
  describe_info (&info, &good);
  for (i = 0; i < good.n_planes; i++) {
    static const guint64 offsets[] = { 0, 1, 37, 4096, G_MAXUINT32,
      G_MAXINT64, G_MAXUINT64 >> 1
    };
    static const gint strides[] = { 0, -1, -40, G_MININT, G_MAXINT, 65536 };
    guint j;

    /* Up to the end of the payload, and around the end of the address space. */
    for (j = 0; j < G_N_ELEMENTS (offsets); j++) {
      frame = good;
      frame.plane_offset[i] = good.size + offsets[j];
      g_assert_false (is_accepted (&frame));
      frame.plane_offset[i] = G_MAXUINT64 - offsets[j];
      g_assert_false (is_accepted (&frame));
    }
    for (j = 0; j < G_N_ELEMENTS (strides); j++) {
      frame = good;
      frame.plane_stride[i] = strides[j];
      g_assert_false (is_accepted (&frame));
    }
    frame = good;
    frame.plane_offset[i] = good.size - 1;
    g_assert_false (is_accepted (&frame));
  }
}

static void
test_more_tiles (void)
{
  guint last = last_format ();
  guint format;

  for (format = GST_VIDEO_FORMAT_I420; format <= last; format++) {
    MmapDescriptor good, frame;
    GstVideoInfo info;
    guint across, down;

    gst_video_info_set_format (&info, format, 37, 201);
    if (!GST_VIDEO_FORMAT_INFO_IS_TILED (info.finfo))
      continue;
    g_test_message ("%s", GST_VIDEO_INFO_NAME (&info));
    describe_info (&info, &good);
    across = GST_VIDEO_TILE_X_TILES (good.plane_stride[1]);
    down = GST_VIDEO_TILE_Y_TILES (good.plane_stride[1]);

    /* Padded, with room for it: */
    frame = good;
    frame.plane_stride[1] = GST_VIDEO_TILE_MAKE_STRIDE (across + 2, down + 1);
    frame.size = frame.plane_offset[1] + (across + 2) * (down + 1) *
        GST_VIDEO_FORMAT_INFO_TILE_SIZE (info.finfo, 1);
    g_assert_true (is_accepted (&frame));
    read_picture (&info, &frame, guarded_buffer (frame.size));
    frame.size--;
    g_assert_false (is_accepted (&frame));
    /* An odd number across, where tiles come in pairs, puts the last ones behind the plane. */
    frame.size = good.size * 10;
    frame.plane_stride[1] = GST_VIDEO_TILE_MAKE_STRIDE (across + 1, down);
    g_assert_true (is_accepted (&frame) ==
        (format != GST_VIDEO_FORMAT_NV12_64Z32));
    if (is_accepted (&frame)) {
      frame.size = least_size (&frame);
      read_picture (&info, &frame, guarded_buffer (frame.size));
    }
    /* Fewer than the picture has, and more than an int holds. */
    frame = good;
    frame.plane_stride[1] = GST_VIDEO_TILE_MAKE_STRIDE (across - 1, down + 9);
    g_assert_false (is_accepted (&frame));
    frame.plane_stride[1] = GST_VIDEO_TILE_MAKE_STRIDE (across, down - 1);
    g_assert_false (is_accepted (&frame));
    frame.plane_stride[1] = G_MAXINT;
    g_assert_false (is_accepted (&frame));
  }
}

/* Strides that need not be a multiple of 4, as of V4L2, and ones far apart. */
static void
test_other_strides (void)
{
  MmapDescriptor frame;
  GstVideoInfo info;

  gst_video_info_set_format (&info, GST_VIDEO_FORMAT_RGB, 37, 21);
  describe_info (&info, &frame);
  frame.plane_stride[0] = 3 * 37;
  frame.size = 3 * 37 * 21;
  g_assert_cmpuint (least_size (&frame), ==, frame.size);
  read_picture (&info, &frame, guarded_buffer (frame.size));
  frame.plane_stride[0] = 4096;
  g_assert_false (is_accepted (&frame));
  frame.size = 20 * 4096 + 3 * 37;
  g_assert_cmpuint (least_size (&frame), ==, frame.size);
  read_picture (&info, &frame, guarded_buffer (frame.size));
}

/* --- what can't be --- */

static void
test_malformed (void)
{
  static const guint32 formats[] = { GST_VIDEO_FORMAT_UNKNOWN,
    GST_VIDEO_FORMAT_ENCODED, 9999, G_MAXINT, 0x80000000, G_MAXUINT32
  };
  static const guint32 sides[] =
      { 0, (1 << 16) + 1, 1 << 20, (1 << 24) + 1, 1 << 30,
    G_MAXINT - 1, G_MAXINT, 0x80000000, G_MAXUINT32 - 1, G_MAXUINT32
  };
  guint last = last_format ();
  MmapDescriptor good, frame;
  GstVideoInfo info;
  guint format, i, j;

  for (format = GST_VIDEO_FORMAT_I420; format <= last; format++) {
    gst_video_info_set_format (&info, format, 37, 21);
    describe_info (&info, &good);
    for (i = 0; i < G_N_ELEMENTS (formats); i++) {
      frame = good;
      frame.video_format = formats[i];
      g_assert_false (is_accepted (&frame));
    }
    for (i = 1; i <= GST_VIDEO_MAX_PLANES; i++) {
      frame = good;
      frame.n_planes = i;
      g_assert_true (is_accepted (&frame) == (i == good.n_planes));
    }
    for (i = 0; i < G_N_ELEMENTS (sides); i++)
      for (j = 0; j < G_N_ELEMENTS (sides); j++) {
        frame = good;
        frame.width = sides[i];
        frame.height = sides[j];
        g_assert_false (is_accepted (&frame));
        frame.height = 1;
        g_assert_false (is_accepted (&frame));
        frame.width = 1;
        frame.height = sides[j];
        /* All rows at once: */
        memset (frame.plane_stride, 0x7f, sizeof frame.plane_stride);
        g_assert_false (is_accepted (&frame));
      }
  }
}

/* Any bytes at all. */
static void
test_random (void)
{
  guint n_accepted = 0, i, j;

  for (i = 0; i < 20000; i++) {
    MmapDescriptor frame;
    GstVideoInfo info;
    guint32 *words = (guint32 *) & frame;

    gst_video_info_set_format (&info, g_test_rand_int_range (2, 113), 37, 21);
    describe_info (&info, &frame);
    /* One to three words change. */
    for (j = g_test_rand_int_range (1, 4); j > 0; j--) {
      static const guint firsts[] = { offsetof (MmapDescriptor, size),
        offsetof (MmapDescriptor, n_planes),
        offsetof (MmapDescriptor, plane_offset)
      };
      static const guint lengths[] = { 8, 28, 64 };
      guint part = g_test_rand_int_range (0, 3);
      guint word = (firsts[part] + g_test_rand_int_range (0, lengths[part]))
          / sizeof (guint32);

      words[word] = g_test_rand_int () >> g_test_rand_int_range (0, 32);
    }
    frame.n_planes %= GST_VIDEO_MAX_PLANES + 1;
    /* As the core library sees to. */
    frame.size %= 65536;
    if (frame.n_planes == 0 || !is_accepted (&frame))
      continue;
    n_accepted++;
    gst_video_info_set_format (&info, frame.video_format, frame.width,
        frame.height);
    read_picture (&info, &frame, guarded_buffer (frame.size));
  }
  g_test_message ("%u accepted", n_accepted);
  g_assert_cmpuint (n_accepted, >, 1000);
}

/* --- round trip --- */

static GstBuffer *
round_trip (GstBuffer * buffer, MmapDescriptor * frame)
{
  GstBuffer *restored = gst_buffer_new ();

  gst_mmap_frame_describe (buffer, frame);
  frame->size = gst_buffer_get_size (buffer);
  gst_mmap_frame_restore (frame, restored);
  g_assert_true (restore_video (frame, restored));
  return restored;
}

static void
test_round_trip_of_fields (void)
{
  static const guint64 values[] = { 0, 1, 40 * GST_MSECOND, G_MAXINT64,
    G_MAXUINT64 - 1, G_MAXUINT64
  };
  guint i;

  for (i = 0; i < G_N_ELEMENTS (values); i++) {
    GstBuffer *buffer = gst_buffer_new (), *restored;
    MmapDescriptor frame;

    GST_BUFFER_PTS (buffer) = values[i];
    GST_BUFFER_DTS (buffer) = values[(i + 1) % G_N_ELEMENTS (values)];
    GST_BUFFER_DURATION (buffer) = values[(i + 2) % G_N_ELEMENTS (values)];
    GST_BUFFER_OFFSET (buffer) = values[(i + 3) % G_N_ELEMENTS (values)];
    GST_BUFFER_OFFSET_END (buffer) = values[(i + 4) % G_N_ELEMENTS (values)];
    restored = round_trip (buffer, &frame);
    g_assert_cmpuint (GST_BUFFER_PTS (restored), ==, GST_BUFFER_PTS (buffer));
    g_assert_cmpuint (GST_BUFFER_DTS (restored), ==, GST_BUFFER_DTS (buffer));
    g_assert_cmpuint (GST_BUFFER_DURATION (restored), ==,
        GST_BUFFER_DURATION (buffer));
    g_assert_cmpuint (GST_BUFFER_OFFSET (restored), ==,
        GST_BUFFER_OFFSET (buffer));
    g_assert_cmpuint (GST_BUFFER_OFFSET_END (restored), ==,
        GST_BUFFER_OFFSET_END (buffer));
    g_assert_null (gst_buffer_get_video_meta (restored));
    /* What the element fills in, and what is reserved. */
    g_assert_cmpuint (frame.anchor, ==, MMAP_TIME_NONE);
    g_assert_cmpuint (frame.latency, ==, 0);
    g_assert_cmpuint (frame.metas_offset | frame.metas_size, ==, 0);
    gst_buffer_unref (buffer);
    gst_buffer_unref (restored);
  }
}

static void
test_round_trip_of_flags (void)
{
  guint bit;

  for (bit = 0; bit < 32; bit++) {
    guint flag = 1u << bit;
    gboolean kept = flag >= GST_MINI_OBJECT_FLAG_LAST
        && flag != GST_BUFFER_FLAG_TAG_MEMORY
        && flag != GST_BUFFER_FLAG_SYNC_AFTER;
    GstBuffer *buffer = gst_buffer_new (), *restored;
    MmapDescriptor frame;
    guint before;

    GST_BUFFER_FLAG_UNSET (buffer, GST_BUFFER_FLAG_TAG_MEMORY);
    GST_BUFFER_FLAG_SET (buffer, flag);
    gst_mmap_frame_describe (buffer, &frame);
    g_assert_cmphex (frame.flags, ==, kept ? flag : 0);
    restored = gst_buffer_new ();
    before = GST_MINI_OBJECT_FLAGS (restored);
    /* Not even if a producer says so. */
    frame.flags = flag | G_GUINT64_CONSTANT (1) << 40;
    gst_mmap_frame_restore (&frame, restored);
    g_assert_cmphex (GST_MINI_OBJECT_FLAGS (restored), ==,
        before | (kept ? flag : 0));
    gst_buffer_unref (buffer);
    gst_buffer_unref (restored);
  }
}

static void
assert_same_meta (GstVideoMeta * one, GstVideoMeta * two)
{
  guint i;

  g_assert_cmphex (one->flags, ==, two->flags);
  g_assert_cmpint (one->format, ==, two->format);
  g_assert_cmpuint (one->width, ==, two->width);
  g_assert_cmpuint (one->height, ==, two->height);
  g_assert_cmpuint (one->n_planes, ==, two->n_planes);
  for (i = 0; i < one->n_planes; i++) {
    g_assert_cmpuint (one->offset[i], ==, two->offset[i]);
    g_assert_cmpint (one->stride[i], ==, two->stride[i]);
  }
  g_assert_cmpuint (one->alignment.padding_top, ==, two->alignment.padding_top);
  g_assert_cmpuint (one->alignment.padding_bottom, ==,
      two->alignment.padding_bottom);
  g_assert_cmpuint (one->alignment.padding_left, ==,
      two->alignment.padding_left);
  g_assert_cmpuint (one->alignment.padding_right, ==,
      two->alignment.padding_right);
}

static void
test_round_trip_of_layout (void)
{
  guint last = last_format ();
  guint format;

  for (format = GST_VIDEO_FORMAT_I420; format <= last; format++) {
    GstVideoAlignment align = { 4, 8, 16, 20, {0, 0, 0, 0}
    };
    GstBuffer *buffer = gst_buffer_new (), *restored;
    GstVideoInfo info;
    GstVideoMeta *meta;
    MmapDescriptor frame;

    gst_video_info_set_format (&info, format, 333, 77);
    g_test_message ("%s", GST_VIDEO_INFO_NAME (&info));
    /* Tiles are not padded. */
    if (GST_VIDEO_FORMAT_INFO_IS_TILED (info.finfo))
      gst_video_alignment_reset (&align);
    else
      g_assert_true (gst_video_info_align (&info, &align));
    gst_buffer_append_memory (buffer, gst_allocator_alloc (NULL,
            GST_VIDEO_INFO_SIZE (&info), NULL));
    meta = gst_buffer_add_video_meta_full (buffer,
        GST_VIDEO_FRAME_FLAG_INTERLACED | GST_VIDEO_FRAME_FLAG_TFF, format, 333,
        77, GST_VIDEO_INFO_N_PLANES (&info), info.offset, info.stride);
    if (!GST_VIDEO_FORMAT_INFO_IS_TILED (info.finfo))
      g_assert_true (gst_video_meta_set_alignment (meta, align));
    restored = round_trip (buffer, &frame);
    g_assert_nonnull (gst_buffer_get_video_meta (restored));
    assert_same_meta (gst_buffer_get_video_meta (restored), meta);
    gst_buffer_unref (buffer);
    gst_buffer_unref (restored);
  }
}

/* Padding that contradicts the strides is dropped, the layout stays. */
static void
test_impossible_padding (void)
{
  static const guint32 paddings[] = { 1000, 1 << 30, G_MAXINT, 0x80000000,
    G_MAXUINT32
  };
  guint i, j;

  for (i = 0; i < G_N_ELEMENTS (paddings); i++)
    for (j = 0; j < 4; j++) {
      GstBuffer *buffer = gst_buffer_new ();
      MmapDescriptor frame;
      GstVideoInfo info;

      gst_video_info_set_format (&info, GST_VIDEO_FORMAT_NV12, 37, 21);
      describe_info (&info, &frame);
      frame.padding[j] = paddings[i];
      g_assert_true (restore_video (&frame, buffer));
      if (j >= 2)
        g_assert_cmpuint (gst_buffer_get_video_meta (buffer)->
            alignment.padding_left, ==, 0);
      gst_buffer_unref (buffer);
    }
}

static void
test_default_layout (void)
{
  guint last = last_format ();
  guint format, i;

  for (format = GST_VIDEO_FORMAT_I420; format <= last; format++) {
    MmapDescriptor good, frame;
    GstVideoInfo info;

    gst_video_info_set_format (&info, format, 333, 77);
    describe_info (&info, &good);
    g_assert_true (gst_mmap_frame_has_default_layout (&good, &info));
    for (i = 0; i < good.n_planes; i++) {
      frame = good;
      frame.plane_stride[i]++;
      g_assert_false (gst_mmap_frame_has_default_layout (&frame, &info));
      frame = good;
      frame.plane_offset[i] += 64;
      g_assert_false (gst_mmap_frame_has_default_layout (&frame, &info));
    }
  }
}

static void
add_tests (void)
{
  leak_check_add_test ("/frame/every-format", test_every_format);
  leak_check_add_test ("/frame/last-row", test_last_row);
  leak_check_add_test ("/frame/each-plane", test_each_plane);
  leak_check_add_test ("/frame/more-tiles", test_more_tiles);
  leak_check_add_test ("/frame/other-strides", test_other_strides);
  leak_check_add_test ("/frame/malformed", test_malformed);
  leak_check_add_test ("/frame/random", test_random);
  leak_check_add_test ("/frame/round-trip-of-fields",
      test_round_trip_of_fields);
  leak_check_add_test ("/frame/round-trip-of-flags", test_round_trip_of_flags);
  leak_check_add_test ("/frame/round-trip-of-layout",
      test_round_trip_of_layout);
  leak_check_add_test ("/frame/impossible-padding", test_impossible_padding);
  leak_check_add_test ("/frame/default-layout", test_default_layout);
}

int
main (int argc, char **argv)
{
  return pipe_test_main (argc, argv, add_tests);
}
