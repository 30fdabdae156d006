/*
 * The shell's `dmabuf`: allocates buffers, passes them on between tasks, frees them, and looks into them.
 *
 * The task is the one that runs the command (`task a "dmabuf alloc system 4M"`). What it allocates or takes it holds
 * until it frees it or ends.
 */
#include "drivers/dma_buf.h"

#include "kernel/shell.h"
#include "kernel/vfile.h"
#include "lib/errno.h"
#include "lib/parse.h"
#include "lib/string.h"

static int run_alloc(struct sink *out, char **argv)
{
	struct dma_heap *heap = dma_heap_find(argv[0]);
	struct dma_buf *buf;
	uint64_t bytes;
	int error;

	if (!heap)
		return -ENOENT;
	if (parse_size(argv[1], &bytes))
		return -EINVAL;
	buf = dma_buf_alloc(heap, bytes, NULL);
	if (IS_ERR(buf))
		return (int)PTR_ERR(buf);
	error = dma_buf_open(buf);
	if (!error)
		sink_printf(out, "%u\n", buf->id);
	dma_buf_put(buf);
	return error;
}

/* Finds the buffer whose number is @text and does @what to it. */
static int with_buffer(const char *text, int (*what)(struct dma_buf *buf))
{
	struct dma_buf *buf;
	uint64_t id;
	int error;

	if (parse_u64(text, &id) || id > UINT32_MAX)
		return -EINVAL;
	buf = dma_buf_find((uint32_t)id);
	if (!buf)
		return -ENOENT;
	error = what(buf);
	dma_buf_put(buf);
	return error;
}

static int run_take(struct sink *out UNUSED, char **argv)
{
	return with_buffer(argv[0], dma_buf_open);
}

static int run_free(struct sink *out UNUSED, char **argv)
{
	return with_buffer(argv[0], dma_buf_close);
}

static int transfer_here(struct dma_buf *buf)
{
	return dma_buf_transfer(buf, NULL);
}

static int run_transfer(struct sink *out UNUSED, char **argv)
{
	return with_buffer(argv[0], transfer_here);
}

/* The buffer and the place that @argv names, a reference to the buffer; NULL if there is none. */
static struct dma_buf *find_place(char **argv, uint64_t *offset)
{
	uint64_t id;

	if (parse_u64(argv[0], &id) || id > UINT32_MAX || parse_size(argv[1], offset))
		return NULL;
	return dma_buf_find((uint32_t)id);
}

static int run_write(struct sink *out UNUSED, char **argv)
{
	uint64_t offset, length = strlen(argv[2]), there;
	struct dma_buf *buf = find_place(argv, &offset);
	int error = 0;

	if (!buf)
		return -ENOENT;
	if (offset > buf->bytes || length > buf->bytes - offset)
		error = -EFBIG;
	for (uint64_t done = 0; !error && done < length; done += there) {
		char *at = dma_buf_at(buf, offset + done, &there);

		there = MIN(there, length - done);
		memcpy(at, argv[2] + done, there);
	}
	dma_buf_put(buf);
	return error;
}

static int run_read(struct sink *out, char **argv)
{
	uint64_t offset, length, there;
	struct dma_buf *buf;

	if (parse_size(argv[2], &length))
		return -EINVAL;
	buf = find_place(argv, &offset);
	if (!buf)
		return -ENOENT;
	for (char *at; length && (at = dma_buf_at(buf, offset, &there)); length -= there, offset += there) {
		there = MIN(there, length);
		for (uint64_t i = 0; i < there; i++)
			sink_printf(out, "%c", at[i] >= ' ' && at[i] < 0x7f ? at[i] : '.');
	}
	sink_printf(out, "\n");
	dma_buf_put(buf);
	return 0;
}

static const struct {
	const char *name;
	int words;
	int (*run)(struct sink *out, char **argv);
} actions[] = {
	{"alloc", 2, run_alloc},       {"take", 1, run_take},	{"free", 1, run_free},
	{"transfer", 1, run_transfer}, {"write", 3, run_write}, {"read", 3, run_read},
};

static int dmabuf_run(struct sink *out, int argc, char **argv)
{
	if (argc == 1)
		return vfile_read("/sys/kernel/debug/dma_buf/bufinfo", out);
	for (size_t i = 0; i < ARRAY_SIZE(actions); i++)
		if (strcmp(argv[1], actions[i].name) == 0)
			return argc == actions[i].words + 2 ? actions[i].run(out, argv + 2) : -EINVAL;
	return -EINVAL;
}
SHELL_COMMAND(dmabuf, "[alloc HEAP SIZE|take N|free N|...]",
	      "lists buffers; alloc, take, free, transfer N (the charge); write N OFFSET TEXT, read N OFFSET LENGTH",
	      dmabuf_run);
