"""Runs commands of the OpenStack client in one process, because starting it takes longer than they do.

Each line of the input is a list of arguments as JSON; each line of the output tells how it ended.
"""

import contextlib
import io
import json
import sys


def main():
    from openstackclient import shell

    for line in sys.stdin:
        out, err = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            try:
                code = shell.main(json.loads(line))
            except SystemExit as error:
                code = error.code
        print(json.dumps({"code": code, "out": out.getvalue(), "err": err.getvalue()}), flush=True)


main()
