//! The Alertmanager webhook: its body, its route and its authentication.
