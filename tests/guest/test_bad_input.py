"""What comes from outside and is wrong gives one clear line, and a sane start."""
from ballonet_lib import Kind


def log_of(guest):
    return guest.sh("dmesg").log


def test_unknown_key(boot):
    guest = boot(memory="128M", append="no_such_key=1 virtio_balloon.no_such=2")
    warnings = [line for line in log_of(guest).splitlines() if "no_such" in line and "boot:" not in line]
    assert len(warnings) == 2
    assert guest.sh("echo on").output == "on"


def test_known_keys_are_not_warned_about(boot):
    guest = boot(memory="128M")
    assert "nobody knows" not in log_of(guest)


def test_over_long_command_line(boot):
    """Cut, said, and what was before the cut is done."""
    guest = boot(boot="bios", memory="128M", append='run="echo harness: ready" ' + "x" * 5000)
    complaints = [line for line in log_of(guest).splitlines() if "command line" in line and "boot:" in line]
    assert len(complaints) == 1, log_of(guest)[:3000]


def test_boot_data_overwritten(start):
    """QEMU puts a command line of more than 4 KiB over the PVH start info: nothing in it can be believed any more."""
    ending = start("x" * 6000, memory="128M").wait(20)
    assert ending.kind is Kind.PANIC
    assert "no usable memory" in ending.detail


def test_no_rsdp(boot):
    guest = boot(boot="microvm", machine="microvm,acpi=off", smp=2, memory="128M")
    assert guest.sh("cat /proc/interrupts").lines[0].split() == ["CPU0", "CPU1"]


def test_no_balloon(boot):
    guest = boot(memory="128M", balloon="off")
    assert guest.sh("echo on").output == "on"


def test_number_that_is_none(boot):
    guest = boot(memory="128M", append="loglevel=loud")
    assert "loud" in log_of(guest)


def test_bad_lines_in_the_shell(boot):
    guest = boot(memory="128M")
    assert guest.sh("no-such-command").status == 127
    assert guest.sh("cat /no/such/file").status != 0
    assert guest.sh("echo a >").status != 0
    assert guest.sh("cat " + "y" * 900).status != 0
    assert "longer than" in guest.sh("echo " + "z" * 2000).output
    assert guest.sh("echo still here").output == "still here"


def test_memory_too_small_is_a_clean_end(start):
    """Not even the kernel fits: it says so in one line and leaves as a panic does."""
    guest = start('run="exit 0"', memory="3M", balloon="off")
    assert guest.wait(20).kind is Kind.PANIC
    assert "does not fit into this machine's memory" in guest.console
