"""The demo's chapter on GPU buckets: who allocated that memory?

Two tasks in two groups allocate from three sources (pages, the virtio-gpu, device memory), one passes a buffer to the
other, a limit refuses, and all is released. After each step the groups' own files are read.
"""
import os

from . import images, paths
from .guest import Guest
from .machine import Machine
from .terminal import say, table

ROOT = "/sys/fs/cgroup"
VRAM = 16 << 20
GROUPS = ("", "studio", "studio/render", "studio/show")
BUCKETS = ("system", "virtio-gpu", "vram0")
STEPS = (
    ("render allocates 24 MiB, 4 MiB, 1 MiB", ('task render "dmabuf alloc system 24M; dmabuf alloc virtio-gpu 4M; '
                                               'dmabuf alloc vram0 1M"',)),
    ("show takes them, render frees: still render's", ('task show "dmabuf take 1; dmabuf take 2; dmabuf take 3"',
                                                       'task render "dmabuf free 1; dmabuf free 2; dmabuf free 3"')),
    ("show has the first charged to itself", ('task show "dmabuf transfer 1"',)),
    ("show ends, and with it the last references", ("task show end",)),
)


def charges(guest, group):
    lines = guest.sh(f"cat {ROOT}/{group}/gpu.memory.current").lines
    found = {name: int(value) for name, value in (line.split() for line in lines)}
    return tuple(found.get(bucket, 0) for bucket in BUCKETS)


def machine_with_devices():
    file = os.path.join(paths.absolute(paths.GUESTS), "demo-gpu", "vram")
    return Machine(memory="256M", smp=2, balloon="off", extra=[
        "-device", "virtio-gpu-pci", "-device", "ivshmem-plain,memdev=vram",
        "-object", f"memory-backend-file,id=vram,size={VRAM},mem-path={file},share=on"])


def tell():
    """Claims as pairs of text and truth."""
    machine = machine_with_devices()
    images.build_for(machine)
    say("a second guest, with a virtio-gpu and device memory: two tasks in the groups studio/render and studio/show")
    rows, at = [], []
    with Guest(machine, "demo-gpu") as guest:
        guest.wait_ready()
        guest.sh("mkdir " + " ".join(f"{ROOT}/{group}" for group in GROUPS[1:]))
        for task in ("render", "show"):
            guest.sh(f"task {task}")
            guest.sh(f'task {task} "echo 0 > {ROOT}/studio/{task}/cgroup.procs"')
        for text, lines in STEPS:
            for line in lines:
                guest.sh(line)
            at.append({group: charges(guest, group) for group in GROUPS})
            for group in GROUPS[1:]:
                rows.append((text if group == GROUPS[1] else "", group, *(f"{value >> 10:,} KiB" for value in at[-1][group])))
        guest.sh(f'echo "system 8M" > {ROOT}/studio/gpu.memory.max')
        refused = guest.sh('task render "dmabuf alloc system 9M"').output
        events = guest.sh(f"cat {ROOT}/studio/gpu.memory.events").output
    print("\n" + table(("", "group", *BUCKETS), rows) + "\n")
    first = (24 << 20, 4 << 20, 1 << 20)
    return [
        ("each buffer is charged to its allocator's group, and to those above",
         at[0]["studio/render"] == at[0]["studio"] == at[0][""] == first),
        ("passed on and freed by the allocator, it is charged as before",
         at[1]["studio/render"] == first and not any(at[1]["studio/show"])),
        ("a transfer moves one charge and leaves the common ancestor alone",
         at[2]["studio/show"][0] == first[0] and at[2]["studio"] == first),
        ("with the last references all charges are gone", not any(at[3][""])),
        ("a limit of 8 MiB refuses 9 MiB, and the group counts that", "-ENOMEM" in refused and "system max=1" in events),
    ]
