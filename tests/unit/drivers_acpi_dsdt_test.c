/*
 * virtio-mmio devices in a DSDT: as QEMU writes them, in other forms of the same, and in forms that are refused.
 */
#include "drivers/acpi.h"
#include "kernel/ktest.h"
#include "tests/unit/acpi_builder.h"

#define REGISTERS 0xfeb02e00u
#define LINE	  47u

static struct acpi_build build;
static struct machine machine;

/* A DSDT with @count copies of the bytes, whatever they are. */
static void read_aml(const void *aml, uint32_t bytes, uint32_t count)
{
	const uint8_t *byte = aml;
	uint32_t dsdt;

	acpi_build_init(&build);
	acpi_build_begin(&build, "DSDT");
	acpi_build_text(&build, "\x10\x1a_SB_");
	while (count--)
		for (uint32_t i = 0; i < bytes; i++)
			acpi_build_u8(&build, byte[i]);
	dsdt = acpi_build_end(&build);
	build.nr_tables--; /* it is no table of the root's */
	acpi_build_fadt(&build, ACPI_BUILD_BASE + dsdt);
	acpi_read_machine(acpi_build_finish(&build, 2), acpi_build_map, &build, &machine);
}

#define HID	"\x08_HID\x0dLNRO0005\0"
#define UID	"\x08_UID\x0a\x17"
#define CCA	"\x08_CCA\x01"
#define MEMORY	"\x86\x09\0\x01\0\x2e\xb0\xfe\0\x02\0\0"
#define IRQ	"\x89\x06\0\x01\x01\x2f\0\0\0"
#define END	"\x79\0"
#define DEVICE	"\x5b\x82\x42\x04VR23"
#define AML(s)	(s), sizeof(s) - 1
#define OTHER	"\x5b\x82\x19PWRB\x08_HID\x0dPNP0C0C\0\x08_UID\0"
#define CURRENT "\x08_CRS\x11\x1a\x0a\x17"

static bool found(void)
{
	return machine.nr_virtio_mmio == 1 && machine.virtio_mmio[0].address == REGISTERS &&
	       machine.virtio_mmio[0].bytes == 0x200 && machine.virtio_mmio[0].gsi == LINE;
}

KTEST(drivers_acpi_dsdt, as_qemu_writes_it)
{
	read_aml(AML(OTHER DEVICE HID UID CCA CURRENT MEMORY IRQ END OTHER), 1);
	EXPECT(t, found());
	read_aml(AML(OTHER OTHER), 1);
	EXPECT_EQ(t, machine.nr_virtio_mmio, 0u);
}

KTEST(drivers_acpi_dsdt, other_forms_of_the_same)
{
	/* Lengths in more bytes, sizes in other widths, other names and resources between. */
	read_aml(AML(DEVICE HID "\x08_UID\x0d"
				"abc\0"
				"\x08_STA\x0c\x0f\0\0\0"
				"\x08XYZ_\x11\x05\x0a\x02xy"
				"\x08_CRS\x11\x41\x02\x0b\x1c\0"
				"\x22\0\x02" IRQ MEMORY "\x47\x01\xf8\x03\xf8\x03\0\x08" END),
		 1);
	EXPECT(t, found());
	read_aml(AML(DEVICE HID "\x08_CRS\x11\x83\x02\0\0\x0e\x17\0\0\0\0\0\0\0" MEMORY IRQ END), 1);
	EXPECT(t, found());
}

KTEST(drivers_acpi_dsdt, not_as_many_as_there_is_room_for)
{
	read_aml(AML(DEVICE HID UID CCA CURRENT MEMORY IRQ END), MACHINE_MAX_VIRTIO_MMIO + 3);
	EXPECT_EQ(t, machine.nr_virtio_mmio, (size_t)MACHINE_MAX_VIRTIO_MMIO);
	EXPECT_EQ(t, machine.virtio_mmio[MACHINE_MAX_VIRTIO_MMIO - 1].gsi, LINE);
}

/* clang-format off */
static const struct {
	const char *aml;
	uint32_t bytes;
} halves[] = {
	{AML(DEVICE HID)},						/* nothing beside it */
	{AML(DEVICE HID UID)},						/* no resources */
	{AML(DEVICE HID UID "\x14\x20_CRS\0" CURRENT MEMORY IRQ END)},	/* computed by a method */
	{AML(DEVICE HID "\x08_CRS\x11\x11\x0a\x0e" MEMORY END)},	/* no line */
	{AML(DEVICE HID "\x08_CRS\x11\x0e\x0a\x0b" IRQ END)},		/* no registers */
	{AML(DEVICE HID CURRENT "\x86\x09\0\x01\0\x2e\xb0\xfe\xff\0\0\0" IRQ END)}, /* too few of them */
	{AML(DEVICE HID "\x08_CRS\x11\x1a\x79\x17" MEMORY IRQ END)},	/* a buffer whose size is no number */
	{AML(DEVICE HID "\x08_CRS\x11\x4f\xff\x0a\x17" MEMORY IRQ END)}, /* it reaches beyond the table */
	{AML(DEVICE HID "\x08_UID\x0d" "never ends")},
	{AML(DEVICE HID "\x08_UID")},
	{AML(DEVICE HID "\x08_U")},
};
/* clang-format on */

KTEST(drivers_acpi_dsdt, half_a_device_is_none)
{
	for (size_t i = 0; i < ARRAY_SIZE(halves); i++) {
		read_aml(halves[i].aml, halves[i].bytes, 1);
		EXPECT_EQ(t, machine.nr_virtio_mmio, 0u);
	}
}
