"""Disks of a project that share blocks (`repository.dedup = "tenant"`), with the real binary.

    python3 -m unittest tests.e2e.test_sharing
"""

import json
import random
import shutil
import unittest

from tests.harness import disks
from tests.harness.world import World

SHARING = '[repository]\ndedup = "tenant"\nundo_days = 0\n'


class Clones:
    """A disk and its clone, each in a vault of its own."""

    def __init__(self, world, rng):
        self.world = world
        self.api = world.api
        self.images = [world.disk, world.service.pool / "clone.raw"]
        shutil.copy(self.images[0], self.images[1])
        disks.scribble(self.images[1], rng, writes=3)
        [clone] = [v["id"] for v in self.api.volumes() if v["id"] != world.volume]
        self.volumes = [world.volume, clone]
        self.vaults = [world.vault, self.api.create_vault("vault-2")["id"]]
        self.api.bind(self.vaults[1], clone)

    def back_up(self, which, **parameters):
        """Backs one of the two up; returns the backup and what it must restore."""
        point = {"vault_id": self.vaults[which], "parameters": {"name": "b", **parameters}}
        path = "/v3/{project}/checkpoints"
        point = self.api.request("POST", path, {"checkpoint": point})["checkpoint"]
        self.api.wait_for_all()
        [backup] = self.api.backups(checkpoint_id=point["id"])
        assert backup["status"] == "available", f"{backup}\n{self.world.service.tail()}"
        return backup["id"], disks.sha256(self.images[which])

    def what_if(self, backups):
        path = "/v3/{project}/x/backups/what-if"
        return self.api.request("POST", path, {"backup_ids": backups})["what_if"]["freed_bytes"]

    def check_restores(self, which, backup, sha):
        disks.destroy(self.images[which])
        log = self.api.wait_for(self.api.restore(backup, self.volumes[which]))
        assert log["status"] == "success", f"{log}\n{self.world.service.tail()}"
        assert disks.sha256(self.images[which]) == sha, f"{backup} restored wrong bytes"


class Sharing(unittest.TestCase):
    def operator(self, world, *arguments):
        told = world.service.run(*arguments, "-o", "json", *world.service.place())
        return json.loads(told.stdout)

    def test_clones_are_stored_once_and_deleted_in_any_order(self):
        """BAK-36, BAK-37, VLT-85, P7, P10: what goes is what was said; what stays restores."""
        for order in ([0, 1], [1, 0]):
            rng = random.Random(6)
            with self.subTest(order=order), World(rng, size_mib=16, more=SHARING) as world:
                clones = Clones(world, rng)
                made = [clones.back_up(0)]
                alone = sum(pack.stat().st_size for pack in world.packs())
                made.append(clones.back_up(1))
                both = sum(pack.stat().st_size for pack in world.packs())
                self.assertLess(both, alone * 1.2, "the clone borrows")
                self.assertTrue(self.operator(world, "repo", "audit")["chains"])
                sizes = self.operator(world, "repo", "sizes")
                self.assertEqual(len(sizes), 2, sizes)

                first, last = (made[which] for which in order)
                everything = clones.what_if([first[0], last[0]])
                said = clones.what_if([first[0]])
                self.assertLess(said, everything / 2, "most is shared")
                clones.api.delete_backup(first[0])
                clones.api.wait_for_all()
                self.assertEqual(clones.what_if([last[0]]), everything - said)
                gc = self.operator(world, "repo", "gc", "--dry-run")
                self.assertEqual((gc["rescued"], gc["blocked"], gc["freed_bytes"]), ([], [], 0))
                clones.check_restores(order[1], *last)
                clones.api.delete_backup(last[0])
                clones.api.wait_for_all()
                self.assertEqual(world.packs(), [])
                world.service.stop()
                world.check_repository()

    def test_an_independent_full_survives_the_loss_of_everything_older(self):
        """BAK-38, BAK-39: it shares nothing, with its own disk's past or with any other disk."""
        rng = random.Random(7)
        with World(rng, size_mib=8, more=SHARING) as world:
            clones = Clones(world, rng)
            old, sha = clones.back_up(0)
            clones.back_up(1)
            older = world.packs()
            full, full_sha = clones.back_up(0, incremental=False)
            self.assertEqual(sha, full_sha)
            world.service.stop()
            for pack in older:
                pack.write_bytes(b"\x55" * pack.stat().st_size)
            world.service.start()
            clones.check_restores(0, full, full_sha)
            log = clones.api.wait_for(clones.api.restore(old, clones.volumes[0]))
            self.assertEqual(log["status"], "failed")
