"""Backups in Garage: the real binary on a real store, which ignores conditions (docs/adr/0014).

    ./scripts/soak-s3        installs Garage and runs this among other things
"""

import json
import random
import unittest

from tests.harness import disks, faulty, garage
from tests.harness.world import World

SEED = 35
STEPS = 12
ONE_IN = 40


class Life:
    """One world in Garage; a class below says on which way."""

    way = None

    def setUp(self):
        self.rng = random.Random(SEED)
        self.garage = garage.Garage()
        self.addCleanup(self.garage.stop)
        self.begin()
        self.addCleanup(self.world.end)

    def begin(self):
        """Starts the service."""
        self.world = World(self.rng, size_mib=24, more=self.garage.configuration(self.url()))

    def url(self):
        return None

    def command(self, *arguments):
        """A command on the stopped service's repository."""
        return self.world.service.run(*arguments, *self.world.service.place())

    def restart(self):
        self.world.service.start()
        self.world.api.token = None

    def keys_of(self, place):
        return [key for key in self.garage.keys() if place in key]


@unittest.skipUnless(garage.is_installed(), "skipped: Garage is not installed (./scripts/soak-s3 does)")
class OnGarage(Life, unittest.TestCase):
    def test_full_increments_delete_gc_restore_and_a_lost_database(self):
        """P1, P8, P21: as in a directory; found out that it overwrites, and said."""
        world = self.world
        for number in range(4):
            self.assertEqual(world.back_up(f"backup-{number}")["incremental"], number > 0)
            disks.scribble(world.disk, self.rng)
        self.assertIn("the object store overwrites", world.service.log.read_text())
        for backup in world.committed:
            world.check_restores(backup)

        for number, backup in enumerate(list(world.committed)):
            if number % 2 == 0:
                world.api.delete_backup(backup)
                world.api.wait_for_all()
                del world.committed[backup]
        world.service.kill()
        self.restart()
        for backup in world.committed:
            world.check_restores(backup)
        world.service.stop()
        collected = json.loads(self.command("--output", "json", "repo", "gc").stdout)
        self.assertEqual((collected["blocked"], collected["unexplained_bytes"]), ([], 0))
        world.check_repository()
        self.assertEqual(self.keys_of("probe/"), [])
        self.assertEqual(self.garage.uploads(), [])

        world.lose_database()
        target = world.folder / "restored.raw"
        for backup, sha in world.committed.items():
            self.command("repo", "restore", backup, "--to", str(target), "--overwrite")
            self.assertEqual(disks.sha256(target), sha)
        self.command("repo", "rebuild")
        self.restart()
        world.check_listed()
        self.assertTrue(world.back_up("after-the-loss")["incremental"])
        for backup in world.committed:
            world.check_restores(backup)

    def test_all_keys_are_changed_and_destroyed(self):
        """P31: every key command of an operator, with the database as arbiter."""
        world = self.world
        world.back_up("before")
        world.service.stop()
        [tenant] = {key.split("/")[1] for key in self.keys_of("t/")}
        self.command("repo", "key", "rotate-tenant", tenant)
        self.command("repo", "key", "rotate-master")
        small = world.folder / "maintenance.key"
        self.command("repo", "key", "maintenance", "--to", str(small))
        self.restart()
        disks.scribble(world.disk, self.rng)
        self.assertTrue(world.back_up("after")["incremental"])
        for backup in world.committed:
            world.check_restores(backup)
        world.service.stop()
        world.check_repository()
        status = json.loads(self.command("--output", "json", "repo", "key", "status").stdout)
        self.assertEqual((status["masters"], status["tenants"][0]["keys"]), ([1], [1, 2]))

        shred = ("repo", "key", "shred", tenant, "--yes-destroy-all-data", "--remove-objects")
        self.command(*shred)
        self.restart()
        world.service.stop()
        left = [key.rsplit("/", 1)[1] for key in self.keys_of(f"t/{tenant}/")]
        self.assertEqual(len(left), 1, left)
        self.assertIn("destroyed", self.command("repo", "key", "status").stdout)

    def test_a_store_that_does_not_answer_for_a_while_loses_nothing(self):
        """P21."""
        world = self.world
        world.back_up("before")
        disks.scribble(world.disk, self.rng)
        sha = disks.sha256(world.disk)
        self.garage.pause()
        try:
            point = world.api.back_up(world.vault, "meanwhile")
            self.assertTrue(world.service.is_healthy())
        finally:
            self.garage.go_on()
        world.api.wait_for_all()
        for backup in world.api.backups(checkpoint_id=point["id"]):
            if backup["status"] == "available":
                world.committed[backup["id"]] = sha
        for backup in world.committed:
            world.check_restores(backup)


@unittest.skipUnless(garage.is_installed(), "skipped: Garage is not installed (./scripts/soak-s3 does)")
@unittest.skipUnless(faulty.is_built(), "skipped: the faulty proxy is not built (./scripts/soak-s3 does)")
class OnGarageOverABadWay(Life, unittest.TestCase):
    """503, answers lost after success, wrong, cut and truncated bodies, stale and partial listings."""

    def begin(self):
        self.way = faulty.Faulty(self.garage.url)
        self.addCleanup(self.way.stop)
        super().begin()

    def url(self):
        return self.way.url

    def restores_if_it_says_so(self, backup):
        """P1: a restore that says it succeeded did; one that says it failed may."""
        world = self.world
        disks.destroy(world.disk)
        log = world.api.wait_for(world.api.restore(backup, world.volume))
        if log["status"] == "success":
            self.assertEqual(disks.sha256(world.disk), world.committed[backup], "wrong bytes")
        return log["status"] == "success"

    def test_every_step_ends_right_or_says_that_it_did_not(self):
        """P1, P2, P9, P10, P21."""
        world, rng = self.world, self.rng
        counted = {"backups": 0, "failed backups": 0, "restores": 0, "failed restores": 0}
        for step in range(STEPS):
            # What a failed restore left of the disk is what is backed up next.
            disks.scribble(world.disk, rng)
            sha = disks.sha256(world.disk)
            self.way.spoil(SEED + step, ONE_IN)
            point = world.api.back_up(world.vault, f"backup-{step}")
            world.api.wait_for_all()
            for backup in world.api.backups(checkpoint_id=point["id"]):
                if backup["status"] == "available":
                    world.committed[backup["id"]] = sha
                    counted["backups"] += 1
                else:
                    self.assertEqual(backup["status"], "error")
                    counted["failed backups"] += 1
            if step % 4 == 3 and len(world.committed) > 1:
                first = next(iter(world.committed))
                world.api.delete_backup(first)
                world.api.wait_for_all()
                del world.committed[first]
            if world.committed:
                is_right = self.restores_if_it_says_so(rng.choice(list(world.committed)))
                counted["restores" if is_right else "failed restores"] += 1
            if step == STEPS // 2:
                self.way.heal()
                world.service.kill()
                self.restart()
        hits = self.way.hits()
        self.way.heal()
        print(f"bad way to Garage: {counted}, {hits} requests spoiled", flush=True)
        self.assertGreater(counted["backups"], 2)
        self.assertGreater(hits, 20)

        world.service.stop()
        world.check_repository()
        self.command("repo", "gc")
        world.lose_database()
        self.command("repo", "rebuild")
        self.restart()
        world.check_listed()
        for backup in world.committed:
            world.check_restores(backup)
        world.service.stop()
        world.check_repository()


if __name__ == "__main__":
    unittest.main()
