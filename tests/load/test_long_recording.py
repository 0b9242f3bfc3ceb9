"""Ten minutes through `pinna transcribe`: memory does not grow with the recording, times and progress only go on."""
import json
import random
import shutil
import sys
import wave

import pytest

from server_process import PINNA, ROOT, clean_env

sys.path.insert(0, str(ROOT / "bench"))
import long_transcribe  # noqa: E402

pytestmark = pytest.mark.load

DATA = ROOT / "tests" / "data" / "paraformer"
RATE = 16000
SLACK_MB = 8  # eight minutes more are 31 MB in floats


def record(path, minutes, seed):
    """Spoken clips in random order with pauses; returns how many, and the seconds."""
    rng, clips, n = random.Random(seed), [], 0
    for name in ("c03", "d02", "m01", "s01"):
        with wave.open(str(DATA / "wav" / f"{name}.wav")) as w:
            clips.append(w.readframes(w.getnframes()))
    with wave.open(str(path), "wb") as w:
        w.setnchannels(1)
        w.setsampwidth(2)
        w.setframerate(RATE)
        while w.tell() < minutes * 60 * RATE:
            w.writeframesraw(rng.choice(clips) + bytes(2 * int(rng.uniform(0.8, 3) * RATE)))
            n += 1
        return n, w.tell() / RATE


@pytest.fixture(scope="module")
def transcribe(tmp_path_factory, pinna):
    """transcribe(minutes): the run as its user sees it, the result, and what record() said."""
    folder = tmp_path_factory.mktemp("long")
    (folder / "tmp").mkdir()
    # A copy: packed files are written beside their source.
    model = shutil.copytree(DATA / "models" / "micro-offline", folder / "micro-offline")

    def go(minutes):
        file = folder / f"{minutes}.wav"
        spoken = record(file, minutes, seed=minutes)
        command = [PINNA, "transcribe", "--model", model, "--format", "json", "--output-dir", folder, file]
        run = long_transcribe.Run(command, clean_env(folder))
        assert run.status == 0, run.screen
        return run, json.loads((folder / f"{minutes}.json").read_text()), spoken

    return go


def test_ten_minutes(transcribe, capsys):
    short, _, _ = transcribe(2)
    run, result, (spoken, seconds) = transcribe(10)
    with capsys.disabled():
        print(f"\n10 min in {run.took:.1f} s; peak {short.peak:.1f} MB after 2 min, {run.peak:.1f} MB after 10")
    assert run.peak <= short.peak + SLACK_MB
    segments = result["segments"]
    assert abs(len(segments) - spoken) <= spoken * 0.1
    assert long_transcribe.disorder(segments, seconds) == 0
    shown = [done for _, done in run.seen]
    assert shown == sorted(shown) and len(shown) > 2 and shown[-1] <= 1
