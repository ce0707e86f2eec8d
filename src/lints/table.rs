//! The table of lints: what each is called, why it is one, and a runbook that has it beside one that has not. The page
//! `docs/reference/lints.md` and the rules of SARIF are made from it. Looks at nothing itself.

use super::{allow, look::Seen, never, scripts, steps, unused, urls};
use crate::text::Diagnostic;

/// One thing that `check` warns about.
pub struct Lint {
    /// Stable: files name it where they allow it.
    pub code: &'static str,
    /// One line: why it is worth a word.
    pub why: &'static str,
    /// What there is to know besides, for the page.
    pub more: &'static str,
    /// A runbook that has it.
    pub bad: &'static str,
    /// The same, mended.
    pub good: &'static str,
    pub(super) finder: Finder,
}

/// Who finds it.
#[derive(Clone, Copy)]
pub(super) enum Finder {
    Rule(fn(&Seen<'_>, &mut Vec<Diagnostic>)),
    /// Found whenever the file is read.
    Loading,
    /// Found by the program of that name, where there is one.
    Shellcheck,
    /// About the comments that allow others; it cannot be allowed.
    Comment,
}

pub(super) fn is_lint(code: &str) -> bool {
    LINTS.iter().any(|lint| lint.code == code && !matches!(lint.finder, Finder::Comment))
}

/// All lints, in the order of the page.
pub static LINTS: [Lint; 19] = [
    Lint {
        code: "no-verify",
        why: "A change that was cut off may or may not have happened; only `verify` can tell, and the operator has to guess.",
        more: "Of steps whose effect is `change` or `destroy`, unless they are `idempotent` or done by a person.",
        bad: "\
title: Restart the service
steps:
  - id: restart
    shell: systemctl restart web
",
        good: "\
title: Restart the service
steps:
  - id: restart
    shell: systemctl restart web
    verify:
      shell: systemctl is-active web
",
        finder: Finder::Rule(steps::no_verify),
    },
    Lint {
        code: "destroy-without-confirm",
        why: "What is destroyed is gone: somebody should be asked first.",
        more: "A `confirm` earlier in the same list, or in one around it, holds it back. One with a `when` counts only where \
               the step has the same. A choice that a person makes counts for what stands on that way.",
        bad: "\
title: Drop the old table
steps:
  - id: drop
    shell: psql -c 'drop table if exists old'
    effect: destroy
    idempotent: true
    irreversible: true
",
        good: "\
title: Drop the old table
steps:
  - id: sure
    confirm: Drop the table `old`?
  - id: drop
    shell: psql -c 'drop table if exists old'
    effect: destroy
    idempotent: true
    irreversible: true
",
        finder: Finder::Rule(steps::destroy_without_confirm),
    },
    Lint {
        code: "destroy-without-undo",
        why: "Whoever has to go back wants to know whether there is a way, and which.",
        more: "Of steps whose effect is `destroy`, unless they, or a container around them, have an `undo` or say \
               `irreversible: true`.",
        bad: "\
title: Drop the old table
steps:
  - id: sure
    confirm: Drop the table `old`?
  - id: drop
    shell: psql -c 'drop table if exists old'
    effect: destroy
    idempotent: true
",
        good: "\
title: Drop the old table
steps:
  - id: sure
    confirm: Drop the table `old`?
  - id: drop
    shell: psql -c 'drop table if exists old'
    effect: destroy
    idempotent: true
    irreversible: true
",
        finder: Finder::Rule(steps::destroy_without_undo),
    },
    Lint {
        code: "wait-without-fail-when",
        why: "A wait that does not know failure goes on to its end although nothing can come any more.",
        more: "Of a `wait` that looks. Where the thing cannot fail, allow it and say so.",
        bad: "\
title: Wait for the build
steps:
  - id: built
    wait:
      http: {url: \"https://ci.example/build/7\"}
      until: result.json.state == 'done'
",
        good: "\
title: Wait for the build
steps:
  - id: built
    wait:
      http: {url: \"https://ci.example/build/7\"}
      until: result.json.state == 'done'
      fail_when: result.json.state in ['failed', 'aborted']
",
        finder: Finder::Rule(steps::wait_without_fail_when),
    },
    Lint {
        code: "unset-variable",
        why: "Under `set -u` a variable that nobody sets ends the script, half-way through.",
        more: "Of a `$word` that is neither declared, nor in `env` or `requires.env`, nor set by the script.",
        bad: "\
title: Show the version
params:
  version: {type: string}
steps:
  - id: show
    shell: echo \"$version of $service\"
    effect: read
",
        good: "\
title: Show the version
params:
  version: {type: string}
steps:
  - id: show
    shell: echo \"$version of ${service:-any}\"
    effect: read
",
        finder: Finder::Loading,
    },
    Lint {
        code: "value-as-code",
        why: "A value inside an argument of `ssh`, `eval` or `-c` is read as code there: a quote or a `;` in it is obeyed.",
        more: "",
        bad: "\
title: Restart a service elsewhere
params:
  host: {type: string}
  service: {type: string}
steps:
  - id: restart
    shell: ssh \"$host\" \"systemctl restart $service\"
    idempotent: true
",
        good: "\
title: Restart a service elsewhere
params:
  host: {type: string}
  service: {type: string}
steps:
  - id: restart
    shell: printf '%s\\0' \"$service\" | ssh \"$host\" 'xargs -0 systemctl restart --'
    idempotent: true
",
        finder: Finder::Loading,
    },
    Lint {
        code: "curl-without-fail",
        why: "Without `--fail` curl ends with 0 whatever the server answers, and an error page is taken for the file.",
        more: "Of `curl` in scripts and in `exec`, unless it has `-f`, `--fail`, `--fail-with-body`, a `--write-out` whose \
               status somebody looks at, or options that cannot be told from here.",
        bad: "\
title: Fetch the release
steps:
  - id: fetch
    shell: curl -sS -o release.tar.gz https://example.org/release.tar.gz
    idempotent: true
",
        good: "\
title: Fetch the release
steps:
  - id: fetch
    shell: curl -sS --fail-with-body -o release.tar.gz https://example.org/release.tar.gz
    idempotent: true
",
        finder: Finder::Rule(scripts::curl_without_fail),
    },
    Lint {
        code: "secret-in-arguments",
        why: "Everybody on a machine can read the arguments of its programs.",
        more: "Of a secret, what an `ask` takes as one, or a variable of `env` made from either, among the arguments of a \
               program in a script or in `exec`. What the shell does itself (`printf`, `echo`) has no such arguments.",
        bad: "\
title: Log in
secrets:
  token: {env: REGISTRY_TOKEN}
steps:
  - id: login
    shell: docker login --username ci --password \"$token\" registry.example
    idempotent: true
",
        good: "\
title: Log in
secrets:
  token: {env: REGISTRY_TOKEN}
steps:
  - id: login
    shell: docker login --username ci --password-stdin registry.example <<<\"$token\"
    idempotent: true
",
        finder: Finder::Rule(scripts::secret_in_arguments),
    },
    Lint {
        code: "plain-http",
        why: "What goes over plain http can be read and changed on the way, tokens included.",
        more: "Of the addresses of `http` steps, and of values of `url` parameters in `default` and in profiles. This \
               machine itself (`localhost`, `127.0.0.0/8`, `::1`) is none.",
        bad: "\
title: Ask for the version
steps:
  - id: ask-it
    http: {url: \"http://version.example/current\"}
",
        good: "\
title: Ask for the version
steps:
  - id: ask-it
    http: {url: \"https://version.example/current\"}
",
        finder: Finder::Rule(urls::plain_http),
    },
    Lint {
        code: "hidden-character",
        why: "Characters that nobody sees, or that turn the text around them, let a file say one thing and do another.",
        more: "An error, which cannot be allowed, in everything that is run or named (scripts, expressions, addresses, \
               ids), and wherever a character turns the text around it, comments included. A warning in prose. Joiners \
               within words and pictures that need them are none, nor is what is spelt as an escape, such as \
               `\"\\u202E\"`.",
        bad: "\
title: Deploy\u{200b} the site
steps:
  - id: deploy
    shell: ./deploy
    idempotent: true
",
        good: "\
title: Deploy the site
steps:
  - id: deploy
    shell: ./deploy
    idempotent: true
",
        finder: Finder::Loading,
    },
    Lint {
        code: "unused-parameter",
        why: "Whoever runs it is asked for a value that changes nothing.",
        more: "",
        bad: "\
title: Show the date
params:
  zone: {type: string, default: UTC}
steps:
  - id: show
    shell: date
    effect: read
",
        good: "\
title: Show the date
params:
  zone: {type: string, default: UTC}
steps:
  - id: show
    shell: TZ=$zone date
    effect: read
",
        finder: Finder::Rule(unused::parameters),
    },
    Lint {
        code: "unused-secret",
        why: "A secret that nothing uses is one more that must be kept, and looks as if it were needed.",
        more: "",
        bad: "\
title: Look at the service
secrets:
  token: {env: SERVICE_TOKEN}
steps:
  - id: health
    http: {url: \"https://service.example/health\"}
",
        good: "\
title: Look at the service
secrets:
  token: {env: SERVICE_TOKEN}
steps:
  - id: health
    http:
      url: https://service.example/health
      auth: {bearer: token}
",
        finder: Finder::Rule(unused::secrets),
    },
    Lint {
        code: "unused-capture",
        why: "A value that is kept and never looked at is most often one that somebody forgot to test.",
        more: "Of `capture` and of the entries of `set`; what a person types as evidence is never unused.",
        bad: "\
title: Count the nodes
steps:
  - id: count
    shell: kubectl get nodes -o name
    effect: read
    capture:
      nodes: result.lines|length
",
        good: "\
title: Count the nodes
steps:
  - id: count
    shell: kubectl get nodes -o name
    effect: read
    capture:
      nodes: result.lines|length
  - id: enough
    confirm: There are {{ nodes }} nodes. Is that enough?
",
        finder: Finder::Rule(unused::captures),
    },
    Lint {
        code: "unreachable",
        why: "A condition that holds for no value at all is a slip, or a step that nobody can ever run.",
        more: "Of steps, of cases and of what a `needs` depends on, with the conditions around them. Every value of booleans, \
               of parameters with `choices` and of the status of steps is tried, up to 1024 combinations.",
        bad: "\
title: Clean up
params:
  depth: {type: enum, choices: [shallow, deep], default: shallow}
steps:
  - id: deep-clean
    when: depth == 'depe'
    shell: make distclean
    idempotent: true
",
        good: "\
title: Clean up
params:
  depth: {type: enum, choices: [shallow, deep], default: shallow}
steps:
  - id: deep-clean
    when: depth == 'deep'
    shell: make distclean
    idempotent: true
",
        finder: Finder::Rule(never::unreachable),
    },
    Lint {
        code: "else-not-last",
        why: "Whoever reads a choice stops at the `else`, although the cases behind it are tried before it.",
        more: "Of a `choose` without a question.",
        bad: "\
title: Clean up
params:
  deep: {type: boolean, default: false}
steps:
  - id: way
    choose:
      cases:
        - {id: shallow, else: true, steps: [{id: clean, shell: make clean, idempotent: true}]}
        - {id: thorough, when: deep, steps: [{id: clean, shell: make distclean, idempotent: true}]}
",
        good: "\
title: Clean up
params:
  deep: {type: boolean, default: false}
steps:
  - id: way
    choose:
      cases:
        - {id: thorough, when: deep, steps: [{id: clean, shell: make distclean, idempotent: true}]}
        - {id: shallow, else: true, steps: [{id: clean, shell: make clean, idempotent: true}]}
",
        finder: Finder::Rule(steps::else_not_last),
    },
    Lint {
        code: "shellcheck",
        why: "`shellcheck` knows what goes wrong in shell scripts better than any reader.",
        more: "Only where `shellcheck` is on the search path, and not with `--no-shellcheck`: this is the one program that \
               `check` starts. It is given the scripts themselves through descriptors, the options they run under and the \
               names they are handed; it reads no configuration file. Its errors, warnings and notes are told, not its \
               remarks on style. One of its codes alone is allowed by that code: `# runsheet: allow SC2086: …`; its own \
               comments in a script hold as well.",
        bad: "\
title: Remove the cache
params:
  folder: {type: path}
steps:
  - id: remove
    shell: rm -rf -- $folder/cache
    idempotent: true
",
        good: "\
title: Remove the cache
params:
  folder: {type: path}
steps:
  - id: remove
    shell: rm -rf -- \"${folder:?}/cache\"
    idempotent: true
",
        finder: Finder::Shellcheck,
    },
    Lint {
        code: allow::NO_REASON,
        why: "Whoever reads the file next has to know why it is all right here.",
        more: "It allows all the same. It cannot be allowed itself.",
        bad: "\
title: Restart the service
steps:
  - id: restart
    # runsheet: allow no-verify
    shell: systemctl restart web
",
        good: "\
title: Restart the service
steps:
  - id: restart
    # runsheet: allow no-verify: the next step looks at it in any case
    shell: systemctl restart web
",
        finder: Finder::Comment,
    },
    Lint {
        code: allow::UNUSED,
        why: "A comment that allows nothing hides the next thing that it should not.",
        more: "Not of `shellcheck` and its codes where nobody asked it. It cannot be allowed itself.",
        bad: "\
title: Look at the service
steps:
  - id: look
    # runsheet: allow no-verify: it only looks
    shell: systemctl status web
    effect: read
",
        good: "\
title: Look at the service
steps:
  - id: look
    shell: systemctl status web
    effect: read
",
        finder: Finder::Comment,
    },
    Lint {
        code: allow::UNKNOWN,
        why: "A misspelt code allows nothing.",
        more: "It cannot be allowed itself.",
        bad: "\
title: Restart the service
steps:
  - id: restart
    # runsheet: allow no-verfy: the next step looks at it in any case
    shell: systemctl restart web
    idempotent: true
",
        good: "\
title: Restart the service
steps:
  - id: restart
    # runsheet: allow no-verify: the next step looks at it in any case
    shell: systemctl restart web
",
        finder: Finder::Comment,
    },
];
