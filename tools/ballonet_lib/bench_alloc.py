"""What a page costs in the guest, beside Linux on the same QEMU, in the same loops: `run alloc_cost` and the module
bench/linux/replay.c. Each run is a guest of its own, in turn, Linux without zeroing (init_on_alloc=0); the best of them.
"""
from dataclasses import replace

from .command_replay import result_of
from .guest import Guest
from .linux_guest import LinuxGuest
from .terminal import say, table

PAGES = 50000
FIGURES = {"get_ns": "order 0 get", "put_ns": "order 0 put", "pair_ns": "order 0 pair", "huge_pair_ns": "order 9 pair"}
GOAL = 0.5


def ours_once(machine):
    with Guest(machine, "bench-alloc") as guest:
        guest.wait_ready()
        return result_of(guest.sh(f"run alloc_cost pages={PAGES}", timeout=120).output, "alloc_cost")


def linux_once(machine):
    with LinuxGuest(machine, "bench-alloc-linux", "init_on_alloc=0") as guest:
        guest.wait_ready()
        output = guest.sh(f"insmod /modules/replay.ko pages={PAGES}; cat /sys/module/replay/parameters/result", 120).output
        return result_of(output, "alloc_cost in Linux")


def measure(machine, runs):
    """Prints the table; the same as data."""
    machine, ours, linux = replace(machine, memory="1G", balloon="off"), [], []
    for turn in range(runs):
        say(f"page allocator in the guest, round {turn + 1}")
        ours.append(ours_once(machine))
        linux.append(linux_once(machine))
    rows, results = [], {}
    for key, name in FIGURES.items():
        mine, theirs = min(run[key] for run in ours), min(run[key] for run in linux)
        met = mine <= GOAL * theirs
        results[name] = {"ballonet_ns": mine, "linux_ns": theirs, "met": met}
        rows.append((name, mine, theirs, f"{mine / theirs:.2f}x", "met" if met else "MISSED"))
    print("\n" + table(("ns, best", "Ballonet", "Linux", "ratio", f"at most {GOAL:g}x"), rows))
    return results
