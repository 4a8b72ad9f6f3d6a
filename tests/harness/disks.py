"""Disk images with known content."""

import hashlib
import os

MIB = 1 << 20


def make(path, size_mib, rng):
    """A sparse raw image of which every second MiB, roughly, holds data."""
    with open(path, "wb") as disk:
        disk.truncate(size_mib * MIB)
        for mib in range(size_mib):
            if rng.random() < 0.5:
                disk.seek(mib * MIB)
                disk.write(content(rng, MIB))
        flush(disk)
    return sha256(path)


def scribble(path, rng, writes=40):
    """Overwrites random places with random data, and some with zeros."""
    size = os.path.getsize(path)
    with open(path, "r+b") as disk:
        for _ in range(writes):
            length = rng.choice([512, 4096, 70_000])
            disk.seek(rng.randrange(size - length))
            disk.write(bytes(length) if rng.random() < 0.2 else content(rng, length))
        flush(disk)
    return sha256(path)


def destroy(path):
    """Overwrites the whole disk."""
    size = os.path.getsize(path)
    with open(path, "r+b") as disk:
        for _ in range(0, size, MIB):
            disk.write(b"\xdb" * MIB)
        disk.truncate(size)
        flush(disk)


def content(rng, length):
    """Half noise, half repetition: as compressible as real files."""
    noise = rng.randbytes(length // 2)
    return (noise + rng.randbytes(16) * (length // 16))[:length]


def flush(disk):
    disk.flush()
    os.fsync(disk.fileno())


def sha256(path):
    """The hash of a whole file."""
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while part := file.read(MIB):
            digest.update(part)
    return digest.hexdigest()
