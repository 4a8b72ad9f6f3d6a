"""Runs a command while an S3 server runs, and tells it where that is.

    python3 -m tests.harness.with_s3 moto cargo test -p cbr-store --test s3 foreign
"""

import os
import subprocess
import sys

from . import garage, objects

# What is started, and whether it ignores conditional puts.
SERVERS = {"moto": (objects, objects.Objects, "no"), "garage": (garage, garage.Garage, "yes")}


def main(name, *command):
    module, start, overwrites = SERVERS[name]
    if not module.is_installed():
        # What needs it says that it is skipped.
        return subprocess.call(command)
    server = start()
    try:
        told = {"CBR_TEST_S3": server.for_rust(), "CBR_TEST_S3_OVERWRITES": overwrites}
        return subprocess.call(command, env=os.environ | told)
    finally:
        server.stop()


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
