"""The table of results, with what it was measured on."""

import datetime
import os
import pathlib
import platform
import subprocess


def about(facts, options):
    """Image, machine, versions, commit and date."""
    cpu = [
        line.split(":")[1].strip()
        for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines()
        if line.startswith("model name")
    ]
    return {
        **facts,
        "cache": "cold" if options.cold else "warm",
        "file_system": first_line("stat", "--file-system", "--format", "%T", str(options.folder)),
        "cores": os.cpu_count(),
        "cpu": cpu[0] if cpu else platform.machine(),
        "kernel": platform.release(),
        "commit": first_line("git", "rev-parse", "--short", "HEAD"),
        "date": datetime.date.today().isoformat(),
        "versions": [
            first_line("restic", "version").split(" compiled")[0],
            first_line("borg", "--version"),
            first_line("qemu-img", "--version").split(" (")[0],
        ],
    }


def first_line(*command):
    done = subprocess.run(command, capture_output=True, text=True)
    return (done.stdout.splitlines() or [""])[0]


def markdown(about, results, steps, engine):
    """Seconds, and in brackets how many times cbr's; sizes in MB; peak memory in MB."""
    ours = results.get("cbr", {})
    heads = [*(f"{step}, s" for step in steps), "repository, MB", "added by increment, MB", "peak memory, MB"]
    lines = ["| | " + " | ".join(heads) + " |", "| --- |" + " --: |" * len(heads)]
    for name, took in results.items():
        cells = [cell(took.get(step), ours.get(step), "seconds", 1) for step in steps]
        cells.append(cell(took.get("full"), ours.get("full"), "added_bytes", 1e6))
        cells.append(cell(took.get("increment"), ours.get("increment"), "added_bytes", 1e6))
        peak = max(step["peak_bytes"] for step in took.values())
        cells.append(f"{peak / 1e6:.0f}")
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    source = (
        f"{about['size_bytes'] >> 30} GiB ext4 image with {about['files']} real files, "
        f"{about['allocated_bytes'] / (1 << 30):.2f} GiB allocated; 4 000 scattered 4 KiB writes before the "
        f"increment; on {about['file_system']}, page cache {about['cache']}; {about['cores']} cores of {about['cpu']}, Linux "
        f"{about['kernel']}; {', '.join(about['versions'])}; commit {about['commit']}, {about['date']}. "
        "In brackets: times cbr's."
    )
    text = "\n".join([*lines, "", source, ""])
    return text + (f"\nThe engine alone:\n\n```\n{engine}```\n" if engine else "")


def cell(took, ours, what, unit):
    if took is None:
        return "–"
    value = took[what] / unit
    text = f"{value:.2f}" if unit == 1 else f"{value:.0f}"
    if ours and took is not ours and ours[what] > 0:
        text += f" ({took[what] / ours[what]:.1f}×)"
    return text
