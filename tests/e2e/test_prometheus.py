"""Debian's Prometheus scrapes the real binary, and the rules of deploy/ fire for a real reason.

    python3 -m unittest tests.e2e.test_prometheus

./scripts/test unpacks the package into target/prometheus. What the rules say over hours is in deploy/prometheus/cbr-alerts-test.yml,
with made-up numbers.
"""

import json
import random
import re
import shutil
import subprocess
import time
import unittest
import urllib.error
import urllib.parse
import urllib.request

from tests.harness.service import ROOT, free_port
from tests.harness.world import World

DEPLOY = ROOT / "deploy"
RULES = DEPLOY / "prometheus" / "cbr-alerts.yml"
UNPACKED = ROOT / "target" / "prometheus" / "usr" / "bin"
SECONDS_MAX = 60
# There only with an object store.
ABSENT = "cbr_object_store"


def program(name):
    """Where a program of the package is; none: it is not installed."""
    found = UNPACKED / name
    return str(found) if found.exists() else shutil.which(name)


@unittest.skipUnless(program("promtool"), "skipped: Prometheus is not installed (./scripts/test unpacks Debian's package)")
class Rules(unittest.TestCase):
    """MON-06: what the files of deploy/ say is what is meant."""

    def test_the_files_are_sound(self):
        for words in (["check", "config", "prometheus.yml"], ["check", "rules", RULES.name]):
            self.promtool(*words)

    def test_every_rule_fires_when_it_is_meant_to_and_not_before(self):
        self.promtool("test", "rules", "cbr-alerts-test.yml")
        tested = set(re.findall(r"alertname: (\w+)", (RULES.parent / "cbr-alerts-test.yml").read_text()))
        self.assertEqual(tested, alerts())

    def promtool(self, *words):
        done = subprocess.run([program("promtool"), *words], cwd=RULES.parent, capture_output=True, text=True)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)


@unittest.skipUnless(program("prometheus"), "skipped: Prometheus is not installed (./scripts/test unpacks Debian's package)")
class Firing(unittest.TestCase):
    def test_a_rule_fires_for_a_damaged_backup(self):
        """MON-05, MON-06, P35: scraped, alarmed, over when it is healed; and a service that ended is missed."""
        world = World(random.Random(7), size_mib=8)
        self.addCleanup(world.end)
        backup = world.back_up("first")["id"]
        self.start_prometheus(world)
        self.wait("it scrapes", lambda: self.value("max(cbr_damaged_backups)") == 0)
        self.assertEqual(self.firing(), set())

        world.service.stop()
        for path in world.packs():
            sound = path.read_bytes()
            path.write_bytes(sound[:100] + bytes([sound[100] ^ 1]) + sound[101:])
        world.service.start()
        # The service answers without a word of it until somebody looks.
        path = f"/v3/{{project}}/x/backups/{backup}/verify"
        log = world.api.wait_for(world.api.request("POST", path, {})["job_id"])
        self.assertEqual(log["status"], "failed")
        # Numbers are read once a minute, and at a start.
        world.service.stop()
        world.service.start()
        self.wait("the rule fires", lambda: self.firing() == {"CbrBackupDamaged"})
        self.check_names()
        self.check_dashboard()

        world.back_up("second")  # heals
        world.service.stop()
        world.service.start()
        self.wait("it is over", lambda: self.firing() == set())
        world.service.stop()
        self.wait("it is missed", lambda: self.alerts().get("CbrDown") == "pending")

    # --- pieces

    def start_prometheus(self, world):
        """With the files of deploy/ as they are, but looking every half second, and where the service is."""
        folder = world.folder / "prometheus"
        folder.mkdir()
        shutil.copy(RULES, folder)
        config = (RULES.parent / "prometheus.yml").read_text()
        for of_deploy, here in (("interval: 1m", "interval: 500ms"), ("127.0.0.1:8700", world.service.url[7:])):
            self.assertIn(of_deploy, config)
            config = config.replace(of_deploy, here)
        (folder / "prometheus.yml").write_text(config)
        self.port = free_port()
        with (folder / "log").open("wb") as log:
            self.prometheus = subprocess.Popen(
                [
                    program("prometheus"),
                    f"--config.file={folder / 'prometheus.yml'}",
                    f"--storage.tsdb.path={folder / 'tsdb'}",
                    f"--web.listen-address=127.0.0.1:{self.port}",
                ],
                stdout=log,
                stderr=log,
            )
        self.addCleanup(self.end_prometheus)
        self.log = folder / "log"

    def end_prometheus(self):
        self.prometheus.kill()
        self.prometheus.wait()

    def alerts(self):
        """The state of each rule that is pending or firing."""
        return {one["labels"]["alertname"]: one["state"] for one in self.ask("/api/v1/alerts", alerts=[])["alerts"]}

    def firing(self):
        return {name for name, state in self.alerts().items() if state == "firing"}

    def value(self, question):
        found = self.ask("/api/v1/query?" + urllib.parse.urlencode({"query": question}), result=[])["result"]
        return float(found[0]["value"][1]) if found else None

    def check_names(self):
        """Every number that a rule looks at is there under that name."""
        known = set(self.ask("/api/v1/label/__name__/values"))
        wanted = {name for name in re.findall(r"cbr_[a-z_]+", RULES.read_text()) if not name.startswith(ABSENT)}
        self.assertGreater(len(wanted), 5)
        self.assertEqual(wanted - known, set())

    def check_dashboard(self):
        """Every question of the dashboard is one that Prometheus understands."""
        questions = re.findall(r'"expr": "((?:[^"\\]|\\.)*)"', (DEPLOY / "grafana" / "cbr.json").read_text())
        self.assertGreater(len(questions), 10)
        for question in questions:
            self.ask("/api/v1/query?" + urllib.parse.urlencode({"query": json.loads(f'"{question}"')}))

    def ask(self, path, **nothing):
        """What Prometheus answers; `nothing` while it does not listen yet, or listens and is not ready."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=10) as answer:
                return json.load(answer)["data"]
        except urllib.error.HTTPError as error:
            if error.code == 503 and nothing and self.prometheus.poll() is None:
                return nothing
            raise AssertionError(f"{path}: {error.read().decode()}") from None
        except OSError:
            if not nothing or self.prometheus.poll() is not None:
                raise AssertionError(f"Prometheus is not there:\n{self.log.read_text()}") from None
            return nothing

    def wait(self, what, is_so):
        deadline = time.monotonic() + SECONDS_MAX
        while not is_so():
            self.assertLess(time.monotonic(), deadline, f"{what}: {self.alerts()}\n{self.log.read_text()[-3000:]}")
            time.sleep(0.1)


def alerts():
    """The names of all rules."""
    return set(re.findall(r"- alert: (\w+)", RULES.read_text()))


if __name__ == "__main__":
    unittest.main()
