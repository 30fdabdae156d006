"""What `ballonet replay` reads and writes (a recording's header, an archive for Linux's initial ram disk), and its goals."""
import os
import shutil
import struct
import subprocess

import pytest
from ballonet_lib import command_replay, linux_guest, paths


def test_settings_come_from_the_header(tmp_path):
    file = tmp_path / "recording"
    file.write_bytes(struct.pack("<8sII7Q", b"BLNALLOC", 1, 256, 9, 131040, 124000, 51200, 1, 0, 0).ljust(256, b"\0"))
    assert command_replay.settings_of(file) == {"as recorded": 242, "tight": 102}


def run(extfrag, whole_end):
    return {"extfrag": extfrag, "whole_end": whole_end, "whole_begin": 200, "failed": 0, "each_ns": 100}


def replay(extfrag, whole_end, *linux):
    """Two replays in ours with these means."""
    return {"defrag": [run(extfrag - 1, whole_end - 1), run(extfrag + 1, whole_end + 1)], "linux": list(linux)}


LINUX = [run(1, 10), run(2, 12), run(3, 14)]


def met(pairs):
    return [was for _, was in pairs]


def test_a_single_recording_is_held_against_the_mean_within_twice_the_error():
    """Of ours 1 (two runs with a spread of 1.4), of Linux's 0.6 and 1.2 (three with 1 and 2): 1.2 and 1.5 together."""
    assert met(command_replay.goals([replay(2, 12, *LINUX)])) == [True, True]
    assert met(command_replay.goals([replay(4, 9, *LINUX)])) == [True, True]
    assert met(command_replay.goals([replay(5, 8, *LINUX)])) == [False, False]


def test_several_are_held_against_linux_one_by_one():
    """However far recordings are from each other; what counts is by how much each differs."""
    few, many = [run(0, 10)], [run(0, 100)]
    assert met(command_replay.goals([replay(0, 7, *few), replay(0, 97, *many)])) == [True, False]
    assert met(command_replay.goals([replay(0, 7, *few), replay(0, 99, *many)])) == [True, True]
    row = command_replay.row_of([replay(0, 9, *few), replay(0, 103, *many)], "defrag")
    assert row[2:4] == ("56.0", "1.0 ± 2.8")


def test_the_sum_has_no_allowance():
    good, bad = [replay(1, 13, *LINUX)], [replay(3, 11, *LINUX)]
    assert met(command_replay.goals_of_all([good, bad])) == [True, True]
    assert met(command_replay.goals_of_all([bad])) == [False, False]
    assert met(command_replay.goals_of_all([good, good + bad])) == [True, True]
    sums = command_replay.goals_of_all([[replay(5, 11, *LINUX)], [replay(0, 0, run(2, 0))]])
    assert "(5.0 / 4.0)" in next(iter(sums))[0]


@pytest.mark.skipif(not shutil.which("cpio"), reason="there is no cpio to read it with")
def test_cpio_reads_the_archive_behind_the_initial_ram_disk(tmp_path, monkeypatch):
    os.makedirs(tmp_path / "build" / "linux")
    monkeypatch.setattr(paths, "ROOT", str(tmp_path))
    (tmp_path / linux_guest.INITRD).write_bytes(b"123")  # padded to 4 bytes
    (tmp_path / "file").write_bytes(b"content" * 99)
    both = (tmp_path / linux_guest.initrd_with(tmp_path / "file", "recording")).read_bytes()
    assert both[:4] == b"123\0"
    found = subprocess.run(["cpio", "--quiet", "-i", "--to-stdout", "recording"], input=both[4:], stdout=subprocess.PIPE,
                           check=True)
    assert found.stdout == b"content" * 99
