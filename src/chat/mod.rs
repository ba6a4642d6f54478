//! The incident channel: card, command grammar, delivery, and one face a platform.
