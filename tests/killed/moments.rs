//! The engine killed at moments that mean something: while a step runs, between two, at a question, during a wait.
