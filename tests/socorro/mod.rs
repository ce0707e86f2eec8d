//! The built-in runbooks of Socorro, run for real: against a cloud of our own, with each thing that may go wrong, and
//! against the real AWS command line, a local AWS API and the real Terraform.

mod buildbox;
mod checks;
mod deploy;
mod killed;
mod real;
mod world;
