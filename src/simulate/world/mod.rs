//! The world: SPIRE, agents, workloads, proxies and controllers on a world clock.
