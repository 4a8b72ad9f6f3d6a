"""The official Python SDK takes in images that lie in a bucket: a backup is exported, taken in as the backup of a
server elsewhere, exported again, and is the same bytes; then a vault is synchronised with the bucket (C26, C33).

    target/venv/bin/python -m unittest tests.sdk.test_imports
"""

import json
import time
import unittest
import uuid

from huaweicloudsdkcbr import v1 as cbr

from tests.harness import disks
from tests.harness.service import be_client
from tests.sdk.case import ABSENT, Case

MADE = 1_600_000_000


class Imports(Case, unittest.TestCase):
    disk_names = ("one",)

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.bucket = cls.folder / "bucket"
        cls.bucket.mkdir()
        # Only now the project has an id.
        project = cls.service.bootstrap["project_id"]
        with cls.service.config.open("a") as config:
            config.write(f'[[buckets]]\nname = "images"\npath = "{cls.bucket}"\nprojects = ["{project}"]\n')
        cls.service.stop()
        cls.service.start()

    def import_backup(self, backup, image, resource):
        # A signature is good once (P27), and says the second.
        time.sleep(1)
        item = cbr.BackupSync(
            backup_id=backup,
            backup_name="from-afar",
            bucket_name="images",
            created_at=MADE,
            image_path=image,
            resource_id=resource,
            resource_name="web of old",
            resource_type="OS::Native::Server",
        )
        body = cbr.BackupSyncReq(sync=[item])
        [begun] = self.client.import_backup(cbr.ImportBackupRequest(body=body)).sync
        self.assertEqual(begun.backup_id, backup)
        return self.ended(begun.operation_log_id)

    def ended(self, log):
        def look():
            found = self.client.show_op_log(cbr.ShowOpLogRequest(operation_log_id=log)).operation_log
            return found if found.status not in ("waiting", "running") else None

        return self.poll(look)

    def export(self, backup, path):
        self.service.run("backup", "export", backup, "--raw", str(path))
        return disks.sha256(path)

    def sync(self, vault):
        time.sleep(1)
        body = cbr.SyncReq(sync=cbr.SyncParam(vault_id=vault, auto_trigger=False))
        begun = self.client.import_checkpoint(cbr.ImportCheckpointRequest(body=body)).sync
        self.assertEqual(begun.vault_id, vault)
        return self.ended(begun.operation_log_id)

    def test_what_is_exported_is_taken_in_elsewhere(self):
        """P1, contract C26, C33: and is the same bytes, also when the service is killed meanwhile."""
        be_client(self, self.service)
        own = self.create_vault("own")
        self.bind(own.id, self.disks["one"])
        original = self.back_up(own.id, "original")
        (self.bucket / "web").mkdir()
        image = self.bucket / "web" / "disk.raw"
        sha256 = self.export(original.id, image)

        first, resource = str(uuid.uuid4()), str(uuid.uuid4())
        self.refused("BackupService.6105", 404, lambda: self.import_backup(first, "web/disk.raw", resource))
        vault = self.create_vault("files", size=1024, kind="file")
        self.refused("BackupService.9900", 400, lambda: self.import_backup(first, "../data/x", resource))
        log = self.import_backup(first, "web/disk.raw", resource)
        self.assertEqual((log.status, log.operation_type), ("success", "sync"), log.error_info)
        self.assertEqual(log.extra_info.sync.sync_backup_num, 1)
        backup = self.show_backup(first)
        self.assertEqual((backup.status, backup.resource_type), ("available", "OS::Native::Server"))
        self.assertEqual((backup.vault_id, backup.resource_id), (vault.id, resource))
        self.assertEqual(backup.created_at.timestamp(), MADE)
        self.assertEqual(self.export(first, self.folder / "again.raw"), sha256)

        sidecar = {
            "backup_id": first,
            "backup_name": "from-afar",
            "created_at": MADE,
            "resource_id": resource,
            "resource_name": "web of old",
        }
        (self.bucket / "web" / "disk.raw.cbr.json").write_text(json.dumps(sidecar))
        second = str(uuid.uuid4())
        disks.make(self.bucket / "web" / "next.raw", 8, self.rng)
        (self.bucket / "web" / "next.raw.cbr.json").write_text(json.dumps({**sidecar, "backup_id": second}))
        time.sleep(1)
        self.refused("BackupService.7300", 400, lambda: self.sync(own.id))
        self.refused("BackupService.6105", 404, lambda: self.sync(ABSENT))
        log = self.sync(vault.id)
        self.assertEqual(log.status, "success", log.error_info)
        self.assertEqual(log.extra_info.sync.sync_backup_num, 1)
        self.assertEqual(self.export(second, self.folder / "next.raw"), disks.sha256(self.bucket / "web" / "next.raw"))

        # kill -9 while an image is read: one backup comes of it.
        third = str(uuid.uuid4())
        disks.make(self.bucket / "large.raw", 256, self.rng)
        args = ["import", "images", "large.raw", "--id", third, "--name", "third", "--resource-id", resource]
        args += ["--resource-name", "web", "--created-at", str(MADE), "--no-wait"]
        self.service.run("backup", *args)
        self.service.kill()
        self.service.start()
        self.assertEqual(self.poll(lambda: self.available(third)), "available")
        self.assertEqual(self.export(third, self.folder / "third.raw"), disks.sha256(self.bucket / "large.raw"))
        self.service.stop()
        self.service.run("repo", "check", *self.service.place())

    def available(self, backup):
        status = self.show_backup(backup).status
        return status if status != "protecting" else None


if __name__ == "__main__":
    unittest.main()
