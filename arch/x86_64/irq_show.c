/*
 * /proc/interrupts, as Linux writes it: a column per CPU, a row per source.
 */
#include "arch/x86_64/irq_internal.h"

#include "arch/x86_64/percpu_internal.h"
#include "kernel/cpu.h"
#include "kernel/panic.h"
#include "lib/string.h"

static const char *const trigger_names[] = {
	[IRQ_EDGE_HIGH] = "edge",
	[IRQ_LEVEL_LOW] = "fasteoi",
	[IRQ_LEVEL_HIGH] = "fasteoi",
};

/* A copy of one row: text is made without the lock. */
struct row {
	bool there, masked;
	uint32_t gsi;
	uint8_t vector;
	enum irq_trigger trigger;
	uint64_t counts[MAX_CPUS];
	irq_handler handlers[4];
};

static void copy_row(unsigned int index, struct row *row)
{
	unsigned long flags = irq_lock();
	const struct irq_source *source = irq_source_at(index);
	size_t nr_handlers = 0;

	memset(row, 0, sizeof(*row));
	if (source) {
		row->there = true;
		row->masked = source->masked;
		row->gsi = source->gsi;
		row->vector = source->vector;
		row->trigger = source->trigger;
		memcpy(row->counts, source->counts, sizeof(row->counts));
		for (const struct irq_action *at = source->actions; at && nr_handlers < ARRAY_SIZE(row->handlers);
		     at = at->next)
			row->handlers[nr_handlers++] = at->handler;
	}
	irq_unlock(flags);
}

static void show_row(struct sink *out, const struct row *row)
{
	char name[64];

	if (row->gsi == IRQ_MESSAGE)
		sink_printf(out, "%3u:", row->vector);
	else
		sink_printf(out, "%3u:", row->gsi);
	for (unsigned int cpu = 0; cpu < cpu_count(); cpu++)
		sink_printf(out, " %10lu", row->counts[cpu]);
	if (row->gsi == IRQ_MESSAGE)
		sink_printf(out, "  PCI-MSI");
	else
		sink_printf(out, "  IO-APIC  %u-%s%s", row->gsi, trigger_names[row->trigger],
			    row->masked ? " (masked)" : "");
	for (size_t i = 0; i < ARRAY_SIZE(row->handlers) && row->handlers[i]; i++) {
		symbol_format(name, sizeof(name), (uint64_t)row->handlers[i]);
		if (strchr(name, '+'))
			*strchr(name, '+') = '\0';
		sink_printf(out, "%s%s", i ? ", " : "  ", name);
	}
	sink_printf(out, "\n");
}

static void show_local(struct sink *out, const char *name, size_t offset, const char *text)
{
	sink_printf(out, "%3s:", name);
	for (unsigned int cpu = 0; cpu < cpu_count(); cpu++)
		sink_printf(out, " %10lu", *(const uint64_t *)((const char *)&cpu_blocks[cpu]->counts + offset));
	sink_printf(out, "  %s\n", text);
}

void irq_show(struct sink *out)
{
	struct row row;

	sink_printf(out, "    ");
	for (unsigned int cpu = 0; cpu < cpu_count(); cpu++)
		sink_printf(out, " %*s%u", cpu < 10 ? 9 : 8, "CPU", cpu);
	sink_printf(out, "\n");
	for (unsigned int index = 0; index < IRQ_NR_VECTORS; index++) {
		copy_row(index, &row);
		if (row.there)
			show_row(out, &row);
	}
	show_local(out, "LOC", offsetof(struct interrupt_counts, timer), "Local timer interrupts");
	show_local(out, "SPU", offsetof(struct interrupt_counts, spurious), "Spurious interrupts");
	show_local(out, "RES", offsetof(struct interrupt_counts, reschedule), "Rescheduling interrupts");
	show_local(out, "CAL", offsetof(struct interrupt_counts, call), "Function call interrupts");
	show_local(out, "ERR", offsetof(struct interrupt_counts, error), "Local APIC errors");
	show_local(out, "MIS", offsetof(struct interrupt_counts, unexpected), "Interrupts without a source");
}
