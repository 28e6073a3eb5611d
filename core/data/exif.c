/* exif.c -- the one number that is wanted from EXIF: the orientation.
** A TIFF block is a tree of offsets written by anybody; every read is bounded, only the first directory is
** looked at, and whatever is odd means "upright". */
#include "data/decode.h"
#include <string.h>

enum { TAG_ORIENTATION = 0x0112, TYPE_SHORT = 3, ENTRY = 12 };

static uint32_t get(const uint8_t *p, int n, int big) {
  uint32_t v = 0;
  for (int i = 0; i < n; i++) v |= (uint32_t)p[i] << 8 * (big ? n - 1 - i : i);
  return v;
}

int inc_exif_orientation(const uint8_t *tiff, size_t n) {
  if (n < 8) return 1;
  int big = memcmp(tiff, "MM\0*", 4) == 0;
  if (!big && memcmp(tiff, "II*\0", 4) != 0) return 1;
  size_t at = get(tiff + 4, 4, big);
  if (at > n || n - at < 2) return 1;
  size_t entries = get(tiff + at, 2, big);
  for (at += 2; entries > 0 && n - at >= ENTRY; entries--, at += ENTRY) {
    const uint8_t *e = tiff + at;
    if (get(e, 2, big) != TAG_ORIENTATION) continue;
    uint32_t v = get(e + 8, 2, big);
    return get(e + 2, 2, big) == TYPE_SHORT && v >= 1 && v <= 8 ? (int)v : 1;
  }
  return 1;
}
