//! Discord: draws cards and posts as embeds and buttons, and listens by the gateway or by signed HTTP interactions.

mod gateway;
mod jitter;
mod signature;

pub use gateway::{Entrance, FindGateway, Gateway, GatewayPatience, Hear, NoEntrance, ToMend};
pub use signature::{NotSigned, PublicKey, SIGNATURE_LASTS, SignedClaim};

#[cfg(test)]
mod stories;
