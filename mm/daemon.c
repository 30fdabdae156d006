/*
 * A gate: who works has passed it, who holds it keeps others out and waits until those inside have left.
 */
#include "mm/daemon.h"

#include "kernel/thread.h"
#include "kernel/wait.h"

static struct {
	struct spinlock lock;
	uint32_t working, holders;
	struct wait_queue wait;
} gate = {.lock = SPINLOCK_INIT("daemons"), .wait = WAIT_QUEUE_INIT(gate.wait)};

static bool try_begin(void)
{
	bool open;

	spin_lock(&gate.lock);
	open = !gate.holders;
	gate.working += open;
	spin_unlock(&gate.lock);
	return open;
}

bool daemon_work_begin(void)
{
	bool begun;

	wait_event(&gate.wait, (begun = try_begin()) || thread_should_stop());
	return begun;
}

void daemon_work_end(void)
{
	spin_lock(&gate.lock);
	gate.working--;
	spin_unlock(&gate.lock);
	wake_up_all(&gate.wait);
}

static bool nobody_works(void)
{
	bool quiet;

	spin_lock(&gate.lock);
	quiet = !gate.working;
	spin_unlock(&gate.lock);
	return quiet;
}

void daemons_hold(void)
{
	spin_lock(&gate.lock);
	gate.holders++;
	spin_unlock(&gate.lock);
	wait_event(&gate.wait, nobody_works());
}

void daemons_release(void)
{
	spin_lock(&gate.lock);
	gate.holders--;
	spin_unlock(&gate.lock);
	wake_up_all(&gate.wait);
}
