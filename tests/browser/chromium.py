"""chromium.py - a Chromium without a screen, with a file as its microphone, and the test page in it."""
import array
import json
import shutil
import time
import urllib.parse
import wave

from selenium import webdriver
from selenium.common.exceptions import WebDriverException
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

ARGUMENTS = (
    "--headless=new",
    "--no-sandbox",  # tests may run as root
    "--disable-dev-shm-usage",
    "--disable-gpu",
    "--disable-background-networking",
    "--use-fake-ui-for-media-stream",
    "--use-fake-device-for-media-stream",
)
RATE = 16000
LEAD_S, REST_S = 0.2, 30  # the room before a clip, and behind it: the microphone never ends
LOUD_DB, QUIET_DB, PAUSE_S = -35, -42, 0.6  # of the page's meter; no pause inside a clip is longer

# Kept by every page from its first moment on.
WATCH = """
window.violations = [];
document.addEventListener('securitypolicyviolation', (e) => violations.push(`${e.violatedDirective} ${e.blockedURI}`));
window.failures = [];
addEventListener('error', (e) => failures.push(e.message));
addEventListener('unhandledrejection', (e) => failures.push(String(e.reason)));
"""


def installed():
    return shutil.which("chromium") and shutil.which("chromedriver")


class Browser:
    def __init__(self, folder):
        self.microphone = folder / "microphone.wav"
        self.downloads = folder / "downloads"
        self.downloads.mkdir()
        self.say(array.array("h", bytes(2 * RATE)))
        options = webdriver.ChromeOptions()
        options.binary_location = shutil.which("chromium")
        for argument in ARGUMENTS:
            options.add_argument(argument)
        options.add_argument(f"--use-file-for-fake-audio-capture={self.microphone}%noloop")
        options.add_experimental_option("prefs", {"intl.accept_languages": "en-US"})
        options.set_capability("acceptInsecureCerts", True)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
        self.driver = webdriver.Chrome(service=Service(shutil.which("chromedriver")), options=options)
        self.command("Page.addScriptToEvaluateOnNewDocument", source=WATCH)
        self.command("Browser.setDownloadBehavior", behavior="allow", downloadPath=str(self.downloads))

    def command(self, name, **parameters):
        return self.driver.execute_cdp_cmd(name, parameters)

    def say(self, samples):
        """What the microphone hears when it is opened next. The browser reads the file then. Before and after it is
        the clip's own noise: in perfect silence the small models hear things."""
        ends = (samples[: RATE // 5], samples[-RATE // 5 :])
        quiet = min(ends, key=lambda part: max(map(abs, part)))
        room = quiet + quiet[::-1]
        with wave.open(str(self.microphone), "wb") as w:
            w.setnchannels(1)
            w.setsampwidth(2)
            w.setframerate(RATE)
            lead, rest = (room * (int(s * RATE) // len(room) + 1) for s in (LEAD_S, REST_S))
            w.writeframes((lead[-int(LEAD_S * RATE) :] + samples + rest).tobytes())

    def log(self, kind):
        return self.driver.get_log(kind)

    def hosts(self):
        """Of everything that was asked for since the last call."""
        found = set()
        for entry in self.log("performance"):
            message = json.loads(entry["message"])["message"]
            parameters = message["params"]
            url = {
                "Network.requestWillBeSent": lambda: parameters["request"]["url"],
                "Network.webSocketCreated": lambda: parameters["url"],
            }.get(message["method"], str)()
            if url.split(":")[0] in ("http", "https", "ws", "wss"):
                found.add(urllib.parse.urlsplit(url).netloc)
        return found

    def quit(self):
        self.driver.quit()


class Page:
    """/test of one server, freshly loaded."""

    def __init__(self, browser, port, scheme="http"):
        self.browser, self.driver, self.port = browser, browser.driver, port
        self.hosts = set()  # that were asked for anything
        self.origin = f"{scheme}://127.0.0.1:{port}"
        self.size(1280, 900)
        self.driver.get("about:blank")
        browser.hosts()
        browser.log("browser")
        browser.command("Storage.clearDataForOrigin", origin=self.origin, storageTypes="local_storage")
        self.load()

    def load(self):
        self.driver.get(f"{self.origin}/test")
        self.wait(lambda: self.one("#server").text, "the page has asked the server")

    def size(self, width, height):
        self.browser.command(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False
        )

    def colours(self, scheme):
        self.browser.command(
            "Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}]
        )

    def one(self, selector):
        return self.driver.find_element(By.CSS_SELECTOR, selector)

    def all(self, selector):
        return self.driver.find_elements(By.CSS_SELECTOR, selector)

    def run(self, script, *args):
        return self.driver.execute_script(script, *args)

    def run_async(self, script, *args):
        """`script` is the body of an async function; its value, or its error."""
        done = "const done = arguments[arguments.length - 1];"
        body = f"(async (...args) => {{{script}}})(...arguments)"
        got = self.driver.execute_async_script(
            f"{done}{body}.then((v) => done([v]), (e) => done({{ error: String(e.stack ?? e) }}))", *args
        )
        assert isinstance(got, list), got
        return got[0]

    def wait(self, condition, what, seconds=20):
        end = time.monotonic() + seconds
        while True:
            try:
                value = condition()
            except (WebDriverException, IndexError):
                value = None  # not there yet, or replaced in this moment
            if value:
                return value
            assert time.monotonic() < end, f"not within {seconds} s: {what}; the page says {self.text()!r}"
            time.sleep(0.05)

    def text(self):
        return self.one("main").text

    def state(self):
        return self.one("#state").get_attribute("data-state")

    def choose(self, name, value):
        self.run(
            "const e = document.querySelector(`[name=${arguments[0]}]`); e.value = arguments[1];"
            "e.dispatchEvent(new Event('change', { bubbles: true }))",
            name,
            value,
        )

    def mode(self, value):
        self.one(f"[name=mode][value={value}]").click()

    # speaking

    def hold(self):
        ActionChains(self.driver).click_and_hold(self.one("#talk")).perform()

    def let_go(self):
        ActionChains(self.driver).release().perform()

    def key_down(self, key=Keys.SPACE):
        ActionChains(self.driver).key_down(key).perform()

    def key_up(self, key=Keys.SPACE):
        ActionChains(self.driver).key_up(key).perform()

    def touch(self, kind):
        box = self.one("#talk").rect
        at = {"x": box["x"] + box["width"] / 2, "y": box["y"] + box["height"] / 2}
        points = [at] if kind == "touchStart" else []
        self.browser.command("Input.dispatchTouchEvent", type=kind, touchPoints=points)

    def is_talking(self):
        return "on" in self.one("#talk").get_attribute("class").split()

    def decibels(self):
        return int(self.one("#level").get_attribute("aria-valuenow"))

    def listen_to_the_end(self):
        """Speech was heard, and then nothing for a while."""
        self.wait(lambda: self.decibels() > LOUD_DB, "the clip is heard")
        spoke = time.monotonic()

        def over():
            nonlocal spoke
            if self.decibels() > QUIET_DB:
                spoke = time.monotonic()
            return time.monotonic() - spoke > PAUSE_S

        self.wait(over, "the clip is over", 30)

    # results, the newest first

    def results(self):
        return self.run(
            "return [...document.querySelectorAll('#results-list article')].map((a) => ({"
            "    text: a.querySelector('[data-part=text]').textContent, open: a.classList.contains('open'),"
            "    failed: a.classList.contains('failed'), "
            "    about: [...a.querySelector('.about').children].map((e) => e.textContent).join(' ').trim(),"
            "    facts: Object.fromEntries([...a.querySelectorAll('dl div')].map("
            "        (d) => [d.firstChild.textContent, d.lastChild.textContent])),"
            "    times: [...a.querySelectorAll('li')].map((l) => l.textContent) }))"
        )

    def settled(self, n=1):
        """The results, once there are `n` and none is open."""

        def there():
            results = self.results()
            return results if len(results) >= n and not any(r["open"] for r in results) else None

        return self.wait(there, f"{n} results are final")

    def complaint(self):
        box = self.one("#complaint")
        return box.is_displayed() and box.text

    def saved(self, pattern):
        """The text of a file that was downloaded."""

        def there():
            files = [f for f in self.browser.downloads.glob(pattern) if not f.name.endswith(".crdownload")]
            return files and files[0].stat().st_size and files[0]

        path = self.wait(there, f"{pattern} was saved")
        text = path.read_text("utf-8")
        path.unlink()
        return text
