"""Every boot path reaches the shell: 1, 2 and 4 CPUs, 128 MiB and 16 GiB, two nodes where QEMU has them.

A guest that reaches its shell must also have found what it was given: all CPUs, all memory, all nodes.
"""
import re

import pytest
from ballonet_lib import balloon

#        boot       machine              CPUs memory  nodes mode
MATRIX = (
    ("pvh",     "q35",                   1, "128M",  1, "release"),
    ("pvh",     "q35",                   2, "1G",    2, "release"),
    ("pvh",     "q35",                   4, "16G",   2, "release"),
    ("pvh",     "pc",                    1, "128M",  1, "release"),
    ("pvh",     "pc",                    2, "1G",    2, "release"),
    ("pvh",     "pc",                    4, "16G",   2, "release"),
    ("microvm", "microvm",               1, "128M",  1, "release"),
    ("microvm", "microvm",               2, "1G",    1, "release"),
    ("microvm", "microvm",               4, "16G",   1, "release"),
    ("microvm", "microvm,acpi=off",      1, "128M",  1, "release"),
    ("microvm", "microvm,acpi=off",      2, "1G",    1, "release"),
    ("microvm", "microvm,acpi=off",      4, "16G",   1, "release"),
    ("bios",    "q35",                   1, "128M",  1, "release"),
    ("bios",    "q35",                   2, "1G",    2, "release"),
    ("bios",    "pc",                    4, "16G",   2, "release"),
    ("uefi",    "q35",                   1, "128M",  1, "release"),
    ("uefi",    "q35",                   2, "1G",    2, "release"),
    ("uefi",    "q35",                   4, "16G",   2, "release"),
    ("efi",     "q35",                   1, "128M",  1, "release"),
    ("efi",     "q35",                   2, "1G",    2, "release"),
    ("efi",     "q35",                   4, "16G",   2, "release"),
    ("pvh",     "q35",                   4, "1G",    2, "debug"),
    ("pvh",     "q35",                   4, "1G",    2, "ubsan"),
    ("pvh",     "q35",                   4, "1G",    2, "kasan"),
    ("microvm", "microvm,acpi=off",      2, "16G",   1, "debug"),
    ("microvm", "microvm,acpi=off",      2, "16G",   1, "kasan"),
    ("bios",    "q35",                   2, "1G",    1, "debug"),
)
SOURCES = {"pvh": "pvh", "microvm": "pvh", "bios": "multiboot2", "uefi": "multiboot2", "efi": "efi"}
COLUMNS = "boot_path, machine, cpus, memory, nodes, mode"


@pytest.mark.parametrize(COLUMNS, MATRIX, ids=["-".join(map(str, row)) for row in MATRIX])
def test_reaches_the_shell(boot, boot_path, machine, cpus, memory, nodes, mode):
    guest = boot(boot=boot_path, machine=machine, smp=cpus, memory=memory, numa=nodes, mode=mode)
    log = guest.sh("dmesg").log
    assert f"boot: {SOURCES[boot_path]}," in log

    head = guest.sh("cat /proc/interrupts").lines[0].split()
    assert head == [f"CPU{cpu}" for cpu in range(cpus)]

    total = balloon.numbers(guest.sh("cat /proc/meminfo").output)["MemTotal"]
    # Firmware, the kernel and its page structures take a part, more under KASAN (an eighth for the shadow).
    kept = guest.machine.memory_bytes * (13 if mode == "kasan" else 15) // 16 - (48 << 20)
    assert kept <= total <= guest.machine.memory_bytes

    found = set(re.findall(r"^Node (\d+), zone", guest.sh("cat /proc/zoneinfo").output, re.MULTILINE))
    assert found == {str(node) for node in range(nodes)}

    guest.send("exit\n")
    assert guest.wait(20).kind.value == 0
