/* tensor.c -- reference counts, and the conversions between a number and an element (tensor.h).
** Counts are atomic because a run's thread and the prompt share tensors; contents are not guarded here. */
#include "base/tensor.h"
#include "base/err.h"
#include "base/mem.h"
#include <math.h>
#include <string.h>

static _Atomic int64_t live_tensors, live_buffers, live_bytes, peak_bytes;

static void (*gnode_release)(inc_gnode *);
void inc_tensor_on_gnode(void (*release)(inc_gnode *)); /* exec/tape.c: how to let go of a gradient node */
void inc_tensor_on_gnode(void (*release)(inc_gnode *)) { gnode_release = release; }

inc_live inc_tensor_live(void) { return (inc_live){live_tensors, live_buffers, live_bytes, peak_bytes}; }

int inc_buffer_new(size_t bytes, inc_buffer **out) {
  inc_buffer *b = inc_zalloc(sizeof *b);
  if (!b) return INC_EMEM;
  b->data = inc_alloc(bytes);
  if (!b->data) {
    inc_free(b);
    return INC_EMEM;
  }
  b->refs = 1;
  b->bytes = bytes;
  live_buffers++;
  int64_t now = atomic_fetch_add(&live_bytes, (int64_t)bytes) + (int64_t)bytes;
  if (now > peak_bytes) peak_bytes = now;
  *out = b;
  return INC_OK;
}

void inc_buffer_ref(inc_buffer *b) { b->refs++; }

void inc_buffer_unref(inc_buffer *b) {
  if (!b || --b->refs > 0) return;
  live_buffers--;
  live_bytes -= (int64_t)b->bytes;
  if (b->release)
    b->release(b->owner, b->data);
  else
    inc_free(b->data);
  inc_free(b);
}

static inc_tensor *tensor_alloc(const inc_spec *spec) {
  inc_tensor *t = inc_zalloc(sizeof *t);
  if (!t) return NULL;
  t->refs = 1;
  t->spec = *spec;
  t->value = -1;
  live_tensors++;
  return t;
}

int inc_tensor_new(const inc_spec *spec, inc_tensor **out) {
  int64_t span = inc_spec_span(spec);
  inc_buffer *b;
  INC_TRY(inc_buffer_new((size_t)span * inc_dtype_size(spec->dtype), &b));
  int code = inc_tensor_over(b, 0, spec, out);
  inc_buffer_unref(b);
  return code;
}

int inc_tensor_over(inc_buffer *buf, int64_t offset, const inc_spec *spec, inc_tensor **out) {
  inc_tensor *t = tensor_alloc(spec);
  if (!t) return INC_EMEM;
  inc_buffer_ref(buf);
  t->buf = buf;
  t->offset = offset;
  *out = t;
  return INC_OK;
}

int inc_tensor_symbol(const inc_spec *spec, uint64_t trace, int value, inc_tensor **out) {
  inc_tensor *t = tensor_alloc(spec);
  if (!t) return INC_EMEM;
  t->trace = trace;
  t->value = value;
  *out = t;
  return INC_OK;
}

inc_tensor *inc_tensor_ref(inc_tensor *t) {
  if (t) t->refs++;
  return t;
}

void inc_tensor_unref(inc_tensor *t) {
  if (!t || --t->refs > 0) return;
  inc_tensor_unref(t->grad);
  if (t->gnode && gnode_release) gnode_release(t->gnode);
  inc_buffer_unref(t->buf);
  live_tensors--;
  inc_free(t);
}

void *inc_tensor_data(const inc_tensor *t) {
  if (!t || !t->buf) return NULL;
  return (char *)t->buf->data + t->offset * (int64_t)inc_dtype_size(t->spec.dtype);
}

void inc_tensor_touched(inc_tensor *t) {
  if (t->buf) t->buf->version++;
}

int inc_tensor_scalar(int dtype, double v, inc_tensor **out) {
  inc_spec s = inc_spec_new(dtype, 0, NULL);
  INC_TRY(inc_tensor_new(&s, out));
  inc_store(inc_tensor_data(*out), dtype, 0, v);
  return INC_OK;
}

float inc_bf16_to_f32(uint16_t v) {
  uint32_t u = (uint32_t)v << 16;
  float f;
  memcpy(&f, &u, 4);
  return f;
}

uint16_t inc_f32_to_bf16(float v) {
  uint32_t u;
  memcpy(&u, &v, 4);
  if ((u & 0x7fffffff) > 0x7f800000) return (uint16_t)((u >> 16) | 0x40); /* keep a NaN a NaN */
  return (uint16_t)((u + 0x7fff + ((u >> 16) & 1)) >> 16);
}

float inc_f16_to_f32(uint16_t v) {
  int e = (v >> 10) & 31, m = v & 1023;
  float sign = v & 0x8000 ? -1.0f : 1.0f;
  if (e == 31) return m ? NAN : sign * INFINITY;
  return sign * (e ? ldexpf((float)(m | 1024), e - 25) : ldexpf((float)m, -24));
}

uint16_t inc_f32_to_f16(float v) {
  uint32_t u;
  memcpy(&u, &v, 4);
  uint16_t sign = (uint16_t)((u >> 16) & 0x8000);
  float a = fabsf(v);
  if (isnan(v)) return sign | 0x7e00;
  if (a >= 65520.0f) return sign | 0x7c00;
  if (a < 6.103515625e-05f) return (uint16_t)(sign | (uint16_t)rintf(a * 16777216.0f)); /* subnormal */
  int e;
  float m = frexpf(a, &e); /* a = m * 2^e, m in [0.5, 1) */
  int bits = (int)rintf(m * 2048.0f) + ((e + 14 - 1) << 10);
  return (uint16_t)(sign | bits);
}

double inc_load(const void *data, int dtype, int64_t i) {
  switch (dtype) {
  case INC_F32:
    return ((const float *)data)[i];
  case INC_BF16:
    return inc_bf16_to_f32(((const uint16_t *)data)[i]);
  case INC_F16:
    return inc_f16_to_f32(((const uint16_t *)data)[i]);
  case INC_F64:
    return ((const double *)data)[i];
  case INC_U8:
    return ((const uint8_t *)data)[i];
  case INC_I32:
    return ((const int32_t *)data)[i];
  case INC_I64:
    return (double)((const int64_t *)data)[i];
  default:
    return 0;
  }
}

/* Out-of-range doubles would be undefined behaviour in a C conversion to an integer: saturate, NaN to 0. */
static int64_t to_int(double v, double lo, double hi) {
  if (isnan(v)) return 0;
  return v <= lo ? (int64_t)lo : v >= hi ? (hi >= 9.2e18 ? INT64_MAX : (int64_t)hi) : (int64_t)v;
}

void inc_store(void *data, int dtype, int64_t i, double v) {
  switch (dtype) {
  case INC_F32:
    ((float *)data)[i] = (float)v;
    break;
  case INC_BF16:
    ((uint16_t *)data)[i] = inc_f32_to_bf16((float)v);
    break;
  case INC_F16:
    ((uint16_t *)data)[i] = inc_f32_to_f16((float)v);
    break;
  case INC_F64:
    ((double *)data)[i] = v;
    break;
  case INC_U8:
    ((uint8_t *)data)[i] = (uint8_t)to_int(v, 0, 255);
    break;
  case INC_I32:
    ((int32_t *)data)[i] = (int32_t)to_int(v, INT32_MIN, INT32_MAX);
    break;
  case INC_I64:
    ((int64_t *)data)[i] = to_int(v, -9223372036854775808.0, 9223372036854775807.0);
    break;
  default:
    break;
  }
}
