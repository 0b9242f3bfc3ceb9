"""Short commands survive every detector: at least 99 % of 200 that espeak-ng speaks (bench/vad_commands.py)."""
import pathlib
import shutil
import sys

import pytest

from server_process import PINNA, ROOT, SANITIZER

pytest.importorskip("numpy")
sys.path.insert(0, str(ROOT / "bench"))
import vad_commands  # noqa: E402

PROGRAM = pathlib.Path(PINNA).resolve().parents[2] / "bench" / "bench_vad"
FIXTURES = ROOT.parent / "shared" / "fixtures"
MODELS = {
    "energy": "-",
    "silero": FIXTURES / "silero" / "for-tests-silero-v6.2.0-ggml.bin",
    "fsmn": FIXTURES / "paraformer" / "models" / "micro-vad",
}


@pytest.fixture(scope="module")
def speeches():
    if not shutil.which("espeak-ng"):
        pytest.skip("espeak-ng is missing")
    if SANITIZER or not PROGRAM.exists():
        pytest.skip("bench_vad is built with the plain tests only")
    return vad_commands.commands()


@pytest.mark.slow
@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("room", [(0.25, None), (0.25, 30)], ids=["quiet", "hiss"])
def test_commands_survive(speeches, name, room):
    model = MODELS[name]
    if name != "energy" and not model.exists():
        pytest.skip(f"no {model.name} in shared")
    (kept,) = vad_commands.kept(str(PROGRAM), [str(model)], speeches, room)
    print(f"{name}, {room}: {kept} of {len(speeches)}")
    assert kept >= 0.99 * len(speeches)
