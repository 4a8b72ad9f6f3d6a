"""Time and memory of a command, and a quiet machine before it."""

import os
import pathlib
import subprocess
import sys
import time


def settle(disk, cold):
    """Nothing left to write; the image in the page cache, or nothing at all."""
    subprocess.run(["sync"], check=True)
    if cold:
        pathlib.Path("/proc/sys/vm/drop_caches").write_text("3")
    else:
        with open(disk, "rb") as file:
            while file.read(1 << 24):
                pass


# A child's peak begins with its parent's size at the fork: a small parent measures.
SMALL_PARENT = """
import resource, subprocess, sys
output = open(sys.argv[1], "wb")
status = subprocess.call(sys.argv[2:], stdout=output)
used = resource.getrusage(resource.RUSAGE_CHILDREN)
print(used.ru_maxrss, used.ru_utime + used.ru_stime)
sys.exit(status)
"""


def command(*arguments, env=None, cwd=None, output=os.devnull):
    """Runs a command to its end: seconds, processor seconds and peak memory, with its children."""
    begin = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-S", "-c", SMALL_PARENT, str(output), *map(str, arguments)],
        env={**os.environ, **(env or {})}, cwd=cwd, check=True, capture_output=True, text=True,
    )
    seconds = time.monotonic() - begin
    peak, cpu_seconds = done.stdout.split()
    return {"seconds": seconds, "cpu_seconds": float(cpu_seconds), "peak_bytes": int(peak) * 1024}


def of_process(pid, work):
    """Runs work in another process, and reports that process's own peak memory during it."""
    pathlib.Path(f"/proc/{pid}/clear_refs").write_text("5")
    begin, cpu_begin = time.monotonic(), cpu_of(pid)
    work()
    seconds, cpu_seconds = time.monotonic() - begin, cpu_of(pid) - cpu_begin
    status = pathlib.Path(f"/proc/{pid}/status").read_text()
    [peak] = [line.split()[1] for line in status.splitlines() if line.startswith("VmHWM:")]
    return {"seconds": seconds, "cpu_seconds": cpu_seconds, "peak_bytes": int(peak) * 1024}


def cpu_of(pid):
    """Processor seconds that a process has used."""
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def until_durable(folder):
    """Seconds until everything written so far to that file system would survive a power cut."""
    begin = time.monotonic()
    subprocess.run(["sync", "--file-system", folder], check=True)
    return time.monotonic() - begin


def size_of(folder):
    """Bytes of the files in a folder."""
    files = pathlib.Path(folder).rglob("*")
    return sum(file.stat().st_size for file in files if file.is_file())
