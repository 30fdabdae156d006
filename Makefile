# Ballonet. `make help` says what there is. Each folder lists its files in sources.mk:
#   both   += files that compile for the guest and for the hosted build, unchanged
#   guest  += files for the guest only
#   hosted += files for the hosted build only (tests/host/)
#   tests_both, tests_guest, tests_hosted: the same for unit tests

MODE ?= release
PYTHON := /usr/bin/python3
BUILD := build/$(MODE)

both :=
guest :=
hosted :=
tests_both :=
tests_guest :=
tests_hosted :=
fuzzers :=
FOLDERS := lib arch/x86_64 kernel mm mm/policy mm/tracker mm/vm cgroup drivers drivers/virtio workloads init tests/unit tests/host tests/fuzz
include $(wildcard $(FOLDERS:%=%/sources.mk))

GUEST_MODES := release debug ubsan kasan
HOSTED_MODES := host host-asan host-tsan

# ---- flags ----------------------------------------------------------------------------------------------------------
WARNINGS := -Wall -Wextra -Werror -Wstrict-prototypes -Wmissing-prototypes -Wold-style-definition -Wshadow \
	-Wundef -Wpointer-arith -Wvla -Wno-unused-parameter -Wno-missing-field-initializers -Wno-sign-compare -Wno-format-zero-length
COMMON := -std=gnu11 -g -pipe $(WARNINGS) -fno-strict-aliasing -fno-common -fno-delete-null-pointer-checks -I. -MMD -MP
GUEST_FLAGS := $(COMMON) -O2 -ffreestanding -nostdinc -isystem $(shell $(CC) -print-file-name=include) \
	-Iarch/x86_64/include -m64 -mcmodel=kernel -mno-red-zone -mgeneral-regs-only -fno-pic -fno-pie \
	-fno-omit-frame-pointer -fno-asynchronous-unwind-tables -fno-stack-protector -fcf-protection=none \
	-fno-optimize-sibling-calls
HOSTED_FLAGS := $(COMMON) -D_GNU_SOURCE -DBALLONET_HOSTED_BUILD -Itests/host/include -fno-omit-frame-pointer -pthread

mode_flags_release :=
mode_flags_debug := -DBALLONET_DEBUG
mode_flags_ubsan := -DBALLONET_DEBUG -fsanitize=undefined -fno-sanitize=alignment
mode_flags_kasan := -DBALLONET_DEBUG -DBALLONET_KASAN -fsanitize=kernel-address
mode_flags_host := -O2
mode_flags_host-asan := -O1 -DBALLONET_DEBUG -fsanitize=address,undefined -fno-sanitize=alignment -fno-sanitize-recover=undefined
mode_flags_host-tsan := -O1 -DBALLONET_DEBUG -DBALLONET_TSAN -fsanitize=thread -Wno-tsan

guest_cflags = $(GUEST_FLAGS) $(mode_flags_$(MODE))
hosted_cflags = $(HOSTED_FLAGS) $(mode_flags_$(MODE))

# ---- what to build --------------------------------------------------------------------------------------------------
.DEFAULT_GOAL := all
.DELETE_ON_ERROR:
.SECONDARY:
.PHONY: all kernel hosted FORCE

ifneq ($(filter $(MODE),$(GUEST_MODES)),)
all: kernel
guest_sources := $(sort $(both) $(guest) $(tests_both) $(tests_guest))
objects := $(patsubst %,$(BUILD)/%.o,$(guest_sources))
-include $(objects:.o=.d)
kernel: $(BUILD)/ballonet.elf

# Files that run before the sanitizers' memory is there, or implement them (mode_exempt in sources.mk).
$(BUILD)/%.c.o: %.c Makefile
	@mkdir -p $(@D)
	@$(CC) $(filter-out $(if $(filter $<,$(sanitizer_exempt)),-fsanitize=%),$(guest_cflags)) -c $< -o $@
$(BUILD)/%.S.o: %.S Makefile
	@mkdir -p $(@D)
	@$(CC) $(guest_cflags) -D__ASSEMBLY__ -c $< -o $@

# Linked twice: the symbol table of the first link goes into the second, behind everything else, so nothing moves.
LINK = $(LD) -nostdlib -static -z max-page-size=4096 -z noexecstack --no-warn-rwx-segments -T linker.ld
$(BUILD)/symbols.none.S:
	@mkdir -p $(@D)
	@$(PYTHON) tools/symbols.py </dev/null >$@
$(BUILD)/ballonet.first.elf: $(objects) $(BUILD)/symbols.none.S.o linker.ld
	@$(LINK) $(objects) $(BUILD)/symbols.none.S.o -o $@
$(BUILD)/symbols.S: $(BUILD)/ballonet.first.elf tools/symbols.py
	@nm -n $< | $(PYTHON) tools/symbols.py >$@
$(BUILD)/ballonet.elf: $(BUILD)/ballonet.first.elf $(BUILD)/symbols.S.o
	@$(LINK) $(objects) $(BUILD)/symbols.S.o -o $@
	@echo "  built $@"
$(BUILD)/symbols.S.o $(BUILD)/symbols.none.S.o: %.o: %
	@$(CC) -c $< -o $@
include arch/x86_64/boot/images.mk
endif

ifneq ($(filter $(MODE),$(HOSTED_MODES)),)
all: hosted
hosted_sources := $(sort $(both) $(hosted) $(tests_both) $(tests_hosted))
hosted_objects := $(patsubst %,$(BUILD)/%.o,$(hosted_sources))
-include $(hosted_objects:.o=.d)
hosted: $(BUILD)/ballonet-tests
$(BUILD)/%.c.o: %.c Makefile
	@mkdir -p $(@D)
	@$(CC) $(hosted_cflags) -c $< -o $@
$(BUILD)/ballonet-tests: $(hosted_objects)
	@$(CC) $(hosted_cflags) $(hosted_objects) -o $@
	@echo "  built $@"
endif

# ---- what people type -----------------------------------------------------------------------------------------------
.PHONY: clean help run
clean: ## Remove build/
	rm -rf build
run: kernel ## Boot to the shell (Ctrl-A x ends)
	tools/ballonet run
help: ## This text
	@awk -F':.*## ' '/^[a-z-]+:.*## /{printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
	@echo "  MODE= $(GUEST_MODES) (guest), $(HOSTED_MODES) (hosted); default release"
