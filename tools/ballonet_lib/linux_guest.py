"""The Linux guest of bench/linux, behind the same interface: its console takes a line and answers with "=> status"."""
import os
import subprocess
from dataclasses import replace

from . import images, paths
from .guest import Guest

KERNEL = os.path.join(paths.BUILD, "linux", "vmlinuz")
INITRD = os.path.join(paths.BUILD, "linux", "initrd.gz")


class LinuxGuest(Guest):
    def __init__(self, machine, name, words="", initrd=INITRD):
        """@machine's kernel is replaced; @words: more for Linux's command line ("init_on_alloc=0")."""
        machine = replace(machine, kernel=KERNEL, append="", extra=machine.extra + ["-initrd", initrd])
        super().__init__(machine, name, f"console=ttyS0 quiet no_timer_check {words}".strip())

    def wait_ready(self, timeout=120.0):
        self.expect(r"^linux: ready\n", timeout, "Linux")
        return self


def build():
    """Kernel and initial ram disk, if they are not there. Raises ImageError."""
    result = subprocess.run(["bench/linux/build"], cwd=paths.ROOT, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                            stderr=subprocess.STDOUT, text=True)
    if result.returncode:
        raise images.ImageError("the Linux guest could not be built:\n" + result.stdout.rstrip())


def initrd_with(path, name):
    """An initial ram disk that has the file @path as /@name, too: Linux takes several archives, one behind the other."""
    both = os.path.join(paths.BUILD, "linux", f"initrd-{name}")
    with open(path, "rb") as file:
        data = file.read()
    # The format "newc" of cpio: 13 numbers of 8 hexadecimal digits, the name, the data, each padded to 4 bytes.
    entries = b""
    for entry, content, mode in ((name, data, 0o100444), ("TRAILER!!!", b"", 0)):
        numbers = (1, mode, 0, 0, 1, 0, len(content), 0, 0, 0, 0, len(entry) + 1, 0)
        head = b"070701" + b"".join(b"%08X" % number for number in numbers) + entry.encode() + b"\0"
        entries += head + bytes(-len(head) % 4) + content + bytes(-len(content) % 4)
    with open(paths.absolute(INITRD), "rb") as first, open(paths.absolute(both), "wb") as file:
        plain = first.read()
        file.write(plain + bytes(-len(plain) % 4) + entries)
    return both
