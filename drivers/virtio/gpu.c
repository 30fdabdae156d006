/*
 * virtio-gpu: resources and the screen.
 *
 * A resource begins with two commands in flight together, CREATE_2D and ATTACH_BACKING (the scatter list of its pages),
 * and ends with DETACH_BACKING and UNREF. Its pages go back to the allocator only when the device has said yes to
 * that, or was reset. The commands' lists and rectangles follow clause 5.7.6.8.
 *
 * A device may go away (`virtio reset`) while buffers live: each resource holds its struct virtio_gpu, which then has
 * no device behind it any more, and what is left to do is to free the pages.
 *
 * Locking: current_lock for which device is the current one; gpu->lock for its queue and its screen.
 */
#include "drivers/virtio/gpu_internal.h"

#include "kernel/memory.h"
#include "kernel/printk.h"
#include "kernel/time.h"
#include "lib/atomic.h"
#include "lib/errno.h"
#include "mm/page_alloc.h"

#define ANSWER_TIMEOUT_NS (60 * NS_PER_S)
#define SMALLEST_SIDE	  16u
#define BYTES_PER_PIXEL	  4u
#define MOST_BYTES	  MIB(64) /* 16384 entries of a page: more the device does not take in one command */
#define PIXELS_PER_PAGE	  (PAGE_SIZE / BYTES_PER_PIXEL)
#define NARROW_WIDTH	  32u /* of small buffers, so that one page is 32 rows */

struct gpu_resource {
	struct virtio_gpu *gpu;
	uint32_t id;
	struct virtio_gpu_size size;
};

static struct mutex current_lock = MUTEX_INIT(current_lock, "virtio_gpu_current");
static struct virtio_gpu *current_gpu;

/* ---- which device ---- */

static void gpu_put(struct virtio_gpu *gpu)
{
	if (atomic_sub_return(&gpu->references, 1))
		return;
	if (gpu->released)
		gpu_queue_release(gpu);
	kfree(gpu);
}

/* With a reference; NULL: there is none. */
static struct virtio_gpu *gpu_get(void)
{
	struct virtio_gpu *gpu;

	mutex_lock(&current_lock);
	gpu = current_gpu;
	if (gpu)
		atomic_inc(&gpu->references);
	mutex_unlock(&current_lock);
	return gpu;
}

/* Makes it the current one, or (false) another is. */
static bool become_current(struct virtio_gpu *gpu)
{
	bool first;

	mutex_lock(&current_lock);
	first = !current_gpu;
	if (first)
		current_gpu = gpu;
	mutex_unlock(&current_lock);
	return first;
}

static void stop_being_current(struct virtio_gpu *gpu)
{
	mutex_lock(&current_lock);
	if (current_gpu == gpu)
		current_gpu = NULL;
	mutex_unlock(&current_lock);
}

void virtio_gpu_counts(uint64_t *resources, uint64_t *commands)
{
	struct virtio_gpu *gpu = gpu_get();

	*resources = gpu ? load_relaxed(&gpu->resources) : 0;
	*commands = gpu ? load_relaxed(&gpu->commands) : 0;
	if (gpu)
		gpu_put(gpu);
}

/* ---- resources ---- */

/* What becomes of a buffer of this size; -EINVAL if it is not one that the device takes. */
static int check_size(const struct dma_buf *buf, const struct virtio_gpu_size *wanted, struct virtio_gpu_size *size)
{
	uint32_t pages = (uint32_t)(buf->bytes / PAGE_SIZE);
	uint32_t width = pages < SMALLEST_SIDE ? NARROW_WIDTH : PIXELS_PER_PAGE;

	if (buf->bytes > MOST_BYTES)
		return -EINVAL;
	*size = wanted ? *wanted : (struct virtio_gpu_size){width, pages * (PIXELS_PER_PAGE / width)};
	if (size->width < SMALLEST_SIDE || size->width > VIRTIO_GPU_MAX_SIDE || size->height < SMALLEST_SIDE ||
	    size->height > VIRTIO_GPU_MAX_SIDE)
		return -EINVAL;
	return (uint64_t)size->width * size->height * BYTES_PER_PIXEL > buf->bytes ? -EINVAL : 0;
}

static unsigned int entries_order(const struct dma_buf *buf)
{
	unsigned int order = 0;

	while (PAGE_SIZE << order < buf->nr_scatter * sizeof(struct gpu_entry))
		order++;
	return order;
}

static struct page *make_entries(const struct dma_buf *buf, struct virtqueue_buffer *list)
{
	struct page *page = alloc_pages(GFP_KERNEL | GFP_OWNER(PAGE_OWNER_DRIVER), entries_order(buf));
	struct gpu_entry *entries;

	if (!page)
		return NULL;
	entries = page_address(page);
	for (size_t i = 0; i < buf->nr_scatter; i++)
		entries[i] = (struct gpu_entry){buf->scatter[i].phys, (uint32_t)buf->scatter[i].bytes, 0};
	*list = (struct virtqueue_buffer){page_to_phys(page), (uint32_t)(buf->nr_scatter * sizeof(entries[0]))};
	return page;
}

/* What the device has answered for is ours again; unless it answers no more and did not even come out of reset. */
static bool is_ours(const struct virtio_gpu *gpu)
{
	return !gpu->failed || gpu->released;
}

static void free_or_lose(struct dma_buf *buf, bool ours)
{
	if (ours)
		dma_buf_empty_pages(buf);
	else
		kfree(buf->scatter);
}

/* The device lets go of the resource. False: it has not, and does not even come out of reset. */
static bool unref(struct virtio_gpu *gpu, const struct gpu_resource *resource, bool detach)
{
	struct gpu_resource_only request = {.resource = resource->id};
	struct gpu_job job = {0};

	if (detach)
		gpu_send(gpu, &job, GPU_RESOURCE_DETACH_BACKING, &request, sizeof(request), NULL);
	gpu_send(gpu, &job, GPU_RESOURCE_UNREF, &request, sizeof(request), NULL);
	if (gpu_finish(gpu, &job))
		gpu_give_up(gpu, "it does not let go of a resource");
	return is_ours(gpu);
}

/* Both commands on their way at the same time. On an error the device has no such resource. */
static int create(struct virtio_gpu *gpu, const struct gpu_resource *resource, const struct dma_buf *buf)
{
	struct gpu_create_2d request = {.resource = resource->id,
					.format = GPU_FORMAT_BGRX,
					.width = resource->size.width,
					.height = resource->size.height};
	struct gpu_attach_backing attach = {.resource = resource->id, .nr_entries = (uint32_t)buf->nr_scatter};
	struct gpu_job created = {0}, attached = {0};
	struct virtqueue_buffer list;
	struct page *entries = make_entries(buf, &list);
	int error, attach_error;

	if (!entries)
		return -ENOMEM;
	gpu_send(gpu, &created, GPU_RESOURCE_CREATE_2D, &request, sizeof(request), NULL);
	gpu_send(gpu, &attached, GPU_RESOURCE_ATTACH_BACKING, &attach, sizeof(attach), &list);
	error = gpu_finish(gpu, &created);
	attach_error = gpu_finish(gpu, &attached);
	if (!error && attach_error)
		unref(gpu, resource, false);
	else if (error == -EPROTO || (error && !attach_error))
		gpu_give_up(gpu, "it does not say clearly whether it has a resource");
	if (is_ours(gpu))
		free_pages(entries, entries_order(buf));
	return error ? error : attach_error;
}

static int resource_fill(struct dma_heap *heap UNUSED, struct dma_buf *buf, void *request)
{
	struct gpu_resource *resource = kzalloc(sizeof(*resource));
	struct virtio_gpu *gpu = gpu_get();
	int error = !gpu ? -ENODEV : resource ? check_size(buf, request, &resource->size) : -ENOMEM;

	if (!error)
		error = dma_buf_fill_pages(buf);
	if (error)
		goto undo;
	resource->gpu = gpu;
	resource->id = atomic_add_return(&gpu->last_resource, 1);
	error = create(gpu, resource, buf);
	if (!error) {
		atomic_inc(&gpu->resources);
		buf->heap_data = resource;
		return 0;
	}
	free_or_lose(buf, is_ours(gpu));
undo:
	kfree(resource);
	if (gpu)
		gpu_put(gpu);
	return error;
}

static void resource_empty(struct dma_heap *heap UNUSED, struct dma_buf *buf)
{
	struct gpu_resource *resource = buf->heap_data;
	struct virtio_gpu *gpu = resource->gpu;

	free_or_lose(buf, unref(gpu, resource, true));
	atomic_dec(&gpu->resources);
	kfree(resource);
	gpu_put(gpu);
}

static struct dma_heap heap = {.name = "virtio-gpu", .fill = resource_fill, .empty = resource_empty};

int virtio_gpu_init(void)
{
	return dma_heap_add(&heap);
}

struct virtio_gpu_size virtio_gpu_size_of(const struct dma_buf *buf)
{
	return ((struct gpu_resource *)buf->heap_data)->size;
}

/* ---- the screen ---- */

static uint32_t between(uint32_t least, uint32_t value, uint32_t most)
{
	return value < least ? least : value > most ? most : value;
}

int virtio_gpu_preferred_size(struct virtio_gpu_size *size)
{
	struct virtio_gpu *gpu = gpu_get();
	struct gpu_display_info info = {0};
	struct gpu_job job = {.display_info = &info};
	struct gpu_header request;
	int error;

	if (!gpu)
		return -ENODEV;
	gpu_send(gpu, &job, GPU_GET_DISPLAY_INFO, &request, sizeof(request), NULL);
	error = gpu_finish(gpu, &job);
	gpu_put(gpu);
	if (error)
		return error;
	/* What it says is a wish. */
	size->width = between(320, info.modes[0].rect.width, 4096);
	size->height = between(200, info.modes[0].rect.height, 4096);
	return 0;
}

static int send_picture(struct virtio_gpu *gpu, const struct dma_buf *buf)
{
	const struct gpu_resource *resource = buf ? buf->heap_data : NULL;
	struct gpu_rect all = {0, 0, resource ? resource->size.width : 0, resource ? resource->size.height : 0};
	uint32_t id = resource ? resource->id : 0;
	struct gpu_transfer transfer = {.rect = all, .resource = id};
	struct gpu_set_scanout scanout = {.rect = all, .resource = id};
	struct gpu_flush flush = {.rect = all, .resource = id};
	struct gpu_job job = {0};

	if (resource)
		gpu_send(gpu, &job, GPU_TRANSFER_TO_HOST_2D, &transfer, sizeof(transfer), NULL);
	gpu_send(gpu, &job, GPU_SET_SCANOUT, &scanout, sizeof(scanout), NULL);
	if (resource)
		gpu_send(gpu, &job, GPU_RESOURCE_FLUSH, &flush, sizeof(flush), NULL);
	return gpu_finish(gpu, &job);
}

static struct dma_buf *exchange_shown(struct virtio_gpu *gpu, struct dma_buf *buf)
{
	struct dma_buf *before;

	mutex_lock(&gpu->lock);
	before = gpu->shown;
	gpu->shown = buf;
	mutex_unlock(&gpu->lock);
	return before;
}

int virtio_gpu_show(struct dma_buf *buf)
{
	struct virtio_gpu *gpu = gpu_get();
	struct dma_buf *before;
	int error = -ENODEV;

	if (gpu && (!buf || (buf->heap == &heap && ((struct gpu_resource *)buf->heap_data)->gpu == gpu)))
		error = send_picture(gpu, buf);
	if (!error) {
		if (buf)
			dma_buf_get(buf);
		before = exchange_shown(gpu, buf);
		if (before)
			dma_buf_put(before);
	}
	if (gpu)
		gpu_put(gpu);
	return error;
}

/* ---- a device's life ---- */

static struct virtio_gpu *make(struct virtio_device *dev)
{
	struct virtio_gpu *gpu = kzalloc(sizeof(*gpu));

	if (!gpu)
		return NULL;
	gpu->dev = dev;
	gpu->references = 1;
	gpu->timeout_ns = dev->timeout_ns ? dev->timeout_ns : ANSWER_TIMEOUT_NS;
	mutex_init(&gpu->lock, "virtio_gpu");
	wait_queue_init(&gpu->wake);
	if (gpu_queue_init(gpu) == 0)
		return gpu;
	kfree(gpu);
	return NULL;
}

static int start(struct virtio_gpu *gpu)
{
	/* 5.7.2; the second queue is for cursors. */
	const struct virtio_queue_request requests[] = {{.name = "control", .used = gpu_queue_used}};
	int error = virtio_setup_queues(gpu->dev, requests, ARRAY_SIZE(requests));

	if (error)
		return error;
	gpu->queue = gpu->dev->queues[0];
	gpu->nr_slots = MIN(GPU_MAX_IN_FLIGHT, virtqueue_size(gpu->queue) / 3);
	if (!gpu->nr_slots)
		return -ENOSPC;
	virtio_device_ready(gpu->dev);
	return 0;
}

static int gpu_probe(struct virtio_device *dev)
{
	struct virtio_gpu *gpu = make(dev);
	int error = gpu ? 0 : -ENOMEM;

	if (error)
		return error;
	dev->driver_data = gpu;
	error = start(gpu);
	if (!error && !become_current(gpu))
		error = -EBUSY; /* one is enough */
	if (error) {
		gpu->released = virtio_device_reset(dev);
		gpu_put(gpu);
	}
	return error;
}

static void gpu_remove(struct virtio_device *dev)
{
	struct virtio_gpu *gpu = dev->driver_data;
	struct dma_buf *shown;

	stop_being_current(gpu);
	gpu_give_up(gpu, NULL);
	shown = exchange_shown(gpu, NULL);
	if (shown)
		dma_buf_put(shown);
	gpu_put(gpu);
}

const struct virtio_driver virtio_gpu_driver = {
	.name = "virtio_gpu",
	.device_id = VIRTIO_ID_GPU,
	.probe = gpu_probe,
	.remove = gpu_remove,
};
