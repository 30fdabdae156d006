"""A machine as data, and QEMU's command line for it.

The five boot paths differ in a few options only; everything else (memory, CPUs, nodes, balloon, serial line, exit
device) is the same for all. The serial line is QEMU's stdio: a pipe loses nothing, and what passed is also logged.
"""
import os
from dataclasses import dataclass, field

from . import images, paths

BOOTS = ("pvh", "microvm", "bios", "uefi", "efi")
MODES = ("release", "debug", "ubsan", "kasan")
MACHINE_MODE = "shell.echo=off shell.prompt=off"

# Time by counted instructions: a run is the same every time, whatever else the host does. The CPUs then share a thread
# and a clock, and each has its turn until the machine's next timer is due, which may be 100 ms: so long would one wait
# that another woke, and a thread whose slice is another CPU's turn does nothing in it. A network filter without a
# network has a timer of its own; it ends every turn, and the guest knows nothing of it (Machine.turn_us).
ICOUNT = ["-icount", "shift=0,sleep=off"]


class MachineError(Exception):
    """A machine that cannot be: what is wrong is the text."""


@dataclass
class Machine:
    boot: str = "pvh"
    machine: str = ""  # q35, pc, microvm; with QEMU's own options behind a comma. "": what the boot path needs
    memory: str = "1G"
    smp: int = 1
    numa: int = 1
    balloon: str = "on"  # on, off, or the device's options: free-page-reporting=on,deflate-on-oom=on
    append: str = ""
    accel: str = "tcg"
    qemu: str = "qemu-system-x86_64"
    mode: str = "release"
    kernel: str = ""  # another image than the one of @mode
    extra: list = field(default_factory=list)  # more words for QEMU
    turn_us: int = 100  # of a CPU, with accel icount and several of them

    def __post_init__(self):
        if self.boot not in BOOTS:
            raise MachineError(f'no boot path "{self.boot}" (there are {", ".join(BOOTS)})')
        if self.mode not in MODES:
            raise MachineError(f'no mode "{self.mode}" (there are {", ".join(MODES)})')
        if not self.machine:
            self.machine = "microvm" if self.boot == "microvm" else "q35"
        try:
            self.memory_bytes = paths.size_bytes(self.memory)
        except ValueError as error:
            raise MachineError(str(error)) from None
        if self.smp < 1 or self.numa < 1:
            raise MachineError("a machine has at least one CPU and one node")
        if self.numa > self.smp:
            raise MachineError(f"{self.numa} nodes need at least as many CPUs (--smp)")
        if self.is_microvm and (self.numa > 1 or self.boot not in ("pvh", "microvm")):
            raise MachineError("QEMU's microvm has no NUMA nodes and starts kernels by PVH only")

    @property
    def is_microvm(self):
        return self.machine.split(",")[0] == "microvm"

    @property
    def image(self):
        return self.kernel or images.kernel_path(self.mode)

    def prepare(self, directory, cmdline):
        """Makes what has to be there before QEMU starts: the ISO, copies that firmware may write to."""
        if self.boot in ("bios", "uefi"):
            images.iso(self.image, cmdline)
        if self.boot in ("uefi", "efi"):
            images.ovmf_vars(directory)
        if self.boot == "efi":
            images.esp(self.mode, directory, cmdline)

    def argv(self, directory, cmdline, interactive=False):
        """QEMU's command line; @directory takes the logs, @cmdline is the kernel's."""
        argv = [self.qemu, "-name", os.path.basename(directory), "-machine", self.machine, "-accel", self.accel_options,
                "-cpu", "max", "-smp", str(self.smp), "-m", f"{self.memory_bytes >> 20}M"]
        argv += self._numa() + self._boot(directory, cmdline) + self._balloon() + self._clock() + self.extra
        argv += ["-nodefaults", "-no-user-config", "-no-reboot", "-vga", "none", "-display", "none",
                 "-device", "isa-debug-exit,iobase=0xf4,iosize=0x04"]
        log = os.path.join(directory, "serial.log")
        argv += ["-chardev", f"stdio,id=serial,signal=off,mux={'on' if interactive else 'off'},logfile={log}",
                 "-serial", "chardev:serial"]
        if interactive:
            argv += ["-mon", "chardev=serial,mode=readline"]
        return argv + ["-qmp", f"unix:{os.path.join(directory, 'qmp.sock')},server=on,wait=off"]

    @property
    def accel_options(self):
        return {"tcg": "tcg,thread=multi", "icount": "tcg,thread=single"}.get(self.accel, self.accel)

    def _clock(self):
        if self.accel != "icount":
            return []
        if self.smp == 1:
            return ICOUNT
        return [*ICOUNT, "-netdev", "hubport,id=turns,hubid=0",
                "-object", f"filter-buffer,id=turn,netdev=turns,interval={self.turn_us}"]

    def _numa(self):
        """Memory and CPUs in equal parts; the last node takes what is left over."""
        if self.numa == 1:
            return []
        argv, mib, cpus = [], self.memory_bytes >> 20, self.smp // self.numa
        for node in range(self.numa):
            last = node == self.numa - 1
            size = mib - mib // self.numa * node if last else mib // self.numa
            end = self.smp if last else cpus * (node + 1)
            argv += ["-object", f"memory-backend-ram,id=node{node},size={size}M",
                     "-numa", f"node,nodeid={node},memdev=node{node},cpus={cpus * node}-{end - 1}"]
        return argv

    def _boot(self, directory, cmdline):
        if self.boot in ("pvh", "microvm"):
            return ["-kernel", self.image, "-append", cmdline]
        argv = []
        if self.boot in ("uefi", "efi"):
            argv += ["-drive", f"if=pflash,unit=0,format=raw,readonly=on,file={images.ovmf_code()}",
                     "-drive", f"if=pflash,unit=1,format=raw,file={os.path.join(directory, 'ovmf-vars.fd')}"]
        if self.boot == "efi":
            return argv + ["-drive", f"format=raw,file=fat:rw:{os.path.join(directory, 'esp')}"]
        return argv + ["-cdrom", images.iso_path(self.image, cmdline)]

    def _balloon(self):
        if self.balloon == "off":
            return []
        options = "" if self.balloon == "on" else "," + self.balloon
        argv = []
        if "free-page-hint=on" in options and "iothread=" not in options:
            argv, options = ["-object", "iothread,id=hint"], options + ",iothread=hint"
        if self.is_microvm:
            return argv + ["-global", "virtio-mmio.force-legacy=false",
                           "-device", "virtio-balloon-device,id=balloon" + options]
        return argv + ["-device", "virtio-balloon-pci,id=balloon" + options]
