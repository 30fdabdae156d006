/*
 * Every allocation on the way to a dma-buf fails in turn: no page, no charge, no reference stays.
 */
#include "drivers/virtio/gpu.h"

#include "kernel/memory.h"
#include "lib/errno.h"
#include "lib/string.h"
#include "mm/page_alloc.h"
#include "tests/host/host.h"
#include "tests/unit/cgroup_fixture.h"
#include "tests/unit/scripted_gpu.h"

/* How many allocations there were to fail. */
static unsigned int fail_each(struct ktest *t, const char *heap)
{
	struct memory_info info, before;
	unsigned int failures = 0;
	struct dma_buf *first = dma_buf_alloc(dma_heap_find(heap), 1, NULL); /* the pools are there: see gpucg_faults */

	if (!IS_ERR(first))
		dma_buf_put(first);
	memory_info_get(&before);
	for (unsigned int nth = 1;; nth++) {
		uint64_t live = host_live_allocations();
		struct dma_buf *buf;
		int error;

		host_fail_allocation(nth);
		buf = dma_buf_alloc(dma_heap_find(heap), KIB(52), NULL);
		error = IS_ERR(buf) ? (int)PTR_ERR(buf) : dma_buf_open(buf);
		host_fail_allocation(0);
		if (!IS_ERR(buf) && !error)
			EXPECT_OK(t, dma_buf_close(buf));
		if (!IS_ERR(buf))
			dma_buf_put(buf);
		memory_info_get(&info);
		EXPECT_EQ(t, info.by_owner[PAGE_OWNER_DMABUF], before.by_owner[PAGE_OWNER_DMABUF]);
		EXPECT_EQ(t, host_live_allocations(), live);
		EXPECT_FILE(t, ROOT "/gpu.memory.current", heap, "0");
		if (!error)
			return failures;
		failures++;
		EXPECT_EQ(t, error, -ENOMEM);
	}
}

KTEST(dma_buf_faults, a_buffer_without_memory_leaves_nothing_behind)
{
	REQUIRE_OK(t, ensure_cgroups());
	REQUIRE_OK(t, dma_heap_find("system") ? 0 : dma_buf_init());
	EXPECT(t, fail_each(t, "system") >= 3); /* the buffer, its list, the handle */
}

KTEST(dma_buf_faults, a_resource_without_memory_leaves_nothing_behind_on_either_side)
{
	struct scripted_gpu *gpu;

	REQUIRE_OK(t, ensure_cgroups());
	REQUIRE_OK(t, dma_heap_find("system") ? 0 : dma_buf_init());
	REQUIRE_OK(t, dma_heap_find("virtio-gpu") ? 0 : virtio_gpu_init());
	gpu = scripted_gpu(t, 0);
	REQUIRE(t, gpu);
	scripted_gpu_plug(gpu);
	EXPECT(t, fail_each(t, "virtio-gpu") >= 4); /* and the resource */
	EXPECT_EQ(t, scripted_gpu_resources(gpu), 0u);
	EXPECT_EQ(t, gpu->faults, 0u);
}
