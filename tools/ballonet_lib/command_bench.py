"""`ballonet bench`: how long things take on the real device. The median of a few runs; also in build/bench.json.

Boot is counted by the guest from its first instruction to its shell (/proc/boottime); for the balloon see
bench_balloon.py, for faults bench_faults.py. The host's own speed is measured beside, for the figures mean little alone.
"""
import json
import os
import re
import statistics as figures_of
import time
from dataclasses import replace

from . import bench_alloc, bench_balloon, bench_faults, images, linux_guest, paths
from .guest import Guest
from .options import add_machine_options, count, machine_from
from .terminal import say, seconds, table


def add_parser(commands):
    parser = commands.add_parser("bench", help="boot, balloon, faults and page allocator on the real device")
    parser.add_argument("--runs", type=count, default=5, help="runs of each (default %(default)s)")
    parser.add_argument("--linux-runs", type=int, default=2, help="runs of the Linux guest, which takes its time "
                        "(default %(default)s)")
    parser.add_argument("--only", choices=("boot", "balloon", "faults", "alloc"), help="only this chapter")
    add_machine_options(parser, smp=2)
    parser.set_defaults(main=main)


def boot_once(machine):
    """(start of QEMU → shell seen from outside, first instruction → last boot stamp) in seconds."""
    with Guest(machine, "bench-boot") as guest:
        guest.wait_ready()
        outside = time.monotonic() - guest.started
        stamps = [int(number) for number in re.findall(r"^ *(\d+) ", guest.sh("cat /proc/boottime").output, re.MULTILINE)]
    return outside, max(stamps) / 1e6


def drop_pages(size=1 << 30):
    """The limit: this host giving back 1 GiB of touched pages to itself."""
    import mmap  # only here
    area = mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    area.madvise(mmap.MADV_NOHUGEPAGE)
    for at in range(0, size, 4096):
        area[at] = 1
    start = time.monotonic()
    area.madvise(mmap.MADV_DONTNEED)
    return time.monotonic() - start


def median_row(name, samples):
    return name, seconds(figures_of.median(samples)), seconds(min(samples)), seconds(max(samples))


def main(args):
    base = machine_from(args)
    if args.dry_run:
        print(paths.shell_line(base.argv(os.path.join(paths.GUESTS, "bench-boot"), "")))
        return 0
    images.build_for(base)
    results = {}
    if args.only in (None, "boot"):
        results["boot"] = boot(base, args.runs)
    if args.only != "boot":
        linux_guest.build()
    if args.only in (None, "faults"):
        results["faults"] = bench_faults.measure(base, args.runs)
    if args.only in (None, "alloc"):
        results["alloc"] = bench_alloc.measure(base, args.linux_runs)
    if args.only in (None, "balloon"):
        results["balloon"] = bench_balloon.measure(base, args.runs, args.linux_runs)
    with open(paths.absolute(os.path.join(paths.BUILD, "bench.json")), "w", encoding="utf-8") as file:
        json.dump(results, file, indent=1)
    return 0


def boot(base, runs):
    rows = []
    for memory in ("1G", "16G"):
        machine = replace(base, memory=memory)
        say(f"boot, {memory}, {runs} runs")
        outside, inside = zip(*(boot_once(machine) for _ in range(runs)))
        rows += [median_row(f"start of QEMU to shell, {memory}", outside),
                 median_row(f"first instruction to shell, {memory}", inside)]
    rows.append(median_row("host: madvise(DONTNEED) of 1 GiB", [drop_pages() for _ in range(runs)]))
    print("\n" + table(("", "median", "least", "most"), rows))
    return [dict(zip(("what", "median", "least", "most"), row)) for row in rows]
