"""Gives the configuration of a rendered chart to `mtls-medic serve --check`, with secrets where it names them."""

import pathlib
import re
import subprocess
import sys
import tempfile

import yaml

MOUNTED = "/etc/mtls-medic/secrets"
documents = [one for one in yaml.safe_load_all(open(sys.argv[1])) if one]
config = next(one["data"]["config.yaml"] for one in documents if "config.yaml" in one.get("data", {}))
with tempfile.TemporaryDirectory() as folder:
    for name in re.findall(re.escape(MOUNTED) + r"/([a-z-]+)", config):
        secret = "https://pager.example.org" if name.endswith("-url") else "secret"
        pathlib.Path(folder, name).write_text(secret)
    file = pathlib.Path(folder, "config.yaml")
    file.write_text(config.replace(MOUNTED, folder))
    sys.exit(subprocess.run([sys.argv[2], "serve", "--check", "--config", file]).returncode)
