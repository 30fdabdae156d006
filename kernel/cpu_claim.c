/*
 * The rare side of cpu_claim.h.
 */
#include "kernel/cpu_claim.h"

void cpu_claim_init(struct cpu_claim *claim, const char *name)
{
	*claim = (struct cpu_claim){.busy = 0};
	spin_lock_init(&claim->lock, name);
}

void cpu_claim_wait(struct cpu_claim *claim)
{
	do {
		store_release(&claim->busy, 0);
		spin_lock(&claim->lock);
		spin_unlock(&claim->lock);
		store_relaxed(&claim->busy, 1);
		smp_mb();
	} while (load_acquire(&claim->claimed));
}

void cpu_claim_begin(struct cpu_claim *claim, unsigned int cpu)
{
	spin_lock(&claim->lock);
	store_relaxed(&claim->claimed, 1);
	smp_mb();
	cpu_barrier(cpu);
	while (load_acquire(&claim->busy))
		cpu_relax();
}

void cpu_claim_end(struct cpu_claim *claim)
{
	store_release(&claim->claimed, 0);
	spin_unlock(&claim->lock);
}
