/*
 * The whole balloon driver, core, rings and all, in the hands of a device and a guest that do anything at any time.
 *
 * The input is a script. It begins with what the device is: features, queue sizes, interrupts or none, the driver's
 * parameters. Then a byte an action, with operands behind. The device takes buffers and answers them: rightly, twice,
 * out of order, with ids and lengths that are none; writes anything anywhere into the rings and tables; moves target,
 * command and generation, lies in registers, interrupts without cause or not at all, wants a reset and does not come
 * out of it. The guest runs out of memory, moves and shrinks, hints, probes again. The driver's worker runs in between.
 *
 * While the device is honest the driver must be right: no page is told that is not its own, none is freed that the
 * device still has. Always: balloon_check() and virtqueue_check(), and whatever the device did, once it has been reset
 * every page is free. All else is the sanitizers' business.
 */
#include <string.h>

#include "drivers/virtio/balloon_internal.h"
#include "kernel/thread.h"
#include "kernel/vfile.h"
#include "lib/atomic.h"
#include "lib/errno.h"
#include "tests/fuzz/world.h"
#include "tests/unit/ring_device.h"

#define QUEUES	   5u
#define MOST_HELD  24u
#define MOST_TAKEN 4u
#define OWN	   (BIT(0) | BIT(1) | BIT(2) | BIT(3) | BIT(4) | BIT(5) | BIT(55))

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);
extern const struct virtio_driver balloon_driver;
const struct virtio_driver *const virtio_drivers[] = {&balloon_driver, NULL};

/* ---- the script ---- */

static const uint8_t *at;
static size_t left;

static uint8_t next8(void)
{
	if (!left)
		return 0;
	left--;
	return *at++;
}

static uint16_t next16(void)
{
	uint16_t low = next8();

	return low | (uint16_t)next8() << 8;
}

/* ---- the device ---- */

struct held {
	unsigned int queue;
	struct ring_element element;
};

static struct device {
	struct virtio_device dev;
	uint64_t offers, accepted;
	uint16_t sizes[QUEUES];
	uint32_t num_pages, actual, command, poison, generation;
	uint8_t status, config_bytes;
	unsigned int moving_generation, lying_status; /* so many reads from now on */
	uint8_t moods; /* which kinds of malice it is capable of: without any it is never told from an honest one */
	bool no_interrupts, packed_wanted, refuses, stuck, was_stuck;
	bool ready[QUEUES],
		dirty[QUEUES]; /* dirty: it has written where it should not, and cannot be told from a liar */
	bool lied;
	struct ring_device rings[QUEUES];
	unsigned int nr_held;
	uint8_t has[WORLD_PAGES]; /* buffers with this page in it */
} device;
static struct held held[MOST_HELD];

static bool honest(void)
{
	bool good = !device.lied;

	for (unsigned int queue = 0; queue < QUEUES; queue++)
		good &= !device.dirty[queue];
	return good;
}

/* 5.5.2: 0 inflate, 1 deflate, then those that are offered: 2 statistics, 3 hints, 4 reports. */
static unsigned int kind_of(unsigned int queue)
{
	unsigned int next = 2;

	if (queue < 2)
		return queue;
	if (device.offers & BIT(1) && queue == next++)
		return 2;
	if (device.offers & BIT(3) && queue == next++)
		return 3;
	return device.offers & BIT(5) && queue == next ? 4 : QUEUES;
}

/* What is in the balloon, or taken to be hinted, is the driver's to tell of. Dropping loses what is in it. */
static void touch_page(uint64_t pfn, int count, bool drop)
{
	MUST(pfn < WORLD_PAGES);
	MUST(world.owner[pfn] == PAGE_OWNER_BALLOON || world.owner[pfn] == PAGE_OWNER_HINTED || count < 0);
	device.has[pfn] = (uint8_t)(device.has[pfn] + count);
	if (drop && count > 0)
		memset(phys_to_virt(pfn << PAGE_SHIFT), 0xdd, 64);
}

/* The pages of a buffer are with the device (+1), or not any more (-1). */
static void touch_pages(const struct held *buffer, int count)
{
	const struct ring_element *element = &buffer->element;
	unsigned int kind = kind_of(buffer->queue);
	bool numbers = kind < 2 && !(device.accepted & BIT(55));
	bool keeps = kind > 2 && device.accepted & BIT(4);

	if (!honest() || kind == 2 || (kind == 3 && element->readable))
		return;
	for (unsigned int i = 0; i < element->readable + element->writable && i < RING_ELEMENT_BUFFERS; i++) {
		const struct virtqueue_buffer *part = &element->buffers[i];
		const uint32_t *pfns = phys_to_virt(part->address);

		MUST(part->address + part->bytes <= WORLD_PAGES << PAGE_SHIFT);
		for (uint32_t n = 0; n < part->bytes / (numbers ? 4 : PAGE_SIZE); n++)
			touch_page(numbers ? pfns[n] : part->address / PAGE_SIZE + n, count, kind != 1 && !keeps);
	}
}

static const void *translate(uint64_t phys, void *context UNUSED)
{
	MUST(phys < WORLD_PAGES << PAGE_SHIFT);
	return phys_to_virt(phys);
}

static void take_one(unsigned int queue)
{
	struct held *buffer = &held[device.nr_held];

	if (!device.ready[queue] || device.dirty[queue] || device.nr_held == MOST_HELD ||
	    !ring_device_pop(&device.rings[queue], &buffer->element))
		return;
	MUST(device.status & VIRTIO_STATUS_DRIVER_OK);
	buffer->queue = queue;
	device.nr_held++;
	touch_pages(buffer, 1);
}

static void forget(unsigned int which)
{
	device.nr_held--;
	if (which != device.nr_held)
		memcpy(&held[which], &held[device.nr_held], sizeof(held[0]));
}

static void answer(unsigned int which, uint32_t bytes)
{
	bool interrupt;

	if (which >= device.nr_held || !device.ready[held[which].queue])
		return;
	touch_pages(&held[which], -1);
	interrupt = ring_device_push(&device.rings[held[which].queue], &held[which].element, bytes);
	if (interrupt && !device.no_interrupts)
		virtio_queue_interrupt(&device.dev);
	forget(which);
}

/* Another's id, one that is free, one that was used before, one beyond the end. */
static void answer_wrongly(void)
{
	unsigned int queue = next8() % QUEUES;
	static struct ring_element lie;

	if (!device.ready[queue] || !(device.moods & 1))
		return;
	lie.id = next16();
	lie.descriptors = 1 + next8() % 4;
	device.lied = device.dirty[queue] = true;
	if (lie.id & 0x100)
		lie.id %= 16;
	ring_device_push(&device.rings[queue], &lie, next16() * 0x10001u);
}

/* Anywhere in the memory of a queue: descriptors, both rings, tables. */
static void scribble(void)
{
	unsigned int queue = next8() % QUEUES, offset = next16(), length = 1 + next8() % 8;
	char *memory;

	if (!device.ready[queue] || !device.dev.queue_pages[queue] || !(device.moods & 2))
		return;
	memory = phys_to_virt(page_to_pfn(device.dev.queue_pages[queue]) << PAGE_SHIFT);
	device.dirty[queue] = true;
	while (length--)
		memory[offset++ % (PAGE_SIZE << device.dev.queue_orders[queue])] = (char)next8();
}

static void write_used_index(void)
{
	unsigned int queue = next8() % QUEUES;

	if (!device.ready[queue] || device.rings[queue].packed || !(device.moods & 4))
		return;
	device.dirty[queue] = true;
	ring_device_write_used(&device.rings[queue], next8(), next8(), next16());
	ring_device_write_used_index(&device.rings[queue], (uint16_t)(device.rings[queue].next_used + next8()));
}

static void registers(void)
{
	switch (next8() % 8) {
	case 0:
		device.num_pages = next16();
		break;
	case 1:
		device.num_pages = next8() * 0x01010101u;
		break;
	case 2:
		device.command = next8() % 6;
		break;
	case 3:
		device.moving_generation = next8();
		break;
	case 4:
		device.lying_status = device.moods & 8 ? next8() % 4 : 0;
		break;
	case 5:
		device.status |= device.moods & 8 ? VIRTIO_STATUS_NEEDS_RESET : 0;
		break;
	case 6:
		device.stuck = device.moods & 16 && next8() & 1;
		break;
	default:
		device.actual = next16();
		device.poison = next8() % 2 ? device.poison : next16();
	}
	device.generation++;
}

/* What a device may do at any time, whoever runs. */
static void act(void)
{
	switch (next8() % 12) {
	case 0:
	case 1:
		take_one(next8() % QUEUES);
		break;
	case 2:
		for (unsigned int queue = 0; queue < QUEUES; queue++)
			take_one(queue);
		break;
	case 3:
	case 4:
		answer(next8() % MOST_HELD, next8() % 2 ? 0 : next16() * 0x10001u);
		break;
	case 5:
		while (device.nr_held)
			answer(0, 0);
		break;
	case 6:
		answer_wrongly();
		break;
	case 7:
		scribble();
		break;
	case 8:
		write_used_index();
		break;
	case 9:
		registers();
		break;
	case 10:
		virtio_queue_interrupt(&device.dev);
		break;
	default:
		virtio_config_interrupt(&device.dev);
	}
}

static void steer(void)
{
	if (left && next8() & 1)
		act();
}

/* ---- the transport ---- */

static uint8_t get_status(struct virtio_device *dev UNUSED)
{
	uint8_t lie;

	if (!device.lying_status)
		return device.status;
	device.lying_status--;
	lie = next8();
	/* "I am reset": with its fingers in the pages still. Nobody can know. */
	device.lied |= !lie && device.status;
	return lie;
}

static void let_go(void)
{
	memset(device.ready, 0, sizeof(device.ready));
	memset(device.dirty, 0, sizeof(device.dirty));
	memset(device.has, 0, sizeof(device.has));
	device.lied = false;
	device.nr_held = 0;
}

static void set_status(struct virtio_device *dev UNUSED, uint8_t status)
{
	if (!status && device.stuck) {
		device.was_stuck = true;
		device.status |= VIRTIO_STATUS_ACKNOWLEDGE;
		return;
	}
	device.status = device.refuses ? status & ~VIRTIO_STATUS_FEATURES_OK : status;
	if (!status)
		let_go();
}

static uint64_t get_features(struct virtio_device *dev UNUSED)
{
	return device.offers;
}

static void set_features(struct virtio_device *dev UNUSED, uint64_t features)
{
	MUST(!(features & ~device.offers));
	device.accepted = features;
}

static uint32_t config_generation(struct virtio_device *dev UNUSED)
{
	if (device.moving_generation) {
		device.moving_generation--;
		device.num_pages += left & 1;
		return device.generation++;
	}
	return device.generation;
}

static int config(unsigned int offset, void *to, const void *from, unsigned int bytes)
{
	uint32_t *const fields[] = {&device.num_pages, &device.actual, &device.command, &device.poison};

	MUST(bytes == 4 && offset % 4 == 0 && offset < 16);
	if (offset + bytes > device.config_bytes) {
		if (to)
			memset(to, 0, bytes);
		return -EINVAL;
	}
	memcpy(to ? to : fields[offset / 4], to ? fields[offset / 4] : from, bytes);
	return 0;
}

static int read_config(struct virtio_device *dev UNUSED, unsigned int offset, void *to, unsigned int bytes)
{
	steer();
	return config(offset, to, NULL, bytes);
}

static int write_config(struct virtio_device *dev UNUSED, unsigned int offset, const void *from, unsigned int bytes)
{
	MUST(offset == 4 || (offset == 12 && !(device.status & VIRTIO_STATUS_DRIVER_OK)) || device.was_stuck);
	return config(offset, NULL, from, bytes);
}

static unsigned int queue_size(struct virtio_device *dev UNUSED, unsigned int queue)
{
	return queue < QUEUES && kind_of(queue) < QUEUES ? device.sizes[queue] : 0;
}

static int queue_enable(struct virtio_device *dev UNUSED, unsigned int queue, struct virtqueue *vq)
{
	struct virtqueue_addresses parts = virtqueue_addresses(vq);

	ring_device_init(&device.rings[queue], phys_to_virt(parts.descriptors), parts, virtqueue_size(vq),
			 device.accepted & BIT(VIRTIO_F_RING_PACKED), device.accepted & BIT(VIRTIO_F_EVENT_IDX));
	if (device.accepted & BIT(VIRTIO_F_INDIRECT_DESC))
		device.rings[queue].translate = translate;
	device.ready[queue] = true;
	return 0;
}

static void notify(struct virtio_device *dev UNUSED, unsigned int queue UNUSED)
{
	steer();
	steer();
}

static int interrupts_enable(struct virtio_device *dev UNUSED)
{
	return device.no_interrupts ? -ENODEV : 0;
}

static void interrupts_disable(struct virtio_device *dev UNUSED)
{
}

static const struct virtio_transport_ops transport = {
	.name = "fuzz",
	.get_status = get_status,
	.set_status = set_status,
	.get_features = get_features,
	.set_features = set_features,
	.config_generation = config_generation,
	.read_config = read_config,
	.write_config = write_config,
	.queue_size = queue_size,
	.queue_enable = queue_enable,
	.notify = notify,
	.interrupts_enable = interrupts_enable,
	.interrupts_disable = interrupts_disable,
};

bool virtio_wants_packed(void)
{
	return device.packed_wanted;
}

bool virtio_wants_poll(void)
{
	return false;
}

bool virtio_wants_checked(void)
{
	return true;
}

/* ---- the guest ---- */

static struct vfile_choice *method;
static struct vfile_int *reserve, *poison;
static struct page *isolated[MOST_TAKEN];
static uint64_t lost_pages;

int vfile_add_choice(const char *path UNUSED, struct vfile_choice *choice)
{
	method = choice;
	return 0;
}

int vfile_add_int(const char *path, struct vfile_int *setting)
{
	*(strstr(path, "reserve") ? &reserve : &poison) = setting;
	return 0;
}

/* 5.5.6.1: what the device has not answered stays where it is. */
static void freeing(uint64_t pfn, unsigned int order)
{
	bool good = honest();

	for (uint64_t i = pfn; good && i < pfn + (1ull << order); i++)
		MUST(!device.has[i]);
}

static void isolate(void)
{
	struct page **slot = &isolated[next8() % MOST_TAKEN], *page;
	uint64_t pfn = next16() % WORLD_PAGES;

	page = pfn_to_page(ALIGN_DOWN(pfn, 1ull << world.order[pfn]));
	if (!*slot && page_owner(page) == PAGE_OWNER_BALLOON && world.movable->isolate(page))
		*slot = page;
}

static void put_back(unsigned int which)
{
	if (isolated[which])
		world.movable->put_back(isolated[which]);
	isolated[which] = NULL;
}

static void migrate(void)
{
	struct page **slot = &isolated[next8() % MOST_TAKEN], *to;

	if (!*slot)
		return;
	to = alloc_pages(GFP_OWNER(PAGE_OWNER_BALLOON), page_order(*slot));
	if (!to)
		return;
	if (world.movable->migrate(*slot, to) == 0) {
		free_pages(*slot, page_order(*slot));
		*slot = NULL;
	} else {
		free_pages(to, page_order(to));
	}
}

static void hint(void)
{
	struct page_hinting_block blocks[4];
	unsigned int count = 0, wanted = 1 + next8() % 4;
	int result = -EIO;

	for (; count < wanted && world.hinting; count++) {
		struct page *page = alloc_pages(GFP_OWNER(PAGE_OWNER_HINTED), next8() % 2 ? 9 : 0);

		if (!page)
			break;
		blocks[count] = (struct page_hinting_block){page_to_pfn(page), page_order(page)};
	}
	if (count && count <= world.hinting->max_pages && !world.hinting->prepare(world.hinting)) {
		world.in_hinting = true;
		result = world.hinting->hint_pages(world.hinting, blocks, count);
		world.in_hinting = false;
	}
	for (unsigned int i = 0; i < count; i++)
		if (result != -EBUSY)
			free_pages(pfn_to_page(blocks[i].pfn), blocks[i].order);
		else
			lost_pages += 1ull << blocks[i].order;
}

static void put_all_back(void)
{
	for (unsigned int i = 0; i < MOST_TAKEN; i++)
		put_back(i);
}

static void step(void)
{
	switch (next8() % 16) {
	case 0:
		if (world.oom)
			world.oom->give(world.oom, next8());
		break;
	case 1:
		if (world.shrinker && world.shrinker->count(world.shrinker))
			world.shrinker->scan(world.shrinker, next8());
		break;
	case 2:
		isolate();
		break;
	case 3:
		migrate();
		break;
	case 4:
		put_back(next8() % MOST_TAKEN);
		break;
	case 5:
		hint();
		break;
	case 6:
		world.fail_allocations = next8() % 8;
		break;
	case 7:
		world.now_ns += next16() * NS_PER_MS / 16;
		break;
	case 8:
		if (next8() % 4)
			break;
		put_all_back();
		(void)!virtio_reprobe(&device.dev);
		break;
	case 9:
		world_run_work();
		break;
	case 10:
	case 11:
		world_run_worker();
		break;
	default:
		act();
	}
}

static void check(void)
{
	MUST(balloon_check() == 0);
	for (unsigned int queue = 0; queue < device.dev.nr_queues; queue++)
		MUST(!device.dev.queues[queue] || virtqueue_check(device.dev.queues[queue]) == 0);
}

static void describe(void)
{
	static const uint16_t sizes[] = {128, 64, 32, 16, 8, 4, 2, 1, 1024, 48, 7, 0, 33000};
	uint8_t shape = next8(), ring = next8();

	memset(&device, 0, offsetof(struct device, has));
	memset(device.has, 0, sizeof(device.has));
	device.offers = (next8() & 0x3f) | (shape & 1 ? BIT(55) : 0) | (ring & 1 ? BIT(VIRTIO_F_EVENT_IDX) : 0) |
			(ring & 2 ? BIT(VIRTIO_F_INDIRECT_DESC) : 0) | (ring & 4 ? BIT(VIRTIO_F_RING_PACKED) : 0) |
			(ring == 0xff ? 0 : BIT(VIRTIO_F_VERSION_1)) | (ring & 8 ? BIT(40) | BIT(38) | BIT(35) : 0);
	device.packed_wanted = !(ring & 16);
	device.moods = next8();
	device.no_interrupts = shape & 2;
	device.refuses = shape == 0xfe;
	device.config_bytes = shape & 4 ? 8 + next8() % 9 : 16;
	for (unsigned int queue = 0; queue < QUEUES; queue++)
		device.sizes[queue] = shape & 8 ? sizes[next8() % ARRAY_SIZE(sizes)] : 16;
	device.num_pages = shape & 16 ? next16() : 0;
	method->chosen = shape >> 5 & 3;
	reserve->value = 0;
	poison->value = (ring & 0xe0) == 0xe0 ? next8() % 3 : -1; /* seldom: filling takes long */
	device.dev.timeout_ns = 5 * NS_PER_MS;
	device.dev.transport = &transport;
	device.dev.device_id = VIRTIO_ID_BALLOON;
}

/* A device that is reset at last: then every page is the guest's again, but for those lost while it could not be. */
static void end(void)
{
	put_all_back();
	device.stuck = false;
	device.lying_status = 0;
	virtio_unregister_device(&device.dev);
	MUST(device.was_stuck || world.free_pages + lost_pages == WORLD_PAGES - 1);
	MUST(device.was_stuck || !lost_pages);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	if (!host_arena) {
		world_init();
		MUST(balloon_init() == 0);
	}
	world.steer = steer;
	world.freeing = freeing;
	world_reset();
	at = data;
	left = bytes;
	lost_pages = 0;
	describe();
	MUST(virtio_register_device(&device.dev) == 0);
	for (unsigned int steps = 1; left; steps++) {
		step();
		if (steps % 8 == 0 || !left)
			check();
	}
	end();
	return 0;
}
