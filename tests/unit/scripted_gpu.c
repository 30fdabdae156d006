/*
 * See scripted_gpu.h. All work is done in the driver's notification, under the device's lock. Constants are written
 * down again from the clauses: a test shares none with what it tests.
 */
#include "tests/unit/scripted_gpu.h"

#include "kernel/memory.h"
#include "kernel/time.h"
#include "lib/atomic.h"
#include "lib/string.h"

#include <arch/page.h>

static struct scripted_gpu *gpu_of(struct virtio_device *dev)
{
	return container_of(dev, struct scripted_gpu, dev);
}

static void fault(struct scripted_gpu *gpu, const char *what)
{
	if (gpu->faults++ < 5)
		ktest_note(gpu->t, "scripted gpu: the driver broke a rule: %s", what);
}

/* ---- commands, 5.7.6.8 ---- */

static int find(const struct scripted_gpu *gpu, uint32_t id)
{
	for (unsigned int i = 0; i < SCRIPTED_GPU_RESOURCES; i++)
		if (gpu->resources[i].id == id)
			return (int)i;
	return -1;
}

static void create(struct scripted_gpu *gpu, const uint32_t *words)
{
	int at = find(gpu, 0);

	if (!words[0] || find(gpu, words[0]) >= 0)
		fault(gpu, "CREATE_2D of a resource that is there, or of number 0");
	if (at < 0 || words[1] != 2 || words[2] < 16 || words[3] < 16) {
		fault(gpu, "CREATE_2D of a strange picture, or of too many");
		return;
	}
	gpu->resources[at].id = words[0];
	gpu->resources[at].width = words[2];
	gpu->resources[at].height = words[3];
	gpu->resources[at].nr_entries = 0;
}

static void attach(struct scripted_gpu *gpu, int at, const uint32_t *words)
{
	const struct virtqueue_buffer *list = &gpu->element.buffers[1];
	const char *entries = phys_to_virt(list->address);
	uint64_t sum = 0;

	if (gpu->element.readable != 2 || list->bytes != words[1] * 16 || words[1] > SCRIPTED_GPU_ENTRIES ||
	    gpu->resources[at].nr_entries) {
		fault(gpu, "ATTACH_BACKING with another number of entries than it says, or twice");
		return;
	}
	gpu->resources[at].nr_entries = words[1];
	for (uint32_t i = 0; i < words[1]; i++) {
		struct virtqueue_buffer *entry = &gpu->resources[at].entries[i];

		memcpy(&entry->address, entries + i * 16, 8);
		memcpy(&entry->bytes, entries + i * 16 + 8, 4);
		if (entry->address % PAGE_SIZE || !entry->bytes || entry->bytes % PAGE_SIZE)
			fault(gpu, "backing that is no whole pages");
		sum += entry->bytes;
	}
	if (sum < (uint64_t)gpu->resources[at].width * gpu->resources[at].height * 4)
		fault(gpu, "backing smaller than the picture");
}

static void transfer(struct scripted_gpu *gpu, int at, const uint32_t *rect)
{
	if (!gpu->resources[at].nr_entries || rect[0] + rect[2] > gpu->resources[at].width ||
	    rect[1] + rect[3] > gpu->resources[at].height)
		fault(gpu, "TRANSFER_TO_HOST_2D beyond the picture, or without backing");
	else
		memcpy(&gpu->first_pixel, phys_to_virt(gpu->resources[at].entries[0].address), 4);
}

/* @words: what comes behind the header. */
static void execute(struct scripted_gpu *gpu, uint32_t type, const uint32_t *words)
{
	static const uint8_t id_at[] = {[0x102 - 0x100] = 0, 5, 4, 6, 0, 0}; /* the resource's place among the words */
	uint32_t id = type >= 0x102 ? words[id_at[type - 0x100]] : 0;
	int at = type >= 0x102 ? find(gpu, id) : 0;

	if (type == 0x103 && !id) {
		gpu->shown = 0;
		return;
	}
	if (at < 0 || (type >= 0x102 && !id)) {
		fault(gpu, "a resource that is not there");
		return;
	}
	if (type == 0x101)
		create(gpu, words);
	else if (type == 0x102)
		gpu->resources[at].id = 0;
	else if (type == 0x103)
		gpu->shown = id;
	else if (type == 0x105)
		transfer(gpu, at, words);
	else if (type == 0x106)
		attach(gpu, at, words);
	else if (type == 0x107)
		gpu->resources[at].nr_entries = 0;
}

static uint32_t lied_answer(enum scripted_gpu_lie lie)
{
	return lie == GPU_NO_MEMORY ? 0x1201 : lie == GPU_ERROR ? 0x1203 : 0x4242;
}

static bool answer(struct scripted_gpu *gpu)
{
	static const struct {
		uint32_t header[6], x, y, width, height, enabled, flags;
		uint32_t others[15 * 6];
	} display = {.header = {0x1101}, .width = 640, .height = 400, .enabled = 1};
	struct ring_element *element = &gpu->element;
	const uint32_t *request = phys_to_virt(element->buffers[0].address);
	char *response = phys_to_virt(element->buffers[element->readable].address);
	uint32_t ok[6] = {0x1100}, type = request[0], bytes = sizeof(ok);
	bool lies = gpu->lie && (!gpu->lie_about || gpu->lie_about == type);

	gpu->commands++;
	if (!element->readable || element->writable != 1 ||
	    element->buffers[element->readable].bytes < sizeof(display) || type < 0x100 || type > 0x107) {
		fault(gpu, "no command, or no room for the answer");
		return ring_device_push(&gpu->ring, element, 0);
	}
	if (lies && gpu->lie == GPU_SILENT)
		return false;
	if (lies && gpu->lie == GPU_LIES)
		element->id++;
	else if (lies && gpu->lie != GPU_SHORT_ANSWER)
		ok[0] = lied_answer(gpu->lie);
	else
		execute(gpu, type, request + 6);
	if (type == 0x100 && !lies)
		bytes = sizeof(display);
	memcpy(response, bytes == sizeof(display) ? (const void *)&display : ok, bytes);
	return ring_device_push(&gpu->ring, element, lies && gpu->lie == GPU_SHORT_ANSWER ? 3 : bytes);
}

static void notify(struct virtio_device *dev, unsigned int index UNUSED)
{
	struct scripted_gpu *gpu = gpu_of(dev);
	bool interrupt = false;
	unsigned int count = 0;

	spin_lock(&gpu->lock);
	for (; gpu->ready && ring_device_pop(&gpu->ring, &gpu->element); count++)
		interrupt |= answer(gpu);
	gpu->most_at_once = MAX(gpu->most_at_once, count);
	spin_unlock(&gpu->lock);
	if (interrupt)
		virtio_queue_interrupt(dev);
}

unsigned int scripted_gpu_resources(struct scripted_gpu *gpu)
{
	unsigned int count = 0;

	spin_lock(&gpu->lock);
	for (unsigned int i = 0; i < SCRIPTED_GPU_RESOURCES; i++)
		count += gpu->resources[i].id != 0;
	spin_unlock(&gpu->lock);
	return count;
}

/* ---- the transport ---- */

static uint8_t get_status(struct virtio_device *dev)
{
	return load_relaxed(&gpu_of(dev)->status);
}

static void set_status(struct virtio_device *dev, uint8_t status)
{
	struct scripted_gpu *gpu = gpu_of(dev);

	spin_lock(&gpu->lock);
	if (!gpu->stuck_in_reset || status)
		store_relaxed(&gpu->status, status);
	if (!status) {
		gpu->ready = false;
		memset(gpu->resources, 0, sizeof(gpu->resources));
		gpu->shown = 0;
	}
	spin_unlock(&gpu->lock);
}

static uint64_t get_features(struct virtio_device *dev)
{
	return gpu_of(dev)->offers;
}

static void set_features(struct virtio_device *dev, uint64_t features)
{
	gpu_of(dev)->accepted = features;
}

static uint32_t config_generation(struct virtio_device *dev UNUSED)
{
	return 0;
}

static int read_config(struct virtio_device *dev UNUSED, unsigned int offset UNUSED, void *to, unsigned int bytes)
{
	memset(to, 0, bytes);
	return 0;
}

static int write_config(struct virtio_device *dev UNUSED, unsigned int offset UNUSED, const void *from UNUSED,
			unsigned int bytes UNUSED)
{
	return -EINVAL;
}

static unsigned int queue_size(struct virtio_device *dev UNUSED, unsigned int index)
{
	return index < 2 ? 16 : 0; /* five commands of three descriptors */
}

static int queue_enable(struct virtio_device *dev, unsigned int index UNUSED, struct virtqueue *vq)
{
	struct scripted_gpu *gpu = gpu_of(dev);
	struct virtqueue_addresses at = virtqueue_addresses(vq);

	ring_device_init(&gpu->ring, phys_to_virt(at.descriptors), at, virtqueue_size(vq),
			 gpu->accepted & BIT(VIRTIO_F_RING_PACKED), gpu->accepted & BIT(VIRTIO_F_EVENT_IDX));
	gpu->ready = true;
	return 0;
}

static int interrupts_enable(struct virtio_device *dev UNUSED)
{
	return 0;
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

static void unplug(void *argument)
{
	struct scripted_gpu *gpu = argument;

	gpu->lie = GPU_HONEST;
	if (gpu->dev.transport)
		virtio_unregister_device(&gpu->dev);
	kfree(gpu);
}

struct scripted_gpu *scripted_gpu(struct ktest *t, uint64_t features)
{
	struct scripted_gpu *gpu = kzalloc(sizeof(*gpu));

	if (!gpu) {
		ktest_fail(t, __FILE__, __LINE__, "no memory for the scripted gpu");
		return NULL;
	}
	gpu->t = t;
	gpu->offers = features | BIT(VIRTIO_F_VERSION_1);
	spin_lock_init(&gpu->lock, "scripted_gpu");
	ktest_defer(t, unplug, gpu);
	return gpu;
}

void scripted_gpu_plug(struct scripted_gpu *gpu)
{
	gpu->dev.transport = &transport;
	gpu->dev.device_id = 16;
	if (!gpu->dev.timeout_ns)
		gpu->dev.timeout_ns = 20 * NS_PER_S;
	EXPECT_OK(gpu->t, virtio_register_device(&gpu->dev));
}
