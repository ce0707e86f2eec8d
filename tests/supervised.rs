//! Steps as processes, through the real binary: their ends, their signals, their output, their surroundings.

mod ends;
mod output;
mod signals;
mod surroundings;
