/*
 * What the firmware knows: the RSDP from the configuration table, the framebuffer from the graphics output, and the
 * command line. That comes from the load options (a boot entry's, or what was typed in the EFI shell), else
 * from the file \EFI\BOOT\cmdline.txt on the volume that the application was loaded from.
 */
#include "arch/x86_64/boot/efi_app/app.h"

#define CMDLINE_FILE L"\\EFI\\BOOT\\cmdline.txt"

static UINT64 find_rsdp(void)
{
	EFI_GUID acpi_2 = ACPI_20_TABLE_GUID, acpi_1 = ACPI_TABLE_GUID;
	UINT64 rsdp = 0;

	for (UINTN i = 0; i < ST->NumberOfTableEntries; i++) {
		EFI_CONFIGURATION_TABLE *table = &ST->ConfigurationTable[i];

		if (CompareGuid(&table->VendorGuid, &acpi_2) == 0)
			return (UINT64)table->VendorTable;
		if (CompareGuid(&table->VendorGuid, &acpi_1) == 0)
			rsdp = (UINT64)table->VendorTable;
	}
	return rsdp;
}

static UINT32 mask_shift(UINT32 mask)
{
	return mask ? (UINT32)__builtin_ctz(mask) : 0;
}

static void find_framebuffer(struct efi_handover *handover)
{
	EFI_GUID guid = EFI_GRAPHICS_OUTPUT_PROTOCOL_GUID;
	EFI_GRAPHICS_OUTPUT_PROTOCOL *output;
	EFI_GRAPHICS_OUTPUT_MODE_INFORMATION *mode;

	if (EFI_ERROR(BS->LocateProtocol(&guid, NULL, (void **)&output)) || !output->Mode || !output->Mode->Info)
		return;
	mode = output->Mode->Info;
	switch (mode->PixelFormat) {
	case PixelRedGreenBlueReserved8BitPerColor:
		handover->green_shift = 8;
		handover->blue_shift = 16;
		break;
	case PixelBlueGreenRedReserved8BitPerColor:
		handover->red_shift = 16;
		handover->green_shift = 8;
		break;
	case PixelBitMask:
		handover->red_shift = mask_shift(mode->PixelInformation.RedMask);
		handover->green_shift = mask_shift(mode->PixelInformation.GreenMask);
		handover->blue_shift = mask_shift(mode->PixelInformation.BlueMask);
		break;
	default:
		return; /* no linear framebuffer */
	}
	handover->framebuffer = output->Mode->FrameBufferBase;
	handover->width = mode->HorizontalResolution;
	handover->height = mode->VerticalResolution;
	handover->pitch_bytes = mode->PixelsPerScanLine * 4;
	handover->bits_per_pixel = 32;
}

static BOOLEAN is_blank(CHAR16 c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* The EFI shell puts the application's own name in front. */
static const CHAR16 *skip_own_name(const CHAR16 *text, const CHAR16 *end)
{
	const CHAR16 *at = text;

	while (at < end && !is_blank(*at))
		at++;
	if (at - text < 4 || at[-4] != '.' || (at[-3] | 32) != 'e' || (at[-2] | 32) != 'f' || (at[-1] | 32) != 'i')
		return text;
	while (at < end && is_blank(*at))
		at++;
	return at;
}

/* Load options are text by custom only: anything else than printable characters means that they are not. */
static UINTN cmdline_from_options(const EFI_LOADED_IMAGE *image, char *cmdline)
{
	const CHAR16 *at = image->LoadOptions, *end;
	UINTN length = 0;

	if (!at)
		return 0;
	end = at + image->LoadOptionsSize / sizeof(*at);
	for (at = skip_own_name(at, end); at < end && *at && length < CMDLINE_MOST_BYTES; at++) {
		if (*at < ' ' || *at > '~')
			return 0;
		cmdline[length++] = (char)*at;
	}
	return length;
}

/* The first line of the file. */
static UINTN cmdline_from_file(const EFI_LOADED_IMAGE *image, char *cmdline)
{
	EFI_FILE_HANDLE volume = LibOpenRoot(image->DeviceHandle), file;
	UINTN bytes = CMDLINE_MOST_BYTES, length = 0;

	if (!volume || EFI_ERROR(volume->Open(volume, &file, CMDLINE_FILE, EFI_FILE_MODE_READ, 0)))
		return 0;
	if (EFI_ERROR(file->Read(file, &bytes, cmdline))) {
		Print(L"Ballonet: %s cannot be read: no command line\n", CMDLINE_FILE);
		bytes = 0;
	}
	file->Close(file);
	while (length < bytes && cmdline[length] && cmdline[length] != '\r' && cmdline[length] != '\n')
		length++;
	return length;
}

void gather(EFI_HANDLE handle, struct efi_handover *handover, char *cmdline)
{
	EFI_GUID guid = LOADED_IMAGE_PROTOCOL;
	EFI_LOADED_IMAGE *image;

	handover->rsdp = find_rsdp();
	find_framebuffer(handover);
	if (EFI_ERROR(BS->HandleProtocol(handle, &guid, (void **)&image)))
		return;
	handover->cmdline = (UINT64)cmdline;
	handover->cmdline_bytes = cmdline_from_options(image, cmdline);
	if (!handover->cmdline_bytes)
		handover->cmdline_bytes = cmdline_from_file(image, cmdline);
}
