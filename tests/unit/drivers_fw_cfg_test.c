/*
 * Files of a pretended device: names, sizes, partial reads, and directories that lie.
 */
#include "drivers/fw_cfg_internal.h"
#include "kernel/ktest.h"
#include "kernel/vfile.h"
#include "lib/string.h"

#define ENTRY_BYTES 64u

static uint8_t directory[4 + 4 * ENTRY_BYTES];
static char content[100];
static unsigned int port_reads, dma_reads;
static uint8_t id;
static bool is_broken;

/* Item 0x20 is content; what lies beyond the end of an item is 0. */
static int give(uint16_t key, uint32_t offset, void *buffer, uint32_t bytes)
{
	static const uint8_t two_cpus[2] = {2, 0};
	const void *item = NULL;
	uint32_t length = 0;

	switch (key) {
	case FW_CFG_SIGNATURE:
		item = "QEMU";
		length = 4;
		break;
	case FW_CFG_ID:
		item = &id;
		length = 1;
		break;
	case FW_CFG_NR_CPUS:
		item = two_cpus;
		length = 2;
		break;
	case FW_CFG_DIRECTORY:
		item = directory;
		length = sizeof(directory);
		break;
	case 0x20:
		item = content;
		length = sizeof(content);
		break;
	default:
		break;
	}
	memset(buffer, 0, bytes);
	if (offset < length)
		memcpy(buffer, (const char *)item + offset, MIN(bytes, length - offset));
	return is_broken ? -EIO : 0;
}

static int port(uint16_t key, uint32_t offset, void *buffer, uint32_t bytes)
{
	port_reads++;
	return give(key, offset, buffer, bytes);
}

static int dma(uint16_t key, uint32_t offset, void *buffer, uint32_t bytes)
{
	dma_reads++;
	return give(key, offset, buffer, bytes);
}

static void set_entry(unsigned int index, uint32_t bytes, uint16_t key, const char *name)
{
	uint8_t *at = directory + 4 + index * ENTRY_BYTES;

	for (unsigned int i = 0; i < 4; i++)
		at[i] = (uint8_t)(bytes >> (24 - 8 * i));
	at[4] = (uint8_t)(key >> 8);
	at[5] = (uint8_t)key;
	memset(at + 8, 0, 56);
	memcpy(at + 8, name, MIN(strlen(name), (size_t)56));
	directory[3] = (uint8_t)(index + 1);
}

static void close_device(void *argument UNUSED)
{
	fw_cfg_close();
}

static void begin(struct ktest *t)
{
	memset(directory, 0, sizeof(directory));
	for (size_t i = 0; i < sizeof(content); i++)
		content[i] = (char)('a' + i % 26);
	port_reads = dma_reads = 0;
	id = 3;
	is_broken = false;
	fw_cfg_close();
	ktest_defer(t, close_device, NULL);
}

KTEST(drivers_fw_cfg, a_device_is_known_by_its_signature)
{
	begin(t);
	is_broken = true;
	EXPECT_EQ(t, fw_cfg_open(port, dma), -ENODEV);
	EXPECT_EQ(t, fw_cfg_nr_cpus(), 0u);
	EXPECT_EQ(t, fw_cfg_size("any"), -ENODEV);
	EXPECT_EQ(t, fw_cfg_read("any", content, 1), -ENODEV);
	EXPECT_EQ(t, fw_cfg_files_init(), -ENODEV);
	is_broken = false;
	EXPECT_OK(t, fw_cfg_open(port, dma));
	EXPECT_EQ(t, fw_cfg_nr_cpus(), 2u);
}

KTEST(drivers_fw_cfg, files_are_read_by_name)
{
	char buffer[200];

	begin(t);
	set_entry(0, 7, 0x21, "etc/other");
	set_entry(1, sizeof(content), 0x20, FW_CFG_SCRIPT);
	REQUIRE_OK(t, fw_cfg_open(port, dma));
	EXPECT_EQ(t, fw_cfg_size(FW_CFG_SCRIPT), 100);
	EXPECT_EQ(t, fw_cfg_size("etc/other"), 7);
	EXPECT_EQ(t, fw_cfg_size("etc/othe"), -ENOENT);
	memset(buffer, '!', sizeof(buffer));
	EXPECT_EQ(t, fw_cfg_read(FW_CFG_SCRIPT, buffer, sizeof(buffer)), 100);
	EXPECT_EQ(t, memcmp(buffer, content, 100), 0);
	EXPECT_EQ(t, buffer[100], '!');
	memset(buffer, '!', sizeof(buffer));
	EXPECT_EQ(t, fw_cfg_read(FW_CFG_SCRIPT, buffer, 3), 3);
	EXPECT_EQ(t, memcmp(buffer, "abc!", 4), 0);
	EXPECT_EQ(t, fw_cfg_read("nothing", buffer, 3), -ENOENT);
	EXPECT(t, dma_reads > 0);
	is_broken = true;
	EXPECT_EQ(t, fw_cfg_read(FW_CFG_SCRIPT, buffer, 100), -EIO);
}

KTEST(drivers_fw_cfg, without_dma_all_goes_by_port)
{
	char buffer[100];

	begin(t);
	id = 1;
	set_entry(0, sizeof(content), 0x20, "file");
	REQUIRE_OK(t, fw_cfg_open(port, dma));
	EXPECT_EQ(t, fw_cfg_read("file", buffer, 100), 100);
	EXPECT_EQ(t, memcmp(buffer, content, 100), 0);
	EXPECT_EQ(t, dma_reads, 0u);
}

KTEST(drivers_fw_cfg, a_name_without_its_end)
{
	static const char name[] = "01234567890123456789012345678901234567890123456789012345";

	_Static_assert(sizeof(name) == 57, "as long as the field");
	begin(t);
	set_entry(0, 9, 0x20, name);
	set_entry(1, 5, 0x20, "next");
	REQUIRE_OK(t, fw_cfg_open(port, dma));
	EXPECT_EQ(t, fw_cfg_size(name), 9);
	EXPECT_EQ(t, fw_cfg_size("next"), 5);
}

KTEST(drivers_fw_cfg, absurd_directories_have_no_files)
{
	begin(t);
	set_entry(0, 5, 0x20, "file");
	directory[0] = 0x7f;
	REQUIRE_OK(t, fw_cfg_open(port, dma));
	EXPECT_EQ(t, fw_cfg_size("file"), -ENOENT);
	EXPECT_EQ(t, fw_cfg_size("file"), -ENOENT);
}

static void remove_files(void *argument UNUSED)
{
	vfile_remove("/sys/firmware/qemu_fw_cfg");
}

KTEST(drivers_fw_cfg, files_are_shown)
{
	static const char path[] = "/sys/firmware/qemu_fw_cfg/by_name/opt/x/";
	char buffer[256], full[100];
	struct text text;

	begin(t);
	ktest_defer(t, remove_files, NULL);
	set_entry(0, sizeof(content), 0x20, "opt/x");
	set_entry(1, 1, 0x20, "opt/x"); /* twice: one line, no harm */
	REQUIRE_OK(t, fw_cfg_open(port, dma));
	EXPECT_OK(t, fw_cfg_files_init());
	text_init(&text, buffer, sizeof(buffer));
	format(full, sizeof(full), "%ssize", path);
	EXPECT_OK(t, vfile_read(full, &text.sink));
	EXPECT_STR(t, buffer, "100\n");
	text_init(&text, buffer, sizeof(buffer));
	format(full, sizeof(full), "%sraw", path);
	EXPECT_OK(t, vfile_read(full, &text.sink));
	EXPECT_EQ(t, text.length, 100u);
	EXPECT_EQ(t, memcmp(buffer, content, 100), 0);
}
