//! Steps as processes, through the real binary: their ends, their signals, their output, their surroundings.

mod clock;
mod daemons;
mod ends;
mod helpers;
mod hostile;
mod output;
mod signals;
mod surroundings;
