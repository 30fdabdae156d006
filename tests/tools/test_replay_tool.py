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
    return {"extfrag": extfrag, "whole_end": whole_end}


LINUX = [run(1, 10), run(2, 12), run(3, 14)]


def met(pairs):
    return [was for _, was in pairs]


def test_one_setting_is_held_against_the_mean_within_the_spread():
    assert met(command_replay.goals(run(2, 12), LINUX)) == [True, True]
    assert met(command_replay.goals(run(2, 11), LINUX)) == [True, True]
    assert met(command_replay.goals(run(3, 10), LINUX)) == [False, False]


def test_the_sum_has_no_allowance():
    good, bad = {"linux": LINUX, "defrag": run(1, 13)}, {"linux": LINUX, "defrag": run(3, 11)}
    assert met(command_replay.goals_of_all([good, bad])) == [True, True]
    assert met(command_replay.goals_of_all([bad])) == [False, False]
    assert met(command_replay.goals_of_all([good, good, bad])) == [True, True]
    assert "(5 / 4.0)" in next(iter(command_replay.goals_of_all([bad | {"defrag": run(5, 11)}, {"linux": [run(2, 0)], "defrag": run(0, 0)}])))[0]


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
