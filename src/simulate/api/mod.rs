//! The Kubernetes API of the simulated mesh.
