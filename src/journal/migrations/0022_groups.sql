-- The groups of an incident are forgotten some time after it closed, and found without reading all of them.
CREATE INDEX groups_by_incident ON groups (incident);
