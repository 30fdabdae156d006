/*
 * The memory controller's structure, for memory.c, memory_files.c and their tests.
 */
#pragma once

#include "cgroup/memory.h"
#include "cgroup/page_counter.h"
#include "mm/memcg.h"

#define MEMCG_MOVE_ANON 1u

struct mem_cgroup {
	struct cgroup_css css;	     /* first */
	struct page_counter counter; /* own and descendants' pages; the parent's: NULL below the root */
	uint64_t high;		     /* pages; above it, who is charged more reclaims, but is not refused */
	uint64_t own_pages;	     /* charged to this very group; the first takes a reference, the last drops it */
	uint64_t counts[NR_MEMCG_COUNTS]; /* here and below */
	uint32_t move_charges;		  /* MEMCG_MOVE_ANON: what tasks that come bring along */
	struct list_node node;		  /* in the list of all, those without a name too */
	uint64_t seen, seen_below;	  /* for the check */
};

/* For as long as the css lives. */
static inline struct mem_cgroup *css_to_memcg(struct cgroup_css *css)
{
	return container_of(css, struct mem_cgroup, css);
}

/* New limits in pages; what is above is got back as far as possible, the rest stays (MEMCG_OOM for max). May sleep. */
void memcg_set_max(struct mem_cgroup *memcg, uint64_t pages);
void memcg_set_high(struct mem_cgroup *memcg, uint64_t pages);
int memcg_add_files(struct cgroup_css *css, const char *path) MUST_CHECK;
