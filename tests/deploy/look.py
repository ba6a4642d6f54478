"""Looks at a rendered chart: every document is one, names appear once, and no role has a wildcard or a secret."""

import sys

import yaml

seen = set()
documents = [one for one in yaml.safe_load_all(open(sys.argv[1])) if one]
for one in documents:
    metadata = one["metadata"]
    name = (one["apiVersion"], one["kind"], metadata.get("namespace"), metadata["name"])
    assert name not in seen, f"twice: {name}"
    seen.add(name)
    for rule in one.get("rules") or []:
        words = [word for list_of in rule.values() for word in list_of]
        assert "*" not in "".join(words), f"a wildcard in {name}"
        assert not any(word.startswith("secrets") for word in words), f"secrets in {name}"
roles = {name[2:] for name in seen if name[1] in ("Role", "ClusterRole")}
bound = {name[2:] for name in seen if name[1] in ("RoleBinding", "ClusterRoleBinding")}
assert roles and roles == bound, "each role has its binding"
assert {"Deployment", "Service", "ConfigMap", "ServiceAccount", "PodDisruptionBudget"} <= {name[1] for name in seen}
print(f"{len(documents)} documents")
