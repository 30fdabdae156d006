"""What people read: progress lines, tables, amounts. Plain text, the same with and without a terminal."""
import sys
import time

START = time.monotonic()


def say(text):
    """A progress line with the seconds since the start."""
    print(f"[{time.monotonic() - START:6.1f} s] {text}", flush=True)


def complain(text):
    print(f"ballonet: {text}", file=sys.stderr, flush=True)


def mib(size):
    return f"{size / (1 << 20):,.0f} MiB"


def seconds(value):
    return f"{value * 1000:.0f} ms" if value < 1 else f"{value:.2f} s"


def table(head, rows):
    """Columns as wide as their widest cell; the first flush left, the others flush right."""
    rows = [[str(cell) for cell in row] for row in rows]
    widths = [max(len(row[i]) for row in [head] + rows) for i in range(len(head))]

    def line(cells):
        return "  ".join(cell.ljust(width) if i == 0 else cell.rjust(width)
                         for i, (cell, width) in enumerate(zip(cells, widths))).rstrip()

    return "\n".join([line(head), line(["-" * width for width in widths])] + [line(row) for row in rows])


def verdicts(goals):
    """(a line for each (text, met) pair, how many were missed)"""
    goals = list(goals)
    return [f"  {'met   ' if met else 'MISSED'}  {text}" for text, met in goals], sum(not met for _, met in goals)
