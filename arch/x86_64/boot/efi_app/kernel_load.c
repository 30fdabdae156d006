/*
 * Loading the kernel's ELF file. It is linked for 2 MiB, but the firmware may have put anything there; the kernel's
 * boot code and page tables only need the same distance from a multiple of 2 MiB.
 *
 * The file is ours, built together with this application: checks here catch a broken build, not an enemy.
 */
#include "arch/x86_64/boot/efi_app/app.h"

#define ALIGNMENT 0x200000ull

#define PT_LOAD 1
#define PT_NOTE 4

struct elf_header {
	UINT8 ident[16];
	UINT16 type, machine;
	UINT32 version;
	UINT64 entry, program_headers, section_headers;
	UINT32 flags;
	UINT16 bytes, program_header_bytes, nr_program_headers;
	UINT16 section_header_bytes, nr_section_headers, names;
};

struct elf_program_header {
	UINT32 type, flags;
	UINT64 offset, virtual, physical, file_bytes, memory_bytes, align;
};

struct elf_note {
	UINT32 name_bytes, value_bytes, type;
	char name[12]; /* "Ballonet", NUL, padding */
	UINT64 value;
} __attribute__((packed));

static UINTN file_bytes(void)
{
	return (UINTN)kernel_file_end - (UINTN)kernel_file;
}

static const struct elf_program_header *headers(UINTN *count)
{
	const struct elf_header *elf = (const void *)kernel_file;

	if (file_bytes() < sizeof(*elf) || CompareMem(elf->ident, "\177ELF\2\1", 6) != 0 || elf->machine != 62 ||
	    elf->program_header_bytes != sizeof(struct elf_program_header) || elf->program_headers > file_bytes() ||
	    elf->nr_program_headers * sizeof(struct elf_program_header) > file_bytes() - elf->program_headers)
		return NULL;
	*count = elf->nr_program_headers;
	return (const void *)(kernel_file + elf->program_headers);
}

static BOOLEAN is_sound(const struct elf_program_header *header)
{
	return header->offset <= file_bytes() && header->file_bytes <= file_bytes() - header->offset &&
	       header->file_bytes <= header->memory_bytes;
}

/* The physical address of boot_entry_efi as linked; 0: the note is missing. */
static UINT64 find_entry(const struct elf_program_header *note)
{
	const UINT8 *at = kernel_file + note->offset, *end = at + note->file_bytes;

	while ((UINTN)(end - at) >= sizeof(struct elf_note)) {
		const struct elf_note *found = (const void *)at;

		if (found->type == EFI_NOTE_TYPE && found->name_bytes == sizeof(EFI_NOTE_NAME) &&
		    found->value_bytes == sizeof(found->value) &&
		    CompareMem(found->name, EFI_NOTE_NAME, sizeof(EFI_NOTE_NAME)) == 0)
			return found->value;
		at += 12 + ((found->name_bytes + 3) & ~3u) + ((found->value_bytes + 3) & ~3u);
	}
	return 0;
}

/* The lowest and the end of the highest physical address to load, and the entry; FALSE if the file is broken. */
static BOOLEAN survey(const struct elf_program_header *header, UINTN count, UINT64 *start, UINT64 *end, UINT64 *entry)
{
	*start = ~0ull;
	*end = *entry = 0;
	for (UINTN i = 0; i < count; i++) {
		if (!is_sound(&header[i]))
			return FALSE;
		if (header[i].type == PT_NOTE && !*entry)
			*entry = find_entry(&header[i]);
		if (header[i].type != PT_LOAD)
			continue;
		*start = header[i].physical < *start ? header[i].physical : *start;
		*end = header[i].physical + header[i].memory_bytes > *end ? header[i].physical + header[i].memory_bytes
									  : *end;
	}
	return *start < *end && *start % ALIGNMENT == 0 && *entry >= *start && *entry < *end;
}

EFI_STATUS kernel_load(UINT64 *entry)
{
	UINT64 start, end, base;
	UINTN count = 0;
	const struct elf_program_header *header = headers(&count);

	if (!header || !survey(header, count, &start, &end, entry)) {
		Print(L"Ballonet: the kernel within this application is broken: build it again\n");
		return EFI_LOAD_ERROR;
	}
	/* Room to align; what is left over is loader memory, which the kernel gets back. */
	base = (UINT64)loader_pages(end - start + ALIGNMENT, EfiLoaderCode);
	if (!base)
		return EFI_OUT_OF_RESOURCES;
	base = (base + ALIGNMENT - 1) & ~(ALIGNMENT - 1);
	for (UINTN i = 0; i < count; i++)
		if (header[i].type == PT_LOAD)
			CopyMem((void *)(base + header[i].physical - start), kernel_file + header[i].offset,
				header[i].file_bytes);
	*entry += base - start;
	return EFI_SUCCESS;
}
