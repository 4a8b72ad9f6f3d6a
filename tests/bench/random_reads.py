"""Random reads of 4 KiB over NBD from an export nobody has read yet, beside qemu-nbd on the raw file.

A disk of 1 GiB, all data, half noise, is backed up; then fio's NBD engine reads 4 000 blocks in a seeded
order, one at a time and sixteen at a time. Before each run the service is started anew and, as root, the page cache is
dropped: the first read of a part fetches, authenticates and decodes a whole frame.
"""

import json
import os
import pathlib
import random
import subprocess
import sys
import time

from tests.harness import disks
from tests.harness.world import World

SIZE_MIB = int(os.environ.get("CBR_BENCH_MIB", "1024"))
READS = 4000
DEPTHS = (1, 16)
ROOT = pathlib.Path(__file__).resolve().parents[2]


def main():
    rng = random.Random(3)
    rows = []
    world = World(rng, size_mib=1)
    try:
        world.service.stop()
        fill(world.disk, rng)
        world.service.start()
        backup = world.back_up("one")["id"]
        raw = world.folder / "same.raw"
        subprocess.run(["cp", world.disk, raw], check=True)
        for depth in DEPTHS:
            rows.append((f"qemu-nbd, raw file, depth {depth}", of_qemu(raw, depth)))
            rows.append((f"cbr, cold export, depth {depth}", of_export(world, backup, depth)))
    finally:
        world.end()
    print(report(rows))


def fill(path, rng):
    with open(path, "wb") as disk:
        for _ in range(SIZE_MIB):
            disk.write(disks.content(rng, disks.MIB))
        disks.flush(disk)


def forget():
    """Empties the page cache, if that is allowed."""
    subprocess.run(["sync"], check=True)
    try:
        pathlib.Path("/proc/sys/vm/drop_caches").write_text("3")
    except PermissionError:
        print("not root: the page cache stays warm", file=sys.stderr)


def of_qemu(raw, depth):
    socket = raw.with_suffix(".sock")
    forget()
    server = subprocess.Popen(
        ["qemu-nbd", "--read-only", "--persistent", "--shared=0", "--format=raw", f"--socket={socket}", raw]
    )
    try:
        while not socket.exists():
            assert server.poll() is None, "qemu-nbd ended"
            time.sleep(0.01)
        return fio(f"nbd+unix:///?socket={socket}", depth)
    finally:
        server.kill()
        server.wait()
        socket.unlink(missing_ok=True)


def of_export(world, backup, depth):
    service = world.service
    service.stop()
    forget()
    service.start()
    os.environ["CBR_BOOTSTRAP_FILE"], os.environ["CBR_URL"] = str(service.bootstrap_file), service.url
    begin = time.monotonic()
    shown = service.run("-o", "json", "backup", "mount", "--detach", backup).stdout
    ready = time.monotonic() - begin
    export = json.loads(shown)
    took = fio(export["uri"], depth)
    service.run("backup", "unmount", "--yes", export["id"])
    return {**took, "ready": ready}


def fio(uri, depth):
    """Latencies in microseconds."""
    done = subprocess.run(
        [
            "fio", "--name=reads", "--ioengine=nbd", f"--uri={uri}", "--rw=randread", "--bs=4k", f"--iodepth={depth}",
            f"--size={SIZE_MIB}m", f"--number_ios={READS}", "--randseed=7", "--output-format=json",
        ],
        capture_output=True, text=True, check=True,
    )
    read = json.loads(done.stdout[done.stdout.index("{") :])["jobs"][0]["read"]
    percentile = read["clat_ns"]["percentile"]
    micros = {name: percentile[key] / 1000 for name, key in [("p50", "50.000000"), ("p99", "99.000000")]}
    return {**micros, "iops": read["iops"], "reads": read["total_ios"]}


def report(rows):
    lines = ["| | ready, s | p50, µs | p99, µs | reads/s |", "| --- | --: | --: | --: | --: |"]
    for name, took in rows:
        ready = f"{took['ready']:.2f}" if "ready" in took else "–"
        lines.append(f"| {name} | {ready} | {took['p50']:.0f} | {took['p99']:.0f} | {took['iops']:.0f} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
