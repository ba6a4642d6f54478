//! Who may approve a fix, how many are needed, and until when. Pure.
