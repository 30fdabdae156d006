# Ballonet. `make help` says what there is. Each folder lists its files in sources.mk:
#   both   += files that compile for the guest and for the hosted build, unchanged
#   guest  += files for the guest only
#   hosted += files for the hosted build only (tests/host/)
#   tests_both, tests_guest, tests_hosted: the same for unit tests

# As many jobs as there are CPUs, unless said otherwise.
ifeq ($(MAKELEVEL)$(filter -j%,$(MAKEFLAGS)),0)
MAKEFLAGS += -j$(shell nproc)
endif
MAKEFLAGS += --no-print-directory --no-builtin-rules

MODE ?= release
PYTHON := /usr/bin/python3
BUILD := build/$(MODE)
# GPU=off leaves the gpu controller out (cgroup/sources.mk): the same objects, but for a few, linked under another name.
GPU ?= on
VARIANT := $(if $(filter off,$(GPU)),-gpu-off)
$(if $(filter on off,$(GPU)),,$(error GPU is on or off, not "$(GPU)"))

both :=
guest :=
hosted :=
tests_both :=
tests_guest :=
tests_hosted :=
fuzzers :=
sanitizer_exempt :=
FOLDERS := lib arch/x86_64 kernel kernel/sanitizer mm mm/policy mm/tracker mm/vm cgroup drivers drivers/virtio workloads init tests/unit tests/host tests/fuzz
include $(wildcard $(FOLDERS:%=%/sources.mk))

GUEST_MODES := release debug ubsan kasan
HOSTED_MODES := host host-asan host-tsan

# ---- flags ----------------------------------------------------------------------------------------------------------
WARNINGS := -Wall -Wextra -Werror -Wstrict-prototypes -Wmissing-prototypes -Wold-style-definition -Wshadow \
	-Wundef -Wpointer-arith -Wvla -Wno-unused-parameter -Wno-missing-field-initializers -Wno-sign-compare -Wno-format-zero-length
COMMON := -std=gnu11 -g -pipe $(WARNINGS) -fno-strict-aliasing -fno-common -fno-delete-null-pointer-checks -I. -MMD -MP
GUEST_FLAGS := $(COMMON) -DBALLONET_MODE=\"$(MODE)\" -O2 -ffreestanding -nostdinc -isystem $(shell $(CC) -print-file-name=include 2>/dev/null) \
	-Iarch/x86_64/include -m64 -mcmodel=kernel -mno-red-zone -mgeneral-regs-only -fno-pic -fno-pie \
	-fno-omit-frame-pointer -fno-asynchronous-unwind-tables -fno-stack-protector -fcf-protection=none \
	-fno-optimize-sibling-calls
HOSTED_FLAGS := $(COMMON) -D_GNU_SOURCE -DBALLONET_HOSTED_BUILD -Itests/host/include -fno-omit-frame-pointer -pthread

mode_flags_release :=
mode_flags_debug := -DBALLONET_DEBUG
mode_flags_ubsan := -DBALLONET_DEBUG -DBALLONET_UBSAN -fsanitize=undefined -fno-sanitize=alignment -Wno-maybe-uninitialized
mode_flags_kasan := -DBALLONET_DEBUG -DBALLONET_KASAN -fsanitize=kernel-address --param asan-globals=1 -Wno-maybe-uninitialized
# What native speed is measured of must not depend on where a function happens to lie: a tenth was seen.
mode_flags_host := -O2 -falign-functions=32
mode_flags_host-asan := -O1 -DBALLONET_DEBUG -fsanitize=address,undefined -fno-sanitize=alignment -fno-sanitize-recover=undefined
mode_flags_host-tsan := -O1 -DBALLONET_DEBUG -DBALLONET_TSAN -fsanitize=thread -Wno-tsan

guest_cflags = $(GUEST_FLAGS) $(mode_flags_$(MODE))
hosted_cflags = $(HOSTED_FLAGS) $(mode_flags_$(MODE))

# ---- what to build --------------------------------------------------------------------------------------------------
.DEFAULT_GOAL := all
.DELETE_ON_ERROR:
.PHONY: all kernel hosted FORCE

# A file that joins or leaves the list is a reason to link again.
$(BUILD)/%.list: FORCE
	@mkdir -p $(@D)
	@echo '$($*)' | cmp -s - $@ || echo '$($*)' >$@

ifneq ($(filter $(MODE),$(GUEST_MODES)),)
all: kernel
guest_sources := $(sort $(both) $(guest) $(tests_both) $(tests_guest))
objects := $(patsubst %,$(BUILD)/%.o,$(guest_sources))
-include $(objects:.o=.d)
kernel: $(BUILD)/ballonet$(VARIANT).elf

# Files that implement the sanitizers or work on what they close are not instrumented (sanitizer_exempt in sources.mk).
$(sanitizer_exempt:%=$(BUILD)/%.o): $(wildcard $(FOLDERS:%=%/sources.mk))
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
objects$(VARIANT) := $(objects)
$(BUILD)/ballonet$(VARIANT).first.elf: $(objects) $(BUILD)/objects$(VARIANT).list $(BUILD)/symbols.none.S.o linker.ld
	@$(LINK) $(objects) $(BUILD)/symbols.none.S.o -o $@
$(BUILD)/symbols$(VARIANT).S: $(BUILD)/ballonet$(VARIANT).first.elf tools/symbols.py
	@nm -n $< | $(PYTHON) tools/symbols.py >$@
$(BUILD)/ballonet$(VARIANT).elf: $(BUILD)/ballonet$(VARIANT).first.elf $(BUILD)/symbols$(VARIANT).S.o
	@$(LINK) $(objects) $(BUILD)/symbols$(VARIANT).S.o -o $@
	@echo "  built $@"
$(BUILD)/symbols$(VARIANT).S.o $(BUILD)/symbols.none.S.o: %.o: %
	@$(CC) -c $< -o $@
include arch/x86_64/boot/images.mk
endif

ifneq ($(filter $(MODE),$(HOSTED_MODES)),)
all: hosted
hosted_sources := $(sort $(both) $(hosted) $(tests_both) $(tests_hosted))
hosted_objects := $(patsubst %,$(BUILD)/%.o,$(hosted_sources))
-include $(hosted_objects:.o=.d)
hosted: $(BUILD)/ballonet-tests$(VARIANT)
$(BUILD)/%.c.o: %.c Makefile
	@mkdir -p $(@D)
	@$(CC) $(hosted_cflags) -c $< -o $@
hosted_objects$(VARIANT) := $(hosted_objects)
$(BUILD)/ballonet-tests$(VARIANT): $(hosted_objects) $(BUILD)/hosted_objects$(VARIANT).list
	@$(CC) $(hosted_cflags) -Wl,--wrap=alloc_pages_node,--wrap=alloc_pages_bulk $(hosted_objects) -o $@
	@echo "  built $@"
# Benchmarks: bench/<name>.c with a main() of its own.
bench_objects := $(filter-out $(BUILD)/tests/host/main.c.o,$(hosted_objects))
$(BUILD)/bench-%: $(BUILD)/bench/%.c.o $(bench_objects)
	@$(CC) $(hosted_cflags) $^ -o $@
-include $(BUILD)/bench/page_alloc.c.d $(BUILD)/bench/compaction.c.d $(BUILD)/bench/cgroup.c.d $(BUILD)/bench/replay.c.d
endif

# ---- checks of the source: each file is checked again only when it, a header or the rules have changed -----------------
# What does wrong on purpose is not asked to be right.
deliberate := kernel/sanitizer/seeded.c arch/x86_64/crash.c
c_files := $(sort $(filter %.c,$(both) $(gpu_off) $(gpu_tests_off) $(guest) $(hosted) $(tests_both) $(tests_guest) $(tests_hosted)))
fuzz_files := $(wildcard tests/fuzz/*.c)
headers := $(shell find $(wildcard arch cgroup drivers init kernel lib mm tests workloads) -name '*.h')
# The flags of the world that a file belongs to, for gcc and for clang's tools.
hosted_only := $(filter-out $(both) $(guest) $(tests_both) $(tests_guest),$(hosted) $(tests_hosted)) tests/host/% tests/fuzz/%
world_flags = $(if $(filter $(hosted_only),$1),$(HOSTED_FLAGS),$(GUEST_FLAGS)) -DBALLONET_DEBUG
clang_flags = $(filter-out -MMD -MP -Werror,$(call world_flags,$1)) -Wno-unknown-warning-option

.PHONY: lint lint-format lint-headers lint-tidy lint-cppcheck check-layers
lint: ## Format, clang-tidy, cppcheck, every header alone, the layers, the tools
	@tools/deps build lint
	@$(MAKE) --keep-going lint-format check-layers lint-headers lint-cppcheck lint-tidy
	@echo "  lint: clean"
lint-format:
	@clang-format --dry-run -Werror $(c_files) $(fuzz_files) $(headers)
check-layers: ## Does every folder include only itself and lower ones?
	@$(PYTHON) -B tools/check_layers.py
lint-headers: $(patsubst %,build/lint/%.alone,$(filter-out %/efi_app/app.h,$(headers)))
build/lint/%.h.alone: %.h $(headers) Makefile
	@mkdir -p $(@D)
	@echo '#include "$<"' | $(CC) $(filter-out -MMD -MP,$(call world_flags,$<)) -x c -fsyntax-only -
	@touch $@
lint-tidy: $(patsubst %,build/lint/%.tidy,$(filter-out $(deliberate),$(c_files)))
build/lint/%.tidy: % $(headers) .clang-tidy Makefile
	@mkdir -p $(@D)
	@clang-tidy --quiet $< -- $(call clang_flags,$<) 2>$@.log || { cat $@.log; exit 1; }
	@touch $@
lint-cppcheck:
	@mkdir -p build/lint/cppcheck
	@cppcheck --quiet --enable=warning,performance,portability --inline-suppr --error-exitcode=1 --std=c11 -I. \
		-Iarch/x86_64/include -DBALLONET_DEBUG --suppressions-list=.cppcheck --cppcheck-build-dir=build/lint/cppcheck \
		-j $(shell nproc) $(filter-out $(deliberate),$(c_files))

# For editors. Both worlds' files; a file that is in both is shown as the guest's.
compile_commands.json: Makefile $(wildcard $(FOLDERS:%=%/sources.mk)) tools/compile_commands.py
	@mkdir -p build
	$(file >build/compile_commands.txt,$(foreach f,$(c_files) $(fuzz_files),$f $(call clang_flags,$f)$(newline)))
	@$(PYTHON) -B tools/compile_commands.py <build/compile_commands.txt >$@
define newline


endef

# ---- fuzzers: $(name)_sources and _flags are set in tests/fuzz/sources.mk ---------------------------------------------------------
FUZZ_SECONDS ?= 60
FUZZ_FLAGS := $(filter-out -MMD -MP,$(HOSTED_FLAGS)) -O1 -Wno-unknown-warning-option \
	-fsanitize=fuzzer,address,undefined -fno-sanitize=alignment -fno-sanitize-recover=undefined
.PHONY: fuzz fuzzers $(fuzzers:%=fuzz-%)
fuzz: ## Every fuzzer for FUZZ_SECONDS=60; finds go to build/fuzz/<name>/
	@tools/deps build fuzz
	@$(MAKE) $(fuzzers:%=fuzz-%)
	@echo "  fuzz: $(words $(fuzzers)) fuzzers, $(FUZZ_SECONDS) s each, nothing found"
fuzzers: $(fuzzers:%=build/fuzz/%/fuzzer)
$(fuzzers:%=fuzz-%): fuzz-%: build/fuzz/%/fuzzer
	@mkdir -p build/fuzz/$*/corpus
	@$< -max_total_time=$(FUZZ_SECONDS) -timeout=10 -verbosity=0 -print_final_stats=1 -artifact_prefix=build/fuzz/$*/ $($*_flags) \
		build/fuzz/$*/corpus $(wildcard tests/fuzz/corpus/$*) >build/fuzz/$*/log 2>&1 || \
		{ tail -n 40 build/fuzz/$*/log; echo "  $*: found something, see build/fuzz/$*/"; exit 1; }
	@awk '/number_of_executed_units/ {print "  $*: " $$2 " runs, nothing found"}' build/fuzz/$*/log
define fuzzer_rule
build/fuzz/$1/fuzzer: $$($1_sources) $$(headers) Makefile
	@mkdir -p $$(@D)
	@clang $$(FUZZ_FLAGS) $$(filter %.c,$$^) -o $$@
	@echo "  built $$@"
endef
$(foreach fuzzer,$(fuzzers),$(eval $(call fuzzer_rule,$(fuzzer))))

# ---- what people type -----------------------------------------------------------------------------------------------
.PHONY: run demo test bench bench-cgroup bench-compaction bench-mm bench-policies bench-replay qemu-sg soak-balloon soak-hinting soak-mm soak-threads soak-vm bench-hinting mutants modes deps clean help
TEST_MODES := $(GUEST_MODES) host-asan host-tsan
run: ## Boot to the shell (Ctrl-A x ends, Ctrl-A c: QEMU's monitor)
	@tools/deps build run
	@tools/ballonet run
demo: ## The host asks for memory back, the guest gives it: both sides, side by side
	@tools/deps build run
	@echo "Building..."
	@$(MAKE) MODE=release kernel
	@tools/ballonet demo
test: ## All tests (with CI set, qemu-sg first); ends with "N passed, N failed"
	@tools/deps build run test
	@$(if $(CI),echo "Building QEMU with sg=on..."; tools/qemu-sg/build try)
	@echo "Building $(words $(TEST_MODES)) modes..."
	@$(MAKE) modes
	@tools/ballonet suite
modes: $(TEST_MODES:%=mode-%) ## Build all modes that are tested
mode-%: FORCE
	@$(MAKE) MODE=$* all $(if $(filter release,$*),efi)
	@$(if $(filter release host-asan,$*),$(MAKE) MODE=$* GPU=off all)
bench-mm: ## What a page costs, hosted at native speed, beside one list behind one lock
	@$(MAKE) MODE=host build/host/bench-page_alloc
	@build/host/bench-page_alloc
bench-compaction: ## What a whole pageblock costs in moved pages, by either scan
	@$(MAKE) MODE=host build/host/bench-compaction
	@build/host/bench-compaction
bench-cgroup: ## What a charge costs, hosted at native speed, in atomic additions
	@$(MAKE) MODE=host build/host/bench-cgroup
	@build/host/bench-cgroup
bench: ## Boot, balloon, faults, page allocator on the real device, beside a Linux guest and the device's floor
	@tools/deps build run bench
	@tools/ballonet bench
qemu-sg: ## QEMU with a balloon that takes runs of pages (sg=on), from the distribution's source: about three minutes
	@tools/qemu-sg/build
soak-balloon: ## 1000 balloon targets at random on each machine, with resets and shortage: a quarter of an hour
	@tools/deps build run test
	@$(MAKE) MODE=release kernel
	@BALLOON_ROUNDS=1000 $(PYTHON) -B -m pytest -v -p no:cacheprovider tests/guest/test_balloon_stress.py
soak-hinting: ## Churn with named pages while the host drops what is free: ten minutes, or HINTING_SECONDS=120 each
	@tools/deps build run test
	@$(MAKE) MODE=release kernel
	@HINTING_SECONDS=$(or $(HINTING_SECONDS),120) $(PYTHON) -B -m pytest -v -p no:cacheprovider tests/guest/test_hinting_soak.py
bench-hinting: ## What hinting costs the free path, in instructions
	@$(MAKE) MODE=host build/host/bench-hinting
	@for tracker in none bitmap freelist; do valgrind --tool=callgrind --callgrind-out-file=/dev/null \
		--toggle-collect=pcp_give build/host/bench-hinting $$tracker 2>&1 | awk -v tracker=$$tracker \
		'/pages freed/ {pages = $$1} /Collected/ {printf "%-9s %.2f instructions a page\n", tracker, $$NF / pages}'; done
soak-mm: ## Ten minutes of all policies on 4 CPUs: files, blocks, reclaim, compaction, every page checked
	@tools/deps build run
	@$(MAKE) MODE=release kernel
	@tools/ballonet test soak.slow_ten_minutes_of_all_policies --smp 4 --numa 2 --memory 512M --name soak-mm \
		--timeout 900 --verbose
soak-threads: ## Hosted tests under the thread sanitizer, threads put to sleep at random: five minutes, or ONE_IN=30
	@tools/deps build
	@$(MAKE) MODE=host-tsan hosted
	@build/host-tsan/ballonet-tests --disturb $(or $(ONE_IN),300)
soak-vm: ## Address spaces: faults, forks, moves, merges, collapses at once on 4 CPUs; MINUTES=n, else ten
	@tools/deps build run
	@$(MAKE) MODE=release kernel
	@tools/ballonet test vm_stress.slow_minutes_of_it --smp 4 --numa 2 --memory 512M --name soak-vm \
		--append "minutes=$(or $(MINUTES),10) ivshmem.coherent=1M ivshmem.private=1M" \
		--timeout $$(($(or $(MINUTES),10) * 60 + 600)) --verbose \
		--extra -object memory-backend-ram,id=vram,size=4M,share=on -device ivshmem-plain,memdev=vram
bench-policies: ## The table of fragmentation policies: thpfioscale, 1 and 2 nodes, 5 seeds (about 20 minutes)
	@tools/deps build run
	@tools/ballonet policies
bench-replay: ## The same allocations in Linux's page allocator and in ours, side by side (about six minutes)
	@tools/deps build run bench
	@tools/ballonet replay
mutants: ## Break the code in each way of tests/mutants.txt, or in those with MUTANTS="some words": do the tests see it?
	@tools/deps build run test
	@$(PYTHON) -B tools/mutants.py $(if $(MUTANTS),"$(MUTANTS)")
deps: ## Install what is missing (Debian, Ubuntu); says what and why
	@tools/deps
clean: ## Remove build/
	rm -rf build compile_commands.json
help: ## This text
	@awk -F':.*## ' '/^[a-z-]+:.*## /{printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
	@echo "  MODE= $(GUEST_MODES) (guest), $(HOSTED_MODES) (hosted); default release"
