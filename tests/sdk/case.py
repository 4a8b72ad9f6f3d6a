"""What flows of the official Python SDK have in common: the real binary, a client, and the usual steps."""

import pathlib
import random
import shutil
import tempfile
import time

from huaweicloudsdkcbr import v1 as cbr
from huaweicloudsdkcore.auth.credentials import BasicCredentials
from huaweicloudsdkcore.exceptions.exceptions import ClientRequestException

from tests.harness import disks
from tests.harness.service import Service

SEED = 20_240_805
DISK_MIB = 48
POLL_SECONDS_MAX = 120
ABSENT = "00000000-0000-4000-8000-000000000000"


class Case:
    """A service with some disks; a subclass says which, and on which database."""

    database_url = None
    disk_names = ()

    @classmethod
    def setUpClass(cls):
        cls.rng = random.Random(SEED)
        cls.folder = pathlib.Path(tempfile.mkdtemp(prefix="cbr-sdk-"))
        cls.service = Service(cls.folder, cls.database_url, cls.configuration())
        cls.addClassCleanup(shutil.rmtree, cls.folder)
        cls.addClassCleanup(cls.service.end)
        for name in cls.disk_names:
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
    def configuration(cls):
        """What is added to the service's configuration."""
        return ""

    @classmethod
    def client_of(cls, access_key, secret_key):
        credentials = BasicCredentials(access_key, secret_key, cls.service.bootstrap["project_id"])
        builder = cbr.CbrClient.new_builder().with_credentials(credentials)
        return builder.with_endpoint(cls.service.url).build()

    # --- pieces

    def create_vault(self, name, size=100, kind="disk", level="crash_consistent"):
        billing = cbr.BillingCreate(
            object_type=kind,
            protect_type="backup",
            consistent_level=level,
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
        self.wait_for_log(cbr.ListOpLogsRequest(operation_type="backup", vault_id=vault, limit=1))
        return backup

    def restore(self, backup, disk):
        # A signature is good once (P27), and says the second: the same request a moment later is a replay.
        time.sleep(1)
        body = cbr.BackupRestoreReq(cbr.BackupRestore(volume_id=disk))
        self.client.restore_backup(cbr.RestoreBackupRequest(backup_id=backup, body=body))
        self.wait_for_log(cbr.ListOpLogsRequest(operation_type="restore", limit=1))

    def wait_for_log(self, request):
        """Until the newest task that is asked for has ended: what it made can be seen a moment earlier."""

        def look():
            [log] = self.client.list_op_logs(request).operation_logs
            return log if log.status not in ("running", "waiting") else None

        self.assertEqual(self.poll(look).status, "success", self.service.tail())

    def show_vault(self, vault):
        return self.client.show_vault(cbr.ShowVaultRequest(vault_id=vault)).vault

    def show_backup(self, backup):
        return self.client.show_backup(cbr.ShowBackupRequest(backup_id=backup)).backup

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
