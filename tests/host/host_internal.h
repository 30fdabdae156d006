/* Between the files of tests/host/. */
#pragma once

#include "lib/compiler.h"

void host_memory_init(void);
void host_mm_init(void);
void host_console_init(void);
/* Counts an allocation: is it the one that shall fail? */
bool host_allocation_fails(void);
