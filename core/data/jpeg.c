/* jpeg.c -- libjpeg-turbo behind four functions.
**
** Speed: a window is cut out with jpeg_crop_scanline and jpeg_skip_scanlines, and the decoder is aborted
** after its last row; rows above are only entropy-decoded, rows below not at all.  The window is widened by
** a few columns before cropping, because chroma is interpolated across its edge: so its pixels are the same
** bits as in a full decode.
**
** Much larger pictures than are wanted can be shrunk inside the inverse transform, by 2, 4 or 8; other
** factors cost more than a whole decode.
**
** Strictness: libjpeg forgives damage and paints grey.  A training set should not contain such pictures, so
** every warning that means damaged data fails the read, and a missing end marker is found before decoding,
** whatever the window.
**
** The library reports errors by a call that must not return; the setjmp below is the only one here.
*/
#include "base/err.h"
#include "base/mem.h"
#include "data/decode.h"
#include <setjmp.h>
#include <stdio.h>
#include <string.h>

#include <jerror.h>
#include <jpeglib.h>

enum {
  MARGIN = 4,      /* columns on each side of a window: chroma at 4:1:1 reaches that far */
  MAX_SCANS = 500, /* a progressive picture has about ten; thousands are an attack on the clock */
  ROWS = 16        /* handed to the library at once */
};

struct inc_jpeg {
  struct jpeg_decompress_struct c;
  struct jpeg_error_mgr err;
  struct jpeg_progress_mgr progress;
  jmp_buf out;
  const uint8_t *bytes;
  size_t n;
  bool made, fresh; /* the library's object exists; its header has been read and not yet used */
  bool damaged;     /* a warning that counts came; its text is in why */
  int code;
  char why[JMSG_LENGTH_MAX];
};

static inc_jpeg *self(j_common_ptr c) { return (inc_jpeg *)c->client_data; }

static void describe(j_common_ptr c) {
  inc_jpeg *j = self(c);
  char text[JMSG_LENGTH_MAX];
  c->err->format_message(c, text);
  const char *t = strncmp(text, "Corrupt JPEG data: ", 19) == 0 ? text + 19 : text;
  if (c->err->msg_code == JWRN_JPEG_EOF || c->err->msg_code == JERR_INPUT_EOF)
    snprintf(j->why, sizeof j->why, "truncated JPEG");
  else
    snprintf(j->why, sizeof j->why, "corrupt JPEG (%.160s)", t);
  j->code = c->err->msg_code == JERR_OUT_OF_MEMORY ? INC_EMEM : INC_EFORMAT;
}

static void on_error(j_common_ptr c) {
  inc_jpeg *j = self(c);
  if (!j->damaged) describe(c); /* the first trouble is the telling one */
  longjmp(j->out, 1);
}

/* Warnings about markers of applications, or stray bytes between header segments, say nothing of pixels. */
static bool harmless(const inc_jpeg *j, int code) {
  return code == JWRN_ADOBE_XFORM || code == JWRN_JFIF_MAJOR || code == JWRN_BOGUS_ICC ||
         code == JWRN_NOT_SEQUENTIAL || (code == JWRN_EXTRANEOUS_DATA && !j->fresh);
}

static void on_message(j_common_ptr c, int level) {
  inc_jpeg *j = self(c);
  if (level >= 0 || j->damaged || harmless(j, c->err->msg_code)) return;
  describe(c);
  j->damaged = true;
}

static void on_progress(j_common_ptr c) {
  inc_jpeg *j = self(c);
  if (j->c.input_scan_number <= MAX_SCANS) return;
  snprintf(j->why, sizeof j->why, "corrupt JPEG (more than %d scans)", MAX_SCANS);
  j->code = INC_EFORMAT, j->damaged = true;
  longjmp(j->out, 1);
}

static int failed(inc_jpeg *j) {
  j->fresh = false;
  jpeg_abort_decompress(&j->c);
  return inc_fail(j->code, NULL, "%s", j->why);
}

int inc_jpeg_new(inc_jpeg **out) {
  inc_jpeg *j = inc_zalloc(sizeof *j);
  if (!j) return INC_EMEM;
  j->c.err = jpeg_std_error(&j->err);
  j->err.error_exit = on_error;
  j->err.emit_message = on_message;
  j->progress.progress_monitor = on_progress;
  j->c.client_data = j;
  if (setjmp(j->out)) {
    int code = inc_fail(j->code, NULL, "%s", j->why);
    inc_free(j);
    return code;
  }
  jpeg_create_decompress(&j->c);
  j->c.progress = &j->progress;
  j->made = true;
  *out = j;
  return INC_OK;
}

void inc_jpeg_free(inc_jpeg *j) {
  if (!j) return;
  if (j->made) jpeg_destroy_decompress(&j->c);
  inc_free(j);
}

static int read_header(inc_jpeg *j) {
  j->damaged = j->fresh = false;
  jpeg_abort_decompress(&j->c);
  if (setjmp(j->out)) return failed(j);
  jpeg_mem_src(&j->c, j->bytes, j->n);
  jpeg_read_header(&j->c, TRUE);
  j->fresh = true;
  return INC_OK;
}

/* The first EXIF segment before the pixels; files are walked by hand so that nothing is copied. */
static int orientation(const uint8_t *b, size_t n) {
  for (size_t at = 2; n - at >= 10 && b[at] == 0xFF;) {
    uint8_t marker = b[at + 1];
    size_t len = (size_t)b[at + 2] << 8 | b[at + 3];
    if (marker == 0xDA || marker == 0xD9 || len < 2 || len > n - at - 2) return 1;
    if (marker == 0xE1 && len >= 8 && memcmp(b + at + 4, "Exif\0\0", 6) == 0)
      return inc_exif_orientation(b + at + 10, len - 8);
    at += 2 + len;
    while (n - at >= 11 && b[at] == 0xFF && b[at + 1] == 0xFF) at++; /* fill bytes */
  }
  return 1;
}

/* Is there an end marker behind the header?  Coded data never contains one. */
static bool has_end(const inc_jpeg *j) {
  const uint8_t *from = j->c.src->next_input_byte, *p = j->bytes + j->n - 1;
  for (; p > from; p--)
    if (p[0] == 0xD9 && p[-1] == 0xFF) return true;
  return false;
}

int inc_jpeg_open(inc_jpeg *j, const uint8_t *bytes, size_t n, int *w, int *h, int *orient) {
  j->bytes = bytes, j->n = n;
  INC_TRY(read_header(j));
  *w = (int)j->c.image_width, *h = (int)j->c.image_height;
  *orient = orientation(bytes, n);
  return has_end(j) ? INC_OK : inc_fail(INC_EFORMAT, NULL, "truncated JPEG");
}

/* Four inks to RGB by TensorFlow's rule: files with Adobe's marker hold inverted inks. */
static void inks_to_rgb(uint8_t *p, int w, bool inverted) {
  for (int i = 0; i < w; i++, p += 4) {
    unsigned k = inverted ? p[3] : 255u - p[3];
    for (int c = 0; c < 3; c++) p[c] = (uint8_t)((inverted ? p[c] : 255u - p[c]) * k / 255);
  }
}

/* Decode `h` rows from row y into s, of a window whose columns are set up already. */
static void read_rows(inc_jpeg *j, int y, int h, uint8_t *base, size_t stride) {
  JSAMPROW row[ROWS];
  if (y > 0) jpeg_skip_scanlines(&j->c, (JDIMENSION)y);
  for (int done = 0; done < h && !j->damaged;) {
    int k = h - done < ROWS ? h - done : ROWS;
    for (int i = 0; i < k; i++) row[i] = base + (size_t)(done + i) * stride;
    done += (int)jpeg_read_scanlines(&j->c, row, (JDIMENSION)k);
  }
}

int inc_jpeg_read(inc_jpeg *j, int shrink, int x, int y, int w, int h, inc_scratch *s, inc_window *out) {
  if (!j->fresh) INC_TRY(read_header(j));
  bool inks = j->c.num_components == 4;
  int full = ((int)j->c.image_width + shrink - 1) / shrink, x0 = x > MARGIN ? x - MARGIN : 0;
  int x1 = x + w + MARGIN < full ? x + w + MARGIN : full;
  JDIMENSION left = (JDIMENSION)x0, wide = (JDIMENSION)(x1 - x0);
  INC_TRY(inc_scratch_want(s, ((size_t)wide + 64) * 4 * (size_t)h)); /* + 64: widened to a whole block */
  if (setjmp(j->out)) return failed(j);
  j->c.scale_num = 1, j->c.scale_denom = (unsigned)shrink;
  j->c.out_color_space = inks ? JCS_CMYK : JCS_EXT_RGBX;
  jpeg_start_decompress(&j->c);
  if (x1 - x0 < full) jpeg_crop_scanline(&j->c, &left, &wide);
  out->stride = (size_t)j->c.output_width * 4;
  out->px = s->p + (size_t)(x - (int)left) * 4;
  read_rows(j, y, h, s->p, out->stride);
  if (j->damaged) return failed(j);
  if (inks)
    for (int i = 0; i < h; i++) inks_to_rgb(out->px + (size_t)i * out->stride, w, j->c.saw_Adobe_marker);
  j->fresh = false;
  jpeg_abort_decompress(&j->c);
  return INC_OK;
}
