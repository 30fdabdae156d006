"""`ballonet record`: runs a workload in a guest and keeps what it asked of the page allocator in a file.

The guest records into its own memory (`record` in its shell); the file is taken out of it over QMP when the workload is
done. By QEMU's instruction counter a seed gives the same recording every time. docs/workloads.md has the format.
"""
import os
import re

from . import images, paths
from .guest import READY, Guest
from .machine import Machine
from .options import count
from .terminal import say


def add_parser(commands):
    parser = commands.add_parser("record", help="a workload's page allocations into a file")
    parser.add_argument("-o", "--output", required=True, metavar="FILE")
    parser.add_argument("--memory", default="512M", help="default %(default)s")
    parser.add_argument("--smp", type=count, default=2, help="default %(default)s")
    parser.add_argument("--real-time", action="store_true", help="not by QEMU's instruction counter")
    parser.add_argument("words", nargs="+", metavar="WORKLOAD [KEY=VALUE...]", help="as for `run` in the guest; "
                        "events=N before it makes room for more than two million")
    parser.set_defaults(main=main)


def fetch(guest, output):
    """The recording out of the guest's memory, where its file says that it lies."""
    pieces = re.findall(r"^piece (0x[0-9a-f]+) (\d+)$", guest.sh("cat /sys/kernel/debug/alloc_record").output, re.MULTILINE)
    piece = os.path.join(guest.directory, "piece")
    with open(output, "wb") as file:
        for address, size in pieces:
            guest.qmp("pmemsave", val=int(address, 16), size=int(size), filename=piece)
            with open(paths.absolute(piece), "rb") as part:
                file.write(part.read())
    os.remove(paths.absolute(piece))


def record(words, output, memory="512M", smp=2, real_time=False, timeout=900, name="record"):
    """What the guest said of the recording. Raises GuestError; SystemExit with what it said if the workload failed."""
    line = "record " + " ".join(words)
    machine = Machine(memory=memory, smp=smp, balloon="off", append=f'run="{line}; echo status $?; echo {READY}"',
                      accel="tcg" if real_time else "icount")
    with Guest(machine, name) as guest:
        guest.wait_ready(timeout)
        said = [text for text in guest.console.splitlines() if text.startswith("record: ")]
        if not re.search(r"^status 0$", guest.console, re.MULTILINE) or not said:
            raise SystemExit(f"ballonet: {line}: failed\n{guest.console[-2000:]}")
        fetch(guest, output)
    return said


def main(args):
    images.build_for(Machine())
    for line in record(args.words, args.output, args.memory, args.smp, args.real_time):
        say(line)
    say(f"{args.output}: {os.path.getsize(args.output):,} bytes")
    return 0
