/*
 * Pages that address spaces map: references, map counts, content, and which page is behind an entry.
 *
 * An anonymous page (owner PAGE_OWNER_ANON): mapping is its family, index its address / PAGE_SIZE. Whoever drops the
 * last reference frees the page. More than PAGE_PIN_BIAS references: somebody has it pinned for a device.
 */
#pragma once

#include "mm/page_ref.h"
#include "mm/vm/mm.h"

#define PAGE_PIN_BIAS 1024u

static inline void page_map_many(struct page *page, uint32_t count)
{
	atomic_fetch_add(&page->mapcount, count);
}
/* One entry more, one less maps it. */
static inline void page_mapped(struct page *page)
{
	page_map_many(page, 1);
}
static inline void page_unmapped(struct page *page)
{
	atomic_dec(&page->mapcount);
}
/* Anonymous: its mapping is a family, wherever its memory is. */
bool page_owner_is_anon(const struct page *page);
static inline bool page_may_be_pinned(const struct page *page)
{
	return load_relaxed(&page->refcount) >= PAGE_PIN_BIAS;
}

/* For page_on_last_put(): what KSM and device memory have to do about it. */
bool page_last_put(struct page *page);
/* Anonymous, new, charged to the space's group, for an entry of @area: refcount 1, mapcount 0. NULL: no memory, or the
 * group's limit. Under mm->lock, or nobody else uses @mm yet. May sleep. */
struct page *page_new_anon(struct mm *mm, struct area *area, uint64_t address, unsigned int order) MUST_CHECK;
/* Where the kernel sees its bytes; NULL for device memory that the CPU cannot reach. */
void *page_bytes(const struct page *page);
/* The bytes behind an entry that maps something, page structure or not; NULL: no RAM and no known device. */
void *entry_bytes(const struct area *area, uint64_t address, uint64_t entry);
unsigned int page_map_order(const struct page *page);
bool page_is_huge(const struct page *page);
/* Pages that compare equal; copies of a page's content, whole blocks. */
void page_copy_content(struct page *to, struct page *from);

extern uint64_t zero_page_pfn;
extern const uint8_t *zero_page_bytes;

/*
 * The page behind an entry that maps something, as most ask: ordinary and device memory. NULL: "special": the zero
 * page, frames without a page, and whatever nobody can explain (reported once).
 */
struct page *vm_normal_any_page(const struct area *area, uint64_t address, uint64_t entry);
/* As those ask who put pages on LRU lists, move, merge or lock them: NULL for device memory, too. */
struct page *vm_normal_lru_page(const struct area *area, uint64_t address, uint64_t entry);
/*
 * While set, it is told of every question and its answer (PAGE or NULL), in the asking thread: how the matrix of kinds
 * and consumers is made (mm/vm/matrix.h).
 */
extern void (*vm_normal_witness)(const struct area *area, uint64_t address, bool lru, const struct page *page);
/* Bad entries reported so far: for tests. */
uint64_t vm_bad_entries(void);
