/* pool_avg.inc.h -- average pooling, forward and backward, as one sum over windows.
**
** Forward, an output sums the input pixels under its window; backward, an input pixel sums the outputs whose
** windows cover it.  Both are: for each row and column of the destination, a range of rows and columns of the
** source.  The sum is separable, so for each destination row the source rows of its range are first added up
** into a line of f32, and then runs of that line: kh + kw additions an element instead of kh * kw.  All
** channels of a pixel are taken together: in narrower strips memory would be walked with gaps, at a third of
** the
*speed.  The divisor is a product of a row's and a column's share;
** it belongs to the window, so it is applied to the destination forward and to the source backward. */

enum { AVG_FLOATS = 1 << 16, AVG_CHANNELS = 2048, AVG_ROWS = 4 }; /* of a line; of it at once; rows at once */

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

/* What a task works on: destination columns i0..i1 of one row, channels c0..c0 + c, source columns w0..w1. */
typedef struct avg_part {
  int64_t n, row, i0, i1, w0, w1, c0, c;
} avg_part;

typedef struct avg_source { /* up to AVG_ROWS source rows, from column w0 and channel c0 on, with their shares
                             */
  const char *at[AVG_ROWS];
  float share[AVG_ROWS];
} avg_source;

AI vf avg_add(const avg_source *s, int dt, bool back, int count, vf sum, vf own, int64_t at, int n) {
  for (int i = 0; i < count; i++) {
    vf v = ldv(s->at[i], dt, at, n);
    sum += back ? v * (own * s->share[i]) : v;
  }
  return sum;
}

/* line += rows, or = for the first. */
AI void avg_rows(const k_pool *p, const avg_part *t, const avg_source *s, int dt, bool back, int count,
                 bool first, float *line) {
  int64_t ld = back ? p->y.ld : p->x.ld;
  for (int64_t w = t->w0; w < t->w1; w++) {
    vf own = vset(back ? avg_share(w, p->w, p->kw, p->sw, p->pw, p->include_pad) : 1);
    float *l = line + (w - t->w0) * t->c;
    int64_t at = (w - t->w0) * ld, c = 0;
    for (; c + W <= t->c; c += W)
      stf(l + c, avg_add(s, dt, back, count, first ? vset(0) : ldf(l + c, W), own, at + c, W), W);
    int n = (int)(t->c - c);
    if (n) stf(l + c, avg_add(s, dt, back, count, first ? vset(0) : ldf(l + c, n), own, at + c, n), n);
  }
}

AI void avg_line(const k_pool *p, const avg_part *t, int dt, bool back, float *line) {
  const k_rows *src = back ? &p->y : &p->x;
  int64_t height = back ? p->oh : p->h, width = back ? p->ow : p->w, size = dt == INC_BF16 ? 2 : 4;
  avg_range rows = avg_covers(back, t->row, p->h, p->oh, p->kh, p->sh, p->ph);
  for (int64_t r = rows.from; r < rows.to; r += AVG_ROWS) {
    int count = (int)(rows.to - r < AVG_ROWS ? rows.to - r : AVG_ROWS);
    avg_source s;
    for (int i = 0; i < count; i++) {
      s.at[i] = (const char *)src->p + (((t->n * height + r + i) * width + t->w0) * src->ld + t->c0) * size;
      s.share[i] = back ? avg_share(r + i, p->h, p->kh, p->sh, p->ph, p->include_pad) : 1;
    }
    if (count == 3 && r == rows.from) /* the usual window */
      avg_rows(p, t, &s, dt, back, 3, true, line);
    else if (count == AVG_ROWS)
      avg_rows(p, t, &s, dt, back, AVG_ROWS, r == rows.from, line);
    else
      avg_rows(p, t, &s, dt, back, count, r == rows.from, line);
  }
  if (rows.from >= rows.to) memset(line, 0, sizeof(float) * (size_t)((t->w1 - t->w0) * t->c));
}

/* A destination pixel: the sum of `count` columns of the line. */
AI void avg_pixel(void *dst, int dt, const float *line, int64_t channels, int64_t count, vf share) {
  for (int64_t c = 0; c < channels; c += W) {
    int n = channels - c < W ? (int)(channels - c) : W;
    vf sum = vset(0);
    for (int64_t w = 0; w < count; w++) sum += ldf(line + w * channels + c, n);
    stv(dst, dt, c, sum * share, n);
  }
}

AI void avg_task(const k_pool *p, const avg_part *t, int dt, bool back, float *line) {
  const k_rows *d = back ? &p->x : &p->y;
  int64_t height = back ? p->h : p->oh, width = back ? p->w : p->ow, size = dt == INC_BF16 ? 2 : 4;
  float high = back ? 1 : avg_share(t->row, p->h, p->kh, p->sh, p->ph, p->include_pad);
  avg_line(p, t, dt, back, line);
  for (int64_t i = t->i0; i < t->i1; i++) {
    avg_range cols = avg_covers(back, i, p->w, p->ow, p->kw, p->sw, p->pw);
    vf share = vset(back ? 1 : high * avg_share(i, p->w, p->kw, p->sw, p->pw, p->include_pad));
    char *dst = (char *)d->p + (((t->n * height + t->row) * width + i) * d->ld + t->c0) * size;
    const float *from = line + (cols.from - t->w0) * t->c;
    if (cols.to - cols.from == 3)
      avg_pixel(dst, dt, from, t->c, 3, share);
    else
      avg_pixel(dst, dt, from, t->c, cols.to - cols.from, share);
  }
}

/* How many destination columns have their sources in a line of `c` channels. */
static int64_t avg_columns(const k_pool *p, bool back, int64_t c) {
  int64_t room = AVG_FLOATS / c, n = back ? (room - 1) * p->sw - p->kw : (room - p->kw) / p->sw;
  return n < 1 ? 1 : n;
}

static void avg_row(const k_pool *p, int64_t n, int64_t row, bool back, int64_t tile) {
  float line[AVG_FLOATS];
  int64_t width = back ? p->w : p->ow, columns = avg_columns(p, back, tile);
  for (int64_t i = 0; i < width; i += columns)
    for (int64_t c = 0; c < p->c; c += tile) {
      int64_t last = (i + columns < width ? i + columns : width) - 1;
      avg_part t = {
          .n = n, .row = row, .i0 = i, .i1 = last + 1, .c0 = c, .c = p->c - c < tile ? p->c - c : tile};
      t.w0 = avg_covers(back, i, p->w, p->ow, p->kw, p->sw, p->pw).from;
      t.w1 = avg_covers(back, last, p->w, p->ow, p->kw, p->sw, p->pw).to;
      switch ((p->x.dt == INC_BF16 ? 2 : 0) + back) {
      case 0:
        avg_task(p, &t, INC_F32, false, line);
        break;
      case 1:
        avg_task(p, &t, INC_F32, true, line);
        break;
      case 2:
        avg_task(p, &t, INC_BF16, false, line);
        break;
      default:
        avg_task(p, &t, INC_BF16, true, line);
      }
    }
}

static void avg_any(const k_pool *p, bool back) {
  int64_t height = back ? p->h : p->oh, tile = p->c < AVG_CHANNELS ? p->c : AVG_CHANNELS;
  if (tile * (p->kw + p->sw) > AVG_FLOATS)
    tile = AVG_FLOATS / 256; /* windows of up to 200 columns still fit */
#pragma omp parallel for schedule(static) if (p->n * p->h * p->w * p->c > POOL_PAR)
  for (int64_t i = 0; i < p->n * height; i++) avg_row(p, i / height, i % height, back, tile);
}

static void avg_pool(const k_pool *p) { avg_any(p, false); }
static void avg_pool_back(const k_pool *p) { avg_any(p, true); }
