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
status = subprocess.call(sys.argv[1:], stdout=subprocess.DEVNULL)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
sys.exit(status)
"""


def command(*arguments, env=None, cwd=None):
    """Runs a command to its end: seconds, and peak memory with its children."""
    begin = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-S", "-c", SMALL_PARENT, *map(str, arguments)],
        env={**os.environ, **(env or {})}, cwd=cwd, check=True, capture_output=True, text=True,
    )
    return {"seconds": time.monotonic() - begin, "peak_bytes": int(done.stdout) * 1024}


def of_process(pid, work):
    """Runs work in another process, and reports that process's own peak memory during it."""
    pathlib.Path(f"/proc/{pid}/clear_refs").write_text("5")
    begin = time.monotonic()
    work()
    seconds = time.monotonic() - begin
    status = pathlib.Path(f"/proc/{pid}/status").read_text()
    [peak] = [line.split()[1] for line in status.splitlines() if line.startswith("VmHWM:")]
    return {"seconds": seconds, "peak_bytes": int(peak) * 1024}


def size_of(folder):
    """Bytes of the files in a folder."""
    files = pathlib.Path(folder).rglob("*")
    return sum(file.stat().st_size for file in files if file.is_file())
