"""A disk whose power can be cut without special hardware.

An ext4 in a file `disk.img` on an XFS that can share blocks between files. The loop device below the
ext4 bypasses the page cache (`--direct-io`), so the file holds exactly what has reached "the disk": a
copy of it that shares its blocks – made in one instant – is what a power cut leaves. Mounting the copy
replays the journal, as a machine does when it comes up again.
"""

import contextlib
import fcntl
import os
import pathlib
import shutil
import subprocess
import tempfile

DISK_BYTES = 1 << 30
BELOW_BYTES = 3 << 30
FICLONE = 0x40049409


class Refused(Exception):
    """The machine cannot do this, and why."""


class CutDisk:
    """An ext4 at `self.path`; `cut()` remembers what is on the disk now, `come_up()` goes on with it."""

    def __init__(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="cbr-cut-"))
        self.below, self.path = self.folder / "below", self.folder / "disk"
        self.image, self.copy = self.below / "disk.img", self.below / "cut.img"
        self.undo = contextlib.ExitStack()
        self.undo.callback(shutil.rmtree, self.folder, ignore_errors=True)
        self.upper = None
        try:
            self._make()
        except BaseException:
            self.end()
            raise

    def _make(self):
        if os.geteuid() != 0:
            raise Refused("it needs root, to mount")
        for program in ("losetup", "mkfs.xfs", "mkfs.ext4", "mount"):
            if shutil.which(program) is None:
                raise Refused(f"{program} is not installed")
        file = self.folder / "below.img"
        sparse(file, BELOW_BYTES)
        run("mkfs.xfs", "-q", "-m", "reflink=1", file)
        self.below.mkdir()
        self.path.mkdir()
        device = attach(file)
        self.undo.callback(detach, device)
        run("mount", device, self.below)
        self.undo.callback(unmount, self.below)
        sparse(self.image, DISK_BYTES)
        run("mkfs.ext4", "-q", "-F", "-E", "lazy_itable_init=0,lazy_journal_init=0", self.image)
        self._mount()

    def _mount(self):
        """Nothing is written out by itself within a minute: only what is synced is safe."""
        device = attach(self.image, "--direct-io=on")
        upper = contextlib.ExitStack()
        upper.callback(detach, device)
        self.upper = upper
        run("mount", "-o", "commit=60", device, self.path)
        upper.callback(unmount, self.path)

    def cut(self):
        """What is on the disk at this instant; the disk itself goes on."""
        self.copy.unlink(missing_ok=True)
        with open(self.image, "rb") as disk, open(self.copy, "xb") as copy:
            fcntl.ioctl(copy, FICLONE, disk.fileno())

    def come_up(self):
        """Puts what the cut left in the place of the disk. Nobody uses it any more."""
        self._down()
        os.replace(self.copy, self.image)
        self._mount()

    def _down(self):
        if self.upper is not None:
            upper, self.upper = self.upper, None
            upper.close()

    def end(self):
        """Leaves no mount, no loop device and no file behind."""
        with self.undo:
            self._down()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.end()


def sparse(path, size):
    with open(path, "xb") as file:
        file.truncate(size)


def attach(file, *options):
    return run("losetup", "--find", "--show", *options, file).strip()


def detach(device):
    run("losetup", "--detach", device)


def unmount(path):
    """At once if possible; at the latest when its last user is gone."""
    if subprocess.run(["umount", path], capture_output=True).returncode != 0:
        run("umount", "--lazy", path)


def run(*command):
    """Runs a program of the system; what it cannot do the machine cannot do."""
    path = {**os.environ, "PATH": os.environ["PATH"] + ":/usr/sbin:/sbin"}
    done = subprocess.run(command, capture_output=True, text=True, env=path)
    if done.returncode != 0:
        raise Refused(f"{command[0]}: {done.stderr.strip() or done.returncode}")
    return done.stdout
