"""What the service says about itself, against what it does: schemathesis makes requests of /openapi.json.

Requests that the description allows and requests that it does not: none may end in a fault of the service, and every
answer has the form that is described. Its own environment: target/venv-schemathesis, made by ./scripts/test.

    CBR_EXAMPLES=50 CBR_SEED=7 CBR_SECONDS=600 python3 -m unittest tests.e2e.test_openapi
"""

import os
import pathlib
import random
import shutil
import subprocess
import tempfile
import unittest

from tests.harness import disks
from tests.harness.api import Api
from tests.harness.service import ROOT, Service

PROGRAM = pathlib.Path(os.environ.get("CBR_SCHEMATHESIS", ROOT / "target/venv-schemathesis/bin/st"))
EXAMPLES = os.environ.get("CBR_EXAMPLES", "1")
SECONDS = os.environ.get("CBR_SECONDS", "30")


class OpenApi(unittest.TestCase):
    def test_every_answer_is_one_that_is_described(self):
        """Reliability 10.3: no request that anybody can make is a fault of ours."""
        if not PROGRAM.exists():
            self.skipTest(f"schemathesis is not installed ({PROGRAM})")
        seed = os.environ.get("CBR_SEED", str(random.SystemRandom().randrange(1 << 31)))
        print(f"schemathesis: {EXAMPLES} examples, at most {SECONDS} s, CBR_SEED={seed}", flush=True)
        folder = pathlib.Path(tempfile.mkdtemp(prefix="cbr-e2e-"))
        self.addCleanup(shutil.rmtree, folder)
        service = Service(folder)
        self.addCleanup(service.end)
        disks.make(service.pool / "disk.raw", 8, random.Random(1))
        service.start()
        api = Api(service)
        config = folder / "schemathesis.toml"
        config.write_text(f'[parameters]\n"path.project_id" = "{api.project}"\n')
        arguments = ["--config-file", config, "run", f"{service.url}/openapi.json"]
        arguments += ["--header", f"X-Auth-Token: {api.log_in()}", "--seed", seed]
        arguments += ["--phases", "examples,fuzzing", "--max-examples", EXAMPLES, "--max-time", SECONDS]
        arguments += ["--checks", "not_a_server_error,content_type_conformance,response_schema_conformance"]
        arguments += ["--continue-on-failure", "--no-color", "--warnings", "off"]
        done = subprocess.run([PROGRAM, *map(str, arguments)], cwd=folder, capture_output=True, text=True)
        self.assertEqual(done.returncode, 0, f"{done.stdout[-12000:]}{done.stderr[-2000:]}")
        self.assertIn("Tested", done.stdout)
        self.assertTrue(service.is_healthy(), service.tail())
