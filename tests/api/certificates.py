"""certificates.py - a certificate authority of our own, by the openssl command, and clients that trust it."""
import ssl
import subprocess


def openssl(*args, stdin=None):
    r = subprocess.run(["openssl", *map(str, args)], input=stdin, capture_output=True, timeout=60)
    assert r.returncode == 0, r.stderr.decode()
    return r.stdout


class Authority:
    def __init__(self, folder):
        self.folder = folder
        self.cert, self.key = folder / "ca.pem", folder / "ca.key"
        openssl("req", "-x509", *self._curve(self.key), "-out", self.cert, "-days", 30, "-subj", "/CN=Test CA")

    @staticmethod
    def _curve(key):
        return ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", key)

    def issue(self, name, days=30, rsa=False):
        """(certificate, key) for localhost and 127.0.0.1, signed by this authority."""
        cert, key, request = (self.folder / f"{name}.{end}" for end in ("pem", "key", "csr"))
        new = ("-newkey", "rsa:2048", "-nodes", "-keyout", key) if rsa else self._curve(key)
        openssl("req", *new, "-out", request, "-subj", f"/CN={name}",
                "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1")
        openssl("x509", "-req", "-in", request, "-CA", self.cert, "-CAkey", self.key, "-CAcreateserial",
                "-out", cert, "-days", days, "-copy_extensions", "copyall")
        return cert, key

    def client(self, **settings):
        """An ssl.SSLContext that trusts this authority and no other."""
        context = ssl.create_default_context(cafile=self.cert)
        for name, value in settings.items():
            setattr(context, name, value)
        return context
