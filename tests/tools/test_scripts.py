"""The shell scripts pass shellcheck, and the packages of scripts/deps.sh and debian/control agree."""
import re
import subprocess

import pytest

import tree

SHELL = re.compile(r"#!.*\b(ba)?sh\b")
NOT_IN_CONTROL = {"gcc", "libc6-dev", "make", "git", "ca-certificates", "ninja-build"}  # of every build machine


def shell_scripts():
    candidates = tree.files("scripts/*", "tests/*", "bench/*", ".ci/*", "debian/*", "deploy/*")
    return [p for p in candidates if SHELL.match((tree.ROOT / p).read_bytes()[:40].decode("latin-1"))]


def shellcheck(text):
    return subprocess.run(["shellcheck", "-"], input=text, capture_output=True, text=True, cwd=tree.ROOT)


@pytest.mark.parametrize("path", shell_scripts())
def test_shellcheck(path):
    r = shellcheck(tree.read(path))
    assert r.returncode == 0, r.stdout


def test_shellcheck_finds_a_planted_fault():
    assert shellcheck("#!/bin/sh\nrm -rf $1/*\n").returncode != 0


def build_depends(control):
    field = re.search(r"^Build-Depends:((?:[^\n]*\n)(?:[ \t][^\n]*\n)*)", control, re.M).group(1)
    return set(re.findall(r"([a-z0-9][a-z0-9+.-]+)\s*(?:\([^)]*\)\s*)?(?:<[^>]*>\s*)?(?:,|\Z)", field.strip()))


def test_deb_builds_with_what_deps_installs():
    listed = subprocess.run([tree.ROOT / "scripts/deps.sh", "--list", "build"], check=True, capture_output=True,
                            text=True).stdout.split()
    assert len(listed) > 10
    depends = build_depends(tree.read("debian/control"))
    assert set(listed) - NOT_IN_CONTROL - depends == set()


def test_build_depends_are_read():
    control = "Source: x\nBuild-Depends:\n debhelper-compat (= 13),\n zlib1g-dev,\n libcmocka-dev <!nocheck>\nX: y\n"
    assert build_depends(control) == {"debhelper-compat", "zlib1g-dev", "libcmocka-dev"}


def test_deps_knows_its_targets():
    r = subprocess.run([tree.ROOT / "scripts/deps.sh", "--list", "nonsense"], capture_output=True, text=True)
    assert r.returncode != 0 and "nonsense" in r.stderr
