/*
 * What a user sees and does: /proc/virtio, the parameters, and the shell's command `virtio`.
 */
#include "drivers/virtio/virtio.h"

#include "kernel/shell.h"
#include "kernel/vfile.h"
#include "lib/errno.h"
#include "lib/string.h"

static int show(struct sink *out, void *context UNUSED)
{
	virtio_show(out);
	return 0;
}

static const struct vfile_ops proc_virtio = {.show = show};

/* Parameters count when a device is probed. */
static struct vfile_int poll = {.value = 0, .min = 0, .max = 1};
static struct vfile_int packed = {.value = 1, .min = 0, .max = 1};

#ifdef BALLONET_DEBUG
static struct vfile_int checked = {.value = 1, .min = 0, .max = 1};
#else
static struct vfile_int checked = {.value = 0, .min = 0, .max = 1};
#endif

bool virtio_wants_poll(void)
{
	return READ_ONCE(poll.value);
}

bool virtio_wants_packed(void)
{
	return READ_ONCE(packed.value);
}

bool virtio_wants_checked(void)
{
	return READ_ONCE(checked.value);
}

int virtio_init(void)
{
	int error = vfile_add("/proc/virtio", &proc_virtio, NULL);

	if (!error)
		error = vfile_add_int("/sys/module/virtio/parameters/poll", &poll);
	if (!error)
		error = vfile_add_int("/sys/module/virtio/parameters/packed", &packed);
	if (!error)
		error = vfile_add_int("/sys/module/virtio/parameters/checked", &checked);
	return error;
}

static int run_virtio(struct sink *out, int argc, char **argv)
{
	struct virtio_device *dev;

	if (argc == 1 || (argc == 2 && strcmp(argv[1], "list") == 0)) {
		virtio_show(out);
		return 0;
	}
	if (argc != 3 || strcmp(argv[1], "reset") != 0)
		return -EINVAL;
	dev = virtio_find_device(argv[2]);
	return dev ? virtio_reprobe(dev) : -ENODEV;
}

SHELL_COMMAND(virtio, "[list | reset <device>]", "lists virtio devices, or resets one and probes it again", run_virtio);
