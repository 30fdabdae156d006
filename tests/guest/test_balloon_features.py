"""DEFLATE_ON_OOM and PAGE_POISON on QEMU's real device, seen from both sides."""
import os

import pytest
from ballonet_lib import balloon, paths

MIB = 1 << 20
PATTERN = 0x600DCAFE
SG = {"qemu": paths.QEMU_SG, "balloon": "sg=on"}
HAS_SG = os.access(paths.absolute(paths.QEMU_SG), os.X_OK)
METHODS = (
    pytest.param("pfn", {}, id="pfn"),
    pytest.param("report", {"balloon": "free-page-reporting=on"}, id="report"),
    pytest.param("sg", SG, id="sg", marks=pytest.mark.skipif(not HAS_SG, reason="run make qemu-sg")),
)


def numbers(guest):
    return balloon.numbers(guest.sh("cat /proc/balloon").output)


def features(guest):
    status = guest.qmp("x-query-virtio-status", path=balloon.DEVICE + "/virtio-backend")
    assert not status["broken"]
    return " ".join(status["guest-features"]["dev-features"])


def device(options, extra):
    return {**options, "balloon": ",".join(filter(None, (options.get("balloon"), extra)))}


@pytest.mark.parametrize("method,options", METHODS)
def test_deflate_on_oom(boot, method, options):
    guest = boot(memory="512M", smp=2, **device(options, "deflate-on-oom=on"))
    assert "DEFLATE_ON_OOM" in features(guest)
    balloon.ask(guest, 192 * MIB)
    assert numbers(guest)[f"held_{method}"] == 320 * MIB // balloon.PAGE
    resident = guest.rss()

    # More than is free: the balloon gives back what is missing, and the host sees it go.
    assert guest.sh("run touch size=320M reclaim=1").status == 0
    held = numbers(guest)
    assert held["oom"] * balloon.PAGE > 128 * MIB
    assert guest.rss() > resident + 128 * MIB
    # The target was never changed: what was borrowed is given up again.
    balloon.ask(guest, 192 * MIB, timeout=60)
    assert balloon.figures(guest).balloon == 320 * MIB


def test_without_deflate_on_oom_the_balloon_keeps_its_pages(boot):
    guest = boot(memory="512M", smp=2)
    assert "DEFLATE_ON_OOM" not in features(guest)
    balloon.ask(guest, 192 * MIB)
    assert guest.sh("run touch size=320M reclaim=1").status != 0
    assert guest.balloon_actual() == 192 * MIB
    assert numbers(guest)["oom"] == 0


@pytest.mark.parametrize("method,options", METHODS)
def test_deflated_pages_hold_the_poison(boot, method, options):
    """The host reads the guest's memory. Reporting is not used, for QEMU would drop nothing."""
    guest = boot(memory="256M", append=f"virtio_balloon.poison={PATTERN:#x}", **options)
    assert "PAGE_POISON" in features(guest)
    balloon.ask(guest, 128 * MIB)
    assert numbers(guest)["held_report"] == 0
    balloon.ask(guest, 256 * MIB)
    dump = os.path.join(guest.directory, "memory")
    guest.qmp("pmemsave", val=0, size=256 * MIB, filename=dump)
    page = PATTERN.to_bytes(4, "little") * 1024
    with open(paths.absolute(dump), "rb") as file:
        memory = file.read()
    os.unlink(paths.absolute(dump))
    poisoned = sum(memory[at:at + 4096] == page for at in range(0, len(memory), 4096))
    assert poisoned > 120 * MIB // 4096


@pytest.mark.parametrize("method,options", METHODS)
def test_balloon_pages_move_when_memory_is_compacted(boot, method, options):
    """Small blocks all over, then compaction: the balloon stays as large, its pages lie elsewhere, and so the host has
    the guest's new ones and not the old."""
    guest = boot(memory="256M", smp=2, **options)
    # Only the command below compacts: nothing moves between two readings.
    assert guest.sh("echo 0 > /proc/sys/vm/compaction_proactiveness").status == 0
    # What is left to the balloon beside the workload's single pages is in pieces.
    assert guest.sh("run scatter size=200M keep=50").status == 0
    balloon.ask(guest, 150 * MIB)
    before, resident = numbers(guest), guest.rss()
    assert guest.sh("run scatter size=0").status == 0
    assert guest.sh("echo 1 > /proc/sys/vm/compact_memory").status == 0
    after = numbers(guest)
    assert after["migrated"] > 1000
    assert after[f"held_{method}"] == before[f"held_{method}"]
    assert guest.balloon_actual() == 150 * MIB
    assert guest.rss() < resident + 32 * MIB
    assert balloon.numbers(guest.sh("cat /proc/vmstat").output)["balloon_migrate"] == after["migrated"]
    assert guest.sh("test balloon_real.every_page_is_accounted_for").status == 0
    balloon.ask(guest, 256 * MIB)
    assert balloon.figures(guest).balloon == 0
