/*
 * The life of an address space: made, forked (fork.c), used by threads, taken down with its last user; and its check.
 */
#include "kernel/memory.h"
#include "kernel/panic.h"
#include "kernel/printk.h"
#include "kernel/thread.h"
#include "mm/memcg.h"
#include "mm/vm/consumers.h"
#include "mm/vm/mm_internal.h"
#include "mm/vm/page.h"
#include "mm/vm/proc.h"
#include "mm/vm/reclaim.h"
#include "mm/vm/rmap.h"
#include "mm/vm/zap.h"

static struct spinlock all_lock = SPINLOCK_INIT("mm_list");
static struct list_node all_mms = LIST_INIT(all_mms);
static uint32_t next_id = 1;
static struct spinlock slots_lock = SPINLOCK_INIT("mm_slots"); /* threads' spaces, against mm_of_thread() */

static struct mm *abandon(struct mm *mm)
{
	if (mm->space.root)
		table_free(mm, phys_to_virt(mm->space.root));
	memcg_put(mm->memcg);
	kfree(mm);
	return NULL;
}

struct mm *mm_new_in(struct mm *parent)
{
	struct mm *mm = kzalloc(sizeof(*mm));
	uint64_t *top;

	if (!mm)
		return NULL;
	mutex_init(&mm->lock, "mm");
	spin_lock_init(&mm->table_lock, "page_table");
	list_init(&mm->areas);
	list_init(&mm->spare_tables);
	mm->users = 1;
	mm->memcg = memcg_get_current();
	top = table_new(mm);
	if (!top)
		return abandon(mm);
	address_space_init_top(top);
	mm->space.root = virt_to_phys(top);
	list_init(&mm->all_node);
	return family_join(mm, parent) ? abandon(mm) : mm;
}

void mm_publish(struct mm *mm)
{
	spin_lock(&all_lock);
	mm->id = next_id++;
	list_add_tail(&all_mms, &mm->all_node);
	spin_unlock(&all_lock);
}

struct mm *mm_new(void)
{
	struct mm *mm = mm_new_in(NULL);

	if (mm)
		mm_publish(mm);
	return mm;
}

void mm_get(struct mm *mm)
{
	atomic_inc(&mm->users);
}

static void take_down(struct mm *mm)
{
	spin_lock(&all_lock);
	list_del(&mm->all_node);
	spin_unlock(&all_lock);
	address_space_retire(&mm->space);
	while (!list_empty(&mm->areas)) {
		struct area *area = list_first_entry(&mm->areas, struct area, node);

		mm_unmap(mm, area->start, area->end - area->start);
	}
	mutex_lock(&mm->lock);
	gate_unmap(mm);
	table_free_range(mm, 0, USER_END);
	mutex_unlock(&mm->lock);
	family_leave(mm);
	ASSERT(list_empty(&mm->spare_tables), "address space %u: spare tables left", mm->id);
	ASSERT(mm->table_pages == 1, "address space %u: %lu tables left", mm->id, mm->table_pages - 1);
	(void)abandon(mm);
}

void mm_put(struct mm *mm)
{
	if (atomic_sub_return(&mm->users, 1) == 0)
		take_down(mm);
}

/* The first living one whose number is at least @id. */
static struct mm *first_from(uint32_t id)
{
	struct mm *mm, *found = NULL;

	spin_lock(&all_lock);
	list_for_each_entry(mm, &all_mms, all_node) {
		uint32_t users = load_relaxed(&mm->users);

		if (mm->id < id)
			continue;
		while (users && !atomic_cas(&mm->users, &users, users + 1))
			;
		if (!users)
			continue;
		found = mm;
		break;
	}
	spin_unlock(&all_lock);
	return found;
}

struct mm *mm_next(struct mm *after)
{
	return first_from(after ? after->id + 1 : 0);
}

struct mm *vm_cursor_mm(struct vm_cursor *cursor)
{
	struct mm *mm = first_from(cursor->id);

	if (!mm)
		*cursor = (struct vm_cursor){0};
	else if (mm->id != cursor->id)
		*cursor = (struct vm_cursor){.id = mm->id};
	return mm;
}

/* ---- threads ---- */

struct mm *mm_current(void)
{
	struct address_space *space = *thread_slot(thread_current(), THREAD_SLOT_MM);

	return space ? mm_of(space) : NULL;
}

struct mm *mm_of_thread(struct thread *thread)
{
	struct address_space *space;

	spin_lock(&slots_lock);
	space = *thread_slot(thread, THREAD_SLOT_MM);
	if (space)
		mm_get(mm_of(space));
	spin_unlock(&slots_lock);
	return space ? mm_of(space) : NULL;
}

void mm_use(struct mm *mm)
{
	struct mm *before = mm_current();

	if (mm)
		mm_get(mm);
	if (before)
		proc_remove(thread_id(thread_current()));
	spin_lock(&slots_lock);
	address_space_use(mm ? &mm->space : NULL);
	spin_unlock(&slots_lock);
	if (mm)
		proc_add(thread_id(thread_current()), mm);
	if (before)
		mm_put(before);
}

static void inherit(struct thread *parent, struct thread *child)
{
	struct address_space *space = *thread_slot(parent, THREAD_SLOT_MM);

	if (space)
		mm_get(mm_of(space));
	spin_lock(&slots_lock);
	*thread_slot(child, THREAD_SLOT_MM) = space;
	spin_unlock(&slots_lock);
	if (!space)
		return;
	proc_add(thread_id(child), mm_of(space));
}

static void thread_ends(struct thread *dying UNUSED)
{
	if (mm_current())
		mm_use(NULL);
}

static int resolve(struct address_space *space, uint64_t address, bool write)
{
	return mm_fault(mm_of(space), address, write);
}

static struct page *kernel_page(void)
{
	return alloc_pages(GFP_KERNEL | GFP_ZERO | GFP_OWNER(PAGE_OWNER_KERNEL), 0);
}

int mm_vm_init(void)
{
	struct page *zero = kernel_page(), *gate = kernel_page();

	if (!zero || !gate)
		return -ENOMEM;
	zero_page_pfn = page_to_pfn(zero);
	zero_page_bytes = page_address(zero);
	gate_init(gate);
	page_on_last_put(page_last_put);
	user_on_fault(resolve);
	thread_on_spawn(inherit);
	thread_on_exit(thread_ends);
	vm_reclaim_init();
	vm_migrate_init();
	return 0;
}

/* ---- checking ---- */

struct check {
	struct table_walk walk;
	int64_t counters[NR_MM_COUNTERS];
	int faults;
};

static void complain(struct check *check, uint64_t address, uint64_t entry, const char *what)
{
	pr_err("mm %u: entry 0x%lx at 0x%lx: %s", check->walk.mm->id, entry, address, what);
	check->faults++;
}

static int check_entry(struct table_walk *walk, uint64_t address, uint64_t *entry)
{
	struct check *check = container_of(walk, struct check, walk);
	uint64_t value = entry_get(entry);
	bool huge = value & PTE_HUGE;
	struct page *page;

	check->counters[MM_HUGE] += huge;
	if (pte_parked(value) == PTE_PARKED_MIGRATION || (pte_maps(value) && (value & PTE_SPECIAL)))
		return 0;
	page = pte_maps(value) ? vm_normal_any_page(walk->area, address, value) : pfn_to_page(pte_pfn(value));
	if (!page) {
		complain(check, address, value, "no page");
		return 0;
	}
	if (!page->mapcount || page->refcount < page->mapcount)
		complain(check, address, value, "its page has fewer references or entries than that");
	if (huge != (page_is_huge(page) && !(value & PTE_PART)))
		complain(check, address, value, "of another size than its page");
	if ((value & PTE_WRITE) && !(walk->area->flags & AREA_WRITE))
		complain(check, address, value, "writable in an area that is not");
	check->counters[mm_counter_of(page)] += huge ? PTE_ENTRIES : 1;
	return 0;
}

int mm_check(struct mm *mm)
{
	struct check check = {.walk = {.mm = mm, .page = check_entry, .huge = check_entry}};
	uint64_t mapped = 0, end = 0;
	struct area *area;

	mutex_lock(&mm->lock);
	list_for_each_entry(area, &mm->areas, node) {
		if (area->start < end || area->start >= area->end)
			complain(&check, area->start, 0, "areas out of order");
		end = area->end;
		mapped += (area->end - area->start) >> PAGE_SHIFT;
		check.walk.area = area;
		(void)table_walk(&check.walk, area->start, area->end);
	}
	for (unsigned int i = 0; i < NR_MM_COUNTERS; i++)
		if (check.counters[i] != mm->counters[i]) {
			pr_err("mm %u: counter %u is %ld, entries say %ld", mm->id, i, mm->counters[i],
			       check.counters[i]);
			check.faults++;
		}
	if (mapped != mm->mapped_pages)
		complain(&check, 0, mapped, "not the pages that areas make up");
	mutex_unlock(&mm->lock);
	return check.faults ? -EINVAL : 0;
}
