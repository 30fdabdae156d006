"""`ballonet migrate`: moves a running guest to a second QEMU, without and with free page hinting, and compares.

The guest has once touched most of its memory and freed it again; while it is moved, all CPUs take, name, check and free
memory (run patterns), and go on doing so at the destination. A table; the same in build/migrate.json.
"""
import contextlib
import json
import os
import time

from . import images, migration, paths
from .ending import Ending, Kind
from .guest import Guest, GuestError
from .machine import Machine
from .options import add_machine_options, machine_from
from .terminal import say, table

PATIENCE = 600  # seconds that a move may take on a busy machine; the guest is interrupted when it has arrived


def add_parser(commands):
    parser = commands.add_parser("migrate", help="live migration to a second QEMU, without and with hinting")
    parser.add_argument("--touch", default="7G", metavar="SIZE", help="memory that was used once and is free (default "
                        "%(default)s)")
    parser.add_argument("--busy", default="64M", metavar="SIZE", help="memory in use meanwhile (default %(default)s)")
    parser.add_argument("--seconds", type=int, default=5, help="how long the guest stays busy at the destination (default "
                        "%(default)s)")
    add_machine_options(parser, memory="8G", smp=2)
    parser.set_defaults(main=main)


def one(base, hinting, args):
    """(Moved, what the guest found at the destination)"""
    options = "free-page-hint=on" if hinting else "on"
    machine = Machine(**{**{name: getattr(base, name) for name in base.__dataclass_fields__}, "balloon": options})
    name = "migrate-" + ("hinting" if hinting else "plain")
    with Guest(machine, name) as source:
        source.wait_ready()
        if source.sh(f"run touch size={args.touch}", timeout=300).status != 0:
            raise GuestError(Ending(Kind.FAILED, f"the guest cannot touch {args.touch}"), source.console)
        source.send(f"run patterns seconds={PATIENCE} size={args.busy}\n")
        target, moved = migration.move(source, name + "-target", timeout=PATIENCE - 60)
        early = "patterns:" in source.console
    with contextlib.closing(target):
        if early:
            raise GuestError(Ending(Kind.FAILED, "the guest was no longer busy when it was handed over"), source.console)
        time.sleep(args.seconds)
        target.send("\x03")
        report = target.expect(r"patterns: .* (\d+) wrong\n(?:\[.*\n)*=> (-?\d+)\n", 120, "the guest's verdict")
        kept = target.sh("cat /proc/balloon").output
        assert target.sh("echo on").output == "on"
    return moved, int(report[1]), int(report[2]), kept


def row(name, moved, wrong):
    return (name, f"{moved.sent_bytes / 1e6:,.1f}", f"{moved.full_pages:,}", f"{moved.zero_pages:,}",
            f"{moved.skipped_pages:,}", str(moved.rounds), f"{moved.seconds:.2f}", f"{moved.downtime * 1e3:.0f}", str(wrong))


def main(args):
    base = machine_from(args)
    if args.dry_run:
        print(paths.shell_line(base.argv(os.path.join(paths.GUESTS, "migrate"), "")))
        return 0
    images.build_for(base)
    results, rows, failed = {}, [], False
    for hinting in (False, True):
        name = "hinting" if hinting else "plain"
        say(f"migrating {base.memory}, {args.touch} of it once touched and free, {name}")
        moved, wrong, status, _ = one(base, hinting, args)
        results[name] = {**vars(moved), "skipped_pages": moved.skipped_pages, "wrong": wrong}
        rows.append(row(name, moved, wrong))
        failed = failed or status != 0
    print("\n" + table(("", "MB sent", "whole pages", "zero pages", "skipped", "rounds", "s", "downtime ms", "wrong"), rows))
    print(f"\n{results['plain']['sent_bytes'] / results['hinting']['sent_bytes']:.1f} times fewer bytes with hinting")
    with open(paths.absolute(os.path.join(paths.BUILD, "migrate.json")), "w", encoding="utf-8") as file:
        json.dump(results, file, indent=1)
    return 1 if failed else 0
