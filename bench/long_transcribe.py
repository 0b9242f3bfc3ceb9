#!/usr/bin/python3
"""long_transcribe.py - one long recording through `pinna transcribe`: memory, time stamps, and whether the bar is true.

usage: bench/long_transcribe.py FILE --model MODEL [--option=--vad] ...

FILE is a WAV file (long_audio.py makes some). The program runs on a terminal, so that it draws its progress, which is
read like a user would: the fraction that it shows against the share of the time that has really passed. Peak memory is
that of the program and, apart, of its decoder. With FILE.json beside it the table says how many of the sentences came
out right, blanks and case left out.
"""
import argparse
import json
import os
import pathlib
import pty
import re
import select
import subprocess
import tempfile
import time
import wave

ROOT = pathlib.Path(__file__).resolve().parents[1]
PINNA = os.environ.get("PINNA_BIN", ROOT / "build" / "pinna")
CLOCK = r"(?:(\d+):)?(\d+):(\d\d)"
SHOWN = re.compile(rf" {CLOCK}/{CLOCK} ")


def seconds(hours, minutes, rest):
    return int(hours or 0) * 3600 + int(minutes) * 60 + int(rest)


def peak_mb(pid):
    try:
        status = pathlib.Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0
    m = re.search(r"^VmHWM:\s+(\d+) kB", status, re.M)
    return int(m.group(1)) / 1024 if m else 0


def children(pid):
    try:
        return [int(c) for c in pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []


class Run:
    def __init__(self, command, env=os.environ):
        self.seen, self.peak, self.child_peak, self.screen = [], 0, 0, ""
        terminal, side = pty.openpty()
        start = time.monotonic()
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=side, env={**env, "TERM": "xterm"})
        os.close(side)
        while process.poll() is None:
            self.peak = max(self.peak, peak_mb(process.pid))
            self.child_peak = max([self.child_peak, *(peak_mb(c) for c in children(process.pid))])
            if select.select([terminal], [], [], 0.1)[0]:
                self.read(terminal, start)
        self.took, self.status = time.monotonic() - start, process.returncode
        os.close(terminal)

    def read(self, terminal, start):
        try:
            self.screen = (self.screen + os.read(terminal, 65536).decode("utf-8", "replace"))[-4096:]
        except OSError:  # the other side is closed
            return
        shown = SHOWN.findall(self.screen)
        if shown:
            self.seen.append((time.monotonic() - start, seconds(*shown[-1][:3]) / max(1, seconds(*shown[-1][3:]))))

    def bar(self):
        """(shown at most so far behind or ahead of the truth, backward steps)"""
        off = max((abs(done - at / self.took) for at, done in self.seen), default=1)
        return off, sum(b[1] < a[1] for a, b in zip(self.seen, self.seen[1:]))


def disorder(segments, duration):
    """Time stamps that go back, end before they begin or lie outside."""
    bad, before = 0, 0.0
    for s in segments:
        bad += s["start"] < before - 1e-6 or s["end"] < s["start"] or s["end"] > duration + 0.5
        before = s["start"]
    return bad


def plain(text):
    return "".join(c for c in text.lower() if c.isalnum())


def right(said, segments):
    """How many sentences stand, whole, in what was written about their time."""
    found = 0
    for s in said:
        near = [t["text"] for t in segments if t["end"] > s["start"] - 1 and t["start"] < s["end"] + 1]
        found += plain(s["text"]) in plain("".join(near))
    return found


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("file", type=pathlib.Path)
    p.add_argument("--model", required=True)
    p.add_argument("--option", action="append", default=[], help="for pinna transcribe; several times if need be")
    args = p.parse_args()
    with wave.open(str(args.file)) as w:
        duration = w.getnframes() / w.getframerate()
    with tempfile.TemporaryDirectory(prefix="pinna-long-") as out:
        command = [PINNA, "transcribe", "--model", args.model, "--format", "json", "--output-dir", out, *args.option]
        run = Run([*command, args.file])
        if run.status != 0:
            raise SystemExit(f"pinna ended with {run.status}: {run.screen[-300:]}")
        result = json.loads((pathlib.Path(out) / (args.file.stem + ".json")).read_text())
    segments = result["segments"]
    off, back = run.bar()
    print(f"{duration / 60:.1f} min in {run.took:.1f} s, {duration / run.took:.0f} times as fast as it was spoken")
    print(f"peak memory {run.peak:.0f} MB, decoder {run.child_peak:.0f} MB")
    print(f"{len(segments)} segments, {len(result['text'])} characters, {disorder(segments, duration)} out of order")
    print(f"bar: {len(run.seen)} looks, at most {100 * off:.1f} % off, {back} steps back")
    truth = pathlib.Path(str(args.file) + ".json")
    if truth.exists():
        said = json.loads(truth.read_text())
        print(f"{right(said, segments)} of {len(said)} sentences are right")


if __name__ == "__main__":
    main()
