"""Keys of a real installation: changed, copied, split, destroyed (P31, P32).

    python3 -m unittest tests.e2e.test_keys
"""

import os
import random
import shutil
import unittest

from tests.harness import disks
from tests.harness.service import be_client
from tests.harness.world import World

PASSPHRASE = "a passphrase for the test"


class Keys(unittest.TestCase):
    def setUp(self):
        self.rng = random.Random(12)
        self.world = World(self.rng, size_mib=16)
        self.addCleanup(self.world.end)
        self.service = self.world.service
        self.world.back_up("before")
        self.key = self.service.data / "master.key"
        os.environ["CBR_KEY_PASSPHRASE"] = PASSPHRASE
        self.addCleanup(os.environ.pop, "CBR_KEY_PASSPHRASE")

    def keys(self, *arguments, check=True):
        return self.service.run("repo", "key", *arguments, *self.service.place(), check=check)

    def apart(self, key, *arguments, check=True):
        """A command on the repository alone, with some key file."""
        place = ("--repository", str(self.world.repository), "--key", str(key))
        return self.service.run("repo", *arguments, *place, check=check)

    def tenant(self):
        [tenant] = [path.name for path in (self.world.repository / "t").iterdir()]
        return tenant

    def test_a_changed_master_key_keeps_backups_and_accounts_and_ends_the_old_key(self):
        """P31: nothing becomes unreadable; access keys sign as before; the old key opens nothing."""
        self.service.stop()
        old = self.world.folder / "old.key"
        shutil.copy(self.key, old)
        refused = self.service.run("repo", "key", "rotate-master", check=False)
        self.assertEqual(refused.returncode, 2, refused.stderr)
        self.keys("rotate-master")
        self.assertNotEqual(old.read_text(), self.key.read_text())
        self.assertEqual((self.service.data / "master.key.before-1").read_text(), old.read_text())
        self.assertNotEqual(self.apart(old, "ls", check=False).returncode, 0)
        self.service.start()
        self.world.api.token = None
        disks.scribble(self.world.disk, self.rng)
        self.assertTrue(self.world.back_up("after")["incremental"])
        for backup in self.world.committed:
            self.world.check_restores(backup)
        be_client(self, self.service)
        self.service.run("vault", "list")  # signed with the access key
        self.service.stop()
        self.world.check_repository()

    def test_an_interrupted_change_keeps_the_service_from_starting_and_is_finished(self):
        """P2: the secrets in the database may be sealed with the next key already."""
        self.service.stop()
        self.keys("export", "--to", str(self.world.folder / "copy"))
        next_key = self.service.data / "master.key.next"
        self.service.run("repo", "key", "import", str(self.world.folder / "copy"), "--to", str(next_key))
        text = next_key.read_text().strip()
        next_key.write_text(text[:-8] + ("0" * 8) + "\n")
        with self.assertRaisesRegex(AssertionError, "rotate-master"):
            self.service.start()
        self.keys("rotate-master")
        self.assertFalse(next_key.exists())
        self.service.start()
        self.world.api.token = None
        for backup in self.world.committed:
            self.world.check_restores(backup)

    def test_the_copy_of_the_master_key_opens_the_repository_with_its_passphrase_only(self):
        """P8, P32: the machine is lost; what is left are the objects, the copy and the passphrase."""
        copy, imported = self.world.folder / "copy.txt", self.world.folder / "imported.key"
        self.keys("export", "--to", str(copy))
        self.assertEqual(copy.stat().st_mode & 0o777, 0o600)
        self.assertNotIn(self.key.read_text().split()[1][:16], copy.read_text())
        place = ("--repository", str(self.world.repository))
        take = ("repo", "key", "import", str(copy), "--to", str(imported), *place)
        os.environ["CBR_KEY_PASSPHRASE"] = "another passphrase"
        self.assertEqual(self.service.run(*take, check=False).returncode, 6)
        os.environ["CBR_KEY_PASSPHRASE"] = PASSPHRASE
        self.service.run(*take)
        self.assertEqual(imported.read_text(), self.key.read_text())
        [(backup, sha)] = self.world.committed.items()
        target = self.world.folder / "restored.raw"
        self.apart(imported, "restore", backup, "--to", str(target))
        self.assertEqual(disks.sha256(target), sha)
        os.environ["CBR_KEY_PASSPHRASE"] = "short"
        self.assertEqual(self.keys("export", "--to", str(copy) + "2", check=False).returncode, 2)

    def test_a_maintenance_key_lists_and_reads_no_data(self):
        small = self.world.folder / "maintenance.key"
        self.keys("maintenance", "--to", str(small))
        [backup] = self.world.committed
        self.assertIn(backup, self.apart(small, "ls").stdout)
        target = self.world.folder / "restored.raw"
        refused = self.apart(small, "restore", backup, "--to", str(target), check=False)
        self.assertNotEqual(refused.returncode, 0)
        self.assertIn("master key", refused.stderr)
        self.assertFalse(target.exists())

    def test_a_rotated_tenant_key_rewrites_nothing_and_a_destroyed_one_leaves_nothing(self):
        before = {path: path.read_bytes() for path in self.world.packs()}
        self.keys("rotate-tenant", self.tenant())
        disks.scribble(self.world.disk, self.rng)
        self.world.back_up("second-key")
        for backup in self.world.committed:
            self.world.check_restores(backup)
        for path, content in before.items():
            self.assertEqual(path.read_bytes(), content)
        self.service.stop()
        self.assertEqual(self.keys("shred", self.tenant(), check=False).returncode, 2)
        self.keys("shred", self.tenant(), "--yes-destroy-all-data", "--remove-objects")
        self.assertEqual(self.world.packs(), [])
        self.assertIn("destroyed", self.keys("status").stdout)


if __name__ == "__main__":
    unittest.main()
