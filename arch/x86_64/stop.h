/*
 * Stopping for a panic elsewhere (stop.c), from trap.c.
 */
#pragma once

#include "arch/x86_64/trap.h"

/* In the NMI: notes where this CPU was and halts for ever if a panic asked for it; returns if not. */
void stop_if_asked(const struct trap_frame *frame);
