"""Looks at the dashboard: panels have titles, queries and a place of their own, and Prometheus can read each query."""

import json
import pathlib
import subprocess
import sys
import tempfile

board = json.load(open(sys.argv[1]))
assert board["title"] and board["uid"] and board["schemaVersion"] >= 36
taken, queries = set(), []
for panel in board["panels"]:
    at = panel["gridPos"]
    assert at["x"] + at["w"] <= 24, panel["title"]
    cells = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
    assert not taken & cells, f"{panel['title']} lies over another"
    taken |= cells
    if panel["type"] != "row":
        assert panel["title"] and panel["description"] and panel["targets"], panel["id"]
        queries += [target["expr"].replace("$namespace", ".*") for target in panel["targets"]]
assert len({panel["id"] for panel in board["panels"]}) == len(board["panels"])
with tempfile.TemporaryDirectory() as folder:
    rules = [{"record": f"dashboard:query_{number}", "expr": query} for number, query in enumerate(queries)]
    file = pathlib.Path(folder, "queries.yaml")
    file.write_text(json.dumps({"groups": [{"name": "dashboard", "rules": rules}]}))
    sys.exit(subprocess.run([sys.argv[2], "check", "rules", file]).returncode)
