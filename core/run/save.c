/* save.c -- checkpoints of a run, and the best weights so far.
**
** A checkpoint holds every tensor that the next step depends on, and in its metadata the counters.  All float
** state is looked through first: weights that an overflow has ruined would otherwise replace good ones in the
** list of the last three.  The log is synced before, so it never lacks a line that the checkpoint has.
*/
#include "base/file.h"
#include "base/mem.h"
#include "run/folder.h"
#include "run/inside.h"
#include <math.h>
#include <stdio.h>
#include <string.h>

/* -- is the state sound? -------------------------------------------------------------------------------- */

static bool all_finite(const inc_tensor *t) {
  int64_t n = inc_spec_span(&t->spec);
  if (t->spec.dtype == INC_F32) {
    const float *f = inc_tensor_data(t);
    bool bad = false;
    for (int64_t i = 0; i < n; i++) bad |= !(fabsf(f[i]) <= 3.402823466e38f);
    return !bad;
  }
  for (int64_t i = 0; i < n && inc_dtype_is_float(t->spec.dtype); i++)
    if (!isfinite(inc_load(inc_tensor_data(t), t->spec.dtype, i))) return false;
  return true;
}

static int check_state(const inc_run *r) {
  const stage *s = r->now;
  for (int i = 0; i < s->n_state; i++)
    if (!all_finite(s->state[i].t))
      return inc_fail(INC_ENAN, s->state[i].name,
                      "not finite any more after step %lld; nothing was saved over the "
                      "last good checkpoint",
                      (long long)r->status.step);
  return INC_OK;
}

/* -- writing -------------------------------------------------------------------------------------------- */

typedef struct own_meta {
  char step[24], epoch[24], index[24], best[40], best_loss[40], best_step[24], seed[24];
} own_meta;

void inc_run_plateaus(const inc_run *r, inc_text *t) {
  const stage *s = r->now;
  const char *between = "";
  inc_text_put(t, "{");
  for (int i = 0; i < s->n_numbers; i++) {
    const inc_plateau *p = &s->number[i].plateau;
    if (!p->on) continue;
    inc_text_format(t, "%s\"%s\":{\"best\":", between, s->number[i].name);
    inc_text_number(t, p->best);
    inc_text_put(t, ",\"factor\":");
    inc_text_number(t, p->factor);
    inc_text_format(t, ",\"bad\":%lld,\"cooling\":%lld}", (long long)p->bad, (long long)p->cooling);
    between = ",";
  }
  inc_text_put(t, "}");
}

/* The counters, as metadata behind those of the caller. */
static int add_meta(const inc_run *r, own_meta *m, const char *plateaus, inc_pair *to) {
  const inc_run_status *st = &r->status;
  const stage *s = r->now;
  int64_t place = st->step + s->origin;
  snprintf(m->step, sizeof m->step, "%lld", (long long)st->step);
  snprintf(m->epoch, sizeof m->epoch, "%lld", (long long)(place / s->epoch_steps));
  snprintf(m->index, sizeof m->index, "%lld", (long long)(place % s->epoch_steps));
  snprintf(m->best, sizeof m->best, "%.17g", st->best);
  snprintf(m->best_loss, sizeof m->best_loss, "%.17g", st->best_loss);
  snprintf(m->best_step, sizeof m->best_step, "%lld", (long long)st->best_step);
  snprintf(m->seed, sizeof m->seed, "%llu", (unsigned long long)s->seed);
  inc_pair own[] = {{"step", m->step}, {"epoch", m->epoch},         {"index", m->index},
                    {"best", m->best}, {"best_step", m->best_step}, {"best_loss", m->best_loss},
                    {"seed", m->seed}, {"plateau", plateaus}};
  memcpy(to, own, sizeof own);
  return (int)(sizeof own / sizeof *own);
}

static int write_checkpoint(inc_run *r, const char *path) {
  own_meta text;
  inc_text plateaus = {0};
  inc_run_plateaus(r, &plateaus);
  int code = inc_text_done(&plateaus);
  if (code == INC_OK) {
    stage *s = r->now;
    int own = add_meta(r, &text, plateaus.s, s->meta + s->n_meta);
    code = inc_safetensors_save(path, s->n_state, s->state, s->n_meta + own, s->meta);
  }
  inc_text_free(&plateaus);
  return code;
}

int inc_run_checkpoint(inc_run *r) {
  char path[INC_PATH];
  INC_TRY(check_state(r));
  INC_TRY(inc_folder_checkpoint(path, r->folder, r->status.step));
  INC_TRY(inc_log_sync(r->log));
  INC_TRY(write_checkpoint(r, path));
  pthread_mutex_lock(&r->m);
  r->status.saved_step = r->status.step;
  pthread_mutex_unlock(&r->m);
  inc_run_tell(r, (inc_run_event){.kind = INC_EV_SAVE, .step = r->status.step});
  return inc_folder_prune(r->folder, r->keep, r->status.best_step);
}

int inc_run_export(inc_run *r) {
  char path[INC_PATH], step[24], top1[40];
  INC_TRY(check_state(r));
  INC_TRY(inc_path_join(path, r->folder, "best.safetensors"));
  snprintf(step, sizeof step, "%lld", (long long)r->status.step);
  snprintf(top1, sizeof top1, "%.17g", r->status.best);
  stage *s = r->now;
  int n = s->n_export_meta;
  s->export_meta[n++] = (inc_pair){"step", step};
  if (r->status.best >= 0) s->export_meta[n++] = (inc_pair){"val.top1", top1};
  return inc_safetensors_save(path, s->n_export, s->export_, n, s->export_meta);
}
