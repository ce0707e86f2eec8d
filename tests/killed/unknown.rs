//! Ends that nobody saw: what a look at the effect decides, and what only a person can.
