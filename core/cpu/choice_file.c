/* choice_file.c -- measured choices kept between processes (choice.h).
**
** Plain text, so that a person can read why a kernel was taken and delete a line: a title, the machine it
** holds for, a line a node (key, name, times, with tabs between), and "end N", without which the file counts
** as broken.  One file a machine: a home on a network is shared by many.  Written beside and renamed; a file
** that is not ours or not whole is ignored and said so, and the next write replaces it.
*/
#include "base/file.h"
#include "base/mem.h"
#include "base/text.h"
#include "cpu/choice.h"
#include "cpu/dnn_api.h"
#include "kernels/cpu/kernels.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#if defined(__x86_64__)
#include <cpuid.h>
#endif

/* Raise the number when a kernel of ours gets faster or slower. */
static const char title[] = "incsh kernel choices 2";
enum { MOST_BYTES = 8 << 20 };

static void processor(char out[80]) {
  snprintf(out, 80, "unknown processor");
#if defined(__x86_64__)
  unsigned r[12] = {0}, a, b, c, d;
  for (unsigned i = 0; i < 3; i++)
    if (!__get_cpuid(0x80000002 + i, &r[4 * i], &r[4 * i + 1], &r[4 * i + 2], &r[4 * i + 3])) return;
  char brand[49] = "";
  memcpy(brand, r, 48);
  if (__get_cpuid(1, &a, &b, &c, &d)) snprintf(out, 80, "%s (%x)", brand, a);
#endif
}

/* What the timings depend on besides the key. */
static void machine(char *out, size_t n) {
  char cpu[80];
  processor(cpu);
  const dnnl_version_t *v = dnnl_version();
  snprintf(out, n, "machine %s, %s, oneDNN %d.%d.%d", cpu, inc_kernels_get()->isa, v->major, v->minor,
           v->patch);
}

static int file_path(char *out) {
  char text[256], folder[INC_PATH], name[40];
  if (!inc_cache_folder(folder)) return INC_EARG;
  machine(text, sizeof text);
  uint32_t h = 2166136261u;
  for (const char *p = text; *p; p++) h = (h ^ (uint8_t)*p) * 16777619u;
  snprintf(name, sizeof name, "kernels-%08x.txt", h);
  return inc_path_join(out, folder, name);
}

static void make_folders(const char *path) {
  char copy[INC_PATH];
  snprintf(copy, sizeof copy, "%s", path);
  for (char *p = strchr(copy + 1, '/'); p; p = strchr(p + 1, '/')) {
    *p = '\0';
    mkdir(copy, 0777); /* what is wrong shows when the file is made */
    *p = '/';
  }
}

static char *next_line(char **at) {
  char *line = *at, *end = line ? strchr(line, '\n') : NULL;
  if (!end) return NULL;
  *end = '\0';
  *at = end + 1;
  return line;
}

static bool head_fits(char **at) {
  char want[256];
  machine(want, sizeof want);
  const char *first = next_line(at), *second = first ? next_line(at) : NULL;
  return second && !strcmp(first, title) && !strcmp(second, want);
}

/* Each line split in place at its tabs; false when the file is not whole. */
static bool each_line(char *at, int (*add)(const char *, const char *, const char *)) {
  char *line;
  for (long n = 0; (line = next_line(&at)); n++) {
    long told;
    char *name = strchr(line, '\t'), *times = name ? strchr(name + 1, '\t') : NULL;
    if (sscanf(line, "end %ld", &told) == 1) return told == n && !*at;
    if (!times) return false;
    *name++ = *times++ = '\0';
    if (add && add(line, name, times)) return true;
  }
  return false;
}

void inc_choice_file_read(int (*add)(const char *key, const char *name, const char *times)) {
  char path[INC_PATH], *text = NULL;
  size_t n;
  struct stat st;
  if (file_path(path) || stat(path, &st) != 0) return;
  char *copy = NULL;
  if (!inc_file_slurp(path, MOST_BYTES, &text, &n)) copy = inc_strdup(text);
  char *at = text, *again = copy;
  if (copy && strlen(text) == n && head_fits(&at) && head_fits(&again) && each_line(at, NULL))
    each_line(again, add);
  else
    inc_choice_say("the kernel choices in %s are not whole or not ours, and were ignored", path);
  inc_error_clear();
  inc_free(text);
  inc_free(copy);
}

static bool hidden(const choice_entry *first, const choice_entry *e) {
  for (const choice_entry *p = first; p != e; p = p->next)
    if (!p->imported && !strcmp(p->known.key, e->known.key)) return true;
  return false;
}

void inc_choice_file_write(const choice_entry *first) {
  char path[INC_PATH], line[256];
  inc_text t = {0};
  long n = 0;
  if (file_path(path)) return;
  machine(line, sizeof line);
  inc_text_format(&t, "%s\n%s\n", title, line);
  for (const choice_entry *e = first; e; e = e->next) {
    if (e->imported || hidden(first, e)) continue;
    inc_text_format(&t, "%s\t%s\t%s\n", e->known.key, e->known.name, e->known.times);
    n++;
  }
  inc_text_format(&t, "end %ld\n", n);
  make_folders(path);
  if (inc_text_done(&t) || inc_file_replace(path, t.s, t.n))
    inc_choice_say("kernel choices could not be kept in %s: %s", path, inc_error_last()->text);
  inc_error_clear();
  inc_text_free(&t);
}
