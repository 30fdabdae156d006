/*
 * Interrupts: messages and lines find their handlers, lines are shared, and one that nobody wants is silenced.
 */
#include "arch/x86_64/irq_internal.h"
#include "arch/x86_64/ioapic.h"
#include "kernel/cpu.h"
#include "kernel/irq.h"
#include "kernel/ktest.h"
#include "kernel/thread.h"
#include "kernel/time.h"
#include "lib/atomic.h"
#include "lib/string.h"

#include <arch/io.h>
#include <arch/page.h>

/* A line that QEMU's machines do not use. */
#define FREE_LINE 14

struct device {
	uint32_t interrupts;
	bool mine;
	uint32_t cpu;
	bool interrupt;
};

static bool device_interrupt(void *context)
{
	struct device *device = context;

	device->interrupts++;
	device->cpu = cpu_id();
	device->interrupt = in_interrupt() && !cpu_irqs_enabled();
	return device->mine;
}

/* As a device writes it: into the local APIC's window. */
static void send(const struct irq_message *message)
{
	void *window = device_map(message->address & ~(PAGE_SIZE - 1), PAGE_SIZE, DEVICE_UNCACHED);

	mmio_write32((char *)window + message->address % PAGE_SIZE, message->data);
}

static bool wait_for(const uint32_t *count, uint32_t wanted)
{
	uint64_t limit = time_ns() + 10 * NS_PER_S;

	while (load_relaxed(count) < wanted && time_ns() < limit)
		thread_yield();
	return load_relaxed(count) == wanted;
}

/* What irq.c does on an interrupt, as many times. */
static void raise(uint8_t vector, uint32_t times)
{
	for (uint32_t i = 0; i < times; i++) {
		unsigned long flags = cpu_irq_save();

		irq_handle(vector);
		cpu_irq_restore(flags);
	}
}

static struct irq_source *source_of(uint32_t gsi)
{
	for (unsigned int i = 0; i < IRQ_NR_VECTORS; i++)
		if (irq_source_at(i) && irq_source_at(i)->gsi == gsi)
			return irq_source_at(i);
	return NULL;
}

KTEST(irq, a_message_reaches_its_handler)
{
	struct device device = {.mine = true};
	struct irq_message message;

	REQUIRE_OK(t, irq_request_message(device_interrupt, &device, &message));
	for (uint32_t i = 1; i <= 5; i++) {
		send(&message);
		EXPECT(t, wait_for(&device.interrupts, i));
	}
	EXPECT(t, device.interrupt);
	EXPECT(t, device.cpu < cpu_count());
	irq_release_message(&message);
}

KTEST(irq, a_released_message_is_not_handled_and_its_vector_serves_again)
{
	struct device first = {.mine = true}, second = {.mine = true};
	struct irq_message message, again;

	REQUIRE_OK(t, irq_request_message(device_interrupt, &first, &message));
	irq_release_message(&message);
	send(&message);
	delay_ns(NS_PER_MS);
	EXPECT_EQ(t, first.interrupts, 0u);

	REQUIRE_OK(t, irq_request_message(device_interrupt, &second, &again));
	EXPECT_EQ(t, again.vector, message.vector);
	send(&again);
	EXPECT(t, wait_for(&second.interrupts, 1));
	EXPECT_EQ(t, first.interrupts, 0u);
	irq_release_message(&again);
}

KTEST(irq, messages_have_vectors_of_their_own_until_there_are_none_left)
{
	static struct irq_message messages[IRQ_NR_VECTORS + 1];
	struct device device = {.mine = true};
	unsigned int count = 0;
	int error = 0;

	while (!error && count < ARRAY_SIZE(messages)) {
		error = irq_request_message(device_interrupt, &device, &messages[count]);
		count += !error;
	}
	EXPECT_EQ(t, error, -ENOSPC);
	for (unsigned int i = 0; i < count; i++)
		for (unsigned int j = 0; j < i; j++)
			if (messages[i].vector == messages[j].vector)
				ktest_fail(t, __FILE__, __LINE__, "vector %u given twice", messages[i].vector);
	while (count > 0)
		irq_release_message(&messages[--count]);
}

KTEST(irq, a_level_line_is_shared_and_asks_all)
{
	struct device first = {.mine = false}, second = {.mine = true};

	REQUIRE_OK(t, irq_request(FREE_LINE, IRQ_LEVEL_HIGH, device_interrupt, &first));
	REQUIRE_OK(t, irq_request(FREE_LINE, IRQ_LEVEL_HIGH, device_interrupt, &second));
	EXPECT_EQ(t, irq_request(FREE_LINE, IRQ_EDGE_HIGH, device_interrupt, t), -EBUSY);
	raise(source_of(FREE_LINE)->vector, 3);
	EXPECT_EQ(t, first.interrupts, 3u);
	EXPECT_EQ(t, second.interrupts, 3u);

	irq_release(FREE_LINE, device_interrupt, &second);
	raise(source_of(FREE_LINE)->vector, 1);
	EXPECT_EQ(t, first.interrupts, 4u);
	EXPECT_EQ(t, second.interrupts, 3u);
	irq_release(FREE_LINE, device_interrupt, &first);
}

KTEST(irq, an_edge_line_is_not_shared_and_no_line_is_not_had)
{
	struct device device = {.mine = true};

	REQUIRE_OK(t, irq_request(FREE_LINE, IRQ_EDGE_HIGH, device_interrupt, &device));
	EXPECT_EQ(t, irq_request(FREE_LINE, IRQ_EDGE_HIGH, device_interrupt, t), -EBUSY);
	irq_release(FREE_LINE, device_interrupt, &device);
	EXPECT_EQ(t, irq_request(100000, IRQ_LEVEL_LOW, device_interrupt, &device), -EINVAL);
}

KTEST(irq, a_line_that_nobody_handles_is_masked_and_comes_back_for_the_next)
{
	struct device device = {.mine = false};
	struct irq_source *source;

	REQUIRE_OK(t, irq_request(FREE_LINE, IRQ_LEVEL_HIGH, device_interrupt, &device));
	source = source_of(FREE_LINE);
	raise(source->vector, IRQ_STORM - 1);
	EXPECT(t, !source->masked);
	device.mine = true;
	raise(source->vector, 1); /* handled: counting begins again */
	device.mine = false;
	raise(source->vector, IRQ_STORM - 1);
	EXPECT(t, !source->masked);
	raise(source->vector, 1);
	EXPECT(t, source->masked);
	irq_release(FREE_LINE, device_interrupt, &device);

	REQUIRE_OK(t, irq_request(FREE_LINE, IRQ_LEVEL_HIGH, device_interrupt, &device));
	EXPECT(t, !source->masked);
	irq_release(FREE_LINE, device_interrupt, &device);
}

/* Released on one CPU while the handler runs on another. */
struct slow_device {
	struct irq_message message;
	uint32_t entered, left, left_at_release;
};

static bool slow_interrupt(void *context)
{
	struct slow_device *device = context;

	store_release(&device->entered, 1);
	delay_ns(3 * NS_PER_MS);
	store_release(&device->left, 1);
	return true;
}

static int release_while_it_runs(void *argument)
{
	struct slow_device *device = argument;
	uint64_t limit = time_ns() + 10 * NS_PER_S;

	send(&device->message);
	while (!load_acquire(&device->entered) && time_ns() < limit)
		cpu_relax();
	irq_release_message(&device->message);
	device->left_at_release = load_acquire(&device->left);
	return 0;
}

KTEST(irq, releasing_waits_for_the_handler)
{
	static struct slow_device device;
	struct thread *thread;

	if (cpu_count() < 2) {
		ktest_skip(t, "one CPU");
		return;
	}
	device = (struct slow_device){0};
	REQUIRE_OK(t, irq_request_message(slow_interrupt, &device, &device.message));
	thread = thread_spawn_on(1, "releaser", release_while_it_runs, &device); /* interrupts go to CPU 0 */
	REQUIRE(t, !IS_ERR(thread));
	thread_join(thread);
	EXPECT_EQ(t, device.entered, 1u);
	EXPECT_EQ(t, device.left_at_release, 1u);
}

KTEST(irq, the_table_has_a_column_per_cpu_and_names_the_handlers)
{
	static char buffer[16384];
	struct device device = {.mine = true};
	struct text text;

	REQUIRE_OK(t, irq_request(FREE_LINE, IRQ_LEVEL_HIGH, device_interrupt, &device));
	text_init(&text, buffer, sizeof(buffer));
	irq_show(&text.sink);
	irq_release(FREE_LINE, device_interrupt, &device);
	EXPECT(t, strstr(buffer, "CPU0"));
	EXPECT(t, strstr(buffer, " 14:"));
	EXPECT(t, strstr(buffer, "IO-APIC  14-fasteoi  device_interrupt\n"));
	EXPECT(t, strstr(buffer, "LOC:"));
	EXPECT(t, !text.cut);
}
