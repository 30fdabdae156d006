/*
 * The part of a virtqueue that all ring formats share: slots, chains under construction, completions, breaking.
 *
 * A chain is built descriptor by descriptor (virtqueue_add_chain_desc), then published, then, some time later, used.
 * The format (a table of functions) knows what that looks like in memory; this file knows what is allowed. The
 * device's word is taken for two things only, "slot N is done" and "I wrote this many bytes", and both are held
 * against the slots, which the device cannot see: a slot that is not the head of a published chain cannot be done,
 * and no more can have been written than was writable.
 *
 * When the ring is full in the middle of a chain, what there is goes out as an *intermediate* chain and is waited for.
 * Completions of other chains that come in meanwhile are kept on the list of done ones, in order, until
 * virtqueue_get() asks. An intermediate chain is known by a flag in its slot, not by a token that somebody else's
 * chain could carry as well.
 */
#include "drivers/virtio/virtqueue_internal.h"

#include "kernel/memory.h"
#include "kernel/panic.h"
#include "kernel/printk.h"
#include "kernel/time.h"
#include "lib/atomic.h"
#include "lib/errno.h"

#include <arch/cpu.h>

#define NONE		   VIRTQUEUE_DESC_ID_INIT
#define DEFAULT_TIMEOUT_NS (60 * NS_PER_S)

/* ---- breaking ---- */

bool virtqueue_is_broken(const struct virtqueue *vq)
{
	return load_relaxed(&vq->broken);
}

void virtqueue_used_interrupt(struct virtqueue *vq)
{
	if (vq->setup.used)
		vq->setup.used(vq);
}

void virtqueue_break(struct virtqueue *vq, const char *why)
{
	if (atomic_exchange(&vq->broken, true))
		return;
	if (why)
		pr_err("virtqueue %s: %s; the queue is broken and not used any more", vq->setup.name, why);
	virtqueue_used_interrupt(vq);
}

void virtqueue_break_with(struct virtqueue *vq, const char *fmt, ...)
{
	char why[128];
	va_list args;

	va_start(args, fmt);
	format_v(why, sizeof(why), fmt, args);
	va_end(args);
	virtqueue_break(vq, why);
}

/* ---- slots ---- */

uint16_t virtqueue_take_slot(struct virtqueue *vq)
{
	uint16_t id = vq->first_free;

	ASSERT(id != NONE, "virtqueue %s: no free slot, %u descriptors counted free", vq->setup.name,
	       vq->free_descriptors);
	vq->first_free = vq->slots[id].next;
	vq->slots[id] = (struct virtqueue_slot){.state = VIRTQUEUE_SLOT_BUILDING, .next = NONE};
	return id;
}

void virtqueue_put_slot(struct virtqueue *vq, uint16_t id)
{
	vq->slots[id] = (struct virtqueue_slot){.state = VIRTQUEUE_SLOT_FREE, .next = vq->first_free};
	vq->first_free = id;
}

static void put_table(struct virtqueue *vq, uint16_t table)
{
	vq->table_links[table] = vq->first_free_table;
	vq->first_free_table = table;
}

/* Frees all of a chain but its head, which stays as a record. */
static void release_all_but_head(struct virtqueue *vq, uint16_t head)
{
	struct virtqueue_slot *slot = &vq->slots[head];

	vq->setup.format->release_body(vq, head);
	vq->free_descriptors += slot->count - 1;
	if (slot->table)
		put_table(vq, slot->table - 1);
	if (vq->checker)
		virtqueue_checker_release(vq, slot->state == VIRTQUEUE_SLOT_BUILDING ? NONE : head);
	slot->table = 0;
	slot->next = NONE;
}

static void release_head(struct virtqueue *vq, uint16_t head)
{
	virtqueue_put_slot(vq, head);
	vq->free_descriptors++;
}

/* ---- set-up ---- */

static size_t tables_bytes(const struct virtqueue_setup *setup)
{
	return (size_t)setup->tables * setup->table_entries * sizeof(struct virtqueue_desc);
}

size_t virtqueue_bytes(const struct virtqueue_setup *setup)
{
	size_t driver, device;
	size_t end = setup->format->layout(setup->size, setup->align, &driver, &device);

	return ALIGN_UP(end, sizeof(struct virtqueue_desc)) + tables_bytes(setup);
}

static void link_all_free(struct virtqueue *vq)
{
	vq->first_free = vq->first_free_table = vq->first_done = vq->last_done = vq->building.head = NONE;
	for (unsigned int id = vq->setup.size; id-- > 0;)
		virtqueue_put_slot(vq, id);
	for (unsigned int table = vq->setup.tables; table-- > 0;)
		put_table(vq, table);
	vq->free_descriptors = vq->setup.size;
}

struct virtqueue *virtqueue_create(const struct virtqueue_setup *setup)
{
	struct virtqueue *vq;
	size_t end;

	if (setup->size > VIRTQUEUE_MAX_SIZE || !setup->format->size_allowed(setup->size) || !setup->memory)
		return ERR_PTR(-EINVAL);
	vq = kzalloc(sizeof(*vq));
	if (!vq)
		return ERR_PTR(-ENOMEM);
	vq->setup = *setup;
	vq->slots = kmalloc(setup->size * sizeof(*vq->slots));
	vq->table_links = kmalloc((setup->tables + 1) * sizeof(*vq->table_links));
	vq->checker = setup->checked ? virtqueue_checker_create(setup) : NULL;
	if (!vq->slots || !vq->table_links || (setup->checked && !vq->checker)) {
		virtqueue_destroy(vq);
		return ERR_PTR(-ENOMEM);
	}
	if (!setup->timeout_ns)
		vq->setup.timeout_ns = DEFAULT_TIMEOUT_NS;
	end = setup->format->layout(setup->size, setup->align, &vq->driver_offset, &vq->device_offset);
	vq->tables_offset = ALIGN_UP(end, sizeof(struct virtqueue_desc));
	link_all_free(vq);
	setup->format->start(vq);
	return vq;
}

void virtqueue_destroy(struct virtqueue *vq)
{
	if (!vq)
		return;
	kfree(vq->checker);
	kfree(vq->table_links);
	kfree(vq->slots);
	kfree(vq);
}

struct virtqueue_addresses virtqueue_addresses(const struct virtqueue *vq)
{
	return (struct virtqueue_addresses){
		.descriptors = vq->setup.phys,
		.driver = vq->setup.phys + vq->driver_offset,
		.device = vq->setup.phys + vq->device_offset,
	};
}

void *virtqueue_owner(const struct virtqueue *vq)
{
	return vq->setup.owner;
}

const char *virtqueue_name(const struct virtqueue *vq)
{
	return vq->setup.name;
}

unsigned int virtqueue_size(const struct virtqueue *vq)
{
	return vq->setup.size;
}

unsigned int virtqueue_free_descriptors(const struct virtqueue *vq)
{
	return vq->free_descriptors;
}

unsigned int virtqueue_longest_chain(const struct virtqueue *vq)
{
	return vq->setup.tables ? vq->setup.table_entries : vq->setup.size;
}

/* ---- what came back ---- */

/*
 * Takes one used element off the ring; the head of its chain, or NONE. The chain's descriptors are free again but
 * for the head, which is in state DONE.
 */
static uint16_t collect(struct virtqueue *vq)
{
	struct virtqueue_slot *slot;
	uint32_t id, bytes;

	if (virtqueue_is_broken(vq) || !vq->setup.format->load_used(vq, &id, &bytes))
		return NONE;
	if (id >= vq->setup.size) {
		virtqueue_break_with(vq, "the device used buffer %u of %u", id, vq->setup.size);
		return NONE;
	}
	slot = &vq->slots[id];
	if (slot->state != VIRTQUEUE_SLOT_PUBLISHED) {
		virtqueue_break_with(vq, "the device used buffer %u, which it does not have", id);
		return NONE;
	}
	vq->setup.format->advance_used(vq, id);
	vq->in_flight--;
	slot->state = VIRTQUEUE_SLOT_DONE;
	slot->written_bytes = MIN((uint64_t)bytes, slot->writable_bytes);
	release_all_but_head(vq, id);
	return id;
}

static void keep_for_later(struct virtqueue *vq, uint16_t head)
{
	if (vq->first_done == NONE)
		vq->first_done = head;
	else
		vq->slots[vq->last_done].next = head;
	vq->last_done = head;
}

/* Collects until an intermediate chain is back (true) or nothing more is there. */
static bool collect_intermediate(struct virtqueue *vq)
{
	uint16_t head;

	while ((head = collect(vq)) != NONE) {
		if (vq->slots[head].intermediate) {
			release_head(vq, head);
			return true;
		}
		keep_for_later(vq, head);
	}
	return false;
}

static uint16_t next_done(struct virtqueue *vq)
{
	uint16_t head = vq->first_done;

	if (head == NONE)
		return collect(vq);
	vq->first_done = vq->slots[head].next;
	return head;
}

void *virtqueue_get_context(struct virtqueue *vq, uint32_t *bytes_written, void **context)
{
	VIRTQUEUE_CHECKED_CALL(vq);
	uint16_t head = next_done(vq);
	void *token;

	if (head == NONE)
		return NULL;
	token = vq->slots[head].token;
	if (bytes_written)
		*bytes_written = vq->slots[head].written_bytes;
	if (context)
		*context = vq->slots[head].context;
	release_head(vq, head);
	return token;
}

void *virtqueue_get(struct virtqueue *vq, uint32_t *bytes_written)
{
	return virtqueue_get_context(vq, bytes_written, NULL);
}

bool virtqueue_has_used(const struct virtqueue *vq)
{
	return vq->first_done != NONE || (!virtqueue_is_broken(vq) && vq->setup.format->has_used(vq));
}

void *virtqueue_detach_unused(struct virtqueue *vq)
{
	virtqueue_abandon_chain(vq, vq->building.head);
	for (unsigned int id = 0; id < vq->setup.size; id++) {
		struct virtqueue_slot *slot = &vq->slots[id];
		void *token = slot->token;

		if (slot->state == VIRTQUEUE_SLOT_PUBLISHED) {
			vq->setup.format->advance_used(vq, id);
			vq->in_flight--;
			release_all_but_head(vq, id);
		} else if (slot->state != VIRTQUEUE_SLOT_DONE) {
			continue;
		}
		vq->first_done = NONE; /* all done ones are found by this loop */
		release_head(vq, id);
		if (token)
			return token;
	}
	return NULL;
}

/* ---- kicking and waiting ---- */

bool virtqueue_kick(struct virtqueue *vq)
{
	VIRTQUEUE_CHECKED_CALL(vq);
	if (virtqueue_is_broken(vq))
		return false;
	if (!vq->since_kick)
		return true;
	/* What was published is visible before we look whether the device sleeps (2.7.13.4.1, 2.8.21.3.1). */
	smp_mb();
	if (vq->setup.format->wants_notify(vq))
		vq->setup.notify(vq);
	vq->since_kick = 0;
	return true;
}

static int give_up(struct virtqueue *vq)
{
	virtqueue_break_with(vq, "no answer to %u buffers within %llu ms", vq->in_flight,
			     vq->setup.timeout_ns / NS_PER_MS);
	return -EIO;
}

int virtqueue_kick_sync(struct virtqueue *vq)
{
	VIRTQUEUE_CHECKED_CALL(vq);
	uint64_t deadline = wait_deadline(vq->setup.timeout_ns);

	if (!virtqueue_kick(vq))
		return -EIO;
	while (!virtqueue_has_used(vq)) {
		if (virtqueue_is_broken(vq))
			return -EIO;
		/* Once more: it is not the device's fault if this CPU or the whole guest stood still meanwhile. */
		if (time_ns() > deadline && !virtqueue_has_used(vq))
			return give_up(vq);
		cpu_relax();
	}
	return 0;
}

int virtqueue_kick_async(struct virtqueue *vq, struct wait_queue *queue)
{
	VIRTQUEUE_CHECKED_CALL(vq);
	bool woken;

	if (!virtqueue_kick(vq))
		return -EIO;
	woken = virtqueue_enable_interrupts(vq) ||
		wait_event_timeout(queue, virtqueue_has_used(vq) || virtqueue_is_broken(vq), vq->setup.timeout_ns);
	virtqueue_disable_interrupts(vq);
	if (virtqueue_has_used(vq))
		return 0;
	return woken ? -EIO : give_up(vq);
}

void virtqueue_disable_interrupts(struct virtqueue *vq)
{
	vq->setup.format->set_interrupts(vq, false);
}

bool virtqueue_enable_interrupts(struct virtqueue *vq)
{
	vq->setup.format->set_interrupts(vq, true);
	/* The device sees that we want to be told before we look for the last time (2.7.9, 2.8.15). */
	smp_mb();
	return virtqueue_has_used(vq);
}

/* ---- chains ---- */

static void forget_chain(struct virtqueue *vq)
{
	vq->building.head = vq->building.tail = NONE;
	vq->building.count = 0;
	vq->building.writable = false;
	vq->building.bytes = vq->building.writable_bytes = 0;
}

/* The chain under construction goes to the device. */
static void publish(struct virtqueue *vq, uint16_t flags)
{
	struct virtqueue_slot *slot = &vq->slots[vq->building.head];

	slot->count = vq->building.count;
	slot->writable_bytes = flags & VIRTQUEUE_DESC_INDIRECT ? UINT32_MAX : vq->building.writable_bytes;
	if (vq->checker)
		virtqueue_checker_publish(vq, vq->building.head, slot->token);
	vq->setup.format->publish(vq, flags);
	vq->in_flight++;
	forget_chain(vq);
}

/* The ring is full in mid-chain: sends what there is and waits until its descriptors are back. */
static int publish_intermediate(struct virtqueue *vq)
{
	uint64_t deadline = wait_deadline(vq->setup.timeout_ns);

	vq->slots[vq->building.head].intermediate = true;
	publish(vq, 0);
	if (!virtqueue_kick(vq))
		return -EIO;
	while (!collect_intermediate(vq)) {
		if (virtqueue_is_broken(vq))
			return -EIO;
		if (time_ns() > deadline)
			return collect_intermediate(vq) ? 0 : give_up(vq);
		cpu_relax();
	}
	return 0;
}

static bool descriptor_is_sound(const struct virtqueue *vq, uint64_t address, uint32_t bytes, bool in)
{
	return bytes && address + (bytes - 1) >= address && (in || !vq->building.writable);
}

int virtqueue_add_chain_desc(struct virtqueue *vq, uint64_t address, uint32_t bytes, uint16_t *head, uint16_t *prev,
			     bool in)
{
	VIRTQUEUE_CHECKED_CALL(vq);
	if (virtqueue_is_broken(vq))
		return -EIO;
	if (*head != vq->building.head || (*head != NONE && *prev != vq->building.tail))
		return -EINVAL;
	if (!descriptor_is_sound(vq, address, bytes, in))
		return -EINVAL;
	if (!vq->free_descriptors || vq->building.bytes + bytes > VIRTQUEUE_MAX_BYTES) {
		int error = *head == NONE ? -ENOSPC : publish_intermediate(vq);

		if (*head != NONE)
			*head = *prev = NONE;
		if (error)
			return error;
	}

	virtqueue_checked_part(vq, address, bytes, in);
	vq->building.tail = vq->setup.format->append(vq, address, bytes, in ? VIRTQUEUE_DESC_WRITE : 0);
	if (!vq->building.count++)
		vq->building.head = vq->building.tail;
	vq->free_descriptors--;
	vq->building.writable = in;
	vq->building.bytes += bytes;
	vq->building.writable_bytes += in ? bytes : 0;
	*head = vq->building.head;
	*prev = vq->building.tail;
	return 0;
}

int virtqueue_add_chain(struct virtqueue *vq, uint16_t head, bool indirect, void *indirect_desc, void *token,
			void *context)
{
	VIRTQUEUE_CHECKED_CALL(vq);
	if (head == NONE)
		return 0;
	if (virtqueue_is_broken(vq))
		return -EIO;
	if (head != vq->building.head || !token)
		return -EINVAL;
	/* 2.7.5.3.1: a table is not writable, and the chain ends with it. */
	if (indirect && (!indirect_desc || vq->building.count != 1 || vq->building.writable))
		return -EINVAL;
	vq->slots[head].token = token;
	vq->slots[head].context = context;
	publish(vq, indirect ? VIRTQUEUE_DESC_INDIRECT : 0);
	return 0;
}

void virtqueue_abandon_chain(struct virtqueue *vq, uint16_t head)
{
	VIRTQUEUE_CHECKED_CALL(vq);
	if (head == NONE || head != vq->building.head)
		return;
	vq->setup.format->retract(vq);
	vq->slots[head].count = vq->building.count;
	release_all_but_head(vq, head);
	release_head(vq, head);
	forget_chain(vq);
}
