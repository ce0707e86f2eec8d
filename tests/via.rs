//! Scripts that run elsewhere, through a real `ssh` to a real `sshd` on this machine.

mod sshd;

use crate::{
    all_of_unicode::quoted,
    lab::{Lab, until},
};
use sshd::Sshd;

/// A lab with one runbook, in which `{ssh}` leads to `box`, and `{ssh:NAME}` to another host.
fn lab(sshd: &Sshd, steps: &str) -> Lab {
    let lab = Lab::new();
    let way = |host: &str| format!("[ssh, -T, -F, \"{}\", \"{host}\", --]", sshd.client());
    let mut text = steps.replace("{ssh}", &way("{{ host }}"));
    for host in ["closed", "stranger"] {
        text = text.replace(&format!("{{ssh:{host}}}"), &way(host));
    }
    let text = text.replace("{lab}", &lab.home().display().to_string());
    lab.book(&format!("title: Elsewhere\nparams: {{host: {{type: string, default: box}}}}\n{text}"));
    lab
}

fn end_of(lab: &Lab, step: &str) -> serde_json::Value {
    let mut ends = lab.journal().into_iter().rev();
    ends.find(|record| record["event"] == "step_finished" && record["step"] == step)
        .unwrap_or_else(|| panic!("{step} has no end on record"))
}

#[test]
fn values_arrive_and_nobody_sees_them_on_the_way() {
    let sshd = Sshd::start();
    let lab = lab(
        &sshd,
        r#"
secrets: {tok: {env: TOK}}
steps:
  - id: make
    shell: |
      printf '%s\n' "it's" '"$x" `id` \ é' ''
      head -c 200000 /dev/zero | tr '\0' x
    capture: {made: result.stdout}
  - id: there
    env: {OWN: "{{ made }}{{ tok }}"}
    shell:
      via: {ssh}
      script: |
        printf %s "$made" > '{lab}/made'
        test "$OWN" = "$made$tok"
        echo "token $tok, host ${HOSTNAME:+known}, $(cat; echo read nothing)"
        read -r line || echo "and nothing again"
        # On the way there is the program itself, and what it was started with.
        for process in /proc/[0-9]*; do
          if grep -qszF -e "$tok" "$process/cmdline"; then echo "seen in the arguments of ${process##*/}"; fi
          case $(cat "$process/comm" 2>/dev/null) in
            ssh) if grep -qszF -e "$tok" "$process/environ"; then echo "seen in a variable of ssh"; fi ;;
          esac
        done
    capture: {said: result.stdout}
    expect: [result.exit == 0, 'not "seen in" in result.stdout']
  - {id: back, shell: 'echo "$said"', expect: '"and nothing again" in result.stdout'}
"#,
    );
    let mut command = lab.command(&["run", "./book.yaml", "--yes"]);
    command.env("TOK", "needle-token-1");
    let ended = crate::lab::finish(command).expect(0);
    assert!(ended.err.contains("token ***, host known, read nothing"), "{ended:#?}");
    let made = lab.read("made");
    assert_eq!(made, format!("it's\n\"$x\" `id` \\ é\n\n{}", "x".repeat(200_000)));
    lab.sound();
}

#[test]
fn what_became_of_the_script_is_told_from_what_became_of_the_connection() {
    let sshd = Sshd::start();
    let lab = lab(
        &sshd,
        r#"
steps:
  - {id: own, on_failure: continue, shell: {via: {ssh}, script: 'echo out; exit 3'}}
  - {id: like-ssh, on_failure: continue, shell: {via: {ssh}, script: exit 255}}
  - {id: wanted, shell: {via: {ssh}, script: exit 255}, expect: result.exit == 255}
  - {id: refused, on_failure: continue, shell: {via: {ssh:closed}, script: "touch '{lab}/on'"}}
  - {id: unknown-key, on_failure: continue, shell: {via: {ssh:stranger}, script: "touch '{lab}/on'"}}
  - {id: look, effect: read, on_failure: continue, shell: {via: {ssh}, script: 'kill -KILL $(ps -o ppid= -p $$)'}}
  - {id: cut, shell: {via: {ssh}, script: "echo began; echo x >> '{lab}/began'; kill -KILL $(ps -o ppid= -p $$)"}}
"#,
    );
    let ended = lab.call(&["run", "./book.yaml", "--yes"]).expect(7);
    for (step, status, exit, why) in [
        ("own", "failed", Some(3), "it exited with 3"),
        ("like-ssh", "failed", Some(255), "it exited with 255"),
        ("wanted", "succeeded", Some(255), ""),
        ("refused", "failed", None, "`ssh` ended with 255, and had not taken the script: nothing of it has run"),
        ("unknown-key", "failed", None, "`ssh` ended with 255, and had not taken the script: nothing of it has run"),
        ("look", "failed", None, "`ssh` ended with 255, and nobody heard how the script ended over there"),
        ("cut", "unknown", None, "`ssh` ended with 255, and nobody heard how the script ended over there"),
    ] {
        let end = end_of(&lab, step);
        assert_eq!((end["status"].as_str(), end["exit"].as_i64()), (Some(status), exit), "{end:#} {ended:#?}");
        assert!(end["error"].as_str().unwrap_or_default().contains(why), "{end:#}");
    }
    assert_eq!((lab.marks("began").len(), lab.read("on")), (1, String::new()));
    lab.sound();
}

#[test]
fn a_limit_ends_what_is_here_and_leaves_what_is_there() {
    let sshd = Sshd::start();
    let lab = lab(
        &sshd,
        r#"
steps:
  - id: slow
    timeout: 2s
    shell:
      via: {ssh}
      script: |
        echo began >> '{lab}/began'
        until test -e '{lab}/go'; do sleep 0.02; done
        echo went on >> '{lab}/on'
"#,
    );
    let ended = lab.call(&["run", "./book.yaml", "--yes"]).expect(7);
    assert!(ended.err.contains("`ssh` did not end within 2s and was stopped"), "{ended:#?}");
    assert_eq!((lab.marks("began").len(), lab.marks("on").len()), (1, 0));
    // What the notes on the language say: nobody told it.
    lab.file("go", "");
    until("the script that went on over there", || lab.marks("on").len() == 1);
}

#[test]
fn a_script_goes_on_without_its_engine_and_its_end_is_found() {
    let sshd = Sshd::start();
    let lab = lab(
        &sshd,
        r#"
steps:
  - id: long
    on_failure: continue
    shell:
      via: {ssh}
      script: |
        echo began >> '{lab}/began'
        until test -e '{lab}/go'; do sleep 0.02; done
        exit 255
  - {id: after, shell: 'echo "$S" >> "$HOME/after"', env: {S: '{{ steps["long"].status }}'}}
"#,
    );
    let running = lab.start(&["run", "./book.yaml", "--yes"]);
    until("the script", || lab.marks("began").len() == 1);
    running.kill();
    lab.file("go", "");
    let ended = lab.call(&["resume", "last", "--yes"]).expect(0);
    assert_eq!(end_of(&lab, "long")["exit"], 255, "{ended:#?}");
    assert_eq!((lab.marks("began").len(), lab.marks("after")), (1, vec!["failed".to_owned()]));
    lab.sound();
}

#[test]
fn a_lot_is_sent_both_ways() {
    let sshd = Sshd::start();
    let lab = lab(
        &sshd,
        r#"
steps:
  - id: much
    shell:
      via: {ssh}
      max_output: 64 MiB
      script: |
        head -c 20000000 /dev/zero | tr '\0' a
        head -c 3000000 /dev/zero | tr '\0' b >&2
    expect: ['result.stdout|length == 20000000', 'result.stderr|length == 3000000']
"#,
    );
    lab.call(&["run", "./book.yaml", "--yes"]).expect(0);
    lab.sound();
}

#[test]
fn text_of_all_sorts_arrives() {
    let sshd = Sshd::start();
    let texts = [
        "",
        "\n",
        "-n",
        "it's \"quoted\" `so` $(no) ${no} \\ \\n",
        "\n\nlines\n\r\n",
        "{{ host }} {% no %}",
        "!! ~ * ? [a] # ; & | > <",
        "\u{1}\u{2}\u{1b}[31m\u{7f}\u{80}\u{9b}",
        "ünïcödé 日本語 🦀 e\u{301} \u{feff}\u{ffff}\u{10ffff}",
        "\u{1e}0123456789abcdefE0\u{1e}",
    ];
    let mut steps = String::from("steps:\n");
    steps.push_str("  - id: there\n    shell:\n      via: {ssh}\n      script: |\n");
    for number in 0..texts.len() {
        steps.push_str(&format!("        printf %s \"$t{number}\" > '{{lab}}/t{number}'\n"));
    }
    let lab = lab(&sshd, &steps);
    let params: String = (0..texts.len()).map(|number| format!("t{number}: {{type: string}}, ")).collect();
    lab.book(&lab.read("work/book.yaml").replace("params: {host", &format!("params: {{{params}host")));
    let values: String =
        texts.iter().enumerate().map(|(number, text)| format!("t{number}: {}\n", quoted(text))).collect();
    let values = lab.file("values.yaml", &values);
    lab.call(&["run", "./book.yaml", "--yes", "--params-file", &values]).expect(0);
    for (number, text) in texts.iter().enumerate() {
        assert_eq!(lab.read(&format!("t{number}")), *text);
    }
}
