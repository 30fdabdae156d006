/*
 * Files of address spaces: settings, and the matrix of who asks what, made anew whenever it is read.
 */
#include "mm/vm/files.h"

#include "kernel/mutex.h"
#include "kernel/vfile.h"
#include "mm/vm/daemons.h"
#include "mm/vm/device.h"
#include "mm/vm/huge.h"
#include "mm/vm/matrix.h"

static int show_matrix(struct sink *out, void *context UNUSED)
{
	static struct mutex one_at_a_time = MUTEX_INIT(one_at_a_time, "vm_matrix");
	int error;

	mutex_lock(&one_at_a_time);
	error = matrix_show(out);
	mutex_unlock(&one_at_a_time);
	return error;
}

static const struct vfile_ops matrix_ops = {.show = show_matrix};
static const struct vfile_ops device_ops = {.show = device_memory_show};

int vm_files_init(void)
{
	int error = huge_files_init();

	error = error ? error : vm_daemons_files_init();
	error = error ? error : vfile_add("/sys/kernel/debug/vm_matrix", &matrix_ops, NULL);
	return error ? error : vfile_add("/sys/kernel/debug/device_memory", &device_ops, NULL);
}
