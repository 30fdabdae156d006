/*
 * BOOTX64.EFI: the kernel as an EFI application (GNU-EFI).
 *
 * All memory is taken first, because the memory map is only good for leaving boot services if nothing was allocated
 * since. Leaving may still fail once when the firmware itself changed the map in between: then the map is read again.
 */
#include "arch/x86_64/boot/efi_app/app.h"

#define MEMORY_MAP_BYTES 65536u /* 1365 descriptors */
#define EXIT_ATTEMPTS	 8u

void *loader_pages(UINTN bytes, EFI_MEMORY_TYPE type)
{
	EFI_PHYSICAL_ADDRESS address = HIGHEST_ADDRESS;
	UINTN pages = (bytes + 4095) / 4096;
	EFI_STATUS status = BS->AllocatePages(AllocateMaxAddress, type, pages, &address);

	if (EFI_ERROR(status)) {
		Print(L"Ballonet: no %lu pages of memory below 4 GiB: %r\n", pages, status);
		return NULL;
	}
	ZeroMem((void *)address, pages * 4096);
	return (void *)address;
}

static EFI_STATUS leave_boot_services(EFI_HANDLE image, struct efi_handover *handover, void *memory_map)
{
	EFI_STATUS status = EFI_ABORTED;

	for (UINTN i = 0; i < EXIT_ATTEMPTS && EFI_ERROR(status); i++) {
		UINTN bytes = MEMORY_MAP_BYTES, key, descriptor_bytes;
		UINT32 version;

		status = BS->GetMemoryMap(&bytes, memory_map, &key, &descriptor_bytes, &version);
		if (EFI_ERROR(status))
			return status;
		handover->memory_map = (UINT64)memory_map;
		handover->memory_map_bytes = bytes;
		handover->descriptor_bytes = descriptor_bytes;
		status = BS->ExitBootServices(image, key);
	}
	return status;
}

EFI_STATUS efi_main(EFI_HANDLE image, EFI_SYSTEM_TABLE *system)
{
	UINT64 entry_cycles = __builtin_ia32_rdtsc(), entry = 0;
	struct efi_handover *handover;
	EFI_STATUS status;
	char *cmdline;
	void *memory_map;

	InitializeLib(image, system);
	handover = loader_pages(sizeof(*handover), EfiLoaderData);
	cmdline = loader_pages(CMDLINE_MOST_BYTES, EfiLoaderData);
	memory_map = loader_pages(MEMORY_MAP_BYTES, EfiLoaderData);
	if (!handover || !cmdline || !memory_map)
		return EFI_OUT_OF_RESOURCES;
	status = kernel_load(&entry);
	if (EFI_ERROR(status))
		return status;
	handover->magic = EFI_HANDOVER_MAGIC;
	handover->bytes = sizeof(*handover);
	handover->entry_cycles = entry_cycles;
	gather(image, handover, cmdline);
	status = leave_boot_services(image, handover, memory_map);
	if (EFI_ERROR(status)) {
		Print(L"Ballonet: the firmware does not let go: %r\n", status);
		return status;
	}
	((void (*)(struct efi_handover *))entry)(handover);
	__builtin_unreachable();
}
