"""A server of two disks with real file systems: backed up at one instant, restored together.

    python3 -m unittest tests.e2e.test_server
"""

import pathlib
import shutil
import subprocess
import tempfile
import unittest

from tests.harness import disks
from tests.harness.api import Api
from tests.harness.service import Service

SERVER = '[[local.servers]]\nname = "web"\nvolumes = ["pool/root.raw", "pool/data.raw"]\n'
DISK_MIB = 48


class ServerBackup(unittest.TestCase):
    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="cbr-e2e-"))
        self.addCleanup(shutil.rmtree, self.folder)
        self.service = Service(self.folder, more=SERVER)
        self.addCleanup(self.service.end)
        self.images = [self.service.pool / name for name in ("root.raw", "data.raw")]
        for image in self.images:
            self.make_file_system(image)
        self.service.start()
        self.api = Api(self.service)

    def test_all_disks_of_a_server_come_back_together(self):
        """RST-01, BAK-01, PRD-18, P1: one parent with a child per disk; file systems without fault."""
        path = "/v3/{project}/protectables/server/instances"
        [server] = self.api.request("GET", path)["instances"]
        vault = self.create_vault(server)
        wanted = [disks.sha256(image) for image in self.images]
        self.api.back_up(vault, "whole")
        self.api.wait_for_all()
        [backup] = self.api.backups()
        self.assertEqual(backup["status"], "available", self.service.tail())
        self.assertEqual(backup["resource_type"], "OS::Nova::Server")
        self.assertEqual(len(backup["children"]), 2)
        for image in self.images:
            disks.destroy(image)
        self.restore(backup, server)
        self.assertEqual([disks.sha256(image) for image in self.images], wanted)
        for image in self.images:
            subprocess.run(["e2fsck", "-fn", image], check=True, capture_output=True)

    def test_a_file_that_was_deleted_is_there_again(self):
        """RET-T15: made, backed up, deleted, restored."""
        path = "/v3/{project}/protectables/server/instances"
        [server] = self.api.request("GET", path)["instances"]
        test1 = pathlib.Path(__file__).resolve().parents[2] / "docs" / "README.md"
        self.assertEqual(self.cat("README.md"), test1.read_bytes())
        self.api.back_up(self.create_vault(server), "with-test1")
        self.api.wait_for_all()
        [backup] = self.api.backups()
        self.debugfs("-w", "-R", "rm README.md")
        self.assertEqual(self.cat("README.md"), b"")
        self.restore(backup, server)
        self.assertEqual(self.cat("README.md"), test1.read_bytes())

    def cat(self, name):
        """What a file of the first disk holds; nothing: there is none."""
        return self.debugfs("-R", f"cat {name}")

    def debugfs(self, *words):
        """Looks into the first disk, or changes it, without mounting it."""
        return subprocess.run(["debugfs", *words, self.images[0]], check=True, capture_output=True).stdout

    def make_file_system(self, image):
        """ext4 with real files: this machine's own tests and documents will do."""
        root = pathlib.Path(__file__).resolve().parents[2]
        with open(image, "wb") as disk:
            disk.truncate(DISK_MIB * disks.MIB)
        command = ["mkfs.ext4", "-q", "-F", "-d", root / "docs", image]
        subprocess.run(command, check=True, capture_output=True)

    def create_vault(self, server):
        billing = {"object_type": "server", "protect_type": "backup", "size": 100}
        billing |= {"consistent_level": "crash_consistent", "cloud_type": "public"}
        resource = {"id": server["id"], "type": "OS::Nova::Server"}
        vault = {"name": "servers", "billing": billing, "resources": [resource]}
        return self.api.request("POST", "/v3/{project}/vaults", {"vault": vault})["vault"]["id"]

    def restore(self, backup, server):
        mappings = [
            {"backup_id": child["id"], "volume_id": child["resource_id"]}
            for child in backup["children"]
        ]
        body = {"server_id": server["id"], "mappings": mappings, "power_on": False}
        path = f"/v3/{{project}}/backups/{backup['id']}/restore"
        job = self.api.request("POST", path, {"restore": body})["job_id"]
        log = self.api.wait_for(job)
        self.assertEqual(log["status"], "success", f"{log}\n{self.service.tail()}")


if __name__ == "__main__":
    unittest.main()
