//! Child processes that end with their owner, however the owner ends.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process_group};

use crate::PeerError;

/// How long a server may take until it is ready: generous, since test machines are busy.
const READY_WITHIN: Duration = Duration::from_secs(60);
/// The pause between two questions whether a server is ready.
const POLL_INTERVAL: Duration = Duration::from_millis(25);
/// How long one question for a server's health may take.
const HEALTH_TIMEOUT: Duration = Duration::from_secs(2);
/// How much of a health reply is read.
const HEALTH_REPLY_BYTES_MAX: u64 = 64 * 1024;
/// How much of a server's log an error message carries.
const LOG_TAIL_BYTES_MAX: usize = 2_000;

/// Runs the command line that follows in this shell's place, beside a watchdog that kills the whole
/// process group when standard input ends, which it does when the owner is gone, even by `kill -9`.
///
/// (`PR_SET_PDEATHSIG` would do that too, but it fires when the *thread* that started the child
/// ends, and a test harness runs each test in a thread of its own.)
const SHELL_WITH_WATCHDOG: &str = r#"exec 3<&0; { cat <&3 >/dev/null; kill -KILL 0; } >/dev/null 2>&1 & exec "$@" 3<&- </dev/null"#;

/// A server process and everything that it started; killed when dropped.
#[derive(Debug)]
pub struct Server {
    program: String,
    child: Child,
    log: PathBuf,
}

impl Server {
    /// Starts `command` in a process group of its own with standard output and error to `log`.
    ///
    /// The command's own redirections are replaced. Its environment, arguments and directory are kept.
    ///
    /// # Errors
    ///
    /// [`PeerError::Prepare`] if the log cannot be made, [`PeerError::Start`] if there is no shell.
    pub fn start(command: &Command, log: &Path) -> Result<Self, PeerError> {
        let prepare = |source| PeerError::Prepare { path: log.into(), source };
        let output = File::create(log).map_err(prepare)?;
        let errors = output.try_clone().map_err(prepare)?;
        let program = PathBuf::from(command.get_program());
        let child = under_watchdog(command)
            .stdin(Stdio::piped())
            .stdout(output)
            .stderr(errors)
            .process_group(0)
            .spawn()
            .map_err(|source| PeerError::Start { program: program.clone(), source })?;
        let program = program.file_name().unwrap_or_default().to_string_lossy().into_owned();
        Ok(Self { program, child, log: log.into() })
    }

    /// The id of the server's process, which is also that of its process group.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Waits until `ready` says so, at most a minute.
    ///
    /// # Errors
    ///
    /// [`PeerError::Ended`] if the process ends first, [`PeerError::NotReady`] if time runs out; both
    /// carry the last lines of the log.
    pub fn wait_until(&mut self, mut ready: impl FnMut() -> bool) -> Result<(), PeerError> {
        let started = Instant::now();
        while !ready() {
            if let Ok(Some(status)) = self.child.try_wait() {
                return Err(self.ended(status));
            }
            if started.elapsed() > READY_WITHIN {
                let (program, log_tail) = (self.program.clone(), self.log_tail());
                return Err(PeerError::NotReady { program, waited: READY_WITHIN, log_tail });
            }
            std::thread::sleep(POLL_INTERVAL);
        }
        Ok(())
    }

    /// What the process has written to standard output and error so far.
    #[must_use]
    pub fn log(&self) -> String {
        let bytes = std::fs::read(&self.log).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// Kills the process and everything in its group at once, as power loss would, and waits for it.
    pub fn kill(&mut self) {
        if let Some(group) = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw) {
            // Fails only if the group is gone already, which is what is wanted.
            let _ = kill_process_group(group, Signal::KILL);
        }
        let _ = self.child.wait();
    }

    fn ended(&self, status: ExitStatus) -> PeerError {
        let (program, log_tail) = (self.program.clone(), self.log_tail());
        PeerError::Ended { program, status: status.to_string(), log_tail }
    }

    fn log_tail(&self) -> String {
        let log = self.log();
        let start = log.len().saturating_sub(LOG_TAIL_BYTES_MAX);
        let start = (start..log.len()).find(|&at| log.is_char_boundary(at)).unwrap_or(log.len());
        log.get(start..).unwrap_or_default().to_owned()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Wraps a command so that it runs beside a watchdog.
fn under_watchdog(command: &Command) -> Command {
    let mut shell = Command::new("/bin/sh");
    shell
        .args(["-c", SHELL_WITH_WATCHDOG, "sh"])
        .arg(command.get_program())
        .args(command.get_args());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => shell.env(name, value),
            None => shell.env_remove(name),
        };
    }
    if let Some(folder) = command.get_current_dir() {
        shell.current_dir(folder);
    }
    shell
}

/// A loopback address with a port that was free a moment ago.
///
/// Somebody else may take the port before the caller does: a server that then fails to start is worth
/// a second try on another port.
///
/// # Errors
///
/// [`PeerError::Prepare`] if the system has no port left.
pub fn free_address() -> Result<SocketAddr, PeerError> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
        .and_then(|listener| listener.local_addr())
        .map_err(|source| PeerError::Prepare { path: "127.0.0.1:0".into(), source })
}

/// Whether `GET path` is answered with status 200.
pub(crate) fn answers_ok(address: SocketAddr, path: &str) -> bool {
    let status_line = || -> std::io::Result<String> {
        let mut connection = TcpStream::connect_timeout(&address, HEALTH_TIMEOUT)?;
        connection.set_read_timeout(Some(HEALTH_TIMEOUT))?;
        write!(connection, "GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n")?;
        let mut reply = Vec::new();
        connection.take(HEALTH_REPLY_BYTES_MAX).read_to_end(&mut reply)?;
        Ok(String::from_utf8_lossy(&reply).lines().next().unwrap_or_default().to_owned())
    };
    status_line().is_ok_and(|line| line.starts_with("HTTP/1.1 200"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Command {
        let mut command = Command::new("/bin/sh");
        command.args(["-c", script]);
        command
    }

    fn is_alive(id: &str) -> bool {
        // A zombie has no command line.
        std::fs::read(format!("/proc/{id}/cmdline")).is_ok_and(|line| !line.is_empty())
    }

    #[test]
    fn the_whole_group_ends_with_its_owner() {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("log");
        let mut server = Server::start(&shell("sleep 600 & echo $!; wait"), &log).unwrap();
        server.wait_until(|| std::fs::read_to_string(&log).unwrap().ends_with('\n')).unwrap();
        let grandchild = server.log().trim().to_owned();
        assert!(is_alive(&grandchild));
        drop(server);
        let deadline = Instant::now() + Duration::from_secs(5);
        while is_alive(&grandchild) {
            assert!(Instant::now() < deadline, "process {grandchild} outlived its owner");
            std::thread::sleep(POLL_INTERVAL);
        }
    }

    #[test]
    fn the_watchdog_kills_the_group_when_the_owner_is_gone() {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("log");
        let mut server = Server::start(&shell("echo up; exec sleep 600"), &log).unwrap();
        server.wait_until(|| std::fs::read_to_string(&log).unwrap() == "up\n").unwrap();
        // What the kernel does to the pipe when the owner dies.
        drop(server.child.stdin.take());
        let status = server.child.wait().unwrap();
        assert_eq!(std::os::unix::process::ExitStatusExt::signal(&status), Some(9));
    }

    #[test]
    fn a_server_that_ends_early_is_named_with_its_last_words() {
        let folder = tempfile::tempdir().unwrap();
        let mut server =
            Server::start(&shell("echo no disk >&2; exit 3"), &folder.path().join("log")).unwrap();
        let error = server.wait_until(|| false).unwrap_err();
        assert!(matches!(error, PeerError::Ended { .. }));
        assert!(error.to_string().contains("exit status: 3): no disk"), "{error}");
    }
}
