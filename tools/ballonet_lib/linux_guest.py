"""The Linux guest of bench/linux, behind the same interface: its console takes a line and answers with "=> status"."""
import os
import subprocess
from dataclasses import replace

from . import images, paths
from .guest import Guest

KERNEL = os.path.join(paths.BUILD, "linux", "vmlinuz")
INITRD = os.path.join(paths.BUILD, "linux", "initrd.gz")


class LinuxGuest(Guest):
    def __init__(self, machine, name, words=""):
        """@machine's kernel is replaced; @words: more for Linux's command line ("init_on_alloc=0")."""
        machine = replace(machine, kernel=KERNEL, append="", extra=machine.extra + ["-initrd", INITRD])
        super().__init__(machine, name, f"console=ttyS0 quiet {words}".strip())

    def wait_ready(self, timeout=120.0):
        self.expect(r"^linux: ready\n", timeout, "Linux")
        return self


def build():
    """Kernel and initial ram disk, if they are not there. Raises ImageError."""
    result = subprocess.run(["bench/linux/build"], cwd=paths.ROOT, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                            stderr=subprocess.STDOUT, text=True)
    if result.returncode:
        raise images.ImageError("the Linux guest could not be built:\n" + result.stdout.rstrip())
