"""Live migration between two QEMUs, under churn: the guest itself says, at its new host, that its memory arrived."""
import contextlib
import time

import pytest
from ballonet_lib import balloon, migration

MIB = 1 << 20
TOUCHED = 640


@pytest.mark.parametrize("hinting", [False, True], ids=["plain", "hinting"])
def test_memory_arrives(boot, request, hinting):
    options = {"balloon": "free-page-hint=on"} if hinting else {}
    source = boot(memory="1G", smp=2, **options)
    assert source.sh(f"run touch size={TOUCHED}M").status == 0
    source.send("run patterns seconds=12 size=16M\n")
    target, moved = migration.move(source, request.node.name + "-target")
    with contextlib.closing(target):
        assert "patterns:" not in source.console, "it was over before it was moved"
        report = target.expect(r"patterns: .* (\d+) wrong\n(?:\[.*\n)*=> (-?\d+)\n", 120)
        assert (report[1], report[2]) == ("0", "0"), target.console
        if not hinting:
            assert moved.sent_bytes > TOUCHED * MIB
            return
        assert moved.skipped_pages * 4096 > TOUCHED * MIB * 3 // 4
        # What was told is the guest's again.
        deadline = time.monotonic() + 30
        while balloon.numbers(target.sh("cat /proc/balloon").output)["hint_kept_pages"]:
            assert time.monotonic() < deadline, target.sh("cat /proc/balloon").output
            time.sleep(0.2)
        assert target.sh(f"run touch size={TOUCHED}M").status == 0


def test_host_that_asks_twice(boot, request):
    """A migration that is given up: blocks come back, and the next one is told of them again."""
    source = boot(memory="1G", smp=2, balloon="free-page-hint=on")
    assert source.sh(f"run touch size={TOUCHED}M").status == 0
    source.qmp("migrate-set-parameters", max_bandwidth=1 << 20)
    source.qmp("migrate", uri="exec:cat >/dev/null")
    time.sleep(0.5)
    source.qmp("migrate_cancel")
    while source.qmp("query-migrate")["status"] != "cancelled":
        time.sleep(0.05)
    assert source.sh(f"run touch size={TOUCHED}M").status == 0
    target, moved = migration.move(source, request.node.name + "-target")
    with contextlib.closing(target):
        assert moved.skipped_pages * 4096 > TOUCHED * MIB * 3 // 4
        assert balloon.numbers(target.sh("cat /proc/balloon").output)["hint_commands"] >= 2
