"""The load tools against a real server: bench/live over every protocol, and the k6 script by way of node."""
import json
import os
import re
import shutil
import subprocess

import pytest

from server_process import PINNA, ROOT, SANITIZER

BENCH = os.path.join(os.path.dirname(os.path.realpath(PINNA)), "..", "..", "bench")
SMALL = ["--size", 32, "--feed", 64, "--heads", 4, "--blocks", 2, "--layers", 2, "--vocabulary", 50]

pytestmark = pytest.mark.skipif(bool(SANITIZER), reason="measuring is for the plain build")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """`streaming`: a small Paraformer with random weights."""
    if not os.access(os.path.join(BENCH, "bench_live"), os.X_OK):
        pytest.skip("this build has no benchmarks")
    where = tmp_path_factory.mktemp("models")
    program = os.path.join(BENCH, "random_paraformer")
    subprocess.run([program, "streaming", where / "streaming", *map(str, SMALL)], check=True)
    return where


def test_live(folder):
    env = {**os.environ, "PINNA_BIN": PINNA, "BENCH_LIVE": os.path.join(BENCH, "bench_live"), "TORCH_NUM_THREADS": "1"}
    names = ["ptt", "ptt-binary", "funasr", "realtime", "realtime-vad"]
    r = subprocess.run(
        [ROOT / "bench" / "live.sh", folder, "--speakers", "2", "--seconds", "2", "--talk", "1000", "--pause", "100"]
        + ["--protocol", ",".join(names), "--json"],
        env=env,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert r.returncode == 0, r.stderr
    results = [json.loads(line) for line in r.stdout.splitlines()]
    assert [x["protocol"] for x in results] == names
    for x in results:
        assert x["speakers"] == 2 and x["utterances"] >= 2 and x["heard_s"] > 1, x
        assert x["refused"] == x["failed"] == x["lost"] == 0, x
        assert x["final"]["n"] == x["utterances"] and x["first"]["n"] > 0 and x["partials"] > 0, x
        assert x["server_mb"] > 1, x
    assert results[0]["chunk"]["n"] > 0 and results[0]["phase_ms"] == 0, "a chunk is complete after each 600 ms"
    assert results[1]["chunk"]["n"] > 0 and results[2]["chunk"]["n"] > 0


def test_k6(folder, start_server, tmp_path):
    if not shutil.which("node"):
        pytest.skip("node is not here")
    server = start_server({"MODEL_DIR": folder, "WHISPER_MODEL": "streaming", "MODEL_NAME": "streaming"})
    shim = ROOT / "tests" / "api" / "k6" / "shim.mjs"
    script = re.sub(r"from 'k6[a-z/]*'", f"from '{shim}'", (ROOT / "deploy" / "k6" / "load_test.js").read_text())
    (tmp_path / "load_test.mjs").write_text(script)
    (tmp_path / "run.mjs").write_text(
        f"import {{ finished, metrics }} from '{shim}';\n"
        "import talk, { options } from './load_test.mjs';\n"
        "for (let i = 0; i < options.vus; i++) talk();\n"
        "await finished();\n"
        "console.log(JSON.stringify({ options, metrics }));\n"
    )

    def run(**env):
        r = subprocess.run(
            ["node", tmp_path / "run.mjs"],
            env={**os.environ, "URL": f"ws://127.0.0.1:{server.port}/ws/asr", **env},
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert r.returncode == 0 and r.stderr == "", r.stderr
        return json.loads(r.stdout)

    result = run(SECONDS="1.5")
    assert result["options"]["vus"] == 10 and result["options"]["duration"] == "30s"
    m = result["metrics"]
    assert m["pinna_utterances"] == [1] * 10 and m["pinna_failed"] == [0] * 10 and m["pinna_refused"] == []
    assert len(m["pinna_final_ms"]) == 10 and all(m["checks"])
    assert run(VUS="1", SECONDS="1", WAV=str(ROOT / "tests/data/clips/01.wav"))["metrics"]["pinna_utterances"] == [1]
