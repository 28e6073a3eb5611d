/* make_pictures.c -- writes pictures for the Lua specs, which have no encoder of their own.
**
**     make_pictures set FOLDER CLASSES EACH SIDE    CLASSES sub-folders (class1, ...) of EACH JPEG, easy to
*tell apart
**     make_pictures KIND FILE                       one odd picture; see the table below
**
** Everything is made when it is needed, so that no picture has to be kept with the sources.
*/
#include "pictures.h"
#include <sys/stat.h>

static int tint; /* the class that pixels show */

static void tinted(int x, int y, uint8_t *p) {
  static const uint8_t colours[6][3] = {{220, 40, 30},  {30, 200, 60},  {40, 60, 220},
                                        {220, 200, 40}, {200, 50, 210}, {60, 200, 210}};
  for (int c = 0; c < 3; c++)
    p[c] = (uint8_t)((colours[tint % 6][c] * 3 + ((x * 7 + y * 13 + c * 31 + (x * y) % 17) & 63)) / 4 +
                     (x / 8 + y / 8 + tint) % 2 * 20);
  p[3] = 255;
}

static void wide(int x, int y, uint8_t *p) { /* 16 bits a sample */
  uint8_t q[4];
  tinted(x, y, q);
  for (int c = 0; c < 4; c++) p[2 * c] = q[c], p[2 * c + 1] = 0;
}

static void indexed(int x, int y, uint8_t *p) { p[0] = (uint8_t)((x / 8 + y / 8) & 3); }

static int set(const char *folder, int classes, int each, int side) {
  char path[1024];
  mkdir(folder, 0777);
  for (tint = 0; tint < classes; tint++) {
    snprintf(path, sizeof path, "%s/class%d", folder, tint + 1);
    mkdir(path, 0777);
    for (int i = 0; i < each; i++) {
      pic *p = pic_jpeg(&(pic_opts){.w = side + i, .h = side, .comps = 3, .quality = 90, .pixel = tinted});
      snprintf(path, sizeof path, "%s/class%d/picture%03d.jpg", folder, tint + 1, i + 1);
      pic_save(path, p->b, p->n);
    }
  }
  return 0;
}

/* A PNG whose header claims 20000 x 20000: refused by the header, before memory is taken. */
static void claim_huge(pic *p) {
  static const uint8_t side[4] = {0, 0, 0x4e, 0x20};
  uint32_t crc = 0xffffffffu;
  memcpy(p->b + 16, side, 4), memcpy(p->b + 20, side, 4);
  for (int i = 12; i < 29; i++) {
    crc ^= p->b[i];
    for (int k = 0; k < 8; k++) crc = crc >> 1 ^ (crc & 1 ? 0xedb88320u : 0);
  }
  for (int i = 0; i < 4; i++) p->b[29 + i] = (uint8_t)(~crc >> (24 - 8 * i));
}

static pic *one(const char *kind) {
  pic_opts o = {.w = 80, .h = 64, .comps = 3, .pixel = tinted, .png_type = PNG_COLOR_TYPE_RGB};
  int is_png = strncmp(kind, "png", 3) == 0;
  if (!strcmp(kind, "grey")) o.comps = 1;
  if (!strcmp(kind, "cmyk")) o.comps = 4;
  if (!strcmp(kind, "ycck")) o.comps = 4, o.ycck = 1;
  if (!strcmp(kind, "progressive")) o.progressive = 1;
  if (!strcmp(kind, "turned")) o.orientation = 6;
  if (!strcmp(kind, "png-grey")) o.png_type = PNG_COLOR_TYPE_GRAY;
  if (!strcmp(kind, "png-16")) o.png_bits = 16, o.pixel = wide;
  if (!strcmp(kind, "png-palette")) o.png_type = PNG_COLOR_TYPE_PALETTE, o.pixel = indexed;
  if (!strcmp(kind, "png-alpha")) o.png_type = PNG_COLOR_TYPE_RGBA;
  if (strstr(kind, "-1x1") || !strcmp(kind, "1x1")) o.w = o.h = 1;
  pic *p = is_png ? pic_png(&o) : pic_jpeg(&o);
  if (!strcmp(kind, "truncated")) p->n = p->n / 2;
  if (!strcmp(kind, "png-truncated")) p->n = p->n / 2;
  if (!strcmp(kind, "png-huge")) claim_huge(p);
  return p;
}

int main(int argc, char **argv) {
  if (argc == 6 && !strcmp(argv[1], "set")) return set(argv[2], atoi(argv[3]), atoi(argv[4]), atoi(argv[5]));
  if (argc != 3) return fprintf(stderr, "expected: set FOLDER CLASSES EACH SIDE, or KIND FILE\n"), 1;
  pic *p = one(argv[1]);
  pic_save(argv[2], p->b, p->n);
  return 0;
}
