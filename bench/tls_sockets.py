#!/usr/bin/python3
"""tls_sockets.py - many WebSockets on /test/echo, plain and over TLS: prints a table.

Each row: so many clients connect at once, send short messages at an even rate, and part. Needs a build with test
routes: PINNA_BIN and BENCH_SOCKETS name the server and bench/sockets.c's program; `build-test` has both.
"""
import argparse
import os
import pathlib
import subprocess
import tempfile

import http_bench

ROOT = pathlib.Path(__file__).resolve().parents[1]
http_bench.PINNA = os.environ.get("PINNA_BIN", ROOT / "build-test" / "pinna")
CLIENT = os.environ.get("BENCH_SOCKETS", ROOT / "build-test" / "bench" / "bench_sockets")


def measure(folder, tls, clients, args):
    settings = {"MAX_CONNECTIONS": str(clients), "PINNA_MAX_HTTP_CONNECTIONS": str(clients + 50)}
    with http_bench.start_pinna(folder, tls, **settings) as server:
        before = server.memory_kb("VmRSS")
        command = [CLIENT, str(server.port), "/test/echo", str(clients), str(args.rate), str(args.seconds)]
        if tls:
            command.append(tls[0])
        out = subprocess.run(command, capture_output=True, text=True).stdout
        growth = (server.memory_kb("VmHWM") - before) / 1024
    return out.split(), growth


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clients", type=int, nargs="+", default=[500, 1000])
    parser.add_argument("--rate", type=int, default=2000, help="messages a second, of all together")
    parser.add_argument("--seconds", type=int, default=5)
    args = parser.parse_args()
    print(f"{args.rate} messages/s, {args.seconds} s, load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
    print(f"{'':6}{'clients':>8}{'failed':>8}{'open s':>8}{'echoes/s':>10}{'p50 ms':>8}{'p95':>8}{'p99':>8}{'worst':>8}"
          f"{'late':>6}{'parted':>8}{'memory':>10}")
    with tempfile.TemporaryDirectory(prefix="pinna-bench-") as name:
        folder = pathlib.Path(name)
        certificate = http_bench.make_certificate(folder)
        for kind, tls in (("ws", None), ("wss", certificate)):
            for clients in args.clients:
                row, growth = measure(folder, tls, clients, args)
                if not row:
                    raise SystemExit("the client did not run to its end")
                opened, failed, opening, rate, p50, p95, p99, worst, late, parted = row
                print(f"{kind:6}{opened:>8}{failed:>8}{opening:>8}{rate:>10}{p50:>8}{p95:>8}{p99:>8}{worst:>8}{late:>6}"
                      f"{parted:>8}{growth:>7.1f} MB")


if __name__ == "__main__":
    main()
