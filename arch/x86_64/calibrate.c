/*
 * The rates of the cycle counter and the local APIC timer.
 *
 * Best is to be told: CPUID leaf 0x15 has the crystal and the ratio, leaf 0x40000010 is a hypervisor's word. Else the
 * counter is measured against something whose rate is known, the first of this list that works:
 *   - the local APIC timer under QEMU's TCG and under KVM, where it counts nanoseconds by definition. Microvm may have
 * no other: the PIT can be switched off, and there is no ACPI timer;
 *   - the ACPI power management timer, 3.579545 MHz;
 *   - channel 2 of the PIT, 1.193182 MHz.
 * A reading is taken between two of the cycle counter, several times, and the one with the shortest bracket counts:
 * a vCPU that loses its host CPU in the middle does not spoil the measure. The real-time clock is no reference: it
 * would take a second.
 */
#include "arch/x86_64/calibrate.h"

#include "arch/x86_64/apic.h"
#include "arch/x86_64/msr.h"
#include "kernel/printk.h"
#include "kernel/time.h"
#include "lib/string.h"

#include <arch/io.h>

#define HYPERVISOR_APIC_HZ 1000000000ull /* divided by 1 */
#define PM_TIMER_HZ	   3579545ull
#define PIT_HZ		   1193182ull
#define FALLBACK_HZ	   1000000000ull

#define READINGS 5
/* A reference that has not moved on after this many cycles is not there: 4 ms at 5 GHz. */
#define DEAD_CYCLES 20000000u

struct reference {
	const char *name;
	uint64_t hz;
	uint32_t mask;		/* the counter's width */
	uint32_t window_us;	/* how long to measure: longer where it ticks slowly */
	uint32_t (*read)(void); /* counts up */
};

/* When the cycle counter stood at @cycles, the reference stood at @count. */
struct reading {
	uint64_t cycles;
	uint32_t count;
};

static uint16_t pm_timer_port;

static uint32_t read_apic(void)
{
	return UINT32_MAX - apic_timer_count();
}

static uint32_t read_pm_timer(void)
{
	return inl(pm_timer_port);
}

#define PIT_CHANNEL_2 0x42
#define PIT_COMMAND   0x43
#define PIT_GATE_PORT 0x61

static uint32_t read_pit(void)
{
	uint32_t low, high;

	outb(PIT_COMMAND, 0x80); /* latch channel 2 */
	low = inb(PIT_CHANNEL_2);
	high = inb(PIT_CHANNEL_2);
	return 0xffff - (high << 8 | low);
}

static void start_pit(void)
{
	outb(PIT_GATE_PORT, (inb(PIT_GATE_PORT) & ~2u) | 1); /* gate open, speaker off */
	outb(PIT_COMMAND, 0xb0);			     /* channel 2, two bytes, mode 0 */
	outb(PIT_CHANNEL_2, 0xff);
	outb(PIT_CHANNEL_2, 0xff);
}

static struct reading take_reading(const struct reference *reference)
{
	struct reading best = {0};
	uint64_t shortest = UINT64_MAX;

	for (unsigned int i = 0; i < READINGS; i++) {
		uint64_t before = cpu_cycles();
		uint32_t count = reference->read();
		uint64_t after = cpu_cycles();

		if (after - before < shortest) {
			shortest = after - before;
			best = (struct reading){before + shortest / 2, count};
		}
	}
	return best;
}

/* Cycles per second, or 0 if the reference does not count. */
static uint64_t measure(const struct reference *reference)
{
	uint64_t wanted = reference->hz * reference->window_us / 1000000;
	struct reading from = take_reading(reference), to;
	uint32_t counted;

	do {
		to = take_reading(reference);
		counted = (to.count - from.count) & reference->mask;
		if (counted == 0 && to.cycles - from.cycles > DEAD_CYCLES)
			return 0;
	} while (counted < wanted);
	return (to.cycles - from.cycles) * reference->hz / counted;
}

/* QEMU's own CPU emulation, and KVM whoever uses it: both define the local timer's clock as 1 GHz. */
static bool apic_rate_is_known(void)
{
	char signature[13] = "";
	uint32_t registers[4];

	cpuid(1, 0, registers);
	if (!(registers[ECX] & CPUID_1_ECX_HYPERVISOR))
		return false;
	cpuid(0x40000000, 0, registers);
	memcpy(signature, &registers[EBX], 12);
	return strcmp(signature, "TCGTCGTCGTCG") == 0 || strcmp(signature, "KVMKVMKVM") == 0;
}

static uint64_t rate_by_cpuid(void)
{
	uint32_t registers[4];

	if (cpuid_max(0) >= 0x15) {
		cpuid(0x15, 0, registers); /* EBX / EAX times the crystal of ECX Hz */
		if (registers[EAX] && registers[EBX] && registers[ECX])
			return (uint64_t)registers[ECX] * registers[EBX] / registers[EAX];
	}
	cpuid(1, 0, registers);
	if (registers[ECX] & CPUID_1_ECX_HYPERVISOR && cpuid_max(0x40000000) >= 0x40000010) {
		cpuid(0x40000010, 0, registers);
		return registers[EAX] * 1000ull; /* kHz */
	}
	return 0;
}

static uint64_t measure_cycles(const struct machine *machine, bool apic_known, const char **name)
{
	const struct reference references[] = {
		{"the local APIC timer", apic_known ? HYPERVISOR_APIC_HZ : 0, UINT32_MAX, 300, read_apic},
		{"the ACPI timer", machine->pm_timer_port ? PM_TIMER_HZ : 0, 0xffffff, 1000, read_pm_timer},
		{"the PIT", PIT_HZ, 0xffff, 2000, read_pit},
	};

	pm_timer_port = machine->pm_timer_port;
	for (size_t i = 0; i < ARRAY_SIZE(references); i++) {
		uint64_t hz;

		if (references[i].hz == 0)
			continue;
		if (references[i].read == read_pit)
			start_pit();
		hz = measure(&references[i]);
		*name = references[i].name;
		if (hz)
			return hz;
		pr_warn("%s does not count, it cannot calibrate the clock", *name);
	}
	*name = "a guess";
	pr_err("nothing to calibrate the cycle counter with: assuming 1 GHz, times will be wrong");
	return FALLBACK_HZ;
}

/* The local timer's rate, by the cycle counter's. */
static uint64_t measure_apic(uint64_t cycles_hz)
{
	const struct reference apic = {"", 0, UINT32_MAX, 0, read_apic};
	struct reading from = take_reading(&apic), to;

	do
		to = take_reading(&apic);
	while (to.cycles - from.cycles < cycles_hz / 2000);
	return (uint64_t)(to.count - from.count) * cycles_hz / (to.cycles - from.cycles);
}

struct clock_rates calibrate(const struct machine *machine)
{
	struct clock_rates rates = {.cycles_hz = rate_by_cpuid(), .reference = "CPUID"};
	bool apic_known = apic_rate_is_known();

	apic_timer_mode(APIC_TIMER_OFF);
	apic_timer_start(UINT32_MAX);
	if (!rates.cycles_hz)
		rates.cycles_hz = measure_cycles(machine, apic_known, &rates.reference);
	rates.apic_hz = apic_known ? HYPERVISOR_APIC_HZ : measure_apic(rates.cycles_hz);
	apic_timer_start(0);
	return rates;
}
