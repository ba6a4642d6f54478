//! Everything that talks to Kubernetes: resolution, collection of evidence, and the one place that writes.
