"""`pinna pull` and `pinna models`: downloads from servers that misbehave, imports, and what is there already."""
import gzip
import hashlib
import json
import os
import pty
import random
import signal
import subprocess
import threading
import time

import pytest

from file_server import FileServer
from server_process import FACTOR, PINNA, REPORT, ROOT, clean_env


T = 60 * FACTOR
OPENAI_TINY = "/65147644a518d12f04e32d6f3b26facc3f8dd46e5390956a9424a650c0ce22b9/tiny.pt"
WHISPER_FILES = ("config.json", "vocab.json", "model.safetensors")
HUB_TINY = "/openai/whisper-tiny/resolve/main/"


@pytest.fixture
def web():
    s = FileServer()
    yield s
    s.stop()


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "tmp").mkdir()
    return tmp_path


@pytest.fixture
def models(folder):
    return folder / "models"


@pytest.fixture
def start(folder, models, web, pinna):
    """Starts the program in an empty folder; every address it knows is the test's server."""
    mine = []

    def call(*args, env=None, **kw):
        settings = {
            "MODEL_DIR": models,
            "HF_ENDPOINT": web.url,
            "MODELSCOPE_ENDPOINT": web.url,
            "PINNA_MODEL_URL": web.url,
        }
        kw = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "stdin": subprocess.DEVNULL} | kw
        env = clean_env(folder, settings | (env or {}))
        mine.append(subprocess.Popen([PINNA, *map(str, args)], cwd=folder, env=env, **kw))
        return mine[-1]

    yield call
    for p in mine:
        if p.poll() is None:
            p.kill()
            p.wait()


@pytest.fixture
def run(start):
    """Runs it to its end; no run may end by a signal or with a sanitizer's report."""

    def call(*args, env=None, status=None):
        p = start(*args, env=env)
        out, err = p.communicate(timeout=T)
        p.out, p.err = out.decode(), err.decode()
        assert p.returncode >= 0, f"ended by signal {-p.returncode}\n{p.err}"
        assert not REPORT.search(p.err), p.err
        assert status is None or p.returncode == status, (p.returncode, p.out, p.err)
        return p

    return call


def toy_bytes(size=300_000, seed=1):
    return random.Random(seed).randbytes(size)


def sha256(body):
    return hashlib.sha256(body).hexdigest()


@pytest.fixture
def catalogue(folder, web):
    """Serves models of one file each; returns the environment that makes them known."""

    def write(**bodies):
        entries = []
        for name, body in bodies.items():
            path = f"/{name}.pt"
            if path not in web.files:
                web.put(path, body)
            file = {"path": f"{name}.pt", "url": web.url + path, "sha256": sha256(body), "size": len(body)}
            entries.append({"name": name, "kind": "whisper", "languages": "en", "files": [file]})
        (folder / "catalogue.json").write_text(json.dumps({"models": entries}))
        return {"PINNA_CATALOGUE": str(folder / "catalogue.json")}

    return write


@pytest.fixture
def toy(web, catalogue, models):
    """toy(**faults): the environment in which model `toy` can be had, and what it should be."""

    def make(**faults):
        body = toy_bytes()
        web.put("/toy.pt", body, **faults)
        return catalogue(toy=body), body

    return make


def leftovers(models):
    return sorted(p.name for p in models.iterdir()) if models.exists() else []


def check_whole(models, body, name="toy"):
    assert (models / f"{name}.pt").read_bytes() == body
    assert leftovers(models) == [f"{name}.pt"]


# a good server


def test_pull(run, toy, models, web):
    env, body = toy()
    p = run("pull", "toy", env=env, status=0)
    check_whole(models, body)
    assert p.out == f"{models}/toy.pt\n" and p.err == ""
    assert web.sent("/toy.pt") == len(body)
    p = run("pull", "toy", env=env, status=0)
    assert p.out == f"{models}/toy.pt\n" and "already" in p.err
    assert len(web.asked("/toy.pt")) == 1


def test_several_and_one_unknown(run, catalogue, models):
    env = catalogue(one=toy_bytes(1000, 1), two=toy_bytes(2000, 2))
    p = run("pull", "one", "nonsense", "two", env=env, status=3)
    assert leftovers(models) == ["one.pt", "two.pt"] and "nonsense" in p.err
    assert p.out.splitlines() == [f"{models}/one.pt", f"{models}/two.pt"]


def test_progress_on_a_terminal(start, toy, models):
    env, body = toy(delay=0.01)
    master, slave = pty.openpty()
    p = start("pull", "toy", env=env | {"TERM": "xterm"}, stderr=slave)
    os.close(slave)
    seen = b""
    while True:
        try:
            more = os.read(master, 4096)
        except OSError:
            break
        if not more:
            break
        seen += more
    os.close(master)
    assert p.wait(T) == 0
    assert b"toy.pt" in seen and b"MB/s" in seen and b"%" in seen and b"/0.3 MB" in seen, seen
    check_whole(models, body)


# bad servers


@pytest.mark.parametrize("etag", [True, False])
def test_resumes_where_it_broke_off(run, toy, models, web, etag):
    env, body = toy(cut=[100_000, 50_000, None], etag=etag)
    p = run("pull", "toy", env=env, status=0)
    check_whole(models, body)
    ranges = [r.range for r in web.asked("/toy.pt")]
    assert ranges == [None, "bytes=100000-", "bytes=150000-"]
    assert web.sent("/toy.pt") == len(body), "nothing is sent twice"
    assert all((r.if_range is not None) == etag for r in web.asked("/toy.pt")[1:])
    assert "broke off" in p.err


def test_breaks_off_for_good(run, toy, models, web):
    env, body = toy(cut=[50_000] + [0] * 20)
    p = run("pull", "toy", env=env, status=3)
    assert "50000" in p.err
    assert (models / "toy.pt.part").stat().st_size == 50_000
    web.put("/toy.pt", body)
    before = web.sent("/toy.pt")
    run("pull", "toy", env=env, status=0)
    assert web.sent("/toy.pt") - before == len(body) - 50_000
    check_whole(models, body)


def test_server_ignores_range(run, toy, models, web):
    env, body = toy(cut=[100_000, None], ignore_range=True)
    run("pull", "toy", env=env, status=0)
    check_whole(models, body)
    assert web.sent("/toy.pt") == len(body) + 100_000


def test_wrong_bytes(run, toy, models, web):
    env, body = toy()
    wrong = toy_bytes(seed=2)
    web.put("/toy.pt", wrong)
    p = run("pull", "toy", env=env, status=3)
    assert sha256(body) in p.err and sha256(wrong) in p.err
    assert leftovers(models) == []


@pytest.mark.parametrize("size", [299_999, 300_001])
def test_wrong_size(run, toy, models, web, size):
    env, _ = toy()
    web.put("/toy.pt", toy_bytes(size))
    p = run("pull", "toy", env=env, status=3)
    assert "300000" in p.err and str(size) in p.err
    assert leftovers(models) == []


@pytest.mark.parametrize("claim", [5000, -5000])
def test_length_is_a_lie(run, toy, models, web, claim):
    """Told too much or too little, the program takes only the file that the catalogue means."""
    env, _ = toy(claim=claim)
    p = run("pull", "toy", env=env, status=3)
    assert str(300_000 + claim) in p.err
    assert leftovers(models) == []


def test_length_is_a_lie_of_a_file_of_unknown_size(run, models, web):
    """Without a known size the digest decides; the claimed rest never comes and is asked for in vain."""
    body = serve_whisper(web)["model.safetensors"]
    web.put(HUB_TINY + "model.safetensors", body, claim=5000)
    run("pull", "tiny", status=0)
    assert (models / "tiny" / "model.safetensors").read_bytes() == body


def test_stale_part_is_replaced(run, toy, models, web):
    env, body = toy()
    models.mkdir()
    (models / "toy.pt.part").write_bytes(b"x" * 1000)
    p = run("pull", "toy", env=env, status=0)
    check_whole(models, body)
    assert "starting over" in p.err


def test_part_is_whole_already(run, toy, models, web):
    env, body = toy()
    models.mkdir()
    (models / "toy.pt.part").write_bytes(body)
    run("pull", "toy", env=env, status=0)
    check_whole(models, body)
    assert web.requests == []


def test_busy_server_is_asked_again(run, toy, models, web):
    env, body = toy(status=[503, 429])
    run("pull", "toy", env=env, status=0)
    check_whole(models, body)
    assert len(web.asked("/toy.pt")) == 3


@pytest.mark.parametrize("status", [404, 403, 410])
def test_refused(run, toy, models, web, status):
    env, _ = toy(status=[status])
    p = run("pull", "toy", env=env, status=3)
    assert str(status) in p.err and len(web.asked("/toy.pt")) == 1
    assert leftovers(models) == []


def test_redirects(run, toy, models, web):
    env, body = toy()
    web.put("/there.pt", body)
    web.put("/toy.pt", b"", redirect="/there.pt")
    run("pull", "toy", env=env, status=0)
    check_whole(models, body)


@pytest.mark.parametrize("to", ["file:///etc/hostname", "ftp://127.0.0.1/x", "/toy.pt"])
def test_bad_redirects(run, toy, models, to):
    env, _ = toy(redirect=to)
    run("pull", "toy", env=env, status=3)
    assert leftovers(models) == []


def test_slow_server_is_waited_for(run, toy, models):
    env, body = toy(delay=0.02)
    run("pull", "toy", env=env | {"ASR_NETWORK_TIMEOUT": 1}, status=0)
    check_whole(models, body)


def test_silent_server_is_left(run, toy, models, web):
    env, body = toy(hold=threading.Event(), status=[None, 404])
    p = run("pull", "toy", env=env | {"ASR_NETWORK_TIMEOUT": 1}, status=3)
    assert "broke off" in p.err and "404" in p.err
    assert len(web.asked("/toy.pt")) == 2
    web.files["/toy.pt"][1].hold.set()


def test_nobody_listens(run, toy, models, web):
    env, _ = toy()
    text = open(env["PINNA_CATALOGUE"]).read().replace(web.url, "http://127.0.0.1:9")
    open(env["PINNA_CATALOGUE"], "w").write(text)
    p = run("pull", "toy", env=env, status=3)
    assert "cannot reach 127.0.0.1:9" in p.err


def test_too_large(run, web, models):
    """The size of a built-in model bounds what a server may send under its name."""
    web.put("/multilingual.tiktoken", b"x" * 816_731)
    p = run("pull", "multilingual.tiktoken", status=3)
    assert "816731" in p.err and leftovers(models) == []


def test_disk_full(run, toy, models):
    env, _ = toy()
    if os.geteuid() != 0:
        pytest.skip("a small file system needs root")
    models.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=128k", "tmpfs", models], capture_output=True).returncode:
        pytest.skip("no file system can be mounted here")
    try:
        p = run("pull", "toy", env=env, status=1)
        assert "no room" in p.err
    finally:
        subprocess.run(["umount", models], check=True)


def test_folder_cannot_be_written(run, toy, folder):
    env, _ = toy()
    (folder / "file").write_text("")
    p = run("pull", "toy", env=env | {"MODEL_DIR": folder / "file" / "models"}, status=1)
    assert "file" in p.err


# interruptions, and two at once


def wait_for(condition, what):
    end = time.monotonic() + T
    while not condition():
        assert time.monotonic() < end, what
        time.sleep(0.02)


@pytest.mark.parametrize("number,status", [(signal.SIGKILL, -9), (signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_interrupted_then_resumed(start, run, toy, models, web, number, status):
    env, body = toy(hold=threading.Event())
    p = start("pull", "toy", env=env)
    part = models / "toy.pt.part"
    wait_for(lambda: part.exists() and part.stat().st_size > 100_000, "half of it is here")
    p.send_signal(number)
    p.communicate(timeout=T)
    assert p.returncode == status
    web.files["/toy.pt"][1].hold.set()
    have = part.stat().st_size
    assert not (models / "toy.pt").exists() and have > 100_000
    web.put("/toy.pt", body)
    run("pull", "toy", env=env, status=0)
    assert web.asked("/toy.pt")[-1].range == f"bytes={have}-"
    assert web.asked("/toy.pt")[-1].sent == len(body) - have
    assert (models / "toy.pt").read_bytes() == body
    assert leftovers(models) == ["toy.pt"]


def test_two_at_once(start, toy, models, web):
    hold = threading.Event()
    env, body = toy(hold=hold)
    first = start("pull", "toy", env=env)
    wait_for(lambda: web.asked("/toy.pt"), "the first asks")
    second = start("pull", "toy", env=env)
    said = second.stderr.readline()
    assert b"waiting" in said
    hold.set()
    for p in (first, second):
        out, _ = p.communicate(timeout=T)
        assert p.returncode == 0 and out.decode() == f"{models}/toy.pt\n"
    check_whole(models, body)
    assert len(web.asked("/toy.pt")) == 1 and web.sent("/toy.pt") == len(body)


# the hubs


def serve_whisper(web, **faults):
    files = {name: toy_bytes(2000, i) for i, name in enumerate(WHISPER_FILES)}
    for name, body in files.items():
        web.put(HUB_TINY + name, body, **faults)
    return files


def test_whisper_from_the_hub_when_openai_has_none(run, models, web):
    files = serve_whisper(web)
    p = run("pull", "tiny", status=0)
    assert p.out == f"{models}/tiny\n"
    assert {f.name: f.read_bytes() for f in (models / "tiny").iterdir()} == files
    assert "OpenAI" in p.err, "says that the first source failed"
    assert leftovers(models) == ["tiny"]


def test_whisper_from_openai_must_be_the_one(run, models, web):
    ranks = b"x" * 816_730
    web.put("/multilingual.tiktoken", ranks)
    p = run("pull", "tiny", status=3)
    assert "b34b360dbb493e781e479794586d661700670d65564001f23024971d1f2fa126" in p.err
    assert sha256(ranks) in p.err and leftovers(models) == []


def rank_file(name):
    path = ROOT.parent / "shared/fixtures/whisper/tokenizer" / name
    if not path.exists():
        pytest.skip(f"{path} is not there")
    return path.read_bytes()


def test_whisper_from_openai(run, models, web):
    """The rank file comes first; the checkpoint's wrong bytes are found out, and the hub is asked next."""
    web.put("/multilingual.tiktoken", rank_file("multilingual.tiktoken"))
    wrong = toy_bytes()
    web.put(OPENAI_TINY, wrong)
    serve_whisper(web)
    p = run("pull", "tiny", status=0)
    assert sha256(wrong) in p.err and OPENAI_TINY.split("/")[1] in p.err
    assert leftovers(models) == ["multilingual.tiktoken", "tiny"]


def test_the_hubs_own_digest_counts(run, models, web):
    """The hub redirects to another server and says what the file there must be."""
    files = serve_whisper(web)
    for digest, status in ((sha256(b"other"), 3), (sha256(files["model.safetensors"]), 0)):
        web.put("/cdn", files["model.safetensors"])
        web.put(HUB_TINY + "model.safetensors", b"", redirect="/cdn", headers=[("X-Linked-Etag", f'"{digest}"')])
        p = run("pull", "tiny", status=status)
        assert (digest in p.err) == (status != 0), p.err
    assert leftovers(models) == ["tiny"]


def test_folder_goes_on_file_by_file(run, models, web):
    files = serve_whisper(web)
    web.put(HUB_TINY + "model.safetensors", files["model.safetensors"], cut=[0] * 4)
    run("pull", "tiny", status=3)
    assert not (models / "tiny").exists()
    run("pull", "tiny", status=0)
    assert len(web.asked(HUB_TINY + "config.json")) == 1, "what is here is not fetched again"
    assert leftovers(models) == ["tiny"]


FSMN_VAD = "iic/speech_fsmn_vad_zh-cn-16k-common-pytorch"
STREAMING = "iic/speech_paraformer-large_asr_nat-zh-cn-16k-common-vocab8404-online"
PARAFORMER_FILES = ("config.yaml", "tokens.json", "am.mvn", "seg_dict", "model.pt")


def toy_files(names=PARAFORMER_FILES):
    return {name: toy_bytes(3000, i) for i, name in enumerate(names)}


def modelscope_path(repository, name, revision="master"):
    return f"/api/v1/models/{repository}/repo?Revision={revision}&FilePath={name}"


def serve_modelscope(web, files, listed=None, repository=FSMN_VAD, revision="master"):
    entries = [
        {"Name": n, "Path": n, "Type": "blob", "Size": len(b), "Sha256": sha256(b)} for n, b in (listed or files).items()
    ]
    listing = {"Code": 200, "Success": True, "Data": {"Files": entries}}
    web.put(f"/api/v1/models/{repository}/repo/files?Revision={revision}&Recursive=True", json.dumps(listing).encode())
    for name, body in files.items():
        web.put(modelscope_path(repository, name, revision), body)


def contents(folder):
    return {f.name: f.read_bytes() for f in folder.iterdir()}


def test_modelscope(run, models, web):
    files = {name: toy_bytes(3000, i) for i, name in enumerate(("config.yaml", "am.mvn", "model.pt"))}
    serve_modelscope(web, files)
    p = run("pull", "fsmn-vad", status=0)
    assert p.out == f"{models}/fsmn-vad\n"
    assert {f.name: f.read_bytes() for f in (models / "fsmn-vad").iterdir()} == files


def test_modelscope_sends_wrong_bytes(run, models, web):
    files = {name: toy_bytes(3000, i) for i, name in enumerate(("config.yaml", "am.mvn", "model.pt"))}
    serve_modelscope(web, files, listed=files | {"model.pt": toy_bytes(3000, 9)})
    p = run("pull", "fsmn-vad", status=3)
    assert sha256(files["model.pt"]) in p.err and not (models / "fsmn-vad").exists()


@pytest.mark.parametrize("listing", [b"", b"{", b'{"Data": 1}', b'{"Data": {"Files": [1, {"Path": 2}]}}', b"[" * 100_000])
def test_modelscope_sends_nonsense(run, models, web, listing):
    web.put(f"/api/v1/models/{FSMN_VAD}/repo/files?Revision=master&Recursive=True", listing)
    run("pull", "fsmn-vad", status=3)
    assert leftovers(models) == []


def test_modelscope_goes_on_where_it_broke_off(run, models, web):
    files = toy_files()
    serve_modelscope(web, files, repository=STREAMING)
    path = modelscope_path(STREAMING, "model.pt")
    web.put(path, files["model.pt"], cut=[1000, None])
    p = run("pull", "paraformer-zh-streaming", status=0)
    assert p.out == f"{models}/paraformer-zh-streaming\n"
    assert contents(models / "paraformer-zh-streaming") == files
    assert [r.range for r in web.asked(path)] == [None, "bytes=1000-"]
    assert leftovers(models) == ["paraformer-zh-streaming"]


def test_revision(run, models, web):
    """A pinned revision is another model: it lies beside the newest one, and neither stands for the other."""
    newest, pinned = toy_files(), toy_files()
    pinned["model.pt"] = toy_bytes(3000, 77)
    serve_modelscope(web, newest, repository=STREAMING)
    serve_modelscope(web, pinned, repository=STREAMING, revision="v2.0.4")
    name = "paraformer-zh-streaming"
    assert run("pull", f"{name}@v2.0.4", status=0).out == f"{models}/{name}@v2.0.4\n"
    assert not any("master" in r.path for r in web.requests)
    run("pull", name, status=0)
    assert contents(models / name) == newest and contents(models / f"{name}@v2.0.4") == pinned
    assert found(run, f"{name}@v2.0.4") == f"{models}/{name}@v2.0.4"
    run("pull", f"{name}@v2.0.5", status=3)
    listed = json.loads(run("models", "--format", "json", status=0).out)["models"]
    assert [(m["name"], m["kind"]) for m in listed] == [(name, "paraformer"), (f"{name}@v2.0.4", "paraformer")]


def test_revision_from_the_hub(run, models, web):
    files = toy_files()
    for name, body in files.items():
        web.put(f"/funasr/paraformer-zh/resolve/v2.0.4/{name}", body)
    p = run("pull", "paraformer-zh@v2.0.4", status=0)
    assert contents(models / "paraformer-zh@v2.0.4") == files and "ModelScope" in p.err


@pytest.mark.parametrize("name", ["tiny@v1", "silero-vad@v2.0.4", "toy@v1", "paraformer-zh@", "paraformer-zh@a/b", "@v1"])
def test_revision_where_there_is_none(run, toy, models, web, name):
    env, _ = toy()
    run("pull", name, env=env, status=3)
    assert web.requests == [] and leftovers(models) == []


def test_hub_when_modelscope_has_none(run, models, web):
    files = toy_files()
    for name, body in files.items():
        web.put(f"/funasr/paraformer-zh-streaming/resolve/main/{name}", body)
    p = run("pull", "paraformer-zh-streaming", status=0)
    assert contents(models / "paraformer-zh-streaming") == files and "ModelScope" in p.err


@pytest.mark.parametrize(
    "asked,repository,name",
    [
        (FSMN_VAD, FSMN_VAD, "fsmn-vad"),
        (FSMN_VAD.replace("iic/", "damo/"), FSMN_VAD, "fsmn-vad"),
        ("funasr/fsmn-vad", FSMN_VAD, "fsmn-vad"),
        ("paraformer-en-spk", "iic/speech_paraformer-large-vad-punc_asr_nat-en-16k-common-vocab10020", "paraformer-en"),
        ("iic/some_model.v2", "iic/some_model.v2", "iic--some_model.v2"),
    ],
)
def test_repositories_as_names(run, models, web, asked, repository, name):
    files = toy_files()
    serve_modelscope(web, files, repository=repository)
    assert run("pull", asked, status=0).out == f"{models}/{name}\n"
    assert (models / name / "model.pt").read_bytes() == files["model.pt"]
    assert found(run, asked) == f"{models}/{name}"


def test_repository_of_the_hub_as_a_name(run, models, web):
    files = toy_files(("config.yaml", "tokens.txt", "model.pt"))
    for name, body in files.items():
        web.put(f"/someone/a-model/resolve/main/{name}", body)
    assert run("pull", "someone/a-model", status=0).out == f"{models}/someone--a-model\n"
    assert contents(models / "someone--a-model") == files


def test_repository_from_before_v2(run, models, web):
    files = toy_files(("config.yaml", "am.mvn", "model.pb"))
    serve_modelscope(web, files, repository="damo/old_model")
    p = run("pull", "damo/old_model", status=3)
    assert "before v2.0" in p.err and leftovers(models) == []


def test_a_name_without_a_model(run, models, web):
    for args in (("pull", "paraformer-en-streaming"), ("transcribe", "--model", "paraformer-en-streaming", "x.wav")):
        p = run(*args, status=3)
        assert "OWNER/NAME" in p.err and "folder" in p.err
    assert web.requests == []


# offline, and what is here already


def test_offline(run, toy, models, web):
    env, body = toy()
    p = run("pull", "toy", env=env | {"PINNA_OFFLINE": 1}, status=3)
    assert "PINNA_OFFLINE" in p.err and web.requests == [] and leftovers(models) == []
    models.mkdir()
    (models / "toy.pt").write_bytes(body)
    run("pull", "toy", env=env | {"PINNA_OFFLINE": 1}, status=0)


ZIP_END = b"PK\5\6" + bytes(18)


def put_file(path, body=b"x"):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(body)
    return path


def hub_snapshot(folder, commit="a" * 40, refs=True):
    repo = folder / ".cache/huggingface/hub/models--openai--whisper-tiny"
    for name in WHISPER_FILES:
        put_file(repo / "snapshots" / commit / name)
    if refs:
        put_file(repo / "refs/main", commit.encode())
    return repo / "snapshots" / commit


def found(run, name="tiny", env=None):
    """Where a model was found without asking anybody."""
    return run("pull", name, env={"PINNA_OFFLINE": 1} | (env or {}), status=0).out.strip()


def test_whisper_cache(run, folder, models):
    put_file(models / "multilingual.tiktoken")
    cached = put_file(folder / ".cache/whisper/tiny.pt", b"x" * 5000 + ZIP_END)
    assert found(run) == str(cached)


def test_interrupted_file_of_the_whisper_cache_does_not_count(run, folder, models, web):
    put_file(folder / ".cache/whisper/tiny.pt", b"x" * 5000)
    run("pull", "tiny", env={"PINNA_OFFLINE": 1}, status=3)


def test_cached_checkpoint_gets_its_vocabulary(run, folder, models, web):
    cached = put_file(folder / ".cache/whisper/tiny.pt", ZIP_END + b"x")
    web.put("/multilingual.tiktoken", rank_file("multilingual.tiktoken"))
    p = run("pull", "tiny", status=0)
    assert p.out.strip() == str(cached) and leftovers(models) == ["multilingual.tiktoken"]
    assert [r.path for r in web.requests] == ["/multilingual.tiktoken"]


@pytest.mark.parametrize("refs", [True, False])
def test_hugging_face_cache(run, folder, refs):
    snapshot = hub_snapshot(folder, refs=refs)
    assert found(run) == str(snapshot)


def test_hugging_face_home(run, folder):
    hub_snapshot(folder)
    os.rename(folder / ".cache/huggingface", folder / "elsewhere")
    assert found(run, env={"HF_HOME": folder / "elsewhere"}).startswith(str(folder / "elsewhere/hub"))


def test_reference_that_leads_outside(run, folder):
    snapshot = hub_snapshot(folder)
    put_file(snapshot.parents[1] / "refs/main", b"../../../../..")
    assert found(run) == str(snapshot)


@pytest.mark.parametrize("below", ["models/iic", "iic", "damo"])
def test_modelscope_cache(run, folder, below):
    place = folder / ".cache/modelscope/hub" / below / "speech_fsmn_vad_zh-cn-16k-common-pytorch"
    for name in ("config.yaml", "model.pt"):
        put_file(place / name)
    assert found(run, "fsmn-vad") == str(place)


def test_modelscope_cache_of_a_revision(run, folder):
    place = folder / ".cache/modelscope/hub/models/iic/speech_fsmn_vad_zh-cn-16k-common-pytorch"
    for name in ("config.yaml", "model.pt"):
        put_file(place / name)
    put_file(place / ".mv", b"Revision:v2.0.4,CreatedAt:1708418239")
    assert found(run, "fsmn-vad@v2.0.4") == found(run, "fsmn-vad") == str(place)
    run("pull", "fsmn-vad@v2.0", env={"PINNA_OFFLINE": 1}, status=3)


def test_modelscope_cache_elsewhere(run, folder):
    """Repositories that no catalogue has, too; a dot is written as three underscores there."""
    for root, below in (("a", "hub/models"), ("b", "models"), ("c", "")):
        place = folder / root / below / "damo/some___model"
        for name in ("config.yaml", "model.pt"):
            put_file(place / name)
        assert found(run, "iic/some.model", env={"MODELSCOPE_CACHE": folder / root}) == str(place)


def test_order_of_places(run, folder, models):
    hub = hub_snapshot(folder)
    put_file(models / "multilingual.tiktoken")
    assert found(run) == str(hub)
    cached = put_file(folder / ".cache/whisper/tiny.pt", ZIP_END + b"x")
    assert found(run) == str(cached)
    ggml = put_file(models / "ggml-tiny.bin")
    assert found(run) == str(ggml)
    for name in WHISPER_FILES:
        put_file(models / "tiny" / name)
    assert found(run) == str(models / "tiny")
    torch = put_file(models / "tiny.pt")
    assert found(run) == str(torch)


@pytest.mark.parametrize("alias,name", [("turbo", "large-v3-turbo"), ("large", "large-v3")])
def test_aliases(run, models, alias, name):
    put_file(models / "multilingual.tiktoken")
    path = put_file(models / f"{name}.pt")
    assert found(run, alias) == str(path)


def test_default_folders(run, folder, toy):
    env, body = toy()
    for extra, where in (
        ({"XDG_DATA_HOME": folder / "data"}, folder / "data/pinna/models/toy.pt"),
        ({"STATE_DIRECTORY": f"{folder}/state:{folder}/other"}, folder / "state/models/toy.pt"),
    ):
        if "XDG_DATA_HOME" in extra and os.geteuid() == 0 and os.path.isdir("/var/lib/pinna"):
            continue
        p = run("pull", "toy", env=env | {"MODEL_DIR": None} | extra, status=0)
        assert p.out.strip() == str(where) and where.read_bytes() == body


# imports


@pytest.fixture(scope="session")
def micro():
    for place in (ROOT / "tests/data", ROOT.parent / "shared/fixtures/whisper/micro"):
        if (place / "micro.pt.gz").exists():
            return gzip.decompress((place / "micro.pt.gz").read_bytes())
    pytest.skip("micro.pt.gz is not there")


def test_import(run, folder, models, micro, web):
    put_file(folder / "mine.pt", micro)
    p = run("pull", "./mine.pt", status=0)
    assert p.out == f"{models}/mine.pt\n" and (models / "mine.pt").read_bytes() == micro
    assert "pinna pull multilingual.tiktoken" in p.err
    assert leftovers(models) == ["mine.pt"] and web.requests == []
    assert os.stat(models / "mine.pt").st_ino != os.stat(folder / "mine.pt").st_ino
    listed = json.loads(run("models", "--format", "json", status=0).out)["models"]
    assert [(m["name"], m["kind"], m["languages"]) for m in listed] == [("mine", "whisper", "99 languages")]


def test_import_with_name_and_vocabulary(run, folder, models, micro):
    put_file(folder / "sub/x.pt", micro)
    put_file(folder / "sub/multilingual.tiktoken", b"ranks")
    p = run("pull", "sub/x.pt", "--name", "ours.v2", status=0)
    assert p.err == "" and leftovers(models) == ["multilingual.tiktoken", "ours.v2.pt"]


def test_import_where_one_is(run, folder, models, micro):
    put_file(folder / "mine.pt", micro)
    put_file(models / "mine.pt", b"another")
    p = run("pull", "./mine.pt", status=1)
    assert "--name" in p.err and (models / "mine.pt").read_bytes() == b"another"


@pytest.mark.parametrize("body", [b"", b"nonsense", b"PK\3\4" + bytes(100), b"lmgg" + bytes(40)])
def test_import_of_no_checkpoint(run, folder, models, body):
    (folder / "bad.pt").write_bytes(body)
    run("pull", "./bad.pt", status=1)
    assert leftovers(models) == []


def test_import_of_half_a_checkpoint(run, folder, models, micro):
    put_file(folder / "half.pt", micro[: len(micro) // 2])
    run("pull", "./half.pt", status=1)
    assert leftovers(models) == []


def test_import_of_nothing(run, models):
    assert "none.pt" in run("pull", "./none.pt", status=3).err
    assert leftovers(models) == []


def test_import_of_a_folder(run, folder, models):
    source = ROOT.parent / "shared/fixtures/whisper/micro/hf"
    if not source.exists():
        pytest.skip(f"{source} is not there")
    for f in source.iterdir():
        body = gzip.decompress(f.read_bytes()) if f.suffix == ".gz" else f.read_bytes()
        put_file(folder / "hf" / f.name.removesuffix(".gz"), body)
    put_file(folder / "hf/pytorch_model.bin", b"the same again")
    put_file(folder / "blob", b"{}")
    os.symlink(folder / "blob", folder / "hf/linked.json")
    run("pull", "hf/", "--name", "mine", status=0)
    wanted = {f.name: f.read_bytes() for f in (folder / "hf").iterdir() if f.name != "pytorch_model.bin"}
    assert {f.name: f.read_bytes() for f in (models / "mine").iterdir()} == wanted
    assert leftovers(models) == ["mine"] and not (models / "mine/linked.json").is_symlink()


def funasr_fixture(name):
    source = ROOT.parent / "shared/fixtures/paraformer/models" / name
    if not source.exists():
        pytest.skip(f"{source} is not there")
    return source


@pytest.mark.parametrize("name,kind", [("rand-streaming", "paraformer"), ("micro-vad", "vad"), ("rand-punc", "punctuation")])
def test_import_of_a_funasr_folder(run, folder, models, web, name, kind):
    source = funasr_fixture(name)
    assert run("pull", source, "--name", "mine", status=0).out == f"{models}/mine\n"
    assert contents(models / "mine") == contents(source)
    (here,) = json.loads(run("models", "--format", "json", status=0).out)["models"]
    assert (here["name"], here["kind"], here["format"]) == ("mine", kind, "folder")
    assert web.requests == []


@pytest.mark.parametrize(
    "name,text,why",
    [
        ("model.pb", None, "before v2.0"),
        ("config.yaml", "model: SenseVoiceSmall\n", "SenseVoiceSmall"),
        ("config.yaml", "model: Paraformer\nx: &a 1\n", "config.yaml:2"),
        ("am.mvn", "<AddShift> [ 1", "am.mvn"),
        ("tokens.json", "[1]", "tokens.json"),
        ("model.pt", "nonsense", "model.pt"),
        ("configuration.json", '{"file_path_metas": {"init_param": "../model.pt"}}', "init_param"),
    ],
)
def test_import_of_a_bad_funasr_folder(run, folder, models, name, text, why):
    for file, body in contents(funasr_fixture("rand-streaming")).items():
        put_file(folder / "bad" / file, body)
    if name == "model.pb":
        os.rename(folder / "bad/model.pt", folder / "bad/model.pb")
    else:
        (folder / "bad" / name).write_text(text)
    p = run("pull", "./bad", status=3 if why in ("before v2.0", "SenseVoiceSmall") else 1)
    assert why in p.err and leftovers(models) == []


@pytest.mark.parametrize("name,what", [("micro-vad", "vad"), ("rand-punc-rt", "punctuation")])
def test_models_that_are_no_recognisers(run, folder, name, what):
    put_file(folder / "x.wav", b"RIFF")
    p = run("transcribe", "--model", funasr_fixture(name), "x.wav", status=3)
    assert what in p.err and "recognises no speech" in p.err


@pytest.mark.parametrize("name", [".hidden", "a/b", "-x", "x" * 129, "a b", "..", "@x"])
def test_names_that_cannot_be(run, folder, models, micro, name):
    put_file(folder / "mine.pt", micro)
    p = run("pull", "./mine.pt", f"--name={name}", status=1)
    assert "--name" in p.err and leftovers(models) == []


# lists, usage


def test_list(run, catalogue, web):
    p = run("pull", "--list", env=catalogue(toy=b"x"), status=0)
    names = [line.split()[0] for line in p.out.splitlines()]
    for name in ("toy", "tiny", "base.en", "large-v3-turbo", "paraformer-zh", "fsmn-vad", "ct-punc",
                 "silero-vad", "paraformer", "paraformer-zh-streaming-small", "ct-punc-c", "ct-punc-realtime"):
        assert names.count(name) == 1
    assert web.requests == []


def test_models(run, models, folder):
    put_file(models / "base.pt", b"x" * 5_000_000)
    hub_snapshot(folder)
    p = run("models", status=0)
    here, there = p.out.split("\n\n")
    line = next(row for row in here.splitlines() if row.startswith("base*"))
    assert "whisper" in line and "99 languages" in line and "5.0 MB" in line and str(models / "base.pt") in line
    assert any(row.startswith("tiny ") and "huggingface" in row for row in here.splitlines())
    names = [row.split()[0] for row in there.splitlines()[1:]]
    assert "base" not in names and "tiny" not in names and "small" in names
    got = json.loads(run("models", "--format", "json", status=0).out)
    by_name = {m["name"]: m for m in got["models"]}
    assert by_name["base"] == {
        "name": "base", "kind": "whisper", "languages": "99 languages", "format": "pt", "place": "models",
        "path": str(models / "base.pt"), "size": 5_000_000, "default_for": ["uploads"],
    }  # fmt: skip
    assert got["model_dir"] == str(models)
    live = [m["name"] for m in got["available"] if m["default_for"] == ["live"]]
    assert live == ["paraformer-zh-streaming"]


@pytest.mark.parametrize("args", [["pull"], ["pull", "tiny", "--name", "x"], ["pull", "--nonsense"], ["models", "x"]])
def test_usage(run, args):
    assert run(*args, status=2).err


@pytest.mark.parametrize("command", ["pull", "models"])
def test_help(run, command):
    p = run(command, "--help", status=0)
    assert p.out.startswith(f"usage: pinna {command}") and "--model-dir" in p.out


GOOD = {"path": "a.pt", "url": "http://x/a.pt", "sha256": "0" * 64}


@pytest.mark.parametrize(
    "model",
    [
        {"name": "../a"},
        {"name": 1},
        {"kind": "other"},
        {"files": []},
        {"files": "x"},
        {"files": [GOOD | {"path": "../a.pt"}]},
        {"files": [GOOD | {"path": "b.pt"}]},
        {"files": [GOOD | {"url": "file:///etc/passwd"}]},
        {"files": [GOOD | {"sha256": "0" * 63}]},
        {"files": [GOOD | {"sha256": None}]},
        {"files": [GOOD | {"size": -1}]},
        {"files": [GOOD | {"size": "1"}]},
        {"files": [GOOD] * 65},
        {"languages": "x" * 101},
    ],
)
def test_catalogue_is_refused(run, folder, model):
    entry = {"name": "a", "kind": "whisper", "files": [GOOD]}
    (folder / "c.json").write_text(json.dumps({"models": [entry]}))
    run("pull", "--list", env={"PINNA_CATALOGUE": "c.json"}, status=0)
    (folder / "c.json").write_text(json.dumps({"models": [entry | model]}))
    assert "c.json" in run("pull", "--list", env={"PINNA_CATALOGUE": "c.json"}, status=2).err


@pytest.mark.parametrize("text", ["", "{", "[]", '{"models": 1}', '{"models": []', "[" * 10_000, '{"models": [1]}', "x" * 2_000_000])
def test_catalogue_is_no_catalogue(run, folder, text):
    (folder / "c.json").write_text(text)
    assert "c.json" in run("models", env={"PINNA_CATALOGUE": "c.json"}, status=2).err
    assert "none.json" in run("models", env={"PINNA_CATALOGUE": "none.json"}, status=2).err
