"""Prometheus scrapes a real cbr with the rules of deploy/ until one fires.

    PROMETHEUS=/usr/bin/prometheus target/venv/bin/python -m tests.harness.prometheus
"""

import json
import os
import pathlib
import random
import re
import shutil
import subprocess
import tempfile
import time
import urllib.request

from tests.harness import disks
from tests.harness.service import ROOT, Service, free_port

SECONDS_MAX = 180
RULES = ROOT / "deploy" / "prometheus" / "cbr-alerts.yml"


def main():
    with tempfile.TemporaryDirectory(prefix="cbr-prometheus-") as folder:
        folder = pathlib.Path(folder)
        service = Service(folder, None)
        disks.make(service.pool / "main.raw", 48, random.Random(1))
        process = None
        try:
            service.start()
            os.environ["CBR_BOOTSTRAP_FILE"], os.environ["CBR_URL"] = str(service.bootstrap_file), service.url
            # The used capacity of the next quarter is not waited for: a rule on the age of backups fires.
            service.run("vault", "create", "v", "--type", "disk", "--size", "1", "--resource", "main.raw")
            service.run("backup", "create", "v")
            process, port = start(folder, service.url)
            fired = wait(port, service, process)
            print(f"fired after {fired['seconds']:.0f} s: {fired['name']}: {fired['summary']}")
            check_names(port)
        finally:
            if process is not None:
                process.terminate()
                process.wait()
            service.end()


def start(folder, url):
    """Prometheus with our own rules, looking every second; "old" is a second instead of 26 hours."""
    rules = RULES.read_text().replace("26 * 3600", "1").replace("for: 10m", "for: 2s")
    assert rules != RULES.read_text(), "the rule on the age of backups has changed"
    (folder / "cbr-alerts.yml").write_text(rules)
    config = (RULES.parent / "prometheus.yml").read_text()
    config = config.replace("1m", "1s").replace("127.0.0.1:8700", url.removeprefix("http://"))
    (folder / "prometheus.yml").write_text(config)
    port = free_port()
    program = os.environ.get("PROMETHEUS") or shutil.which("prometheus")
    process = subprocess.Popen(
        [
            program,
            f"--config.file={folder / 'prometheus.yml'}",
            f"--storage.tsdb.path={folder / 'tsdb'}",
            f"--web.listen-address=127.0.0.1:{port}",
        ],
        stdout=(folder / "prometheus.log").open("wb"),
        stderr=subprocess.STDOUT,
    )
    return process, port


def wait(port, service, process):
    began = time.monotonic()
    while True:
        seconds = time.monotonic() - began
        assert process.poll() is None, "Prometheus ended"
        assert seconds < SECONDS_MAX, f"no rule fires\n{service.tail()}"
        alerts = ask(port, "/api/v1/alerts").get("alerts", [])
        for alert in alerts:
            if alert["state"] == "firing" and alert["labels"]["alertname"] == "CbrBackupTooOld":
                name = alert["labels"]["alertname"]
                return {"seconds": seconds, "name": name, "summary": alert["annotations"]["summary"]}
        time.sleep(0.2)


def check_names(port):
    """Every number that a rule looks at and a started server shows is there under that name."""
    known = set(ask(port, "/api/v1/label/__name__/values"))
    wanted = set(re.findall(r"cbr_[a-z_]+", RULES.read_text()))
    # These are there only with an object store.
    absent = {name for name in wanted - known if not name.startswith("cbr_object_store")}
    assert not absent, f"Prometheus has not seen {sorted(absent)}"
    print(f"{len(wanted & known)} of {len(wanted)} metrics of the rules were scraped")


def ask(port, path):
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as answer:
            return json.load(answer)["data"]
    except OSError:
        return {}


if __name__ == "__main__":
    main()
