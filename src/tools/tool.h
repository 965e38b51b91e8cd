/* gst-mmap: the command-line tool
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include "capabilities.h"
#include "region.h"

G_BEGIN_DECLS

/* What the tool exits with. */
typedef enum
{
  TOOL_ACCEPTED = 0,
  TOOL_REFUSED = 1,             /* the region, the offer or the answer is not as it should be */
  TOOL_USAGE = 2                /* the command line is not */
} ToolStatus;

/* The commands: main() with the command's own words; argv[0] is "gst-mmap COMMAND". */
ToolStatus tool_offer (int argc, char **argv);
ToolStatus tool_answer (int argc, char **argv);
ToolStatus tool_verify (int argc, char **argv);
ToolStatus tool_inspect (int argc, char **argv);
ToolStatus tool_list (int argc, char **argv);
ToolStatus tool_clean (int argc, char **argv);
ToolStatus tool_format (int argc, char **argv);
ToolStatus tool_doctor (int argc, char **argv);
ToolStatus tool_ivshmem_server (int argc, char **argv);

/* Parses the options of a command. --help prints and exits.
 * @arguments: (nullable): what the command takes besides options, for --help
 * @argument: (out) (nullable) (transfer full): the one argument, %NULL if there is none; if @argument is %NULL, none is
 *     allowed
 * FALSE if the command line is wrong, which has been said on stderr. */
gboolean tool_parse (int argc, char **argv, const GOptionEntry * options,
    const char *arguments, const char *summary, char **argument);

/* As tool_parse(), for commands that take any number of paths.
 * @paths: (out) (nullable) (transfer full): %NULL if there are none */
gboolean tool_parse_paths (int argc, char **argv,
    const GOptionEntry * options, const char *summary, char ***paths);

/* @text: a number of bytes above 0, or one with K, M or G, powers of 1024: 4096, 512K, 64M, 1G. FALSE if it is none. */
gboolean tool_parse_size (const char *text, guint64 * size);

/* Returns: (transfer full): @text, in which what is no printable UTF-8 is written as \xHH, so that no terminal obeys it */
char *tool_escape (const char *text);

/* Says on stderr what is wrong with the command line. Returns: TOOL_USAGE */
ToolStatus tool_usage (const char *format, ...) G_GNUC_PRINTF (1, 2);

/* Says on stderr which field was refused and why, and frees @error. Returns: TOOL_REFUSED */
ToolStatus tool_refuse (GError * error);

/**
 * ToolMemory:
 * @fd: open for reading, or for both
 * @size: bytes that both sides use
 * @start: first byte at which a token may lie
 *
 * The file in which tokens lie: a region, or, as xpra makes it, a bare file. It is read and written by system calls: where
 * somebody cuts the file short, these fail and no signal is raised.
 */
typedef struct
{
  MmapRegion *region;           /* %NULL: bare */
  int fd;
  guint64 size;
  guint64 start;
} ToolMemory;

/* Opens the file that @capabilities name. MMAP_ERROR_IN_USE if it is to be written and has a live owner: what lies in
 * its blocks are that owner's frames.
 * @raw: the file is bare */
gboolean tool_memory_open (ToolMemory * memory,
    const MmapCapabilities * capabilities, gboolean raw, gboolean writable,
    GError ** error);

/* As tool_memory_open(), for a region that is open already. Takes @region. */
void tool_memory_init_region (ToolMemory * memory, MmapRegion * region);

void tool_memory_clear (ToolMemory * memory);

/* TRUE if the token of @capabilities lies at its index. MMAP_ERROR_TOKEN_INDEX, MMAP_ERROR_TOKEN or MMAP_ERROR_FILE */
gboolean tool_memory_check_token (const ToolMemory * memory,
    const MmapCapabilities * capabilities, GError ** error);

/* Draws a token and writes it at a random index.
 * @capabilities: (inout): gets the token and its index
 * @avoid: (nullable): the token that must not be overwritten
 * MMAP_ERROR_TOKEN_BYTES, MMAP_ERROR_TOO_SMALL or MMAP_ERROR_FILE */
gboolean tool_memory_write_token (const ToolMemory * memory, guint n_bytes,
    const MmapCapabilities * avoid, MmapCapabilities * capabilities,
    GError ** error);

/* Reads an offer or answer: one JSON object.
 * @argument: (nullable): the JSON text; %NULL or "-": standard input
 * FALSE with the code of the field that is missing or wrong, or MMAP_ERROR_MESSAGE if it is no JSON object. On failure
 * @capabilities is cleared. */
gboolean tool_json_read (MmapCapabilities * capabilities,
    const char *argument, GError ** error);

/* Prints the five fields on stdout. */
void tool_json_print (const MmapCapabilities * capabilities);

G_END_DECLS
