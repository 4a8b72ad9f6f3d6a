"""An alarm reaches people: by mail through a real SMTP server, by a signed webhook that fails first.

    target/venv/bin/python -m unittest tests.e2e.test_alarms
"""

import hashlib
import hmac
import http.server
import json
import pathlib
import random
import shutil
import tempfile
import threading
import time
import unittest
import urllib.error
import urllib.request

from tests.harness import disks, mailbox
from tests.harness.service import Service, be_client

SEED = 20_240_807
POLL_SECONDS_MAX = 120


class Receiver(http.server.BaseHTTPRequestHandler):
    """Answers 503 as often as it is told to, then keeps what it gets."""

    failures = 0
    taken = []
    refused = []

    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        kept = type(self)
        if kept.failures > 0:
            kept.failures -= 1
            kept.refused.append(self.headers["x-cbr-message-id"])
            self.send_response(503)
        else:
            kept.taken.append((dict(self.headers), body))
            self.send_response(204)
        self.end_headers()

    def log_message(self, *_):
        pass


class Alarms(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.mailbox = mailbox.Mailbox().start()
        cls.addClassCleanup(cls.mailbox.stop)
        cls.hook = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
        threading.Thread(target=cls.hook.serve_forever, daemon=True).start()
        cls.addClassCleanup(cls.hook.shutdown)
        cls.folder = pathlib.Path(tempfile.mkdtemp(prefix="cbr-alarms-"))
        cls.addClassCleanup(shutil.rmtree, cls.folder)
        cls.service = Service(cls.folder, None, cls.mailbox.settings())
        cls.addClassCleanup(cls.service.end)
        disks.make(cls.service.pool / "main.raw", 48, random.Random(SEED))
        cls.service.start()

    def setUp(self):
        be_client(self, self.service)

    def test_an_alarm_is_told_by_mail_and_webhook(self):
        """MON-06 to MON-10: asked, agreed, alarmed, delivered in spite of failures, not repeated."""
        self.cbr("topic", "create", "ops")
        self.cbr("topic", "notices", "ops", "true")
        self.cbr("topic", "subscribe", "ops", "email", "ops@example.org")
        url = f"http://127.0.0.1:{self.hook.server_port}/hook"
        secret = self.cbr("topic", "subscribe", "ops", "http", url)["x-secret"]
        refused = self.service.run("topic", "subscribe", "ops", "sms", "+8613800000000", check=False)
        self.assertIn("notify.sms_url", refused.stderr)
        refused = self.service.run("topic", "subscribe", "ops", "http", "http://10.0.0.1/", check=False)
        self.assertIn("notify.allow_networks", refused.stderr)

        [(to, asked)] = self.poll(lambda: self.mailbox.mails)
        self.assertEqual(to, ["ops@example.org"])
        self.assertEqual(asked["from"], "backup@example.org")
        self.assertIn("订阅", asked.get_content())
        link = mailbox.confirmation(asked)
        with urllib.request.urlopen(link) as page:
            self.assertIn("<form", page.read().decode())
        self.assertEqual(self.statuses(), [0, 0], "looking confirms nothing")
        mailbox.agree(link)
        [(headers, body)] = self.poll(lambda: Receiver.taken)
        self.check_signature(secret, headers, body)
        question = json.loads(body)
        self.assertEqual(question["type"], "SubscriptionConfirmation")
        mailbox.agree(question["confirm_url"])
        self.assertEqual(self.statuses(), [1, 1])
        with self.assertRaises(urllib.error.HTTPError) as caught:
            wrong = question["confirm_url"][:-1] + "x"
            urllib.request.urlopen(urllib.request.Request(wrong, method="POST"))
        self.assertEqual(caught.exception.code, 404)

        self.mailbox.mails.clear()
        Receiver.taken.clear()
        Receiver.failures = 2
        self.cbr("vault", "create", "small", "--type", "disk", "--size", "1", "--resource", "main.raw")
        made = self.cbr("alarm", "create", "--metric", "vault_util<50", "--vault", "small", "--topic", "ops")
        [(to, mail)] = self.poll(lambda: self.mailbox.mails)
        subject = str(mail["subject"])
        self.assertRegex(subject, r"\[major\] Alarm: alarm-[a-z]{4}, vault small / \[重要\] 告警")
        self.assertIn("vault_util < 50%", mail.get_content())
        [(headers, body)] = self.poll(lambda: Receiver.taken)
        self.check_signature(secret, headers, body)
        told = json.loads(body)
        self.assertEqual((told["kind"], told["particulars"]["metric_name"]), ("alarm", "vault_util"))
        self.assertEqual(Receiver.refused, [told["message_id"]] * 2, "the same id for all attempts")
        history = self.cbr("alarm", "history", "--alarm", made["alarm_id"])
        self.assertEqual([record["status"] for record in history], ["alarm"])
        self.assertEqual(history[0]["additional_info"]["told"], 2)

        # MON-10: 48 MiB in 1 GB are more than its threshold of 1 per cent.
        self.mailbox.mails.clear()
        self.cbr("vault", "update", "small", "--threshold", "1")
        self.cbr("backup", "create", "small")
        [(to, mail)] = self.poll(lambda: self.mailbox.mails)
        self.assertIn("Vault usage reached its threshold: small", str(mail["subject"]))
        [event] = self.cbr("alarm", "events")
        self.assertEqual(event["event"], "vaultThreshold")

        deliveries = self.cbr("topic", "deliveries")
        self.poll(lambda: all(one["status"] == "sent" for one in self.cbr("topic", "deliveries")) or None)
        self.assertEqual(len(deliveries), 6, "two questions, two alarms, two notices")
        log = self.service.log.read_text(errors="replace")
        token = link.rsplit("=", 1)[1]
        for hidden in (secret, token):
            self.assertNotIn(hidden, log, "a secret is in the log")

    # --- pieces

    def check_signature(self, secret, headers, body):
        headers = {name.lower(): value for name, value in headers.items()}
        signed = f"{headers['x-cbr-message-id']}.{headers['x-cbr-timestamp']}.".encode() + body
        wanted = "v1=" + hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest()
        self.assertEqual(headers["x-cbr-signature"], wanted)
        self.assertLess(abs(time.time() - int(headers["x-cbr-timestamp"])), 300)

    def statuses(self):
        return [one["status"] for one in self.cbr("topic", "subscriptions")]

    def cbr(self, *words):
        done = self.service.run("-o", "json", *words)
        return json.loads(done.stdout) if done.stdout.strip() else None

    def poll(self, look):
        deadline = time.monotonic() + POLL_SECONDS_MAX
        while not (seen := look()):
            self.assertLess(time.monotonic(), deadline, f"it never comes\n{self.service.tail()}")
            time.sleep(0.05)
        return seen


if __name__ == "__main__":
    unittest.main()
