/*
 * Private zones, from kmalloc. Large arrays come in pieces of their own, so that a zone of a few pageblocks fits.
 */
#include "tests/unit/mm_fixture.h"

#include "kernel/cpu.h"
#include "kernel/memory.h"
#include "kernel/panic.h"

static void *fixture_alloc(struct ktest *t, size_t bytes, size_t align)
{
	char *raw = kzalloc(bytes + align);

	ASSERT(raw, "no %zu bytes for a test", bytes + align);
	ktest_defer(t, kfree, raw);
	return (void *)ALIGN_UP((uintptr_t)raw, align);
}

struct zone *fixture_empty_zone(struct ktest *t, uint64_t pages)
{
	struct zone_config config = {
		.name = "test",
		.end_pfn = pages,
		.nr_cpus = ktest_hosted() ? MAX_CPUS : cpu_count(),
	};
	struct zone *zone = fixture_alloc(t, sizeof(*zone), CACHE_LINE_BYTES);

	config.pages = fixture_alloc(t, ALIGN_UP(pages, PAGEBLOCK_PAGES) * sizeof(struct page), sizeof(struct page));
	zone_init(zone, &config, fixture_alloc(t, zone_metadata_bytes(&config), 128));
	return zone;
}

static void give_back_pair(void *page)
{
	free_pages(page, MAX_ORDER);
}

struct zone *fixture_real_zone(struct ktest *t)
{
	struct page *pages = alloc_pages(GFP_KERNEL | GFP_NOWARN | GFP_OWNER(PAGE_OWNER_TEST), MAX_ORDER);
	struct zone_config config = {.name = "test", .nr_cpus = ktest_hosted() ? MAX_CPUS : cpu_count()};
	struct zone *zone = fixture_alloc(t, sizeof(*zone), CACHE_LINE_BYTES);

	ASSERT(pages, "no two pageblocks for a test");
	ktest_defer(t, give_back_pair, pages);
	config.pages = pages;
	config.start_pfn = page_to_pfn(pages);
	config.end_pfn = config.start_pfn + 2 * PAGEBLOCK_PAGES;
	zone_init(zone, &config, fixture_alloc(t, zone_metadata_bytes(&config), 128));
	zone_add_present(zone, config.start_pfn, config.end_pfn);
	zone_add_free(zone, config.start_pfn, config.end_pfn);
	return zone;
}

struct zone *fixture_zone(struct ktest *t, uint64_t pages)
{
	struct zone *zone = fixture_empty_zone(t, pages);

	zone_add_present(zone, 0, pages);
	zone_add_free(zone, 0, pages);
	return zone;
}

void fixture_memory_files(struct ktest *t)
{
	static bool made;

	if (ktest_hosted() && !made)
		EXPECT_OK(t, memory_files_init());
	made = true;
}
