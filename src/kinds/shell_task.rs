//! Runs the process of a `shell` step and makes its result. Knows nothing of how a step says what it wants.

use indexmap::IndexMap;

use super::{
    report::{not_run, process_failure},
    via,
};
use crate::{
    event::{Effect, StepStatus},
    port::{Local, ProcessReport, ProcessRequest, Stdin, StepContext, StepError, StepReport, Task},
    value::Value,
};

/// A process with everything decided.
pub(super) struct ShellTask {
    pub effect: Effect,
    pub detail: String,
    pub max_output: u64,
    pub tty: bool,
    pub request: ProcessRequest,
}

impl Task for ShellTask {
    fn run<'a>(&'a self, cx: &'a dyn StepContext) -> Local<'a, Result<StepReport, StepError>> {
        Box::pin(async move {
            let mut request = self.request.clone();
            request.timeout = request.timeout.into_iter().chain(cx.limit()).min();
            let limit = request.timeout;
            let performed = cx.perform_process(self.effect, request, self.max_output, self.detail.clone()).await?;
            let process = match performed {
                None => return Ok(not_run()),
                Some(Ok(process)) => process,
                Some(Err(error)) => return Ok(super::report::world_failure(self.effect, &error)),
            };
            let mut report = match &self.request.stdin {
                Stdin::Remote(_) => {
                    let program = self.request.argv.first().map_or("", String::as_str);
                    via::ended(self.effect, &process.end, limit, program)
                }
                _ => process_failure(self.effect, &process.end, limit)
                    .unwrap_or_else(|| StepReport::of(StepStatus::Succeeded)),
            };
            report.exit = process.end.exit;
            report.signal = process.end.signal;
            report.result = Some(result_of(&process, self.tty));
            if !self.tty && process.end.exit != Some(0) && wants_terminal(&process.stderr) {
                report.hint = Some("it seems to ask for a terminal, and only a step with `tty: true` has one");
            }
            report.left.clone_from(&process.end.left);
            for left in &process.end.swept {
                report.notes.push(format!("left over and ended: {left}"));
            }
            if process.end.dropped_bytes > 0 {
                report.notes.push(format!("{} bytes of output could not be taken", process.end.dropped_bytes));
            }
            Ok(report)
        })
    }
}

/// What programs say that look for a terminal and find none.
fn wants_terminal(stderr: &[u8]) -> bool {
    let text = String::from_utf8_lossy(stderr).to_lowercase();
    let said = [
        "/dev/tty",
        "no such device or address",
        "inappropriate ioctl for device",
        "a terminal is required",
        "not a tty",
        "no tty present",
        "not a terminal",
        "ssh_askpass",
        "terminal prompts disabled",
    ];
    said.iter().any(|words| text.contains(words))
}

/// What `result` stands for. Of output that was cut there is no text: using it is an error, not a lie.
fn result_of(process: &ProcessReport, tty: bool) -> Value {
    let mut result = IndexMap::new();
    result.insert("exit".to_owned(), process.end.exit.map_or(Value::None, |code| Value::Int(i64::from(code))));
    result.insert("truncated".to_owned(), Value::Bool(process.truncated));
    if !process.truncated {
        let text = |bytes: &[u8]| {
            let text = String::from_utf8_lossy(bytes).into_owned();
            if tty { crate::text::without_escapes(&text) } else { text }
        };
        let stdout = text(&process.stdout);
        let stdout = stdout.trim_end_matches(['\n', '\r']);
        let stderr = text(&process.stderr);
        result.insert("stdout".to_owned(), Value::text(stdout));
        result.insert("stderr".to_owned(), Value::text(stderr.trim_end_matches(['\n', '\r'])));
        let lines = if stdout.is_empty() { Vec::new() } else { stdout.lines().map(Value::text).collect() };
        result.insert("lines".to_owned(), Value::list(lines));
        if let Some(json) = super::report::json_of(process.stdout.as_slice()) {
            result.insert("json".to_owned(), json);
        }
    }
    Value::map(result)
}
