/* listing.h -- inside of the picture list: building it, shared by scan.c, walk.c and manifest.c. */
#ifndef INC_LISTING_H
#define INC_LISTING_H

#include "data/data.h"

int inc_images_new(const char *root, inc_images **out);
/* Appends; takes `path` over even when it fails. */
int inc_images_add(inc_images *im, char *path, int label, int part);
int inc_images_warn(inc_images *im, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
int inc_images_add_class(inc_images *im, const char *name);
int inc_image_set_bad(inc_image *it, const char *why);
void inc_images_recount(inc_images *im);

/* Finds classes and files; labels are set, parts are TRAIN (VAL for those under val/) or BAD.  walk.c */
int inc_images_walk(inc_images *im, const inc_scan_opts *opts);

#endif
