"""Measures cbr beside restic, rustic, borg, bupstash, qemu-img and cp on one disk image.

The image is ext4, 8 GiB, about 1.6 GiB of it used by real files of this machine (a seeded choice
from /usr). Each tool in turn takes a full backup, a backup without changes, one after 4 000
scattered writes of 4 KiB, and restores the last one into a new file, which must have the right
hash. All tools see the same bytes; the page cache is warm (`--cold`, as root: dropped before each
step; `--folder /dev/shm`: no disk at all). Before the backup without changes the file is touched, as a disk in use always is, so that
nobody may skip reading it.

Two times are taken: until the tool says that it is done, and until `sync` of the file system returns, because cbr says so
only when everything is durable and others do not wait. With `--runs N` everything is repeated, and medians are reported.
"""

import argparse
import json
import os
import pathlib
import shutil
import statistics
import subprocess
import sys

from . import image, report
from .measure import settle, until_durable
from .tools import TOOLS, engine_alone, stages_alone

STEPS = ("full", "no change", "increment", "restore")
FOLDER = pathlib.Path(__file__).resolve().parents[2] / "target" / "bench"


def main():
    options = parse()
    work = pathlib.Path(options.folder) / "cbr-bench"
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    FOLDER.mkdir(parents=True, exist_ok=True)
    chosen = [tool for tool in TOOLS if not options.only or tool.name in options.only]
    missing = [tool.name for tool in chosen if not tool.is_there()]
    for name in missing:
        print(f"== {name} is not installed and left out", flush=True)
    chosen = [tool for tool in chosen if tool.is_there()]
    print("== making the image", flush=True)
    pristine = work / "pristine.raw"
    facts = image.make(pristine, work)
    load = os.getloadavg()[0]
    runs, engine, stages = [], [], {}
    try:
        for number in range(options.runs):
            print(f"== run {number + 1} of {options.runs}", flush=True)
            runs.append(one_run(work / "run", pristine, chosen, options))
            if not options.only:
                engine.append(engine_alone(work / "run", pristine))
            if not options.keep:
                shutil.rmtree(work / "run", ignore_errors=True)
        if not options.only:
            stages = stages_alone(pristine)
    finally:
        if not options.keep:
            shutil.rmtree(work, ignore_errors=True)
    loads = {"load_before": load, "load_after": os.getloadavg()[0]}
    about = report.about(facts, options, chosen) | loads | {"missing": missing}
    results = {
        tool.name: {step: median([run[tool.name][step] for run in runs]) for step in tool.steps}
        for tool in chosen
    }
    engine = [median(list(steps)) for steps in zip(*engine)]
    record = {"about": about, "results": results, "engine": engine, "stages": stages, "runs": runs}
    (FOLDER / "report.json").write_text(json.dumps(record, indent=1))
    text = report.markdown(record, STEPS)
    (FOLDER / "report.md").write_text(text)
    print(text)


def one_run(work, pristine, chosen, options):
    """Every step of every tool, once, in new repositories."""
    shutil.rmtree(work, ignore_errors=True)
    disk = work / "pool" / "disk.raw"
    disk.parent.mkdir(parents=True)
    subprocess.run(["cp", "--sparse=always", pristine, disk], check=True)
    tools, results = [], {tool.name: {} for tool in chosen}
    try:
        for tool in chosen:
            tools.append(tool(work, disk))
        for step in STEPS:
            if step == "no change":
                disk.touch()
            if step == "increment":
                image.scatter(disk)
            wanted = image.sha256(disk)
            for tool in tools:
                run(tool, step, wanted, results[tool.name], options.cold)
    finally:
        for tool in tools:
            tool.end()
    return results


def median(steps):
    """The median of every figure, each by itself."""
    first = steps[0]
    is_figure = lambda value: isinstance(value, (int, float))
    figures = {key: statistics.median(step[key] for step in steps) for key in first if is_figure(first[key])}
    return first | figures


def run(tool, step, wanted, results, cold):
    """One step of one tool: seconds, peak memory, and what the repository grew by."""
    if step not in tool.steps:
        return
    settle(tool.disk, cold)
    before = tool.stored_bytes()
    took = getattr(tool, step.replace(" ", "_"))()
    took["durable_seconds"] = took["seconds"] + until_durable(tool.disk.parent)
    took["added_bytes"] = tool.stored_bytes() - before
    if step == "restore":
        restored = image.sha256(tool.target)
        tool.target.unlink()
        if restored != wanted:
            sys.exit(f"{tool.name} restored wrong bytes")
    results[step] = took
    megabytes = took["added_bytes"] / 1e6
    print(
        f"{tool.name:14} {step:10} {took['seconds']:7.2f} s, durable {took['durable_seconds']:7.2f} s"
        f"  {took['cpu_seconds']:6.2f} CPU s  {took['peak_bytes'] / 1e6:6.0f} MB memory"
        f"  {megabytes:+9.1f} MB",
        flush=True,
    )


def parse():
    parser = argparse.ArgumentParser(prog="scripts/bench")
    parser.add_argument("--cold", action="store_true", help="drop the page cache before each step")
    parser.add_argument("--keep", action="store_true", help="leave image and repositories behind")
    parser.add_argument("--folder", default=FOLDER, help="where to work; a tmpfs leaves the disk's speed out")
    parser.add_argument("--runs", type=int, default=1, metavar="N", help="repeat everything, report medians")
    parser.add_argument("--only", action="append", metavar="NAME", help="only this tool")
    return parser.parse_args()


if __name__ == "__main__":
    try:
        main()
    except subprocess.CalledProcessError as error:
        sys.exit(f"{error}\n{error.stderr or ''}")
