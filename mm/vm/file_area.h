/*
 * Areas that show files of the page cache (mm/page_cache.h).
 *
 * Private ones show the file until they are written to, then a copy of their own; of shared ones (AREA_SHARED) what is
 * written is the file's. An entry of a shared one is writable only while its page is dirty: the write fault makes both
 * so, writing back makes entries read-only first. Both happen under the page lock, and so does filling an entry, so
 * that no page leaves the cache while it is being mapped.
 *
 * Which entries map a file's page: each area is on a list of its file, and lies where its index says. An area joins at
 * the tail before its entries are filled, and a cut or a join lets areas overlap for a moment rather than leave a gap:
 * so a walk misses nothing, and what it meets twice it has dealt with. Locking: page lock, file->areas_lock,
 * table_lock.
 */
#pragma once

#include "mm/page_cache.h"
#include "mm/vm/mm.h"

struct page_walk;

extern const struct area_ops file_area_ops;

static inline bool area_shows_file(const struct area *area)
{
	return area->ops == &file_area_ops;
}
/* As mm_map(), of file @id from page request->index on; or -ENOMEM. */
int64_t mm_map_file(struct mm *mm, uint64_t id, const struct mapping_request *request) MUST_CHECK;

/* ---- for the page cache; the caller holds the page lock and a reference that is no entry's ---- */

/* No entry maps @page afterwards. */
void file_page_unmap(struct page *page);
/* No entry of it is writable afterwards. */
void file_page_protect(struct page *page);

/* For page_walk(): all entries of walk->page in @file's areas. */
int file_walk(struct page_walk *walk, struct cache_file *file);
