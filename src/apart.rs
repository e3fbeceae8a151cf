//! This program once more, in a process of its own, to read what strangers have made.
//!
//! A file may be made to exhaust whoever reads it, or to take them over, and no library answers for all of that. So what is
//! read so is read by a process that has no settings and no secrets, that gives itself limits before it reads, and whose end
//! nobody else notices. Whatever becomes of it, the server has a sentence to say; and it believes nothing of what it is told
//! before it has looked.

use std::io;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::Arc;

use rustix::process::{Resource, Rlimit, setrlimit};
use tokio::process::{Child, Command};
use tokio::sync::{AcquireError, OwnedSemaphorePermit, Semaphore};

/// Has the allocator ask for memory as it is needed. Otherwise it reserves a gibibyte when the process starts: what was
/// reserved before the limit is not held by it, and whatever does not fit into it is refused, however little it is.
const NOTHING_RESERVED: (&str, &str) = ("MIMALLOC_ARENA_RESERVE", "0");

/// A program that is started for each of the things it reads.
#[derive(Debug)]
pub struct Apart {
    program: PathBuf,
    arguments: &'static [&'static str],
    turns: Arc<Semaphore>,
}

impl Apart {
    /// A program with its arguments, and how many of its processes those have at the same time who wait for their turn.
    pub fn new(program: PathBuf, arguments: &'static [&'static str], at_once: usize) -> Self {
        Self { program, arguments, turns: Arc::new(Semaphore::new(at_once)) }
    }

    /// Waits for a turn, which lasts for as long as it is held.
    ///
    /// # Errors
    /// Never: turns are not closed.
    pub async fn turn(&self) -> Result<OwnedSemaphorePermit, AcquireError> {
        Arc::clone(&self.turns).acquire_owned().await
    }

    /// Starts a process, which is killed when it is dropped. It reads from its input, answers on its output, and says nothing
    /// else.
    ///
    /// # Errors
    /// What the system says when it cannot be started.
    pub fn start(&self) -> io::Result<Child> {
        let mut command = Command::new(&self.program);
        command.args(self.arguments).env_clear().env(NOTHING_RESERVED.0, NOTHING_RESERVED.1);
        command.current_dir("/").stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        // Ctrl-C in a terminal is for the server alone, which finishes what it has begun.
        command.process_group(0).kill_on_drop(true).spawn()
    }
}

/// What such a process may take.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Bytes of memory, the program's own among them.
    pub memory: u64,
    /// Seconds of a processor.
    pub seconds: u64,
}

impl Limits {
    /// Holds this process to them from now on, and to what it was given: it opens nothing, writes no file, starts nobody and
    /// gains no rights.
    ///
    /// # Errors
    /// What the system says when it does not take a limit.
    pub fn hold(self) -> io::Result<()> {
        let most =
            |resource, limit| setrlimit(resource, Rlimit { current: Some(limit), maximum: Some(limit) });
        most(Resource::As, self.memory)?;
        most(Resource::Cpu, self.seconds)?;
        // What is open stays so.
        for resource in [Resource::Core, Resource::Fsize, Resource::Nofile, Resource::Nproc] {
            most(resource, 0)?;
        }
        #[cfg(target_os = "linux")]
        rustix::thread::set_no_new_privs(true)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncReadExt as _;

    use super::*;

    /// Attacks: 203.
    #[tokio::test]
    async fn it_has_neither_settings_nor_secrets_nor_a_folder() {
        let said = async |program: &str, arguments| {
            let mut child = Apart::new(program.into(), arguments, 1).start().unwrap();
            let mut said = String::new();
            child.stdout.take().unwrap().read_to_string(&mut said).await.unwrap();
            said
        };
        // There is more than that in this process's own.
        assert!(std::env::vars_os().count() > 2);
        assert_eq!(said("/usr/bin/env", &[]).await, "MIMALLOC_ARENA_RESERVE=0\n");
        assert_eq!(said("/bin/pwd", &[]).await, "/\n");
    }

    #[tokio::test]
    async fn whoever_comes_too_many_waits_for_a_turn() {
        let apart = Apart::new(PathBuf::new(), &[], 1);
        let turn = apart.turn().await.unwrap();
        let soon = std::time::Duration::from_millis(20);
        assert!(tokio::time::timeout(soon, apart.turn()).await.is_err());
        drop(turn);
        assert!(apart.turn().await.is_ok());
    }
}
