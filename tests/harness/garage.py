"""A Garage node in a process of its own: a real store, and one that ignores conditions.

`./scripts/soak-s3` installs it.
"""

import os
import pathlib
import secrets
import shutil
import subprocess
import tempfile
import time
import urllib.error
import urllib.request

from . import signed
from .objects import BUCKET, Bucket
from .service import ROOT, free_port

GARAGE = pathlib.Path(os.environ.get("CBR_GARAGE", ROOT / "target" / "garage" / "bin" / "garage"))
START_SECONDS_MAX = 60


def is_installed():
    """Whether ./scripts/soak-s3 has installed it."""
    return GARAGE.exists()


class Garage(Bucket):
    """One node with one bucket, empty at first; its data go when it stops."""

    def __init__(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="cbr-garage-"))
        self.access_key = "GK" + secrets.token_hex(12)
        self.secret_key = secrets.token_hex(32)
        self.rpc_port, port = free_port(), free_port()
        self.url = f"http://127.0.0.1:{port}"
        self.config = self.folder / "garage.toml"
        self.config.write_text(self._config(port))
        self.log = (self.folder / "log").open("wb")
        environment = os.environ | {
            "GARAGE_DEFAULT_ACCESS_KEY": self.access_key,
            "GARAGE_DEFAULT_SECRET_KEY": self.secret_key,
            "GARAGE_DEFAULT_BUCKET": BUCKET,
            "RUST_LOG": "garage=warn",
        }
        command = [GARAGE, "-c", self.config, "server", "--single-node", "--default-bucket"]
        self.process = subprocess.Popen(
            command, stdout=self.log, stderr=self.log, env=environment
        )
        self._wait()

    def _config(self, port):
        return f"""
metadata_dir = "{self.folder}/meta"
data_dir = "{self.folder}/data"
db_engine = "lmdb"
lmdb_map_size = "1G"
replication_factor = 1
rpc_bind_addr = "127.0.0.1:{self.rpc_port}"
rpc_public_addr = "127.0.0.1:{self.rpc_port}"
rpc_secret = "{secrets.token_hex(32)}"

[s3_api]
s3_region = "{signed.REGION}"
api_bind_addr = "127.0.0.1:{port}"
root_domain = ".s3.garage.localhost"
"""

    def _wait(self):
        deadline = time.monotonic() + START_SECONDS_MAX
        while True:
            try:
                self.keys()
                return
            except (urllib.error.URLError, OSError):
                if self.process.poll() is not None or time.monotonic() > deadline:
                    said = (self.folder / "log").read_text(errors="replace")
                    self.stop()
                    raise AssertionError(f"garage does not start:\n{said}") from None
                time.sleep(0.05)

    def stop(self):
        self.process.kill()
        self.process.wait()
        self.log.close()
        shutil.rmtree(self.folder)

    def _request(self, method, path):
        request = signed.request(method, self.url + path, self.access_key, self.secret_key)
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.read()
