//! The moments at which a process can die, named so that tests can make it die there.

/// A moment in the life of an effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CrashPoint {
    /// It is stored and nobody has claimed it.
    Unclaimed,
    /// It is claimed and nothing has been done.
    Claimed,
    /// It was performed, and what it came to is not stored.
    ActedNotRecorded,
    /// What it came to is stored.
    Recorded,
}

/// Called at each crash point with the name of the room; a test's may end the process.
pub type Crasher = std::sync::Arc<dyn Fn(CrashPoint, &crate::incident::Work) + Send + Sync>;
