/*
 * Files of address spaces.
 */
#pragma once

/* Settings under /sys/kernel/mm and, from then on, /proc/<id>/ of threads that have one. */
int vm_files_init(void) __attribute__((warn_unused_result));
