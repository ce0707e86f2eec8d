//! The built-in runbooks as a whole: well made, and their committed documents up to date.

use std::rc::Rc;

use runsheet::{
    kinds::registry,
    library::Library,
    model::{Linker, load_from},
    render::{IndexEntry, drift, index, markdown},
    text::{DrawStyle, Source, draw_all},
};

fn committed(name: &str) -> Option<String> {
    std::fs::read_to_string(format!("{}/docs/runbooks/{name}", env!("CARGO_MANIFEST_DIR"))).ok()
}

#[test]
fn every_built_in_is_well_made_and_its_document_is_up_to_date() {
    let library = Library::new(&[], &|_| None);
    let linker = Linker::new(registry(), Rc::new(library));
    let mut entries = Vec::new();
    let mut wrong = String::new();
    for found in Library::built_in() {
        let source = Source::new(found.shown_as(), String::from_utf8(found.bytes).expect("runbooks are text"));
        let loaded = load_from(&found.name, &source, &linker);
        wrong.push_str(&draw_all(&source, &loaded.problems, DrawStyle::default()));
        let Some(runbook) = loaded.runbook else { continue };
        let document = format!("{}.md", found.name);
        if let Some(said) = drift(&markdown(&runbook, &loaded.names), committed(&document).as_deref()) {
            wrong.push_str(&format!("docs/runbooks/{document}: {said}"));
        }
        entries.push(IndexEntry::of(&runbook));
    }
    if let Some(said) = drift(&index(&entries), committed("README.md").as_deref()) {
        wrong.push_str(&format!("docs/runbooks/README.md: {said}"));
    }
    assert!(wrong.is_empty(), "{wrong}\nto write the documents: runsheet render --out docs/runbooks");
    assert!(entries.len() >= 3, "the built-ins are embedded");
}
