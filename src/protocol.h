/* gst-mmap: the bytes that two processes share, protocol 1
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Everything is little-endian, of fixed width and naturally aligned. Words
 * that different sides write lie on different cache lines. docs/protocol.md
 * draws these structures and says who writes which word.
 */
#pragma once

#include <glib.h>
#include <stddef.h>

#define MMAP_PROTOCOL_VERSION 1

#define MMAP_CACHE_LINE_BYTES 64
#define MMAP_PAGE_BYTES 4096

#define MMAP_REGION_MAGIC "gst-mmap"    /* 8 bytes, no terminator */
#define MMAP_LINK_MAGIC "mmaplink"      /* 8 bytes, no terminator */
/* Written as a native 32-bit word: reads back otherwise if the byte orders of the two sides differ. */
#define MMAP_BYTE_ORDER 0x0a0b0c0du

/* A producer serves at most this many links: one bit each in a 64-bit set. */
#define MMAP_MAX_LINKS 64

/* Largest region that is believed, bytes: 1 TiB, far above any use, so that sums of two offsets can't overflow. */
#define MMAP_REGION_MAX_BYTES (G_GUINT64_CONSTANT (1) << 40)

#define MMAP_TIME_NONE G_MAXUINT64

typedef enum
{
  MMAP_LINK_FREE = 0,
  MMAP_LINK_HANDSHAKE = 1,
  MMAP_LINK_UP = 2,
  MMAP_LINK_LEAVING = 3,        /* gets nothing more, but has not given everything back */
} MmapLinkState;

/* One link as seen by tools: written by the producer alone, once per change or frame. */
typedef struct
{
  guint32 state;                /*  0 MmapLinkState */
  guint32 link_id;              /*  4 counts up within a session */
  guint32 pid;                  /*  8 of the consumer, as the kernel said */
  guint32 uid;                  /* 12 of the consumer, as the kernel said */
  guint64 frames;               /* 16 frames published on this link, and not taken back */
  guint64 held;                 /* 24 frames the consumer has not given back */
  guint64 wakeups;              /* 32 times the consumer was woken */
  guint64 dropped;              /* 40 frames that it did not get */
  guint8 reserved[16];          /* 48 */
} MmapLinkEntry;

/* First bytes of a region. Consumers may have it mapped read-only. */
typedef struct
{
  /* line 0: written once, before the region is offered */
  guint8 magic[8];              /*   0 MMAP_REGION_MAGIC */
  guint32 version;              /*   8 MMAP_PROTOCOL_VERSION */
  guint32 byte_order;           /*  12 MMAP_BYTE_ORDER */
  guint64 session;              /*  16 drawn at random when the producer starts */
  guint64 size;                 /*  24 bytes of the whole region */
  guint32 region_id;            /*  32 counts up from 1 within a session */
  guint32 header_bytes;         /*  36 sizeof (MmapRegionHeader) */
  guint64 blocks_offset;        /*  40 start of the blocks, bytes from the region's start */
  guint64 links_offset;         /*  48 start of links inside the region; 0: none */
  guint32 link_bytes;           /*  56 bytes of one link inside the region; 0: none */
  guint32 link_count;           /*  60 links inside the region; 0: none */

  /* line 1: who the producer is, written once */
  guint32 producer_pid;         /*  64 in the producer's PID namespace; 0: made by a tool */
  guint32 producer_uid;         /*  68 */
  guint64 started_us;           /*  72 CLOCK_REALTIME microseconds */
  guint8 reserved1[48];         /*  80 */

  /* line 2: heartbeat, for signalling inside the region; 0 elsewhere */
  guint64 heartbeat_ns;         /* 128 */
  guint8 reserved2[56];         /* 136 */

  /* line 3: counters, written by the producer as it publishes */
  guint64 frames;               /* 192 frames published */
  guint64 bytes;                /* 200 payload bytes published */
  guint64 events;               /* 208 events published */
  guint8 reserved3[40];         /* 216 */

  guint8 reserved4[3840];       /* 256 */

  MmapLinkEntry links[MMAP_MAX_LINKS];  /* 4096 */
} MmapRegionHeader;

/* A descriptor says what is in a block: a frame, or a serialised event. */
typedef struct
{
  /* line 0 */
  guint64 sequence;             /*   0 one count over frames and events of a link, from 1 */
  guint64 id;                   /*   8 opaque: pushed on the release ring to give the block back; 0: nothing to give */
  guint32 kind;                 /*  16 frame ring: 0; event ring: MmapEventKind, or from MMAP_EVENT_GST on a GstEventType */
  guint32 region_id;            /*  20 the region that holds the block */
  guint64 offset;               /*  24 payload, bytes from the region's start */
  guint64 size;                 /*  32 payload, bytes; may be 0 */
  guint64 flags;                /*  40 GstBufferFlags of the frame; sequence number (gst_event_get_seqnum) of the event */
  guint64 pts;                  /*  48 ns, or MMAP_TIME_NONE */
  guint64 dts;                  /*  56 ns, or MMAP_TIME_NONE */
  /* line 1 */
  guint64 duration;             /*  64 ns, or MMAP_TIME_NONE */
  guint64 frame_offset;         /*  72 GST_BUFFER_OFFSET; of MMAP_EVENT_FLUSH: its number */
  guint64 frame_offset_end;     /*  80 GST_BUFFER_OFFSET_END */
  guint64 anchor;               /*  88 CLOCK_MONOTONIC ns at running time 0 of the producer; MMAP_TIME_NONE: no clock */
  guint64 latency;              /*  96 ns, of the producing pipeline */
  guint64 metas_offset;         /* 104 metadata, bytes from the region's start: a block of its own, given back with the payload */
  guint32 metas_size;           /* 112 metadata, bytes: a GVariant a(sv); 0: none */
  guint32 n_planes;             /* 116 0: no video layout; else 1 to 4 */
  guint32 video_format;         /* 120 GstVideoFormat */
  guint32 video_flags;          /* 124 GstVideoFrameFlags */
  /* line 2 */
  guint32 width;                /* 128 pixels */
  guint32 height;               /* 132 pixels */
  guint32 hints;                /* 136 MMAP_HINT_... */
  guint32 number;               /* 140 of a frame: counts those for this link, dropped ones too, from 1 and round; of an event 0 */
  guint64 plane_offset[4];      /* 144 bytes from the payload's start */
  gint32 plane_stride[4];       /* 176 bytes */
  /* line 3 */
  guint32 padding[4];           /* 192 pixels: top, bottom, left, right */
  guint8 reserved1[48];         /* 208 */
} MmapDescriptor;

/* When it was published, the region had no room for another frame, of the largest size so far, or the link none. A consumer that has no
 * later frame to read should copy it, and give it back at once: or everybody waits for everybody, or it gets no more. */
#define MMAP_HINT_LAST_ROOM 1u

/* A larger frame has been there: with MMAP_HINT_LAST_ROOM it is to be copied in any case, as those after it may not be as large. */
#define MMAP_HINT_SMALLER 2u

/* The last QoS event of a consumer, in words of the link: it comes with each frame, and must not cost a system call. */
typedef struct
{
  guint64 serial;               /*  0 counts up twice per event; odd: the rest is being written */
  guint64 type;                 /*  8 GstQOSType */
  gdouble proportion;           /* 16 */
  gint64 diff;                  /* 24 ns: positive: late */
  guint64 timestamp;            /* 32 ns: running time of the producer */
} MmapQos;

#define MMAP_FRAME_RING_SLOTS 256       /* chosen, untuned */
#define MMAP_EVENT_RING_SLOTS 64        /* chosen, untuned */
#define MMAP_RELEASE_RING_SLOTS 1024    /* the most frames and events a link can hold at once */
#define MMAP_UPSTREAM_RING_BYTES 32768  /* reserved for upstream events */
#define MMAP_TOKEN_AREA_BYTES 4096

/* One consumer's connection. Every index counts up for ever; only differences are compared. */
typedef struct
{
  /* line 0: written once by the producer, before the link is offered */
  guint8 magic[8];              /*   0 MMAP_LINK_MAGIC */
  guint32 version;              /*   8 MMAP_PROTOCOL_VERSION */
  guint32 byte_order;           /*  12 MMAP_BYTE_ORDER */
  guint64 session;              /*  16 as in the region */
  guint32 link_id;              /*  24 */
  guint32 link_bytes;           /*  28 sizeof (MmapLinkArea) */
  guint8 reserved0[32];         /*  32 */

  /* line 1: written by the producer */
  guint64 producer_heartbeat_ns;        /*  64 for signalling inside the region; 0 elsewhere */
  guint8 reserved1[56];         /*  72 */
  /* line 2: written by the consumer */
  guint64 consumer_heartbeat_ns;        /* 128 for signalling inside the region; 0 elsewhere */
  MmapQos qos;                  /* 136 */
  guint8 reserved2[16];         /* 176 */

  /* line 3: written by the producer as it publishes */
  guint64 frame_head;           /* 192 frames pushed */
  guint64 event_head;           /* 200 events pushed */
  guint32 consumer_bell;        /* 208 in an area: counts up when the consumer is woken; a consumer on the same kernel waits for that */
  guint32 ended;                /* 212 not 0: what is not read is taken back, or will be: what follows it is not to be handed out */
  guint8 reserved3[40];         /* 216 */
  /* line 4: written by the consumer; the producer may compare-and-swap it, to take the oldest frame back */
  guint64 frame_tail;           /* 256 frames popped or taken back */
  guint8 reserved4[56];         /* 264 */
  /* line 5: written by the consumer */
  guint64 event_tail;           /* 320 events popped */
  guint64 release_head;         /* 328 releases pushed */
  guint32 producer_bell;        /* 336 as consumer_bell, of a producer that waits for a block */
  guint8 reserved5[44];         /* 340 */
  /* line 6: written by the consumer, when it goes to sleep and when it has woken */
  guint32 consumer_sleep;       /* 384 counts up; odd: asleep, or about to be */
  guint32 consumer_cpu;         /* 388 on which it goes to sleep, counted from 1, as sched_getcpu(3) does from 0; 0: not said */
  guint8 reserved6[56];         /* 392 */
  /* line 7: written by the producer */
  guint64 release_tail;         /* 448 releases popped */
  guint32 producer_sleep;       /* 456 as consumer_sleep, of a producer that waits for a block */
  guint8 reserved7[52];         /* 460 */
  /* lines 8 and 9: upstream ring */
  guint64 upstream_head;        /* 512 by the consumer */
  guint8 reserved8[56];         /* 520 */
  guint64 upstream_tail;        /* 576 by the producer */
  guint8 reserved9[56];         /* 584 */
  guint8 reserved10[3456];      /* 640 */

  guint8 token_area[MMAP_TOKEN_AREA_BYTES];     /* 4096 the consumer's token, at a random index */

  MmapDescriptor frame_slots[MMAP_FRAME_RING_SLOTS];    /* 8192 */
  MmapDescriptor event_slots[MMAP_EVENT_RING_SLOTS];    /* 73728 */
  guint64 release_slots[MMAP_RELEASE_RING_SLOTS];       /* 90112 */
  guint8 upstream_bytes[MMAP_UPSTREAM_RING_BYTES];      /* 98304 */
} MmapLinkArea;                 /* 131072 */

/* The serialised events that travel in the event ring. */
typedef enum
{
  MMAP_EVENT_CAPS = 1,          /* payload: the caps as a string, no terminator */
  MMAP_EVENT_SEGMENT = 2,       /* payload: MmapSegment */
  MMAP_EVENT_EOS = 3,           /* no payload */
  MMAP_EVENT_FLUSH = 4,         /* no payload: all that came before it, but caps, is dropped. Told of by a message, too. */
  MMAP_EVENT_RATE = 5,          /* payload: MmapSegment: the last one as it is played since its rate was changed without a flush */
  MMAP_EVENT_GST = 256,         /* from here on: a GstEventType. Payload: what it says, an a{sv} in normal form */
} MmapEventKind;

/* Payload of MMAP_EVENT_SEGMENT: the fields of GstSegment. */
typedef struct
{
  guint32 flags;                /*  0 GstSegmentFlags */
  guint32 format;               /*  4 GstFormat */
  gdouble rate;                 /*  8 */
  gdouble applied_rate;         /* 16 */
  guint64 base;                 /* 24 */
  guint64 offset;               /* 32 */
  guint64 start;                /* 40 */
  guint64 stop;                 /* 48 */
  guint64 time;                 /* 56 */
  guint64 position;             /* 64 */
  guint64 duration;             /* 72 */
} MmapSegment;

#define MMAP_PIN(type, field, at) \
  G_STATIC_ASSERT (offsetof (type, field) == (at))

G_STATIC_ASSERT (MMAP_LINK_LEAVING == 3);
G_STATIC_ASSERT (MMAP_EVENT_RATE == 5);
MMAP_PIN (MmapLinkEntry, state, 0);
MMAP_PIN (MmapLinkEntry, frames, 16);
MMAP_PIN (MmapLinkEntry, dropped, 40);
G_STATIC_ASSERT (sizeof (MmapLinkEntry) == 64);
MMAP_PIN (MmapRegionHeader, version, 8);
MMAP_PIN (MmapRegionHeader, byte_order, 12);
MMAP_PIN (MmapRegionHeader, session, 16);
MMAP_PIN (MmapRegionHeader, size, 24);
MMAP_PIN (MmapRegionHeader, region_id, 32);
MMAP_PIN (MmapRegionHeader, header_bytes, 36);
MMAP_PIN (MmapRegionHeader, blocks_offset, 40);
MMAP_PIN (MmapRegionHeader, links_offset, 48);
MMAP_PIN (MmapRegionHeader, link_bytes, 56);
MMAP_PIN (MmapRegionHeader, link_count, 60);
MMAP_PIN (MmapRegionHeader, producer_pid, 64);
MMAP_PIN (MmapRegionHeader, producer_uid, 68);
MMAP_PIN (MmapRegionHeader, started_us, 72);
MMAP_PIN (MmapRegionHeader, heartbeat_ns, 128);
MMAP_PIN (MmapRegionHeader, frames, 192);
MMAP_PIN (MmapRegionHeader, bytes, 200);
MMAP_PIN (MmapRegionHeader, events, 208);
MMAP_PIN (MmapRegionHeader, links, 4096);
G_STATIC_ASSERT (sizeof (MmapRegionHeader) == 8192);
MMAP_PIN (MmapDescriptor, id, 8);
MMAP_PIN (MmapDescriptor, kind, 16);
MMAP_PIN (MmapDescriptor, region_id, 20);
MMAP_PIN (MmapDescriptor, offset, 24);
MMAP_PIN (MmapDescriptor, size, 32);
MMAP_PIN (MmapDescriptor, flags, 40);
MMAP_PIN (MmapDescriptor, pts, 48);
MMAP_PIN (MmapDescriptor, dts, 56);
MMAP_PIN (MmapDescriptor, duration, 64);
MMAP_PIN (MmapDescriptor, frame_offset, 72);
MMAP_PIN (MmapDescriptor, frame_offset_end, 80);
MMAP_PIN (MmapDescriptor, anchor, 88);
MMAP_PIN (MmapDescriptor, latency, 96);
MMAP_PIN (MmapDescriptor, metas_offset, 104);
MMAP_PIN (MmapDescriptor, metas_size, 112);
MMAP_PIN (MmapDescriptor, n_planes, 116);
MMAP_PIN (MmapDescriptor, video_format, 120);
MMAP_PIN (MmapDescriptor, video_flags, 124);
MMAP_PIN (MmapDescriptor, width, 128);
MMAP_PIN (MmapDescriptor, height, 132);
MMAP_PIN (MmapDescriptor, hints, 136);
MMAP_PIN (MmapDescriptor, number, 140);
MMAP_PIN (MmapDescriptor, plane_offset, 144);
MMAP_PIN (MmapDescriptor, plane_stride, 176);
MMAP_PIN (MmapDescriptor, padding, 192);
G_STATIC_ASSERT (sizeof (MmapDescriptor) == 256);
MMAP_PIN (MmapQos, type, 8);
MMAP_PIN (MmapQos, proportion, 16);
MMAP_PIN (MmapQos, diff, 24);
MMAP_PIN (MmapQos, timestamp, 32);
G_STATIC_ASSERT (sizeof (MmapQos) == 40);
MMAP_PIN (MmapLinkArea, version, 8);
MMAP_PIN (MmapLinkArea, session, 16);
MMAP_PIN (MmapLinkArea, link_id, 24);
MMAP_PIN (MmapLinkArea, link_bytes, 28);
MMAP_PIN (MmapLinkArea, producer_heartbeat_ns, 64);
MMAP_PIN (MmapLinkArea, consumer_heartbeat_ns, 128);
MMAP_PIN (MmapLinkArea, qos, 136);
MMAP_PIN (MmapLinkArea, frame_head, 192);
MMAP_PIN (MmapLinkArea, event_head, 200);
MMAP_PIN (MmapLinkArea, consumer_bell, 208);
MMAP_PIN (MmapLinkArea, ended, 212);
MMAP_PIN (MmapLinkArea, frame_tail, 256);
MMAP_PIN (MmapLinkArea, event_tail, 320);
MMAP_PIN (MmapLinkArea, release_head, 328);
MMAP_PIN (MmapLinkArea, producer_bell, 336);
MMAP_PIN (MmapLinkArea, consumer_sleep, 384);
MMAP_PIN (MmapLinkArea, consumer_cpu, 388);
MMAP_PIN (MmapLinkArea, release_tail, 448);
MMAP_PIN (MmapLinkArea, producer_sleep, 456);
MMAP_PIN (MmapLinkArea, upstream_head, 512);
MMAP_PIN (MmapLinkArea, upstream_tail, 576);
MMAP_PIN (MmapLinkArea, token_area, 4096);
MMAP_PIN (MmapLinkArea, frame_slots, 8192);
MMAP_PIN (MmapLinkArea, event_slots, 73728);
MMAP_PIN (MmapLinkArea, release_slots, 90112);
MMAP_PIN (MmapLinkArea, upstream_bytes, 98304);
G_STATIC_ASSERT (sizeof (MmapLinkArea) == 131072);
G_STATIC_ASSERT (sizeof (MmapSegment) == 80);
/* Each side's own bytes, and no others, on each line: see docs/protocol.md. */
G_STATIC_ASSERT (offsetof (MmapLinkArea, frame_head) % MMAP_CACHE_LINE_BYTES == 0);
G_STATIC_ASSERT (offsetof (MmapLinkArea, frame_tail) % MMAP_CACHE_LINE_BYTES == 0);
G_STATIC_ASSERT (offsetof (MmapLinkArea, event_tail) % MMAP_CACHE_LINE_BYTES == 0);
G_STATIC_ASSERT (offsetof (MmapLinkArea, consumer_sleep) % MMAP_CACHE_LINE_BYTES == 0);
G_STATIC_ASSERT (offsetof (MmapLinkArea, release_tail) % MMAP_CACHE_LINE_BYTES == 0);
