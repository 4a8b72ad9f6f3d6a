"""Starts, kills and restarts the real binary in a folder of its own."""

import json
import os
import pathlib
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parents[2]
BINARY = pathlib.Path(os.environ.get("CBR_BINARY", ROOT / "target" / "debug" / "cbr"))
START_SECONDS_MAX = 60
STOP_SECONDS_MAX = 60


class Service:
    """`cbr serve` with one pool of disk images, on a port of its own; `more` is added to its configuration."""

    def __init__(self, folder, database_url=None, more=""):
        self.folder = pathlib.Path(folder)
        self.data = self.folder / "data"
        self.pool = self.folder / "pool"
        self.pool.mkdir(parents=True, exist_ok=True)
        self.bootstrap_file = self.folder / "bootstrap.json"
        self.log = self.folder / "serve.log"
        self.url = f"http://127.0.0.1:{free_port()}"
        self.process = None
        self.launcher = ()  # what runs the service, such as strace
        self.config = self.folder / "cbr.toml"
        database = f'[database]\nurl = "{database_url}"\n' if database_url else ""
        # What is deleted is gone at once, so that a test can look whether it is; unless it says otherwise.
        undo = "" if "undo_days" in more else "[repository]\nundo_days = 0\n"
        pool = f'[[local.pools]]\nname = "pool"\npath = "{self.pool}"\n'
        self.config.write_text(f"{database}[log]\nfilter = \"info\"\n{undo}{pool}{more}")

    @property
    def bootstrap(self):
        """Names, ids and secrets that the first start wrote."""
        return json.loads(self.bootstrap_file.read_text())

    def start(self):
        """Starts the service and waits until it answers."""
        arguments = ["serve", *self.place(), "--listen", self.url.removeprefix("http://")]
        arguments += ["--bootstrap-file", str(self.bootstrap_file)]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [*self.launcher, BINARY, *arguments], stdout=log, stderr=log, start_new_session=True
            )
        deadline = time.monotonic() + START_SECONDS_MAX
        while not self.is_healthy():
            if self.process.poll() is not None:
                raise AssertionError(f"cbr serve ended with {self.process.returncode}:\n{self.tail()}")
            if time.monotonic() > deadline:
                raise AssertionError(f"cbr serve does not answer:\n{self.tail()}")
            time.sleep(0.02)
        return self

    def place(self):
        """The arguments that say which installation is meant."""
        return ["--data-dir", str(self.data), "--config", str(self.config)]

    def is_healthy(self):
        try:
            with urllib.request.urlopen(f"{self.url}/healthz", timeout=5) as answer:
                return answer.status == 200
        except (urllib.error.URLError, OSError):
            return False

    def kill(self):
        """kill -9, for the whole process group."""
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def stop(self):
        """Asks the service to end, and demands that it does so cleanly."""
        if self.process is None or self.process.poll() is not None:
            return
        self.process.terminate()
        try:
            code = self.process.wait(STOP_SECONDS_MAX)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"cbr serve does not end when asked to:\n{self.tail()}") from None
        assert code == 0, f"cbr serve ended with {code}:\n{self.tail()}"

    def end(self):
        """Whatever happened, leaves no process behind."""
        if self.process is not None and self.process.poll() is None:
            self.kill()

    def run(self, *arguments, check=True):
        """Runs another command of the binary."""
        done = subprocess.run([BINARY, *arguments], capture_output=True, text=True)
        if check and done.returncode != 0:
            command = " ".join(str(argument) for argument in arguments)
            ended = self.process is not None and self.process.poll() is not None
            service = f"\nthe service ended with {self.process.returncode}:\n{self.tail()}" if ended else ""
            raise AssertionError(f"cbr {command}: {done.returncode}\n{done.stdout}{done.stderr}{service}")
        return done

    def tail(self):
        """The end of the log, for messages of failing tests."""
        lines = self.log.read_text(errors="replace").splitlines() if self.log.exists() else []
        return "\n".join(lines[-40:])


def be_client(test, service):
    """Lets the client commands that a test runs talk to `service`, for as long as the test lasts."""
    for name, value in (("CBR_BOOTSTRAP_FILE", str(service.bootstrap_file)), ("CBR_URL", service.url)):
        os.environ[name] = value
        test.addCleanup(os.environ.pop, name, None)


def free_port():
    """A port that nothing listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
