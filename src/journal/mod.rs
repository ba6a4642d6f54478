//! The durable journal: events, effects, deliveries and evidence.
