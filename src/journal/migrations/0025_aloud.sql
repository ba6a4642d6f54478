-- What opened just before a storm and joins it, found without reading what the storm holds back.
CREATE INDEX incidents_aloud ON incidents (opened_at, quiet, life) WHERE NOT quiet AND life <> 'closed';
