/*
 * The memory controller: charges, limits, and what happens at a limit.
 *
 * One page, from the fault to the root: mm/ asks charge() with the space's group, and notes the group in the page; the
 * group's page counter carries the charge up to (not into) the root; own_pages counts what this very group has, and
 * holds the group from its first page to its last, so that a removed group with pages lives on unseen and its
 * ancestors keep the right figures. The page that is freed brings its group along: uncharge().
 *
 * At a limit: pages of the group whose limit it is, or of those below, are reclaimed: of files, and anonymous ones that
 * nobody would miss (mm/vm/reclaim.h); there is no swap. If that frees nothing, the charge fails, the fault with it,
 * and whoever made the access gets the error: threads of the kernel cannot be killed.
 */
#include "cgroup/memory_internal.h"

#include <arch/preempt.h>

#include "kernel/memory.h"
#include "kernel/printk.h"
#include "kernel/spinlock.h"
#include "lib/errno.h"
#include "mm/reclaim.h"
#include "mm/vm/charge.h"

#define RECLAIM_TRIES 16u
#define RECLAIM_PAGES 32u /* at least: so that the next charges need not come here too */

static struct spinlock all_lock = SPINLOCK_INIT("memcgs");
static struct list_node all = LIST_INIT(all);

/* Of css; the root is NULL to those who charge. */
static struct mem_cgroup *to_charge(struct cgroup_css *css)
{
	return css && css->parent ? css_to_memcg(css) : NULL;
}

static struct mem_cgroup *parent_of(const struct mem_cgroup *memcg)
{
	return to_charge(memcg->css.parent);
}

static struct page_counter *counter_of(struct mem_cgroup *memcg)
{
	return memcg ? &memcg->counter : NULL;
}

/* ---- what mm/ asks ---- */

static struct mem_cgroup *get_current(void)
{
	struct cgroup_css *css = css_of_thread(NULL, CGROUP_MEMORY);
	struct mem_cgroup *memcg = to_charge(css);

	if (!memcg)
		css_put(css);
	return memcg;
}

static void get(struct mem_cgroup *memcg)
{
	css_get(&memcg->css);
}

static void put(struct mem_cgroup *memcg)
{
	css_put(&memcg->css);
}

static void count(struct mem_cgroup *memcg, enum memcg_count which, int64_t change)
{
	for (; memcg && which != MEMCG_ANON && change; memcg = parent_of(memcg))
		atomic_add_relaxed(&memcg->counts[which], (uint64_t)change);
}

static bool is_below(const struct mem_cgroup *memcg, const struct mem_cgroup *above)
{
	while (memcg && memcg != above)
		memcg = parent_of(memcg);
	return memcg;
}

/* ---- limits ---- */

static uint64_t reclaim(struct mem_cgroup *memcg, uint64_t wanted)
{
	uint64_t freed = reclaim_memcg(memcg, wanted);

	if (!freed) /* what was used lately has had its second chance by now */
		freed = reclaim_memcg(memcg, wanted);
	count(memcg, MEMCG_PGSTEAL, (int64_t)freed);
	return freed;
}

/* @full's limit is in the way of @pages; whether trying again may help. */
static bool make_room(struct page_counter *full, uint64_t pages, bool may_reclaim, unsigned int tries)
{
	struct mem_cgroup *memcg = container_of(full, struct mem_cgroup, counter);

	count(memcg, MEMCG_MAX, 1);
	if (may_reclaim && tries < RECLAIM_TRIES && reclaim(memcg, MAX(pages, (uint64_t)RECLAIM_PAGES)))
		return true;
	/* A huge page is nice to have; a small one is needed. */
	if (pages == 1)
		count(memcg, MEMCG_OOM, 1);
	return false;
}

static int charge_counter(struct mem_cgroup *memcg, uint64_t pages, bool may_reclaim)
{
	struct page_counter *full;

	for (unsigned int tries = 0; page_counter_try_charge(&memcg->counter, pages, &full); tries++)
		if (!make_room(full, pages, may_reclaim, tries))
			return -ENOMEM;
	return 0;
}

/* Whoever goes above it works it off; if there is nothing to get back, that is what slows him down. */
static void work_off_high(struct mem_cgroup *memcg, bool may_reclaim)
{
	for (; memcg; memcg = parent_of(memcg)) {
		uint64_t high = load_relaxed(&memcg->high), usage;

		if (likely(load_relaxed(&memcg->counter.usage) <= high))
			continue;
		usage = page_counter_read(&memcg->counter); /* without stocks */
		if (usage <= high)
			continue;
		count(memcg, MEMCG_HIGH, 1);
		if (may_reclaim)
			(void)reclaim(memcg, usage - high);
	}
}

/* False: more than that cannot go. */
static bool shrink_to(struct mem_cgroup *memcg, uint64_t pages)
{
	uint64_t usage;

	while ((usage = page_counter_read(&memcg->counter)) > pages)
		if (!reclaim(memcg, usage - pages))
			return false;
	return true;
}

void memcg_set_max(struct mem_cgroup *memcg, uint64_t pages)
{
	page_counter_set_max(&memcg->counter, pages);
	if (!shrink_to(memcg, pages))
		count(memcg, MEMCG_OOM, 1);
}

void memcg_set_high(struct mem_cgroup *memcg, uint64_t pages)
{
	store_relaxed(&memcg->high, pages);
	(void)shrink_to(memcg, pages);
}

/* ---- charges ---- */

/* The caller's reference bridges the gap between the two steps. */
static void own_add(struct mem_cgroup *memcg, uint64_t pages)
{
	if (memcg && pages && atomic_fetch_add(&memcg->own_pages, pages) == 0)
		css_get(&memcg->css);
}

/* True: the caller must drop the group's reference. */
static bool own_sub(struct mem_cgroup *memcg, uint64_t pages)
{
	return memcg && pages && atomic_sub_return(&memcg->own_pages, pages) == 0;
}

static int charge(struct mem_cgroup *memcg, enum memcg_count kind, uint64_t pages, bool may_reclaim)
{
	int error = charge_counter(memcg, pages, may_reclaim);

	if (error)
		return error;
	own_add(memcg, pages);
	count(memcg, kind, (int64_t)pages);
	work_off_high(memcg, may_reclaim);
	return 0;
}

static void uncharge(struct mem_cgroup *memcg, enum memcg_count kind, uint64_t pages)
{
	bool last;

	count(memcg, kind, -(int64_t)pages);
	preempt_disable(); /* once out of own_pages, only the counter's usage keeps the group */
	last = own_sub(memcg, pages);
	page_counter_uncharge(&memcg->counter, pages);
	preempt_enable();
	if (last)
		css_put(&memcg->css);
}

static uint64_t sum(const struct memcg_amounts *amounts)
{
	uint64_t pages = 0;

	for (unsigned int kind = 0; kind < NR_MEMCG_KINDS; kind++)
		pages += amounts->pages[kind];
	return pages;
}

static void count_all(struct mem_cgroup *memcg, const struct memcg_amounts *amounts, int64_t sign)
{
	for (unsigned int kind = 0; kind < NR_MEMCG_KINDS; kind++)
		count(memcg, kind, sign * (int64_t)amounts->pages[kind]);
}

static int move_begin(struct mem_cgroup *from, struct mem_cgroup *to, const struct memcg_amounts *amounts)
{
	uint64_t pages = sum(amounts);
	struct page_counter *full;

	for (unsigned int tries = 0; page_counter_move_begin(counter_of(from), counter_of(to), pages, &full); tries++)
		if (!make_room(full, pages, true, tries))
			return -ENOMEM;
	own_add(to, pages);
	count_all(to, amounts, 1);
	return 0;
}

/* The caller has references to both. */
static void move_end(struct mem_cgroup *from, struct mem_cgroup *to, const struct memcg_amounts *all_of,
		     const struct memcg_amounts *moved)
{
	struct memcg_amounts rest;

	for (unsigned int kind = 0; kind < NR_MEMCG_KINDS; kind++)
		rest.pages[kind] = all_of->pages[kind] - moved->pages[kind];
	count_all(to, &rest, -1);
	count_all(from, moved, -1);
	page_counter_move_end(counter_of(from), counter_of(to), sum(moved), sum(&rest));
	if (own_sub(from, sum(moved)))
		css_put(&from->css);
	if (own_sub(to, sum(&rest)))
		css_put(&to->css);
}

/* ---- checking ---- */

static void see(struct page *page, uint64_t pages)
{
	page->memcg->seen += pages;
	for (struct mem_cgroup *memcg = page->memcg; memcg; memcg = parent_of(memcg))
		memcg->seen_below += pages;
}

static bool is_right(struct mem_cgroup *memcg)
{
	uint64_t own = load_relaxed(&memcg->own_pages), usage = page_counter_read(&memcg->counter);
	char path[CGROUP_PATH_SIZE];

	if (own == memcg->seen && usage == memcg->seen_below)
		return true;
	pr_err("memcg_check: %s: %lu pages are its own, it says %lu; %lu with those below, charged are %lu",
	       cgroup_path(memcg->css.cgroup, path, sizeof(path)), memcg->seen, own, memcg->seen_below, usage);
	return false;
}

static int check(void)
{
	struct mem_cgroup *memcg;
	int result = 0;

	spin_lock(&all_lock);
	list_for_each_entry(memcg, &all, node)
		memcg->seen = memcg->seen_below = 0;
	spin_unlock(&all_lock);
	memcg_for_each_page(see);
	spin_lock(&all_lock);
	list_for_each_entry(memcg, &all, node)
		if (!is_right(memcg))
			result = -EINVAL;
	spin_unlock(&all_lock);
	return result;
}

/* ---- the controller ---- */

static const struct memcg_ops ops = {
	.get_current = get_current,
	.get = get,
	.put = put,
	.charge = charge,
	.uncharge = uncharge,
	.count = count,
	.move_begin = move_begin,
	.move_end = move_end,
	.is_below = is_below,
	.check = check,
};

static struct cgroup_css *memcg_create(struct cgroup_css *parent)
{
	struct mem_cgroup *memcg = kzalloc(sizeof(*memcg));

	if (!memcg)
		return NULL;
	page_counter_init(&memcg->counter, counter_of(to_charge(parent)));
	memcg->high = PAGE_COUNTER_MAX;
	spin_lock(&all_lock);
	list_add_tail(&all, &memcg->node);
	spin_unlock(&all_lock);
	if (!parent)
		memcg_register(&ops);
	return &memcg->css;
}

static void memcg_destroy(struct cgroup_css *css)
{
	struct mem_cgroup *memcg = css_to_memcg(css);

	page_counter_settle(&memcg->counter);
	spin_lock(&all_lock);
	list_del(&memcg->node);
	spin_unlock(&all_lock);
	kfree(memcg);
}

/* The address space follows the thread that lives in it. */
static int memcg_attach(struct cgroup_css *to, struct thread *thread)
{
	struct mm *mm = mm_of_thread(thread);
	uint32_t moves = load_relaxed(&css_to_memcg(to)->move_charges);
	int error = mm ? mm_set_memcg(mm, to_charge(to), moves & MEMCG_MOVE_ANON) : 0;

	if (mm)
		mm_put(mm);
	return error;
}

const struct cgroup_controller memory_controller = {
	.name = "memory",
	.index = CGROUP_MEMORY,
	.create = memcg_create,
	.add_files = memcg_add_files,
	.attach = memcg_attach,
	.destroy = memcg_destroy,
};
