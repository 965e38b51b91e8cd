/* gst-mmap: what the benchmark measures of a process
 *
 * Copyright (C) 2026 the gst-mmap authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Called by benchsrc and benchsink from their streaming threads, at both ends of the window; the rest by main().
 */
#include "measure.h"

#include <linux/perf_event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

/* tracefs on its own mount point, and where it is on older systems. */
static const char *const tracepoint_ids[] = {
  "/sys/kernel/tracing/events/raw_syscalls/sys_enter/id",
  "/sys/kernel/debug/tracing/events/raw_syscalls/sys_enter/id",
};

static int syscalls_fd = -1;

gint64
measure_now_ns (void)
{
  struct timespec now;

  clock_gettime (CLOCK_MONOTONIC, &now);
  return now.tv_sec * G_GINT64_CONSTANT (1000000000) + now.tv_nsec;
}

gboolean
measure_count_syscalls (void)
{
  struct perf_event_attr attr = {
    .type = PERF_TYPE_TRACEPOINT,
    .size = sizeof attr,
    .inherit = 1,
  };
  guint i;

  for (i = 0; i < G_N_ELEMENTS (tracepoint_ids) && attr.config == 0; i++) {
    g_autofree char *id = NULL;

    if (g_file_get_contents (tracepoint_ids[i], &id, NULL, NULL))
      attr.config = strtoull (id, NULL, 10);
  }
  if (attr.config == 0)
    return FALSE;
  syscalls_fd = syscall (SYS_perf_event_open, &attr, 0, -1, -1,
      PERF_FLAG_FD_CLOEXEC);
  return syscalls_fd >= 0;
}

/* By the second field of schedstat; 0 if the kernel doesn't count it. */
static gint64
read_ready_ns (void)
{
  g_autofree char *text = NULL;
  guint64 ready_ns = 0;

  if (g_file_get_contents ("/proc/thread-self/schedstat", &text, NULL, NULL))
    sscanf (text, "%*u %" G_GUINT64_FORMAT, &ready_ns);
  return ready_ns;
}

void
measure_snapshot (Snapshot * snapshot)
{
  struct rusage usage;
  guint64 count;

  getrusage (RUSAGE_SELF, &usage);
  snapshot->ns = measure_now_ns ();
  snapshot->cpu_ns =
      (usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1000000000 +
      (usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) * 1000;
  snapshot->switches_voluntary = usage.ru_nvcsw;
  snapshot->switches_involuntary = usage.ru_nivcsw;
  snapshot->ready_ns = read_ready_ns ();
  snapshot->faults = usage.ru_minflt + usage.ru_majflt;
  snapshot->syscalls = -1;
  if (syscalls_fd >= 0
      && read (syscalls_fd, &count, sizeof count) == sizeof count)
    snapshot->syscalls = count;
}

static guint
bucket_of (gint64 ns)
{
  guint64 value = MAX (ns, 0);
  guint shift = 0;

  if (value >> HISTOGRAM_BITS)
    shift = 63 - __builtin_clzll (value) - HISTOGRAM_BITS + 1;
  if (shift > 0)
    value = (value >> (shift - 1)) - (1 << HISTOGRAM_BITS)
        + ((guint64) shift << HISTOGRAM_BITS);
  return MIN (value, HISTOGRAM_BUCKETS - 1);
}

static gint64
bucket_middle_ns (guint bucket)
{
  guint shift = bucket >> HISTOGRAM_BITS;
  guint64 low = bucket & ((1 << HISTOGRAM_BITS) - 1);

  if (shift == 0)
    return low;
  low = (low + (1 << HISTOGRAM_BITS)) << (shift - 1);
  return low + (G_GUINT64_CONSTANT (1) << (shift - 1)) / 2;
}

void
histogram_add (Histogram * histogram, gint64 ns)
{
  histogram->counts[bucket_of (ns)]++;
  histogram->max_ns = MAX (histogram->max_ns, ns);
}

void
histogram_to_json (const Histogram * histogram, GString * json)
{
  const char *separator = "";
  guint i;

  g_string_append_printf (json,
      "{\"max_ns\": %" G_GINT64_FORMAT ", \"buckets\": [", histogram->max_ns);
  for (i = 0; i < HISTOGRAM_BUCKETS; i++) {
    if (histogram->counts[i] == 0)
      continue;
    g_string_append_printf (json, "%s[%" G_GINT64_FORMAT ", %u]", separator,
        bucket_middle_ns (i), histogram->counts[i]);
    separator = ", ";
  }
  g_string_append (json, "]}");
}

void
measure_span_to_json (const Snapshot * begin, const Snapshot * end,
    GString * json)
{
  g_string_append_printf (json, "\"wall_ns\": %" G_GINT64_FORMAT
      ", \"cpu_ns\": %" G_GINT64_FORMAT
      ", \"switches_voluntary\": %" G_GINT64_FORMAT
      ", \"switches_involuntary\": %" G_GINT64_FORMAT
      ", \"ready_ns\": %" G_GINT64_FORMAT
      ", \"faults\": %" G_GINT64_FORMAT, end->ns - begin->ns,
      end->cpu_ns - begin->cpu_ns,
      end->switches_voluntary - begin->switches_voluntary,
      end->switches_involuntary - begin->switches_involuntary,
      end->ready_ns - begin->ready_ns, end->faults - begin->faults);
  if (begin->syscalls >= 0 && end->syscalls >= 0)
    g_string_append_printf (json, ", \"syscalls\": %" G_GINT64_FORMAT,
        end->syscalls - begin->syscalls);
}

/* Bytes of the line @name of @text, which has kB. */
static guint64
smaps_bytes (const char *text, const char *name)
{
  g_autofree char *wanted = g_strdup_printf ("\n%s:", name);
  const char *line = strstr (text, wanted);

  return line ? strtoull (line + strlen (wanted), NULL, 10) * 1024 : 0;
}

guint64
measure_rss (void)
{
  g_autofree char *text = NULL;
  guint64 pages = 0;

  if (g_file_get_contents ("/proc/self/statm", &text, NULL, NULL))
    sscanf (text, "%*u %" G_GUINT64_FORMAT, &pages);
  return pages * sysconf (_SC_PAGESIZE);
}

void
measure_memory_to_json (GString * json)
{
  g_autofree char *text = NULL;

  if (!g_file_get_contents ("/proc/self/smaps_rollup", &text, NULL, NULL))
    text = g_strdup ("");
  g_string_append_printf (json, "\"rss\": %" G_GUINT64_FORMAT
      ", \"pss\": %" G_GUINT64_FORMAT ", \"shared\": %" G_GUINT64_FORMAT
      ", \"pss_shmem\": %" G_GUINT64_FORMAT, smaps_bytes (text, "Rss"),
      smaps_bytes (text, "Pss"), smaps_bytes (text, "Shared_Clean")
      + smaps_bytes (text, "Shared_Dirty"), smaps_bytes (text, "Pss_Shmem"));
}
