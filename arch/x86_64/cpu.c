/*
 * A CPU's private tables: the per-CPU block, segments, and the stacks for interrupts that must not trust the current
 * one.
 *
 * The GDT is flat: one code and one data segment, and the task state segment, whose only use in long mode is the table
 * of interrupt stacks (IST). Three entries have a stack of their own: the double fault, because a stack overflow
 * ends there (the page fault on the guard page cannot be pushed onto the stack that overflowed); the NMI and the
 * machine check, because they may come anywhere. Page faults stay on the current stack.
 */
#include "arch/x86_64/platform.h"

#include "arch/x86_64/msr.h"
#include "arch/x86_64/percpu_internal.h"
#include "kernel/cpu.h"
#include "kernel/panic.h"

#define GDT_CODE 0x00af9b000000ffffull /* 64-bit code, ring 0, accessed */
#define GDT_DATA 0x00cf93000000ffffull
#define GDT_TSS	 0x0000890000000000ull /* present, available 64-bit TSS */

static struct cpu_block boot_block;
struct cpu_block *cpu_blocks[MAX_CPUS] = {&boot_block};
static unsigned int nr_cpus = 1;

unsigned int cpu_count(void)
{
	return READ_ONCE(nr_cpus);
}

void cpu_set_count(unsigned int count)
{
	WRITE_ONCE(nr_cpus, count);
}

unsigned int cpu_node(unsigned int cpu)
{
	return percpu_of(cpu)->node;
}

struct percpu *percpu_of(unsigned int cpu)
{
	DEBUG_ASSERT(cpu < MAX_CPUS && cpu_blocks[cpu]);
	return &cpu_blocks[cpu]->public;
}

static void set_tss_descriptor(uint64_t *descriptor, const struct task_state *tss)
{
	uint64_t base = (uint64_t)tss, limit = sizeof(*tss) - 1;

	descriptor[0] = GDT_TSS | limit | (base & 0xffffff) << 16 | (base >> 24 & 0xff) << 56;
	descriptor[1] = base >> 32;
}

void cpu_block_init(struct cpu_block *block, uint32_t cpu, uint32_t apic_id, uint32_t node)
{
	block->public.cpu = cpu;
	block->public.apic_id = apic_id;
	block->public.node = node;
	block->public.self = &block->public;
	block->timer_deadline_ns = UINT64_MAX;
	for (unsigned int ist = 1; ist < NR_IST; ist++)
		block->tss.ist[ist - 1] = (uint64_t)block->ist_stacks[ist - 1] + IST_STACK_BYTES;
	block->tss.io_map_base = sizeof(block->tss);
	block->gdt[SELECTOR_CODE / 8] = GDT_CODE;
	block->gdt[SELECTOR_DATA / 8] = GDT_DATA;
	set_tss_descriptor(&block->gdt[SELECTOR_TSS / 8], &block->tss);
}

static void load_gdt(const struct cpu_block *block)
{
	const struct {
		uint16_t limit;
		uint64_t base;
	} PACKED pointer = {sizeof(block->gdt) - 1, (uint64_t)block->gdt};

	__asm__ volatile("lgdt %0\n\t"
			 "pushq %1\n\t"
			 "leaq 1f(%%rip), %%rax\n\t"
			 "pushq %%rax\n\t"
			 "lretq\n"
			 "1:\tmovl %2, %%ds\n\t"
			 "movl %2, %%es\n\t"
			 "movl %2, %%ss\n\t"
			 "movl %3, %%fs\n\t"
			 "movl %3, %%gs\n\t"
			 "ltr %w4"
			 :
			 : "m"(pointer), "i"(SELECTOR_CODE), "r"(SELECTOR_DATA), "r"(0), "r"(SELECTOR_TSS)
			 : "rax", "memory");
}

void cpu_block_load(struct cpu_block *block)
{
	load_gdt(block);
	/* After the selector was loaded: that clears the base. */
	msr_write(MSR_GS_BASE, (uint64_t)block);
	trap_load();
}

void cpu_early_init(void)
{
	uint32_t signature[4];

	cpuid(1, 0, signature); /* EBX, top byte: the initial APIC id */
	cpu_block_init(&boot_block, 0, signature[EBX] >> 24, 0);
	trap_init();
	cpu_block_load(&boot_block);
}
