/*
 * Event counters of /proc/vmstat: per CPU, added up when read. Names are Linux's.
 */
#pragma once

#include "lib/format.h"

/* X(name as in /proc/vmstat) */
#define VM_EVENTS(X)                      \
	X(pgalloc_dma)                    \
	X(pgalloc_dma32)                  \
	X(pgalloc_normal)                 \
	X(pgalloc_movable)                \
	X(allocstall_dma)                 \
	X(allocstall_dma32)               \
	X(allocstall_normal)              \
	X(allocstall_movable)             \
	X(pgfree)                         \
	X(pgfault)                        \
	X(pgmajfault)                     \
	X(pgpgin)                         \
	X(pgpgout)                        \
	X(pswpin)                         \
	X(pswpout)                        \
	X(swpout_zero)                    \
	X(pgscan_kswapd)                  \
	X(pgscan_direct)                  \
	X(pgsteal_kswapd)                 \
	X(pgsteal_direct)                 \
	X(pgactivate)                     \
	X(pgdeactivate)                   \
	X(slabs_scanned)                  \
	X(oom_kill)                       \
	X(drop_pagecache)                 \
	X(drop_slab)                      \
	X(pageoutrun)                     \
	X(fragment_stall)                 \
	X(fragment_stall_us)              \
	X(fragmenting_fallback)           \
	X(pgmigrate_success)              \
	X(pgmigrate_fail)                 \
	X(compact_migrate_scanned)        \
	X(compact_free_scanned)           \
	X(compact_isolated)               \
	X(compact_stall)                  \
	X(compact_fail)                   \
	X(compact_success)                \
	X(compact_daemon_wake)            \
	X(compact_daemon_migrate_scanned) \
	X(compact_daemon_free_scanned)    \
	X(thp_fault_alloc)                \
	X(thp_fault_fallback)             \
	X(thp_collapse_alloc)             \
	X(thp_split_page)                 \
	X(thp_split_pmd)                  \
	X(numa_hint_faults)               \
	X(numa_pages_migrated)            \
	X(pglazyfree)                     \
	X(ksm_merged)                     \
	X(cma_alloc_success)              \
	X(cma_alloc_fail)                 \
	X(balloon_inflate)                \
	X(balloon_deflate)                \
	X(balloon_migrate)

enum vm_event {
#define X(name) VM_EVENT_##name,
	VM_EVENTS(X)
#undef X
		NR_VM_EVENTS
};

void vm_event_add(enum vm_event event, uint64_t count);
#define vm_event(name)	       vm_event_add(VM_EVENT_##name, 1)
#define vm_events(name, count) vm_event_add(VM_EVENT_##name, (count))
uint64_t vm_event_read(enum vm_event event);
