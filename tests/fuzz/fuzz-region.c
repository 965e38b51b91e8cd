/* gst-mmap: fuzz target: the header of a region, of a memfd or a file
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * What is opened must be as large as it says, and what it is said to contain can be read.
 */
#include "fuzz.h"

#include "error.h"
#include "region.h"

#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define GOOD_BYTES (sizeof (MmapRegionHeader) + 2 * MMAP_PAGE_BYTES)

void
fuzz_start (void)
{
}

static void
init_header (MmapRegionHeader * header)
{
  memset (header, 0, sizeof *header);
  memcpy (header->magic, MMAP_REGION_MAGIC, sizeof header->magic);
  header->version = MMAP_PROTOCOL_VERSION;
  header->byte_order = MMAP_BYTE_ORDER;
  header->session = 1;
  header->size = GOOD_BYTES;
  header->region_id = 1;
  header->header_bytes = sizeof *header;
  header->blocks_offset = sizeof *header;
}

/* Values for the words that are checked. */
static void
edit_header (FuzzInput * input, MmapRegionHeader * header)
{
  guint n = fuzz_below (input, 8);

  while (n-- > 0) {
    guint8 choice = fuzz_byte (input);

    switch (choice % 10) {
      case 0:
        header->size = fuzz_number (input);
        break;
      case 1:
        header->blocks_offset = fuzz_number (input);
        break;
      case 2:
        header->links_offset = fuzz_number (input);
        break;
      case 3:
        header->link_bytes = fuzz_number (input);
        break;
      case 4:
        header->link_count = fuzz_number (input);
        break;
      case 5:
        header->header_bytes = fuzz_number (input);
        break;
      case 6:
        header->links_offset = sizeof *header;
        header->link_bytes = sizeof (MmapLinkArea);
        header->link_count = 1 + fuzz_below (input, 70);
        header->blocks_offset = header->links_offset
            + (guint64) header->link_bytes * header->link_count;
        break;
      default:
        ((guint8 *) header)[fuzz_below (input, 64)] = fuzz_byte (input);
        break;
    }
  }
}

static int
make_file (FuzzInput * input, guint64 * size)
{
  int fd = memfd_create ("fuzz", MFD_CLOEXEC | MFD_ALLOW_SEALING);
  MmapRegionHeader header;
  gboolean follows;

  fuzz_assert (fd >= 0);
  init_header (&header);
  edit_header (input, &header);
  follows = !fuzz_one_in (input, 4);
  *size = follows ? header.size : fuzz_number (input);
  /* Beyond any memory, so that holes are not filled by mistake; and what is not sparse stays small. */
  *size = MIN (*size, MMAP_REGION_MAX_BYTES + 8192);
  fuzz_assert (ftruncate (fd, *size) == 0);
  if (*size >= sizeof header)
    fuzz_assert (pwrite (fd, &header, sizeof header, 0) == sizeof header);
  if (!fuzz_one_in (input, 8))
    fcntl (fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW);
  return fd;
}

static void
check_contains (MmapRegion * region, guint64 offset, guint64 size)
{
  if (!mmap_region_contains (region, offset, size) || size == 0)
    return;
  fuzz_assert (offset >= sizeof (MmapRegionHeader));
  fuzz_assert (offset + size > offset && offset + size <= region->size);
  /* The last byte. */
  (void) *(volatile guint8 *) (region->base + offset + size - 1);
}

static void
check_region (FuzzInput * input, MmapRegion * region, guint64 size)
{
  guint64 offset = fuzz_number (input), n = fuzz_number (input);

  fuzz_assert (region->size == size && region->size % MMAP_PAGE_BYTES == 0);
  fuzz_assert (!region->writable);
  fuzz_assert (region->blocks_offset >= sizeof (MmapRegionHeader)
      && region->blocks_offset < size);
  (void) *(volatile guint64 *) &region->header->frames;
  check_contains (region, offset, n);
  check_contains (region, offset, size - offset);
  check_contains (region, region->blocks_offset + offset, n);
  check_contains (region, region->blocks_offset, size - region->blocks_offset);
  if (mmap_region_may_read (region, MIN (offset, size)))
    fuzz_assert (region->reserved <= size);
  mmap_region_unref (region);
}

static void
check_read (int fd, guint64 size)
{
  g_autoptr (GError) error = NULL;
  MmapRegionHeader header;

  if (mmap_region_read_header (fd, &header, &error)) {
    fuzz_assert (header.size == size);
    fuzz_assert (header.link_count <= MMAP_MAX_LINKS);
    fuzz_assert ((guint64) header.link_count * header.link_bytes
        + header.links_offset <= header.blocks_offset);
  } else {
    fuzz_assert (error && error->domain == MMAP_ERROR);
  }
}

void
fuzz_run (FuzzInput * input)
{
  g_autoptr (GError) error = NULL;
  guint64 size, expected = 0;
  MmapRegion *region;
  int fd;

  if (fuzz_one_in (input, 8)) {
    fd = memfd_create ("fuzz", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    size = MMAP_REGION_MIN_BYTES;
    fuzz_assert (fd >= 0 && ftruncate (fd, size) == 0);
    fuzz_assert (pwrite (fd, input->data, MIN (input->size, size), 0) >= 0);
  } else {
    fd = make_file (input, &size);
  }
  if (fuzz_one_in (input, 2))
    expected = fuzz_one_in (input, 4) ? fuzz_number (input) : size;
  check_read (fd, size);
  /* Both take the descriptor. */
  region = fuzz_one_in (input, 3) ? mmap_region_open_file_fd (fd, "/fuzz",
      expected, &error) : mmap_region_open_fd (fd, expected, &error);
  fuzz_assert ((region == NULL) == (error != NULL));
  if (region) {
    fuzz_assert (expected == 0 || expected == size);
    check_region (input, region, size);
  }
}
