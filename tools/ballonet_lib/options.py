"""The options that describe a machine, the same for all commands."""
import argparse

from . import accel, terminal
from .machine import BOOTS, MODES, Machine


def count(text):
    """For argparse: a whole number of what there must be one of."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f'at least 1, not "{text}"')
    return int(text)


def counts(text):
    return [count(word) for word in text.split(",")]


def add_machine_options(parser, **defaults):
    group = parser.add_argument_group("the machine")
    plain = Machine(**defaults)
    group.add_argument("--boot", choices=BOOTS, default=plain.boot, help="boot path (default %(default)s)")
    group.add_argument("--machine", default="", help="q35 (default), pc, microvm; QEMU's own options behind a comma")
    group.add_argument("--memory", default=plain.memory, metavar="SIZE", help="512M, 16G (default %(default)s)")
    group.add_argument("--smp", type=int, default=plain.smp, metavar="N", help="CPUs (default %(default)s)")
    group.add_argument("--numa", type=int, default=plain.numa, metavar="N", help="NUMA nodes (default %(default)s)")
    group.add_argument("--balloon", default=plain.balloon, metavar="KEY=VAL,…", help="on (default), off, or QEMU's "
                       "options for the device, such as free-page-reporting=on")
    group.add_argument("--append", default="", metavar="WORDS", help="more words for the kernel's command line")
    group.add_argument("--accel", default=plain.accel, metavar="NAME", help="tcg (default), icount: the same every time, "
                       "kvm, auto: KVM only if a guest comes through a trial boot in time")
    group.add_argument("--qemu", default=plain.qemu, metavar="PATH", help="QEMU to use (default %(default)s)")
    group.add_argument("--mode", choices=MODES, default=plain.mode, help="build of the kernel (default %(default)s)")
    group.add_argument("--kernel", default="", metavar="FILE", help="another kernel image")
    group.add_argument("--extra", nargs=argparse.REMAINDER, default=[], help="all that follows goes to QEMU")
    group.add_argument("--dry-run", action="store_true", help="print QEMU's command line and do nothing")


def machine_from(args):
    """Raises MachineError with what is wrong."""
    machine = Machine(args.boot, args.machine, args.memory, args.smp, args.numa, args.balloon, args.append, args.accel,
                      args.qemu, args.mode, args.kernel, args.extra)
    return machine if args.dry_run else accel.settle(machine, terminal.say)
