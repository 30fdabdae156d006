/*
 * Buffers for devices, shared between tasks: a dma-buf is whole pages from a heap, as a scatter list.
 *
 * It is charged to the cgroup of the task that allocates it (bucket: the heap's name), stays charged there whoever it
 * is passed on to, and is uncharged when the last reference goes. dma_buf_transfer() moves the charge. References are
 * the kernel's; a task has *handles*, each of which is one reference, and which end with the task at the latest.
 *
 * A heap is a table of functions: where the pages come from. All calls may sleep, but for dma_buf_get().
 */
#pragma once

#include "cgroup/gpu.h"
#include "lib/list.h"

struct dma_scatter {
	uint64_t phys, bytes;
	char *address; /* as the kernel sees it */
};

struct dma_buf {
	struct list_node node; /* in all buffers; under the buffers' mutex */
	uint32_t id;	       /* 1.. , for users */
	struct dma_heap *heap;
	uint64_t bytes;	     /* whole pages */
	struct gpucg *gpucg; /* whom it is charged to; under the mutex. NULL: the controller is off */
	uint32_t allocator;  /* thread id */
	uint64_t references;
	struct list_node handles; /* under the mutex */
	/* The heap's: pages in order, their sum is @bytes; what it needs to know besides. */
	struct dma_scatter *scatter;
	size_t nr_scatter;
	void *heap_data;
};

struct dma_heap {
	const char *name;
	/* Sets scatter, nr_scatter, heap_data. @request is the allocator's. 0, or -errno with all undone. */
	int (*fill)(struct dma_heap *heap, struct dma_buf *buf, void *request);
	/* The last reference is gone: takes back the pages and the list. */
	void (*empty)(struct dma_heap *heap, struct dma_buf *buf);
	void *context;
	uint64_t capacity_bytes; /* 0: no size of its own */
	/* Private to dma_buf.c. */
	struct gpucg_bucket *bucket;
	struct list_node node;
};

/* Registers the heap and its bucket. 0, or as gpucg_register_bucket(). Heaps stay. */
int dma_heap_add(struct dma_heap *heap) MUST_CHECK;
struct dma_heap *dma_heap_find(const char *name);

/*
 * @bytes, rounded up to whole pages, zeroed, with one reference, the caller's. ERR_PTR: -EINVAL (no bytes, or an
 * overflow), -ENOMEM (a limit of the task's cgroup, or no memory), or what the heap says to @request.
 */
struct dma_buf *dma_buf_alloc(struct dma_heap *heap, uint64_t bytes, void *request) MUST_CHECK;
/* Any context; the caller has a reference. */
void dma_buf_get(struct dma_buf *buf);
void dma_buf_put(struct dma_buf *buf);
/* By number, with a reference; NULL: there is none. */
struct dma_buf *dma_buf_find(uint32_t id) MUST_CHECK;

/* A handle for the calling task (a reference of its own), or one less. 0, -ENOMEM; -ENOENT: it has none. */
int dma_buf_open(struct dma_buf *buf) MUST_CHECK;
int dma_buf_close(struct dma_buf *buf) MUST_CHECK;
/* Charged to the cgroup of @task (NULL: the caller) from now on. As gpucg_transfer(); on an error nothing changes. */
int dma_buf_transfer(struct dma_buf *buf, struct thread *task) MUST_CHECK;
/* The byte at @offset, and in *@bytes how many follow it without a gap. NULL beyond the end. */
char *dma_buf_at(const struct dma_buf *buf, uint64_t offset, uint64_t *bytes);

/* The pages behind a buffer as blocks from the page allocator, zeroed; for heaps. 0 or -ENOMEM. */
int dma_buf_fill_pages(struct dma_buf *buf) MUST_CHECK;
void dma_buf_empty_pages(struct dma_buf *buf);

/* /sys/kernel/debug/dma_buf/bufinfo, the heap "system", and an end to handles of threads that end. Once. */
int dma_buf_init(void) MUST_CHECK;
