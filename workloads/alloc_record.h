/*
 * Recording what is asked of the page allocator: `record [events=N] <workload> key=value...` in the shell.
 *
 * The recording (workloads/alloc_trace.h) stays in memory until the next one, or until "0" is written to
 * /sys/kernel/debug/alloc_record; reading that file says where it is, for the host to fetch it out of memory.
 */
#pragma once

#include "workloads/alloc_trace.h"

#define ALLOC_RECORD_EVENTS MIB(2) /* room, unless said otherwise */

/* From now on, for at most @events. 0, -EBUSY, -ENOMEM. May sleep. */
int alloc_record_start(uint64_t events) MUST_CHECK;
/*
 * Ends it and makes a trace of it, which begins with the first and ends with the last allocation. @workload is the
 * text for its header. Says on @out what there is and what was lost. 0, or -ENOMEM: the recording is gone.
 */
int alloc_record_stop(struct sink *out, const char *workload, uint64_t seed);
/* The recording, until alloc_record_give(); NULL: there is none. */
const struct alloc_trace *alloc_record_take(void);
void alloc_record_give(void);
/* The file. 0 or -errno. */
int alloc_record_init(void) MUST_CHECK;
