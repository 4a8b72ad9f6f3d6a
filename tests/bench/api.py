"""How long lists take over 10 000 vaults and 1 000 000 backups, on SQLite and on PostgreSQL: `scripts/bench api`.

Writes target/bench/api.md. The rows are copies of one vault and one backup that the service made itself, put into its
database while it is stopped; the requests go to the real binary over HTTP, one after the other.

    python3 -m tests.bench.api [--vaults N] [--backups N] [--requests N] [--only sqlite|postgres]
"""

import argparse
import os
import pathlib
import random
import shutil
import sqlite3
import subprocess
import tempfile
import time

from tests.harness import disks, postgres
from tests.harness.api import Api
from tests.harness.service import ROOT, Service

GOAL_MS = {"postgres": 100, "sqlite": 300}
SECONDS_MAX = 10  # of one kind of request
QUIET_SECONDS = 20  # so long nothing may be going on
QUIET_SECONDS_MAX = 300


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--vaults", type=int, default=10_000)
    parser.add_argument("--backups", type=int, default=1_000_000)
    parser.add_argument("--requests", type=int, default=200)
    parser.add_argument("--only", choices=GOAL_MS)
    options = parser.parse_args()
    lines = [f"# Lists over {options.vaults} vaults and {options.backups} backups", ""]
    for kind in [options.only] if options.only else GOAL_MS:
        if kind == "postgres" and postgres.programs() is None:
            lines += ["PostgreSQL is not installed: not measured.", ""]
            continue
        lines += measure(kind, options)
    text = "\n".join(lines)
    print(text)
    report = ROOT / "target" / "bench" / "api.md"
    report.parent.mkdir(parents=True, exist_ok=True)
    report.write_text(text + "\n")


def measure(kind, options):
    """The table of one database."""
    folder = pathlib.Path(tempfile.mkdtemp(prefix="cbr-bench-"))
    cluster = postgres.Postgres().start() if kind == "postgres" else None
    service = Service(folder, cluster.create_database("bench") if cluster else None)
    try:
        disks.make(service.pool / "disk.raw", 8, random.Random(1))
        service.start()
        api = Api(service)
        vault = api.create_vault("template")["id"]
        api.bind(vault, api.volumes()[0]["id"])
        point = api.back_up(vault, "template")["id"]
        api.wait_for_all()
        [backup] = api.backups()
        wait_for_sizes(api, backup["id"])
        service.stop()
        began = time.monotonic()
        Rows(kind, service, cluster).copy(vault, point, backup["id"], options.vaults, options.backups)
        seeded = time.monotonic() - began
        service.start()
        quiet = wait_until_quiet()
        goal = GOAL_MS[kind]
        lines = [f"## {kind} (goal: p99 ≤ {goal} ms; rows made in {seeded:.0f} s; {quiet})", ""]
        lines += ["| request | rows | p50 ms | p99 ms | |", "| --- | --: | --: | --: | --- |"]
        for path in requests(options):
            rows, times = timed(api, path, options.requests)
            p50, p99 = times[len(times) // 2], times[min(len(times) - 1, len(times) * 99 // 100)]
            verdict = "" if p99 <= goal else "**over**"
            lines.append(f"| `{path}` | {rows} | {p50:.1f} | {p99:.1f} | {verdict} |")
        return lines + [""]
    finally:
        service.end()
        if cluster:
            cluster.stop()
        shutil.rmtree(folder)


def wait_until_quiet():
    """Until the upkeep right after a start is over, the database's part of it included; says when that was.

    The first pass of verification is over at once, because all backups are copies of one, and then a million rows
    are marked; elsewhere a pass takes weeks.
    """
    began = quiet_since = time.monotonic()
    while time.monotonic() - quiet_since < QUIET_SECONDS and time.monotonic() - began < QUIET_SECONDS_MAX:
        before = busy_seconds()
        time.sleep(5)
        if busy_seconds() - before > 0.5:
            quiet_since = time.monotonic()
    if time.monotonic() - quiet_since < QUIET_SECONDS:
        return f"not quiet within {QUIET_SECONDS_MAX} s"
    return f"quiet after {quiet_since - began:.0f} s"


def busy_seconds():
    """Processor seconds that anything on the machine has used so far."""
    user, nice, system = map(int, pathlib.Path("/proc/stat").read_text().split()[1:4])
    return (user + nice + system) / os.sysconf("SC_CLK_TCK")


def wait_for_sizes(api, backup):
    """Until what the backup costs was counted: the copies shall have it."""
    end = time.monotonic() + 120
    while api.request("GET", f"/v3/{{project}}/backups/{backup}")["backup"]["x-sizes"]["used_bytes"] is None:
        assert time.monotonic() < end, "the sizes of a backup are not counted"
        time.sleep(0.5)


def requests(options):
    middle = identifier(3, options.vaults // 2)
    yield "/vaults?limit=50"
    yield "/vaults"
    yield f"/vaults?limit=50&offset={options.vaults // 2}"
    yield "/vaults?limit=50&name=copy-77"
    yield "/vaults?limit=50&status=available&object_type=disk"
    yield f"/vaults/{middle}"
    yield "/backups?limit=50"
    yield "/backups"
    yield f"/backups?limit=50&offset={options.backups // 2}"
    yield f"/backups?limit=50&marker={identifier(5, options.backups // 2)}"
    yield f"/backups?limit=50&vault_id={middle}"
    yield "/backups?limit=50&name=copy-7777"
    yield "/backups?limit=50&status=available"
    yield f"/backups/{identifier(5, options.backups // 2)}"
    yield "/operation-logs?limit=50"
    yield "/vaults/summary"


def timed(api, path, count):
    """The rows of an answer, and sorted milliseconds until the last byte of up to `count` requests."""
    url = "/v3/{project}" + path
    answer = api.request("GET", url)
    rows = max((len(value) for value in answer.values() if isinstance(value, list)), default=1)
    times, end = [], time.monotonic() + SECONDS_MAX
    while len(times) < count and (len(times) < 3 or time.monotonic() < end):
        began = time.perf_counter()
        # What Python then takes to read the JSON is not the service's: 10 to 26 ms for 1 000 backups.
        api.exchange("GET", api.path(url), None, api.authorised())
        times.append((time.perf_counter() - began) * 1000)
    return rows, sorted(times)


def identifier(kind, number):
    """The id of a copy: `kind` keeps ids of different tables apart."""
    return f"0000000{kind}-0000-4000-8000-{number:012x}"


class Rows:
    """Copies rows inside the database."""

    def __init__(self, kind, service, cluster):
        self.kind, self.service, self.cluster = kind, service, cluster

    def copy(self, vault, point, backup, vaults, backups):
        hexadecimal = "printf('%012x', {})" if self.kind == "sqlite" else "lpad(to_hex({}), 12, '0')"
        made = lambda kind, number: f"'0000000{kind}-0000-4000-8000-' || " + hexadecimal.format(number)
        of_vault = f"(n.i % {vaults}) + 1"
        self._copy("vaults", vault, vaults, {
            "id": made(3, "n.i"), "name": "'copy-' || n.i", "created_at": "t.created_at + n.i",
        })
        self._copy("checkpoints", point, vaults, {"id": made(4, "n.i"), "vault_id": made(3, "n.i")})
        self._copy("backups", backup, backups, {
            "id": made(5, "n.i"), "vault_id": made(3, of_vault), "checkpoint_id": made(4, of_vault),
            # Every vault once a day, up to today.
            "name": "'copy-' || n.i",
            "created_at": f"t.created_at - ({backups} - n.i) / {vaults} * 86400000000 + n.i % {vaults}",
            "resource_id": made(6, of_vault), "root_resource_id": made(6, of_vault),
        })
        # Counted once, as the service does within a minute after a backup.
        self._copy("backup_sizes", backup, backups, {"backup_id": made(5, "n.i")}, "backup_id")
        # As PostgreSQL's autovacuum leaves the tables after a while; SQLite has nothing like it.
        if self.kind == "postgres":
            self._run("VACUUM ANALYZE")
            self._run("CHECKPOINT")

    def _copy(self, table, template, count, changed, key="id"):
        columns = self._columns(table)
        values = ", ".join(changed.get(column, f"t.{column}") for column in columns)
        self._run(
            f"WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {count}) "
            f"INSERT INTO {table} ({', '.join(columns)}) "
            f"SELECT {values} FROM n CROSS JOIN (SELECT * FROM {table} WHERE {key} = '{template}') t"
        )

    def _columns(self, table):
        if self.kind == "sqlite":
            with sqlite3.connect(self._file()) as db:
                return [row[1] for row in db.execute(f"PRAGMA table_info({table})")]
        text = self._psql(
            "SELECT column_name FROM information_schema.columns "
            f"WHERE table_name = '{table}' ORDER BY ordinal_position"
        )
        return text.split()

    def _run(self, sql):
        if self.kind == "sqlite":
            with sqlite3.connect(self._file()) as db:
                db.execute(sql)
        else:
            self._psql(sql)

    def _file(self):
        return self.service.data / "cbr.db"

    def _psql(self, sql):
        host = ["--host", "127.0.0.1", "--port", str(self.cluster.port), "--username", "cbr"]
        command = [self.cluster.bin / "psql", *host, "--dbname", "bench", "-qAt", "-v", "ON_ERROR_STOP=1"]
        done = subprocess.run([*command, "-c", sql], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return done.stdout


if __name__ == "__main__":
    main()
