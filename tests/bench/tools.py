"""The tools that are measured. Each takes the same image; settings are the defaults of a new
repository with encryption."""

import json
import os
import shutil
import subprocess

from tests.harness import service
from tests.harness.api import Api

from . import measure

ALL = ("full", "no change", "increment", "restore")
BUILT = service.ROOT / "target" / "bench-tools" / "bin"
PASSWORD = "only-for-the-benchmark"


class Tool:
    """What a tool has: a folder, the image, and where it restores to."""

    steps = ALL
    settings = "defaults"
    is_peer = True

    @classmethod
    def is_there(cls):
        return shutil.which(cls.name) is not None

    def __init__(self, work, disk):
        self.disk = disk
        self.repository = work / self.name
        self.target = work / f"{self.name}.restored"
        self.prepare(work)

    def prepare(self, work):
        pass

    def stored_bytes(self):
        return measure.size_of(self.repository)

    def no_change(self):
        return self.full()

    def increment(self):
        return self.full()

    def end(self):
        pass


class Cbr(Tool):
    """The real service over HTTP: from the request to the end of the task."""

    name = "cbr"
    settings = "the service over HTTP, defaults: zstd 3, frames of 16 blocks; success means durable"
    is_peer = False

    @classmethod
    def is_there(cls):
        return True

    def prepare(self, work):
        if "CBR_BINARY" not in os.environ:
            service.BINARY = service.ROOT / "target" / "release" / "cbr"
        self.service = service.Service(work)
        self.service.start()
        self.repository = self.service.data / "repository"
        self.api = Api(self.service)
        [volume] = self.api.volumes()
        self.volume = volume["id"]
        self.vault = self.api.create_vault("bench")["id"]
        self.api.bind(self.vault, self.volume)

    def full(self):
        return measure.of_process(self.service.process.pid, self._back_up)

    def restore(self):
        backup = self.api.backups(limit=1)[0]["id"]
        before = set(self.service.pool.glob("*.raw"))
        took = measure.of_process(self.service.process.pid, lambda: self._new_disk(backup))
        [self.target] = set(self.service.pool.glob("*.raw")) - before
        return took

    def _back_up(self):
        self.api.back_up(self.vault, "bench")
        logs = self.api.wait_for_all()
        assert logs[0]["status"] == "success", f"{logs[0]}\n{self.service.tail()}"

    def _new_disk(self, backup):
        zone = self.api.volumes()[0]["availability_zone"]
        volume = {"name": "restored", "backup_id": backup, "count": 1, "size": 8}
        volume |= {"availability_zone": zone, "volume_type": "pool"}
        path = "/v2.1/{project}/cloudvolumes"
        job = self.api.request("POST", path, {"volume": volume})["job_id"]
        look = lambda: self.api.request("GET", f"/v1/{{project}}/jobs/{job}")
        done = self.api._until(look, lambda job: job["status"] in ("SUCCESS", "FAIL"), "the job")
        assert done["status"] == "SUCCESS", done

    def end(self):
        self.service.end()


class Restic(Tool):
    name = "restic"
    settings = "repository version 2, defaults (compression auto)"

    def prepare(self, work):
        self.env = {"RESTIC_PASSWORD": PASSWORD, "RESTIC_REPOSITORY": str(self.repository)}
        self.env["RESTIC_CACHE_DIR"] = str(work / "restic-cache")
        measure.command("restic", "init", "--repository-version", "2", env=self.env)

    def full(self):
        return measure.command("restic", "backup", "--quiet", self.disk, env=self.env)

    def restore(self):
        folder = self.target.with_suffix(".folder")
        took = measure.command("restic", "restore", "latest", "--target", folder, env=self.env)
        self.target = folder / str(self.disk).lstrip("/")
        return took


class Borg(Tool):
    name = "borg"
    settings = "repokey-blake2, defaults (lz4); extract --sparse"

    def prepare(self, work):
        self.env = {"BORG_PASSPHRASE": PASSWORD, "BORG_BASE_DIR": str(work / "borg-base")}
        self.archives = 0
        measure.command("borg", "init", "--encryption", "repokey-blake2", self.repository, env=self.env)

    def full(self):
        self.archives += 1
        archive = f"{self.repository}::{self.archives}"
        return measure.command("borg", "create", archive, self.disk.name, env=self.env, cwd=self.disk.parent)

    def restore(self):
        folder = self.target.with_suffix(".folder")
        folder.mkdir()
        archive = f"{self.repository}::{self.archives}"
        took = measure.command("borg", "extract", "--sparse", archive, env=self.env, cwd=folder)
        self.target = folder / self.disk.name
        return took


class QemuImg(Tool):
    """A yardstick, not a backup tool: one compressed copy, no versions, no encryption."""

    name = "qemu-img"
    steps = ("full", "restore")
    settings = "convert -c, zstd, -W, two coroutines per core"
    is_peer = False

    def full(self):
        self.repository.mkdir(exist_ok=True)
        return self._convert(
            "-c", "-f", "raw", "-O", "qcow2", "-o", "compression_type=zstd",
            self.disk, self.repository / "disk.qcow2",
        )

    def restore(self):
        # Its copy is the image before the scattered writes: made again, unmeasured, to restore the last state.
        self.full()
        return self._convert("-f", "qcow2", "-O", "raw", self.repository / "disk.qcow2", self.target)

    def _convert(self, *arguments):
        threads = ["-m", str(min(16, os.cpu_count() * 2)), "-W"]
        return measure.command("qemu-img", "convert", *threads, *arguments)


class Rustic(Tool):
    name = "rustic"
    settings = "defaults (zstd 3)"
    program = BUILT / "rustic"

    @classmethod
    def is_there(cls):
        return cls.program.exists()

    def prepare(self, work):
        self.env = {"RUSTIC_PASSWORD": PASSWORD, "RUSTIC_REPOSITORY": str(self.repository)}
        self.env |= {"RUSTIC_CACHE_DIR": str(work / "rustic-cache"), "RUSTIC_NO_PROGRESS": "true"}
        measure.command(self.program, "init", env=self.env)

    def full(self):
        return measure.command(self.program, "backup", self.disk, env=self.env)

    def restore(self):
        folder = self.target.with_suffix(".folder")
        took = measure.command(self.program, "restore", "latest", folder, env=self.env)
        [self.target] = [file for file in folder.rglob("*") if file.is_file()]
        return took


class Bupstash(Tool):
    name = "bupstash"
    settings = "defaults (zstd), its send log kept between backups"
    program = BUILT / "bupstash"

    @classmethod
    def is_there(cls):
        return cls.program.exists()

    def prepare(self, work):
        key = work / "bupstash.key"
        self.env = {"BUPSTASH_KEY": str(key), "BUPSTASH_REPOSITORY": str(self.repository)}
        self.log = work / "bupstash.sendlog"
        self.backups = 0
        measure.command(self.program, "new-key", "-o", key, env=self.env)
        measure.command(self.program, "init", env=self.env)

    def full(self):
        self.backups += 1
        name = f"name={self.backups}"
        arguments = ["put", "--quiet", "--send-log", self.log, name, self.disk]
        return measure.command(self.program, *arguments, env=self.env)

    def restore(self):
        arguments = ["get", "--quiet", f"name={self.backups}"]
        return measure.command(self.program, *arguments, env=self.env, output=self.target)


class CpSparse(Tool):
    """A yardstick: how fast a copy is that does nothing else."""

    name = "cp"
    steps = ("full", "restore")
    settings = "cp --sparse=always: a plain copy"
    is_peer = False

    def full(self):
        self.repository.mkdir(exist_ok=True)
        return self._copy(self.disk, self.repository / "disk.raw")

    def stored_bytes(self):
        copy = self.repository / "disk.raw"
        return copy.stat().st_blocks * 512 if copy.exists() else 0

    def restore(self):
        # Its copy is the image before the scattered writes: made again, unmeasured.
        self.full()
        return self._copy(self.repository / "disk.raw", self.target)

    def _copy(self, source, target):
        return measure.command("cp", "--sparse=always", source, target)


def engine_alone(work, disk):
    """The engine without the service, measured by its own example: what each step took."""
    return json.loads(example("store_bench", disk, work / "engine", "--json"))


def stages_alone(disk):
    """What each stage of the engine costs on one core: seconds per 10^9 bytes."""
    return json.loads(example("stage_bench", disk, "--json"))


def example(name, *arguments):
    program = service.ROOT / "target" / "release" / "examples" / name
    return subprocess.run([program, *arguments], check=True, capture_output=True, text=True).stdout


TOOLS = (Cbr, Restic, Rustic, Borg, Bupstash, QemuImg, CpSparse)
