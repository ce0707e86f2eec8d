//! What programs make of a secret when they write it: every notation that is promised to be masked, worked out here and not
//! by the code that masks. Knows nothing of who looks for them.

use base64::{Engine as _, engine::general_purpose::STANDARD, engine::general_purpose::URL_SAFE};

/// A secret that every notation has to write in its own way.
pub const ODD: &str = "p4ss/w0rd+\"odd 'chars' & <more>=ü";
/// A secret of several lines, of which each long one counts by itself.
pub const KEY: &str = "-----BEGIN KEY\nC4NARY/one+\"x\" & 'y' <z>\nshort\nC4NARYtwoBBBBBBBB\n";

/// One notation of one secret.
#[derive(Clone)]
pub struct Form {
    pub name: String,
    /// What a program prints.
    pub shown: String,
    /// What of it must never come out: of base64 that which hangs on the secret alone; without breaks and escapes.
    pub core: String,
}

/// Every notation of both secrets, and of each long line of the second.
pub fn all() -> Vec<Form> {
    let mut all = of("odd", ODD);
    all.extend(of("key", KEY.trim()));
    for (at, line) in KEY.lines().enumerate().filter(|(_, line)| line.len() >= 8) {
        all.extend(of(&format!("line {}", at + 1), line));
    }
    all
}

fn of(whose: &str, secret: &str) -> Vec<Form> {
    let bytes = secret.as_bytes();
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    let json = |slash: &str, umlaut: &str| {
        let text = secret.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
        text.replace('/', slash).replace('ü', umlaut)
    };
    let xml = |double: &str, single: &str| {
        let text = secret.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
        text.replace('"', double).replace('\'', single)
    };
    let backslashes = |special: &str| -> String {
        secret.chars().flat_map(|c| special.contains(c).then_some('\\').into_iter().chain([c])).collect()
    };
    let mut texts = vec![
        ("raw", secret.to_owned()),
        ("json", json("/", "ü")),
        ("json with slashes", json("\\/", "ü")),
        ("json in ASCII", json("/", "\\u00fc")),
        ("url of a path", percent(bytes, b"-_.~/", "%20", true)),
        ("url of a segment", percent(bytes, b"-_.~", "%20", true)),
        ("lower url of a segment", percent(bytes, b"-_.~", "%20", false)),
        ("form", percent(bytes, b"-_.*", "+", true)),
        ("form that keeps slashes", percent(bytes, b"-_.~/", "+", true)),
        ("xml text", xml("\"", "'")),
        ("xml attribute", xml("&quot;", "&apos;")),
        ("html attribute", xml("&quot;", "&#39;")),
        ("single quotes of a shell", secret.replace('\'', "'\\''")),
        ("double quotes of a shell", backslashes("\"$`\\")),
        ("hex", hex.clone()),
        ("upper hex", hex.to_uppercase()),
    ];
    if !secret.contains('\n') {
        texts.push(("backslashes of a shell", backslashes(" '\"\\|&;()<>!{}*[]?^$`")));
    }
    let form = |name: String, shown: String, core: String| Form { name: format!("{whose}: {name}"), shown, core };
    let mut forms = Vec::new();
    for (name, text) in texts {
        if forms.iter().any(|known: &Form| known.core == text) {
            continue;
        }
        if matches!(name, "raw" | "json" | "upper hex") && !text.contains('\n') {
            forms.push(form(format!("{name}, coloured"), coloured(&text), text.clone()));
            let (left, right) = text.split_at(text.ceil_char_boundary(text.len() / 2));
            forms.push(form(format!("{name}, half of it bold"), format!("{left}\x1b[1m{right}\x1b[0m"), text.clone()));
        }
        if name == "hex" {
            forms.push(form("hex in lines".into(), wrapped(&text, 32, "\n"), text.clone()));
        }
        forms.push(form(name.into(), text.clone(), text));
    }
    for offset in 0..3 {
        for (name, engine) in [("base64", &STANDARD), ("base64 for URLs", &URL_SAFE)] {
            let text = engine.encode([&b"u:"[..offset], bytes, b"!"].concat());
            // Characters that hold bits of a neighbour are no part of it.
            let core = text[(offset * 8).div_ceil(6)..(offset + bytes.len()) * 8 / 6].to_owned();
            let name = format!("{name} after {offset}");
            forms.push(form(format!("{name} in lines"), wrapped(&text, 19, "\n"), core.clone()));
            forms.push(form(format!("{name} in lines of a terminal"), wrapped(&text, 23, "\r\n"), core.clone()));
            if offset == 1 {
                forms.push(form(format!("{name}, coloured"), coloured(&text), core.clone()));
            }
            forms.push(form(name, text, core));
        }
    }
    forms
}

fn percent(bytes: &[u8], keep: &[u8], space: &str, upper: bool) -> String {
    let spell = |byte: &u8| match *byte {
        b' ' => space.to_owned(),
        byte if byte.is_ascii_alphanumeric() || keep.contains(&byte) => char::from(byte).to_string(),
        byte if upper => format!("%{byte:02X}"),
        byte => format!("%{byte:02x}"),
    };
    bytes.iter().map(spell).collect()
}

fn wrapped(text: &str, column: usize, end: &str) -> String {
    let lines: Vec<String> = text.as_bytes().chunks(column).map(|line| String::from_utf8_lossy(line).into()).collect();
    lines.join(end)
}

/// With what terminals show nothing for between all characters.
fn coloured(text: &str) -> String {
    const ESCAPES: [&str; 4] = ["\x1b[31m", "\x1b[0;1m", "\x1b]0;t\x07", "\x1b(B"];
    let mut out = String::new();
    for (at, c) in text.chars().enumerate() {
        if at > 0 {
            out.push_str(ESCAPES[at % ESCAPES.len()]);
        }
        out.push(c);
    }
    out
}
