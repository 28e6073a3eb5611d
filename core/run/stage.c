/* stage.c -- what a run does from some step on: its parts, tables, state, and intervals (inside.h).
**
** A swap of the optimizer, a number that is a constant of the plan, and a fork's own settings all are the next
** stage of a run: made ready elsewhere, taken by the thread between two steps.  Tensors that both stages know
** stay where they are; others get their first values by copies, in the thread, so that a change that is made
** again after a resume is made by the same code.  Rejected: changing the fields of a running stage one by one,
** which left every field to be thought of in every change.
*/
#include "base/mem.h"
#include "run/folder.h"
#include "run/inside.h"
#include <string.h>

/* -- copies of what the caller gave --------------------------------------------------------------------- */

static int copy_named(int n, const inc_named *from, inc_named **to) {
  *to = inc_zalloc(sizeof **to * (size_t)(n + 1));
  if (!*to) return INC_EMEM;
  for (int i = 0; i < n; i++) {
    (*to)[i].t = inc_tensor_ref(from[i].t);
    if (!((*to)[i].name = inc_strdup(from[i].name))) return INC_EMEM;
  }
  return INC_OK;
}

static int copy_pairs(int n, const inc_pair *from, inc_pair **to) {
  *to = inc_zalloc(sizeof **to * (size_t)(n + INC_RUN_OWN_META));
  if (!*to) return INC_EMEM;
  for (int i = 0; i < n; i++) {
    (*to)[i].key = inc_strdup(from[i].key);
    (*to)[i].value = inc_strdup(from[i].value);
    if (!(*to)[i].key || !(*to)[i].value) return INC_EMEM;
  }
  return INC_OK;
}

static int copy_numbers(stage *s, const inc_run_opts *o) {
  size_t n = (size_t)(o->steps - o->first);
  for (int i = 0; i < o->n_numbers; i++) {
    number *to = &s->number[s->n_numbers++];
    to->t = inc_tensor_ref(o->number[i].t);
    to->plateau = o->number[i].plateau;
    to->name = inc_strdup(o->number[i].name);
    to->value = inc_alloc(sizeof(double) * (n + 1));
    if (!to->name || !to->value) return INC_EMEM;
    memcpy(to->value, o->number[i].value, sizeof(double) * n);
  }
  return INC_OK;
}

static int copy_outputs(stage *s, const inc_run_opts *o) {
  for (int i = 0; i < o->n_outputs; i++)
    if (!(s->output[s->n_outputs++] = inc_strdup(o->output[i]))) return INC_EMEM;
  return INC_OK;
}

static int copy_sets(stage *s, const inc_run_opts *o) {
  s->set = inc_zalloc(sizeof *s->set * (size_t)(o->n_set + 1));
  if (!s->set) return INC_EMEM;
  for (; s->n_set < o->n_set; s->n_set++) {
    s->set[s->n_set] = o->set[s->n_set];
    if (!(s->set[s->n_set].name = inc_strdup(o->set[s->n_set].name))) return INC_EMEM;
  }
  return INC_OK;
}

static bool same_places(const inc_spec *a, const inc_spec *b) {
  return a->dtype == INC_F32 && b->dtype == INC_F32 && inc_spec_same_shape(a, b) &&
         inc_spec_same_strides(a, b) && inc_spec_is_dense(a);
}

static int copy_copies(stage *s, const inc_run_opts *o) {
  s->copy = inc_zalloc(sizeof *s->copy * (size_t)(o->n_copies + 1));
  if (!s->copy) return INC_EMEM;
  for (int i = 0; i < o->n_copies; i++) {
    const inc_run_copy *c = &o->copy[i];
    if (!same_places(&c->from->spec, &c->to->spec))
      return inc_fail(INC_EARG, "copy", "expected two dense f32 tensors of one shape at place %d", i + 1);
    s->copy[s->n_copies++] = (inc_run_copy){inc_tensor_ref(c->from), inc_tensor_ref(c->to), c->scale};
  }
  return INC_OK;
}

static int check(const inc_run_opts *o) {
  if (o->n_numbers > INC_RUN_NUMBERS || o->n_outputs > INC_RUN_OUTPUTS || o->n_outputs < 1)
    return inc_fail(INC_EARG, NULL, "expected 1 to %d outputs and at most %d numbers, got %d and %d",
                    INC_RUN_OUTPUTS, INC_RUN_NUMBERS, o->n_outputs, o->n_numbers);
  if (o->first < 0 || o->steps < o->first || o->epoch_steps < 1)
    return inc_fail(INC_EARG, "steps", "expected at least the %lld that are made, got %lld",
                    (long long)o->first, (long long)o->steps);
  return INC_OK;
}

static int fill(stage *s, const inc_run_opts *o) {
  INC_TRY(check(o));
  s->first = o->first, s->epoch_steps = o->epoch_steps, s->origin = o->origin, s->batch = o->batch;
  s->save_every = o->save_every, s->val_every = o->val_every, s->fresh = o->fresh;
  s->rng = inc_tensor_ref(o->rng), s->seed = o->seed;
  INC_TRY(copy_numbers(s, o));
  INC_TRY(copy_outputs(s, o));
  s->n_state = o->n_state, s->n_export = o->n_export; /* counted from here: lists are cleared first */
  INC_TRY(copy_named(o->n_state, o->state, &s->state));
  INC_TRY(copy_named(o->n_export, o->export_, &s->export_));
  s->n_meta = o->n_meta, s->n_export_meta = o->n_export_meta;
  INC_TRY(copy_pairs(o->n_meta, o->meta, &s->meta));
  INC_TRY(copy_pairs(o->n_export_meta, o->export_meta, &s->export_meta));
  INC_TRY(copy_sets(s, o));
  INC_TRY(copy_copies(s, o));
  return o->note && !(s->note = inc_strdup(o->note)) ? INC_EMEM : INC_OK;
}

int inc_stage_new(const inc_run_opts *o, stage **out) {
  stage *s = inc_zalloc(sizeof *s);
  if (!s) {
    if (o->parts.free) o->parts.free(o->parts.self);
    return INC_EMEM;
  }
  s->parts = o->parts;
  int code = fill(s, o);
  if (code != INC_OK) {
    inc_stage_free(s);
    return code;
  }
  *out = s;
  return INC_OK;
}

/* -- and away with them --------------------------------------------------------------------------------- */

static void drop_named(int n, inc_named *list) {
  for (int i = 0; list && i < n; i++) {
    inc_tensor_unref(list[i].t);
    inc_free((char *)list[i].name);
  }
  inc_free(list);
}

static void drop_pairs(int n, inc_pair *list) {
  for (int i = 0; list && i < n; i++) {
    inc_free((char *)list[i].key);
    inc_free((char *)list[i].value);
  }
  inc_free(list);
}

static void drop_numbers(stage *s) {
  for (int i = 0; i < s->n_numbers; i++) {
    inc_tensor_unref(s->number[i].t);
    inc_free(s->number[i].name);
    inc_free(s->number[i].value);
  }
}

void inc_stage_free(stage *s) {
  if (!s) return;
  if (s->parts.free) s->parts.free(s->parts.self);
  drop_numbers(s);
  for (int i = 0; i < s->n_outputs; i++) inc_free(s->output[i]);
  for (int i = 0; i < s->n_copies; i++) inc_tensor_unref(s->copy[i].from), inc_tensor_unref(s->copy[i].to);
  for (int i = 0; i < s->n_set; i++) inc_free((char *)s->set[i].name);
  inc_free(s->copy);
  inc_free(s->set);
  inc_tensor_unref(s->rng);
  drop_named(s->n_state, s->state);
  drop_named(s->n_export, s->export_);
  drop_pairs(s->n_meta, s->meta);
  drop_pairs(s->n_export_meta, s->export_meta);
  inc_free(s->note);
  inc_free(s);
}

/* -- numbers -------------------------------------------------------------------------------------------- */

number *inc_stage_number(stage *s, const char *name) {
  for (int i = 0; i < s->n_numbers; i++)
    if (!strcmp(s->number[i].name, name)) return &s->number[i];
  return NULL;
}

/* Of the step that is made when `made` steps are. */
double inc_stage_value(const stage *s, const number *n, int64_t made) {
  double v = n->value[made - s->first];
  return n->plateau.on ? v * n->plateau.factor : v;
}

void inc_run_note(inc_run *r, const char *text) {
  if (r->notes.n) inc_text_put(&r->notes, "; ");
  inc_text_put(&r->notes, text);
}

/* By hand: from the next step to the end, whatever the schedule says. */
static void set_number(inc_run *r, const char *name, double value) {
  number *n = inc_stage_number(r->now, name);
  if (!n) return;
  for (int64_t i = r->status.step; i < r->steps; i++) n->value[i - r->now->first] = value;
  n->plateau.on = false;
  if (r->notes.n) inc_text_put(&r->notes, "; ");
  inc_text_format(&r->notes, "%s = %.9g", n->name, value);
}

static int write_set(inc_run *r, const char *name, double value) {
  inc_text t = {0};
  inc_text_format(&t, "{\"step\":%lld,\"set\":", (long long)r->status.step + 1);
  inc_text_string(&t, name, strlen(name));
  inc_text_put(&t, ",\"value\":");
  inc_text_number(&t, value);
  inc_text_put(&t, "}\n");
  int code = inc_text_done(&t);
  if (code == INC_OK) code = inc_changes_add(r->folder, t.s, t.n);
  inc_text_free(&t);
  return code;
}

int inc_run_take_set(inc_run *r) {
  int code = INC_OK;
  for (int i = 0; i < r->n_set; i++) {
    if (code == INC_OK) code = write_set(r, r->set[i].name, r->set[i].value);
    if (code == INC_OK) set_number(r, r->set[i].name, r->set[i].value);
    inc_free((char *)r->set[i].name);
  }
  r->n_set = 0;
  return code;
}

/* -- from one stage to the next -------------------------------------------------------------------------- */

static void take_sets_to_come(inc_run *r) {
  const stage *s = r->now;
  for (int i = 0; i < s->n_set; i++)
    if (s->set[i].step == r->status.step + 1) set_number(r, s->set[i].name, s->set[i].value);
}

/* Numbers of the same name go on as they were. */
static void carry(stage *from, stage *to, int64_t steps) {
  for (int i = 0; i < to->n_numbers; i++) {
    number *n = &to->number[i];
    const number *before = inc_stage_number(from, n->name);
    if (!before) continue;
    memcpy(n->value, before->value + (to->first - from->first), sizeof(double) * (size_t)(steps - to->first));
    n->plateau = before->plateau;
  }
}

static void copy_tensors(const stage *s) {
  for (int i = 0; i < s->n_copies; i++) {
    const inc_run_copy *c = &s->copy[i];
    const float *from = inc_tensor_data(c->from);
    float *to = inc_tensor_data(c->to);
    int64_t n = inc_spec_numel(&c->to->spec);
    for (int64_t k = 0; k < n; k++) to[k] = (float)(from[k] * c->scale);
    inc_tensor_touched(c->to);
  }
}

static int next_stage(inc_run *r) {
  stage *before = r->now, *s = before->next;
  if (s->parts.take) INC_TRY(s->parts.take(s->parts.self, before->parts.self));
  copy_tensors(s);
  if (!s->fresh) carry(before, s, r->steps);
  if (s->note) inc_run_note(r, s->note);
  pthread_mutex_lock(&r->m);
  r->now = s;
  r->status.changes_at = s->next ? s->next->first : -1;
  pthread_mutex_unlock(&r->m);
  inc_stage_free(before);
  return INC_OK;
}

int inc_run_changes(inc_run *r) {
  take_sets_to_come(r);
  while (r->now->next && r->now->next->first == r->status.step) {
    INC_TRY(next_stage(r));
    take_sets_to_come(r);
  }
  pthread_mutex_lock(&r->m);
  int code = inc_run_take_set(r);
  pthread_mutex_unlock(&r->m);
  return code;
}
