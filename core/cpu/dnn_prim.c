/* dnn_prim.c -- a primitive and its arguments; matrix products (dnn.h). */
#include "cpu/dnn.h"
#include <string.h>

void dnn_prim_describe(dnn_prim *p, dnnl_primitive_desc_t pd, int n, const int *args) {
  memset(p, 0, sizeof *p);
  p->pd = pd;
  p->scratch = dnn_pd_scratch(pd);
  for (int i = 0; i < n; i++) p->arg[i] = args[i];
  if (p->scratch) p->arg[n++] = DNNL_ARG_SCRATCHPAD;
  p->n = n;
}

int dnn_prim_build(dnn_prim *p) {
  if (p->prim || !p->pd) return INC_OK;
  INC_TRY(dnn_fail(dnnl_primitive_create(&p->prim, p->pd), "creating a primitive"));
  for (int i = 0; i < p->n; i++)
    INC_TRY(
        dnn_fail(dnnl_memory_create(&p->mem[i], dnn_pd_md(p->pd, p->arg[i]), dnn_engine(), DNNL_MEMORY_NONE),
                 "creating a memory object"));
  return INC_OK;
}

int dnn_prim_run(dnn_prim *p, void *const *at, void *scratch) {
  dnnl_exec_arg_t a[DNN_ARGS];
  for (int i = 0; i < p->n; i++) {
    void *where = p->arg[i] == DNNL_ARG_SCRATCHPAD ? scratch : at[i];
    INC_TRY(dnn_fail(dnnl_memory_set_data_handle(p->mem[i], where), "setting an address"));
    a[i] = (dnnl_exec_arg_t){p->arg[i], p->mem[i]};
  }
  INC_TRY(dnn_fail(dnnl_primitive_execute(p->prim, dnn_stream(), p->n, a), "running a primitive"));
  return dnn_fail(dnnl_stream_wait(dnn_stream()), "running a primitive");
}

void dnn_prim_free(dnn_prim *p) {
  for (int i = 0; i < p->n; i++)
    if (p->mem[i]) dnnl_memory_destroy(p->mem[i]);
  if (p->prim) dnnl_primitive_destroy(p->prim);
  if (p->pd) dnnl_primitive_desc_destroy(p->pd);
  memset(p, 0, sizeof *p);
}

static dnnl_status_t md_of(const inc_spec *s, dnn_md *out) {
  return dnn_md_new(out, s->ndim, s->shape, dnn_dtype(s->dtype), s->strides);
}

int dnn_matmul_init(dnn_matmul *m, const inc_spec *a, const inc_spec *b, const inc_spec *bias,
                    const inc_spec *c) {
  memset(m, 0, sizeof *m);
  dnn_md ma = NULL, mb = NULL, mc = NULL, mbias = NULL;
  dnnl_primitive_desc_t pd = NULL;
  dnnl_status_t s = md_of(a, &ma);
  if (s == dnnl_success) s = md_of(b, &mb);
  if (s == dnnl_success) s = md_of(c, &mc);
  if (s == dnnl_success && bias) { /* as wide as c, with the other dims 1 */
    inc_spec row = *c;
    for (int d = 0; d < c->ndim - 1; d++) row.shape[d] = 1;
    inc_spec_contiguous(&row);
    s = dnn_md_new(&mbias, c->ndim, row.shape, dnn_dtype(bias->dtype), row.strides);
  }
  if (s == dnnl_success) s = dnn_matmul_pd(ma, mb, mbias, mc, &pd);
  dnn_md_free(ma);
  dnn_md_free(mb);
  dnn_md_free(mc);
  dnn_md_free(mbias);
  if (s != dnnl_success) return dnn_fail(s, "matmul");
  m->impl = dnn_pd_impl(pd);
  m->reference = strstr(m->impl, "ref") != NULL;
  m->bias = bias != NULL;
  int args[] = {DNNL_ARG_SRC, DNNL_ARG_WEIGHTS, DNNL_ARG_DST, DNNL_ARG_BIAS};
  dnn_prim_describe(&m->main, pd, bias ? 4 : 3, args);
  m->workspace = dnn_align(m->main.scratch);
  return INC_OK;
}

int dnn_matmul_build(dnn_matmul *m) { return dnn_prim_build(&m->main); }

int dnn_matmul_run(dnn_matmul *m, void *a, void *b, void *bias, void *c, void *workspace) {
  void *at[] = {a, b, c, bias};
  return dnn_prim_run(&m->main, at, workspace);
}

void dnn_matmul_free(dnn_matmul *m) { dnn_prim_free(&m->main); }
