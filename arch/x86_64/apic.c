/*
 * The local APIC, by memory or by x2APIC registers. [Intel SDM vol. 3, chapter 11]
 *
 * x2APIC is used when the firmware turned it on, or when a hypervisor offers it: there an access is one exit and not an
 * instruction to be emulated. On bare hardware we do not turn it on, since that wants interrupt remapping too.
 */
#include "arch/x86_64/apic.h"

#include "arch/x86_64/msr.h"
#include "arch/x86_64/platform.h"
#include "arch/x86_64/trap.h"
#include "kernel/panic.h"

#include <arch/cpu.h>
#include <arch/io.h>
#include <arch/page.h>

/* Register offsets. */
#define APIC_ID		   0x020u
#define APIC_TASK_PRIORITY 0x080u
#define APIC_EOI	   0x0b0u
#define APIC_SPURIOUS	   0x0f0u
#define APIC_ERROR_STATUS  0x280u
#define APIC_COMMAND_LOW   0x300u
#define APIC_COMMAND_HIGH  0x310u
#define APIC_LVT_TIMER	   0x320u
#define APIC_LVT_LINT0	   0x350u
#define APIC_LVT_ERROR	   0x370u
#define APIC_TIMER_INITIAL 0x380u
#define APIC_TIMER_CURRENT 0x390u
#define APIC_TIMER_DIVIDE  0x3e0u

#define SPURIOUS_ENABLE	 0x100u
#define LVT_MASKED	 0x10000u
#define LVT_TSC_DEADLINE 0x40000u
#define DIVIDE_BY_1	 0xbu

#define COMMAND_NMI	   0x00000400u
#define COMMAND_INIT	   0x00000500u
#define COMMAND_STARTUP	   0x00000600u
#define COMMAND_PENDING	   0x00001000u
#define COMMAND_ASSERT	   0x00004000u
#define COMMAND_ALL_OTHERS 0x000c0000u

static volatile char *registers;
static bool x2apic;

static uint32_t apic_read(uint32_t offset)
{
	if (x2apic)
		return (uint32_t)msr_read(MSR_X2APIC + offset / 16);
	return mmio_read32(registers + offset);
}

static void apic_write(uint32_t offset, uint32_t value)
{
	if (x2apic)
		msr_write(MSR_X2APIC + offset / 16, value);
	else
		mmio_write32(registers + offset, value);
}

static bool wants_x2apic(void)
{
	uint32_t features[4];

	if (msr_read(MSR_APIC_BASE) & APIC_BASE_X2APIC)
		return true;
	cpuid(1, 0, features);
	return features[ECX] & CPUID_1_ECX_X2APIC && features[ECX] & CPUID_1_ECX_HYPERVISOR;
}

static void enable_mode(void)
{
	uint64_t base = msr_read(MSR_APIC_BASE);
	uint64_t wanted = base | APIC_BASE_ENABLE | (x2apic ? APIC_BASE_X2APIC : 0);

	if (wanted != base)
		msr_write(MSR_APIC_BASE, wanted);
}

void apic_early_init(uint64_t registers_phys)
{
	x2apic = wants_x2apic();
	/* The boot stub mapped it; firmware's memory types keep it uncached. */
	registers = (volatile char *)boot_map_physical(registers_phys, PAGE_SIZE, NULL);
	ASSERT(registers, "the local APIC at %#lx is out of the boot stub's reach", registers_phys);
	enable_mode();
}

void apic_map(uint64_t registers_phys)
{
	registers = device_map(registers_phys, PAGE_SIZE, DEVICE_UNCACHED);
	if (!registers)
		panic("no memory to map the local APIC");
}

void apic_init_cpu(void)
{
	enable_mode();
	apic_write(APIC_TASK_PRIORITY, 0);
	apic_write(APIC_LVT_LINT0, LVT_MASKED); /* the PICs, which are not used */
	apic_write(APIC_LVT_ERROR, VECTOR_APIC_ERROR);
	apic_write(APIC_SPURIOUS, SPURIOUS_ENABLE | VECTOR_SPURIOUS);
}

uint32_t apic_id(void)
{
	uint32_t id = apic_read(APIC_ID);

	return x2apic ? id : id >> 24;
}

void apic_end_of_interrupt(void)
{
	apic_write(APIC_EOI, 0);
}

uint32_t apic_error_status(void)
{
	apic_write(APIC_ERROR_STATUS, 0);
	return apic_read(APIC_ERROR_STATUS);
}

/* By memory the command is two writes: nothing on this CPU may come between them. */
static void send_command(uint32_t destination, uint32_t command)
{
	unsigned long flags;

	/* What was written before is seen by whom the interrupt wakes: x2APIC writes are not ordered by themselves. */
	__asm__ volatile("mfence; lfence" ::: "memory");
	if (x2apic) {
		msr_write(MSR_X2APIC + APIC_COMMAND_LOW / 16, (uint64_t)destination << 32 | command);
		return;
	}
	flags = cpu_irq_save();
	while (apic_read(APIC_COMMAND_LOW) & COMMAND_PENDING)
		cpu_relax();
	apic_write(APIC_COMMAND_HIGH, destination << 24);
	apic_write(APIC_COMMAND_LOW, command);
	cpu_irq_restore(flags);
}

void apic_send(uint32_t apic_id, uint8_t vector)
{
	send_command(apic_id, COMMAND_ASSERT | vector);
}

void apic_send_nmi(uint32_t apic_id)
{
	send_command(apic_id, COMMAND_ASSERT | COMMAND_NMI);
}

static void send_to_one_or_all(uint32_t apic_id, uint32_t command)
{
	if (apic_id == APIC_ALL_OTHERS)
		send_command(0, command | COMMAND_ALL_OTHERS);
	else
		send_command(apic_id, command);
}

void apic_send_init(uint32_t apic_id)
{
	send_to_one_or_all(apic_id, COMMAND_ASSERT | COMMAND_INIT);
}

void apic_send_startup(uint32_t apic_id, uint64_t page_phys)
{
	send_to_one_or_all(apic_id, COMMAND_ASSERT | COMMAND_STARTUP | (uint32_t)(page_phys >> PAGE_SHIFT));
}

void apic_timer_start(uint32_t count)
{
	apic_write(APIC_TIMER_INITIAL, count);
}

uint32_t apic_timer_count(void)
{
	return apic_read(APIC_TIMER_CURRENT);
}

void apic_timer_mode(enum apic_timer_mode mode)
{
	static const uint32_t lvt[] = {
		[APIC_TIMER_OFF] = LVT_MASKED | VECTOR_TIMER,
		[APIC_TIMER_ONE_SHOT] = VECTOR_TIMER,
		[APIC_TIMER_TSC_DEADLINE] = LVT_TSC_DEADLINE | VECTOR_TIMER,
	};

	apic_write(APIC_TIMER_DIVIDE, DIVIDE_BY_1);
	apic_write(APIC_LVT_TIMER, lvt[mode]);
	/* By memory, the mode must have arrived before a deadline is written to the register. */
	__asm__ volatile("mfence" ::: "memory");
}
