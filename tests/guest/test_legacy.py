"""A balloon with nothing but legacy I/O ports (disable-modern=on), by interrupts and by polling."""
import pytest
from ballonet_lib import balloon

LEGACY = "disable-modern=on,free-page-reporting=on"


@pytest.mark.parametrize("machine", ["pc", "q35"])
@pytest.mark.parametrize("method", ["pfn", "report"])
@pytest.mark.parametrize("poll", [0, 1])
def test_inflates_and_deflates(boot, machine, method, poll):
    guest = boot(machine=machine, memory="512M", balloon=LEGACY,
                 append=f"virtio_balloon.inflate={method} virtio.poll={poll}")
    shown = guest.sh("cat /proc/virtio").output
    assert "pci-legacy" in shown and "broken" not in shown
    assert ("polled" in shown) == bool(poll)
    size = guest.machine.memory_bytes
    for target in (size // 2, size * 3 // 4, size):
        balloon.ask(guest, target, timeout=60)
        assert balloon.figures(guest).balloon == size - target
    assert balloon.statistics(guest, timeout=20)["stat-total-memory"] > 0
    assert guest.sh("virtio reset virtio0").status == 0
    balloon.ask(guest, size // 2, timeout=60)
    if not poll:
        interrupts = guest.sh("cat /proc/virtio").output.split("irqs ")[1].split()[0]
        assert int(interrupts.split("+")[1]) >= 3, "a configuration interrupt for each target"
