"""`ballonet replay`: the same allocations for Linux's page allocator and for ours, with equal memory, side by side.

Workloads are recorded in a guest (`ballonet record`), with several seeds, and replayed in guests of one size: Linux by a
module (bench/linux/replay.c), ours under the policies asked for. All begin with the same free pageblocks, the same
min_free_kbytes and nothing else to take (workloads/alloc_replay.c says how), on one CPU, by real time. Pageblocks are
counted with all per-CPU lists drained. Nobody's pages can be moved. Which page comes next in Linux depends on what else
it did, in ours on its daemons; so both replay several times, and the means are compared, recording by recording.
"""
import json
import math
import os
import re
import struct
from dataclasses import replace

from . import command_record, images, linux_guest, paths
from .figures import error_of_difference, mean, mean_and_spread, spread
from .guest import Guest
from .linux_guest import LinuxGuest
from .machine import Machine
from .options import count
from .terminal import say, table, verdicts

NAME = "opt/ballonet/alloc_trace"
RESULT = os.path.join(paths.BUILD, "replay.json")
PAGE = os.path.join("docs", "workloads.md")
WORKLOADS = {
    "churn-90": "churn threads=4 fill=90 operations=300000",
    "churn-97": "churn threads=4 fill=97 operations=300000",
    "churn-97-long": "churn threads=4 fill=97 operations=400000",
    "thpfioscale": "thpfioscale policy=vanilla mode=madvise",
}
ROOM = 256 << 20  # for Linux itself, beyond what the recorded guest had
PAGEBLOCK_ORDER = 9
SETTINGS = ("as recorded", "tight")
TIGHT = 2  # percent more than the most that was held
# A boost left from filling memory up would be free memory that comes later: there is nothing to reclaim with it.
NO_BOOST = "echo 0 > /proc/sys/vm/watermark_boost_factor"


def add_parser(commands):
    parser = commands.add_parser("replay", help="the same allocations in Linux's allocator and in ours")
    parser.add_argument("--policies", default="vanilla,defrag", help="default %(default)s")
    parser.add_argument("--seeds", type=count, default=5, help="recordings of each workload (default %(default)s)")
    parser.add_argument("--runs", type=count, default=2, help="replays of each in each allocator (default %(default)s)")
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
    return dict(zip(SETTINGS, (free >> PAGEBLOCK_ORDER, -(-peak * (100 + TIGHT) // 100) + 511 >> PAGEBLOCK_ORDER)))


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


# What it is, a result's key, 1: more is better, -1: less is.
GOALS = (("no more extfrag events than Linux", "extfrag", -1), ("no fewer whole pageblocks at the end", "whole_end", 1))
HEAD = ("", "extfrag < 9", "whole pageblocks: at the end", "more than Linux", "beginning", "failed", "ns each")


def mean_of(runs, key):
    return mean(run[key] for run in runs)


def mean_of_all(replays, name, key):
    """@replays: for each recording {policy or "linux": runs}."""
    return mean(mean_of(replay[name], key) for replay in replays)


def differences(replays, name, key):
    """How much more than Linux it has, for each recording."""
    return [mean_of(replay[name], key) - mean_of(replay["linux"], key) for replay in replays]


def error_of(replays, name, key):
    """The standard error of the mean difference; for a single recording that of the difference of both means."""
    if len(replays) > 1:
        return spread(differences(replays, name, key)) / math.sqrt(len(replays))
    return error_of_difference(*([run[key] for run in replays[0][who]] for who in (name, "linux")))


def row_of(replays, name):
    more = "" if name == "linux" else mean_and_spread(differences(replays, name, "whole_end"), 1)
    return (name, f"{mean_of_all(replays, name, 'extfrag'):.1f}", f"{mean_of_all(replays, name, 'whole_end'):.1f}", more,
            f"{mean_of_all(replays, name, 'whole_begin'):.0f}", f"{mean_of_all(replays, name, 'failed'):.1f}",
            min(run["each_ns"] for replay in replays for run in replay[name]))


def goals(replays):
    """(text, met) pairs: ours against Linux, for one workload and setting. Chance goes as far as twice the error."""
    for text, key, sign in GOALS:
        more, error = mean(differences(replays, "defrag", key)), error_of(replays, "defrag", key)
        yield f"defrag: {text}, within twice the error ({more:+.1f} ± {error:.1f})", sign * more >= -2 * error


def goals_of_all(everything):
    """The same in sum over all recordings and settings, where chance evens out: no allowance for it."""
    for text, key, sign in GOALS:
        mine, theirs = (sum(mean_of(replay[name], key) for replays in everything for replay in replays)
                        for name in ("defrag", "linux"))
        yield f"defrag: {text} ({mine:,.1f} / {theirs:,.1f})", sign * (mine - theirs) >= 0


def replay_everywhere(args, file, whole):
    """{policy or "linux": results}"""
    results = {}
    for policy in args.policies.split(","):
        runs = [replay_ours(file, policy, whole) for _ in range(args.runs)]
        results[policy], reserve = [result for result, _ in runs], runs[0][1]
    results["linux"] = [replay_linux(file, whole, reserve) for _ in range(args.runs)]
    for name, runs in results.items():
        say(f"{name}: events {', '.join(str(run['extfrag']) for run in runs)}; "
            f"whole pageblocks {', '.join(str(run['whole_end']) for run in runs)}")
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
    """{what they are: files}"""
    if args.files:
        return {os.path.basename(file): [os.path.abspath(file)] for file in args.files}
    files = {}
    for name, line in WORKLOADS.items():
        files[line] = [paths.absolute(os.path.join(paths.BUILD, f"recording-{name}-{seed + 1}")) for seed in range(args.seeds)]
        for seed, file in enumerate(files[line], 1):
            for said in command_record.record([*line.split(), f"seed={seed}"], file, args.memory):
                say(f"{name}, seed {seed}: {said}")
    return files


def section(what, setting, replays, policies):
    """(text, how many goals were missed)"""
    number = f", {len(replays)} recordings" if len(replays) > 1 else ""
    lines, missed = verdicts(goals(replays) if "defrag" in policies else ())
    text = [f"{what}{number}, {setting}", table(HEAD, [row_of(replays, name) for name in ("linux", *policies)]), *lines, ""]
    return text, missed


def main(args):
    images.build_for(Machine())
    linux_guest.build()
    everything, text, missed, policies = {}, [], 0, args.policies.split(",")
    for what, files in recordings(args).items():
        for setting in SETTINGS:
            say(f"{what}, {setting}")
            replays = [replay_everywhere(args, file, settings_of(file)[setting]) for file in files]
            everything[f"{what}, {setting}"] = replays
            lines, failed = section(what, setting, replays, policies)
            text += lines
            missed += failed
    if "defrag" in policies:
        lines, failed = verdicts(goals_of_all(everything.values()))
        text += ["all of it:"] + lines
        missed += failed
    text = "\n".join(text).rstrip()
    print("\n" + text)
    with open(paths.absolute(RESULT), "w", encoding="utf-8") as file:
        json.dump(everything, file, indent=1)
    if args.docs:
        write_docs(text)
    return 1 if missed else 0
