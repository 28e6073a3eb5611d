/* mem.h -- the one road to host memory.
**
** Every allocation in core goes through here so that tests can fail the n-th one (inc_mem_fail_at) and
** count what is still alive.  Blocks are 64-byte aligned: vector kernels and oneDNN like that.  All return
** NULL after recording INC_EMEM.  Memory is not cleared unless the name says so.
*/
#ifndef INC_MEM_H
#define INC_MEM_H

#include <stddef.h>
#include <stdint.h>

void *inc_alloc(size_t n);
void *inc_zalloc(size_t n);
void *inc_realloc(void *p, size_t old_n, size_t n); /* p keeps its contents when NULL is returned */
char *inc_strdup(const char *s);
void inc_free(void *p); /* NULL is fine */

int64_t inc_mem_live(void);      /* blocks not yet freed */
void inc_mem_fail_at(int64_t n); /* the n-th allocation from now fails (and only that one); 0 = none */

#endif
