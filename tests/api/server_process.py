"""server_process.py - one `pinna serve` in an empty folder, and what /proc knows of it."""
import os
import pathlib
import re
import select
import shutil
import signal
import subprocess
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
PINNA = os.path.abspath(os.environ.get("PINNA_BIN", ROOT / "build" / "pinna"))
SANITIZER = os.environ.get("PINNA_SANITIZER", "")
FACTOR = {"": 1, "asan": 4, "tsan": 8}[SANITIZER]  # how much longer everything may take
READY = re.compile(
    rb"pinna: listening on https?://127\.0\.0\.1:([0-9]+)\n"
    rb"(pinna: FunASR's protocol on wss?://127\.0\.0\.1:[0-9]+\n)?"
)
REPORT = re.compile(
    r"AddressSanitizer|LeakSanitizer|ThreadSanitizer|UndefinedBehaviorSanitizer|: runtime error:"
)
PASSED_ON = (
    "PATH",
    "LANG",
    "LC_ALL",
    "ASAN_OPTIONS",
    "UBSAN_OPTIONS",
    "TSAN_OPTIONS",
    "LSAN_OPTIONS",
    "LD_LIBRARY_PATH",
)

running = []


def clean_env(folder, overrides=None):
    """Nothing of the caller's settings reaches the program under test. None takes a name out."""
    env = {k: os.environ[k] for k in PASSED_ON if k in os.environ}
    env.update(HOME=str(folder), TMPDIR=str(folder / "tmp"), TORCH_NUM_THREADS="2")
    if "PINNA_DECODE" in os.environ:
        env["PINNA_DECODER"] = os.path.abspath(os.environ["PINNA_DECODE"])
    env.update(overrides or {})
    return {k: str(v) for k, v in env.items() if v is not None}


class Server:
    def __init__(self, env=None, args=(), files=None, tls=None):
        """`tls`: paths of a certificate and its key; all ports then speak TLS."""
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="pinna-api-"))
        (self.folder / "tmp").mkdir()
        for name, text in (files or {}).items():
            (self.folder / name).write_text(text)
        if tls:
            env = {"TLS_CERT": tls[0], "TLS_KEY": tls[1], **(env or {})}
        self.stderr_path = self.folder / "stderr.txt"
        with open(self.stderr_path, "wb") as err:
            self.process = subprocess.Popen(
                [PINNA, "serve", "--port", "0", "--host", "127.0.0.1", *args],
                cwd=self.folder,
                env=clean_env(self.folder, env),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=err,
            )
        self.pid = self.process.pid
        running.append(self)
        try:
            self.port = self._wait_ready(20 * FACTOR)
        except BaseException:
            self.kill()
            raise

    def _wait_ready(self, seconds):
        fd, line, end = self.process.stdout.fileno(), b"", time.monotonic() + seconds
        while not line.endswith(b"\n"):
            ready, _, _ = select.select([fd], [], [], max(0, end - time.monotonic()))
            assert ready, f"not ready after {seconds} s\n{self.stderr()}"
            more = os.read(fd, 4096)
            assert more, f"ended with {self.process.wait(5)} before it was ready\n{self.stderr()}"
            line += more
        m = READY.fullmatch(line)
        assert m, f"first line is {line!r}"
        return int(m.group(1))

    def stderr(self):
        return self.stderr_path.read_text("utf-8", "replace")

    def log(self):
        return (self.folder / "logs" / "asr.log").read_text("utf-8")

    def alive(self):
        return self.process.poll() is None

    def check(self):
        """Alive and without a sanitizer's report."""
        assert self.alive(), f"the server ended with {self.process.returncode}\n{self.stderr()[-8000:]}"
        self.check_reports()

    def check_reports(self):
        m = REPORT.search(self.stderr())
        assert not m, self.stderr()[max(0, m.start() - 500) : m.start() + 8000]

    def signal(self, number):
        self.process.send_signal(number)

    def wait(self, seconds=30):
        return self.process.wait(seconds * FACTOR)

    def kill(self):
        if self.alive():
            self.process.kill()
        self.process.wait()
        self._forget()

    def stop(self, code=0):
        """SIGTERM must drain, leave nothing behind and end with 0."""
        if self.alive():
            self.signal(signal.SIGTERM)
        try:
            got = self.wait()
        except subprocess.TimeoutExpired:
            text = self.stderr()[-4000:]
            self.kill()
            raise AssertionError(f"SIGTERM did not end the server\n{text}") from None
        try:
            self.check_reports()
            assert got == code, f"exit code {got}\n{self.stderr()[-8000:]}"
            assert self.spooled() == [], "files left in the spool folder"
        finally:
            self._forget()

    def _forget(self):
        if self in running:
            running.remove(self)
        self.process.stdout.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    # what /proc says

    def rss_kb(self):
        """Exact, where VmRSS of /proc/PID/status lags behind by some pages a thread."""
        return int(
            re.search(
                r"^Rss:\s+(\d+) kB", pathlib.Path(f"/proc/{self.pid}/smaps_rollup").read_text(), re.M
            ).group(1)
        )

    def fds(self):
        return len(os.listdir(f"/proc/{self.pid}/fd"))

    def cpu_seconds(self):
        fields = pathlib.Path(f"/proc/{self.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def decoders(self):
        """Process ids of the server's decode children, oldest first; a zombie is none."""
        found = []
        for stat in pathlib.Path("/proc").glob("[0-9]*/stat"):
            try:
                pid, rest = stat.read_text().split(" (", 1)
            except OSError:
                continue
            name, fields = rest.rsplit(") ", 1)
            state, parent = fields.split()[:2]
            if int(parent) == self.pid and name == "pinna-decode" and state != "Z":
                found.append((int(fields.split()[19]), int(pid)))
        return [pid for _, pid in sorted(found)]

    def spooled(self):
        return sorted(str(p) for p in (self.folder / "tmp").rglob("*") if p.is_file())
