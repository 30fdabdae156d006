"""F_SG on our own device (tools/qemu-sg), seen from both sides. Skipped where it is not built."""
import os

import pytest
from ballonet_lib import balloon, paths

MIB = 1 << 20
METHODS = {"auto": "sg", "sg": "sg", "pfn": "pfn"}

needs_qemu_sg = pytest.mark.skipif(not os.access(paths.absolute(paths.QEMU_SG), os.X_OK), reason="run make qemu-sg")
pytestmark = needs_qemu_sg

DEVICES = (
    {"machine": "q35"},
    {"machine": "q35", "balloon": "sg=on,packed=on"},
    {"machine": "pc", "append": "virtio.poll=1"},
    {"machine": "q35", "balloon": "sg=on,free-page-reporting=on", "append": "virtio_balloon.inflate=sg"},
    {"boot": "microvm", "machine": "microvm,acpi=off"},
)
IDS = ["q35", "packed", "pc-polled", "with-reporting", "microvm"]


def sg_guest(boot, /, **options):
    return boot(**{"memory": "1G", "smp": 2, "qemu": paths.QEMU_SG, "balloon": "sg=on", **options})


def features(guest):
    """Those that the device says were agreed on."""
    path = balloon.DEVICE if guest.machine.is_microvm else balloon.DEVICE + "/virtio-backend"
    status = guest.qmp("x-query-virtio-status", path=path)
    assert not status["broken"]
    return " ".join(status["guest-features"]["dev-features"])


@pytest.mark.parametrize("device", DEVICES, ids=IDS)
def test_runs_of_pages_go_to_the_host_and_come_back(boot, device):
    guest = sg_guest(boot, **device)
    assert "VIRTIO_BALLOON_F_SG" in features(guest)
    free = balloon.figures(guest).free
    assert guest.sh(f"run touch size={free * 15 // 16 // MIB}M").status == 0
    touched = guest.rss()

    balloon.ask(guest, 256 * MIB)
    inflated = balloon.figures(guest)
    assert (inflated.actual, inflated.balloon) == (256 * MIB, 768 * MIB)
    assert balloon.numbers(guest.sh("cat /proc/balloon").output)["held_sg"] == 768 * MIB // balloon.PAGE
    assert touched - inflated.rss > 700 * MIB

    balloon.ask(guest, 1024 * MIB)
    after = balloon.figures(guest)
    assert (after.actual, after.balloon) == (1024 * MIB, 0)
    assert guest.sh(f"run touch size={free * 15 // 16 // MIB}M").status == 0
    assert guest.rss() > touched - 32 * MIB
    assert features(guest)


@pytest.mark.parametrize("chosen", METHODS)
def test_the_method_decides_what_is_negotiated(boot, chosen):
    guest = sg_guest(boot, append=f"virtio_balloon.inflate={chosen}")
    assert ("VIRTIO_BALLOON_F_SG" in features(guest)) == (chosen != "pfn")
    balloon.ask(guest, 512 * MIB)
    held = balloon.numbers(guest.sh("cat /proc/balloon").output)
    assert held[f"held_{METHODS[chosen]}"] == 512 * MIB // balloon.PAGE
