"""Address spaces from the shell: files in them, and the session that docs/address-spaces.md shows."""
import re

from ballonet_lib import paths

SESSION = dict(memory="128M", smp=2, append="ivshmem.coherent=1M")


def smaps(guest, name):
    """The figures of the area that shows @name, in KiB."""
    part = guest.sh("cat /proc/1/smaps").output.split(f" {name}\n", 1)[1]
    return {key: int(value) for key, value in re.findall(r"^(\w+): +(\d+) kB$", part.split("VmFlags")[0], re.M)}


def mm(guest, line):
    reply = guest.sh(f"mm {line}")
    assert reply.status == 0, f"mm {line}: {reply.output}"
    return reply.output


def test_files_in_address_spaces(boot):
    guest = boot(memory="128M")
    first = mm(guest, "new")
    shared = mm(guest, "map file 9 32K shared")
    mm(guest, f"touch {shared} 16K")
    mm(guest, f"write {shared} 4 text")
    figures = smaps(guest, "file:9")
    assert (figures["Rss"], figures["Pss"], figures["Private_Dirty"], figures["Anonymous"]) == (16, 16, 4, 0)

    # Another space, a private area of the same file, from its second page on.
    mm(guest, "new")
    private = mm(guest, "map file 9 8K +1")
    before = mm(guest, f"read {private} 16")
    mm(guest, f"write {private} 3 own")
    assert (smaps(guest, "file:9")["Rss"], smaps(guest, "file:9")["Anonymous"]) == (4, 4)
    mm(guest, f"touch {private} 8K")
    mm(guest, f"use {first}")
    assert mm(guest, f"read {shared} 4").endswith("text")
    assert mm(guest, f"read {int(shared, 16) + 4096:#x} 16").split(": ")[1] == before.split(": ")[1]
    figures = smaps(guest, "file:9")
    assert (figures["Pss"], figures["Shared_Clean"], figures["Shared_Dirty"]) == (14, 4, 0)

    # Written back and dropped: what is mapped stays, and what was changed.
    assert guest.sh("mm file 9 sync").output == "1 pages written back"
    assert guest.sh("echo 3 > /proc/sys/vm/drop_caches").status == 0
    assert smaps(guest, "file:9")["Rss"] == 16
    mm(guest, f"write {shared} 4 more")
    assert guest.sh("mm file 9 sync").output == "1 pages written back"
    mm(guest, "file 9 truncate")
    assert smaps(guest, "file:9")["Rss"] == 0
    assert not mm(guest, f"read {shared} 4").endswith("more")
    mm(guest, "check")
    for number in ("1", "2"):
        mm(guest, f"end {number}")
    assert guest.sh("cat /proc/pageowners").output.split("anon")[1].split()[0] == "0"


def without_frames(text):
    """Where pages happen to lie is no part of what is shown."""
    return re.sub(r"frame 0x[0-9a-f]+|0x[0-9a-f]{16}:|\d+ faults, \d+ tables", "#", text)


def test_the_documented_session_is_a_real_one(boot, tmp_path):
    with open(paths.absolute("docs/address-spaces.md"), encoding="utf-8") as file:
        page = file.read().split("<!-- session: begin -->\n```\n")[1].split("\n```\n<!-- session: end -->")[0]
    guest = boot(extra=["-object", f"memory-backend-file,id=vram,size=2M,mem-path={tmp_path / 'vram'},share=on",
                        "-device", "ivshmem-plain,memdev=vram"], **SESSION)
    real = []
    for line in re.findall(r"^ballonet> (.*)$", page, re.M):
        output = guest.sh(line).output
        real += [f"ballonet> {line}"] + ([output] if output else [])
    real = "\n".join(text.rstrip() for text in "\n".join(real).splitlines())
    assert without_frames(real) == without_frames(page), real
