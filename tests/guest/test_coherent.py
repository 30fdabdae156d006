"""Device memory in ivshmem's BAR, in address spaces: the host's file is the witness of every byte."""
import re

import pytest

PAGE = 4096
SIZE = 16 << 20
KIB64 = "64K"


class Space:
    """A guest with coherent0 and private0 in its BAR, an address space, and the file behind the BAR."""

    def __init__(self, guest, path):
        self.guest, self.path = guest, path
        self.bar = int(re.search(r"coherent0: coherent, frames 0x([0-9a-f]+)", self.devices())[1], 16)
        self.number = self.mm("new")

    def mm(self, line):
        reply = self.guest.sh(f"mm {line}")
        assert reply.status == 0, f"mm {line}: {reply.output}"
        return reply.output

    def devices(self):
        return self.guest.sh("cat /sys/kernel/debug/device_memory").output

    def used(self, name):
        return int(re.search(rf"^{name}: .* (\d+) used$", self.devices(), re.M)[1])

    def page(self, address):
        """(frame, "RAM" or a device's name) of the page behind @address."""
        frame, where = re.search(r"frame 0x([0-9a-f]+) of (\w+)", self.mm(f"walk {address:#x}")).groups()
        return int(frame, 16), where

    def host(self, frame, count, offset=0):
        with open(self.path, "rb") as file:
            file.seek((frame - self.bar) * PAGE + offset)
            return file.read(count)

    def host_writes(self, frame, data, offset=0):
        with open(self.path, "r+b", buffering=0) as file:
            file.seek((frame - self.bar) * PAGE + offset)
            file.write(data)

    def text(self, address, count):
        """What the guest's CPU reads there."""
        lines = self.mm(f"read {address:#x} {count}").splitlines()
        return bytes(int(byte, 16) for line in lines for byte in re.search(r": ((?:[0-9a-f]{2} ?)+)", line)[1].split())


@pytest.fixture
def start_space(boot, tmp_path):
    def make(**options):
        path = tmp_path / "vram"
        guest = boot(memory="256M", smp=2, append="ivshmem.coherent=8M ivshmem.private=2M",
                     extra=["-object", f"memory-backend-file,id=vram,size={SIZE},mem-path={path},share=on",
                            "-device", "ivshmem-plain,memdev=vram"], **options)
        return Space(guest, path)
    return make


@pytest.fixture
def space(start_space):
    return start_space()


def repeated(text, count):
    return (text * (count // len(text) + 1))[:count].encode()


def test_coherent_pages_are_the_hosts_bytes(space):
    """Mapped, written by either side, forked, copied on write."""
    at = int(space.mm(f"map device coherent0 {KIB64}"), 16)
    space.mm(f"write {at:#x} {KIB64} first-")
    assert space.used("coherent0") == 16
    # A page's beginning is a place within the repeated text.
    whole = repeated("first-", 16 * PAGE)
    for i in range(16):
        frame, where = space.page(at + i * PAGE)
        assert where == "coherent0"
        assert space.host(frame, PAGE) == whole[i * PAGE:(i + 1) * PAGE]
    frame = space.page(at)[0]
    space.host_writes(frame, b"the host was here", offset=100)
    assert space.text(at + 100, 17) == b"the host was here"

    child = space.mm("fork")
    assert "2 references, 2 entries" in space.mm(f"walk {at:#x}")
    space.mm(f"write {at:#x} 6 parent")  # breaks the copy: the parent has a new page, the child keeps the old one
    copy, where = space.page(at)
    assert (where, copy == frame) == ("coherent0", False)
    assert space.host(copy, 6) == b"parent" and space.host(frame, 6) == b"first-"
    assert space.host(copy, 17, 100) == b"the host was here"  # copied with it
    space.mm("check")
    space.mm(f"use {child}")
    assert space.page(at) == (frame, "coherent0")
    assert space.text(at, 6) == b"first-"
    other = space.page(at + PAGE)[0]  # still shared: the child breaks the copy
    space.mm(f"write {at + PAGE:#x} 3 kid")
    mine = space.page(at + PAGE)[0]
    assert mine != other and space.host(mine, 3) == b"kid" and space.host(other, PAGE) == whole[PAGE:2 * PAGE]
    space.mm(f"write {at:#x} 6 child!")  # its own by now: in place
    assert space.page(at)[0] == frame and space.host(frame, 6) == b"child!"
    space.mm("check")
    space.mm(f"end {child}")
    space.mm(f"end {space.number}")
    assert space.used("coherent0") == 0


def test_page_structures_reach_as_far_as_firmware_puts_the_bar(start_space):
    """OVMF: at 896 GiB, where no RAM is near."""
    space = start_space(boot="efi")
    assert space.bar << 12 >= 512 << 30
    at = int(space.mm(f"map device coherent0 {KIB64}"), 16)
    space.mm(f"write {at:#x} {KIB64} far-away")
    assert space.host(space.page(at)[0], 8) == b"far-away"
    assert space.mm(f"migrate {at:#x} {KIB64} ram").startswith("16 of 16")
    assert space.mm(f"migrate {at:#x} {KIB64} private0").startswith("16 of 16")
    assert space.text(at, 8) == b"far-away"
    space.mm("check")


def test_a_pin_for_long_moves_a_coherent_page_to_ram(space):
    at = int(space.mm("map device coherent0 8K"), 16)
    space.mm(f"write {at:#x} 8K pinned-")
    frame = space.page(at)[0]
    assert int(space.mm(f"pin {at:#x}"), 16) == frame  # a short one leaves it where it is
    space.mm("unpin")
    pinned = int(space.mm(f"pin {at:#x} long write"), 16)
    assert pinned != frame and space.page(at) == (pinned, "RAM")
    assert space.used("coherent0") == 1
    assert space.text(at, PAGE) == repeated("pinned-", PAGE)
    # The host's bytes are nobody's any more; the guest does not see what is written there.
    space.mm(f"write {at:#x} 4 RAM!")
    assert space.host(frame, 4) == b"pinn"
    space.host_writes(frame, b"late")
    assert space.text(at, 4) == b"RAM!"
    assert space.mm(f"migrate {at:#x} 4K coherent0").startswith("0 of 1")  # pinned: it stays
    space.mm("unpin")
    assert space.mm(f"migrate {at:#x} 4K coherent0").startswith("1 of 1")
    back, where = space.page(at)
    assert where == "coherent0" and space.host(back, 4) == b"RAM!"
    space.mm("check")


def test_pages_move_to_the_device_and_back(space):
    at = int(space.mm(f"map anon {KIB64}"), 16)
    space.mm(f"write {at:#x} {KIB64} moving.")
    assert space.page(at)[1] == "RAM"
    assert space.mm(f"migrate {at:#x} {KIB64} coherent0").startswith("16 of 16")
    whole = repeated("moving.", 16 * PAGE)
    frames = [space.page(at + i * PAGE)[0] for i in range(16)]
    assert b"".join(space.host(frame, PAGE) for frame in frames) == whole
    space.host_writes(frames[3], b"by the device")
    space.mm(f"write {at + 5 * PAGE:#x} 3 cpu")
    assert space.host(frames[5], 3) == b"cpu"
    assert space.mm(f"migrate {at:#x} {KIB64} ram").startswith("16 of 16")
    assert space.used("coherent0") == 0 and space.page(at + 3 * PAGE)[1] == "RAM"
    expected = bytearray(whole)
    expected[3 * PAGE:3 * PAGE + 13] = b"by the device"
    expected[5 * PAGE:5 * PAGE + 3] = b"cpu"
    for i in range(16):
        assert space.text(at + i * PAGE, PAGE) == bytes(expected[i * PAGE:(i + 1) * PAGE])
    # NUMA, KSM and huge pages leave device memory alone.
    space.mm(f"migrate {at:#x} {KIB64} coherent0")
    assert space.mm(f"migrate {at:#x} {KIB64} 0").startswith("0 of 16")
    space.mm(f"madvise {at:#x} {KIB64} pageout")
    assert space.used("coherent0") == 16
    space.mm("check")


def test_private_memory_comes_back_when_it_is_touched(space):
    at = int(space.mm(f"map anon {KIB64}"), 16)
    space.mm(f"write {at:#x} {KIB64} secret")
    assert space.mm(f"migrate {at:#x} {KIB64} private0").startswith("16 of 16")
    whole = repeated("secret", 16 * PAGE)
    assert "cannot reach" in space.mm(f"walk {at:#x}")
    frames = [space.page(at + i * PAGE)[0] for i in range(16)]
    assert b"".join(space.host(frame, PAGE) for frame in frames) == whole
    space.host_writes(frames[7], b"made by the device")
    child = space.mm("fork")
    assert space.text(at + 7 * PAGE, 18) == b"made by the device"  # the fault fetched it,
    assert space.page(at + 7 * PAGE)[1] == "RAM"
    assert space.used("private0") == 15                            # and nothing else
    space.mm(f"use {child}")
    assert space.text(at + 7 * PAGE, 18) == b"made by the device"
    for i in set(range(16)) - {7}:
        assert space.text(at + i * PAGE, PAGE) == whole[i * PAGE:(i + 1) * PAGE]
    assert space.used("private0") == 0
    space.mm("check")


def test_pages_go_from_device_to_device_without_a_stop_in_ram(space):
    at = int(space.mm(f"map anon {KIB64}"), 16)
    space.mm(f"write {at:#x} {KIB64} on-tour.")
    whole = repeated("on-tour.", 16 * PAGE)
    for target, other in (("coherent0", "private0"), ("private0", "coherent0"), ("coherent0", "private0")):
        assert space.mm(f"migrate {at:#x} {KIB64} {target}").startswith("16 of 16")
        assert (space.used(target), space.used(other)) == (16, 0)
        frames = [space.page(at + i * PAGE)[0] for i in range(16)]
        assert b"".join(space.host(frame, PAGE) for frame in frames) == whole
    for i in range(16):
        assert space.text(at + i * PAGE, PAGE) == whole[i * PAGE:(i + 1) * PAGE]
    space.mm("check")


def test_buffers_get_what_address_spaces_leave(space):
    assert space.guest.sh("cat /sys/fs/cgroup/gpu.memory.capacity").output == f"vram0 {SIZE - (10 << 20)}"
    assert space.guest.sh("dmabuf alloc vram0 6M").output == "1"
    assert "-ENOMEM" in space.guest.sh("dmabuf alloc vram0 4K").output
    assert space.guest.sh("dmabuf write 1 0 buffer").status == 0
    assert space.host(space.bar + (10 << 20) // PAGE, 6) == b"buffer"


def test_bad_parameters_are_one_line_each(boot):
    guest = boot(memory="128M", append="ivshmem.coherent=4K ivshmem.private=5000")
    log = guest.sh("dmesg").log
    assert log.count("ivshmem.coherent=4K: there is no ivshmem device") == 1
    assert log.count("ivshmem.private=5000: a size in whole pages was expected") == 1
    assert guest.sh("cat /sys/kernel/debug/device_memory").output == ""


def test_what_the_shell_cannot_do_is_one_line(space):
    at = int(space.mm("map anon 8K ro"), 16)
    for line, answer in (("map device no-such 4K", "no coherent device"), ("map anon 4097", "-EINVAL"),
                         ("map anon 4K sideways", "expected"), ("touch 0x1000 4K", "cannot read 0x1000"),
                         (f"write {at:#x} 4 text", f"cannot write {at:#x}"), (f"unmap {at + 1:#x} 4K", "whole pages"),
                         (f"protect {at:#x} 4K rwx", "none, r or rw"), ("walk 0x40", "no area"),
                         ("pin 0x40", "-EFAULT"), ("use 99", "no space 99"), ("fork x y z", None),
                         (f"madvise {at:#x} 4K nonsense", "expected dontneed"), ("map pfn 0x1000 4K", "-EPERM"),
                         (f"migrate {at:#x} 4K elsewhere", "was expected"), ("elephant", "unknown"),
                         ("map device private0 4K", "no coherent device")):
        reply = space.guest.sh(f"mm {line}")
        if answer:
            assert reply.status == 1 and answer in reply.output and len(reply.lines) == 1, reply.output
    space.mm("check")
