//! Clips, read in processes of their own ([`apart`](crate::apart)): one looks a clip through before it is used, and another
//! decodes it wherever a film shows it. The server never reads what is in them.

use std::io::{self, ErrorKind, Read};
use std::os::unix::process::ExitStatusExt as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use rustix::process::Signal;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::{Child, ChildStdin, ChildStdout};
use tokio::runtime::Handle;
use tokio::time::{Instant, timeout, timeout_at};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::builtin::{Footage, FootageError, Projector, Projectors, read_clip};
use crate::apart::{Apart, Limits};
use crate::error::{Error, Result};
use crate::jobs;

/// The command by which this program reads one clip.
pub const COMMAND: &str = "read-clip";
/// Clips that are looked through at the same time. Those that films show are beside them, at most two a film.
const AT_ONCE: usize = 2;
/// What reading one may take: the file, the frames that others are made of, and one for the screen; and a minute of the largest
/// that are read, decoded twice.
const LIMITS: Limits = Limits { memory: 768 << 20, seconds: 900 };
/// How long one answer may take: the first comes after the whole file, and some after hundreds of frames.
const PATIENCE: Duration = Duration::from_secs(120);
/// How long a process whose pipes are closed may take to be over.
const MOMENT: Duration = Duration::from_secs(1);
/// Bytes that a process may be ahead with what it says: a frame does not fit, and wakes its reader less often.
#[cfg(target_os = "linux")]
const PIPE: usize = 1 << 20;

/// Reads clips.
#[derive(Debug)]
pub struct ClipReader {
    apart: Arc<Apart>,
    patience: Duration,
}

impl ClipReader {
    /// With the program that knows [`COMMAND`].
    pub fn new(program: PathBuf) -> Self {
        Self { apart: Arc::new(Apart::new(program, &[COMMAND], AT_ONCE)), patience: PATIENCE }
    }

    /// Reads the clips of a film, until it is broken off or what this gives is dropped.
    pub(super) fn begin(&self, broken_off: &CancellationToken) -> Clips {
        let unwanted = broken_off.child_token();
        let end = unwanted.clone().drop_guard();
        let apart = Arc::clone(&self.apart);
        Clips { hall: Arc::new(Hall { apart, unwanted, patience: self.patience }), _end: end }
    }
}

/// Reads the clips of one film. What it has started ends with it.
pub(super) struct Clips {
    hall: Arc<Hall>,
    _end: DropGuard,
}

impl Clips {
    /// Has a file read.
    ///
    /// # Errors
    /// When nobody can read it now.
    pub(super) async fn read(&self, file: Bytes) -> Result<Result<Footage, FootageError>> {
        let turn = self.hall.apart.turn().await.map_err(Error::internal)?;
        let projectors = Arc::clone(&self.hall);
        let read = jobs::compute(move || {
            let read = Footage::read(file, projectors);
            drop(turn);
            read
        });
        match read.await? {
            Err(FootageError::Away) => Err(Error::internal(FootageError::Away)),
            read => Ok(read),
        }
    }
}

/// Where a film's processes are started from.
struct Hall {
    apart: Arc<Apart>,
    unwanted: CancellationToken,
    patience: Duration,
}

impl Projectors for Hall {
    fn start(&self) -> io::Result<Box<dyn Projector>> {
        let handle = Handle::try_current().map_err(io::Error::other)?;
        let mut child =
            self.apart.start().inspect_err(|error| tracing::error!("no clip can be read: {error}"))?;
        let (Some(input), Some(output)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(ErrorKind::BrokenPipe.into());
        };
        // A hint: with less it is slower.
        #[cfg(target_os = "linux")]
        let _ = rustix::pipe::fcntl_setpipe_size(&output, PIPE);
        let (unwanted, patience, until) = (self.unwanted.clone(), self.patience, Instant::now());
        Ok(Box::new(Process { child, input, output, handle, unwanted, patience, until }))
    }
}

/// A process that reads a clip, and is killed when it is dropped.
struct Process {
    child: Child,
    input: ChildStdin,
    output: ChildStdout,
    handle: Handle,
    unwanted: CancellationToken,
    patience: Duration,
    /// Until when the present answer has to be there.
    until: Instant,
}

/// Waits for what a process does, until then and for as long as somebody wants it.
async fn within<T>(
    unwanted: &CancellationToken,
    until: Instant,
    work: impl Future<Output = io::Result<T>>,
) -> io::Result<T> {
    tokio::select! {
        biased;
        () = unwanted.cancelled() => Err(io::Error::other("nobody wants it any more")),
        done = timeout_at(until, work) => done?,
    }
}

impl Process {
    /// Ends what does not answer; says whether that is the clip's fault.
    fn end(&mut self, error: io::Error) -> io::Error {
        if !matches!(error.kind(), ErrorKind::UnexpectedEof | ErrorKind::BrokenPipe) {
            tracing::info!("a clip was not read to its end: {error}");
            // One that is over already needs no end.
            let _ = self.child.start_kill();
            return error;
        }
        let ended = self.handle.block_on(async { timeout(MOMENT, self.child.wait()).await });
        let Ok(Ok(status)) = ended else { return error };
        tracing::info!("a clip was not read to its end: its process ended with {status}");
        // Who stops a server may have stopped all of its processes.
        let stops = [Signal::TERM, Signal::INT, Signal::HUP].map(Signal::as_raw);
        match status.signal() {
            Some(signal) if stops.contains(&signal) => ErrorKind::ConnectionAborted.into(),
            _ => error,
        }
    }
}

impl Projector for Process {
    fn ask(&mut self, question: &[&[u8]]) -> io::Result<&mut dyn Read> {
        self.until = Instant::now() + self.patience;
        let Self { input, handle, unwanted, until, .. } = &mut *self;
        let asking = async {
            for piece in question {
                input.write_all(piece).await?;
            }
            input.flush().await
        };
        match handle.block_on(within(unwanted, *until, asking)) {
            Ok(()) => Ok(self),
            Err(error) => Err(self.end(error)),
        }
    }
}

impl Read for Process {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        let Self { output, handle, unwanted, until, .. } = &mut *self;
        match handle.block_on(within(unwanted, *until, output.read(bytes))) {
            Ok(0) if !bytes.is_empty() => Err(self.end(ErrorKind::UnexpectedEof.into())),
            Ok(count) => Ok(count),
            Err(error) => Err(self.end(error)),
        }
    }
}

/// The other side: reads one clip from standard input, and says on standard output what is asked about it.
pub fn answer_one() -> ExitCode {
    let held = LIMITS.hold();
    let done = held.and_then(|()| read_clip(&mut io::stdin().lock(), &mut io::stdout().lock()));
    if done.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Has a shell's command read a file.
    async fn read(
        arguments: &'static [&'static str],
        file: &'static [u8],
        patience: Duration,
    ) -> Result<Result<(), FootageError>> {
        let apart = Arc::new(Apart::new("/bin/sh".into(), arguments, 1));
        let clips = ClipReader { apart, patience }.begin(&CancellationToken::new());
        Ok(clips.read(Bytes::from_static(file)).await?.map(|_| ()))
    }

    /// More than any pipe holds.
    const LARGE: &[u8] = &[7; 8 << 20];
    const LONG: Duration = Duration::from_secs(600);

    /// Attacks: 203.
    #[tokio::test(flavor = "multi_thread")]
    async fn whoever_ends_or_says_anything_is_left_alone() {
        for script in [
            &["-c", "exit 0"][..],
            &["-c", "exit 1"],
            &["-c", "kill -KILL $$"],
            &["-c", "exec head -c 24 /dev/zero"],
        ] {
            for file in [b"a clip", LARGE] {
                let read = read(script, file, LONG).await.unwrap();
                assert_eq!(read, Err(FootageError::Stopped), "{script:?} {}", file.len());
            }
        }
        for script in [&["-c", "exec cat /dev/zero"][..], &["-c", "exec yes"]] {
            let read = read(script, b"a clip", LONG).await.unwrap();
            assert_eq!(read, Err(FootageError::Stopped), "{script:?}");
        }
    }

    /// Attacks: 203.
    #[tokio::test(flavor = "multi_thread")]
    async fn whoever_is_silent_is_not_waited_for() {
        let soon = Duration::from_millis(300);
        // It takes nothing, or says nothing, or begins to and goes on too slowly.
        for script in [
            &["-c", "exec sleep 600"][..],
            &["-c", "exec cat > /dev/null"],
            &["-c", "while true; do printf x; sleep 0.1; done"],
        ] {
            for file in [b"a clip", LARGE] {
                let read = read(script, file, soon).await.unwrap();
                assert_eq!(read, Err(FootageError::Stopped), "{script:?} {}", file.len());
            }
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn who_is_stopped_with_the_server_or_cannot_be_started_is_asked_again() {
        for script in [&["-c", "kill -TERM $$"][..], &["-c", "kill -HUP $$"]] {
            let read = read(script, b"a clip", LONG).await;
            assert!(matches!(read, Err(Error::Internal(_))), "{script:?}: {read:?}");
        }
        let nobody = ClipReader::new("/nowhere/aicos".into()).begin(&CancellationToken::new());
        assert!(matches!(nobody.read(Bytes::from_static(b"a clip")).await, Err(Error::Internal(_))));
    }

    /// Attacks: 203.
    #[cfg(target_os = "linux")]
    #[tokio::test(flavor = "multi_thread")]
    async fn a_film_that_nobody_wants_ends_what_it_has_started() {
        let sleeps = |seconds: &str| {
            let mut processes = procfs::process::all_processes().unwrap();
            processes.any(|process| {
                process.is_ok_and(|process| process.cmdline().is_ok_and(|line| line == ["sleep", seconds]))
            })
        };
        let until = async |seconds: &str, is_there: bool| {
            while sleeps(seconds) != is_there {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        // Broken off, and given up.
        for (arguments, seconds, is_broken_off) in
            [(&["-c", "exec sleep 601"][..], "601", true), (&["-c", "exec sleep 602"], "602", false)]
        {
            let broken_off = CancellationToken::new();
            let apart = Arc::new(Apart::new("/bin/sh".into(), arguments, 1));
            let clips = ClipReader { apart, patience: LONG }.begin(&broken_off);
            let reading =
                tokio::spawn(async move { clips.read(Bytes::from_static(b"a clip")).await.map(drop) });
            until(seconds, true).await;
            if is_broken_off {
                broken_off.cancel();
            } else {
                reading.abort();
            }
            until(seconds, false).await;
        }
    }
}
