"""A bad way to an S3 server: the proxy of the store's own tests, in a process of its own."""

import os
import pathlib
import subprocess

from .service import ROOT

BINARY = pathlib.Path(
    os.environ.get("CBR_FAULTY_S3", ROOT / "target" / "debug" / "examples" / "faulty_s3")
)


def is_built():
    """Whether ./scripts/soak-s3 has built it."""
    return BINARY.exists()


class Faulty:
    """Stands before the server at `url`; spoils nothing at first."""

    def __init__(self, url):
        self.process = subprocess.Popen(
            [BINARY, url.removeprefix("http://")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.url = f"http://{self.process.stdout.readline().strip()}"

    def spoil(self, seed, one_in):
        """About one request in `one_in` goes wrong from now on."""
        self._tell(f"spoil {seed} {one_in}")

    def heal(self):
        """Nothing goes wrong any more."""
        self._tell("heal")

    def hits(self):
        """How many requests it has spoiled."""
        return self._tell("hits")

    def stop(self):
        self.process.stdin.close()
        self.process.wait()
        self.process.stdout.close()

    def _tell(self, line):
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        return int(self.process.stdout.readline())
