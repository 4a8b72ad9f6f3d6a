"""Backups in a bucket: the real binary on an S3 server of others (moto).

    python3 -m unittest tests.e2e.test_bucket
"""

import contextlib
import json
import random
import sqlite3
import unittest

from tests.harness import disks, objects
from tests.harness.world import World


@unittest.skipUnless(objects.is_installed(), "skipped: moto is not installed (./scripts/test does)")
class InABucket(unittest.TestCase):
    def setUp(self):
        self.rng = random.Random(33)
        self.objects = objects.Objects()
        self.addCleanup(self.objects.stop)
        self.world = World(self.rng, size_mib=24, more=self.objects.configuration())
        self.addCleanup(self.world.end)

    def test_backups_increments_restores_and_deletions(self):
        """P1, P21: as in a directory, and the data directory holds no backup."""
        world = self.world
        for number in range(3):
            disks.scribble(world.disk, self.rng)
            self.assertEqual(world.back_up(f"backup-{number}")["incremental"], number > 0)
        self.assertFalse(world.repository.exists(), "a repository beside the bucket")
        self.assertIn("store.v1", self.objects.keys())
        self.assertEqual(self.objects.uploads(), [], "an upload in parts was left behind")
        for backup in world.committed:
            world.check_restores(backup)

        first = next(iter(world.committed))
        before = set(self.objects.keys())
        world.api.delete_backup(first)
        world.api.wait_for_all()
        del world.committed[first]
        self.assertTrue(before - set(self.objects.keys()), "deleting removed no object")
        for backup in world.committed:
            world.check_restores(backup)
        world.service.stop()
        world.check_repository()
        self.assertFalse([key for key in self.objects.keys() if key.startswith("probe/")])

    def test_the_database_is_lost_and_rebuilt_from_the_bucket(self):
        """P8: bucket and master key are enough, with a data directory and without one."""
        world = self.world
        world.back_up("before")
        [backup] = world.committed
        world.service.stop()
        world.lose_database()
        target = world.folder / "restored.raw"
        key = ["--key", str(world.service.data / "master.key")]
        place = [*key, "--config", str(world.service.config)]
        self.assertIn(backup, world.service.run("repo", "ls", *place).stdout)
        world.service.run("repo", "restore", backup, "--to", str(target), *place)
        self.assertEqual(disks.sha256(target), world.committed[backup])

        world.service.run("repo", "rebuild", *world.service.place())
        world.service.start()
        world.api.token = None
        world.check_listed()
        world.check_restores(backup)
        disks.scribble(world.disk, self.rng)
        self.assertTrue(world.back_up("after")["incremental"])

    def test_a_lost_key_is_not_replaced_by_one_that_opens_nothing(self):
        """P8: as beside a directory."""
        world = self.world
        world.back_up("sealed")
        world.service.stop()
        key = world.service.data / "master.key"
        key.rename(world.folder / "key.elsewhere")
        done = world.service.run("repo", "rebuild", *world.service.place(), check=False)
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("put the key back", done.stderr)
        self.assertFalse(key.exists())

    def test_the_doctor_shows_what_the_store_promises(self):
        """P21, P32: probes, mode and no secret; the log has none either."""
        world = self.world
        doctor = ["--output", "json", "doctor", *world.service.place()]
        findings = json.loads(world.service.run(*doctor).stdout)
        by_subject = {finding["subject"]: finding for finding in findings}
        self.assertEqual(by_subject["promises"]["health"], "good", by_subject["promises"])
        self.assertIn("of racing creators one wins", by_subject["promises"]["message"])
        self.assertEqual(by_subject["object store"]["health"], "good", by_subject["object store"])
        self.assertNotIn("space for backups", by_subject)
        said = json.dumps(findings) + world.service.log.read_text()
        self.assertNotIn(objects.SECRET, said)

    def test_the_operator_asks_the_store_what_it_does(self):
        """P21: each question with its weight, the answer then and the answer now."""
        probe = ["--output", "json", "repo", "probe", *self.world.service.place()]
        told = json.loads(self.world.service.run(*probe).stdout)
        self.assertEqual((told["database_decides"], told["broken"]), (False, []))
        by_question = {answer["question"]: answer for answer in told["answers"]}
        self.assertEqual(
            by_question["of racing creators one wins"],
            {
                "question": "of racing creators one wins",
                "weight": "database_can_decide",
                "when_made": True,
                "now": True,
            },
        )
        self.assertEqual(by_question["object lock is on"]["now"], False)
        self.assertTrue(by_question["what is deleted leaves no old version"]["now"])
        self.assertFalse([key for key in self.objects.keys() if key.startswith("probe/")])
        self.assertIn("required", self.world.service.run(*probe[2:]).stdout)

    def test_a_store_that_does_not_answer_for_a_while_loses_nothing(self):
        """P21: what was begun meanwhile ends, and what it says it is, it is."""
        world = self.world
        world.back_up("before")
        disks.scribble(world.disk, self.rng)
        sha = disks.sha256(world.disk)
        self.objects.pause()
        try:
            point = world.api.back_up(world.vault, "meanwhile")
            self.assertTrue(world.service.is_healthy())
            world.check_listed()
        finally:
            self.objects.go_on()
        world.api.wait_for_all()
        for backup in world.api.backups(checkpoint_id=point["id"]):
            self.assertIn(backup["status"], ("available", "error"))
            if backup["status"] == "available":
                world.committed[backup["id"]] = sha
        for backup in world.committed:
            world.check_restores(backup)


@unittest.skipUnless(objects.is_installed(), "skipped: moto is not installed (./scripts/test does)")
class InABucketThatBeginsToOverwrite(unittest.TestCase):
    def test_it_is_noticed_and_provided_for(self):
        """P1, P21: asked, said, not written to without the database, and with it as before."""
        store = objects.Objects()
        self.addCleanup(store.stop)
        proxy = objects.Overwriting(store.url, begins=False)
        self.addCleanup(proxy.server_close)
        self.addCleanup(proxy.shutdown)
        rng = random.Random(37)
        world = World(rng, size_mib=16, more=store.configuration(proxy.url))
        self.addCleanup(world.end)
        service = world.service
        world.back_up("before")
        service.stop()
        self.assertEqual(proxy.taken_away, 0)
        proxy.begins = True

        done = service.run("repo", "probe", *service.place(), check=False)
        self.assertEqual(done.returncode, 1, done.stderr)
        self.assertIn("an object is never overwritten", done.stderr)
        done = service.run("--output", "json", "doctor", *service.place(), check=False)
        by_subject = {finding["subject"]: finding for finding in json.loads(done.stdout)}
        self.assertEqual(by_subject["object store"]["health"], "bad")
        alone = ("--key", str(service.data / "master.key"), "--config", str(service.config))
        done = service.run("repo", "gc", *alone, check=False)
        self.assertEqual(done.returncode, 2, done.stderr)
        self.assertIn("the database decides", done.stderr)
        [backup] = world.committed
        self.assertIn(backup, service.run("repo", "ls", *alone).stdout)

        service.start()
        world.api.token = None
        self.assertIn("the object store overwrites", service.log.read_text())
        disks.scribble(world.disk, rng)
        self.assertTrue(world.back_up("after")["incremental"])
        for backup in world.committed:
            world.check_restores(backup)
        service.stop()
        service.run("repo", "gc", *service.place())
        world.check_repository()


@unittest.skipUnless(objects.is_installed(), "skipped: moto is not installed (./scripts/test does)")
class InABucketThatOverwrites(unittest.TestCase):
    """The store ignores conditions: the database decides (docs/adr/0014)."""

    def setUp(self):
        self.rng = random.Random(34)
        self.objects = objects.Objects()
        self.addCleanup(self.objects.stop)
        self.proxy = objects.Overwriting(self.objects.url)
        self.addCleanup(self.proxy.server_close)
        self.addCleanup(self.proxy.shutdown)
        more = self.objects.configuration(self.proxy.url)
        self.world = World(self.rng, size_mib=16, more=more)
        self.addCleanup(self.world.end)

    def test_backups_are_made_with_the_database_and_read_without(self):
        """P1, P8, P21: found out, said, decided by the database; the rest as anywhere."""
        world = self.world
        for number in range(3):
            disks.scribble(world.disk, self.rng)
            world.back_up(f"backup-{number}")
        self.assertGreater(self.proxy.taken_away, 0)
        first = next(iter(world.committed))
        world.api.delete_backup(first)
        world.api.wait_for_all()
        del world.committed[first]
        world.service.kill()
        world.service.start()
        world.api.token = None
        for backup in world.committed:
            world.check_restores(backup)
        self.assertIn("the object store overwrites", world.service.log.read_text())
        world.service.stop()
        world.check_repository()

        doctor = ["--output", "json", "doctor", *world.service.place()]
        findings = json.loads(world.service.run(*doctor).stdout)
        [promises] = [it["message"] for it in findings if it["subject"] == "promises"]
        self.assertIn("an object is never overwritten", promises.split("This did not:")[1])
        self.assertIn("The database decides", promises)

        claims = self.claims()
        self.assertTrue(any(key.endswith(".claim") for key, _ in claims), claims)
        self.assertFalse([key for key, body in claims if body is not None], "bytes stay behind")
        world.lose_database()
        listed = world.service.run("repo", "ls", *world.service.place()).stdout
        for backup in world.committed:
            self.assertIn(backup, listed)
        world.service.run("repo", "rebuild", *world.service.place())
        world.service.start()
        world.api.token = None
        disks.scribble(world.disk, self.rng)
        world.back_up("after-the-loss")
        for backup in world.committed:
            world.check_restores(backup)

    def test_the_master_key_is_changed_where_the_database_decides(self):
        """P31: also the objects of a change are registered before they are written."""
        world = self.world
        world.back_up("before")
        world.service.stop()
        world.service.run("repo", "key", "rotate-master", *world.service.place())
        self.assertTrue(any(key.endswith("store.v1.00000001") for key, _ in self.claims()))
        world.service.start()
        world.api.token = None
        disks.scribble(world.disk, self.rng)
        self.assertTrue(world.back_up("after")["incremental"])
        for backup in world.committed:
            world.check_restores(backup)
        world.service.stop()
        world.check_repository()

    def test_a_tenants_keys_are_rotated_and_destroyed_where_the_database_decides(self):
        """P31: with the service stopped, because the database has one owner; and gc works."""
        world, service = self.world, self.world.service
        world.back_up("before")
        [tenant] = {key.split("/")[1] for key in self.objects.keys() if key.startswith("t/")}
        key = ("repo", "key")
        refused = service.run(*key, "rotate-tenant", tenant, *service.place(), check=False)
        self.assertNotEqual(refused.returncode, 0)
        self.assertIn("stop it first", refused.stderr)
        service.stop()
        alone = ("--key", str(service.data / "master.key"), "--config", str(service.config))
        refused = service.run(*key, "rotate-tenant", tenant, *alone, check=False)
        self.assertEqual(refused.returncode, 2, refused.stderr)
        self.assertIn("the database decides", refused.stderr)
        self.assertIn("--data-dir", refused.stderr)
        before = set(self.objects.keys())
        service.run(*key, "rotate-tenant", tenant, *service.place())
        self.assertTrue(any(name.startswith(f"t/{tenant}/k/") for name in set(self.objects.keys()) - before))
        small = world.folder / "maintenance.key"
        service.run(*key, "maintenance", "--to", str(small), *service.place())
        service.run("repo", "gc", *service.place())
        service.start()
        world.api.token = None
        disks.scribble(world.disk, self.rng)
        self.assertTrue(world.back_up("second-key")["incremental"])
        for backup in world.committed:
            world.check_restores(backup)
        service.stop()
        world.check_repository()

        service.run(*key, "shred", tenant, "--yes-destroy-all-data", "--remove-objects", *service.place())
        service.start()
        service.stop()
        left = [name for name in self.objects.keys() if name.startswith(f"t/{tenant}/")]
        self.assertEqual(len(left), 1, left)
        self.assertFalse([name for name, body in self.claims() if body is not None])

    def claims(self):
        """What the database remembers of objects."""
        with contextlib.closing(sqlite3.connect(self.world.service.data / "cbr.db")) as db:
            return db.execute("SELECT object_key, body FROM object_claims").fetchall()


if __name__ == "__main__":
    unittest.main()
