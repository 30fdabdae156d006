/*
 * khugepaged, ksmd, and the thread that marks pages for NUMA balancing.
 *
 * Settings and figures have Linux's names: /sys/kernel/mm/transparent_hugepage/khugepaged/, /sys/kernel/mm/ksm/,
 * /proc/sys/kernel/numa_balancing. As there, khugepaged looks every 10 s unless huge pages are off, ksmd does nothing
 * until ksm/run is 1, and NUMA balancing is on if there is more than one node.
 */
#pragma once

#include "mm/vm/mm.h"

/* The threads. 0 or -ENOMEM. */
int vm_daemons_start(void) MUST_CHECK;
/* Ends them: for tests. */
void vm_daemons_stop(void);
int vm_daemons_files_init(void) MUST_CHECK;
