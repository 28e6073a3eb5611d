/* layout.inc.h -- moving elements: casts, transposes, u8 pictures to numbers.
**
** A cast between two floating types of 16 bits, or from 16 bits to an integer, goes through f32, which holds
** every value of both.  Transposes work on 16 x 16 tiles: both sides stay within a few cache lines. */

#define CAST_LOOP(A, B)                                                                                      \
  do {                                                                                                       \
    const A *s = x;                                                                                          \
    B *d = y;                                                                                                \
    for (int64_t i = 0; i < n; i++) d[i] = (B)s[i];                                                          \
  } while (0)

#define CAST_TO(A)                                                                                           \
  do {                                                                                                       \
    switch (to) {                                                                                            \
    case INC_F32:                                                                                            \
      CAST_LOOP(A, float);                                                                                   \
      break;                                                                                                 \
    case INC_F64:                                                                                            \
      CAST_LOOP(A, double);                                                                                  \
      break;                                                                                                 \
    case INC_U8:                                                                                             \
      CAST_LOOP(A, uint8_t);                                                                                 \
      break;                                                                                                 \
    case INC_I32:                                                                                            \
      CAST_LOOP(A, int32_t);                                                                                 \
      break;                                                                                                 \
    default:                                                                                                 \
      CAST_LOOP(A, int64_t);                                                                                 \
    }                                                                                                        \
  } while (0)

static void cast_wide(int from, int to, int64_t n, void *y, const void *x) {
  switch (from) {
  case INC_F32:
    CAST_TO(float);
    break;
  case INC_F64:
    CAST_TO(double);
    break;
  case INC_U8:
    CAST_TO(uint8_t);
    break;
  case INC_I32:
    CAST_TO(int32_t);
    break;
  default:
    CAST_TO(int64_t);
  }
}

static void half_to_f32(int64_t n, float *y, const uint16_t *x) {
  int64_t i = 0;
#if defined(__F16C__)
  for (; i + 8 <= n; i += 8)
    _mm256_storeu_ps(y + i, _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)(x + i))));
#endif
  for (; i < n; i++) y[i] = inc_f16_to_f32(x[i]);
}

static void f32_to_half(int64_t n, uint16_t *y, const float *x) {
  int64_t i = 0;
#if defined(__F16C__)
  for (; i + 8 <= n; i += 8)
    _mm_storeu_si128((__m128i *)(y + i), _mm256_cvtps_ph(_mm256_loadu_ps(x + i), _MM_FROUND_TO_NEAREST_INT));
#endif
  for (; i < n; i++) y[i] = inc_f32_to_f16(x[i]);
}

static void bf16_to_f32(int64_t n, float *y, const uint16_t *x) {
  int64_t i = 0;
  for (; i + W <= n; i += W) stf(y + i, ldh(x + i, W), W);
  if (i < n) stf(y + i, ldh(x + i, (int)(n - i)), (int)(n - i));
}

static void f32_to_bf16(int64_t n, uint16_t *y, const float *x) {
  int64_t i = 0;
  for (; i + W <= n; i += W) sth(y + i, ldf(x + i, W), W);
  if (i < n) sth(y + i, ldf(x + i, (int)(n - i)), (int)(n - i));
}

static void cast(int from, int to, int64_t n, void *y, const void *x) {
  bool narrow_in = from == INC_BF16 || from == INC_F16, narrow_out = to == INC_BF16 || to == INC_F16;
  if (from == to) {
    memmove(y, x, (size_t)n * inc_dtype_size(from));
    return;
  }
  if (!narrow_in && !narrow_out) {
    cast_wide(from, to, n, y, x);
    return;
  }
  enum { CHUNK = 512 };
  float mid[CHUNK];
  for (int64_t i = 0; i < n; i += CHUNK) {
    int64_t m = n - i < CHUNK ? n - i : CHUNK;
    const char *s = (const char *)x + (size_t)i * inc_dtype_size(from);
    char *d = (char *)y + (size_t)i * inc_dtype_size(to);
    float *f = to == INC_F32 ? (float *)d : mid;
    if (from == INC_BF16)
      bf16_to_f32(m, f, (const uint16_t *)s);
    else if (from == INC_F16)
      half_to_f32(m, f, (const uint16_t *)s);
    else if (from == INC_F32)
      f = (float *)s;
    else
      cast_wide(from, INC_F32, m, f, s);
    if (to == INC_BF16)
      f32_to_bf16(m, (uint16_t *)d, f);
    else if (to == INC_F16)
      f32_to_half(m, (uint16_t *)d, f);
    else if (to != INC_F32)
      cast_wide(INC_F32, to, m, d, f);
  }
}

/* -- u8 pictures -------------------------------------------------------------------------------------- */
enum { NORM_CHANNELS = 16 };

/* Flat rows: the scale repeats every c elements, so c vectors hold a whole period. */
AI void norm_flat(int dt, int64_t n, int64_t c, const uint8_t *x, void *y, const float *scale,
                  const float *shift) {
  float s[NORM_CHANNELS * W], t[NORM_CHANNELS * W];
  for (int64_t i = 0; i < c * W; i++) s[i] = scale[i % c], t[i] = shift[i % c];
  int64_t i = 0;
  for (; i + c * W <= n; i += c * W)
    for (int64_t u = 0; u < c; u++) {
      vf b = __builtin_convertvector(vload_u8(x + i + u * W), vf);
      stv(y, dt, i + u * W, b * ldf(s + u * W, W) + ldf(t + u * W, W), W);
    }
  for (int64_t k = 0; i < n; i++, k++) st1(y, dt, i, (float)x[i] * s[k] + t[k]);
}

static void normalize(int64_t rows, int64_t c, const uint8_t *x, int64_t xr, int64_t xc, const k_rows *y,
                      int64_t yc, const float *scale, const float *shift) {
  bool flat = c <= NORM_CHANNELS && (c == 1 || (xc == 1 && yc == 1)) && xr == c && y->ld == c;
  if (flat && y->dt == INC_BF16) {
    norm_flat(INC_BF16, rows * c, c, x, y->p, scale, shift);
  } else if (flat) {
    norm_flat(INC_F32, rows * c, c, x, y->p, scale, shift);
  } else {
    for (int64_t r = 0; r < rows; r++)
      for (int64_t j = 0; j < c; j++)
        st1(y->p, y->dt, r * y->ld + j * yc, (float)x[r * xr + j * xc] * scale[j] + shift[j]);
  }
}

/* -- transpose ---------------------------------------------------------------------------------------- */
#define TRANSPOSE(name, T)                                                                                   \
  static void name(int64_t rows, int64_t cols, T *restrict y, int64_t ldy, const T *restrict x,              \
                   int64_t ldx) {                                                                            \
    for (int64_t r = 0; r < rows; r += 16)                                                                   \
      for (int64_t c = 0; c < cols; c += 16) {                                                               \
        int64_t rn = rows - r < 16 ? rows - r : 16, cn = cols - c < 16 ? cols - c : 16;                      \
        for (int64_t j = 0; j < cn; j++)                                                                     \
          for (int64_t i = 0; i < rn; i++) y[(c + j) * ldy + r + i] = x[(r + i) * ldx + c + j];              \
      }                                                                                                      \
  }
TRANSPOSE(transpose1, uint8_t)
TRANSPOSE(transpose2, uint16_t)
TRANSPOSE(transpose4, uint32_t)
TRANSPOSE(transpose8, uint64_t)

static void transpose(int64_t rows, int64_t cols, int size, void *y, int64_t ldy, const void *x,
                      int64_t ldx) {
  switch (size) {
  case 1:
    transpose1(rows, cols, y, ldy, x, ldx);
    break;
  case 2:
    transpose2(rows, cols, y, ldy, x, ldx);
    break;
  case 4:
    transpose4(rows, cols, y, ldy, x, ldx);
    break;
  default:
    transpose8(rows, cols, y, ldy, x, ldx);
  }
}
