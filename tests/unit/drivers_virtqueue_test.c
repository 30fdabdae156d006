/*
 * The virtqueue against a scripted device: correct, slow and silent ones, both ring formats, with and without the
 * event index. The clauses are those of virtio 1.2. Lying devices: drivers_virtqueue_hostile_test.c.
 */
#include "tests/unit/virtqueue_fixture.h"

#include "kernel/thread.h"
#include "kernel/time.h"
#include "lib/string.h"

#define INIT VIRTQUEUE_DESC_ID_INIT

static const struct virtqueue_shape shapes[] = {
	{.packed = false, .event_index = false, .size = 8}, {.packed = false, .event_index = true, .size = 8},
	{.packed = true, .event_index = false, .size = 8},  {.packed = true, .event_index = true, .size = 8},
	{.packed = true, .event_index = true, .size = 7}, /* 2.8.10.1: no power of two */
};

#define for_each_shape(t, f)                                  \
	for (size_t _at = 0; _at < ARRAY_SIZE(shapes); _at++) \
		if (((f) = virtqueue_fixture((t), shapes[_at])) != NULL)

KTEST(virtqueue, sizes_that_the_format_forbids_are_refused)
{
	char memory[64];
	struct virtqueue_setup setup = {.name = "t", .format = &virtqueue_split, .memory = memory};
	static const unsigned int bad[] = {0, 3, 12, 65535, 65536};

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		setup.size = bad[i];
		EXPECT_EQ(t, PTR_ERR(virtqueue_create(&setup)), -EINVAL);
	}
	setup.format = &virtqueue_packed;
	setup.size = 32769;
	EXPECT_EQ(t, PTR_ERR(virtqueue_create(&setup)), -EINVAL);
}

/* 2.7: 16 bytes a descriptor, 6 + 2n available, 6 + 8n used; the used ring aligned to 4, legacy to a page. */
KTEST(virtqueue, layout_is_that_of_clause_2_7)
{
	struct virtqueue_setup setup = {.format = &virtqueue_split, .size = 128};

	EXPECT_EQ(t, virtqueue_bytes(&setup), ALIGN_UP(ALIGN_UP(128 * 16 + 6 + 256, 4) + 6 + 1024, 16));
	setup.align = 4096;
	EXPECT_EQ(t, virtqueue_bytes(&setup), ALIGN_UP(4096 + 6 + 1024, 16));
}

KTEST(virtqueue, a_buffer_comes_back_with_its_token)
{
	struct virtqueue_fixture *f;

	for_each_shape(t, f)
	{
		struct virtqueue_buffer parts[3] = {{0x1000, 10}, {0x2000, 20}, {0x3000, 30}};
		uint32_t written = 0;

		EXPECT_OK(t, virtqueue_add(f->vq, parts, 1, 2, f));
		EXPECT(t, virtqueue_get(f->vq, NULL) == NULL);
		EXPECT(t, virtqueue_kick(f->vq));
		EXPECT_EQ(t, f->notifications, 1u);
		EXPECT(t, virtqueue_fixture_use_one(f, 42) >= 0);
		EXPECT_EQ(t, f->element.readable, 1u);
		EXPECT_EQ(t, f->element.writable, 2u);
		EXPECT_EQ(t, f->element.buffers[0].address, 0x1000u);
		EXPECT_EQ(t, f->element.buffers[1].bytes, 20u);
		EXPECT_EQ(t, f->element.buffers[2].address, 0x3000u);
		EXPECT(t, virtqueue_has_used(f->vq));
		EXPECT(t, virtqueue_get(f->vq, &written) == f);
		EXPECT_EQ(t, written, 42u);
		EXPECT(t, virtqueue_get(f->vq, NULL) == NULL);
		EXPECT_EQ(t, virtqueue_free_descriptors(f->vq), shapes[_at].size);
	}
}

/* Goes round the ring many times with chains of all lengths: index arithmetic and wrap counters. */
KTEST(virtqueue, many_rounds_lose_nothing)
{
	struct virtqueue_fixture *f;

	for_each_shape(t, f)
	{
		uint64_t sent = 0, back = 0;

		while (back < 70000 && !virtqueue_is_broken(f->vq)) {
			struct virtqueue_buffer parts[3] = {{sent + 1, 1}, {sent + 1, 2}, {sent + 1, 3}};
			unsigned int count = 1 + sent % 3;
			uintptr_t token;

			if (virtqueue_add(f->vq, parts, count, 0, (void *)(uintptr_t)(sent + 1)) == 0) {
				sent++;
				continue;
			}
			virtqueue_kick(f->vq);
			while (virtqueue_fixture_use_one(f, 0) >= 0)
				continue;
			while ((token = (uintptr_t)virtqueue_get(f->vq, NULL)) != 0)
				if (token != ++back)
					break;
			if (token)
				break;
		}
		EXPECT(t, back >= 70000);
		EXPECT(t, !virtqueue_is_broken(f->vq));
	}
}

KTEST(virtqueue, used_out_of_order_by_2_6_finds_each_token)
{
	struct virtqueue_fixture *f;

	for_each_shape(t, f)
	{
		static struct ring_element taken[3];

		for (uint64_t token = 1; token <= 3; token++)
			EXPECT_OK(t, virtqueue_fixture_add(f, token));
		for (int i = 0; i < 3; i++)
			EXPECT(t, ring_device_pop(&f->device, &taken[i]));
		ring_device_push(&f->device, &taken[2], 0);
		ring_device_push(&f->device, &taken[0], 0);
		EXPECT(t, virtqueue_get(f->vq, NULL) == (void *)3);
		EXPECT(t, virtqueue_get(f->vq, NULL) == (void *)1);
		EXPECT(t, virtqueue_get(f->vq, NULL) == NULL);
		EXPECT_OK(t, virtqueue_check(f->vq));
		ring_device_push(&f->device, &taken[1], 0);
		EXPECT(t, virtqueue_get(f->vq, NULL) == (void *)2);
	}
}

KTEST(virtqueue, a_full_ring_gives_enospc_and_adds_nothing)
{
	struct virtqueue_fixture *f;

	for_each_shape(t, f)
	{
		struct virtqueue_buffer two[2] = {{1, 1}, {2, 1}};
		unsigned int size = shapes[_at].size;

		for (unsigned int i = 1; i < size; i++)
			EXPECT_OK(t, virtqueue_fixture_add(f, i));
		EXPECT_EQ(t, virtqueue_add(f->vq, two, 2, 0, f), -ENOSPC);
		EXPECT_EQ(t, virtqueue_free_descriptors(f->vq), 1u);
		EXPECT_OK(t, virtqueue_fixture_add(f, size));
		EXPECT_EQ(t, virtqueue_fixture_add(f, size + 1), -ENOSPC);
		EXPECT_OK(t, virtqueue_check(f->vq));
	}
}

KTEST(virtqueue, bad_arguments_are_refused)
{
	struct virtqueue_fixture *f;

	for_each_shape(t, f)
	{
		uint16_t head = INIT, prev = INIT, other = INIT, other_prev = INIT;
		struct virtqueue_buffer wraps = {UINT64_MAX, 2}, empty = {1, 0};

		EXPECT_EQ(t, virtqueue_add(f->vq, &wraps, 1, 0, f), -EINVAL);
		EXPECT_EQ(t, virtqueue_add(f->vq, &empty, 1, 0, f), -EINVAL);
		EXPECT_EQ(t, virtqueue_add(f->vq, &empty, 0, 0, f), -EINVAL);
		EXPECT_EQ(t, virtqueue_add_chain_desc(f->vq, 1, 0, &head, &prev, true), -EINVAL);
		EXPECT_OK(t, virtqueue_add_chain_desc(f->vq, UINT64_MAX, 1, &head, &prev, true));
		/* 2.7.4.2: readable behind writable. */
		EXPECT_EQ(t, virtqueue_add_chain_desc(f->vq, 1, 1, &head, &prev, false), -EINVAL);
		/* One chain at a time. */
		EXPECT_EQ(t, virtqueue_add_chain_desc(f->vq, 1, 1, &other, &other_prev, true), -EINVAL);
		EXPECT_EQ(t, virtqueue_fixture_add(f, 5), -EINVAL);
		EXPECT_EQ(t, virtqueue_add_chain(f->vq, head, false, NULL, NULL, NULL), -EINVAL);
		EXPECT_OK(t, virtqueue_add_chain(f->vq, INIT, false, NULL, NULL, NULL));
		virtqueue_abandon_chain(f->vq, head);
		EXPECT_EQ(t, virtqueue_free_descriptors(f->vq), shapes[_at].size);
	}
}

/* What is left in the ring of an abandoned chain must not become available with the next, shorter one. */
KTEST(virtqueue, an_abandoned_chain_is_never_seen)
{
	struct virtqueue_fixture *f;

	for_each_shape(t, f)
	{
		for (unsigned int round = 0; round < 30; round++) {
			uint16_t head = INIT, prev = INIT;

			for (uint64_t i = 0; i < 5; i++)
				EXPECT_OK(t, virtqueue_add_chain_desc(f->vq, 0xbad000 + i, 1, &head, &prev, true));
			virtqueue_abandon_chain(f->vq, head);
			EXPECT_OK(t, virtqueue_fixture_add(f, 0x900d));
			EXPECT(t, virtqueue_fixture_use_one(f, 0) >= 0);
			EXPECT_EQ(t, f->element.readable + f->element.writable, 1u);
			EXPECT_EQ(t, f->element.buffers[0].address, 0x900du);
			EXPECT_EQ(t, virtqueue_fixture_use_one(f, 0), -1);
			EXPECT(t, virtqueue_get(f->vq, NULL) == (void *)0x900d);
		}
		EXPECT_OK(t, virtqueue_check(f->vq));
	}
}

/* A chain longer than the ring goes out in pieces, and other buffers' completions are kept meanwhile. */
KTEST(virtqueue, a_long_chain_is_published_in_pieces)
{
	struct virtqueue_fixture *f;

	for_each_shape(t, f)
	{
		uint16_t head = INIT, prev = INIT;

		EXPECT_OK(t, virtqueue_fixture_add(f, 0x111));
		EXPECT_OK(t, virtqueue_fixture_add(f, 0x222));
		f->answer = ANSWER_AT_ONCE;
		for (uint64_t i = 0; i < 100; i++)
			EXPECT_OK(t, virtqueue_add_chain_desc(f->vq, 0x1000 + i, 1, &head, &prev, true));
		EXPECT_OK(t, virtqueue_check(f->vq));
		EXPECT_OK(t, virtqueue_add_chain(f->vq, head, false, NULL, f, &head));
		EXPECT_OK(t, virtqueue_kick_sync(f->vq));
		EXPECT_EQ(t, f->descriptors_seen, 102u);
		EXPECT(t, virtqueue_get(f->vq, NULL) == (void *)0x111);
		EXPECT(t, virtqueue_get(f->vq, NULL) == (void *)0x222);
		EXPECT_OK(t, virtqueue_kick_sync(f->vq));
		void *context = NULL;
		EXPECT(t, virtqueue_get_context(f->vq, NULL, &context) == f);
		EXPECT(t, context == &head);
		EXPECT(t, virtqueue_get(f->vq, NULL) == NULL);
		EXPECT_EQ(t, virtqueue_free_descriptors(f->vq), shapes[_at].size);
	}
}

KTEST(virtqueue, a_silent_device_breaks_the_queue_after_the_timeout)
{
	struct virtqueue_fixture *f;

	for_each_shape(t, f)
	{
		f->answer = ANSWER_NEVER;
		EXPECT_OK(t, virtqueue_fixture_add(f, 1));
		EXPECT_EQ(t, virtqueue_kick_sync(f->vq), -EIO);
		EXPECT(t, virtqueue_is_broken(f->vq));
		EXPECT(t, f->wakeups >= 1);
		EXPECT_EQ(t, virtqueue_fixture_add(f, 2), -EIO);
		EXPECT(t, !virtqueue_kick(f->vq));
		EXPECT(t, virtqueue_detach_unused(f->vq) == (void *)1);
		EXPECT(t, virtqueue_detach_unused(f->vq) == NULL);
	}
}

static bool somebody_waits(struct wait_queue *queue)
{
	unsigned long flags = spin_lock_irqsave(&queue->lock);
	bool waits = !list_empty(&queue->waiters);

	spin_unlock_irqrestore(&queue->lock, flags);
	return waits;
}

#define SLEEPER_NS (20 * NS_PER_S)

/* Once the driver sleeps, and on the queue that used() wakes; else never. */
static int answer_the_sleeper(void *argument)
{
	struct virtqueue_fixture *f = argument;
	uint64_t deadline = wait_deadline(SLEEPER_NS);

	while (!somebody_waits(&f->waiters))
		if (time_ns() > deadline)
			return -ETIMEDOUT;
		else
			thread_yield();
	if (virtqueue_fixture_use_one(f, 0) > 0)
		virtqueue_used_interrupt(f->vq);
	return 0;
}

/* With the queue passed by value the driver sleeps on a copy, which nobody wakes. */
KTEST(virtqueue, source_fault_3_kick_async_sleeps_on_the_queue_that_is_woken)
{
	for (size_t i = 0; i < ARRAY_SIZE(shapes); i++) {
		struct virtqueue_shape shape = shapes[i];
		struct virtqueue_fixture *f;
		struct thread *device;

		shape.timeout_ns = SLEEPER_NS;
		f = virtqueue_fixture(t, shape);
		REQUIRE(t, f);
		EXPECT_OK(t, virtqueue_fixture_add(f, 7));
		device = thread_spawn("device", answer_the_sleeper, f);
		REQUIRE(t, !IS_ERR(device));
		EXPECT_OK(t, virtqueue_kick_async(f->vq, &f->waiters));
		EXPECT_OK(t, thread_join(device));
		EXPECT(t, virtqueue_get(f->vq, NULL) == (void *)7);
		EXPECT_EQ(t, f->wakeups, 1u);
	}
}

/* 2.7.10, 2.8.10: notifications only when asked for. */
KTEST(virtqueue, a_device_that_polls_is_not_notified)
{
	for (int packed = 0; packed < 2; packed++) {
		struct virtqueue_fixture *f =
			virtqueue_fixture(t, (struct virtqueue_shape){.packed = packed, .size = 8});

		REQUIRE(t, f);
		ring_device_set_notify(&f->device, false);
		EXPECT_OK(t, virtqueue_fixture_add(f, 1));
		EXPECT(t, virtqueue_kick(f->vq));
		EXPECT_EQ(t, f->notifications, 0u);
		ring_device_set_notify(&f->device, true);
		EXPECT_OK(t, virtqueue_fixture_add(f, 2));
		EXPECT(t, virtqueue_kick(f->vq));
		EXPECT_EQ(t, f->notifications, 1u);
		/* Nothing new: nothing to say. */
		EXPECT(t, virtqueue_kick(f->vq));
		EXPECT_EQ(t, f->notifications, 1u);
	}
}

/* With the event index the split device asks for the chain behind those it has popped. */
KTEST(virtqueue, event_index_suppresses_notifications)
{
	struct virtqueue_fixture *f = virtqueue_fixture(t, (struct virtqueue_shape){.event_index = true, .size = 8});

	REQUIRE(t, f);
	EXPECT_OK(t, virtqueue_fixture_add(f, 1));
	EXPECT(t, virtqueue_kick(f->vq)); /* avail_event is 0: asks for the first */
	EXPECT_EQ(t, f->notifications, 1u);
	EXPECT_OK(t, virtqueue_fixture_add(f, 2));
	EXPECT(t, virtqueue_kick(f->vq)); /* it has not looked yet */
	EXPECT_EQ(t, f->notifications, 1u);
	EXPECT(t, virtqueue_fixture_use_one(f, 0) >= 0);
	EXPECT(t, virtqueue_fixture_use_one(f, 0) >= 0);
	EXPECT_OK(t, virtqueue_fixture_add(f, 3));
	EXPECT(t, virtqueue_kick(f->vq)); /* it has, and asks for the third */
	EXPECT_EQ(t, f->notifications, 2u);
}

KTEST(virtqueue, interrupts_come_only_while_enabled)
{
	struct virtqueue_fixture *f;

	for_each_shape(t, f)
	{
		virtqueue_disable_interrupts(f->vq);
		EXPECT_OK(t, virtqueue_fixture_add(f, 1));
		EXPECT_OK(t, virtqueue_fixture_add(f, 2));
		EXPECT_EQ(t, virtqueue_fixture_use_one(f, 0), 0);
		EXPECT(t, virtqueue_enable_interrupts(f->vq)); /* one came in meanwhile */
		EXPECT(t, virtqueue_get(f->vq, NULL) == (void *)1);
		EXPECT(t, !virtqueue_enable_interrupts(f->vq));
		EXPECT_EQ(t, virtqueue_fixture_use_one(f, 0), 1);
		EXPECT(t, virtqueue_get(f->vq, NULL) == (void *)2);
	}
}

/* 2.7.5.3, 2.8.7: several parts take one descriptor of the ring, as long as tables last. */
KTEST(virtqueue, indirect_tables_hold_more_than_the_ring)
{
	for (int packed = 0; packed < 2; packed++) {
		struct virtqueue_shape shape = {.packed = packed, .size = 4, .tables = 3, .table_entries = 16};
		struct virtqueue_fixture *f = virtqueue_fixture(t, shape);
		struct virtqueue_buffer parts[16];
		uint32_t written = 0;

		REQUIRE(t, f);
		EXPECT_EQ(t, virtqueue_longest_chain(f->vq), 16u);
		for (unsigned int i = 0; i < 16; i++)
			parts[i] = (struct virtqueue_buffer){0x1000 + i, 100};
		for (uintptr_t token = 1; token <= 3; token++)
			EXPECT_OK(t, virtqueue_add(f->vq, parts, 4, 12, (void *)token));
		/* No table left, and 16 do not fit into the one descriptor that is. */
		EXPECT_EQ(t, virtqueue_add(f->vq, parts, 4, 12, f), -ENOSPC);
		EXPECT_OK(t, virtqueue_check(f->vq));
		EXPECT(t, virtqueue_kick(f->vq));
		EXPECT(t, virtqueue_fixture_use_one(f, UINT32_MAX) >= 0);
		EXPECT(t, f->element.indirect);
		EXPECT_EQ(t, f->element.readable, 4u);
		EXPECT_EQ(t, f->element.writable, 12u);
		EXPECT_EQ(t, f->element.buffers[15].address, 0x100fu);
		EXPECT(t, virtqueue_get(f->vq, &written) == (void *)1);
		EXPECT_EQ(t, written, 1200u);
		EXPECT_OK(t, virtqueue_add(f->vq, parts, 4, 12, f));
		EXPECT_OK(t, virtqueue_check(f->vq));
	}
}

/* Lists of parts each way, in the ring and in a table; empty lists are none. */
KTEST(virtqueue, add_sgs_keeps_the_order_of_lists_and_parts)
{
	for (unsigned int kind = 0; kind < 4; kind++) {
		struct virtqueue_shape shape = {
			.packed = kind & 1, .size = 16, .tables = kind / 2, .table_entries = 16};
		struct virtqueue_fixture *f = virtqueue_fixture(t, shape);
		struct virtqueue_buffer parts[6];
		struct virtqueue_sg_list lists[] = {
			{parts, 1}, {parts + 1, 2}, {parts, 0}, {parts + 3, 1}, {parts + 4, 2}};

		REQUIRE(t, f);
		for (unsigned int i = 0; i < 6; i++)
			parts[i] = (struct virtqueue_buffer){0x1000 + i, 10 + i};
		EXPECT_OK(t, virtqueue_add_sgs(f->vq, lists, 2, 3, f));
		EXPECT_EQ(t, virtqueue_free_descriptors(f->vq), shape.tables ? 15u : 10u);
		EXPECT(t, virtqueue_kick(f->vq));
		EXPECT(t, virtqueue_fixture_use_one(f, 0) >= 0);
		EXPECT_EQ(t, f->element.indirect, shape.tables);
		EXPECT_EQ(t, f->element.readable, 3u);
		EXPECT_EQ(t, f->element.writable, 3u);
		for (unsigned int i = 0; i < 6; i++) {
			EXPECT_EQ(t, f->element.buffers[i].address, 0x1000 + i);
			EXPECT_EQ(t, f->element.buffers[i].bytes, 10 + i);
		}
		EXPECT(t, virtqueue_get(f->vq, NULL) == f);
		EXPECT_EQ(t, virtqueue_add_sgs(f->vq, lists + 2, 1, 0, f), -EINVAL);
		EXPECT_EQ(t, virtqueue_add_sgs(f->vq, lists, 0, 0, f), -EINVAL);
	}
}

/* Memory that went out and came back, or that is only read, is no misuse; nor is a chain that was taken back. */
KTEST(virtqueue, checked_mode_finds_nothing_wrong_with_right_use)
{
	for (unsigned int kind = 0; kind < 4; kind++) {
		struct virtqueue_shape shape = {.packed = kind & 1, .checked = true, .size = 8};
		struct virtqueue_buffer parts[2] = {{0x1000, 16}, {0x2000, 16}};
		struct virtqueue_fixture *f;
		uint16_t head = INIT, prev = INIT;

		shape.tables = kind / 2;
		shape.table_entries = shape.tables ? 4 : 0;
		f = virtqueue_fixture(t, shape);
		REQUIRE(t, f);
		for (unsigned int round = 0; round < 20; round++) {
			EXPECT_OK(t, virtqueue_add(f->vq, parts, 1, 1, f));
			EXPECT_OK(t, virtqueue_add(f->vq, parts, 1, 0, f->vq));
			EXPECT(t, virtqueue_kick(f->vq));
			EXPECT(t, virtqueue_fixture_use_one(f, 0) >= 0 && virtqueue_fixture_use_one(f, 0) >= 0);
			EXPECT(t, virtqueue_get(f->vq, NULL) == f);
			EXPECT(t, virtqueue_get(f->vq, NULL) == f->vq);
			EXPECT_OK(t, virtqueue_add_chain_desc(f->vq, 0x3000, 1, &head, &prev, true));
			virtqueue_abandon_chain(f->vq, head);
			head = prev = INIT;
		}
		f->answer = ANSWER_AT_ONCE;
		for (uint64_t i = 0; i < 50; i++)
			EXPECT_OK(t, virtqueue_add_chain_desc(f->vq, 0x4000 + i, 1, &head, &prev, true));
		EXPECT_OK(t, virtqueue_add_chain(f->vq, head, false, NULL, f, NULL));
		EXPECT_OK(t, virtqueue_kick_sync(f->vq));
	}
}
