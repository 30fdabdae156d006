/*
 * A script from the host: the firmware configuration file opt/ballonet/script, shell lines run before the shell.
 *
 *   qemu ... -fw_cfg name=opt/ballonet/script,file=steps.txt
 */
#include "init/script.h"

#include "drivers/fw_cfg.h"
#include "kernel/memory.h"
#include "kernel/printk.h"
#include "kernel/shell.h"
#include "lib/errno.h"

#define SCRIPT_BYTES_MAX MIB(1)

void script_run(void)
{
	long bytes = fw_cfg_size(FW_CFG_SCRIPT);
	char *script;

	if (bytes < 0)
		return;
	if ((uint64_t)bytes > SCRIPT_BYTES_MAX) {
		pr_err("script: %ld bytes are more than %llu: not run", bytes, (unsigned long long)SCRIPT_BYTES_MAX);
		return;
	}
	script = kmalloc((size_t)bytes + 1);
	if (!script || fw_cfg_read(FW_CFG_SCRIPT, script, (size_t)bytes) != bytes) {
		pr_err("script: %s: not run", script ? "it cannot be read" : "no memory for it");
	} else {
		script[bytes] = '\0';
		shell_run_text(console_sink(), script);
	}
	kfree(script);
}
