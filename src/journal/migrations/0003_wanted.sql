-- When an effect was first wanted. It never moves, while `due` moves with every attempt: what is late is seen by this.
ALTER TABLE effects ADD COLUMN wanted_at INTEGER NOT NULL DEFAULT 0;
UPDATE effects SET wanted_at = due;
-- Whether people were told that it is late.
ALTER TABLE effects ADD COLUMN noticed INTEGER NOT NULL DEFAULT 0;
CREATE INDEX effects_by_wanted ON effects (wanted_at) WHERE state IN ('due', 'claimed');
