-- What is asked with every transaction goes by an index that holds only what is asked for: the cost of an opening does not
-- grow with what is open, planned for later, or done before.
DROP INDEX effects_by_due;
DROP INDEX effects_by_slot;
CREATE INDEX effects_claimed ON effects (room, claimed_until) WHERE state = 'claimed';
CREATE INDEX effects_slot_due ON effects (incident, slot) WHERE state = 'due' AND slot IS NOT NULL;
CREATE INDEX effects_slot_claimed ON effects (incident, slot) WHERE state = 'claimed' AND slot IS NOT NULL;
CREATE INDEX incidents_live ON incidents (id) WHERE life <> 'closed';
CREATE INDEX incidents_quiet ON incidents (id, quiet, life) WHERE quiet AND life <> 'closed';
CREATE INDEX incidents_by_opened ON incidents (opened_at);
CREATE INDEX requests_by_at ON requests (at);

-- When the last event of an incident happened: what is forgotten some time after that is found without reading events.
ALTER TABLE incidents ADD COLUMN last_event_at INTEGER NOT NULL DEFAULT 0;
UPDATE incidents SET last_event_at = coalesce(
    (SELECT at FROM events WHERE events.incident = incidents.id ORDER BY seq DESC LIMIT 1), opened_at);
CREATE INDEX incidents_closed ON incidents (last_event_at) WHERE life = 'closed';

-- Timers that call nobody give way to those that do: after a storm ten thousand of them are due at once.
UPDATE effects SET priority = 3 WHERE state = 'due' AND room = 'engine' AND slot = 'stale';
