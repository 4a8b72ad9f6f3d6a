"""Damage to the repository of the real binary is found, named, and never served (P1, P4).

The whole-repository byte flips are a test of the store crate; this one shows that the installed
tools say so: `cbr repo check --read-data` and a restore through the API.

    python3 -m unittest tests.e2e.test_damage
"""

import random
import unittest

from tests.harness import disks
from tests.harness.world import World

TRIALS = 12


class Damage(unittest.TestCase):
    def test_a_flipped_byte_is_found_by_check_and_never_served(self):
        """P1, P4."""
        rng = random.Random(4)
        with World(rng, size_mib=8) as world:
            backup = world.back_up("whole")["id"]
            objects = world.objects()
            for _ in range(TRIALS):
                self.damage_and_look(world, backup, rng.choice(objects), rng)
            world.service.stop()
            world.check_repository()
            world.service.start()
            world.check_restores(backup)

    def damage_and_look(self, world, backup, path, rng):
        sound = path.read_bytes()
        place = rng.randrange(len(sound))
        where = f"byte {place} of {path.relative_to(world.repository)}"
        world.service.stop()
        flipped = sound[place] ^ (1 << rng.randrange(8))
        path.write_bytes(sound[:place] + bytes([flipped]) + sound[place + 1 :])
        arguments = ["repo", "check", "--read-data", *world.service.place()]
        done = world.service.run(*arguments, check=False)
        self.assertNotEqual(done.returncode, 0, f"{where} was flipped and check says:\n{done.stdout}")
        self.check_not_served(world, backup, where)
        path.write_bytes(sound)

    def check_not_served(self, world, backup, where):
        target = world.folder / "target.raw"
        target.unlink(missing_ok=True)
        arguments = ["repo", "restore", backup, "--to", str(target), *world.service.place()]
        done = world.service.run(*arguments, check=False)
        if done.returncode == 0:
            self.assertEqual(disks.sha256(target), world.committed[backup], f"{where}: wrong bytes")

    def test_the_next_backup_heals_what_verify_finds(self):
        """P1, P5: flipped on disk, found and listed by verify, healed by the next backup."""
        rng = random.Random(5)
        with World(rng, size_mib=8) as world:
            backup = world.back_up("first")["id"]
            world.service.stop()
            packs = [path for path in world.objects() if "/p/" in str(path)]
            self.assertTrue(packs)
            for path in packs:
                sound = path.read_bytes()
                # Behind the header, in the first slot.
                path.write_bytes(sound[:100] + bytes([sound[100] ^ 1]) + sound[101:])
            world.service.start()
            self.assertEqual(self.verify(world, backup)["status"], "failed")
            self.assertEqual(self.integrity(world, backup)["state"], "damaged")
            self.assertTrue(self.integrity(world, backup)["lost_ranges"])
            world.back_up("second")
            self.assertEqual(self.integrity(world, backup)["lost_ranges"], [])
            self.assertEqual(self.verify(world, backup)["status"], "success")
            self.assertEqual(self.integrity(world, backup)["state"], "ok")
            world.check_restores(backup)
            world.service.stop()
            world.check_repository()
            world.service.start()

    def verify(self, world, backup):
        path = f"/v3/{{project}}/x/backups/{backup}/verify"
        return world.api.wait_for(world.api.request("POST", path, {})["job_id"])

    def integrity(self, world, backup):
        path = f"/v3/{{project}}/x/backups/{backup}/integrity"
        return world.api.request("GET", path)["integrity"]


if __name__ == "__main__":
    unittest.main()
