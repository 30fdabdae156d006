/*
 * The kernel's own page tables.
 *
 * The boot stub maps everything writable and executable, twice. paging_init() replaces that by what the kernel is to
 * see for the rest of its life: the direct map of RAM and ACPI tables, never executable; the image, each part with
 * the rights it needs; nothing at all at low addresses, so that a NULL pointer faults. Two details:
 *   - text and constants are read-only in the direct map too: there is no second, writable, way to them;
 *   - the page under the boot stack is left out of the image.
 *
 * Unmapping changes the tables under the lock, and flushes after it: other CPUs answer a call only with interrupts on.
 */
#include "arch/x86_64/boot/boot.h"
#include "arch/x86_64/page_table.h"
#include "arch/x86_64/paging_internal.h"

#include "kernel/cpu.h"
#include "kernel/panic.h"
#include "kernel/printk.h"
#include "kernel/spinlock.h"
#include "lib/errno.h"

#include <arch/page.h>

/* Flushing more pages than this one by one is dearer than flushing all. */
#define FLUSH_PAGES_MAX 32u

#define CPUID_EXTENDED_FEATURES 0x80000001u
#define CPUID_GIB_PAGES		BIT(26) /* EDX */

extern char image_start[], text_end[], rodata_end[], data_end[], image_end[];

static struct spinlock paging_lock = SPINLOCK_INIT("paging");
static struct page_table kernel_table = {.memory = (char *)DIRECT_MAP_BASE};
static uint64_t (*early_alloc)(uint64_t bytes, uint64_t align);
static uint64_t (*page_alloc)(enum paging_purpose purpose);
static void (*page_release)(uint64_t phys);

uint64_t paging_page_alloc(enum paging_purpose purpose)
{
	return page_alloc ? page_alloc(purpose) : early_alloc(PAGE_SIZE, PAGE_SIZE);
}

void paging_page_release(uint64_t phys)
{
	if (page_release)
		page_release(phys);
}

static uint64_t alloc_table(void *context UNUSED)
{
	return paging_page_alloc(PAGING_FOR_TABLE);
}

void paging_use_allocator(uint64_t (*alloc)(enum paging_purpose purpose), void (*release)(uint64_t phys))
{
	page_alloc = alloc;
	page_release = release;
}

int paging_map(uint64_t virt, uint64_t phys, uint64_t bytes, unsigned int rights)
{
	unsigned long flags = spin_lock_irqsave(&paging_lock);
	int result = page_table_map(&kernel_table, virt, phys, bytes, rights);

	spin_unlock_irqrestore(&paging_lock, flags);
	return result;
}

int paging_reserve_top(uint64_t virt)
{
	unsigned long flags = spin_lock_irqsave(&paging_lock);
	int result = page_table_reserve_top(&kernel_table, virt);

	spin_unlock_irqrestore(&paging_lock, flags);
	return result;
}

bool paging_lookup(uint64_t virt, uint64_t *phys, unsigned int *rights)
{
	return kernel_table.root && page_table_lookup(&kernel_table, virt, phys, rights);
}

/* ---- flushing ------------------------------------------------------------------------------------------------------
 */

struct flush {
	uint64_t virt, bytes;
};

static void load_root(void)
{
	__asm__ volatile("movq %0, %%cr3" ::"r"(kernel_table.root) : "memory");
}

static void flush_here(void *argument)
{
	const struct flush *flush = argument;

	if (flush->bytes > FLUSH_PAGES_MAX * PAGE_SIZE) {
		load_root();
		return;
	}
	for (uint64_t at = 0; at < flush->bytes; at += PAGE_SIZE)
		__asm__ volatile("invlpg (%0)" ::"r"(flush->virt + at) : "memory");
}

void paging_unmap(uint64_t virt, uint64_t bytes)
{
	struct flush flush = {virt, bytes};
	unsigned long flags = spin_lock_irqsave(&paging_lock);

	page_table_unmap(&kernel_table, virt, bytes);
	spin_unlock_irqrestore(&paging_lock, flags);
	if (cpu_count() > 1)
		cpu_call_all(flush_here, &flush);
	else
		flush_here(&flush);
}

/* ---- the final tables ----------------------------------------------------------------------------------------------
 */

static bool cpu_has_gib_pages(void)
{
	uint32_t eax = CPUID_EXTENDED_FEATURES & 0x80000000u, ebx, ecx, edx;

	__asm__("cpuid" : "+a"(eax), "=b"(ebx), "=c"(ecx), "=d"(edx));
	if (eax < CPUID_EXTENDED_FEATURES)
		return false;
	eax = CPUID_EXTENDED_FEATURES;
	__asm__("cpuid" : "+a"(eax), "=b"(ebx), "=c"(ecx), "=d"(edx));
	return edx & CPUID_GIB_PAGES;
}

static void map_or_panic(uint64_t virt, uint64_t phys, uint64_t bytes, unsigned int rights)
{
	if (bytes && paging_map(virt, phys, bytes, rights))
		panic("no memory for the page tables of 0x%lx bytes at 0x%lx", bytes, virt);
}

static void map_image_part(const char *start, const char *end, unsigned int rights)
{
	map_or_panic((uint64_t)start, image_to_phys(start), (uint64_t)(end - start), rights);
}

static void map_image(void)
{
	map_image_part(image_start, text_end, PAGING_EXECUTE);
	map_image_part(text_end, rodata_end, PAGING_READ);
	map_image_part(rodata_end, boot_stack_guard, PAGING_WRITE);
	map_image_part(boot_stack_bottom, data_end, PAGING_WRITE);
	map_image_part(data_end, image_end, PAGING_READ);
}

static void map_directly(uint64_t start, uint64_t end, unsigned int rights)
{
	if (start < end)
		map_or_panic(DIRECT_MAP_BASE + start, start, end - start, rights);
}

/* RAM in [start, end): around text and constants, they are read-only. */
static void map_memory(uint64_t start, uint64_t end)
{
	uint64_t fixed_start = image_to_phys(image_start), fixed_end = image_to_phys(rodata_end);

	map_directly(start, MIN(end, fixed_start), PAGING_WRITE);
	map_directly(MAX(start, fixed_start), MIN(end, fixed_end), PAGING_READ);
	map_directly(MAX(start, fixed_end), end, PAGING_WRITE);
}

static bool is_direct_mapped(const struct boot_range *range)
{
	return range->type <= BOOT_MEMORY_NVS;
}

/* Neighbours of different types are mapped as one, so that large pages fit. */
static void map_all_memory(const struct boot_info *info)
{
	const uint64_t limit = PAGE_STRUCT_BASE - DIRECT_MAP_BASE;
	uint64_t start = 0, end = 0;

	for (size_t i = 0; i < info->nr_ranges; i++) {
		const struct boot_range *range = &info->ranges[i];

		if (!is_direct_mapped(range))
			continue;
		if (range->end > limit) {
			pr_err("paging: memory at 0x%lx is beyond the direct map: left out", range->start);
			continue;
		}
		if (range->start != end) {
			map_memory(start, end);
			start = range->start;
		}
		end = range->end;
	}
	map_memory(start, end);
}

void paging_init(const struct boot_info *info, uint64_t (*alloc)(uint64_t bytes, uint64_t align))
{
	early_alloc = alloc;
	kernel_table.alloc = alloc_table;
	kernel_table.has_gib_pages = cpu_has_gib_pages();
	if (page_table_init(&kernel_table))
		panic("no memory for the first page table");
	map_all_memory(info);
	map_image();
	load_root();
}

/* ---- starting other CPUs
 * --------------------------------------------------------------------------------------------- */

uint64_t paging_root(void)
{
	ASSERT(kernel_table.root < GIB(4), "a starting CPU can load 32 bits only");
	return kernel_table.root;
}

int paging_trampoline_map(uint64_t phys)
{
	return paging_map(phys, phys, PAGE_SIZE, PAGING_EXECUTE);
}

void paging_trampoline_unmap(uint64_t phys)
{
	paging_unmap(phys, PAGE_SIZE);
}

/* ---- checking
 * -------------------------------------------------------------------------------------------------------- */

static void check_leaf(const struct page_table_leaf *leaf, void *context)
{
	uint64_t fixed_start = image_to_phys(image_start), fixed_end = image_to_phys(rodata_end);
	bool fixed = leaf->phys < fixed_end && leaf->phys + leaf->bytes > fixed_start;
	int *faults = context;

	if (!(leaf->rights & PAGING_WRITE) || !(fixed || (leaf->rights & PAGING_EXECUTE)))
		return;
	pr_err("paging: 0x%lx (%lu bytes) is writable and %s", leaf->virt, leaf->bytes,
	       fixed ? "shows the image's text or constants" : "executable");
	*faults += 1;
}

int paging_check(void)
{
	int faults = 0;

	page_table_visit(&kernel_table, check_leaf, &faults);
	return faults ? -EINVAL : 0;
}
