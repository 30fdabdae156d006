/*
 * Driver and device each tell the other something and then look at what the other says (Dekker's algorithm):
 *
 *     driver: buffer available, barrier, does the device want to be told?     device: "tell me", barrier, any buffer?
 *     device: buffer used, barrier, does the driver want an interrupt?        driver: "tell me", barrier, any used?
 *
 * Without one of the barriers a processor may look before what it wrote is visible: both find nothing, both sleep, and
 * the buffer waits for ever. Two threads do one such step each, begun together, many times over; when both are done,
 * "nobody saw it and nobody was told" is the verdict, whatever time it took. Before, the driver reads what it will look
 * at, and the device the lines that the driver will write: so the look is quick, and the write slow to become visible.
 * With a compiler's barrier in place of the driver's a wake-up is lost every few hundred rounds; one is enough.
 */
#include "kernel/ktest.h"
#include "kernel/thread.h"
#include "kernel/time.h"
#include "lib/atomic.h"
#include "lib/errno.h"
#include "lib/rand.h"
#include "drivers/virtio/virtqueue_internal.h"
#include "tests/unit/virtqueue_fixture.h"

#ifdef BALLONET_TSAN /* which knows no store buffers: it looks for races only */
#define ROUNDS 2000u
#else
#define ROUNDS 50000u
#endif
#define MOST_NS	   (2 * NS_PER_S) /* fewer rounds on a machine that has no time */
#define SPINS	   2000u
#define MOST_DELAY 10u /* 2^, as loops of a few instructions */

struct litmus {
	struct virtqueue_fixture *f;
	void (*prepare)(struct litmus *litmus); /* the device's thread, alone */
	void (*warm_up)(struct litmus *litmus); /* the driver's, alone */
	bool (*driver_step)(struct litmus *litmus), (*device_step)(struct litmus *litmus);
	void (*clear)(struct litmus *litmus); /* the device's thread, alone: the ring is as it was */
	bool driver_saw, device_saw, popped;
	uint16_t head;
	unsigned int notifications, lost;
	uint32_t arrived, over;
};

/* Both threads are here. They leave at the same time, as exactly as memory can say it. */
static void meet(struct litmus *litmus, uint32_t *meetings)
{
	uint32_t all = ++*meetings * 2;

	atomic_inc(&litmus->arrived);
	for (unsigned int spins = 0; load_acquire(&litmus->arrived) < all; spins++)
		if (spins > SPINS)
			thread_yield();
}

/* Of any magnitude: nobody knows how far apart the two are on this machine, in this build. */
static void delay(struct rand *rand)
{
	for (uint64_t left = rand_below(rand, 1ull << rand_below(rand, MOST_DELAY + 1)); left; left--)
		barrier();
}

static int device_thread(void *argument)
{
	struct litmus *litmus = argument;
	uint32_t meetings = 0;
	struct rand rand;

	rand_seed(&rand, 1);
	for (;;) {
		litmus->prepare(litmus);
		meet(litmus, &meetings);
		meet(litmus, &meetings);
		if (litmus->over)
			return 0;
		delay(&rand);
		litmus->device_saw = litmus->device_step(litmus);
		meet(litmus, &meetings);
		litmus->lost += !litmus->driver_saw && !litmus->device_saw;
		litmus->clear(litmus);
	}
}

static void count_notification(struct virtqueue *vq)
{
	struct litmus *litmus = virtqueue_owner(vq);

	litmus->notifications++;
}

static void run(struct ktest *t, struct litmus *litmus, bool packed, bool event_index)
{
	struct virtqueue_shape shape = {.packed = packed, .event_index = event_index, .size = 64};
	uint64_t until = time_ns() + MOST_NS;
	struct thread *device;
	uint32_t meetings = 0;
	struct rand rand;

	litmus->f = virtqueue_fixture(t, shape);
	REQUIRE(t, litmus->f);
	litmus->f->vq->setup.notify = count_notification;
	litmus->f->vq->setup.owner = litmus;
	rand_seed(&rand, 2);
	device = thread_spawn("device", device_thread, litmus);
	REQUIRE(t, !IS_ERR(device));
	for (unsigned int round = 0; !litmus->over; round++) {
		meet(litmus, &meetings);
		litmus->over = round == ROUNDS || litmus->lost || time_ns() > until;
		litmus->warm_up(litmus);
		meet(litmus, &meetings);
		if (litmus->over)
			break;
		delay(&rand);
		litmus->driver_saw = litmus->driver_step(litmus);
		meet(litmus, &meetings);
	}
	thread_join(device);
	EXPECT_EQ(t, litmus->lost, 0u);
	virtqueue_abandon_chain(litmus->f->vq, litmus->head);
	while (virtqueue_get(litmus->f->vq, NULL))
		continue;
}

/* ---- notifications ---- */

static void device_sleeps(struct litmus *litmus)
{
	while (virtqueue_get(litmus->f->vq, NULL))
		continue;
	ring_device_set_notify(&litmus->f->device, false);
	litmus->popped = ring_device_pop(&litmus->f->device, &litmus->f->element); /* nothing: it reads the lines */
}

static void driver_has_a_buffer(struct litmus *litmus)
{
	struct virtqueue *vq = litmus->f->vq;
	uint16_t prev = VIRTQUEUE_DESC_ID_INIT;

	litmus->head = VIRTQUEUE_DESC_ID_INIT;
	(void)!virtqueue_add_chain_desc(vq, 0x1000, 1, &litmus->head, &prev, false);
	(void)!vq->setup.format->wants_notify(vq);
}

static bool driver_notifies(struct litmus *litmus)
{
	unsigned int before = litmus->notifications;

	if (virtqueue_add_chain(litmus->f->vq, litmus->head, false, NULL, litmus, NULL) ||
	    !virtqueue_kick(litmus->f->vq))
		return false;
	return litmus->notifications != before;
}

static bool device_looks(struct litmus *litmus)
{
	ring_device_set_notify(&litmus->f->device, true);
	smp_mb();
	return litmus->popped = ring_device_pop(&litmus->f->device, &litmus->f->element);
}

static void device_works(struct litmus *litmus)
{
	if (litmus->popped || ring_device_pop(&litmus->f->device, &litmus->f->element))
		ring_device_push(&litmus->f->device, &litmus->f->element, 0);
}

static void no_notification_is_lost(struct ktest *t, bool packed)
{
	for (unsigned int event_index = 0; event_index < 2; event_index++) {
		struct litmus litmus = {.prepare = device_sleeps,
					.warm_up = driver_has_a_buffer,
					.driver_step = driver_notifies,
					.device_step = device_looks,
					.clear = device_works};

		run(t, &litmus, packed, event_index);
	}
}

KTEST(driver, c2_7_13_4_1_no_notification_of_a_split_ring_is_lost)
{
	no_notification_is_lost(t, false);
}

KTEST(driver, c2_8_21_3_1_no_notification_of_a_packed_ring_is_lost)
{
	no_notification_is_lost(t, true);
}

/* ---- interrupts ---- */

static void device_has_a_buffer(struct litmus *litmus)
{
	litmus->head = VIRTQUEUE_DESC_ID_INIT;
	virtqueue_disable_interrupts(litmus->f->vq);
	(void)!virtqueue_fixture_add(litmus->f, 0x1000);
	ring_device_pop(&litmus->f->device, &litmus->f->element);
}

static void driver_reads(struct litmus *litmus)
{
	(void)!virtqueue_has_used(litmus->f->vq);
}

static bool driver_looks(struct litmus *litmus)
{
	return virtqueue_enable_interrupts(litmus->f->vq);
}

static bool device_interrupts(struct litmus *litmus)
{
	return ring_device_push(&litmus->f->device, &litmus->f->element, 0);
}

static void driver_takes_it(struct litmus *litmus)
{
	while (virtqueue_get(litmus->f->vq, NULL))
		continue;
}

static void no_interrupt_is_lost(struct ktest *t, bool packed)
{
	for (unsigned int event_index = 0; event_index < 2; event_index++) {
		struct litmus litmus = {.prepare = device_has_a_buffer,
					.warm_up = driver_reads,
					.driver_step = driver_looks,
					.device_step = device_interrupts,
					.clear = driver_takes_it};

		run(t, &litmus, packed, event_index);
	}
}

KTEST(virtqueue, no_interrupt_of_a_split_ring_is_lost)
{
	no_interrupt_is_lost(t, false);
}

KTEST(virtqueue, no_interrupt_of_a_packed_ring_is_lost)
{
	no_interrupt_is_lost(t, true);
}
