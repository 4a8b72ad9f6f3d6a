"""Two nodes on one PostgreSQL and one repository serve the same clients, while one is killed (P2, P3, P14).

Each node has a disk of its own, which only it reaches; everything else either node does. After each kill the other
one still answers and works; when the killed one is back, every task has ended exactly once.

    CBR_KILLS=50 CBR_SEED=7 python3 -m unittest tests.e2e.test_two_nodes
"""

import os
import pathlib
import random
import shutil
import tempfile
import time
import unittest

from tests.harness import disks, postgres
from tests.harness.api import Api, ApiError
from tests.harness.service import Service

KILLS = int(os.environ.get("CBR_KILLS", "6"))
DISK_MIB = 48


class TwoNodes(unittest.TestCase):
    def test_no_task_is_lost_or_done_twice_while_a_node_is_killed(self):
        """P2, P3, P14: the tasks of both nodes, each killed in turn."""
        if postgres.programs() is None:
            self.skipTest("PostgreSQL is not installed")
        seed = int(os.environ.get("CBR_SEED", random.SystemRandom().randrange(1 << 32)))
        print(f"two nodes: {KILLS} kills, CBR_SEED={seed}", flush=True)
        cluster = postgres.Postgres().start()
        self.addCleanup(cluster.stop)
        with Pair(cluster.create_database("pair"), random.Random(seed)) as pair:
            for number in range(KILLS):
                pair.trial(number)
            pair.take_over()
            pair.finish()
            print(f"two nodes: {pair.report()}", flush=True)


class Node:
    """A service, a client of it, its disk and the vault of that."""

    def __init__(self, folder, url, repository):
        place = f'[repository]\nundo_days = 0\npath = "{repository}"\n'
        self.service = Service(folder, url, place)
        # The id of a disk is made of its pool's and its own name: each node needs another.
        self.disk = self.service.pool / f"{folder.name}.raw"

    def begin(self, vault):
        self.service.start()
        self.api = Api(self.service)
        [self.volume] = [volume["id"] for volume in self.api.volumes()]
        self.vault = self.api.create_vault(vault)["id"]
        self.api.bind(self.vault, self.volume)


class Pair:
    """Both nodes, and what must be true of them."""

    def __init__(self, url, rng):
        self.rng = rng
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="cbr-e2e-"))
        self.nodes = [Node(self.folder / name, url, self.folder / "repository") for name in ("one", "two")]
        self.committed = {}  # backup id → its node and the SHA-256 of what the disk held
        self.points = []  # every restore point that was acknowledged
        self.deleted = []  # every backup whose deletion was acknowledged
        self.running = 0

    def __enter__(self):
        try:
            first, second = self.nodes
            for node in self.nodes:
                disks.make(node.disk, DISK_MIB, self.rng)
            first.begin("vault-one")
            # One repository has one key; one database has one account.
            second.service.data.mkdir(parents=True, mode=0o700)
            shutil.copy(first.service.data / "master.key", second.service.data / "master.key")
            shutil.copy(first.service.bootstrap_file, second.service.bootstrap_file)
            second.begin("vault-two")
            for node in self.nodes:
                self._back_up(node)
            self._settle()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        for node in self.nodes:
            node.service.end()
        shutil.rmtree(self.folder)

    def trial(self, number):
        """Work on both, one is killed, the other goes on, the killed one comes back."""
        victim, other = self.nodes[number % 2], self.nodes[1 - number % 2]
        for node in self.nodes:
            self._back_up(node)
        self._delete(self.rng.choice(self.nodes))
        time.sleep(self.rng.uniform(0, 0.6))
        victim.service.kill()
        self.running += any(log["status"] in ("running", "waiting") for log in other.api.operations())
        # The other answers for everything, and works.
        listed = {backup["id"] for backup in other.api.backups(limit=1000)}
        assert set(self.committed) <= listed, f"not listed: {set(self.committed) - listed}"
        self._back_up(other)
        victim.service.start()
        self._settle()

    def take_over(self):
        """What any node can do is done by the other, also when the killed one does not come back."""
        victim, other = self.nodes
        self._delete(victim)
        victim.service.kill()
        other.api.wait_for_all()
        victim.service.start()
        self._settle()

    def finish(self):
        """Everything restores where its disk is, the repository is without fault."""
        for backup, (node, sha) in self.committed.items():
            disks.destroy(node.disk)
            log = node.api.wait_for(node.api.restore(backup, node.volume))
            assert log["status"] == "success", f"{log}\n{node.service.tail()}"
            assert disks.sha256(node.disk) == sha, f"{backup} restored wrong bytes"
        for node in self.nodes:
            node.service.stop()
        service = self.nodes[0].service
        service.run("repo", "check", "--read-data", *service.place())

    def report(self):
        return f"{self.running} kills in time, {len(self.points)} backups, {len(self.deleted)} deletions"

    def _back_up(self, node):
        """Starts one, unless the last one may still read the disk: its content must not change under that."""
        logs = node.api.operations()
        if any(log["vault_id"] == node.vault and log["status"] in ("running", "waiting") for log in logs):
            return
        sha = disks.scribble(node.disk, self.rng, writes=100)
        point = node.api.back_up(node.vault, f"run-{len(self.points)}")["id"]
        self.points.append((point, node, sha))

    def _delete(self, node):
        """Asks a node to delete any backup, also one of the other's."""
        if len(self.committed) < 4:
            return
        backup = self.rng.choice(sorted(self.committed))
        try:
            node.api.delete_backup(backup)
        except ApiError as error:
            # What builds on it is at work.
            assert error.status == 400, error
            return
        del self.committed[backup]
        self.deleted.append(backup)

    def _settle(self):
        """All tasks end, each exactly once, and both nodes say the same."""
        seen = []
        for node in self.nodes:
            logs = node.api.wait_for_all()
            seen.append({log["id"]: log["status"] for log in logs})
        assert seen[0] == seen[1], f"the nodes disagree: {seen}"
        for point, node, sha in self.points:
            own = [log for log in logs if log["checkpoint_id"] == point and log["operation_type"] == "backup"]
            assert len(own) == 1, f"a backup was begun {len(own)} times: {own}"
            assert own[0]["status"] == "success", f"{own}\n{node.service.tail()}"
            backup = own[0]["extra_info"]["backup"]["backup_id"]
            found = [one["id"] for one in node.api.backups(checkpoint_id=point)]
            wanted = [] if backup in self.deleted else [backup]
            assert found == wanted, f"{point} has {found}, not {wanted}"
            if wanted:
                self.committed[backup] = (node, sha)
        for backup in self.deleted:
            try:
                left = self.nodes[0].api.backup(backup)
            except ApiError as error:
                assert error.status == 404, error
            else:
                raise AssertionError(f"an accepted deletion did not happen: {left}")
