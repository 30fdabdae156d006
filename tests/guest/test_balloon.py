"""The balloon on QEMU's real device, seen from both sides."""
import re

import pytest
from ballonet_lib import balloon

MIB = 1 << 20
RING_PACKED = 34
DEVICES = (
    {"machine": "q35"},
    {"machine": "pc"},
    {"boot": "microvm", "machine": "microvm,acpi=off"},
)
IDS = ["q35", "pc", "microvm"]


@pytest.fixture(params=DEVICES, ids=IDS)
def guest(request, boot):
    return boot(memory="1G", smp=2, **request.param)


def test_inflate_and_deflate(guest):
    before = balloon.figures(guest)
    assert (before.actual, before.balloon) == (1024 * MIB, 0)

    balloon.ask(guest, 512 * MIB)
    inflated = balloon.figures(guest)
    assert (inflated.actual, inflated.balloon) == (512 * MIB, 512 * MIB)
    assert abs(before.free - inflated.free - 512 * MIB) < 16 * MIB

    balloon.ask(guest, 1024 * MIB)
    after = balloon.figures(guest)
    assert (after.actual, after.balloon) == (1024 * MIB, 0)
    assert abs(after.free - before.free) < 16 * MIB


@pytest.mark.parametrize("machine", DEVICES, ids=IDS)
@pytest.mark.parametrize("packed", [False, True], ids=["split", "packed"])
@pytest.mark.parametrize("polled", [False, True], ids=["interrupts", "polled"])
def test_every_ring_and_way_to_be_told(boot, machine, packed, polled):
    """QEMU's balloon has no MSI-X: on PCI the interrupts are INTx."""
    guest = boot(memory="256M", smp=2, balloon=f"free-page-reporting=on,packed={'on' if packed else 'off'}",
                 append=f"virtio.poll={int(polled)}", **machine)
    for target in (128, 192, 64, 256):
        balloon.ask(guest, target * MIB, timeout=60)
        assert balloon.figures(guest).balloon == (256 - target) * MIB
    shown = guest.sh("cat /proc/virtio").output
    found = re.search(r"features 0x(\w+) of \S+ irqs (\d+)\+(\d+)( polled)?", shown)
    assert (int(found[1], 16) >> RING_PACKED & 1, bool(found[4])) == (packed, polled), shown
    assert polled == (int(found[3]) == 0), "a configuration interrupt for each target"
    assert ("intx" in shown) == (not polled and not guest.machine.is_microvm), shown


def test_resident_size_falls(guest):
    free = balloon.figures(guest).free
    assert guest.sh(f"run touch size={free * 15 // 16 // MIB}M").status == 0
    touched = guest.rss()
    assert touched > 900 * MIB

    balloon.ask(guest, 256 * MIB)
    assert touched - guest.rss() > 700 * MIB


def test_targets_that_change_under_way(guest):
    """Turned round again and again; what counts in the end is the last target, and no page is lost."""
    for target in (300, 900, 400, 1024, 256, 1000, 512, 1024):
        guest.qmp("balloon", value=target * MIB)
    balloon.ask(guest, 640 * MIB)
    figures = balloon.figures(guest)
    assert figures.balloon == (1024 - 640) * MIB
    balloon.ask(guest, 1024 * MIB)
    assert balloon.figures(guest).balloon == 0


def test_more_than_the_guest_can_give(guest):
    """It stops above its reserve, stays responsive, and gives back what it took."""
    before = balloon.figures(guest)
    guest.qmp("balloon", value=1 * MIB)
    last = None
    for _ in range(100):
        figures = balloon.figures(guest)  # the shell answers all the while
        if last and figures.balloon == last.balloon > 0:
            break
        last = figures
    assert figures.free > 4 * MIB
    assert figures.actual > 1 * MIB
    assert guest.sh("run touch size=1M").status == 0
    assert guest.sh("run churn threads=2 fill=1 operations=2000").status == 0  # work goes on
    balloon.ask(guest, 1024 * MIB)
    assert abs(balloon.figures(guest).free - before.free) < 16 * MIB


def test_stays_responsive_while_it_gives_more_than_it_has(guest):
    """The shell answers and the guest's own work goes on. How fast is measured by the bench (goal: 100 ms)."""
    times, before, after = balloon.answers_while_starved(guest, 60)
    print(f"longest answer of {len(times)}: {max(times) * 1000:.0f} ms")
    assert max(times) < 30
    assert after > before + 1000


def test_statistics_are_true(guest):
    stats = balloon.statistics(guest)
    meminfo = balloon.numbers(guest.sh("cat /proc/meminfo").output)
    assert abs(stats["stat-total-memory"] - meminfo["MemTotal"]) < MIB
    assert abs(stats["stat-free-memory"] - meminfo["MemFree"]) < 8 * MIB
    assert abs(stats["stat-available-memory"] - meminfo["MemAvailable"]) < 8 * MIB

    free = stats["stat-free-memory"]
    balloon.ask(guest, 512 * MIB)
    assert abs(free - balloon.statistics(guest)["stat-free-memory"] - 512 * MIB) < 16 * MIB


@pytest.mark.parametrize("machine", ["microvm", "microvm,ioapic2=off"])
def test_microvm_says_in_its_dsdt_what_it_has(boot, machine):
    guest = boot(boot="microvm", machine=machine, memory="256M", smp=2)
    balloon.ask(guest, 128 * MIB)
    assert balloon.figures(guest).balloon == 128 * MIB
    # It is told by an interrupt, on the line that the table names.
    line = re.search(r"mmio 0x\w+ irq (\d+) .* irqs (\d+)\+(\d+)", guest.sh("virtio list").output)
    assert int(line[1]) >= 5 and int(line[2]) + int(line[3]) > 0


def test_the_device_is_content(guest):
    """What the device itself says of the driver."""
    path = balloon.DEVICE if guest.machine.is_microvm else balloon.DEVICE + "/virtio-backend"
    status = guest.qmp("x-query-virtio-status", path=path)
    assert not status["broken"]
    assert any("DRIVER_OK" in text for text in status["status"]["statuses"])
