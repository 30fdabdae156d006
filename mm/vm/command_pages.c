/*
 * The shell's `mm`: areas, accesses by the CPU, and moving pages about. See mm/vm/commands.c.
 */
#include "kernel/machine.h"
#include "lib/parse.h"
#include "lib/string.h"
#include "mm/memory.h"
#include "mm/vm/commands.h"
#include "mm/vm/consumers.h"
#include "mm/vm/device.h"
#include "mm/vm/file_area.h"

#define READ_MAX 4096u

/* ---- areas ---- */

static int map_option(struct request *request, const char *word, struct mapping_request *mapping)
{
	static const struct {
		const char *name;
		uint32_t set, clear;
	} options[] = {{"rw", AREA_READ | AREA_WRITE, 0},
		       {"ro", AREA_READ, AREA_WRITE},
		       {"shared", AREA_SHARED, 0},
		       {"huge", AREA_HUGE, AREA_NOHUGE},
		       {"nohuge", AREA_NOHUGE, AREA_HUGE}};

	for (size_t i = 0; i < ARRAY_SIZE(options); i++)
		if (strcmp(word, options[i].name) == 0) {
			mapping->flags = (mapping->flags & ~options[i].clear) | options[i].set;
			return 0;
		}
	if (word[0] == '+' && parse_u64(word + 1, &mapping->index) == 0)
		return 0;
	if (word[0] == '@' && parse_u64(word + 1, &mapping->start) == 0)
		return 0;
	sink_printf(request->out, "mm: %s: ro, rw, shared, huge, nohuge, +PAGE or @ADDRESS was expected\n", word);
	return 1;
}

/* How many words say what is to be mapped; 0: none that is known, and a line says so. */
static int map_what(struct request *request, struct mapping_request *mapping, uint64_t *id)
{
	const char *what = request->argv[0], *which = request->argc > 2 ? request->argv[1] : "";

	if (strcmp(what, "anon") == 0)
		return 1;
	if (strcmp(what, "device") == 0) {
		struct device_memory *device = device_find(which, DEVICE_COHERENT);

		mapping->ops = &device_area_ops;
		mapping->object = device;
		if (device && device->kind == DEVICE_COHERENT)
			return 2;
		sink_printf(request->out, "mm: %s: no coherent device (cat /sys/kernel/debug/device_memory)\n", which);
		return 0;
	}
	if (strcmp(what, "file") == 0) {
		mapping->ops = &file_area_ops;
		if (parse_u64(which, id) == 0)
			return 2;
		sink_printf(request->out, "mm: %s: no file's number\n", which);
		return 0;
	}
	if (strcmp(what, "pfn") == 0) {
		mapping->flags |= AREA_PFNMAP;
		if (parse_u64(which, &mapping->index) == 0)
			return 2;
		sink_printf(request->out, "mm: %s: no frame's number\n", which);
		return 0;
	}
	sink_printf(request->out, "mm: %s: anon, file N, device NAME or pfn FRAME was expected\n", what);
	return 0;
}

/* What the allocator gives out is not to be mapped behind its back. */
static bool may_map_frames(uint64_t pfn, uint64_t pages)
{
	for (; pages; pages--, pfn++)
		if (device_of_pfn(pfn) || (pfn_valid(pfn) && page_owner(pfn_to_page(pfn)) != PAGE_OWNER_RESERVED))
			return false;
	return true;
}

static int insert_frames(struct request *request, uint64_t at, uint64_t pfn, uint64_t bytes)
{
	int error = 0;

	for (uint64_t done = 0; done < bytes && !error; done += PAGE_SIZE)
		error = mm_insert_frame(request->mm, at + done, pfn + (done >> PAGE_SHIFT));
	return error;
}

int mm_run_map(struct request *request)
{
	struct mapping_request mapping = {.flags = AREA_READ | AREA_WRITE};
	uint64_t id = 0;
	int words = map_what(request, &mapping, &id), error = words ? 0 : 1;
	int64_t at;

	if (!error && (words >= request->argc || parse_size(request->argv[words], &mapping.bytes))) {
		sink_printf(request->out, "mm: map: a size was expected\n");
		error = 1;
	}
	for (int i = words + 1; i < request->argc && !error; i++)
		error = map_option(request, request->argv[i], &mapping);
	if (error)
		return error;
	if ((mapping.flags & AREA_PFNMAP) && !may_map_frames(mapping.index, mapping.bytes >> PAGE_SHIFT))
		return -EPERM;
	at = mapping.ops == &file_area_ops ? mm_map_file(request->mm, id, &mapping) : mm_map(request->mm, &mapping);
	if (at < 0)
		return (int)at;
	if (mapping.flags & AREA_PFNMAP)
		error = insert_frames(request, (uint64_t)at, mapping.index, mapping.bytes);
	if (error)
		mm_unmap(request->mm, (uint64_t)at, mapping.bytes);
	else
		sink_printf(request->out, "0x%lx\n", (uint64_t)at);
	return error;
}

int mm_run_unmap(struct request *request)
{
	return mm_unmap(request->mm, request->start, request->bytes);
}

int mm_run_protect(struct request *request)
{
	const char *rights = request->argv[2];

	if (strcmp(rights, "none") != 0 && strcmp(rights, "r") != 0 && strcmp(rights, "rw") != 0) {
		sink_printf(request->out, "mm: %s: none, r or rw was expected\n", rights);
		return 1;
	}
	return mm_protect(request->mm, request->start, request->bytes,
			  (rights[0] == 'r' ? AREA_READ : 0) | (rights[0] == 'r' && rights[1] ? AREA_WRITE : 0));
}

int mm_run_madvise(struct request *request)
{
	static const struct {
		const char *name;
		enum madvise advice;
	} names[] = {{"dontneed", MADV_DONTNEED},   {"free", MADV_FREE},
		     {"mergeable", MADV_MERGEABLE}, {"unmergeable", MADV_UNMERGEABLE},
		     {"hugepage", MADV_HUGEPAGE},   {"nohugepage", MADV_NOHUGEPAGE},
		     {"cold", MADV_COLD},	    {"pageout", MADV_PAGEOUT},
		     {"collapse", MADV_COLLAPSE}};

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (strcmp(request->argv[2], names[i].name) == 0)
			return mm_madvise(request->mm, request->start, request->bytes, names[i].advice);
	sink_printf(request->out, "mm: %s: expected", request->argv[2]);
	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		sink_printf(request->out, " %s", names[i].name);
	sink_printf(request->out, "\n");
	return 1;
}

/* ---- accesses ---- */

static int fault_line(struct request *request, const char *what, uint64_t at)
{
	sink_printf(request->out, "mm: cannot %s 0x%lx\n", what, at);
	return 1;
}

int mm_run_touch(struct request *request)
{
	bool write = request->argc > 2 && strcmp(request->argv[2], "write") == 0;
	uint8_t byte;

	for (uint64_t at = request->start; at < request->start + request->bytes; at += PAGE_SIZE)
		if (user_read(&byte, at, 1) || (write && user_write(at, &byte, 1)))
			return fault_line(request, write ? "write" : "read", at);
	return 0;
}

int mm_run_write(struct request *request)
{
	const char *pattern = request->argv[2];
	size_t length = strlen(pattern), filled = 0;
	char buffer[512];

	if (!length || length > sizeof(buffer))
		return -EINVAL;
	while (filled + length <= sizeof(buffer)) {
		memcpy(buffer + filled, pattern, length);
		filled += length;
	}
	for (uint64_t done = 0; done < request->bytes; done += filled)
		if (user_write(request->start + done, buffer, MIN(request->bytes - done, filled)))
			return fault_line(request, "write", request->start + done);
	return 0;
}

int mm_run_read(struct request *request)
{
	uint8_t bytes[16];

	if (request->bytes > READ_MAX)
		return -EFBIG;
	for (uint64_t done = 0, count; done < request->bytes; done += count) {
		uint64_t at = request->start + done;

		count = MIN(request->bytes - done, sizeof(bytes));
		if (user_read(bytes, at, count))
			return fault_line(request, "read", at);
		sink_printf(request->out, "%lx:", at);
		for (uint64_t i = 0; i < count; i++)
			sink_printf(request->out, " %02x", bytes[i]);
		sink_printf(request->out, "  ");
		for (uint64_t i = 0; i < count; i++)
			sink_printf(request->out, "%c", bytes[i] >= ' ' && bytes[i] < 0x7f ? bytes[i] : '.');
		sink_printf(request->out, "\n");
	}
	return 0;
}

/* ---- pages ---- */

static int64_t move_to_node(struct request *request, int node)
{
	int64_t there = 0;

	for (uint64_t at = request->start; at < request->start + request->bytes; at += PAGE_SIZE) {
		int status = -ENOENT, error = mm_move_pages(request->mm, 1, &at, &node, &status);

		if (error)
			return error;
		there += status == node;
	}
	return there;
}

int mm_run_migrate(struct request *request)
{
	const char *where = request->argv[2];
	struct device_memory *device = device_find(where, DEVICE_COHERENT);
	uint64_t node = 0;
	int64_t moved;

	if (device) {
		moved = device_migrate_to(request->mm, request->start, request->bytes, device);
	} else if (strcmp(where, "ram") == 0) {
		moved = device_migrate_back(request->mm, request->start, request->bytes);
	} else if (parse_u64(where, &node) == 0 && node < memory.nr_nodes) {
		moved = move_to_node(request, (int)node);
	} else {
		sink_printf(request->out, "mm: %s: a device's name, ram, or a node's number was expected\n", where);
		return 1;
	}
	if (moved < 0)
		return (int)moved;
	sink_printf(request->out, "%ld of %lu pages %s %s\n", moved, request->bytes >> PAGE_SHIFT,
		    device || where[0] == 'r' ? "moved to" : "are on node", where);
	return 0;
}

int mm_run_file(struct request *request)
{
	bool truncate = strcmp(request->argv[1], "truncate") == 0;
	struct cache_file *file;
	uint64_t id;

	if (parse_u64(request->argv[0], &id) || (!truncate && strcmp(request->argv[1], "sync") != 0)) {
		sink_printf(request->out, "mm: a file's number, and sync or truncate, were expected\n");
		return 1;
	}
	file = cache_file_open(id);
	if (!file)
		return -ENOMEM;
	if (truncate)
		cache_file_truncate(file);
	else
		sink_printf(request->out, "%lu pages written back\n", cache_file_write_back(file));
	cache_file_close(file);
	return 0;
}
