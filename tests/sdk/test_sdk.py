"""The official Python SDK drives the main job against the real binary.

create vault → bind → back up → poll → restore → delete, on SQLite and on PostgreSQL; and what the
SDK makes of refusals, pages and field types.

    target/venv/bin/python -m unittest tests.sdk.test_sdk
"""

import datetime
import pathlib
import random
import shutil
import tempfile
import time
import unittest

from huaweicloudsdkcbr import v1 as cbr
from huaweicloudsdkcore.auth.credentials import BasicCredentials
from huaweicloudsdkcore.exceptions.exceptions import ClientRequestException

from tests.harness import disks, postgres
from tests.harness.service import Service

SEED = 20_240_805
DISK_MIB = 48
POLL_SECONDS_MAX = 120
ABSENT = "00000000-0000-4000-8000-000000000000"


class SdkCase:
    """The tests; a class below says on which database."""

    database_url = None

    @classmethod
    def setUpClass(cls):
        cls.rng = random.Random(SEED)
        cls.folder = pathlib.Path(tempfile.mkdtemp(prefix="cbr-sdk-"))
        cls.service = Service(cls.folder, cls.database_url)
        cls.addClassCleanup(shutil.rmtree, cls.folder)
        cls.addClassCleanup(cls.service.end)
        for name in ("main", "pages", "spare"):
            disks.make(cls.service.pool / f"{name}.raw", DISK_MIB, cls.rng)
        cls.service.start()
        facts = cls.service.bootstrap
        cls.client = cls.client_of(facts["access_key"], facts["secret_key"])
        cls.disks = {
            instance.name.removesuffix(".raw"): instance
            for instance in cls.client.list_protectable(
                cbr.ListProtectableRequest(protectable_type="disk")
            ).instances
        }

    @classmethod
    def client_of(cls, access_key, secret_key):
        credentials = BasicCredentials(access_key, secret_key, cls.service.bootstrap["project_id"])
        builder = cbr.CbrClient.new_builder().with_credentials(credentials)
        return builder.with_endpoint(cls.service.url).build()

    # --- the main job

    def test_the_main_job(self):
        """VLT-10, RES-01, BAK-01, RST-40, P1: from an empty vault to a restored disk and back."""
        disk, path = self.disks["main"], self.service.pool / "main.raw"
        vault = self.create_vault("sdk-main")
        self.assertEqual(vault.billing.status, "available")
        self.assertEqual(vault.billing.spec_code, "vault.backup.volume.normal")
        self.assertEqual(vault.billing.used, 0)
        self.bind(vault.id, disk)

        first_sha = disks.sha256(path)
        first = self.back_up(vault.id, "sdk-first")
        self.assertFalse(first.incremental)
        second_sha = disks.scribble(path, self.rng)
        second = self.back_up(vault.id, "sdk-second")
        self.assertTrue(second.incremental)
        self.assertGreater(self.show_vault(vault.id).billing.used, 0)

        for backup, sha in ((first, first_sha), (second, second_sha)):
            disks.destroy(path)
            self.restore(backup.id, disk.id)
            self.assertEqual(disks.sha256(path), sha)

        self.client.delete_backup(cbr.DeleteBackupRequest(backup_id=first.id))
        self.wait_until_gone(lambda: self.show_backup(first.id), "BackupService.6200")
        disks.destroy(path)
        self.restore(second.id, disk.id)
        self.assertEqual(disks.sha256(path), second_sha, "deleting a backup changed another (P7)")

        self.client.delete_vault(cbr.DeleteVaultRequest(vault_id=vault.id))
        self.wait_until_gone(lambda: self.show_vault(vault.id), "BackupService.6105")
        self.refused("BackupService.6200", 404, lambda: self.show_backup(second.id))

    # --- what the SDK reads

    def test_fields_arrive_with_the_types_of_the_sdk(self):
        """Contract A.6: times parse as times; ids, numbers and flags are what the models say."""
        vault = self.create_vault("sdk-types")
        self.bind(vault.id, self.disks["spare"])
        backup = self.back_up(vault.id, "sdk-types")
        self.assertIsInstance(backup.created_at, datetime.datetime)
        self.assertIsInstance(backup.updated_at, datetime.datetime)
        self.assertIsInstance(backup.resource_size, int)
        self.assertEqual(backup.resource_type, "OS::Cinder::Volume")
        self.assertEqual(backup.image_type, "backup")
        self.assertEqual(backup.vault_id, vault.id)
        logs = self.client.list_op_logs(
            cbr.ListOpLogsRequest(vault_id=vault.id, operation_type="backup")
        )
        [log] = logs.operation_logs
        self.assertEqual((log.status, log.vault_name), ("success", "sdk-types"))
        self.assertEqual(log.extra_info.common.progress, 100)
        shown = self.client.show_op_log(cbr.ShowOpLogRequest(operation_log_id=log.id))
        self.assertEqual(shown.operation_log.id, log.id)
        renamed = self.client.update_backup(
            cbr.UpdateBackupRequest(
                backup_id=backup.id, body=cbr.BackupUpdateReq(cbr.BackupUpdate(name="renamed"))
            )
        )
        self.assertEqual(renamed.backup.name, "renamed")

    def test_pages_cover_everything_once(self):
        """Contract A.4: limit with offset and limit with marker walk the same list."""
        vault = self.create_vault("sdk-pages")
        self.bind(vault.id, self.disks["pages"])
        wanted = [self.back_up(vault.id, f"page-{number}").id for number in range(5)][::-1]

        def page(**paging):
            request = cbr.ListBackupsRequest(vault_id=vault.id, limit=2, **paging)
            answer = self.client.list_backups(request)
            self.assertEqual(answer.count, 5)
            return [backup.id for backup in answer.backups]

        by_offset = [id for offset in (0, 2, 4) for id in page(offset=offset)]
        self.assertEqual(by_offset, wanted)
        by_marker = page()
        while rest := page(marker=by_marker[-1]):
            by_marker += rest
        self.assertEqual(by_marker, wanted)

    # --- what it is told when it asks for something wrong

    def test_refusals_carry_the_codes_of_the_contract(self):
        """Contract D: status and code of what a client gets wrong."""
        vault = self.create_vault("sdk-refusals")
        self.refused("BackupService.6105", 404, lambda: self.show_vault(ABSENT))
        self.refused("BackupService.6200", 404, lambda: self.show_backup(ABSENT))
        self.refused("BackupService.6101", 400, lambda: self.create_vault("small", size=0))
        self.refused("BackupService.9900", 400, lambda: self.create_vault("not a name!"))
        self.refused("BackupService.0001", 400, lambda: self.start_backup(vault.id, "nothing"))
        self.refused("BackupService.9900", 400, self.list_with_a_bad_limit)

    def test_a_wrong_secret_is_refused(self):
        """P27: a signature that does not fit is no credential."""
        client = self.client_of(self.service.bootstrap["access_key"], "wrong" * 8)
        with self.assertRaises(ClientRequestException) as caught:
            client.list_vault(cbr.ListVaultRequest())
        self.assertEqual(caught.exception.status_code, 401)

    # --- pieces

    def create_vault(self, name, size=100):
        billing = cbr.BillingCreate(
            object_type="disk",
            protect_type="backup",
            consistent_level="crash_consistent",
            charging_mode="post_paid",
            cloud_type="public",
            size=size,
        )
        body = cbr.VaultCreateReq(cbr.VaultCreate(name=name, billing=billing, resources=[]))
        return self.client.create_vault(cbr.CreateVaultRequest(body=body)).vault

    def bind(self, vault, disk):
        resource = cbr.ResourceCreate(id=disk.id, type=disk.type, name=disk.name)
        body = cbr.VaultAddResourceReq(resources=[resource])
        self.client.add_vault_resource(cbr.AddVaultResourceRequest(vault_id=vault, body=body))

    def start_backup(self, vault, name):
        parameters = cbr.CheckpointParam(name=name)
        body = cbr.VaultBackupReq(cbr.VaultBackup(vault_id=vault, parameters=parameters))
        return self.client.create_checkpoint(cbr.CreateCheckpointRequest(body=body)).checkpoint

    def back_up(self, vault, name):
        """Backs up the one resource of the vault and polls until the backup can be used."""
        point = self.start_backup(vault, name)

        def look():
            found = self.client.list_backups(cbr.ListBackupsRequest(checkpoint_id=point.id)).backups
            return found[0] if found and found[0].status != "protecting" else None

        backup = self.poll(look)
        self.assertEqual(backup.status, "available", self.service.tail())
        return backup

    def restore(self, backup, disk):
        # A signature is good once (P27), and says the second: the same request a moment later is a replay.
        time.sleep(1)
        body = cbr.BackupRestoreReq(cbr.BackupRestore(volume_id=disk))
        self.client.restore_backup(cbr.RestoreBackupRequest(backup_id=backup, body=body))
        request = cbr.ListOpLogsRequest(operation_type="restore", limit=1)

        def look():
            [log] = self.client.list_op_logs(request).operation_logs
            return log if log.status not in ("running", "waiting") else None

        self.assertEqual(self.poll(look).status, "success", self.service.tail())

    def show_vault(self, vault):
        return self.client.show_vault(cbr.ShowVaultRequest(vault_id=vault)).vault

    def show_backup(self, backup):
        return self.client.show_backup(cbr.ShowBackupRequest(backup_id=backup)).backup

    def list_with_a_bad_limit(self):
        return self.client.list_vault(cbr.ListVaultRequest(limit=1001))

    def refused(self, code, status, call):
        with self.assertRaises(ClientRequestException) as caught:
            call()
        error = caught.exception
        self.assertEqual((error.error_code, error.status_code), (code, status), error.error_msg)
        self.assertTrue(error.request_id, "a refusal has no X-Request-Id")

    def wait_until_gone(self, show, code):
        def look():
            try:
                show()
            except ClientRequestException as error:
                self.assertEqual((error.status_code, error.error_code), (404, code))
                return True
            return None

        self.poll(look)

    def poll(self, look):
        deadline = time.monotonic() + POLL_SECONDS_MAX
        while (seen := look()) is None:
            self.assertLess(time.monotonic(), deadline, f"it never ends\n{self.service.tail()}")
            time.sleep(0.05)
        return seen


class OnSqlite(SdkCase, unittest.TestCase):
    """On the embedded default."""


@unittest.skipUnless(postgres.programs(), "skipped: PostgreSQL is not installed (apt: postgresql)")
class OnPostgres(SdkCase, unittest.TestCase):
    """On a PostgreSQL cluster of its own."""

    @classmethod
    def setUpClass(cls):
        cluster = postgres.Postgres().start()
        cls.addClassCleanup(cluster.stop)
        cls.database_url = cluster.create_database("sdk")
        super().setUpClass()


if __name__ == "__main__":
    unittest.main()
