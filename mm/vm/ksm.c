/*
 * KSM: pages that many entries map because their contents were equal, and how an entry comes to map one.
 *
 * Equal now need not be equal in a moment: so the entry is made read-only and flushed first, under table_lock, then
 * compared, then replaced. Whoever wants to write waits for table_lock, finds its entry replaced and gets a copy.
 * A page that becomes one to merge into, or is merged into, is locked, so that it does not move to another meanwhile.
 *
 * Locking: a mutex for passes; places_lock (spin) for the nodes' lists of places; nodes_lock (spin, innermost)
 * for what a page's last reference, dropped anywhere, changes.
 */
#include "mm/vm/ksm_internal.h"

#include "kernel/memory.h"
#include "kernel/panic.h"
#include "lib/string.h"
#include "mm/vm/consumers.h"
#include "mm/vm/gup.h"
#include "mm/vm/page.h"
#include "mm/vm/rmap.h"
#include "mm/vm/zap.h"
#include "mm/vmstat.h"

#define BUCKETS 256u

/* What page->mapping of a merged page is. */
struct ksm_node {
	struct list_node node; /* in a bucket */
	struct page *page;     /* NULL: gone */
	uint64_t hash;
	struct list_node places;
	uint32_t nr_places;
};

struct ksm_place {
	struct list_node node;
	struct family *family; /* with a reference */
	uint64_t address;
};

static struct mutex mutex = MUTEX_INIT(mutex, "ksm");
static struct spinlock places_lock = SPINLOCK_INIT("ksm_places");
static struct spinlock nodes_lock = SPINLOCK_INIT("ksm_nodes");
static struct list_node merged[BUCKETS]; /* struct ksm_node; under the mutex */
static uint64_t nr_merged;

void ksm_lock(void)
{
	mutex_lock(&mutex);
	for (unsigned int i = 0; i < BUCKETS && !merged[i].next; i++)
		list_init(&merged[i]);
}

void ksm_unlock(void)
{
	mutex_unlock(&mutex);
}

uint64_t ksm_merged(void)
{
	return load_relaxed(&nr_merged);
}

/* ---- merged pages ---- */

void ksm_page_gone(struct page *page)
{
	struct ksm_node *node = page->mapping;

	spin_lock(&nodes_lock);
	node->page = NULL;
	spin_unlock(&nodes_lock);
}

void ksm_page_moved(struct page *from, struct page *to)
{
	struct ksm_node *node = from->mapping;

	spin_lock(&nodes_lock);
	node->page = to;
	page_mark(to, PAGE_KSM);
	page_unmark(from, PAGE_KSM);
	spin_unlock(&nodes_lock);
}

/* With a reference, locked; NULL: it is gone, or on its way elsewhere. */
static struct page *node_page(struct ksm_node *node)
{
	struct page *page;

	spin_lock(&nodes_lock);
	page = node->page;
	if (page && !page_get_unless_zero(page))
		page = NULL;
	spin_unlock(&nodes_lock);
	if (!page || page_trylock(page))
		return page;
	page_put(page);
	return NULL;
}

static void put_node_page(struct page *page)
{
	page_unlock(page);
	page_put(page);
}

static bool is_gone(const struct ksm_node *node)
{
	bool gone;

	spin_lock(&nodes_lock);
	gone = !node->page;
	spin_unlock(&nodes_lock);
	return gone;
}

int ksm_walk(struct page_walk *walk, struct ksm_node *node)
{
	struct ksm_place *place;
	int result = 0;

	spin_lock(&places_lock);
	list_for_each_entry(place, &node->places, node) {
		result = family_walk(walk, place->family, place->address);
		if (result)
			break;
	}
	spin_unlock(&places_lock);
	return result;
}

static int add_place(struct ksm_node *node, struct family *family, uint64_t address)
{
	struct ksm_place *place = kmalloc(sizeof(*place));

	if (!place)
		return -ENOMEM;
	family_get(family);
	*place = (struct ksm_place){.family = family, .address = address};
	spin_lock(&places_lock);
	list_add(&node->places, &place->node);
	node->nr_places++;
	spin_unlock(&places_lock);
	return 0;
}

static void free_node(struct ksm_node *node)
{
	struct ksm_place *place, *after;

	list_for_each_entry_safe(place, after, &node->places, node) {
		family_put(place->family);
		kfree(place);
	}
	kfree(node);
}

static int one_is_enough(struct page_walk *walk UNUSED, const struct mapped_at *at UNUSED)
{
	return 1;
}

/* Places that have got another page since, when they are many. Entries of a locked page are not parked. */
static void forget_stale_places(struct ksm_node *node)
{
	struct page *page = node->nr_places > 16 ? node_page(node) : NULL;
	struct page_walk walk = {.page = page, .entry = one_is_enough};
	struct ksm_place *place, *after;

	if (!page)
		return;
	spin_lock(&places_lock);
	list_for_each_entry_safe(place, after, &node->places, node) {
		if (node->nr_places <= 2 * load_relaxed(&page->mapcount) ||
		    family_walk(&walk, place->family, place->address))
			continue;
		list_del(&place->node);
		node->nr_places--;
		family_put(place->family);
		kfree(place);
	}
	spin_unlock(&places_lock);
	put_node_page(page);
}

void ksm_reap(void)
{
	struct ksm_node *node, *after;

	for (unsigned int i = 0; i < BUCKETS; i++)
		list_for_each_entry_safe(node, after, &merged[i], node) {
			if (!is_gone(node)) {
				forget_stale_places(node);
				continue;
			}
			list_del(&node->node);
			free_node(node);
		}
}

/* ---- merging ---- */

/* The content may change meanwhile: equal ones are compared in earnest. */
NO_THREAD_SANITIZER uint64_t ksm_hash(const struct page *page)
{
	const uint64_t *words = page_bytes(page);
	uint64_t hash = 0;

	for (unsigned int i = 0; i < PAGE_SIZE / sizeof(*words); i++)
		hash = (hash ^ words[i]) * 0x9e3779b97f4a7c15ul + (hash >> 29);
	return hash;
}

/* The entry is still for @page alone, and the pass's reference is the only other one. Under table_lock. */
static bool still_alone(const struct page *page, uint64_t value)
{
	return pte_maps(value) && !(value & (PTE_SPECIAL | PTE_PART | PTE_HUGE | PTE_HINT)) &&
	       pte_pfn(value) == page_to_pfn(page) && load_relaxed(&page->mapcount) == 1 &&
	       load_relaxed(&page->refcount) == 2;
}

/* @candidate's entry cannot be written to any more. False: it is not what it was. */
static bool protect(const struct ksm_candidate *candidate, uint64_t *entry)
{
	uint64_t value = entry_get(entry);

	if (!still_alone(candidate->page, value))
		return false;
	if (value & PTE_WRITE) {
		entry_clear_bits(entry, PTE_WRITE);
		address_space_flush(&candidate->mm->space, candidate->address, PAGE_SIZE);
	}
	DEBUG_ASSERT(!tlb_reaches(page_to_pfn(candidate->page), 1, true),
		     "0x%lx is to be merged, and a CPU may write there", candidate->address);
	return true;
}

/* The candidate's entry maps @kept instead, if they are equal. */
static bool merge_into(const struct ksm_candidate *candidate, struct page *kept, struct area *area)
{
	struct mm *mm = candidate->mm;
	unsigned int level;
	uint64_t *entry;
	bool equal = false;

	spin_lock(&mm->table_lock);
	entry = table_leaf(mm, candidate->address, &level);
	if (entry && level == 0 && protect(candidate, entry)) {
		equal = memcmp(page_bytes(candidate->page), page_bytes(kept), PAGE_SIZE) == 0;
		if (equal) {
			uint64_t old = entry_exchange(entry, entry_for_page(area, kept, false));

			page_get(kept);
			page_mapped(kept);
			mm_count(mm, kept, 1, false);
			address_space_flush(&mm->space, candidate->address, PAGE_SIZE);
			zap_old_entry(mm, area, candidate->address, old);
		}
	}
	spin_unlock(&mm->table_lock);
	return equal;
}

/* Under the space's lock: the area is still one for merging. */
static bool merge(const struct ksm_candidate *candidate, struct ksm_node *node, struct page *kept)
{
	struct area *area;
	bool done = false;

	if (add_place(node, candidate->mm->family, candidate->address))
		return false;
	mutex_lock(&candidate->mm->lock);
	area = area_find(candidate->mm, candidate->address);
	if (area && ksm_may_merge(area))
		done = merge_into(candidate, kept, area);
	mutex_unlock(&candidate->mm->lock);
	if (done) {
		vm_event(ksm_merged);
		atomic_add_relaxed(&nr_merged, 1);
	}
	return done;
}

/* The candidate's own page becomes one to merge into. NULL: it changed, or no memory. */
static struct ksm_node *make_node(const struct ksm_candidate *candidate)
{
	struct ksm_node *node = kmalloc(sizeof(*node));
	unsigned int level;
	uint64_t *entry;
	bool alone;

	if (!node)
		return NULL;
	*node = (struct ksm_node){.page = candidate->page, .hash = candidate->hash};
	list_init(&node->places);
	if (add_place(node, candidate->mm->family, candidate->address)) {
		kfree(node);
		return NULL;
	}
	mutex_lock(&candidate->mm->lock);
	spin_lock(&candidate->mm->table_lock);
	entry = table_leaf(candidate->mm, candidate->address, &level);
	/* Others will rely on it: no page that may be dropped. */
	alone = entry && level == 0 && !page_is(candidate->page, PAGE_LAZY_FREE) && protect(candidate, entry) &&
		page_trylock(candidate->page);
	if (alone) {
		candidate->page->mapping = node;
		page_mark(candidate->page, PAGE_KSM);
		page_unlock(candidate->page);
	}
	spin_unlock(&candidate->mm->table_lock);
	mutex_unlock(&candidate->mm->lock);
	if (!alone) {
		free_node(node);
		return NULL;
	}
	list_add(&merged[candidate->hash % BUCKETS], &node->node);
	return node;
}

bool ksm_merge_with_merged(const struct ksm_candidate *candidate)
{
	struct ksm_node *node;
	bool done = false;

	list_for_each_entry(node, &merged[candidate->hash % BUCKETS], node) {
		struct page *page = node->hash == candidate->hash ? node_page(node) : NULL;

		if (!page)
			continue;
		done = page != candidate->page && merge(candidate, node, page);
		put_node_page(page);
		if (done)
			break;
	}
	return done;
}

bool ksm_merge_with_other(const struct ksm_candidate *candidate, const struct ksm_candidate *other)
{
	struct ksm_node *node = other->page == candidate->page ? NULL : make_node(other);
	bool done = false;

	if (node && page_trylock(other->page)) {
		done = merge(candidate, node, other->page);
		page_unlock(other->page);
	}
	return done;
}

struct ksm_stats ksm_stats(void)
{
	struct ksm_stats stats = {.full_scans = ksm_full_scans()};
	struct ksm_node *node;

	ksm_lock();
	spin_lock(&nodes_lock);
	for (unsigned int i = 0; i < BUCKETS; i++)
		list_for_each_entry(node, &merged[i], node) {
			uint32_t entries = node->page ? load_relaxed(&node->page->mapcount) : 0;

			stats.pages_shared += entries > 0;
			stats.pages_sharing += entries ? entries - 1 : 0;
		}
	spin_unlock(&nodes_lock);
	ksm_unlock();
	return stats;
}
