"""virtio-gpu on QEMU's real device: what the guest draws is what the host's screendump has."""
import collections
import os
import re

import pytest
from ballonet_lib import paths
from test_cgroup import ROOT, begin, charges

DEVICES = ("virtio-gpu-pci", "virtio-gpu-pci,packed=on", "virtio-gpu-pci,event_idx=off,indirect_desc=off")


def boot_with_gpu(boot, device="virtio-gpu-pci", **options):
    return boot(memory="256M", smp=2, balloon="off", extra=["-device", device, "-d", "guest_errors"], **options)


def complaints(guest):
    """What QEMU wrote, guest errors among it."""
    with open(os.path.join(paths.absolute(guest.directory), "qemu.log"), encoding="utf-8") as file:
        return file.read()


class Screen:
    """The screendump, a binary PPM: pixels as (red, green, blue)."""

    def __init__(self, guest, path):
        guest.qmp("screendump", filename=str(path))
        data = path.read_bytes()
        head = re.match(rb"P6\n(\d+) (\d+)\n255\n", data)
        self.width, self.height = int(head[1]), int(head[2])
        self.pixels = data[head.end():]
        assert len(self.pixels) == self.width * self.height * 3

    def at(self, x, y):
        offset = (y * self.width + x) * 3
        return tuple(self.pixels[offset:offset + 3])


def picture(guest):
    """What `display` says it has drawn: geometry, and cells by full colour."""
    reply = guest.sh("display")
    assert reply.status == 0, reply.output
    width, height, cell, columns = map(int, re.match(r"picture (\d+)x(\d+) cell (\d+) columns (\d+)", reply.output).groups())
    drawn = {}
    for line in reply.lines[1:]:
        _, count, colour = line.split()
        drawn[tuple(bytes.fromhex(colour[1:]))] = int(count)
    return width, height, cell, columns, drawn


def cells_on(screen, cell, columns, colours):
    """The centres of all cells that are drawn, by the colour that they are a shade of; and how many are at its full."""
    found, full = collections.Counter(), collections.Counter()
    for row in range(screen.height // cell):
        for column in range(columns):
            pixel = screen.at(column * cell + (cell - 1) // 2, row * cell + (cell - 1) // 2)
            for colour in colours:
                shade = {value for value, whole in zip(pixel, colour) if whole}
                dark = {value for value, whole in zip(pixel, colour) if not whole}
                if len(shade) == 1 and min(shade) >= 64 and dark <= {0} and (min(colour) == 0 or pixel == colour):
                    found[colour] += 1
                    full[colour] += pixel == colour
    return found, full


@pytest.mark.parametrize("device", DEVICES)
def test_the_screen_shows_the_pageblocks(boot, tmp_path, device):
    guest = boot_with_gpu(boot, device)
    width, height, cell, columns, drawn = picture(guest)
    screen = Screen(guest, tmp_path / "before.ppm")
    assert (screen.width, screen.height) == (width, height)
    found, _ = cells_on(screen, cell, columns, drawn)
    assert found == collections.Counter({colour: count for colour, count in drawn.items() if count})
    assert sum(drawn.values()) == 128  # 256 MiB in pageblocks of 2 MiB
    assert screen.at(cell - 1, cell - 1) == (0x10, 0x10, 0x18)  # the line between cells

    # Sixty pageblocks of the kernel's, each in use as a whole, and all cells are brighter than before.
    assert guest.sh("dmabuf alloc system 120M").status == 0
    *_, drawn = picture(guest)
    found, full = cells_on(Screen(guest, tmp_path / "after.ppm"), cell, columns, drawn)
    assert found == collections.Counter({colour: count for colour, count in drawn.items() if count})
    assert full[(255, 0, 0)] >= 59
    assert complaints(guest) == ""


def test_ten_thousand_resources(boot):
    """Made, attached, shown, destroyed: nothing is left on either side, and QEMU has nothing to complain about.

    The device has memory for the pictures that are alive and few more: it would notice one that is not destroyed."""
    guest = boot_with_gpu(boot, "virtio-gpu-pci,max_hostmem=4M")
    before = guest.sh("cat /proc/pageowners").output
    reply = guest.sh("run gpu count=10000", timeout=240)
    assert reply.status == 0, reply.output
    assert reply.output.startswith("gpu: 10000 resources") and reply.output.endswith(" 0 left")
    assert re.search(r"^dmabuf +0$", before, re.MULTILINE)
    assert re.search(r"^dmabuf +0$", guest.sh("cat /proc/pageowners").output, re.MULTILINE)
    assert charges(guest, "") == {"virtio-gpu": 0}
    assert complaints(guest) == ""


def test_resources_are_charged_and_a_screen_keeps_its_picture(boot):
    guest = boot_with_gpu(boot)
    guest.sh(f"mkdir {ROOT}/artist {ROOT}/viewer")
    begin(guest, "a", "artist")
    begin(guest, "b", "viewer")
    assert guest.sh('task a "dmabuf alloc virtio-gpu 1M"').output == "1"
    assert charges(guest, "artist") == {"virtio-gpu": 1 << 20}
    assert guest.sh('task b "dmabuf take 1"').status == guest.sh("task a end").status == 0
    assert charges(guest, "artist") == {"virtio-gpu": 1 << 20}
    assert guest.sh("task b end").status == 0
    assert charges(guest, "artist") == {"virtio-gpu": 0}

    begin(guest, "c", "artist")
    assert guest.sh('task c "display"').status == guest.sh("task c end").status == 0
    assert charges(guest, "artist")["virtio-gpu"] > 1 << 20  # the screen holds it
    assert guest.sh("display off").status == 0
    assert charges(guest, "artist")["virtio-gpu"] == 0
    guest.sh(f'echo "virtio-gpu 1M" > {ROOT}/gpu.memory.max')
    assert "-ENOMEM" in guest.sh("display").output
    assert complaints(guest) == ""


def test_a_device_that_is_reset_leaves_the_buffers_to_their_holders(boot):
    guest = boot_with_gpu(boot)
    assert guest.sh("display").status == 0
    assert guest.sh("dmabuf alloc virtio-gpu 256K").output == "2"
    device = guest.sh("virtio list").output.split()[0]
    assert guest.sh(f"virtio reset {device}").status == 0
    assert charges(guest, "") == {"virtio-gpu": 256 << 10}  # what was shown is gone, what is held is not
    assert guest.sh("display").status == 0
    assert guest.sh("dmabuf free 2").status == guest.sh("display off").status == 0
    assert charges(guest, "") == {"virtio-gpu": 0}
    assert complaints(guest) == ""


def test_without_a_device(boot):
    guest = boot(memory="128M")
    assert "-ENODEV" in guest.sh("display").output
    assert "-ENODEV" in guest.sh("dmabuf alloc virtio-gpu 4K").output
    assert charges(guest, "") == {"virtio-gpu": 0}
