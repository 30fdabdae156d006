/*
 * The shell's `mm`: address spaces to map, touch, fork, protect, migrate and look at.
 *
 * A task lives in the space that it made or uses, so `touch`, `read` and `write` are real accesses through the CPU's
 * tables; what they may not do ends in one line. The shell keeps a reference to each space until `mm end`, and the pins
 * that were taken in it.
 */
#include "kernel/shell.h"
#include "lib/parse.h"
#include "lib/string.h"
#include "mm/vm/commands.h"
#include "mm/vm/gup.h"
#include "mm/vm/mm_internal.h"

#define SPACES_MAX 32u
#define PINS_MAX   64u

struct pin {
	uint32_t mm_id;
	struct page *page;
};

static struct mutex kept_lock = MUTEX_INIT(kept_lock, "mm_command");
static struct mm *kept[SPACES_MAX];
static struct pin pins[PINS_MAX];

/* ---- spaces ---- */

static struct mm **find_kept(uint64_t id)
{
	for (size_t i = 0; i < SPACES_MAX; i++)
		if (kept[i] && kept[i]->id == id)
			return &kept[i];
	return NULL;
}

/* Takes the caller's reference over. */
static int keep(struct sink *out, struct mm *mm)
{
	struct mm **place = NULL;

	mutex_lock(&kept_lock);
	for (size_t i = 0; i < SPACES_MAX && !place; i++)
		place = kept[i] ? NULL : &kept[i];
	if (place)
		*place = mm;
	mutex_unlock(&kept_lock);
	if (place) {
		sink_printf(out, "%u\n", mm->id);
		return 0;
	}
	mm_put(mm);
	sink_printf(out, "mm: %u spaces are kept: end one first\n", SPACES_MAX);
	return 1;
}

static int run_new(struct request *request)
{
	struct mm *mm = mm_new();

	if (!mm)
		return -ENOMEM;
	mm_use(mm);
	return keep(request->out, mm);
}

/* The kept space that the first argument names, with a reference. */
static struct mm *named_space(struct request *request)
{
	struct mm **place, *mm = NULL;
	uint64_t id;

	mutex_lock(&kept_lock);
	place = parse_u64(request->argv[0], &id) ? NULL : find_kept(id);
	if (place) {
		mm = *place;
		mm_get(mm);
	}
	mutex_unlock(&kept_lock);
	if (!mm)
		sink_printf(request->out, "mm: there is no space %s (mm lists them)\n", request->argv[0]);
	return mm;
}

static int run_use(struct request *request)
{
	struct mm *mm = named_space(request);

	if (!mm)
		return 1;
	mm_use(mm);
	mm_put(mm);
	return 0;
}

static int run_fork(struct request *request)
{
	struct mm *child = mm_fork(request->mm);

	return IS_ERR(child) ? (int)PTR_ERR(child) : keep(request->out, child);
}

/* Under kept_lock. */
static uint64_t unpin_all(uint32_t mm_id)
{
	uint64_t count = 0;

	for (size_t i = 0; i < PINS_MAX; i++) {
		if (!pins[i].page || pins[i].mm_id != mm_id)
			continue;
		unpin_user_page(pins[i].page);
		pins[i].page = NULL;
		count++;
	}
	return count;
}

static int run_end(struct request *request)
{
	struct mm *mm = named_space(request), **place;

	if (!mm)
		return 1;
	if (mm == mm_current())
		mm_use(NULL);
	mutex_lock(&kept_lock);
	place = find_kept(mm->id);
	if (place) {
		*place = NULL;
		(void)unpin_all(mm->id);
		mm_put(mm); /* the shell's */
	}
	mutex_unlock(&kept_lock);
	mm_put(mm);
	return 0;
}

static int run_list(struct sink *out)
{
	sink_printf(out, "%6s %6s %8s %8s\n", "space", "users", "KiB", "KiB used");
	mutex_lock(&kept_lock);
	for (size_t i = 0; i < SPACES_MAX; i++) {
		struct mm *mm = kept[i];
		int64_t used = 0;

		if (!mm)
			continue;
		mutex_lock(&mm->lock);
		spin_lock(&mm->table_lock);
		used = mm->counters[MM_ANON] + mm->counters[MM_FILE] + mm->counters[MM_DEVICE];
		spin_unlock(&mm->table_lock);
		sink_printf(out, "%6u %6u %8lu %8ld%s\n", mm->id, load_relaxed(&mm->users), mm->mapped_pages * 4,
			    used * 4, mm == mm_current() ? "  this task's" : "");
		mutex_unlock(&mm->lock);
	}
	mutex_unlock(&kept_lock);
	return 0;
}

/* ---- pins ---- */

static int keep_pin(struct request *request, struct page *page)
{
	struct pin *place = NULL;

	mutex_lock(&kept_lock);
	for (size_t i = 0; i < PINS_MAX && !place; i++)
		place = pins[i].page ? NULL : &pins[i];
	if (place)
		*place = (struct pin){request->mm->id, page};
	mutex_unlock(&kept_lock);
	if (!place) {
		unpin_user_page(page);
		return -ENOSPC;
	}
	sink_printf(request->out, "0x%lx\n", page_to_pfn(page));
	return 0;
}

static int run_pin(struct request *request)
{
	uint32_t flags = FOLL_PIN;
	struct page *page;
	int64_t got;

	for (int i = 1; i < request->argc; i++) {
		if (strcmp(request->argv[i], "long") != 0 && strcmp(request->argv[i], "write") != 0) {
			sink_printf(request->out, "mm: %s: long or write was expected\n", request->argv[i]);
			return 1;
		}
		flags |= request->argv[i][0] == 'l' ? FOLL_LONGTERM : FOLL_WRITE;
	}
	got = get_user_pages(request->mm, request->start, 1, flags, &page);
	return got < 0 ? (int)got : keep_pin(request, page);
}

static int run_unpin(struct request *request)
{
	uint64_t count;

	mutex_lock(&kept_lock);
	count = unpin_all(request->mm->id);
	mutex_unlock(&kept_lock);
	sink_printf(request->out, "%lu pins released\n", count);
	return 0;
}

/* ---- looking ---- */

static int run_show(struct request *request)
{
	struct mm *mm = request->mm;

	if (request->argc) {
		mm = named_space(request);
		if (!mm)
			return 1;
	}
	mm_show(request->out, mm);
	if (request->argc)
		mm_put(mm);
	return 0;
}

static int run_walk(struct request *request)
{
	if (mm_show_walk(request->out, request->mm, request->start) == 0)
		return 0;
	sink_printf(request->out, "mm: no area holds 0x%lx\n", request->start);
	return 1;
}

static int run_check(struct request *request)
{
	return mm_check(request->mm);
}

/* ---- all of them ---- */

enum needs {
	NOTHING,
	SPACE,	 /* the caller's */
	ADDRESS, /* and an address */
	BYTES,	 /* and a size, of which there may be none */
	RANGE,	 /* whole pages */
};

static const struct subcommand {
	const char *name, *arguments, *help;
	int least; /* arguments */
	enum needs needs;
	int (*run)(struct request *request);
} subcommands[] = {
	{"new", "", "an address space; this task lives in it from now on", 0, NOTHING, run_new},
	{"use", "N", "this task lives in space N", 1, NOTHING, run_use},
	{"end", "N", "the space goes when no task uses it any more", 1, NOTHING, run_end},
	{"map", "anon|file N|device NAME|pfn FRAME SIZE [ro|rw] [shared] [huge|nohuge] [+PAGE] [@ADDRESS]",
	 "an area; its address", 2, SPACE, mm_run_map},
	{"file", "N sync|truncate", "writes a file's dirty pages back, or drops all", 2, NOTHING, mm_run_file},
	{"unmap", "ADDRESS SIZE", "takes the range away", 2, RANGE, mm_run_unmap},
	{"protect", "ADDRESS SIZE none|r|rw", "rights of the range", 3, RANGE, mm_run_protect},
	{"madvise", "ADDRESS SIZE ADVICE", "dontneed, free, hugepage, collapse, ...", 3, RANGE, mm_run_madvise},
	{"touch", "ADDRESS SIZE [write]", "an access to every page", 2, RANGE, mm_run_touch},
	{"write", "ADDRESS SIZE TEXT", "fills bytes with a text, again and again", 3, BYTES, mm_run_write},
	{"read", "ADDRESS [SIZE]", "shows bytes", 1, BYTES, mm_run_read},
	{"fork", "", "a copy that shares pages until one side writes; its number", 0, SPACE, run_fork},
	{"migrate", "ADDRESS SIZE NODE|DEVICE|ram", "moves pages", 3, RANGE, mm_run_migrate},
	{"pin", "ADDRESS [write] [long]", "holds a page as for a device; its frame", 1, ADDRESS, run_pin},
	{"unpin", "", "lets go of all that was pinned in this space", 0, SPACE, run_unpin},
	{"show", "[N]", "areas, and what is behind their entries", 0, SPACE, run_show},
	{"walk", "ADDRESS", "from the address to page and owner", 1, ADDRESS, run_walk},
	{"check", "", "all counts and links agree", 0, SPACE, run_check},
};

/* 0, or 1 and a line says what was expected. */
static int read_range(struct request *request, const struct subcommand *sub)
{
	if (sub->needs < ADDRESS)
		return 0;
	if (parse_u64(request->argv[0], &request->start)) {
		sink_printf(request->out, "mm: %s: no address\n", request->argv[0]);
		return 1;
	}
	if (sub->needs == ADDRESS)
		return 0;
	request->bytes = 16;
	if (request->argc > 1 && parse_size(request->argv[1], &request->bytes)) {
		sink_printf(request->out, "mm: %s: no size\n", request->argv[1]);
		return 1;
	}
	if (request->start >= USER_END || request->bytes > USER_END - request->start ||
	    (sub->needs == RANGE && !IS_ALIGNED(request->start | request->bytes, PAGE_SIZE))) {
		sink_printf(request->out, "mm: 0x%lx, 0x%lx bytes: no range%s\n", request->start, request->bytes,
			    sub->needs == RANGE ? " of whole pages" : "");
		return 1;
	}
	return 0;
}

static int run_subcommand(struct request *request, const struct subcommand *sub)
{
	int error;

	request->mm = mm_current();
	if (request->argc < sub->least) {
		sink_printf(request->out, "mm: expected: mm %s %s\n", sub->name, sub->arguments);
		return 1;
	}
	if (sub->needs != NOTHING && !request->mm && !(sub->run == run_show && request->argc)) {
		sink_printf(request->out, "mm: this task lives in no address space: mm new\n");
		return 1;
	}
	if (read_range(request, sub))
		return 1;
	error = sub->run(request);
	if (error < 0)
		sink_printf(request->out, "mm: %s: %s\n", sub->name, error_name(error));
	return error ? 1 : 0;
}

static int mm_run(struct sink *out, int argc, char **argv)
{
	struct request request = {.out = out, .argc = argc - 2, .argv = argv + 2};

	if (argc < 2)
		return run_list(out);
	for (size_t i = 0; i < ARRAY_SIZE(subcommands); i++)
		if (strcmp(argv[1], subcommands[i].name) == 0)
			return run_subcommand(&request, &subcommands[i]);
	if (strcmp(argv[1], "help") != 0) {
		sink_printf(out, "mm: %s: unknown (mm help lists what there is)\n", argv[1]);
		return 1;
	}
	for (size_t i = 0; i < ARRAY_SIZE(subcommands); i++)
		sink_printf(out, "mm %s%s%s: %s\n", subcommands[i].name, subcommands[i].arguments[0] ? " " : "",
			    subcommands[i].arguments, subcommands[i].help);
	return 0;
}
SHELL_COMMAND(mm, "[new|map|walk|help ...]", "address spaces: map, touch, fork, migrate, look (mm help)", mm_run);
