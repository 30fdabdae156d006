/*
 * The files that show what is below vfile.c, which cannot register its own.
 */
#pragma once

/* Panics if there is no memory for them. */
void files_init(void);
