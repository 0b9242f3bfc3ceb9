"""OpenAI's own SDK for Node over wss, with a certificate authority of our own."""
import asyncio
import json
import os
import shutil
import subprocess

import pytest

from certificates import Authority
from server_process import FACTOR, ROOT
from test_realtime import TRANSCRIPTION, Overloaded, at_rate, patiently, samples

SDK = ROOT / "tests" / "sdk"
FOLDER = ROOT / "build-sdk"


@pytest.fixture(scope="module")
def sdk():
    if not shutil.which("node"):
        pytest.skip("node is not here")
    p = subprocess.run([SDK / "install.sh", FOLDER], capture_output=True, text=True, timeout=240)
    if p.returncode != 0:
        pytest.skip(f"the SDK cannot be installed: {p.stderr.strip()[-300:]}")
    return FOLDER


@pytest.fixture(scope="module")
def seen(sdk, start_module_server, micro_models, tmp_path_factory):
    """What the SDK saw (tests/sdk/realtime.mjs)."""
    folder = tmp_path_factory.mktemp("sdk")
    ca = Authority(folder)
    server = start_module_server({**micro_models, "PINNA_PUNCTUATION": "off"}, tls=ca.issue("localhost"))
    clip = folder / "clip.pcm"
    clip.write_bytes(at_rate(samples("c03"), 24000).tobytes())
    env = {
        "PATH": os.environ["PATH"],
        "BASE_URL": f"https://localhost:{server.port}/v1",
        "NODE_EXTRA_CA_CERTS": str(ca.cert),
    }

    async def run():
        p = await asyncio.to_thread(
            subprocess.run, ["node", SDK / "realtime.mjs", sdk, clip], env=env, capture_output=True, timeout=60 * FACTOR
        )
        if b"code=overloaded" in p.stderr or b'"overloaded"' in p.stdout:
            raise Overloaded
        assert p.returncode == 0, p.stderr.decode()
        return json.loads(p.stdout)

    return patiently(run)


def test_speech(seen):
    spoken = seen["spoken"]
    events = spoken["events"]
    types = [e["type"] for e in events]
    assert types[0] == "session.created"
    updated = events[types.index("session.updated")]["session"]
    assert updated["audio"]["input"]["transcription"]["model"] == "gpt-4o-transcribe"
    done = events[types.index(TRANSCRIPTION + "completed")]
    deltas = [e["delta"] for e in events if e["type"] == TRANSCRIPTION + "delta"]
    assert "".join(deltas) == done["transcript"]
    assert done["transcript"].startswith("温度调到二十")
    assert spoken["code"] == 1000


def test_an_error_event(seen):
    (error,) = seen["spoken"]["errors"]
    assert error["error"]["type"] == "invalid_request_error"
    assert error["error"]["event_id"] == "my_event"
    assert error["message"]


def test_client_secrets(seen):
    assert seen["secret"]["value"].startswith("ek_")
    assert seen["secret"]["session"]["audio"]["input"]["turn_detection"] is None
    created = seen["withSecret"]["events"][0]
    assert created["type"] == "session.created"
    assert created["session"]["audio"]["input"]["turn_detection"] is None
    assert created["session"]["audio"]["input"]["transcription"]["language"] == "zh"
    assert "401" in seen["stranger"]


def test_a_refusal_becomes_the_sdk_s_error(seen):
    assert seen["refusal"]["isBadRequest"]
    assert seen["refusal"]["param"] == "expires_after"
    assert seen["refusal"]["requestID"].startswith("req_")
