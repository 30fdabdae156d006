/*
 * The locks that a thread holds, innermost last: kept per thread by thread.c (both worlds), used by lock_order.c.
 */
#pragma once

#include "lib/compiler.h"

#define MAX_HELD_LOCKS 24

struct held_locks {
	uint32_t count;
	struct {
		const void *lock, *where;
		uint16_t class;
		bool is_spin;
	} locks[MAX_HELD_LOCKS];
};

/* Of the current thread; interrupts that come meanwhile add to it and leave it as they found it. */
struct held_locks *lock_order_held(void);
