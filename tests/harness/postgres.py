"""A PostgreSQL cluster of its own, in a temporary folder."""

import glob
import os
import pathlib
import shutil
import subprocess
import tempfile

from .service import free_port


def programs():
    """The folder of initdb and pg_ctl; none if PostgreSQL is not installed."""
    found = sorted(glob.glob("/usr/lib/postgresql/*/bin/initdb"))
    return pathlib.Path(found[-1]).parent if found else None


class Postgres:
    """A cluster that is gone when the test is."""

    def __init__(self):
        self.bin = programs()
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="cbr-postgres-"))
        self.port = free_port()

    def start(self):
        if os.geteuid() == 0:
            shutil.chown(self.folder, "postgres", "postgres")
        self._run("initdb", "--pgdata", self.folder / "db", "--auth", "trust", "--username", "cbr")
        options = f"-c listen_addresses=127.0.0.1 -c port={self.port} -k {self.folder}"
        log = self.folder / "log"
        self._run("pg_ctl", "--pgdata", self.folder / "db", "-o", options, "-l", log, "-w", "start")
        return self

    def stop(self):
        self._run("pg_ctl", "--pgdata", self.folder / "db", "-m", "immediate", "-w", "stop")
        shutil.rmtree(self.folder, ignore_errors=True)

    def create_database(self, name):
        """Makes an empty database and returns its URL."""
        host = ["--host", "127.0.0.1", "--port", str(self.port), "--username", "cbr"]
        self._run("createdb", *host, name)
        return f"postgres://cbr@127.0.0.1:{self.port}/{name}"

    def _run(self, program, *arguments):
        command = [str(self.bin / program), *map(str, arguments)]
        if os.geteuid() == 0:
            # PostgreSQL refuses to run as root.
            command = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups", *command]
        done = subprocess.run(command, cwd="/", capture_output=True, text=True)
        assert done.returncode == 0, f"{program}: {done.stdout}{done.stderr}"
