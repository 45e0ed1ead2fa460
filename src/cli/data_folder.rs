//! The folder of the local store: its format, who may read it, and the one process that has it open.
//!
//! SQLite's log of writes can be lost where several processes write it, in releases before 3.51.3. So a process takes a
//! lock, and other commands ask the one that has it: `rollcall serve` writes down where it listens, with a secret that
//! only its own user can read.

use std::fs::{File, TryLockError};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::platform::{create_private_folder, private_file, restrict_to_owner};
use crate::limits::DATA_LOCK_SECONDS;
use crate::store::dynamo::embedded::Engine;

/// What the folder's `format` file holds: the layout of the tables that this release reads and writes.
const DATA_FORMAT: &str = "6";

/// The file of the store, what SQLite keeps next to it, and the marker of the format.
const STORE_FILES: [&str; 4] = ["rollcall.db", "rollcall.db-wal", "rollcall.db-shm", "format"];

/// The file that a process locks.
const LOCK_FILE: &str = "lock";

/// The file that says where the process listens that has the lock.
const SERVER_FILE: &str = "server.json";

/// How often a command looks again whether another one is done.
const PAUSE: Duration = Duration::from_millis(50);

/// The lock of this process, held until it ends.
static LOCK: OnceLock<File> = OnceLock::new();

/// A process that has the store open and can be asked. No `Debug`: it holds a secret.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct RunningServer {
    /// Where it listens, such as `http://127.0.0.1:3000`.
    pub(super) url: String,
    /// The secret that commands of its user send; none for `rollcall engine`.
    pub(super) secret: Option<String>,
}

/// How a command gets to the store.
pub(super) enum DataAccess {
    /// Its own process has it open.
    Opened(Engine),
    /// By a server.
    Served(RunningServer),
}

/// Opens the store in a folder, or finds the server that has it open. A folder of another format is refused before
/// anything in it is opened.
///
/// # Errors
/// What is wrong with the folder, and what to do; that another process has it open and cannot be asked.
pub(super) async fn access(folder: &Path) -> Result<DataAccess, String> {
    check_format(folder)?;
    create(folder)?;
    let file = lock_file(folder)?;
    let until = Instant::now() + Duration::from_secs(DATA_LOCK_SECONDS);
    loop {
        match file.try_lock() {
            Ok(()) => break,
            Err(TryLockError::Error(e)) => {
                return Err(format!("{} cannot be locked ({e}); choose another folder with --data", folder.display()));
            }
            Err(TryLockError::WouldBlock) => {}
        }
        if let Some(server) = running(folder).await {
            return Ok(DataAccess::Served(server));
        }
        if Instant::now() > until {
            return Err(in_use(folder));
        }
        tokio::time::sleep(PAUSE).await;
    }
    let _ = std::fs::remove_file(folder.join(SERVER_FILE));
    // A second folder in one process would be a second lock: no command opens two.
    let _ = LOCK.set(file);
    open(folder).map(DataAccess::Opened)
}

/// As [`access`], for what needs the store in its own process.
///
/// # Errors
/// As [`access`], and that a server has it open.
pub(super) async fn open_alone(folder: &Path) -> Result<Engine, String> {
    match access(folder).await? {
        DataAccess::Opened(engine) => Ok(engine),
        DataAccess::Served(RunningServer { url, secret: None }) => Err(format!(
            "{} is served by rollcall engine at {url}; add --endpoint-url {url} instead of --data",
            folder.display()
        )),
        DataAccess::Served(RunningServer { url, .. }) => Err(format!(
            "{} is open in rollcall serve at {url}; stop it, or choose another folder with --data",
            folder.display()
        )),
    }
}

fn in_use(folder: &Path) -> String {
    format!("{} is open in another process; wait until it is done, or stop it", folder.display())
}

/// What to do about a folder or file that cannot be used.
const FIX: &str = "check its permissions and the space on the disk, or choose another folder with --data";

/// Writes down where this process listens.
///
/// # Errors
/// When the file cannot be written.
pub(super) fn announce(folder: &Path, server: &RunningServer) -> Result<(), String> {
    let (file, new) = (folder.join(SERVER_FILE), folder.join("server.json.new"));
    let failed = |e: std::io::Error| format!("{} cannot be written ({e}); {FIX}", file.display());
    let text = serde_json::to_string(server).map_err(|e| e.to_string())?;
    let _ = std::fs::remove_file(&new);
    private_file()
        .write(true)
        .create_new(true)
        .open(&new)
        .and_then(|mut f| f.write_all(text.as_bytes()))
        .map_err(failed)?;
    std::fs::rename(&new, &file).map_err(failed)
}

/// Takes that back.
pub(super) fn withdraw(folder: &Path) {
    let _ = std::fs::remove_file(folder.join(SERVER_FILE));
}

/// The server that listens where the file says.
async fn running(folder: &Path) -> Option<RunningServer> {
    let server: RunningServer = serde_json::from_slice(&std::fs::read(folder.join(SERVER_FILE)).ok()?).ok()?;
    let address = server.url.strip_prefix("http://")?;
    tokio::net::TcpStream::connect(address).await.ok().map(|_| server)
}

fn create(folder: &Path) -> Result<(), String> {
    // A folder that is there already is its owner's affair.
    create_private_folder(folder).map_err(|e| format!("{} cannot be created ({e}); {FIX}", folder.display()))
}

fn lock_file(folder: &Path) -> Result<File, String> {
    let path = folder.join(LOCK_FILE);
    private_file()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&path)
        .map_err(|e| format!("{} cannot be opened ({e}); {FIX}", path.display()))
}

fn store_file(folder: &Path) -> PathBuf {
    folder.join("rollcall.db")
}

fn check_format(folder: &Path) -> Result<(), String> {
    let file = store_file(folder);
    if !file.exists() {
        return Ok(());
    }
    // Releases before the marker wrote format 1.
    let format = std::fs::read_to_string(folder.join("format")).unwrap_or_else(|_| "1".into());
    if format.trim() == DATA_FORMAT {
        return Ok(());
    }
    Err(format!(
        "{} has format {}, and this release reads format {DATA_FORMAT}; choose an empty folder with --data, or move this \
         one away, as nothing in it was changed",
        file.display(),
        format.trim()
    ))
}

/// Opens the store of a locked folder. SQLite gives the files next to it the permissions of the store's own.
fn open(folder: &Path) -> Result<Engine, String> {
    let file = store_file(folder);
    let path = file
        .to_str()
        .ok_or_else(|| format!("the path {} is not UTF-8; choose another folder with --data", file.display()))?;
    if !file.exists() {
        let marker = folder.join("format");
        std::fs::write(&marker, DATA_FORMAT)
            .map_err(|e| format!("{} cannot be written ({e}); {FIX}", marker.display()))?;
        private_file()
            .write(true)
            .create(true)
            .truncate(false)
            .open(&file)
            .map_err(|e| format!("{path} cannot be created ({e}); {FIX}"))?;
    }
    // Those of earlier releases followed the umask.
    for name in STORE_FILES {
        restrict_to_owner(&folder.join(name));
    }
    Engine::in_file(path).map_err(|e| format!("{path} cannot be opened ({e}); {FIX}"))
}
