/* err.h -- how core functions report failure.
**
** A function that can fail returns an int: INC_OK (0) or one of the codes below.  The reason is recorded
** once, by inc_fail, at the place where it is known; callers only hand the code on (INC_TRY).  The record
** is per thread.  core/bind/lerr.c is the only place that turns it into a Lua error.  A returned NULL with
** a recorded error serves where a function returns a pointer.
**
** The text says what was expected, what came, and where: "weight: expected shape [Cout, 3, KH, KW], got
** [32, 4, 3, 3]".  `arg` names the argument or file at fault (may be NULL).  No function here aborts,
** exits, prints or jumps.
*/
#ifndef INC_ERR_H
#define INC_ERR_H

enum {
  INC_OK = 0,
  INC_EARG,      /* the caller's mistake: shape, dtype, range, unknown option */
  INC_EMEM,      /* out of memory */
  INC_EIO,       /* the system refused: open, read, write, rename, disk full */
  INC_EFORMAT,   /* a file's bytes are not what they should be */
  INC_EDEVICE,   /* a device or its library failed */
  INC_EINTR,     /* the user asked to stop */
  INC_ENAN,      /* a loss that is not a finite number */
  INC_ESTATE,    /* right call, wrong moment (no value while tracing, run already over) */
  INC_ENOTBUILT, /* promised by the documentation, not built yet */
};

typedef struct inc_error {
  int code;
  char op[64];     /* the op or verb at work, set by whoever knows it: "conv2d" */
  char arg[128];   /* argument or file at fault, or "" */
  char text[1024]; /* what was expected, what came */
  char hint[256];  /* what to do about it, or "" */
} inc_error;

/* Record a failure on this thread and return `code`. */
int inc_fail(int code, const char *arg, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* Add to the failure just recorded; both return its code, so that `return inc_hint(...)` reads well. */
int inc_hint(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
int inc_error_op(const char *op);

/* The last failure of this thread (never NULL; code INC_OK when there was none). */
const inc_error *inc_error_last(void);
void inc_error_clear(void);
void inc_error_set(const inc_error *e); /* carry a failure over from another thread */

/* "op: arg: text" plus "\nhint: ..." into `out`; returns out. */
char *inc_error_format(const inc_error *e, char *out, unsigned long n);
const char *inc_error_name(int code); /* "EARG", ... */

#define INC_TRY(call)                                                                                        \
  do {                                                                                                       \
    int try_code_ = (call);                                                                                  \
    if (try_code_ != INC_OK) return try_code_;                                                               \
  } while (0)

#endif
