/*
 * Daemons: threads that change memory by themselves. They stand still while somebody checks the books.
 */
#pragma once

#include "lib/compiler.h"

/* Around what a daemon does; waits while somebody holds them. False: it shall stop instead. Not nested. */
bool daemon_work_begin(void) MUST_CHECK;
void daemon_work_end(void);

/*
 * Waits until no daemon works; none begins until the release. Several may hold them at a time, and one several times.
 * Not from a daemon's work.
 */
void daemons_hold(void);
void daemons_release(void);
