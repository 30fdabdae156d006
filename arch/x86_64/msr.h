/*
 * Model-specific registers, CPUID, control registers.
 */
#pragma once

#include "lib/compiler.h"

#define MSR_APIC_BASE	 0x1bu
#define MSR_TSC_DEADLINE 0x6e0u
#define MSR_X2APIC	 0x800u /* + register offset / 16 */
#define MSR_GS_BASE	 0xc0000101u

#define APIC_BASE_X2APIC (1u << 10)
#define APIC_BASE_ENABLE (1u << 11)

/* CPUID leaf 1, ECX and EDX. */
#define CPUID_1_ECX_X2APIC	 (1u << 21)
#define CPUID_1_ECX_TSC_DEADLINE (1u << 24)
#define CPUID_1_ECX_HYPERVISOR	 (1u << 31)

enum cpuid_register { EAX, EBX, ECX, EDX };

static ALWAYS_INLINE uint64_t msr_read(uint32_t msr)
{
	uint32_t low, high;

	__asm__ volatile("rdmsr" : "=a"(low), "=d"(high) : "c"(msr));
	return (uint64_t)high << 32 | low;
}

static ALWAYS_INLINE void msr_write(uint32_t msr, uint64_t value)
{
	__asm__ volatile("wrmsr" ::"c"(msr), "a"((uint32_t)value), "d"((uint32_t)(value >> 32)) : "memory");
}

static ALWAYS_INLINE void cpuid(uint32_t leaf, uint32_t subleaf, uint32_t registers[4])
{
	__asm__ volatile("cpuid"
			 : "=a"(registers[EAX]), "=b"(registers[EBX]), "=c"(registers[ECX]), "=d"(registers[EDX])
			 : "a"(leaf), "c"(subleaf));
}

/* The largest leaf of the range that @base begins (0, 0x40000000); below @base: the range is not there. */
static inline uint32_t cpuid_max(uint32_t base)
{
	uint32_t registers[4];

	cpuid(base, 0, registers);
	return registers[EAX];
}

static ALWAYS_INLINE uint64_t read_cr2(void)
{
	uint64_t value;

	__asm__ volatile("movq %%cr2, %0" : "=r"(value));
	return value;
}

static ALWAYS_INLINE uint64_t read_cr3(void)
{
	uint64_t value;

	__asm__ volatile("movq %%cr3, %0" : "=r"(value));
	return value;
}

static ALWAYS_INLINE uint64_t read_cr0(void)
{
	uint64_t value;

	__asm__ volatile("movq %%cr0, %0" : "=r"(value));
	return value;
}

static ALWAYS_INLINE uint64_t read_cr4(void)
{
	uint64_t value;

	__asm__ volatile("movq %%cr4, %0" : "=r"(value));
	return value;
}
