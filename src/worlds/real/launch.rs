//! The engine's side of one process: starts a supervisor, passes its output on, tells it when to end. Knows nothing of
//! what runs inside.

use std::{
    borrow::Cow,
    io,
    os::{
        fd::OwnedFd,
        unix::{ffi::OsStrExt, process::CommandExt},
    },
    sync::Arc,
    time::Duration,
};

use tokio::{
    io::AsyncWriteExt,
    net::{UnixStream, unix::pipe::Receiver},
};

use super::{
    RealWorld, attempt, child, orphans, remote,
    terminal::{ESCAPE, Keyboard, RawMode, Resized, WentOn, operator_present, operator_size},
    wire::{End, Frames, Order, RecordAt, frame, tag},
};
use crate::{
    event::Stream,
    port::{Cancel, Local, Output, ProcessEnd, ProcessRequest, Stdin, WorldError},
};

const CHUNK: usize = 64 * 1024;
/// Between two changes of a window's size, so that a program sees both.
const REDRAW: Duration = Duration::from_millis(50);

/// What becomes of the process when nobody waits for its end any more.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Dropped {
    /// As if the engine had died: it goes on and its end is written down.
    GoesOn,
    Killed,
}

/// A supervisor that waits for an order, or works on one.
pub(super) struct Helper {
    handle: Arc<duct::Handle>,
    control: UnixStream,
    frames: Frames,
    stdout: Pipe,
    stderr: Pipe,
}

impl Helper {
    pub fn start(world: &RealWorld) -> io::Result<Helper> {
        let (ours, theirs) = std::os::unix::net::UnixStream::pair()?;
        let (stdout, stdout_theirs) = io::pipe()?;
        let (stderr, stderr_theirs) = io::pipe()?;
        super::relay::enlarge(&stdout);
        let handle = duct::cmd(&world.helper, ["__supervise"])
            // Nothing of our own environment: the step gets its own, in the order.
            .full_env(std::iter::empty::<(String, String)>())
            .before_spawn(|command| {
                command.arg0("runsheet");
                Ok(())
            })
            .stdin_file(OwnedFd::from(theirs))
            .stdout_file(stdout_theirs)
            .stderr_file(stderr_theirs)
            .unchecked()
            .start()?;
        ours.set_nonblocking(true)?;
        world.supervisors.borrow_mut().extend(numbers(&handle));
        Ok(Helper {
            handle: Arc::new(handle),
            control: UnixStream::from_std(ours)?,
            frames: Frames::default(),
            stdout: Pipe::new(stdout.into())?,
            stderr: Pipe::new(stderr.into())?,
        })
    }

    async fn send(&mut self, tag: u8, body: &[u8]) -> io::Result<()> {
        self.control.write_all(&frame(tag, body)).await
    }

    /// The next word of the supervisor; none when it is gone. May be dropped at any point without loss.
    async fn hear(&mut self) -> io::Result<Option<(u8, Vec<u8>)>> {
        let mut buffer = [0u8; 4096];
        loop {
            if let Some(frame) = self.frames.next().map_err(io::Error::other)? {
                return Ok(Some(frame));
            }
            self.control.readable().await?;
            match self.control.try_read(&mut buffer) {
                Ok(0) => return Ok(None),
                Ok(count) => self.frames.push(&buffer[..count]),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) if error.kind() == io::ErrorKind::ConnectionReset => return Ok(None),
                Err(error) => return Err(error),
            }
        }
    }

    /// One that has said everything, to be collected some time.
    fn retire(self) -> Arc<duct::Handle> {
        self.handle
    }

    /// Collects the supervisor itself. One that still waits for an order learns from the closed line that none comes.
    async fn reap(self, world: &RealWorld) {
        let numbers: Vec<i32> = numbers(&self.handle).collect();
        self.collect().await;
        world.supervisors.borrow_mut().retain(|number| !numbers.contains(number));
    }

    async fn collect(self) {
        let Helper { handle, control, stdout, stderr, .. } = self;
        drop((control, stdout, stderr));
        if !matches!(handle.try_wait(), Ok(None)) {
            return;
        }
        let _ = tokio::task::spawn_blocking(move || drop(handle.wait())).await;
    }
}

/// Collects those of the retired that have ended.
fn collect(world: &RealWorld) {
    world.retired.borrow_mut().retain(|handle| {
        let goes_on = matches!(handle.try_wait(), Ok(None));
        if !goes_on {
            let gone: Vec<i32> = numbers(handle).collect();
            world.supervisors.borrow_mut().retain(|number| !gone.contains(number));
        }
        goes_on
    });
}

/// Waits for those that are on their way out, and for the one that learns by it that it is not needed.
pub(super) fn dismiss(world: &RealWorld) {
    let spare = world.spare.borrow_mut().take().map(Helper::retire);
    for handle in world.retired.borrow_mut().drain(..).chain(spare) {
        // One that cannot be waited for is collected by the system.
        let _ = handle.wait();
    }
}

fn numbers(handle: &duct::Handle) -> impl Iterator<Item = i32> {
    handle.pids().into_iter().filter_map(|pid| i32::try_from(pid).ok())
}

/// One stream of output, read as it comes.
struct Pipe {
    fd: Receiver,
    open: bool,
    buffer: Vec<u8>,
}

impl Pipe {
    fn new(fd: OwnedFd) -> io::Result<Pipe> {
        Ok(Pipe { fd: Receiver::from_owned_fd(fd)?, open: true, buffer: Vec::new() })
    }

    /// Resolves to the bytes at hand; an empty chunk is the end. May be dropped at any point without loss.
    async fn chunk(&mut self) -> &[u8] {
        if self.buffer.is_empty() {
            self.buffer.resize(CHUNK, 0);
        }
        loop {
            if self.fd.readable().await.is_err() {
                break;
            }
            match self.fd.try_read(&mut self.buffer) {
                Ok(count @ 1..) => return &self.buffer[..count],
                Err(error) if matches!(error.kind(), io::ErrorKind::Interrupted | io::ErrorKind::WouldBlock) => {}
                Ok(_) | Err(_) => break,
            }
        }
        self.open = false;
        &[]
    }
}

/// Tells the supervisor what to do when the future that waits for it is dropped.
struct Running {
    helper: Option<Helper>,
    dropped: Dropped,
}

impl Drop for Running {
    fn drop(&mut self) {
        if let (Some(helper), Dropped::Killed) = (&self.helper, self.dropped) {
            // Five bytes and one fit into an empty socket; if not, its closing is noticed all the same.
            let _ = helper.control.try_write(&frame(tag::CANCEL, &[2]));
        }
    }
}

/// Runs one process to its end.
pub(super) async fn run(
    world: &RealWorld,
    request: &ProcessRequest,
    output: &dyn Output,
    cancel: &Cancel,
    dropped: Dropped,
) -> Result<ProcessEnd, WorldError> {
    if cancel.level() > 0 {
        return Err(not_started("it was stopped before"));
    }
    collect(world);
    let attended = request.tty && operator_present();
    // Words that no script can know beforehand.
    let marks = matches!(request.stdin, Stdin::Remote(_)).then(|| format!("{:016x}", super::random()));
    let stdin = match (&request.stdin, &marks) {
        (Stdin::Bytes(bytes), _) => Some(Cow::Borrowed(&bytes[..])),
        (Stdin::Remote(remote), Some(marks)) => Some(Cow::Owned(remote::written(remote, marks))),
        _ => None,
    };
    let order = order(world, request, attended, marks)?;
    let mut helper = None;
    // A helper that was started early may have been ended by somebody in the meantime; nothing runs before GO, so that
    // another one can be asked.
    for early in [true, false] {
        let spare = if early { world.spare.borrow_mut().take() } else { None };
        let mut candidate = match spare {
            Some(spare) => spare,
            None if early => continue,
            None => Helper::start(world).map_err(|error| {
                let helper = world.helper.display();
                not_started(&format!("its supervisor ({helper}) did not start: {}", child::plain(&error)))
            })?,
        };
        match ready(&mut candidate, &order, stdin.as_deref(), cancel).await {
            Ok(()) => {
                helper = Some(candidate);
                break;
            }
            Err(Refused::Silent) if early => {}
            Err(Refused::Silent) => return Err(not_started("its supervisor ended before it could start it")),
            Err(Refused::Says(why)) => {
                candidate.reap(world).await;
                return Err(not_started(&why));
            }
        }
    }
    drop((order, stdin));
    // Every way out of the loop but this one has returned.
    let Some(mut helper) = helper else { return Err(not_started("no supervisor could be started")) };
    if helper.send(tag::GO, b"").await.is_err() {
        return Err(not_started("its supervisor ended before it could start it"));
    }
    let mut running = Running { helper: Some(helper), dropped };
    // While the step starts and runs, the helper of the next one can get ready.
    if world.spare.borrow().is_none() {
        *world.spare.borrow_mut() = Helper::start(world).ok();
    }
    let mut pid = None;
    let ended = follow(&mut running, &mut pid, output, cancel, request.tty, attended).await;
    let ended = match (ended, &running.helper) {
        (Ok(None), Some(helper)) => Err(lost(world, request, helper, pid).await),
        (ended, _) => ended,
    };
    // One that watches over what was left running is not waited for.
    let stays = matches!(&ended, Ok(Some(end)) if !end.left.is_empty());
    if let Some(helper) = running.helper.take().filter(|_| !stays) {
        match &ended {
            // Everything is known and nothing can follow: what the kernel takes to clear it away is not waited for.
            Ok(Some(_)) => world.retired.borrow_mut().push(helper.retire()),
            _ => helper.reap(world).await,
        }
    }
    // What said nothing has become an error.
    let Some(end) = ended? else { return Err(not_started("it has no supervisor")) };
    Ok(ProcessEnd {
        exit: end.exit,
        signal: end.signal,
        remote: end.remote,
        timed_out: end.timed_out,
        cancelled: end.cancelled,
        duration: end.duration,
        swept: end.swept,
        left: end.left,
        dropped_bytes: end.dropped_bytes,
    })
}

enum Refused {
    /// It is gone and has said nothing.
    Silent,
    Says(String),
}

/// Hands over the order and waits until the lock is held.
async fn ready(helper: &mut Helper, order: &[u8], stdin: Option<&[u8]>, cancel: &Cancel) -> Result<(), Refused> {
    let sent = async {
        helper.send(tag::ORDER, order).await?;
        if let Some(bytes) = stdin {
            helper.send(tag::STDIN, bytes).await?;
        }
        helper.hear().await
    };
    tokio::select! {
        // A stop that is known by now is heeded, whatever the supervisor has said.
        biased;
        _ = cancel.above(0) => Err(Refused::Says("it was stopped before".into())),
        heard = sent => match heard {
            Ok(Some((tag::READY, _))) => Ok(()),
            Ok(Some((tag::FAILED, why))) => Err(Refused::Says(String::from_utf8_lossy(&why).into_owned())),
            _ => Err(Refused::Silent),
        },
    }
}

/// Passes everything on until the end is known and no output can follow; none if the supervisor went without a word.
async fn follow(
    running: &mut Running,
    pid: &mut Option<i32>,
    output: &dyn Output,
    cancel: &Cancel,
    tty: bool,
    attended: bool,
) -> Result<Option<End>, WorldError> {
    // `run` has put it there, and takes it only after this.
    let Some(helper) = running.helper.as_mut() else { return Ok(None) };
    let out = if tty { Stream::Terminal } else { Stream::Stdout };
    let mut seen = 0;
    let mut end = None;
    let mut control_open = true;
    let mut went_on = WentOn::new();
    let mut raw = None;
    let mut keyboard = None;
    // While the operator looks at something else, and until the step has shown its screen again.
    let mut menu: Option<Local<'_, ()>> = None;
    let mut redraw: Option<Local<'_, ()>> = None;
    let mut resized = if attended { Resized::new() } else { None };
    while control_open || helper.stdout.open || helper.stderr.open {
        // Taken apart so that each branch borrows only what it needs.
        let Helper { control, frames, stdout, stderr, .. } = &mut *helper;
        enum Event {
            Out,
            Heard(io::Result<usize>),
            Level(u8),
            Keys(Option<Vec<u8>>),
            Resized,
            WentOn,
            Back,
            Redraw,
        }
        let mut heard = [0u8; 4096];
        let event = tokio::select! {
            bytes = stdout.chunk(), if stdout.open => {
                if !bytes.is_empty() {
                    output.chunk(out, bytes);
                }
                Event::Out
            }
            bytes = stderr.chunk(), if stderr.open => {
                if !bytes.is_empty() {
                    output.chunk(Stream::Stderr, bytes);
                }
                Event::Out
            }
            ready = control.readable(), if control_open => {
                Event::Heard(ready.and_then(|()| control.try_read(&mut heard)))
            }
            level = cancel.above(seen), if control_open => Event::Level(level),
            keys = Keyboard::read(&mut keyboard) => Event::Keys(keys),
            () = Resized::wait(&mut resized) => Event::Resized,
            () = went_on.wait(), if raw.is_some() => Event::WentOn,
            () = at(&mut menu) => Event::Back,
            () = at(&mut redraw) => Event::Redraw,
        };
        match event {
            Event::Out => {}
            Event::Heard(Ok(count @ 1..)) => {
                frames.push(&heard[..count]);
                let mut begun = false;
                while let Ok(Some((tag, body))) = frames.next() {
                    match tag {
                        tag::STARTED => {
                            *pid = std::str::from_utf8(&body).ok().and_then(|text| text.parse().ok());
                            begun = attended;
                        }
                        tag::FAILED => {
                            return Err(not_started(&String::from_utf8_lossy(&body)));
                        }
                        tag::END => end = serde_json::from_slice::<End>(&body).ok(),
                        _ => {}
                    }
                }
                if begun {
                    (raw, keyboard) = take_terminal(helper).await;
                }
            }
            Event::Heard(Err(error)) if error.kind() == io::ErrorKind::WouldBlock => {}
            Event::Heard(_) => control_open = false,
            Event::Level(level) => {
                seen = level;
                // If it is gone, that is noticed at the other end of this loop.
                let _ = helper.send(tag::CANCEL, &[level]).await;
            }
            Event::Keys(None) => {
                keyboard = None;
                no_keys(helper).await;
            }
            Event::Keys(Some(keys)) => {
                let escape = keys.iter().position(|key| *key == ESCAPE);
                let _ = helper.send(tag::KEYS, &keys[..escape.unwrap_or(keys.len())]).await;
                if escape.is_some() {
                    keyboard = None;
                    raw = None;
                    menu = Some(output.escaped());
                }
            }
            Event::Resized => resize(helper, operator_size()).await,
            event @ (Event::Back | Event::WentOn) => {
                if let (Event::WentOn, Some(keyboard)) = (event, &mut keyboard) {
                    keyboard.forget_typed();
                }
                if menu.take().is_some() {
                    (raw, keyboard) = take_terminal(helper).await;
                }
                // Only a window that changes makes programs draw their screen anew.
                let (rows, columns) = operator_size();
                resize(helper, (if rows > 1 { rows - 1 } else { rows + 1 }, columns)).await;
                redraw = Some(Box::pin(tokio::time::sleep(REDRAW)));
            }
            Event::Redraw => {
                redraw = None;
                resize(helper, operator_size()).await;
            }
        }
    }
    drop(keyboard);
    drop(raw);
    Ok(end)
}

/// The terminal for the step, with the keys that are typed there.
async fn take_terminal(helper: &mut Helper) -> (Option<RawMode>, Option<Keyboard>) {
    let raw = RawMode::enter();
    let keyboard = raw.is_some().then(Keyboard::new).flatten();
    if keyboard.is_none() {
        no_keys(helper).await;
    }
    (raw, keyboard)
}

/// The terminal is gone: whoever reads it gets its end, and not silence for ever.
async fn no_keys(helper: &mut Helper) {
    let _ = helper.send(tag::NO_KEYS, b"").await;
}

async fn resize(helper: &mut Helper, (rows, columns): (u16, u16)) {
    let mut body = rows.to_le_bytes().to_vec();
    body.extend(columns.to_le_bytes());
    let _ = helper.send(tag::SIZE, &body).await;
}

/// Never resolves where there is nothing to wait for.
async fn at(what: &mut Option<Local<'_, ()>>) {
    match what {
        Some(what) => what.await,
        None => std::future::pending().await,
    }
}

fn order(
    world: &RealWorld,
    request: &ProcessRequest,
    attended: bool,
    marks: Option<String>,
) -> Result<Vec<u8>, WorldError> {
    let cwd = std::path::absolute(&request.cwd)
        .map_err(|error| not_started(&format!("its folder cannot be told: {}", child::plain(&error))))?;
    let (rows, columns) = if attended { operator_size() } else { (24, 80) };
    let record = match &request.record_dir {
        None => None,
        Some(dir) => Some(RecordAt {
            dir: std::path::absolute(dir)
                .map_err(|error| not_started(&format!("the run's folder is gone: {}", child::plain(&error))))?
                .as_os_str()
                .as_bytes()
                .to_vec(),
            name: attempt::name(&request.step, request.attempt),
            engine: world.token.clone(),
        }),
    };
    let order = Order {
        // Without a lock nobody could find it again.
        daemon: request.daemon && record.is_some(),
        argv: request.argv.clone(),
        env: request.env.clone(),
        cwd: cwd.as_os_str().as_bytes().to_vec(),
        tty: request.tty,
        attended,
        rows,
        columns,
        timeout: request.timeout,
        grace: request.kill_grace,
        has_stdin: !matches!(request.stdin, Stdin::Nothing),
        marks,
        record,
    };
    serde_json::to_vec(&order).map_err(|error| not_started(&error.to_string()))
}

fn not_started(why: &str) -> WorldError {
    WorldError::NotStarted(why.to_owned())
}

/// A supervisor is gone without a word, killed most likely. Whatever runs on is watched by nobody and would act behind
/// the back of whoever decides next.
async fn lost(world: &RealWorld, request: &ProcessRequest, helper: &Helper, pid: Option<i32>) -> WorldError {
    let program = request.argv.first().map_or("", String::as_str);
    // On a terminal the main process leads a session of its own; elsewhere there is no session of this number.
    let own: Vec<i32> = numbers(&helper.handle).collect();
    let orphans = {
        let supervisors = world.adopts.get().then(|| world.supervisors.borrow().clone());
        orphans::end(&own, pid, supervisors.as_ref()).await
    };
    let mut why = format!("the supervisor of {} ended without telling how it went", request.step);
    if !orphans.ended.is_empty() {
        why.push_str(&format!("; what was left of it was ended: {}", orphans.ended.join(", ")));
    }
    if !orphans.left.is_empty() {
        why.push_str(&format!("; still running, and not ours to end: {}", orphans.left.join(", ")));
    }
    if !cfg!(target_os = "linux") {
        let look = pid.map_or(String::new(), |pid| format!("; look for process {pid}"));
        why.push_str(&format!("; {} may still be running{look}", crate::text::one_line(program)));
    }
    WorldError::Lost(why)
}
