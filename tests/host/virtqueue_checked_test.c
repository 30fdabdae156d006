/*
 * Checked mode of the virtqueue: each misuse by a driver ends in an assertion that names it.
 */
#include "tests/host/host.h"
#include "tests/unit/virtqueue_fixture.h"

#include "kernel/thread.h"
#include "kernel/time.h"

#define INIT VIRTQUEUE_DESC_ID_INIT

struct misuse {
	struct ktest *t;
	bool packed;
};

static struct virtqueue_fixture *checked_queue(const struct misuse *misuse)
{
	return virtqueue_fixture(
		misuse->t,
		(struct virtqueue_shape){
			.packed = misuse->packed, .checked = true, .size = 8, .tables = 1, .table_entries = 4});
}

static void add(struct virtqueue_fixture *f, uint64_t address, uint32_t bytes, bool writable, void *token)
{
	struct virtqueue_buffer buffer = {address, bytes};

	(void)!virtqueue_add(f->vq, &buffer, !writable, writable, token);
}

static void same_memory_twice(void *misuse)
{
	struct virtqueue_fixture *f = checked_queue(misuse);

	add(f, 0x1000, 0x1000, false, f);
	add(f, 0x1800, 0x10, true, f->vq);
}

static void memory_in_a_table_twice(void *misuse)
{
	struct virtqueue_fixture *f = checked_queue(misuse);
	struct virtqueue_buffer parts[2] = {{0x1000, 16}, {0x2000, 16}};

	(void)!virtqueue_add(f->vq, parts, 0, 2, f);
	add(f, 0x200f, 1, false, f->vq);
}

static void memory_twice_in_one_chain(void *misuse)
{
	struct virtqueue_fixture *f = checked_queue(misuse);
	uint16_t head = INIT, prev = INIT;

	(void)!virtqueue_add_chain_desc(f->vq, 0x1000, 16, &head, &prev, false);
	(void)!virtqueue_add_chain_desc(f->vq, 0x1000, 16, &head, &prev, true);
}

static void the_ring_as_a_buffer(void *misuse)
{
	struct virtqueue_fixture *f = checked_queue(misuse);

	add(f, f->phys + 64, 16, true, f);
}

static void one_token_twice(void *misuse)
{
	struct virtqueue_fixture *f = checked_queue(misuse);

	add(f, 0x1000, 16, false, f);
	add(f, 0x2000, 16, false, f);
}

static int wait_for_the_device(void *fixture)
{
	struct virtqueue_fixture *f = fixture;

	return virtqueue_kick_sync(f->vq);
}

static void two_threads_at_once(void *misuse)
{
	struct virtqueue_shape shape = {
		.packed = ((struct misuse *)misuse)->packed, .checked = true, .size = 8, .timeout_ns = 20 * NS_PER_S};
	struct virtqueue_fixture *f = virtqueue_fixture(((struct misuse *)misuse)->t, shape);

	f->answer = ANSWER_NEVER;
	add(f, 0x1000, 16, false, f);
	(void)!IS_ERR(thread_spawn("other", wait_for_the_device, f));
	/* Sooner or later it is inside. */
	for (uint64_t deadline = wait_deadline(10 * NS_PER_S); time_ns() < deadline;)
		(void)!virtqueue_kick(f->vq);
}

KTEST(virtqueue_checked, each_misuse_is_named)
{
	for (int packed = 0; packed < 2; packed++) {
		struct misuse misuse = {t, packed};

		EXPECT(t,
		       host_panics(same_memory_twice, &misuse, "0x1800 is handed to the device, which still has it"));
		EXPECT(t, host_panics(memory_in_a_table_twice, &misuse, "0x200f is handed to the device"));
		EXPECT(t, host_panics(memory_twice_in_one_chain, &misuse, "0x1000 is handed to the device"));
		EXPECT(t, host_panics(the_ring_as_a_buffer, &misuse, "is memory of the ring itself"));
		EXPECT(t, host_panics(one_token_twice, &misuse, "two buffers with the token"));
#ifndef BALLONET_TSAN /* it allows no new threads in a forked process */
		EXPECT(t, host_panics(two_threads_at_once, &misuse, "while another thread is in a call on this queue"));
#else
		(void)two_threads_at_once;
#endif
	}
}
