"""What `ballonet replay` reads and writes: buddyinfo, a recording's header, an archive for Linux's initial ram disk."""
import os
import shutil
import struct
import subprocess

import pytest
from ballonet_lib import command_replay, linux_guest, paths

BUDDYINFO = """Node 0, zone      DMA      0      1      0      0      1      1      1      2      0      1      3
Node 0, zone    DMA32     25     24     24     15     13     10      6      5      5     16     13
"""


def test_whole_pageblocks_are_those_of_orders_9_and_10():
    assert command_replay.whole_pageblocks(BUDDYINFO) == 1 + 2 * 3 + 16 + 2 * 13


def test_settings_come_from_the_header(tmp_path):
    file = tmp_path / "recording"
    file.write_bytes(struct.pack("<8sII7Q", b"BLNALLOC", 1, 256, 9, 131040, 124000, 51200, 1, 0, 0).ljust(256, b"\0"))
    assert command_replay.settings_of(file) == {"as recorded": 242, "tight": 102}


def test_goals_compare_defrag_with_linux():
    figures = {"extfrag": 3, "whole_end": 10}
    assert all(met for _, met in command_replay.goals({"linux": figures, "defrag": figures}))
    worse = {"extfrag": 4, "whole_end": 9}
    assert not any(met for _, met in command_replay.goals({"linux": figures, "defrag": worse}))


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
