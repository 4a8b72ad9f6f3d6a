"""The official Python SDK makes, orders and changes vaults for databases, and sees what their backups are.

    target/venv/bin/python -m unittest tests.sdk.test_databases
"""

import json
import os
import unittest

from huaweicloudsdkcbr import v1 as cbr

from tests.harness import disks, postgres
from tests.sdk.case import Case

DATABASE = "vault.backup.database.normal"


class DatabasesCase(Case):
    """The tests; a class below says on which database."""

    disk_names = ("root", "data")

    @classmethod
    def configuration(cls):
        return '[[local.servers]]\nname = "db-1"\nvolumes = ["root.raw", "data.raw"]\n'

    def test_a_database_backup_falls_back_and_restores(self):
        """VLT-02, VLT-08, VLT-09, DBS-16, DBS-20, BAK-57: bytes of both disks come back; the log and the command line
        say that it is the ordinary backup, and why."""
        [server] = self.client.list_protectable(
            cbr.ListProtectableRequest(protectable_type="server")
        ).instances
        vault = self.create_vault("sdk-db", kind="server", level="app_consistent")
        self.assertEqual(vault.billing.consistent_level, "app_consistent")
        self.assertEqual(vault.billing.spec_code, DATABASE)
        self.bind(vault.id, server)
        paths = [self.service.pool / f"{name}.raw" for name in self.disk_names]
        before = [disks.sha256(path) for path in paths]
        backup = self.back_up(vault.id, "sdk-db-1")
        self.assertEqual((backup.vault_id, len(backup.children)), (vault.id, 2))

        request = cbr.ListOpLogsRequest(operation_type="backup", vault_id=vault.id)
        [log] = self.client.list_op_logs(request).operation_logs
        self.assertEqual((log.status, log.error_info.code), ("success", ""))
        said = log.extra_info.backup
        self.assertEqual((said.backup_id, said.app_consistency_status), (backup.id, "0"))
        self.assertEqual(said.app_consistency_error_code, "BackupService.7410")
        self.assertIn("no agent", said.app_consistency_error_message)
        self.check_command_line(backup.id, log.id, said.app_consistency_error_message)

        for path in paths:
            disks.destroy(path)
        body = cbr.BackupRestoreReq(cbr.BackupRestore(server_id=server.id, power_on=False))
        self.client.restore_backup(cbr.RestoreBackupRequest(backup_id=backup.id, body=body))
        self.wait_for_log(cbr.ListOpLogsRequest(operation_type="restore", limit=1))
        self.assertEqual([disks.sha256(path) for path in paths], before)

    def check_command_line(self, backup, log, why):
        shown = self.cbr("backup", "show", backup)
        self.assertIn("A failed: crash_consistent", shown)
        self.assertIn("BackupService.7410", shown)
        self.assertIn("A failed: crash_consistent", self.cbr("task", "show", log))
        self.assertIn("一致性", self.cbr("backup", "show", backup, lang="zh-CN"))
        whole = json.loads(self.cbr("backup", "show", backup, "-o", "json"))
        self.assertEqual(whole["x-app-consistency"]["app_consistency_error_message"], why)
        self.cbr("vault", "create", "cli-db", "--type", "server", "--size", "10", "--database")
        self.assertIn(DATABASE, self.cbr("vault", "show", "cli-db"))
        self.cbr("vault", "create", "cli-servers", "--type", "server", "--size", "10")
        self.assertIn("vault.backup.server.normal", self.cbr("vault", "show", "cli-servers"))
        changed = self.cbr("vault", "update", "cli-servers", "--database", "--size", "20")
        self.assertIn(DATABASE, changed)

    def cbr(self, *arguments, lang="en"):
        """What a command writes for people; of JSON, what it writes for programs."""
        facts = self.service.bootstrap
        for name, value in (
            ("CBR_URL", self.service.url),
            ("CBR_ACCESS_KEY", facts["access_key"]),
            ("CBR_SECRET_KEY", facts["secret_key"]),
            ("CBR_PROJECT_ID", facts["project_id"]),
            ("CBR_LANG", lang),
        ):
            os.environ[name] = value
            self.addCleanup(os.environ.pop, name, None)
        return self.service.run(*arguments).stdout

    def test_a_vault_becomes_one_for_databases_and_stays_so(self):
        """VLT-90, VLT-92, contract C1, C2, C5: forwards only, by change and by order; 6110 back, 6116 for others."""
        vault = self.create_vault("sdk-servers", kind="server")
        self.assertEqual(vault.billing.spec_code, "vault.backup.server.normal")
        self.assertEqual(self.change(vault.id, "app_consistent").billing.spec_code, DATABASE)
        self.refused("BackupService.6110", 400, lambda: self.change(vault.id, "crash_consistent"))
        self.assertEqual(self.show_vault(vault.id).billing.consistent_level, "app_consistent")
        for kind, size in (("disk", 100), ("turbo", 100), ("file", 1024)):
            make = lambda: self.create_vault(f"sdk-{kind}-db", size, kind, "app_consistent")
            self.refused("BackupService.6116", 400, make)
        plain = self.create_vault("sdk-plain-disks").id
        self.refused("BackupService.6116", 400, lambda: self.change(plain, "app_consistent"))

        billing = cbr.PrePaidBillingCreate(
            object_type="server",
            protect_type="backup",
            consistent_level="app_consistent",
            charging_mode="pre_paid",
            period_type="month",
            period_num=1,
            is_auto_pay=True,
            size=100,
        )
        order = cbr.PrePaidVaultOrder(name="sdk-ordered-db", billing=billing, resources=[])
        body = cbr.VaultOrderCreateReqs(vault=order)
        ordered = self.client.create_post_paid_vault(cbr.CreatePostPaidVaultRequest(body=body))
        made = self.show_vault(ordered.orders[0].resource_id)
        self.assertEqual(made.billing.spec_code, DATABASE)

    def change(self, vault, level):
        billing = cbr.BillingUpdate(consistent_level=level)
        body = cbr.VaultUpdateReq(cbr.VaultUpdate(billing=billing))
        return self.client.update_vault(cbr.UpdateVaultRequest(vault_id=vault, body=body)).vault


class OnSqlite(DatabasesCase, unittest.TestCase):
    """On the database every installation begins with."""


@unittest.skipUnless(postgres.programs(), "skipped: PostgreSQL is not installed (apt: postgresql)")
class OnPostgres(DatabasesCase, unittest.TestCase):
    """On a PostgreSQL cluster of its own."""

    @classmethod
    def setUpClass(cls):
        cluster = postgres.Postgres().start()
        cls.addClassCleanup(cluster.stop)
        cls.database_url = cluster.create_database("sdk_databases")
        super().setUpClass()


if __name__ == "__main__":
    unittest.main()
