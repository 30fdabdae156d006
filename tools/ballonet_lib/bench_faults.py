"""What a page costs in an address space, beside Linux: a first touch and unmapping, small and huge.

Each guest measures itself (`run faults` here, bench/linux/faults.c there: clock_gettime) and gives the best of a few rounds,
in nanoseconds a page; the median over the runs counts. The subjects take turns on the same QEMU, each in a new guest. In
Linux a program makes the accesses, and each fault leads from its ring to the kernel's and back; ours come from the kernel,
which has no user mode.
"""
import re
import statistics
from dataclasses import dataclass, field, replace

from .guest import Guest
from .linux_guest import LinuxGuest
from .terminal import say, table

MIB = 64
ROUNDS = 10
# What is measured, and at most how much of Linux's cost it may be; None: there is no goal.
FIGURES = (("base fault", 0.5), ("unmap, per page", 0.5), ("huge fault", 0.25), ("huge unmap, per huge page", None))


@dataclass
class Subject:
    name: str
    words: str = ""
    is_linux: bool = False
    figures: dict = field(default_factory=dict)  # name -> nanoseconds, one a run

    def run_once(self, machine):
        kind, command = (LinuxGuest, f"/bin/touch-faults {MIB} {ROUNDS}") if self.is_linux else \
            (lambda machine, name, words: Guest(machine, name), f"run faults size={MIB}M rounds={ROUNDS}")
        with kind(machine, "bench-faults", self.words) as guest:
            guest.wait_ready()
            reply = guest.sh(command, timeout=300)
        found = {name: int(value) for name, value in re.findall(r"^(.+?) +(\d+) ns$", reply.output, re.M)}
        if reply.status or any(name not in found for name, _ in FIGURES):
            raise RuntimeError(f"{self.name}: {command}: {reply.output}")
        for name, _ in FIGURES:
            self.figures.setdefault(name, []).append(found[name])

    def median(self, name):
        return statistics.median(self.figures[name])


def measure(machine, runs):
    """Prints the table; the same as data."""
    machine = replace(machine, memory="1G")
    linux, default, ours = subjects = (Subject("Linux, init_on_alloc=0", "init_on_alloc=0", True),
                                       Subject("Linux, default", "", True), Subject("Ballonet"))
    for turn in range(runs):
        say(f"faults, {MIB} MiB, best of {ROUNDS}, run {turn + 1}")
        for subject in subjects:
            subject.run_once(machine)
    return report(linux, default, ours)


def report(linux, default, ours):
    rows, goals = [], []
    for name, most in FIGURES:
        ratio = ours.median(name) / linux.median(name)
        verdict = "" if most is None else "met" if ratio <= most else "MISSED"
        rows.append([name] + [f"{subject.median(name):,.0f}" for subject in (linux, default, ours)] +
                    [f"{ratio:.2f}x", "" if most is None else f"{most:g}x", verdict])
        if most is not None:
            goals.append({"goal": f"{name}: at most {most:g}x of Linux's", "found": f"{ratio:.2f}x", "met": ratio <= most})
    print("\n" + table(("ns a page, median", linux.name, default.name, ours.name, "ratio", "goal", "verdict"), rows))
    return {"ns": {subject.name: subject.figures for subject in (linux, default, ours)}, "goals": goals}
