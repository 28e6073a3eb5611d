/* glyphs.c -- captions: an alphabet of five by seven dots.
**
** A letter is seven digits of base 32, one a row from the top; the bit of value 16 is the leftmost dot.  Letters
** that hang below the line are drawn two rows further down.
*/
#include "data/paint.h"
#include <string.h>

static const char glyphs[95][8] = {
    "0000000", "4444404", "aa00000", "aavavaa", "4fke5u4", "op248j3", "cik8lid", "4400000", "2488842",
    "8422248", "04lel40", "044v440", "0000048", "000v000", "0000004", "11248gg", "ehjlphe", "4c4444e",
    "eh1248v", "eh161he", "26aiv22", "vgu11he", "68guhhe", "v124888", "ehhehhe", "ehhf12c", "0040004",
    "0040048", "248g842", "00v0v00", "g84248g", "eh12404", "ehnlngf", "ehhvhhh", "uhhuhhu", "ehggghe",
    "uhhhhhu", "vgguggv", "vgguggg", "ehgnhhf", "hhhvhhh", "e44444e", "72222ic", "hikokih", "ggggggv",
    "hrllhhh", "hhpljhh", "ehhhhhe", "uhhuggg", "ehhhlid", "uhhukih", "fgge11u", "v444444", "hhhhhhe",
    "hhhhha4", "hhhllla", "hha4ahh", "hha4444", "v1248gv", "e88888e", "gg84211", "e22222e", "4ah0000",
    "000000v", "8420000", "00e1fhf", "gguhhhu", "00egghe", "11fhhhf", "00ehvge", "698s888", "fhhhf1e",
    "ggmphhh", "40c444e", "20622ic", "ggikoki", "c44444e", "00qlllh", "00mphhh", "00ehhhe", "uhhhugg",
    "fhhhf11", "00mpggg", "00fge1u", "88s8896", "00hhhjd", "00hhha4", "00hhlla", "00ha4ah", "hhhhf1e",
    "00v248v", "2448442", "4444444", "8442448", "008l200",
};

static const char box[8] = "vhhhhhv";

static int row_bits(char digit) { return digit <= '9' ? digit - '0' : digit - 'a' + 10; }

static void paint_dot(uint8_t *rgb, int w, int h, int x, int y, int scale, const uint8_t colour[3]) {
  for (int j = y; j < y + scale; j++)
    for (int i = x; i < x + scale; i++)
      if (i >= 0 && i < w && j >= 0 && j < h)
        memcpy(rgb + 3 * ((size_t)j * (size_t)w + (size_t)i), colour, 3);
}

void inc_paint_text(uint8_t *rgb, int w, int h, int x, int y, const char *text, int scale,
                    const uint8_t colour[3]) {
  for (const unsigned char *s = (const unsigned char *)text; *s; s++) {
    if ((*s & 0xC0) == 0x80) continue; /* the rest of a character that had its box */
    const char *glyph = *s >= 32 && *s < 127 ? glyphs[*s - 32] : box;
    int top = y + (strchr("gpqy", *s) ? 2 * scale : 0);
    for (int j = 0; j < 7; j++)
      for (int i = 0; i < 5; i++)
        if (row_bits(glyph[j]) >> (4 - i) & 1)
          paint_dot(rgb, w, h, x + i * scale, top + j * scale, scale, colour);
    x += INC_GLYPH_W * scale;
  }
}
