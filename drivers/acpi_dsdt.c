/*
 * virtio-mmio devices in the DSDT (ACPI 6.4, clauses 19.6 and 20.2), where QEMU's microvm says what it has.
 *
 * AML is a language and this is no interpreter of it. What is looked for is a device's _HID "LNRO0005" and the names
 * beside it, as every compiler lays them out: Name (_HID, ...) Name (_UID, ...) Name (_CRS, Buffer), all of them data.
 * A device that computes its resources in a method is not driven, and one line says so.
 */
#include "drivers/acpi_internal.h"
#include "kernel/printk.h"
#include "lib/string.h"

enum { /* 20.2: what a name of data can be */
       AML_ZERO = 0x00,
       AML_ONE = 0x01,
       AML_NAME = 0x08,
       AML_BYTE = 0x0a,
       AML_WORD = 0x0b,
       AML_DWORD = 0x0c,
       AML_STRING = 0x0d,
       AML_QWORD = 0x0e,
       AML_BUFFER = 0x11,
       AML_ONES = 0xff,
};

enum { /* 6.4: resources, of which the large ones have a 16-bit length behind the tag */
       RESOURCE_LARGE = 0x80,
       RESOURCE_MEMORY32_FIXED = 0x86,
       RESOURCE_EXTENDED_INTERRUPT = 0x89,
};

/* "\x08_HID\x0dLNRO0005" with the final 0 */
static const char hid[] = {AML_NAME, '_', 'H', 'I', 'D', AML_STRING, 'L', 'N', 'R', 'O', '0', '0', '0', '5', '\0'};

static struct acpi_table part(const struct acpi_table *whole, uint32_t offset, uint32_t bytes)
{
	if (offset > whole->length || bytes > whole->length - offset)
		return (struct acpi_table){0};
	return (struct acpi_table){.bytes = whole->bytes + offset, .length = bytes};
}

/* 20.2.4: 1 to 4 bytes, counted from the first of them; *@bytes is how many they are. */
static uint32_t package_length(const struct acpi_table *aml, uint32_t at, uint32_t *bytes)
{
	uint8_t lead = acpi_u8(aml, at), more = lead >> 6;

	*bytes = 1u + more;
	return more ? (uint32_t)acpi_field(aml, at + 1, more) << 4 | (lead & 0xf) : lead & 0x3f;
}

/* How many bytes the number takes with its prefix; 0: it is none. */
static uint32_t number_bytes(uint8_t prefix)
{
	switch (prefix) {
	case AML_ZERO:
	case AML_ONE:
	case AML_ONES:
		return 1;
	case AML_BYTE:
		return 2;
	case AML_WORD:
		return 3;
	case AML_DWORD:
		return 5;
	case AML_QWORD:
		return 9;
	default:
		return 0;
	}
}

/* The bytes of the data at @at; 0: not data, or it does not end in the table. */
static uint32_t data_bytes(const struct acpi_table *aml, uint32_t at)
{
	uint8_t prefix = acpi_u8(aml, at);
	uint32_t bytes = number_bytes(prefix), unused;

	if (prefix == AML_STRING) {
		while (acpi_u8(aml, at + ++bytes))
			;
		bytes++;
	} else if (prefix == AML_BUFFER) {
		bytes = 1 + package_length(aml, at + 1, &unused);
	}
	return bytes && part(aml, at, bytes).bytes ? bytes : 0;
}

/* The content of the buffer of @bytes at @at. */
static struct acpi_table buffer_content(const struct acpi_table *aml, uint32_t at, uint32_t bytes)
{
	struct acpi_table buffer = part(aml, at, bytes);
	uint32_t length_bytes, size_bytes;

	package_length(&buffer, 1, &length_bytes);
	size_bytes = number_bytes(acpi_u8(&buffer, 1 + length_bytes));
	if (!size_bytes || 1 + length_bytes + size_bytes > bytes)
		return (struct acpi_table){0};
	return part(&buffer, 1 + length_bytes + size_bytes, bytes - 1 - length_bytes - size_bytes);
}

/* Is there both a block of registers and a line? */
static bool read_resources(const struct acpi_table *resources, struct machine_virtio_mmio *device)
{
	bool has_line = false;
	uint32_t at = 0;

	*device = (struct machine_virtio_mmio){0};
	while (at < resources->length) {
		uint8_t tag = acpi_u8(resources, at);

		if (tag == RESOURCE_MEMORY32_FIXED) {
			device->address = acpi_u32(resources, at + 4);
			device->bytes = acpi_u32(resources, at + 8);
		} else if (tag == RESOURCE_EXTENDED_INTERRUPT && acpi_u8(resources, at + 4)) {
			device->gsi = acpi_u32(resources, at + 5);
			has_line = true;
		}
		at += tag & RESOURCE_LARGE ? 3u + acpi_u16(resources, at + 1) : 1u + (tag & 7);
	}
	return has_line && device->address && device->bytes >= MACHINE_VIRTIO_MMIO_LEAST;
}

static bool is_named(const struct acpi_table *aml, uint32_t at, const char *name)
{
	struct acpi_table found = part(aml, at + 1, 4);

	return found.bytes && memcmp(found.bytes, name, 4) == 0;
}

/* The names behind a _HID at @at, up to what is no name of data. */
static bool read_device(const struct acpi_table *aml, uint32_t at, struct machine_virtio_mmio *device)
{
	while (acpi_u8(aml, at) == AML_NAME) {
		uint32_t bytes = data_bytes(aml, at + 5);

		if (!bytes)
			return false;
		if (is_named(aml, at, "_CRS") && acpi_u8(aml, at + 5) == AML_BUFFER) {
			struct acpi_table resources = buffer_content(aml, at + 5, bytes);

			return read_resources(&resources, device);
		}
		at += 5 + bytes;
	}
	return false;
}

void acpi_read_dsdt(const struct acpi_table *dsdt, struct machine *machine)
{
	for (uint32_t at = ACPI_HEADER_BYTES; at + sizeof(hid) <= dsdt->length; at++) {
		struct machine_virtio_mmio device;

		if (memcmp(dsdt->bytes + at, hid, sizeof(hid)) != 0)
			continue;
		if (!read_device(dsdt, at + sizeof(hid), &device))
			pr_err("acpi: DSDT: a virtio-mmio device at offset %u without a block of registers and a line: "
			       "ignored",
			       at);
		else if (machine->nr_virtio_mmio == MACHINE_MAX_VIRTIO_MMIO)
			pr_err("acpi: DSDT: virtio-mmio device at 0x%lx: more than %u of them: ignored", device.address,
			       MACHINE_MAX_VIRTIO_MMIO);
		else
			machine->virtio_mmio[machine->nr_virtio_mmio++] = device;
	}
}
