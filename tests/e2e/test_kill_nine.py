"""kill -9 of the service at random moments of backup, restore and delete (P1, P2, P3, P14).

After each kill the service starts again on what is left. Then every task ends, every committed
backup is listed and restores to the right bytes, and what the dead process left over is reclaimed.

    CBR_KILLS=200 CBR_SEED=7 python3 -m unittest tests.e2e.test_kill_nine
"""

import os
import random
import time
import unittest

from tests.harness import disks
from tests.harness.api import ApiError
from tests.harness.world import World

KILLS = int(os.environ.get("CBR_KILLS", "30"))


class KillNine(unittest.TestCase):
    def test_a_killed_service_loses_nothing_and_leaves_nothing_stuck(self):
        """P1, P2, P3, P14; BAK-25."""
        seed = int(os.environ.get("CBR_SEED", random.SystemRandom().randrange(1 << 32)))
        print(f"kill -9: {KILLS} kills, CBR_SEED={seed}", flush=True)
        rng = random.Random(seed)
        with World(rng) as world:
            rig = Rig(world, rng)
            for number in range(KILLS):
                rig.trial(number)
            rig.finish()
        print(f"kill -9: {rig.report()}", flush=True)


class Rig:
    """Kills the service in the middle of things, and looks what is left."""

    def __init__(self, world, rng):
        self.world, self.rng, self.api = world, rng, world.api
        self.counts = {"in time": 0, "after the end": 0}
        world.back_up("first")
        self.durations = {kind: self._undisturbed(kind) for kind in ("backup", "restore", "delete")}

    def trial(self, number):
        """One operation, killed somewhere between its request and its usual end."""
        kind = ["backup", "restore", "delete"][number % 3]
        if kind == "delete" and len(self.world.committed) < 3:
            kind = "backup"
        start = getattr(self, f"_start_{kind}")()
        moment = self.rng.uniform(0, self.durations[kind])
        time.sleep(moment)
        running = any(log["status"] in ("running", "waiting") for log in self._peek())
        self.world.service.kill()
        self.counts["in time" if running else "after the end"] += 1
        self.world.service.start()
        logs = self.api.wait_for_all()
        try:
            getattr(self, f"_after_{kind}")(start, logs)
            self.world.check_listed()
        except AssertionError as error:
            raise AssertionError(f"kill {number}, {moment:.3f} s into a {kind}: {error}") from error

    def finish(self):
        """Everything restores, the repository is clean, and deleting all leaves nothing."""
        world = self.world
        for backup in world.committed:
            world.check_restores(backup)
        world.service.stop()
        world.check_repository()
        world.service.start()
        for backup in self.api.backups(limit=1000):
            self.api.delete_backup(backup["id"])
        self.api.wait_for_all()
        assert not self.api.backups(limit=1000)
        left = world.packs()
        assert not left, f"packs are left of backups that are all deleted: {left}"
        world.service.stop()
        world.check_repository()

    def report(self):
        return ", ".join(f"{count} {what}" for what, count in self.counts.items())

    # --- backup: all or nothing

    def _start_backup(self):
        sha = self._scribble()
        return sha, self.api.back_up(self.world.vault, "killed")["id"]

    def _after_backup(self, start, logs):
        sha, checkpoint = start
        [log] = [log for log in logs if log["checkpoint_id"] == checkpoint]
        found = self.api.backups(checkpoint_id=checkpoint)
        available = [backup["id"] for backup in found if backup["status"] == "available"]
        assert (log["status"] == "success") == (len(available) == 1), f"{log} but {found}"
        for backup in found:
            if backup["id"] in available:
                self.world.committed[backup["id"]] = sha
            else:
                assert backup["status"] == "error", f"half a backup is listed: {backup}"
        if available and self.rng.random() < 0.5:
            self.world.check_restores(available[0])

    # --- restore: finishes with the right bytes, or fails and can be repeated

    def _start_restore(self):
        backup = self.rng.choice(list(self.world.committed))
        disks.destroy(self.world.disk)
        return backup, self.api.restore(backup, self.world.volume)

    def _after_restore(self, start, logs):
        backup, job = start
        [log] = [log for log in logs if log["id"] == job]
        if log["status"] == "success":
            sha = disks.sha256(self.world.disk)
            assert sha == self.world.committed[backup], f"{backup} restored wrong bytes"
        else:
            self.world.check_restores(backup)

    # --- delete: what was accepted happens, and to nothing else

    def _start_delete(self):
        backup = self.rng.choice(list(self.world.committed))
        self.api.delete_backup(backup)
        del self.world.committed[backup]
        return backup

    def _after_delete(self, backup, logs):
        del logs
        try:
            left = self.api.backup(backup)
        except ApiError as error:
            assert error.status == 404, error
        else:
            raise AssertionError(f"an accepted deletion did not happen: {left}")

    # --- pieces

    def _scribble(self):
        return disks.scribble(self.world.disk, self.rng, writes=200)

    def _undisturbed(self, kind):
        """Seconds that the operation takes when nobody kills anything."""
        start = getattr(self, f"_start_{kind}")()
        begin = time.monotonic()
        logs = self.api.wait_for_all()
        seconds = time.monotonic() - begin
        getattr(self, f"_after_{kind}")(start, logs)
        return seconds

    def _peek(self):
        try:
            return self.api.operations()
        except OSError:
            return []


if __name__ == "__main__":
    unittest.main()
