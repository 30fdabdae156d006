"""Fixtures that boot guests.

`boot(memory="1G", smp=2, …)` gives a guest that sits at its shell; `start(cmdline, …)` one that runs whatever its
command line says. Each is named after the test, and its logs stay in build/guests/<test>/.
"""
import pytest
from ballonet_lib import Guest, Machine, images


@pytest.fixture
def guests(request):
    """Makes guests, and ends those that are left when the test is over."""
    running = []

    def make(cmdline=None, **options):
        machine = Machine(**options)
        images.build_for(machine)
        name = request.node.name + (f"-{len(running) + 1}" if running else "")
        running.append(Guest(machine, name, cmdline))
        return running[-1].start()

    yield make
    for guest in running:
        guest.close()


@pytest.fixture
def boot(guests):
    return lambda **options: guests(**options).wait_ready()


@pytest.fixture
def start(guests):
    return guests
