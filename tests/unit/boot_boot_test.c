/*
 * Physical memory as the boot stub sees it: what it promises, and what it refuses. (That it can be read there is seen
 * at boot only: the stub's tables are gone by now.)
 */
#include "arch/x86_64/boot/boot.h"
#include "arch/x86_64/paging.h"
#include "arch/x86_64/platform.h"
#include "kernel/ktest.h"

#include <arch/page.h>

extern char image_start[], image_end[];

KTEST(boot, low_memory_is_seen_in_the_direct_map)
{
	EXPECT(t, boot_map_physical(0, 1, NULL) == phys_to_virt(0));
	EXPECT(t, boot_map_physical(GIB(4) - 1, 1, NULL) == phys_to_virt(GIB(4) - 1));
}

KTEST(boot, what_the_stub_cannot_map_is_refused)
{
	EXPECT(t, boot_map_physical(MIB(1), 0, NULL) == NULL);
	EXPECT(t, boot_map_physical(GIB(512), 1, NULL) == NULL);
	EXPECT(t, boot_map_physical(GIB(512) - 1, 2, NULL) == NULL);
	EXPECT(t, boot_map_physical(UINT64_MAX, 2, NULL) == NULL);
	EXPECT(t, boot_map_physical(MIB(1), SIZE_MAX, NULL) == NULL);
}

/* Each needs a table of its own, of which there are four: one at least is refused. */
KTEST(boot, windows_above_4_gib_are_few)
{
	unsigned int opened = 0;

	for (uint64_t i = 0; i < 5; i++) {
		uint64_t phys = GIB(100 + 2 * i);
		const void *seen = boot_map_physical(phys, 8, NULL);

		EXPECT(t, !seen || seen == phys_to_virt(phys));
		EXPECT(t, boot_map_physical(phys + 8, 8, NULL) == (seen ? (const char *)seen + 8 : NULL));
		opened += seen != NULL;
	}
	EXPECT(t, opened <= 4);
}

KTEST(boot, the_image_is_where_it_was_loaded)
{
	EXPECT_EQ(t, image_to_phys(image_start), boot_image_phys);
	EXPECT_EQ(t, boot_image_phys % LARGE_PAGE_SIZE, 0u);
	EXPECT_EQ(t, image_to_phys(image_end) - image_to_phys(image_start), (uint64_t)(image_end - image_start));
	EXPECT(t, boot_entry_cycles != 0);
}
