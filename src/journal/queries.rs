//! The statements that are asked with every transaction. A test holds how SQLite carries each of them out: none reads
//! more rows than it returns or changes, however many incidents and effects there are.

/// An incident's alerts were repeated.
pub(super) const SEEN: &str = "UPDATE incidents SET last_seen = max(last_seen, ?) WHERE id = ?";

/// An incident moves on from the version that was read.
pub(super) const UPDATE_INCIDENT: &str = "UPDATE incidents SET version = ?, life = ?, quiet = ?, \
         target = ?, last_event_at = ?, state = ? WHERE id = ? AND version = ?";

/// An effect of a slot gives its key to a newer one.
pub(super) const REPLACE_IN_SLOT: &str =
    "UPDATE effects SET key = key || '/before-' || id WHERE incident = ? AND slot = ? AND state = 'due'";

/// The newest effect of each slot takes over what is known of those before it. The end of a page is another thing than an
/// update of it: it has all its attempts, and begins at once.
pub(super) const TAKE_OVER: &str = "UPDATE effects AS newest SET \
         attempts = CASE WHEN newest.room = 'pager' THEN newest.attempts \
             ELSE (SELECT max(attempts) FROM effects AS other WHERE other.incident = newest.incident \
                 AND other.slot = newest.slot AND other.state = 'due') END, \
         due = CASE WHEN newest.room = 'pager' THEN newest.due \
             ELSE max(newest.due, coalesce((SELECT max(due) FROM effects AS other \
                 WHERE other.incident = newest.incident AND other.slot = newest.slot AND other.state = 'due' \
                 AND other.last_error IS NOT NULL), newest.due)) END, \
         last_error = coalesce((SELECT last_error FROM effects AS other WHERE other.incident = newest.incident \
             AND other.slot = newest.slot AND other.state = 'due' AND other.last_error IS NOT NULL \
             ORDER BY other.id DESC LIMIT 1), newest.last_error), \
         noticed = (SELECT max(noticed) FROM effects AS other WHERE other.incident = newest.incident \
             AND other.slot = newest.slot AND other.state = 'due'), \
         wanted_at = CASE WHEN newest.room = 'engine' THEN newest.wanted_at \
             ELSE (SELECT min(wanted_at) FROM effects AS other WHERE other.incident = newest.incident \
                 AND other.slot = newest.slot AND other.state = 'due') END \
     WHERE incident = ?1 AND state = 'due' AND slot IS NOT NULL \
         AND EXISTS (SELECT 1 FROM effects AS other WHERE other.incident = newest.incident \
             AND other.slot = newest.slot AND other.state = 'due' AND other.id < newest.id) \
         AND NOT EXISTS (SELECT 1 FROM effects AS other WHERE other.incident = newest.incident \
             AND other.slot = newest.slot AND other.state = 'due' AND other.id > newest.id)";

/// The older effects of each slot go.
pub(super) const GIVE_WAY: &str = "DELETE FROM effects WHERE incident = ?1 AND state = 'due' AND slot IS NOT NULL \
         AND EXISTS (SELECT 1 FROM effects AS other WHERE other.incident = effects.incident \
             AND other.slot = effects.slot AND other.state = 'due' AND other.id > effects.id)";

/// Claims of a room that ran out and are not being performed are due again.
pub(super) const RUN_OUT: &str = "UPDATE effects SET state = 'due', claimed_until = NULL \
     WHERE state = 'claimed' AND room = ?1 AND claimed_until <= ?2 \
         AND id NOT IN (SELECT value FROM json_each(?3)) RETURNING incident";

/// The ranks at which a room has something due.
pub(super) const DUE_RANKS: &str = "SELECT rank.value FROM json_each(?3) AS rank WHERE EXISTS \
         (SELECT 1 FROM effects WHERE state = 'due' AND room = ?1 AND priority = rank.value AND due <= ?2)";

/// Whether nothing holds up the effect `e`. Messages of one incident and channel go out as they were wanted, so one that is
/// tried again holds up those behind it; and a call that is tried again holds up all that are less urgent. What was refused
/// itself three times holds up nothing more: an outage does not count as that, however long it lasts.
macro_rules! in_turn {
    () => {
        "(e.sequence IS NULL OR e.priority = 0 OR (\
            NOT EXISTS (SELECT 1 FROM effects AS before WHERE before.incident = e.incident \
                AND before.sequence = e.sequence AND before.priority = e.priority AND before.id < e.id \
                AND before.state IN ('due', 'claimed') AND before.refusals < 3) \
            AND NOT EXISTS (SELECT 1 FROM effects AS page WHERE page.incident = e.incident \
                AND page.sequence = e.sequence AND page.priority = 0 AND page.attempts > 0 \
                AND page.state IN ('due', 'claimed') AND page.refusals < 3)))"
    };
}

/// How many effects are being performed, or due at a time and not held up.
pub(super) const UNFINISHED: &str = concat!(
    "SELECT (SELECT count(*) FROM effects WHERE state = 'claimed') \
         + (SELECT count(*) FROM effects AS e WHERE state = 'due' AND due <= ?1 AND ",
    in_turn!(),
    ")"
);

/// The earliest time at which something is due that is not held up.
pub(super) const FIRST_DUE: &str = concat!("SELECT min(due) FROM effects AS e WHERE state = 'due' AND ", in_turn!());

/// Claims what is due at one rank of a room, the oldest first. One rank at a time: over several, the index would have to
/// be walked past everything that is planned for later. Of one slot only the newest is taken, and only once the one that
/// is being performed has ended.
pub(super) const CLAIM: &str = concat!(
    "UPDATE effects SET state = 'claimed', claimed_until = ?1, attempts = attempts + 1 \
     WHERE id IN (SELECT id FROM effects AS e WHERE state = 'due' AND room = ?2 AND priority = ?3 AND due <= ?4 \
         AND (slot IS NULL OR (\
             NOT EXISTS (SELECT 1 FROM effects AS other WHERE other.incident = e.incident AND other.slot = e.slot \
                 AND other.state = 'claimed') \
             AND NOT EXISTS (SELECT 1 FROM effects AS other WHERE other.incident = e.incident AND other.slot = e.slot \
                 AND other.state = 'due' AND other.id > e.id))) AND ",
    in_turn!(),
    " ORDER BY due, id LIMIT ?5) \
     RETURNING id, incident, key, due, wanted_at, attempts, refusals, version, work"
);

/// The earliest time after now at which a room has something to do.
pub(super) const NEXT_DUE: &str = "SELECT min(at) FROM (\
         SELECT (SELECT min(due) FROM effects WHERE state = 'due' AND room = ?1 AND priority = rank.value AND due > ?2) AS at \
             FROM json_each(?3) AS rank \
         UNION ALL SELECT min(claimed_until) FROM effects WHERE state = 'claimed' AND room = ?1 AND claimed_until > ?2)";

/// The newest incident of each key.
pub(super) const NEWEST_OF: &str = "SELECT wanted.value AS wanted, state, last_seen FROM json_each(?) AS wanted JOIN incidents \
         ON incidents.id = (SELECT max(id) FROM incidents AS other WHERE other.key = wanted.value)";

/// The names of the newest incidents of these keys, and whether they are open.
pub(super) const NAMES_OF: &str = "SELECT wanted.value, incidents.id, life <> 'closed' FROM json_each(?) AS wanted JOIN incidents \
         ON incidents.id = (SELECT max(id) FROM incidents AS other WHERE other.key = wanted.value)";

/// The incidents that are not closed.
pub(super) const LIVE: &str = "SELECT state, last_seen FROM incidents WHERE life <> 'closed' ORDER BY id DESC LIMIT ?";

/// The newest incidents of any life.
pub(super) const NEWEST: &str = "SELECT state, last_seen FROM incidents ORDER BY id DESC LIMIT ?";

/// The newest incidents that opened within a storm.
pub(super) const QUIET: &str = "SELECT state, last_seen FROM incidents INDEXED BY incidents_quiet WHERE quiet AND life <> 'closed' ORDER BY id DESC LIMIT ?";

/// The incidents that opened since then and stand on their own, oldest first.
pub(super) const OPENED_ALOUD: &str = "SELECT state, last_seen FROM incidents INDEXED BY incidents_aloud \
         WHERE NOT quiet AND life <> 'closed' AND opened_at >= ? ORDER BY opened_at LIMIT ?";

/// How many opened within a storm.
pub(super) const QUIET_COUNT: &str = "SELECT count(*) FROM incidents WHERE quiet AND life <> 'closed'";

/// When the incidents of the last minute opened.
pub(super) const OPENINGS: &str = "SELECT opened_at FROM incidents WHERE opened_at >= ? ORDER BY opened_at";

/// The incidents that were seen in a group of Alertmanager.
pub(super) const IN_GROUP: &str = "SELECT state, last_seen FROM groups JOIN incidents ON incidents.id = groups.incident \
         WHERE group_key = ? AND life <> 'closed'";

/// Their names.
pub(super) const NAMES_IN_GROUP: &str = "SELECT incidents.id FROM groups JOIN incidents ON incidents.id = groups.incident \
         WHERE group_key = ? AND life <> 'closed'";

/// The incidents that a clock that was set is told to: those that are open, and those that ended not long ago.
pub(super) const ASKED_ABOUT: &str = "SELECT id FROM incidents WHERE life <> 'closed' \
     UNION ALL SELECT id FROM incidents WHERE life = 'closed' AND last_event_at >= ?1";

/// Its columns move with the clock.
pub(super) const MOVE_INCIDENT: &str = "UPDATE incidents SET last_seen = last_seen + ?1, opened_at = opened_at + ?1, \
         last_event_at = ?2 WHERE id = ?3";

/// What is wanted and not done, by room.
pub(super) const BACKLOG: &str = "SELECT room, count(*), min(wanted_at) FROM effects \
         WHERE state IN ('due', 'claimed') AND wanted_at <= ? GROUP BY room";

/// What is late, of incidents whose people were not told.
pub(super) const OVERDUE: &str = "SELECT id, incident, wanted_at, work, last_error FROM effects AS e \
         WHERE state IN ('due', 'claimed') AND wanted_at < ?1 \
             AND NOT EXISTS (SELECT 1 FROM effects AS told WHERE told.incident = e.incident AND told.noticed <> 0 \
                 AND told.state IN ('due', 'claimed') AND told.wanted_at < ?1) \
         ORDER BY incident, priority, wanted_at LIMIT ?2";

/// Effects that are over, of incidents that closed long ago.
pub(super) const DONE_LONG_AGO: &str = "SELECT effects.id FROM incidents CROSS JOIN effects \
         ON effects.incident = incidents.id \
         WHERE life = 'closed' AND last_event_at < ?1 AND effects.state IN ('done', 'dead') LIMIT ?2";

/// Groups of incidents that closed long ago.
pub(super) const GROUPS_LONG_AGO: &str = "SELECT group_key, groups.incident FROM incidents CROSS JOIN groups \
         ON groups.incident = incidents.id WHERE life = 'closed' AND last_event_at < ?1 LIMIT ?2";

/// Evidence that is no longer kept.
pub(super) const OLD_EVIDENCE: &str = "DELETE FROM evidence WHERE digest IN \
         (SELECT digest FROM evidence JOIN incidents ON incidents.id = evidence.incident \
             WHERE evidence.at < ?1 AND life = 'closed' AND last_event_at < ?1 LIMIT ?2)";

/// Answers that are no longer kept.
pub(super) const OLD_ANSWERS: &str =
    "DELETE FROM requests WHERE key IN (SELECT key FROM requests WHERE at < ?1 LIMIT ?2)";
