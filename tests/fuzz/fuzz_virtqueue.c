/*
 * The virtqueue in the hands of a device that writes anything anywhere in the ring, between any two calls of the
 * driver.
 *
 * The input is a script: driver calls and device writes, a byte each with operands behind. What must hold: no token
 * comes back that is not outstanding, none twice, the queue's own records stay sound, and at the end every token that
 * did not come back is detached exactly once. All else is the sanitizers' business.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "drivers/virtio/virtqueue.h"
#include "kernel/memory.h"
#include "kernel/panic.h"
#include "kernel/printk.h"
#include "kernel/thread.h"
#include "kernel/time.h"
#include "lib/errno.h"

#include <arch/cpu.h>

#define TOKENS	    64u
#define RING_MEMORY 8192u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

#define MUST(condition)                                                                 \
	do {                                                                            \
		if (!(condition)) {                                                     \
			fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition); \
			abort();                                                        \
		}                                                                       \
	} while (0)

/* ---- the services that a virtqueue needs ---- */

static uint64_t now_ns;

uint64_t time_ns(void)
{
	return now_ns += NS_PER_MS;
}

uint64_t wait_deadline(uint64_t timeout_ns)
{
	return now_ns + timeout_ns;
}

/* What cpu_relax() does in the hosted build. */
void host_relax(void)
{
}

void wait_prepare(struct wait_queue *queue UNUSED, struct waiter *waiter UNUSED)
{
}

bool wait_sleep(struct waiter *waiter UNUSED, uint64_t deadline_ns)
{
	return time_ns() < deadline_ns;
}

void wait_finish(struct wait_queue *queue UNUSED, struct waiter *waiter UNUSED)
{
}

struct thread *thread_current(void)
{
	return NULL;
}

void *kmalloc(size_t bytes)
{
	return malloc(bytes);
}

void *kzalloc(size_t bytes)
{
	return calloc(1, bytes);
}

void kfree(void *memory)
{
	free(memory);
}

void printk(enum log_level level UNUSED, const char *fmt UNUSED, ...)
{
}

void assertion_failed(const char *condition, const char *file, int line, const char *fmt UNUSED, ...)
{
	fprintf(stderr, "%s:%d: assertion %s\n", file, line, condition);
	abort();
}

/* ---- the script ---- */

struct script {
	const uint8_t *at;
	size_t left;
	struct virtqueue *vq;
	char *memory;
	bool out[TOKENS + 1]; /* tokens are 1..TOKENS */
	uint16_t head, prev;
	uint8_t next_token;
};

static uint8_t next8(struct script *s)
{
	if (!s->left)
		return 0;
	s->left--;
	return *s->at++;
}

static uint16_t next16(struct script *s)
{
	uint16_t low = next8(s);

	return low | (uint16_t)next8(s) << 8;
}

/* One that is not outstanding; 0 if all are. */
static uintptr_t free_token(struct script *s)
{
	for (unsigned int i = 0; i < TOKENS; i++) {
		uintptr_t token = 1 + (s->next_token++ % TOKENS);

		if (!s->out[token])
			return token;
	}
	return 0;
}

static void add(struct script *s)
{
	struct virtqueue_buffer buffers[8];
	uint8_t shape = next8(s);
	unsigned int readable = shape & 3, writable = shape >> 2 & 3;
	uintptr_t token = free_token(s);

	for (unsigned int i = 0; i < readable + writable; i++)
		buffers[i] = (struct virtqueue_buffer){next16(s), next8(s)};
	if (token && virtqueue_add(s->vq, buffers, readable, writable, (void *)token) == 0)
		s->out[token] = true;
}

static void publish(struct script *s)
{
	uintptr_t token = free_token(s);

	if (token && s->head != VIRTQUEUE_DESC_ID_INIT &&
	    virtqueue_add_chain(s->vq, s->head, false, NULL, (void *)token, s) == 0) {
		s->out[token] = true;
		s->head = s->prev = VIRTQUEUE_DESC_ID_INIT;
	}
}

static bool get(struct script *s)
{
	uint32_t written;
	uintptr_t token = (uintptr_t)virtqueue_get(s->vq, &written);

	if (!token)
		return false;
	MUST(token <= TOKENS && s->out[token]);
	s->out[token] = false;
	return true;
}

/* A device that more or less keeps to the rules: so that the script gets past the first used element. */
static void use_one(struct script *s, bool packed, unsigned int size)
{
	struct virtqueue_addresses at = virtqueue_addresses(s->vq);
	char *used = s->memory + (at.device - at.descriptors);
	uint16_t *index = (uint16_t *)(used + 2);
	uint16_t id = next8(s) % size;

	if (packed) {
		s->memory[16 * id + 14] ^= 0x80;
		s->memory[16 * id + 15] ^= (char)0x80;
		return;
	}
	memcpy(used + 4 + 8 * (*index % size), &(uint32_t){id}, sizeof(uint32_t));
	(*index)++;
}

static void step(struct script *s, bool packed, unsigned int size)
{
	switch (next8(s) % 12) {
	case 0:
	case 1:
		add(s);
		break;
	case 2:
		(void)!virtqueue_add_chain_desc(s->vq, next16(s), next8(s), &s->head, &s->prev, next8(s) & 1);
		break;
	case 3:
		publish(s);
		break;
	case 4:
		virtqueue_abandon_chain(s->vq, s->head);
		s->head = s->prev = VIRTQUEUE_DESC_ID_INIT;
		break;
	case 5:
		virtqueue_kick(s->vq);
		break;
	case 6:
		get(s);
		break;
	case 7:
		if (virtqueue_enable_interrupts(s->vq))
			virtqueue_disable_interrupts(s->vq);
		break;
	case 8:
		s->memory[next16(s) % RING_MEMORY] = (char)next8(s);
		break;
	case 9:
	case 10:
		use_one(s, packed, size);
		break;
	default:
		(void)!virtqueue_kick_sync(s->vq);
	}
	MUST(virtqueue_check(s->vq) == 0);
}

static void notify(struct virtqueue *vq UNUSED)
{
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	struct script s = {.at = data, .left = bytes, .head = VIRTQUEUE_DESC_ID_INIT, .prev = VIRTQUEUE_DESC_ID_INIT};
	uint8_t shape = next8(&s);
	bool packed = shape & 1;
	struct virtqueue_setup setup = {
		.name = "fuzz",
		.format = packed ? &virtqueue_packed : &virtqueue_split,
		.size = packed ? 1 + (shape >> 4) : 1u << (shape >> 4 & 3),
		.event_index = shape & 2,
		.tables = shape & 4 ? 3 : 0,
		.table_entries = shape & 4 ? 4 : 0,
		.notify = notify,
		.phys = 0x10000,
		.timeout_ns = 5 * NS_PER_MS,
	};

	setup.memory = s.memory = calloc(1, RING_MEMORY);
	MUST(virtqueue_bytes(&setup) <= RING_MEMORY);
	s.vq = virtqueue_create(&setup);
	MUST(!IS_ERR(s.vq));
	while (s.left)
		step(&s, packed, setup.size);
	for (uintptr_t token; (token = (uintptr_t)virtqueue_detach_unused(s.vq)) != 0;) {
		MUST(token <= TOKENS && s.out[token]);
		s.out[token] = false;
	}
	for (unsigned int token = 1; token <= TOKENS; token++)
		MUST(!s.out[token]);
	MUST(virtqueue_free_descriptors(s.vq) == setup.size);
	virtqueue_destroy(s.vq);
	free(s.memory);
	return 0;
}
