//! The real world: processes under their supervisor, and HTTP against small servers of our own.

use std::{
    cell::RefCell,
    collections::HashMap,
    io::{Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    path::PathBuf,
    rc::Rc,
    time::{Duration, Instant},
};

use futures_util::FutureExt;
use runsheet::{
    event::{Effect, StepId, Stream},
    port::{
        Body, Cancel, HttpReply, HttpRequest, Output, ProcessEnd, ProcessRequest, SecretSource, SendError, Stdin,
        World, WorldError,
    },
    worlds::real::{AttemptState, RealWorld, attempt_state, kill_attempt, wait_attempt},
};

/// Much longer than anything here takes, for machines that are busy.
const PATIENCE: Duration = Duration::from_secs(60);

fn world() -> RealWorld {
    RealWorld::new(PathBuf::from(env!("CARGO_BIN_EXE_runsheet")))
}

fn on_one_thread<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    tokio::task::LocalSet::new().block_on(&runtime, future)
}

fn process<const N: usize>(argv: [&str; N]) -> ProcessRequest {
    ProcessRequest {
        step: StepId::new("a/step"),
        attempt: 1,
        number: 1,
        effect: Effect::Change,
        looks: false,
        argv: argv.iter().map(|argument| (*argument).to_owned()).collect(),
        stdin: Stdin::Nothing,
        env: vec![("PATH".into(), std::env::var("PATH").unwrap())],
        cwd: "/".into(),
        tty: false,
        daemon: false,
        timeout: Some(PATIENCE),
        kill_grace: PATIENCE,
        record_dir: None,
    }
}

fn script(text: &str) -> ProcessRequest {
    process(["bash", "--noprofile", "--norc", "-c", text])
}

#[derive(Default)]
struct Heard {
    streams: RefCell<HashMap<&'static str, Vec<u8>>>,
}

impl Heard {
    fn of(&self, stream: &'static str) -> String {
        String::from_utf8_lossy(self.streams.borrow().get(stream).map_or(&[][..], Vec::as_slice)).into_owned()
    }

    fn out(&self) -> String {
        self.of("out")
    }
}

impl Output for Heard {
    fn chunk(&self, stream: Stream, bytes: &[u8]) {
        let name = match stream {
            Stream::Stdout => "out",
            Stream::Stderr => "err",
            Stream::Terminal => "terminal",
        };
        self.streams.borrow_mut().entry(name).or_default().extend_from_slice(bytes);
    }
}

fn run(request: &ProcessRequest) -> (Result<ProcessEnd, WorldError>, Heard) {
    let (heard, cancel) = (Heard::default(), Cancel::new());
    let world = world();
    let end = on_one_thread(async { world.run(request, &heard, &cancel).await });
    (end.map(|end| end.unwrap()), heard)
}

fn ends(request: &ProcessRequest) -> (ProcessEnd, Heard) {
    let (end, heard) = run(request);
    (end.unwrap(), heard)
}

fn until(what: &str, condition: impl Fn() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !condition() {
        assert!(Instant::now() < deadline, "waited too long for: {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// A request whose processes can be found by a variable of their environment.
fn marked(text: &str) -> (ProcessRequest, String) {
    let marker = format!("RUNSHEET_MARK={}-{:?}", std::process::id(), Instant::now());
    let mut request = script(text);
    let (name, value) = marker.split_once('=').unwrap();
    request.env.push((name.into(), value.into()));
    (request, marker)
}

fn alive(marker: &str) -> Vec<String> {
    let entries = std::fs::read_dir("/proc").unwrap().flatten();
    entries
        .filter(|entry| {
            std::fs::read(entry.path().join("environ"))
                .is_ok_and(|environ| environ.split(|byte| *byte == 0).any(|entry| entry == marker.as_bytes()))
        })
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect()
}

/// Gets away from everything but a subreaper, and ignores polite signals.
const FUGITIVE: &str = "nohup setsid bash -c 'trap \"\" TERM INT HUP; (trap \"\" TERM INT HUP; while :; do sleep 1; done) & \
                        wait' >/dev/null 2>&1 & disown;";

#[test]
fn exit_and_signal_are_told() {
    assert_eq!(ends(&script("exit 7")).0.exit, Some(7));
    let (end, _) = ends(&script("kill -KILL $$"));
    assert_eq!((end.exit, end.signal, end.timed_out, end.cancelled), (None, Some(9), false, false));
    assert_eq!(ends(&script("kill 0; true")).0.signal, Some(15));
}

#[test]
fn streams_keep_their_name_and_order() {
    let (end, heard) = ends(&script("for i in 1 2 3; do echo out$i; echo err$i >&2; done; printf tail"));
    assert_eq!(end.exit, Some(0));
    assert_eq!(heard.out(), "out1\nout2\nout3\ntail");
    assert_eq!(heard.of("err"), "err1\nerr2\nerr3\n");
}

#[test]
fn the_environment_and_the_signals_are_exactly_as_asked() {
    let mut request = process(["env"]);
    request.env.push(("EMPTY".into(), String::new()));
    request.env.push(("LINES".into(), "a\nb".into()));
    let path = std::env::var("PATH").unwrap();
    assert_eq!(ends(&request).1.out(), format!("EMPTY=\nLINES=a\nb\nPATH={path}\n"));
    let (_, heard) = ends(&process(["grep", "-E", "^Sig(Blk|Ign)", "/proc/self/status"]));
    let sets = heard.out();
    for line in sets.lines() {
        let set = u64::from_str_radix(line.rsplit('\t').next().unwrap(), 16).unwrap();
        // 32 and 33 are the C library's own and cannot be set from outside it.
        assert_eq!(set & !(0b11 << 31), 0, "{sets}");
    }
    let (_, heard) = ends(&script("ls -l /proc/self/fd | grep -c -- '->'"));
    // Input, output, error, and the folder that `ls` reads.
    assert_eq!(heard.out().trim(), "4");
}

#[test]
fn standard_input_is_what_was_given_and_may_be_ignored() {
    let mut request = process(["sha256sum"]);
    let bytes: Vec<u8> = (0..3_000_000u32).map(|i| (i % 251) as u8).collect();
    request.stdin = Stdin::Bytes(bytes.clone());
    let (end, heard) = ends(&request);
    assert_eq!(end.exit, Some(0));
    let mut cat = process(["wc", "-c"]);
    cat.stdin = Stdin::Bytes(bytes.clone());
    assert_eq!(ends(&cat).1.out().trim(), "3000000");
    assert_eq!(heard.out().len(), 64 + "  -\n".len());
    let mut unread = script("exec <&-; exit 3");
    unread.stdin = Stdin::Bytes(bytes);
    assert_eq!(ends(&unread).0.exit, Some(3));
    assert_eq!(ends(&process(["cat"])).1.out(), "");
}

#[test]
fn a_background_child_that_holds_the_pipe_does_not_hang_the_step() {
    let (request, marker) = marked("sleep 1000 & echo started");
    let (end, heard) = ends(&request);
    assert_eq!((end.exit, heard.out().as_str()), (Some(0), "started\n"));
    assert_eq!(end.swept.len(), 1, "{:?}", end.swept);
    assert!(end.swept[0].ends_with(" sleep"), "{:?}", end.swept);
    assert_eq!(alive(&marker), Vec::<String>::new());
}

#[test]
fn what_is_written_just_after_the_end_still_arrives() {
    let (end, heard) = ends(&script("exec > >(sleep 0.05; cat); echo late"));
    assert_eq!((end.exit, heard.out().as_str(), end.swept.len()), (Some(0), "late\n", 0));
}

#[test]
fn nothing_survives_the_end_of_a_step() {
    let (mut request, marker) = marked(&format!("{FUGITIVE} echo done"));
    request.kill_grace = Duration::from_millis(100);
    let (end, heard) = ends(&request);
    assert_eq!((end.exit, heard.out().as_str()), (Some(0), "done\n"));
    assert!(end.swept.len() >= 2, "{:?}", end.swept);
    assert_eq!(alive(&marker), Vec::<String>::new());
}

#[test]
fn nothing_survives_a_timeout() {
    let (mut request, marker) = marked(&format!("trap '' TERM; {FUGITIVE} echo up; while :; do sleep 1; done"));
    request.timeout = Some(Duration::from_millis(400));
    request.kill_grace = Duration::from_millis(100);
    let (end, _) = ends(&request);
    assert!(end.timed_out && !end.cancelled);
    assert_eq!(end.signal, Some(9));
    assert!(end.duration >= Duration::from_millis(500), "{:?}", end.duration);
    assert_eq!(alive(&marker), Vec::<String>::new());
}

#[test]
fn what_keeps_replacing_itself_is_outrun() {
    // Three chains, each link of which starts the next one in a session of its own and ends: never more than a few at
    // a time, and over by themselves after a while, whatever we do.
    let chain = "f() { trap '' TERM; sleep 0.01; [ $1 -gt 0 ] && (setsid bash -c \"$(declare -f f); f $(($1-1))\" &); }; \
                 for i in 1 2 3; do f 300 & done; echo up; sleep 1000";
    let (mut request, marker) = marked(chain);
    request.timeout = Some(Duration::from_millis(300));
    request.kill_grace = Duration::from_millis(100);
    let (end, _) = ends(&request);
    assert!(end.timed_out);
    assert!(end.swept.iter().all(|swept| !swept.contains("still there")), "{:?}", end.swept);
    assert_eq!(alive(&marker), Vec::<String>::new());
}

/// Each leaves a family that got out of sight; the end of one is no business of the other.
#[test]
fn two_side_by_side_sweep_each_its_own() {
    let world = world();
    let folder = tempfile::tempdir().unwrap();
    let both = |name: &str, text: &str| {
        let (mut request, marker) = marked(text);
        request.env.push(("MARK_OF".into(), name.into()));
        request.step = StepId::new(name);
        request.record_dir = Some(folder.path().into());
        request.kill_grace = Duration::from_millis(100);
        (request, marker)
    };
    let (first, first_marker) = both("first", &format!("{FUGITIVE} {FUGITIVE} echo up"));
    let (second, second_marker) = both("second", &format!("{FUGITIVE} echo up; read -r _ < \"$GATE\"; exit 4"));
    let gate = folder.path().join("gate");
    rustix::fs::mknodat(rustix::fs::CWD, &gate, rustix::fs::FileType::Fifo, 0o600.into(), 0).unwrap();
    let mut second = second;
    second.env.push(("GATE".into(), gate.to_str().unwrap().into()));
    let (heard, other, cancel) = (Heard::default(), Heard::default(), Cancel::new());
    on_one_thread(async {
        let run = async {
            let second_is_up = async {
                // The script, what it has left, and the child of that; what these start comes and goes.
                while other.out().is_empty() || alive(&second_marker).len() < 4 {
                    tokio::time::sleep(Duration::from_millis(1)).await;
                }
            };
            second_is_up.await;
            let before = alive(&second_marker);
            let end = world.run(&first, &heard, &cancel).await.unwrap().unwrap();
            assert!(end.swept.len() >= 4, "{:?}", end.swept);
            assert_eq!(alive(&first_marker), Vec::<String>::new());
            let after = alive(&second_marker);
            assert!(before.iter().filter(|pid| after.contains(pid)).count() >= 3, "{before:?} {after:?}");
            std::fs::write(&gate, "go\n").unwrap();
        };
        let (end, ()) = futures_util::future::join(world.run(&second, &other, &cancel), run).await;
        let end = end.unwrap().unwrap();
        assert_eq!((end.exit, end.cancelled), (Some(4), false));
        assert!(end.swept.len() >= 2, "{:?}", end.swept);
    });
    assert_eq!(alive(&second_marker), Vec::<String>::new());
}

#[test]
fn a_polite_end_is_waited_for() {
    let mut request = script("trap 'echo tidy; exit 5' TERM; echo up; while :; do sleep 0.01; done");
    request.timeout = Some(Duration::from_millis(300));
    let (end, heard) = ends(&request);
    assert!(end.timed_out);
    assert_eq!((end.exit, heard.out().as_str()), (Some(5), "up\ntidy\n"));
}

#[test]
fn a_stop_while_the_supervisor_gets_ready_starts_nothing() {
    for ready in [false, true] {
        let folder = tempfile::tempdir().unwrap();
        let (mut request, marker) = marked("touch \"$EFFECT\"; sleep 1000");
        let effect = folder.path().join("effect");
        request.env.push(("EFFECT".into(), effect.to_str().unwrap().into()));
        request.record_dir = Some(folder.path().into());
        // It cannot get ready while somebody else holds its lock.
        let lock = std::fs::File::create(folder.path().join(request.step.file_stem() + ".1.lock")).unwrap();
        lock.lock().unwrap();
        let state = || attempt_state(folder.path(), &request.step, 1).unwrap();
        let (world, heard, cancel) = (world(), Heard::default(), Cancel::new());
        let stop = async {
            // Turns enough to hand the order over.
            for _ in 0..20 {
                tokio::task::yield_now().await;
            }
            drop(lock);
            if ready {
                // Nobody else has a turn meanwhile, so that it waits for its word to be heard.
                until("the supervisor", || state() == AttemptState::Running);
            }
            cancel.raise(1);
        };
        let run = async { tokio::time::timeout(PATIENCE, world.run(&request, &heard, &cancel)).await };
        let (ended, ()) = on_one_thread(futures_util::future::join(run, stop));
        match ended.expect("it ends") {
            Err(WorldError::NotStarted(why)) => assert!(why.contains("stopped"), "{why}"),
            other => panic!("{other:?}"),
        }
        assert_eq!(state(), AttemptState::Gone);
        assert_eq!(alive(&marker), Vec::<String>::new());
        assert!(!effect.exists());
    }
}

#[test]
fn cancelling_is_polite_first_and_final_then() {
    let world = world();
    on_one_thread(async {
        for (trap, level, exit, signal) in [("exit 4", 1, Some(4), None), ("", 2, None, Some(9))] {
            let (request, marker) =
                marked(&format!("trap '{trap}' INT; {FUGITIVE} echo up; while :; do sleep 0.01; done"));
            let (heard, cancel) = (Heard::default(), Cancel::new());
            let mut request = request;
            request.kill_grace = Duration::from_millis(300);
            let end = async { world.run(&request, &heard, &cancel).await.unwrap().unwrap() };
            let stop = async {
                while heard.out().is_empty() {
                    tokio::time::sleep(Duration::from_millis(1)).await;
                }
                cancel.raise(level);
            };
            let (end, ()) = futures_util::future::join(end, stop).await;
            assert!(end.cancelled && !end.timed_out);
            assert_eq!((end.exit, end.signal), (exit, signal));
            assert_eq!(alive(&marker), Vec::<String>::new());
        }
    });
}

#[test]
fn much_output_takes_little_memory() {
    struct Count {
        bytes: std::cell::Cell<u64>,
        longest: std::cell::Cell<usize>,
    }
    impl Output for Count {
        fn chunk(&self, _: Stream, bytes: &[u8]) {
            self.bytes.set(self.bytes.get() + bytes.len() as u64);
            self.longest.set(self.longest.get().max(bytes.len()));
        }
    }
    let count = Count { bytes: Default::default(), longest: Default::default() };
    let world = world();
    let request = process(["head", "-c", "200000000", "/dev/zero"]);
    let resident = || {
        let status = std::fs::read_to_string("/proc/self/status").unwrap();
        let line = status.lines().find(|line| line.starts_with("VmHWM")).unwrap().to_owned();
        line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap()
    };
    let before = resident();
    let end = on_one_thread(async { world.run(&request, &count, &Cancel::new()).await.unwrap().unwrap() });
    assert_eq!((end.exit, count.bytes.get(), end.dropped_bytes), (Some(0), 200_000_000, 0));
    assert!(count.longest.get() <= 64 * 1024);
    assert!(resident() < before + 50_000, "{} kB more", resident() - before);
}

#[test]
fn without_a_terminal_the_terminal_is_an_error_and_not_a_wait() {
    let (end, heard) = ends(&script("read answer </dev/tty"));
    assert_ne!(end.exit, Some(0));
    assert!(heard.of("err").contains("/dev/tty"), "{}", heard.of("err"));
}

#[test]
fn a_terminal_is_a_terminal_and_ends_where_nobody_types() {
    let mut request = script(
        "[ -t 0 ] && [ -t 1 ] && [ -t 2 ] && echo yes; stty size; echo to >/dev/tty; read a && echo got; cat; seq 2000",
    );
    request.tty = true;
    let (end, heard) = ends(&request);
    let seen = heard.of("terminal");
    assert!(seen.starts_with("yes\r\n24 80\r\nto\r\n1\r\n2\r\n"), "{seen:?}");
    assert!(seen.ends_with("\r\n1999\r\n2000\r\n"), "{seen:?}");
    assert_eq!(end.exit, Some(0));
}

#[test]
fn what_cannot_be_started_is_said_in_words() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("script");
    std::fs::write(&file, "#!/no/such/interpreter\n").unwrap();
    let file = file.to_str().unwrap().to_owned();
    let said = |request: &ProcessRequest| match run(request).0 {
        Err(WorldError::NotStarted(why)) => why,
        other => panic!("{other:?}"),
    };
    assert!(said(&process(["no-such-program"])).contains("no-such-program is not on the search path"));
    assert!(said(&process([file.as_str()])).contains("may not be run"));
    std::fs::set_permissions(&file, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let why = said(&process([file.as_str()]));
    assert!(why.contains("#!/no/such/interpreter"), "{why}");
    let mut request = process(["true"]);
    request.cwd = "/no/such/folder".into();
    assert_eq!(said(&request), "the folder /no/such/folder does not exist");
    let mut request = process(["true"]);
    request.env.push(("BIG".into(), "x".repeat(200_000)));
    let why = said(&request);
    assert!(why.contains("BIG has 200000 bytes") && why.contains("file"), "{why}");
    let mut request = process(["true"]);
    request.env.extend((0..100).map(|i| (format!("V{i}"), "x".repeat(100_000))));
    let why = said(&request);
    assert!(why.contains("too large together") && why.contains("file"), "{why}");
    let mut request = process(["true"]);
    request.env.push(("NUL".into(), "a\0b".into()));
    assert!(said(&request).contains("NUL holds a NUL"));
}

/// Starts a process and drops the wait for it once `seen` was written: to the supervisor, that is the engine's death.
fn abandon(request: &ProcessRequest, seen: &str) {
    let world = world();
    on_one_thread(async {
        let (heard, cancel) = (Heard::default(), Cancel::new());
        let wait = async {
            while !heard.out().contains(seen) {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        tokio::select! {
            end = world.run(request, &heard, &cancel) => panic!("ended too early: {end:?}"),
            () = wait => {}
        }
    });
}

#[test]
fn a_step_outlives_its_engine_and_its_end_is_written_down() {
    let folder = tempfile::tempdir().unwrap();
    let go = folder.path().join("go");
    let done = folder.path().join("done");
    let mut request =
        script("echo up; until [ -e \"$GO\" ]; do sleep 0.01; done; seq 100000; echo x >\"$DONE\"; exit 6");
    request.env.push(("GO".into(), go.to_str().unwrap().into()));
    request.env.push(("DONE".into(), done.to_str().unwrap().into()));
    request.record_dir = Some(folder.path().into());
    abandon(&request, "up");
    let state = || attempt_state(folder.path(), &request.step, 1).unwrap();
    assert_eq!(state(), AttemptState::Running);
    // A second engine must not start it again.
    match run(&request).0 {
        Err(WorldError::NotStarted(why)) => assert!(why.contains("still running"), "{why}"),
        other => panic!("{other:?}"),
    }
    std::fs::write(&go, "").unwrap();
    let ended = on_one_thread(wait_attempt(folder.path(), &request.step, 1, &Cancel::new())).unwrap();
    let AttemptState::Ended(record) = ended else { panic!("{ended:?}") };
    assert!(done.exists());
    assert_eq!((record.exit, record.signal, record.timed_out), (Some(6), None, false));
    assert_eq!(record.lost_bytes, (1..=100_000).map(|i: u32| i.to_string().len() as u64 + 1).sum::<u64>());
}

#[test]
fn limits_are_kept_without_an_engine() {
    let folder = tempfile::tempdir().unwrap();
    let (mut request, marker) = marked(&format!("{FUGITIVE} echo up; sleep 1000"));
    request.record_dir = Some(folder.path().into());
    request.timeout = Some(Duration::from_millis(500));
    request.kill_grace = Duration::from_millis(100);
    abandon(&request, "up");
    let ended = on_one_thread(wait_attempt(folder.path(), &request.step, 1, &Cancel::new())).unwrap();
    let AttemptState::Ended(record) = ended else { panic!("{ended:?}") };
    assert!(record.timed_out);
    assert_eq!(alive(&marker), Vec::<String>::new());
}

#[test]
fn who_resumes_can_end_what_still_runs() {
    let folder = tempfile::tempdir().unwrap();
    let (mut request, marker) = marked(&format!("{FUGITIVE} echo up; sleep 1000"));
    request.record_dir = Some(folder.path().into());
    request.kill_grace = Duration::from_millis(100);
    abandon(&request, "up");
    let ended = on_one_thread(kill_attempt(folder.path(), &request.step, 1, &Cancel::new())).unwrap();
    let AttemptState::Ended(record) = ended else { panic!("{ended:?}") };
    assert_eq!((record.exit, record.signal), (None, Some(15)));
    assert_eq!(alive(&marker), Vec::<String>::new());
}

#[test]
fn an_end_is_on_record_even_if_the_engine_dies_before_its_journal_has_it() {
    let folder = tempfile::tempdir().unwrap();
    let mut request = script("exit 2");
    request.record_dir = Some(folder.path().into());
    assert_eq!(ends(&request).0.exit, Some(2));
    let AttemptState::Ended(record) = attempt_state(folder.path(), &request.step, 1).unwrap() else { panic!() };
    assert_eq!(record.exit, Some(2));
}

#[test]
fn a_supervisor_that_is_killed_is_a_loss_and_not_an_end() {
    let world = world();
    let folder = tempfile::tempdir().unwrap();
    // A shell that stays: what it starts may not be there yet when the supervisor dies.
    let mut request = script("sleep 1000 & echo up $PPID; wait");
    request.record_dir = Some(folder.path().into());
    let (heard, cancel) = (Heard::default(), Cancel::new());
    let kill = async {
        while !heard.out().ends_with('\n') {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        let pid: i32 = heard.out().trim().rsplit(' ').next().unwrap().parse().unwrap();
        rustix::process::kill_process(rustix::process::Pid::from_raw(pid).unwrap(), rustix::process::Signal::KILL)
            .unwrap();
    };
    let end = on_one_thread(async { futures_util::future::join(world.run(&request, &heard, &cancel), kill).await.0 });
    let Err(WorldError::Lost(why)) = end else { panic!("{end:?}") };
    // Nobody watches what it left, so that is ended.
    assert!(why.contains("what was left of it was ended: ") && why.contains(" bash"), "{why}");
    assert!(!why.contains("runsheet"), "the supervisor is not among what it left: {why}");
    assert_eq!(attempt_state(folder.path(), &request.step, 1).unwrap(), AttemptState::Gone);
}

#[test]
fn secrets_come_from_files_and_commands_and_failures_show_nothing_they_said() {
    let world = world();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("token");
    std::fs::write(&file, "from-a-file\n").unwrap();
    on_one_thread(async {
        let secret = world.secret(&SecretSource::File(file)).await.unwrap().unwrap();
        assert_eq!(secret.expose(), "from-a-file");
        let command = |text: &str| SecretSource::Command(vec!["bash".into(), "-c".into(), text.into()]);
        let secret = world.secret(&command("echo from-a-command; echo noise >&2")).await.unwrap().unwrap();
        assert_eq!(secret.expose(), "from-a-command");
        // Tracing, or a careless wrapper, puts the secret among the complaints.
        let error = world.secret(&command("set -x; token=hush-hush; echo $token; exit 3")).await.err();
        let said = error.unwrap().to_string();
        assert_eq!(said, "the command bash failed with exit 3; run it by hand to see what it says");
        assert!(world.secret(&command("true")).await.err().unwrap().to_string().contains("is empty"));
    });
}

/// A server that answers each connection in turn by what `serve` does with it. The requests it read come back.
fn server(
    answers: usize,
    serve: impl Fn(usize, &mut TcpStream) + Send + 'static,
) -> (SocketAddr, std::thread::JoinHandle<Vec<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let thread = std::thread::spawn(move || {
        let mut requests = Vec::new();
        for turn in 0..answers {
            let (mut stream, _) = listener.accept().unwrap();
            requests.push(read_request(&mut stream));
            serve(turn, &mut stream);
        }
        requests
    });
    (address, thread)
}

fn read_request(stream: &mut TcpStream) -> String {
    let mut seen = Vec::new();
    let mut buffer = [0u8; 4096];
    loop {
        let text = String::from_utf8_lossy(&seen).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length =
                head.lines().find_map(|line| line.to_lowercase().strip_prefix("content-length: ")?.parse().ok());
            if body.len() >= length.unwrap_or(0) {
                return text;
            }
        }
        match stream.read(&mut buffer) {
            Ok(count @ 1..) => seen.extend_from_slice(&buffer[..count]),
            _ => return text,
        }
    }
}

fn reply(stream: &mut TcpStream, head: &str, body: &[u8]) {
    let _ = stream.write_all(format!("HTTP/1.1 {head}\r\nContent-Length: {}\r\n\r\n", body.len()).as_bytes());
    let _ = stream.write_all(body);
}

fn http(url: &str) -> HttpRequest {
    HttpRequest {
        step: StepId::new("step"),
        attempt: 1,
        looks: false,
        effect: Effect::Read,
        method: "GET".into(),
        url: url.parse().unwrap(),
        headers: Vec::new(),
        body: Body::Nothing,
        timeout: PATIENCE,
        follow_redirects: false,
        ca_file: None,
        max_body: 1000,
        save: None,
    }
}

fn send(request: &HttpRequest) -> Result<HttpReply, SendError> {
    let world = world();
    on_one_thread(async { world.send(request, &Cancel::new()).await.map(Option::unwrap) })
}

fn not_sent(request: &HttpRequest) -> String {
    match send(request) {
        Err(SendError::NotSent(why)) => why,
        other => panic!("{other:?}"),
    }
}

fn lost(request: &HttpRequest) -> String {
    match send(request) {
        Err(SendError::Lost(why)) => why,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_request_arrives_as_written_and_its_answer_comes_back() {
    let (address, thread) =
        server(1, |_, stream| reply(stream, "201 Created\r\nX-One: 1\r\nLocation: /queue/7/", b"hello"));
    let mut request = http(&format!("http://{address}/path?q=1"));
    request.method = "POST".into();
    request.headers = vec![("Authorization".into(), "Bearer x".into()), ("X-A".into(), "1".into())];
    request.body = Body::Bytes(b"the body".to_vec());
    let answer = send(&request).unwrap();
    assert_eq!((answer.status, answer.body.as_slice(), answer.truncated), (201, &b"hello"[..], false));
    assert!(answer.headers.contains(&("location".into(), "/queue/7/".into())), "{:?}", answer.headers);
    assert_eq!(answer.url, format!("http://{address}/path?q=1"));
    let seen = thread.join().unwrap().remove(0).to_lowercase();
    assert!(seen.starts_with("post /path?q=1 http/1.1\r\n"), "{seen}");
    for part in ["authorization: bearer x", "x-a: 1", "user-agent: runsheet/", "content-length: 8", "\r\n\r\nthe body"]
    {
        assert!(seen.contains(part), "{part} in {seen}");
    }
}

#[test]
fn refused_is_not_sent() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    assert_eq!(not_sent(&http(&format!("http://{address}/"))), format!("connection refused by {address}"));
    let mut request = http("http://127.0.0.1/");
    request.headers = vec![("X".into(), "a\nb".into())];
    assert!(not_sent(&request).contains("the header x holds a line feed"));
    let mut request = http("http://127.0.0.1/");
    request.body = Body::File("/no/such/file".into());
    assert!(not_sent(&request).contains("/no/such/file cannot be read"));
    let why = not_sent(&http("http://no-such-host.invalid/"));
    assert!(why.contains("no-such-host.invalid"), "{why}");
}

#[test]
fn an_answer_that_never_comes_is_lost() {
    let (address, thread) = server(1, |_, _| {});
    let why = lost(&http(&format!("http://{address}/")));
    assert!(why.starts_with(&format!("{address} ")) && why.contains("may have arrived"), "{why}");
    thread.join().unwrap();
    let (address, thread) = server(1, |_, stream| {
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf");
    });
    let why = lost(&http(&format!("http://{address}/")));
    assert!(why.contains("broke off"), "{why}");
    thread.join().unwrap();
}

#[test]
fn the_limit_is_for_all_of_it() {
    let (address, thread) = server(2, |turn, stream| {
        if turn == 1 {
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf");
        }
        // Until the other side gives up.
        let _ = stream.read(&mut [0u8; 1]);
    });
    let mut request = http(&format!("http://{address}/"));
    request.timeout = Duration::from_millis(200);
    assert_eq!(lost(&request), format!("no answer from {address} within 200ms"));
    assert_eq!(lost(&request), format!("the answer from {address} was not complete within 200ms"));
    thread.join().unwrap();
}

#[test]
fn no_agreement_on_tls_is_not_sent() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let thread = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let _ = stream.read(&mut [0u8; 100]);
        let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n");
    });
    let why = not_sent(&http(&format!("https://{address}/")));
    assert!(why.contains("does not speak TLS") || why.contains("TLS is not possible here"), "{why}");
    // Wakes the listener where no connection was made.
    let _ = TcpStream::connect(address);
    thread.join().unwrap();
}

#[test]
fn redirects_are_followed_at_home_only_and_only_when_asked() {
    let (address, thread) = server(4, |turn, stream| match turn {
        0 => reply(stream, "302 Found\r\nLocation: /b", b""),
        1 => reply(stream, "302 Found\r\nLocation: /b", b""),
        2 => reply(stream, "200 OK", b"there"),
        _ => reply(stream, "302 Found\r\nLocation: http://127.0.0.2:1/secret?token=1", b""),
    });
    let mut request = http(&format!("http://{address}/a"));
    assert_eq!(send(&request).unwrap().status, 302);
    request.follow_redirects = true;
    request.method = "POST".into();
    request.body = Body::Bytes(b"x".to_vec());
    let answer = send(&request).unwrap();
    assert_eq!((answer.status, answer.url), (200, format!("http://{address}/b")));
    let why = lost(&request);
    assert!(why.contains("another origin, http://127.0.0.2:1,") && !why.contains("token"), "{why}");
    let requests = thread.join().unwrap();
    assert!(requests[2].starts_with("GET /b "), "{}", requests[2]);
}

#[test]
fn a_large_body_is_capped_or_saved() {
    let (address, thread) = server(3, |turn, stream| match turn {
        2 => reply(stream, "404 Not Found", b"no such thing"),
        _ => reply(stream, "200 OK", &vec![b'x'; 1_000_000]),
    });
    let mut request = http(&format!("http://{address}/"));
    let answer = send(&request).unwrap();
    assert_eq!((answer.body.len(), answer.truncated), (1000, true));
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("saved");
    request.save = Some(path.clone());
    let answer = send(&request).unwrap();
    assert_eq!((answer.body.len(), answer.truncated), (0, false));
    assert_eq!(std::fs::metadata(&path).unwrap().len(), 1_000_000);
    assert_eq!(send(&request).unwrap().body, b"no such thing");
    assert_eq!(std::fs::metadata(&path).unwrap().len(), 1_000_000);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    thread.join().unwrap();
}

#[test]
fn a_file_is_uploaded_with_its_length() {
    let (address, thread) = server(1, |_, stream| reply(stream, "200 OK", b""));
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file");
    std::fs::write(&path, "the file").unwrap();
    let mut request = http(&format!("http://{address}/"));
    request.method = "PUT".into();
    request.body = Body::File(path);
    assert_eq!(send(&request).unwrap().status, 200);
    let seen = thread.join().unwrap().remove(0);
    assert!(seen.contains("content-length: 8") && seen.ends_with("\r\n\r\nthe file"), "{seen}");
}

#[test]
fn a_request_can_be_stopped() {
    let (address, thread) = server(1, |_, stream| {
        let _ = stream.read(&mut [0u8; 1]);
    });
    let world = world();
    let cancel = Rc::new(Cancel::new());
    let request = http(&format!("http://{address}/"));
    let sent = on_one_thread(async {
        let stop = async {
            tokio::task::yield_now().await;
            cancel.raise(1);
        };
        futures_util::future::join(world.send(&request, &cancel), stop).await.0
    });
    assert!(matches!(sent, Err(SendError::Lost(_) | SendError::NotSent(_))), "{sent:?}");
    // Wakes the server where no connection was made.
    let _ = TcpStream::connect(address);
    thread.join().unwrap();
}

#[test]
fn waiting_ends_when_the_step_is_stopped() {
    let world = world();
    on_one_thread(async {
        let cancel = Cancel::new();
        let mut waiting = std::pin::pin!(world.sleep(Duration::MAX / 4, &cancel));
        assert!((&mut waiting).now_or_never().is_none());
        cancel.raise(1);
        assert!((&mut waiting).now_or_never().is_some());
        assert!(world.sleep(Duration::MAX / 4, &cancel).now_or_never().is_some());
    });
    until("the clock to go on", || world.now() > Duration::ZERO);
    assert_ne!(world.random(), world.random());
}
