//! The objects of the simulated cluster, with resource versions and a log of changes to watch.
