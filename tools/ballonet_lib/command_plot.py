"""`ballonet plot`: pictures of what was measured.

Of `ballonet policies`, whose result is the default input: the table as bars, fragmentation over time as lines. Of the
workload `hints`, whose input is a guest's output with the workload's json lines in it: see plot_hints.py. The format is
the output's ending, .png or .svg. Drawn by the distribution's matplotlib.
"""
import contextlib
import json
import os
import subprocess

from . import paths, plot_hints
from .command_policies import RESULT, share
from .figures import mean, spread
from .terminal import say


def add_parser(commands):
    parser = commands.add_parser("plot", help="pictures of what `policies` measured, or `run hints`")
    parser.add_argument("--input", default=RESULT, help="or a guest's output with the json lines of `run hints` in it "
                        "(default %(default)s)")
    parser.add_argument("--output", help="build/policies.svg or build/hints.svg by default")
    parser.set_defaults(main=main)


def draw_bars(axes, results, policies, settings):
    width = 0.8 / len(settings)
    for number, setting in enumerate(settings):
        heights, errors = [], []
        for policy in policies:
            events = [result["extfrag"] for result in results if key(result) == setting and result["policy"] == policy]
            heights.append(mean(events) if events else 0)
            errors.append(spread(events))
        places = [at + number * width for at in range(len(policies))]
        axes.bar(places, heights, width, yerr=errors, capsize=2, label=f"{setting[0]} node{'s' * (setting[0] > 1)}, {setting[1]}")
    axes.set_yscale("symlog", linthresh=1)
    axes.set_xticks([at + 0.4 - width / 2 for at in range(len(policies))], policies)
    axes.set_ylabel("fallbacks below pageblock order")
    axes.set_title("thpfioscale: mixing of types in pageblocks")
    axes.legend(fontsize=8)


def draw_success(axes, results, policies):
    for policy in policies:
        shares = [share(result) for result in results if result["policy"] == policy and result["mode"] == "madvise"]
        if shares:
            axes.bar(policy, mean(shares), yerr=spread(shares), capsize=3)
    axes.set_ylabel("%")
    axes.set_ylim(0, 105)
    axes.set_title("huge faults that got a huge page (madvise)")


def draw_lines(axes, results, policies, column, label, title):
    """One run of each policy, the first seed."""
    for policy in policies:
        run = next((result for result in results if result["policy"] == policy and result["mode"] == "madvise"), None)
        if run:
            samples = sorted(run["samples"])
            axes.plot([sample[0] / 1000 for sample in samples], [column(sample) for sample in samples], label=policy)
    axes.set_xlabel("seconds")
    axes.set_ylabel(label)
    axes.set_title(title)
    axes.legend(fontsize=8)


def key(result):
    return result["nodes"], result["mode"]


def unusable(sample):
    """Percent of the free memory that is not in whole pageblocks."""
    return 100 * (1 - sample[3] / sample[2]) if sample[2] else 0


def draw_policies(results, pyplot):
    results = [result for result in results if result["mode"] != "never"]  # of which not all policies are run
    policies = list(dict.fromkeys(result["policy"] for result in results))
    settings = sorted(set(map(key, results)))
    figure, axes = pyplot.subplots(2, 2, figsize=(12, 8))
    draw_bars(axes[0][0], results, policies, settings)
    draw_success(axes[0][1], results, policies)
    draw_lines(axes[1][0], results, policies, lambda sample: sample[1], "fallbacks so far", "mixing over time (madvise)")
    draw_lines(axes[1][1], results, policies, unusable, "% of free memory", "free memory that is not in whole pageblocks")
    figure.tight_layout()
    return figure


def read_input(path):
    """(what measured it, its results)"""
    try:
        with open(paths.absolute(path), encoding="utf-8", errors="replace") as file:
            text = file.read()
    except OSError as error:
        raise SystemExit(f"ballonet: {path}: {error.strerror}: run `tools/ballonet policies` first") from None
    if text.lstrip().startswith("["):
        with contextlib.suppress(ValueError):
            return "policies", json.loads(text)
    results = plot_hints.read(text)
    if not results:
        raise SystemExit(f"ballonet: {path}: neither the result of `policies` nor json lines of `run hints`")
    return "hints", results


def main(args):
    what, results = read_input(args.input)
    output = args.output or os.path.join(paths.BUILD, f"{what}.svg")
    subprocess.run([paths.absolute("tools/deps"), "plot"], check=True)
    import matplotlib  # only here: nothing else needs it
    matplotlib.use("Agg")
    matplotlib.rcParams["svg.fonttype"] = "none"  # text stays text
    import matplotlib.pyplot as pyplot
    figure = {"policies": draw_policies, "hints": plot_hints.draw}[what](results, pyplot)
    figure.savefig(paths.absolute(output))
    say(f"{output}: {len(results)} results of {what}")
    return 0
