"""Service, vault and disk put together, and the promises checked on them."""

import os
import pathlib
import shutil
import tempfile

from . import disks
from .api import Api
from .service import Service

DISK = "disk.raw"


class World:
    """A running service with a vault that protects one disk of known content."""

    def __init__(self, rng, size_mib=64, database_url=None, more=""):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="cbr-e2e-"))
        self.service = Service(self.folder, database_url, more)
        self.disk = self.service.pool / DISK
        disks.make(self.disk, size_mib, rng)
        self.committed = {}  # backup id → SHA-256 of what the disk held
        try:
            self._begin()
        except BaseException:
            self.end()
            raise

    def _begin(self):
        self.service.start()
        self.api = Api(self.service)
        [self.volume] = [volume["id"] for volume in self.api.volumes()]
        self.vault = self.api.create_vault("vault-1")["id"]
        self.api.bind(self.vault, self.volume)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.end()

    def end(self):
        """Leaves neither process nor files behind (CBR_KEEP=1 keeps the files)."""
        self.service.end()
        if os.environ.get("CBR_KEEP"):
            print(f"kept: {self.folder}", flush=True)
        else:
            shutil.rmtree(self.folder)

    def lose_database(self):
        """Of the stopped service: the rows are gone, key and objects stay."""
        for path in self.service.data.iterdir():
            if ".db" in path.name:
                path.unlink()

    @property
    def repository(self):
        """Where the backups lie."""
        return self.service.data / "repository"

    def back_up(self, name):
        """Makes a backup from start to end and remembers what it must restore."""
        sha = disks.sha256(self.disk)
        point = self.api.back_up(self.vault, name)
        self.api.wait_for_all()
        [backup] = self.api.backups(checkpoint_id=point["id"])
        assert backup["status"] == "available", f"{backup}\n{self.service.tail()}"
        self.committed[backup["id"]] = sha
        return backup

    def check_listed(self):
        """Every committed backup is there and can be used (P2)."""
        listed = {backup["id"]: backup["status"] for backup in self.api.backups(limit=1000)}
        lost = [id for id in self.committed if listed.get(id) != "available"]
        assert not lost, f"committed backups are lost: {lost}, listed: {listed}"

    def check_restores(self, backup):
        """The backup restores to exactly what the disk held (P1)."""
        disks.destroy(self.disk)
        log = self.api.wait_for(self.api.restore(backup, self.volume))
        assert log["status"] == "success", f"{log}\n{self.service.tail()}"
        assert disks.sha256(self.disk) == self.committed[backup], f"{backup} restored wrong bytes"

    def check_repository(self):
        """The stopped service's repository is without fault, every byte read."""
        return self.service.run("repo", "check", "--read-data", *self.service.place())

    def objects(self):
        """The repository's objects: every file but the backend's own, whose names begin with a dot."""
        files = [path for path in self.repository.rglob("*") if path.is_file()]
        own = lambda path: any(part.startswith(".") for part in path.relative_to(self.repository).parts)
        return [path for path in files if not own(path)]

    def packs(self):
        """Objects that hold backup data: packs of blocks and of maps (docs/format/v1.md)."""
        return [path for path in self.objects() if path.parts[-3] in ("p", "m")]
