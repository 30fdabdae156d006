/*
 * The trace rings: bytes, one ring per CPU, the oldest records overwritten.
 *
 * A CPU writes only to its own ring, with interrupts off, holding the ring's lock word, which only a reader may want
 * too: so emitting shares nothing with other CPUs. A reader copies one record at a time out under that word and merges
 * the rings by time; what is overwritten meanwhile is passed over.
 */
#include "kernel/trace_internal.h"

#include "kernel/cpu.h"
#include "kernel/memory.h"
#include "kernel/mutex.h"
#include "kernel/thread.h"
#include "kernel/time.h"
#include "lib/atomic.h"
#include "lib/errno.h"
#include "lib/string.h"

#define DEFAULT_RING_BYTES KIB(128)

struct trace_ring {
	uint32_t lock_word;
	char *bytes;	     /* NULL: no ring yet */
	uint64_t head, tail; /* bytes ever written and ever dropped */
	uint64_t written, dropped;
} CACHE_LINE_ALIGNED;

static struct trace_ring rings[MAX_CPUS];
static uint64_t ring_bytes = DEFAULT_RING_BYTES; /* a power of two */
static struct mutex making = MUTEX_INIT(making, "trace_rings");
static bool size_settled;
static bool recording = true;

static void ring_lock(struct trace_ring *ring)
{
	while (__atomic_exchange_n(&ring->lock_word, 1, __ATOMIC_ACQUIRE))
		cpu_relax();
}

static void ring_unlock(struct trace_ring *ring)
{
	store_release(&ring->lock_word, 0);
}

/* ---- bytes in a ring; with its lock ---- */

static void copy_in(struct trace_ring *ring, const void *from, size_t bytes)
{
	size_t at = ring->head & (ring_bytes - 1), first = MIN(bytes, ring_bytes - at);

	memcpy(ring->bytes + at, from, first);
	memcpy(ring->bytes, (const char *)from + first, bytes - first);
	ring->head += bytes;
}

static void copy_out(const struct trace_ring *ring, uint64_t from, void *to, size_t bytes)
{
	size_t at = from & (ring_bytes - 1), first = MIN(bytes, ring_bytes - at);

	memcpy(to, ring->bytes + at, first);
	memcpy((char *)to + first, ring->bytes, bytes - first);
}

static void drop_oldest(struct trace_ring *ring)
{
	struct trace_header header;

	copy_out(ring, ring->tail, &header, sizeof(header));
	ring->tail += sizeof(header) + header.record_bytes;
	ring->dropped++;
}

static void append(struct trace_ring *ring, const struct trace_header *header, const void *record)
{
	size_t bytes = sizeof(*header) + header->record_bytes;

	while (ring->head + bytes - ring->tail > ring_bytes)
		drop_oldest(ring);
	copy_in(ring, header, sizeof(*header));
	copy_in(ring, record, header->record_bytes);
	ring->written++;
}

/* ---- emitting ---- */

/* With interrupts off from the time stamp on: what an interrupt emits in between would stand before it, but be later.
 */
static void emit(const struct trace_event *event, const void *record, size_t bytes)
{
	struct thread *thread = thread_current();
	struct trace_header header = {
		.event = event,
		.thread_id = thread ? thread_id(thread) : 0,
		.record_bytes = (uint16_t)bytes,
		.irqs_off = !cpu_irqs_enabled(),
		.in_interrupt = in_interrupt(),
		.preempt_off = !preemptible(),
	};
	unsigned long flags = cpu_irq_save();
	struct trace_ring *ring = &rings[cpu_id()];

	if (load_acquire(&ring->bytes)) {
		string_copy(header.thread_name, thread ? thread_name(thread) : "<none>", sizeof(header.thread_name));
		ring_lock(ring);
		header.time_ns = time_ns();
		append(ring, &header, record);
		ring_unlock(ring);
	}
	cpu_irq_restore(flags);
}

void trace_emit(const struct trace_event *event, const void *record)
{
	uint8_t to = load_relaxed(&event->enabled);

	if (to & TRACE_TO_LISTENER)
		load_acquire (&event->listener)(record);
	if ((to & TRACE_TO_RINGS) && load_relaxed(&recording))
		emit(event, record, event->record_bytes);
}

/* The pointer stays when it ends, for those who have seen the bit. */
void trace_listen(struct trace_event *event, void (*listener)(const void *record))
{
	if (!listener) {
		atomic_fetch_and(&event->enabled, (uint8_t)~TRACE_TO_LISTENER);
		return;
	}
	store_release(&event->listener, listener);
	atomic_fetch_or(&event->enabled, (uint8_t)TRACE_TO_LISTENER);
}

void trace_mark(const char *text, size_t length)
{
	if (load_relaxed(&recording))
		emit(NULL, text, MIN(length, (size_t)TRACE_RECORD_MAX));
}

void trace_set_recording(bool on)
{
	store_relaxed(&recording, on);
}

bool trace_recording(void)
{
	return load_relaxed(&recording);
}

/* ---- making and clearing ---- */

/* The size is settled as soon as one ring has it. With making held. */
static int make_rings(void)
{
	for (unsigned int cpu = 0; cpu < cpu_count(); cpu++) {
		char *bytes;

		if (rings[cpu].bytes)
			continue;
		bytes = kmalloc(ring_bytes);
		if (!bytes)
			return -ENOMEM;
		size_settled = true;
		store_release(&rings[cpu].bytes, bytes);
	}
	return 0;
}

int trace_rings_make(void)
{
	int error;

	mutex_lock(&making);
	error = make_rings();
	mutex_unlock(&making);
	return error;
}

int trace_rings_set_bytes(uint64_t bytes)
{
	int error = 0;

	mutex_lock(&making);
	if (size_settled) {
		error = -EBUSY;
	} else {
		ring_bytes = KIB(4);
		while (ring_bytes < bytes)
			ring_bytes *= 2;
	}
	mutex_unlock(&making);
	return error;
}

uint64_t trace_rings_bytes(void)
{
	return ring_bytes;
}

void trace_rings_clear(void)
{
	for (unsigned int cpu = 0; cpu < MAX_CPUS; cpu++) {
		unsigned long flags = cpu_irq_save();

		ring_lock(&rings[cpu]);
		rings[cpu].tail = rings[cpu].head;
		rings[cpu].written = rings[cpu].dropped = 0;
		ring_unlock(&rings[cpu]);
		cpu_irq_restore(flags);
	}
}

/* ---- reading ---- */

void trace_rings_totals(struct trace_totals *totals)
{
	*totals = (struct trace_totals){0};
	for (unsigned int cpu = 0; cpu < MAX_CPUS; cpu++) {
		unsigned long flags = cpu_irq_save();

		ring_lock(&rings[cpu]);
		totals->written += rings[cpu].written;
		totals->in_rings += rings[cpu].written - rings[cpu].dropped;
		ring_unlock(&rings[cpu]);
		cpu_irq_restore(flags);
	}
}

struct cursor {
	uint64_t at, end; /* end: what was in the ring when reading began, so that a busy ring is not read for ever */
	struct trace_header header;
	char record[TRACE_RECORD_MAX];
	bool valid;
};

/* Loads the record at the cursor, or the oldest left if that one was overwritten. */
static void cursor_load(struct cursor *cursor, struct trace_ring *ring)
{
	unsigned long flags = cpu_irq_save();

	ring_lock(ring);
	if (cursor->end == 0)
		cursor->end = ring->head;
	cursor->at = MAX(cursor->at, ring->tail);
	cursor->valid = cursor->at < cursor->end;
	if (cursor->valid) {
		copy_out(ring, cursor->at, &cursor->header, sizeof(cursor->header));
		copy_out(ring, cursor->at + sizeof(cursor->header), cursor->record, cursor->header.record_bytes);
	}
	ring_unlock(ring);
	cpu_irq_restore(flags);
}

static int earliest(const struct cursor *cursors)
{
	int first = -1;

	for (int cpu = 0; cpu < (int)cpu_count(); cpu++)
		if (cursors[cpu].valid && (first < 0 || cursors[cpu].header.time_ns < cursors[first].header.time_ns))
			first = cpu;
	return first;
}

int trace_rings_each(void (*each)(unsigned int cpu, const struct trace_header *header, const void *record,
				  void *context),
		     void *context)
{
	struct cursor *cursors = kzalloc(cpu_count() * sizeof(*cursors));
	int cpu;

	if (!cursors)
		return -ENOMEM;
	for (unsigned int i = 0; i < cpu_count(); i++)
		cursor_load(&cursors[i], &rings[i]);
	while ((cpu = earliest(cursors)) >= 0) {
		struct cursor *cursor = &cursors[cpu];

		each((unsigned int)cpu, &cursor->header, cursor->record, context);
		cursor->at += sizeof(cursor->header) + cursor->header.record_bytes;
		cursor_load(cursor, &rings[cpu]);
	}
	kfree(cursors);
	return 0;
}
