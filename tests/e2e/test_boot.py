"""A machine boots from a backup: QEMU reads its disk from an export, and what it writes stays beside the backup.

    python3 -m unittest tests.e2e.test_boot

Kernel and modules are Debian's (`scripts/test` fetches them into target/vm); the first programme is a
static busybox in an initramfs. It mounts the exported disk, says what a file on it holds, writes to it, and turns the machine off.
"""

import json
import os
import pathlib
import random
import shutil
import subprocess
import unittest

from tests.harness.service import be_client, ROOT
from tests.harness.world import World

VM = pathlib.Path(os.environ.get("CBR_VM", ROOT / "target" / "vm"))
BOOT_SECONDS_MAX = 240
# Emulated: virtual machines that offer /dev/kvm do not all make it work, and this takes seconds anyway.
ACCELERATOR = ["-accel", "tcg", "-cpu", "qemu64"]
# In this order: each needs the ones before it.
MODULES = [
    "virtio_ring", "virtio", "virtio_pci_legacy_dev", "virtio_pci_modern_dev", "virtio_pci", "virtio_blk",
]
INIT = """#!/bin/busybox sh
/bin/busybox mkdir -p /proc /sys /dev /disk
/bin/busybox mount -t devtmpfs none /dev
for module in {modules}; do /bin/busybox insmod /modules/$module.ko; done
/bin/busybox mount -t ext4 {options} /dev/vda /disk && echo "mounted: $(/bin/busybox cat /disk/marker)"
echo "written before: $(/bin/busybox cat /disk/written 2>/dev/null)"
echo yes > /disk/written && /bin/busybox sync && /bin/busybox umount /disk && echo "the disk was written"
/bin/busybox poweroff -f
"""


def cpio(files):
    """An initramfs: (name, mode, content), in the form the kernel reads."""
    archive = bytearray()
    for number, (name, mode, content) in enumerate([*files, ("TRAILER!!!", 0, b"")], 1):
        path = name.encode() + b"\0"
        fields = [number, mode, 0, 0, 1, 0, len(content), 0, 0, 0, 0, len(path), 0]
        archive += b"070701" + b"".join(b"%08X" % field for field in fields) + path
        archive += bytes(-len(archive) % 4) + content
        archive += bytes(-len(archive) % 4)
    return bytes(archive)


def missing():
    """What this machine lacks, or nothing."""
    if not shutil.which("qemu-system-x86_64"):
        return "qemu-system-x86_64 is not installed"
    if not list(VM.glob("boot/vmlinuz-*")):
        return f"there is no kernel in {VM}"
    if not shutil.which("busybox"):
        return "busybox-static is not installed"
    if b"ld-linux" in pathlib.Path(shutil.which("busybox")).read_bytes()[:8192]:
        return "busybox is not the static one (busybox-static)"
    return None


class Boot(unittest.TestCase):
    def setUp(self):
        if reason := missing():
            print(f"skipped: a machine boots from an export: {reason}", flush=True)
            self.skipTest(reason)
        self.world = World(random.Random(5), size_mib=8)
        self.addCleanup(self.world.end)
        self.service = self.world.service
        self.marker = f"marker-{random.Random(6).randbytes(8).hex()}"
        self.install()
        self.backup = self.world.back_up("one")["id"]
        self.world.disk.write_bytes(bytes(self.world.disk.stat().st_size))

    def install(self):
        """Puts a file system with a marker on the disk."""
        folder = self.world.folder / "root"
        folder.mkdir()
        (folder / "marker").write_text(self.marker)
        subprocess.run(
            ["mkfs.ext4", "-q", "-F", "-d", folder, self.world.disk],
            check=True, env={**os.environ, "PATH": os.environ["PATH"] + ":/sbin:/usr/sbin"},
        )

    def initramfs(self, options):
        directory, executable, plain = 0o040755, 0o100755, 0o100644
        init = INIT.format(modules=" ".join(MODULES), options=options).encode()
        files = [("bin", directory, b""), ("modules", directory, b""), ("init", executable, init)]
        files.append(("bin/busybox", executable, pathlib.Path(shutil.which("busybox")).read_bytes()))
        for module in MODULES:
            [path] = VM.rglob(f"{module}.ko")
            files.append((f"modules/{module}.ko", plain, path.read_bytes()))
        image = self.world.folder / "initramfs"
        image.write_bytes(cpio(files))
        return image

    def cbr(self, *arguments):
        be_client(self, self.service)
        return json.loads(self.service.run("-o", "json", "backup", *arguments).stdout)

    def boot(self, export, options="-o rw"):
        """Boots from the export; what the machine said on its serial line."""
        [kernel] = VM.glob("boot/vmlinuz-*")
        read_only = "off" if export["writable"] else "on"
        done = subprocess.run(
            [
                "qemu-system-x86_64", *ACCELERATOR, "-m", "256",
                "-nodefaults", "-display", "none", "-no-reboot", "-serial", "stdio",
                "-kernel", kernel, "-initrd", self.initramfs(options),
                "-append", "console=ttyS0 quiet panic=-1",
                "-drive", f"file={export['uri']},format=raw,if=virtio,read-only={read_only}",
            ],
            capture_output=True, text=True, timeout=BOOT_SECONDS_MAX, stdin=subprocess.DEVNULL,
        )
        said = done.stdout.replace("\r", "")
        self.assertEqual(done.returncode, 0, f"{said}\n{done.stderr}")
        return said

    def test_a_machine_boots_from_a_backup_and_what_it_writes_stays_beside_it(self):
        """P1: twice from a writable export, with kill -9 between; the backup never changes."""
        export = self.cbr("mount", "--detach", "--writable", self.backup)
        said = self.boot(export)
        self.assertIn(f"mounted: {self.marker}\n", said)
        self.assertIn("written before: \n", said)
        self.assertIn("the disk was written", said)
        self.service.kill()
        self.service.start()
        [export] = self.cbr("exports")
        self.assertIn("written before: yes\n", self.boot(export))
        self.cbr("unmount", "--yes", export["id"])
        self.world.check_restores(self.backup)

    def test_a_machine_boots_from_a_read_only_export(self):
        export = self.cbr("mount", "--detach", self.backup)
        said = self.boot(export, options="-o ro,noload")
        self.assertIn(f"mounted: {self.marker}\n", said)
        self.assertNotIn("the disk was written", said)


if __name__ == "__main__":
    unittest.main()
