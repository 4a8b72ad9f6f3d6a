"""What an operator relies on: `cbr doctor`, one process per data directory, a clean stop.

    python3 -m unittest tests.e2e.test_operator
"""

import json
import os
import random
import unittest

from tests.harness import disks
from tests.harness.service import Service
from tests.harness.world import World


class Operator(unittest.TestCase):
    def setUp(self):
        self.world = World(random.Random(1), size_mib=8)
        self.addCleanup(self.world.end)
        self.service = self.world.service

    def doctor(self):
        return self.service.run("doctor", *self.service.place(), check=False)

    def test_the_doctor_finds_a_sound_installation_sound(self):
        """Beside the running service, and with the service stopped."""
        self.world.back_up("one")
        self.assertEqual(self.doctor().returncode, 0)
        self.service.stop()
        stopped = self.doctor()
        self.assertEqual(stopped.returncode, 0, stopped.stdout)
        self.assertIn("all agree with the database", stopped.stdout)

    def test_a_repository_that_is_not_mounted_is_not_made_anew(self):
        """P1, P10: another one would give its versions the names of those that are there already."""
        first = self.world.back_up("one")
        self.service.stop()
        repository, away = self.world.repository, self.world.folder / "away"
        repository.rename(away)
        repository.mkdir()
        with self.assertRaisesRegex(AssertionError, "ended with 4:(.|\n)*is its file system mounted"):
            self.service.start()
        self.assertEqual(list(repository.iterdir()), [], "nothing is made at the mount point")
        refused = self.service.run("repo", "accept", "--new", *self.service.place(), check=False)
        self.assertEqual(refused.returncode, 4, refused.stderr)
        self.assertIn("1 of the 1 disks", refused.stderr)
        repository.rmdir()
        away.rename(repository)
        self.service.start()
        self.world.check_restores(first["id"])
        # Lost for good, as who says how many are.
        self.service.stop()
        repository.rename(away)
        accept = ("repo", "accept", "--new", *self.service.place())
        self.assertEqual(self.service.run(*accept, "--lost", "2", check=False).returncode, 4)
        self.service.run(*accept, "--lost", "1")
        self.service.start()
        self.world.api.token = None
        second = self.world.back_up("two")
        self.world.check_restores(second["id"])
        log = self.world.api.wait_for(self.world.api.restore(first["id"], self.world.volume))
        self.assertEqual(log["status"], "failed", "nothing is taken for it")

    def test_the_doctor_names_what_is_wrong(self):
        """P32: a key that others can read is refused, by the doctor and by the service."""
        self.service.stop()
        key = self.service.data / "master.key"
        os.chmod(key, 0o644)
        found = self.doctor()
        self.assertNotEqual(found.returncode, 0)
        self.assertIn(str(key), found.stdout)
        with self.assertRaisesRegex(AssertionError, "cbr serve ended"):
            self.service.start()

    def test_what_nobody_needs_is_shown_and_then_removed_beside_the_service(self):
        """P10, I6: packs of a deleted backup that are there again, as after a crash in its deletion."""
        first = self.world.back_up("one")
        disks.scribble(self.world.disk, random.Random(2))
        second = self.world.back_up("two")
        before = {pack: pack.read_bytes() for pack in self.world.packs()}
        self.world.api.delete_backup(first["id"])
        self.world.api.wait_for_all()
        gone = [pack for pack in before if not pack.exists()]
        self.assertTrue(gone)
        rewritten = set(self.world.packs()) - set(before)
        for pack in gone:
            pack.write_bytes(before[pack])
        place = self.service.place()
        self.service.run("repo", "audit", *place)
        told = json.loads(self.service.run("repo", "gc", "--dry-run", "-o", "json", *place).stdout)
        self.assertTrue(told["steps"], told)
        self.assertTrue(all(pack.exists() for pack in gone), "a dry run removes nothing")
        removed = self.service.run("repo", "gc", *place, "--lang", "zh-CN").stdout
        self.assertIn("已删除", removed)
        self.assertEqual([pack for pack in gone if pack.exists()], [])
        self.assertTrue(all(pack.exists() for pack in rewritten))
        again = json.loads(self.service.run("repo", "gc", "-o", "json", *place).stdout)
        self.assertEqual((again["steps"], again["removed_bytes"]), ([], 0))
        del self.world.committed[first["id"]]
        self.world.check_restores(second["id"])
        self.service.stop()
        self.world.check_repository()

    def test_a_second_process_is_kept_out_of_the_data_directory(self):
        """P14: two services on one data directory would both run its tasks."""
        second = Service(self.world.folder)
        self.addCleanup(second.end)
        with self.assertRaisesRegex(AssertionError, "another cbr process"):
            second.start()
        self.assertTrue(self.service.is_healthy())

    def test_a_stopped_service_goes_on_where_it_was(self):
        """P2: a clean stop in the middle of a backup; the next start finishes it."""
        point = self.world.api.back_up(self.world.vault, "stopped")
        self.service.stop()
        self.service.start()
        self.world.api.wait_for_all()
        [backup] = self.world.api.backups(checkpoint_id=point["id"])
        self.assertEqual(backup["status"], "available")

    def test_secrets_are_in_no_log(self):
        """P32: neither password nor secret key nor token is written to the log."""
        self.world.back_up("one")
        self.service.stop()
        facts = self.service.bootstrap
        log = self.service.log.read_text()
        self.assertIn("ready", log)
        for secret in (facts["password"], facts["secret_key"], self.world.api.token):
            self.assertNotIn(secret, log)
        self.assertEqual(self.service.bootstrap_file.stat().st_mode & 0o777, 0o600)


if __name__ == "__main__":
    unittest.main()
