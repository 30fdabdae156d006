/*
 * The PCI transports against a device of registers: clause 4.1 of virtio 1.2 from the driver's side, modern and legacy.
 */
#include "tests/host/host.h"
#include "tests/host/virtio_registers.h"
#include "tests/unit/pci_script.h"
#include "tests/unit/scripted_balloon.h"

#include "drivers/virtio/virtio_pci_layout.h"
#include "kernel/memory.h"
#include "kernel/thread.h"
#include "kernel/time.h"
#include "lib/atomic.h"
#include "lib/string.h"

#define MODERN	   (BIT(VIRTIO_F_VERSION_1) | BIT(1)) /* and statistics */
#define BAR	   0xfe000000u			      /* BAR 4: the structures */
#define BAR_BYTES  0x8000u
#define MSIX_BAR   0xfd000000u
#define PORTS	   0xc040u
#define LINE	   11
#define MSIX_AT	   0xc0u
#define FIRST_CAP  0x40u
#define WAIT_NS	   (20 * NS_PER_S)
#define NOTIFY_OFF 3u /* queue_notify_off: 3 more than the index */

enum { COMMON = 0x0000, ISR = 0x1003, CONFIG = 0x2000, NOTIFY = 0x3000, DECOY = 0x6000 };

static struct pci_script script;
static struct register_device registers;
static char bar[BAR_BYTES];
static uint32_t msix_table[0x800 * 4];
static void (*script_write)(void *context, uint16_t bdf, uint16_t offset, unsigned int bytes, uint32_t value);

/* ---- the common configuration, 4.1.4.3 ---- */

static const struct field {
	uint8_t offset, bytes;
	bool read_only;
} fields[] = {{0, 4, false},  {4, 4, true},   {8, 4, false},  {12, 4, false}, {16, 2, false},
	      {18, 2, true},  {20, 1, false}, {21, 1, true},  {22, 2, false}, {24, 2, false},
	      {26, 2, false}, {28, 2, false}, {30, 2, true},  {32, 4, false}, {36, 4, false},
	      {40, 4, false}, {44, 4, false}, {48, 4, false}, {52, 4, false}, {56, 2, true}};

static void check_field(uint64_t offset, unsigned int bytes, bool write)
{
	for (size_t i = 0; i < ARRAY_SIZE(fields); i++) {
		if (fields[i].offset != offset || fields[i].bytes != bytes)
			continue;
		if (write && fields[i].read_only)
			register_fault(&registers, "4.1.4.3.2: a field is written that is the device's");
		return;
	}
	register_fault(&registers, "4.1.3.1: an access that is no field's width and place");
}

static uint32_t common_read(uint64_t offset)
{
	struct register_queue *queue = register_queue(&registers);

	switch (offset) {
	case 4:
		return register_offered_word(&registers);
	case 16:
		return registers.vectors_fail ? 0xffff : registers.config_vector;
	case 18:
		return REGISTER_QUEUES;
	case 20:
		return register_get_status(&registers);
	case 24:
		return queue ? registers.most_descriptors : 0;
	case 26:
		return queue && !registers.vectors_fail ? queue->vector : 0xffff;
	case 30:
		return registers.queue_select + NOTIFY_OFF;
	case 56:
		return 0x700 + registers.queue_select;
	default:
		return 0;
	}
}

static void check_vector(uint32_t vector)
{
	if (vector != 0xffff && vector >= registers.nr_vectors)
		register_fault(&registers, "4.1.5.1.2.2: a vector that the MSI-X table does not have");
}

static void common_write(uint64_t offset, uint32_t value)
{
	struct register_queue *queue = register_queue(&registers);

	switch (offset) {
	case 0:
	case 8:
		registers.select[offset / 8] = value;
		break;
	case 12:
		register_accept_word(&registers, value);
		break;
	case 16:
		check_vector(value);
		registers.config_vector = (uint16_t)value;
		break;
	case 20:
		register_set_status(&registers, (uint8_t)value);
		break;
	case 22:
		registers.queue_select = value;
		break;
	case 24:
		register_queue_size(&registers, value);
		break;
	case 26:
		check_vector(value);
		if (queue)
			queue->vector = (uint16_t)value;
		break;
	case 28:
		register_queue_enable(&registers, value);
		break;
	default:
		register_queue_address(&registers, (unsigned int)(offset - 32) / 8, offset % 8, value);
	}
}

static uint32_t modern_read(void *context UNUSED, uint64_t offset, unsigned int bytes)
{
	uint32_t value = 0;

	spin_lock(&registers.lock);
	if (offset < COMMON + 64) {
		check_field(offset, bytes, false);
		value = common_read(offset);
	} else if (offset == ISR && bytes == 1) {
		registers.isr_reads++;
		value = registers.causes;
		registers.causes = 0;
	} else if (offset >= CONFIG && offset < CONFIG + 0x100) {
		value = register_config_read(&registers, offset - CONFIG, bytes);
	} else {
		register_fault(&registers, "4.1.4: a read where there is nothing");
	}
	spin_unlock(&registers.lock);
	return value;
}

/* 4.1.4.4, 4.1.5.2: its place says which queue, and so does the value. */
static void notify_write(uint64_t offset, unsigned int bytes, uint32_t value)
{
	uint32_t index = (uint32_t)(offset / 4) - NOTIFY_OFF;
	bool data = registers.accepted & BIT(VIRTIO_F_NOTIF_CONFIG_DATA);

	if (bytes != 2 || offset % 4 || value != (data ? 0x700 + index : index))
		register_fault(&registers, "4.1.5.2: a notification that says another queue than its place");
	register_notified(&registers, index);
}

static void modern_write(void *context UNUSED, uint64_t offset, unsigned int bytes, uint32_t value)
{
	spin_lock(&registers.lock);
	if (offset < COMMON + 64) {
		check_field(offset, bytes, true);
		common_write(offset, value);
	} else if (offset >= CONFIG && offset < CONFIG + 0x100) {
		register_config_write(&registers, offset - CONFIG, bytes, value);
	} else if (offset >= NOTIFY && offset < DECOY) {
		notify_write(offset - NOTIFY, bytes, value);
	} else {
		register_fault(&registers, "4.1.4: a write where there is nothing");
	}
	spin_unlock(&registers.lock);
}

/* ---- configuration space ---- */

/* 4.1.4.1, 4.1.4.9.2: of the capabilities MSI-X's alone is written to. */
static void watched_write(void *context, uint16_t bdf, uint16_t offset, unsigned int bytes, uint32_t value)
{
	if (offset >= FIRST_CAP && (offset < MSIX_AT || offset >= MSIX_AT + 12))
		register_fault(&registers, "4.1.4.1: a virtio capability is written to");
	script_write(context, bdf, offset, bytes, value);
}

static uint8_t add_capability(uint8_t at, uint8_t length, uint8_t type, uint8_t where, uint32_t offset, uint32_t bytes)
{
	pci_script_capability(&script, 0, VIRTIO_PCI_CAPABILITY_ID, at);
	pci_script_poke(&script, 0, at + 2, 1, length);
	pci_script_poke(&script, 0, at + 3, 1, type);
	pci_script_poke(&script, 0, at + 4, 1, where);
	pci_script_poke(&script, 0, at + 8, 4, offset);
	pci_script_poke(&script, 0, at + 12, 4, bytes);
	return at + (length < 20 ? 16 : 20);
}

/* Those that are to be ignored come first, and once more behind the right ones. */
static void add_capabilities(uint32_t common_bytes)
{
	uint8_t at = FIRST_CAP;

	at = add_capability(at, 16, 99, 4, DECOY, 0x100);		 /* a reserved type */
	at = add_capability(at, 16, VIRTIO_PCI_COMMON, 6, DECOY, 0x100); /* a reserved BAR */
	at = add_capability(at, 16, VIRTIO_PCI_ACCESS, 0, 0, 0);	 /* the window */
	at = add_capability(at, 16, VIRTIO_PCI_COMMON, 4, COMMON, common_bytes);
	at = add_capability(at, 20, VIRTIO_PCI_ISR, 4, ISR, 1); /* longer than it need be */
	at = add_capability(at, 20, VIRTIO_PCI_NOTIFY, 4, NOTIFY, 0x3000);
	pci_script_poke(&script, 0, at - 4, 4, 4);
	add_capability(at, 16, VIRTIO_PCI_DEVICE, 4, CONFIG, 0x1000);
	if (registers.nr_vectors) {
		pci_script_capability(&script, 0, PCI_CAPABILITY_MSIX, MSIX_AT);
		pci_script_poke(&script, 0, MSIX_AT + 2, 2, registers.nr_vectors - 1);
		pci_script_poke(&script, 0, MSIX_AT + 4, 4, 1);
		script.functions[0].writable[MSIX_AT + 3] = 0xc0;
	}
	add_capability(MSIX_AT + 12, 16, VIRTIO_PCI_COMMON, 4, DECOY, 0x100); /* a second one */
}

static void unplug(void *argument UNUSED)
{
	register_take_off(&registers);
	host_pci_devices(NULL);
	host_device_add(BAR, NULL, 0);
	host_device_add(MSIX_BAR, NULL, 0);
	host_ports_add(0, 0, NULL);
	if (script.root.devices.next)
		pci_script_release(&script);
}

/* With no device from before. */
static void begin(struct ktest *t, uint64_t offers)
{
	unplug(NULL);
	register_device_init(&registers, t, offers);
	pci_script_init(&script);
	ktest_defer(t, unplug, NULL);
}

static struct virtio_device *scan_and_probe(struct ktest *t)
{
	struct virtio_device *dev;

	script_write = script.root.config.write;
	EXPECT_OK(t, pci_root_scan(&script.root));
	script.root.config.write = watched_write;
	pci_script_found(&script, 0)->gsi = LINE;
	host_pci_devices(&script.root.devices);
	dev = virtio_pci_probe() == 1 ? register_newest(&registers) : NULL;
	if (!dev)
		ktest_fail(t, __FILE__, __LINE__, "the device was not found");
	return dev;
}

/* The registers are initialised and scripted already. */
static struct virtio_device *plug_modern(struct ktest *t, uint32_t id, uint32_t common_bytes)
{
	registers.registers = (struct host_registers){modern_read, modern_write, NULL};
	pci_script_add(&script, -1, 3, 0, id);
	pci_script_poke(&script, 0, PCI_SUBSYSTEM, 4, 0x00051af4);
	pci_script_bar(&script, 0, 4, BAR_BYTES, 0, BAR);
	pci_script_bar(&script, 0, 1, sizeof(msix_table), 0, MSIX_BAR);
	add_capabilities(common_bytes);
	host_device_add(BAR, bar, sizeof(bar));
	host_device_script(BAR, &registers.registers);
	host_device_add(MSIX_BAR, msix_table, sizeof(msix_table));
	return scan_and_probe(t);
}

static struct virtio_device *plug(struct ktest *t, uint64_t offers, unsigned int nr_vectors)
{
	begin(t, offers);
	registers.nr_vectors = nr_vectors;
	return plug_modern(t, 0x10451af4, 0x1000);
}

static bool up(struct register_device *device)
{
	return EVENTUALLY(load_acquire(&device->config[1]) == 0) && load_relaxed(&device->status) == 0x0f;
}

/* ---- 4.1.2, 4.1.3, 4.1.4 ---- */

KTEST(driver, c4_1_2_2_devices_are_matched_by_their_ids_and_any_revision)
{
	static const struct {
		uint32_t id;
		uint8_t revision;
		unsigned int found;
	} cases[] = {{0x10451af4, 1, 1}, {0x10451af4, 0xff, 1}, {0x10021af4, 0, 1},
		     {0x10451af5, 1, 0}, {0x10801af4, 1, 0},	{0x0fff1af4, 1, 0}};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		begin(t, MODERN);
		registers.registers = (struct host_registers){modern_read, modern_write, NULL};
		pci_script_add(&script, -1, 3, 0, cases[i].id);
		pci_script_poke(&script, 0, PCI_CLASS_REVISION, 1, cases[i].revision);
		pci_script_poke(&script, 0, PCI_SUBSYSTEM, 4, 0x00051234);
		pci_script_bar(&script, 0, 4, BAR_BYTES, 0, BAR);
		add_capabilities(0x1000);
		host_device_add(BAR, bar, sizeof(bar));
		host_device_script(BAR, &registers.registers);
		EXPECT_OK(t, pci_root_scan(&script.root));
		host_pci_devices(&script.root.devices);
		EXPECT_EQ(t, virtio_pci_probe(), cases[i].found);
		if (cases[i].found)
			EXPECT_EQ(t, register_newest(&registers)->device_id, 5u);
	}
}

/* And 4.1.4.3.2: the device's fields are not written, a queue is configured and then enabled, once. */
KTEST(driver, c4_1_3_1_c4_1_4_3_2_fields_are_used_as_they_should_be)
{
	for (unsigned int i = 0; i < 3; i++) {
		struct virtio_device *dev =
			plug(t, MODERN | BIT(5) | (i == 1 ? BIT(VIRTIO_F_RING_PACKED) : 0), i == 2 ? 4 : 0);

		REQUIRE(t, dev);
		EXPECT(t, up(&registers));
		EXPECT_EQ(t, registers.accepted >> VIRTIO_F_RING_PACKED & 1, i == 1);
		for (unsigned int queue = 0; queue < 4; queue++)
			EXPECT(t, registers.queues[queue].enabled);
		EXPECT(t, registers.notifications > 0);
		EXPECT_OK(t, virtio_reprobe(dev));
		EXPECT_EQ(t, registers.faults, 0u);
		registers.most_descriptors = 48; /* a split queue has 32 of them */
		EXPECT_OK(t, virtio_reprobe(dev));
		EXPECT_EQ(t, registers.queues[0].size, 32u);
		EXPECT_EQ(t, registers.faults, 0u);
	}
}

/* Reserved types and BARs, a second instance, lengths that are larger than known: all in add_capabilities(). */
KTEST(driver, c4_1_4_1_capabilities_are_read_as_they_should_be)
{
	struct virtio_device *dev = plug(t, MODERN, 0);

	REQUIRE(t, dev);
	EXPECT(t, up(&registers));
	EXPECT_EQ(t, registers.faults, 0u); /* nothing at the decoy, nothing written to a capability */
}

KTEST(driver, c4_1_4_3_2_a_reset_is_waited_for)
{
	begin(t, MODERN);
	registers.slow_reset = 5;
	registers.status = 0x0f; /* of somebody before us */
	REQUIRE(t, plug_modern(t, 0x10451af4, 0x1000));
	EXPECT(t, up(&registers));
	EXPECT_EQ(t, registers.resetting, 0u);
	EXPECT_EQ(t, registers.faults, 0u);
}

/* ---- interrupts ---- */

static bool fire(unsigned int vector)
{
	const uint32_t *entry = msix_table + 4 * vector;

	return host_interrupt((uint64_t)entry[1] << 32 | entry[0], entry[2]);
}

KTEST(driver, c4_1_4_5_2_the_isr_is_not_read_with_msix)
{
	struct virtio_device *dev = plug(t, MODERN, 3);

	REQUIRE(t, dev);
	EXPECT(t, up(&registers));
	for (unsigned int queue = 0; queue < 3; queue++)
		EXPECT(t, fire(registers.queues[queue].vector));
	EXPECT(t, fire(registers.config_vector));
	EXPECT_EQ(t, load_relaxed(&dev->interrupts), 3u);
	EXPECT_EQ(t, load_relaxed(&dev->config_interrupts), 1u);
	EXPECT_EQ(t, registers.isr_reads, 0u);
	EXPECT_EQ(t, registers.faults, 0u);
}

KTEST(driver, c4_1_5_4_2_one_interrupt_may_mean_both)
{
	struct virtio_device *dev = plug(t, MODERN, 0);

	REQUIRE(t, dev);
	EXPECT(t, up(&registers));
	store_relaxed(&registers.causes, 3);
	EXPECT(t, host_line(LINE));
	EXPECT_EQ(t, load_relaxed(&dev->interrupts), 1u);
	EXPECT_EQ(t, load_relaxed(&dev->config_interrupts), 1u);
	EXPECT(t, !host_line(LINE)); /* read, and so taken down: another device's */
	EXPECT_EQ(t, load_relaxed(&dev->interrupts), 1u);
}

/* One vector is too few for us: INTx. Vectors beyond the table are never named. */
KTEST(driver, c4_1_5_1_2_2_any_size_of_the_msix_table_will_do)
{
	static const unsigned int sizes[] = {0, 1, 2, 3, 17, 0x800};

	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		struct virtio_device *dev = plug(t, MODERN, sizes[i]);

		REQUIRE(t, dev);
		EXPECT(t, up(&registers));
		EXPECT_EQ(t, registers.config_vector != 0xffff, sizes[i] >= 2);
		EXPECT_EQ(t, registers.queues[0].vector != 0xffff, sizes[i] >= 2);
		EXPECT_EQ(t, registers.faults, 0u);
	}
}

/* The register reads NO_VECTOR: it is seen, and INTx is used. */
KTEST(driver, c4_1_5_1_2_2_a_vector_that_was_not_mapped_is_noticed)
{
	struct virtio_device *dev;

	begin(t, MODERN);
	registers.nr_vectors = 3;
	registers.vectors_fail = true;
	dev = plug_modern(t, 0x10451af4, 0x1000);
	REQUIRE(t, dev);
	EXPECT(t, up(&registers));
	store_relaxed(&registers.causes, 1);
	EXPECT(t, host_line(LINE));
	EXPECT_EQ(t, load_relaxed(&dev->interrupts), 1u);
	EXPECT_EQ(t, host_vectors_in_use(), 0u);
}

/* ---- notifications ---- */

KTEST(driver, c4_1_5_2_1_the_devices_own_data_is_used_in_notifications)
{
	for (unsigned int i = 0; i < 2; i++) {
		struct virtio_device *dev;

		begin(t, MODERN | BIT(VIRTIO_F_NOTIF_CONFIG_DATA));
		dev = plug_modern(t, 0x10451af4, i ? 56 : 0x1000); /* without the register it is declined */
		REQUIRE(t, dev);
		EXPECT(t, up(&registers));
		EXPECT_EQ(t, virtio_has_feature(dev, VIRTIO_F_NOTIF_CONFIG_DATA), !i);
		EXPECT(t, registers.notifications > 0);
		EXPECT_EQ(t, registers.faults, 0u);
	}
}

/* ---- the legacy interface ---- */

static uint32_t legacy_read(void *context UNUSED, uint64_t offset, unsigned int bytes)
{
	uint32_t value = 0;

	spin_lock(&registers.lock);
	if (offset == 0 && bytes == 4)
		value = (uint32_t)registers.offers;
	else if (offset == 12 && bytes == 2)
		value = registers.queue_select < 3 ? registers.most_descriptors : 0;
	else if (offset == 18 && bytes == 1)
		value = register_get_status(&registers);
	else if (offset == 19 && bytes == 1)
		value = registers.causes;
	else if (offset >= 20)
		value = register_config_read(&registers, offset - 20, bytes);
	else
		register_fault(&registers, "4.1.4.10: a read that is no field's");
	spin_unlock(&registers.lock);
	return value;
}

static void legacy_write(void *context UNUSED, uint64_t offset, unsigned int bytes, uint32_t value)
{
	spin_lock(&registers.lock);
	if (offset == 4 && bytes == 4) {
		registers.select[1] = 0;
		register_accept_word(&registers, value);
	} else if (offset == 8 && bytes == 4) {
		registers.queues[registers.queue_select].addresses[0] = value;
		registers.queues[registers.queue_select].enabled = true;
	} else if (offset == 14 && bytes == 2) {
		registers.queue_select = value;
	} else if (offset == 16 && bytes == 2) {
		register_notified(&registers, value);
	} else if (offset == 18 && bytes == 1) {
		register_set_status(&registers, (uint8_t)value);
	} else if (offset >= 20) {
		register_config_write(&registers, offset - 20, bytes, value);
	} else {
		register_fault(&registers, "4.1.4.10: a write that is no field's");
	}
	spin_unlock(&registers.lock);
}

static struct virtio_device *plug_legacy(struct ktest *t, uint64_t offers)
{
	begin(t, offers);
	registers.registers = (struct host_registers){legacy_read, legacy_write, NULL};
	pci_script_add(&script, -1, 3, 0, 0x10021af4);
	pci_script_poke(&script, 0, PCI_SUBSYSTEM, 4, 0x00051af4);
	pci_script_bar(&script, 0, 0, 64, 1, PORTS);
	host_ports_add(PORTS, 64, &registers.registers);
	return scan_and_probe(t);
}

/* 4.1.5.1.1.1: no virtio capability, so it is a legacy device, whose registers are in BAR 0. */
KTEST(driver, c4_1_5_1_1_1_c3_1_2_a_device_without_capabilities_is_a_legacy_one)
{
	static const uint8_t steps[] = {0x00, 0x01, 0x03, 0x07}; /* without FEATURES_OK */
	struct virtio_device *dev = plug_legacy(t, BIT(1));

	REQUIRE(t, dev);
	EXPECT(t, dev->legacy);
	EXPECT(t, EVENTUALLY(load_acquire(&registers.config[1]) == 0));
	EXPECT_EQ(t, registers.nr_status, ARRAY_SIZE(steps));
	for (size_t i = 0; i < ARRAY_SIZE(steps); i++)
		EXPECT_EQ(t, registers.status_log[i], steps[i]);
	EXPECT_EQ(t, registers.faults, 0u); /* `actual` too: in one piece (5.5.6.2.1), behind the ISR byte (4.1.4.10) */
}

KTEST(driver, c6_3_any_layout_is_accepted_and_bit_30_is_not)
{
	struct virtio_device *dev = plug_legacy(t, BIT(1) | BIT(27) | BIT(30) | BIT(24));

	REQUIRE(t, dev);
	EXPECT_EQ(t, registers.accepted, BIT(1) | BIT(27));
}

/* 2.7.2: the size is the device's, the used ring begins on a page of its own. */
KTEST(driver, c2_7_2_the_layout_of_a_legacy_queue)
{
	struct virtio_device *dev = plug_legacy(t, BIT(1));

	REQUIRE(t, dev);
	for (unsigned int i = 0; i < 3; i++) {
		struct virtqueue_addresses at = virtqueue_addresses(dev->queues[i]);

		EXPECT_EQ(t, virtqueue_size(dev->queues[i]), registers.most_descriptors);
		EXPECT_EQ(t, registers.queues[i].addresses[0], at.descriptors / 4096);
		EXPECT_EQ(t, at.descriptors % 4096, 0u);
		EXPECT_EQ(t, at.driver - at.descriptors, 16u * registers.most_descriptors);
		EXPECT_EQ(t, at.device % 4096, 0u);
	}
}
