"""S3 servers in processes of their own (here: moto), and a look into their buckets."""

import http.client
import http.server
import os
import pathlib
import signal
import subprocess
import tempfile
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
import xml.etree.ElementTree as xml

from .service import ROOT, free_port

MOTO = pathlib.Path(os.environ.get("CBR_MOTO", ROOT / "target" / "venv-s3" / "bin" / "moto_server"))
BUCKET = "backups"
PREFIX = "cbr/main"
START_SECONDS_MAX = 60
SECRET = "canary-5ecr3t-of-the-bucket"


def is_installed():
    """Whether ./scripts/test made the environment."""
    return MOTO.exists()


class Bucket:
    """A bucket of a running server: `url`, `access_key`, `secret_key`, `process`."""

    def pause(self):
        """From now on it answers nothing; what was sent waits."""
        self.process.send_signal(signal.SIGSTOP)

    def go_on(self):
        self.process.send_signal(signal.SIGCONT)

    def configuration(self, url=None):
        """The section of the service's configuration; `url` leads to it in another way."""
        return f"""
[repository.s3]
endpoint = "{url or self.url}"
bucket = "{BUCKET}"
prefix = "{PREFIX}"
access_key = "{self.access_key}"
secret_key = "{self.secret_key}"
allow_http = true
"""

    def for_rust(self):
        """What tells the tests of the store where it is (crates/store/tests/s3/foreign.rs)."""
        host = self.url.removeprefix("http://")
        return f"http://{self.access_key}:{self.secret_key}@{host}/{BUCKET}"

    def keys(self):
        """The names of all objects, without the prefix."""
        found, token = [], ""
        while True:
            token = urllib.parse.quote(token, safe="")
            query = f"/{BUCKET}?list-type=2" + (f"&continuation-token={token}" if token else "")
            page = xml.fromstring(self._request("GET", query))
            found += [key.text for key in page.findall("{*}Contents/{*}Key")]
            token = page.findtext("{*}NextContinuationToken", default="")
            if not token:
                return [key.removeprefix(f"{PREFIX}/") for key in found]

    def uploads(self):
        """What was begun in parts and never finished."""
        page = xml.fromstring(self._request("GET", f"/{BUCKET}?uploads"))
        return [element for element in page if element.tag.endswith("Upload")]

    def remove(self, key):
        """Loses an object."""
        self._request("DELETE", f"/{BUCKET}/{PREFIX}/{key}")


class Objects(Bucket):
    """moto: in memory, and it checks no signature."""

    def __init__(self):
        self.url = f"http://127.0.0.1:{free_port()}"
        self.access_key, self.secret_key = "backup-service", SECRET
        self.log = tempfile.NamedTemporaryFile(prefix="cbr-moto-", suffix=".log")
        port = self.url.rsplit(":", 1)[1]
        self.process = subprocess.Popen(
            [MOTO, "-H", "127.0.0.1", "-p", port], stdout=self.log, stderr=self.log
        )
        deadline = time.monotonic() + START_SECONDS_MAX
        while True:
            try:
                self._request("PUT", f"/{BUCKET}")
                return
            except (urllib.error.URLError, OSError):
                if self.process.poll() is not None or time.monotonic() > deadline:
                    self.stop()
                    raise AssertionError("moto does not start") from None
                time.sleep(0.05)

    def stop(self):
        self.process.kill()
        self.process.wait()
        self.log.close()

    def _request(self, method, path):
        request = urllib.request.Request(self.url + path, method=method)
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.read()


class Overwriting(http.server.ThreadingHTTPServer):
    """Stands before a server and takes `If-None-Match` away: a store that overwrites, once it `begins` to.

    (The server behind does not check signatures, of which the header is a part.)
    """

    daemon_threads = True

    def __init__(self, behind, begins=True):
        super().__init__(("127.0.0.1", 0), _Forward)
        self.behind = behind.removeprefix("http://")
        self.url = f"http://127.0.0.1:{self.server_address[1]}"
        self.begins = begins
        self.taken_away = 0
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def handle_error(self, request, client_address):
        """A client that goes away, such as a killed one, is no error of the store."""


class _Forward(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def forward(self):
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        headers = dict(self.headers.items())
        conditions = [name for name in headers if name.lower() == "if-none-match"]
        for name in conditions if self.server.begins else []:
            del headers[name]
            self.server.taken_away += 1
        behind = http.client.HTTPConnection(self.server.behind, timeout=60)
        behind.request(self.command, self.path, body=body, headers=headers)
        answer = behind.getresponse()
        content = answer.read()
        behind.close()
        self.send_response(answer.status)
        for name, value in answer.getheaders():
            if name.lower() not in ("connection", "transfer-encoding", "date", "server"):
                self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)

    do_GET = do_PUT = do_HEAD = do_DELETE = forward

    def log_message(self, *_):
        pass
