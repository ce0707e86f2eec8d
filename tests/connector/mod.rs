//! The procedures of the Facebook Connector, run for real: Terraform, git, the AWS command line, PostgreSQL.

mod deploy;
mod retry;
mod rollout;
mod token;
mod world;
