#!/usr/bin/python3
"""compile_commands.json from lines "<file> <flags...>" on standard input."""
import json
import os
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
entries = []
for line in sys.stdin:
    words = line.split()
    if words:
        entries.append({"directory": ROOT, "file": words[0], "arguments": ["clang", *words[1:], "-c", words[0]]})
json.dump(entries, sys.stdout, indent=1)
