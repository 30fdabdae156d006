/*
 * dma-bufs: charging, references, handles, and the list of all.
 *
 * The charge comes first and the pages second, so that a limit is found before memory is touched; the end is the
 * reverse. A buffer is found by number only while somebody holds it: dma_buf_find() never revives one whose last
 * reference is gone.
 *
 * Locking: buffers_lock for the lists, handles and whom a buffer is charged to; taken before gpucg_mutex. References
 * are atomic.
 */
#include "drivers/dma_buf.h"

#include "drivers/dma_heap.h"

#include <arch/page.h>

#include "kernel/memory.h"
#include "kernel/mutex.h"
#include "kernel/panic.h"
#include "kernel/thread.h"
#include "kernel/vfile.h"
#include "lib/atomic.h"
#include "lib/errno.h"
#include "lib/string.h"

struct dma_buf_handle {
	struct list_node node;
	uint32_t thread;
};

static struct mutex buffers_lock = MUTEX_INIT(buffers_lock, "dma_bufs");
static struct list_node buffers = LIST_INIT(buffers), heaps = LIST_INIT(heaps);
static uint32_t last_id;

/* ---- heaps ---- */

int dma_heap_add(struct dma_heap *heap)
{
	heap->bucket = gpucg_register_bucket(heap->name);
	if (IS_ERR(heap->bucket))
		return (int)PTR_ERR(heap->bucket);
	gpucg_bucket_set_capacity(heap->bucket, heap->capacity_bytes);
	mutex_lock(&buffers_lock);
	list_add_tail(&heaps, &heap->node);
	mutex_unlock(&buffers_lock);
	return 0;
}

struct dma_heap *dma_heap_find(const char *name)
{
	struct dma_heap *heap, *found = NULL;

	mutex_lock(&buffers_lock);
	list_for_each_entry(heap, &heaps, node)
		if (strcmp(heap->name, name) == 0)
			found = heap;
	mutex_unlock(&buffers_lock);
	return found;
}

/* ---- a buffer's life ---- */

static int charge_and_fill(struct dma_buf *buf, void *request)
{
	struct dma_heap *heap = buf->heap;
	int error = gpucg_charge(buf->gpucg, heap->bucket, buf->bytes);

	if (error)
		return error;
	error = heap->fill(heap, buf, request);
	if (error)
		gpucg_uncharge(buf->gpucg, heap->bucket, buf->bytes);
	return error;
}

static void publish(struct dma_buf *buf)
{
	mutex_lock(&buffers_lock);
	buf->id = ++last_id;
	list_add_tail(&buffers, &buf->node);
	mutex_unlock(&buffers_lock);
}

struct dma_buf *dma_buf_alloc(struct dma_heap *heap, uint64_t bytes, void *request)
{
	struct dma_buf *buf;
	int error;

	if (!bytes || bytes > UINT64_MAX - (PAGE_SIZE - 1))
		return ERR_PTR(-EINVAL);
	buf = kzalloc(sizeof(*buf));
	if (!buf)
		return ERR_PTR(-ENOMEM);
	buf->heap = heap;
	buf->bytes = ALIGN_UP(bytes, PAGE_SIZE);
	buf->allocator = thread_id(thread_current());
	buf->references = 1;
	list_init(&buf->handles);
	buf->gpucg = gpucg_get(NULL);
	error = charge_and_fill(buf, request);
	if (error) {
		gpucg_put(buf->gpucg);
		kfree(buf);
		return ERR_PTR(error);
	}
	publish(buf);
	return buf;
}

void dma_buf_get(struct dma_buf *buf)
{
	uint64_t before = atomic_fetch_add(&buf->references, 1);

	ASSERT(before > 0, "reference taken to a dma-buf that is gone");
}

void dma_buf_put(struct dma_buf *buf)
{
	if (atomic_sub_return(&buf->references, 1))
		return;
	mutex_lock(&buffers_lock);
	list_del(&buf->node);
	mutex_unlock(&buffers_lock);
	buf->heap->empty(buf->heap, buf);
	gpucg_uncharge(buf->gpucg, buf->heap->bucket, buf->bytes);
	gpucg_put(buf->gpucg);
	kfree(buf);
}

static bool get_unless_gone(struct dma_buf *buf)
{
	uint64_t references = load_relaxed(&buf->references);

	while (references && !atomic_cas(&buf->references, &references, references + 1))
		;
	return references != 0;
}

struct dma_buf *dma_buf_find(uint32_t id)
{
	struct dma_buf *buf, *found = NULL;

	mutex_lock(&buffers_lock);
	list_for_each_entry(buf, &buffers, node)
		if (buf->id == id && get_unless_gone(buf))
			found = buf;
	mutex_unlock(&buffers_lock);
	return found;
}

int dma_buf_transfer(struct dma_buf *buf, struct thread *task)
{
	struct gpucg *to = gpucg_get(task), *from;
	int error;

	mutex_lock(&buffers_lock);
	from = buf->gpucg;
	error = gpucg_transfer(from, to, buf->heap->bucket, buf->bytes);
	if (!error)
		buf->gpucg = to; /* with our reference; the old one is left to drop */
	mutex_unlock(&buffers_lock);
	gpucg_put(error ? to : from);
	return error;
}

char *dma_buf_at(const struct dma_buf *buf, uint64_t offset, uint64_t *bytes)
{
	for (size_t i = 0; i < buf->nr_scatter; i++) {
		if (offset < buf->scatter[i].bytes) {
			*bytes = buf->scatter[i].bytes - offset;
			return buf->scatter[i].address + offset;
		}
		offset -= buf->scatter[i].bytes;
	}
	*bytes = 0;
	return NULL;
}

/* ---- handles ---- */

int dma_buf_open(struct dma_buf *buf)
{
	struct dma_buf_handle *handle = kmalloc(sizeof(*handle));

	if (!handle)
		return -ENOMEM;
	handle->thread = thread_id(thread_current());
	dma_buf_get(buf);
	mutex_lock(&buffers_lock);
	list_add_tail(&buf->handles, &handle->node);
	mutex_unlock(&buffers_lock);
	return 0;
}

/* With the lock held: takes a handle of @thread off the list, or NULL. */
static struct dma_buf_handle *take_handle(struct dma_buf *buf, uint32_t thread)
{
	struct dma_buf_handle *handle;

	list_for_each_entry(handle, &buf->handles, node) {
		if (handle->thread != thread)
			continue;
		list_del(&handle->node);
		return handle;
	}
	return NULL;
}

int dma_buf_close(struct dma_buf *buf)
{
	struct dma_buf_handle *handle;

	mutex_lock(&buffers_lock);
	handle = take_handle(buf, thread_id(thread_current()));
	mutex_unlock(&buffers_lock);
	if (!handle)
		return -ENOENT;
	kfree(handle);
	dma_buf_put(buf);
	return 0;
}

/* A buffer of which @thread has a handle, which is taken away; its reference is the caller's now. Or NULL. */
static struct dma_buf *take_any(uint32_t thread)
{
	struct dma_buf_handle *handle = NULL;
	struct dma_buf *buf, *found = NULL;

	mutex_lock(&buffers_lock);
	list_for_each_entry(buf, &buffers, node) {
		handle = take_handle(buf, thread);
		if (handle) {
			found = buf;
			break;
		}
	}
	mutex_unlock(&buffers_lock);
	kfree(handle);
	return found;
}

static void close_all_of(struct thread *dying)
{
	struct dma_buf *buf;

	while ((buf = take_any(thread_id(dying))))
		dma_buf_put(buf);
}

/* ---- bufinfo ---- */

static void show_one(struct sink *out, struct dma_buf *buf)
{
	char path[CGROUP_PATH_SIZE];
	struct dma_buf_handle *handle;
	const char *separator = "";

	sink_printf(out, "%u %llu %s %s %zu %llu ", buf->id, (unsigned long long)buf->bytes, buf->heap->name,
		    gpucg_path(buf->gpucg, path, sizeof(path)), buf->nr_scatter,
		    (unsigned long long)load_relaxed(&buf->references));
	list_for_each_entry(handle, &buf->handles, node) {
		sink_printf(out, "%s%u", separator, handle->thread);
		separator = ",";
	}
	sink_printf(out, "%s\n", *separator ? "" : "-");
}

static int show(struct sink *out, void *context UNUSED)
{
	struct dma_buf *buf;

	sink_printf(out, "# id bytes heap cgroup pieces references threads\n");
	mutex_lock(&buffers_lock);
	list_for_each_entry(buf, &buffers, node)
		show_one(out, buf);
	mutex_unlock(&buffers_lock);
	return 0;
}

int dma_buf_init(void)
{
	static const struct vfile_ops ops = {.show = show};
	int error = vfile_add("/sys/kernel/debug/dma_buf/bufinfo", &ops, NULL);

	if (!error)
		error = dma_heap_add(&dma_heap_system);
	if (!error)
		thread_on_exit(close_all_of);
	return error;
}
