//! Starting and stopping `cbr serve`, and calling the client.

use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use serde_json::Value;

const START: Duration = Duration::from_mins(1);

/// A folder with everything one installation needs.
pub(crate) struct Place {
    folder: tempfile::TempDir,
}

/// A running service; killed when dropped.
pub(crate) struct Server {
    child: Child,
    pub(crate) url: String,
    /// What it printed until it was ready.
    pub(crate) printed: String,
}

impl Place {
    pub(crate) fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn data(&self) -> PathBuf {
        self.path("data")
    }

    pub(crate) fn account_file(&self) -> PathBuf {
        self.path("account.json")
    }

    pub(crate) fn account(&self) -> Value {
        serde_json::from_slice(&fs::read(self.account_file()).unwrap()).unwrap()
    }

    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.path("log")).unwrap()
    }

    /// `cbr serve` on a port of its own, with further arguments.
    pub(crate) fn serve(&self, arguments: &[&str]) -> Command {
        let mut command = cbr();
        command.args(["serve", "--listen", "127.0.0.1:0", "--data-dir"]).arg(self.data());
        command.args(arguments);
        command
    }

    /// Starts the service with its account in a file, and waits until it is ready.
    pub(crate) fn start(&self) -> Server {
        let file = self.account_file();
        self.start_with(&["--bootstrap-file", file.to_str().unwrap()])
    }

    pub(crate) fn start_with(&self, arguments: &[&str]) -> Server {
        self.start_command(self.serve(arguments))
    }

    pub(crate) fn start_command(&self, mut command: Command) -> Server {
        let log = File::options().create(true).append(true).open(self.path("log")).unwrap();
        let mut child = command.stdout(Stdio::piped()).stderr(log).spawn().unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        let (sender, receiver) = mpsc::channel();
        thread::spawn(move || {
            let mut printed = String::new();
            for line in stdout.lines().map_while(Result::ok) {
                if let Some(url) = line.strip_prefix("ready at ") {
                    drop(sender.send((url.to_owned(), printed.clone())));
                }
                printed.push_str(&line);
                printed.push('\n');
            }
        });
        let Ok((url, printed)) = receiver.recv_timeout(START) else {
            drop(child.kill());
            panic!("the service does not get ready:\n{}", self.log());
        };
        Server { child, url, printed }
    }

    /// The client with the account of this installation.
    pub(crate) fn client(&self, server: &Server, arguments: &[&str]) -> Output {
        let mut command = cbr();
        command.env("CBR_URL", &server.url).env("CBR_BOOTSTRAP_FILE", self.account_file());
        command.args(arguments).output().unwrap()
    }

    /// A client command that must work; its JSON answer.
    pub(crate) fn json(&self, server: &Server, arguments: &[&str]) -> Value {
        let arguments = [arguments, &["-o", "json"]].concat();
        let output = self.client(server, &arguments);
        assert!(output.status.success(), "{arguments:?}: {}", text(&output));
        serde_json::from_slice(&output.stdout).unwrap()
    }
}

impl Server {
    /// Asks the service to stop and demands a good end.
    pub(crate) fn stop(mut self) {
        let pid = rustix::process::Pid::from_raw(self.child.id().cast_signed()).unwrap();
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
        let status = self.child.wait().unwrap();
        assert!(status.success(), "{status}");
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// kill -9.
    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// The binary, with nothing of this person's environment and profiles.
pub(crate) fn cbr() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_cbr"));
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("CBR_") {
            command.env_remove(name);
        }
    }
    command.env("XDG_CONFIG_HOME", "/nonexistent").env("LC_ALL", "C");
    command
}

pub(crate) fn text(output: &Output) -> String {
    format!(
        "{:?}\n{}{}",
        output.status.code(),
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}

/// A disk image of which every other 64 KiB holds data that depends on `seed`.
pub(crate) fn write_disk(path: &Path, seed: u64) {
    let mut bytes = vec![0_u8; 8 << 20];
    let mut state = seed | 1;
    for (index, block) in bytes.chunks_mut(64 << 10).enumerate() {
        if index % 2 == 0 {
            for byte in block {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                *byte = state.to_be_bytes()[0];
            }
        }
    }
    fs::write(path, bytes).unwrap();
}
