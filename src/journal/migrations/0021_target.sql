-- What an incident is about, as in its state: an incident that turns out to be about the same joins it.
ALTER TABLE incidents ADD COLUMN target TEXT;
UPDATE incidents SET target = json_extract(state, '$.target') WHERE life <> 'closed';
CREATE INDEX incidents_by_target ON incidents (target) WHERE life <> 'closed';
