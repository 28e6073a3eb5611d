/* pool_avg.inc.h -- average pooling, forward and backward, as one sum over windows.
**
** Forward, an output sums the input pixels under its window; backward, an input pixel sums the outputs whose
** windows cover it.  Both are: for each row and column of the destination, a range of rows and columns of the
** source.  The sum is separable, so for each destination row the source rows of its range are first added up,
** column by column, into a line of f32 (it stays in the first-level cache), and then runs of that line:
** kh + kw additions an element instead of kh * kw.  The divisor is a product of a row's and a column's share;
** it belongs to the window, so it is applied to the destination forward and to the source backward. */

enum { AVG_TILE = 4 * W, AVG_LINE = 256 }; /* channels at a time; source columns in a line at once */

/* How many places of window `o` count along one dim; with include_pad the window reaches into the padding but
** not beyond it, as in PyTorch. */
AI float avg_share(int64_t o, int64_t in, int k, int s, int pad, bool include_pad) {
  int64_t from = o * s - pad, to = from + k;
  if (include_pad) return 1.0f / (float)((to < in + pad ? to : in + pad) - from);
  return 1.0f / (float)((to < in ? to : in) - (from > 0 ? from : 0));
}

typedef struct avg_range { /* source places of one destination place */
  int64_t from, to;
} avg_range;

AI avg_range avg_covers(bool back, int64_t i, int64_t in, int64_t out, int k, int s, int pad) {
  if (back) return (avg_range){win_first(i, k, s, pad), win_end(i, s, pad, out)};
  int64_t from = i * s - pad;
  return (avg_range){from > 0 ? from : 0, from + k < in ? from + k : in};
}

/* line[w - w0] = sum over the rows of the range, `vecs` vectors of channels from c on. */
AI void avg_line(const k_pool *p, int dt, bool back, int64_t n, avg_range rows, int64_t w0, int64_t w1,
                 int64_t c, int vecs, int lanes, float *line) {
  const k_rows *s = back ? &p->y : &p->x;
  int64_t height = back ? p->oh : p->h, width = back ? p->ow : p->w;
  for (int64_t w = w0; w < w1; w++) {
    vf sum[4] = {vset(0), vset(0), vset(0), vset(0)};
    vf own = vset(back ? avg_share(w, p->w, p->kw, p->sw, p->pw, p->include_pad) : 1);
    for (int64_t r = rows.from; r < rows.to; r++) {
      vf share = back ? own * avg_share(r, p->h, p->kh, p->sh, p->ph, p->include_pad) : own;
      int64_t at = ((n * height + r) * width + w) * s->ld + c;
      for (int u = 0; u < vecs; u++) {
        vf v = ldv(s->p, dt, at + u * W, lanes);
        sum[u] += back ? v * share : v;
      }
    }
    for (int u = 0; u < vecs; u++) stf(line + (w - w0) * AVG_TILE + u * W, sum[u], W);
  }
}

/* One destination pixel from the line. */
AI void avg_pixel(const k_rows *d, int dt, int64_t at, avg_range cols, int64_t w0, float share, int vecs,
                  int lanes, const float *line) {
  vf sum[4] = {vset(0), vset(0), vset(0), vset(0)};
  for (int64_t w = cols.from; w < cols.to; w++)
    for (int u = 0; u < vecs; u++) sum[u] += ldf(line + (w - w0) * AVG_TILE + u * W, W);
  for (int u = 0; u < vecs; u++) stv(d->p, dt, at + u * W, sum[u] * share, lanes);
}

/* Destination columns i0..i1, whose source columns fit the line. */
AI void avg_strip(const k_pool *p, int dt, bool back, int64_t n, int64_t row, int64_t i0, int64_t i1,
                  int64_t c, int vecs, int lanes) {
  float line[AVG_LINE * AVG_TILE];
  const k_rows *d = back ? &p->x : &p->y;
  avg_range rows = avg_covers(back, row, p->h, p->oh, p->kh, p->sh, p->ph);
  int64_t w0 = avg_covers(back, i0, p->w, p->ow, p->kw, p->sw, p->pw).from;
  int64_t w1 = avg_covers(back, i1 - 1, p->w, p->ow, p->kw, p->sw, p->pw).to;
  float high = back ? 1 : avg_share(row, p->h, p->kh, p->sh, p->ph, p->include_pad);
  int64_t height = back ? p->h : p->oh, width = back ? p->w : p->ow;
  avg_line(p, dt, back, n, rows, w0, w1, c, vecs, lanes, line);
  for (int64_t i = i0; i < i1; i++) {
    float share = back ? 1 : high * avg_share(i, p->w, p->kw, p->sw, p->pw, p->include_pad);
    avg_pixel(d, dt, ((n * height + row) * width + i) * d->ld + c,
              avg_covers(back, i, p->w, p->ow, p->kw, p->sw, p->pw), w0, share, vecs, lanes, line);
  }
}

/* How many destination columns have their sources in one line. */
static int64_t avg_columns(const k_pool *p, bool back) {
  int64_t n = back ? (AVG_LINE - 1) * p->sw - p->kw : (AVG_LINE - p->kw) / p->sw;
  return n < 1 ? 1 : n;
}

AI void avg_row(const k_pool *p, int dt, bool back, int64_t n, int64_t row, int64_t columns) {
  int64_t width = back ? p->w : p->ow;
  for (int64_t i0 = 0; i0 < width; i0 += columns) {
    int64_t i1 = i0 + columns < width ? i0 + columns : width, c = 0;
    for (; c + AVG_TILE <= p->c; c += AVG_TILE) avg_strip(p, dt, back, n, row, i0, i1, c, 4, W);
    for (; c + W <= p->c; c += W) avg_strip(p, dt, back, n, row, i0, i1, c, 1, W);
    if (c < p->c) avg_strip(p, dt, back, n, row, i0, i1, c, 1, (int)(p->c - c));
  }
}

static void avg_any(const k_pool *p, bool back) {
  int64_t height = back ? p->h : p->oh, columns = avg_columns(p, back);
#pragma omp parallel for schedule(static) if (p->n * p->h * p->w * p->c > POOL_PAR)
  for (int64_t i = 0; i < p->n * height; i++) {
    int64_t n = i / height, row = i % height;
    switch ((p->x.dt == INC_BF16 ? 2 : 0) + back) {
    case 0:
      avg_row(p, INC_F32, false, n, row, columns);
      break;
    case 1:
      avg_row(p, INC_F32, true, n, row, columns);
      break;
    case 2:
      avg_row(p, INC_BF16, false, n, row, columns);
      break;
    default:
      avg_row(p, INC_BF16, true, n, row, columns);
    }
  }
}

static void avg_pool(const k_pool *p) { avg_any(p, false); }
static void avg_pool_back(const k_pool *p) { avg_any(p, true); }
