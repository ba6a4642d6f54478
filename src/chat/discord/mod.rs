//! Discord: draws cards and posts as embeds and buttons, and listens by the gateway or by signed HTTP interactions.
