"""POST /transcribe: what it accepts, what it answers, and what it refuses with which words."""
import array
import concurrent.futures
import json
import re
import struct
import wave
import io

import pytest

import clips
from pinna_fixtures import wav_bytes
from server_process import FACTOR
from wire import SEGMENT_KEYS, Closed, Conn, Part, check_error, chunked, form_type, get, head, multipart, request, upload

T = 60 * FACTOR


def duration_of(clip):
    with wave.open(io.BytesIO(clip)) as w:
        return w.getnframes() / w.getframerate()


def check_answer(r, duration, language="zh"):
    """200 with the shape that Whisper's clients parse; returns the body."""
    assert r.status == 200, r
    assert r.header("x-request-id"), r
    body = r.json()
    assert {"text", "language", "segments"} <= set(body), body
    assert isinstance(body["text"], str) and body["text"] == body["text"].strip()
    if body["segments"]:
        assert body["language"] == language, body
    last = 0.0
    for i, s in enumerate(body["segments"]):
        assert set(s) == SEGMENT_KEYS, s
        assert s["id"] == i and type(s["seek"]) is int and s["seek"] >= 0, s
        assert last - 1e-6 <= s["start"] <= s["end"] <= duration + 0.05, (s, last, duration)
        assert isinstance(s["text"], str) and s["text"].strip(), s
        assert isinstance(s["tokens"], list) and all(type(t) is int for t in s["tokens"]), s
        for key in ("temperature", "avg_logprob", "compression_ratio", "no_speech_prob"):
            assert type(s[key]) in (int, float), (key, s)
        assert s["temperature"] >= 0 and s["avg_logprob"] <= 0 and s["compression_ratio"] > 0, s
        assert 0 <= s["no_speech_prob"] <= 1, s
        last = s["start"]
    assert "".join(s["text"] for s in body["segments"]).split() == body["text"].split()
    return body


@pytest.fixture(scope="module")
def clip(speech):
    return speech["Front_Center"]


@pytest.fixture(scope="module")
def alone(server, clip):
    """The answer to `clip`, got the plain way."""
    return check_answer(upload(server.port, clip, timeout=T), duration_of(clip))


@pytest.fixture(scope="module")
def english(sphinx_server, clip):
    """Sphinx's answer to it."""
    return check_answer(upload(sphinx_server.port, clip, timeout=T), duration_of(clip), "en")


def test_words_are_recognised(sphinx_server, speech):
    """Sphinx is modest, but of eight clips of two words it must get some word of most right."""
    hits = 0
    for name, clip in speech.items():
        body = check_answer(upload(sphinx_server.port, clip, timeout=T), duration_of(clip), "en")
        hits += any(w in body["text"].lower().split() for w in name.lower().split("_"))
    assert hits >= 4, f"only {hits} of {len(speech)} clips"


@pytest.mark.threads
@pytest.mark.parametrize("path", ["/transcribe", "/transcribe/"])
def test_both_paths(server, clip, alone, path):
    assert upload(server.port, clip, path, timeout=T).json() == alone


EXTRA = [Part("language", "zh"), Part("unknown_field", "is ignored"), Part("task", "transcribe")]


@pytest.mark.parametrize("at", [0, 1, 3], ids=["first", "middle", "last"])
def test_file_anywhere_in_the_form(server, clip, alone, at):
    parts = EXTRA[:at] + [Part("file", clip, "a.wav", "audio/wav")] + EXTRA[at:]
    r = request(server.port, "POST", "/transcribe", [form_type()], multipart(parts), T)
    assert check_answer(r, 1.5) == alone


@pytest.mark.parametrize("piece", [1 << 16, 1000, 7])
def test_chunked_transfer(server, clip, alone, piece):
    body = multipart([Part("file", clip, "a.wav")])
    with Conn(server.port, T) as c:
        c.send(
            head("POST", "/transcribe", [form_type(), ("Transfer-Encoding", "chunked")])
            + chunked(body, piece)
        )
        assert check_answer(c.read_response(), 1.5) == alone


def test_chunk_extensions_and_trailers(server, clip, alone):
    body = multipart([Part("file", clip, "a.wav")])
    data = b"%x;name=value\r\n%s\r\n0;last\r\nX-Trailer: yes\r\n\r\n" % (len(body), body)
    with Conn(server.port, T) as c:
        c.send(head("POST", "/transcribe", [form_type(), ("Transfer-Encoding", "Chunked")]) + data)
        assert check_answer(c.read_response(), 1.5) == alone


def test_body_in_small_writes(server, clip, alone):
    """Boundaries and headers of parts that are split over many reads."""
    body = multipart([Part("task", "transcribe"), Part("file", clip, "a.wav"), Part("language", "zh")])
    with Conn(server.port, T) as c:
        c.send(head("POST", "/transcribe", [form_type()], body))
        for i in range(0, 400):
            c.send(body[i : i + 1])
        c.send(body[400:-300])
        for i in range(len(body) - 300, len(body)):
            c.send(body[i : i + 1])
        assert check_answer(c.read_response(), 1.5) == alone


BOUNDARIES = [
    ("b", False),
    ("b", True),
    ("openai-k3j2h1", False),
    ("------------------------1a2b3c4d5e6f7a8b", False),
    ("----WebKitFormBoundary7MA4YWxkTrZu0gW", False),
    ("a'()+_,-./:=?z", True),
    ("with blank inside", True),
    ("x" * 70, False),
]


@pytest.mark.parametrize("boundary,quoted", BOUNDARIES, ids=lambda v: str(v)[:12])
def test_boundaries(server, clip, alone, boundary, quoted):
    body = multipart([Part("file", clip, "a.wav")], boundary)
    r = request(server.port, "POST", "/transcribe", [form_type(boundary, quoted)], body, T)
    assert check_answer(r, 1.5) == alone


@pytest.mark.parametrize(
    "value",
    [
        "Multipart/Form-Data; Boundary=b",
        "multipart/form-data;boundary=b",
        "multipart/form-data; charset=utf-8; boundary=b",
        'multipart/form-data ; boundary="b" ; charset=utf-8',
    ],
)
def test_content_type_spellings(server, clip, alone, value):
    body = multipart([Part("file", clip, "a.wav")], "b")
    assert (
        check_answer(request(server.port, "POST", "/transcribe", [("Content-Type", value)], body, T), 1.5)
        == alone
    )


def test_file_that_holds_the_boundary_but_for_its_end(server):
    """Bytes that look like the start of a boundary belong to the file: an answer, and not a cut one."""
    data = b"RIFF\r\n--pinna-test-7f3\r\n--pinna\r\n-\r\n--"
    check_error(upload(server.port, data, timeout=T), 400, says="flac")


@pytest.mark.parametrize(
    "filename",
    ["a.wav", "blob", "unknown_file", "a.mp3", "录音.wav", "", "..\\..\\x.wav", "../../etc/passwd", "a;b.wav"],
)
def test_file_names_are_hints_only(server, clip, alone, filename):
    assert check_answer(upload(server.port, clip, filename=filename, timeout=T), 1.5) == alone


@pytest.mark.parametrize(
    "content_type", [None, "application/octet-stream", "audio/mpeg", "text/plain", "video/mp4"]
)
def test_the_content_decides_the_format(server, clip, alone, content_type):
    assert check_answer(upload(server.port, clip, content_type=content_type, timeout=T), 1.5) == alone


@pytest.mark.parametrize(
    "query,fields",
    [
        ("?language=en", []),
        ("", [("language", "en")]),
        ("?language=en&task=transcribe", [("language", "en"), ("task", "transcribe")]),
        ("?task=transcribe", [("language", "english")]),
        ("?language=", [("task", "")]),
        ("?language=auto", []),
        ("?language=en-US", []),
        ("", [("language", "English")]),
        ("?language=%65%6e", []),
        ("?unknown=1", [("unknown", "2")]),
    ],
)
def test_language_and_task_in_query_or_form(sphinx_server, clip, english, query, fields):
    r = upload(sphinx_server.port, clip, "/transcribe/" + query, fields, timeout=T)
    assert check_answer(r, 1.5, "en") == english


@pytest.mark.parametrize(
    "query,fields",
    [("?language=zh", []), ("", [("language", "zh")]), ("?language=Chinese", []), ("?language=zh-CN", [])],
)
def test_a_language_that_the_model_cannot(sphinx_server, clip, query, fields):
    e = check_error(upload(sphinx_server.port, clip, "/transcribe" + query, fields, timeout=T), 422, param="language")
    assert "WHISPER_MODEL" in e["message"] or "--model" in e["message"], e


@pytest.mark.parametrize("query,fields", [("?task=translate", []), ("", [("task", "translate")])])
def test_translation_that_the_model_cannot(sphinx_server, clip, query, fields):
    e = check_error(upload(sphinx_server.port, clip, "/transcribe" + query, fields, timeout=T), 422, param="task")
    assert "WHISPER_MODEL" in e["message"] or "--model" in e["message"], e


@pytest.mark.parametrize(
    "query,fields,param",
    [
        ("?task=nonsense", [], "task"),
        ("", [("task", "nonsense")], "task"),
        ("", [("task", "x" * 5000)], "task"),
        ("", [("task", "transcribe\0")], "task"),
    ],
)
def test_values_that_mean_nothing(server, clip, query, fields, param):
    check_error(upload(server.port, clip, "/transcribe" + query, fields, timeout=T), 400, param=param)


@pytest.mark.parametrize(
    "query,fields",
    [("?language=klingon", []), ("", [("language", "x" * 5000)]), ("", [("language", "e\0n")])],
)
def test_a_language_that_nobody_knows(server, clip, query, fields):
    check_error(upload(server.port, clip, "/transcribe" + query, fields, timeout=T), 422, param="language")


def test_a_field_that_is_too_long(server, clip):
    check_error(upload(server.port, clip, fields=[("language", "x" * 100_000)], timeout=T), (400, 413))


@pytest.fixture(scope="module")
def made(tmp_path_factory, speech):
    folder = tmp_path_factory.mktemp("formats")
    (folder / "clip.wav").write_bytes(speech["Front_Center"])
    return clips.make(folder / "clip.wav", folder)


@pytest.mark.parametrize("name", clips.FORMATS)
def test_every_format(server, made, alone, name):
    """200, and where nothing is lost the same words."""
    clip = made[name]
    r = upload(server.port, clip.path.read_bytes(), filename=clip.path.name, content_type=None, timeout=T)
    body = check_answer(r, clip.seconds + clip.format.tolerance + 0.1)
    if clip.format.exact:
        assert body == alone


WAV_HEADS = {
    "plain": lambda n: clips.wav_header(n),
    "unknown-size": lambda n: clips.wav_header(n)[:-4] + b"\xff" * 4,
    "no-size": lambda n: clips.wav_header(n)[:-4] + bytes(4),
    "too-large": lambda n: clips.wav_header(n)[:-4] + b"\0\0\0\x7f",
    "list": lambda n: clips.wav_header(n)[:-8] + b"LIST\x04\0\0\0INFO" + clips.wav_header(n)[-8:],
    "rf64": lambda n: b"RF64" + b"\xff" * 4 + b"WAVEds64" + struct.pack("<IQQQI", 28, n + 72, n, n // 2, 0)
    + clips.wav_header(n)[12:],
}


@pytest.mark.parametrize("name", WAV_HEADS)
def test_heads_of_wav_files(server, samples, alone, name):
    """Read here or by a child: the same samples, the same answer."""
    pcm = samples["Front_Center"].tobytes()
    assert check_answer(upload(server.port, WAV_HEADS[name](len(pcm)) + pcm, timeout=T), 1.5) == alone


def test_raw_pcm_is_taken_as_it_is(server, samples):
    """16 kHz, 16 bit: the same samples as a WAV file give the same words."""
    s = samples["Rear_Left"]
    as_wav = check_answer(upload(server.port, wav_bytes(s), timeout=T), 1.5)
    for content_type in ("audio/pcm", "audio/raw"):
        as_pcm = check_answer(
            upload(server.port, s.tobytes(), filename="a.pcm", content_type=content_type, timeout=T), 1.5
        )
        assert as_pcm == as_wav


def test_silence(server, silence):
    body = check_answer(upload(server.port, silence, timeout=T), 1.0)
    assert body["text"] == "" and body["segments"] == []


def test_silence_right_after_speech(server, speech, silence):
    for clip in list(speech.values())[:4]:
        with Conn(server.port, T) as c:
            assert check_answer(upload(server.port, clip, conn=c), 1.5)
            body = check_answer(upload(server.port, silence, conn=c), 1.0)
            assert body["text"] == "" and body["segments"] == []


def test_answers_do_not_depend_on_what_came_before(server, speech, silence, clip, alone):
    for other in list(speech.values())[1:6] + [silence]:
        upload(server.port, other, timeout=T)
        assert upload(server.port, clip, timeout=T).json() == alone


def test_a_fresh_server_answers_the_same(start_server, clip, alone):
    s = start_server()
    assert upload(s.port, clip, timeout=T).json() == alone


def test_very_short_clips(server, samples):
    """From one sample to a tenth of a second: an answer without words or a clear 400, never a 5xx."""
    for n in (1, 2, 160, 400, 800, 1600):
        r = upload(server.port, wav_bytes(samples["Front_Left"][8000 : 8000 + n]), timeout=T)
        if r.status == 200:
            check_answer(r, n / 16000)
        else:
            check_error(r, 400)


def test_eleven_seconds_of_speech(sphinx_server, jfk, speech):
    upload(sphinx_server.port, speech["Side_Left"], timeout=T)
    body = check_answer(upload(sphinx_server.port, (jfk / "jfk.flac").read_bytes(), timeout=T), 11.0, "en")
    assert body["language"] == "en"
    assert "what your country can do for you" in body["text"].lower(), body["text"]
    assert body["segments"] and body["segments"][-1]["end"] <= 11.0


def test_eleven_seconds_compressed(sphinx_server, jfk, tmp_path):
    clip = clips.make(jfk / "jfk.wav", tmp_path, ["mp3"])["mp3"]
    r = upload(sphinx_server.port, clip.path.read_bytes(), filename=clip.path.name, timeout=T)
    body = check_answer(r, 11.1, "en")
    assert "your country" in body["text"].lower(), body["text"]


# refusals


def test_no_file_field(server):
    r = request(server.port, "POST", "/transcribe", [form_type()], multipart([Part("language", "en")]))
    check_error(r, 400, param="file")
    r = request(server.port, "POST", "/transcribe", [form_type()], multipart([]))
    check_error(r, 400, param="file")


def test_the_file_in_another_field(server, clip):
    r = request(server.port, "POST", "/transcribe", [form_type()], multipart([Part("audio", clip, "a.wav")]))
    check_error(r, 400, param="file")


def test_empty_file(server):
    check_error(upload(server.port, b""), 400, param="file")


FORMATS = ("wav", "mp3", "flac", "ogg", "webm", "m4a")


@pytest.mark.parametrize(
    "data",
    [
        b"this is a text file\n" * 50,
        b"\0" * 5000,
        b"RIFF\x24\0\0\0WAVEfmt ",
        b"ID3" + b"\xff" * 300,
        b"<html></html>",
    ],
    ids=["text", "zeros", "wav-head", "id3", "html"],
)
def test_files_that_are_not_audio(server, data):
    e = check_error(upload(server.port, data, filename="speech.wav", timeout=T), 400, param="file")
    assert sum(f in e["message"].lower() for f in FORMATS) >= 4, e


def test_formats_that_only_point_elsewhere(server, tmp_path):
    """Playlists and the like must not make the decoder open anything."""
    secret = tmp_path / "secret.wav"
    secret.write_bytes(wav_bytes(array.array("h", bytes(32000))))
    for text in (
        f"#EXTM3U\n#EXTINF:10,\n{secret}\n",
        f"ffconcat version 1.0\nfile '{secret}'\n",
        f"[playlist]\nFile1={secret}\n",
        "v=0\no=- 0 0 IN IP4 127.0.0.1\nm=audio 9 RTP/AVP 0\n",
    ):
        check_error(upload(server.port, text.encode(), filename="a.m3u8", timeout=T), 400, param="file")


@pytest.mark.parametrize(
    "content_type",
    [
        "application/json",
        "application/x-www-form-urlencoded",
        "audio/wav",
        "text/plain",
        "multipart/mixed; boundary=b",
        "multipart/form-datax; boundary=b",
    ],
)
def test_wrong_content_type(server, content_type):
    check_error(request(server.port, "POST", "/transcribe", [("Content-Type", content_type)], b"file=1"), 415)


def test_no_content_type(server):
    check_error(request(server.port, "POST", "/transcribe", [], b"file=1"), 415)


@pytest.mark.parametrize(
    "value",
    [
        "multipart/form-data",
        "multipart/form-data; boundary=",
        'multipart/form-data; boundary=""',
        "multipart/form-data; boundary=" + "x" * 71,
        "multipart/form-data; charset=utf-8",
    ],
)
def test_no_usable_boundary(server, value):
    check_error(request(server.port, "POST", "/transcribe", [("Content-Type", value)], b"hello"), 400)


def test_no_length(server):
    with Conn(server.port) as c:
        c.send(head("POST", "/transcribe", [form_type()]))
        check_error(c.read_response(), 411)


def test_truncated_form(server, clip):
    whole = multipart([Part("file", clip, "a.wav")])
    for cut in (3, 4, 6, 25, len(clip) // 2, len(whole) - 30):
        check_error(request(server.port, "POST", "/transcribe", [form_type()], whole[:-cut], T), 400)
    check_error(request(server.port, "POST", "/transcribe", [form_type()], b"", T), 400)


@pytest.mark.parametrize(
    "body",
    [
        b"no boundary at all",
        b"--wrong\r\n\r\nx\r\n--wrong--\r\n",
        b"--pinna-test-7f3a\r\nbroken header\r\n\r\nx\r\n--pinna-test-7f3a--\r\n",
        b"--pinna-test-7f3a\r\n" + b"X: " + b"a" * 70000 + b"\r\n\r\nx\r\n--pinna-test-7f3a--\r\n",
        b'--pinna-test-7f3a\r\nContent-Disposition: form-data; filename="a"\r\n\r\nx\r\n--pinna-test-7f3a--\r\n',
        b"--pinna-test-7f3a\r\n" * 5000,
        b"\r\n" * 5000,
    ],
    ids=["none", "other", "no-colon", "huge-header", "no-name", "only-marks", "only-lines"],
)
def test_malformed_forms(server, body):
    check_error(request(server.port, "POST", "/transcribe", [form_type()], body), 400)


def test_too_many_parts(server, clip):
    """A few hundred get their refusal; tens of thousands may be cut off in mid-body."""
    for n in (400, 20000):
        body = multipart([Part(f"n{i}", "v") for i in range(n)] + [Part("file", clip, "a.wav")])
        try:
            r = request(server.port, "POST", "/transcribe", [form_type()], body, T)
        except Closed:
            assert n == 20000
        else:
            check_error(r, (400, 413))


def test_two_files(server, clip):
    body = multipart([Part("file", clip, "a.wav"), Part("file", clip, "b.wav")])
    check_error(request(server.port, "POST", "/transcribe", [form_type()], body, T), 400, param="file")


def test_an_upload_that_says_it_is_too_large(server):
    """413 before a byte of the body, whatever else is wrong with it."""
    with Conn(server.port, 5 * FACTOR) as c:
        c.send(head("POST", "/transcribe", [form_type(), ("Content-Length", str(101 << 20))]))
        check_error(c.read_response(), 413)
    with Conn(server.port, 5 * FACTOR) as c:
        c.send(
            head(
                "POST",
                "/transcribe",
                [form_type(), ("Content-Length", str(101 << 20)), ("Expect", "100-continue")],
            )
        )
        r = c.read_response(keep_100=True)
        check_error(r, 413)


@pytest.fixture(scope="module")
def small(start_module_server):
    """Takes one megabyte and two seconds."""
    return start_module_server({"PINNA_MAX_UPLOAD_MB": 1, "PINNA_MAX_AUDIO_SECONDS": 2})


def test_the_upload_limit_is_a_setting(small):
    with Conn(small.port) as c:
        c.send(head("POST", "/transcribe", [form_type(), ("Content-Length", str((1 << 20) + 70000))]))
        check_error(c.read_response(), 413)
    check_error(upload(small.port, b"x" * 900_000, timeout=T), 400)


@pytest.mark.threads
@pytest.mark.parametrize("size", [(1 << 20) + 200_000, 3 << 20, 40 << 20])
def test_chunked_overrun(small, size):
    """413 where it can still be said, else a close; never a 200 and never for ever."""
    part = Part("file", b"", "a.wav").encode()
    sent = 0
    with Conn(small.port, T) as c:
        try:
            c.send(head("POST", "/transcribe", [form_type(), ("Transfer-Encoding", "chunked")]))
            first = b"--pinna-test-7f3a\r\n" + part[:-2]
            c.send(b"%x\r\n%s\r\n" % (len(first), first))
            while sent < size:
                c.send(b"10000\r\n" + b"x" * 65536 + b"\r\n")
                sent += 65536
            c.send(b"%x\r\n%s\r\n0\r\n\r\n" % (24, b"\r\n--pinna-test-7f3a--\r\n\r\n"[:24]))
            r = c.read_response()
        except Closed:
            assert size > 2 << 20, "a small overrun must be answered"
            return
        check_error(r, 413)
    assert small.alive()


def test_too_long_audio(small, samples):
    three = wav_bytes(samples["Front_Left"] + samples["Rear_Right"] + samples["Side_Left"])
    check_error(upload(small.port, three, timeout=T), 413)
    pcm = (samples["Front_Left"] + samples["Rear_Right"] + samples["Side_Left"]).tobytes()
    check_error(upload(small.port, pcm, content_type="audio/pcm", timeout=T), 413)
    assert upload(small.port, wav_bytes(samples["Front_Left"]), timeout=T).status == 200


def test_unknown_paths(server):
    for path in (
        "/nowhere",
        "/transcribe/x",
        "/transcribe//",
        "/..",
        "/../etc/passwd",
        "//",
        "/Transcribe",
        "/health//",
    ):
        check_error(get(server.port, path), 404, code="unknown_url")
    check_error(request(server.port, "POST", "/nowhere", [], b"x" * 100_000), 404, code="unknown_url")


@pytest.mark.parametrize(
    "path,method,allowed",
    [
        ("/transcribe", "GET", "POST"),
        ("/transcribe/", "PUT", "POST"),
        ("/transcribe", "DELETE", "POST"),
        ("/transcribe", "HEAD", "POST"),
        ("/", "POST", "GET"),
        ("/health", "POST", "GET"),
        ("/ready", "DELETE", "GET"),
        ("/stats", "PUT", "GET"),
        ("/metrics", "PATCH", "GET"),
        ("/health", "BREW", "GET"),
    ],
)
def test_wrong_methods(server, path, method, allowed):
    body = b"" if method in ("POST", "PUT", "PATCH") else None
    r = request(server.port, method, path, [], body)
    if method == "HEAD":
        assert r.status == 405, r
    else:
        check_error(r, 405)
    methods = [m.strip() for m in r.header("allow").split(",")]
    assert allowed in methods and method not in methods, methods


@pytest.mark.parametrize("path", ["/", "/health", "/ready", "/stats", "/metrics"])
def test_head_is_get_without_a_body(server, path):
    with Conn(server.port) as c:
        r = c.request("HEAD", path)
        assert r.status == 200, r
        again = c.request("GET", path)
        assert again.status == 200 and r.header("content-type") == again.header("content-type")


def test_preflight(server):
    asked = "authorization, content-type, x-stainless-retry-count"
    r = request(
        server.port,
        "OPTIONS",
        "/transcribe",
        [
            ("Origin", "http://example.org"),
            ("Access-Control-Request-Method", "POST"),
            ("Access-Control-Request-Headers", asked),
        ],
    )
    assert r.status in (200, 204), r
    assert r.header("access-control-allow-origin") in ("*", "http://example.org")
    assert "POST" in r.header("access-control-allow-methods")
    granted = {h.strip().lower() for h in r.header("access-control-allow-headers").split(",")}
    assert {"authorization", "content-type", "x-stainless-retry-count"} <= granted


def test_preflight_cannot_split_the_answer(server):
    r = request(
        server.port,
        "OPTIONS",
        "/transcribe",
        [
            ("Origin", "http://x"),
            ("Access-Control-Request-Method", "POST"),
            ("Access-Control-Request-Headers", "a\tb, <x>, \u00e9, ok-name"),
        ],
    )
    assert r.status in (200, 204, 400), r


def test_answers_may_be_read_by_pages_of_other_hosts(server):
    for path in ("/health", "/nowhere"):
        assert request(server.port, "GET", path, [("Origin", "http://example.org")]).header(
            "access-control-allow-origin"
        )


@pytest.mark.threads
def test_keep_alive(server, clip, alone):
    """One connection, many requests of all kinds; refusals do not poison it."""
    ids = set()
    with Conn(server.port, T) as c:
        for i in range(30):
            r = c.request("GET", "/health")
            assert r.status == 200
            ids.add(r.header("x-request-id"))
            if i % 10 == 0:
                assert upload(server.port, clip, conn=c).json() == alone
                check_error(upload(server.port, b"", conn=c), 400)
                check_error(c.request("GET", "/nowhere"), 404)
    assert len(ids) == 30, "every request has an id of its own"


def test_connection_close_is_honoured(server):
    with Conn(server.port) as c:
        r = c.request("GET", "/health", [("Connection", "close")])
        assert r.status == 200 and r.header("connection", "").lower() == "close"
        assert c.closes(2)


def test_http_1_0(server):
    with Conn(server.port) as c:
        c.send(b"GET /health HTTP/1.0\r\n\r\n")
        assert c.read_response().status == 200
        assert c.closes(2)


def test_expect_100_continue(server, clip, alone):
    body = multipart([Part("file", clip, "a.wav")])
    with Conn(server.port, T) as c:
        c.send(head("POST", "/transcribe", [form_type(), ("Expect", "100-continue")], body))
        assert c.read_response(keep_100=True).status == 100
        c.send(body)
        assert check_answer(c.read_response(), 1.5) == alone


def test_unicode_reaches_the_log_as_one_line(start_server):
    """What a client sends cannot forge a line of the log."""
    s = start_server({"PINNA_LOG_FORMAT": "json", "LOG_LEVEL": "debug"})
    upload(s.port, b"x", filename='a"}\x1b[31m\\n{"level":"forged"}', timeout=T)
    request(s.port, "GET", '/x%0a{"level":"forged"}', [("User-Agent", 'u\x7e"}{"event":"forged"}')])
    text = s.log()
    for line in text.splitlines():
        record = json.loads(line)
        assert record["level"] != "forged" and record["event"] != "forged", line
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f]", text)


@pytest.mark.threads
def test_many_uploads_on_many_connections_at_once(server, speech):
    """Eight different clips at the same time, each with its own answer."""
    want = {n: upload(server.port, c, timeout=T).json() for n, c in speech.items()}
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        got = dict(zip(speech, pool.map(lambda c: upload(server.port, c, timeout=T).json(), speech.values())))
    assert got == want
