"""Losing the database: `cbr repo rebuild` brings every backup back restorable (P8).

    python3 -m unittest tests.e2e.test_lost_database
"""

import random
import shutil
import unittest

from tests.harness import disks
from tests.harness.world import World


class LostDatabase(unittest.TestCase):
    def setUp(self):
        self.rng = random.Random(8)
        self.world = World(self.rng)
        self.addCleanup(self.world.end)
        for number in range(3):
            disks.scribble(self.world.disk, self.rng)
            self.world.back_up(f"backup-{number}")

    def test_a_rebuilt_catalogue_restores_every_backup(self):
        """P8: objects and master key are enough; names, vault and resource come back too."""
        world = self.world
        before = self.facts()
        world.service.stop()
        self.lose_the_database()
        world.service.run("repo", "rebuild", *world.service.place())
        world.service.start()
        world.api.token = None
        self.assertEqual(self.facts(), before)
        for backup in world.committed:
            world.check_restores(backup)
        # Life goes on: the next backup continues the chain.
        disks.scribble(world.disk, self.rng)
        self.assertTrue(world.back_up("after-the-loss")["incremental"])
        self.assertEqual(world.api.request("GET", "/v3/{project}/vaults")["count"], 1)

    def test_a_move_outlives_the_database(self):
        """P8, RES-21: a disk that was moved and not backed up since is in its new vault after a rebuild."""
        world = self.world
        other = world.api.create_vault("vault-2")["id"]
        body = {"destination_vault_id": other, "resource_ids": [world.volume]}
        world.api.request("POST", f"/v3/{{project}}/vaults/{world.vault}/migrateresources", body)
        world.api.wait_for_all()
        before = self.facts()
        self.assertEqual({fact[3] for fact in before}, {other})
        world.service.stop()
        self.lose_the_database()
        world.service.run("repo", "rebuild", *world.service.place())
        world.service.start()
        world.api.token = None
        self.assertEqual(self.facts(), before)
        world.vault = other
        self.assertTrue(world.back_up("in-the-new-vault")["incremental"])
        world.service.stop()
        world.check_repository()

    def test_a_restore_needs_no_service(self):
        """PRD-03, P8: `cbr repo restore` writes a backup to a file with database and service gone."""
        world = self.world
        world.service.stop()
        self.lose_the_database()
        listed = world.service.run("repo", "ls", *world.service.place()).stdout
        for backup, sha in world.committed.items():
            self.assertIn(backup, listed)
            target = world.folder / "restored.raw"
            world.service.run("repo", "restore", backup, "--to", str(target), *world.service.place())
            self.assertEqual(disks.sha256(target), sha)
            target.unlink()

    def test_a_rebuild_beside_a_living_database_adds_nothing(self):
        """P8: repeating is harmless."""
        before = self.facts()
        self.world.service.stop()
        for _ in range(2):
            self.world.service.run("repo", "rebuild", *self.world.service.place())
        self.world.service.start()
        self.assertEqual(self.facts(), before)

    def lose_the_database(self):
        lost = [path for path in self.world.service.data.iterdir() if ".db" in path.name]
        self.assertTrue(lost, "there is no database to lose")
        for path in lost:
            shutil.rmtree(path) if path.is_dir() else path.unlink()

    def facts(self):
        """What a user sees of the backups."""
        backups = sorted(self.world.api.backups(limit=1000), key=lambda backup: backup["id"])
        keys = ("id", "name", "status", "vault_id", "resource_id", "checkpoint_id", "created_at")
        return [[backup[key] for key in (*keys, "resource_name", "incremental")] for backup in backups]


if __name__ == "__main__":
    unittest.main()
