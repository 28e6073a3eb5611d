/* test_safetensors.c -- what is written comes back, and every unsound file is refused by name. */
#include "base/err.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/text.h"
#include "check.h"
#include "run/safetensors.h"
#include "run/sha256.h"
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

static const char *file(void) {
  static char path[160];
  if (!path[0]) snprintf(path, sizeof path, "%s/some.safetensors", check_folder());
  return path;
}

static inc_tensor *make(int dtype, int ndim, const int64_t *shape) {
  inc_tensor *t = NULL;
  inc_spec s = inc_spec_new(dtype, ndim, shape);
  if (inc_tensor_new(&s, &t) != INC_OK) return NULL;
  for (int64_t i = 0; i < inc_spec_numel(&s); i++) inc_store(inc_tensor_data(t), dtype, i, (double)(i + 1));
  return t;
}

TEST(round_trip) {
  int64_t shape[] = {2, 3};
  inc_tensor *a = make(INC_U8, 2, shape), *b = make(INC_F32, 2, shape), *c = make(INC_I64, 0, NULL), *d;
  inc_named items[] = {{"a", a}, {"b.weight", b}, {"c", c}};
  inc_pair meta[] = {{"note", "say \"hi\"\n\xff"}};
  CHECK_EQ(inc_safetensors_save(file(), 3, items, 1, meta), INC_OK);
  inc_safetensors *st;
  CHECK_EQ(inc_safetensors_open(file(), &st), INC_OK);
  CHECK_EQ(st->n, 3);
  CHECK_STR(st->item[0].name, "c"); /* widest first */
  CHECK_STR(st->item[1].name, "b.weight");
  CHECK_EQ(st->item[1].begin % 8, 0);
  CHECK_STR(inc_safetensors_meta(st, "note"), "say \"hi\"\n\xef\xbf\xbd");
  CHECK_STR(inc_safetensors_meta(st, "format"), "pt");
  CHECK(!inc_safetensors_meta(st, "nothing"));
  CHECK_EQ(inc_safetensors_read(st, inc_safetensors_find(st, "b.weight"), &d), INC_OK);
  CHECK(!memcmp(inc_tensor_data(d), inc_tensor_data(b), 24));
  inc_safetensors_close(st);
  inc_tensor_unref(a), inc_tensor_unref(b), inc_tensor_unref(c), inc_tensor_unref(d);
}

TEST(strided_tensors_are_stored_row_major) {
  int64_t shape[] = {2, 3};
  inc_tensor *a = make(INC_F32, 2, shape), *turned, *back;
  inc_spec s = a->spec;
  s.shape[0] = 3, s.shape[1] = 2, s.strides[0] = 1, s.strides[1] = 3;
  CHECK_EQ(inc_tensor_over(a->buf, 0, &s, &turned), INC_OK);
  inc_named item = {"x", turned};
  CHECK_EQ(inc_safetensors_save(file(), 1, &item, 0, NULL), INC_OK);
  inc_safetensors *st;
  CHECK_EQ(inc_safetensors_open(file(), &st), INC_OK);
  CHECK_EQ(inc_safetensors_read(st, &st->item[0], &back), INC_OK);
  const float *f = inc_tensor_data(back);
  CHECK(f[0] == 1 && f[1] == 4 && f[2] == 2 && f[5] == 6);
  memset(inc_tensor_data(a), 0, 24);
  CHECK_EQ(inc_safetensors_read_into(st, &st->item[0], turned), INC_OK);
  f = inc_tensor_data(a);
  CHECK(f[0] == 1 && f[1] == 2 && f[5] == 6);
  inc_safetensors_close(st);
  inc_tensor_unref(a), inc_tensor_unref(turned), inc_tensor_unref(back);
}

TEST(writer_refuses_names) {
  int64_t shape[] = {1};
  inc_tensor *a = make(INC_F32, 1, shape);
  inc_named twice[] = {{"a", a}, {"b", a}, {"a", a}}, odd[] = {{"\xff", a}};
  CHECK_EQ(inc_safetensors_save(file(), 3, twice, 0, NULL), INC_EARG);
  CHECK_STR(inc_error_last()->text, "two tensors are called a");
  CHECK_EQ(inc_safetensors_save(file(), 1, odd, 0, NULL), INC_EARG);
  inc_tensor_unref(a);
}

/* -- unsound files -------------------------------------------------------------------------------------- */

static int open_bytes(const char *bytes, size_t n) {
  FILE *f = fopen(file(), "wb");
  fwrite(bytes, 1, n, f);
  fclose(f);
  inc_safetensors *st;
  int code = inc_safetensors_open(file(), &st);
  if (code == INC_OK) inc_safetensors_close(st);
  return code;
}

/* A file of `head`, whose length is told as `told` (or truly, when 0), and `data` zero bytes. */
static int open_head(const char *head, size_t told, size_t data) {
  static char buf[4096];
  size_t n = strlen(head);
  uint64_t len = told ? told : n;
  memset(buf, 0, sizeof buf);
  memcpy(buf, &len, 8);
  memcpy(buf + 8, head, n);
  return open_bytes(buf, 8 + n + data);
}

static const struct unsound {
  const char *head;
  size_t told, data;
  const char *why;
} unsound[] = {
    {"{}", 3, 0, "its head is said to be longer than the file"},
    {"{}", (size_t)-1, 0, "its head is said to be longer than the file"},
    {" {}", 0, 0, "its head does not begin with {"},
    {"{} x", 0, 0, "end of file expected near 'x'"},
    {"{}", 0, 1, "bytes behind the last tensor"},
    {"{\"a\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[0,2]}}", 0, 1,
     "a: it reaches beyond the end of the file"},
    {"{\"a\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[1,3]}}", 0, 3,
     "a: there is a hole in front of it"},
    {"{\"a\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[0,2]},"
     "\"b\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[1,3]}}",
     0, 3, "b: it overlaps another tensor"},
    {"{\"a\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[0,2]},"
     "\"b\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[0,2]}}",
     0, 2, "b: it overlaps another tensor"},
    {"{\"a\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[0,2]},"
     "\"a\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[2,4]}}",
     0, 4, "a name occurs twice"},
    {"{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,4]}}", 0, 4,
     "a: its data_offsets do not fit its shape and dtype"},
    {"{\"a\":{\"dtype\":\"U8\",\"shape\":[4294967296,4294967296],\"data_offsets\":[0,0]}}", 0, 0,
     "a: its shape overflows"},
    {"{\"a\":{\"dtype\":\"F32\",\"shape\":[4611686018427387904],\"data_offsets\":[0,0]}}", 0, 0,
     "a: its shape overflows"},
    {"{\"a\":{\"dtype\":\"U8\",\"shape\":[99999999999999999999],\"data_offsets\":[0,0]}}", 0, 0,
     "too big integer near '99999999999999999999'"},
    {"{\"a\":{\"dtype\":\"U8\",\"shape\":[2.0],\"data_offsets\":[0,2]}}", 0, 2,
     "a: expected whole numbers from 0 in its shape"},
    {"{\"a\":{\"dtype\":\"U8\",\"shape\":[-1],\"data_offsets\":[0,2]}}", 0, 2,
     "a: expected whole numbers from 0 in its shape"},
    {"{\"a\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[2,0]}}", 0, 2,
     "a: its data_offsets run backwards"},
    {"{\"a\":{\"dtype\":\"U9\",\"shape\":[2],\"data_offsets\":[0,2]}}", 0, 2, "a: unknown dtype"},
    {"{\"a\":{\"dtype\":\"F4\",\"shape\":[3],\"data_offsets\":[0,1]}}", 0, 1,
     "a: its data_offsets do not fit its shape and dtype"},
    {"{\"a\":{\"dtype\":\"U8\",\"shape\":[2]}}", 0, 2,
     "a: expected dtype, shape and data_offsets, and nothing else"},
    {"{\"a\":[]}", 0, 0, "a: expected dtype, shape and data_offsets, and nothing else"},
    {"{\"__metadata__\":{\"a\":1}}", 0, 0, "__metadata__: expected strings only"},
};

TEST(unsound_files_are_refused) {
  for (size_t i = 0; i < sizeof unsound / sizeof *unsound; i++) {
    const struct unsound *u = &unsound[i];
    CHECK_EQ(open_head(u->head, u->told, u->data), INC_EFORMAT);
    char want[256];
    snprintf(want, sizeof want, "not a sound safetensors file: %s", u->why);
    CHECK_STR(inc_error_last()->text, want);
  }
  CHECK_EQ(open_bytes("abc", 3), INC_EFORMAT);
  CHECK_EQ(open_head("{\"\xff\":{\"dtype\":\"U8\",\"shape\":[0],\"data_offsets\":[0,0]}}", 0, 0),
           INC_EFORMAT);
  CHECK_EQ(open_head("[1]", 0, 0), INC_EFORMAT);
  CHECK_EQ(inc_safetensors_open("/tmp", &(inc_safetensors *){0}), INC_EIO);
  CHECK_EQ(inc_safetensors_open("/nowhere/x", &(inc_safetensors *){0}), INC_EIO);
}

TEST(sound_oddities_are_read) {
  CHECK_EQ(open_head("{}", 0, 0), INC_OK);
  CHECK_EQ(open_head("{}      ", 0, 0), INC_OK);
  CHECK_EQ(open_head("{\"a\":{\"dtype\":\"F32\",\"shape\":[],\"data_offsets\":[0,4]}}", 0, 4), INC_OK);
  CHECK_EQ(open_head("{\"a\":{\"dtype\":\"F32\",\"shape\":[0,5],\"data_offsets\":[0,0]}}", 0, 0), INC_OK);
  CHECK_EQ(
      open_head("{\"a\":{\"dtype\":\"F8_E4M3\",\"shape\":[1,1,1,1,1,1,1,2],\"data_offsets\":[0,2]}}", 0, 2),
      INC_OK);
  inc_safetensors *st;
  inc_tensor *t;
  CHECK_EQ(inc_safetensors_open(file(), &st), INC_OK);
  CHECK_EQ(inc_safetensors_read(st, &st->item[0], &t), INC_EFORMAT);
  inc_safetensors_close(st);
}

/* -- a disk that is full -------------------------------------------------------------------------------- */

TEST(failed_write_leaves_the_old_file) {
  int64_t small[] = {4}, large[] = {100000};
  inc_tensor *a = make(INC_F32, 1, small), *b = make(INC_F32, 1, large);
  inc_named old = {"old", a}, fresh = {"new", b};
  CHECK_EQ(inc_safetensors_save(file(), 1, &old, 0, NULL), INC_OK);
  signal(SIGXFSZ, SIG_IGN);
  struct rlimit was, limit;
  getrlimit(RLIMIT_FSIZE, &was);
  limit = was, limit.rlim_cur = 1000;
  setrlimit(RLIMIT_FSIZE, &limit);
  int code = inc_safetensors_save(file(), 1, &fresh, 0, NULL);
  setrlimit(RLIMIT_FSIZE, &was);
  CHECK_EQ(code, INC_EIO);
  inc_safetensors *st;
  CHECK_EQ(inc_safetensors_open(file(), &st), INC_OK);
  CHECK(inc_safetensors_find(st, "old") != NULL);
  inc_safetensors_close(st);
  char pattern[224];
  snprintf(pattern, sizeof pattern, "test -z \"$(ls %s.* 2>/dev/null)\"", file());
  CHECK_EQ(system(pattern), 0); /* nothing left beside it */
  inc_tensor_unref(a), inc_tensor_unref(b);
}

TEST(every_allocation_may_fail) {
  int64_t shape[] = {2, 3};
  inc_tensor *a = make(INC_F32, 2, shape);
  inc_named item = {"a", a};
  inc_pair meta = {"k", "v"};
  int64_t before = inc_mem_live();
  for (int n = 1, done = 0; !done; n++) {
    inc_safetensors *st = NULL;
    inc_mem_fail_at(n);
    int code = inc_safetensors_save(file(), 1, &item, 1, &meta);
    if (code == INC_OK) code = inc_safetensors_open(file(), &st);
    inc_tensor *t = NULL;
    if (code == INC_OK) code = inc_safetensors_read(st, &st->item[0], &t);
    inc_mem_fail_at(0);
    done = code == INC_OK;
    CHECK(done || code == INC_EMEM);
    inc_safetensors_close(st);
    inc_tensor_unref(t);
    CHECK_EQ(inc_mem_live(), before);
  }
  inc_tensor_unref(a);
}

TEST(sha256_of_known_texts) {
  static const struct {
    const char *text, *hex;
  } known[] = {
      {"", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
      {"abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
      {"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
       "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"},
  };
  for (int i = 0; i < 3; i++) {
    char hex[65];
    inc_sha256 s;
    inc_sha256_init(&s);
    for (const char *p = known[i].text; *p; p++) inc_sha256_add(&s, p, 1);
    inc_sha256_hex(&s, hex);
    CHECK_STR(hex, known[i].hex);
  }
}

TEST(numbers_read_back) {
  inc_text t = {0};
  double v[] = {0.1, 1, -3, 1e300, 0.020000000298023224, 1.0 / 3, 123456789012.0, 5e-324};
  for (size_t i = 0; i < sizeof v / sizeof *v; i++) {
    t.n = 0;
    inc_text_number(&t, v[i]);
    CHECK(strtod(t.s, NULL) == v[i]);
  }
  t.n = 0;
  inc_text_number(&t, 0.1);
  CHECK_STR(t.s, "0.1");
  t.n = 0;
  inc_text_number(&t, NAN);
  CHECK_STR(t.s, "null");
  inc_text_free(&t);
  unlink(file());
}
