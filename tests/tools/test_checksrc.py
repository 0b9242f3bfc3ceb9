"""No banned call, no door to the outside in an inner room, nothing unfinished; every file says what it is."""
import tree
from checksrc import violations


def test_sources():
    paths = tree.files("*.c", "*.h")
    assert paths
    assert [v for p in paths for v in violations(p, tree.read(p))] == []


def check(path, body):
    return violations(path, f"/* {path.rsplit('/', 1)[-1]} - a test. */\n{body}\n")


def test_innocent_lines_pass():
    assert check("src/base/x.c", "int a = open(path, 0); snprintf(b, n, \"%d\", a); /* not atoi() */") == []
    assert check("src/asr/x.c", 'int r = rec->ops->open(rec); puts("atoi(x) // gets()"); ops.accept(x);') == []
    assert check("src/asr/x.c", "f = fopen(path, \"r\"); /* checksrc: the model's own file */") == []
    assert check("src/asr/x.c", "static int (*open)(struct x *); char c = '\"'; char d = '\\\\'; int reopen(void);") == []


def test_planted_violations_are_found():
    for body in ("strcpy(a, b);", "x = atoi (s);", "sprintf(a, b);", 'puts("x"); gets(b);', "alloca(3);",
                 "int x; // a note", "/* TODO: later */", "x = atoi(s); /* checksrc: */"):
        assert len(check("src/base/x.c", body)) == 1, body
    for body in ("fd = open(path, 0);", "fd = socket(a, b, c);", "accept4(fd, 0, 0, 0);"):
        assert len(check("src/asr/x.c", body)) == 1, body
        assert check("src/audio/x.c", body) == [], body
    assert len(violations("src/base/x.c", "#include <stdio.h>\n")) == 1
    assert violations("src/base/x.c", "/* x.c - a.\n * b */\n\n\nint a;\nstrtok(a);\n") == [
        "src/base/x.c:6: strtok() is banned"]
