/* fuzz.c -- changed files against every reader of foreign bytes, under the sanitizers (make fuzz).
**
**     fuzz all SECONDS [SEED]       each kind for so long; ends with "N passed, N failed"
**     fuzz KIND SECONDS [SEED]      one kind: jpeg png safetensors pictures log
**     fuzz KIND FILE                one file again, such as the one that a failure leaves in /tmp
**
** A reader may refuse whatever it likes; it must not crash, hang, read or write where it should not, or lose
** memory.  Seeds are sound files of every variety that we can write; a change is a few flipped, copied, cut or
** inserted pieces, numbers that programs trip over, and, half of the time, checksums and lengths put right again,
** so that the change is not caught at the door.  libFuzzer was rejected: it wants clang, and on formats with
** checksums its knowledge of branches gains little over knowing the format.
*/
#include "base/err.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/rng.h"
#include "data/data.h"
#include "pictures.h"
#include "run/events.h"
#include "run/safetensors.h"
#include <signal.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { MAX_SEEDS = 32, MAX_BYTES = 1 << 17, HANG = 20, MAX_DECODED = 4000000 };

typedef struct bytes {
  uint8_t b[MAX_BYTES];
  size_t n;
} bytes;

static bytes seed[MAX_SEEDS], input;
static int n_seeds;
static char folder[64], file[96];
static const char *kind_now = "";

/* -- random numbers: xorshift, so that a seed says all -------------------------------------------------- */

static uint64_t state = 1;

static uint64_t next(void) {
  state ^= state << 13, state ^= state >> 7, state ^= state << 17;
  return state;
}

static size_t below(size_t n) { return n ? (size_t)(next() % n) : 0; }

/* -- seeds ---------------------------------------------------------------------------------------------- */

static void add_seed(const void *b, size_t n) {
  if (n_seeds == MAX_SEEDS || n > MAX_BYTES / 2) return;
  memcpy(seed[n_seeds].b, b, n);
  seed[n_seeds++].n = n;
}

static void add_pic(const pic *p) { add_seed(p->b, p->n); }

static void jpeg_seeds(void) {
  pic_opts o = {.w = 37, .h = 29, .comps = 3};
  add_pic(pic_jpeg(&o));
  for (int k = 1; k < 3; k++) {
    o.hs = o.vs = k, o.progressive = k == 2, o.restart = k, o.orientation = 3 + k;
    add_pic(pic_jpeg(&o));
  }
  o = (pic_opts){.w = 16, .h = 17, .comps = 1};
  add_pic(pic_jpeg(&o));
  o = (pic_opts){.w = 33, .h = 16, .comps = 4, .ycck = 1};
  add_pic(pic_jpeg(&o));
  o = (pic_opts){.w = 33, .h = 16, .comps = 4, .no_adobe = 1};
  add_pic(pic_jpeg(&o));
}

static void palette(int x, int y, uint8_t *p) { p[0] = (uint8_t)((x + y) & 3); }

static void png_seeds(void) {
  static const int types[] = {PNG_COLOR_TYPE_GRAY, PNG_COLOR_TYPE_RGB, PNG_COLOR_TYPE_RGBA,
                              PNG_COLOR_TYPE_GRAY_ALPHA};
  for (int i = 0; i < 4; i++)
    for (int bits = 8; bits <= 16; bits += 8)
      add_pic(pic_png(&(pic_opts){.w = 21,
                                  .h = 13,
                                  .png_type = types[i],
                                  .png_bits = bits,
                                  .interlaced = i & 1,
                                  .orientation = bits == 8 ? 6 : 0}));
  for (int bits = 2; bits <= 8; bits *= 2)
    add_pic(pic_png(&(pic_opts){.w = 21,
                                .h = 13,
                                .png_type = PNG_COLOR_TYPE_PALETTE,
                                .png_bits = bits,
                                .trns = bits & 4,
                                .pixel = palette}));
}

static void add_file(const char *path) {
  char *s;
  size_t n;
  if (inc_file_slurp(path, MAX_BYTES, &s, &n) != INC_OK) return;
  add_seed(s, n);
  inc_free(s);
}

static void safetensors_seeds(void) {
  for (int k = 0; k < 3; k++) {
    int64_t shape[] = {2, 3, 4};
    inc_named list[3];
    static const char *const names[] = {"w", "layer.weight", "\xc3\xa9/x"};
    inc_pair meta[] = {{"kind", "weights"}, {"classes", "a\nb \"c\""}};
    for (int i = 0; i <= k; i++) {
      inc_spec s = inc_spec_new(i == 0 ? INC_F32 : i == 1 ? INC_I64 : INC_U8, i + 1, shape);
      list[i].name = names[i];
      if (inc_tensor_new(&s, &list[i].t) != INC_OK) return;
      memset(inc_tensor_data(list[i].t), i, inc_spec_bytes(&s));
    }
    if (inc_safetensors_save(file, k + 1, list, 2, meta) == INC_OK) add_file(file);
    for (int i = 0; i <= k; i++) inc_tensor_unref(list[i].t);
  }
}

static void pictures_seeds(void) {
  static const char text[] =
      "incsh pictures 1\nroot\t/a\nfraction\t0.25\nseed\t1\npresplit\t0\npictures\t3\nclass\tx\nclass\ty%25\n"
      "train\t1\t0\t100\t0123456789abcdef\tx/a.jpg\t\nval\t2\t0\t7\tfedcba9876543210\ty%25/b.png\t\n"
      "bad\t1\t0\t9\t0000000000000001\tx/c\tnot a JPEG or PNG\n";
  add_seed(text, sizeof text - 1);
}

static void log_seeds(void) {
  static const char text[] = "{\"step\":12,\"epoch\":4,\"loss\":0.42,\"lr\":1e-3,\"note\":\"a \\\"b\\\" {\","
                             "\"x\":[1,{\"y\":2}],\"z\":null,\"time\":1795591264.143}\n";
  add_seed(text, sizeof text - 1);
}

/* -- changes -------------------------------------------------------------------------------------------- */

static void cut_out(size_t at, size_t n) {
  memmove(input.b + at, input.b + at + n, input.n - at - n);
  input.n -= n;
}

static void put_in(size_t at, const uint8_t *from, size_t n) {
  if (input.n + n > MAX_BYTES) return;
  uint8_t copy[256];
  memcpy(copy, from, n);
  memmove(input.b + at + n, input.b + at, input.n - at);
  memcpy(input.b + at, copy, n);
  input.n += n;
}

static void put_number(size_t at) {
  static const uint64_t odd[] = {0,
                                 1,
                                 0x7f,
                                 0x80,
                                 0xff,
                                 0x7fff,
                                 0xffff,
                                 0x7fffffff,
                                 0x80000000,
                                 0xffffffff,
                                 0x7fffffffffffffff,
                                 0xffffffffffffffff};
  uint64_t v = odd[below(12)];
  size_t width = (size_t)1 << below(4);
  for (size_t i = 0; i < width && at + i < input.n; i++)
    input.b[at + i] = (uint8_t)(v >> 8 * (below(2) ? i : width - 1 - i));
}

static void put_digits(size_t at) {
  static const char *const odd[] = {"-1",
                                    "0",
                                    "99999999999",
                                    "18446744073709551615",
                                    "9223372036854775808",
                                    "1e999",
                                    "nan",
                                    "[",
                                    "{",
                                    "\"",
                                    "\\u0000",
                                    "\n",
                                    "\t"};
  const char *s = odd[below(13)];
  put_in(at, (const uint8_t *)s, strlen(s));
}

static void change_once(void) {
  size_t at = below(input.n), n = 1 + below(1 + below(64));
  if (!input.n) return;
  if (n > input.n - at) n = input.n - at;
  switch (below(8)) {
  case 0:
    input.b[at] ^= (uint8_t)(1 << below(8));
    break;
  case 1:
    input.b[at] = (uint8_t)next();
    break;
  case 2:
    cut_out(at, n);
    break;
  case 3:
    put_in(at, input.b + below(input.n - n + 1), n);
    break;
  case 4:
    memmove(input.b + at, input.b + below(input.n - n + 1), n);
    break;
  case 5:
    put_number(at);
    break;
  case 6:
    put_digits(at);
    break;
  default:
    input.n = below(4) ? input.n : at;
    break;
  }
}

/* -- making doors pass ---------------------------------------------------------------------------------- */

static uint32_t crc32_of(const uint8_t *b, size_t n) {
  uint32_t c = 0xffffffff;
  for (size_t i = 0; i < n; i++) {
    c ^= b[i];
    for (int k = 0; k < 8; k++) c = c >> 1 ^ (c & 1 ? 0xedb88320 : 0);
  }
  return ~c;
}

static void mend_png(void) {
  for (size_t at = 8; at + 12 <= input.n;) {
    uint8_t *p = input.b + at;
    size_t n = (size_t)p[0] << 24 | (size_t)p[1] << 16 | (size_t)p[2] << 8 | p[3];
    if (n > input.n - at - 12) return;
    uint32_t c = crc32_of(p + 4, n + 4);
    for (int i = 0; i < 4; i++) p[8 + n + (size_t)i] = (uint8_t)(c >> (24 - 8 * i));
    at += 12 + n;
  }
}

/* The length of the head: up to the brace that closes it, wherever that is now. */
static void mend_safetensors(void) {
  size_t end = input.n;
  while (end > 8 && memcmp(input.b + end - 2, "}}", 2)) end--;
  for (int i = 0; i < 8 && end > 8; i++) input.b[i] = (uint8_t)((end - 8) >> 8 * i);
}

/* -- readers: did it like the input? -------------------------------------------------------------------- */

static bool write_input(void) {
  FILE *f = fopen(file, "wb");
  bool ok = f && fwrite(input.b, 1, input.n, f) == input.n;
  return f && fclose(f) == 0 && ok;
}

static bool read_picture(void) {
  static inc_decoder *d;
  inc_picture_info info;
  inc_picture p;
  if (!d && inc_decoder_new(&d) != INC_OK) return false;
  if (inc_picture_peek(input.b, input.n, "x", &info) != INC_OK) return false;
  if ((int64_t)info.w * info.h > MAX_DECODED) return true;
  bool ok = inc_picture_decode(input.b, input.n, "x", &p) == INC_OK;
  if (ok) inc_picture_free(&p);
  int w, h;
  const uint8_t *px;
  size_t stride;
  if (inc_decoder_open(d, input.b, input.n, "x", &info) != INC_OK) return ok;
  inc_decoder_shrink(d, 1 << below(4), &w, &h);
  int x = (int)below((size_t)w), y = (int)below((size_t)h);
  int bw = 1 + (int)below((size_t)(w - x)), bh = 1 + (int)below((size_t)(h - y));
  return inc_decoder_box(d, x, y, bw, bh, &px, &stride) == INC_OK || ok;
}

static bool read_safetensors(void) {
  inc_safetensors *st;
  if (!write_input() || inc_safetensors_open(file, &st) != INC_OK) return false;
  for (int i = 0; i < st->n; i++) {
    inc_tensor *t = NULL;
    if (inc_safetensors_read(st, &st->item[i], &t) == INC_OK) inc_tensor_unref(t);
  }
  inc_safetensors_close(st);
  return true;
}

static bool read_pictures(void) {
  inc_images *im;
  if (!write_input() || inc_images_load(file, &im) != INC_OK) return false;
  inc_images_unref(im);
  return true;
}

static bool read_log(void) {
  static inc_events *e;
  static int lines;
  if (lines++ % 10000 == 0) inc_events_close(e), e = NULL; /* a fresh file: the old one would fill the disk */
  if (!e && inc_events_open(folder, 0, &e) != INC_OK) return false;
  input.b[input.n < MAX_BYTES ? input.n : MAX_BYTES - 1] = '\0';
  return inc_events_line(e, (const char *)input.b) == INC_OK;
}

typedef struct kind {
  const char *name;
  void (*seeds)(void), (*mend)(void);
  bool (*read)(void);
} kind;

static const kind kinds[] = {{"jpeg", jpeg_seeds, NULL, read_picture},
                             {"png", png_seeds, mend_png, read_picture},
                             {"safetensors", safetensors_seeds, mend_safetensors, read_safetensors},
                             {"pictures", pictures_seeds, NULL, read_pictures},
                             {"log", log_seeds, NULL, read_log}};
enum { KINDS = sizeof kinds / sizeof *kinds };

/* -- failures ------------------------------------------------------------------------------------------- */

void __sanitizer_set_death_callback(void (*f)(void)) __attribute__((weak));

static void keep_input(void) {
  char path[128];
  snprintf(path, sizeof path, "/tmp/incsh-fuzz-%s-%ld", kind_now, (long)getpid());
  FILE *f = fopen(path, "wb");
  if (!f) return;
  fwrite(input.b, 1, input.n, f);
  fclose(f);
  fprintf(stderr, "fuzz: the input is kept in %s: fuzz %s %s\n", path, kind_now, path);
}

static void hung(int sig) {
  (void)sig;
  fprintf(stderr, "fuzz: %s: no answer for %d seconds\n", kind_now, HANG);
  keep_input();
  _exit(3);
}

/* -- running -------------------------------------------------------------------------------------------- */

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void make_input(const kind *k) {
  const bytes *from = &seed[below((size_t)n_seeds)];
  memcpy(input.b, from->b, input.n = from->n);
  for (size_t i = 1 + below(1 + below(12)); i > 0; i--) change_once();
  if (k->mend && below(2)) k->mend();
}

/* Blocks of ours that an input left behind; what a reader keeps on purpose is there after the first few. */
static bool leaks(const kind *k, int64_t *live, long i) {
  if (i < 100) *live = inc_mem_live();
  if (inc_mem_live() <= *live) return false;
  fprintf(stderr, "fuzz: %s: input %ld left %lld blocks behind\n", k->name, i,
          (long long)(inc_mem_live() - *live));
  keep_input();
  return true;
}

static bool run(const kind *k, double seconds) {
  long inputs = 0, liked = 0;
  int64_t live = 0;
  kind_now = k->name, n_seeds = 0;
  k->seeds();
  for (int i = 0; i < n_seeds; i++) {
    input = seed[i];
    if (k->read()) continue;
    fprintf(stderr, "fuzz: %s: seed %d is refused: %s\n", k->name, i, inc_error_last()->text);
    return false;
  }
  for (double end = now() + seconds; now() < end; inputs++) {
    make_input(k);
    alarm(HANG);
    liked += k->read();
    if (leaks(k, &live, inputs)) return false;
  }
  alarm(0);
  printf("%s: %ld inputs from %d seeds, %ld were read\n", k->name, inputs, n_seeds, liked);
  fflush(stdout);
  return inputs > 0;
}

static int again(const kind *k, const char *path) {
  char *s;
  size_t n;
  if (inc_file_slurp(path, MAX_BYTES - 1, &s, &n) != INC_OK) {
    fprintf(stderr, "fuzz: %s: %s\n", path, inc_error_last()->text);
    return 1;
  }
  memcpy(input.b, s, input.n = n);
  inc_free(s);
  printf("%s: %s\n", k->name, k->read() ? "read" : inc_error_last()->text);
  return 0;
}

static int run_all(const char *name, const char *amount, int *failed) {
  int passed = 0;
  char *end;
  double seconds = strtod(amount, &end);
  for (int i = 0; i < KINDS; i++) {
    if (strcmp(name, "all") && strcmp(name, kinds[i].name)) continue;
    if (*end) return again(&kinds[i], amount) ? 0 : 1;
    run(&kinds[i], seconds) ? passed++ : (*failed)++;
  }
  return passed;
}

int main(int argc, char **argv) {
  int failed = 0;
  if (argc < 3) return fprintf(stderr, "usage: fuzz all|KIND SECONDS|FILE [SEED]\n"), 1;
  if (argc > 3) state = strtoull(argv[3], NULL, 10) | 1;
  snprintf(folder, sizeof folder, "/dev/shm/incsh-fuzz-XXXXXX"); /* in memory: ten times as many inputs */
  if (!mkdtemp(folder)) snprintf(folder, sizeof folder, "/tmp/incsh-fuzz-XXXXXX");
  if (access(folder, W_OK) != 0 && !mkdtemp(folder)) return 1;
  snprintf(file, sizeof file, "%s/input", folder);
  if (__sanitizer_set_death_callback) __sanitizer_set_death_callback(keep_input);
  signal(SIGALRM, hung);
  int passed = run_all(argv[1], argv[2], &failed);
  char command[128];
  snprintf(command, sizeof command, "rm -rf %s", folder);
  if (system(command) != 0) failed++;
  printf("%d passed, %d failed\n", passed, failed);
  return failed > 0 || passed == 0;
}
