"""`ballonet policies`: thpfioscale under every fragmentation policy, on 1 and 2 nodes, with several seeds.

Every run is a guest of its own. The table has the mean over the seeds and how far they spread; beside it what the
source of the stall measured (mmtests, Linux 4.20), and whether the goals are met. Everything also goes to
build/policies.json, with samples over time for `ballonet plot`.

There is a CPU for each of the four readers or writers, for who faults and for kswapd. With two the table tells of who
waits for whom: then kswapd comes too late now and then, and every policy mixes a few hundred times at once.

A quarter of the memory lies below 4 GiB, the rest above, as on the source's machines: what "another zone of the node"
is worth shows only where there is one. And the min marks are a thousandth of it, what Linux has with huge pages on 64 GiB:
khugepaged asks for 11 pageblocks in each of three zones. The tighter it is the more there is to compare.

By the instruction counter CPUs take turns, and how these meet time slices is chance as much as what a seed decides. With
turns of 100 us, a fortieth of a slice, all seeds met it in the same way, and another word on the command line in another:
vanilla's mean was three times as much. So each seed has turns of its own length.

What a base fault costs is compared in a mode of its own, in which there are no others: under defrag so few faults are
not huge that those few tell of the worst moments only.
"""
import json
import os
import re
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor

from . import images, paths
from .ending import Kind
from .figures import error_of_difference, mean, mean_and_spread
from .guest import run_to_end
from .machine import Machine
from .options import count, counts
from .terminal import say, table, verdicts

POLICIES = "vanilla,nofragment,boost,stall,defrag"
RESULT = os.path.join(paths.BUILD, "policies.json")
PAGE = os.path.join("docs", "memory.md")
NO_HUGE = ("boost", "defrag")  # what is run in mode never
BEGIN, END = "<!-- policies: begin -->", "<!-- policies: end -->"

# Events and share of huge faults that succeeded: (nodes, mode) → policy. The source gives no huge faults for the first two.
SOURCE = {
    (1, "default"): {"vanilla": (804694, None), "nofragment": (408912, None), "boost": (18421, 5.12), "stall": (16788, 5.56)},
    (1, "madvise"): {"vanilla": (291392, None), "nofragment": (191187, None), "boost": (13464, 83.46), "stall": (15089, 100)},
    (2, "default"): {"vanilla": (215698, None), "nofragment": (200210, None), "boost": (14263, 7.91), "stall": (11702, 2.43)},
    (2, "madvise"): {"vanilla": (166352, None), "nofragment": (147463, None), "boost": (11095, 87.98), "stall": (10677, 98.97)},
}


def add_parser(commands):
    parser = commands.add_parser("policies", help="the table of fragmentation policies")
    parser.add_argument("--policies", default=POLICIES, help="default %(default)s")
    parser.add_argument("--nodes", type=counts, default="1,2", help="default %(default)s")
    parser.add_argument("--modes", default="default,madvise,never", help="default %(default)s")
    parser.add_argument("--seeds", type=count, default=5, help="runs of each (default %(default)s)")
    parser.add_argument("--memory", default="2G", help="default %(default)s")
    parser.add_argument("--min-free", type=count, default=1000, metavar="N", help="min_free_kbytes is 1/N of memory (default "
                        "%(default)s)")
    parser.add_argument("--smp", type=count, default=6, help="one for each busy thread (default %(default)s)")
    parser.add_argument("--jobs", type=count, default=os.cpu_count(), help="guests at a time (default %(default)s)")
    parser.add_argument("--parameters", default="", help="more words for `run thpfioscale`")
    parser.add_argument("--real-time", action="store_true", help="not by QEMU's instruction counter, under which a seed "
                        "gives the same figures every time, whatever else the host does")
    parser.add_argument("--docs", action="store_true", help=f"put the table into {PAGE}")
    parser.set_defaults(main=main)


def run_once(args, policy, nodes, mode, seed):
    below = paths.size_bytes(args.memory) // 4 >> 20
    machine = Machine(machine=f"q35,max-ram-below-4g={below}M", memory=args.memory, smp=max(args.smp, nodes), numa=nodes,
                      accel="tcg" if args.real_time else "icount", turn_us=89 + 4 * seed)
    # On the command line, not typed: what comes from outside would come at another moment every time.
    # The DMA zone is kept out of it by its reserve, as it is by its size on the machines of the source.
    line = (f"echo 1 256 32 > /proc/sys/vm/lowmem_reserve_ratio; "
            f"echo {paths.size_bytes(args.memory) // 1024 // args.min_free} > /proc/sys/vm/min_free_kbytes; "
            f"run thpfioscale policy={policy} mode={mode} seed={seed} {args.parameters}")
    ending, console = run_to_end(machine, f"policies-{policy}-{nodes}-{mode}-{seed}", f'run="{line}; exit $?"', 1800)
    line = next((line for line in console.splitlines() if line.startswith("json ")), None)
    if ending.kind != Kind.PASSED or line is None:
        raise SystemExit(f"ballonet: thpfioscale: {ending}\n{console[-2000:]}")
    return json.loads(line[len("json "):])


def share(result):
    return 100 * result["huge"]["count"] / result["asked"] if result["asked"] else 0.0


def row_of(policy, results, vanilla, source):
    events = [result["extfrag"] for result in results]
    less = f"{100 * (1 - mean(events) / vanilla):.1f} %" if vanilla and policy != "vanilla" else ""
    theirs = source.get(policy)
    huge_us = [result["huge"]["mean_ns"] / 1000 for result in results if result["huge"]["count"]]
    base_us = base_us_of(results)
    return (policy, mean_and_spread(events), less, f"{theirs[0]:,}" if theirs else "",
            mean_and_spread([share(result) for result in results], 1), theirs[1] if theirs and theirs[1] else "",
            mean_and_spread([result["stalls"] for result in results]),
            mean_and_spread([result["stall_us"] / 1000 for result in results]),
            "-" if base_us is None else f"{base_us:.1f}", f"{mean(huge_us):,.0f}" if huge_us else "-")


HEAD = ("policy", "extfrag < 9", "less", "source", "huge %", "source", "stalls", "stall ms", "base us", "huge us")


def mean_of(results, key):
    return mean(key(result) for result in results)


def base_us_of(results):
    """The mean of the runs in which any fault was not huge; None: there was no such run."""
    means = [result["base"]["mean_ns"] / 1000 for result in results if result["base"]["count"]]
    return mean(means) if means else None


def base_goal(results):
    ratio = base_us_of(results["defrag"]) / base_us_of(results["boost"])
    return f"defrag: base fault at most 1.2x boost's ({ratio:.2f}x)", ratio <= 1.2


def events_of(results, policy):
    return [run["extfrag"] for run in results[policy]]


def not_above(results, policy, other):
    """Chance, of which every run has its own, goes as far as twice the error."""
    events, others = events_of(results, policy), events_of(results, other)
    more, error = mean(events) - mean(others), error_of_difference(events, others)
    return f"{policy} not above {other}, within twice the error ({more:+,.0f} ± {error:,.0f})", more <= 2 * error


def goals(results, mode):
    """What the table must show for one setting: (text, met) pairs. @results: policy → runs."""
    if mode == "never":
        if all(policy in results for policy in NO_HUGE):
            yield base_goal(results)
        return
    if not all(policy in results for policy in POLICIES.split(",")):
        return
    events = {policy: mean(events_of(results, policy)) for policy in results}
    huge = {policy: mean_of(runs, share) for policy, runs in results.items()}
    yield not_above(results, "nofragment", "vanilla")
    yield "boost at least 90 % below vanilla", events["boost"] <= 0.1 * events["vanilla"]
    yield not_above(results, "stall", "boost")
    yield "defrag at least 99.9 % below vanilla", events["defrag"] <= 0.001 * events["vanilla"]
    if mode == "madvise":
        yield f"stall: huge faults at least 95 % ({huge['stall']:.1f})", huge["stall"] >= 95
        yield f"defrag: huge faults at least 99 % ({huge['defrag']:.1f})", huge["defrag"] >= 99


def goals_of_all(runs):
    """In sum over all settings there is no allowance. @runs: (nodes, mode) → policy → runs."""
    settings = [results for (_, mode), results in runs.items() if mode != "never"]
    if settings and all(policy in results for results in settings for policy in ("vanilla", "nofragment")):
        fewer, more = (sum(mean(events_of(results, policy)) for results in settings) for policy in ("nofragment", "vanilla"))
        yield f"nofragment below vanilla ({fewer:,.0f} / {more:,.0f})", fewer < more


def write_docs(text):
    path = paths.absolute(PAGE)
    with open(path, encoding="utf-8") as file:
        page = file.read()
    page, count = re.subn(re.escape(BEGIN) + ".*?" + re.escape(END), lambda _: f"{BEGIN}\n{text}\n{END}", page, flags=re.S)
    if not count:
        raise SystemExit(f"ballonet: {PAGE} has no place for the table ({BEGIN})")
    with open(path, "w", encoding="utf-8") as file:
        file.write(page)


def report(args, runs):
    """(the tables, how many goals were missed). @runs: (nodes, mode) → policy → runs."""
    text, missed = [], 0
    for (nodes, mode), results in runs.items():
        vanilla = mean(events_of(results, "vanilla")) if "vanilla" in results else 0
        text.append(f"{nodes} node{'s' * (nodes > 1)}, {mode}, {args.memory}, {max(args.smp, nodes)} CPUs, {args.seeds} seeds:")
        text.append(table(HEAD, [row_of(policy, results[policy], vanilla, SOURCE.get((nodes, mode), {}))
                                 for policy in args.policies.split(",") if policy in results]))
        lines, failed = verdicts(goals(results, mode))
        text += lines + [""]
        missed += failed
    lines, failed = verdicts(goals_of_all(runs))
    missed += failed
    text = "\n".join(text + (["all settings but never:"] + lines if lines else [])).rstrip()
    return text, missed


def main(args):
    images.build_for(Machine())
    policies, runs = args.policies.split(","), defaultdict(lambda: defaultdict(list))
    settings = [(nodes, mode) for nodes in args.nodes for mode in args.modes.split(",")]
    # Seeds outermost: what else the host does hits all policies alike.
    wanted = [(policy, nodes, mode, seed) for seed in range(1, args.seeds + 1) for nodes, mode in settings
              for policy in policies if mode != "never" or policy in NO_HUGE]
    with ThreadPoolExecutor(1 if args.real_time else args.jobs) as pool:
        results = pool.map(lambda setting: run_once(args, *setting), wanted)
        for (policy, nodes, mode, seed), result in zip(wanted, results):
            runs[nodes, mode][policy].append(result)
            say(f"seed {seed}, {nodes} node{'s' * (nodes > 1)}, {mode}, {policy}: {result['extfrag']} events, "
                f"{share(result):.1f} % huge, {result['ns'] / 1e9:.1f} s")
    text, missed = report(args, runs)
    print("\n" + text)
    with open(paths.absolute(RESULT), "w", encoding="utf-8") as file:
        json.dump([result for results in runs.values() for list_ in results.values() for result in list_], file)
    if args.docs:
        write_docs(f"```\n{text}\n```")
    return 1 if missed else 0
