/*
 * From the boot stub into C: has the loader's data read into boot_info and calls kernel_main().
 *
 * The stub's page tables map the first 4 GiB. A loader's table may lie higher (EFI firmware puts what it likes where it
 * likes); boot_map_physical() then maps the GiB around it, out of a few page directories kept for that. All of
 * this ends with paging_init().
 */
#include "arch/x86_64/boot/boot.h"
#include "arch/x86_64/boot/parsers.h"
#include "arch/x86_64/paging.h"
#include "arch/x86_64/platform.h"

#include "kernel/init.h"

#include <arch/page.h>

#define NR_WINDOWS	 4
#define WINDOW_BYTES	 GIB(1)
#define ENTRIES		 512u
#define DIRECT_MAP_BYTES (ENTRIES * WINDOW_BYTES) /* what boot_pdpt can hold */

#define ENTRY_TABLE 0x03ull /* present, writable */
#define ENTRY_LARGE 0x83ull /* and 2 MiB */

extern char image_start[], image_end[];

static struct boot_info boot_info;
static uint64_t window_tables[NR_WINDOWS][ENTRIES] ALIGNED(4096);

uint64_t image_to_phys(const void *address)
{
	return (uint64_t)address - (uint64_t)image_start + boot_image_phys;
}

/* The GiB at index @gib is mapped, now or before; false if all windows are taken. */
static bool open_window(uint64_t gib)
{
	static unsigned int nr_open;
	uint64_t *table;

	if (boot_pdpt[gib])
		return true;
	if (nr_open == NR_WINDOWS)
		return false;
	table = window_tables[nr_open++];
	for (unsigned int i = 0; i < ENTRIES; i++)
		table[i] = (gib * WINDOW_BYTES + i * LARGE_PAGE_SIZE) | ENTRY_LARGE;
	WRITE_ONCE(boot_pdpt[gib], image_to_phys(table) | ENTRY_TABLE);
	return true;
}

const void *boot_map_physical(uint64_t phys, size_t bytes, void *context UNUSED)
{
	if (bytes == 0 || phys >= DIRECT_MAP_BYTES || bytes > DIRECT_MAP_BYTES - phys)
		return NULL;
	for (uint64_t gib = phys / WINDOW_BYTES; gib <= (phys + bytes - 1) / WINDOW_BYTES; gib++)
		if (!open_window(gib))
			return NULL;
	return phys_to_virt(phys);
}

typedef int (*boot_parser)(struct boot_info *info, uint64_t phys, boot_map map, void *context);

void boot_start_64(int kind, uint64_t pointer)
{
	static const boot_parser parsers[] = {
		[BOOT_KIND_PVH] = pvh_parse, [BOOT_KIND_MULTIBOOT2] = multiboot2_parse, [BOOT_KIND_EFI] = efi_parse};
	struct boot_info *info = &boot_info;
	int result = parsers[kind](info, pointer, boot_map_physical, NULL);

	/* The image is entered whatever was found: only kernel_main() can say that there is no memory. */
	if (result)
		boot_info_complain(info, "%s: started without usable boot data", info->source);
	if (!info->entry_cycles)
		info->entry_cycles = boot_entry_cycles;
	info->image_start = image_to_phys(image_start);
	info->image_end = image_to_phys(image_end);
	if (info->rsdp_copy_bytes)
		info->rsdp = image_to_phys(info->rsdp_copy);
	kernel_main(info);
}
