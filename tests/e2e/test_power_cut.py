"""The power is cut at random moments, under the real binary on a real file system (P1, P2, P3, P8).

Clients back up, restore, delete and make vaults at the same time, and somebody collects garbage. At
the cut nothing is left but what had reached the disk (tests/harness/powercut.py). The service starts on
that: every acknowledgement that a client had received is kept, what was deleted stays deleted, every
backup restores bit for bit, the next one works, and the repository is without fault.

    CBR_CUTS=60 CBR_SEED=7 python3 -m unittest tests.e2e.test_power_cut
"""

import copy
import os
import random
import shutil
import subprocess
import threading
import time
import unittest

from tests.harness import disks
from tests.harness.api import Api, ApiError
from tests.harness.powercut import CutDisk, Refused
from tests.harness.service import BINARY, Service

CUTS = int(os.environ.get("CBR_CUTS", "3"))
CLIENTS = 3
DISK_MIB = 16
BACKUPS_MAX = 5


def cut_disk(test):
    """A disk for as long as the test lasts; without the rights or programs the test is skipped."""
    try:
        disk = CutDisk()
    except Refused as reason:
        print(f"skipped: power cuts: {reason}", flush=True)
        test.skipTest(f"power cuts: {reason}")
    test.addCleanup(disk.end)
    return disk


class Lost(AssertionError):
    """Something that a client had been told is not so any more."""


class LedgerTest(unittest.TestCase):
    """The ledger tells a loss from what was in doubt at the cut."""

    def setUp(self):
        self.before = Ledger()
        self.before.accepted, self.before.available = {"point"}, {"kept": "a", "leaving": "b"}
        self.before.deleted, self.before.vaults, self.before.left = {"gone"}, {"v", "w"}, {"u"}
        self.after = copy.deepcopy(self.before)
        # Asked for at the cut, and not answered.
        self.after.deleting, self.after.leaving = {"leaving"}, {"w"}
        self.there = {"kept": "available"}, {"point"}, {"v"}

    def test_nothing_is_lost_where_everything_is_as_it_was_told(self):
        self.assertEqual(losses(self.before, self.after, *self.there), [])
        self.assertEqual(losses(Ledger(), Ledger(), {}, set(), set()), [])

    def test_each_loss_is_named(self):
        listed, points, vaults = self.there
        for there, what in (
            (({}, points, vaults), "committed backups are lost: ['kept']"),
            (({"kept": "error"}, points, vaults), "committed backups are lost: ['kept']"),
            (({**listed, "gone": "available"}, points, vaults), "deleted backups are back: ['gone']"),
            ((listed, set(), vaults), "accepted tasks are lost: ['point']"),
            ((listed, points, set()), "vaults are lost: ['v']"),
            ((listed, points, {"v", "u"}), "deleted vaults are back: ['u']"),
        ):
            self.assertEqual(losses(self.before, self.after, *there), [what])


class PowerCut(unittest.TestCase):
    def test_the_rig_keeps_what_was_synced_and_loses_what_was_not(self):
        """Otherwise the other test would show nothing."""
        disk = cut_disk(self)
        for name in ("synced", "not-synced"):
            with open(disk.path / name, "wb") as file:
                file.write(b"x" * 10_000)
                if name == "synced":
                    disks.flush(file)
                    folder = os.open(disk.path, os.O_RDONLY)
                    os.fsync(folder)
                    os.close(folder)
        disk.cut()
        disk.come_up()
        self.assertEqual((disk.path / "synced").read_bytes(), b"x" * 10_000)
        self.assertFalse((disk.path / "not-synced").exists())

    def test_a_service_whose_syncs_do_nothing_is_caught(self):
        """Otherwise the next test would show nothing either."""
        if shutil.which("strace") is None:
            print("skipped: power cuts of a service without syncs: strace is not installed", flush=True)
            self.skipTest("strace is not installed")
        rig = Rig(cut_disk(self), random.Random(1))
        self.addCleanup(rig.end)
        inject = ["-e", "trace=fsync,fdatasync", "-e", "inject=fsync,fdatasync:retval=0"]
        rig.service.launcher = ["strace", "-f", "-qq", "-o", "/dev/null", *inject]
        rig.begin()
        # With what the first start made the service comes up again, and can be asked what it still has.
        os.sync()
        # Not by just any failure: what it had acknowledged is gone.
        with self.assertRaises(Lost) as caught:
            rig.trial()
        print(f"power cuts of a service without syncs: {str(caught.exception)[:200]}", flush=True)

    def test_whatever_was_acknowledged_survives_a_power_cut(self):
        """P1, P2, P3, P14; BAK-25."""
        seed = int(os.environ.get("CBR_SEED", random.SystemRandom().randrange(1 << 32)))
        print(f"power cuts of the service: {CUTS} cuts, CBR_SEED={seed}", flush=True)
        rig = Rig(cut_disk(self), random.Random(seed))
        self.addCleanup(rig.end)
        rig.begin()
        for number in range(CUTS):
            try:
                rig.trial()
            except AssertionError as error:
                raise type(error)(f"cut {number}: {error}") from error
        rig.finish()
        print(f"power cuts of the service: {rig.report()}", flush=True)


class Ledger:
    """What the clients meant to do, written down before they ask; and what they were told, after."""

    def __init__(self):
        self.contents = {}  # name of a backup → SHA-256 of what the disk held
        self.accepted = set()  # restore points that the service agreed to make
        self.available = {}  # backup → its name
        self.deleting, self.deleted = set(), set()
        self.restored = {}  # disk → what it holds since a restore succeeded, until it is written
        self.vaults, self.leaving, self.left = set(), set(), set()


def losses(before, after, listed, points, vaults):
    """What of `before` the service does not have any more: backups with their status, restore points,
    vaults. What was being asked for `after` that was in doubt at the cut."""
    available = {id for id, status in listed.items() if status == "available"}
    found = {
        "committed backups are lost": before.available.keys() - after.deleting - available,
        "deleted backups are back": before.deleted & listed.keys(),
        "accepted tasks are lost": before.accepted - points,
        "vaults are lost": before.vaults - after.leaving - vaults,
        "deleted vaults are back": before.left & vaults,
    }
    return [f"{what}: {sorted(ids)}" for what, ids in found.items() if ids]


class Client(threading.Thread):
    """One user of one disk; ends at its first failed request, which must not be before the cut."""

    def __init__(self, rig, user, seed):
        super().__init__(daemon=True)
        self.rig, self.user, self.rng = rig, user, random.Random(seed)
        self.failure = None

    def run(self):
        try:
            while not self.rig.is_cut.is_set():
                self.rng.choice([self._back_up, self._back_up, self._restore, self._vault])()
        except Exception as error:  # pylint: disable=broad-except
            if not self.rig.is_cut.is_set():
                self.failure = error

    def _note(self, change):
        with self.rig.lock:
            change(self.rig.ledger)
            self.rig.acknowledged.notify_all()

    def _back_up(self):
        api, user = self.rig.api, self.user
        mine = [id for id, name in self.rig.ledger.available.items() if name.startswith(user.name)]
        if len(mine) > BACKUPS_MAX:
            return self._remove(self.rng.choice(mine))
        self._note(lambda ledger: ledger.restored.pop(user.disk, None))
        sha = disks.scribble(user.disk, self.rng, writes=30)
        name = f"{user.name}-{self.rng.randrange(1 << 48):012x}"
        self._note(lambda ledger: ledger.contents.update({name: sha}))
        point = api.back_up(user.vault, name)["id"]
        self._note(lambda ledger: ledger.accepted.add(point))
        log = self._wait(lambda log: log.get("checkpoint_id") == point)
        assert log["status"] == "success", log
        [backup] = api.backups(checkpoint_id=point)
        assert backup["status"] == "available", backup
        return self._note(lambda ledger: ledger.available.update({backup["id"]: name}))

    def _remove(self, backup):
        self._note(lambda ledger: ledger.deleting.add(backup))
        self.rig.api.delete_backup(backup)

        def change(ledger):
            ledger.deleted.add(backup)
            del ledger.available[backup]

        self._note(change)

    def _restore(self):
        api, user = self.rig.api, self.user
        mine = {id: name for id, name in self.rig.ledger.available.items() if name.startswith(user.name)}
        if not mine:
            return
        backup, name = self.rng.choice(sorted(mine.items()))
        self._note(lambda ledger: ledger.restored.pop(user.disk, None))
        disks.destroy(user.disk)
        job = api.restore(backup, user.volume)
        log = self._wait(lambda log: log["id"] == job)
        assert log["status"] == "success", log
        sha = self.rig.ledger.contents[name]
        self._note(lambda ledger: ledger.restored.update({user.disk: sha}))

    def _vault(self):
        api = self.rig.api
        vault = api.create_vault(f"v-{self.rng.randrange(1 << 48):012x}")["id"]
        self._note(lambda ledger: ledger.vaults.add(vault))
        if self.rng.random() < 0.7:
            self._note(lambda ledger: ledger.leaving.add(vault))
            api.request("DELETE", f"/v3/{{project}}/vaults/{vault}")
            self._note(lambda ledger: ledger.left.add(vault))

    def _wait(self, is_mine):
        """The operation log of a task when it has ended."""
        while True:
            for log in self.rig.api.operations():
                if is_mine(log) and log["status"] in ("success", "failed", "timeout"):
                    return log
            time.sleep(0.03)


class User:
    """A disk, its volume and its vault."""

    def __init__(self, disk, volume, vault):
        self.disk, self.volume, self.vault = disk, volume, vault
        self.name = disk.stem


class Rig:
    """A service on a disk whose power is cut."""

    def __init__(self, disk, rng):
        self.disk, self.rng = disk, rng
        self.service = Service(disk.path / "installation")
        self.ledger = Ledger()
        self.lock = threading.RLock()
        self.acknowledged = threading.Condition(self.lock)
        self.is_cut = threading.Event()
        self.kept = {"backups": 0, "restore points": 0, "deletions": 0, "restores": 0, "vaults": 0}
        self.restores_checked = 0

    def begin(self):
        images = [self.service.pool / f"disk-{number}.raw" for number in range(CLIENTS)]
        for image in images:
            disks.make(image, DISK_MIB, self.rng)
        # What the operator made – configuration, disks – is older; what the service makes is not synced here.
        os.sync()
        self.service.start()
        self.api = Api(self.service)
        volumes = {volume["name"]: volume["id"] for volume in self.api.volumes()}
        self.users = []
        for image in images:
            vault = self.api.create_vault(image.stem)["id"]
            volume = next(id for name, id in volumes.items() if image.stem in name)
            self.api.bind(vault, volume)
            self.users.append(User(image, volume, vault))

    def end(self):
        self.is_cut.set()
        self.service.end()

    def trial(self):
        """The clients work, the power is cut, the service comes up again."""
        self.is_cut.clear()
        clients = [Client(self, user, self.rng.random()) for user in self.users]
        for client in clients:
            client.start()
        collector = self._collect() if self.rng.random() < 0.5 else None
        before = self._cut()
        self.is_cut.set()
        self.service.kill()
        if collector:
            collector.kill()
            collector.wait()
        for client in clients:
            client.join(60)
            assert not client.is_alive(), "a client does not end"
            assert client.failure is None, f"before the cut: {client.failure!r}\n{self.service.tail()}"
        self.disk.come_up()
        self._check_disks(before)
        self.service.start()
        self.api.wait_for_all()
        self._check(before)
        self._next_backup()
        self._check_repository()

    def _collect(self):
        """Somebody collects garbage beside the service."""
        command = [BINARY, "repo", "gc", *self.service.place()]
        return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def _cut(self):
        """Cuts, at any moment or right after an acknowledgement; returns what had been received."""
        deadline = time.monotonic() + self.rng.uniform(0.1, 3)
        is_right_after = self.rng.random() < 0.5
        time.sleep(max(0, deadline - time.monotonic()))
        with self.lock:
            if is_right_after:
                self.acknowledged.wait(5)
            before = copy.deepcopy(self.ledger)
            self.disk.cut()
            return before

    # --- what must be there

    def _check_disks(self, before):
        """P1, P2: what a restore that succeeded has written is on the disk."""
        for disk, sha in before.restored.items():
            if self.ledger.restored.get(disk) == sha:
                if disks.sha256(disk) != sha:
                    raise Lost(f"a finished restore of {disk.name} was lost")
                self.kept["restores"] += 1

    def _check(self, before):
        ledger = self.ledger
        listed = {backup["id"]: backup for backup in self.api.backups(limit=1000)}
        points = {log.get("checkpoint_id") for log in self.api.operations()}
        vaults = {v["id"] for v in self.api.request("GET", "/v3/{project}/vaults", limit=1000)["vaults"]}
        status = {id: backup["status"] for id, backup in listed.items()}
        if lost := losses(before, ledger, status, points, vaults):
            raise Lost("; ".join(lost))
        half = set(status.values()) - {"available", "error"}
        assert not half, f"half a backup is listed: {half}"
        sure = set(before.available) - ledger.deleting
        self.kept["vaults"] += len(before.vaults)
        self.kept["backups"] += len(sure)
        self.kept["deletions"] += len(before.deleted)
        self.kept["restore points"] += len(before.accepted)
        # What was under way at the cut is now certain, one way or the other.
        available = {id: b["name"] for id, b in listed.items() if b["status"] == "available"}
        unknown = set(available.values()) - set(ledger.contents)
        assert not unknown, f"backups that nobody asked for: {unknown}"
        contents, deleted = ledger.contents, before.deleted
        self.ledger = Ledger()
        self.ledger.contents, self.ledger.deleted = contents, deleted
        self.ledger.available = available
        chosen = self.rng.sample(sorted(available), min(2, len(available)))
        for backup in chosen:
            self._check_restores(backup)

    def _check_restores(self, backup):
        """P1: to the byte what the disk held."""
        name = self.ledger.available[backup]
        user = next(user for user in self.users if name.startswith(user.name))
        disks.destroy(user.disk)
        log = self.api.wait_for(self.api.restore(backup, user.volume))
        assert log["status"] == "success", f"{log}\n{self.service.tail()}"
        sha = self.ledger.contents[name]
        assert disks.sha256(user.disk) == sha, f"{backup} restored wrong bytes"
        self.restores_checked += 1

    def _next_backup(self):
        user = self.rng.choice(self.users)
        sha = disks.scribble(user.disk, self.rng, writes=30)
        name = f"{user.name}-next-{self.rng.randrange(1 << 48):012x}"
        self.ledger.contents[name] = sha
        point = self.api.back_up(user.vault, name)["id"]
        self.api.wait_for_all()
        [backup] = self.api.backups(checkpoint_id=point)
        assert backup["status"] == "available", f"{backup}\n{self.service.tail()}"
        self.ledger.available[backup["id"]] = name
        self._check_restores(backup["id"])

    def _check_repository(self):
        self.service.run("repo", "check", "--read-data", *self.service.place())

    def finish(self):
        """Every backup restores, and when all are deleted nothing of them is left (P3)."""
        for backup in sorted(self.ledger.available):
            self._check_restores(backup)
        for backup in self.api.backups(limit=1000):
            try:
                self.api.delete_backup(backup["id"])
            except ApiError as error:
                assert error.status == 404, error
        self.api.wait_for_all()
        self.service.run("repo", "gc", *self.service.place())
        self.service.stop()
        repository = self.service.data / "repository"
        packs = [path for path in repository.glob("t/*/d/*/[pm]/*/*") if path.is_file()]
        assert not packs, f"packs are left of backups that are all deleted: {packs}"
        self._check_repository()

    def report(self):
        kept = ", ".join(f"{count} {what}" for what, count in self.kept.items())
        return f"{CUTS} cuts, 0 lost; looked for after each: {kept}; {self.restores_checked} restores compared"


if __name__ == "__main__":
    unittest.main()
