/*
 * map: a picture of all pageblocks in the terminal, by type (colour) and fullness (height).
 *
 * A cell stands for one pageblock, or for as many as it takes to fit a zone into a few lines; then it has the commonest
 * type and the average fullness. Nothing is locked: it is a picture, not an account.
 */
#include "kernel/shell.h"
#include "kernel/thread.h"
#include "kernel/time.h"
#include "lib/errno.h"
#include "lib/parse.h"
#include "lib/string.h"
#include "mm/memory.h"

#define COLUMNS	 64u
#define MAX_ROWS 12u /* of a zone */

/* What a cell shows besides a migratetype. */
enum { CELL_RESERVED = MIGRATE_TYPES, CELL_ABSENT, CELL_KINDS };

static const struct {
	char letter; /* without colours; a capital from half full on */
	const char *colour, *name;
} kinds[CELL_KINDS] = {
	[MIGRATE_UNMOVABLE] = {'u', "31", "unmovable"},
	[MIGRATE_MOVABLE] = {'m', "32", "movable"},
	[MIGRATE_RECLAIMABLE] = {'r', "33", "reclaimable"},
	[MIGRATE_HIGHATOMIC] = {'h', "35", "highatomic"},
	[MIGRATE_CMA] = {'c', "36", "CMA"},
	[MIGRATE_ISOLATE] = {'i', "34", "isolated"},
	[CELL_RESERVED] = {'x', "90", "reserved"},
	[CELL_ABSENT] = {' ', "0", "absent"},
};

struct cell {
	unsigned int kind;
	uint32_t pages, used;
};

static unsigned int kind_of(const struct pageblock *pageblock)
{
	uint8_t flags = READ_ONCE(pageblock->flags);

	if (!(flags & PAGEBLOCK_PRESENT))
		return CELL_ABSENT;
	return flags & PAGEBLOCK_RESERVED ? CELL_RESERVED : READ_ONCE(pageblock->migratetype);
}

static struct cell look(const struct zone *zone, uint32_t first, uint32_t count)
{
	uint32_t votes[CELL_KINDS] = {0};
	struct cell cell = {.kind = CELL_ABSENT};

	for (uint32_t number = first; number < MIN(first + count, zone->nr_pageblocks); number++) {
		const struct pageblock *pageblock = &zone->pageblocks[number];

		votes[kind_of(pageblock)]++;
		cell.pages += PAGEBLOCK_PAGES;
		cell.used += PAGEBLOCK_PAGES - MIN((uint32_t)READ_ONCE(pageblock->free_pages), PAGEBLOCK_PAGES);
	}
	for (unsigned int kind = 0; kind < CELL_KINDS; kind++)
		if (votes[kind] > votes[cell.kind])
			cell.kind = kind;
	return cell;
}

/* Free as a whole is a dot; else eighths of a block, or a letter. */
static void show_cell(struct sink *out, const struct cell *cell, bool plain)
{
	static const char *const eighths[] = {"▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"};
	bool full = cell->pages && 2 * cell->used >= cell->pages;
	char letter = kinds[cell->kind].letter;

	if (cell->kind < MIGRATE_TYPES && !cell->used)
		sink_printf(out, plain ? "." : "\x1b[%sm·", kinds[cell->kind].colour);
	else if (plain || cell->kind >= MIGRATE_TYPES)
		sink_printf(out, "%c", full && cell->kind < MIGRATE_TYPES ? letter - 'a' + 'A' : letter);
	else
		sink_printf(out, "\x1b[%sm%s", kinds[cell->kind].colour,
			    eighths[(cell->used * 8 - 1) / MAX(cell->pages, 1u)]);
}

static void show_zone(struct sink *out, const struct zone *zone, bool plain)
{
	uint32_t each = DIV_ROUND_UP(zone->nr_pageblocks, COLUMNS * MAX_ROWS);

	sink_printf(out, "node %d, zone %s: %lu of %lu MiB free, %lu in whole pageblocks; a cell is %u MiB\n",
		    zone->node, zone->name, zone_free_pages(zone) >> 8, zone->managed_pages >> 8,
		    zone_whole_pages(zone) >> 8, 2 * each);
	for (uint32_t first = 0; first < zone->nr_pageblocks;) {
		sink_printf(out, "  %08lx ", (zone->start_pfn + (uint64_t)first * PAGEBLOCK_PAGES) << PAGE_SHIFT);
		for (unsigned int column = 0; column < COLUMNS && first < zone->nr_pageblocks;
		     column++, first += each) {
			struct cell cell = look(zone, first, each);

			show_cell(out, &cell, plain);
		}
		sink_printf(out, plain ? "\n" : "\x1b[0m\n");
	}
}

static void show_map(struct sink *out, bool plain)
{
	for_each_zone(zone) show_zone(out, zone, plain);
	for (unsigned int kind = 0; kind < CELL_ABSENT; kind++)
		sink_printf(out, plain ? "%.0s%c %s  " : "\x1b[%sm%c %s\x1b[0m  ", kinds[kind].colour,
			    plain		   ? kinds[kind].letter
			    : kind < MIGRATE_TYPES ? '#'
						   : 'x',
			    kinds[kind].name);
	sink_printf(out, plain ? ". free; a capital: at least half full\n" : "· free\n");
}

static int map_run(struct sink *out, int argc, char **argv)
{
	bool plain = false, follow = false;
	uint64_t seconds = UINT64_MAX;

	for (int at = 1; at < argc; at++) {
		plain |= strcmp(argv[at], "-p") == 0;
		follow |= strcmp(argv[at], "-f") == 0;
		if (argv[at][0] != '-' && (!follow || parse_u64(argv[at], &seconds))) {
			sink_printf(out, "map: \"%s\": wants -p, -f, or -f seconds\n", argv[at]);
			return -EINVAL;
		}
	}
	for (uint64_t turn = 0; turn == 0 || (follow && turn / 4 < seconds && !shell_interrupted()); turn++) {
		if (follow)
			sink_printf(out, turn ? "\x1b[H" : "\x1b[2J\x1b[H");
		show_map(out, plain);
		if (follow)
			sleep_ns(NS_PER_S / 4);
	}
	return 0;
}
SHELL_COMMAND(map, "[-p] [-f [seconds]]", "a picture of all pageblocks; -f: as it changes, -p: without colours",
	      map_run);
