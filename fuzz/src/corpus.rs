//! Puts seeds where the engine looks for them. Knows no target.

use std::{fs, path::Path};

use crate::seeds;

/// Writes the seeds of a target below `fuzz/corpus`, before the engine reads what is there.
pub fn write(target: &str) {
    let own = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folder = own.join("corpus").join(target);
    fs::create_dir_all(&folder).unwrap_or_else(|why| panic!("could not make {}: {why}", folder.display()));
    for (name, bytes) in seeds::of(target, own.parent().unwrap_or(own)) {
        let path = folder.join(name);
        fs::write(&path, bytes).unwrap_or_else(|why| panic!("could not write {}: {why}", path.display()));
    }
}
