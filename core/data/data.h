/* data.h -- pictures on disk to batches in memory: decode, list, transform, load.
**
** Plain C threads; nothing here knows of Lua, tensors or devices.  Four parts, each usable alone:
**
**   picture    JPEG or PNG bytes -> RGB, upright                       picture.c jpeg.c png.c exif.c
**   images     a folder -> list of {path, label, part}, manifest       images.c scan.c manifest.c
**   transform  picture -> size x size view, random or not              transform.c resize.c colour.c
**   loader     worker threads -> ring of batches                       loader.c
**
** Everything random is a function of (seed, epoch, picture): see base/rng.h.  Pixels are u8, channels last
** [H, W, 3]; scaling to floats belongs to the consumer, where it is fused with the first convolution.
** Labels count from 1.  Picture indices count from 0 (they are C's, not Lua's).
*/
#ifndef INC_DATA_H
#define INC_DATA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* == Pictures =============================================================== */

enum { INC_MAX_PIXELS = 128000000 }; /* above: refused from the header, before memory is taken */

typedef struct inc_picture {
  int w, h;
  uint8_t *rgb; /* [h, w, 3]; free with inc_picture_free */
} inc_picture;

typedef struct inc_picture_info {
  int w, h;        /* upright */
  int orientation; /* EXIF 1..8, already accounted for in w and h */
  bool png;
} inc_picture_info;

/* EFORMAT with the reason ("truncated JPEG", "not a JPEG or PNG", ...); `name` is for messages, may be NULL.
 */
int inc_picture_decode(const void *bytes, size_t n, const char *name, inc_picture *out);
int inc_picture_load(const char *path, inc_picture *out);
void inc_picture_free(inc_picture *p);
int inc_picture_peek(const void *bytes, size_t n, const char *name, inc_picture_info *out); /* header only */
int inc_png_save(const char *path, const uint8_t *rgb, int w, int h); /* beside, synced, renamed */

/* A decoder keeps libraries' state and buffers between pictures: one a thread. */
typedef struct inc_decoder inc_decoder;
int inc_decoder_new(inc_decoder **out);
void inc_decoder_free(inc_decoder *d);
/* Reads the header.  `bytes` must outlive the reads. */
int inc_decoder_open(inc_decoder *d, const void *bytes, size_t n, const char *name, inc_picture_info *out);
/* Boxes from now on are of the picture made 1/shrink as large (2, 4, 8), if its format can do that cheaply;
** once after an open.  *w, *h: its size then. */
void inc_decoder_shrink(inc_decoder *d, int shrink, int *w, int *h);
/* The box [x, x+w) x [y, y+h) of the upright picture, decoding little more than that.
** *px: [h, w] pixels of 4 bytes R G B ?, rows `*stride` bytes apart, valid until the next call. */
int inc_decoder_box(inc_decoder *d, int x, int y, int w, int h, const uint8_t **px, size_t *stride);

/* == Images: what lies in a folder ========================================== */

enum { INC_PART_TRAIN, INC_PART_VAL, INC_PART_BAD, INC_PARTS };

typedef struct inc_image {
  char *path;     /* relative to root */
  char *why;      /* reason, for INC_PART_BAD; otherwise NULL */
  int label;      /* 1-based index into classes */
  int part;       /* INC_PART_* */
  int64_t bytes;  /* length of the picture's bytes */
  int64_t offset; /* where they start in the file: 0 but for record files */
  uint64_t hash;  /* of those bytes */
} inc_image;

typedef struct inc_images {
  char *root;     /* absolute */
  char **classes; /* [nclasses] in byte order; label i is classes[i - 1] */
  int nclasses;
  inc_image *item; /* [n] ordered by class, then path */
  int64_t n;
  int64_t count[INC_PARTS];
  char **warning; /* [nwarnings] one sentence each */
  int nwarnings;
  double val; /* as asked */
  uint64_t seed;
  bool presplit; /* the folder had train/ and val/ of its own */
  _Atomic int refs;
} inc_images;

typedef struct inc_scan_opts {
  double val;                 /* fraction held out, 0 <= val < 1; ignored when the folder is presplit */
  uint64_t seed;              /* of the split only */
  int workers;                /* threads that read files; 0: one a core */
  const char *const *classes; /* fixed list (a run's) to map onto, or NULL: take the folder's own */
  int nclasses;               /* with `classes`, a folder of one class is fine and an unknown one an error */
  bool decode;                /* also decode every picture in full (finds all bad ones; slower) */
} inc_scan_opts;

/* Ctrl-C (base/interrupt.h) abandons it with EINTR. */
int inc_images_scan(const char *folder, const inc_scan_opts *opts, inc_images **out);
inc_images *inc_images_ref(inc_images *im);
void inc_images_unref(inc_images *im); /* NULL is fine */
/* root/path of item i into buf; EARG if it does not fit. */
int inc_images_path(const inc_images *im, int64_t i, char *buf, size_t n);
const char *inc_part_name(int part); /* "train", "val", "bad" */

/* The list in a run's folder: one line a picture, any byte of a name survives. */
int inc_images_save(const inc_images *im, const char *file);
int inc_images_load(const char *file, inc_images **out);

enum { INC_DIFF_MISSING, INC_DIFF_NEW, INC_DIFF_CHANGED };
typedef struct inc_image_diff {
  struct inc_image_diff_item {
    int kind;   /* INC_DIFF_* */
    char *path; /* relative to root */
  } * item;
  int64_t n, count[3];
} inc_image_diff;
/* What `now` has that `then` had not, and so on; label changes count as changed. n == 0: the same. */
int inc_images_diff(const inc_images *then, const inc_images *now, inc_image_diff *out);
void inc_image_diff_free(inc_image_diff *d);

/* == Transforms ============================================================= */

enum { INC_VIEW_EVAL, INC_VIEW_LIGHT, INC_VIEW_INCEPTION, INC_VIEW_NONE };
enum { INC_GEOM_FRACTION, INC_GEOM_SHORT_SIDE };
enum { INC_RESIZE_BILINEAR, INC_RESIZE_NEAREST, INC_RESIZE_BICUBIC, INC_RESIZE_AREA };

typedef struct inc_transform {
  int size;         /* output is [size, size, 3] */
  int view;         /* INC_VIEW_* */
  int geometry;     /* eval: INC_GEOM_* */
  double fraction;  /* eval: share of each side that is kept, 0.875 */
  int short_side;   /* eval, INC_GEOM_SHORT_SIDE: the picture's short side before the central crop, 342 */
  bool antialias;   /* widen the filter when shrinking, as PIL does */
  bool flip;        /* mirror with probability 1/2 (random views) */
  bool colour;      /* brightness, saturation, hue, contrast in one of two orders (random views) */
  unsigned methods; /* bit mask of 1 << INC_RESIZE_*: one is drawn a picture (eval: the lowest) */
  double area[2];   /* random views: share of the picture's area */
  double aspect[2]; /* width / height */
  double covered;   /* smallest accepted share of the picture, 0.1 in the release's sampler */
  int crops, crop;  /* eval: number `crop` (from 0) of 1, 12 or 144 crops */
} inc_transform;

int inc_transform_init(inc_transform *t, const char *view,
                       int size);                /* defaults of "eval", "light", "inception", "none" */
int inc_transform_check(const inc_transform *t); /* EARG names the field */

typedef struct inc_viewer inc_viewer; /* a decoder and scratch: one a thread */
int inc_viewer_new(inc_viewer **out);
void inc_viewer_free(inc_viewer *v);
/* bytes -> out [size, size, 3].  Random views draw from (seed, epoch, picture). */
int inc_viewer_run(inc_viewer *v, const inc_transform *t, const void *bytes, size_t n, const char *name,
                   uint64_t seed, uint32_t epoch, uint32_t picture, uint8_t *out);
/* The same for pixels at hand, [h, w, 3]. */
int inc_viewer_pixels(inc_viewer *v, const inc_transform *t, const uint8_t *rgb, int w, int h, uint64_t seed,
                      uint32_t epoch, uint32_t picture, uint8_t *out);
/* Nanoseconds spent so far: decode, resize, colour. */
void inc_viewer_times(const inc_viewer *v, int64_t ns[3]);
/* Box of upright pixels [h, w, 3] -> [oh, ow, 3]; the box may have fractional edges. */
int inc_resize(const uint8_t *rgb, int w, int h, double x, double y, double bw, double bh, int method,
               bool antialias, int ow, int oh, uint8_t *out);

/* == Loader ================================================================= */

typedef struct inc_loader_opts {
  inc_images *images; /* a reference is taken */
  int part;           /* INC_PART_TRAIN, INC_PART_VAL, or -1: both */
  bool train;         /* shuffled, endless unless `epochs`, last short batch dropped; else in order, once */
  int batch;
  inc_transform transform;
  uint64_t seed;
  int workers;          /* 0: half the cores, at least 1 */
  int slots;            /* batches in the ring; 0: 4 */
  int64_t epoch, index; /* where to start: epoch (from 0) and batch in it */
  int64_t epochs;       /* train: stop before this epoch; 0: never */
  bool bad_stop;        /* the first bad picture makes next() fail; else it is replaced or left out */
} inc_loader_opts;

typedef struct inc_batch {
  int64_t epoch, index; /* position of this batch */
  int n;                /* pictures; 0: the end.  Evaluation: bad ones are left out, the last is short */
  uint8_t *pixels;  /* [batch, size, size, 3]; rows from n on are zero, so a fixed-size plan may use them */
  int64_t *label;   /* [batch] from 1; 0 from n on */
  int64_t *picture; /* [batch] index into images->item; -1 from n on */
  int slot;         /* for release */
} inc_batch;

typedef struct inc_bad_picture {
  int64_t picture; /* index into images->item */
  char *why;
} inc_bad_picture;

typedef struct inc_loader_stats {             /* nanoseconds, summed over workers, and counts */
  int64_t read, decode, resize, colour, full; /* full: workers waiting for a free slot */
  int64_t wait;                               /* the consumer waiting for a batch */
  int64_t pictures, bytes, batches;
} inc_loader_stats;

typedef struct inc_loader inc_loader;
int inc_loader_new(const inc_loader_opts *o, inc_loader **out);
int inc_loader_size(const inc_loader *l);        /* side of its pictures */
int64_t inc_loader_batches(const inc_loader *l); /* batches in one epoch */
/* Blocks until the next batch is whole.  It stays valid until released; hold at most slots - 1. */
int inc_loader_next(inc_loader *l, inc_batch *b);
void inc_loader_release(inc_loader *l, const inc_batch *b);
/* Bad pictures met so far, once each, in the order of the data (never of the threads). */
int64_t inc_loader_bad(const inc_loader *l, const inc_bad_picture **list);
void inc_loader_stats_get(const inc_loader *l, inc_loader_stats *s);
void inc_loader_stop(inc_loader *l); /* from any thread: next() returns EINTR from now on */
void inc_loader_free(inc_loader *l); /* stops, joins, frees; NULL is fine */

/* Picture number `i` (0 .. n-1) of the order of (seed, epoch): a permutation, O(1), no table. */
uint64_t inc_shuffle(uint64_t i, uint64_t n, uint64_t seed, uint32_t epoch);

#endif
