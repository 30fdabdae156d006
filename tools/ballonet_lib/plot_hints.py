"""What the workload `hints` measured, as a picture: every tracker side by side, for each rate.

The source is the workload's own lines `json {...}`, as they come from the guest's console, of one run or of many.
"""
import json

TRACKERS = ("none", "bitmap", "freelist")
COLOURS = {"none": "0.7", "bitmap": "tab:blue", "freelist": "tab:orange"}


def read(text):
    """The results in a console's output, in order; other lines do not matter."""
    lines = (line[line.index("json {") + len("json "):] for line in text.splitlines() if "json {" in line)
    return [result for result in map(json.loads, lines) if result.get("workload") == "hints"]


def setting(result):
    return result["rate"] or float("inf"), result["order"], result["threads"]


def name(wanted):
    rate = "flat out" if wanted[0] == float("inf") else f"{wanted[0]:,}/s"
    return f"{rate}\norder {wanted[1]}, {wanted[2]} threads"


def draw_bars(axes, results, trackers, value, label, title):
    """For each setting a bar for each tracker: the mean of its runs; what was not told of has no bar."""
    settings = sorted(set(map(setting, results)))
    width = 0.8 / len(trackers)
    for number, tracker in enumerate(trackers):
        for place, wanted in enumerate(settings):
            values = [value(result) for result in results if setting(result) == wanted and result["tracker"] == tracker]
            if values:
                mean = sum(values) / len(values)
                bars = axes.bar(place + (number - (len(trackers) - 1) / 2) * width, mean, width,
                                color=COLOURS.get(tracker), label=tracker if not place else None)
                axes.bar_label(bars, [f"{mean:,.0f}" if mean >= 1000 else f"{mean:.3g}"], fontsize=7)
    axes.margins(y=0.25)  # room for the legend
    axes.set_xticks(range(len(settings)), map(name, settings), fontsize=8)
    axes.set_ylabel(label)
    axes.set_title(title)
    axes.legend(fontsize=8)


def draw(results, pyplot):
    """A figure of four: hit rate, time to tell, blocks a second, cost."""
    told = [tracker for tracker in TRACKERS[1:] if any(result["tracker"] == tracker for result in results)]
    figure, axes = pyplot.subplots(2, 2, figsize=(12, 8))
    draw_bars(axes[0][0], results, told, lambda result: result["hit_permille"] / 10, "%",
              "blocks looked at that were free")
    draw_bars(axes[0][1], results, told, lambda result: result["to_report_ns"] / 1e6, "ms",
              "from the last free until all was told")
    draw_bars(axes[1][0], results, told, lambda result: result["blocks_per_s"], "blocks/s", "told, while it told")
    draw_bars(axes[1][1], results, TRACKERS, lambda result: (result["take"]["p50_ns"] + result["free"]["p50_ns"]) / 1e3,
              "µs", "a take and a free, for the threads (medians)")
    figure.tight_layout()
    return figure
