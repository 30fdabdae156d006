/*
 * What is shown of address spaces: the files of /proc/<id>/, snapshots for devices, what is charged.
 */
#include "kernel/thread.h"
#include "kernel/vfile.h"
#include "lib/string.h"
#include "mm/vm/charge.h"
#include "mm/vm/consumers.h"
#include "mm/vm/device.h"
#include "mm/vm/gup.h"
#include "mm/vm/hmm.h"
#include "mm/vm/proc.h"
#include "tests/unit/vm_fixture.h"

static char shown[16384];

static const char *show(const char *name)
{
	char path[64];
	struct text text;

	text_init(&text, shown, sizeof(shown));
	format(path, sizeof(path), "/proc/%u/%s", thread_id(thread_current()), name);
	return vfile_read(path, &text.sink) ? "unreadable" : shown;
}

static int clear_refs(const char *what)
{
	char path[64];

	format(path, sizeof(path), "/proc/%u/clear_refs", thread_id(thread_current()));
	return vfile_write(path, what, strlen(what));
}

KTEST(vm_proc, smaps_counts_what_is_there)
{
	struct device_memory *device = fixture_coherent(t, 4);
	struct mm *mm = fixture_mm(t);
	uint64_t at = fixture_area(t, mm, 8, RW);

	for (uint64_t i = 0; i < 4; i++)
		EXPECT_OK(t, poke(at + i * PAGE_SIZE, i));
	EXPECT_EQ(t, peek(at + 5 * PAGE_SIZE), 0u); /* the zero page is nobody's */
	EXPECT_EQ(t, device_migrate_to(mm, at, PAGE_SIZE, device), 1);
	show("smaps");
	EXPECT(t, strstr(shown, "100000000000-100000008000 rw-p 00000000 00:00 0 \n"));
	EXPECT(t, strstr(shown, "Size:                 32 kB\n"));
	EXPECT(t, strstr(shown, "Rss:                  16 kB\n"));
	EXPECT(t, strstr(shown, "Private_Dirty:        16 kB\n"));
	EXPECT(t, strstr(shown, "Anonymous:            16 kB\n"));
	EXPECT(t, strstr(shown, "VmFlags: rd wr sd \n"));
	show("numa_maps");
	EXPECT(t, strstr(shown, "100000000000 default anon=3 dirty=3 active=0 N"));
	show("status");
	EXPECT(t, strstr(shown, "RssDevice:\t       4 kB\n"));
	EXPECT_STR(t, show("maps"), "100000000000-100000008000 rw-p 00000000 00:00 0 \n");
}

/* As Linux 6.18 writes it, to the column. */
KTEST(vm_proc, the_text_is_linuxs)
{
	struct device_memory *device = fixture_coherent(t, 1);
	struct mm *mm = fixture_mm(t);
	struct mapping_request request = {.bytes = PAGE_SIZE, .flags = RW, .ops = &device_area_ops, .object = device};

	(void)fixture_area(t, mm, 8, RW);
	EXPECT_STR(t, show("smaps"),
		   "100000000000-100000008000 rw-p 00000000 00:00 0 \n"
		   "Size:                 32 kB\n"
		   "KernelPageSize:        4 kB\n"
		   "MMUPageSize:           4 kB\n"
		   "Rss:                   0 kB\n"
		   "Pss:                   0 kB\n"
		   "Pss_Dirty:             0 kB\n"
		   "Shared_Clean:          0 kB\n"
		   "Shared_Dirty:          0 kB\n"
		   "Private_Clean:         0 kB\n"
		   "Private_Dirty:         0 kB\n"
		   "Referenced:            0 kB\n"
		   "Anonymous:             0 kB\n"
		   "KSM:                   0 kB\n"
		   "LazyFree:              0 kB\n"
		   "AnonHugePages:         0 kB\n"
		   "ShmemPmdMapped:        0 kB\n"
		   "FilePmdMapped:         0 kB\n"
		   "Shared_Hugetlb:        0 kB\n"
		   "Private_Hugetlb:       0 kB\n"
		   "Swap:                  0 kB\n"
		   "SwapPss:               0 kB\n"
		   "Locked:                0 kB\n"
		   "THPeligible:           0\n"
		   "VmFlags: rd wr sd \n");
	EXPECT_STR(t, show("numa_maps"), "100000000000 default\n");
	EXPECT(t, mm_map(mm, &request) > 0);
	EXPECT(t, strstr(show("maps"),
			 "100000008000-100000009000 rw-p 00000000 00:00 0                          device\n"));
}

KTEST(vm_proc, smaps_of_huge_and_shared_pages)
{
	struct mm *mm = fixture_mm(t);
	uint64_t at = fixture_area(t, mm, 512, RW | AREA_HUGE);

	EXPECT_OK(t, poke(at, 1));
	EXPECT(t, strstr(show("smaps"), "AnonHugePages:      2048 kB\n"));
	(void)fixture_fork(t, mm);
	show("smaps");
	EXPECT(t, strstr(shown, "Shared_Dirty:       2048 kB\n"));
	EXPECT(t, strstr(shown, "Pss:                1024 kB\n"));
}

/* The word of pagemap for an address, 0: no line. */
static uint64_t pagemap_word(uint64_t address)
{
	char line[32];
	const char *found;
	uint64_t word = 0;

	show("pagemap");
	format(line, sizeof(line), "%lx ", address);
	found = strstr(shown, line);
	for (const char *c = found ? strchr(found, ' ') + 1 : "\n"; *c != '\n'; c++)
		word = word << 4 | (uint64_t)(*c <= '9' ? *c - '0' : *c - 'a' + 10);
	return word;
}

KTEST(vm_proc, pagemap_and_soft_dirty)
{
	struct mm *mm = fixture_mm(t);
	uint64_t at = fixture_area(t, mm, 4, RW);
	struct page *pinned;

	EXPECT_OK(t, poke(at, 1));
	EXPECT_OK(t, poke(at + PAGE_SIZE, 2));
	EXPECT_OK(t, poke(at + 2 * PAGE_SIZE, 3));
	EXPECT_EQ(t, pagemap_word(at), BIT(63) | BIT(56) | BIT(55) | pte_pfn(entry_of(mm, at)));
	EXPECT_EQ(t, pagemap_word(at + 3 * PAGE_SIZE), 0u);
	EXPECT_EQ(t, get_user_pages(mm, at + 2 * PAGE_SIZE, 1, FOLL_PIN | FOLL_WRITE, &pinned), 1);
	EXPECT_OK(t, clear_refs("4"));
	EXPECT(t, !(pagemap_word(at) & BIT(55)));
	EXPECT(t, pagemap_word(at + 2 * PAGE_SIZE) & BIT(55)); /* a device may write to it unseen */
	EXPECT_EQ(t, peek(at), 1u);
	EXPECT(t, !(pagemap_word(at) & BIT(55)));
	EXPECT_OK(t, poke(at, 9));
	EXPECT(t, pagemap_word(at) & BIT(55));
	EXPECT(t, !(pagemap_word(at + PAGE_SIZE) & BIT(55)));
	unpin_user_page(pinned);
	EXPECT_EQ(t, clear_refs("5"), -EINVAL);
	EXPECT_EQ(t, clear_refs("x"), -EINVAL);
}

KTEST(vm_proc, clear_refs_forgets_use)
{
	struct mm *mm = fixture_mm(t);
	uint64_t at = fixture_area(t, mm, 2, RW);

	EXPECT_OK(t, poke(at, 1));
	EXPECT(t, strstr(show("smaps"), "Referenced:            4 kB\n"));
	EXPECT_OK(t, clear_refs("3"));
	EXPECT(t, strstr(show("smaps"), "Referenced:            4 kB\n"));
	EXPECT_OK(t, clear_refs("1"));
	EXPECT(t, strstr(show("smaps"), "Referenced:            0 kB\n"));
	EXPECT_EQ(t, peek(at), 1u);
	EXPECT(t, strstr(show("smaps"), "Referenced:            4 kB\n"));
}

KTEST(vm_proc, the_directory_goes_with_the_space)
{
	struct mm *mm = fixture_mm(t);

	EXPECT_STR(t, show("maps"), "");
	mm_use(NULL);
	EXPECT_STR(t, show("maps"), "unreadable");
	mm_use(mm);
	EXPECT_STR(t, show("maps"), "");
}

KTEST(vm_proc, snapshots_say_when_they_are_no_longer_true)
{
	struct mm *mm = fixture_mm(t);
	uint64_t at = fixture_area(t, mm, 4, RW), words[4];
	struct hmm_range range = {.mm = mm, .start = at, .pages = 4, .words = words};

	EXPECT_OK(t, poke(at, 1));
	EXPECT_EQ(t, peek(at + PAGE_SIZE), 0u);
	EXPECT_OK(t, hmm_range_fault(&range));
	EXPECT_EQ(t, words[0], HMM_PFN_VALID | HMM_PFN_WRITE | pte_pfn(entry_of(mm, at)));
	EXPECT(t, (words[1] & HMM_PFN_VALID) && !(words[1] & HMM_PFN_WRITE));
	EXPECT_EQ(t, words[2], 0u);
	range.fault = range.write = true;
	EXPECT_OK(t, hmm_range_fault(&range));
	for (size_t i = 0; i < 4; i++)
		EXPECT(t, words[i] & HMM_PFN_WRITE);
	EXPECT(t, !hmm_still_true(&range)); /* the zero page went while it looked */
	EXPECT_OK(t, hmm_range_fault(&range));
	EXPECT(t, hmm_still_true(&range));
	EXPECT_OK(t, mm_protect(mm, at, PAGE_SIZE, AREA_READ));
	EXPECT(t, !hmm_still_true(&range));
	EXPECT_EQ(t, hmm_range_fault(&range), -EFAULT);
	range.pages = 1;
	range.start = at + 4 * PAGE_SIZE;
	EXPECT_EQ(t, hmm_range_fault(&range), -EFAULT);
}

KTEST(vm_proc, charges_are_what_a_space_has_for_itself)
{
	struct device_memory *device = fixture_coherent(t, 4);
	struct mm *mm = fixture_mm(t);
	uint64_t at = fixture_area(t, mm, 4, RW);
	struct mm_charges charges;

	for (uint64_t i = 0; i < 3; i++)
		EXPECT_OK(t, poke(at + i * PAGE_SIZE, i));
	EXPECT_EQ(t, device_migrate_to(mm, at, PAGE_SIZE, device), 1);
	(void)fixture_fork(t, mm);
	EXPECT_OK(t, poke(at + PAGE_SIZE, 9));
	EXPECT_OK(t, poke(at + 3 * PAGE_SIZE, 9));
	mm_charges(mm, &charges);
	EXPECT_EQ(t, charges.anon, 2u);
	EXPECT_EQ(t, charges.device, 0u);
	EXPECT_EQ(t, charges.shared, 2u);
}
