"""Measures cbr beside restic, borg and qemu-img on one disk image.

The image is ext4, 8 GiB, about 1.6 GiB of it used by real files of this machine (a seeded choice
from /usr). Each tool in turn takes a full backup, a backup without changes, one after 4 000
scattered writes of 4 KiB, and restores the last one into a new file, which must have the right
hash. All tools see the same bytes; the page cache is warm (`--cold`, as root: dropped before each
step; `--folder /dev/shm`: no disk at all). Before the backup without changes the file is touched, as a disk in use always is, so that
nobody may skip reading it.
"""

import argparse
import json
import pathlib
import shutil
import subprocess
import sys

from . import image, report
from .measure import settle
from .tools import TOOLS, engine_alone

STEPS = ("full", "no change", "increment", "restore")
FOLDER = pathlib.Path(__file__).resolve().parents[2] / "target" / "bench"


def main():
    options = parse()
    work = pathlib.Path(options.folder) / "cbr-bench"
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    FOLDER.mkdir(parents=True, exist_ok=True)
    chosen = [tool for tool in TOOLS if not options.only or tool.name in options.only]
    disk = work / "pool" / "disk.raw"
    disk.parent.mkdir()
    print("== making the image", flush=True)
    facts = image.make(disk, work)
    tools = [tool(work, disk) for tool in chosen]
    results = {tool.name: {} for tool in tools}
    try:
        for step in STEPS:
            if step == "no change":
                disk.touch()
            if step == "increment":
                image.scatter(disk)
            wanted = image.sha256(disk)
            for tool in tools:
                run(tool, step, wanted, results[tool.name], options.cold)
        engine = "" if options.only else engine_alone(work, disk)
    finally:
        for tool in tools:
            tool.end()
        if not options.keep:
            shutil.rmtree(work, ignore_errors=True)
    about = report.about(facts, options)
    (FOLDER / "report.json").write_text(json.dumps({"about": about, "results": results}, indent=1))
    text = report.markdown(about, results, STEPS, engine)
    (FOLDER / "report.md").write_text(text)
    print(text)


def run(tool, step, wanted, results, cold):
    """One step of one tool: seconds, peak memory, and what the repository grew by."""
    if step not in tool.steps:
        return
    settle(tool.disk, cold)
    before = tool.stored_bytes()
    took = getattr(tool, step.replace(" ", "_"))()
    took["added_bytes"] = tool.stored_bytes() - before
    if step == "restore":
        restored = image.sha256(tool.target)
        tool.target.unlink()
        if restored != wanted:
            sys.exit(f"{tool.name} restored wrong bytes")
    results[step] = took
    megabytes = took["added_bytes"] / 1e6
    print(
        f"{tool.name:14} {step:10} {took['seconds']:7.2f} s  {took['peak_bytes'] / 1e6:6.0f} MB memory"
        f"  {megabytes:+9.1f} MB",
        flush=True,
    )


def parse():
    parser = argparse.ArgumentParser(prog="scripts/bench")
    parser.add_argument("--cold", action="store_true", help="drop the page cache before each step")
    parser.add_argument("--keep", action="store_true", help="leave image and repositories behind")
    parser.add_argument("--folder", default=FOLDER, help="where to work; a tmpfs leaves the disk's speed out")
    parser.add_argument("--only", action="append", metavar="NAME", help="only this tool")
    return parser.parse_args()


if __name__ == "__main__":
    try:
        main()
    except subprocess.CalledProcessError as error:
        sys.exit(f"{error}\n{error.stderr or ''}")
