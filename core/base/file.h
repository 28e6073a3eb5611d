/* file.h -- files that are whole or not there.
**
** A new file is written beside the old one, synced, and renamed over it; then the folder is synced.  So a
** kill at any instant, or a full disk, leaves the old file or the new one, never a part.  Leftovers of a kill
** end in ".tmp" and are swept when a run folder is opened again.
*/
#ifndef INC_FILE_H
#define INC_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { INC_PATH = 4096 };

typedef struct inc_writer {
  char path[INC_PATH], tmp[INC_PATH];
  int fd; /* -1: closed */
} inc_writer;

int inc_writer_open(inc_writer *w, const char *path);
int inc_writer_write(inc_writer *w, const void *bytes, size_t n);
int inc_writer_commit(inc_writer *w); /* sync, rename, sync the folder */
void inc_writer_abort(inc_writer *w); /* drop it; harmless after commit */

int inc_file_replace(const char *path, const void *bytes, size_t n); /* all of the above at once */
int inc_file_sync_folder(const char *path);                          /* the folder that holds `path` */
int inc_write_all(int fd, const void *bytes, size_t n, const char *path);
/* The whole file, with a NUL behind it, from inc_alloc; EARG above `limit` bytes. */
int inc_file_slurp(const char *path, size_t limit, char **out, size_t *n);
/* The folder for what can be made again, $XDG_CACHE_HOME/incsh or ~/.cache/incsh, there or not, into
** out[INC_PATH]; false where there is no home or its name is too long. */
bool inc_cache_folder(char *out);
int inc_path_join(char *out, const char *folder, const char *name); /* out[INC_PATH]; EARG if too long */

#endif
