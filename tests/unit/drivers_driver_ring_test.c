/*
 * What the standard asks of a driver's rings, a test a requirement; the names begin with the clause (virtio 1.2). Those
 * that other suites try are named in tests/conformance.txt, which lists all of them.
 */
#include "tests/unit/virtqueue_fixture.h"

#include "drivers/virtio/virtqueue_internal.h"
#include "kernel/thread.h"
#include "kernel/time.h"
#include "lib/atomic.h"
#include "lib/rand.h"
#include "lib/string.h"

#define INIT	     VIRTQUEUE_DESC_ID_INIT
#define PACKED_AVAIL (1u << 7)
#define PACKED_USED  (1u << 15)

static uint16_t *word(struct virtqueue_fixture *f, const char *part, size_t offset)
{
	return (uint16_t *)((char *)f->memory + (part - f->device.descriptors) + offset);
}

static struct virtqueue_desc *descriptor(struct virtqueue_fixture *f, unsigned int at)
{
	return (struct virtqueue_desc *)f->memory + at;
}

static bool aligned(const struct virtqueue_fixture *f, uint64_t descriptors, uint64_t driver, uint64_t device)
{
	struct virtqueue_addresses at = virtqueue_addresses(f->vq);

	return at.descriptors % descriptors == 0 && at.driver % driver == 0 && at.device % device == 0;
}

/* Every size, for the parts lie one behind the other. */
KTEST(driver, c2_7_1_the_parts_of_a_split_ring_are_aligned)
{
	for (unsigned int size = 1; size <= 1024; size *= 2) {
		struct virtqueue_fixture *f = virtqueue_fixture(t, (struct virtqueue_shape){.size = size});

		REQUIRE(t, f);
		EXPECT(t, aligned(f, 16, 2, 4));
	}
}

KTEST(driver, c2_8_11_the_parts_of_a_packed_ring_are_aligned)
{
	for (unsigned int size = 1; size <= 40; size++) {
		struct virtqueue_fixture *f =
			virtqueue_fixture(t, (struct virtqueue_shape){.packed = true, .size = size});

		REQUIRE(t, f);
		EXPECT(t, aligned(f, 16, 4, 4));
	}
}

/* Of more than that the descriptors become two chains, or are refused where there is to be one. */
KTEST(driver, c2_7_5_2_no_chain_is_longer_than_4_gib)
{
	for (int packed = 0; packed < 2; packed++) {
		struct virtqueue_shape shape = {.packed = packed, .size = 16, .tables = 1, .table_entries = 8};
		struct virtqueue_fixture *f = virtqueue_fixture(t, shape);
		struct virtqueue_buffer parts[] = {{GIB(8), GIB(2)}, {GIB(16), GIB(2)}, {GIB(32), 1}};
		uint16_t head = INIT, prev = INIT;

		REQUIRE(t, f);
		EXPECT_EQ(t, virtqueue_add(f->vq, parts, 0, 3, f), -EINVAL);
		EXPECT_OK(t, virtqueue_add(f->vq, parts, 0, 2, f));
		EXPECT(t, virtqueue_fixture_use_one(f, 0) >= 0);
		EXPECT(t, virtqueue_get(f->vq, NULL) == f);
		f->bytes_seen = f->chains_seen = 0;
		f->answer = ANSWER_AT_ONCE;
		for (unsigned int i = 0; i < 3; i++)
			EXPECT_OK(t, virtqueue_add_chain_desc(f->vq, parts[i].address, parts[i].bytes, &head, &prev,
							      true));
		EXPECT_EQ(t, f->chains_seen, 1u);
		EXPECT_EQ(t, f->bytes_seen, GIB(4));
		EXPECT_OK(t, virtqueue_add_chain(f->vq, head, false, NULL, f, NULL));
		EXPECT_OK(t, virtqueue_kick_sync(f->vq));
		EXPECT_EQ(t, f->bytes_seen, GIB(4) + 1);
	}
}

static void flags_in_the_ring(struct ktest *t, bool packed, uint16_t forbidden)
{
	struct virtqueue_fixture *f = virtqueue_fixture(t, (struct virtqueue_shape){.packed = packed, .size = 8});
	struct virtqueue_buffer parts[3] = {{0x1000, 1}, {0x2000, 1}, {0x3000, 1}};

	REQUIRE(t, f);
	for (int round = 0; round < 10; round++) {
		EXPECT_OK(t, virtqueue_add(f->vq, parts, 1, 2, f));
		for (unsigned int at = 0; at < 8; at++)
			EXPECT_EQ(t, (packed ? descriptor(f, at)->next : descriptor(f, at)->flags) & forbidden, 0u);
		EXPECT(t, virtqueue_fixture_use_one(f, 0) >= 0);
		EXPECT(t, virtqueue_get(f->vq, NULL) == f);
	}
}

KTEST(driver, c2_7_5_3_1_no_indirect_flag_without_the_feature)
{
	flags_in_the_ring(t, false, VIRTQUEUE_DESC_INDIRECT);
}

KTEST(driver, c2_8_19_no_indirect_flag_without_the_feature)
{
	flags_in_the_ring(t, true, VIRTQUEUE_DESC_INDIRECT);
}

/* The table's descriptor is the whole chain: INDIRECT without NEXT, and nothing before or behind it. */
static void a_table_is_a_chain(struct ktest *t, bool packed)
{
	struct virtqueue_shape shape = {.packed = packed, .size = 8, .tables = 1, .table_entries = 4};
	struct virtqueue_fixture *f = virtqueue_fixture(t, shape);
	struct virtqueue_buffer parts[4] = {{0x1000, 1}, {0x2000, 1}, {0x3000, 1}, {0x4000, 1}};
	uint16_t head = INIT, prev = INIT, flags;

	REQUIRE(t, f);
	EXPECT_OK(t, virtqueue_add(f->vq, parts, 2, 2, f));
	flags = packed ? descriptor(f, 0)->next : descriptor(f, 0)->flags;
	EXPECT_EQ(t, flags & (VIRTQUEUE_DESC_INDIRECT | VIRTQUEUE_DESC_NEXT | VIRTQUEUE_DESC_WRITE),
		  VIRTQUEUE_DESC_INDIRECT);
	EXPECT_EQ(t, descriptor(f, 0)->bytes, 64u);
	EXPECT_EQ(t, virtqueue_free_descriptors(f->vq), 7u);
	/* By hand: a table behind another descriptor, or one that is writable. */
	EXPECT_OK(t, virtqueue_add_chain_desc(f->vq, 0x5000, 16, &head, &prev, false));
	EXPECT_OK(t, virtqueue_add_chain_desc(f->vq, 0x6000, 16, &head, &prev, false));
	EXPECT_EQ(t, virtqueue_add_chain(f->vq, head, true, f, f, NULL), -EINVAL);
	virtqueue_abandon_chain(f->vq, head);
}

KTEST(driver, c2_7_5_3_1_a_table_is_a_chain_of_its_own)
{
	a_table_is_a_chain(t, false);
}

KTEST(driver, c2_8_19_a_table_is_a_list_of_its_own)
{
	a_table_is_a_chain(t, true);
}

static const struct virtqueue_desc *table_of(struct virtqueue_fixture *f)
{
	return (void *)((char *)f->memory + (descriptor(f, 0)->address - f->phys));
}

KTEST(driver, c2_7_5_3_1_no_table_within_a_table)
{
	struct virtqueue_shape shape = {.size = 8, .tables = 1, .table_entries = 8};
	struct virtqueue_fixture *f = virtqueue_fixture(t, shape);
	struct virtqueue_buffer parts[8];

	REQUIRE(t, f);
	for (unsigned int i = 0; i < 8; i++)
		parts[i] = (struct virtqueue_buffer){0x1000 * (i + 1), 8};
	EXPECT_OK(t, virtqueue_add(f->vq, parts, 3, 5, f));
	for (unsigned int i = 0; i < 8; i++) {
		EXPECT_EQ(t, table_of(f)[i].flags,
			  (i < 7 ? VIRTQUEUE_DESC_NEXT : 0) | (i >= 3 ? VIRTQUEUE_DESC_WRITE : 0));
		EXPECT(t, i == 7 || table_of(f)[i].next == i + 1);
	}
}

KTEST(driver, c2_8_19_entries_of_a_table_carry_no_flag_but_write)
{
	struct virtqueue_shape shape = {.packed = true, .size = 8, .tables = 1, .table_entries = 8};
	struct virtqueue_fixture *f = virtqueue_fixture(t, shape);
	struct virtqueue_buffer parts[8];

	REQUIRE(t, f);
	for (unsigned int i = 0; i < 8; i++)
		parts[i] = (struct virtqueue_buffer){0x1000 * (i + 1), 8};
	EXPECT_OK(t, virtqueue_add(f->vq, parts, 3, 5, f));
	for (unsigned int i = 0; i < 8; i++)
		EXPECT_EQ(t, table_of(f)[i].next, i >= 3 ? VIRTQUEUE_DESC_WRITE : 0u);
}

/* Neither in the ring nor through a table: virtio_setup_queues() makes tables as long as the queue. */
static void no_chain_is_longer(struct ktest *t, bool packed)
{
	struct virtqueue_shape shape = {.packed = packed, .size = 8, .tables = 2, .table_entries = 8};
	struct virtqueue_fixture *f = virtqueue_fixture(t, shape);
	struct virtqueue_buffer parts[9];

	REQUIRE(t, f);
	for (unsigned int i = 0; i < 9; i++)
		parts[i] = (struct virtqueue_buffer){0x1000 * (i + 1), 8};
	EXPECT_EQ(t, virtqueue_longest_chain(f->vq), 8u);
	EXPECT_EQ(t, virtqueue_add(f->vq, parts, 0, 9, f), -ENOSPC);
	EXPECT_EQ(t, virtqueue_fixture_use_one(f, 0), -1);
	EXPECT_OK(t, virtqueue_add(f->vq, parts, 0, 8, f));
	EXPECT(t, virtqueue_fixture_use_one(f, 0) >= 0);
	EXPECT_EQ(t, f->descriptors_seen, 8u);
	EXPECT(t, virtqueue_get(f->vq, NULL) == f);
}

KTEST(driver, c2_7_5_3_1_no_chain_is_longer_than_the_queue)
{
	no_chain_is_longer(t, false);
}

KTEST(driver, c2_8_17_no_list_is_longer_than_the_queue)
{
	no_chain_is_longer(t, true);
}

KTEST(driver, c2_7_6_1_the_available_index_never_goes_back)
{
	struct virtqueue_fixture *f = virtqueue_fixture(t, (struct virtqueue_shape){.size = 8});
	uint16_t before = 0;
	struct rand rand;

	REQUIRE(t, f);
	rand_seed(&rand, ktest_seed(t));
	for (uintptr_t round = 1; round < 2000; round++) {
		uint16_t head = INIT, prev = INIT, index;

		if (rand_below(&rand, 2)) {
			(void)!virtqueue_add_chain_desc(f->vq, round, 1, &head, &prev, true);
			virtqueue_abandon_chain(f->vq, head);
		} else if (virtqueue_fixture_add(f, round)) {
			virtqueue_fixture_use_one(f, 0);
			EXPECT(t, virtqueue_get(f->vq, NULL) != NULL);
		}
		index = *word(f, f->device.driver, 2);
		EXPECT(t, (uint16_t)(index - before) <= 1);
		before = index;
	}
	EXPECT(t, before > 100);
}

/* ---- interrupts ---- */

static void flags_while_switching(struct ktest *t, bool event_index)
{
	struct virtqueue_fixture *f =
		virtqueue_fixture(t, (struct virtqueue_shape){.event_index = event_index, .size = 8});

	REQUIRE(t, f);
	for (uintptr_t round = 1; round < 20; round++) {
		EXPECT_EQ(t, *word(f, f->device.driver, 0), 0u);
		virtqueue_disable_interrupts(f->vq);
		EXPECT_EQ(t, *word(f, f->device.driver, 0), event_index ? 0u : 1u);
		EXPECT_OK(t, virtqueue_fixture_add(f, round));
		EXPECT_EQ(t, virtqueue_fixture_use_one(f, 0), 0);
		EXPECT(t, virtqueue_get(f->vq, NULL) != NULL);
		EXPECT(t, !virtqueue_enable_interrupts(f->vq));
	}
}

KTEST(driver, c2_7_7_1_flags_are_0_or_1_without_the_event_index)
{
	flags_while_switching(t, false);
}

KTEST(driver, c2_7_7_1_flags_stay_0_with_the_event_index)
{
	flags_while_switching(t, true);
}

/* Of the reserved bits none is set; a specific event is asked for only where that was negotiated. */
KTEST(driver, c2_8_14_event_suppression_is_well_formed)
{
	for (int event_index = 0; event_index < 2; event_index++) {
		struct virtqueue_shape shape = {.packed = true, .event_index = event_index, .size = 5};
		struct virtqueue_fixture *f = virtqueue_fixture(t, shape);

		REQUIRE(t, f);
		for (uintptr_t round = 1; round < 20; round++) {
			virtqueue_enable_interrupts(f->vq);
			EXPECT_EQ(t, *word(f, f->device.driver, 2), event_index ? 2u : 0u);
			EXPECT(t, (*word(f, f->device.driver, 0) & 0x7fff) < 5);
			virtqueue_disable_interrupts(f->vq);
			EXPECT_EQ(t, *word(f, f->device.driver, 2), 1u);
			EXPECT_OK(t, virtqueue_fixture_add(f, round));
			EXPECT(t, virtqueue_fixture_use_one(f, 0) >= 0);
			EXPECT(t, virtqueue_get(f->vq, NULL) != NULL);
		}
	}
}

KTEST(driver, c2_7_7_1_spurious_interrupts_do_no_harm)
{
	for (int packed = 0; packed < 2; packed++) {
		struct virtqueue_fixture *f =
			virtqueue_fixture(t, (struct virtqueue_shape){.packed = packed, .size = 4});

		REQUIRE(t, f);
		for (uintptr_t round = 1; round < 20; round++) {
			virtqueue_used_interrupt(f->vq);
			EXPECT(t, virtqueue_get(f->vq, NULL) == NULL);
			EXPECT_OK(t, virtqueue_fixture_add(f, round));
			virtqueue_used_interrupt(f->vq);
			EXPECT(t, virtqueue_get(f->vq, NULL) == NULL);
			EXPECT(t, virtqueue_fixture_use_one(f, 0) >= 0);
			EXPECT(t, virtqueue_get(f->vq, NULL) == (void *)round);
		}
		EXPECT(t, !virtqueue_is_broken(f->vq));
	}
}

/* ---- notifications ---- */

KTEST(driver, c2_7_10_1_the_used_flags_begin_as_0)
{
	struct virtqueue_fixture *f = virtqueue_fixture(t, (struct virtqueue_shape){.size = 8});

	REQUIRE(t, f);
	EXPECT_EQ(t, *word(f, f->device.device, 0), 0u);
	EXPECT_EQ(t, *word(f, f->device.device, 2), 0u);
}

KTEST(driver, c2_7_10_1_avail_event_is_ignored_without_the_feature)
{
	struct virtqueue_fixture *f = virtqueue_fixture(t, (struct virtqueue_shape){.size = 8});

	REQUIRE(t, f);
	for (uint16_t at = 0; at < 4; at++) {
		*word(f, f->device.device, 4 + 8 * 8) = (uint16_t)(at + 1000);
		EXPECT_OK(t, virtqueue_fixture_add(f, at + 1));
		EXPECT(t, virtqueue_kick(f->vq));
		EXPECT_EQ(t, f->notifications, at + 1u);
	}
}

KTEST(driver, c2_7_10_1_flags_are_ignored_with_the_event_index)
{
	struct virtqueue_fixture *f = virtqueue_fixture(t, (struct virtqueue_shape){.event_index = true, .size = 8});

	REQUIRE(t, f);
	*word(f, f->device.device, 0) = 1;
	for (uint16_t at = 0; at < 4; at++) {
		*word(f, f->device.device, 4 + 8 * 8) = at; /* wants to hear of this one */
		EXPECT_OK(t, virtqueue_fixture_add(f, at + 1));
		EXPECT(t, virtqueue_kick(f->vq));
		EXPECT_EQ(t, f->notifications, at + 1u);
	}
}

/* ---- two processors ---- */

#define ROUNDS 3000u

struct pair {
	struct virtqueue_fixture *f;
	uint32_t notified; /* rings the device's bell */
	uint32_t seen, wrong, naps;
};

static void ring_the_bell(struct virtqueue *vq)
{
	struct pair *pair = virtqueue_owner(vq);

	atomic_inc(&pair->notified);
}

/* A device that sleeps as soon as it has nothing to do, and wakes by notifications alone. */
static int sleepy_device(void *argument)
{
	struct pair *pair = argument;
	struct virtqueue_fixture *f = pair->f;
	uint64_t deadline = wait_deadline(60 * NS_PER_S);

	while (load_relaxed(&pair->seen) < ROUNDS && time_ns() < deadline) {
		uint32_t bell = load_acquire(&pair->notified);

		ring_device_set_notify(&f->device, true);
		smp_mb();
		if (!ring_device_pop(&f->device, &f->element)) {
			pair->naps++;
			while (load_acquire(&pair->notified) == bell && time_ns() < deadline)
				thread_yield();
			continue;
		}
		ring_device_set_notify(&f->device, false);
		do {
			uint64_t number = load_relaxed(&pair->seen) + 1;

			pair->wrong += f->element.readable != 1 || f->element.writable != 1 ||
				       f->element.buffers[0].address != number * 16 ||
				       f->element.buffers[1].bytes != number;
			ring_device_push(&f->device, &f->element, 0);
			store_release(&pair->seen, (uint32_t)number);
		} while (ring_device_pop(&f->device, &f->element));
	}
	return 0;
}

/*
 * A descriptor that is seen before it is written shows in `wrong` (and in the thread sanitizer). For the other barrier
 * see tests/host/virtqueue_litmus_test.c.
 */
static void two_processors(struct ktest *t, bool packed)
{
	struct virtqueue_fixture *f = virtqueue_fixture(t, (struct virtqueue_shape){.packed = packed, .size = 8});
	struct pair pair = {.f = f};
	struct thread *device;

	REQUIRE(t, f);
	f->vq->setup.notify = ring_the_bell;
	f->vq->setup.owner = &pair;
	f->vq->setup.timeout_ns = 20 * NS_PER_S;
	device = thread_spawn("device", sleepy_device, &pair);
	REQUIRE(t, !IS_ERR(device));
	for (uintptr_t number = 1; number <= ROUNDS && !virtqueue_is_broken(f->vq);) {
		struct virtqueue_buffer parts[2] = {{number * 16, 4}, {GIB(1), (uint32_t)number}};

		if (virtqueue_add(f->vq, parts, 1, 1, (void *)number) == 0)
			number++;
		virtqueue_kick(f->vq);
		/* Now and then it waits for all, so that the device goes to sleep. */
		while (virtqueue_free_descriptors(f->vq) < (number % 4 ? 2 : 8) && !virtqueue_kick_sync(f->vq))
			while (virtqueue_get(f->vq, NULL))
				continue;
	}
	thread_join(device);
	EXPECT_EQ(t, pair.seen, ROUNDS);
	EXPECT_EQ(t, pair.wrong, 0u);
	EXPECT(t, pair.naps > 0);
	while (virtqueue_get(f->vq, NULL))
		continue;
}

KTEST(driver, c2_7_13_3_1_the_barrier_of_a_split_ring)
{
	two_processors(t, false);
}

KTEST(driver, c2_8_21_1_1_the_barrier_of_a_packed_ring)
{
	two_processors(t, true);
}

/* ---- what the device has ---- */

/* Descriptors of chains that the device has not used look the same whatever the driver does meanwhile. */
static void exposed_entries_stay(struct ktest *t, bool packed)
{
	struct virtqueue_shape shape = {.packed = packed, .size = 8, .tables = 2, .table_entries = 4};
	struct virtqueue_fixture *f = virtqueue_fixture(t, shape);
	struct virtqueue_buffer parts[3] = {{0x1000, 8}, {0x2000, 8}, {0x3000, 8}};
	static struct ring_element first;
	char before[3 * 16], table[3 * 16];

	REQUIRE(t, f);
	EXPECT_OK(t, virtqueue_add(f->vq, parts, 1, 2, f)); /* a table, in descriptor 0 */
	EXPECT_OK(t, virtqueue_fixture_add(f, 0x4000));
	EXPECT_OK(t, virtqueue_fixture_add(f, 0x5000));
	EXPECT(t, ring_device_pop(&f->device, &first) && first.indirect);
	memcpy(before, f->memory, sizeof(before));
	memcpy(table, table_of(f), sizeof(table));
	for (uintptr_t round = 0; round < 4; round++) { /* until one descriptor is left */
		uint16_t head = INIT, prev = INIT;

		virtqueue_disable_interrupts(f->vq);
		EXPECT_OK(t, virtqueue_fixture_add(f, 0x6000 + round));
		EXPECT_OK(t, virtqueue_add_chain_desc(f->vq, 0x7000, 1, &head, &prev, true));
		virtqueue_abandon_chain(f->vq, head);
		virtqueue_kick(f->vq);
		EXPECT(t, virtqueue_get(f->vq, NULL) == NULL);
		virtqueue_enable_interrupts(f->vq);
	}
	EXPECT(t, memcmp(before, f->memory, sizeof(before)) == 0);
	EXPECT(t, memcmp(table, table_of(f), sizeof(table)) == 0);
}

KTEST(driver, c3_3_1_exposed_entries_of_a_split_ring_are_not_altered)
{
	exposed_entries_stay(t, false);
}

KTEST(driver, c2_8_16_descriptors_with_the_device_are_not_changed)
{
	exposed_entries_stay(t, true);
}

/* The head's flags come last: until then a device that looks finds nothing, and no half list. */
KTEST(driver, c2_8_17_the_first_descriptor_of_a_list_comes_last)
{
	struct virtqueue_fixture *f = virtqueue_fixture(t, (struct virtqueue_shape){.packed = true, .size = 4});

	REQUIRE(t, f);
	for (uintptr_t round = 1; round < 12; round++) { /* lists of 3 in a ring of 4: the wrap counter turns within */
		uint16_t head = INIT, prev = INIT;

		for (uint64_t part = 0; part < 3; part++) {
			EXPECT_OK(t, virtqueue_add_chain_desc(f->vq, 0x1000 + part, 1, &head, &prev, true));
			EXPECT(t, !ring_device_pop(&f->device, &f->element));
		}
		EXPECT_OK(t, virtqueue_add_chain(f->vq, head, false, NULL, (void *)round, NULL));
		EXPECT(t, virtqueue_fixture_use_one(f, 0) >= 0);
		EXPECT_EQ(t, f->element.writable, 3u);
		EXPECT(t, virtqueue_get(f->vq, NULL) == (void *)round);
	}
}

/* Available: AVAIL equals the counter and USED does not. A ring of zeros has nothing available, whoever looks. */
KTEST(driver, c2_8_1_available_flags_follow_the_wrap_counter)
{
	struct virtqueue_fixture *f = virtqueue_fixture(t, (struct virtqueue_shape){.packed = true, .size = 3});

	REQUIRE(t, f);
	EXPECT(t, !ring_device_pop(&f->device, &f->element));
	for (uintptr_t round = 0; round < 12; round++) {
		bool wrap = round / 3 % 2 == 0;

		EXPECT_OK(t, virtqueue_fixture_add(f, round + 1));
		EXPECT_EQ(t, descriptor(f, round % 3)->next & (PACKED_AVAIL | PACKED_USED),
			  wrap ? PACKED_AVAIL : PACKED_USED);
		EXPECT(t, virtqueue_fixture_use_one(f, 0) >= 0);
		EXPECT(t, virtqueue_get(f->vq, NULL) != NULL);
	}
}
