//! Every character there is, in values that reach scripts and programs: here through variables and arguments, and through
//! `via`, where a shell reads them.

use crate::support::Bed;

/// So many bytes fit into a variable, with its name.
const CHUNK: usize = 100_000;

/// All scalar values but NUL, in texts of that size.
fn chunks() -> Vec<String> {
    let mut chunks = vec![String::new()];
    for character in '\u{1}'..=char::MAX {
        if chunks.last().is_some_and(|chunk| chunk.len() + character.len_utf8() > CHUNK) {
            chunks.push(String::new());
        }
        chunks.last_mut().unwrap().push(character);
    }
    chunks
}

/// A text in YAML's double quotes, with an escape for everything that YAML does not take as it is.
pub fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for character in text.chars() {
        match character {
            ' ' | '!' | '#'..='[' | ']'..='~' | '\u{a0}'..='\u{d7ff}' | '\u{10000}'..='\u{1fffd}'
                if !('\u{2000}'..'\u{2100}').contains(&character) =>
            {
                out.push(character);
            }
            other => out.push_str(&format!("\\U{:08X}", u32::from(other))),
        }
    }
    out + "\""
}

/// A runbook that writes each of `count` values to a file of its own, in every way there is.
fn runbook(count: usize, steps: &[(&str, String)]) -> String {
    let mut text = "title: All\nparams:\n".to_owned();
    for number in 0..count {
        text.push_str(&format!("  v{number}: {{type: string}}\n"));
    }
    text.push_str("steps:\n");
    for (_, step) in steps {
        text.push_str(step);
    }
    text
}

fn writes(name: &str, count: usize, shell: &str) -> String {
    let mut step = format!("  - id: {name}\n    shell:\n      {shell}\n      script: |\n");
    for number in 0..count {
        step.push_str(&format!("        printf %s \"$v{number}\" > {name}.{number}\n"));
    }
    step
}

#[test]
fn every_character_arrives() {
    let python = |count: usize| {
        let env: String = (0..count).map(|number| format!("      V{number}: \"{{{{ v{number} }}}}\"\n")).collect();
        format!(
            "  - id: python\n    env:\n{env}    shell:\n      interpreter: python3\n      script: |\n        import os\n        for n \
             in range({count}): open('python.%d' % n, 'wb').write(os.environb[b'V%d' % n])\n"
        )
    };
    let exec = |count: usize| {
        let arguments: String = (0..count).map(|number| format!(", \"{{{{ v{number} }}}}\"")).collect();
        format!("  - id: exec\n    shell: {{exec: [arguments{arguments}]}}\n")
    };
    let chunks = chunks();
    assert_eq!(chunks.iter().map(|chunk| chunk.chars().count()).sum::<usize>(), 0x11_0000 - 0x800 - 1);
    // All arguments and variables together come to less than what Linux takes.
    for some in chunks.chunks(9) {
        let count = some.len();
        let steps = [
            ("bash", writes("bash", count, "interpreter: bash")),
            ("sh", writes("sh", count, "interpreter: sh")),
            ("python", python(count)),
            ("exec", exec(count)),
            ("via", writes("via", count, "via: [env]")),
            // The shell over there may know no characters at all.
            ("bare", writes("bare", count, "via: [env, -i, LC_ALL=C, PATH=/usr/bin:/bin]")),
        ];
        let bed = Bed::with(&runbook(count, &steps))
            .tool("arguments", "#!/bin/bash\nn=0; for one in \"$@\"; do printf %s \"$one\" > exec.$((n++)); done\n");
        let values: String =
            some.iter().enumerate().map(|(number, text)| format!("v{number}: {}\n", quoted(text))).collect();
        bed.write("values.yaml", &values);
        bed.run(&["run", "./x.yaml", "--params-file", "values.yaml"]).end().code(0);
        for (name, _) in &steps {
            for (number, text) in some.iter().enumerate() {
                let file = format!("{name}.{number}");
                // Not compared with `assert_eq`, which would print a hundred thousand characters.
                assert!(
                    bed.read(&file) == *text,
                    "{file}, which begins with {:?}, is not as it was",
                    text.chars().next()
                );
            }
        }
    }
}

/// The same of what a person gave and of what a step captured, which go through the answers, the record and a resume.
#[test]
fn every_character_of_an_answer_and_a_capture_arrives() {
    for some in chunks().chunks(4) {
        let count = some.len();
        let all = 0..count;
        let each = |of: &dyn Fn(usize) -> String| all.clone().map(of).collect::<Vec<_>>();
        let fields = each(&|n| format!("a{n}: {{type: string}}")).join(", ");
        let captures = each(&|n| {
            format!(
                "  - {{id: c{n}, shell: 'cat said.{n}; printf .', effect: read, capture: {{c{n}: 'result.stdout[:-1]'}}}}\n"
            )
        });
        let write = |to: &str| {
            each(&|n| format!("        printf %s \"$a{n}\" > {to}.a{n}; printf %s \"$c{n}\" > {to}.c{n}\n")).concat()
        };
        let arguments = each(&|n| format!(", \"{{{{ a{n} }}}}\", \"{{{{ c{n} }}}}\"")).concat();
        let text = format!(
            "title: All\nsteps:\n  - {{id: asked, ask: {{fields: {{{fields}}}}}}}\n{}  - {{id: gate, confirm: Go on?}}\n  \
             - id: here\n    shell:\n      script: |\n{}  - id: there\n    shell:\n      via: [env, -i, LC_ALL=C, PATH=/usr/bin:/bin]\n      \
             script: |\n{}  - id: program\n    shell: {{exec: [arguments{arguments}]}}\n",
            captures.concat(),
            write("here"),
            write("there"),
        );
        let bed = Bed::with(&text).tool(
            "arguments",
            "#!/bin/bash\nn=0; while (($#)); do printf %s \"$1\" > program.a$n; printf %s \"$2\" > program.c$n; shift 2; ((++n)); done\n",
        );
        let answers: String = some.iter().enumerate().map(|(n, text)| format!("  a{n}: {}\n", quoted(text))).collect();
        bed.write("answers.yaml", &format!("asked:\n{answers}"));
        for (n, text) in some.iter().enumerate() {
            bed.write(&format!("said.{n}"), text);
        }
        bed.run(&["run", "./x.yaml", "--answers", "answers.yaml"]).end().code(11);
        bed.run(&["resume", "last", "--yes"]).end().code(0);
        for (n, text) in some.iter().enumerate() {
            for place in ["here", "there", "program"] {
                for of in ["a", "c"] {
                    let file = format!("{place}.{of}{n}");
                    assert!(
                        bed.read(&file) == *text,
                        "{file}, which begins with {:?}, is not as it was",
                        text.chars().next()
                    );
                }
            }
        }
    }
}
