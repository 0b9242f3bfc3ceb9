#!/usr/bin/python3
"""http_bench.py - measures the HTTP side of Pinna on this machine and prints three tables.

1. GET /health: requests a second, beside nginx answering as many bytes, by wrk with 64 connections. The two
   take turns, so that other load on the machine falls on both; medians are printed with the extremes. nginx
   gets one worker, as Pinna has one loop.
2. The same over TLS.
3. Uploads: ten of 100 MB at once. Time, growth of the server's memory, and the worst time of a GET /health
   asked every 10 ms meanwhile.
"""
import argparse
import http.client
import os
import pathlib
import re
import socket
import ssl
import statistics
import subprocess
import tempfile
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parents[1]
PINNA = os.environ.get("PINNA_BIN", ROOT / "build" / "pinna")
HOST = "127.0.0.1"
UPLOADS, UPLOAD_MB = 10, 100

NGINX_CONF = """
daemon off;
master_process off;
worker_processes 1;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
events {{ worker_connections 1024; use epoll; }}
http {{
    access_log off;
    keepalive_requests 1000000000;
    default_type application/json;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    server {{
        listen {host}:{port}{ssl};
        location = /health {{ return 200 '{body}'; }}
    }}
}}
"""


class Server:
    """A child process and its port; stopped by SIGTERM at the end of the `with`."""

    def __init__(self, command, port=None, **kwargs):
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, **kwargs)
        self.port = port or self._said_port()
        wait_for(self.port)

    def _said_port(self):
        line = self.process.stdout.readline()
        m = re.search(rb"listening on https?://[^ ]*:(\d+)", line)
        if not m:
            raise SystemExit(f"the server did not start: {line!r}, exit code {self.process.wait(10)}")
        return int(m.group(1))

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.process.terminate()
        self.process.wait(60)

    def memory_kb(self, key):
        status = pathlib.Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.search(rf"^{key}:\s+(\d+) kB", status, re.M).group(1))


def wait_for(port, seconds=60):
    end = time.monotonic() + seconds
    while True:
        try:
            socket.create_connection((HOST, port), 1).close()
            return
        except OSError:
            if time.monotonic() > end:
                raise SystemExit(f"nothing answers on port {port}") from None
            time.sleep(0.05)


def free_port():
    with socket.socket() as s:
        s.bind((HOST, 0))
        return s.getsockname()[1]


def make_certificate(folder):
    """(certificate, key) in PEM, for localhost."""
    cert, key = folder / "cert.pem", folder / "key.pem"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                    "-keyout", key, "-out", cert, "-days", "2", "-subj", "/CN=localhost",
                    "-addext", "subjectAltName=DNS:localhost"], check=True, capture_output=True)
    return cert, key


def start_pinna(folder, tls=None, **more):
    settings = {"HOST": HOST, "PORT": "0", "LOG_LEVEL": "error", "PINNA_LOG_FILE": "none", "TMPDIR": str(folder),
                "PINNA_MAX_UPLOAD_MB": str(2 * UPLOAD_MB), **more}
    if tls:
        settings |= {"TLS_CERT": str(tls[0]), "TLS_KEY": str(tls[1])}
    keep = {k: os.environ[k] for k in ("PATH", "HOME") if k in os.environ}
    return Server([PINNA, "serve"], cwd=folder, env={**keep, **settings})


def start_nginx(folder, body, tls=None):
    port = free_port()
    listen = f" ssl;\n        ssl_certificate {tls[0]};\n        ssl_certificate_key {tls[1]}" if tls else ""
    conf = folder / "nginx.conf"
    conf.write_text(NGINX_CONF.format(folder=folder, host=HOST, port=port, body=body, ssl=listen))
    return Server(["/usr/sbin/nginx", "-p", folder, "-e", folder / "error.log", "-c", conf], port=port)


def get_health(connection):
    connection.request("GET", "/health")
    response = connection.getresponse()
    body = response.read()
    if response.status != 200:
        raise SystemExit(f"/health answered {response.status}")
    return body


def health_body(server, scheme):
    """What nginx is to answer, too."""
    if scheme == "https":
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        return get_health(http.client.HTTPSConnection(HOST, server.port, timeout=10, context=context)).decode().strip()
    return get_health(http.client.HTTPConnection(HOST, server.port, timeout=10)).decode().strip()


def wrk(scheme, port, seconds, connections):
    out = subprocess.run(["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--latency",
                          f"{scheme}://{HOST}:{port}/health"], check=True, capture_output=True, text=True).stdout
    if "Non-2xx" in out or "Socket errors" in out:
        raise SystemExit(out)
    rate = float(re.search(r"Requests/sec:\s+([\d.]+)", out).group(1))
    value, unit = re.search(r"99%\s+([\d.]+)(us|ms|s)\b", out).groups()
    return rate, float(value) * {"us": 0.001, "ms": 1, "s": 1000}[unit]


def measure_rates(scheme, servers, args):
    results = {name: [] for name in servers}
    for _ in range(args.rounds):
        for name, server in servers.items():
            results[name].append(wrk(scheme, server.port, args.seconds, args.connections))
    return results


def print_rates(scheme, results, args):
    print(f"GET /health by {scheme}, {args.connections} connections, {args.rounds} rounds of {args.seconds} s in turns,"
          f" load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
    print(f"{'':8}{'requests/s':>12}{'lowest':>10}{'highest':>10}{'99 % ms':>10}")
    for name, runs in results.items():
        rates = [r[0] for r in runs]
        print(f"{name:8}{statistics.median(rates):12.0f}{min(rates):10.0f}{max(rates):10.0f}"
              f"{statistics.median(r[1] for r in runs):10.2f}")
    medians = {name: statistics.median(r[0] for r in runs) for name, runs in results.items()}
    print(f"pinna / nginx: {medians['pinna'] / medians['nginx']:.2f}\n")


class Watch(threading.Thread):
    """Asks /health every 10 ms and reads the server's memory, until stopped."""

    def __init__(self, server):
        super().__init__(daemon=True)
        self.server = server
        self.ended = threading.Event()
        self.before_kb = server.memory_kb("VmRSS")
        self.peak_kb = self.before_kb
        self.times_ms = []

    def run(self):
        connection = http.client.HTTPConnection(HOST, self.server.port, timeout=60)
        while not self.ended.wait(0.01):
            began = time.monotonic()
            get_health(connection)
            self.times_ms.append((time.monotonic() - began) * 1000)
            self.peak_kb = max(self.peak_kb, self.server.memory_kb("VmRSS"))

    def stop(self):
        self.ended.set()
        self.join()


def upload_all(server, blob):
    """Every upload must have been read to its end: an answer of any kind but 413 and 5xx."""
    command = ["curl", "-sS", "-o", "/dev/null", "-w", "%{http_code} %{size_upload}", "-F", f"file=@{blob}",
               f"http://{HOST}:{server.port}/transcribe"]
    children = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(UPLOADS)]
    for out in [c.communicate()[0] for c in children]:
        status, size = out.split()
        if status == "413" or status.startswith("5") or int(size) < UPLOAD_MB << 20:
            raise SystemExit(f"an upload was answered {status} after {size} bytes")


def measure_uploads(server, folder):
    blob = folder / "blob"
    with open(blob, "wb") as f:
        for _ in range(UPLOAD_MB):
            f.write(os.urandom(1 << 20))
    watch = Watch(server)
    watch.start()
    began = time.monotonic()
    upload_all(server, blob)
    seconds = time.monotonic() - began
    watch.stop()
    print(f"{UPLOADS} uploads of {UPLOAD_MB} MB of any bytes at once")
    print(f"{'time':>10}{'MB/s':>10}{'memory before':>16}{'growth':>10}{'worst /health':>16}{'median':>10}")
    print(f"{seconds:8.2f} s{UPLOADS * UPLOAD_MB / seconds:10.0f}{watch.before_kb / 1024:12.1f} MiB"
          f"{(watch.peak_kb - watch.before_kb) / 1024:6.1f} MiB{max(watch.times_ms):13.1f} ms"
          f"{statistics.median(watch.times_ms):7.1f} ms")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=4, help="of one round")
    parser.add_argument("--connections", type=int, default=64)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="pinna-bench-") as name:
        folder = pathlib.Path(name)
        for scheme, tls in (("http", None), ("https", make_certificate(folder))):
            with start_pinna(folder, tls) as pinna, start_nginx(folder, health_body(pinna, scheme), tls) as nginx:
                print_rates(scheme, measure_rates(scheme, {"pinna": pinna, "nginx": nginx}, args), args)
        with start_pinna(folder) as pinna:
            measure_uploads(pinna, folder)


if __name__ == "__main__":
    main()
