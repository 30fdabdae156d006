/*
 * The virtqueue against devices that lie. Whatever lies in the ring, the queue breaks with one line or goes on, gives
 * no token that is not outstanding, none twice, and its own records stay sound.
 */
#include "tests/unit/virtqueue_fixture.h"

#include "lib/rand.h"
#include "lib/string.h"

static struct virtqueue_fixture *split_with_three(struct ktest *t)
{
	struct virtqueue_fixture *f = virtqueue_fixture(t, (struct virtqueue_shape){.size = 8});

	for (uint64_t token = 1; f && token <= 3; token++)
		EXPECT_OK(t, virtqueue_fixture_add(f, token));
	return f;
}

static void expect_broken(struct ktest *t, struct virtqueue_fixture *f)
{
	EXPECT(t, virtqueue_get(f->vq, NULL) == NULL);
	EXPECT(t, virtqueue_is_broken(f->vq));
	EXPECT_EQ(t, virtqueue_fixture_add(f, 9), -EIO);
	EXPECT_EQ(t, virtqueue_kick_sync(f->vq), -EIO);
	EXPECT(t, !virtqueue_has_used(f->vq));
	EXPECT_OK(t, virtqueue_check(f->vq));
}

KTEST(virtqueue_hostile, used_index_ahead_of_what_is_outstanding)
{
	struct virtqueue_fixture *f = split_with_three(t);

	REQUIRE(t, f);
	ring_device_write_used_index(&f->device, 4);
	expect_broken(t, f);
}

KTEST(virtqueue_hostile, used_index_going_backwards)
{
	struct virtqueue_fixture *f = split_with_three(t);

	REQUIRE(t, f);
	ring_device_write_used_index(&f->device, UINT16_MAX);
	expect_broken(t, f);
}

KTEST(virtqueue_hostile, id_out_of_range)
{
	static const uint32_t ids[] = {8, 0xffff, 0x10000, 0x10001, UINT32_MAX};

	for (size_t i = 0; i < ARRAY_SIZE(ids); i++) {
		struct virtqueue_fixture *f = split_with_three(t);

		REQUIRE(t, f);
		ring_device_write_used(&f->device, 0, ids[i], 0);
		ring_device_write_used_index(&f->device, 1);
		expect_broken(t, f);
	}
}

KTEST(virtqueue_hostile, id_of_a_free_descriptor)
{
	struct virtqueue_fixture *f = split_with_three(t);

	REQUIRE(t, f);
	ring_device_write_used(&f->device, 0, 5, 0);
	ring_device_write_used_index(&f->device, 1);
	expect_broken(t, f);
}

KTEST(virtqueue_hostile, id_in_the_middle_of_a_chain)
{
	struct virtqueue_fixture *f = virtqueue_fixture(t, (struct virtqueue_shape){.size = 8});
	struct virtqueue_buffer parts[3] = {{1, 1}, {2, 1}, {3, 1}};

	REQUIRE(t, f);
	REQUIRE_OK(t, virtqueue_add(f->vq, parts, 3, 0, f));
	REQUIRE(t, ring_device_pop(&f->device, &f->element));
	ring_device_write_used(&f->device, 0, (f->element.id + 1) % 8, 0);
	ring_device_write_used_index(&f->device, 1);
	expect_broken(t, f);
}

KTEST(virtqueue_hostile, the_same_id_twice)
{
	for (int packed = 0; packed < 2; packed++) {
		struct virtqueue_fixture *f =
			virtqueue_fixture(t, (struct virtqueue_shape){.packed = packed, .size = 8});

		REQUIRE(t, f);
		for (uint64_t token = 1; token <= 3; token++)
			EXPECT_OK(t, virtqueue_fixture_add(f, token));
		EXPECT(t, virtqueue_fixture_use_one(f, 0) >= 0);
		ring_device_push(&f->device, &f->element, 0);
		EXPECT(t, virtqueue_get(f->vq, NULL) == (void *)1);
		expect_broken(t, f);
	}
}

KTEST(virtqueue_hostile, an_absurd_length_is_cut_to_what_was_writable)
{
	for (int packed = 0; packed < 2; packed++) {
		struct virtqueue_fixture *f =
			virtqueue_fixture(t, (struct virtqueue_shape){.packed = packed, .size = 8});
		struct virtqueue_buffer parts[2] = {{0x1000, 64}, {0x2000, 16}};
		uint32_t written;

		REQUIRE(t, f);
		EXPECT_OK(t, virtqueue_add(f->vq, parts, 1, 1, f));
		EXPECT(t, virtqueue_fixture_use_one(f, UINT32_MAX) >= 0);
		EXPECT(t, virtqueue_get(f->vq, &written) == f);
		EXPECT_EQ(t, written, 16u);
		/* Wholly readable: QEMU's statistics queue claims to have written what it read. */
		EXPECT_OK(t, virtqueue_add(f->vq, parts, 2, 0, f));
		EXPECT(t, virtqueue_fixture_use_one(f, 80) >= 0);
		EXPECT(t, virtqueue_get(f->vq, &written) == f);
		EXPECT_EQ(t, written, 0u);
		EXPECT(t, !virtqueue_is_broken(f->vq));
	}
}

/* The chain's links in the ring are rewritten while the device has it: what comes back is what we built. */
KTEST(virtqueue_hostile, descriptors_changed_under_our_feet)
{
	for (int packed = 0; packed < 2; packed++) {
		struct virtqueue_fixture *f =
			virtqueue_fixture(t, (struct virtqueue_shape){.packed = packed, .size = 8});
		struct virtqueue_buffer parts[4] = {{1, 1}, {2, 1}, {3, 1}, {4, 1}};

		REQUIRE(t, f);
		EXPECT_OK(t, virtqueue_add(f->vq, parts, 4, 0, f));
		REQUIRE(t, ring_device_pop(&f->device, &f->element));
		memset(f->device.descriptors, 0xff, packed ? 0 : 8 * sizeof(struct virtqueue_desc));
		if (packed) /* all but the place where the device answers */
			memset(f->device.descriptors + 16, 0xff, 7 * sizeof(struct virtqueue_desc));
		memset(f->device.driver, 0xff, 4);
		ring_device_push(&f->device, &f->element, 0);
		EXPECT(t, virtqueue_get(f->vq, NULL) == f);
		EXPECT_EQ(t, virtqueue_free_descriptors(f->vq), 8u);
		EXPECT_OK(t, virtqueue_check(f->vq));
	}
}

/* Once broken, a token that would have come is not given any more, and detaching gives each exactly once. */
KTEST(virtqueue_hostile, after_breaking_every_token_is_detached_once)
{
	struct virtqueue_fixture *f = split_with_three(t);
	unsigned int seen = 0;
	uintptr_t token;

	REQUIRE(t, f);
	virtqueue_break(f->vq, "broken by the test");
	while ((token = (uintptr_t)virtqueue_detach_unused(f->vq)) != 0) {
		EXPECT(t, token >= 1 && token <= 3 && !(seen & 1u << token));
		seen |= 1u << token;
	}
	EXPECT_EQ(t, seen, 0xeu);
	EXPECT_EQ(t, virtqueue_free_descriptors(f->vq), 8u);
}

static void scribble(struct virtqueue_fixture *f, struct rand *rand, size_t bytes)
{
	char *memory = f->memory;

	for (uint64_t i = rand_below(rand, 4); i-- > 0;)
		memory[rand_below(rand, bytes)] = rand_u64(rand);
	if (rand_below(rand, 4) == 0)
		*(uint16_t *)(f->device.device + 2) += rand_below(rand, 3);
	if (rand_below(rand, 2) == 0)
		*(uint32_t *)(f->device.device + 4 + 8 * rand_below(rand, 8)) = rand_below(rand, 9);
}

/* A device that writes anywhere in the ring between any two calls. */
KTEST(virtqueue_hostile, random_scribbling_never_gives_a_token_twice)
{
	struct rand rand;
	uint32_t out = 0; /* a bit per token that the device has */

	rand_seed(&rand, ktest_seed(t));
	for (int round = 0; round < (ktest_hosted() ? 2000 : 200); round++) {
		struct virtqueue_shape shape = {.packed = round & 1,
						.event_index = round & 2,
						.size = 8,
						.tables = 2,
						.table_entries = 4,
						.timeout_ns = 1};
		struct virtqueue_setup sizes = {.format = round & 1 ? &virtqueue_packed : &virtqueue_split,
						.size = 8,
						.tables = 2,
						.table_entries = 4};
		struct virtqueue_fixture *f = virtqueue_fixture_make(t, shape);

		REQUIRE(t, f);
		out = 0;
		for (int step = 0; step < 60 && !virtqueue_is_broken(f->vq); step++) {
			struct virtqueue_buffer parts[3] = {{1, 1}, {2, 2}, {3, 3}};
			uintptr_t token = 1 + rand_below(&rand, 30);

			if (!(out & 1u << token) &&
			    virtqueue_add(f->vq, parts, 1, rand_below(&rand, 3), (void *)token) == 0)
				out |= 1u << token;
			virtqueue_kick(f->vq);
			scribble(f, &rand, virtqueue_bytes(&sizes));
			token = (uintptr_t)virtqueue_get(f->vq, NULL);
			if (token) {
				REQUIRE(t, token <= 31);
				EXPECT(t, out & 1u << token);
				out &= ~(1u << token);
			}
			EXPECT_OK(t, virtqueue_check(f->vq));
		}
		for (uintptr_t token; (token = (uintptr_t)virtqueue_detach_unused(f->vq)) != 0;)
			out &= ~(1u << token);
		EXPECT_EQ(t, out, 0u);
		virtqueue_fixture_release(f);
	}
}
