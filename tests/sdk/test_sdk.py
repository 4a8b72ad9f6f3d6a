"""The official Python SDK drives the main job against the real binary.

create vault → bind → back up → poll → restore → delete, on SQLite and on PostgreSQL; and what the
SDK makes of refusals, pages and field types.

    target/venv/bin/python -m unittest tests.sdk.test_sdk
"""

import datetime
import unittest

from huaweicloudsdkcbr import v1 as cbr
from huaweicloudsdkcore.exceptions.exceptions import ClientRequestException

from tests.harness import disks, postgres
from tests.sdk.case import ABSENT, Case


class SdkCase(Case):
    """The tests; a class below says on which database."""

    disk_names = ("main", "pages", "spare")

    # --- the main job

    def test_the_main_job(self):
        """VLT-10, RES-01, BAK-01, RST-40, PRD-20, P1: from an empty vault to a restored disk and back."""
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

    def list_with_a_bad_limit(self):
        return self.client.list_vault(cbr.ListVaultRequest(limit=1001))


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
