//! A fresh database per test, on both engines.
//!
//! SQLite: a file in a temporary folder. PostgreSQL: a server of our own, one
//! per test process, made from the installed binaries, reachable through a
//! Unix socket only, and gone when the process ends, however it ends. Without
//! the binaries the test is skipped and says so.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use tempfile::TempDir;

/// A database engine the product promises to run on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Engine {
    /// A file.
    Sqlite,
    /// A server.
    Postgres,
}

/// An empty database that is gone after the test.
#[derive(Debug)]
pub struct TestDatabase {
    url: String,
    folder: Option<TempDir>,
}

impl TestDatabase {
    /// An empty database; none, with a word on standard error, where the engine is not installed.
    pub fn on(engine: Engine) -> Option<Self> {
        match engine {
            Engine::Sqlite => Some(Self::sqlite()),
            Engine::Postgres => Self::postgres(),
        }
    }

    /// An empty SQLite database. In memory where that is possible: these tests lose no power.
    pub fn sqlite() -> Self {
        let folder = in_memory("cbr-db-").expect("a temporary folder");
        let url = format!("sqlite:{}", folder.path().join("cbr.db").display());
        Self { url, folder: Some(folder) }
    }

    /// A SQLite database as `make` leaves an empty one, given its URL: the first time in a process it is
    /// called, and must close the database; after that its file is copied.
    pub async fn sqlite_made<M: Future<Output = ()>>(make: impl FnOnce(String) -> M) -> Self {
        static MADE: OnceLock<Vec<u8>> = OnceLock::new();
        let database = Self::sqlite();
        let file = database.path().expect("SQLite has a file");
        if let Some(made) = MADE.get() {
            fs::write(file, made).expect("a copy of the database");
        } else {
            make(database.url().to_owned()).await;
            let mut log = file.clone().into_os_string();
            log.push("-wal");
            assert!(!Path::new(&log).exists(), "the database was not closed");
            // Who comes second has made the same.
            let _ = MADE.set(fs::read(file).expect("the database's file"));
        }
        database
    }

    fn postgres() -> Option<Self> {
        static SERVER: OnceLock<Option<Server>> = OnceLock::new();
        let Some(server) = SERVER.get_or_init(Server::start) else {
            skipped();
            return None;
        };
        Some(Self { url: server.create_database(), folder: None })
    }

    /// Where it is, as the configuration would say it.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The file of a SQLite database.
    pub fn path(&self) -> Option<PathBuf> {
        self.folder.as_ref().map(|folder| folder.path().join("cbr.db"))
    }
}

fn skipped() {
    const WHY: &str =
        "skipped: PostgreSQL is not installed (no initdb in /usr/lib/postgresql/*/bin)\n";
    // Not by a macro: the harness would keep it to itself.
    let _ = io::stderr().write_all(WHY.as_bytes());
}

/// Writes each test twice: as `sqlite::<name>` and as `postgres::<name>`. The
/// test is an `async fn(cbr_testkit::TestDatabase)`.
#[macro_export]
macro_rules! on_both_engines {
    ($($(#[$attribute:meta])* $name:ident),+ $(,)?) => {
        mod sqlite {
            $($(#[$attribute])* #[tokio::test]
            async fn $name() {
                super::$name($crate::TestDatabase::sqlite()).await;
            })+
        }
        mod postgres {
            $($(#[$attribute])* #[tokio::test]
            async fn $name() {
                if let Some(database) = $crate::TestDatabase::on($crate::Engine::Postgres) {
                    super::$name(database).await;
                }
            })+
        }
    };
}

/// Ends the server and removes its folder when standard input ends, that is
/// when the process that holds the other end is gone.
const GUARD: &str = r#"
    "$@" >&2 &
    cat > /dev/null
    kill -QUIT "$(head -n 1 "$FOLDER/data/postmaster.pid")"
    wait
    rm -rf "$FOLDER"
"#;

#[derive(Debug)]
struct Server {
    binaries: PathBuf,
    socket: PathBuf,
    _guard: Child,
}

impl Server {
    fn start() -> Option<Self> {
        let binaries = find_binaries()?;
        let folder = new_folder().expect("a folder for PostgreSQL");
        let data = folder.join("data");
        let log = fs::File::create(folder.join("log")).expect("a log file");
        let made = as_postgres(&binaries.join("initdb"))
            .args(["--auth=trust", "--no-sync", "--encoding=UTF8", "--locale=C", "-U", "postgres"])
            .arg("-D")
            .arg(&data)
            .stdout(Stdio::null())
            .stderr(log.try_clone().expect("the log file again"))
            .status()
            .expect("initdb starts");
        assert!(made.success(), "initdb failed, see {}", folder.join("log").display());
        let server = as_postgres(&binaries.join("postgres"));
        let guard = Command::new("sh")
            .args(["-c", GUARD, "guard"])
            .arg(server.get_program())
            .args(server.get_args())
            .arg("-D")
            .arg(&data)
            .arg("-k")
            .arg(&folder)
            .args(["-c", "listen_addresses=", "-c", "max_connections=400"])
            .env("FOLDER", &folder)
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("PostgreSQL starts");
        let server = Self { binaries, socket: folder, _guard: guard };
        server.wait_until_ready();
        Some(server)
    }

    fn wait_until_ready(&self) {
        for _ in 0..600 {
            let ready = Command::new(self.binaries.join("pg_isready"))
                .args(["-q", "-U", "postgres", "-h"])
                .arg(&self.socket)
                .status();
            if ready.is_ok_and(|status| status.success()) {
                return;
            }
            std::thread::sleep(std::time::Duration::from_millis(50));
        }
        panic!("PostgreSQL did not start, see {}", self.socket.join("log").display());
    }

    fn create_database(&self) -> String {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        let name = format!("t{}", NUMBER.fetch_add(1, Ordering::Relaxed));
        let made = Command::new(self.binaries.join("createdb"))
            .args(["-U", "postgres", "-h"])
            .arg(&self.socket)
            .arg(&name)
            .output()
            .expect("createdb starts");
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        let host = self.socket.to_string_lossy().replace('/', "%2F");
        format!("postgres://postgres@{host}/{name}")
    }
}

/// The newest installed version.
fn find_binaries() -> Option<PathBuf> {
    let versions = fs::read_dir("/usr/lib/postgresql").ok()?;
    let mut found: Vec<(u32, PathBuf)> = versions
        .filter_map(|entry| {
            let entry = entry.ok()?;
            let version = entry.file_name().to_str()?.parse().ok()?;
            let binaries = entry.path().join("bin");
            binaries.join("initdb").exists().then_some((version, binaries))
        })
        .collect();
    found.sort();
    found.pop().map(|(_, binaries)| binaries)
}

/// PostgreSQL refuses to run as root; root hands it to the user `postgres`.
fn as_postgres(program: &Path) -> Command {
    if is_root() {
        let mut command = Command::new("runuser");
        command.args(["-u", "postgres", "--"]).arg(program);
        command.current_dir("/");
        command
    } else {
        Command::new(program)
    }
}

fn is_root() -> bool {
    use std::os::unix::fs::MetadataExt;
    fs::metadata("/proc/self").is_ok_and(|entry| entry.uid() == 0)
}

/// A temporary folder; in memory if the machine has such a place.
fn in_memory(prefix: &str) -> io::Result<TempDir> {
    let memory = tempfile::Builder::new().prefix(prefix).tempdir_in("/dev/shm");
    memory.or_else(|_| TempDir::with_prefix(prefix))
}

/// In memory where that is possible: PostgreSQL syncs a lot, and must in these tests.
fn new_folder() -> io::Result<PathBuf> {
    let folder = in_memory("cbr-pg-")?.keep();
    if is_root() {
        let owned = Command::new("chown").arg("postgres").arg(&folder).status()?;
        if !owned.success() {
            return Err(io::Error::other("chown failed"));
        }
    }
    Ok(folder)
}
