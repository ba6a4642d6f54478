"""Every value of the chart is in its README's table and in its schema."""

import json

import yaml

values = yaml.safe_load(open("deploy/chart/values.yaml"))
table = [line for line in open("deploy/chart/README.md") if line.startswith("| `")]
table = "".join(line.split(" | ")[0] for line in table)
schema = json.load(open("deploy/chart/values.schema.json"))["properties"]
for name, value in values.items():
    assert f"`{name}" in table, f"{name} is not in the table"
    assert name in schema, f"{name} is not in the schema"
    for below in value if isinstance(value, dict) and name not in ("config", "resources") else ():
        assert f"`{name}.{below}`" in table or f"`.{below}`" in table, f"{name}.{below} is not in the table"
        assert below in schema[name]["properties"], f"{name}.{below} is not in the schema"
