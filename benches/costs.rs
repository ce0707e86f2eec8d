//! What it costs to be there: start-up, one step, checking a large file, a step that says a lot. Measures the optimised
//! program from outside, beside a yardstick in the same run; knows nothing of its inside.
//!
//! `cargo bench --bench costs`, or `cargo bench --bench costs -- version` for the parts whose name begins with a word.
//! Every number is a median, and every ratio is between commands that took turns, so that a busy machine slows both.

use std::{
    collections::BTreeMap,
    io,
    os::unix::process::ExitStatusExt,
    path::{Path, PathBuf},
    process::{Command, ExitCode, ExitStatus, Stdio},
    thread,
    time::{Duration, Instant},
};

const PROGRAM: &str = env!("CARGO_BIN_EXE_runsheet");
const STEPS: usize = 10_000;
const OUTPUT: u64 = 1 << 30;

/// What one part may cost at most; above it the bench fails.
const MOST_VERSION_RATIO: f64 = 4.0;
const MOST_OUTPUT_MEMORY: u64 = 96 << 20;
/// Of a step with its record, to what it is made of.
const MOST_STEP_RATIO: f64 = 1.25;

fn main() -> ExitCode {
    let wanted: Vec<String> = std::env::args().skip(1).filter(|word| !word.starts_with('-')).collect();
    let folder = tempfile::tempdir().unwrap();
    let mut missed = Vec::new();
    println!("load at the start: {}", load());
    let parts: [(&str, Part); 5] =
        [("version", version), ("step", one_step), ("durable", durable), ("check", check), ("output", output)];
    for (name, part) in parts {
        if wanted.is_empty() || wanted.iter().any(|word| name.starts_with(word.as_str())) {
            part(folder.path(), &mut missed);
        }
    }
    println!("load at the end: {}", load());
    for goal in &missed {
        println!("MISSED {goal}");
    }
    if missed.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// A folder of its own, and where it tells what was too expensive.
type Part = fn(&Path, &mut Vec<String>);

fn load() -> String {
    std::fs::read_to_string("/proc/loadavg").unwrap_or_default().trim().to_owned()
}

/// A program that can be started again and again.
struct Candidate {
    name: &'static str,
    argv: Vec<String>,
}

fn candidate(name: &'static str, argv: &[&str]) -> Candidate {
    Candidate { name, argv: argv.iter().map(|word| (*word).to_owned()).collect() }
}

fn command(argv: &[String]) -> Command {
    let mut command = Command::new(&argv[0]);
    command.args(&argv[1..]).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command
}

/// What one start took: on the clock, and of the processors, all that it waited for included.
#[derive(Clone, Copy)]
struct Cost {
    wall: Duration,
    cpu: Duration,
}

/// Median costs of programs that take turns.
fn race(rounds: usize, candidates: &[Candidate]) -> Vec<Cost> {
    let mut costs: BTreeMap<usize, Vec<Cost>> = BTreeMap::new();
    for round in 0..rounds + 2 {
        for (index, candidate) in candidates.iter().enumerate() {
            let began = Instant::now();
            let id = command(&candidate.argv).spawn().unwrap().id();
            let (status, cpu) = wait(id, 0).unwrap();
            let cost = Cost { wall: began.elapsed(), cpu };
            assert!(status.success(), "{} ended with {status}", candidate.name);
            // The first two rounds only fill caches.
            if round >= 2 {
                costs.entry(index).or_default().push(cost);
            }
        }
    }
    costs.into_values().map(middle).collect()
}

fn middle(costs: Vec<Cost>) -> Cost {
    Cost {
        wall: median(costs.iter().map(|cost| cost.wall).collect()),
        cpu: median(costs.iter().map(|cost| cost.cpu).collect()),
    }
}

/// Waits for a child, or with `WNOHANG` looks at it; tells what it took of the processors.
fn wait(id: u32, flags: libc::c_int) -> Option<(ExitStatus, Duration)> {
    let id = libc::pid_t::try_from(id).unwrap();
    let mut status = 0;
    // SAFETY: an all-zero rusage is a valid one, and both pointers are to locals that outlive the call.
    let (found, usage) = unsafe {
        let mut usage: libc::rusage = std::mem::zeroed();
        (libc::wait4(id, &raw mut status, flags, &raw mut usage), usage)
    };
    (found == id).then(|| (ExitStatus::from_raw(status), cpu_of(&usage)))
}

fn median<T: Ord + Copy>(mut values: Vec<T>) -> T {
    values.sort_unstable();
    values[values.len() / 2]
}

fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

fn show(candidates: &[&Candidate], costs: &[Cost]) {
    for (candidate, cost) in candidates.iter().zip(costs) {
        let ratio = |of: fn(&Cost) -> Duration| ms(of(cost)) / ms(of(&costs[0]));
        println!(
            "  {:34} {:>9.3} ms {:>7.2} x   processor {:>9.3} ms {:>7.2} x",
            candidate.name,
            ms(cost.wall),
            ratio(|cost| cost.wall),
            ms(cost.cpu),
            ratio(|cost| cost.cpu)
        );
    }
}

fn version(_: &Path, missed: &mut Vec<String>) {
    println!("start-up");
    let candidates = [
        candidate("/bin/true", &["/bin/true"]),
        candidate("sh -c true", &["/bin/sh", "-c", "true"]),
        candidate("runsheet --version", &[PROGRAM, "--version"]),
    ];
    let times = race(400, &candidates);
    show(&candidates.each_ref(), &times);
    let ratio = ms(times[2].wall) / ms(times[0].wall);
    if ratio > MOST_VERSION_RATIO {
        missed.push(format!("--version took {ratio:.2} times as long as /bin/true; at most {MOST_VERSION_RATIO}"));
    }
}

fn write(path: &Path, text: &str) -> String {
    std::fs::write(path, text).unwrap();
    path.to_str().unwrap().to_owned()
}

fn one_step(folder: &Path, _: &mut Vec<String>) {
    let runbook = write(&folder.join("one.yaml"), "title: One step\nsteps:\n  - {id: only, shell: \"true\"}\n");
    let disk = folder.join("state");
    let disk = disk.to_str().unwrap();
    println!("one step, with its record synced");
    let mut candidates = vec![
        candidate("sh -c true", &["/bin/sh", "-c", "true"]),
        candidate("runsheet run, on this disk", &[PROGRAM, "--state-dir", disk, "run", &runbook, "--yes"]),
        candidate("runsheet plan", &[PROGRAM, "plan", &runbook]),
    ];
    let memory = tempfile::tempdir_in("/dev/shm").ok();
    if let Some(memory) = &memory {
        let state = memory.path().join("state");
        let argv = [PROGRAM, "--state-dir", state.to_str().unwrap(), "run", &runbook, "--yes"];
        candidates.push(candidate("runsheet run, syncs for nothing", &argv));
    }
    let times = race(60, &candidates);
    show(&candidates.iter().collect::<Vec<_>>(), &times);
}

/// Steps of a run, so that what a run costs besides can be taken off.
const MANY: u32 = 100;

/// What a shell step's process is started as.
const SHELL: [&str; 7] = ["bash", "--noprofile", "--norc", "-euo", "pipefail", "-c", "true"];

/// One step of a run that has many, beside what it cannot do without: a helper process, the step's process with its
/// pipes, and syncs of one line each.
///
/// The floor does one thing after the other. Its helper is this same program, which finds at once that nobody needs it;
/// a run starts the helper of the next step while one is running, and may gain by that what its own work costs.
fn durable(folder: &Path, missed: &mut Vec<String>) {
    println!("a step of a run, with its record synced");
    let text = |steps: u32| {
        let list: String = (0..steps).map(|number| format!("  - {{id: s{number}, shell: \"true\"}}\n")).collect();
        format!("title: Steps\nsteps:\n{list}")
    };
    let many = write(&folder.join("steps.yaml"), &text(MANY + 1));
    let one = write(&folder.join("step.yaml"), &text(1));
    let state = folder.join("durable");
    let run = |runbook: &String| {
        let argv = [PROGRAM, "--state-dir", state.to_str().unwrap(), "--quiet", "run", runbook, "--yes"];
        let began = Instant::now();
        let id = command(&argv.map(str::to_owned)).spawn().unwrap().id();
        let (status, cpu) = wait(id, 0).unwrap();
        let cost = Cost { wall: began.elapsed(), cpu };
        assert!(status.success(), "it ended with {status}");
        cost
    };
    let mut costs: [Vec<Cost>; 3] = Default::default();
    for round in 0..12 {
        let (all, single) = (run(&many), run(&one));
        let less = |a: Duration, b: Duration| a.saturating_sub(b) / MANY;
        let ours = Cost { wall: less(all.wall, single.wall), cpu: less(all.cpu, single.cpu) };
        let taken = [ours, floor(folder, 3), floor(folder, 2)];
        // The first two rounds only fill caches.
        if round >= 2 {
            for (costs, cost) in costs.iter_mut().zip(taken) {
                costs.push(cost);
            }
        }
    }
    let candidates = ["a step of runsheet run", "helper, process, pipes, 3 syncs", "helper, process, pipes, 2 syncs"]
        .map(|name| candidate(name, &[]));
    let costs = costs.map(middle);
    for floor in 1..candidates.len() {
        println!("  beside {}", candidates[floor].name);
        // The floor is what the other is a multiple of.
        let (names, pair) = ([&candidates[floor], &candidates[0]], [costs[floor], costs[0]]);
        show(&names, &pair);
    }
    let ratio = ms(costs[0].wall) / ms(costs[1].wall);
    if ratio > MOST_STEP_RATIO {
        missed.push(format!("a step took {ratio:.2} times as long as what it is made of; at most {MOST_STEP_RATIO}"));
    }
}

/// The bare costs of one step, from many of them.
fn floor(folder: &Path, syncs: u32) -> Cost {
    use std::io::{Read, Write};
    let path = folder.join("floor.jsonl");
    let mut journal = std::fs::OpenOptions::new().create(true).append(true).open(&path).unwrap();
    // As long as the records of a step are on average.
    let line = [vec![b'x'; 349], vec![b'\n']].concat();
    let mut append = || {
        journal.write_all(&line).unwrap();
        journal.sync_data().unwrap();
    };
    let (began, spent) = (Instant::now(), used());
    for _ in 0..MANY {
        (1..syncs).for_each(|_| append());
        for argv in [&[PROGRAM, "__supervise"][..], &SHELL[..]] {
            let mut child = Command::new(argv[0]);
            child.args(&argv[1..]).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
            let mut child = child.spawn().unwrap();
            let mut said = Vec::new();
            child.stdout.take().unwrap().read_to_end(&mut said).unwrap();
            child.stderr.take().unwrap().read_to_end(&mut said).unwrap();
            child.wait().unwrap();
        }
        append();
    }
    let cost = Cost { wall: began.elapsed() / MANY, cpu: (used() - spent) / MANY };
    std::fs::remove_file(&path).unwrap();
    cost
}

/// What this process and all children it has collected took of the processors.
fn used() -> Duration {
    // SAFETY: an all-zero rusage is a valid one, and the pointers are to locals that outlive the calls.
    let usage = |whose| unsafe {
        let mut usage: libc::rusage = std::mem::zeroed();
        libc::getrusage(whose, &raw mut usage);
        usage
    };
    [libc::RUSAGE_SELF, libc::RUSAGE_CHILDREN].map(usage).iter().map(cpu_of).sum()
}

fn cpu_of(usage: &libc::rusage) -> Duration {
    let time = |time: libc::timeval| Duration::from_micros((time.tv_sec * 1_000_000 + time.tv_usec).unsigned_abs());
    time(usage.ru_utime) + time(usage.ru_stime)
}

fn check(folder: &Path, _: &mut Vec<String>) {
    println!("check of {STEPS} steps");
    let mut text = String::from(
        "title: Many steps\nparams:\n  host: {type: string, default: here}\n  count: {type: integer, default: 3}\nsteps:\n",
    );
    for number in 0..STEPS {
        text.push_str(&match number % 4 {
            0 => format!("  - id: s{number}\n    shell: echo \"$host\" {number}\n    capture: {{v{number}: result.stdout}}\n"),
            1 => format!("  - id: s{number}\n    when: count > {number} and v{} != host\n    set: {{v{number}: count * 2}}\n", number - 1),
            2 => format!("  - {{id: s{number}, http: {{url: \"https://example.org/{{{{ host }}}}/{number}\"}}, expect: result.status == 200}}\n"),
            _ => format!("  - {{id: s{number}, title: \"Wait {{{{ count }}}}\", wait: 1s, needs: [s{}]}}\n", number - 2),
        });
    }
    let path = write(&folder.join("many.yaml"), &text);
    println!("  {} bytes", text.len());
    let argv: Vec<String> = [PROGRAM, "check", &path].map(str::to_owned).to_vec();
    let (mut times, mut cpus, mut peaks) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..5 {
        let seen = watched(command(&argv));
        times.push(seen.took);
        cpus.push(seen.cpu);
        peaks.push(seen.peak);
    }
    let took = median(times);
    println!(
        "  runsheet check                     {:>9.1} ms, {:.1} us a step, processor {:.1} ms, peak {:.1} MiB",
        ms(took),
        ms(took) * 1e3 / STEPS as f64,
        ms(median(cpus)),
        mib(median(peaks))
    );
}

fn output(folder: &Path, missed: &mut Vec<String>) {
    println!("{} MiB of output through one step", OUTPUT >> 20);
    let lines =
        format!("yes 'a line of output as builds write it, some eighty characters in all, no more' | head -c {OUTPUT}");
    let one_line = format!("head -c {OUTPUT} /dev/zero | tr '\\0' x");
    for (name, script) in [("lines", &lines), ("one line without end", &one_line)] {
        let text = format!(
            "title: Much output\nsteps:\n  - id: much\n    shell:\n      script: |\n        set +o pipefail\n        {script}\n"
        );
        let runbook = write(&folder.join("much.yaml"), &text);
        let (mut plain, mut ours, mut cpu, mut peak, mut helper) = (Vec::new(), Vec::new(), Vec::new(), 0, 0);
        for round in 0..3 {
            let began = Instant::now();
            let argv = ["/bin/sh".to_owned(), "-c".to_owned(), format!("{script} | cat > /dev/null")];
            assert!(command(&argv).status().unwrap().success());
            plain.push(began.elapsed());
            let state = folder.join(format!("much-{round}"));
            let argv = [PROGRAM, "--state-dir", state.to_str().unwrap(), "run", &runbook, "--yes"].map(str::to_owned);
            let seen = watched(command(&argv));
            ours.push(seen.took);
            cpu.push(seen.cpu);
            peak = peak.max(seen.peak);
            helper = helper.max(seen.children);
            std::fs::remove_dir_all(&state).unwrap();
        }
        let (plain, ours) = (median(plain), median(ours));
        let rate = |took: Duration| OUTPUT as f64 / took.as_secs_f64() / 1e9;
        println!("  {name}");
        println!("    | cat                          {:>9.0} ms, {:.2} GB/s", ms(plain), rate(plain));
        println!(
            "    runsheet run                   {:>9.0} ms, {:.2} GB/s, {:.2} x, processor {:.0} ms, peak {:.1} MiB, its supervisor {:.1} MiB",
            ms(ours),
            rate(ours),
            ms(ours) / ms(plain),
            ms(median(cpu)),
            mib(peak),
            mib(helper)
        );
        if peak > MOST_OUTPUT_MEMORY {
            missed.push(format!(
                "output ({name}) took {:.1} MiB of memory; at most {}",
                mib(peak),
                MOST_OUTPUT_MEMORY >> 20
            ));
        }
    }
}

fn mib(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}

struct Seen {
    took: Duration,
    cpu: Duration,
    /// The most memory of the process itself.
    peak: u64,
    /// The most memory of a supervisor of its.
    children: u64,
}

/// Runs a program and looks at its peak memory every millisecond. `ru_maxrss` would not do: it begins with what this
/// process has at the fork, while the kernel's high-water mark begins anew with the program.
fn watched(mut command: Command) -> Seen {
    let began = Instant::now();
    let id = command.spawn().unwrap().id();
    let (mut peak, mut children) = (0, 0);
    let (status, cpu) = loop {
        peak = peak.max(high_water(id).unwrap_or(0));
        for below in children_of(id) {
            children = children.max(high_water(below).unwrap_or(0));
        }
        if let Some(end) = wait(id, libc::WNOHANG) {
            break end;
        }
        thread::sleep(Duration::from_millis(1));
    };
    let took = began.elapsed();
    assert!(status.success(), "it ended with {status}");
    Seen { took, cpu, peak, children }
}

fn high_water(id: u32) -> io::Result<u64> {
    let status = std::fs::read_to_string(format!("/proc/{id}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap_or("");
    let kib: u64 = line.split_whitespace().next().and_then(|word| word.parse().ok()).unwrap_or(0);
    Ok(kib * 1024)
}

fn children_of(id: u32) -> Vec<u32> {
    let path = PathBuf::from(format!("/proc/{id}/task/{id}/children"));
    let text = std::fs::read_to_string(path).unwrap_or_default();
    text.split_whitespace().filter_map(|word| word.parse().ok()).collect()
}
