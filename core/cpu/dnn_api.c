/* dnn_api.c -- oneDNN 2.x and 3.x behind one face (dnn_api.h).  All scratchpads are the caller's: a library
** that allocates for itself touches fresh pages at every step, which costs more than the arithmetic saves. */
#include "cpu/dnn_api.h"
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

static dnnl_engine_t engine;
static dnnl_stream_t stream;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void start(void) {
  if (dnnl_engine_create(&engine, dnnl_cpu, 0) != dnnl_success) engine = NULL;
  if (engine && dnnl_stream_create(&stream, engine, dnnl_stream_default_flags) != dnnl_success) stream = NULL;
}

dnnl_engine_t dnn_engine(void) {
  pthread_once(&once, start);
  return engine;
}

dnnl_stream_t dnn_stream(void) {
  pthread_once(&once, start);
  return stream;
}

int dnn_fail(dnnl_status_t s, const char *what) {
  if (s == dnnl_success) return INC_OK;
  if (s == dnnl_out_of_memory) return inc_fail(INC_EMEM, NULL, "oneDNN: out of memory in %s", what);
  const char *why = s == dnnl_unimplemented       ? "not implemented for these shapes"
                    : s == dnnl_invalid_arguments ? "invalid arguments"
                    : s == dnnl_runtime_error     ? "runtime error"
                                                  : "failed";
  return inc_fail(INC_EDEVICE, NULL, "oneDNN: %s: %s", what, why);
}

dnnl_data_type_t dnn_dtype(int dtype) {
  switch (dtype) {
  case INC_F32:
    return dnnl_f32;
  case INC_BF16:
    return dnnl_bf16;
  case INC_U8:
    return dnnl_u8;
  case INC_I32:
    return dnnl_s32;
  default:
    return dnnl_data_type_undef;
  }
}

static int query_of(int arg) {
  switch (arg) {
  case DNNL_ARG_SRC:
    return dnnl_query_src_md;
  case DNNL_ARG_DIFF_SRC:
    return dnnl_query_diff_src_md;
  case DNNL_ARG_WEIGHTS:
    return dnnl_query_weights_md;
  case DNNL_ARG_DIFF_WEIGHTS:
    return dnnl_query_diff_weights_md;
  case DNNL_ARG_DST:
    return dnnl_query_dst_md;
  case DNNL_ARG_DIFF_DST:
    return dnnl_query_diff_dst_md;
  default:
    return dnnl_query_scratchpad_md;
  }
}

dnn_cmd dnn_pd_md(dnnl_primitive_desc_t pd, int arg) {
  if (arg == DNNL_ARG_BIAS) return dnnl_primitive_desc_query_md(pd, dnnl_query_weights_md, 1);
  return dnnl_primitive_desc_query_md(pd, (dnnl_query_t)query_of(arg), 0);
}

size_t dnn_pd_scratch(dnnl_primitive_desc_t pd) {
  dnn_cmd md = dnnl_primitive_desc_query_md(pd, dnnl_query_scratchpad_md, 0);
  return md ? dnnl_memory_desc_get_size(md) : 0;
}

const char *dnn_pd_impl(dnnl_primitive_desc_t pd) {
  const char *s = NULL;
  if (dnnl_primitive_desc_query(pd, dnnl_query_impl_info_str, 0, &s) != dnnl_success || !s) return "?";
  return s;
}

bool dnn_md_equal(dnn_cmd a, dnn_cmd b) { return dnnl_memory_desc_equal(a, b); }

/* The header declares dims as arrays of DNNL_MAX_NDIMS: hand over copies of that length. */
static void full(dnnl_dims_t out, int n, const int64_t *v) {
  memset(out, 0, sizeof(dnnl_dims_t));
  for (int i = 0; i < n; i++) out[i] = v[i];
}

typedef struct geometry {
  dnnl_dims_t stride, dilation, lo, hi;
} geometry;

static geometry widen(const dnn_conv_geometry *g) {
  geometry w;
  int64_t extra[2] = {g->dilation[0] - 1, g->dilation[1] - 1};
  full(w.stride, 2, g->stride);
  full(w.dilation, 2, extra);
  full(w.lo, 2, g->pad_lo);
  full(w.hi, 2, g->pad_hi);
  return w;
}

static dnnl_status_t append_relu(dnnl_post_ops_t ops) {
#if DNNL_VERSION_MAJOR >= 3
  return dnnl_post_ops_append_eltwise(ops, dnnl_eltwise_relu, 0, 0);
#else
  return dnnl_post_ops_append_eltwise(ops, 1, dnnl_eltwise_relu, 0, 0);
#endif
}

static dnnl_status_t make_attr(bool relu, dnnl_primitive_attr_t *out) {
  dnnl_status_t s = dnnl_primitive_attr_create(out);
  if (s == dnnl_success) s = dnnl_primitive_attr_set_scratchpad_mode(*out, dnnl_scratchpad_mode_user);
  if (s != dnnl_success || !relu) return s;
  dnnl_post_ops_t ops;
  s = dnnl_post_ops_create(&ops);
  if (s != dnnl_success) return s;
  s = append_relu(ops);
  if (s == dnnl_success) s = dnnl_primitive_attr_set_post_ops(*out, ops);
  dnnl_post_ops_destroy(ops);
  return s;
}

static dnnl_alg_kind_t algorithm(const dnn_conv_geometry *g) {
  return g->winograd ? dnnl_convolution_winograd : dnnl_convolution_direct;
}

#if DNNL_VERSION_MAJOR >= 3

dnnl_status_t dnn_md_new(dnn_md *out, int ndims, const int64_t *dims, dnnl_data_type_t dt,
                         const int64_t *strides) {
  dnnl_dims_t d, s;
  full(d, ndims, dims);
  if (!strides) return dnnl_memory_desc_create_with_tag(out, ndims, d, dt, dnnl_format_tag_any);
  full(s, ndims, strides);
  return dnnl_memory_desc_create_with_strides(out, ndims, d, dt, s);
}

void dnn_md_free(dnn_md md) {
  if (md) dnnl_memory_desc_destroy(md);
}

static dnnl_status_t forward_pd(const dnn_conv_geometry *g, dnn_cmd x, dnn_cmd w, dnn_cmd bias, dnn_cmd y,
                                bool train, dnnl_primitive_attr_t attr, dnnl_primitive_desc_t *out) {
  geometry v = widen(g);
  return dnnl_convolution_forward_primitive_desc_create(
      out, dnn_engine(), train ? dnnl_forward_training : dnnl_forward_inference, algorithm(g), x, w, bias, y,
      v.stride, v.dilation, v.lo, v.hi, attr);
}

static dnnl_status_t backward_pd(dnn_dir dir, const dnn_conv_geometry *g, dnn_cmd x, dnn_cmd w, dnn_cmd y,
                                 dnnl_primitive_desc_t hint, dnnl_primitive_attr_t attr,
                                 dnnl_primitive_desc_t *out) {
  geometry v = widen(g);
  if (dir == DNN_BACKWARD_DATA)
    return dnnl_convolution_backward_data_primitive_desc_create(out, dnn_engine(), algorithm(g), x, w, y,
                                                                v.stride, v.dilation, v.lo, v.hi, hint, attr);
  return dnnl_convolution_backward_weights_primitive_desc_create(
      out, dnn_engine(), algorithm(g), x, w, NULL, y, v.stride, v.dilation, v.lo, v.hi, hint, attr);
}

static dnnl_status_t matmul_pd(dnn_cmd a, dnn_cmd b, dnn_cmd bias, dnn_cmd c, dnnl_primitive_attr_t attr,
                               dnnl_primitive_desc_t *out) {
  return dnnl_matmul_primitive_desc_create(out, dnn_engine(), a, b, bias, c, attr);
}

#else

dnnl_status_t dnn_md_new(dnn_md *out, int ndims, const int64_t *dims, dnnl_data_type_t dt,
                         const int64_t *strides) {
  dnnl_dims_t d, s;
  full(d, ndims, dims);
  *out = calloc(1, sizeof(dnnl_memory_desc_t));
  if (!*out) return dnnl_out_of_memory;
  if (strides) full(s, ndims, strides);
  dnnl_status_t status = strides ? dnnl_memory_desc_init_by_strides(*out, ndims, d, dt, s)
                                 : dnnl_memory_desc_init_by_tag(*out, ndims, d, dt, dnnl_format_tag_any);
  if (status != dnnl_success) {
    free(*out);
    *out = NULL;
  }
  return status;
}

void dnn_md_free(dnn_md md) { free(md); }

static dnnl_status_t forward_pd(const dnn_conv_geometry *g, dnn_cmd x, dnn_cmd w, dnn_cmd bias, dnn_cmd y,
                                bool train, dnnl_primitive_attr_t attr, dnnl_primitive_desc_t *out) {
  geometry v = widen(g);
  dnnl_convolution_desc_t d;
  dnnl_status_t s = dnnl_dilated_convolution_forward_desc_init(
      &d, train ? dnnl_forward_training : dnnl_forward_inference, algorithm(g), x, w, bias, y, v.stride,
      v.dilation, v.lo, v.hi);
  return s != dnnl_success ? s : dnnl_primitive_desc_create(out, &d, attr, dnn_engine(), NULL);
}

static dnnl_status_t backward_pd(dnn_dir dir, const dnn_conv_geometry *g, dnn_cmd x, dnn_cmd w, dnn_cmd y,
                                 dnnl_primitive_desc_t hint, dnnl_primitive_attr_t attr,
                                 dnnl_primitive_desc_t *out) {
  geometry v = widen(g);
  dnnl_convolution_desc_t d;
  dnnl_status_t s = dir == DNN_BACKWARD_DATA
                        ? dnnl_dilated_convolution_backward_data_desc_init(&d, algorithm(g), x, w, y,
                                                                           v.stride, v.dilation, v.lo, v.hi)
                        : dnnl_dilated_convolution_backward_weights_desc_init(
                              &d, algorithm(g), x, w, NULL, y, v.stride, v.dilation, v.lo, v.hi);
  return s != dnnl_success ? s : dnnl_primitive_desc_create(out, &d, attr, dnn_engine(), hint);
}

static dnnl_status_t matmul_pd(dnn_cmd a, dnn_cmd b, dnn_cmd bias, dnn_cmd c, dnnl_primitive_attr_t attr,
                               dnnl_primitive_desc_t *out) {
  dnnl_matmul_desc_t d;
  dnnl_status_t s = dnnl_matmul_desc_init(&d, a, b, bias, c);
  return s != dnnl_success ? s : dnnl_primitive_desc_create(out, &d, attr, dnn_engine(), NULL);
}

#endif

/* The hint: a forward convolution of the same shape, whose weights have the activations' dtype. */
static dnnl_status_t conv_backward(dnn_dir dir, const dnn_conv_geometry *g, dnn_cmd x, dnn_cmd w, dnn_cmd y,
                                   dnnl_data_type_t compute, dnnl_primitive_attr_t attr,
                                   dnnl_primitive_desc_t *out) {
  dnnl_primitive_desc_t hint = NULL;
  dnn_md any = NULL;
  int64_t dims[5] = {0};
#if DNNL_VERSION_MAJOR >= 3
  int n = 0;
  dnnl_dims_t *d;
  dnnl_memory_desc_query(w, dnnl_query_ndims_s32, &n);
  dnnl_memory_desc_query(w, dnnl_query_dims, &d);
  for (int i = 0; i < n; i++) dims[i] = (*d)[i];
#else
  int n = w->ndims;
  for (int i = 0; i < n; i++) dims[i] = w->dims[i];
#endif
  dnnl_status_t s = dnn_md_new(&any, n, dims, compute, NULL);
  if (s == dnnl_success) s = forward_pd(g, x, any, NULL, y, true, NULL, &hint);
  if (s == dnnl_success) s = backward_pd(dir, g, x, w, y, hint, attr, out);
  if (hint) dnnl_primitive_desc_destroy(hint);
  dnn_md_free(any);
  return s;
}

dnnl_status_t dnn_conv_pd(dnn_dir dir, const dnn_conv_geometry *g, dnn_cmd x, dnn_cmd w, dnn_cmd bias,
                          dnn_cmd y, bool relu, dnnl_data_type_t compute, dnnl_primitive_desc_t *out) {
  dnnl_primitive_attr_t attr = NULL;
  *out = NULL;
  if (!dnn_engine() || !dnn_stream()) return dnnl_runtime_error;
  dnnl_status_t s = make_attr(relu, &attr);
  if (s == dnnl_success)
    s = dir == DNN_FORWARD ? forward_pd(g, x, w, bias, y, !relu, attr, out)
                           : conv_backward(dir, g, x, w, y, compute, attr, out);
  if (attr) dnnl_primitive_attr_destroy(attr);
  return s;
}

dnnl_status_t dnn_matmul_pd(dnn_cmd a, dnn_cmd b, dnn_cmd bias, dnn_cmd c, dnnl_primitive_desc_t *out) {
  dnnl_primitive_attr_t attr = NULL;
  *out = NULL;
  if (!dnn_engine() || !dnn_stream()) return dnnl_runtime_error;
  dnnl_status_t s = make_attr(false, &attr);
  if (s == dnnl_success) s = matmul_pd(a, b, bias, c, attr, out);
  if (attr) dnnl_primitive_attr_destroy(attr);
  return s;
}

dnnl_status_t dnn_reorder_pd(dnn_cmd from, dnn_cmd to, dnnl_primitive_desc_t *out) {
  dnnl_primitive_attr_t attr = NULL;
  *out = NULL;
  dnnl_status_t s = make_attr(false, &attr);
  if (s == dnnl_success)
    s = dnnl_reorder_primitive_desc_create(out, from, dnn_engine(), to, dnn_engine(), attr);
  if (attr) dnnl_primitive_attr_destroy(attr);
  return s;
}
