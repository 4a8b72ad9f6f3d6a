"""The official Python SDK shares backups between two projects, and asks for what belongs to backups.

Offer, accept, make a disk of it, take it back; metadata, agents, features, copies that are refused;
and the same by the command line.

    target/venv/bin/python -m unittest tests.sdk.test_backups
"""

import hashlib
import json
import os
import pathlib
import random
import shutil
import tempfile
import time
import unittest
import urllib.request
import uuid

from huaweicloudsdkcbr import v1 as cbr
from huaweicloudsdkcore.auth.credentials import BasicCredentials, GlobalCredentials
from huaweicloudsdkcore.exceptions.exceptions import ClientRequestException
from huaweicloudsdkiam import v3 as iam

from tests.harness import disks, postgres
from tests.harness.service import Service

SEED = 20_261_126
DISK_MIB = 24
POLL_SECONDS_MAX = 120
ABSENT = "00000000-0000-4000-8000-000000000000"


class Sharing:
    """Two projects of one account; the provider's resources belong to the first. A class below says on
    which database."""

    database_url = None

    @classmethod
    def setUpClass(cls):
        cls.rng = random.Random(SEED)
        cls.folder = pathlib.Path(tempfile.mkdtemp(prefix="cbr-sdk-backups-"))
        cls.service = Service(cls.folder, cls.database_url)
        cls.addClassCleanup(shutil.rmtree, cls.folder)
        cls.addClassCleanup(cls.service.end)
        disks.make(cls.service.pool / "main.raw", DISK_MIB, cls.rng)
        cls.service.start()
        cls.project = cls.service.bootstrap["project_id"]
        cls.friends = cls.second_project()
        cls.owner, cls.friend = cls.client_of(cls.project), cls.client_of(cls.friends)
        [cls.disk] = cls.owner.list_protectable(
            cbr.ListProtectableRequest(protectable_type="disk")
        ).instances

    @classmethod
    def second_project(cls):
        """Another project of the same account: the first user's key reaches both."""
        facts = cls.service.bootstrap
        credentials = GlobalCredentials(facts["access_key"], facts["secret_key"], facts["domain_id"])
        builder = iam.IamClient.new_builder().with_credentials(credentials)
        client = builder.with_endpoint(cls.service.url).build()
        option = iam.KeystoneCreateProjectOption(name="second", parent_id=facts["domain_id"])
        body = iam.KeystoneCreateProjectRequestBody(project=option)
        return client.keystone_create_project(iam.KeystoneCreateProjectRequest(body=body)).project.id

    @classmethod
    def client_of(cls, project):
        facts = cls.service.bootstrap
        credentials = BasicCredentials(facts["access_key"], facts["secret_key"], project)
        builder = cbr.CbrClient.new_builder().with_credentials(credentials)
        return builder.with_endpoint(cls.service.url).build()

    # --- the flow

    def test_a_backup_is_shared_used_and_taken_back(self):
        """SHR-01, SHR-04, SHR-07 to SHR-12, contract C27, C28, C35 to C39."""
        path = self.service.pool / "main.raw"
        vault = self.create_vault(self.owner, "owners")
        self.bind(vault, self.disk)
        backup = self.back_up(vault, "shared")
        sha = disks.sha256(path)

        self.refused("BackupService.6704", 400, lambda: self.share(backup, ABSENT))
        self.refused("BackupService.6704", 400, lambda: self.share(backup, self.project))
        [member] = self.share(backup, self.friends).members
        self.assertEqual((member.status, member.vault_id), ("pending", None))
        self.refused("BackupService.6703", 400, lambda: self.share(backup, self.friends))
        self.assertEqual(self.member(self.owner, backup).id, member.id)

        # The offer is seen, and nothing can be read of it.
        [offer] = self.shared("pending")
        self.assertEqual((offer.id, offer.project_id), (backup.id, self.project))
        self.refused("BackupService.6200", 404, lambda: self.show(self.friend, backup))
        self.assertEqual(self.create_disk(backup), {})

        inbox = self.create_vault(self.friend, "inbox")
        self.refused("BackupService.6706", 400, lambda: self.decide(backup, "accepted", None))
        self.refused("BackupService.6105", 404, lambda: self.decide(backup, "accepted", vault))
        accepted = self.decide(backup, "accepted", inbox).member
        self.assertEqual((accepted.status, accepted.vault_id), ("accepted", inbox))
        shown = self.show(self.friend, backup)
        self.assertEqual((shown.project_id, shown.vault_id), (self.project, inbox))
        self.assertEqual([seen.id for seen in self.shared("accepted")], [backup.id])

        # It is read and not changed, and nobody shares it on.
        self.refused("BackupService.6714", 400, lambda: self.share(backup, ABSENT, self.friend))
        delete = cbr.DeleteBackupRequest(backup_id=backup.id)
        self.refused("BackupService.6201", 400, lambda: self.friend.delete_backup(delete))
        body = cbr.BackupRestoreReq(cbr.BackupRestore(volume_id=self.disk.id))
        restore = cbr.RestoreBackupRequest(backup_id=backup.id, body=body)
        self.refused("BackupService.2003", 400, lambda: self.friend.restore_backup(restore))

        made = self.create_disk(backup)["id"]
        self.assertEqual(self.status_of(made), "available")
        [copy] = [it for it in self.service.pool.glob("*.raw") if it != path]
        with copy.open("rb") as disk:
            same = hashlib.sha256(disk.read(path.stat().st_size)).hexdigest()
        self.assertEqual(same, sha, "the recipient's disk differs from what was backed up")
        # It is the recipient's disk: only the recipient sees it.
        self.assertEqual([it.id for it in self.protectables(self.friend)], [made])
        self.assertEqual([it.id for it in self.protectables(self.owner)], [self.disk.id])

        self.owner.delete_backup(delete)
        self.poll(lambda: self.shared(None) == [] or None)
        self.refused("BackupService.6200", 404, lambda: self.show(self.friend, backup))
        self.assertEqual(self.status_of(made), "available", "what was made of it stays (SHR-11)")

    # --- pieces

    def create_vault(self, client, name):
        billing = cbr.BillingCreate(
            object_type="disk",
            protect_type="backup",
            consistent_level="crash_consistent",
            charging_mode="post_paid",
            cloud_type="public",
            size=100,
        )
        body = cbr.VaultCreateReq(cbr.VaultCreate(name=name, billing=billing, resources=[]))
        return client.create_vault(cbr.CreateVaultRequest(body=body)).vault.id

    def bind(self, vault, disk):
        resource = cbr.ResourceCreate(id=disk.id, type=disk.type, name=disk.name)
        body = cbr.VaultAddResourceReq(resources=[resource])
        self.owner.add_vault_resource(cbr.AddVaultResourceRequest(vault_id=vault, body=body))

    def back_up(self, vault, name):
        parameters = cbr.CheckpointParam(name=name)
        body = cbr.VaultBackupReq(cbr.VaultBackup(vault_id=vault, parameters=parameters))
        request = cbr.CreateCheckpointRequest(body=body)
        point = self.owner.create_checkpoint(request).checkpoint

        def look():
            request = cbr.ListBackupsRequest(checkpoint_id=point.id)
            found = self.owner.list_backups(request).backups
            return found[0] if found and found[0].status != "protecting" else None

        backup = self.poll(look)
        self.assertEqual(backup.status, "available", self.service.tail())
        metadata = self.owner.show_metadata(cbr.ShowMetadataRequest(backup_id=backup.id))
        [volume] = metadata.volumes
        self.assertEqual(json.loads(volume)["id"], backup.resource_id)
        return backup

    def share(self, backup, project, client=None):
        body = cbr.AddMembersReq(members=[project])
        request = cbr.AddMemberRequest(backup_id=backup.id, body=body)
        time.sleep(1)  # A signature is good once (P27) and says the second.
        return (client or self.owner).add_member(request)

    def member(self, client, backup):
        request = cbr.ShowMemberDetailRequest(backup_id=backup.id, member_id=self.friends)
        return client.show_member_detail(request).member

    def decide(self, backup, status, vault):
        body = cbr.UpdateMember(status=status, vault_id=vault)
        request = cbr.UpdateMemberStatusRequest(
            backup_id=backup.id, member_id=self.friends, body=body
        )
        return self.friend.update_member_status(request)

    def shared(self, status):
        request = cbr.ListBackupsRequest(own_type="shared", member_status=status)
        return self.friend.list_backups(request).backups

    def show(self, client, backup):
        return client.show_backup(cbr.ShowBackupRequest(backup_id=backup.id)).backup

    def protectables(self, client):
        request = cbr.ListProtectableRequest(protectable_type="disk")
        return client.list_protectable(request).instances

    def status_of(self, disk):
        for found in self.protectables(self.friend):
            if found.id == disk:
                return found.status
        return None

    def create_disk(self, backup):
        """Of the disk service, which the SDK of this service does not have: by its command line."""
        arguments = ("volume", "create", "copy", "--from-backup", backup.id)
        done = self.call_cbr(self.friends, *arguments, check=False)
        return json.loads(done.stdout) if done.returncode == 0 else {}

    def run_cbr(self, project, *arguments):
        return json.loads(self.call_cbr(project, *arguments).stdout or "null")

    def call_cbr(self, project, *arguments, check=True):
        facts = self.service.bootstrap
        for name, value in (
            ("CBR_URL", self.service.url),
            ("CBR_ACCESS_KEY", facts["access_key"]),
            ("CBR_SECRET_KEY", facts["secret_key"]),
            ("CBR_PROJECT_ID", project),
        ):
            os.environ[name] = value
            self.addCleanup(os.environ.pop, name, None)
        return self.service.run(*arguments, "-o", "json", check=check)

    def refused(self, code, status, call):
        with self.assertRaises(ClientRequestException) as caught:
            call()
        error = caught.exception
        self.assertEqual((error.error_code, error.status_code), (code, status), error.error_msg)

    def poll(self, look):
        deadline = time.monotonic() + POLL_SECONDS_MAX
        while (seen := look()) is None:
            self.assertLess(time.monotonic(), deadline, f"it never ends\n{self.service.tail()}")
            time.sleep(0.1)
        return seen


class OnSqlite(Sharing, unittest.TestCase):
    """On the embedded default; what does not depend on the database only here."""

    def test_the_same_by_the_command_line(self):
        """`cbr backup share | offers | accept | members | reject | unshare`."""
        vault = self.create_vault(self.owner, "cli-owners")
        other = self.service.pool / "other.raw"
        disks.make(other, DISK_MIB, self.rng)
        found = lambda: [it for it in self.protectables(self.owner) if it.name == "other.raw"] or None
        [disk] = self.poll(found)
        self.bind(vault, disk)
        backup = self.back_up(vault, "by-hand")
        self.create_vault(self.friend, "cli-inbox")
        [member] = self.run_cbr(self.project, "backup", "share", "by-hand", "--with", self.friends)
        self.assertEqual(member["status"], "pending")
        [offer] = self.run_cbr(self.friends, "backup", "offers", "--status", "pending")
        self.assertEqual(offer["id"], backup.id)
        taken = self.run_cbr(self.friends, "backup", "accept", "by-hand", "--vault", "cli-inbox")
        self.assertEqual(taken["status"], "accepted")
        [member] = self.run_cbr(self.project, "backup", "members", "by-hand")
        self.assertEqual(member["vault_id"], taken["vault_id"])
        self.assertEqual(self.run_cbr(self.friends, "backup", "reject", "by-hand")["status"], "rejected")
        self.run_cbr(self.project, "backup", "unshare", "by-hand", "--with", self.friends, "--yes")
        self.assertEqual(self.run_cbr(self.friends, "backup", "offers"), [])
        self.assertEqual(self.run_cbr(self.project, "agent", "list"), [])

    def test_what_else_belongs_to_backups(self):
        """Contract C34, C55 to C63, C68 to C74, C25, C32: as the SDK reads them."""
        key = "replication.enable"
        features = self.owner.list_features(cbr.ListFeaturesRequest())
        self.assertIs(features.body[key], False)
        one = self.owner.show_feature(cbr.ShowFeatureRequest(feature_key=key))
        self.assertEqual(one.body, {key: False})
        with self.assertRaises(ClientRequestException) as caught:
            self.owner.show_feature(cbr.ShowFeatureRequest(feature_key="magic"))
        self.assertEqual(caught.exception.status_code, 400)
        [region] = self.owner.show_replication_capabilities(
            cbr.ShowReplicationCapabilitiesRequest()
        ).regions
        self.assertEqual(region.replication_destinations, [])
        projects = self.owner.list_projects(cbr.ListProjectsRequest()).projects
        self.assertEqual({it.id for it in projects}, {self.project, self.friends})
        domain = self.owner.show_domain(cbr.ShowDomainRequest(source_project_id=self.friends))
        self.assertEqual(domain.project_name, "second")
        named = self.owner.list_domain_projects(
            cbr.ListDomainProjectsRequest(domain_name=domain.domain_name)
        ).projects
        self.assertEqual({it.project_id for it in named}, {self.project, self.friends})
        migrated = lambda: self.owner.show_migrate_status(cbr.ShowMigrateStatusRequest())
        self.refused("BackupService.4001", 404, migrated)
        ask = cbr.DomainMigrate(all_regions=True, reservation=0.2)
        regions = self.owner.migrate_domain(cbr.MigrateDomainRequest(body=ask)).body
        self.assertEqual(set(regions.values()), {"running"})
        over = migrated()
        self.assertEqual(over.status, "success")
        states = {it.project_id: (it.status, it.progress) for it in over.project_status}
        self.assertEqual(states, {self.project: ("success", 100), self.friends: ("success", 100)})
        self.agents()

    def agents(self):
        agent = str(uuid.UUID(int=self.rng.getrandbits(128)))
        register = cbr.AgentRegister(
            agent_id=agent,
            agent_type="native",
            agent_version="1.2.3",
            host_ip="192.0.2.7",
            host_name="host",
            host_os="Linux",
        )
        request = cbr.RegisterAgentRequest(body=cbr.AgentRegisterReq(register))
        self.refused("BackupService.7403", 400, lambda: self.owner.register_agent(request))
        billing = cbr.BillingCreate(
            object_type="file",
            protect_type="backup",
            consistent_level="crash_consistent",
            size=1024,
        )
        vault = cbr.VaultCreate(name="sdk-files", billing=billing, resources=[])
        self.owner.create_vault(cbr.CreateVaultRequest(body=cbr.VaultCreateReq(vault)))
        # The same request in the same second has the same signature, and is taken for a replay.
        register.agent_version = "1.2.4"
        self.assertEqual(self.owner.register_agent(request).agent.status, "normal")
        paths = cbr.AgentAddPathReq(add_path=["/data", "/etc"])
        added = self.owner.add_agent_path(cbr.AddAgentPathRequest(agent_id=agent, body=paths))
        self.assertEqual((added.added, added.existed), (["/data", "/etc"], []))
        gone = cbr.AgentRemovePathReq(remove_path=["/etc"])
        removed = self.owner.remove_agent_path(
            cbr.RemoveAgentPathRequest(agent_id=agent, body=gone)
        )
        self.assertEqual((removed.removed, removed.not_existed), (["/etc"], []))
        listed = self.owner.list_agent(cbr.ListAgentRequest(agent_id=[agent, ABSENT], limit="10"))
        [known] = listed.agents
        self.assertEqual([it.dir_path for it in known.paths], ["/data"])
        self.owner.unregister_agent(cbr.UnregisterAgentRequest(agent_id=agent))
        show = lambda: self.owner.show_agent(cbr.ShowAgentRequest(agent_id=agent))
        self.refused("BackupService.7410", 404, show)


@unittest.skipUnless(postgres.programs(), "skipped: PostgreSQL is not installed (apt: postgresql)")
class OnPostgres(Sharing, unittest.TestCase):
    """On a PostgreSQL cluster of its own."""

    @classmethod
    def setUpClass(cls):
        cluster = postgres.Postgres().start()
        cls.addClassCleanup(cluster.stop)
        cls.database_url = cluster.create_database("sdk_backups")
        super().setUpClass()


if __name__ == "__main__":
    unittest.main()
