#!/usr/bin/env python3
"""Turns `nm -n` output into the kernel's symbol table (see kernel/symbols.c).

The table lives in its own section behind the image, so linking it in moves no other symbol:
  symbol_count   u32
  symbol_offsets u32[count]   address - KERNEL_BASE, ascending
  symbol_names   u32[count]   offset of the name in symbol_text
  symbol_text    NUL-terminated names
"""
import sys

KERNEL_BASE = 0xFFFFFFFF80000000


def main():
    symbols = []
    for line in sys.stdin:
        address, kind, name = line.split()[:3]
        address = int(address, 16)
        if kind in "tTwW" and address >= KERNEL_BASE and "." not in name[:2]:
            symbols.append((address - KERNEL_BASE, name))
    out = ['\t.section .symbols, "a"', "\t.balign 8"]

    def label(name):
        out.append(f"\t.globl {name}\n{name}:")

    label("symbol_count")
    out.append(f"\t.long {len(symbols)}")
    label("symbol_offsets")
    out += [f"\t.long {offset:#x}" for offset, _ in symbols]
    label("symbol_names")
    position = 0
    for _, name in symbols:
        out.append(f"\t.long {position}")
        position += len(name) + 1
    label("symbol_text")
    out += [f'\t.asciz "{name}"' for _, name in symbols]
    out.append('\t.section .note.GNU-stack, "", @progbits')
    print("\n".join(out))


if __name__ == "__main__":
    main()
