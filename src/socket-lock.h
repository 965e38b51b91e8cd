/* gst-mmap: who listens at a socket
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include <glib.h>
#include <sys/types.h>

G_BEGIN_DECLS

/* The lock of the socket PATH is the file PATH.lock. */
#define MMAP_SOCKET_LOCK_SUFFIX ".lock"
/* An abstract socket has a memfd of this name instead, which nobody needs to lock: the kernel frees the name. */
#define MMAP_SOCKET_MEMFD_NAME "gst-mmap-socket"
/* Bytes of a record at most: the longest address, each byte written as \ooo, and the other fields. */
#define MMAP_SOCKET_RECORD_MAX_BYTES 1024

/**
 * MmapSocketRecord:
 * @pid: of the owner, in its own PID namespace
 * @uid: of the owner
 * @session: as in the region's header; 0: none yet
 * @address: (nullable): as in mmap_listener_new(), so that a tool finds abstract sockets
 *
 * What an owner says of itself, as text in the lock or memfd: for messages and tools, nothing is decided by it.
 */
typedef struct
{
  guint32 pid;
  guint32 uid;
  guint64 session;
  char *address;
} MmapSocketRecord;

/* Reads the record that lies in @fd.
 * FALSE if there is none. An empty file is one of an owner that is just starting, or was killed while it did: then the record is all 0. */
gboolean mmap_socket_record_read (int fd, MmapSocketRecord * record);
void mmap_socket_record_clear (MmapSocketRecord * record);

/**
 * MmapSocketLock:
 * @fd: the lock, or the memfd of an abstract socket; -1: none
 * @path: (nullable): of the lock
 * @address: what it is the lock of
 * @device: of the file system that @path is in
 * @inode: of the file
 *
 * The right to make a socket at an address. Of the caller's memory.
 */
typedef struct
{
  int fd;
  char *path;
  char *address;
  dev_t device;
  ino_t inode;
} MmapSocketLock;

/* Takes the lock of @address, which it keeps as long as this process lives: makes its file with mode 0600, or takes over that of an owner
 * that is dead. FALSE with MMAP_ERROR_IN_USE, which names the owner, MMAP_ERROR_EXISTS (what lies there is no such file, or another
 * user's), MMAP_ERROR_NO_DIRECTORY, MMAP_ERROR_PERMISSION, MMAP_ERROR_NO_SPACE or MMAP_ERROR_FAILED: then @lock is clear. */
gboolean mmap_socket_lock_take (MmapSocketLock * lock, const char *address,
    GError ** error);

/* Adds the session to the record. */
void mmap_socket_lock_set_session (MmapSocketLock * lock, guint64 session);

/* Removes the file and gives up the lock, if there is one. The socket must have been removed before. */
void mmap_socket_lock_drop (MmapSocketLock * lock);

G_END_DECLS
