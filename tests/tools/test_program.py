"""What the built program links, and that it takes the settings its package ships."""
import os
import re
import subprocess

import pytest

import tree

PINNA = os.environ.get("PINNA_BIN", str(tree.ROOT / "build" / "pinna"))
DECODE = os.environ.get("PINNA_DECODE", str(tree.ROOT / "build" / "pinna-decode"))
FFMPEG = re.compile(r"libav|libsw")


def needed(program):
    out = subprocess.run(["readelf", "-d", program], check=True, capture_output=True, text=True).stdout
    return re.findall(r"\(NEEDED\).*\[(.+)\]", out)


def test_only_the_decoder_links_ffmpeg():
    assert "libc.so.6" in needed(PINNA)
    assert [lib for lib in needed(PINNA) if FFMPEG.match(lib)] == []
    assert [lib for lib in needed(DECODE) if FFMPEG.match(lib)] != []


@pytest.mark.parametrize("text, accepted", [(None, True), ("server:\n  no_such_key: 1\n", False)])
def test_packaged_settings_are_accepted(text, accepted, tmp_path):
    path = tmp_path / "pinna.yaml"
    path.write_text(text or tree.read("debian/pinna.yaml"))
    r = subprocess.run([PINNA, "config", "--config", path], cwd=tmp_path, capture_output=True, text=True,
                       env={"PATH": os.environ["PATH"]})
    assert (r.returncode == 0) == accepted, r.stderr
