"""The OpenStack client with the extensions of its cloud: one life of a vault by its commands alone.

    target/venv/bin/python -m unittest tests.sdk.test_openstack
"""

import json
import os
import pathlib
import subprocess
import unittest

from tests.harness import disks, postgres
from tests.sdk.case import ABSENT, Case

ROOT = pathlib.Path(__file__).resolve().parents[2]
PYTHON = ROOT / "target" / "venv-openstack" / "bin" / "python"
WEEKLY = "FREQ=WEEKLY;BYDAY=MO;BYHOUR=14;BYMINUTE=00"


class OpenStackCase(Case):
    """Contract E.2. Starting the client takes seconds, so one process runs all commands."""

    disk_names = ("one",)

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        facts = cls.service.bootstrap
        # Nothing of the machine's own configuration of clouds.
        environment = {name: value for name, value in os.environ.items() if not name.startswith("OS_")}
        environment.update(
            HOME=str(cls.folder),
            OS_AUTH_URL=f"{cls.service.url}/v3",
            OS_IDENTITY_API_VERSION="3",
            OS_USERNAME=facts["user_name"],
            OS_PASSWORD=facts["password"],
            OS_USER_DOMAIN_NAME=facts["domain_name"],
            OS_PROJECT_NAME=facts["project_name"],
            OS_PROJECT_DOMAIN_NAME=facts["domain_name"],
        )
        cls.shell = subprocess.Popen(
            [PYTHON, ROOT / "tests" / "harness" / "openstack_shell.py"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment, cwd=cls.folder,
        )
        cls.addClassCleanup(cls.shell.wait)
        cls.addClassCleanup(cls.shell.kill)

    def test_a_vault_from_beginning_to_end(self):
        """VLT, POL, BAK, RST, TAG as contract E.2 says what each command sends and needs."""
        policy = self.json("policy create daily --max-backups 5 --pattern", WEEKLY)
        self.assertEqual((policy["retention_duration_days"], policy["enabled"]), (-1, True))
        self.assertEqual([found["name"] for found in self.json("policy list")], ["daily"])
        made = self.json(
            "vault create osc --consistent-level crash_consistent --object-type disk --size 100 --tag env=lab"
        )
        self.assertEqual((made["status"], made["size"]), ("available", 100))
        self.assertIn("env", made["tags"])
        vault, disk = made["ID"], self.disks["one"].id
        bound = self.json(f"vault associate osc --resource id={disk},type=OS::Cinder::Volume")
        self.assertEqual(bound["resource_1"], disk)
        bound = self.json(f"vault bind osc {policy['ID']}")
        self.assertEqual((bound["vault_id"], bound["policy_id"]), (vault, policy["ID"]))
        changed = self.json("vault update osc --name osc2 --size 120")
        self.assertEqual((changed["name"], changed["size"]), ("osc2", 120))
        self.assertEqual(self.json("vault show osc2")["resource_id_1"], disk, "by its name")
        # Pages follow each other until one is empty (E.5 number 1).
        self.json("vault create second --consistent-level crash_consistent --object-type disk --size 10")
        listed = [found["name"] for found in self.json("vault list --limit 1")]
        self.assertEqual(sorted(listed), ["osc2", "second"])

        path = self.service.pool / "one.raw"
        sha = disks.sha256(path)
        point = self.json(f"checkpoint create --vault-id {vault} --backup-name cli")
        self.assertEqual((point["vault_id"], point["backup_name"], point["resource_1"]), (vault, "cli", disk))
        self.poll(lambda: True if self.json(f"checkpoint show {point['id']}")["status"] == "available" else None)
        [backup] = self.json(f"backup list --vault-id {vault}")
        self.assertEqual((backup["name"], backup["status"]), ("cli", "available"))
        self.assertEqual(self.json("backup show cli")["id"], backup["id"], "by its name")
        disks.destroy(path)
        self.run_command(f"backup restore {backup['id']} --volume-id {disk}")

        def restored():
            [newest, *_] = self.json("task list")
            shown = self.json(f"task show {newest['id']}")
            return shown if shown["ended_at"] else None

        task = self.poll(restored)
        self.assertEqual((task["operation_type"], task["error_code"]), ("restore", ""))
        self.assertEqual(disks.sha256(path), sha)

        self.run_command(f"vault unbind osc2 {policy['ID']}")
        self.run_command(f"backup delete {backup['id']}")
        self.poll(lambda: True if not self.json(f"backup list --vault-id {vault}") else None)
        self.run_command(f"vault dissociate osc2 --resource {disk}")
        self.poll(lambda: True if "resource_id_1" not in self.json("vault show osc2") else None)
        self.run_command("vault delete osc2")
        self.poll(lambda: True if len(self.json("vault list")) == 1 else None)

    def test_refusals_are_told_with_their_codes(self):
        """Contract E.2: what is absent is not found, and what is wrong is printed with its code."""
        for command, told in (
            (f"vault show {ABSENT}", "No Vault found"),
            (f"backup show {ABSENT}", "No Backup found"),
            (f"checkpoint create --vault-id {ABSENT}", "BackupService.6105"),
            ("vault create bad --consistent-level crash_consistent --object-type disk --size 0", "BackupService.6101"),
        ):
            ended = self.ended(command)
            self.assertNotEqual(ended["code"], 0, command)
            self.assertIn(told, ended["err"], command)

    # --- pieces

    def json(self, command, *more):
        """What a command prints as JSON."""
        return json.loads(self.run_command(f"{command}", *more, "-f", "json"))

    def run_command(self, command, *more):
        ended = self.ended(command, *more)
        self.assertEqual(ended["code"], 0, f"{command}: {ended['err']}\n{self.service.tail()}")
        return ended["out"]

    def ended(self, command, *more):
        print(json.dumps(["cbr", *command.split(), *more]), file=self.shell.stdin, flush=True)
        return json.loads(self.shell.stdout.readline())


@unittest.skipUnless(PYTHON.exists(), "skipped: the OpenStack client is not installed (scripts/test does it)")
class OnSqlite(OpenStackCase, unittest.TestCase):
    """On the embedded database."""


@unittest.skipUnless(PYTHON.exists(), "skipped: the OpenStack client is not installed (scripts/test does it)")
@unittest.skipUnless(postgres.programs(), "skipped: PostgreSQL is not installed (apt: postgresql)")
class OnPostgres(OpenStackCase, unittest.TestCase):
    """On a PostgreSQL cluster of its own."""

    @classmethod
    def setUpClass(cls):
        cluster = postgres.Postgres().start()
        cls.addClassCleanup(cluster.stop)
        cls.database_url = cluster.create_database("sdk_openstack")
        super().setUpClass()


if __name__ == "__main__":
    unittest.main()
