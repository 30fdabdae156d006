/*
 * NUMA: hints by faults, and pages where somebody wants them.
 *
 * Marking makes entries hinting; the next access faults, and if the page is far from the CPU that came, it moves there.
 * mbind, migrate_pages and move_pages say where pages should be. All of them leave device memory alone: it is where it
 * is for a reason. So they ask for LRU pages.
 */
#include "kernel/cpu.h"
#include "mm/memory.h"
#include "mm/vm/consumers.h"
#include "mm/vm/gup.h"
#include "mm/vm/page.h"
#include "mm/vm/tables.h"
#include "mm/vmstat.h"

int numa_hint_fault(struct mm *mm, struct area *area, uint64_t address, uint64_t *entry)
{
	int here = area->policy_node == NODE_ANY ? (int)cpu_this_node() : area->policy_node;
	struct page *page = NULL;
	uint64_t value;

	spin_lock(&mm->table_lock);
	value = entry_get(entry);
	if (value & PTE_HINT) {
		page = vm_normal_lru_page(area, address, value);
		if (page && page_node(page) != here)
			page_get(page);
		else
			page = NULL;
		entry_set(entry, (value & ~PTE_HINT) | PTE_PRESENT | PTE_ACCESSED);
	}
	spin_unlock(&mm->table_lock);
	vm_event(numa_hint_faults);
	if (page && migrate_found_page(page, here) == 0)
		vm_event(numa_pages_migrated);
	return 0;
}

/* A merged page is nobody's in particular: it is left where it is, and as it is. */
static bool is_worth_a_hint(const struct area *area, uint64_t address, uint64_t value)
{
	struct page *page = value & PTE_PRESENT ? vm_normal_lru_page(area, address, value) : NULL;

	return page && !page_is(page, PAGE_KSM);
}

static int mark(struct table_walk *walk, uint64_t address, uint64_t *entry)
{
	uint64_t value = entry_get(entry);

	while (is_worth_a_hint(walk->area, address, value)) {
		if (atomic_cas(entry, &value, (value & ~PTE_PRESENT) | PTE_HINT)) {
			++*(uint64_t *)walk->context;
			break;
		}
	}
	return 0;
}

uint64_t numa_mark_range(struct mm *mm, uint64_t start, uint64_t bytes)
{
	uint64_t end = start + bytes, count = 0;

	mutex_lock(&mm->lock);
	for_each_area(area, mm, start, end) {
		struct table_walk walk = {.mm = mm, .area = area, .page = mark, .huge = mark, .context = &count};

		(void)table_walk(&walk, MAX(start, area->start), MIN(end, area->end));
	}
	if (count)
		address_space_flush(&mm->space, start, bytes);
	mutex_unlock(&mm->lock);
	return count;
}

void numa_mark_next(struct mm *mm, uint64_t bytes)
{
	uint64_t at = (uint64_t)mm->numa_scan * HUGE_BYTES;

	while (bytes && at < USER_END) {
		struct area *area;
		uint64_t end = 0;

		mutex_lock(&mm->lock);
		area = area_at_or_after(mm, at);
		if (area) {
			at = MAX(at, area->start);
			end = MIN(area->end, at + bytes);
		}
		mutex_unlock(&mm->lock);
		if (!area)
			break;
		numa_mark_range(mm, at, end - at);
		bytes -= end - at;
		at = end;
	}
	mm->numa_scan = bytes ? 0 : (uint32_t)(at / HUGE_BYTES);
}

/* ---- where pages should be ---- */

struct queue {
	struct table_walk walk;
	int from, to; /* pages on @from (NODE_ANY: on any but @to) */
	struct page *page;
	uint64_t next;
};

static int queue_entry(struct table_walk *walk, uint64_t address, uint64_t *entry)
{
	struct queue *queue = container_of(walk, struct queue, walk);
	uint64_t value = entry_get(entry);
	struct page *page = pte_maps(value) ? vm_normal_lru_page(walk->area, address, value) : NULL;

	if (!page || !page_owner_is_anon(page))
		return 0;
	if (queue->from == NODE_ANY ? page_node(page) == queue->to : page_node(page) != queue->from)
		return 0;
	page_get(page);
	queue->page = page;
	queue->next = address + (value & PTE_HUGE ? HUGE_BYTES : PAGE_SIZE);
	return 1;
}

/* Under mm->lock, which keeps the areas as they are. How many could not be moved. */
static int64_t move_area(struct mm *mm, struct area *area, uint64_t start, uint64_t end, struct queue *queue)
{
	int64_t failed = 0;

	queue->walk = (struct table_walk){.mm = mm, .area = area, .page = queue_entry, .huge = queue_entry};
	while (start < end && table_walk(&queue->walk, start, end)) {
		failed += migrate_found_page(queue->page, queue->to) != 0;
		start = queue->next;
	}
	return failed;
}

static bool is_node(int node)
{
	return node >= 0 && (uint32_t)node < memory.nr_nodes;
}

int mm_mbind(struct mm *mm, uint64_t start, uint64_t bytes, int node, bool move)
{
	struct queue queue = {.from = NODE_ANY, .to = node};
	int64_t failed = 0;
	int error;

	if (!IS_ALIGNED(start | bytes, PAGE_SIZE) || !bytes || (node != NODE_ANY && !is_node(node)))
		return -EINVAL;
	mutex_lock(&mm->lock);
	error = area_isolate(mm, start, start + bytes);
	if (!error)
		for_each_area(area, mm, start, start + bytes) {
			area->policy_node = node;
			if (move && node != NODE_ANY)
				failed += move_area(mm, area, area->start, area->end, &queue);
		}
	area_merge(mm, start, start + bytes);
	mutex_unlock(&mm->lock);
	return error ? error : failed ? -EIO : 0;
}

int64_t mm_migrate_pages(struct mm *mm, int from, int to)
{
	struct queue queue = {.from = from, .to = to};
	int64_t failed = 0;

	if (!is_node(from) || !is_node(to))
		return -EINVAL;
	mutex_lock(&mm->lock);
	for_each_area(area, mm, 0, USER_END)
		failed += move_area(mm, area, area->start, area->end, &queue);
	mutex_unlock(&mm->lock);
	return failed;
}

static int move_one(struct mm *mm, uint64_t address, const int *node)
{
	struct page *page = follow_page(mm, address, FOLL_LRU);
	int error, at;

	if (!page)
		return -ENOENT;
	at = page_node(page);
	if (!node || *node == at) {
		page_put(page);
		return at;
	}
	if (!is_node(*node)) {
		page_put(page);
		return -ENODEV;
	}
	error = migrate_found_page(page, *node);
	return error ? error : *node;
}

int mm_move_pages(struct mm *mm, size_t count, const uint64_t *addresses, const int *nodes, int *status)
{
	for (size_t i = 0; i < count; i++)
		status[i] = move_one(mm, addresses[i], nodes ? &nodes[i] : NULL);
	return 0;
}
