/*
 * kmalloc's set-up; what users call is kernel/memory.h.
 */
#pragma once

/* Once, after mm_init(). */
void kmalloc_init(void);
