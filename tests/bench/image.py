"""The disk image: real files in a real file system, and scattered writes to it."""

import os
import pathlib
import random
import shutil
import subprocess

from tests.harness.disks import sha256  # noqa: F401  (part of what an image offers)

GIB = 1 << 30
SIZE_BYTES = 8 * GIB
USED_BYTES = 8 * GIB // 5
FILE_BYTES_MAX = 64 << 20
WRITES = 4000
PAGE = 4096
SEED = 1
SOURCE = pathlib.Path("/usr")


def make(path, work):
    """Makes the image; returns what is in it."""
    staging = work / "files"
    staging.mkdir()
    files = used = 0
    for file, size in chosen():
        target = staging / f"{files // 1000:03}" / f"{files:06}-{file.name}"[:120]
        target.parent.mkdir(exist_ok=True)
        shutil.copyfile(file, target)
        files, used = files + 1, used + size
    with open(path, "wb") as disk:
        disk.truncate(SIZE_BYTES)
    command = ["mkfs.ext4", "-q", "-F", "-E", "lazy_itable_init=1", "-d", staging, path]
    subprocess.run(command, check=True, capture_output=True, text=True)
    shutil.rmtree(staging)
    extents = data_extents(path)
    allocated = sum(end - begin for begin, end in extents)
    about = {"files": files, "file_bytes": used, "allocated_bytes": allocated, "size_bytes": SIZE_BYTES}
    return about | {"used_bytes": used_bytes(path, extents), "writes": WRITES}


def chosen():
    """Files of this machine in a seeded order, until there are enough bytes of them.

    A file with several names counts once: on a real disk its content is there once.
    """
    found, seen = [], set()
    for folder, _, names in os.walk(SOURCE):
        for name in names:
            file = pathlib.Path(folder, name)
            if not file.is_file() or file.is_symlink() or not os.access(file, os.R_OK):
                continue
            about = file.stat()
            if about.st_ino not in seen:
                seen.add(about.st_ino)
                found.append((file, about.st_size))
    found.sort()
    random.Random(SEED).shuffle(found)
    used = 0
    for file, size in found:
        if 0 < size <= FILE_BYTES_MAX and used + size <= USED_BYTES:
            used += size
            yield file, size


def used_bytes(path, extents):
    """Bytes of the blocks of 64 KiB that are not zeros."""
    used, zeros = 0, bytes(1 << 16)
    with open(path, "rb") as disk:
        for begin, end in extents:
            disk.seek(begin & ~0xFFFF)
            while disk.tell() < end:
                block = disk.read(1 << 16)
                used += len(block) if block != zeros[: len(block)] else 0
    return used


def scatter(path):
    """Overwrites pages anywhere in the allocated part, always the same ones, with noise."""
    rng = random.Random(SEED)
    extents = data_extents(path)
    pages = [page for begin, end in extents for page in range(begin // PAGE, end // PAGE)]
    with open(path, "r+b") as disk:
        for page in rng.sample(pages, WRITES):
            disk.seek(page * PAGE)
            disk.write(rng.randbytes(PAGE))
        disk.flush()
        os.fsync(disk.fileno())


def data_extents(path):
    """The allocated ranges of a sparse file."""
    extents = []
    with open(path, "rb") as disk:
        end, size = 0, os.fstat(disk.fileno()).st_size
        while end < size:
            try:
                begin = os.lseek(disk.fileno(), end, os.SEEK_DATA)
            except OSError:
                break
            end = os.lseek(disk.fileno(), begin, os.SEEK_HOLE)
            extents.append((begin, end))
    return extents
