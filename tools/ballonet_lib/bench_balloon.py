"""The balloon beside Linux's and beside the device: who needs how long for 7 of 8 GiB, and how it grows.

A time is that from the QMP command until the device's `actual` is the target, as a host sees it. The floor is the time
that the device itself needs for the same amount in prepared blocks (`run balloon_floor`). Each guest, the floor's too,
moves 4 MiB first, for TCG, which has to translate the code: what that costs is the row "first time". All on the same
QEMU, one after the other, the subjects in turn, so that a machine that drifts drifts for all. Ratios are of medians.
"""
import os
import re
import statistics
from dataclasses import dataclass, field, replace

from . import balloon, paths
from .guest import Guest
from .linux_guest import LinuxGuest
from .terminal import say, table

GIB = 1 << 30
GROWTH = (1, 2, 4, 8, 14)  # GiB, of a guest with 16
DEVICE = "free-page-reporting=on"
FIRST = 4 << 20


def milliseconds(seconds):
    return f"{seconds * 1000:.1f}" if seconds < 0.1 else f"{seconds * 1000:,.0f}"


@dataclass
class Subject:
    name: str
    words: str = ""
    is_linux: bool = False
    qemu: str = ""
    device: str = DEVICE
    times: dict = field(default_factory=dict)  # (what, touched) -> seconds, one a run

    def guest(self, machine, name):
        machine = replace(machine, balloon=self.device, qemu=self.qemu or machine.qemu)
        if self.is_linux:
            return LinuxGuest(machine, name, self.words)
        return Guest(replace(machine, append=f"{machine.append} {self.words}".strip()), name)

    def touch(self, guest, mib):
        command = f"/bin/touch-memory {mib}" if self.is_linux else f"run touch size={mib}M"
        reply = guest.sh(command, timeout=300)
        if reply.status:
            raise RuntimeError(f"{self.name}: {command}: {reply.output}")

    def note(self, what, touched, seconds):
        self.times.setdefault((what, touched), []).append(seconds)

    def median(self, what, touched):
        samples = self.times.get((what, touched))
        return statistics.median(samples) if samples else None


def subjects():
    found = [Subject("Linux, init_on_alloc=0", "init_on_alloc=0", True), Subject("Linux, default", "", True),
             Subject("report", "virtio_balloon.inflate=report"), Subject("pfn", "virtio_balloon.inflate=pfn")]
    if os.path.exists(paths.absolute(paths.QEMU_SG)):
        found.append(Subject("sg", "virtio_balloon.inflate=sg", qemu=os.path.join(".", paths.QEMU_SG),
                             device=DEVICE + ",sg=on"))
    return found


def run_once(subject, machine, touched, warm=True):
    """One guest: inflate by 7/8 and deflate again."""
    size = machine.memory_bytes
    with subject.guest(machine, "bench-balloon") as guest:
        guest.wait_ready()
        if warm:
            balloon.ask(guest, size - FIRST)
            balloon.ask(guest, size)
        if touched:
            subject.touch(guest, size * 15 // 16 >> 20)
        subject.note("inflate", touched, balloon.ask(guest, size // 8, timeout=300))
        subject.note("deflate", touched, balloon.ask(guest, size, timeout=300))


def floor_once(machine, touched):
    """Seconds of the device for 7/8 of the memory."""
    size = machine.memory_bytes
    plain = Subject("floor")
    with plain.guest(machine, "bench-floor") as guest:
        guest.wait_ready()
        guest.sh(f"run balloon_floor size={FIRST >> 20}M")
        if touched:
            plain.touch(guest, size * 15 // 16 >> 20)
        output = guest.sh(f"run balloon_floor size={size * 7 // 8 >> 20}M").output
    return int(re.search(r"MiB in (\d+) us", output)[1]) / 1e6


def growth(subject, machine, runs):
    """{GiB: seconds}: inflation of an idle guest by more and more; the best of some, for little is slow to measure."""
    machine, times = replace(machine, memory="16G"), {amount: [] for amount in GROWTH}
    with subject.guest(machine, "bench-growth") as guest:
        guest.wait_ready()
        for _ in range(runs):
            for amount in GROWTH:
                times[amount].append(balloon.ask(guest, machine.memory_bytes - amount * GIB, timeout=120))
                balloon.ask(guest, machine.memory_bytes, timeout=120)
    return {amount: min(samples) for amount, samples in times.items()}


def longest_answer(machine):
    """Seconds: the shell's longest of 100 answers while the host wants all that the guest has."""
    with Subject("report").guest(replace(machine, memory="1G"), "bench-answers") as guest:
        guest.wait_ready()
        return max(balloon.answers_while_starved(guest, 100)[0])


def goals(who, floor):
    """(goal, what was found, met) in the order in which they are printed. Linux is that without init_on_alloc."""
    linux, report, pfn = who["Linux, init_on_alloc=0"], who["report"], who["pfn"]

    def faster(method, what, touched, least):
        ratio = linux.median(what, touched) / method.median(what, touched)
        state = "touched" if touched else "idle"
        return f"{method.name}: {what}, {state}, at least {least:g}x faster than Linux", f"{ratio:.1f}x", ratio >= least

    def near(touched, most):
        ratio = report.median("inflate", touched) / statistics.median(floor[touched])
        return (f"report: inflate, {'touched' if touched else 'idle'}, within {most:g}x of the device's floor",
                f"{ratio:.1f}x", ratio <= most)

    # Runs of pages beside page numbers, as the proposal of F_SG found it: 4126 ms became 491.
    runs = [faster(who["sg"], "inflate", touched, 8.4) for touched in (False, True)] if "sg" in who else []
    return runs + [faster(report, "inflate", False, 300), near(False, 5),
                   faster(report, "inflate", True, 60), near(True, 1.5),
                   faster(pfn, "inflate", False, 1.3), faster(pfn, "inflate", True, 1.3),
                   faster(report, "deflate", False, 300), faster(pfn, "deflate", False, 1.3)]


def growth_goal(name, times):
    first, last = GROWTH[0], GROWTH[-1]
    ratio = (times[last] / last) / (times[first] / first)
    return f"{name}: {last} GiB cost at most what {first} GiB costs, per GiB", f"{ratio:.2f}x", ratio <= 1.1


def measure(machine, runs, linux_runs):
    """Prints the tables; the same as data."""
    machine = replace(machine, memory="8G")
    who, floor = {subject.name: subject for subject in subjects()}, {False: [], True: []}
    first = replace(who["report"], name="report, first time", times={})
    for touched in (False, True):
        for turn in range(max(runs, linux_runs)):
            say(f"balloon, 7 of 8 GiB, {'touched' if touched else 'idle'}, round {turn + 1}")
            for subject in who.values():
                if turn < (linux_runs if subject.is_linux else runs):
                    run_once(subject, machine, touched)
            if turn < runs:
                floor[touched].append(floor_once(machine, touched))
                run_once(first, machine, touched, warm=False)
    say("growth: 1 to 14 of 16 GiB, idle")
    grown = {name: growth(who[name], machine, runs) for name in who if not who[name].is_linux}
    say("answers of the shell while the host wants more than there is")
    return report(who | {first.name: first}, floor, grown, longest_answer(machine))


def report(who, floor, grown, longest):
    columns = [(what, touched) for touched in (False, True) for what in ("inflate", "deflate")]
    rows = [[name] + [milliseconds(subject.median(*column)) for column in columns] for name, subject in who.items()]
    rows.append(["the device's floor"] + [milliseconds(statistics.median(floor[touched])) if what == "inflate" else ""
                                          for what, touched in columns])
    if "sg" not in who:
        rows.append(["sg (skipped: run make qemu-sg)"] + [""] * 4)
    print("\n" + table(("7 of 8 GiB, ms, median", "inflate idle", "deflate", "inflate touched", "deflate"), rows))
    print("\n" + table(("inflate, idle, ms, best", *(f"{amount} GiB" for amount in GROWTH)),
                       [[name] + [milliseconds(times[amount]) for amount in GROWTH] for name, times in grown.items()]))
    verdicts = goals(who, floor) + [growth_goal(name, times) for name, times in grown.items()]
    verdicts.append(("the shell answers in 100 ms while more is wanted than there is", f"{milliseconds(longest)} ms",
                     longest <= 0.1))
    print("\n" + table(("goal", "found", "verdict"), [(text, found, "met" if met else "MISSED")
                                                     for text, found, met in verdicts]))
    return {"seconds": {name: {f"{what}_{'touched' if touched else 'idle'}": samples
                               for (what, touched), samples in subject.times.items()} for name, subject in who.items()},
            "floor": {"idle": floor[False], "touched": floor[True]}, "growth": grown, "longest_answer": longest,
            "goals": [{"goal": text, "found": found, "met": met} for text, found, met in verdicts]}
