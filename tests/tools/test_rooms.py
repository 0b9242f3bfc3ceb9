"""A folder of src/ includes only headers of its own and of the folders below it."""
import re

import tree

ROOMS = ("cli", "server", "task", "cluster", "cache", "asr", "model", "nn", "audio", "text", "base")  # from the top
INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*"([^"]+)"', re.M)


def violations(path, text):
    room = path.split("/")[1]
    if room not in ROOMS:
        return [f"{path}: src/{room} is no room"]
    found = []
    for name in INCLUDE.findall(text):
        other = name.split("/")[0]
        if other not in ROOMS or "/" not in name:
            found.append(f'{path}: "{name}" does not begin with a room')
        elif ROOMS.index(other) < ROOMS.index(room):
            found.append(f'{path}: {room} includes "{name}", from above')
    return found


def public_violations(path, text):
    return [f'{path}: a public header includes "{name}"' for name in INCLUDE.findall(text)]


def test_nothing_includes_upwards():
    paths = tree.files("src/*.c", "src/*.h")
    assert paths
    assert [v for p in paths for v in violations(p, tree.read(p))] == []


def test_public_headers_know_nothing_of_the_inside():
    assert [v for p in tree.files("include/*.h") for v in public_violations(p, tree.read(p))] == []


def test_planted_violations_are_found():
    assert violations("src/base/log.c", '#include "base/log.h"\n') == []
    assert violations("src/asr/sphinx/sphinx.c", '#include "asr/recognizer.h"\n#include <math.h>\n') == []
    assert len(violations("src/base/log.c", '#include "text/format.h"\n')) == 1
    assert len(violations("src/asr/sphinx/sphinx.c", '  #  include "server/loop.h"\n')) == 1
    assert len(violations("src/asr/models.c", '#include "models.h"\n')) == 1
    assert len(violations("src/asr/models.c", '#include "../server/loop.h"\n')) == 1
    assert len(violations("src/misc/x.c", "")) == 1
    assert len(public_violations("include/pinna.h", '#include "base/error.h"\n')) == 1
