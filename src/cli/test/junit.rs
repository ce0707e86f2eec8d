//! What came of scenarios as JUnit's XML, which has no authority of its own: this is the part that CI systems agree on.
//! Tries nothing.

use super::Tested;
use crate::text::{DrawStyle, draw, printable};

pub fn report(tested: &[Tested], invalid: &[(String, String)]) -> String {
    let mut suites = String::new();
    let (mut tests, mut failures) = (0, 0);
    for of in tested {
        let mut cases = String::new();
        let mut failed = 0;
        let mut time = 0.0;
        for tried in &of.tried {
            let seconds = tried.ran.simulated.as_secs_f64();
            time += seconds;
            let name = format!("name=\"{}\" classname=\"{}\"", escaped(&tried.name), escaped(&of.name));
            let place = format!("file=\"{}\" line=\"{}\"", escaped(of.scenarios.name()), tried.line);
            cases.push_str(&format!("    <testcase {name} {place} time=\"{seconds:.3}\""));
            let Some(first) = tried.ran.findings.first() else {
                cases.push_str("/>\n");
                continue;
            };
            failed += 1;
            let drawn: Vec<String> = tried
                .ran
                .findings
                .iter()
                .map(|finding| draw(&finding.source, &finding.diagnostic, DrawStyle::default()))
                .collect();
            let what = format!("type=\"{}\" message=\"{}\"", first.diagnostic.code, escaped(&first.diagnostic.message));
            let text = escaped(&drawn.join("\n"));
            cases.push_str(&format!(">\n      <failure {what}>{text}</failure>\n    </testcase>\n"));
        }
        for why in &of.short {
            failed += 1;
            cases.push_str(&failure(&of.name, "coverage", "short", why));
        }
        let count = of.tried.len() + of.short.len();
        (tests, failures) = (tests + count, failures + failed);
        suites.push_str(&format!(
            "  <testsuite name=\"{}\" tests=\"{count}\" failures=\"{failed}\" errors=\"0\" time=\"{time:.3}\">\n{cases}  \
             </testsuite>\n",
            escaped(&of.name)
        ));
    }
    for (name, why) in invalid {
        (tests, failures) = (tests + 1, failures + 1);
        let case = failure(name, "is well made", "invalid", why);
        suites.push_str(&format!(
            "  <testsuite name=\"{}\" tests=\"1\" failures=\"1\" errors=\"0\">\n{case}  </testsuite>\n",
            escaped(name)
        ));
    }
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites tests=\"{tests}\" failures=\"{failures}\" \
         errors=\"0\">\n{suites}</testsuites>\n"
    )
}

fn failure(suite: &str, name: &str, kind: &str, why: &str) -> String {
    let message = escaped(why.lines().next().unwrap_or_default());
    format!(
        "    <testcase name=\"{name}\" classname=\"{}\">\n      <failure type=\"{kind}\" message=\"{message}\">{}</failure>\n    \
         </testcase>\n",
        escaped(suite),
        escaped(why)
    )
}

/// Text as it may stand in an attribute or between tags; what XML cannot say becomes U+FFFD.
fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in printable(text).chars() {
        match c {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\n' => safe.push_str("&#10;"),
            '\t' => safe.push(' '),
            '\u{fffe}' | '\u{ffff}' => safe.push('\u{fffd}'),
            c if c.is_control() => safe.push('\u{fffd}'),
            c => safe.push(c),
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::escaped;

    #[test]
    fn nothing_gets_out_of_an_attribute() {
        assert_eq!(escaped("a\"><b>&\u{1b}\u{0}\n\u{ffff}ü"), "a&quot;&gt;&lt;b&gt;&amp;\\u{1b}\\u{0}&#10;\u{fffd}ü");
    }
}
