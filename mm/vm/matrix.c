/*
 * The matrix of kinds and consumers. See mm/vm/matrix.h.
 *
 * A cell: a space with one page of the kind at CELL, what the consumer needs beforehand (prepare), then the consumer
 * itself with the witness listening for the first question about that address from this thread.
 */
#include "mm/vm/matrix.h"

#include "kernel/memory.h"
#include "kernel/panic.h"
#include "kernel/thread.h"
#include "mm/vm/charge.h"
#include "mm/vm/consumers.h"
#include "mm/vm/device_ram.h"
#include "mm/vm/gup.h"
#include "mm/vm/hmm.h"
#include "mm/vm/huge.h"
#include "mm/vm/ksm.h"
#include "mm/vm/proc.h"
#include "mm/vm/tables.h"

#define CELL  (MM_BASE + 16 * HUGE_BYTES)
#define RW    (AREA_READ | AREA_WRITE)
#define SHARE PAGE_SIZE /* of the address space: one page */

/* What is being run, and what was heard. */
static struct {
	const struct thread *thread;
	uint64_t address;
	struct matrix_cell cell;
} heard;
static struct mutex matrix_lock = MUTEX_INIT(matrix_lock, "vm_matrix");

struct setup {
	struct mm *mm, *child;
	struct device_memory *device;
	enum entry_kind kind;
	uint64_t word;
};

static void listen(const struct area *area UNUSED, uint64_t address, bool lru, const struct page *page)
{
	if (thread_current() != heard.thread || address != heard.address || heard.cell.asked != ASKED_NOTHING)
		return;
	heard.cell = (struct matrix_cell){lru ? ASKED_LRU : ASKED_ANY, page != NULL};
}

/* ---- consumers ---- */

static void discard(struct sink *sink UNUSED, const char *text UNUSED, size_t length UNUSED)
{
}

static struct sink nowhere = {discard};

static void prepare_fork(struct setup *setup)
{
	struct mm *child = mm_fork(setup->mm);

	setup->child = IS_ERR(child) ? NULL : child;
}

/* Nobody may touch it, then everybody: all kinds of entries are hinting now. */
static void prepare_hint(struct setup *setup)
{
	(void)mm_protect(setup->mm, CELL, SHARE, 0);
	(void)mm_protect(setup->mm, CELL, SHARE, RW);
}

static void prepare_mlock(struct setup *setup)
{
	(void)mm_mlock_on_fault(setup->mm, CELL, SHARE);
}

static void prepare_gate(struct setup *setup)
{
	(void)mm_fault(setup->mm, GATE_START, false);
	heard.address = GATE_START;
}

static void run_smaps(struct setup *setup)
{
	(void)smaps_show(&nowhere, setup->mm);
}

static void run_pagemap(struct setup *setup)
{
	(void)pagemap_show(&nowhere, setup->mm);
}

static void run_clear_refs(struct setup *setup)
{
	char text[] = "1";

	(void)clear_refs_store(setup->mm, text, 1);
}

static void run_soft_dirty(struct setup *setup)
{
	char text[] = "4";

	(void)clear_refs_store(setup->mm, text, 1);
}

static void run_numa_maps(struct setup *setup)
{
	(void)numa_maps_show(&nowhere, setup->mm);
}

static void follow(struct setup *setup, uint64_t address, uint32_t flags)
{
	struct page *page = follow_page(setup->mm, address, flags);

	if (page)
		page_put(page);
}

static void run_follow(struct setup *setup)
{
	follow(setup, CELL, 0);
}

static void run_follow_lru(struct setup *setup)
{
	follow(setup, CELL, FOLL_LRU);
}

static void run_follow_mlock(struct setup *setup)
{
	follow(setup, CELL, FOLL_MLOCK);
}

static void run_gate(struct setup *setup)
{
	follow(setup, GATE_START, 0);
}

static void run_hmm(struct setup *setup)
{
	struct hmm_range range = {.mm = setup->mm, .start = CELL, .pages = 1, .words = &setup->word};

	if (hmm_range_fault(&range))
		heard.cell.asked = ASKED_NOTHING;
}

static void run_split(struct setup *setup)
{
	(void)huge_split_range(setup->mm, CELL, SHARE);
}

static void run_collapse(struct setup *setup)
{
	(void)huge_collapse(setup->mm, CELL);
}

static void run_ksm(struct setup *setup UNUSED)
{
	(void)ksm_scan();
}

static void run_ksm_break(struct setup *setup)
{
	(void)ksm_unmerge(setup->mm, CELL, SHARE);
}

static void run_cold(struct setup *setup)
{
	(void)mm_madvise(setup->mm, CELL, SHARE, MADV_COLD);
}

static void run_pageout(struct setup *setup)
{
	(void)mm_madvise(setup->mm, CELL, SHARE, MADV_PAGEOUT);
}

static void run_free(struct setup *setup)
{
	(void)mm_madvise(setup->mm, CELL, SHARE, MADV_FREE);
}

static void run_charge(struct setup *setup)
{
	struct mm_charges charges;

	mm_charges(setup->mm, &charges);
}

static void run_unmap(struct setup *setup)
{
	(void)mm_unmap(setup->mm, CELL, SHARE);
}

static void run_write(struct setup *setup)
{
	(void)mm_fault(setup->mm, CELL, true);
}

static void run_read(struct setup *setup)
{
	(void)mm_fault(setup->mm, CELL, false);
}

static void run_mark(struct setup *setup)
{
	(void)numa_mark_range(setup->mm, CELL, SHARE);
}

static void run_mbind(struct setup *setup)
{
	(void)mm_mbind(setup->mm, CELL, SHARE, 0, true);
}

static void run_move_pages(struct setup *setup)
{
	uint64_t address = CELL;
	int node = 0, status;

	(void)mm_move_pages(setup->mm, 1, &address, &node, &status);
}

static void run_to_device(struct setup *setup)
{
	(void)device_migrate_to(setup->mm, CELL, SHARE, setup->device);
}

static void run_mlock(struct setup *setup)
{
	(void)mm_mlock(setup->mm, CELL, SHARE);
}

static void run_munlock(struct setup *setup)
{
	(void)mm_munlock(setup->mm, CELL, SHARE);
}

static const struct consumer {
	const char *name;
	void (*prepare)(struct setup *setup);
	void (*run)(struct setup *setup);
	enum matrix_question asks;
	bool huge, ordinary_only;
} consumers[] = {
	{"smaps", NULL, run_smaps, ASKED_ANY},
	{"smaps of huge mappings", NULL, run_smaps, ASKED_ANY, true, true},
	{"pagemap", NULL, run_pagemap, ASKED_ANY},
	{"clear_refs", NULL, run_clear_refs, ASKED_ANY},
	{"soft-dirty, pinned test", NULL, run_soft_dirty, ASKED_ANY},
	{"numa_maps", NULL, run_numa_maps, ASKED_LRU},
	{"follow_page", NULL, run_follow, ASKED_ANY},
	{"follow_page, FOLL_LRU", NULL, run_follow_lru, ASKED_LRU},
	{"follow_page, FOLL_MLOCK", NULL, run_follow_mlock, ASKED_LRU},
	{"gate page lookup", prepare_gate, run_gate, ASKED_ANY, false, true},
	{"HMM range fault", NULL, run_hmm, ASKED_ANY},
	{"split huge pages by range", NULL, run_split, ASKED_LRU},
	{"khugepaged", NULL, run_collapse, ASKED_LRU},
	{"KSM, find mergeable", NULL, run_ksm, ASKED_LRU},
	{"KSM, break", NULL, run_ksm_break, ASKED_LRU},
	{"madvise COLD", NULL, run_cold, ASKED_LRU},
	{"madvise PAGEOUT", NULL, run_pageout, ASKED_LRU},
	{"madvise FREE", NULL, run_free, ASKED_LRU},
	{"charge moving", NULL, run_charge, ASKED_ANY},
	{"fork", NULL, prepare_fork, ASKED_ANY},
	{"unmap", NULL, run_unmap, ASKED_ANY},
	{"write fault", prepare_fork, run_write, ASKED_ANY},
	{"NUMA hinting fault", prepare_hint, run_read, ASKED_LRU},
	{"mprotect for NUMA hints", NULL, run_mark, ASKED_LRU},
	{"mempolicy walk", NULL, run_mbind, ASKED_LRU},
	{"move_pages", NULL, run_move_pages, ASKED_LRU},
	{"migrate to a device, collect", NULL, run_to_device, ASKED_ANY},
	{"mlock", NULL, run_mlock, ASKED_LRU},
	{"munlock", prepare_mlock, run_munlock, ASKED_LRU},
};

/* ---- cells ---- */

static int make_kind(struct setup *setup, bool huge)
{
	uint32_t flags = RW | AREA_MERGEABLE | (huge ? AREA_HUGE : 0);
	int64_t at;

	if (setup->kind == KIND_SPECIAL)
		flags |= AREA_MIXEDMAP;
	at = mm_map_anon(setup->mm, CELL, HUGE_BYTES, flags);
	if (at < 0)
		return (int)at;
	switch (setup->kind) {
	case KIND_ZERO:
		return mm_fault(setup->mm, CELL, false);
	case KIND_SPECIAL:
		return mm_insert_frame(setup->mm, CELL, setup->device->first_pfn + PTE_ENTRIES - 1);
	case KIND_COHERENT:
		if (mm_fault(setup->mm, CELL, true))
			return -ENOMEM;
		return device_migrate_to(setup->mm, CELL, PAGE_SIZE, setup->device) == 1 ? 0 : -ENOMEM;
	default:
		return mm_fault(setup->mm, CELL, true);
	}
}

static int run_cell(const struct consumer *consumer, enum entry_kind kind, struct device_memory *device,
		    struct matrix_cell *cell)
{
	struct setup setup = {.mm = mm_new(), .kind = kind, .device = device};
	int error = setup.mm ? make_kind(&setup, consumer->huge) : -ENOMEM;

	heard.thread = thread_current();
	heard.address = CELL;
	heard.cell = (struct matrix_cell){ASKED_NOTHING, false};
	if (!error && consumer->prepare)
		consumer->prepare(&setup);
	if (!error) {
		store_release(&vm_normal_witness, listen);
		consumer->run(&setup);
		store_release(&vm_normal_witness, NULL);
	}
	*cell = heard.cell;
	if (setup.child)
		mm_put(setup.child);
	if (setup.mm)
		mm_put(setup.mm);
	return error;
}

static int run_row(const struct consumer *consumer, struct device_memory *device, struct matrix_row *row)
{
	int error = 0;

	*row = (struct matrix_row){.consumer = consumer->name, .asks = consumer->asks};
	for (enum entry_kind kind = 0; kind < NR_ENTRY_KINDS && !error; kind++) {
		if (kind != KIND_ORDINARY && consumer->ordinary_only)
			row->cells[kind].asked = NOT_APPLICABLE;
		else
			error = run_cell(consumer, kind, device, &row->cells[kind]);
	}
	return error;
}

int64_t matrix_run(struct matrix_row *rows, size_t room)
{
	struct device_memory *device;
	int error = 0;

	mutex_lock(&matrix_lock);
	/* Its last page is a frame that no structure counts. */
	device = device_from_ram("matrix", DEVICE_COHERENT, PTE_ENTRIES - 1);
	if (!device)
		error = -ENOMEM;
	for (size_t i = 0; i < ARRAY_SIZE(consumers) && i < room && !error; i++)
		error = run_row(&consumers[i], device, &rows[i]);
	if (device && device_ram_free(device))
		panic("the matrix left pages in its device");
	mutex_unlock(&matrix_lock);
	return error ? error : (int64_t)ARRAY_SIZE(consumers);
}

static const char *cell_text(const struct matrix_cell *cell)
{
	if (cell->asked == NOT_APPLICABLE)
		return "-";
	if (cell->asked == ASKED_NOTHING)
		return "not asked";
	return cell->page ? "page" : "NULL";
}

int matrix_show(struct sink *out)
{
	struct matrix_row *rows = kmalloc(ARRAY_SIZE(consumers) * sizeof(*rows));
	int64_t count = rows ? matrix_run(rows, ARRAY_SIZE(consumers)) : -ENOMEM;

	if (count > 0)
		sink_printf(out, "| consumer | asks | ordinary | zero page | special | coherent |\n"
				 "|---|---|---|---|---|---|\n");
	for (int64_t i = 0; i < count; i++) {
		sink_printf(out, "| %s | %s", rows[i].consumer,
			    rows[i].cells[0].asked == ASKED_LRU	  ? "lru"
			    : rows[i].cells[0].asked == ASKED_ANY ? "any"
								  : "nothing");
		for (enum entry_kind kind = 0; kind < NR_ENTRY_KINDS; kind++)
			sink_printf(out, " | %s", cell_text(&rows[i].cells[kind]));
		sink_printf(out, " |\n");
	}
	kfree(rows);
	return count < 0 ? (int)count : 0;
}
