//! The cloud behaves as what it stands in for.
