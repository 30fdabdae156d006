/*
 * The heaps that are memory and nothing else: `system`, pages from the allocator, and `vram0`, ..., device memory in
 * ivshmem's BAR.
 *
 * Pages come in the largest blocks that are to be had, without reclaim for the large ones: fewer pieces are faster,
 * not necessary. While they are gathered they hang on their page structures; the scatter list is made when their number
 * is known.
 */
#include "drivers/dma_heap.h"

#include "kernel/memory.h"
#include "lib/errno.h"
#include "lib/string.h"
#include "mm/page_alloc.h"

#define GFP_BLOCK (GFP_ZERO | GFP_NOWARN | GFP_OWNER(PAGE_OWNER_DMABUF))

/* ---- pages ---- */

static void free_blocks(struct list_node *blocks)
{
	struct page *page, *after;

	list_for_each_entry_safe(page, after, blocks, lru)
		free_pages(page, page_order(page));
}

/* A block of at most 2^*@order pages; *@order falls when there is none so large. */
static struct page *take_block(unsigned int *order)
{
	for (;;) {
		struct page *page = alloc_pages(GFP_BLOCK | (*order ? GFP_KSWAPD_RECLAIM : GFP_KERNEL), *order);

		if (page || !*order)
			return page;
		--*order;
	}
}

/* How many blocks were gathered, 0 if there is not enough memory. */
static size_t gather(struct list_node *blocks, uint64_t pages)
{
	unsigned int order = MAX_ORDER;
	size_t count = 0;

	while (pages) {
		struct page *page;

		while (pages >> order == 0)
			order--;
		page = take_block(&order);
		if (!page)
			return 0;
		list_add_tail(blocks, &page->lru);
		pages -= 1ull << order;
		count++;
	}
	return count;
}

int dma_buf_fill_pages(struct dma_buf *buf)
{
	struct list_node blocks = LIST_INIT(blocks);
	struct memory_info info;
	struct page *page;
	size_t count;

	memory_info_get(&info);
	if (buf->bytes / PAGE_SIZE > info.total)
		return -ENOMEM;
	count = gather(&blocks, buf->bytes / PAGE_SIZE);
	buf->scatter = count ? kmalloc(count * sizeof(buf->scatter[0])) : NULL;
	if (!buf->scatter) {
		free_blocks(&blocks);
		return -ENOMEM;
	}
	list_for_each_entry(page, &blocks, lru)
		buf->scatter[buf->nr_scatter++] = (struct dma_scatter){.phys = page_to_phys(page),
								       .bytes = PAGE_SIZE << page_order(page),
								       .address = page_address(page)};
	return 0;
}

void dma_buf_empty_pages(struct dma_buf *buf)
{
	for (size_t i = 0; i < buf->nr_scatter; i++) {
		struct page *page = virt_to_page(buf->scatter[i].address);

		free_pages(page, page_order(page));
	}
	kfree(buf->scatter);
}

static int system_fill(struct dma_heap *heap UNUSED, struct dma_buf *buf, void *request UNUSED)
{
	return dma_buf_fill_pages(buf);
}

static void system_empty(struct dma_heap *heap UNUSED, struct dma_buf *buf)
{
	dma_buf_empty_pages(buf);
}

struct dma_heap dma_heap_system = {.name = "system", .fill = system_fill, .empty = system_empty};

/* ---- device memory ---- */

static int vram_fill(struct dma_heap *heap, struct dma_buf *buf, void *request UNUSED)
{
	struct ivshmem *ivshmem = heap->context;
	uint64_t offset;
	int error;

	buf->scatter = kmalloc(sizeof(buf->scatter[0]));
	if (!buf->scatter)
		return -ENOMEM;
	error = ivshmem_take(ivshmem, buf->bytes, 0, &offset);
	if (error) {
		kfree(buf->scatter);
		return error;
	}
	buf->nr_scatter = 1;
	buf->scatter[0] = (struct dma_scatter){ivshmem->phys + offset, buf->bytes, ivshmem->address + offset};
	memset(buf->scatter[0].address, 0, buf->bytes); /* what somebody else had there is not ours to see */
	return 0;
}

static void vram_empty(struct dma_heap *heap, struct dma_buf *buf)
{
	struct ivshmem *ivshmem = heap->context;

	ivshmem_give_back(ivshmem, buf->scatter[0].phys - ivshmem->phys, buf->bytes);
	kfree(buf->scatter);
}

int dma_heap_add_vram(struct ivshmem *ivshmem)
{
	struct dma_heap *heap = kzalloc(sizeof(*heap) + 16);
	char *name;
	int error;

	if (!heap)
		return -ENOMEM;
	name = (char *)(heap + 1);
	format(name, 16, "vram%u", ivshmem->index);
	*heap = (struct dma_heap){.name = name, .fill = vram_fill, .empty = vram_empty, .context = ivshmem};
	heap->capacity_bytes = ivshmem->free_bytes; /* what address spaces have of it is not for buffers */
	error = dma_heap_add(heap);
	if (error)
		kfree(heap);
	return error;
}

int dma_heaps_of_devices(void)
{
	struct ivshmem *ivshmem;
	int error = 0;

	for (unsigned int i = 0; !error && (ivshmem = ivshmem_find(i)); i++)
		error = dma_heap_add_vram(ivshmem);
	return error;
}
