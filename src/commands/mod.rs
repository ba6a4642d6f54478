//! One file a command of the binary: each builds the parts and connects them; nothing else does.
