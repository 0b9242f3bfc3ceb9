#!/usr/bin/python3
"""whisper_server.py - requests a second of the whole server with a Whisper model, and their latency.

usage: bench/whisper_server.py MODEL [--seconds 11] [--clients 1,4,16] [--requests 3]

MODEL is a checkpoint; `build/bench/random_model base FILE 27` makes one of true size with random weights whose texts
end after 27 tokens: speed does not depend on what the weights know. Every client sends its clips one
after the other over its own connections; each clip is a different one, and its answer is compared with the answer that
the same clip got alone. `language=en` first, then with the language detected, which encodes the first window twice.
"""
import argparse
import array
import concurrent.futures
import http.client
import io
import json
import math
import os
import pathlib
import random
import re
import statistics
import subprocess
import tempfile
import time
import wave

ROOT = pathlib.Path(__file__).resolve().parents[1]
PINNA = os.environ.get("PINNA_BIN", ROOT / "build" / "pinna")


def clip(seconds, seed):
    """Noise in syllables: what it says does not matter, that it differs from clip to clip does."""
    rng, n = random.Random(seed), int(seconds * 16000)
    pitch = 100 + 10 * (seed % 13)
    samples = array.array("h", bytes(2 * n))
    for i in range(n):
        loud = max(0.0, math.sin(2 * math.pi * 3.1 * i / 16000 + seed))
        samples[i] = int(6000 * loud * math.sin(2 * math.pi * pitch * i / 16000) + rng.uniform(-800, 800))
    out = io.BytesIO()
    with wave.open(out, "wb") as w:
        w.setnchannels(1)
        w.setsampwidth(2)
        w.setframerate(16000)
        w.writeframes(samples.tobytes())
    return out.getvalue()


def form(data, fields):
    parts = [f'--b\r\nContent-Disposition: form-data; name="{k}"\r\n\r\n{v}\r\n'.encode() for k, v in fields.items()]
    head = b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.wav"\r\nContent-Type: audio/wav\r\n\r\n'
    return b"".join(parts) + head + data + b"\r\n--b--\r\n"


class Server:
    def __init__(self, model, threads):
        self.folder = tempfile.mkdtemp(prefix="pinna-bench-")
        self.process = subprocess.Popen(
            [PINNA, "serve", "--port", "0", "--host", "127.0.0.1", "--model", os.path.abspath(model)],
            cwd=self.folder,
            env={**os.environ, "TORCH_NUM_THREADS": str(threads), "LOG_LEVEL": "error"},
            stdout=subprocess.PIPE,
        )
        line = self.process.stdout.readline()
        m = re.search(rb"listening on http://[^ ]*:(\d+)", line)
        if not m:
            raise SystemExit(f"the server did not start: {line!r}")
        self.port = int(m.group(1))

    def ask(self, body):
        c = http.client.HTTPConnection("127.0.0.1", self.port, timeout=600)
        c.request("POST", "/transcribe", body, {"Content-Type": "multipart/form-data; boundary=b"})
        r = c.getresponse()
        answer = r.read()
        c.close()
        if r.status != 200:
            raise SystemExit(f"{r.status}: {answer[:300]!r}")
        return json.loads(answer)

    def peak_mb(self):
        status = pathlib.Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.search(r"^VmHWM:\s+(\d+) kB", status, re.M).group(1)) / 1024

    def stop(self):
        self.process.terminate()
        self.process.wait(60)


def run_client(server, bodies):
    """[(seconds, answer)] of one client's clips, one after the other."""
    out = []
    for body in bodies:
        start = time.monotonic()
        answer = server.ask(body)
        out.append((time.monotonic() - start, answer))
    return out


def measure(server, clients, requests, seconds, fields, alone):
    bodies = [[(c * requests + k) % 16 for k in range(requests)] for c in range(clients)]
    start = time.monotonic()
    with concurrent.futures.ThreadPoolExecutor(clients) as pool:
        jobs = [pool.submit(run_client, server, [alone[i][0] for i in mine]) for mine in bodies]
        results = [job.result() for job in jobs]
    wall = time.monotonic() - start
    latencies = sorted(t for r in results for t, _ in r)
    same = sum(a == alone[i][1] for mine, r in zip(bodies, results) for i, (_, a) in zip(mine, r))
    n = len(latencies)
    return {
        "rps": n / wall,
        "p50": statistics.median(latencies),
        "p95": latencies[min(n - 1, math.ceil(0.95 * n) - 1)],
        "same": f"{same}/{n}",
        "tokens": statistics.mean(sum(len(s["tokens"]) for s in a["segments"]) for r in results for _, a in r),
    }


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("model")
    p.add_argument("--seconds", type=float, default=11)
    p.add_argument("--clients", default="1,4,16")
    p.add_argument("--requests", type=int, default=3, help="of each client")
    p.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    args = p.parse_args()
    clips = [clip(args.seconds, seed) for seed in range(16)]
    server = Server(args.model, args.threads)
    print(f"{args.seconds:g} s clips, {args.threads} threads, {os.path.basename(args.model)}")
    print(f"{'case':<12}{'clients':>8}{'req/s':>8}{'x one':>7}{'p50 s':>8}{'p95 s':>8}{'as alone':>10}{'tokens':>8}{'peak MB':>9}")
    for name, fields in (("language=en", {"language": "en"}), ("detected", {})):
        bodies = [form(c, fields) for c in clips]
        alone = [(b, server.ask(b)) for b in bodies]
        one = None
        for clients in (int(c) for c in args.clients.split(",")):
            m = measure(server, clients, args.requests if clients > 1 else 8, args.seconds, fields, alone)
            one = one or m["rps"]
            print(
                f"{name:<12}{clients:>8}{m['rps']:>8.2f}{m['rps'] / one:>7.2f}{m['p50']:>8.2f}{m['p95']:>8.2f}"
                f"{m['same']:>10}{m['tokens']:>8.1f}{server.peak_mb():>9.0f}",
                flush=True,
            )
    server.stop()


if __name__ == "__main__":
    main()
