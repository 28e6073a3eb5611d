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
  for (int i = 0; i < r->n_state; i++)
    if (!all_finite(r->state[i].t))
      return inc_fail(INC_ENAN, r->state[i].name,
                      "not finite any more after step %lld; nothing was saved over the "
                      "last good checkpoint",
                      (long long)r->status.step);
  return INC_OK;
}

/* -- writing -------------------------------------------------------------------------------------------- */

typedef struct own_meta {
  char step[24], epoch[24], index[24], best[40], best_loss[40], best_step[24], seed[24];
} own_meta;

/* The counters, as metadata behind those of the caller. */
static int add_meta(inc_run *r, own_meta *s, inc_pair *to) {
  const inc_run_status *st = &r->status;
  snprintf(s->step, sizeof s->step, "%lld", (long long)st->step);
  snprintf(s->epoch, sizeof s->epoch, "%lld", (long long)(st->step / r->epoch_steps));
  snprintf(s->index, sizeof s->index, "%lld", (long long)(st->step % r->epoch_steps));
  snprintf(s->best, sizeof s->best, "%.17g", st->best);
  snprintf(s->best_loss, sizeof s->best_loss, "%.17g", st->best_loss);
  snprintf(s->best_step, sizeof s->best_step, "%lld", (long long)st->best_step);
  snprintf(s->seed, sizeof s->seed, "%llu", (unsigned long long)r->seed);
  inc_pair own[] = {{"step", s->step}, {"epoch", s->epoch},         {"index", s->index},
                    {"best", s->best}, {"best_step", s->best_step}, {"best_loss", s->best_loss},
                    {"seed", s->seed}, {"changes", r->changes.s}};
  memcpy(to, own, sizeof own);
  return (int)(sizeof own / sizeof *own);
}

int inc_run_checkpoint(inc_run *r) {
  char path[INC_PATH];
  own_meta text;
  INC_TRY(check_state(r));
  INC_TRY(inc_folder_checkpoint(path, r->folder, r->status.step));
  INC_TRY(inc_log_sync(r->log));
  int own = add_meta(r, &text, r->meta + r->n_meta);
  INC_TRY(inc_safetensors_save(path, r->n_state, r->state, r->n_meta + own, r->meta));
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
  int n = r->n_export_meta;
  r->export_meta[n++] = (inc_pair){"step", step};
  if (r->status.best >= 0) r->export_meta[n++] = (inc_pair){"val.top1", top1};
  return inc_safetensors_save(path, r->n_export, r->export_, n, r->export_meta);
}
