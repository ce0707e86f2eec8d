//! Files of scenarios with mistakes in, drawn errors out, as `tests/bad` does it for runbooks: each
//! `tests/bad-scenarios/NAME.yaml` has what is said about it in `NAME.err`.

use runsheet::{
    scenarios::load,
    syntax::decode,
    text::{DrawStyle, draw_all},
};

use super::{BOOK, book};
use crate::bad::{files, name_of};

#[test]
fn every_mistake_is_drawn_as_recorded() {
    let update = std::env::var_os("UPDATE_GOLDEN").is_some_and(|value| value == "1");
    let book = book(BOOK);
    let mut wrong = String::new();
    let files = files("bad-scenarios");
    for path in &files {
        let name = name_of(path);
        let Ok(source) = decode(name.clone(), std::fs::read(path).unwrap()) else { panic!("{name}: no text") };
        let loaded = load(&source, &book);
        let got = draw_all(&source, &loaded.problems, DrawStyle::default());
        assert!(!got.is_empty(), "{name} has nothing wrong in it");
        let golden = path.with_extension("err");
        if update {
            std::fs::write(&golden, &got).unwrap();
        } else if std::fs::read_to_string(&golden).unwrap_or_default() != got {
            wrong.push_str(&format!("──── {name}: got\n{got}\n"));
        }
    }
    assert!(wrong.is_empty(), "\n{wrong}\nUPDATE_GOLDEN=1 accepts what was got");
    assert!(files.len() >= 5, "only {} files", files.len());
}
