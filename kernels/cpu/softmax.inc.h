/* softmax.inc.h -- softmax, log-softmax and cross-entropy with label smoothing, row by row.
**
** All subtract the row's maximum first.  Cross-entropy never forms the probabilities on the way forward:
**   loss = log sum e^z - (1 - s) z_target - s / C sum z,   z = x - max x
** and its gradient computes them again: the logits are small next to what a stored copy would cost the
** planner. */

/* Stores e^(x - max) into `e` when it is not NULL; *zsum: sum of x - max. */
AI float exp_row(int dt, const void *x, int64_t at, int64_t c, float top, float *e, float *zsum) {
  vf s = vset(0), z = vset(0), m = vset(top);
  int64_t j = 0;
  for (; j + W <= c; j += W) {
    vf d = ldv(x, dt, at + j, W) - m, v = vexp(d);
    s += v, z += d;
    if (e) stf(e + j, v, W);
  }
  float sum = vsum(s), zs = vsum(z);
  for (; j < c; j++) {
    float d = ld1(x, dt, at + j) - top, v = vexp(vset(d))[0];
    sum += v, zs += d;
    if (e) e[j] = v;
  }
  if (zsum) *zsum = zs;
  return sum;
}

static const char *row_at(const k_rows *x, int64_t r) {
  return (const char *)x->p + (size_t)(r * x->ld) * (x->dt == INC_BF16 ? 2 : 4);
}

static void softmax(int64_t rows, int64_t c, const k_rows *x, const k_rows *y, bool log) {
  for (int64_t r = 0; r < rows; r++) {
    const void *xr = row_at(x, r);
    float top = max_all(x->dt, c, xr);
    float s = x->dt == INC_BF16 ? exp_row(INC_BF16, xr, 0, c, top, NULL, NULL)
                                : exp_row(INC_F32, xr, 0, c, top, NULL, NULL);
    vf m = vset(top), k = vset(log ? logf(s) : 1 / s);
    for (int64_t j = 0; j < c; j += W) {
      int n = c - j < W ? (int)(c - j) : W;
      vf d = ldv(xr, x->dt, j, n) - m;
      stv(y->p, y->dt, r * y->ld + j, log ? d - k : vexp(d) * k, n);
    }
  }
}

/* softmax: dx = y (dy - sum dy y);  log_softmax: dx = dy - e^y sum dy. */
static void softmax_back(int64_t rows, int64_t c, const k_rows *dy, const k_rows *y, const k_rows *dx,
                         bool log) {
  for (int64_t r = 0; r < rows; r++) {
    vf s = vset(0);
    for (int64_t j = 0; j < c; j += W) {
      int n = c - j < W ? (int)(c - j) : W;
      vf d = ldv(dy->p, dy->dt, r * dy->ld + j, n);
      s += log ? d : d * ldv(y->p, y->dt, r * y->ld + j, n);
    }
    vf t = vset(vsum(s));
    for (int64_t j = 0; j < c; j += W) {
      int n = c - j < W ? (int)(c - j) : W;
      vf d = ldv(dy->p, dy->dt, r * dy->ld + j, n), v = ldv(y->p, y->dt, r * y->ld + j, n);
      stv(dx->p, dx->dt, r * dx->ld + j, log ? d - vexp(v) * t : v * (d - t), n);
    }
  }
}

static void cross_entropy(int64_t rows, int64_t c, const k_rows *x, const int64_t *target, float smooth,
                          float *loss) {
  for (int64_t r = 0; r < rows; r++) {
    const void *xr = row_at(x, r);
    if (target[r] < 1 || target[r] > c) {
      loss[r] = __builtin_nanf("");
      continue;
    }
    float top = max_all(x->dt, c, xr), zsum;
    float s = x->dt == INC_BF16 ? exp_row(INC_BF16, xr, 0, c, top, NULL, &zsum)
                                : exp_row(INC_F32, xr, 0, c, top, NULL, &zsum);
    float z = ld1(xr, x->dt, target[r] - 1) - top;
    loss[r] = logf(s) - (1 - smooth) * z - (smooth > 0 ? smooth / (float)c * zsum : 0);
  }
}

static void cross_entropy_back(int64_t rows, int64_t c, const k_rows *x, const int64_t *target, float smooth,
                               const float *scale, int step, float factor, const k_rows *dx) {
  for (int64_t r = 0; r < rows; r++) {
    const void *xr = row_at(x, r);
    float top = max_all(x->dt, c, xr), g = scale[r * step] * factor;
    if (target[r] < 1 || target[r] > c) g = __builtin_nanf("");
    float s = x->dt == INC_BF16 ? exp_row(INC_BF16, xr, 0, c, top, NULL, NULL)
                                : exp_row(INC_F32, xr, 0, c, top, NULL, NULL);
    vf m = vset(top), k = vset(g / s), off = vset(g * smooth / (float)c);
    for (int64_t j = 0; j < c; j += W) {
      int n = c - j < W ? (int)(c - j) : W;
      stv(dx->p, dx->dt, r * dx->ld + j, vexp(ldv(xr, x->dt, j, n) - m) * k - off, n);
    }
    if (target[r] < 1 || target[r] > c) continue;
    int64_t t = target[r] - 1;
    float p = vexp(vset(ld1(xr, x->dt, t) - top))[0] / s;
    st1(dx->p, dx->dt, r * dx->ld + t, g * (p - smooth / (float)c - (1 - smooth)));
  }
}
