/*
 * The MMIO transport against a block of registers: clause 4.2 of virtio 1.2 from the driver's side.
 */
#include "tests/host/host.h"
#include "tests/host/virtio_registers.h"
#include "tests/unit/scripted_balloon.h"

#include "kernel/cmdline.h"
#include "kernel/thread.h"
#include "kernel/time.h"
#include "kernel/machine.h"
#include "lib/atomic.h"
#include "lib/string.h"

#define MODERN (BIT(VIRTIO_F_VERSION_1) | BIT(1))
#define PLACE  0xd0000000u
#define LINE   12

static struct register_device registers;
static char block[512];
static uint32_t magic, version, device_id;
static uint32_t first_reads[8], nr_first_reads;
static char cmdline[256];

static uint32_t read_only(uint64_t offset)
{
	struct register_queue *queue = register_queue(&registers);

	switch (offset) {
	case 0x00:
		return magic;
	case 0x04:
		return version;
	case 0x08:
		return device_id;
	case 0x0c:
	case 0xfc:
		return 0;
	case 0x10:
		return register_offered_word(&registers);
	case 0x34:
		return queue ? registers.most_descriptors : 0;
	case 0x44:
		return queue ? queue->enabled : 0;
	case 0x60:
		return registers.causes;
	case 0x70:
		return register_get_status(&registers);
	default:
		register_fault(&registers, "4.2.2.2: a register is read that is not there, or is not to be read");
		return 0;
	}
}

static uint32_t mmio_read(void *context UNUSED, uint64_t offset, unsigned int bytes)
{
	uint32_t value;

	spin_lock(&registers.lock);
	if (nr_first_reads < ARRAY_SIZE(first_reads))
		first_reads[nr_first_reads++] = (uint32_t)offset;
	if (offset < 0x100 && (bytes != 4 || offset % 4))
		register_fault(&registers, "4.2.2.2: a control register is read by another width than 32 bits");
	value = offset < 0x100 ? read_only(offset) : register_config_read(&registers, offset - 0x100, bytes);
	registers.accesses++;
	spin_unlock(&registers.lock);
	return value;
}

/* 4.2.3.4.1: by now the interrupt was handled; and only what we know is acknowledged. */
static void acknowledge(uint32_t value)
{
	if (value & ~3u)
		register_fault(&registers, "4.2.2.2: undefined bits are acknowledged");
	registers.acknowledged |= value;
	registers.causes &= ~value;
	registers.handled_before_ack = load_relaxed(&registers.dev->interrupts);
}

static void write_register(uint64_t offset, uint32_t value)
{
	switch (offset) {
	case 0x14:
	case 0x24:
		registers.select[offset == 0x24] = value;
		break;
	case 0x20:
		register_accept_word(&registers, value);
		break;
	case 0x30:
		registers.queue_select = value;
		break;
	case 0x38:
		register_queue_size(&registers, value);
		break;
	case 0x44:
		register_queue_enable(&registers, value);
		break;
	case 0x50:
		register_notified(&registers, value);
		break;
	case 0x64:
		acknowledge(value);
		break;
	case 0x70:
		register_set_status(&registers, (uint8_t)value);
		break;
	case 0x80:
	case 0x84:
	case 0x90:
	case 0x94:
	case 0xa0:
	case 0xa4:
		register_queue_address(&registers, (unsigned int)(offset - 0x80) / 16, offset & 4, value);
		break;
	default:
		register_fault(&registers, "4.2.2.2: a register is written that is not there, or is the device's");
	}
}

static void mmio_write(void *context UNUSED, uint64_t offset, unsigned int bytes, uint32_t value)
{
	spin_lock(&registers.lock);
	if (offset < 0x100 && (bytes != 4 || offset % 4))
		register_fault(&registers, "4.2.2.2: a control register is written by another width than 32 bits");
	if (offset < 0x100)
		write_register(offset, value);
	else
		register_config_write(&registers, offset - 0x100, bytes, value);
	registers.accesses++;
	spin_unlock(&registers.lock);
}

static struct machine machine; /* what its firmware says of devices */

static void unplug(void *argument UNUSED)
{
	register_take_off(&registers);
	machine.nr_virtio_mmio = 0;
	cmdline_init(cmdline);
	virtio_mmio_find(&machine);
	host_device_add(PLACE, NULL, 0);
}

/* How many devices were taken: 0 or 1. */
static unsigned int probe(struct ktest *t)
{
	registers.registers = (struct host_registers){mmio_read, mmio_write, NULL};
	nr_first_reads = 0;
	if (!strstr(cmdline_text(), "0xd0000000"))
		format(cmdline, sizeof(cmdline), "%s", cmdline_text());
	cmdline_init("virtio_mmio.device=512@0xd0000000:12");
	virtio_mmio_find(&machine);
	ktest_defer(t, unplug, NULL);
	host_device_add(PLACE, block, sizeof(block));
	host_device_script(PLACE, &registers.registers);
	return virtio_mmio_probe();
}

static void init(struct ktest *t, uint64_t offers)
{
	register_take_off(&registers);
	register_device_init(&registers, t, offers);
	magic = 0x74726976;
	version = 2;
	device_id = 5;
}

KTEST(driver, c4_2_2_2_registers_are_used_as_they_should_be)
{
	for (unsigned int packed = 0; packed < 2; packed++) {
		struct virtio_device *dev;

		init(t, MODERN | BIT(5) | (packed ? BIT(VIRTIO_F_RING_PACKED) : 0));
		registers.most_descriptors = 48;
		EXPECT_EQ(t, probe(t), 1u);
		dev = register_newest(&registers);
		REQUIRE(t, dev && !strcmp(dev->transport->name, "mmio"));
		EXPECT(t, EVENTUALLY(load_acquire(&registers.config[1]) == 0));
		EXPECT_EQ(t, load_relaxed(&registers.status), 0x0fu);
		for (unsigned int queue = 0; queue < 4; queue++)
			EXPECT(t, registers.queues[queue].enabled);
		EXPECT(t, registers.notifications > 0);
		EXPECT_OK(t, virtio_reprobe(dev));
		EXPECT_EQ(t, registers.faults, 0u);
	}
}

static void ignored(struct ktest *t, unsigned int most_accesses)
{
	EXPECT_EQ(t, probe(t), 0u);
	EXPECT(t, registers.accesses <= most_accesses);
	EXPECT_EQ(t, registers.nr_status, 0u);
	EXPECT_EQ(t, registers.faults, 0u);
}

KTEST(virtio_mmio, named_by_firmware_and_on_the_command_line_it_is_one_device)
{
	init(t, MODERN | BIT(5));
	machine.virtio_mmio[0] = (struct machine_virtio_mmio){.address = PLACE, .bytes = 512, .gsi = 12};
	machine.nr_virtio_mmio = 1;
	EXPECT_EQ(t, probe(t), 1u);
	EXPECT(t, register_newest(&registers));
}

KTEST(driver, c4_2_2_2_other_magic_and_other_versions_are_ignored)
{
	init(t, MODERN);
	magic++;
	ignored(t, 1);
	for (version = 0; version < 5; version++) {
		uint32_t kept = version;

		init(t, MODERN);
		version = kept;
		if (version != 2)
			ignored(t, 3);
	}
}

/* And without an error: most places are empty. */
KTEST(driver, c4_2_3_1_1_magic_version_and_id_are_read_first)
{
	static const uint32_t order[] = {0x00, 0x04, 0x08};

	init(t, MODERN);
	device_id = 0;
	ignored(t, 3);
	for (size_t i = 0; i < ARRAY_SIZE(order); i++)
		EXPECT_EQ(t, first_reads[i], order[i]);
	EXPECT_EQ(t, nr_first_reads, 3u);
}

KTEST(driver, c4_2_2_2_c4_2_3_4_1_interrupts_are_handled_and_then_acknowledged)
{
	struct virtio_device *dev;
	uint64_t config;

	init(t, MODERN);
	EXPECT_EQ(t, probe(t), 1u);
	dev = register_newest(&registers);
	REQUIRE(t, dev);
	EXPECT(t, EVENTUALLY(load_acquire(&registers.config[1]) == 0));
	EXPECT(t, !host_line(LINE)); /* no cause: not ours */
	store_relaxed(&registers.causes, 0xfffffffcu);
	EXPECT(t, !host_line(LINE)); /* none that we know */
	EXPECT_EQ(t, load_relaxed(&dev->interrupts) + load_relaxed(&dev->config_interrupts), 0u);
	store_relaxed(&registers.causes, 0xfffffffdu);
	EXPECT(t, host_line(LINE));
	EXPECT_EQ(t, registers.acknowledged, 1u);
	EXPECT_EQ(t, registers.handled_before_ack, 1u);
	EXPECT_EQ(t, load_relaxed(&dev->config_interrupts), 0u);
	config = load_relaxed(&dev->config_interrupts);
	store_relaxed(&registers.causes, 3u); /* both at once */
	EXPECT(t, host_line(LINE));
	EXPECT_EQ(t, registers.acknowledged, 3u);
	EXPECT(t, load_relaxed(&dev->config_interrupts) > config);
	EXPECT_EQ(t, registers.faults, 0u);
}
