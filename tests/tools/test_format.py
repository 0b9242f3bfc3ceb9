"""Every C file is laid out as .clang-format says."""
import subprocess

import pytest

import tree

CLANG_FORMAT = ("clang-format", "--dry-run", "-Werror", "--style=file")


@pytest.mark.parametrize("path", tree.files("*.c", "*.h"))
def test_layout(path):
    r = subprocess.run([*CLANG_FORMAT, path], cwd=tree.ROOT, capture_output=True, text=True)
    assert r.returncode == 0, r.stderr


def test_planted_bad_layout_is_found():
    r = subprocess.run([*CLANG_FORMAT, "--assume-filename=src/x.c"], cwd=tree.ROOT, capture_output=True, text=True,
                       input="int f(void) {\n  return 1; }\n")
    assert r.returncode != 0
