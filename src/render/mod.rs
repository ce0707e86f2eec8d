//! Runbooks and runs as documents.
use crate::{
    event::{Record, RunId, RunState},
    model::{Names, Runbook},
};
pub fn markdown(_: &Runbook, _: &Names) -> String {
    String::new()
}
pub fn mermaid(_: &Runbook, _: &Names) -> String {
    String::new()
}
pub fn terminal(_: &Runbook, _: &Names, _: usize, _: bool) -> String {
    String::new()
}
pub fn report(_: &RunId, _: &[Record], _: &RunState, _: Option<&Runbook>) -> String {
    String::new()
}
pub fn index(_: &[IndexEntry]) -> String {
    String::new()
}
pub fn drift(_: &str, _: Option<&str>) -> Option<String> {
    None
}
pub struct IndexEntry;
