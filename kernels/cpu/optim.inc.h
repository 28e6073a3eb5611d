/* optim.inc.h -- parameter updates on flat f32 arrays: every slot is read and written once.
** The formulas are PyTorch's, with TensorFlow's RMSProp as a variant (epsilon inside the root, the learning
** rate inside the momentum).  gscale multiplies the gradient, so clipping and loss
** scaling cost nothing extra.
*/

AI vf grad_in(const float *g, const float *p, int64_t i, int n, float gscale, float decay) {
  return ldf(g + i, n) * gscale + ldf(p + i, n) * decay;
}

static void sgd(const k_sgd *o, int64_t n, float *p, const float *g, float *m) {
  for (int64_t i = 0; i < n; i += W) {
    int k = n - i < W ? (int)(n - i) : W;
    vf d = grad_in(g, p, i, k, o->gscale, o->weight_decay), step = d;
    if (m) {
      vf v = ldf(m + i, k) * o->momentum + d;
      stf(m + i, v, k);
      step = o->nesterov ? d + v * o->momentum : v;
    }
    stf(p + i, ldf(p + i, k) - step * o->lr, k);
  }
}

static void rmsprop(const k_rmsprop *o, int64_t n, float *p, const float *g, float *v, float *m) {
  for (int64_t i = 0; i < n; i += W) {
    int k = n - i < W ? (int)(n - i) : W;
    vf d = grad_in(g, p, i, k, o->gscale, o->weight_decay);
    vf s = ldf(v + i, k) * o->alpha + d * d * (1 - o->alpha);
    stf(v + i, s, k);
    vf step = o->eps_inside ? d * o->lr / vsqrt(s + o->eps) : d / (vsqrt(s) + o->eps);
    if (m) {
      step = ldf(m + i, k) * o->momentum + step;
      stf(m + i, step, k);
    }
    stf(p + i, ldf(p + i, k) - (o->eps_inside ? step : step * o->lr), k);
  }
}

static void adam(const k_adam *o, int64_t n, float *p, const float *g, float *m, float *v) {
  float rate = (float)((double)o->lr / o->correct1), root = (float)(1 / sqrt(o->correct2));
  float keep = o->decoupled ? 1 - o->lr * o->weight_decay : 1, decay = o->decoupled ? 0 : o->weight_decay;
  for (int64_t i = 0; i < n; i += W) {
    int k = n - i < W ? (int)(n - i) : W;
    vf d = grad_in(g, p, i, k, o->gscale, decay);
    vf a = ldf(m + i, k) * o->beta1 + d * (1 - o->beta1),
       b = ldf(v + i, k) * o->beta2 + d * d * (1 - o->beta2);
    stf(m + i, a, k);
    stf(v + i, b, k);
    stf(p + i, ldf(p + i, k) * keep - a * rate / (vsqrt(b) * root + o->eps), k);
  }
}

static void lerp(int64_t n, float *x, const float *end, float weight) {
  for (int64_t i = 0; i < n; i += W) {
    int k = n - i < W ? (int)(n - i) : W;
    vf a = ldf(x + i, k);
    stf(x + i, a + (ldf(end + i, k) - a) * weight, k);
  }
}
