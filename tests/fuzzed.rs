//! The fuzzers' promises, held to their seeds and to what they once found. Knows no fuzzer.

#[path = "../fuzz/src/seeds.rs"]
mod seeds;
#[path = "../fuzz/src/targets.rs"]
mod targets;

use std::{panic::catch_unwind, path::Path};

/// Every seed, and every seed cut short and with bytes turned: what a fuzzer tries first.
#[test]
fn every_promise_holds_for_every_seed() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut broken = Vec::new();
    for (target, check) in targets::ALL {
        let seeds = seeds::of(target, root);
        assert!(seeds.len() >= 16, "{target} has {} seeds", seeds.len());
        for (at, (name, bytes)) in seeds.iter().enumerate() {
            for (change, bytes) in [("as it is", bytes.clone()), ("cut", cut(bytes, at)), ("turned", turned(bytes, at))]
            {
                if catch_unwind(|| check(&bytes)).is_err() {
                    broken.push(format!("{target}: {name}, {change}: {:?}", String::from_utf8_lossy(&bytes)));
                }
            }
        }
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

fn cut(bytes: &[u8], at: usize) -> Vec<u8> {
    bytes[..bytes.len() * (at % 7 + 1) / 8].to_vec()
}

/// One byte becomes another one that YAML and expressions give a meaning.
fn turned(bytes: &[u8], at: usize) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    let length = bytes.len().max(1);
    if let Some(byte) = bytes.get_mut(at * 7919 % length) {
        *byte = b"{}[]|'\":,#&*!-% \n\t\0\xff"[at % 20];
    }
    bytes
}
