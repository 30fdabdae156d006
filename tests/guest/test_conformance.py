"""The device's side of the standard on the transports that QEMU has, and with chains that it must survive."""
import pytest


@pytest.mark.parametrize("options", [
    {"machine": "q35"}, {"machine": "pc", "balloon": "disable-modern=on,free-page-reporting=on"},
    {"boot": "microvm", "machine": "microvm,acpi=off"},
], ids=["q35", "legacy", "microvm"])
def test_device_keeps_to_the_clauses(start, options):
    options = {"memory": "512M", "smp": 2, "balloon": "free-page-reporting=on", **options}
    guest = start("test=device.* device_misbehave=1", **options)
    assert guest.wait(120).kind.value == 0, guest.console
    assert "ok 1 device" in guest.console
