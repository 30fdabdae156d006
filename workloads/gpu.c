/*
 * gpu: resources of the virtio-gpu in numbers: made, attached, filled, shown, destroyed, a few alive at a time.
 *
 * Sizes are random, from a page to `size`; what is shown is full of one colour. In the end nothing may be left: no
 * resource, no page, no charge (the last is said, not checked: others may allocate meanwhile).
 */
#include "drivers/virtio/gpu.h"

#include "kernel/shell.h"
#include "kernel/time.h"
#include "lib/errno.h"
#include "lib/rand.h"
#include "lib/string.h"
#include "workloads/workload.h"

#include <arch/page.h>

#define MOST_ALIVE 64u

static void fill(struct dma_buf *buf, uint32_t byte)
{
	for (size_t i = 0; i < buf->nr_scatter; i++)
		memset(buf->scatter[i].address, (int)byte, buf->scatter[i].bytes);
}

static int make_and_show(struct dma_heap *heap, uint64_t bytes, uint32_t byte, struct dma_buf **made)
{
	struct dma_buf *buf = dma_buf_alloc(heap, bytes, NULL);
	int error;

	if (IS_ERR(buf))
		return (int)PTR_ERR(buf);
	fill(buf, byte);
	error = virtio_gpu_show(buf);
	if (error)
		dma_buf_put(buf);
	else
		*made = buf;
	return error;
}

static int gpu_run(struct sink *out, struct workload_parameters *parameters)
{
	uint64_t count = workload_number(out, parameters, "count", 1000), done = 0, start = time_ns();
	uint64_t alive = workload_number(out, parameters, "alive", 8),
		 size = workload_number(out, parameters, "size", KIB(256));
	uint64_t seed = workload_number(out, parameters, "seed", 1);
	struct dma_heap *heap = dma_heap_find("virtio-gpu");
	struct dma_buf *bufs[MOST_ALIVE] = {NULL};
	uint64_t resources, commands, before;
	struct rand rand;
	int error = workload_parameters_end(out, parameters);

	if (!error && (!heap || !alive || alive > MOST_ALIVE || size < PAGE_SIZE))
		error = heap ? -EINVAL : -ENODEV;
	if (error)
		return error;
	rand_seed(&rand, seed);
	virtio_gpu_counts(&resources, &before);
	for (; !error && done < count && !shell_interrupted(); done++) {
		struct dma_buf **slot = &bufs[rand_below(&rand, alive)];

		if (*slot)
			dma_buf_put(*slot);
		*slot = NULL;
		error = make_and_show(heap, PAGE_SIZE + rand_below(&rand, size), (uint32_t)done, slot);
	}
	for (size_t i = 0; i < MOST_ALIVE; i++)
		if (bufs[i])
			dma_buf_put(bufs[i]);
	if (!error)
		error = virtio_gpu_show(NULL);
	virtio_gpu_counts(&resources, &commands);
	sink_printf(out, "gpu: %llu resources, %llu commands in %llu ms, %llu left\n", (unsigned long long)done,
		    (unsigned long long)(commands - before), (unsigned long long)((time_ns() - start) / NS_PER_MS),
		    (unsigned long long)resources);
	return error ? error : resources ? 1 : 0;
}
WORKLOAD(gpu, "count=1000 alive=8 size=256K seed=1", "makes, shows and destroys virtio-gpu resources", gpu_run);
