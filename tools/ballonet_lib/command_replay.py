"""`ballonet replay`: the same allocations for Linux's page allocator and for ours, with equal memory, side by side.

Workloads are recorded in a guest (`ballonet record`) and replayed in guests of one size: Linux by a module
(bench/linux/replay.c), ours under the policies asked for. All begin with the same free pageblocks, the same
min_free_kbytes and nothing else to take (workloads/alloc_replay.c says how), on one CPU, by real time. Pageblocks are
counted with all per-CPU lists drained. Nobody's pages can be moved. Which page comes next in Linux depends on what else
it did, so it replays several times, and ours is held against the mean.
"""
import json
import os
import re
import statistics
import struct
from dataclasses import replace

from . import command_record, images, linux_guest, paths
from .guest import Guest
from .linux_guest import LinuxGuest
from .machine import Machine
from .terminal import say, table, verdicts

NAME = "opt/ballonet/alloc_trace"
RESULT = os.path.join(paths.BUILD, "replay.json")
PAGE = os.path.join("docs", "workloads.md")
WORKLOADS = {
    "churn-90": "churn threads=4 fill=90 operations=300000 seed=1",
    "churn-97": "churn threads=4 fill=97 operations=300000 seed=1",
    "thpfioscale": "thpfioscale policy=vanilla mode=madvise seed=1",
}
ROOM = 256 << 20  # for Linux itself, beyond what the recorded guest had
PAGEBLOCK_ORDER = 9
LINUX_RUNS = 3
TIGHT = 2  # percent more than the most that was held
# A boost left from filling memory up would be free memory that comes later: there is nothing to reclaim with it.
NO_BOOST = "echo 0 > /proc/sys/vm/watermark_boost_factor"


def add_parser(commands):
    parser = commands.add_parser("replay", help="the same allocations in Linux's allocator and in ours")
    parser.add_argument("--policies", default="vanilla,defrag", help="default %(default)s")
    parser.add_argument("--memory", default="512M", help="of the guest that is recorded (default %(default)s)")
    parser.add_argument("--docs", action="store_true", help=f"put the table into {PAGE}")
    parser.add_argument("files", nargs="*", metavar="FILE", help="recordings; default: some are made first")
    parser.set_defaults(main=main)


def result_of(text, what):
    line = next((line for line in text.splitlines() if line.startswith(("json {", "{"))), None)
    if line is None:
        raise SystemExit(f"ballonet: {what}: no result\n{text[-2000:]}")
    return json.loads(line.removeprefix("json "))


def machine_for(file):
    memory = -(-os.path.getsize(file) >> 20) + header_of(file)[1] * 4096 + ROOM
    return Machine(memory=f"{memory >> 20}M", smp=2, balloon="off", extra=["-fw_cfg", f"name={NAME},file={file}"])


def header_of(file):
    """events, pages, free pages, peak pages"""
    with open(file, "rb") as header:
        return struct.unpack("<16x4Q", header.read(48))


def settings_of(file):
    """How many pageblocks are free to begin with: as many as there were, and so few that it becomes tight."""
    _, _, free, peak = header_of(file)
    return {"as recorded": free >> PAGEBLOCK_ORDER, "tight": -(-peak * (100 + TIGHT) // 100) + 511 >> PAGEBLOCK_ORDER}


def replay_ours(file, policy, whole):
    """(result, min_free_kbytes)"""
    with Guest(machine_for(file), f"replay-{policy}") as guest:
        guest.wait_ready()
        reserve = guest.sh(f"{NO_BOOST}; cat /proc/sys/vm/min_free_kbytes").output.splitlines()[-1]
        reply = guest.sh(f"run replay file={NAME} policy={policy} whole={whole}", timeout=900)
    return result_of(reply.output, f"replay with {policy}"), reserve


def replay_linux(file, whole, reserve):
    machine = replace(machine_for(file), extra=[])
    with LinuxGuest(machine, "replay-linux", "init_on_alloc=0", linux_guest.initrd_with(file, "recording")) as guest:
        guest.wait_ready()
        guest.sh(f"echo {reserve} > /proc/sys/vm/min_free_kbytes; {NO_BOOST}; echo 3 > /proc/sys/vm/drop_caches")
        reply = guest.sh(f"taskset 2 insmod /modules/replay.ko file=/recording whole={whole}", timeout=900)
        if reply.status:
            raise SystemExit(f"ballonet: replay in Linux: {reply.output}\n{guest.sh('dmesg | tail').output}")
        return result_of(guest.sh("cat /sys/module/replay/parameters/result").output, "replay in Linux")


HEAD = ("", "extfrag < 9", "whole pageblocks: at the end", "beginning", "failed", "ns each")


def row_of(name, result):
    return (name, f"{result['extfrag']:,}", result["whole_end"], result["whole_begin"], result["failed"], result["each_ns"])


def mean(runs, key):
    return statistics.mean(run[key] for run in runs)


def spread(runs, key):
    return statistics.pstdev(run[key] for run in runs)


def row_of_linux(runs):
    """Means, and how far the runs spread; the fastest."""
    def shown(key):
        return f"{mean(runs, key):.1f} ± {spread(runs, key):.1f}"
    return ("linux", shown("extfrag"), shown("whole_end"), runs[0]["whole_begin"], shown("failed"),
            min(run["each_ns"] for run in runs))


def goals(ours, linux):
    """(text, met) pairs: @ours against the runs of @linux, for one setting."""
    events, whole = mean(linux, "extfrag"), mean(linux, "whole_end")
    yield (f"defrag: no more extfrag events than Linux ({ours['extfrag']:,} / {events:.1f})",
           ours["extfrag"] <= events + spread(linux, "extfrag"))
    yield (f"defrag: no fewer whole pageblocks at the end, within Linux's spread ({ours['whole_end']} / {whole:.1f})",
           ours["whole_end"] >= whole - spread(linux, "whole_end"))


def goals_of_all(results):
    """The same in sum over all settings, where chance evens out: no allowance for it."""
    ours = [setting["defrag"] for setting in results if "defrag" in setting]
    linux = [setting["linux"] for setting in results if "defrag" in setting]
    for text, key, more_is_better in (("no more extfrag events than Linux", "extfrag", False),
                                      ("no fewer whole pageblocks at the end", "whole_end", True)):
        mine, theirs = sum(result[key] for result in ours), sum(mean(runs, key) for runs in linux)
        yield f"defrag: {text} ({mine:,} / {theirs:.1f})", mine >= theirs if more_is_better else mine <= theirs


def replay_everywhere(file, whole, policies):
    results = {}
    for policy in policies:
        results[policy], reserve = replay_ours(file, policy, whole)
        say(f"{policy}: {results[policy]['extfrag']} events, {results[policy]['whole_end']} whole pageblocks")
    results["linux"] = [replay_linux(file, whole, reserve) for _ in range(LINUX_RUNS)]
    for run in results["linux"]:
        say(f"Linux: {run['extfrag']} events, {run['whole_end']} whole pageblocks")
    return results


def write_docs(text):
    path = paths.absolute(PAGE)
    with open(path, encoding="utf-8") as file:
        page = file.read()
    begin, end = "<!-- replay: begin -->", "<!-- replay: end -->"
    page = re.sub(f"{begin}.*?{end}", lambda _: f"{begin}\n```\n{text}\n```\n{end}", page, flags=re.S)
    with open(path, "w", encoding="utf-8") as file:
        file.write(page)


def recordings(args):
    """{what it is: file}"""
    if args.files:
        return {os.path.basename(file): os.path.abspath(file) for file in args.files}
    files = {}
    for name, line in WORKLOADS.items():
        files[line] = paths.absolute(os.path.join(paths.BUILD, f"recording-{name}"))
        for said in command_record.record(line.split(), files[line], args.memory):
            say(f"{name}: {said}")
    return files


def main(args):
    images.build_for(Machine())
    linux_guest.build()
    everything, text, missed = {}, [], 0
    policies = args.policies.split(",")
    for what, file in recordings(args).items():
        for setting, whole in settings_of(file).items():
            results = everything[f"{what}, {setting}"] = replay_everywhere(file, whole, policies)
            text.append(f"{what}, {results['linux'][0]['events']:,} events, {setting}: {whole} pageblocks")
            text.append(table(HEAD, [row_of_linux(results["linux"])] + [row_of(name, results[name]) for name in policies]))
            lines, failed = verdicts(goals(results["defrag"], results["linux"]) if "defrag" in results else ())
            text += lines + [""]
            missed += failed
    lines, failed = verdicts(goals_of_all(everything.values()))
    missed += failed
    text = "\n".join(text + ["all settings:"] + lines)
    print("\n" + text)
    with open(paths.absolute(RESULT), "w", encoding="utf-8") as file:
        json.dump(everything, file, indent=1)
    if args.docs:
        write_docs(text)
    return 1 if missed else 0
