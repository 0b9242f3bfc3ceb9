"""checksrc.py - which calls, words and comments the C sources may not hold.

An exception is one line that carries its reason: `open(path, 0); /* checksrc: a model file */`.
"""
import re

import tree

BANNED = re.compile(r"(?<![\w.>])(strcpy|strcat|sprintf|vsprintf|strtok|atoi|atol|atof|alloca|gets)\s*\(")
DOORS = re.compile(r"(?<![\w.>])(socket|socketpair|accept|accept4|open|openat|fopen|creat)\s*\(")
DOOR_ROOMS = ("src/server/", "src/audio/", "src/base/", "src/cli/")
UNFINISHED = re.compile(r"\b(TODO|FIXME|XXX|HACK)\b")
EXCUSE = re.compile(r"/\* checksrc: \S.*\*/")


def line_violations(path, line, code):
    """`code` is `line` with comments and literals blanked."""
    if EXCUSE.search(line):
        return
    for call in BANNED.findall(code):
        yield f"{call}() is banned"
    if path.startswith("src/") and not path.startswith(DOOR_ROOMS):
        for call in DOORS.findall(code):
            yield f"{call}() belongs into {' '.join(DOOR_ROOMS)}"
    if UNFINISHED.search(line):
        yield f"unfinished: {line.strip()}"


def violations(path, text):
    found = []
    name = path.rsplit("/", 1)[-1]
    if not text.startswith(f"/* {name} - "):
        found.append(f'{path}:1: does not open with "/* {name} - what it is"')
    for m in tree.NOT_CODE.finditer(text):
        if m.group().startswith("//"):
            found.append(f"{path}:{text.count(chr(10), 0, m.start()) + 1}: comments are /* */")
    for number, (line, code) in enumerate(zip(text.split("\n"), tree.code_only(text).split("\n")), 1):
        found += [f"{path}:{number}: {v}" for v in line_violations(path, line, code)]
    return found
