"""The official Python SDK and the command line make policies against the real binary.

create → bind → list by vault → change → preview → unbind → delete, and an organization policy until
its copy is there, on SQLite.

    target/venv/bin/python -m unittest tests.sdk.test_policies
"""

import json
import pathlib
import random
import shutil
import subprocess
import tempfile
import time
import unittest

from huaweicloudsdkcbr import v1 as cbr
from huaweicloudsdkcore.auth.credentials import BasicCredentials
from huaweicloudsdkcore.exceptions.exceptions import ClientRequestException

from tests.harness import disks, postgres
from tests.harness.service import BINARY, Service

SEED = 20_240_806
PATTERN = "FREQ=DAILY;INTERVAL=1;BYHOUR=06;BYMINUTE=00"
ABSENT = "00000000-0000-4000-8000-000000000000"
# A sweep is woken at once; it has a minute in case it was at work.
SYNC_SECONDS_MAX = 70


class PoliciesCase:
    """One service for all tests; a class below says on which database."""

    database_url = None

    @classmethod
    def setUpClass(cls):
        cls.folder = pathlib.Path(tempfile.mkdtemp(prefix="cbr-policies-"))
        cls.service = Service(cls.folder, cls.database_url)
        cls.addClassCleanup(shutil.rmtree, cls.folder)
        cls.addClassCleanup(cls.service.end)
        disks.make(cls.service.pool / "main.raw", 8, random.Random(SEED))
        cls.service.start()
        facts = cls.service.bootstrap
        credentials = BasicCredentials(
            facts["access_key"], facts["secret_key"], facts["project_id"]
        )
        builder = cbr.CbrClient.new_builder().with_credentials(credentials)
        cls.client = builder.with_endpoint(cls.service.url).build()

    def test_the_life_of_a_policy(self):
        """POL-07, POL-28, POL-30, POL-32, contract C12, C13, C40 to C44."""
        vault = self.create_vault("sdk-policies")
        policy = self.create_policy("sdk-daily", cbr.PolicyoODCreate(max_backups=5, retention_duration_days=-1))
        self.assertEqual(policy.policy_type, "custom_policy")
        self.assertEqual(policy.associated_vaults, [])
        self.assertEqual((policy.trigger.name, policy.trigger.type), ("default", "time"))
        self.assertEqual(policy.trigger.properties.pattern, [PATTERN])
        self.assertRegex(policy.trigger.properties.start_time, r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d$")
        definition = policy.operation_definition
        self.assertEqual((definition.max_backups, definition.retention_duration_days), (5, -1))
        self.assertIsNone(definition.day_backups, "only what was sent comes back")

        body = cbr.VaultAssociate(policy_id=policy.id)
        request = cbr.AssociateVaultPolicyRequest(vault_id=vault.id, body=body)
        bound = self.client.associate_vault_policy(request).associate_policy
        self.assertEqual((bound.vault_id, bound.policy_id), (vault.id, policy.id))
        listed = self.client.list_policies(cbr.ListPoliciesRequest(vault_id=vault.id))
        self.assertEqual(listed.count, 1)
        self.assertEqual(listed.policies[0].associated_vaults[0].vault_id, vault.id)
        vaults = self.client.list_vault(cbr.ListVaultRequest(policy_id=policy.id))
        self.assertEqual([found.id for found in vaults.vaults], [vault.id])

        update = cbr.PolicyUpdate(
            enabled=False,
            operation_definition=cbr.PolicyoODCreate(
                max_backups=3, day_backups=7, timezone="UTC+08:00"
            ),
        )
        request = cbr.UpdatePolicyRequest(policy_id=policy.id, body=cbr.PolicyUpdateReq(update))
        changed = self.client.update_policy(request).policy
        self.assertEqual((changed.name, changed.enabled), ("sdk-daily", False))
        self.assertEqual(changed.operation_definition.day_backups, 7)
        shown = self.client.show_policy(cbr.ShowPolicyRequest(policy_id=policy.id)).policy
        self.assertEqual(shown.to_dict(), changed.to_dict())

        body = cbr.VaultDissociate(policy_id=policy.id)
        request = cbr.DisassociateVaultPolicyRequest(vault_id=vault.id, body=body)
        self.client.disassociate_vault_policy(request)
        time.sleep(1)  # The same request in the same second would be a replay (P27).
        self.refused("BackupService.6002", 404, lambda: self.client.disassociate_vault_policy(request))
        self.client.delete_policy(cbr.DeletePolicyRequest(policy_id=policy.id))
        show = cbr.ShowPolicyRequest(policy_id=policy.id)
        self.refused("BackupService.6000", 404, lambda: self.client.show_policy(show))

    def test_refusals_carry_the_codes_of_the_contract(self):
        """Contract D: what a client gets wrong about policies."""
        vault = self.create_vault("sdk-refusals")
        bad = cbr.PolicyoODCreate(max_backups=5, day_backups=5)
        self.refused("BackupService.9900", 400, lambda: self.create_policy("bad", bad))
        body = cbr.VaultAssociate(policy_id=ABSENT)
        request = cbr.AssociateVaultPolicyRequest(vault_id=vault.id, body=body)
        self.refused("BackupService.6000", 404, lambda: self.client.associate_vault_policy(request))

    def test_an_organization_policy_reaches_the_project(self):
        """Contract C45 to C50: syncing, then available, and its copy is a policy of the project."""
        create = cbr.OrganizationPolicyCreate(
            name="for all",
            operation_type="backup",
            policy_name="from-above",
            policy_enabled=True,
            policy_operation_definition=cbr.PolicyoODCreate(retention_duration_days=30),
            policy_trigger=self.trigger(),
        )
        body = cbr.OrganizationPolicyCreateReq(create)
        request = cbr.CreateOrganizationPolicyRequest(body=body)
        made = self.client.create_organization_policy(request).policy
        self.assertEqual(made.status, "syncing")
        show = cbr.ShowOrganizationPolicyRequest(organization_policy_id=made.id)
        deadline = time.monotonic() + SYNC_SECONDS_MAX
        while self.client.show_organization_policy(show).policy.status != "available":
            self.assertLess(time.monotonic(), deadline, self.service.tail())
            time.sleep(0.1)
        detail = cbr.ListOrganizationPolicyDetailRequest(organization_policy_id=made.id)
        [row] = self.client.list_organization_policy_detail(detail).policies
        self.assertEqual(row.project_id, self.service.bootstrap["project_id"])
        copy = self.client.show_policy(cbr.ShowPolicyRequest(policy_id=row.policy_id)).policy
        self.assertEqual((copy.name, copy.policy_type), ("from-above", "organization_policy_v1"))
        listed = self.client.list_organization_policies(
            cbr.ListOrganizationPoliciesRequest(operation_type="backup")
        )
        self.assertEqual([policy.id for policy in listed.policies], [made.id])
        self.client.delete_organization_policy(
            cbr.DeleteOrganizationPolicyRequest(organization_policy_id=made.id)
        )
        gone = cbr.ShowPolicyRequest(policy_id=row.policy_id)
        self.refused("BackupService.6000", 404, lambda: self.client.show_policy(gone))

    def test_the_command_line(self):
        """POL-27, POL-28, POL-33, TRB-14: create, bind, preview, change, unbind, delete, all as JSON."""
        self.create_vault("cli-vault")
        made = self.cbr("policy", "create", "cli-nightly", "--at", "02:00", "--keep", "7")
        pattern = ["FREQ=DAILY;INTERVAL=1;BYHOUR=02;BYMINUTE=00"]
        self.assertEqual(made["trigger"]["properties"]["pattern"], pattern)
        bound = self.cbr("vault", "bind-policy", "cli-vault", "cli-nightly")
        self.assertEqual(bound["policy_id"], made["id"])
        [listed] = self.cbr("policy", "list", "--vault", "cli-vault")
        self.assertEqual(listed["id"], made["id"])
        preview = self.cbr("policy", "preview", "cli-vault", "--keep", "1")
        self.assertEqual((preview["governed_by"], preview["backups"]), ("policy", []))
        changed = self.cbr("policy", "update", "cli-nightly", "--full-every", "6")
        definition = {"max_backups": 7, "retention_duration_days": -1, "full_backup_interval": 6}
        self.assertEqual(changed["operation_definition"], definition)
        self.assertEqual(self.cbr("policy", "show", "cli-nightly"), changed)
        self.cbr("vault", "unbind-policy", "cli-vault", "cli-nightly")
        self.assertEqual(self.cbr("policy", "show", "cli-nightly")["associated_vaults"], [])
        self.assertEqual(self.cbr("policy", "delete", "cli-nightly", "--yes"), {"id": made["id"]})

    # --- pieces

    @staticmethod
    def trigger():
        return cbr.PolicyTriggerReq(cbr.PolicyTriggerPropertiesReq(pattern=[PATTERN]))

    def create_policy(self, name, definition):
        create = cbr.PolicyCreate(
            name=name,
            operation_type="backup",
            operation_definition=definition,
            trigger=self.trigger(),
        )
        request = cbr.CreatePolicyRequest(body=cbr.PolicyCreateReq(create))
        return self.client.create_policy(request).policy

    def create_vault(self, name):
        billing = cbr.BillingCreate(object_type="disk", protect_type="backup", size=100)
        body = cbr.VaultCreateReq(cbr.VaultCreate(name=name, billing=billing, resources=[]))
        return self.client.create_vault(cbr.CreateVaultRequest(body=body)).vault

    def refused(self, code, status, call):
        with self.assertRaises(ClientRequestException) as caught:
            call()
        error = caught.exception
        self.assertEqual((error.error_code, error.status_code), (code, status), error.error_msg)

    def cbr(self, *arguments):
        """Runs the command line; what it wrote, read as JSON."""
        facts = self.service.bootstrap
        environment = {
            "CBR_URL": self.service.url,
            "CBR_ACCESS_KEY": facts["access_key"],
            "CBR_SECRET_KEY": facts["secret_key"],
            "CBR_PROJECT_ID": facts["project_id"],
            "HOME": str(self.folder),
        }
        ran = subprocess.run(
            [BINARY, *arguments, "-o", "json"],
            env=environment, capture_output=True, text=True, timeout=60, check=False,
        )
        self.assertEqual(ran.returncode, 0, ran.stderr)
        return json.loads(ran.stdout)


class OnSqlite(PoliciesCase, unittest.TestCase):
    """On the embedded default."""


@unittest.skipUnless(postgres.programs(), "skipped: PostgreSQL is not installed (apt: postgresql)")
class OnPostgres(PoliciesCase, unittest.TestCase):
    """On a PostgreSQL cluster of its own."""

    @classmethod
    def setUpClass(cls):
        cluster = postgres.Postgres().start()
        cls.addClassCleanup(cluster.stop)
        cls.database_url = cluster.create_database("sdk_policies")
        super().setUpClass()


if __name__ == "__main__":
    unittest.main()
