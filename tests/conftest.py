"""For all Python tests: where the tools are, and how a run is cut in parts that run at the same time."""
import os
import sys

import pytest

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "tools"))


def pytest_addoption(parser):
    parser.addoption("--shard", default="1/1", metavar="I/N", help="run every Nth test only, beginning with the Ith")


def pytest_collection_modifyitems(config, items):
    part, parts = (int(number) for number in config.getoption("--shard").split("/"))
    if not 1 <= part <= parts:
        raise pytest.UsageError("--shard takes I/N with I from 1 to N")
    items[:] = [item for number, item in enumerate(items) if number % parts == part - 1]
