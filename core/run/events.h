/* events.h -- TensorBoard's event files, beside log.jsonl in a run's folder.
**
** They hold what the log holds: each line of it becomes one record with a scalar for every number in the line,
** under the column's own name, at the line's step and time.  So whatever a run logs is in TensorBoard without a
** word here, and the two can never disagree.  The line itself is read, not the run: it is flat JSON of our own.
**
** Each start writes a new file, as TensorBoard expects: it follows the newest file by name, so the seconds in
** the name are later than those of every file there.  What older files say of steps beyond the start is cut
** off, as the log is; a session's start in the new file tells a TensorBoard that is running, and has read those
** steps already, to forget them.  A record is one write, so a kill leaves whole records; a torn last one (a
** full disk) is cut off at the next start.  Lines of the log that no file has, such as a fork's past, are
** written before anything else.  Files of other writers are left alone.
*/
#ifndef INC_EVENTS_H
#define INC_EVENTS_H

#include <stdint.h>

typedef struct inc_events inc_events;

/* A new file for the steps after `step`; what older ones of ours say of later steps goes. */
int inc_events_open(const char *folder, int64_t step, inc_events **out);
/* A line of the log as one record; null and text in it are passed over.  EIO: the file ends before it. */
int inc_events_line(inc_events *e, const char *line);
void inc_events_close(inc_events *e); /* NULL is fine */

/* CRC-32C (Castagnoli), and as TFRecord files store it: turned and shifted, so that a sum of a text that holds
** sums stays a good one. */
uint32_t inc_crc32c(const void *bytes, uint64_t n);
uint32_t inc_crc32c_masked(const void *bytes, uint64_t n);

#endif
