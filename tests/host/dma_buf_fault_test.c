/*
 * Every allocation on the way to a dma-buf fails in turn: no page, no charge, no reference stays.
 */
#include "drivers/dma_buf.h"

#include "kernel/memory.h"
#include "lib/errno.h"
#include "lib/string.h"
#include "mm/page_alloc.h"
#include "tests/host/host.h"
#include "tests/unit/cgroup_fixture.h"

KTEST(dma_buf_faults, a_buffer_without_memory_leaves_nothing_behind)
{
	unsigned int failures = 0;
	struct memory_info info;

	REQUIRE_OK(t, ensure_cgroups());
	REQUIRE_OK(t, dma_heap_find("system") ? 0 : dma_buf_init());
	for (unsigned int nth = 1;; nth++) {
		uint64_t live = host_live_allocations();
		struct dma_buf *buf;
		int error;

		REQUIRE(t, nth < 50);
		host_fail_allocation(nth);
		buf = dma_buf_alloc(dma_heap_find("system"), KIB(52), NULL);
		error = IS_ERR(buf) ? (int)PTR_ERR(buf) : dma_buf_open(buf);
		host_fail_allocation(0);
		if (!IS_ERR(buf) && !error)
			EXPECT_OK(t, dma_buf_close(buf));
		if (!IS_ERR(buf))
			dma_buf_put(buf);
		memory_info_get(&info);
		EXPECT_EQ(t, info.by_owner[PAGE_OWNER_DMABUF], 0u);
		EXPECT_EQ(t, host_live_allocations(), live);
		if (css_root(CGROUP_GPU) && nth > 1) /* the pool is made by the second at the latest */
			EXPECT_STR(t, value(ROOT "/gpu.memory.current", "system"), "0");
		if (!error)
			break;
		failures++;
		EXPECT_EQ(t, error, -ENOMEM);
	}
	EXPECT(t, failures >= 3); /* the buffer, its list, the handle */
}
