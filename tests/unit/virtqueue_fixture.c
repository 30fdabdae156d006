/*
 * See virtqueue_fixture.h.
 */
#include "tests/unit/virtqueue_fixture.h"

#include "kernel/memory.h"
#include "kernel/time.h"

#define FIXTURE_PHYS 0x100000ull

static const void *table_in_ring_memory(uint64_t phys, void *context)
{
	struct virtqueue_fixture *f = context;

	return (char *)f->memory + (phys - f->phys);
}

static void answer(struct virtqueue *vq)
{
	struct virtqueue_fixture *f = virtqueue_owner(vq);

	f->notifications++;
	if (f->answer == ANSWER_FIRST_ONLY && !f->chains_seen)
		virtqueue_fixture_use_one(f, 0);
	while (f->answer == ANSWER_AT_ONCE && virtqueue_fixture_use_one(f, 0) >= 0)
		continue;
}

static void wake(struct virtqueue *vq)
{
	struct virtqueue_fixture *f = virtqueue_owner(vq);

	f->wakeups++;
	wake_up_all(&f->waiters);
}

int virtqueue_fixture_use_one(struct virtqueue_fixture *f, uint32_t bytes)
{
	if (!ring_device_pop(&f->device, &f->element))
		return -1;
	f->chains_seen++;
	f->descriptors_seen += f->element.readable + f->element.writable;
	for (unsigned int i = 0; i < f->element.readable + f->element.writable; i++)
		f->bytes_seen += f->element.buffers[i].bytes;
	return ring_device_push(&f->device, &f->element, bytes);
}

void virtqueue_fixture_release(void *fixture)
{
	struct virtqueue_fixture *f = fixture;

	EXPECT_OK(f->t, virtqueue_check(f->vq));
	virtqueue_destroy(f->vq);
	kfree(f->memory);
	kfree(f);
}

struct virtqueue_fixture *virtqueue_fixture_make(struct ktest *t, struct virtqueue_shape shape)
{
	struct virtqueue_fixture *f = kzalloc(sizeof(*f));
	struct virtqueue_setup setup = {
		.name = "test",
		.format = shape.packed ? &virtqueue_packed : &virtqueue_split,
		.size = shape.size,
		.tables = shape.tables,
		.table_entries = shape.table_entries,
		.event_index = shape.event_index,
		.checked = shape.checked,
		.phys = FIXTURE_PHYS,
		.notify = answer,
		.used = wake,
		.owner = f,
		.timeout_ns = shape.timeout_ns ? shape.timeout_ns : 20 * NS_PER_MS,
	};

	setup.memory = f ? kzalloc(virtqueue_bytes(&setup)) : NULL;
	if (!setup.memory) {
		ktest_fail(t, __FILE__, __LINE__, "no memory for the fixture");
		return NULL;
	}
	f->memory = setup.memory;
	f->phys = setup.phys;
	wait_queue_init(&f->waiters);
	f->vq = virtqueue_create(&setup);
	if (IS_ERR(f->vq)) {
		ktest_fail(t, __FILE__, __LINE__, "virtqueue_create gave %s", error_name(PTR_ERR(f->vq)));
		return NULL;
	}
	ring_device_init(&f->device, f->memory, virtqueue_addresses(f->vq), shape.size, shape.packed,
			 shape.event_index);
	f->device.translate = shape.tables ? table_in_ring_memory : NULL;
	f->device.context = f;
	f->t = t;
	return f;
}

int virtqueue_fixture_add(struct virtqueue_fixture *f, uint64_t address)
{
	struct virtqueue_buffer buffer = {.address = address, .bytes = 1};

	return virtqueue_add(f->vq, &buffer, 1, 0, (void *)address);
}

struct virtqueue_fixture *virtqueue_fixture(struct ktest *t, struct virtqueue_shape shape)
{
	struct virtqueue_fixture *f = virtqueue_fixture_make(t, shape);

	if (f)
		ktest_defer(t, virtqueue_fixture_release, f);
	return f;
}
