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
	uint64_t limit = time_ns() + NS_PER_S;

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

/* Requested and released over and over while interrupts keep coming: nothing handles what is gone. */
struct churn {
	uint32_t stop, wrong;
	struct irq_message message;
};

static int keep_sending(void *argument)
{
	struct churn *churn = argument;

	while (!load_relaxed(&churn->stop)) {
		send(&churn->message);
		thread_yield();
	}
	return 0;
}

KTEST(irq, releasing_waits_for_the_handler)
{
	static struct churn churn;
	struct thread *sender;

	churn = (struct churn){0};
	for (unsigned int round = 0; round < 5; round++) {
		struct device device = {.mine = true};
		uint32_t after;

		REQUIRE_OK(t, irq_request_message(device_interrupt, &device, &churn.message));
		if (round == 0)
			sender = thread_spawn("sender", keep_sending, &churn);
		REQUIRE(t, !IS_ERR(sender));
		for (uint64_t end = time_ns() + NS_PER_S; !load_relaxed(&device.interrupts) && time_ns() < end;)
			thread_yield();
		EXPECT(t, device.interrupts > 0);
		irq_release_message(&churn.message);
		after = load_relaxed(&device.interrupts);
		delay_ns(100 * NS_PER_US);
		EXPECT_EQ(t, load_relaxed(&device.interrupts), after);
	}
	store_relaxed(&churn.stop, 1);
	thread_join(sender);
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
