//! The runbooks that set up the services of Socorro, run for real: against a real PostgreSQL, a real RabbitMQ of two nodes,
//! and stand-ins for Consul and Elasticsearch.

mod consul;
mod postgresql;
mod postgresql_faults;
mod rabbitmq;

/// A step of a runbook, from its id to the next one, as it is written.
pub fn step(runbook: &str, id: &str) -> String {
    let path = format!("{}/runbooks/{runbook}.yaml", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(path).unwrap();
    let from = text.find(&format!("  - id: {id}\n")).unwrap_or_else(|| panic!("there is no step {id}"));
    let rest = &text[from + 1..];
    let to = [rest.find("\n  - id: "), rest.find("\nfinally:")].into_iter().flatten().min();
    text[from..to.map_or(text.len(), |at| from + at + 2)].to_owned()
}
