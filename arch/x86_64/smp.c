/*
 * Starting the other CPUs, all at once.
 *
 * Every processor gets INIT and STARTUP, runs trampoline.S, takes the next place in the list of arrivals with a block
 * that lies ready there, sets itself up, says so, and halts. The boot CPU halts too while it waits. Nobody spins: on a
 * host with fewer free CPUs than the guest has, that would take the time of those who still have work to do (measured
 * with one free host CPU: every hand-over from one spinning CPU to another costs the host's time slice, 5-10 ms).
 *
 * When all are there, each gets its index: in the order of the firmware's table, so that CPU numbers do not depend on
 * who was fastest, and without gaps if somebody is missing. Without a table (microvm with acpi=off) INIT and STARTUP go
 * to everybody, and the order is that of the APIC ids. An interrupt then sends each into the scheduler.
 *
 * A 64-bit processor takes STARTUP soon after INIT; the 10 ms of the manual are for separate 82489DX chips.
 */
#include "arch/x86_64/smp_internal.h"

#include "arch/x86_64/apic.h"
#include "arch/x86_64/clock.h"
#include "arch/x86_64/msr.h"
#include "arch/x86_64/paging.h"
#include "arch/x86_64/platform.h"
#include "arch/x86_64/timer.h"
#include "kernel/cpu.h"
#include "kernel/memory.h"
#include "kernel/panic.h"
#include "kernel/printk.h"
#include "kernel/scheduler.h"
#include "kernel/time.h"
#include "lib/atomic.h"
#include "lib/sort.h"
#include "lib/string.h"

#include <arch/page.h>

#define LOW_MEMORY_END 0xa0000ull
#define INIT_NS	       (20 * NS_PER_US)
/* For a processor that missed the first: QEMU with -icount makes use of neither before this one halts a while. */
#define SECOND_STARTUP_NS (5 * NS_PER_MS)
#define ARRIVAL_LIMIT_NS  NS_PER_S
/* Nobody knows how many will come: so long after the last one came, nobody will. */
#define UNKNOWN_QUIET_NS (10 * NS_PER_MS)
#define UNKNOWN		 UINT32_MAX

extern char trampoline_start[], trampoline_end[];
extern char trampoline_gdt_base[], trampoline_cr3[], trampoline_target[];

struct arrival smp_arrivals[SMP_MAX_ARRIVALS];
uint32_t smp_nr_arrivals;
uint64_t smp_control_registers[2];

static uint64_t low_page;
static const struct machine *table;

uint64_t smp_reserve_low_page(const struct boot_info *info)
{
	for (size_t i = info->nr_ranges; i-- > 0;) {
		const struct boot_range *range = &info->ranges[i];
		uint64_t end = ALIGN_DOWN(MIN(range->end, LOW_MEMORY_END), PAGE_SIZE);

		if (range->type != BOOT_MEMORY_USABLE || end <= PAGE_SIZE || end - PAGE_SIZE < range->start)
			continue;
		low_page = end - PAGE_SIZE;
		return low_page;
	}
	return 0;
}

/* ---- on the processor that starts ---- */

/* Called and returns with interrupts off: between the caller's look at memory and the halt none gets lost. */
static void halt_until_interrupt(void)
{
	arch_idle();
	__asm__ volatile("cli" ::: "memory");
}

static NORETURN void park(void)
{
	for (;;)
		__asm__ volatile("cli; hlt");
}

void smp_begin(struct arrival *arrival)
{
	uint32_t coming = ARRIVAL_COMING;

	cpu_block_load(arrival->block);
	apic_init_cpu();
	timer_init_cpu();
	percpu_set_preempt_count(1); /* not a thread yet */
	arrival->block->public.apic_id = apic_id();
	arrival->cycles = cpu_cycles();
	if (!atomic_cas(&arrival->state, &coming, ARRIVAL_READY))
		park();
	apic_send(percpu_of(0)->apic_id, VECTOR_WAKE);
	while (!load_acquire(&arrival->idle_stack)) {
		if (load_acquire(&arrival->sync.wanted) && !arrival->sync.finished)
			clock_sync_ap(&arrival->sync);
		else
			halt_until_interrupt();
	}
	/* The trampoline's mapping is gone; its translation may still be here. */
	__asm__ volatile("movq %0, %%cr3" ::"r"(read_cr3()) : "memory");
	percpu_set_preempt_count(0);
	smp_change_stack(arrival->idle_stack);
}

/* ---- on the boot CPU ---- */

static void fill_blank(char *trampoline, const char *blank, uint32_t value, bool relative)
{
	uint32_t *at = (uint32_t *)(trampoline + (blank - trampoline_start));

	*at = relative ? *at + value : value;
}

static int prepare_trampoline(void)
{
	char *trampoline = phys_to_virt(low_page);

	memcpy(trampoline, trampoline_start, (size_t)(trampoline_end - trampoline_start));
	fill_blank(trampoline, trampoline_gdt_base, (uint32_t)low_page, true);
	fill_blank(trampoline, trampoline_target, (uint32_t)low_page, true);
	fill_blank(trampoline, trampoline_cr3, (uint32_t)paging_root(), false);
	smp_control_registers[0] = read_cr0();
	smp_control_registers[1] = read_cr4();
	return paging_trampoline_map(low_page);
}

/* @send to all processors of the table but this one, or to all but this one. */
static void send_to_others(const struct machine *machine, void (*send)(uint32_t apic_id))
{
	if (!machine->has_acpi) {
		send(APIC_ALL_OTHERS);
		return;
	}
	for (size_t i = 0; i < machine->nr_cpus; i++)
		if (machine->cpus[i].apic_id != apic_id())
			send(machine->cpus[i].apic_id);
}

static void send_startup(uint32_t apic_id)
{
	apic_send_startup(apic_id, low_page);
}

/* Opens @count more places with a block each; how many places there are then. */
static unsigned int open_places(unsigned int open, unsigned int count)
{
	for (; count > 0 && open < SMP_MAX_ARRIVALS; count--, open++) {
		struct cpu_block *block = kmalloc(sizeof(*block));

		if (!block) {
			pr_err("no memory for more than %u CPUs: the others are left out", open + 1);
			break;
		}
		memset(block, 0, offsetof(struct cpu_block, ist_stacks));
		cpu_block_init(block, 0, 0, 0); /* index, id and node follow */
		smp_arrivals[open].block = block;
		/* Machine checks are unlikely enough until it has its own. */
		store_release(&smp_arrivals[open].stack, block->tss.ist[IST_MACHINE_CHECK - 1]);
	}
	return open;
}

/* Late ones find a closed door. */
static void close_places(unsigned int open)
{
	for (; open < SMP_MAX_ARRIVALS; open++)
		store_release(&smp_arrivals[open].stack, ARRIVAL_CLOSED);
}

static unsigned int nr_ready(unsigned int open)
{
	unsigned int ready = 0;

	for (unsigned int i = 0; i < open; i++)
		ready += load_acquire(&smp_arrivals[i].state) == ARRIVAL_READY;
	return ready;
}

static void tick(struct timer *timer UNUSED)
{
}

/* Halts until a processor says that it is ready, or until @deadline_ns; false if that has passed. */
static bool halt_until(unsigned int wanted, uint64_t deadline_ns)
{
	struct timer timer;
	unsigned long flags;

	timer_init(&timer, tick);
	timer_arm(&timer, deadline_ns);
	flags = cpu_irq_save();
	if (nr_ready(wanted) < wanted && time_ns() < deadline_ns)
		halt_until_interrupt();
	cpu_irq_restore(flags);
	timer_cancel(&timer);
	return time_ns() < deadline_ns;
}

/* Waits until @wanted processors are ready, but no longer than is reasonable after @start_ns. */
static void wait_for_all(const struct machine *machine, unsigned int wanted, uint64_t start_ns)
{
	bool in_time = true;

	while (nr_ready(wanted) < wanted && in_time)
		in_time = halt_until(wanted, start_ns + SECOND_STARTUP_NS);
	if (in_time)
		return;
	send_to_others(machine, send_startup);
	do
		in_time = halt_until(wanted, start_ns + ARRIVAL_LIMIT_NS);
	while (nr_ready(wanted) < wanted && in_time);
}

/* Nobody knows how many there are: opens a place for each that knocks, until it has been quiet for a while. */
static unsigned int wait_for_unknown(void)
{
	uint64_t last_ns = time_ns();
	unsigned int open = 0;

	while (time_ns() < last_ns + UNKNOWN_QUIET_NS) {
		unsigned int knocked = MIN(load_acquire(&smp_nr_arrivals), SMP_MAX_ARRIVALS);

		if (knocked > open) {
			open = open_places(open, knocked - open);
			last_ns = time_ns();
		}
		cpu_relax();
	}
	return open;
}

/* An id's place in the firmware's table, or the id itself behind all of the table. */
static uint64_t rank(uint32_t apic_id)
{
	for (size_t i = 0; table->has_acpi && i < table->nr_cpus; i++)
		if (table->cpus[i].apic_id == apic_id)
			return i;
	return (uint64_t)MAX_CPUS + apic_id;
}

static int compare_arrivals(const void *a, const void *b)
{
	uint64_t first = rank((*(struct arrival *const *)a)->block->public.apic_id);
	uint64_t second = rank((*(struct arrival *const *)b)->block->public.apic_id);

	return first < second ? -1 : first > second;
}

static uint32_t node_of(uint32_t apic_id)
{
	uint64_t place = rank(apic_id);

	return place < table->nr_cpus ? table->cpus[place].node : 0;
}

/* Those that are ready, in the order of their future indices; the others can no more become ready. */
static unsigned int collect(unsigned int open, struct arrival **order)
{
	unsigned int count = 0;

	for (unsigned int i = 0; i < open; i++) {
		uint32_t coming = ARRIVAL_COMING;

		if (!atomic_cas(&smp_arrivals[i].state, &coming, ARRIVAL_LEFT_OUT))
			order[count++] = &smp_arrivals[i];
	}
	sort(order, count, sizeof(order[0]), compare_arrivals);
	return count;
}

/* Gives processors index and idle thread; how many CPUs there are then. */
static unsigned int number(struct arrival **order, unsigned int count, const uint64_t *idle_stacks)
{
	for (unsigned int i = 0; i < count; i++) {
		struct percpu *public = &order[i]->block->public;

		if (!idle_stacks[i + 1]) {
			pr_err("no memory for the idle thread of CPU %u: it and later ones are left out", i + 1);
			return i + 1;
		}
		public->cpu = i + 1;
		public->node = node_of(public->apic_id);
		cpu_blocks[i + 1] = order[i]->block;
	}
	return count + 1;
}

/*
 * A counter that was read between two readings of ours, and yet does not lie between them, runs apart. One that does
 * may still be off by less than the start took; tests/unit/x86_64_clock_test.c looks for that.
 */
static void compare_clocks(struct arrival **order, unsigned int count, uint64_t start_cycles)
{
	uint64_t now = cpu_cycles();

	for (unsigned int i = 0; i < count; i++) {
		struct arrival *arrival = order[i];

		if (arrival->cycles - start_cycles <= now - start_cycles)
			continue;
		store_release(&arrival->sync.wanted, 1);
		apic_send(arrival->block->public.apic_id, VECTOR_WAKE);
		clock_sync_serve(&arrival->sync);
		pr_warn("the cycle counter of the CPU with APIC id %u differs by %ld cycles: corrected",
			arrival->block->public.apic_id, arrival->block->cycle_offset);
	}
}

/* Into the scheduler. From here on they count. */
static void let_in(struct arrival **order, unsigned int count, const uint64_t *idle_stacks)
{
	cpu_set_count(count);
	for (unsigned int cpu = 1; cpu < count; cpu++) {
		store_release(&order[cpu - 1]->idle_stack, idle_stacks[cpu]);
		apic_send(cpu_blocks[cpu]->public.apic_id, VECTOR_WAKE);
	}
}

static bool is_ready(uint32_t apic_id, struct arrival **order, unsigned int count)
{
	for (unsigned int i = 0; i < count; i++)
		if (order[i]->block->public.apic_id == apic_id)
			return true;
	return false;
}

static void report_missing(unsigned int wanted, struct arrival **order, unsigned int count)
{
	if (!table->has_acpi) {
		pr_err("%u of %u other CPUs did not start within 1 s: left out", wanted - count, wanted);
		return;
	}
	for (size_t i = 0; i < table->nr_cpus; i++) {
		uint32_t id = table->cpus[i].apic_id;

		if (id != percpu_of(0)->apic_id && !is_ready(id, order, count))
			pr_err("the CPU with APIC id %u did not start within 1 s: left out", id);
	}
}

static void prepare_idle_threads(unsigned int count, uint64_t *idle_stacks)
{
	for (unsigned int cpu = 1; cpu <= count; cpu++)
		idle_stacks[cpu] = scheduler_prepare_cpu(cpu);
}

/* @wanted: how many others there are, UNKNOWN if nobody says. */
static void start_others(const struct machine *machine, unsigned int wanted)
{
	static uint64_t idle_stacks[MAX_CPUS + 1];
	static struct arrival *order[SMP_MAX_ARRIVALS];
	unsigned int open = wanted == UNKNOWN ? 0 : open_places(0, wanted), count;
	uint64_t start_ns, start_cycles;

	if (prepare_trampoline() != 0) {
		pr_err("no memory to start other CPUs: going on with one");
		return;
	}
	start_ns = time_ns();
	start_cycles = cpu_cycles();
	send_to_others(machine, apic_send_init);
	delay_ns(INIT_NS);
	send_to_others(machine, send_startup);
	if (wanted == UNKNOWN)
		wanted = open = wait_for_unknown();
	close_places(open);
	prepare_idle_threads(open, idle_stacks);
	wait_for_all(machine, open, start_ns);
	count = collect(open, order);
	compare_clocks(order, count, start_cycles);
	if (count < wanted)
		report_missing(wanted, order, count);
	else
		paging_trampoline_unmap(low_page); /* else one that comes late needs it to reach the closed door */
	let_in(order, number(order, count, idle_stacks), idle_stacks);
}

/* Other CPUs there should be. */
static unsigned int expected_others(const struct machine *machine)
{
	size_t total = machine->has_acpi ? machine->nr_cpus : machine->cpus_expected;

	return total ? (unsigned int)MIN(total, (size_t)MAX_CPUS) - 1 : UNKNOWN;
}

void smp_init(const struct machine *machine)
{
	unsigned int wanted = expected_others(machine);

	table = machine;
	percpu_of(0)->apic_id = apic_id();
	percpu_of(0)->node = node_of(apic_id());
	if (!wanted)
		return;
	if (!low_page) {
		pr_err("no usable page below 640 KiB to start other CPUs from: going on with one");
		return;
	}
	start_others(machine, wanted);
}
