//! What the bot may do on a server: the permissions that its invite link asks for, and what is lost without each.

/// A permission, and what does not work without it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Permission {
    /// Discord's name of it.
    pub name: &'static str,
    /// Its bit in Discord's numbers.
    pub bits: u64,
    /// What does not work without it.
    pub without_it: &'static str,
}

const fn permission(name: &'static str, bit: u32, without_it: &'static str) -> Permission {
    Permission { name, bits: 1 << bit, without_it }
}

/// The permissions that the invite link asks for.
pub const PERMISSIONS: [Permission; 7] = [
    permission("VIEW_CHANNEL", 10, "nothing is posted at all"),
    permission("SEND_MESSAGES", 11, "no card is posted, and nobody is mentioned"),
    permission("EMBED_LINKS", 14, "cards stay empty"),
    permission("ATTACH_FILES", 15, "raw output does not reach the thread"),
    permission(
        "READ_MESSAGE_HISTORY",
        16,
        "calls stand beside their card and do not answer it, and after a crash a message may be posted twice",
    ),
    permission("CREATE_PUBLIC_THREADS", 35, "what belongs into a thread stands in the channel"),
    permission("SEND_MESSAGES_IN_THREADS", 38, "nothing is posted into threads"),
];

/// The scopes of the invite link.
pub const INVITE_SCOPES: [&str; 2] = ["bot", "applications.commands"];
