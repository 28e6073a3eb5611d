/* choice.c -- the table of measured choices (choice.h). */
#include "cpu/choice.h"
#include "base/interrupt.h"
#include "base/mem.h"
#include "base/text.h"
#include "exec/compute.h"
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static choice_entry *table; /* newest first: what was imported last hides what was there */
static bool loaded, changed;
static char note[256];

void inc_choice_say(const char *fmt, ...) {
  va_list ap;
  va_start(ap, fmt);
  vsnprintf(note, sizeof note, fmt, ap);
  va_end(ap);
}

const char *inc_choice_note(void) {
  static _Thread_local char out[sizeof note];
  pthread_mutex_lock(&lock);
  memcpy(out, note, sizeof out);
  note[0] = '\0';
  pthread_mutex_unlock(&lock);
  return out;
}

/* -- the key ------------------------------------------------------------------------------------------- */

static void put_list(inc_text *t, int n, const int64_t *v) {
  for (int i = 0; i < n; i++) inc_text_format(t, "%s%lld", i ? "," : "", (long long)v[i]);
}

static void put_spec(inc_text *t, const inc_spec *s) {
  if (!s->dtype) {
    inc_text_put(t, " -");
    return;
  }
  inc_text_format(t, " %s[", inc_dtype_name(s->dtype));
  put_list(t, s->ndim, s->shape);
  inc_text_put(t, "]");
  if (inc_spec_is_contiguous(s)) return;
  if (inc_spec_is_channels_last(s)) {
    inc_text_put(t, "cl");
    return;
  }
  inc_text_put(t, "s");
  put_list(t, s->ndim, s->strides);
}

static int make_key(const inc_node *n, uint32_t prep, inc_text *t) {
  inc_text_format(t, "%dt %s%s", inc_compute_threads(), n->op->name, prep & INC_PREP_KEEP ? " kept" : "");
  if (prep & INC_PREP_EXACT) inc_text_put(t, " exact");
  for (int k = 0; k < n->n_in; k++) put_spec(t, &n->in[k]);
  inc_text_put(t, " ->");
  for (int k = 0; k < n->n_out; k++) put_spec(t, &n->out[k]);
  for (int k = 0, m = inc_op_sig(n->op)->n_attrs; k < m; k++) {
    inc_text_put(t, k ? "/" : " ");
    if (!n->attr[k].is_float && n->attr[k].n > 0) put_list(t, n->attr[k].n, n->attr[k].i);
  }
  return inc_text_done(t);
}

/* -- the table ----------------------------------------------------------------------------------------- */

static choice_entry *find(const char *key) {
  for (choice_entry *e = table; e; e = e->next)
    if (!strcmp(e->known.key, key)) return e;
  return NULL;
}

static int add(const char *key, const char *name, const char *times, bool imported) {
  size_t nk = strlen(key) + 1, nn = strlen(name) + 1, nt = strlen(times) + 1;
  choice_entry *e = inc_alloc(sizeof *e + nk + nn + nt);
  if (!e) return INC_EMEM;
  char *at = (char *)(e + 1);
  e->known.key = memcpy(at, key, nk);
  e->known.name = memcpy(at + nk, name, nn);
  e->known.times = memcpy(at + nk + nn, times, nt);
  e->known.fresh = false;
  e->imported = imported;
  e->next = table;
  table = e;
  return INC_OK;
}

static int add_from_file(const char *key, const char *name, const char *times) {
  return find(key) ? INC_OK : add(key, name, times, false);
}

static void load(void) {
  if (!loaded) inc_choice_file_read(add_from_file);
  loaded = true;
}

const char *inc_choice_name(const inc_choice *c) { return c->way ? c->way : c->impl; }

static int place_of(const inc_choice *all, const int *which, int n, const char *name) {
  for (int i = 0; i < n; i++)
    if (!strcmp(inc_choice_name(&all[which[i]]), name)) return which[i];
  return -1;
}

/* -- choosing ------------------------------------------------------------------------------------------ */

static bool tuning(void) {
  const char *s = getenv("INC_TUNE");
  return !s || strcmp(s, "off") != 0;
}

/* Others at work on the machine: times are poor then, and must differ more before they count.  They are not
** taken again later: the same seed would not give the same bits any more. */
bool inc_choice_busy(void) {
  double load;
  return getloadavg(&load, 1) == 1 && load > 0.75 * inc_compute_threads() + 0.25;
}

/* Those that may stand in for the first: real kernels that promise the planner the same. */
static int candidates(const inc_choice *all, int n, uint32_t not_those, int *which) {
  int got = 0;
  for (int i = 0; i < n; i++)
    if (!(all[i].flags & not_those) && !((all[i].flags ^ all[0].flags) & INC_K_INPLACE)) which[got++] = i;
  return got;
}

static int fastest(const double *ms, int n, double margin) {
  int best = 0;
  for (int i = 1; i < n; i++)
    if (ms[i] < ms[best] * margin) best = i;
  return best;
}

static int measure(const inc_node *node, const inc_choice *all, const int *which, int n, uint32_t prep,
                   const char *key) {
  double ms[CHOICES];
  inc_text t = {0};
  bool noisy = inc_choice_busy();
  INC_TRY(inc_choice_time(node, all, which, n, prep, ms));
  int best = fastest(ms, n, noisy ? 0.85 : 0.97);
  for (int i = 0; i < n; i++)
    inc_text_format(&t, "%s%s %.3f", t.n ? ", " : "", inc_choice_name(&all[which[i]]), ms[i]);
  inc_text_format(&t, " ms%s", noisy ? " (machine busy)" : "");
  int code = inc_text_done(&t);
  if (!code) code = add(key, inc_choice_name(&all[which[best]]), t.s, false);
  if (!code) table->known.fresh = changed = true;
  inc_text_free(&t);
  return code;
}

static int pick_from_table(const inc_node *node, const inc_choice *all, const int *which, int n,
                           uint32_t prep, const char *key, inc_choice *out) {
  bool tune = tuning();
  if (tune) load();
  choice_entry *e = find(key);
  if (e && !e->imported && !tune) e = NULL;
  if (e && !e->imported && place_of(all, which, n, e->known.name) < 0) e = NULL; /* of another build */
  if (!e && tune) {
    if (inc_interrupt_pending()) return inc_fail(INC_EINTR, NULL, "interrupted while kernels were measured");
    INC_TRY(measure(node, all, which, n, prep, key));
    e = table;
  }
  int place = e ? place_of(all, which, n, e->known.name) : -1;
  if (place < 0) return INC_OK;
  *out = all[place];
  out->tuned = &e->known;
  return INC_OK;
}

int inc_choice_pick(const inc_node *node, const inc_choice *all, int n, uint32_t prep, inc_choice *out) {
  int which[CHOICES];
  inc_text key = {0};
  *out = all[0];
  if (n > CHOICES) n = CHOICES;
  n = candidates(all, n, INC_K_REF | (prep & INC_PREP_EXACT ? INC_K_ROUNDS : 0), which);
  if (n > 0) *out = all[which[0]];
  if (n < 2 || !inc_choice_worth(node)) return INC_OK;
  int code = make_key(node, prep, &key);
  pthread_mutex_lock(&lock);
  if (!code) code = pick_from_table(node, all, which, n, prep, key.s, out);
  pthread_mutex_unlock(&lock);
  inc_text_free(&key);
  return code;
}

void inc_choice_settle(void) {
  pthread_mutex_lock(&lock);
  inc_choice_time_done();
  for (choice_entry *e = table; changed && e; e = e->next) e->known.fresh = false;
  if (changed) {
    inc_choice_file_read(add_from_file); /* what others learned in the meantime stays */
    inc_choice_file_write(table);
  }
  changed = false;
  pthread_mutex_unlock(&lock);
}

void inc_choice_forget(void) {
  pthread_mutex_lock(&lock);
  while (table) {
    choice_entry *e = table;
    table = e->next;
    inc_free(e);
  }
  loaded = changed = false;
  note[0] = '\0';
  pthread_mutex_unlock(&lock);
}

/* -- a run's record ------------------------------------------------------------------------------------ */

static int import_line(char *line) {
  char *name = strchr(line, '\t'), *key = name ? strchr(name + 1, '\t') : NULL;
  if (!key) return INC_OK;
  *key++ = '\0';
  return add(key, name + 1, "", true);
}

int inc_choice_import(const char *text) {
  char *copy = inc_strdup(text), *save = NULL;
  if (!copy) return INC_EMEM;
  int code = INC_OK;
  pthread_mutex_lock(&lock);
  for (char *l = strtok_r(copy, "\n", &save); l && !code; l = strtok_r(NULL, "\n", &save))
    code = import_line(l);
  pthread_mutex_unlock(&lock);
  inc_free(copy);
  return code;
}
