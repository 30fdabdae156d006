"""Live migration between two QEMUs, under churn: the guest itself says, at its new host, that its memory arrived."""
import contextlib
import os
import time

import pytest
from ballonet_lib import balloon, migration, paths

MIB = 1 << 20
TOUCHED = 640


def wait_for(guest, is_true):
    """Until that holds of what the guest says of its balloon."""
    deadline = time.monotonic() + 60
    while not is_true(balloon.numbers(guest.sh("cat /proc/balloon").output)):
        assert time.monotonic() < deadline, guest.sh("cat /proc/balloon").output
        time.sleep(0.05)


def wait_for_kept(guest):
    """What was told is the guest's again."""
    wait_for(guest, lambda figures: not figures["hint_kept_pages"])


def pages_full_of(guest, pattern, size):
    """The host reads the guest's memory."""
    dump = os.path.join(guest.directory, "memory")
    guest.qmp("pmemsave", val=0, size=size, filename=dump)
    with open(paths.absolute(dump), "rb") as file:
        memory = file.read()
    os.unlink(paths.absolute(dump))
    page = pattern.to_bytes(4, "little") * 1024
    return sum(memory[at:at + 4096] == page for at in range(0, size, 4096))


@pytest.mark.parametrize("hinting", [False, True], ids=["plain", "hinting"])
def test_memory_arrives(boot, request, hinting):
    options = {"balloon": "free-page-hint=on"} if hinting else {}
    source = boot(memory="1G", smp=2, **options)
    assert source.sh(f"run touch size={TOUCHED}M").status == 0
    source.send("run patterns seconds=12 size=16M\n")
    target, moved = migration.move(source, request.node.name + "-target", left=TOUCHED * MIB // 8 if hinting else None)
    with contextlib.closing(target):
        assert "patterns:" not in source.console, "it was over before it was moved"
        report = target.expect(r"patterns: .* (\d+) wrong\n(?:\[.*\n)*=> (-?\d+)\n", 120)
        assert (report[1], report[2]) == ("0", "0"), target.console
        if not hinting:
            assert moved.sent_bytes > TOUCHED * MIB
            return
        assert moved.skipped_pages * 4096 > TOUCHED * MIB * 3 // 4
        wait_for_kept(target)
        assert target.sh(f"run touch size={TOUCHED}M").status == 0


def test_host_that_asks_twice(boot, request):
    """A migration that is given up: blocks come back, and the next one is told of them again."""
    source = boot(memory="1G", smp=2, balloon="free-page-hint=on")
    assert source.sh(f"run touch size={TOUCHED}M").status == 0
    source.qmp("migrate-set-parameters", max_bandwidth=1 << 20)
    source.qmp("migrate", uri="exec:cat >/dev/null")
    wait_for(source, lambda figures: figures["hint_told_pages"])
    source.qmp("migrate_cancel")
    while source.qmp("query-migrate")["status"] != "cancelled":
        time.sleep(0.05)
    assert source.sh(f"run touch size={TOUCHED}M").status == 0
    target, moved = migration.move(source, request.node.name + "-target", left=TOUCHED * MIB // 8)
    with contextlib.closing(target):
        assert moved.skipped_pages * 4096 > TOUCHED * MIB * 3 // 4
        assert balloon.numbers(target.sh("cat /proc/balloon").output)["hint_commands"] >= 2


def test_poison_is_there_when_it_arrives(boot, request):
    """QEMU skips what it is told whatever the poison is; the other side has zeroes there, and the guest fills them."""
    pattern, touched = 0x600DCAFE, 320
    source = boot(memory="512M", smp=2, balloon="free-page-hint=on", append=f"virtio_balloon.poison={pattern:#x}")
    assert source.sh(f"run touch size={touched}M").status == 0
    target, moved = migration.move(source, request.node.name + "-target", left=touched * MIB // 8)
    with contextlib.closing(target):
        assert moved.skipped_pages * 4096 > touched * MIB * 3 // 4
        wait_for_kept(target)
        assert pages_full_of(target, pattern, 512 * MIB) * 4096 > touched * MIB * 3 // 4
