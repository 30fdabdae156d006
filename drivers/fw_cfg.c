/*
 * fw_cfg: items by number, and a directory that gives some of them names (QEMU's docs/specs/fw_cfg.rst).
 *
 * The directory is read when a name is first asked for, and kept: entries of 64 bytes, big-endian, with a
 * name that may lack its NUL. A device without a sound directory is one without files, after one line.
 */
#include "drivers/fw_cfg.h"

#include "drivers/fw_cfg_internal.h"
#include "kernel/memory.h"
#include "kernel/mutex.h"
#include "kernel/printk.h"
#include "kernel/vfile.h"
#include "lib/errno.h"
#include "lib/string.h"

#define NAME_BYTES 56u
#define MAX_FILES  1024u /* QEMU has a few dozen */
#define DIRECTORY  "/sys/firmware/qemu_fw_cfg/"

/* From here on the device's setting up a transfer is cheaper than a port access a byte. */
#define DMA_BYTES 32u

#define PIECE_BYTES 4096u

struct fw_cfg_file {
	uint32_t bytes;
	uint16_t key;
	char name[NAME_BYTES + 1];
};

static struct fw_cfg {
	fw_cfg_access port, dma; /* dma may be NULL */
	unsigned int nr_cpus;
	bool is_read; /* the directory, or the attempt */
	uint32_t nr_files;
	struct fw_cfg_file *files;
	struct mutex lock; /* for the directory and the device, which has one item selected at a time */
} fw_cfg = {.lock = MUTEX_INIT(fw_cfg.lock, "fw_cfg")};

static uint32_t big_endian(const uint8_t *bytes, unsigned int count)
{
	uint32_t value = 0;

	while (count--)
		value = value << 8 | *bytes++;
	return value;
}

static int read_item(uint16_t key, uint32_t offset, void *buffer, uint32_t bytes)
{
	if (fw_cfg.dma && bytes >= DMA_BYTES)
		return fw_cfg.dma(key, offset, buffer, bytes);
	return fw_cfg.port(key, offset, buffer, bytes);
}

int fw_cfg_open(fw_cfg_access port, fw_cfg_access dma)
{
	uint8_t signature[4], id[4], nr_cpus[2];

	if (port(FW_CFG_SIGNATURE, 0, signature, sizeof(signature)) || memcmp(signature, "QEMU", 4) != 0)
		return -ENODEV;
	/* Numbers, unlike the directory, are little-endian. */
	if (port(FW_CFG_ID, 0, id, sizeof(id)) || port(FW_CFG_NR_CPUS, 0, nr_cpus, sizeof(nr_cpus)))
		return -ENODEV;
	fw_cfg.port = port;
	fw_cfg.dma = id[0] & FW_CFG_HAS_DMA ? dma : NULL;
	fw_cfg.nr_cpus = nr_cpus[0] | (unsigned int)nr_cpus[1] << 8;
	return 0;
}

void fw_cfg_close(void)
{
	kfree(fw_cfg.files);
	fw_cfg.files = NULL;
	fw_cfg.nr_files = 0;
	fw_cfg.is_read = false;
	fw_cfg.port = NULL;
	fw_cfg.dma = NULL;
	fw_cfg.nr_cpus = 0;
}

unsigned int fw_cfg_nr_cpus(void)
{
	return fw_cfg.nr_cpus;
}

/* Turns the device's @raw entries into ours. */
static void keep_entries(const uint8_t *raw, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++, raw += 8 + NAME_BYTES) {
		struct fw_cfg_file *file = &fw_cfg.files[i];

		file->bytes = big_endian(raw, 4);
		file->key = (uint16_t)big_endian(raw + 4, 2);
		memcpy(file->name, raw + 8, NAME_BYTES);
		file->name[NAME_BYTES] = '\0';
	}
	fw_cfg.nr_files = count;
}

static int read_directory(void)
{
	uint8_t count_bytes[4], *raw;
	uint32_t count;
	int error = read_item(FW_CFG_DIRECTORY, 0, count_bytes, sizeof(count_bytes));

	if (error)
		return error;
	count = big_endian(count_bytes, 4);
	if (count > MAX_FILES) {
		pr_err("fw_cfg: a directory of %u files: not read, there are no files", count);
		return -EIO;
	}
	raw = kmalloc(count * (8 + NAME_BYTES) + 1);
	fw_cfg.files = kmalloc(count * sizeof(*fw_cfg.files) + 1);
	error = raw && fw_cfg.files ? 0 : -ENOMEM;
	if (!error)
		error = read_item(FW_CFG_DIRECTORY, 4, raw, count * (8 + NAME_BYTES));
	if (!error)
		keep_entries(raw, count);
	kfree(raw);
	return error;
}

/* The entry for @name, or NULL. The lock is held. */
static const struct fw_cfg_file *find(const char *name)
{
	int error;

	if (!fw_cfg.is_read) {
		fw_cfg.is_read = true;
		error = read_directory();
		if (error)
			pr_err("fw_cfg: reading the directory gave %s: there are no files", error_name(error));
	}
	for (uint32_t i = 0; i < fw_cfg.nr_files; i++)
		if (strcmp(fw_cfg.files[i].name, name) == 0)
			return &fw_cfg.files[i];
	return NULL;
}

long fw_cfg_size(const char *name)
{
	const struct fw_cfg_file *file;
	long size;

	if (!fw_cfg.port)
		return -ENODEV;
	mutex_lock(&fw_cfg.lock);
	file = find(name);
	size = file ? (long)file->bytes : -ENOENT;
	mutex_unlock(&fw_cfg.lock);
	return size;
}

long fw_cfg_read_at(const char *name, uint64_t offset, void *buffer, size_t size)
{
	const struct fw_cfg_file *file;
	long count = -ENOENT;

	if (!fw_cfg.port)
		return -ENODEV;
	mutex_lock(&fw_cfg.lock);
	file = find(name);
	if (file) {
		uint64_t left = offset < file->bytes ? file->bytes - offset : 0;
		uint32_t bytes = (uint32_t)MIN((uint64_t)size, left);
		int error = bytes ? read_item(file->key, (uint32_t)offset, buffer, bytes) : 0;

		count = error ? error : (long)bytes;
	}
	mutex_unlock(&fw_cfg.lock);
	return count;
}

long fw_cfg_read(const char *name, void *buffer, size_t size)
{
	return fw_cfg_read_at(name, 0, buffer, size);
}

/* ---- files ---- */

static int size_show(struct sink *out, void *context)
{
	sink_printf(out, "%u\n", ((const struct fw_cfg_file *)context)->bytes);
	return 0;
}

/* In pieces: a file may be large. */
static int raw_show(struct sink *out, void *context)
{
	const struct fw_cfg_file *file = context;
	char *piece = kmalloc(PIECE_BYTES);
	uint64_t offset = 0;
	long count;

	if (!piece)
		return -ENOMEM;
	while ((count = fw_cfg_read_at(file->name, offset, piece, PIECE_BYTES)) > 0) {
		sink_write(out, piece, (size_t)count);
		offset += (uint64_t)count;
	}
	kfree(piece);
	return (int)count;
}

static int add_file(struct fw_cfg_file *file)
{
	static const struct vfile_ops size_ops = {.show = size_show}, raw_ops = {.show = raw_show};
	char path[VFILE_PATH_MAX];
	int error;

	format(path, sizeof(path), DIRECTORY "by_name/%s/size", file->name);
	error = vfile_add(path, &size_ops, file);
	if (error)
		return error;
	format(path, sizeof(path), DIRECTORY "by_name/%s/raw", file->name);
	return vfile_add(path, &raw_ops, file);
}

int fw_cfg_files_init(void)
{
	if (fw_cfg_size("") == -ENODEV) /* reads the directory */
		return -ENODEV;
	for (uint32_t i = 0; i < fw_cfg.nr_files; i++) {
		int error = add_file(&fw_cfg.files[i]);

		/* A name given twice, or one that is no path, is the host's mistake. */
		if (error == -ENOMEM)
			return error;
		if (error)
			pr_err("fw_cfg: \"%s\" gave %s: not shown", fw_cfg.files[i].name, error_name(error));
	}
	return 0;
}
