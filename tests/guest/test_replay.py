"""Recordings: taken out of a guest, read as the documentation says, and replayed by another one and by the hosted build."""
import json
import os
import struct
import subprocess

import pytest
from ballonet_lib import Machine, command_record, images, paths

NAME = "opt/ballonet/alloc_trace"
HEADER = struct.Struct("<8sII7Q120s64s")  # docs/workloads.md
EVENT = struct.Struct("<IHBB")
WORKLOAD = ["churn", "threads=2", "fill=80", "operations=6000", "seed=3"]


@pytest.fixture(scope="module")
def recording(tmp_path_factory):
    images.build_for(Machine())
    path = tmp_path_factory.mktemp("recordings") / "churn"
    command_record.record(WORKLOAD, str(path), memory="128M", name=f"record-{os.getpid()}")  # shards run side by side
    return path


def replayed(output):
    line = next((line for line in output.splitlines() if line.startswith("json ")), None)
    assert line, output
    return json.loads(line[5:])


def test_a_recording_is_what_the_documentation_says(recording):
    data = recording.read_bytes()
    magic, version, size, events, pages, _free, peak, seed, unknown, lost, workload, rest = HEADER.unpack_from(data)
    assert (magic, version, size, seed, lost) == (b"BLNALLOC", 1, HEADER.size, 3, 0)
    assert workload.rstrip(b"\0").decode() == " ".join(WORKLOAD) and not any(rest)
    assert len(data) == size + 8 * events and events > 5000 and unknown < 100
    held, most = {}, 0
    for page, _thread, kind_order, _gfp in EVENT.iter_unpack(data[size:]):
        kind, order = kind_order & 15, kind_order >> 4
        assert page < pages and order <= 10 and kind in (1, 2)
        if kind == 1:
            assert page not in held
            held[page] = order
        else:
            assert held.pop(page) == order
        most = max(most, sum(1 << order for order in held.values()) if kind == 1 and not page % 64 else 0)
    assert 0 < most <= peak


def test_a_replay_ends_the_same_in_every_guest_to_the_page(recording, start):
    ends = []
    for _ in range(2):
        guest = start(f'run="run replay file={NAME} policy=defrag; exit $?"', memory="192M", smp=1, balloon="off",
                      accel="icount", extra=["-fw_cfg", f"name={NAME},file={recording}"])
        assert guest.wait(120).kind.value == 0, guest.console
        ends.append(replayed(guest.console))
    assert ends[0] == ends[1]
    assert ends[0]["allocations"] > 3000 and ends[0]["whole_end"] < ends[0]["whole_begin"]


def test_the_hosted_build_replays_the_same_file(recording):
    program = "build/host-asan/bench-replay"  # the tests have built nearly all of it
    subprocess.run(["make", "MODE=host-asan", program], cwd=paths.ROOT, check=True, stdout=subprocess.DEVNULL)
    bench = [paths.absolute(program), str(recording), "192", "boost"]
    ends = [replayed(subprocess.run(bench, check=True, stdout=subprocess.PIPE, text=True, timeout=120).stdout)
            for _ in range(2)]
    for end in ends:
        del end["each_ns"]
    assert ends[0] == ends[1] and ends[0]["failed"] == 0


def test_a_file_that_is_cut_short_is_refused(recording, boot, tmp_path):
    short = tmp_path / "short"
    short.write_bytes(recording.read_bytes()[:-20])
    guest = boot(memory="192M", balloon="off", extra=["-fw_cfg", f"name={NAME},file={short}"])
    reply = guest.sh(f"run replay file={NAME}")
    assert reply.status and "truncated" in reply.output and len(reply.lines) <= 2
