"""Damaged and lying recordings through the server: an answer for each, and nothing else suffers."""
import subprocess

import pytest

import clips
from server_process import FACTOR
from wire import check_error, get, upload


T = 60 * FACTOR


@pytest.fixture(scope="module")
def made(tmp_path_factory, speech):
    folder = tmp_path_factory.mktemp("damaged")
    (folder / "clip.wav").write_bytes(speech["Front_Center"])
    return clips.make(folder / "clip.wav", folder)


def flipped(path):
    with open(path, "rb") as source:
        return subprocess.run(["zzuf", "-s", "7", "-r", "0.004"], stdin=source, stdout=subprocess.PIPE, check=True).stdout


def answered(server, data):
    """What can still be decoded is transcribed; the rest is the client's fault, in so many words."""
    r = upload(server.port, data, timeout=T)
    if r.status == 200:
        assert set(r.json()) >= {"text", "language", "segments"}
    else:
        assert r.status in (400, 413, 422), r
        check_error(r, r.status, param="file")
    assert get(server.port, "/health").status == 200


@pytest.mark.parametrize("name", clips.FORMATS)
def test_flipped_bits(server, made, name):
    answered(server, flipped(made[name].path))


@pytest.mark.parametrize("name", clips.FORMATS)
def test_half_a_file(server, made, name):
    data = made[name].path.read_bytes()
    answered(server, data[: len(data) // 2])


def silence(path, seconds):
    clips.ffmpeg("-f", "lavfi", "-i", "anullsrc=r=4000:cl=mono", "-t", seconds, "-c:a", "flac", "-compression_level", 0,
                 "-frame_size", 16384, path)
    return path.read_bytes()


def test_ten_silent_hours(server, tmp_path):
    """Refused by what the header says, long before anything is decoded."""
    data = bytearray(silence(tmp_path / "hours.flac", 60))
    samples = 36000 * 4000  # STREAMINFO's 36 bits of them
    data[8 + 13] = data[8 + 13] & 0xF0 | samples >> 32
    data[8 + 14 : 8 + 18] = (samples & 0xFFFFFFFF).to_bytes(4, "big")
    r = upload(server.port, bytes(data), timeout=T)
    check_error(r, 413, param="file")


def test_a_bomb_that_hides_its_length(start_server, tmp_path):
    """No length in the header: counted while it is decoded."""
    data = bytearray(silence(tmp_path / "bomb.flac", 3600))
    data[8 + 13] &= 0xF0
    data[8 + 14 : 8 + 18] = bytes(4)
    s = start_server({"PINNA_MAX_AUDIO_SECONDS": 60})
    check_error(upload(s.port, bytes(data), timeout=T), 413, param="file")
    assert get(s.port, "/health").status == 200
