/* gst-mmap: the bytes of an area: a file or BAR that several channels share
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * As protocol.h, whose regions and links lie in windows of an area. docs/protocol.md draws these structures and says who writes which word.
 */
#pragma once

#include "protocol.h"

#define MMAP_AREA_MAGIC "mmaparea"      /* 8 bytes, no terminator */

#define MMAP_AREA_CHANNELS 16
#define MMAP_AREA_MAX_SLICES 256
#define MMAP_AREA_MIN_SLICE_BYTES 65536 /* whole pages, whatever the machine's are */
/* Smallest area, bytes: two links and a few frames of VGA. */
#define MMAP_AREA_MIN_BYTES (G_GUINT64_CONSTANT (1) << 20)

/* In the header's flags: the file was made by a producer, so that one may remove it when nobody uses it. Never set for a VM's memory, and not
 * believed without the file's sticky bit. */
#define MMAP_AREA_MADE 1u

/* Bytes of a channel's name, with the zero at its end. */
#define MMAP_AREA_NAME_BYTES 64

/* Who lives adds one to its heartbeat so often; who has not done so for that long is dead. */
#define MMAP_AREA_BEAT_US 100000
#define MMAP_AREA_DEAD_US 1000000
/* Who has not looked for so long has stood still, and knows nothing of the others; chosen: a few heartbeats. */
#define MMAP_AREA_STILL_US (5 * MMAP_AREA_BEAT_US)

/* First bytes of an area. All but the flags follow from the size: any number of sides may write it at once. */
typedef struct
{
  guint64 magic;                /*  0 MMAP_AREA_MAGIC; written last */
  guint32 version;              /*  8 MMAP_PROTOCOL_VERSION */
  guint32 byte_order;           /* 12 MMAP_BYTE_ORDER */
  guint64 size;                 /* 16 bytes of the whole area */
  guint64 slice_bytes;          /* 24 a power of two */
  guint32 slice_count;          /* 32 whole slices; what is left is not used */
  guint32 channel_count;        /* 36 MMAP_AREA_CHANNELS */
  guint32 flags;                /* 40 MMAP_AREA_MADE; written once, before others can see the file */
  guint8 reserved[4052];        /* 44 */
} MmapAreaHeader;

/* One channel. After @owner each word has one writer, the owner, but for @before and @refused. */
typedef struct
{
  /* line 0 */
  guint64 owner;                /*   0 0: free; else the producer's random number. Compare-and-swap */
  guint64 session;              /*   8 0: not ready yet; written last */
  guint64 links_offset;         /*  16 of the first link slot, bytes from the area's start */
  guint32 link_slot_bytes;      /*  24 sizeof (MmapLinkSlot) */
  guint32 link_count;           /*  28 */
  guint32 pid;                  /*  32 in the producer's PID namespace */
  guint32 uid;                  /*  36 */
  guint64 boot_id;              /*  40 first 8 bytes of the kernel's boot id; 0: unknown */
  guint64 pid_namespace;        /*  48 inode number; 0: unknown */
  guint32 doorbell;             /*  56 (ivshmem vector << 16 | id) + 1; 0: none */
  guint32 reserved0;            /*  60 */
  /* line 1 */
  guint64 name[MMAP_AREA_NAME_BYTES / 8];       /*  64 UTF-8, padded with zeros */
  /* line 2 */
  guint64 heartbeat;            /* 128 counts up */
  guint64 before;               /* 136 who had the entry, and may have left slices; 0: nobody. Who takes over writes it, too */
  guint8 reserved1[48];         /* 144 */
  /* line 3 */
  guint32 refused;              /* 192 each consumer that finds all link slots taken adds one; from any value */
  guint8 reserved2[60];         /* 196 */
} MmapAreaEntry;

/* The first three pages of an area, in its first slice. */
typedef struct
{
  MmapAreaHeader header;        /*    0 */
  MmapAreaEntry channels[MMAP_AREA_CHANNELS];   /* 4096 */
  guint64 owners[MMAP_AREA_MAX_SLICES]; /* 8192 of each slice: 0: free; else a producer's number. Compare-and-swap; the first never */
  guint8 reserved[2048];        /* 10240 */
} MmapAreaStart;

#define MMAP_MAILBOX_DOWN_BYTES 16384

/* How a consumer and a producer find each other, and what they have to say. */
typedef struct
{
  /* line 0 */
  guint64 claim;                /*   0 0: free; else the consumer's random number. Compare-and-swap by consumers; freed by the producer */
  guint8 reserved0[56];         /*   8 */
  /* line 1: written by the consumer, once it has the slot */
  guint64 consumer;             /*  64 its number; written last */
  guint64 left;                 /*  72 its number, when it has left */
  guint32 pid;                  /*  80 in the consumer's PID namespace */
  guint32 uid;                  /*  84 */
  guint64 boot_id;              /*  88 as in MmapAreaEntry */
  guint64 pid_namespace;        /*  96 */
  guint32 doorbell;             /* 104 */
  guint32 producer_bell;        /* 108 counts up when there is something for a producer's relay; one on the same kernel waits for that */
  guint8 reserved1[16];         /* 112 */
  /* line 2: written by the consumer */
  guint64 heartbeat;            /* 128 */
  guint8 reserved2[56];         /* 136 */
  /* line 3: written by the consumer, once it is served; by the producer before that */
  guint64 down_tail;            /* 192 bytes popped */
  guint8 reserved3[56];         /* 200 */
  /* line 4: written by the producer */
  guint64 served;               /* 256 the consumer's number once the link's memory is ready; 0: ended */
  guint64 freed;                /* 264 counts up over all slots: when this one was freed last */
  guint32 consumer_bell;        /* 272 as producer_bell, of the consumer's relay */
  guint8 reserved4[44];         /* 276 */
  /* line 5: written by the producer */
  guint64 down_head;            /* 320 bytes pushed */
  guint8 reserved5[56];         /* 328 */
  /* line 6: written by the consumer */
  guint64 clock_asked;          /* 384 changes: what time is it there? */
  guint8 reserved6[56];         /* 392 */
  /* line 7: written by the producer */
  guint64 clock_answered;       /* 448 the clock_asked that this answers; written last */
  guint64 clock_ns;             /* 456 its CLOCK_MONOTONIC then */
  guint8 reserved7[48];         /* 464 */
  guint8 reserved8[15872];      /* 512 */
  guint8 down_bytes[MMAP_MAILBOX_DOWN_BYTES];   /* 16384 messages of the producer; the consumer's are in the link's upstream ring */
} MmapMailbox;

typedef struct
{
  MmapMailbox mailbox;          /*     0 */
  MmapLinkArea link;            /* 32768 */
} MmapLinkSlot;

MMAP_PIN (MmapAreaHeader, version, 8);
MMAP_PIN (MmapAreaHeader, size, 16);
MMAP_PIN (MmapAreaHeader, slice_bytes, 24);
MMAP_PIN (MmapAreaHeader, slice_count, 32);
MMAP_PIN (MmapAreaHeader, flags, 40);
G_STATIC_ASSERT (sizeof (MmapAreaHeader) == MMAP_PAGE_BYTES);
MMAP_PIN (MmapAreaEntry, session, 8);
MMAP_PIN (MmapAreaEntry, links_offset, 16);
MMAP_PIN (MmapAreaEntry, link_count, 28);
MMAP_PIN (MmapAreaEntry, pid, 32);
MMAP_PIN (MmapAreaEntry, boot_id, 40);
MMAP_PIN (MmapAreaEntry, doorbell, 56);
MMAP_PIN (MmapAreaEntry, name, 64);
MMAP_PIN (MmapAreaEntry, heartbeat, 128);
MMAP_PIN (MmapAreaEntry, before, 136);
MMAP_PIN (MmapAreaEntry, refused, 192);
G_STATIC_ASSERT (sizeof (MmapAreaEntry) == 256);
MMAP_PIN (MmapAreaStart, channels, 4096);
MMAP_PIN (MmapAreaStart, owners, 8192);
G_STATIC_ASSERT (sizeof (MmapAreaStart) == 3 * MMAP_PAGE_BYTES);
MMAP_PIN (MmapMailbox, consumer, 64);
MMAP_PIN (MmapMailbox, left, 72);
MMAP_PIN (MmapMailbox, pid, 80);
MMAP_PIN (MmapMailbox, boot_id, 88);
MMAP_PIN (MmapMailbox, doorbell, 104);
MMAP_PIN (MmapMailbox, producer_bell, 108);
MMAP_PIN (MmapMailbox, heartbeat, 128);
MMAP_PIN (MmapMailbox, down_tail, 192);
MMAP_PIN (MmapMailbox, served, 256);
MMAP_PIN (MmapMailbox, freed, 264);
MMAP_PIN (MmapMailbox, consumer_bell, 272);
MMAP_PIN (MmapMailbox, down_head, 320);
MMAP_PIN (MmapMailbox, clock_asked, 384);
MMAP_PIN (MmapMailbox, clock_answered, 448);
MMAP_PIN (MmapMailbox, clock_ns, 456);
MMAP_PIN (MmapMailbox, down_bytes, 16384);
G_STATIC_ASSERT (sizeof (MmapMailbox) == 32768);
MMAP_PIN (MmapLinkSlot, link, 32768);
G_STATIC_ASSERT (sizeof (MmapLinkSlot) == 163840);
