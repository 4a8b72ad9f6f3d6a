"""The official Python SDK looks after vaults of the real binary: tags, moves, orders, expirations, usage.

    target/venv/bin/python -m unittest tests.sdk.test_vaults
"""

import unittest

from huaweicloudsdkcbr import v1 as cbr

from tests.harness import disks, postgres
from tests.sdk.case import ABSENT, Case


class VaultsCase(Case):
    """The tests; a class below says on which database."""

    disk_names = ("moving", "staying", "set", "timed")

    def test_tags(self):
        """TAG-01 to TAG-06, contract C17 to C22, V3: a key with blanks and slashes in a signed path."""
        vault = self.create_vault("sdk-tags").id
        tag = cbr.VaultTagsCreateReq(cbr.TagCreate("env", "lab"))
        self.client.create_vault_tags(cbr.CreateVaultTagsRequest(vault_id=vault, body=tag))
        many = [cbr.BulkCreateAndDeleteTags("team", "a"), cbr.BulkCreateAndDeleteTags("env", "prod")]
        self.change_tags(vault, "create", many)
        shown = self.client.show_vault_tag(cbr.ShowVaultTagRequest(vault_id=vault)).tags
        self.assertEqual([(tag.key, tag.value) for tag in shown], [("env", "prod"), ("team", "a")])
        used = self.client.show_vault_project_tag(cbr.ShowVaultProjectTagRequest()).tags
        self.assertIn(("env", ["prod"]), [(tag.key, tag.values) for tag in used])

        wanted = [cbr.TagsReq("env", ["*ro"])]
        body = cbr.VaultResourceInstancesReq(action="filter", tags=wanted, limit="10", offset="0")
        found = self.find(body)
        self.assertEqual((found.total_count, found.resources[0].resource_id), (1, vault))
        self.assertEqual(found.resources[0].resource_detail.vault.name, "sdk-tags")
        counted = self.find(cbr.VaultResourceInstancesReq(action="count", not_tags_any=wanted))
        others = self.client.list_vault(cbr.ListVaultRequest()).count - 1
        self.assertEqual((counted.total_count, counted.resources), (others, None))

        self.refused("BackupService.6601", 404, lambda: self.delete_tag(vault, "a b/中"))
        self.delete_tag(vault, "env")
        self.change_tags(vault, "delete", [cbr.BulkCreateAndDeleteTags("team")])
        shown = self.client.show_vault_tag(cbr.ShowVaultTagRequest(vault_id=vault)).tags
        self.assertEqual(shown, [])
        ten = [cbr.BulkCreateAndDeleteTags(f"k{number}", "v") for number in range(10)]
        self.change_tags(vault, "create", ten)
        eleventh = [cbr.BulkCreateAndDeleteTags("k10", "v")]
        self.refused(
            "BackupService.6600", 400, lambda: self.change_tags(vault, "create", eleventh)
        )

    def test_a_resource_moves_with_its_backups(self):
        """RES-21, RES-27, P1: the disk and all its backups, which restore; the next one is incremental."""
        disk, path = self.disks["moving"], self.service.pool / "moving.raw"
        source, target = self.create_vault("sdk-from").id, self.create_vault("sdk-to").id
        self.bind(source, disk)
        sha = disks.sha256(path)
        first = self.back_up(source, "sdk-move")
        move = cbr.VaultMigrateResourceReq(destination_vault_id=target, resource_ids=[disk.id])
        self.refused(
            "BackupService.6120",
            400,
            lambda: self.migrate(
                source, cbr.VaultMigrateResourceReq(ABSENT, resource_ids=[disk.id])
            ),
        )
        self.assertEqual(self.migrate(source, move).migrated_resources, [disk.id])
        self.poll(lambda: True if self.show_vault(target).resources else None)
        self.assertEqual(self.show_vault(source).resources, [])
        self.assertEqual(self.show_backup(first.id).vault_id, target)
        self.wait_for_log(cbr.ListOpLogsRequest(operation_type="migrate", limit=1))
        disks.scribble(path, self.rng)
        second = self.back_up(target, "sdk-moved")
        self.assertTrue(second.incremental)
        disks.destroy(path)
        self.restore(first.id, disk.id)
        self.assertEqual(disks.sha256(path), sha)
        self.client.delete_vault(cbr.DeleteVaultRequest(vault_id=source))
        self.wait_until_gone(lambda: self.show_vault(source), "BackupService.6105")
        self.assertEqual(self.show_backup(first.id).status, "available")

    def test_settings_of_resources_and_of_all_vaults(self):
        """Contract C6, C10, C14, C15: suspend means that automatic backups take it (E.5 number 13)."""
        vault = self.create_vault("sdk-set").id
        self.bind(vault, self.disks["set"])
        for action, takes in (("unsuspend", False), ("suspend", True)):
            body = cbr.VaultSetResourceReq(resource_ids=[self.disks["set"].id], action=action)
            request = cbr.SetVaultResourceRequest(vault_id=vault, body=body)
            self.client.set_vault_resource(request)
            self.assertEqual(self.show_vault(vault).resources[0].auto_protect, takes)
        body = cbr.BatchUpdateVaultRequestBody(cbr.VaultBatchUpdate(smn_notify=False, threshold=55))
        changed = self.client.batch_update_vault(cbr.BatchUpdateVaultRequest(body=body))
        self.assertIn(vault, changed.updated_vaults_id)
        self.assertEqual(self.show_vault(vault).threshold, 55)
        facts = self.service.bootstrap
        listed = self.client.list_external_vault(
            cbr.ListExternalVaultRequest(
                external_project_id=facts["project_id"],
                region_id=facts.get("region", "local-1"),
                objcet_type="disk",
                vault_id=vault,
            )
        )
        self.assertEqual([found.id for found in listed.vaults], [vault])
        summary = self.client.show_summary(cbr.ShowSummaryRequest())
        self.assertGreaterEqual(summary.size, 100)

    def test_vaults_of_files_and_file_systems(self):
        """VLT-01, VLT-11, Z-28: made, listed, resized and deleted; capacities of files are whole TB."""
        for kind, size, larger, wrong, protect in [
            ("file", 1024, 2048, 1500, "hybrid"),
            ("turbo", 100, 101, 0, "backup"),
        ]:
            vault = self.create_vault(f"sdk-{kind}", size, kind)
            billing = vault.billing
            self.assertEqual((billing.object_type, billing.protect_type), (kind, protect))
            listed = self.client.list_vault(
                cbr.ListVaultRequest(object_type=kind, protect_type=protect)
            )
            self.assertEqual([found.id for found in listed.vaults], [vault.id])
            self.refused("BackupService.6101", 400, lambda: self.resize(vault.id, wrong))
            self.assertEqual(self.resize(vault.id, larger).billing.size, larger)
            self.client.delete_vault(cbr.DeleteVaultRequest(vault_id=vault.id))
            self.wait_until_gone(lambda: self.show_vault(vault.id), "BackupService.6105")

    def resize(self, vault, size):
        body = cbr.VaultUpdateReq(cbr.VaultUpdate(billing=cbr.BillingUpdate(size=size)))
        return self.client.update_vault(cbr.UpdateVaultRequest(vault_id=vault, body=body)).vault

    def test_expirations_and_usage(self):
        """Contract C16, C64."""
        disk = self.disks["timed"]
        vault = self.create_vault("sdk-timed").id
        self.bind(vault, disk)
        self.back_up(vault, "sdk-for-ever")
        body = cbr.UpdateExpirationTimeReq("2035-06-30", "UTC+08:00")
        request = cbr.UpdateExpirationTimeRequest(vault_id=vault, body=body)
        changed = self.client.update_expiration_time(request)
        self.assertEqual((changed.affected_backups_count, changed.new_expiration_day), (0, "2035-06-30"))
        log = cbr.ShowOpLogRequest(operation_log_id=changed.operation_log_id)
        self.assertEqual(self.client.show_op_log(log).operation_log.status, "success")
        usage = self.client.show_storage_usage(cbr.ShowStorageUsageRequest(resource_id=disk.id))
        [row] = usage.storage_usage
        self.assertEqual((usage.resource_count, row.backup_count), (1, 1))
        self.assertGreater(row.backup_size, 0)

    def test_orders(self):
        """BIL-01 to BIL-08, contract C2, C65, C67: nothing is paid, and the vault is there at once."""
        billing = cbr.PrePaidBillingCreate(
            object_type="disk",
            protect_type="backup",
            consistent_level="crash_consistent",
            charging_mode="pre_paid",
            size=100,
            period_type="year",
            period_num=1,
            is_auto_pay=True,
        )
        order = cbr.VaultOrderCreateReqs(
            cbr.PrePaidVaultOrder(name="sdk.ordered", billing=billing, resources=[])
        )
        answer = self.client.create_post_paid_vault(cbr.CreatePostPaidVaultRequest(body=order))
        self.assertEqual((answer.ret_code, answer.error_code), (0, "0"))
        vault = answer.orders[0].resource_id
        self.assertEqual(self.show_vault(vault).billing.charging_mode, "pre_paid")
        product = cbr.CbcProductInfoOrderChange(
            product_id="p-1", resource_size=200, resource_spec_code="vault.backup.volume.normal"
        )
        change = cbr.CbcOrderChange(product_info=product, resource_id=vault)
        self.client.change_order(cbr.ChangeOrderRequest(body=change))
        self.assertEqual(self.show_vault(vault).billing.size, 200)
        delete = cbr.DeleteVaultRequest(vault_id=vault)
        self.refused("BackupService.6111", 400, lambda: self.client.delete_vault(delete))
        by_use = self.create_vault("sdk-by-use").id
        period = cbr.ChangeToPeriod(
            charging_mode="pre_paid",
            period_type="month",
            period_num=3,
            is_auto_renew=False,
            is_auto_pay=True,
            vault_ids=[by_use],
        )
        request = cbr.ChangeVaultChargeModeRequest(body=period)
        changed = self.client.change_vault_charge_mode(request)
        self.assertEqual(self.show_vault(by_use).billing.order_id, changed.order_id)
        self.refused(
            "BackupService.6109",
            400,
            lambda: self.client.change_order(
                cbr.ChangeOrderRequest(
                    body=cbr.CbcOrderChange(
                        product_info=product, resource_id=self.create_vault("sdk-unordered").id
                    )
                )
            ),
        )

    # --- pieces

    def change_tags(self, vault, action, tags):
        body = cbr.BulkCreateAndDeleteVaultTagsReq(tags=tags, action=action)
        request = cbr.BatchCreateAndDeleteVaultTagsRequest(vault_id=vault, body=body)
        self.client.batch_create_and_delete_vault_tags(request)

    def delete_tag(self, vault, key):
        self.client.delete_vault_tag(cbr.DeleteVaultTagRequest(key=key, vault_id=vault))

    def find(self, body):
        request = cbr.ShowVaultResourceInstancesRequest(body=body)
        return self.client.show_vault_resource_instances(request)

    def migrate(self, vault, body):
        request = cbr.MigrateVaultResourceRequest(vault_id=vault, body=body)
        return self.client.migrate_vault_resource(request)


class OnSqlite(VaultsCase, unittest.TestCase):
    """On the embedded default."""


@unittest.skipUnless(postgres.programs(), "skipped: PostgreSQL is not installed (apt: postgresql)")
class OnPostgres(VaultsCase, unittest.TestCase):
    """On a PostgreSQL cluster of its own."""

    @classmethod
    def setUpClass(cls):
        cluster = postgres.Postgres().start()
        cls.addClassCleanup(cluster.stop)
        cls.database_url = cluster.create_database("sdk_vaults")
        super().setUpClass()


if __name__ == "__main__":
    unittest.main()
