/* shared.c -- one block of memory for plans that run by turns (plan.h: inc_arena).
**
** Nothing that must last lies in a plan's arena but hoisted work, and that can be done again.  So the plans of
** a comparison's runs, which step one at a time, share a block as large as the largest wants, instead of one
** each.  The block may move when a larger plan comes: plans find out by its address and wire themselves anew.
** Rejected: copying each run's state through one plan, which moves hundreds of megabytes at every turn.
*/
#include "base/mem.h"
#include "plan/internal.h"

int inc_arena_new(inc_arena **out) {
  *out = inc_zalloc(sizeof **out);
  if (!*out) return INC_EMEM;
  (*out)->refs = 1;
  return INC_OK;
}

inc_arena *inc_arena_ref(inc_arena *a) {
  a->refs++;
  return a;
}

void inc_arena_unref(inc_arena *a) {
  if (!a || --a->refs > 0) return;
  inc_free(a->block);
  inc_free(a);
}

int inc_plan_share(inc_plan *p, inc_arena *a) {
  if (p->arena) return inc_fail(INC_ESTATE, NULL, "this plan has run already: memory is shared before that");
  if (p->shared) inc_arena_unref(p->shared);
  p->shared = inc_arena_ref(a);
  return INC_OK;
}

/* The block, large enough; what another plan left in it is no longer this one's. */
int inc_arena_take(inc_plan *p, char **block) {
  inc_arena *a = p->shared;
  if (a->bytes < p->arena_bytes) {
    char *larger = inc_alloc(p->arena_bytes);
    if (!larger) return INC_EMEM;
    inc_free(a->block);
    a->block = larger, a->bytes = p->arena_bytes, a->user = NULL;
  }
  if (a->user != p) p->hoisted_done = false;
  a->user = p;
  *block = a->block;
  return INC_OK;
}

void inc_plan_drop_arena(inc_plan *p) {
  if (!p->shared) {
    inc_free(p->arena);
    return;
  }
  if (p->shared->user == p) p->shared->user = NULL;
  inc_arena_unref(p->shared);
}
