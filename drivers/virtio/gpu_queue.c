/*
 * virtio-gpu's control queue: several commands in flight, each in a slot of its own.
 *
 * A sender copies its command into a slot, builds the chain (command, whatever belongs behind it, room for the answer)
 * and goes on; the device works on the commands in order. Whoever waits for a job collects all that came back, for
 * others too, and wakes them. There are no more slots than the ring has room for, three descriptors each: so a chain is
 * always whole, never cut in two by a full ring.
 *
 * An answer is what the device says: its length and its type are held against what was asked. A device that breaks the
 * rules, or says nothing in time, is reset; then it has no claim to any memory, and jobs end with -EIO. If it does not
 * even come out of reset, what it may still write to is never used again.
 */
#include "drivers/virtio/gpu_internal.h"

#include "kernel/printk.h"
#include "kernel/time.h"
#include "lib/atomic.h"
#include "lib/errno.h"
#include "lib/string.h"
#include "mm/page_alloc.h"

#define SLOT_PAGES_ORDER 1u
#define CHAIN_LENGTH	 3u

_Static_assert(GPU_MAX_IN_FLIGHT *GPU_SLOT_BYTES == PAGE_SIZE << SLOT_PAGES_ORDER, "the slots fill their pages");

int gpu_queue_init(struct virtio_gpu *gpu)
{
	gpu->pages = alloc_pages(GFP_KERNEL | GFP_ZERO | GFP_OWNER(PAGE_OWNER_DRIVER), SLOT_PAGES_ORDER);
	if (!gpu->pages)
		return -ENOMEM;
	for (unsigned int i = 0; i < GPU_MAX_IN_FLIGHT; i++)
		gpu->slots[i].memory = (char *)page_address(gpu->pages) + (size_t)i * GPU_SLOT_BYTES;
	return 0;
}

void gpu_queue_release(struct virtio_gpu *gpu)
{
	if (gpu->pages)
		free_pages(gpu->pages, SLOT_PAGES_ORDER);
	gpu->pages = NULL;
}

void gpu_queue_used(struct virtqueue *vq)
{
	struct virtio_device *dev = virtqueue_owner(vq);
	struct virtio_gpu *gpu = dev->driver_data;

	atomic_inc(&gpu->news);
	wake_up_all(&gpu->wake);
}

/* ---- answers ---- */

static void end_slot(struct gpu_slot *slot, int error)
{
	struct gpu_job *job = slot->job;

	slot->job = NULL;
	if (error && !job->error)
		job->error = error;
	job->pending--;
}

/* What the answer in @slot means. */
static int read_answer(const struct gpu_slot *slot, uint32_t bytes)
{
	struct gpu_header header;

	if (bytes < sizeof(header))
		return -EPROTO;
	memcpy(&header, slot->memory + GPU_REQUEST_BYTES, sizeof(header)); /* once: the device may change it */
	if (header.type == GPU_ERROR_OUT_OF_MEMORY)
		return -ENOMEM;
	if (header.type >= GPU_ERROR_UNSPECIFIED && header.type < GPU_ERROR_UNSPECIFIED + 16)
		return -EIO;
	if (header.type != slot->expected)
		return -EPROTO;
	if (header.type == GPU_OK_DISPLAY_INFO) {
		if (bytes < sizeof(struct gpu_display_info))
			return -EPROTO;
		memcpy(slot->job->display_info, slot->memory + GPU_REQUEST_BYTES, sizeof(struct gpu_display_info));
	}
	return 0;
}

/* With the lock held. */
static void fail(struct virtio_gpu *gpu, const char *why)
{
	if (gpu->failed)
		return;
	if (why)
		virtio_device_break(gpu->dev, why);
	gpu->failed = true;
	gpu->released = virtio_device_reset(gpu->dev);
	if (!gpu->released)
		pr_err("%s: does not come out of reset: memory of its resources stays lost to it", gpu->dev->name);
	while (virtqueue_detach_unused(gpu->queue))
		;
	for (unsigned int i = 0; i < gpu->nr_slots; i++)
		if (gpu->slots[i].job)
			end_slot(&gpu->slots[i], -EIO);
	atomic_inc(&gpu->news);
	wake_up_all(&gpu->wake);
}

void gpu_give_up(struct virtio_gpu *gpu, const char *why)
{
	mutex_lock(&gpu->lock);
	fail(gpu, why);
	mutex_unlock(&gpu->lock);
}

/* With the lock held: takes what came back, and wakes all whose answers may be among it. */
static void collect(struct virtio_gpu *gpu)
{
	struct gpu_slot *slot;
	bool any = false;
	uint32_t bytes;

	if (gpu->failed)
		return;
	do {
		while ((slot = virtqueue_get(gpu->queue, &bytes))) {
			int error = read_answer(slot, bytes);

			any = true;
			if (error == -EPROTO)
				pr_err("%s: an answer of %u bytes that is none to command 0x%x", gpu->dev->name, bytes,
				       ((struct gpu_header *)slot->memory)->type);
			end_slot(slot, error);
		}
	} while (virtqueue_enable_interrupts(gpu->queue));
	if (virtqueue_is_broken(gpu->queue))
		fail(gpu, "its control queue is broken");
	if (any) {
		atomic_inc(&gpu->news);
		wake_up_all(&gpu->wake);
	}
}

static bool is_late(const struct virtio_gpu *gpu)
{
	for (unsigned int i = 0; i < gpu->nr_slots; i++)
		if (gpu->slots[i].job && time_ns() - gpu->slots[i].sent_ns > gpu->timeout_ns)
			return true;
	return false;
}

/* With the lock held, which is let go meanwhile: until something came back, for whomever, or it is too late. */
static void wait_for_news(struct virtio_gpu *gpu)
{
	uint64_t seen = load_acquire(&gpu->news);

	virtqueue_kick(gpu->queue);
	collect(gpu);
	if (gpu->failed || load_acquire(&gpu->news) != seen)
		return;
	mutex_unlock(&gpu->lock);
	wait_event_timeout(&gpu->wake, load_acquire(&gpu->news) != seen, gpu->timeout_ns);
	mutex_lock(&gpu->lock);
	collect(gpu);
	if (is_late(gpu))
		fail(gpu, "no answer to a command in time");
}

/* ---- commands ---- */

static struct gpu_slot *take_slot(struct virtio_gpu *gpu)
{
	collect(gpu);
	while (!gpu->failed) {
		for (unsigned int i = 0; i < gpu->nr_slots; i++)
			if (!gpu->slots[i].job)
				return &gpu->slots[i];
		wait_for_news(gpu);
	}
	return NULL;
}

static int add_chain(struct virtio_gpu *gpu, struct gpu_slot *slot, uint32_t bytes,
		     const struct virtqueue_buffer *extra)
{
	uint16_t head = VIRTQUEUE_DESC_ID_INIT, prev = VIRTQUEUE_DESC_ID_INIT;
	uint64_t phys = virt_to_phys(slot->memory);
	int error = virtqueue_add_chain_desc(gpu->queue, phys, bytes, &head, &prev, false);

	if (!error && extra)
		error = virtqueue_add_chain_desc(gpu->queue, extra->address, extra->bytes, &head, &prev, false);
	if (!error)
		error = virtqueue_add_chain_desc(gpu->queue, phys + GPU_REQUEST_BYTES, GPU_RESPONSE_BYTES, &head, &prev,
						 true);
	if (!error)
		error = virtqueue_add_chain(gpu->queue, head, false, NULL, slot, NULL);
	if (error)
		virtqueue_abandon_chain(gpu->queue, head);
	return error;
}

void gpu_send(struct virtio_gpu *gpu, struct gpu_job *job, enum gpu_type type, void *request, uint32_t bytes,
	      const struct virtqueue_buffer *extra)
{
	struct gpu_header *header = request;
	struct gpu_slot *slot;
	int error = -EIO;

	*header = (struct gpu_header){.type = type};
	mutex_lock(&gpu->lock);
	slot = take_slot(gpu);
	if (slot) {
		memcpy(slot->memory, request, bytes);
		memset(slot->memory + GPU_REQUEST_BYTES, 0, sizeof(struct gpu_header));
		slot->expected = type == GPU_GET_DISPLAY_INFO ? GPU_OK_DISPLAY_INFO : GPU_OK_NODATA;
		error = add_chain(gpu, slot, bytes, extra);
	}
	if (error) {
		job->error = job->error ? job->error : error;
	} else {
		slot->job = job;
		slot->sent_ns = time_ns();
		job->pending++;
		gpu->commands++;
	}
	mutex_unlock(&gpu->lock);
}

int gpu_finish(struct virtio_gpu *gpu, struct gpu_job *job)
{
	mutex_lock(&gpu->lock);
	while (job->pending)
		wait_for_news(gpu);
	mutex_unlock(&gpu->lock);
	return job->error;
}
