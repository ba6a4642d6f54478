-- Messages of one incident and channel go out one after the other: what holds one up is found without reading what was sent.
ALTER TABLE effects ADD COLUMN sequence TEXT;
-- How often the message itself was refused. An attempt that met an outage is none of these.
ALTER TABLE effects ADD COLUMN refusals INTEGER NOT NULL DEFAULT 0;
UPDATE effects SET sequence = room || ':' || json_extract(work, '$.to.channel')
    WHERE state IN ('due', 'claimed') AND slot IS NULL
        AND CASE WHEN json_valid(work) THEN json_extract(work, '$.work') IN ('post', 'mention') ELSE 0 END;
CREATE INDEX effects_in_sequence ON effects (incident, sequence, priority)
    WHERE state IN ('due', 'claimed') AND sequence IS NOT NULL;
