/*
 * Address spaces on the CPU: CR3, flushing, and faults of the two accessors.
 *
 * Top tables share the kernel's half by copying its entries; so those must all be there before the first copy, and
 * never change: mmu_init() makes the ones that are still empty and can ever be used (device mappings, stacks).
 *
 * Who changes entries flushes all CPUs that may have the space loaded. Each is asked by an interrupt; one that only has
 * it lying about (its thread has no space or another) drops it instead and is not asked again.
 */
#include "arch/x86_64/mmu.h"

#include "arch/x86_64/msr.h"
#include "arch/x86_64/paging.h"
#include "arch/x86_64/pte.h"
#include "kernel/address_space.h"
#include "kernel/cpu.h"
#include "kernel/panic.h"
#include "kernel/thread.h"
#include "lib/atomic.h"
#include "lib/errno.h"
#include "lib/string.h"

#include <arch/page.h>

/* Flushing more pages than this one by one is dearer than flushing all. */
#define FLUSH_PAGES_MAX 32u

#define PAGE_FAULT_WRITE 2u
#define FLAGS_INTERRUPTS 0x200u

/* entry.S: the accesses that may fault, and where they go on then. */
extern char user_copy_begin[], user_copy_end[], user_copy_fault[];
int user_copy(void *to, const void *from, size_t bytes);

static struct address_space *loaded[MAX_CPUS]; /* each CPU its own; NULL: the kernel's own */
static int (*fault_handler)(struct address_space *space, uint64_t address, bool write);

void address_space_init_top(uint64_t *top)
{
	const uint64_t *kernel = phys_to_virt(paging_root());

	memset(top, 0, PAGE_SIZE / 2);
	memcpy(top + PTE_ENTRIES / 2, kernel + PTE_ENTRIES / 2, PAGE_SIZE / 2);
}

bool tlb_reaches(uint64_t pfn UNUSED, uint64_t pages UNUSED, bool to_write UNUSED)
{
	return false;
}

void mmu_init(void)
{
	static const uint64_t bases[] = {DEVICE_MAP_BASE, STACK_AREA_BASE, PAGE_STRUCT_BASE};

	for (size_t i = 0; i < ARRAY_SIZE(bases); i++)
		if (paging_reserve_top(bases[i]))
			panic("no memory for the kernel's top page tables");
}

/* ---- loading ---- */

static void load_root(uint64_t root)
{
	__asm__ volatile("movq %0, %%cr3" ::"r"(root) : "memory");
}

void address_space_enter(struct address_space *space)
{
	unsigned int cpu = cpu_id();
	struct address_space *before = loaded[cpu];

	if (before == space)
		return;
	/* First the bit, then the tables: who changes them later sees the bit. */
	if (space)
		(void)atomic_fetch_or(&space->cpus, BIT(cpu));
	load_root(space ? space->root : paging_root());
	loaded[cpu] = space;
	if (before)
		(void)atomic_fetch_and(&before->cpus, ~BIT(cpu));
}

void address_space_use(struct address_space *space)
{
	unsigned long flags = cpu_irq_save();

	*thread_slot(thread_current(), THREAD_SLOT_MM) = space;
	address_space_enter(space);
	cpu_irq_restore(flags);
}

static void leave_here(void *argument)
{
	if (loaded[cpu_id()] == argument)
		address_space_enter(NULL);
}

void address_space_retire(struct address_space *space)
{
	uint64_t cpus = load_relaxed(&space->cpus);

	if (cpus)
		cpu_call_mask(cpus, leave_here, space);
}

/* ---- flushing ---- */

struct flush {
	struct address_space *space;
	uint64_t start, bytes;
};

static void flush_here(void *argument)
{
	const struct flush *flush = argument;
	struct thread *thread = thread_current();

	if (loaded[cpu_id()] != flush->space)
		return;
	if (!thread || *thread_slot(thread, THREAD_SLOT_MM) != flush->space)
		address_space_enter(NULL);
	else if (flush->bytes > FLUSH_PAGES_MAX * PAGE_SIZE)
		load_root(flush->space->root);
	else
		for (uint64_t at = 0; at < flush->bytes; at += PAGE_SIZE)
			__asm__ volatile("invlpg (%0)" ::"r"(flush->start + at) : "memory");
}

void address_space_flush(struct address_space *space, uint64_t start, uint64_t bytes)
{
	struct flush flush = {space, start, bytes};
	uint64_t cpus;

	atomic_inc(&space->changes);
	preempt_disable();
	smp_mb(); /* between the change and the look at who has it loaded */
	cpus = load_relaxed(&space->cpus);
	if (cpus & ~BIT(cpu_id())) {
		cpu_call_mask(cpus, flush_here, &flush);
	} else if (cpus) {
		unsigned long flags = cpu_irq_save();

		flush_here(&flush);
		cpu_irq_restore(flags);
	}
	preempt_enable();
}

/* ---- faults ---- */

void user_on_fault(int (*handler)(struct address_space *space, uint64_t address, bool write))
{
	fault_handler = handler;
}

bool mmu_fault(struct trap_frame *frame)
{
	uint64_t address = read_cr2();
	struct address_space *space;
	int error = -EFAULT;

	if (frame->rip < (uint64_t)user_copy_begin || frame->rip >= (uint64_t)user_copy_end || address >= USER_END)
		return false;
	space = *thread_slot(thread_current(), THREAD_SLOT_MM);
	if (fault_handler && space && (frame->rflags & FLAGS_INTERRUPTS) && preemptible()) {
		cpu_irq_restore(FLAGS_INTERRUPTS);
		error = fault_handler(space, address, frame->error & PAGE_FAULT_WRITE);
		(void)cpu_irq_save();
	}
	if (error)
		frame->rip = (uint64_t)user_copy_fault;
	return true;
}

static bool is_user_range(uint64_t start, size_t bytes)
{
	return start < USER_END && bytes <= USER_END - start;
}

int user_read(void *to, uint64_t from, size_t bytes)
{
	/* Without a space of its own the thread may still see another's, left loaded. */
	if (!is_user_range(from, bytes) || !*thread_slot(thread_current(), THREAD_SLOT_MM))
		return -EFAULT;
	return user_copy(to, (const void *)from, bytes);
}

int user_write(uint64_t to, const void *from, size_t bytes)
{
	if (!is_user_range(to, bytes) || !*thread_slot(thread_current(), THREAD_SLOT_MM))
		return -EFAULT;
	return user_copy((void *)to, from, bytes);
}

void memory_clear_pages(void *to, size_t bytes)
{
	size_t words = bytes / 8;

	__asm__ volatile("rep stosq" : "+D"(to), "+c"(words) : "a"(0ul) : "memory");
}
