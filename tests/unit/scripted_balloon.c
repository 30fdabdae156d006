/*
 * See scripted_balloon.h. All device work is done in the driver's notification, under the device's lock.
 */
#include "tests/unit/scripted_balloon.h"

#include "kernel/memory.h"
#include "kernel/thread.h"
#include "kernel/time.h"
#include "lib/atomic.h"
#include "lib/bitmap.h"
#include "lib/string.h"
#include "mm/page.h"

#define MOST_PAGES (1ull << 24) /* 64 GiB */

/* Feature bits, 5.5.3, written down again: a test shares no constant with what it tests. */
#define F_STATS	 1u
#define F_HINT	 3u
#define F_POISON 4u
#define F_REPORT 5u
#define F_SG	 55u

enum kind { KIND_INFLATE, KIND_DEFLATE, KIND_STATS, KIND_HINT, KIND_REPORT, KIND_NONE };

static struct scripted_balloon *device_of(struct virtio_device *dev)
{
	return container_of(dev, struct scripted_balloon, dev);
}

static void fault(struct scripted_balloon *device, const char *what)
{
	if (device->faults++ < 5)
		ktest_note(device->t, "scripted balloon: the driver broke a rule: %s", what);
}

/* 5.5.2: which queue this is, given what is offered. */
static enum kind kind_of(const struct scripted_balloon *device, unsigned int index)
{
	unsigned int next = 2;

	if (index < next)
		return index ? KIND_DEFLATE : KIND_INFLATE;
	if (device->offers & BIT(F_STATS) && index == next++)
		return KIND_STATS;
	if (device->offers & BIT(F_HINT) && index == next++)
		return KIND_HINT;
	if (device->offers & BIT(F_REPORT) && index == next++)
		return KIND_REPORT;
	return KIND_NONE;
}

/* ---- what a buffer means ---- */

/* A page goes into the balloon or comes out of it. */
static void take_page(struct scripted_balloon *device, uint64_t pfn, bool inflate)
{
	if (pfn >= MOST_PAGES)
		fault(device, "a page number beyond all memory");
	else if (bitmap_test(device->inflated, pfn) == inflate)
		fault(device, inflate ? "a page inflated twice" : "a page deflated that was not inflated");
	else if (inflate)
		bitmap_set(device->inflated, pfn);
	else
		bitmap_clear(device->inflated, pfn);
}

static void took_pages(struct scripted_balloon *device, uint64_t pages, bool inflate)
{
	store_relaxed(&device->inflated_pages, device->inflated_pages + (inflate ? pages : -pages));
	store_relaxed(&device->inflated_ever, device->inflated_ever + (inflate ? pages : 0));
	device->biggest_buffer_pages = MAX(device->biggest_buffer_pages, pages);
}

static void take_numbers(struct scripted_balloon *device, const struct ring_element *element, bool inflate)
{
	uint64_t pages = 0;

	if (element->writable || element->readable != 1 || element->buffers[0].bytes % 4) {
		fault(device, "5.5.6.1: a buffer of page numbers is one readable array");
		return;
	}
	const uint32_t *pfns = phys_to_virt(element->buffers[0].address);
	for (uint32_t i = 0; i < element->buffers[0].bytes / 4; i++, pages++)
		take_page(device, pfns[i], inflate);
	took_pages(device, pages, inflate);
}

/* As a host that takes memory away: past the sanitizer, which would complain about free pages (the file is exempt). */
static void drop(uint64_t address)
{
	volatile uint8_t *bytes = phys_to_virt(address);

	for (unsigned int at = 0; at < 64; at++)
		bytes[at] = 0xdd;
}

/* F_SG: runs of pages, writable when they are inflated, readable when they are deflated. */
static void take_runs(struct scripted_balloon *device, const struct ring_element *element, bool inflate)
{
	uint64_t pages = 0;

	if (inflate ? element->readable : element->writable)
		fault(device, "F_SG: runs are writable on the inflate queue, readable on the deflate queue");
	for (unsigned int i = 0; i < element->readable + element->writable; i++) {
		const struct virtqueue_buffer *run = &element->buffers[i];

		if (run->address % PAGE_SIZE || run->bytes % PAGE_SIZE)
			fault(device, "F_SG: a run that is no whole pages");
		for (uint64_t at = 0; at < run->bytes / PAGE_SIZE; at++, pages++)
			take_page(device, run->address / PAGE_SIZE + at, inflate);
		if (inflate) /* dropped by the host */
			drop(run->address);
	}
	device->runs += element->readable + element->writable;
	took_pages(device, pages, inflate);
}

static bool is_poisoned(const struct scripted_balloon *device, uint64_t address)
{
	const uint32_t *words = phys_to_virt(address);

	return words[0] == device->poison && words[PAGE_SIZE / sizeof(*words) - 1] == device->poison;
}

static void take_report(struct scripted_balloon *device, const struct ring_element *element)
{
	uint64_t pages = 0;

	if (element->readable)
		fault(device, "5.5.6.7: reported pages are device-writable");
	for (unsigned int i = 0; i < element->writable; i++) {
		const struct virtqueue_buffer *buffer = &element->buffers[i];

		if (buffer->address % PAGE_SIZE || buffer->bytes % PAGE_SIZE)
			fault(device, "a report that is no whole pages");
		/* Dropped by the host: what it reads now is not what was there. With PAGE_POISON it keeps that. */
		for (uint64_t at = 0; at < buffer->bytes; at += PAGE_SIZE)
			if (!(device->accepted & BIT(F_POISON)))
				drop(buffer->address + at);
			else if (!is_poisoned(device, buffer->address + at))
				fault(device, "5.5.6.7.1: a reported page does not hold the poison");
		pages += buffer->bytes / PAGE_SIZE;
	}
	store_relaxed(&device->reported_pages, device->reported_pages + pages);
	device->biggest_buffer_pages = MAX(device->biggest_buffer_pages, pages);
}

/* 5.5.6.5: an id, or a block of free pages. What is free may be lost. */
static void take_hint(struct scripted_balloon *device, const struct ring_element *element)
{
	const struct virtqueue_buffer *buffer = &element->buffers[0];

	if (element->readable + element->writable != 1 || (element->readable && buffer->bytes != 4)) {
		fault(device, "5.5.6.5: a hint is an id of 4 bytes or one block");
	} else if (element->readable) {
		if (device->nr_hint_ids < ARRAY_SIZE(device->hint_ids))
			memcpy(&device->hint_ids[device->nr_hint_ids], phys_to_virt(buffer->address), 4);
		store_release(&device->nr_hint_ids, device->nr_hint_ids + 1);
	} else {
		drop(buffer->address);
		if (device->nr_hinted < ARRAY_SIZE(device->hinted))
			device->hinted[device->nr_hinted++] = buffer->address / PAGE_SIZE;
		store_relaxed(&device->hinted_pages, device->hinted_pages + buffer->bytes / PAGE_SIZE);
	}
}

static void take_stats(struct scripted_balloon *device, const struct ring_element *element)
{
	if (device->has_stats)
		fault(device, "5.5.6.3: more than one statistics buffer");
	if (element->writable || element->readable != 1 || element->buffers[0].bytes % 10 ||
	    element->buffers[0].bytes > SCRIPTED_STATS_MAX) {
		fault(device, "5.5.6.3: statistics are one readable array of 10-byte entries");
		return;
	}
	device->stats_bytes = element->buffers[0].bytes;
	memcpy(device->stats, phys_to_virt(element->buffers[0].address), device->stats_bytes);
	memcpy(&device->stats_element, element, offsetof(struct ring_element, buffers) + sizeof(element->buffers[0]));
	device->has_stats = true;
	store_release(&device->stats_buffers, device->stats_buffers + 1);
}

static void handle(struct scripted_balloon *device, enum kind kind, const struct ring_element *element)
{
	if (!(load_relaxed(&device->status) & VIRTIO_STATUS_DRIVER_OK))
		fault(device, "3.1.1: a buffer before DRIVER_OK");
	if ((kind == KIND_INFLATE || kind == KIND_DEFLATE) && device->accepted & BIT(F_SG))
		take_runs(device, element, kind == KIND_INFLATE);
	else if (kind == KIND_INFLATE || kind == KIND_DEFLATE)
		take_numbers(device, element, kind == KIND_INFLATE);
	else if (kind == KIND_STATS)
		take_stats(device, element);
	else if (kind == KIND_REPORT)
		take_report(device, element);
	else if (kind == KIND_HINT && (device->accepted & BIT(F_HINT)))
		take_hint(device, element);
	else
		fault(device, "a buffer on a queue that was not negotiated");
}

/* ---- answering ---- */

static bool push(struct scripted_balloon *device, unsigned int index, const struct ring_element *element)
{
	static struct ring_element lie;

	if (!device->lies)
		return ring_device_push(&device->rings[index], element, 0);
	lie.id = element->id + 1;
	lie.descriptors = element->descriptors;
	return ring_device_push(&device->rings[index], &lie, 0);
}

static bool hold_or_push(struct scripted_balloon *device, unsigned int index, const struct ring_element *element)
{
	if (device->silent)
		return false;
	if (!device->hold_back)
		return push(device, index, element);
	memcpy(&device->held[device->nr_held], element, offsetof(struct ring_element, buffers));
	device->held_queue[device->nr_held++] = index;
	return false;
}

static bool push_held(struct scripted_balloon *device)
{
	bool interrupt = false;

	for (unsigned int i = 0; i < device->nr_held; i++)
		interrupt |= push(device, device->held_queue[i], &device->held[i]);
	device->nr_held = 0;
	return interrupt;
}

static void notify(struct virtio_device *dev, unsigned int index)
{
	struct scripted_balloon *device = device_of(dev);
	enum kind kind = kind_of(device, index);
	bool interrupt = false;

	spin_lock(&device->lock);
	if (!(load_relaxed(&device->status) & VIRTIO_STATUS_DRIVER_OK))
		fault(device, "3.1.1: a notification before DRIVER_OK");
	while (device->ready[index] && ring_device_pop(&device->rings[index], &device->element)) {
		handle(device, kind, &device->element);
		if (device->turns_round && kind == KIND_INFLATE) {
			/* The host changes its mind while the driver is about to send more. */
			store_release(&device->num_pages, 0);
			dev->driver->config_changed(dev);
		}
		if (kind != KIND_STATS)
			interrupt |= hold_or_push(device, index, &device->element);
	}
	if (device->hold_back && device->nr_held >= device->hold_back)
		interrupt |= push_held(device);
	spin_unlock(&device->lock);
	if (interrupt && !device->skips_interrupts && !device->no_interrupts)
		virtio_queue_interrupt(dev);
}

void scripted_balloon_hold_back(struct scripted_balloon *device, uint32_t count)
{
	spin_lock(&device->lock);
	device->hold_back = count;
	spin_unlock(&device->lock);
}

void scripted_balloon_lie(struct scripted_balloon *device)
{
	spin_lock(&device->lock);
	device->lies = true;
	spin_unlock(&device->lock);
}

void scripted_balloon_fall_silent(struct scripted_balloon *device, bool silent, bool stuck_in_reset)
{
	spin_lock(&device->lock);
	device->silent = silent;
	device->stuck_in_reset = stuck_in_reset;
	spin_unlock(&device->lock);
}

void scripted_balloon_answer(struct scripted_balloon *device)
{
	bool interrupt;

	spin_lock(&device->lock);
	interrupt = push_held(device);
	spin_unlock(&device->lock);
	if (interrupt)
		virtio_queue_interrupt(&device->dev);
}

/* ---- the transport ---- */

static uint8_t get_status(struct virtio_device *dev)
{
	return load_relaxed(&device_of(dev)->forgets_status) ? 0 : load_relaxed(&device_of(dev)->status);
}

/* 2.1.1: bits are added, and none behind FAILED, until a reset. */
static void check_status(struct scripted_balloon *device, uint8_t status)
{
	uint8_t before = load_relaxed(&device->status);

	if (status && before & ~status)
		fault(device, "2.1.1: a status bit cleared");
	if (status && before & VIRTIO_STATUS_FAILED && status != before)
		fault(device, "2.1.1: going on after FAILED without a reset");
}

static void set_status(struct virtio_device *dev, uint8_t status)
{
	struct scripted_balloon *device = device_of(dev);

	spin_lock(&device->lock);
	check_status(device, status);
	if (device->nr_status < SCRIPTED_STATUS_LOG)
		device->status_log[device->nr_status++] = status;
	if (device->refuses_features)
		status &= ~VIRTIO_STATUS_FEATURES_OK;
	if (!device->stuck_in_reset || status)
		store_relaxed(&device->status, status);
	if (!status) {
		memset(device->ready, 0, sizeof(device->ready));
		memset(device->inflated, 0, MOST_PAGES / 8);
		device->inflated_pages = device->nr_held = 0;
		device->has_stats = false;
		device->resets++;
	}
	spin_unlock(&device->lock);
}

static uint64_t get_features(struct virtio_device *dev)
{
	return device_of(dev)->offers;
}

static void set_features(struct virtio_device *dev, uint64_t features)
{
	struct scripted_balloon *device = device_of(dev);

	device->accepted = features;
	if (features & ~device->offers)
		fault(device, "2.2: a feature that was not offered");
	if (load_relaxed(&device->status) & (VIRTIO_STATUS_FEATURES_OK | VIRTIO_STATUS_DRIVER_OK))
		fault(device, "3.1.1: features after FEATURES_OK");
}

static uint32_t config_generation(struct virtio_device *dev)
{
	struct scripted_balloon *device = device_of(dev);

	return device->config_keeps_changing ? atomic_fetch_add(&device->generation, 1)
					     : load_relaxed(&device->generation);
}

static int read_config(struct virtio_device *dev, unsigned int offset, void *to, unsigned int bytes)
{
	struct scripted_balloon *device = device_of(dev);
	uint32_t value = offset == 0 ? load_acquire(&device->num_pages) : load_relaxed(&device->actual);

	memset(to, 0, bytes);
	if ((offset == 8 && !(device->offers & BIT(F_HINT))) || (offset == 12 && !(device->offers & BIT(F_POISON))))
		fault(device, "2.5.1: a field that is there only with a feature");
	if ((offset == 12 || offset == 8) && bytes == 4) {
		value = load_acquire(offset == 8 ? &device->hint_command : &device->poison);
		memcpy(to, &value, bytes);
		return 0;
	}
	if (offset > 4 || bytes != 4)
		return -EINVAL;
	memcpy(to, &value, bytes);
	return 0;
}

static int write_config(struct virtio_device *dev, unsigned int offset, const void *from, unsigned int bytes)
{
	struct scripted_balloon *device = device_of(dev);
	uint32_t value;

	if (!(load_relaxed(&device->status) & VIRTIO_STATUS_FEATURES_OK))
		fault(device, "3.1.1: the configuration is written before FEATURES_OK");
	if (offset == 12 && bytes == 4 && (device->accepted & BIT(F_POISON))) {
		if (load_relaxed(&device->status) & VIRTIO_STATUS_DRIVER_OK)
			fault(device, "5.5.6.6.1: poison_val changed after DRIVER_OK");
		memcpy(&device->poison, from, bytes);
		return 0;
	}
	if (offset != 4 || bytes != 4) {
		fault(device, "5.5.4: only `actual` is the driver's to write");
		return -EINVAL;
	}
	memcpy(&value, from, bytes);
	device->actual_writes++;
	store_release(&device->actual, value);
	return 0;
}

static unsigned int queue_size(struct virtio_device *dev, unsigned int index)
{
	struct scripted_balloon *device = device_of(dev);

	return kind_of(device, index) == KIND_NONE ? 0 : device->queue_size;
}

static const void *translate(uint64_t phys, void *context UNUSED)
{
	return phys_to_virt(phys);
}

static int queue_enable(struct virtio_device *dev, unsigned int index, struct virtqueue *vq)
{
	struct scripted_balloon *device = device_of(dev);
	struct virtqueue_addresses at = virtqueue_addresses(vq);

	if (load_relaxed(&device->status) & (VIRTIO_STATUS_DRIVER_OK | VIRTIO_STATUS_FAILED))
		fault(device, "3.1.1: a queue set up after DRIVER_OK or FAILED");
	ring_device_init(&device->rings[index], phys_to_virt(at.descriptors), at, virtqueue_size(vq),
			 device->accepted & BIT(VIRTIO_F_RING_PACKED), device->accepted & BIT(VIRTIO_F_EVENT_IDX));
	if (device->accepted & BIT(VIRTIO_F_INDIRECT_DESC))
		device->rings[index].translate = translate;
	device->ready[index] = true;
	return 0;
}

static int interrupts_enable(struct virtio_device *dev)
{
	return device_of(dev)->no_interrupts ? -ENODEV : 0;
}

static void interrupts_disable(struct virtio_device *dev UNUSED)
{
}

static const struct virtio_transport_ops transport = {
	.name = "scripted",
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

/* ---- the host ---- */

void scripted_balloon_set_target(struct scripted_balloon *device, uint32_t pages)
{
	store_release(&device->num_pages, pages);
	atomic_inc(&device->generation);
	if (!device->no_interrupts && !device->skips_interrupts)
		virtio_config_interrupt(&device->dev);
}

void scripted_balloon_command(struct scripted_balloon *device, uint32_t id)
{
	store_release(&device->hint_command, id);
	atomic_inc(&device->generation);
	virtio_config_interrupt(&device->dev);
}

bool scripted_balloon_reaches(struct scripted_balloon *device, uint32_t pages, uint64_t timeout_ns)
{
	uint64_t deadline = wait_deadline(timeout_ns);

	while (load_acquire(&device->actual) != pages) {
		if (time_ns() > deadline)
			return false;
		sleep_ns(NS_PER_MS / 5);
	}
	return true;
}

bool scripted_balloon_ask_stats(struct scripted_balloon *device)
{
	uint32_t before = load_acquire(&device->stats_buffers);
	uint64_t deadline = wait_deadline(20 * NS_PER_S);

	spin_lock(&device->lock);
	if (device->has_stats) /* as QEMU does: the bytes it read as bytes written */
		ring_device_push(&device->rings[2], &device->stats_element, device->stats_bytes);
	device->has_stats = false;
	spin_unlock(&device->lock);
	if (!device->no_interrupts)
		virtio_queue_interrupt(&device->dev);
	while (load_acquire(&device->stats_buffers) == before) {
		if (time_ns() > deadline)
			return false;
		sleep_ns(NS_PER_MS / 5);
	}
	return true;
}

uint64_t scripted_balloon_stat(const struct scripted_balloon *device, uint16_t tag)
{
	for (uint32_t at = 0; at + 10 <= device->stats_bytes; at += 10) {
		uint64_t value;

		if ((device->stats[at] | device->stats[at + 1] << 8) != tag)
			continue;
		memcpy(&value, &device->stats[at + 2], sizeof(value));
		return value;
	}
	return UINT64_MAX;
}

/* ---- life ---- */

static void unplug(void *argument)
{
	struct scripted_balloon *device = argument;

	if (device->dev.transport)
		virtio_unregister_device(&device->dev);
	kfree(device->inflated);
	kfree(device);
}

struct scripted_balloon *scripted_balloon(struct ktest *t, uint64_t features)
{
	struct scripted_balloon *device = kzalloc(sizeof(*device));

	if (device)
		device->inflated = kzalloc(MOST_PAGES / 8);
	if (!device || !device->inflated) {
		ktest_fail(t, __FILE__, __LINE__, "no memory for the scripted balloon");
		kfree(device);
		return NULL;
	}
	device->t = t;
	device->offers = features | BIT(VIRTIO_F_VERSION_1);
	device->queue_size = 128;
	device->actual = 12345; /* from before */
	spin_lock_init(&device->lock, "scripted_balloon");
	ktest_defer(t, unplug, device);
	return device;
}

void scripted_balloon_plug(struct scripted_balloon *device)
{
	device->dev.transport = &transport;
	device->dev.device_id = VIRTIO_ID_BALLOON;
	if (!device->dev.timeout_ns)
		device->dev.timeout_ns = 5 * NS_PER_S;
	EXPECT_OK(device->t, virtio_register_device(&device->dev));
}
