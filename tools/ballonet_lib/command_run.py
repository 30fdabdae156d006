"""`ballonet run`: boots to the shell, on this terminal. Ctrl-A c switches to QEMU's monitor, Ctrl-A x ends."""
import os
import subprocess
import sys

from . import images, paths, terminal
from .ending import Ending, Kind, classify
from .guest import PANIC_LINE, die_with_parent
from .options import add_machine_options, machine_from


def add_parser(commands):
    parser = commands.add_parser("run", help="boot to the shell (Ctrl-A c: QEMU's monitor, Ctrl-A x: end)")
    parser.add_argument("--name", default="run", help="logs go to build/guests/NAME (default %(default)s)")
    parser.add_argument("--timeout", type=float, metavar="S", help="end after so many seconds, with status 3")
    add_machine_options(parser)
    parser.set_defaults(main=main)


def main(args):
    machine = machine_from(args)
    directory = os.path.join(paths.GUESTS, args.name)
    argv = machine.argv(directory, machine.append, interactive=sys.stdin.isatty())
    if args.dry_run:
        print(paths.shell_line(argv))
        return 0
    images.build_for(machine)
    os.makedirs(paths.absolute(directory), exist_ok=True)
    machine.prepare(directory, machine.append)
    argv = machine.argv(directory, machine.append, interactive=sys.stdin.isatty())
    with open(paths.absolute(os.path.join(directory, "qemu.txt")), "w", encoding="utf-8") as file:
        file.write(paths.shell_line(argv) + "\n")
    serial_log = paths.absolute(os.path.join(directory, "serial.log"))
    with open(serial_log, "w", encoding="ascii"):
        pass  # QEMU may not come so far as to make it
    ending = run(argv, args.timeout, serial_log)
    if ending.kind is not Kind.PASSED:
        terminal.complain(str(ending))
    return ending.kind.value


def run(argv, timeout, serial_log):
    try:
        returncode = subprocess.run(argv, cwd=paths.ROOT, timeout=timeout, preexec_fn=die_with_parent).returncode
    except subprocess.TimeoutExpired:
        return Ending(Kind.TIMEOUT, f"still running after {timeout:g} s")
    except OSError as error:
        return Ending(Kind.NO_START, f"{argv[0]}: {error.strerror}")
    if returncode == 0 and sys.stdin.isatty():
        return Ending(Kind.PASSED, "ended by the user")
    with open(serial_log, encoding="ascii", errors="replace") as file:
        said = file.read().replace("\r", "")
    reason = PANIC_LINE.search(said)
    return classify(returncode, bool(said), "", reason[1] if reason else "")
