"""Every header compiles alone, twice in a row, with both compilers and all warnings."""
import shutil
import subprocess

import pytest

import tree

WARNINGS = """-Wall -Wextra -Werror -Wshadow -Wvla -Wformat=2 -Wstrict-prototypes -Wmissing-prototypes -Wswitch-enum
    -Wconversion -Wundef -Wpointer-arith -Wno-unused-parameter -Wno-sign-conversion""".split()
LIBRARIES = ("libmicrohttpd", "openssl", "zlib", "yaml-0.1", "libseccomp", "libavformat", "pocketsphinx")


@pytest.fixture(scope="session")
def flags():
    out = subprocess.run(["pkg-config", "--cflags", *LIBRARIES], check=True, capture_output=True, text=True).stdout
    return ["-std=gnu11", "-D_GNU_SOURCE", '-DPINNA_VERSION="0"', "-DPN_SANITIZED=0", "-DPN_TEST_ROUTES=0",
            "-Isrc", "-Iinclude", *out.split()]


def for_machine(compiler, path, flags):
    """Headers for one kind of CPU are compiled for it."""
    if path.startswith("src/nn/x86/"):
        return compiler, [*flags, "-mavx2", "-mfma", *(f"-mavx512{x}" for x in ("f", "bw", "dq", "vl", "vnni"))]
    if path.startswith("src/nn/arm/"):
        if not shutil.which("aarch64-linux-gnu-gcc"):
            pytest.skip("no cross compiler for aarch64")
        ours = [f for f in flags if f.startswith(("-std", "-D", "-Isrc", "-Iinclude"))]
        return ("aarch64-linux-gnu-gcc", ours) if compiler == "gcc" else (compiler, [*ours, "--target=aarch64-linux-gnu"])
    return compiler, flags


def compile_alone(compiler, path, flags, code=None):
    """The header is included before itself, so a missing guard shows, too."""
    return subprocess.run([compiler, *flags, *WARNINGS, "-fsyntax-only", "-x", "c", "-include", path, "-"],
                          cwd=tree.ROOT, capture_output=True, text=True, input=code or f'#include "{path}"\n')


@pytest.mark.parametrize("compiler", ["gcc", "clang-14"])
@pytest.mark.parametrize("path", tree.files("src/*.h", "include/*.h"))
def test_header_compiles_alone(compiler, path, flags):
    compiler, flags = for_machine(compiler, path, flags)
    r = compile_alone(compiler, path, flags)
    assert r.returncode == 0, r.stderr


@pytest.mark.parametrize("compiler", ["gcc", "clang-14"])
def test_planted_violations_are_found(compiler, flags, tmp_path):
    for bad in ("size_t pn_x(void);\n", "#include <stddef.h>\nstruct pn_twice { size_t n; };\n"):
        header = tmp_path / "bad.h"
        header.write_text(bad)
        assert compile_alone(compiler, str(header), flags).returncode != 0, bad
