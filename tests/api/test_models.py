"""The list of models as OpenAI's clients ask for it, and OpenAI's own SDK for Node asking."""
import concurrent.futures
import json
import os
import shutil
import subprocess

import pytest

from pinna_fixtures import DATA, unpack_whisper
from server_process import FACTOR
from test_openai_realtime import SDK, sdk  # noqa: F401  (a fixture)
from wire import Conn, check_error, get, head, request, upload, wait_until

T = 60 * FACTOR
MODELS = DATA / "paraformer" / "models"
REPOSITORY = "iic/speech_seaco_paraformer_large_asr_nat-zh-cn-16k-common-vocab8404-pytorch"  # paraformer-zh's


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Models that hear, models that do not, and what looks like one."""
    f = tmp_path_factory.mktemp("models")
    shutil.copytree(MODELS / "micro-offline", f / "paraformer-zh")
    shutil.copytree(MODELS / "micro-vad", f / "fsmn-vad")
    shutil.copytree(MODELS / "rand-punc", f / "a-punctuation")
    unpack_whisper(f)
    (f / "junk.pt").write_bytes(b"PK\3\4" + bytes(1000))
    (f / "empty").mkdir()
    return f


@pytest.fixture(scope="module")
def server(start_module_server, folder, tmp_path_factory):
    """Its live model lies elsewhere."""
    elsewhere = tmp_path_factory.mktemp("elsewhere") / "streaming"
    shutil.copytree(MODELS / "micro-streaming", elsewhere)
    return start_module_server(
        {"MODEL_DIR": folder, "WHISPER_MODEL": "paraformer-zh", "MODEL_NAME": elsewhere, "PINNA_PRECISION": "f32"}
    )


def models(server):
    r = get(server.port, "/v1/models", timeout=T)
    assert r.status == 200 and r.header("content-type") == "application/json", r
    body = r.json()
    assert set(body) == {"object", "data"} and body["object"] == "list"
    return body["data"]


def ids(server):
    return [m["id"] for m in models(server)]


def test_list(server, folder):
    data = models(server)
    assert [m["id"] for m in data] == ["paraformer-zh", "streaming", "whisper-1", "micro", "sphinx"]
    for m in data:
        assert set(m) == {"id", "object", "created", "owned_by"}
        assert (m["object"], m["owned_by"]) == ("model", "pinna") and m["created"] > 0
    assert data[3]["created"] == int((folder / "micro.pt").stat().st_mtime)
    assert request(server.port, "HEAD", "/v1/models").status == 200


def test_every_id_can_be_asked_for(server, speech):
    for m in ids(server):
        r = upload(server.port, speech["Front_Left"], fields=[("model", m)], timeout=T)
        assert r.status == 200, (m, r)


@pytest.mark.parametrize("name", ["paraformer-zh", "micro", "whisper-1", "streaming", "sphinx", REPOSITORY])
def test_one(server, name):
    for path in {name, name.replace("/", "%2F")}:
        r = get(server.port, f"/v1/models/{path}", timeout=T)
        assert r.status == 200 and r.json()["id"] == name and r.json()["object"] == "model", r


@pytest.mark.parametrize(
    "name", ["nope", "base", "fsmn-vad", "a-punctuation", "junk", "empty", "micro/", "..%2Fmicro", "%2Fetc%2Fpasswd", "x" * 4000, "%FF"]
)
def test_what_is_not_here(server, folder, name):
    r = get(server.port, f"/v1/models/{name}", timeout=T)
    check_error(r, 404, param="model", code="model_not_found")
    assert str(folder) not in r.json()["error"]["message"]


def test_it_can_only_be_read(server):
    for path in ("/v1/models", "/v1/models/micro"):
        r = request(server.port, "DELETE", path)
        check_error(r, 405)
        assert r.header("allow") == "GET, HEAD, OPTIONS"


def test_models_come_and_go(server, folder):
    shutil.copytree(MODELS / "micro-offline", folder / "newer")
    wait_until(lambda: "newer" in ids(server), T, "it is listed")
    shutil.rmtree(folder / "newer")
    wait_until(lambda: "newer" not in ids(server), T, "it is not listed any more")


def test_many_ask_at_once_and_some_leave(server):
    """They wait for one list; who has left is not missed."""
    want = ids(server)
    for _ in range(3):
        gone = [Conn(server.port) for _ in range(10)]
        for c in gone:
            c.send(head("GET", "/v1/models"))
        with concurrent.futures.ThreadPoolExecutor(20) as pool:
            told = [pool.submit(ids, server) for _ in range(20)]
            for c in gone:
                c.close()
            assert [t.result() for t in told] == [want] * 20
        wait_until(lambda: get(server.port, "/stats").json()["http_connections"] <= 1, T, "all have gone")


def test_when_only_one_may_be_loaded(start_server, folder):
    s = start_server({"MODEL_DIR": folder, "WHISPER_MODEL": "paraformer-zh", "MODEL_NAME": "", "PINNA_MAX_MODELS": 1})
    assert ids(s) == ["paraformer-zh", "whisper-1"]
    check_error(get(s.port, "/v1/models/micro"), 404, code="model_not_found")


def test_openai_s_sdk(server, sdk):  # noqa: F811
    env = {"PATH": os.environ["PATH"], "BASE_URL": f"http://127.0.0.1:{server.port}/v1"}
    p = subprocess.run(["node", SDK / "models.mjs", sdk, REPOSITORY], env=env, capture_output=True, timeout=T)
    assert p.returncode == 0, p.stderr.decode()
    seen = json.loads(p.stdout)
    assert [m["id"] for m in seen["list"]] == ids(server)
    assert seen["one"]["id"] == REPOSITORY
    assert seen["unknown"].pop("requestID").startswith("req_")
    assert seen["unknown"] == {"isNotFound": True, "code": "model_not_found", "param": "model"}
