/*
 * Sizes of BARs, addresses for those without, windows for bridges without: nothing overlaps, nothing leaves
 * its bus.
 */
#include "kernel/ktest.h"
#include "lib/rand.h"
#include "tests/unit/pci_script.h"

#define ROOT_PORT 0x000c1b36u
#define DEVICE	  0x10451af4u

static struct pci_script script;

static void begin(struct ktest *t)
{
	pci_script_init(&script);
	ktest_defer(t, pci_script_release, &script);
}

/* What the BAR's registers say, without the type bits. */
static uint64_t written(int at, unsigned int bar, bool is_64)
{
	uint64_t low = pci_script_peek(&script, at, (uint16_t)(PCI_BAR_0 + 4 * bar), 4) & ~0xfu;
	uint64_t high = is_64 ? pci_script_peek(&script, at, (uint16_t)(PCI_BAR_0 + 4 * bar + 4), 4) : 0;

	return high << 32 | low;
}

KTEST(drivers_pci_bar, sizes_every_kind)
{
	const struct pci_bar *bars;
	int at;

	begin(t);
	at = pci_script_add(&script, -1, 1, 0, DEVICE);
	pci_script_bar(&script, at, 0, 32, 1, 0xc0a0);
	pci_script_bar(&script, at, 1, KIB(4), 0, 0xfebf1000);
	pci_script_bar(&script, at, 2, GIB(8), 4 | 8, GIB(896));
	pci_script_bar(&script, at, 4, 16, 0, 0xfebf2340);
	pci_script_poke(&script, at, PCI_COMMAND, 2, 0x107);
	REQUIRE_OK(t, pci_root_scan(&script.root));
	REQUIRE(t, pci_script_found(&script, at));
	pci_bar(pci_script_found(&script, at), 0);
	bars = pci_function_of(pci_script_found(&script, at))->bars;
	EXPECT(t, bars[0].is_io);
	EXPECT_EQ(t, bars[0].address, 0xc0a0u);
	EXPECT_EQ(t, bars[0].bytes, 32u);
	EXPECT_EQ(t, bars[1].address, 0xfebf1000u);
	EXPECT_EQ(t, bars[1].bytes, KIB(4));
	EXPECT(t, !bars[1].is_io && !bars[1].is_64 && !bars[1].prefetchable);
	EXPECT_EQ(t, bars[2].address, GIB(896));
	EXPECT_EQ(t, bars[2].bytes, GIB(8));
	EXPECT(t, bars[2].is_64 && bars[2].prefetchable);
	EXPECT_EQ(t, bars[3].bytes, 0u);
	EXPECT_EQ(t, bars[4].bytes, 16u);
	EXPECT_EQ(t, bars[5].bytes, 0u);
	/* All as it was. */
	EXPECT_EQ(t, pci_script_peek(&script, at, PCI_BAR_0, 4), 0xc0a1u);
	EXPECT_EQ(t, written(at, 2, true), GIB(896));
	EXPECT_EQ(t, pci_script_peek(&script, at, PCI_COMMAND, 2), 0x107u);
}

KTEST(drivers_pci_bar, host_bridges_are_left_alone)
{
	int at;

	begin(t);
	at = pci_script_add(&script, -1, 0, 0, 0x29c08086);
	pci_script_poke(&script, at, PCI_CLASS_REVISION, 4, 0x06000000);
	pci_script_bar(&script, at, 0, KIB(4), 0, 0);
	REQUIRE_OK(t, pci_root_scan(&script.root));
	EXPECT_EQ(t, pci_bar(pci_script_found(&script, at), 0)->bytes, 0u);
	EXPECT_EQ(t, written(at, 0, false), 0u);
}

KTEST(drivers_pci_bar, a_size_that_is_no_power_of_two_is_refused)
{
	int at;

	begin(t);
	at = pci_script_add(&script, -1, 1, 0, DEVICE);
	pci_script_bar(&script, at, 0, KIB(4), 0, 0);
	script.functions[at].writable[PCI_BAR_0 + 2] = 0xf0;
	pci_script_bar(&script, at, 5, KIB(4), 4, 0); /* 64 bits, but there is no room for the upper half */
	REQUIRE_OK(t, pci_root_scan(&script.root));
	EXPECT_EQ(t, pci_bar(pci_script_found(&script, at), 0)->bytes, 0u);
	EXPECT_EQ(t, pci_bar(pci_script_found(&script, at), 5)->bytes, KIB(4));
	EXPECT(t, !pci_bar(pci_script_found(&script, at), 5)->is_64);
}

KTEST(drivers_pci_bar, unassigned_ones_get_holes)
{
	int fixed, open, io;

	begin(t);
	script.info.ranges[2] = (struct boot_range){GIB(1), GIB(1) + MIB(1), BOOT_MEMORY_RESERVED};
	script.info.nr_ranges = 3;
	fixed = pci_script_add(&script, -1, 1, 0, DEVICE);
	pci_script_bar(&script, fixed, 0, MIB(1), 0, GIB(1) + MIB(2));
	open = pci_script_add(&script, -1, 2, 0, DEVICE);
	pci_script_bar(&script, open, 0, KIB(4), 0, 0);
	pci_script_bar(&script, open, 1, KIB(16), 4 | 8, 0);
	pci_script_bar(&script, open, 4, MIB(1), 0, 0);
	io = pci_script_add(&script, -1, 3, 0, DEVICE);
	pci_script_bar(&script, io, 0, 64, 1, 0);
	REQUIRE_OK(t, pci_root_scan(&script.root));
	/* Largest first, from the end of memory up: reserved, 1 MiB here, the fixed one, the rest behind it.
	 */
	EXPECT_EQ(t, written(open, 4, false), GIB(1) + MIB(1));
	EXPECT_EQ(t, written(open, 1, true), GIB(1) + MIB(3));
	EXPECT_EQ(t, written(open, 0, false), GIB(1) + MIB(3) + KIB(16));
	EXPECT_EQ(t, pci_bar(pci_script_found(&script, open), 1)->address, GIB(1) + MIB(3));
	EXPECT_EQ(t, pci_bar(pci_script_found(&script, io), 0)->address, 0xc000u);
	EXPECT_EQ(t, written(fixed, 0, false), GIB(1) + MIB(2));
}

KTEST(drivers_pci_bar, what_does_not_fit_below_goes_above)
{
	int huge, narrow;

	begin(t);
	script.machine.nr_memory = 1;
	script.machine.memory[0] = (struct machine_memory){.start = GIB(4), .end = GIB(9) + 1};
	script.machine.ecam = 0x80000000;
	script.machine.ecam_last_bus = 255;
	huge = pci_script_add(&script, -1, 1, 0, DEVICE);
	pci_script_bar(&script, huge, 0, GIB(4), 4 | 8, 0);
	pci_script_bar(&script, huge, 2, GIB(1), 4 | 8, 0); /* does: GIB(1) .. GIB(2) */
	narrow = pci_script_add(&script, -1, 2, 0, DEVICE);
	pci_script_bar(&script, narrow, 0, GIB(1), 0, 0);
	REQUIRE_OK(t, pci_root_scan(&script.root));
	EXPECT_EQ(t, written(huge, 0, true), GIB(12));
	EXPECT_EQ(t, written(huge, 2, true), GIB(1));
	EXPECT_EQ(t, written(narrow, 0, false), 0u); /* no room: stays as it was */
	EXPECT_EQ(t, pci_bar(pci_script_found(&script, narrow), 0)->address, 0u);
}

KTEST(drivers_pci_bar, closed_bridges_are_opened)
{
	int port, inner, first, second;
	uint32_t window, inner_window;

	begin(t);
	port = pci_script_add_bridge(&script, -1, 1, ROOT_PORT);
	first = pci_script_add(&script, port, 3, 0, DEVICE);
	pci_script_bar(&script, first, 0, KIB(4), 0, 0);
	inner = pci_script_add_bridge(&script, port, 4, ROOT_PORT);
	second = pci_script_add(&script, inner, 0, 0, DEVICE);
	pci_script_bar(&script, second, 2, MIB(4), 4 | 8, 0);
	REQUIRE_OK(t, pci_root_scan(&script.root));

	window = pci_script_peek(&script, port, PCI_MEMORY_WINDOW, 4);
	inner_window = pci_script_peek(&script, inner, PCI_MEMORY_WINDOW, 4);
	EXPECT_EQ(t, window & 0xffff, GIB(1) >> 16);
	EXPECT_EQ(t, inner_window & 0xffff, GIB(1) >> 16);
	EXPECT_EQ(t, inner_window >> 16, (GIB(1) + MIB(4) - 1) >> 16);
	EXPECT_EQ(t, window >> 16, (GIB(1) + MIB(5) - 1) >> 16);
	EXPECT_EQ(t, written(second, 2, true), GIB(1));
	EXPECT_EQ(t, written(first, 0, false), GIB(1) + MIB(4));
	/* The windows that are not used are closed: they end before they begin. */
	EXPECT_EQ(t, pci_script_peek(&script, port, PCI_PREFETCH_WINDOW, 4), 0xfff0u);
}

KTEST(drivers_pci_bar, open_bridges_are_kept_and_used)
{
	int port, taken, open;

	begin(t);
	port = pci_script_add_bridge(&script, -1, 1, ROOT_PORT);
	pci_script_number(&script, port, 1, 1);
	pci_script_poke(&script, port, PCI_MEMORY_WINDOW, 4, 0xfe10fe00);
	taken = pci_script_add(&script, port, 0, 0, DEVICE);
	pci_script_bar(&script, taken, 0, MIB(1), 0, 0xfe000000);
	open = pci_script_add(&script, port, 1, 0, DEVICE);
	pci_script_bar(&script, open, 0, MIB(1), 0, 0);
	pci_script_bar(&script, open, 1, MIB(2), 0, 0); /* no room */
	REQUIRE_OK(t, pci_root_scan(&script.root));
	EXPECT_EQ(t, pci_script_peek(&script, port, PCI_MEMORY_WINDOW, 4), 0xfe10fe00u);
	EXPECT_EQ(t, written(open, 0, false), 0xfe100000u);
	EXPECT_EQ(t, written(open, 1, false), 0u);
}

/* No two BARs on root bus or behind one bridge may meet; all lie in memory32 or above memory. */
static bool disjoint(void)
{
	const struct pci_function *a, *b;

	pci_for_each_function(a, &script.root) {
		for (unsigned int i = 0; i < PCI_NR_BARS; i++) {
			const struct pci_bar *x = &a->bars[i];

			if (!x->address)
				continue;
			if (x->address < GIB(1) || x->address % x->bytes != 0)
				return false;
			pci_for_each_function(b, &script.root) {
				for (unsigned int k = 0; k < PCI_NR_BARS; k++) {
					const struct pci_bar *y = &b->bars[k];

					if (x != y && y->address && x->address < y->address + y->bytes &&
					    y->address < x->address + x->bytes)
						return false;
				}
			}
		}
	}
	return true;
}

KTEST(drivers_pci_bar, random_trees_never_overlap)
{
	struct rand rand;

	rand_seed(&rand, ktest_seed(t));
	begin(t);
	for (unsigned int round = 0; round < 200; round++) {
		int bridges[8] = {-1};
		unsigned int nr_bridges = 1;

		pci_root_release(&script.root);
		pci_script_init(&script);
		for (uint8_t i = 0; i < PCI_SCRIPT_FUNCTIONS; i++) {
			int bridge = bridges[rand_below(&rand, nr_bridges)];
			int at;

			if (nr_bridges < ARRAY_SIZE(bridges) && rand_below(&rand, 3) == 0) {
				bridges[nr_bridges++] = pci_script_add_bridge(&script, bridge, i, ROOT_PORT);
				continue;
			}
			at = pci_script_add(&script, bridge, i, 0, DEVICE);
			for (unsigned int bar = 0; bar < PCI_NR_BARS; bar += 2)
				pci_script_bar(&script, at, bar, 16ull << rand_below(&rand, 22), rand_u64(&rand) & 4,
					       0);
		}
		REQUIRE_OK(t, pci_root_scan(&script.root));
		REQUIRE(t, script.root.nr_devices == PCI_SCRIPT_FUNCTIONS);
		REQUIRE(t, disjoint());
	}
}
