/* paint.h -- what contact sheets need beside decoding: captions, and pictures for terminals that show them.
**
** Everything works on packed RGB rows [h, w, 3].  No drawing library: a five by seven letter and the sixel
** format are a few dozen lines each, and a font engine would be the largest dependency of the program.
*/
#ifndef INC_DATA_PAINT_H
#define INC_DATA_PAINT_H

#include "base/text.h"
#include <stdint.h>

enum { INC_GLYPH_W = 6, INC_GLYPH_H = 9 }; /* cell of a letter, its gap included, at scale 1 */

/* Write UTF-8 text with its top left corner at (x, y), clipped to the picture; what is not ASCII shows as a
** box. */
void inc_paint_text(uint8_t *rgb, int w, int h, int x, int y, const char *text, int scale,
                    const uint8_t colour[3]);

/* The picture as a DEC sixel sequence: 240 fixed colours, the error of each pixel spread to its neighbours. */
int inc_sixel(const uint8_t *rgb, int w, int h, inc_text *out);

void inc_base64(const uint8_t *bytes, size_t n, inc_text *out);

#endif
