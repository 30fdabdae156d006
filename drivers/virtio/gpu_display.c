/*
 * The shell's `display`: a picture of the allocator on the virtio-gpu's screen, one cell a pageblock.
 *
 * The colour is the pageblock's migratetype, the brightness how many of its pages are in use: from dark (all free) to
 * full. Reserved ones are grey; what is no memory is left out. Cells are as large as fit, in rows from the upper left,
 * zone after zone, each beginning a new row. The allocator is not stopped: each pageblock is looked at once.
 */
#include "drivers/virtio/gpu.h"

#include "kernel/shell.h"
#include "lib/errno.h"
#include "lib/string.h"
#include "mm/memory.h"

#define BYTES_PER_PIXEL 4u
#define BACKGROUND	0x101018u
#define RESERVED	0x606060u
#define LARGEST_CELL	32u
#define DARKEST		64u /* of 255: a pageblock with nothing in use */

/* 0xRRGGBB at full brightness. */
static const uint32_t colours[MIGRATE_TYPES] = {
	[MIGRATE_UNMOVABLE] = 0xff0000,	 [MIGRATE_MOVABLE] = 0x00ff00, [MIGRATE_RECLAIMABLE] = 0x0000ff,
	[MIGRATE_HIGHATOMIC] = 0xff00ff, [MIGRATE_CMA] = 0x00ffff,     [MIGRATE_ISOLATE] = 0xffffff,
};

struct picture {
	struct dma_buf *buf;
	struct virtio_gpu_size size;
	uint32_t cell, columns;
	uint32_t drawn[MIGRATE_TYPES + 1]; /* the last: reserved */
};

/* ---- drawing ---- */

/* @count pixels from (x, y) on, in one row. */
static void draw_row(struct picture *picture, uint32_t x, uint32_t y, uint32_t count, uint32_t colour)
{
	uint64_t at = ((uint64_t)y * picture->size.width + x) * BYTES_PER_PIXEL, bytes = count * BYTES_PER_PIXEL, there;

	for (uint32_t *to; bytes && (to = (void *)dma_buf_at(picture->buf, at, &there)); at += there, bytes -= there) {
		there = MIN(there, bytes);
		for (uint64_t i = 0; i < there / BYTES_PER_PIXEL; i++)
			to[i] = colour;
	}
}

static void draw_cell(struct picture *picture, uint32_t place, uint32_t colour)
{
	uint32_t x = place % picture->columns * picture->cell, y = place / picture->columns * picture->cell;
	uint32_t side = MAX(picture->cell, 2u) - 1; /* a line between two */

	for (uint32_t row = 0; row < side && y + row < picture->size.height; row++)
		draw_row(picture, x, y + row, side, colour);
}

static uint32_t shade(uint32_t colour, uint32_t used_pages)
{
	uint32_t level = DARKEST + (255 - DARKEST) * used_pages / PAGEBLOCK_PAGES, shaded = 0;

	for (unsigned int shift = 0; shift < 24; shift += 8)
		shaded |= (colour >> shift & 255) * level / 255 << shift;
	return shaded;
}

static void draw_pageblock(struct picture *picture, uint32_t place, const struct pageblock *pageblock)
{
	uint8_t flags = READ_ONCE(pageblock->flags), type = READ_ONCE(pageblock->migratetype);
	uint32_t free = MIN(READ_ONCE(pageblock->free_pages), PAGEBLOCK_PAGES);

	if (!(flags & PAGEBLOCK_PRESENT) || type >= MIGRATE_TYPES)
		return;
	if (flags & PAGEBLOCK_RESERVED) {
		picture->drawn[MIGRATE_TYPES]++;
		draw_cell(picture, place, RESERVED);
		return;
	}
	picture->drawn[type]++;
	draw_cell(picture, place, shade(colours[type], PAGEBLOCK_PAGES - free));
}

static uint32_t rows_needed(uint32_t columns)
{
	uint32_t rows = 0;

	for_each_zone(zone) rows += DIV_ROUND_UP(zone->nr_pageblocks, columns);
	return rows;
}

/* The largest cells with which all zones fit; 1 if not even that does. */
static void choose_cells(struct picture *picture)
{
	picture->cell = LARGEST_CELL + 1;
	do {
		picture->cell--;
		picture->columns = picture->size.width / picture->cell;
	} while (picture->cell > 1 && rows_needed(picture->columns) * picture->cell > picture->size.height);
}

static void draw(struct picture *picture)
{
	uint32_t place = 0;

	choose_cells(picture);
	for (uint32_t y = 0; y < picture->size.height; y++)
		draw_row(picture, 0, y, picture->size.width, BACKGROUND);
	for_each_zone(zone)
	{
		for (uint32_t number = 0; number < zone->nr_pageblocks; number++)
			draw_pageblock(picture, place + number, &zone->pageblocks[number]);
		place = DIV_ROUND_UP(place + zone->nr_pageblocks, picture->columns) * picture->columns;
	}
}

/* ---- the command ---- */

static void report(struct sink *out, const struct picture *picture)
{
	sink_printf(out, "picture %ux%u cell %u columns %u\n", picture->size.width, picture->size.height, picture->cell,
		    picture->columns);
	for (unsigned int type = 0; type < MIGRATE_TYPES; type++)
		sink_printf(out, "%s %u #%06x\n", migratetype_name(type), picture->drawn[type], colours[type]);
	sink_printf(out, "Reserved %u #%06x\n", picture->drawn[MIGRATE_TYPES], RESERVED);
}

static int display_run(struct sink *out, int argc, char **argv)
{
	struct picture picture = {0};
	int error;

	if (argc == 2 && strcmp(argv[1], "off") == 0)
		return virtio_gpu_show(NULL);
	if (argc != 1)
		return -EINVAL;
	error = virtio_gpu_preferred_size(&picture.size);
	if (error)
		return error;
	picture.buf =
		dma_buf_alloc(dma_heap_find("virtio-gpu"),
			      (uint64_t)picture.size.width * picture.size.height * BYTES_PER_PIXEL, &picture.size);
	if (IS_ERR(picture.buf))
		return (int)PTR_ERR(picture.buf);
	draw(&picture);
	error = virtio_gpu_show(picture.buf);
	dma_buf_put(picture.buf);
	if (!error)
		report(out, &picture);
	return error;
}
SHELL_COMMAND(display, "[off]", "draws all pageblocks, by type and use, on the virtio-gpu's screen", display_run);
