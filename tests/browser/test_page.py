"""The test page in Chromium: a recording is its microphone, the small trained models of tests/data recognise it."""
import array
import asyncio
import base64
import json
import re
import wave

import pytest

pytest.importorskip("selenium", reason="python3-selenium is not installed")

import websockets  # noqa: E402
from selenium.webdriver.common.keys import Keys  # noqa: E402

import chromium  # noqa: E402
from certificates import Authority  # noqa: E402
from chromium import Browser, Page  # noqa: E402
from server_process import ROOT  # noqa: E402
from wire import get  # noqa: E402

DATA = ROOT / "tests" / "data" / "paraformer"
DEGREES = "温度调到26"  # of c03, as it is written
HELLO = "hello你好"  # of m01
COMMAND = "打开空调358"  # of v01's first three seconds
FILE_TEXTS = ["打开空调三五八", "播放音乐", "今天天气怎么样", "再见"]  # of v01
SRT = re.compile(r"\d+\n(\d\d:\d\d:\d\d,\d{3}) --> (\d\d:\d\d:\d\d,\d{3})\n(.+)\n")


def samples(name, begin=0.0, end=None):
    with wave.open(str(DATA / "wav" / f"{name}.wav")) as w:
        a = array.array("h", w.readframes(w.getnframes()))
    return a[int(begin * 16000) : int(end * 16000) if end else None]


def spoken(result):
    """Its text with digits as they are said, without blanks: not every protocol writes them alike."""
    return result["text"].replace(" ", "").translate(str.maketrans("0123456789", "零一二三四五六七八九"))


@pytest.fixture(scope="module")
def settings(micro_models):
    return {**micro_models, "PINNA_PUNCTUATION": "off"}


@pytest.fixture(scope="module")
def server(start_module_server, settings):
    return start_module_server(settings)


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    if not chromium.installed():
        pytest.skip("chromium or chromium-driver is not installed")
    b = Browser(tmp_path_factory.mktemp("browser"))
    yield b
    b.quit()


def check(page, says=()):
    """Nothing went wrong in it, nor elsewhere; the browser remarked only on what holds one of `says`."""
    assert page.run("return [violations, failures]") == [[], []]
    remarks = [e["message"] for e in page.browser.log("browser")]
    assert [m for m in remarks if not any(word in m for word in says)] == []
    page.hosts |= page.browser.hosts()
    assert page.hosts == {f"127.0.0.1:{page.port}"}


@pytest.fixture
def page(browser, server):
    p = Page(browser, server.port)
    yield p
    check(p)


# ---- speaking


def test_press_speak_release(page):
    page.browser.say(samples("c03"))
    page.hold()
    page.wait(page.is_talking, "the button is down")
    assert page.one("#talk").text == "Release to send"
    page.wait(lambda: len(page.results()[0]["text"]) > 1 and page.results()[0]["open"], "text while speaking")
    assert page.state() == "talking"
    page.listen_to_the_end()
    page.let_go()
    (result,) = page.settled()
    assert result["text"] == DEGREES
    assert {"press to first text", "release to final", "server", "audio", "confidence"} == set(result["facts"])
    assert result["about"].startswith("Hold to talk /ws/asr zh ")
    (time_,) = result["times"]
    assert re.fullmatch(rf"\d\.\d\d – \d\.\d\d{DEGREES}", time_)
    assert page.one("#spoken").get_attribute("textContent") == DEGREES
    assert page.state() == "ready" and not page.is_talking()

    # The microphone is still on: pressed again, in silence, nothing is recognised.
    page.hold()
    page.wait(page.is_talking, "the button is down again")
    page.let_go()
    assert [r["text"] for r in page.settled(2)] == ["Nothing was recognised.", DEGREES]
    page.one("#microphone-off").click()
    page.wait(lambda: page.one("#level-value").text == "off", "the microphone is off")


def test_models_to_choose_from(page):
    """The field offers what this machine has; one that is chosen is the one that hears."""
    offered = "return [...document.querySelectorAll('#models option')].map((o) => o.value)"
    ids = [m["id"] for m in get(page.port, "/v1/models").json()["data"]]
    assert {"offline", "streaming", "micro"} <= set(ids) and page.run(offered) != ids
    page.one("[name=model]").click()
    page.wait(lambda: page.run(offered) == ids, "the list is there")
    page.one("[name=model]").send_keys("offline")
    page.run("document.activeElement.blur()")
    page.browser.say(samples("c03"))
    page.hold()
    page.listen_to_the_end()
    page.let_go()
    (result,) = page.settled()
    assert result["text"] == DEGREES


def test_space_bar(page):
    page.choose("language", "zh")
    page.one("[name=hotwords]").send_keys("a b")
    page.key_down()
    page.key_up()
    assert page.one("[name=hotwords]").get_attribute("value") == "a b "
    assert not page.is_talking()
    page.run("document.activeElement.blur()")
    page.browser.say(samples("m01"))
    before = page.run("scrollTo(0, 0); return scrollY")
    page.key_down()
    page.listen_to_the_end()
    page.key_up()
    assert [r["text"] for r in page.settled()] == [HELLO]
    assert page.run("return scrollY") == before
    page.one("#log summary").click()
    log = [[cell.text for cell in row.find_elements("tag name", "td")] for row in page.all("#log tbody tr")]
    (start,) = [json.loads(text) for _, way, _, text in log if way == "↑" and '"start"' in text]
    assert (start["language"], start["hotwords"], start["sample_rate"]) == ("zh", "a b", 16000)
    assert any(way == "↓" and '"type":"final"' in text for _, way, _, text in log)
    audio = [int(size) for _, way, size, text in log if way == "↑" and text.endswith("audio messages")]
    assert sum(audio) > 2 * len(samples("m01"))


def test_touch(page):
    page.browser.say(samples("m01"))
    page.touch("touchStart")
    page.listen_to_the_end()
    page.touch("touchEnd")
    assert [r["text"] for r in page.settled()] == [HELLO]


def test_keys_alone(page):
    """Tab leads to the button, Enter starts and stops: nothing has to be held."""
    page.browser.say(samples("m01"))
    for _ in range(10):
        page.key_down(Keys.TAB)
        page.key_up(Keys.TAB)
        if page.run("return document.activeElement.id") == "talk":
            break
    assert page.run("return getComputedStyle(document.activeElement).outlineStyle") == "solid"
    page.key_down(Keys.ENTER)
    page.key_up(Keys.ENTER)
    page.listen_to_the_end()
    assert page.is_talking()
    page.key_down(Keys.ENTER)
    page.key_up(Keys.ENTER)
    assert [r["text"] for r in page.settled()] == [HELLO]


def test_free_talk(page):
    page.browser.say(samples("v01", 0.3, 6.2))
    page.mode("free")
    page.one("#talk").click()
    music, command = page.settled(2)
    assert [command["text"], music["text"]] == [COMMAND, "播放音乐"]
    assert {"speech to first text", "pause to final"} <= set(command["facts"])
    begins = [float(r["times"][0].split()[0]) for r in (command, music)]
    assert begins[0] < begins[1]
    assert page.is_talking() and page.state() == "talking"
    page.one("#talk").click()
    page.wait(lambda: page.state() == "ready", "the end was confirmed")
    assert len(page.settled(2)) == 2


SENTENCES = {"realtime": ["打开空调", "三五八"], "funasr": ["打开空调三五八"]}  # one ends sooner than the other


@pytest.mark.parametrize("protocol", SENTENCES)
def test_other_protocols(page, protocol):
    """The same by each of them: free, and let go at once; test_client holds."""
    n = len(SENTENCES[protocol])
    page.browser.say(samples("v01", 0.3, 3.9))
    page.choose("protocol", protocol)
    page.mode("free")
    page.one("#talk").click()
    results = page.settled(n)
    assert [spoken(r) for r in reversed(results)] == SENTENCES[protocol]
    assert all(r["about"].startswith("Free talk /") for r in results)
    page.one("#talk").click()
    page.wait(lambda: page.state() == "ready", "the end was confirmed")
    assert len(page.settled(n)) == n

    page.mode("hold")
    for _ in range(2):
        page.hold()
        page.wait(page.is_talking, "the button is down")
        page.let_go()
    assert [r["text"] for r in page.settled(n + 2)[:2]] == ["Nothing was recognised."] * 2
    assert not page.complaint()


def test_over_https(browser, start_server, settings, tmp_path):
    server = start_server(settings, tls=Authority(tmp_path).issue("pinna"))
    page = Page(browser, server.port, "https")
    browser.say(samples("m01"))
    page.hold()
    page.listen_to_the_end()
    page.let_go()
    assert [r["text"] for r in page.settled()] == [HELLO]
    check(page)


# ---- files


def test_file_and_what_is_saved(page):
    page.one("input[type=file]").send_keys(str(DATA / "wav" / "v01.wav"))
    (result,) = page.settled()
    assert result["text"] == "".join(FILE_TEXTS)
    assert result["about"].startswith("v01.wav")
    assert set(result["facts"]) == {"sending", "recognition"}
    assert [t.lstrip("0123456789.– ") for t in result["times"]] == FILE_TEXTS
    for button in page.all("article [data-save]"):
        button.click()
    assert page.saved("pinna-*.txt") == result["text"] + "\n"
    blocks = SRT.findall(page.saved("pinna-*.srt"))
    assert [text for _, _, text in blocks] == FILE_TEXTS
    assert all(begin < end for begin, end, _ in blocks)
    (saved,) = json.loads(page.saved("pinna-*.json"))
    assert saved["language"] == "zh" and [s["text"] for s in saved["segments"]] == FILE_TEXTS

    clipboard = ["clipboardReadWrite", "clipboardSanitizedWrite"]
    page.browser.command("Browser.grantPermissions", permissions=clipboard)
    page.one("article [data-copy]").click()
    page.wait(lambda: page.one("article [data-note]").text == "Copied", "the text was copied")
    assert page.run_async("return navigator.clipboard.readText()") == result["text"]
    page.one("[data-clear]").click()
    assert page.results() == [] and "appears here" in page.one("#results").text


def test_dropped_file_and_no_file(page):
    page.run(
        "const data = new DataTransfer(); data.items.add(new File(['no sound'], 'x.wav'));"
        "document.body.dispatchEvent(new DragEvent('drop', { dataTransfer: data, bubbles: true, cancelable: true }))"
    )
    (result,) = page.settled()
    assert result["failed"] and "No result: The server refuses the file (400)" in result["text"]
    assert "refuses the file" in page.complaint()
    page.one("#complaint button").click()
    assert not page.complaint()
    check(page, ["status of 400"])


def test_cancelled_upload(page):
    slow = {"offline": False, "latency": 0, "downloadThroughput": -1, "uploadThroughput": 40000}
    page.browser.command("Network.emulateNetworkConditions", **slow)
    try:
        page.one("input[type=file]").send_keys(str(DATA / "wav" / "v01.wav"))
        page.wait(lambda: 0 < float(page.one("progress").get_attribute("value") or 0) < 1, "progress")
        assert page.one("[data-said]").text.startswith("Sending v01.wav: ")
        page.one("[data-cancel]").click()
        page.wait(lambda: page.one("[data-said]").text == "Cancelled: v01.wav", "it was cancelled")
    finally:
        page.browser.command("Network.emulateNetworkConditions", **{**slow, "uploadThroughput": -1})
    assert page.results() == [] and not page.one("progress").is_displayed()


# ---- what goes wrong


def test_no_microphone_without_https(page):
    script = "Object.defineProperty(window, 'isSecureContext', { value: false })"
    added = page.browser.command("Page.addScriptToEvaluateOnNewDocument", source=script)
    try:
        page.load()
        assert f"http://localhost:{page.port}/test" in page.complaint() and "TLS_CERT" in page.complaint()
    finally:
        page.browser.command("Page.removeScriptToEvaluateOnNewDocument", identifier=added["identifier"])


def test_microphone_denied(page):
    page.run(
        "navigator.mediaDevices.getUserMedia = () => Promise.reject(new DOMException('no', arguments[0]))",
        "NotAllowedError",
    )
    page.hold()
    page.wait(lambda: "not allowed" in (page.complaint() or ""), "the page says so")
    page.let_go()
    assert not page.is_talking()


def test_server_full_then_gone(browser, start_server, settings):
    server = start_server({**settings, "MAX_CONNECTIONS": 1})
    page = Page(browser, server.port)
    page.browser.say(samples("m01"))

    async def press():
        async with websockets.connect(f"ws://127.0.0.1:{server.port}/ws/asr") as other:
            await other.recv()
            page.hold()
            page.wait(lambda: "takes no more connections" in (page.complaint() or ""), "the page says so")
            page.let_go()

    asyncio.run(press())
    assert page.results()[0]["failed"]
    server.stop()
    page.hold()
    page.wait(lambda: "does not answer" in (page.complaint() or ""), "the page says so")
    page.let_go()
    check(page, ["ERR_CONNECTION_REFUSED"])


# ---- how it looks and is read


def test_two_languages(page):
    keys = page.run_async(
        "const { TEXTS } = await import('/web/test-text.js');"
        "return Object.values(TEXTS).map((texts) => Object.entries(texts).map("
        "    ([key, text]) => [key, [...text.matchAll(/\\{\\w+\\}/g)].map((m) => m[0]).sort()]))"
    )
    assert dict(keys[0]) == dict(keys[1])
    assert page.one("html").get_attribute("lang") == "en"
    english = page.text()
    page.one("#switch-language").click()
    assert page.one("html").get_attribute("lang") == "zh-CN"
    chinese = page.text()
    words = [set(re.findall(r"[A-Z][a-z]{3,}", text)) for text in (english, chinese)]
    assert words[0] & words[1] <= {"Open", "Realtime", "Fake", "Audio", "Input"}, "names of protocols and devices"
    assert "按住说话" in chinese
    page.load()
    assert page.one("html").get_attribute("lang") == "zh-CN" and page.driver.title == "Pinna 试用"


CONTRAST = """
const light = ([r, g, b]) => {
    const f = (v) => (v /= 255) <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4;
    return 0.2126 * f(r) + 0.7152 * f(g) + 0.0722 * f(b);
};
const rgb = (text) => text.match(/[\\d.]+/g).map(Number);
const behind = (e) => {
    for (; e; e = e.parentElement) {
        const c = rgb(getComputedStyle(e).backgroundColor);
        if (c.length === 3 || c[3] > 0) return c;
    }
};
const low = [];
for (const e of document.querySelectorAll('body *')) {
    const said = [...e.childNodes].some((n) => n.nodeType === 3 && n.data.trim()) || e.matches('input, select');
    if (!said || !e.checkVisibility()) continue;
    const [a, b] = [light(rgb(getComputedStyle(e).color)), light(behind(e))].sort((x, y) => y - x);
    if ((a + 0.05) / (b + 0.05) < 4.5) low.push(`${e.tagName} ${e.textContent.trim().slice(0, 30)}`);
}
return low;
"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_contrast(page, scheme):
    page.colours(scheme)
    page.run(
        "document.querySelector('#complaint').hidden = false; document.querySelector('#complaint p').textContent = 'x';"
        "document.querySelector('#log').open = true; document.querySelector('#microphone-off').hidden = false"
    )
    assert page.run("return getComputedStyle(document.documentElement).colorScheme") == scheme
    assert page.run(CONTRAST) == []
    page.run("document.querySelector('#talk').classList.add('on')")
    assert page.run(CONTRAST) == []
    page.one("#switch-theme").click()
    assert page.run("return getComputedStyle(document.documentElement).colorScheme") != scheme
    page.colours("light")


NAMED = {"button", "textbox", "combobox", "checkbox", "radio", "meter", "progressbar", "region", "link"}


def test_everything_has_a_name(page):
    page.run("document.querySelectorAll('[hidden]').forEach((e) => { e.hidden = false; })")
    page.run("document.querySelector('#log').open = true")
    nodes = page.browser.command("Accessibility.getFullAXTree")["nodes"]
    seen, nameless = set(), []
    for node in nodes:
        role = node.get("role", {}).get("value", "")
        seen.add(role)
        if role in NAMED and not node["ignored"] and not node.get("name", {}).get("value", "").strip():
            nameless.append(node)
    assert [(n["role"]["value"], n.get("backendDOMNodeId")) for n in nameless] == []
    assert {"button", "combobox", "checkbox", "radio", "meter", "alert", "status", "main", "banner"} <= seen
    assert page.run(
        "const ids = [...document.querySelectorAll('[id]')].map((e) => e.id);"
        "return ids.length === new Set(ids).size && document.querySelectorAll('h1').length === 1"
    )


def test_fits(page):
    page.one("#log summary").click()
    for width in (320, 360, 768, 1280):
        page.size(width, 740)
        page.one("#switch-language").click()
        assert page.run("return document.documentElement.scrollWidth") <= width
        too_small = page.run(
            "return [...document.querySelectorAll('button, .button, select, .field input')]"
            "    .filter((e) => e.checkVisibility() && e.offsetHeight < 36).map((e) => e.outerHTML)"
        )
        assert too_small == []
        assert page.one("#talk").size["height"] >= 88


# ---- the client


RESAMPLE = """
const [rate, hertz] = args;
const context = new OfflineAudioContext(1, rate, rate);
await context.audioWorklet.addModule('/web/pcm-worklet.js');
const node = new AudioWorkletNode(context, 'pinna-pcm', { processorOptions: { rate: 16000, chunk: 640 } });
const tone = new OscillatorNode(context, { frequency: hertz });
const pcm = [];
node.port.onmessage = ({ data }) => data.pcm && pcm.push(...new Int16Array(data.pcm));
tone.connect(node).connect(context.destination);
tone.start();
await context.startRendering();
await new Promise((resolve) => { setTimeout(resolve, 50); });
const middle = pcm.slice(1600, -1600);
return [pcm.length, Math.sqrt(middle.reduce((s, v) => s + v * v, 0) / middle.length) / 32768];
"""


def test_resampling(page):
    for rate in (8000, 16000, 44100, 48000, 96000):
        n, loud = page.run_async(RESAMPLE, rate, 1000)
        assert abs(n - 16000) <= 640 + 64
        assert abs(loud - 0.5**0.5) < 0.01
        if rate > 32000:
            _, quiet = page.run_async(RESAMPLE, rate, 9000)
            assert quiet < 0.002  # 50 dB down: it would be heard as 7 kHz


CLIENT = """
const [protocol, clip, steps, options] = args;
const { PinnaClient } = await import('/web/pinna.js');
const pcm = new Int16Array(Uint8Array.from(atob(clip), (c) => c.charCodeAt(0)).buffer);
const sockets = [];
const Real = WebSocket;
globalThis.WebSocket = class extends Real {
    constructor(...of) {
        super(...of);
        sockets.push(this);
    }
};
const client = new PinnaClient({ protocol, ...options });
const told = [];
const seen = (type) => new Promise((resolve) => { client.on(type, resolve); });
client.on('final', ({ utterance, text }) => text && told.push([utterance, text]));
client.on('error', ({ utterance, code }) => told.push([utterance, code]));
client.on('retry', () => told.push('retry'));
const ended = new Promise((resolve) => {
    client.on('end', ({ utterance }) => utterance === steps.filter((s) => s === 'start').length && resolve());
});
for (const step of steps) {
    if (step === 'talking') {
        while (client.state !== 'talking') await seen('state');
    } else if (step === 'lose') {
        sockets.at(-1).close();
        await seen('close');
    } else {
        client[step](pcm);
    }
}
await ended;
client.close();
globalThis.WebSocket = Real;
return [told, client.state, sockets.length];
"""
SAY = ["start", "feed", "stop"]


def drive(page, protocol, steps, **options):
    """What a client of pinna.js is told when it does `steps` without a pause."""
    clip = base64.b64encode(samples("b19700").tobytes()).decode()
    told, state, sockets = page.run_async(CLIENT, protocol, clip, steps, options)
    digits = str.maketrans("零一二三四五六七八九", "0123456789")
    assert state == "closed"
    return [t if isinstance(t, str) else (t[0], t[1].translate(digits)) for t in told], sockets


def test_client(page):
    for protocol in ("ptt", "funasr", "realtime"):
        # Before there is a connection; a second utterance before the first is answered.
        assert drive(page, protocol, SAY + SAY) == ([(1, "462"), (2, "462")], 1)
        # Thrown away while it is spoken, and while its answer is awaited.
        told, _ = drive(page, protocol, ["start", "feed", "talking", "reset", *SAY])
        assert told == [(2, "462")]
        told, _ = drive(page, protocol, ["start", "feed", "talking", "stop", "reset", *SAY])
        assert told == [(2, "462")]


def test_client_loses_its_connection(page):
    lost = ["start", "feed", "talking", "lose"]
    assert drive(page, "ptt", [*lost, *SAY]) == ([(1, "lost"), (2, "462")], 2)
    assert drive(page, "ptt", [*lost, "feed", "stop"], vad=True) == (["retry", (1, "462")], 2)
    assert drive(page, "ptt", [*lost, "stop"], vad=True, retries=0) == ([(1, "lost")], 1)


def test_client_is_refused(page):
    told, _ = drive(page, "ptt", SAY, model="none such")
    assert told == [(1, "server")]
    with pytest.raises(AssertionError, match="no protocol carrier-pigeon"):
        drive(page, "carrier-pigeon", [])
