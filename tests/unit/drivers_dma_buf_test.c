/*
 * dma-bufs: pages, references and handles, and whom they are charged to. Passes without the gpu controller, too.
 */
#include "drivers/dma_buf.h"

#include "drivers/dma_heap.h"
#include "kernel/memory.h"
#include "kernel/thread.h"
#include "lib/errno.h"
#include "lib/string.h"
#include "mm/page_alloc.h"
#include "tests/unit/cgroup_fixture.h"

#define BUFINFO "/sys/kernel/debug/dma_buf/bufinfo"

static int ensure_heaps(void)
{
	int error = ensure_cgroups();

	return error || dma_heap_find("system") ? error : dma_buf_init();
}

static uint64_t dmabuf_pages(void)
{
	struct memory_info info;

	memory_info_get(&info);
	return info.by_owner[PAGE_OWNER_DMABUF];
}

struct allocation {
	const char *heap;
	uint64_t bytes;
	struct dma_buf *buf; /* with a reference for whoever asked */
};

static int allocate(void *argument)
{
	struct allocation *allocation = argument;

	allocation->buf = dma_buf_alloc(dma_heap_find(allocation->heap), allocation->bytes, NULL);
	return IS_ERR(allocation->buf) ? (int)PTR_ERR(allocation->buf) : 0;
}

/* Allocated by a thread in @group that ends at once. */
static struct dma_buf *allocate_in(const char *group, const char *heap, uint64_t bytes)
{
	struct allocation allocation = {heap, bytes, NULL};
	int error = run_in_group(group, allocate, &allocation);

	return error ? ERR_PTR(error) : allocation.buf;
}

KTEST(dma_buf, pages_are_whole_zeroed_and_given_back)
{
	uint64_t before, sum = 0, bytes = MIB(5) + 1;
	struct dma_buf *buf;

	REQUIRE_OK(t, ensure_heaps());
	before = dmabuf_pages();
	buf = dma_buf_alloc(dma_heap_find("system"), bytes, NULL);
	REQUIRE(t, !IS_ERR(buf));
	EXPECT_EQ(t, buf->bytes, ALIGN_UP(bytes, PAGE_SIZE));
	EXPECT_EQ(t, dmabuf_pages() - before, buf->bytes / PAGE_SIZE);
	for (size_t i = 0; i < buf->nr_scatter; i++) {
		EXPECT_EQ(t, buf->scatter[i].phys % PAGE_SIZE, 0u);
		EXPECT_EQ(t, page_owner(virt_to_page(buf->scatter[i].address)), PAGE_OWNER_DMABUF);
		sum += buf->scatter[i].bytes;
	}
	EXPECT_EQ(t, sum, buf->bytes);
	for (uint64_t at = 0, there; at < buf->bytes; at += there) {
		const char *from = dma_buf_at(buf, at, &there);

		REQUIRE(t, from && there);
		for (uint64_t i = 0; i < there; i += 64)
			EXPECT_EQ(t, from[i], 0);
		memset((char *)from, 0xff, there); /* so that the next one would see it */
	}
	EXPECT(t, dma_buf_at(buf, buf->bytes, &sum) == NULL && sum == 0);
	dma_buf_put(buf);
	EXPECT_EQ(t, dmabuf_pages(), before);
}

KTEST(dma_buf, sizes_that_cannot_be_are_refused)
{
	struct dma_heap *heap;
	uint64_t before;

	REQUIRE_OK(t, ensure_heaps());
	heap = dma_heap_find("system");
	before = dmabuf_pages();
	EXPECT_EQ(t, PTR_ERR(dma_buf_alloc(heap, 0, NULL)), -EINVAL);
	EXPECT_EQ(t, PTR_ERR(dma_buf_alloc(heap, UINT64_MAX, NULL)), -EINVAL);
	EXPECT_EQ(t, PTR_ERR(dma_buf_alloc(heap, GIB(1) << 20, NULL)), -ENOMEM);
	EXPECT_EQ(t, dmabuf_pages(), before);
	EXPECT_FILE(t, ROOT "/gpu.memory.current", "system", "0");
}

/* Runs out half-way: all that was gathered goes back. */
KTEST(dma_buf, more_than_is_free_leaves_no_page_behind)
{
	struct memory_info info;
	uint64_t before;

	REQUIRE_OK(t, ensure_heaps());
	before = dmabuf_pages();
	memory_info_get(&info);
	EXPECT_EQ(t, PTR_ERR(dma_buf_alloc(dma_heap_find("system"), info.total * PAGE_SIZE, NULL)), -ENOMEM);
	EXPECT_EQ(t, dmabuf_pages(), before);
	EXPECT_FILE(t, ROOT "/gpu.memory.current", "system", "0");
}

KTEST(dma_buf, a_buffer_is_charged_to_its_allocator_until_the_last_reference_goes)
{
	struct dma_buf *buf, *same;
	uint32_t id;

	REQUIRE_OK(t, ensure_heaps());
	REQUIRE_OK(t, new_group(t, "dma"));
	REQUIRE_OK(t, new_group(t, "dma/giver"));
	REQUIRE_OK(t, new_group(t, "dma/taker"));
	buf = allocate_in("dma/giver", "system", 3 * PAGE_SIZE);
	REQUIRE(t, !IS_ERR(buf));
	id = buf->id;
	same = dma_buf_find(id);
	EXPECT(t, same == buf);
	dma_buf_put(buf);
	EXPECT_FILE(t, ROOT "/dma/giver/gpu.memory.current", "system", "12288");
	EXPECT_FILE(t, ROOT "/dma/gpu.memory.current", "system", "12288");
	EXPECT_FILE(t, ROOT "/dma/taker/gpu.memory.current", "system", "(none)");
	dma_buf_put(same);
	EXPECT_FILE(t, ROOT "/dma/giver/gpu.memory.current", "system", "0");
	EXPECT(t, dma_buf_find(id) == NULL);
}

static int transfer_to_me(void *buf)
{
	return dma_buf_transfer(buf, NULL);
}

KTEST(dma_buf, a_transfer_moves_the_charge_and_the_limit_may_refuse_it)
{
	struct dma_buf *buf;

	REQUIRE_OK(t, ensure_heaps());
	REQUIRE_OK(t, new_group(t, "dma_from"));
	REQUIRE_OK(t, new_group(t, "dma_to"));
	buf = allocate_in("dma_from", "system", 2 * PAGE_SIZE);
	REQUIRE(t, !IS_ERR(buf));
	if (css_root(CGROUP_GPU)) {
		EXPECT_OK(t, write_file(ROOT "/dma_to/gpu.memory.max", "system 4K"));
		EXPECT_EQ(t, run_in_group("dma_to", transfer_to_me, buf), -ENOMEM);
		EXPECT_OK(t, write_file(ROOT "/dma_to/gpu.memory.max", "system 8K"));
	}
	EXPECT_FILE(t, ROOT "/dma_from/gpu.memory.current", "system", "8192");
	EXPECT_OK(t, run_in_group("dma_to", transfer_to_me, buf));
	EXPECT_OK(t, run_in_group("dma_to", transfer_to_me, buf)); /* it is there already */
	EXPECT_FILE(t, ROOT "/dma_from/gpu.memory.current", "system", "0");
	EXPECT_FILE(t, ROOT "/dma_to/gpu.memory.current", "system", "8192");
	dma_buf_put(buf);
	EXPECT_FILE(t, ROOT "/dma_to/gpu.memory.current", "system", "0");
}

KTEST(dma_buf, a_refused_charge_leaves_no_page_and_no_buffer)
{
	uint64_t before;

	REQUIRE_OK(t, ensure_heaps());
	if (!css_root(CGROUP_GPU))
		return;
	REQUIRE_OK(t, new_group(t, "dma_full"));
	REQUIRE_OK(t, write_file(ROOT "/dma_full/gpu.memory.max", "system 8K"));
	before = dmabuf_pages();
	EXPECT_EQ(t, PTR_ERR(allocate_in("dma_full", "system", 3 * PAGE_SIZE)), -ENOMEM);
	EXPECT_EQ(t, dmabuf_pages(), before);
	EXPECT_STR(t, value(ROOT "/dma_full/gpu.memory.events", "system"), "max=1");
	EXPECT_STR(t, value(ROOT "/dma_full/gpu.memory.current", "system"), "0");
	EXPECT(t, !strstr(file(BUFINFO), "dma_full"));
}

KTEST(dma_buf, a_removed_group_with_buffers_shows_above_until_the_last_release)
{
	struct dma_buf *buf;

	REQUIRE_OK(t, ensure_heaps());
	REQUIRE_OK(t, new_group(t, "dma_up"));
	REQUIRE_OK(t, cgroup_make("dma_up/gone"));
	buf = allocate_in("dma_up/gone", "system", MIB(1));
	REQUIRE(t, !IS_ERR(buf));
	EXPECT_OK(t, cgroup_remove("dma_up/gone"));
	EXPECT_FILE(t, ROOT "/dma_up/gpu.memory.current", "system", "1048576");
	if (css_root(CGROUP_GPU))
		EXPECT(t, strstr(file(BUFINFO), "/dma_up/gone"));
	dma_buf_put(buf);
	EXPECT_FILE(t, ROOT "/dma_up/gpu.memory.current", "system", "0");
}

static int open_twice(void *argument)
{
	struct dma_buf *buf = argument;
	int error = dma_buf_open(buf);

	if (!error)
		error = dma_buf_open(buf);
	return error;
}

KTEST(dma_buf, handles_end_with_their_task)
{
	struct dma_buf *buf;

	REQUIRE_OK(t, ensure_heaps());
	buf = dma_buf_alloc(dma_heap_find("system"), 1, NULL);
	REQUIRE(t, !IS_ERR(buf));
	EXPECT_OK(t, dma_buf_open(buf));
	EXPECT_OK(t, run_in_group("", open_twice, buf));
	EXPECT_EQ(t, buf->references, 2u);
	EXPECT_OK(t, dma_buf_close(buf));
	EXPECT_EQ(t, dma_buf_close(buf), -ENOENT); /* that of the caller is no task's */
	dma_buf_put(buf);
}

/* ---- device memory ---- */

#define VRAM_PAGES 8u

static struct ivshmem vram;

static int ensure_vram(void)
{
	int error = ensure_heaps();

	if (error || dma_heap_find("vram77"))
		return error;
	vram = (struct ivshmem){.index = 77, .phys = GIB(40), .bytes = VRAM_PAGES * PAGE_SIZE};
	vram.free_bytes = vram.bytes;
	vram.address = kmalloc(vram.bytes);
	vram.taken = kzalloc(sizeof(uint64_t));
	mutex_init(&vram.lock, "test_vram");
	return vram.address && vram.taken ? dma_heap_add_vram(&vram) : -ENOMEM;
}

KTEST(dma_buf, device_memory_has_a_capacity_and_shows_nobody_elses_bytes)
{
	struct dma_buf *first, *second;

	REQUIRE_OK(t, ensure_vram());
	REQUIRE_OK(t, new_group(t, "vram"));
	EXPECT_FILE(t, ROOT "/gpu.memory.capacity", "vram77", "32768");
	first = allocate_in("vram", "vram77", 5 * PAGE_SIZE);
	REQUIRE(t, !IS_ERR(first));
	EXPECT_EQ(t, first->nr_scatter, 1u);
	EXPECT_EQ(t, first->scatter[0].phys, vram.phys);
	EXPECT_FILE(t, ROOT "/vram/gpu.memory.current", "vram77", "20480");
	EXPECT_EQ(t, PTR_ERR(allocate_in("vram", "vram77", 4 * PAGE_SIZE)), -ENOMEM);
	EXPECT_FILE(t, ROOT "/vram/gpu.memory.current", "vram77", "20480");
	memset(first->scatter[0].address, 'x', first->bytes);
	dma_buf_put(first);
	EXPECT_EQ(t, vram.free_bytes, vram.bytes);
	second = allocate_in("vram", "vram77", VRAM_PAGES * PAGE_SIZE);
	REQUIRE(t, !IS_ERR(second));
	for (uint64_t i = 0; i < second->bytes; i++)
		EXPECT_EQ(t, second->scatter[0].address[i], 0);
	dma_buf_put(second);
	EXPECT_FILE(t, ROOT "/vram/gpu.memory.current", "vram77", "0");
}
