"""The table of results, with what it was measured on."""

import datetime
import os
import pathlib
import platform
import subprocess


def about(facts, options, chosen):
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
            *(first_line(tool.program, "--version") for tool in chosen if hasattr(tool, "program")),
        ],
        "settings": {tool.name: tool.settings for tool in chosen},
        "peers": [tool.name for tool in chosen if tool.is_peer],
        "runs": options.runs,
    }


def first_line(*command):
    done = subprocess.run(command, capture_output=True, text=True)
    return (done.stdout.splitlines() or [""])[0]


def markdown(record, steps):
    """Tables in Markdown; in brackets how many times cbr's."""
    about, results = record["about"], record["results"]
    parts = [
        "Until the tool says that it is done, seconds:", table(results, steps, "seconds"),
        "Until all of it is durable (`sync` of the file system has returned), seconds:",
        table(results, steps, "durable_seconds"),
        "Processor time, seconds:", table(results, steps, "cpu_seconds"),
        "Space and memory, MB:", sizes(results), source(about),
    ]
    if record["engine"]:
        parts += [engine_text(record["engine"], about), limit_text(record)]
    return "\n\n".join(parts) + "\n"


def table(results, steps, what):
    rows = [(name, [cell(took.get(step), ours(results, step), what, 1) for step in steps]) for name, took in results.items()]
    return lines(steps, rows)


def sizes(results):
    rows = []
    for name, took in results.items():
        added = [cell(took.get(step), ours(results, step), "added_bytes", 1e6) for step in ("full", "increment")]
        peak = max(step["peak_bytes"] for step in took.values())
        rows.append((name, [*added, f"{peak / 1e6:.0f}"]))
    return lines(("repository after the full", "added by the increment", "peak memory"), rows)


def lines(heads, rows):
    begin = ["| | " + " | ".join(heads) + " |", "| --- |" + " --: |" * len(heads)]
    return "\n".join([*begin, *(f"| {name} | " + " | ".join(cells) + " |" for name, cells in rows)])


def ours(results, step):
    return results.get("cbr", {}).get(step)


def source(about):
    settings = "; ".join(f"{name}: {text}" for name, text in about["settings"].items())
    return (
        f"{about['size_bytes'] >> 30} GiB ext4 image with {about['files']} real files, "
        f"{about['used_bytes'] / 1e9:.2f} GB of its blocks not zeros; {about['writes']} scattered 4 KiB writes before the "
        f"increment; on {about['file_system']}, page cache {about['cache']}; {about['cores']} cores of {about['cpu']}, Linux "
        f"{about['kernel']}, load {about['load_before']:.1f} to {about['load_after']:.1f}; {', '.join(about['versions'])}; commit "
        f"{about['commit']}, {about['date']}; median of {about['runs']}. In brackets: times cbr's. Settings: {settings}."
        + (f" Not installed and left out: {', '.join(about['missing'])}." if about["missing"] else "")
    )


def engine_text(engine, about):
    """The engine without the service, and what a change map saves."""
    by_step = {took["step"]: took for took in engine}
    full, mapped = by_step["full"], by_step["with a change map"]
    rows = [
        (took["step"], [f"{took['seconds']:.2f}", f"{took['cpu_seconds']:.2f}", f"{took['stored_bytes'] / 1e6:.0f}", f"{took['peak_mib']}"])
        for took in engine
    ]
    share = 100 * mapped["seconds"] / full["seconds"]
    changed = 100 * mapped["bytes"] / about["used_bytes"]
    return (
        "The engine alone:\n\n" + lines(("seconds", "CPU seconds", "stored or fetched, MB", "peak memory, MiB"), rows)
        + f"\n\nWith a change map the increment took {share:.0f} % of the full's time; the writes touched {changed:.0f} % of "
        "the used blocks."
    )


def limit_text(record):
    """The machine's own limit: its stages' speeds on one core, times its cores."""
    about, stages = record["about"], record["stages"]["seconds_per_gb"]
    full = next(took for took in record["engine"] if took["step"] == "full")
    gigabytes = about["used_bytes"] / 1e9
    needed = stages["compress"] + stages["hash"] + stages["seal"]
    rows = []
    for name, per_gb in (("compress, hash, seal", needed), ("the same, and decode (P6)", needed + stages["decode and compare"]),
                         ("every stage", sum(stages.values()))):
        limit = per_gb * gigabytes / about["cores"]
        service = ours(record["results"], "full")
        reached = [100 * limit / took["seconds"] for took in (full, service) if took]
        share = 100 * per_gb * gigabytes / full["cpu_seconds"]
        cells = [f"{limit:.2f}", f"{share:.0f} %", *(f"{percent:.0f} %" for percent in reached)]
        rows.append((name, cells))
    each = ", ".join(f"{name} {seconds:.3f}" for name, seconds in stages.items())
    return (
        f"The machine's own limit for the full backup, from one core's speed and {about['cores']} cores (seconds per GB: {each}):\n\n"
        + lines(("at best, s", "share of the engine's processor time", "reached by the engine", "by the service"), rows)
    )


def cell(took, ours, what, unit):
    if took is None:
        return "–"
    value = took[what] / unit
    text = f"{value:.2f}" if unit == 1 else f"{value:.0f}"
    if ours and took is not ours and ours[what] > 0:
        text += f" ({took[what] / ours[what]:.1f}×)"
    return text
