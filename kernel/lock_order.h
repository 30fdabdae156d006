/*
 * The lock-order checker (debug builds; the calls are empty elsewhere).
 *
 * Lock classes are nodes; "B taken while A is held" is an edge A → B, kept for ever. An edge that closes a cycle is a
 * possible deadlock: panic with both chains, whether or not it locked up this time. Trylocks add no edge.
 */
#pragma once

#include "lib/compiler.h"
#include "lib/format.h"

enum lock_kind { LOCK_SPIN, LOCK_MUTEX };

#ifdef BALLONET_DEBUG
/* Before waiting for @lock (a trylock: after it has it). @where: the caller's address, for the report. */
void lock_order_acquire(const void *lock, const char *name, enum lock_kind kind, bool try_only, const void *where);
/* While it is still held. */
void lock_order_release(const void *lock, const char *name);
/* Panics if the caller holds a spin lock or is in an interrupt: called before anything that may sleep. */
void lock_order_may_sleep(const char *what);
#else
static inline void lock_order_acquire(const void *lock UNUSED, const char *name UNUSED, enum lock_kind kind UNUSED,
				      bool try_only UNUSED, const void *where UNUSED)
{
}
static inline void lock_order_release(const void *lock UNUSED, const char *name UNUSED)
{
}
static inline void lock_order_may_sleep(const char *what UNUSED)
{
}
#endif
/* /proc/lockdep: classes and edges; one line "off" where it is not built. */
void lock_order_show(struct sink *out);
