"""Deleting into the trash: taking back, giving up, a lost database, a crash in the middle.

    python3 -m unittest tests.e2e.test_trash
"""

import json
import random
import time
import unittest

from tests.harness import disks
from tests.harness.service import be_client
from tests.harness.world import World


class Trash(unittest.TestCase):
    def setUp(self):
        self.rng = random.Random(21)
        more = "[repository]\nundo_days = 3\n"
        self.world = World(self.rng, size_mib=16, more=more)
        self.addCleanup(self.world.end)
        self.api = self.world.api
        self.first = self.world.back_up("one")
        disks.scribble(self.world.disk, self.rng)
        self.second = self.world.back_up("two")

    def cbr(self, *arguments, check=True):
        be_client(self, self.world.service)
        return self.world.service.run(*arguments, check=check)

    def json(self, *arguments):
        return json.loads(self.cbr(*arguments, "-o", "json").stdout)

    def delete_all(self):
        told = self.cbr("backup", "delete", "--dry-run", "one", "two").stdout
        self.assertIn("after 3 days", told)
        packs = set(self.world.packs())
        told = self.cbr("backup", "delete", "--yes", "one", "two").stdout
        self.assertIn("for 3 days `cbr backup undelete`", told)
        self.assertEqual(self.api.backups(), [])
        [vault] = self.api.request("GET", "/v3/{project}/vaults")["vaults"]
        self.assertEqual(vault["billing"]["used"], 0)
        self.assertEqual(set(self.world.packs()), packs, "what can be taken back stays")

    def test_what_was_deleted_is_taken_back_bit_by_bit(self):
        """P1, P7, VLT-85, BAK-71; the lists before and after are the same."""
        before = self.facts()
        self.delete_all()
        listed = self.json("backup", "list", "--deleted")
        self.assertEqual({one["backup"]["id"] for one in listed}, set(self.world.committed))
        gone = self.cbr("backup", "show", "one", check=False)
        self.assertNotEqual(gone.returncode, 0)
        kept = self.json("repo", "gc", "--dry-run", *self.world.service.place())
        self.assertEqual(kept["trash"]["versions"], 2)
        self.assertGreater(kept["trash"]["bytes"], 0)
        self.assertEqual(kept["steps"], [])
        self.cbr("backup", "undelete", "one", self.second["id"])
        self.assertEqual(self.facts(), before)
        self.assertEqual(self.api.trash(), [])
        for backup in self.world.committed:
            self.world.check_restores(backup)
        # Life goes on, and the next backup builds on them.
        disks.scribble(self.world.disk, self.rng)
        self.assertTrue(self.world.back_up("three")["incremental"])
        self.follow_the_last_task()
        self.world.service.stop()
        self.world.check_repository()

    def follow_the_last_task(self):
        """TSK-05: `cbr task watch` listens, and programmes get every state as a line."""
        point = self.api.back_up(self.world.vault, "four")["id"]
        listed = self.api.request("GET", f"/v3/{{project}}/operation-logs?checkpoint_id={point}")
        [task] = [log["id"] for log in listed["operation_logs"]]
        lines = self.cbr("task", "watch", task, "-o", "json").stdout.splitlines()
        states = [json.loads(line) for line in lines]
        self.assertEqual({state["id"] for state in states}, {task})
        self.assertEqual(states[-1]["status"], "success")
        self.assertIn("/x/operation-logs/events", self.world.service.tail())

    def test_backups_of_a_vault_that_is_gone_go_into_another(self):
        """VLT-85, P1: and whoever does not say into which is told how."""
        told = self.cbr("vault", "delete", "--yes", self.world.vault).stdout
        self.assertIn("for 3 days `cbr backup undelete`", told)
        refused = self.cbr("backup", "undelete", "two", check=False)
        self.assertNotEqual(refused.returncode, 0)
        self.assertIn("say which with --vault", refused.stderr)
        self.cbr("vault", "create", "other", "--type", "disk", "--size", "10")
        self.cbr("backup", "undelete", "two", "--vault", "other")
        self.assertEqual([one["id"] for one in self.api.backups()], [self.second["id"]])
        self.world.check_restores(self.second["id"])
        empty = self.cbr("vault", "create", "empty", "--type", "disk", "--size", "10", "-o", "json").stdout
        told = self.cbr("vault", "delete", "--yes", json.loads(empty)["id"]).stdout
        self.assertNotIn("undelete", told, "it held nothing")

    def test_what_is_purged_frees_its_space(self):
        """P3, I5: and what is left of the other is whole."""
        self.cbr("backup", "delete", "--yes", "one")
        place = self.world.service.place()
        foreseen = self.json("repo", "gc", "--dry-run", *place)["trash"]["bytes"]
        before = sum(pack.stat().st_size for pack in self.world.packs())
        self.cbr("backup", "purge", "--yes", "one")
        freed = before - sum(pack.stat().st_size for pack in self.world.packs())
        self.assertGreater(foreseen, 0)
        # Packs that are mostly alive are not rewritten for a few dead blocks.
        self.assertLessEqual(freed, foreseen * 1.1 + 65536)
        late = self.cbr("backup", "undelete", "one", check=False)
        self.assertNotEqual(late.returncode, 0)
        self.assertIn("backup list --deleted", late.stderr)
        del self.world.committed[self.first["id"]]
        self.world.check_restores(self.second["id"])
        self.cbr("backup", "delete", "--yes", "two")
        self.cbr("backup", "purge", "--yes", self.second["id"])
        self.assertEqual(self.world.packs(), [], "nothing is left")

    def test_a_lost_database_does_not_bring_it_back_and_knows_it(self):
        """P8."""
        self.cbr("backup", "delete", "--yes", "one")
        service = self.world.service
        service.stop()
        for path in [path for path in service.data.iterdir() if ".db" in path.name]:
            path.unlink()
        rebuilt = json.loads(service.run("repo", "rebuild", "-o", "json", *service.place()).stdout)
        self.assertEqual((rebuilt["backups"], rebuilt["trashed"]), (1, 1))
        service.start()
        self.api.token = None
        self.assertEqual([one["id"] for one in self.api.backups()], [self.second["id"]])
        self.assertEqual([one["backup"]["id"] for one in self.api.trash()], [self.first["id"]])
        self.cbr("backup", "undelete", self.first["id"])
        for backup in self.world.committed:
            self.world.check_restores(backup)

    def test_a_killed_service_finishes_a_deletion_and_takes_back_all_the_same(self):
        """P2, P14."""
        for moment in (0.0, 0.02, 0.05, 0.1):
            self.api.delete_backup(self.first["id"])
            self.kill_after(moment)
            self.api.wait_for_all()
            self.assertEqual([one["backup"]["id"] for one in self.api.trash()], [self.first["id"]])
            path = f"/v3/{{project}}/x/trash/{self.first['id']}/undelete"
            self.api.request("POST", path, {})
            self.kill_after(moment)
            self.api.wait_for_all()
            self.assertEqual(self.api.trash(), [])
            self.world.check_listed()
        for backup in self.world.committed:
            self.world.check_restores(backup)

    def kill_after(self, seconds):
        time.sleep(seconds)
        self.world.service.kill()
        self.world.service.start()

    def facts(self):
        """What a user sees of the backups."""
        backups = sorted(self.api.backups(limit=1000), key=lambda backup: backup["id"])
        keys = ("id", "name", "status", "vault_id", "resource_id", "checkpoint_id", "created_at")
        return [[backup[key] for key in (*keys, "expired_at", "incremental")] for backup in backups]


if __name__ == "__main__":
    unittest.main()
