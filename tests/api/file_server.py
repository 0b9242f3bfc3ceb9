"""file_server.py - a web server for downloads that misbehaves as it is told."""
import http.server
import threading
import time


class Faults:
    """What one path does wrong. Lists are used up, an element a request."""

    def __init__(self, cut=(), status=(), ignore_range=False, claim=None, redirect=None, delay=0.0, etag=True, headers=(), hold=None):
        self.cut = list(cut)  # break off after so many bytes of the body; None: do not
        self.status = list(status)  # answer with these first
        self.ignore_range = ignore_range
        self.claim = claim  # added to every Content-Length
        self.redirect = redirect
        self.delay = delay  # seconds between pieces
        self.etag = etag
        self.headers = list(headers)
        self.hold = hold  # an Event: from the middle of the file on, wait for it


class Request:
    def __init__(self, path, range_, if_range):
        self.path, self.range, self.if_range, self.sent = path, range_, if_range, 0


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *args):
        pass

    def answer(self, status, headers=(), body=b""):
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        owner = self.server.owner
        request = Request(self.path, self.headers.get("Range"), self.headers.get("If-Range"))
        with owner.lock:
            owner.requests.append(request)
            found = owner.files.get(self.path)
            status = found[1].status.pop(0) if found and found[1].status else None
            cut = found[1].cut.pop(0) if found and found[1].cut else None
        if not found:
            return self.answer(404, body=b"no such file")
        body, faults = found
        if status:
            return self.answer(status, body=b"an error's page")
        if faults.redirect:
            return self.answer(302, [("Location", faults.redirect), *faults.headers])
        try:
            self.send_file(request, body, faults, cut)
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True

    def first_byte(self, request, body, faults, etag):
        stale = request.if_range is not None and request.if_range != etag
        if not request.range or faults.ignore_range or stale:
            return 0
        return int(request.range.removeprefix("bytes=").rstrip("-"))

    def send_file(self, request, body, faults, cut):
        etag = f'"{hash(body)}"'
        first = self.first_byte(request, body, faults, etag)
        if first >= len(body) > 0:
            return self.answer(416, [("Content-Range", f"bytes */{len(body)}")])
        part = body[first:]
        self.send_response(206 if first else 200)
        if first:
            self.send_header("Content-Range", f"bytes {first}-{len(body) - 1}/{len(body)}")
        if faults.etag:
            self.send_header("ETag", etag)
        for name, value in faults.headers:
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(part) + (faults.claim or 0)))
        self.end_headers()
        hold_at = len(body) // 2 - first
        self.send_pieces(request, part[: len(part) if cut is None else cut], faults, hold_at)
        if cut is not None or faults.claim:
            self.close_connection = True

    def send_pieces(self, request, part, faults, hold_at):
        size = 8192
        for at in range(0, len(part), size):
            if faults.hold and at >= hold_at:
                self.wfile.flush()
                faults.hold.wait(60)
            self.wfile.write(part[at : at + size])
            request.sent += len(part[at : at + size])
            if faults.delay:
                self.wfile.flush()
                time.sleep(faults.delay)


class FileServer:
    def __init__(self):
        self.lock = threading.Lock()
        self.files, self.requests = {}, []
        self.http = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.http.daemon_threads = True
        self.http.owner = self
        self.url = f"http://127.0.0.1:{self.http.server_port}"
        self.thread = threading.Thread(target=self.http.serve_forever, kwargs={"poll_interval": 0.05})
        self.thread.start()

    def put(self, path, body, **faults):
        """Serves `body` at `path`; returns the address."""
        self.files[path] = (body, Faults(**faults))
        return self.url + path

    def asked(self, path):
        return [r for r in self.requests if r.path == path]

    def sent(self, path):
        return sum(r.sent for r in self.asked(path))

    def stop(self):
        self.http.shutdown()
        self.http.server_close()
        self.thread.join()
