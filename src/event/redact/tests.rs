//! What is masked, in which spellings and across which borders; and what passes as it is.

use proptest::prelude::*;

use super::*;
use crate::event::{Event, Record, StepId, StepStatus};

fn redactor(secrets: &[&str]) -> Redactor {
    let redactor = Redactor::new();
    for secret in secrets {
        redactor.add(&Secret::new((*secret).into()), true).unwrap();
    }
    redactor
}

fn streamed(redactor: &Redactor, chunks: &[&[u8]]) -> Vec<u8> {
    let mut stream = redactor.stream();
    let mut out = Vec::new();
    for chunk in chunks {
        stream.push(chunk, &mut out);
    }
    stream.finish(&mut out);
    out
}

/// The whole at once, in two at every place, and byte by byte: all must be what is expected.
fn assert_masked(redactor: &Redactor, text: &[u8], expected: &[u8]) {
    let shown = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert_eq!(shown(&redactor.bytes(text)), shown(expected), "whole: {:?}", shown(text));
    for at in 0..=text.len() {
        let out = streamed(redactor, &[&text[..at], &text[at..]]);
        assert_eq!(shown(&out), shown(expected), "split at {at}: {:?}", shown(text));
    }
    let single: Vec<&[u8]> = text.chunks(1).collect();
    assert_eq!(shown(&streamed(redactor, &single)), shown(expected), "single bytes: {:?}", shown(text));
}

/// A form with terminal escapes of all kinds between its characters.
fn coloured(form: &[u8]) -> Vec<u8> {
    const ESCAPES: [&[u8]; 6] =
        [b"\x1b[31m", b"\x1b[0m", b"\x1b]0;a title\x07", b"\x1b[12;40H", b"\x1b(B\x08", b"\x1b]8;;http://h/\x1b\\"];
    let mut out = Vec::new();
    for (at, byte) in form.iter().enumerate() {
        if at > 0 {
            out.extend_from_slice(ESCAPES[at % ESCAPES.len()]);
        }
        out.push(*byte);
    }
    out
}

const NASTY: &str = "p'ä/\"s &<w>\\d+%$x";

/// Spellings as real programs write them, worked out with those programs (python, bash, go, php, node).
fn spellings() -> Vec<(&'static str, Vec<u8>)> {
    [
        ("raw", NASTY),
        ("json", r#"p'ä/\"s &<w>\\d+%$x"#),
        ("json of php", r#"p'\u00e4\/\"s &<w>\\d+%$x"#),
        ("json of python", r#"p'\u00e4/\"s &<w>\\d+%$x"#),
        ("json of go", r#"p'ä/\"s \u0026\u003cw\u003e\\d+%$x"#),
        ("json in json", r#"p'ä/\\\"s &<w>\\\\d+%$x"#),
        ("quote", "p%27%C3%A4/%22s%20%26%3Cw%3E%5Cd%2B%25%24x"),
        ("quote without slash", "p%27%C3%A4%2F%22s%20%26%3Cw%3E%5Cd%2B%25%24x"),
        ("quote_plus", "p%27%C3%A4%2F%22s+%26%3Cw%3E%5Cd%2B%25%24x"),
        ("lower quote", "p%27%c3%a4%2f%22s%20%26%3cw%3e%5cd%2b%25%24x"),
        ("encodeURIComponent", "p'%C3%A4%2F%22s%20%26%3Cw%3E%5Cd%2B%25%24x"),
        ("encodeURI", "p'%C3%A4/%22s%20&%3Cw%3E%5Cd+%25$x"),
        ("xml text", "p'ä/\"s &amp;&lt;w&gt;\\d+%$x"),
        ("xml attribute", "p&apos;ä/&quot;s &amp;&lt;w&gt;\\d+%$x"),
        ("html of python", "p&#x27;ä/&quot;s &amp;&lt;w&gt;\\d+%$x"),
        ("html of go", "p&#39;ä/&#34;s &amp;&lt;w&gt;\\d+%$x"),
        ("html of a template", "p&#x27;ä&#x2f;&quot;s &amp;&lt;w&gt;\\d+%$x"),
        ("single quotes", "p'\\''ä/\"s &<w>\\d+%$x"),
        ("shlex", "p'\"'\"'ä/\"s &<w>\\d+%$x"),
        ("double quotes", "p'ä/\\\"s &<w>\\\\d+%\\$x"),
        ("printf %q", "p\\'ä/\\\"s\\ \\&\\<w\\>\\\\d+%\\$x"),
        ("$'' of bash", "p\\'ä/\"s &<w>\\\\d+%$x"),
        ("$'' in the C locale", "p\\'\\303\\244/\"s &<w>\\\\d+%$x"),
        ("bytes of python", "p\\'\\xc3\\xa4/\"s &<w>\\\\d+%$x"),
        ("sql", "p''ä/\"s &<w>\\d+%$x"),
        ("csv", "p'ä/\"\"s &<w>\\d+%$x"),
        ("hex", "7027c3a42f2273 20263c773e5c642b252478"),
        ("upper hex", "7027C3A42F227320263C773E5C642B252478"),
        ("base64", "cCfDpC8icyAmPHc+XGQrJSR4"),
        ("urlsafe base64", "cCfDpC8icyAmPHc-XGQrJSR4"),
        ("base64 in a url", "cCfDpC8icyAmPHc%2BXGQrJSR4"),
    ]
    .into_iter()
    .map(|(name, text)| (name, if name == "hex" { text.replace(' ', "") } else { text.into() }.into_bytes()))
    .collect()
}

#[test]
fn every_spelling_at_every_split_plain_and_coloured() {
    let redactor = redactor(&[NASTY, "another secret"]);
    for (name, form) in spellings() {
        let around = |inner: &[u8]| [b"before: ", inner, b" :after"].concat();
        eprintln!("{name}");
        assert_masked(&redactor, &around(&form), b"before: *** :after");
        assert_masked(&redactor, &around(&coloured(&form)), b"before: *** :after");
    }
}

#[test]
fn every_form_that_is_looked_for_is_found() {
    for secret in
        [NASTY, "hunter2hunter2", "line one of it\nline two, 'too'\nx", "0123456789abcdef0123", "a\tb\u{1b}c d;e#f"]
    {
        let redactor = redactor(&[secret]);
        for form in forms_of(secret) {
            let text = [b"<", &form.bytes[..], b">"].concat();
            let shown = String::from_utf8_lossy(&text).into_owned();
            for chunks in [vec![&text[..]], text.chunks(1).collect(), text.chunks(7).collect()] {
                let out = String::from_utf8(streamed(&redactor, &chunks)).unwrap();
                assert!(out.starts_with("<***") && out.ends_with('>'), "{shown:?} became {out:?}");
                assert!(!redactor.holds(&out), "{shown:?} became {out:?}");
            }
        }
    }
}

#[test]
fn base64_at_any_offset_wrapped_at_any_column() {
    let secret = "correct horse battery";
    let redactor = redactor(&[secret]);
    let base64 = |text: &str| base64::Engine::encode(&base64::engine::general_purpose::STANDARD, text);
    for before in ["", "u", "us", "user:", "a longer text before it that fills some columns: "] {
        for after in ["", "!", " and after it"] {
            let whole = base64(&format!("{before}{secret}{after}"));
            let expected = redactor.bytes(whole.as_bytes());
            assert!(String::from_utf8_lossy(&expected).contains(MASK), "{whole}");
            for column in 2..=80 {
                for line_end in ["\n", "\r\n", "\n    ", "\\n"] {
                    let lines: Vec<&str> =
                        whole.as_bytes().chunks(column).map(|l| std::str::from_utf8(l).unwrap()).collect();
                    let wrapped = lines.join(line_end);
                    for chunks in [vec![wrapped.as_bytes()], wrapped.as_bytes().chunks(1).collect()] {
                        let out = String::from_utf8(streamed(&redactor, &chunks)).unwrap();
                        let joined = out.replace("\\n", "").replace(['\n', '\r', ' '], "");
                        // One character may stay before a break: six bits.
                        let lost = joined.replace(MASK, "").len() as isize - (expected.len() as isize - 3);
                        assert!(
                            joined.contains(MASK) && lost <= 1,
                            "{column} {line_end:?}: {wrapped:?} became {out:?}"
                        );
                    }
                }
            }
        }
    }
}

#[test]
fn the_bits_beside_a_base64_window_are_masked() {
    let redactor = redactor(&["hunter2hunter2"]);
    // aHVudGVyMmh1bnRlcjI= : the last character holds bits of the secret's last byte.
    assert_masked(&redactor, b"x aHVudGVyMmh1bnRlcjI= y", b"x ***= y");
    // u:hunter2hunter2
    assert_masked(&redactor, b"Basic dTpodW50ZXIyaHVudGVyMg== y", b"Basic dTp***== y");
}

#[test]
fn prefixes_overlaps_and_repeats() {
    let both = redactor(&["abcdefgh", "abcdefghijkl"]);
    assert_masked(&both, b"1 abcdefgh 2 abcdefghijkl 3 abcdefghijk", b"1 *** 2 *** 3 ***ijk");
    let overlapping = redactor(&["abcdefgh", "efghijkl"]);
    assert_masked(&overlapping, b"1 abcdefghijkl 2 efghijkl", b"1 *** 2 ***");
    let repeated = redactor(&["aaaaaaaa"]);
    assert_masked(&repeated, b"1 aaaaaaaaaaaaaaaaaaa 2 aaaaaaa", b"1 *** 2 aaaaaaa");
    let twice = redactor(&["secret-1234"]);
    assert_masked(&twice, b"secret-1234secret-1234", b"******");
}

#[test]
fn lines_of_a_secret_and_its_end() {
    let key = "-----BEGIN KEY-----\nMIIEvQIBADANBg/kqhkiG9w0\nshort==\n-----END KEY-----\n";
    let redactor = redactor(&[key]);
    assert_masked(&redactor, b"x MIIEvQIBADANBg/kqhkiG9w0 y", b"x *** y");
    assert_masked(&redactor, format!("a\n{key}b").as_bytes(), b"a\n***\nb");
    assert_masked(&redactor, key.replace('\n', "\r\n").as_bytes(), b"***\r\n");
    assert_masked(&redactor, b"short==", b"short==");
}

#[test]
fn short_secrets() {
    let redactor = Redactor::new();
    assert_eq!(redactor.add(&Secret::new("1234567".into()), false), Err(TooShort));
    assert_eq!(redactor.add(&Secret::new("1234567\n\n\n".into()), false), Err(TooShort));
    assert!(!TooShort.to_string().contains("1234567"));
    assert!(redactor.is_empty());
    redactor.add(&Secret::new(String::new()), true).unwrap();
    assert!(redactor.is_empty());
    redactor.add(&Secret::new("1234567".into()), true).unwrap();
    redactor.add(&Secret::new("ab".into()), true).unwrap();
    assert_masked(&redactor, b"x 1234567 ab a b 6162 YWI= y", b"x *** *** a b 6162 YWI= y");
}

#[test]
fn secrets_added_later_are_honoured_by_running_streams() {
    let redactor = redactor(&["first-secret"]);
    let mut stream = redactor.stream();
    let mut out = Vec::new();
    stream.push(b"first-secret second-secret first-", &mut out);
    redactor.add(&Secret::new("second-secret".into()), false).unwrap();
    stream.push(b"secret second-", &mut out);
    stream.push(b"secret\n", &mut out);
    stream.finish(&mut out);
    assert_eq!(String::from_utf8(out).unwrap(), "*** second-secret *** ***\n");
}

#[test]
fn what_is_held_is_little_and_can_be_shown() {
    let redactor = redactor(&["hunter2hunter2"]);
    let mut stream = redactor.stream();
    let mut out = Vec::new();
    stream.push(b"ready> ", &mut out);
    assert_eq!(out, b"ready> ");
    stream.push(b"push", &mut out);
    assert_eq!(stream.held(), 1);
    stream.idle(&mut out);
    assert_eq!(out, b"ready> push");
    // What was shown is not shown again, and the rest of a secret is masked.
    stream.push(b"unter2hunter2 end.", &mut out);
    assert_eq!(out, b"ready> push*** end.");
    // More than a few bytes are not shown.
    out.clear();
    stream.push(b"hunter2", &mut out);
    stream.idle(&mut out);
    assert_eq!(out, b"");
    stream.push(b"! hun", &mut out);
    stream.idle(&mut out);
    stream.push(b"k", &mut out);
    stream.finish(&mut out);
    assert_eq!(out, b"hunter2! hunk");
}

#[test]
fn what_is_held_is_bounded() {
    let redactor = redactor(&["hunter2hunter2"]);
    let mut stream = redactor.stream();
    let mut out = Vec::new();
    stream.push(b"hunter2", &mut out);
    for _ in 0..10_000 {
        stream.push(b"\x1b[31m", &mut out);
        assert!(stream.held() < 20_000);
    }
    stream.push(b"\x1b]0;a title that never ends ", &mut out);
    for _ in 0..10_000 {
        stream.push(b"and on", &mut out);
        assert!(stream.held() < 20_000);
    }
    let mut aaa = Redactor::new().stream();
    aaa.push(b"aaaa", &mut out);
    assert_eq!(aaa.held(), 0);
}

#[test]
fn bytes_that_are_no_text_pass() {
    let redactor = redactor(&["hunter2hunter2"]);
    let all: Vec<u8> = (0..=255).cycle().take(2000).collect();
    assert_eq!(redactor.bytes(&all), all);
    assert_masked(&redactor, b"\xff\xfehunter2hunter2\xc3\x28", b"\xff\xfe***\xc3\x28");
}

#[test]
fn a_broken_word_is_no_secret() {
    let redactor = redactor(&["hunter2hunter2", "0123456789"]);
    for text in ["hunter2\nhunter2", "01234\n56789", "hunter2 hunter2", "hunter2hunter"] {
        assert_masked(&redactor, text.as_bytes(), text.as_bytes());
        assert!(matches!(redactor.text(text), Cow::Borrowed(_)));
    }
}

#[test]
fn json_with_keys_and_numbers() {
    let redactor = redactor(&["hunter2hunter2", "12345678"]);
    let mut json = serde_json::json!({
        "a": ["x hunter2hunter2", 12345678, 1234567, true, null],
        "hunter2hunter2": 1, "***": {"k": "aHVudGVyMmh1bnRlcjI="},
    });
    redactor.json(&mut json);
    let expected = r#"{"a":["x ***","***",1234567,true,null],"***":1,"****":{"k":"***="}}"#;
    assert_eq!(json.to_string(), expected);
}

#[test]
fn records_keep_their_form_and_their_names() {
    let redactor = redactor(&["succeeded", "step_finished", "hunter2hunter2", "12345678"]);
    let mut captures = serde_json::Map::new();
    captures.insert("token".into(), "is hunter2hunter2".into());
    captures.insert("hunter2hunter2".into(), serde_json::json!({"hunter2hunter2": 1}));
    captures.insert("pin".into(), 12345678.into());
    let record = Record {
        seq: 12345678,
        time: jiff::Timestamp::UNIX_EPOCH,
        elapsed_ms: 5,
        event: Event::StepFinished {
            step: StepId::new("use-hunter2hunter2"),
            attempt: 1,
            status: StepStatus::Succeeded,
            exit: Some(12345678),
            signal: None,
            http_status: None,
            duration_ms: 12345678,
            output_sha256: None,
            output_bytes: 0,
            captures,
            withheld: vec!["hunter2hunter2".into()],
            error: Some("it has succeeded".into()),
            interrupted: false,
            gave_up: None,
            no_effect: false,
            output_lost: false,
            notes: vec!["hunter2hunter2".into()],
            left_running: Vec::new(),
        },
    };
    let masked = redactor.record(record);
    assert_eq!(
        serde_json::to_string(&masked).unwrap(),
        r#"{"seq":12345678,"time":"1970-01-01T00:00:00Z","elapsed_ms":5,"event":"step_finished","step":"use-hunter2hunter2","attempt":1,"status":"succeeded","exit":12345678,"duration_ms":12345678,"output_bytes":0,"captures":{"token":"is ***","hunter2hunter2":{"***":1},"pin":"***"},"withheld":["hunter2hunter2"],"error":"it has ***","notes":["***"]}"#
    );
}

/// Pieces that meet what the redactor looks at: parts of secrets, escapes, line breaks, base64 and hex.
fn piece() -> impl Strategy<Value = Vec<u8>> {
    let fixed: Vec<&[u8]> = vec![
        b"hunter2hunter2",
        b"hunter2",
        b"ter2hunter2",
        b"h",
        b"ab'c/ d\"e",
        b"ab'c",
        b"/ d\"e",
        b"ab%27c%2F",
        b"%20d%22e",
        b"\x1b[31m",
        b"\x1b[",
        b"\x1b]0;t",
        b"\x07",
        b"\x1b",
        b"\x1b\\",
        b"3",
        b"1m",
        b"\x08",
        b"m",
        b"\n",
        b"\r\n",
        b"\\n",
        b"\\",
        b"n",
        b"  ",
        b"aHVudGVyMmh1bnRlcjI=",
        b"aHVudGVyMm",
        b"h1bnRlcjI=",
        b"dW50ZXIyaHVudGVyMg",
        b"dW50ZX",
        b"IyaHVudGVyMg",
        b"68756e74",
        b"65723268756e74657232",
        b"text ",
        b"\xff",
        b"\xc3\xa4",
        b"long-secret-with-hunter2",
        b"hunter2-inside",
    ];
    prop_oneof![
        8 => proptest::sample::select(fixed).prop_map(<[u8]>::to_vec),
        1 => proptest::collection::vec(any::<u8>(), 0..6),
    ]
}

const SECRETS: [&str; 5] = [
    "hunter2hunter2",
    "ab'c/ d\"e",
    "long-secret-with-hunter2hunter2-inside",
    "mABCDEFG1",
    "hunter2hunter2\n3text text",
];

#[test]
fn what_is_left_of_an_escape_brings_nothing_together() {
    let redactor = redactor(&SECRETS);
    // A mask inside an escape sequence would otherwise free, or swallow, what stands behind it.
    for text in [
        "long-secret-with-hunter2\u{1b}aHVudGVyMmh1bnRlcjI=hunter2-inside",
        "\u{1b}]0;taHVudGVyMmh1bnRlcjI=ab'c\u{1b}\\/ d\"e",
        "aHVudGVyMm\u{1b}[\u{1b}[ab'c/ d\"e\u{1b}[31mh1bnRlcjI=",
        "aHVudGVyMm\u{1b}\u{1b}\u{1b}[ab'c/ d\"e\u{1b}[31mh1bnRlcjI=",
    ] {
        let masked = redactor.bytes(text.as_bytes());
        assert!(!current_holds(&redactor, &masked), "{text:?} became {:?}", String::from_utf8_lossy(&masked));
        assert_eq!(streamed(&redactor, &[text.as_bytes()]), masked);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1500, max_global_rejects: 20_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn chunks_make_no_difference(pieces in proptest::collection::vec(piece(), 0..24), cuts in proptest::collection::vec(1usize..9, 1..40)) {
        let redactor = redactor(&SECRETS);
        let text = pieces.concat();
        let whole = redactor.bytes(&text);
        let mut chunks = Vec::new();
        let mut rest = &text[..];
        for cut in cuts.iter().cycle() {
            if rest.is_empty() {
                break;
            }
            let (chunk, after) = rest.split_at(rest.len().min(*cut));
            chunks.push(chunk);
            rest = after;
        }
        let out = streamed(&redactor, &chunks);
        prop_assert_eq!(String::from_utf8_lossy(&out), String::from_utf8_lossy(&whole), "text: {:?}", String::from_utf8_lossy(&text));
        // No form is left, neither as it is nor as a terminal shows it.
        prop_assert!(!current_holds(&redactor, &whole), "{:?} became {:?}", String::from_utf8_lossy(&text), String::from_utf8_lossy(&whole));
    }

    #[test]
    fn any_secret_goes_and_other_text_stays(secret in "[ -)+-~äß\n]{8,40}", before in "[a-z ]{0,20}", after in "[a-z ]{0,20}", other in "[A-Z\n]{0,200}") {
        prop_assume!(secret.trim().len() >= 8 && !secret.trim().bytes().all(|b| b.is_ascii_uppercase() || b == b'\n'));
        let redactor = redactor(&[&secret]);
        let text = format!("{before}{secret}{after}");
        let masked = redactor.text(&text);
        prop_assert!(!masked.contains(secret.trim()) && masked.contains(MASK));
        prop_assert_eq!(redactor.text(&other).into_owned(), other);
    }
}

fn current_holds(redactor: &Redactor, bytes: &[u8]) -> bool {
    !redactor.current().find(bytes, false, true).spans.is_empty()
}

#[test]
fn half_a_secret_in_front_of_a_cut_is_masked() {
    let redactor = redactor(&["swordfish-7719"]);
    for (text, masked) in [
        ("it is swordfish-77…", "it is ***…"),
        ("\"swordfi…\" and swor… (9 bytes)", "\"***…\" and ***… (9 bytes)"),
        ("swordfish-7719…", "***…"),
        ("a sword… and words…", "a ***… and words…"),
        ("swo…", "swo…"),
        ("swordfish", "swordfish"),
    ] {
        assert_eq!(redactor.text(text), masked);
        assert_eq!(redactor.holds(text), text != masked, "{text}");
    }
}
