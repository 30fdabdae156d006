/*
 * The virtio-gpu driver on a scripted device: resources, the screen, several commands in flight, devices that lie.
 */
#include "drivers/virtio/gpu.h"

#include "kernel/thread.h"
#include "kernel/time.h"
#include "lib/errno.h"
#include "lib/string.h"
#include "mm/page_alloc.h"
#include "tests/unit/cgroup_fixture.h"
#include "tests/unit/scripted_gpu.h"

static int ensure_heaps(void)
{
	int error = ensure_cgroups();

	if (!error && !dma_heap_find("system"))
		error = dma_buf_init();
	if (!error && !dma_heap_find("virtio-gpu"))
		error = virtio_gpu_init();
	return error;
}

/* Plugged in and ready; NULL: the test has failed, or the machine has a device of its own. */
static struct scripted_gpu *new_gpu(struct ktest *t, uint64_t features)
{
	struct virtio_gpu_size size;
	struct scripted_gpu *gpu;

	EXPECT_OK(t, ensure_heaps());
	if (virtio_gpu_preferred_size(&size) != -ENODEV) {
		ktest_skip(t, "there is a real virtio-gpu");
		return NULL;
	}
	gpu = scripted_gpu(t, features);
	if (gpu)
		scripted_gpu_plug(gpu);
	return gpu;
}

static uint64_t dmabuf_pages(void)
{
	struct memory_info info;

	memory_info_get(&info);
	return info.by_owner[PAGE_OWNER_DMABUF];
}

static struct dma_buf *new_resource(uint64_t bytes)
{
	return dma_buf_alloc(dma_heap_find("virtio-gpu"), bytes, NULL);
}

static void check_show_and_destroy(struct ktest *t, uint64_t features)
{
	struct scripted_gpu *gpu = new_gpu(t, features);
	uint64_t before = dmabuf_pages(), resources, commands;
	struct virtio_gpu_size size = {0};
	struct dma_buf *buf;

	if (!gpu)
		return;
	EXPECT_OK(t, virtio_gpu_preferred_size(&size));
	EXPECT_EQ(t, size.width, 640u);
	EXPECT_EQ(t, size.height, 400u);
	buf = dma_buf_alloc(dma_heap_find("virtio-gpu"), 640 * 400 * 4, &size);
	REQUIRE(t, !IS_ERR(buf));
	EXPECT_EQ(t, dmabuf_pages() - before, 250u);
	EXPECT_EQ(t, scripted_gpu_resources(gpu), 1u);
	memset(buf->scatter[0].address, 0x5a, PAGE_SIZE);
	EXPECT_OK(t, virtio_gpu_show(buf));
	EXPECT_EQ(t, gpu->first_pixel, 0x5a5a5a5au);
	dma_buf_put(buf);
	EXPECT_EQ(t, scripted_gpu_resources(gpu), 1u); /* the screen's */
	EXPECT_OK(t, virtio_gpu_show(NULL));
	EXPECT_EQ(t, gpu->shown, 0u);
	EXPECT_EQ(t, scripted_gpu_resources(gpu), 0u);
	EXPECT_EQ(t, dmabuf_pages(), before);
	EXPECT(t, gpu->most_at_once >= 3); /* transfer, scan-out and flush travel together */
	EXPECT_EQ(t, gpu->faults, 0u);
	virtio_gpu_counts(&resources, &commands);
	EXPECT_EQ(t, resources, 0u);
	EXPECT_EQ(t, commands, gpu->commands);
}

KTEST(virtio_gpu, a_resource_is_created_shown_and_destroyed_on_a_split_ring)
{
	check_show_and_destroy(t, BIT(VIRTIO_F_EVENT_IDX));
}

KTEST(virtio_gpu, a_resource_is_created_shown_and_destroyed_on_a_packed_ring)
{
	check_show_and_destroy(t, BIT(VIRTIO_F_RING_PACKED));
}

KTEST(virtio_gpu, sizes_that_the_device_would_not_take_are_refused_before_it_hears_of_them)
{
	struct scripted_gpu *gpu = new_gpu(t, 0);
	struct dma_heap *heap = dma_heap_find("virtio-gpu");
	uint64_t before = dmabuf_pages();

	if (!gpu)
		return;
	EXPECT_EQ(t, PTR_ERR(new_resource(MIB(64) + 1)), -EINVAL);
	EXPECT_EQ(t, PTR_ERR(dma_buf_alloc(heap, 4096, &(struct virtio_gpu_size){15, 16})), -EINVAL);
	EXPECT_EQ(t, PTR_ERR(dma_buf_alloc(heap, 4096, &(struct virtio_gpu_size){16384, 16384})), -EINVAL);
	EXPECT_EQ(t, PTR_ERR(dma_buf_alloc(heap, 4096, &(struct virtio_gpu_size){32, 33})), -EINVAL);
	EXPECT_EQ(t, gpu->commands, 0u);
	EXPECT_EQ(t, dmabuf_pages(), before);
}

/* Every command in turn is answered wrongly, in every way: errors, and no page that the device might still have. */
KTEST(virtio_gpu, wrong_answers_are_errors_and_lose_nothing)
{
	static const enum scripted_gpu_lie lies[] = {GPU_SHORT_ANSWER, GPU_WRONG_TYPE, GPU_NO_MEMORY, GPU_ERROR,
						     GPU_LIES};
	uint64_t before = dmabuf_pages();

	for (size_t lie = 0; lie < ARRAY_SIZE(lies); lie++) {
		for (uint32_t type = 0x100; type <= 0x107; type++) {
			struct scripted_gpu *gpu = lie || type > 0x100 ? scripted_gpu(t, 0) : new_gpu(t, 0);
			struct virtio_gpu_size size;
			struct dma_buf *buf;
			int error;

			if (!gpu)
				return;
			if (!gpu->dev.transport)
				scripted_gpu_plug(gpu);
			gpu->lie = lies[lie];
			gpu->lie_about = type;
			error = virtio_gpu_preferred_size(&size);
			buf = new_resource(KIB(20));
			if (!IS_ERR(buf)) {
				error = error ? error : virtio_gpu_show(buf);
				error = error ? error : virtio_gpu_show(NULL);
				dma_buf_put(buf);
			}
			if (type != 0x102 && type != 0x107) /* those come when there is nobody left to tell */
				EXPECT(t, error || IS_ERR(buf));
			EXPECT_EQ(t, scripted_gpu_resources(gpu), 0u); /* taken back, or the device was reset */
			virtio_unregister_device(&gpu->dev);
			gpu->dev.transport = NULL;
			EXPECT_EQ(t, dmabuf_pages(), before);
			EXPECT_FILE(t, ROOT "/gpu.memory.current", "virtio-gpu", "0");
		}
	}
}

KTEST(virtio_gpu, a_silent_device_is_given_up_and_its_memory_comes_back)
{
	struct scripted_gpu *gpu = new_gpu(t, 0);
	uint64_t before = dmabuf_pages();
	struct dma_buf *buf;

	if (!gpu)
		return;
	buf = new_resource(KIB(64));
	REQUIRE(t, !IS_ERR(buf));
	virtio_unregister_device(&gpu->dev); /* and once more, with less patience; the buffer stays */
	gpu->dev.timeout_ns = 50 * NS_PER_MS;
	scripted_gpu_plug(gpu);
	gpu->lie = GPU_SILENT;
	EXPECT_EQ(t, PTR_ERR(new_resource(KIB(64))), -EIO);
	EXPECT_EQ(t, PTR_ERR(new_resource(KIB(64))), -EIO);
	EXPECT_EQ(t, virtio_gpu_show(buf), -ENODEV); /* it is another device's */
	dma_buf_put(buf);
	EXPECT_EQ(t, dmabuf_pages(), before);
}

/* The one case in which memory stays lost: the device may still write to it. */
KTEST(virtio_gpu, memory_of_a_device_that_does_not_reset_is_never_used_again)
{
	struct scripted_gpu *gpu = new_gpu(t, 0);
	uint64_t before = dmabuf_pages();
	struct dma_buf *buf;

	if (!gpu)
		return;
	virtio_unregister_device(&gpu->dev);
	gpu->dev.timeout_ns = 20 * NS_PER_MS;
	scripted_gpu_plug(gpu);
	buf = new_resource(1);
	REQUIRE(t, !IS_ERR(buf));
	gpu->lie = GPU_SILENT;
	gpu->stuck_in_reset = true;
	dma_buf_put(buf);
	EXPECT_EQ(t, dmabuf_pages(), before + 1);
	gpu->stuck_in_reset = false;
}

#define THREADS 4

static int make_many(void *argument)
{
	struct ktest *t = argument;

	for (unsigned int i = 0; i < (ktest_hosted() ? 300u : 60u); i++) {
		struct dma_buf *buf = new_resource(KIB(4) << i % 6);

		EXPECT(t, !IS_ERR(buf));
		if (IS_ERR(buf))
			return 0;
		if (i % 3 == 0)
			EXPECT_OK(t, virtio_gpu_show(buf));
		dma_buf_put(buf);
	}
	return 0;
}

KTEST(virtio_gpu, many_threads_share_the_queue)
{
	struct scripted_gpu *gpu = new_gpu(t, BIT(VIRTIO_F_EVENT_IDX));
	struct thread *threads[THREADS];
	uint64_t before = dmabuf_pages();

	if (!gpu)
		return;
	for (unsigned int i = 0; i < THREADS; i++) {
		threads[i] = thread_spawn("artist", make_many, t);
		REQUIRE(t, !IS_ERR(threads[i]));
	}
	for (unsigned int i = 0; i < THREADS; i++)
		thread_join(threads[i]);
	EXPECT_OK(t, virtio_gpu_show(NULL));
	EXPECT_EQ(t, gpu->faults, 0u);
	EXPECT_EQ(t, scripted_gpu_resources(gpu), 0u);
	EXPECT_EQ(t, dmabuf_pages(), before);
}
