//! Characters that a reader does not see, or that move what a reader sees. Knows nothing of where they stand.

/// A character that Unicode does not show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hidden {
    /// Its name in Unicode, or what its block is for.
    pub name: &'static str,
    /// It changes the order in which the text around it is shown (UAX #9): what is read is not what is run.
    pub turns: bool,
}

/// What is hidden about a character, if anything is. Controls are none of these: they are refused elsewhere.
pub fn hidden(c: char) -> Option<Hidden> {
    let (name, turns) = match c {
        '\u{ad}' => ("SOFT HYPHEN", false),
        '\u{61c}' => ("ARABIC LETTER MARK", true),
        '\u{180e}' => ("MONGOLIAN VOWEL SEPARATOR", false),
        '\u{200b}' => ("ZERO WIDTH SPACE", false),
        '\u{200c}' => ("ZERO WIDTH NON-JOINER", false),
        '\u{200d}' => ("ZERO WIDTH JOINER", false),
        '\u{200e}' => ("LEFT-TO-RIGHT MARK", true),
        '\u{200f}' => ("RIGHT-TO-LEFT MARK", true),
        '\u{2028}' => ("LINE SEPARATOR", false),
        '\u{2029}' => ("PARAGRAPH SEPARATOR", true),
        '\u{202a}' => ("LEFT-TO-RIGHT EMBEDDING", true),
        '\u{202b}' => ("RIGHT-TO-LEFT EMBEDDING", true),
        '\u{202c}' => ("POP DIRECTIONAL FORMATTING", true),
        '\u{202d}' => ("LEFT-TO-RIGHT OVERRIDE", true),
        '\u{202e}' => ("RIGHT-TO-LEFT OVERRIDE", true),
        '\u{2066}' => ("LEFT-TO-RIGHT ISOLATE", true),
        '\u{2067}' => ("RIGHT-TO-LEFT ISOLATE", true),
        '\u{2068}' => ("FIRST STRONG ISOLATE", true),
        '\u{2069}' => ("POP DIRECTIONAL ISOLATE", true),
        '\u{206a}'..='\u{206f}' => ("a deprecated format character", true),
        '\u{2060}'..='\u{2065}' => ("an invisible operator or joiner", false),
        '\u{115f}' | '\u{1160}' | '\u{3164}' | '\u{ffa0}' => ("HANGUL FILLER", false),
        '\u{feff}' => ("ZERO WIDTH NO-BREAK SPACE", false),
        '\u{fff9}'..='\u{fffb}' => ("INTERLINEAR ANNOTATION", false),
        '\u{e0000}'..='\u{e007f}' => ("a tag character", false),
        _ => return None,
    };
    Some(Hidden { name, turns })
}

#[cfg(test)]
mod tests {
    use super::hidden;

    #[test]
    fn what_is_seen_is_not_hidden() {
        for c in "aä→ש中\u{fe0f}\u{1f469}\n\u{1b}\u{a0}".chars() {
            assert_eq!(hidden(c), None, "{c:?}");
        }
        assert!(hidden('\u{202e}').is_some_and(|hidden| hidden.turns));
        assert!(hidden('\u{200b}').is_some_and(|hidden| !hidden.turns));
    }
}
