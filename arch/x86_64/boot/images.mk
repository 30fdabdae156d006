# The kernel's other forms: an ISO with GRUB, and an EFI application on a directory that QEMU shows as a FAT disk.
# CMDLINE= is the kernel command line of the ISO; the EFI application reads EFI/BOOT/cmdline.txt beside it.
CMDLINE ?=
export CMDLINE

.PHONY: iso efi
iso: $(BUILD)/ballonet.iso ## build/<mode>/ballonet.iso for BIOS and UEFI (CMDLINE="...")
efi: $(BUILD)/esp/EFI/BOOT/BOOTX64.EFI ## The EFI application, in build/<mode>/esp

$(BUILD)/ballonet.iso: $(BUILD)/ballonet.elf tools/make-iso FORCE
	@tools/make-iso $< $@ "$$CMDLINE"
	@echo "  built $@"

EFI_APP := arch/x86_64/boot/efi_app
efi_objects := $(patsubst %,$(BUILD)/%.o,$(addprefix $(EFI_APP)/,main.c kernel_load.c gather.c kernel_file.S))
efi_cflags := -std=gnu11 -O2 -g $(WARNINGS) -I. -isystem /usr/include/efi -isystem /usr/include/efi/x86_64 \
	-DGNU_EFI_USE_MS_ABI -fpic -ffreestanding -fno-stack-protector -fno-stack-check -fshort-wchar -mno-red-zone \
	-maccumulate-outgoing-args -fcf-protection=none -MMD -MP
-include $(efi_objects:.o=.d)

$(BUILD)/$(EFI_APP)/%.c.o: $(EFI_APP)/%.c Makefile arch/x86_64/boot/images.mk
	@mkdir -p $(@D)
	@$(CC) $(efi_cflags) -c $< -o $@
$(BUILD)/ballonet.stripped.elf: $(BUILD)/ballonet.elf
	@strip -g $< -o $@
$(BUILD)/$(EFI_APP)/kernel_file.S.o: $(EFI_APP)/kernel_file.S $(BUILD)/ballonet.stripped.elf
	@mkdir -p $(@D)
	@$(CC) -DKERNEL_FILE='"$(BUILD)/ballonet.stripped.elf"' -c $< -o $@
$(BUILD)/ballonet.efi.so: $(efi_objects)
	@$(LD) -nostdlib -znocombreloc -znoexecstack -shared -Bsymbolic --no-warn-rwx-segments -T /usr/lib/elf_x86_64_efi.lds \
		/usr/lib/crt0-efi-x86_64.o $^ -o $@ -L/usr/lib -lefi -lgnuefi
$(BUILD)/esp/EFI/BOOT/BOOTX64.EFI: $(BUILD)/ballonet.efi.so
	@mkdir -p $(@D)
	@objcopy -j .text -j .sdata -j .data -j .dynamic -j .dynsym -j .rel -j .rela -j '.rel.*' -j '.rela.*' -j .reloc \
		--target=efi-app-x86_64 --subsystem=10 $< $@
	@echo "  built $@"
