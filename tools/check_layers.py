#!/usr/bin/python3
"""Checks the layers from the include lines: a folder includes only itself and lower ones.

lib < arch, kernel < mm < cgroup < drivers < workloads < init; tests may include everything. arch and kernel are one
layer. Two more rules: <arch/...> headers are for everybody, and mm/, cgroup/ and the ring never touch ports, MMIO or
inline assembly.
"""
import os
import re
import sys

LAYERS = (("lib",), ("arch", "kernel"), ("mm",), ("cgroup",), ("drivers",), ("workloads",), ("init",))
RANK = {folder: rank for rank, folders in enumerate(LAYERS) for folder in folders}
INCLUDE = re.compile(r'^\s*#\s*include\s+(?:"([^"]+)"|<([^>]+)>)', re.MULTILINE)
COMPILER_HEADERS = {"stdarg.h", "stdbool.h", "stddef.h", "stdint.h", "limits.h"}
PURE = re.compile(r"^(mm/|cgroup/|drivers/virtio/virtqueue)")
IMPURE = re.compile(r"\b(?:in|out)[bwl]\(|\bmmio_\w+\(|<arch/io\.h>|\b__asm__\b|\basm volatile\b")
BARRIER = re.compile(r'__asm__ volatile\("" ::: "memory"\)')  # for the compiler only
FREE = "arch/x86_64/boot/efi_app/"  # a program of its own, on GNU-EFI's headers


def complaints(path, text):
    top = path.split("/")[0]
    for quoted, angled in INCLUDE.findall(text):
        if angled:
            if not angled.startswith("arch/") and angled not in COMPILER_HEADERS:
                yield f"<{angled}> is no header of the freestanding world"
            continue
        if "/" not in quoted:
            yield f'"{quoted}" needs its folder in front'
        elif quoted.split("/")[0] not in RANK:
            yield f'"{quoted}" is in no layer that it may see'
        elif RANK[quoted.split("/")[0]] > RANK[top]:
            yield f'"{quoted}" is a layer above {top}/'
        if quoted.endswith("_internal.h") and os.path.dirname(quoted).split("/")[0] != top:
            yield f'"{quoted}" is for its own folder'
    if PURE.match(path) and IMPURE.search(BARRIER.sub("", text)):
        yield f"{IMPURE.search(BARRIER.sub('', text))[0]}: ports, MMIO and assembly are not for this folder"


def main():
    root = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    count = 0
    for top in RANK:
        for folder, _, names in os.walk(os.path.join(root, top)):
            for name in names:
                path = os.path.relpath(os.path.join(folder, name), root)
                if not name.endswith((".c", ".h", ".S")) or path.startswith(FREE):
                    continue
                with open(os.path.join(root, path), encoding="utf-8") as file:
                    for complaint in complaints(path, file.read()):
                        print(f"{path}: {complaint}")
                        count += 1
    return 1 if count else 0


if __name__ == "__main__":
    sys.exit(main())
