/* Between the files of tests/host/. */
#pragma once

void host_memory_init(void);
void host_mm_init(void);
void host_console_init(void);
