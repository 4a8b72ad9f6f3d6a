"""Hours of a policy on the real binary: it produces, keeps and deletes as its rules say, and tells of what it missed.

    python3 -m unittest tests.e2e.test_policy_hours

The service's wall clock is moved by libfaketime (Debian's package faketime), which the service does not know: nothing in it can
be told another time. Timers run on; each hour begins with a start of the service, which looks for what is due.
"""

import glob
import json
import random
import time
import unittest

from tests.harness import disks, mailbox
from tests.harness.service import be_client
from tests.harness.world import World

HOUR = 3600
KEPT = 2
HOURS = 5
SECONDS_MAX = 60


class PolicyHours(unittest.TestCase):
    def setUp(self):
        library = glob.glob("/usr/lib/*/faketime/libfaketime.so.1")
        self.assertTrue(library, "install Debian's package faketime")
        self.rng = random.Random(3)
        self.mailbox = mailbox.Mailbox().start()
        self.addCleanup(self.mailbox.stop)
        more = '[retention]\ncleanup = "immediate"\n' + self.mailbox.settings()
        self.world = World(self.rng, size_mib=16, more=more)
        self.addCleanup(self.world.end)
        self.offset = self.world.folder / "offset"
        self.real_start = time.time()
        self.world.service.launcher = (
            "env",
            f"LD_PRELOAD={library[0]}",
            f"FAKETIME_TIMESTAMP_FILE={self.offset}",
            "FAKETIME_NO_CACHE=1",
            "FAKETIME_DONT_FAKE_MONOTONIC=1",
            "DONT_FAKE_MONOTONIC=1",
        )

    def restart(self, at):
        """The service, with a clock that shows `at` (seconds since 1970) now."""
        self.world.service.stop()
        self.offset.write_text(f"{at - time.time():+.0f}\n")
        self.world.service.start()
        self.world.api.token = None

    def wait_until(self, what, is_so):
        deadline = time.monotonic() + SECONDS_MAX
        while not is_so():
            self.assertLess(time.monotonic(), deadline, f"{what}\n{self.world.service.tail()}")
            time.sleep(0.1)

    def available(self):
        found = self.world.api.backups(sort="created_at:asc")
        return [backup for backup in found if backup["status"] == "available"]

    def check_capacity(self, step):
        """P17: what the vault says it uses is what the engine counts."""
        path = f"/v3/{{project}}/x/vaults/{self.world.vault}/usage"
        used = self.world.api.request("GET", path)["usage"]["used_bytes"]
        self.world.service.stop()
        told = self.world.service.run("repo", "sizes", "-o", "json", *self.world.service.place())
        versions = json.loads(told.stdout)
        versions = versions if isinstance(versions, list) else versions["versions"]
        self.assertEqual(used, sum(version["changed_bytes"] for version in versions), step)

    def test_an_hourly_policy_with_count_two(self):
        """POL-05, POL-09, RET-03, RET-14, RET-18, MON-06, MON-08, P1, P16, P17."""
        api = self.world.api
        hours = ",".join(str(hour) for hour in range(24))
        trigger = {"properties": {"pattern": [f"FREQ=DAILY;INTERVAL=1;BYHOUR={hours};BYMINUTE=00"]}}
        policy = {"name": "hourly", "operation_type": "backup", "trigger": trigger}
        policy["operation_definition"] = {"max_backups": KEPT, "retention_duration_days": -1}
        first = (int(self.real_start) // HOUR + 2) * HOUR
        # While the client has the same time.
        self.be_told("ops@example.org", "runMissed")
        self.restart(first - 600)
        policy = api.request("POST", "/v3/{project}/policies", {"policy": policy})["policy"]
        bound = {"policy_id": policy["id"]}
        api.request("POST", f"/v3/{{project}}/vaults/{self.world.vault}/associatepolicy", bound)
        self.assertEqual(self.available(), [], "nothing before its time")
        contents = {}
        for hour in range(HOURS):
            disks.scribble(self.world.disk, self.rng)
            self.restart(first + hour * HOUR + 5)
            known = set(contents)
            fresh = lambda: [one["id"] for one in self.available() if one["id"] not in known]
            self.wait_until(f"no backup in hour {hour}", fresh)
            [made] = fresh()
            contents[made] = disks.sha256(self.world.disk)
            self.world.api.wait_for_all()
            # What its completion gave up goes with the first look of the next start.
            self.restart(first + hour * HOUR + 120)
            kept = list(contents)[-KEPT:]
            self.wait_until(
                f"more than {KEPT} after hour {hour}",
                lambda: [one["id"] for one in api.backups(sort="created_at:asc")] == kept,
            )
            self.world.api.wait_for_all()
            self.check_capacity(f"hour {hour}")
        self.restart(first + (HOURS - 1) * HOUR + 300)
        runs = api.request("GET", "/v3/{project}/x/policy-runs")["policy_runs"]
        self.assertEqual([run["state"] for run in runs], ["started"] * HOURS, runs)
        self.world.committed = {id: contents[id] for id in list(contents)[-KEPT:]}
        self.world.check_listed()
        for backup in self.world.committed:
            self.world.check_restores(backup)
        # Hours in which nobody is there are missed and say so; the last one is started late.
        self.restart(first + (HOURS + 3) * HOUR + 60)
        self.wait_until("no late run", lambda: len(self.states()) == HOURS + 4)
        self.assertEqual(self.states()[-4:], ["missed", "missed", "missed", "started"])
        self.wait_until("no mail about what was missed", lambda: self.mailbox.mails)
        (receivers, mail), *_ = self.mailbox.mails
        self.assertEqual(receivers, ["ops@example.org"])
        self.assertIn("hourly", mail.get_content())

    def be_told(self, address, event):
        """An alarm about an event, and a person who agreed to be told by mail."""
        be_client(self, self.world.service)
        for words in [
            ("topic", "create", "ops"),
            ("topic", "subscribe", "ops", "email", address),
            ("alarm", "create", "--event", event, "--topic", "ops"),
        ]:
            self.world.service.run(*words)
        self.wait_until("no question whether mails are wanted", lambda: self.mailbox.mails)
        [(_, question)] = self.mailbox.mails
        mailbox.agree(mailbox.confirmation(question))
        self.mailbox.mails.clear()

    def states(self):
        runs = self.world.api.request("GET", "/v3/{project}/x/policy-runs")["policy_runs"]
        return [run["state"] for run in reversed(runs)]
