/*
 * The EFI application: finds what the kernel wants to know, loads the kernel, leaves boot services, jumps.
 */
#pragma once

#include <efi.h>
#include <efilib.h>

#include "arch/x86_64/boot/efi_handover.h"

#define HIGHEST_ADDRESS	   0xffffffffull /* all that the kernel reads first is below 4 GiB */
#define CMDLINE_MOST_BYTES 8192u	 /* the kernel cuts, and says so */

/* The kernel's ELF file, in this application (kernel_file.S). */
extern const UINT8 kernel_file[], kernel_file_end[];

/*
 * Loads the kernel at a multiple of 2 MiB below 4 GiB, clears what its file does not give; *@entry is where it is
 * entered. An error is explained on the console.
 */
EFI_STATUS kernel_load(UINT64 *entry);

/*
 * Memory below 4 GiB, cleared; NULL, explained. What is to be executed is EfiLoaderCode: firmware may map EfiLoaderData
 * without execution.
 */
void *loader_pages(UINTN bytes, EFI_MEMORY_TYPE type);

/* RSDP, framebuffer and command line; what is not there is left 0. @cmdline has CMDLINE_MOST_BYTES. */
void gather(EFI_HANDLE image, struct efi_handover *handover, char *cmdline);

/* Where GNU-EFI's start-up code goes. */
EFI_STATUS efi_main(EFI_HANDLE image, EFI_SYSTEM_TABLE *system);
