"""`ballonet demo`: the main job on the real device.

A guest touches nearly all its memory, so that the host has to provide it; the host asks for most of it back; the
guest gives it, and the host's resident size falls; then the host returns it. What the guest says, what the device
says, and what the host's kernel says stand side by side, and have to agree: each claim is checked, and the exit
status is 0 only if all hold.
"""
import json
import os
import threading
import time
from contextlib import contextmanager

from . import balloon, demo_gpu, images, paths
from .guest import Guest
from .options import add_machine_options, machine_from
from .terminal import mib, say, seconds, table

SPARE = 2 << 30  # what the host needs beside the guest


def add_parser(commands):
    parser = commands.add_parser("demo", help="the host asks for memory back, and gets it: both sides, side by side")
    add_machine_options(parser, memory="8G", smp=2)
    parser.set_defaults(main=main)


def host_available():
    with open("/proc/meminfo", encoding="ascii") as file:
        return balloon.numbers(file.read())["MemAvailable"]


def fit_to_host(args):
    """On a small host a smaller guest tells the same story."""
    wanted = paths.size_bytes(args.memory)
    while wanted + SPARE > host_available() and wanted > 1 << 30:
        wanted >>= 1
    if wanted != paths.size_bytes(args.memory):
        say(f"the host has {mib(host_available())} to spare: a guest of {mib(wanted)} instead of {args.memory}")
        args.memory = f"{wanted >> 20}M"


class Story:
    """The moments, their figures, and the claims made about them."""

    def __init__(self):
        self.moments, self.claims = [], []

    def moment(self, name, guest, took=None):
        self.moments.append((name, balloon.figures(guest), took))
        return self.moments[-1][1]

    def claim(self, text, holds):
        self.claims.append((text, bool(holds)))

    def show(self):
        rows = [(name, mib(f.total), mib(f.free), mib(f.balloon), mib(f.actual), mib(f.rss),
                 seconds(took) if took is not None else "") for name, f, took in self.moments]
        head = ("", "guest: MemTotal", "MemFree", "in balloon", "device: actual", "host: RSS of QEMU", "took")
        return table(head, rows)


@contextmanager
def watched(guest, every=3.0):
    """Says how far the host is while something takes its time."""
    over = threading.Event()

    def watch():
        while not over.wait(every):
            say(f"  RSS of QEMU {mib(guest.rss())}")

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def tell(guest, size, story):
    target = size // 8
    story.moment("booted", guest)
    start = time.monotonic()
    touch = story.moments[0][1].free * 15 // 16 >> 20
    say(f"the guest writes to {touch:,} MiB, and the host has to find them")
    with watched(guest):
        reply = guest.sh(f"run touch size={touch}M", timeout=120)
    story.claim("the guest could touch its memory", reply.status == 0)
    touched = story.moment("touched", guest, time.monotonic() - start)

    say(f"the host asks for {mib(size - target)} back")
    took = balloon.ask(guest, target, progress=lambda actual: say(f"  actual {mib(actual)}"))
    inflated = story.moment("host asked", guest, took)
    stats = balloon.statistics(guest)

    say(f"the host gives {mib(size - target)} back")
    took = balloon.ask(guest, size, progress=lambda actual: say(f"  actual {mib(actual)}"))
    deflated = story.moment("host gave", guest, took)

    asked = size - target
    story.claim("the device's actual is the target, both times", (inflated.actual, deflated.actual) == (target, size))
    story.claim("the guest counts the same pages in its balloon", (inflated.balloon, deflated.balloon) == (asked, 0))
    story.claim("the guest's free memory fell, and came back",
                inflated.free < size // 8 and deflated.free > touched.free - (64 << 20))
    story.claim(f"QEMU's resident size fell by {mib(touched.rss - inflated.rss)}",
                touched.rss - inflated.rss > asked * 3 // 4)
    story.claim("the statistics that the host reads are the guest's own figures",
                abs(stats.get("stat-free-memory", -1) - inflated.free) < 32 << 20)
    return stats


def show_statistics(stats):
    print("\nStatistics of the guest, as the host reads them from the device:")
    for name, value in sorted(stats.items()):
        print(f"  {name:28} {mib(value) if 'memory' in name or 'cache' in name else f'{value:,}':>16}")


def main(args):
    fit_to_host(args)
    if args.balloon == "on":  # with the reporting queue, which the driver uses for whole blocks where it is offered
        args.balloon = "free-page-reporting=on"
    machine = machine_from(args)
    if args.dry_run:
        print(paths.shell_line(machine.argv(os.path.join(paths.GUESTS, "demo"), "")))
        return 0
    images.build_for(machine)
    story = Story()
    say(f"booting a guest of {mib(machine.memory_bytes)} with {machine.smp} CPUs under QEMU")
    with Guest(machine, "demo") as guest:
        guest.wait_ready()
        say(f"at its shell {seconds(time.monotonic() - guest.started)} after the start of QEMU")
        stats = tell(guest, machine.memory_bytes, story)
    print("\n" + story.show())
    show_statistics(stats)
    print()
    story.claims += demo_gpu.tell()
    for text, holds in story.claims:
        print(f"  {'yes' if holds else 'NO ':3}  {text}")
    write_json(story, stats)
    good = all(holds for _, holds in story.claims)
    say("done" if good else "a claim does not hold: see build/guests/demo/serial.log")
    return 0 if good else 1


def write_json(story, stats):
    moments = [{"moment": name, "seconds": took, **vars(found)} for name, found, took in story.moments]
    claims = [{"claim": text, "holds": holds} for text, holds in story.claims]
    with open(paths.absolute(os.path.join(paths.BUILD, "demo.json")), "w", encoding="utf-8") as file:
        json.dump({"moments": moments, "statistics": stats, "claims": claims}, file, indent=1)
