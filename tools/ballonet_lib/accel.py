"""Which accelerator. TCG unless somebody asks for another.

/dev/kvm may be there, open, and yet not run a 64-bit guest: QEMU then hangs or aborts. So KVM is never taken because
the file is there; asked for ("kvm" or "auto"), it has to boot our kernel and bring it to its end within a deadline.
"""
import dataclasses
import os

from . import guest as guests
from .ending import Kind
from .machine import Machine, MachineError

PROBE_SECONDS = 10


def kvm_trouble(mode, qemu):
    """Why KVM cannot be used; "" if it can."""
    if not os.access("/dev/kvm", os.R_OK | os.W_OK):
        return "/dev/kvm is not there or may not be opened"
    probe = Machine(memory="256M", accel="kvm", mode=mode, qemu=qemu, balloon="off")
    ending, _ = guests.run_to_end(probe, f"accel-probe-{os.getpid()}", 'run="exit 0"', PROBE_SECONDS)
    return "" if ending.kind is Kind.PASSED else f"a guest did not come through under it ({ending.detail})"


def settle(machine, say):
    """@machine with its accelerator decided."""
    if machine.accel not in ("auto", "kvm"):
        return machine
    trouble = kvm_trouble(machine.mode, machine.qemu)
    if not trouble:
        return dataclasses.replace(machine, accel="kvm")
    if machine.accel == "kvm":
        raise MachineError(f"KVM was asked for and cannot be used: {trouble}")
    say(f"no KVM: {trouble}; TCG it is")
    return dataclasses.replace(machine, accel="tcg")
