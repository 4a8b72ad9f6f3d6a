"""Backups as disks: exported over NBD, mounted, written to image files, with and without the service.

    python3 -m unittest tests.e2e.test_export
"""

import json
import os
import pathlib
import random
import shutil
import signal
import subprocess
import unittest

from tests.harness import disks
from tests.harness.service import be_client, BINARY, free_port
from tests.harness.world import World

MIB = 1 << 20


def tool(*arguments):
    """Runs a tool of others; what it says when it fails is in the failure."""
    done = subprocess.run([str(argument) for argument in arguments], capture_output=True, text=True)
    assert done.returncode == 0, f"{arguments}: {done.returncode}\n{done.stdout}{done.stderr}"
    return done.stdout


class Export(unittest.TestCase):
    def setUp(self):
        self.rng = random.Random(11)
        self.world = World(self.rng, size_mib=24)
        self.addCleanup(self.world.end)
        self.service = self.world.service
        self.backup = self.world.back_up("one")["id"]
        self.before = self.world.folder / "before.raw"
        tool("cp", "--sparse=always", self.world.disk, self.before)

    def cbr(self, *arguments, check=True):
        """The client, as a person would use it."""
        be_client(self, self.service)
        return self.service.run(*arguments, check=check)

    def export(self, *arguments):
        return json.loads(self.cbr("-o", "json", "backup", *arguments).stdout)

    def test_an_export_is_the_disk_that_was_backed_up(self):
        """P1: read by QEMU and libnbd, holes known without reading them; the backup stays while it is read."""
        disks.scribble(self.world.disk, self.rng)
        export = self.export("export", self.backup, "--nbd")
        uri = export["uri"]
        tool("qemu-img", "compare", "-f", "raw", "-F", "raw", self.before, uri)
        copy = self.world.folder / "copy.raw"
        tool("nbdcopy", uri, copy)
        self.assertEqual(disks.sha256(copy), self.world.committed[self.backup])

        extents = json.loads(tool("nbdinfo", "--map", "--json", uri))
        self.assertEqual(sum(extent["length"] for extent in extents), 24 * MIB)
        holes = sum(extent["length"] for extent in extents if extent["type"] == 3)
        blocks = 24 * MIB // 65536
        data = self.before.read_bytes()
        zero = sum(not any(data[at : at + 65536]) for at in range(0, blocks * 65536, 65536))
        self.assertEqual(holes, zero * 65536)
        self.assertIn('"is_read_only": true', tool("nbdinfo", "--json", uri))

        kept = self.cbr("backup", "delete", "--yes", self.backup, check=False)
        self.assertEqual(kept.returncode, 4, kept.stderr)
        self.assertIn("CBRX.0013", kept.stderr)
        self.cbr("backup", "unmount", export["id"])
        self.assertEqual(self.export("exports"), [])
        self.assertFalse(pathlib.Path(export["socket"]).exists())
        self.cbr("backup", "delete", "--yes", self.backup)

    def test_what_was_flushed_to_a_writable_export_survives_kill_nine(self):
        """P1: and the backup below it never changes."""
        export = self.export("export", self.backup, "--nbd", "--writable")
        changed = self.world.folder / "changed.raw"
        tool("cp", self.before, changed)
        disks.scribble(changed, self.rng, writes=15)
        # Writes what differs, flushes, and closes.
        tool("nbdcopy", "--flush", changed, export["uri"])
        self.service.kill()
        self.assertTrue(pathlib.Path(export["socket"]).exists(), "a socket of the dead")
        self.service.start()
        [again] = self.export("exports")
        self.assertEqual((again["id"], again["status"]), (export["id"], "open"))
        tool("qemu-img", "compare", "-f", "raw", "-F", "raw", changed, again["uri"])
        self.world.check_restores(self.backup)
        self.service.stop()
        self.service.start()
        [again] = self.export("exports")
        tool("qemu-img", "compare", "-f", "raw", "-F", "raw", changed, again["uri"])
        self.cbr("backup", "unmount", "--yes", self.backup)
        self.assertEqual(list((self.service.data / "exports").iterdir()), [])

    def test_a_mounted_backup_is_there_until_ctrl_c(self):
        environment = {**os.environ, "CBR_URL": self.service.url}
        environment["CBR_BOOTSTRAP_FILE"] = str(self.service.bootstrap_file)
        mounted = subprocess.Popen(
            [BINARY, "-o", "json", "backup", "mount", self.backup],
            env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )
        self.addCleanup(mounted.kill)
        self.addCleanup(mounted.stdout.close)
        self.addCleanup(mounted.stderr.close)
        # Said once it can be used.
        self.assertIn("Ctrl-C", mounted.stderr.readline())
        [export] = self.export("exports")
        tool("qemu-img", "compare", "-f", "raw", "-F", "raw", self.before, export["uri"])
        mounted.send_signal(signal.SIGINT)
        self.assertEqual(mounted.wait(30), 0)
        self.assertEqual(self.export("exports"), [])

    def test_raw_and_qcow2_files_hold_the_same_disk(self):
        """P1: from the service and without it, also with the database gone; nothing is overwritten."""
        raw, qcow2 = self.world.folder / "out.raw", self.world.folder / "out.qcow2"
        self.cbr("backup", "export", self.backup, "--raw", raw)
        self.cbr("backup", "export", self.backup, "--qcow2", qcow2)
        self.assertEqual(disks.sha256(raw), self.world.committed[self.backup])
        self.assertLess(raw.stat().st_blocks * 512, 24 * MIB, "holes stay holes")
        tool("qemu-img", "check", "-f", "qcow2", qcow2)
        tool("qemu-img", "compare", "-f", "raw", "-F", "qcow2", raw, qcow2)
        again = self.cbr("backup", "export", self.backup, "--raw", raw, check=False)
        self.assertNotEqual(again.returncode, 0)
        self.assertIn("exists already", again.stderr)
        self.assertEqual(self.export("exports"), [], "also what failed leaves no export")
        self.assertEqual(list(self.world.folder.glob("*.partial")), [])

        self.service.stop()
        (self.service.data / "cbr.db").unlink()
        for name, option, form in [("off.raw", "--raw", "raw"), ("off.qcow2", "--qcow2", "qcow2")]:
            path = self.world.folder / name
            self.service.run("repo", "export", self.backup, option, path, *self.service.place())
            tool("qemu-img", "compare", "-f", form, "-F", "raw", path, raw)

    def test_a_backup_is_exported_without_service_and_database(self):
        """P5: the repository and its key are enough."""
        self.service.stop()
        (self.service.data / "cbr.db").unlink()
        socket = self.world.folder / "offline.sock"
        serving = subprocess.Popen(
            [BINARY, "repo", "export", self.backup, "--nbd", socket, *self.service.place()],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )
        self.addCleanup(serving.kill)
        self.addCleanup(serving.stdout.close)
        self.addCleanup(serving.stderr.close)
        self.assertIn(str(socket), serving.stdout.readline())
        uri = f"nbd+unix:///?socket={socket}"
        tool("qemu-img", "compare", "-f", "raw", "-F", "raw", self.before, uri)
        serving.terminate()
        self.assertEqual(serving.wait(30), 0)
        self.assertFalse(socket.exists())


class Network(unittest.TestCase):
    """Other machines, played by this one: over TCP, with certificates."""

    def setUp(self):
        if not shutil.which("openssl"):
            print("skipped: exports over TLS: openssl is not installed", flush=True)
            self.skipTest("openssl is not installed")
        self.world = World(random.Random(12), size_mib=8)
        self.addCleanup(self.world.end)
        self.service = self.world.service
        self.backup = self.world.back_up("one")["id"]
        self.tls = self.world.folder / "tls"
        self.tls.mkdir()
        self.authority("ca")
        self.authority("other")
        self.certificate("server", "DNS:localhost,IP:127.0.0.1")
        self.certificate("client", "DNS:client")
        self.port = free_port()
        with self.service.config.open("a") as config:
            config.write(f"""
[export]
listen = "127.0.0.1:{self.port}"
public_address = "localhost:{self.port}"
certificate_file = "{self.tls}/server-cert.pem"
key_file = "{self.tls}/server-key.pem"
client_ca_file = "{self.tls}/ca-cert.pem"
""")
        self.service.stop()
        self.service.start()

    def authority(self, name):
        tool(
            "openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "9",
            "-subj", f"/CN={name}", "-keyout", self.tls / f"{name}-key.pem", "-out", self.tls / f"{name}-cert.pem",
        )

    def certificate(self, who, names):
        request, more = self.tls / "request", self.tls / "more"
        tool(
            "openssl", "req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
            "-subj", f"/CN={who}", "-keyout", self.tls / f"{who}-key.pem", "-out", request,
        )
        more.write_text(f"subjectAltName={names}\nextendedKeyUsage={who}Auth\n")
        tool(
            "openssl", "x509", "-req", "-in", request, "-days", "9", "-extfile", more, "-CAcreateserial",
            "-CA", self.tls / "ca-cert.pem", "-CAkey", self.tls / "ca-key.pem", "-out", self.tls / f"{who}-cert.pem",
        )

    def test_other_machines_enter_with_a_certificate_and_a_name_only(self):
        """P1: read by libnbd and by our client; without TLS, certificate or name nothing is told."""
        be_client(self, self.service)
        shown = self.service.run("-o", "json", "backup", "mount", "--detach", self.backup).stdout
        export = json.loads(shown)
        uri = export["network_uri"]
        self.assertEqual(uri, f"nbds://localhost:{self.port}/{export['id']}")
        copy = self.world.folder / "copy.raw"
        tool("nbdcopy", f"{uri}?tls-certificates={self.tls}", copy)
        self.assertEqual(disks.sha256(copy), self.world.committed[self.backup])

        stranger = self.world.folder / "stranger"
        stranger.mkdir()
        shutil.copy(self.tls / "ca-cert.pem", stranger)
        base = f"nbds://localhost:{self.port}"
        refused = [
            ["nbdinfo", "--size", uri.replace("nbds", "nbd")],
            ["nbdinfo", "--size", f"{uri}?tls-certificates={stranger}"],
            ["nbdinfo", "--size", f"{base}/?tls-certificates={self.tls}"],
            ["nbdinfo", "--list", f"{base}/?tls-certificates={self.tls}"],
        ]
        for command in refused:
            done = subprocess.run(command, capture_output=True, text=True)
            self.assertNotEqual(done.returncode, 0, f"{command}: {done.stdout}")

        out = self.world.folder / "out.raw"
        self.service.run("backup", "export", self.backup, "--raw", out, "--tls-certificates", self.tls)
        self.assertEqual(disks.sha256(out), self.world.committed[self.backup])
        self.service.run("backup", "unmount", "--yes", export["id"])
        done = subprocess.run(["nbdinfo", "--size", f"{uri}?tls-certificates={self.tls}"], capture_output=True)
        self.assertNotEqual(done.returncode, 0, "the export has ended")


if __name__ == "__main__":
    unittest.main()
