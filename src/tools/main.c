/* gst-mmap: the command-line tool
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Finds the command, and says what all commands say in the same way. One
 * thread.
 */
#include "tool.h"
#include "error.h"

#include "config.h"

#include <errno.h>
#include <locale.h>
#include <stdio.h>
#include <string.h>

typedef struct
{
  const char *name;
    ToolStatus (*run) (int argc, char **argv);
  const char *summary;
} Command;

static const Command commands[] = {
  {"offer", tool_offer, "make a region file and offer it, with a token"},
  {"answer", tool_answer, "check an offer's token, and write one in answer"},
  {"verify", tool_verify, "check an answer's token"},
  {"inspect", tool_inspect, "show a region: owner, session, links, counters"},
  {"list", tool_list,
      "show sockets and regions, and whether their owners live"},
  {"clean", tool_clean, "remove those whose owners are dead"},
  {"format", tool_format, "make memory blank, for streams without a socket"},
  {"doctor", tool_doctor, "check this machine's set-up, and say what to cure"},
  {"ivshmem-server", tool_ivshmem_server,
      "serve QEMU's ivshmem-doorbell devices"},
};

static void
print_help (void)
{
  guint i;

  g_print ("Usage:\n  gst-mmap COMMAND [OPTION...]\n\n"
      "Looks at regions of shared memory, and speaks the handshake that "
      "proves that two\nprocesses see the same one.\n\nCommands:\n");
  for (i = 0; i < G_N_ELEMENTS (commands); i++)
    g_print ("  %-16s%s\n", commands[i].name, commands[i].summary);
  g_print ("\nOptions:\n"
      "  --help    this, or a command's own: gst-mmap COMMAND --help\n"
      "  --version version of this program and of the protocol\n\n"
      "Exits with 0: accepted, 1: refused, and stderr says which field, "
      "2: wrong usage.\n");
}

ToolStatus
tool_usage (const char *format, ...)
{
  va_list args;
  char *message;

  va_start (args, format);
  message = g_strdup_vprintf (format, args);
  va_end (args);
  g_printerr ("%s: %s\nTry '%s --help'.\n", g_get_prgname (), message,
      g_get_prgname ());
  g_free (message);
  return TOOL_USAGE;
}

ToolStatus
tool_refuse (GError * error)
{
  const char *field = error->domain == MMAP_ERROR
      ? mmap_error_get_name (error->code) : "failed";
  g_autofree char *message = tool_escape (error->message);

  g_printerr ("%s: refused (%s): %s\n", g_get_prgname (), field, message);
  g_error_free (error);
  return TOOL_REFUSED;
}

/* Leaves argv[0] and the arguments. */
static gboolean
parse_options (int *argc, char ***argv, const GOptionEntry * options,
    const char *arguments, const char *summary)
{
  GOptionContext *context = g_option_context_new (arguments);
  GError *error = NULL;
  gboolean ok;

  g_option_context_set_summary (context, summary);
  g_option_context_add_main_entries (context, options, NULL);
  ok = g_option_context_parse (context, argc, argv, &error);
  g_option_context_free (context);
  if (!ok) {
    tool_usage ("%s", error->message);
    g_error_free (error);
    return FALSE;
  }
  /* The parser leaves the "--" that ends the options. */
  if (*argc > 1 && strcmp ((*argv)[1], "--") == 0) {
    (*argc)--;
    (*argv)++;
  }
  return TRUE;
}

gboolean
tool_parse (int argc, char **argv, const GOptionEntry * options,
    const char *arguments, const char *summary, char **argument)
{
  if (!parse_options (&argc, &argv, options, arguments, summary))
    return FALSE;
  if (argc > (argument != NULL ? 2 : 1)) {
    tool_usage ("'%s' is one argument too many",
        argv[argument != NULL ? 2 : 1]);
    return FALSE;
  }
  if (argument != NULL)
    *argument = argc > 1 ? g_strdup (argv[1]) : NULL;
  return TRUE;
}

gboolean
tool_parse_paths (int argc, char **argv, const GOptionEntry * options,
    const char *summary, char ***paths)
{
  if (!parse_options (&argc, &argv, options, "[PATH...]", summary))
    return FALSE;
  *paths = argc > 1 ? g_strdupv (argv + 1) : NULL;
  return TRUE;
}

gboolean
tool_parse_size (const char *text, guint64 * size)
{
  static const char suffixes[] = "KMG";
  char *digits = g_strdup (text);
  gsize n = strlen (digits);
  guint shift = 0;
  gboolean ok;

  if (n > 0 && !g_ascii_isdigit (digits[n - 1])) {
    const char *suffix = strchr (suffixes, g_ascii_toupper (digits[n - 1]));

    shift = suffix != NULL ? 10 * (suffix - suffixes + 1) : 0;
    if (suffix != NULL)
      digits[n - 1] = '\0';
  }
  ok = g_ascii_string_to_unsigned (digits, 10, 1, G_MAXUINT64 >> shift, size,
      NULL);
  *size = ok ? *size << shift : 0;
  g_free (digits);
  return ok;
}

/* What was printed counts only if it has arrived. */
static int
finish (ToolStatus status)
{
  if (fflush (stdout) == 0 && !ferror (stdout))
    return status;
  g_printerr ("%s: the output can't be written: %s\n", g_get_prgname (),
      g_strerror (errno));
  return status == TOOL_ACCEPTED ? TOOL_REFUSED : status;
}

static const Command *
find_command (const char *name)
{
  guint i;

  for (i = 0; i < G_N_ELEMENTS (commands); i++) {
    if (strcmp (name, commands[i].name) == 0)
      return &commands[i];
  }
  return NULL;
}

static int
run_command (const Command * command, int argc, char **argv)
{
  g_autofree char *name = g_strconcat ("gst-mmap ", command->name, NULL);

  g_set_prgname (name);
  return finish (command->run (argc, argv));
}

int
main (int argc, char **argv)
{
  char help_option[] = "--help";
  const Command *command;

  setlocale (LC_ALL, "");
  g_set_prgname ("gst-mmap");
  if (argc < 2)
    return tool_usage ("which command?");
  if (strcmp (argv[1], "--help") == 0 || strcmp (argv[1], "-h") == 0
      || (strcmp (argv[1], "help") == 0 && argc == 2)) {
    print_help ();
    return finish (TOOL_ACCEPTED);
  }
  if (strcmp (argv[1], "--version") == 0) {
    g_print ("gst-mmap %s, protocol %d\n", VERSION, MMAP_PROTOCOL_VERSION);
    return finish (TOOL_ACCEPTED);
  }
  if (strcmp (argv[1], "help") == 0 && argc == 3) {
    command = find_command (argv[2]);
    if (command)
      return run_command (command, 2, (char *[]) { argv[2], help_option, NULL }
    );
    return tool_usage ("'%s' is no command", argv[2]);
  }
  command = find_command (argv[1]);
  if (command)
    return run_command (command, argc - 1, argv + 1);
  return tool_usage ("'%s' is no command", argv[1]);
}
