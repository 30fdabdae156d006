"""QEMU's command line from the options, and the small parsers around it."""
import subprocess

import pytest
from ballonet_lib import Machine, MachineError, balloon, ending, paths
from ballonet_lib.ending import Kind


def line(**options):
    return " ".join(Machine(**options).argv("build/guests/x", "words"))


def test_defaults_are_tcg_on_q35():
    text = line()
    assert "-machine q35 -accel tcg,thread=multi" in text
    assert "-kernel build/release/ballonet.elf -append words" in text
    assert "virtio-balloon-pci,id=balloon" in text


def test_by_instructions_several_cpus_take_short_turns():
    text = line(accel="icount", smp=2)
    assert "-accel tcg,thread=single" in text and "-icount shift=0,sleep=off" in text
    assert "filter-buffer,id=turn,netdev=turns,interval=100" in text
    assert "netdev=turns,interval=97" in line(accel="icount", smp=2, turn_us=97)
    assert "filter-buffer" not in line(accel="icount") and "-icount" not in line(smp=2)


def test_nodes_share_memory_and_cpus():
    text = line(memory="1025M", smp=5, numa=2)
    assert "id=node0,size=512M" in text and "id=node1,size=513M" in text
    assert "memdev=node0,cpus=0-1" in text and "memdev=node1,cpus=2-4" in text


def test_balloon_options():
    assert "virtio-balloon" not in line(balloon="off")
    assert "virtio-balloon-pci,id=balloon,free-page-reporting=on" in line(balloon="free-page-reporting=on")
    assert "virtio-balloon-device,id=balloon" in line(boot="microvm")
    assert "iothread,id=hint" in line(balloon="free-page-hint=on")


@pytest.mark.parametrize("options, says", [
    ({"boot": "floppy"}, "floppy"),
    ({"mode": "fast"}, "fast"),
    ({"memory": "lots"}, "lots"),
    ({"memory": "0"}, "0"),
    ({"smp": 0}, "at least one CPU"),
    ({"numa": 2}, "need at least as many CPUs"),
    ({"boot": "microvm", "numa": 2, "smp": 2}, "no NUMA"),
    ({"boot": "bios", "machine": "microvm"}, "PVH only"),
])
def test_machines_that_cannot_be(options, says):
    with pytest.raises(MachineError, match=says):
        Machine(**options)


def test_dry_run_prints_the_line():
    done = subprocess.run([paths.absolute("tools/ballonet"), "run", "--dry-run", "--smp", "4", "--append", "a=b c"],
                          capture_output=True, text=True, check=True)
    assert "-smp 4" in done.stdout
    assert "-append 'a=b c'" in done.stdout


def test_sizes():
    assert paths.size_bytes("512M") == 512 << 20
    assert paths.size_bytes("16G") == 16 << 30
    assert paths.size_bytes("64") == 64 << 20


def test_numbers():
    text = "MemTotal:  1024 kB\nnr_free_pages 7\nNode 0, zone DMA\n"
    assert balloon.numbers(text) == {"MemTotal": 1 << 20, "nr_free_pages": 7}


@pytest.mark.parametrize("returncode, heard, complaints, kind", [
    (33, True, "", Kind.PASSED),
    (35, True, "", Kind.FAILED),
    (37, True, "", Kind.PANIC),
    (1, False, "qemu: no such machine", Kind.NO_START),
    (1, True, "", Kind.LOST),
    (0, True, "", Kind.LOST),
    (34, True, "", Kind.LOST),
    (-9, True, "", Kind.LOST),
    (-6, False, "", Kind.LOST),
])
def test_endings(returncode, heard, complaints, kind):
    assert ending.classify(returncode, heard, complaints).kind is kind
