/* folder.h -- a run's folder: who may write in it, its checkpoints, and its log.
**
** A kill at any instant must leave a folder that a run can go on from.  So checkpoints appear whole
** (run/file.h), a log line is one write, and on opening, leftovers are swept and the log is cut back to the
** checkpoint.  The lock is the kernel's (flock): it ends with the process that held it, however that ended.
*/
#ifndef INC_FOLDER_H
#define INC_FOLDER_H

#include <stdbool.h>
#include <stdint.h>

/* Take FOLDER/lock.  ESTATE names the process that has it. */
int inc_folder_lock(const char *folder, int *fd);
void inc_folder_unlock(int fd); /* -1 is fine */
/* Does somebody have it?  Looks only; a folder without a lock is free. */
bool inc_folder_locked(const char *folder);

/* Remove what a kill left half written (*.tmp in the folder and in checkpoints/). */
int inc_folder_sweep(const char *folder);

/* Steps of checkpoints/step-N.safetensors, newest first; *list from inc_alloc. */
int inc_folder_checkpoints(const char *folder, int64_t **list, int *n);
int inc_folder_checkpoint(char *out, const char *folder, int64_t step); /* its path, out[INC_PATH] */
/* Delete all checkpoints but the newest `keep` and that of step `best` (-1: none). */
int inc_folder_prune(const char *folder, int keep, int64_t best);

/* Open FOLDER/log.jsonl for appending; lines of later steps than `step`, and a torn last one, are cut off. */
int inc_log_open(const char *folder, int64_t step, int *fd);
int inc_log_write(int fd, const char *line, uint64_t n); /* whole lines, with their newline */
int inc_log_sync(int fd);

/* A line, with its newline, behind those of FOLDER/changes.jsonl; synced.  A torn last line of a kill stays a line
** of its own, which readers pass over. */
int inc_changes_add(const char *folder, const char *line, uint64_t n);

#endif
