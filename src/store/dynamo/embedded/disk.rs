//! Who waits for the disk, and when. The engine writes its log without waiting, and one wait serves every write before it.
//! An answer that says what a write did, or what a read saw of it, leaves after that wait.

use std::fs::File;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The log of an engine's file.
pub(super) struct Disk {
    log: File,
    /// One more when a write begins, and when it ends: odd while one is under way.
    writes: AtomicU64,
    one_write: Mutex<()>,
    /// The writes that are on the disk.
    safe: AtomicU64,
    one_wait: tokio::sync::Mutex<()>,
    /// After a failure, nobody knows what is on the disk.
    has_failed: AtomicBool,
    /// Whether whoever answers a request waits, instead of each write.
    waits_once: AtomicBool,
}

/// A write under way.
pub(super) struct Writing<'d> {
    writes: &'d AtomicU64,
    _one: MutexGuard<'d, ()>,
}

impl Drop for Writing<'_> {
    fn drop(&mut self) {
        self.writes.fetch_add(1, Ordering::SeqCst);
    }
}

impl Disk {
    /// Of an engine that has the file open.
    ///
    /// # Errors
    /// What the system says of the log or its folder.
    pub(super) fn of(path: &str) -> Result<Self, String> {
        // Windows synchronises no file that is open for reading alone.
        let log = File::options().read(true).write(true).open(format!("{path}-wal"));
        let log = log.map_err(|e| format!("its log cannot be opened: {e}"))?;
        synchronise_folder(Path::new(path)).map_err(|e| format!("its folder cannot be synchronised: {e}"))?;
        Ok(Self {
            log,
            writes: AtomicU64::new(0),
            one_write: Mutex::default(),
            safe: AtomicU64::new(0),
            one_wait: tokio::sync::Mutex::default(),
            has_failed: AtomicBool::new(false),
            waits_once: AtomicBool::new(false),
        })
    }

    /// Until it is dropped, no other write is under way.
    pub(super) fn write(&self) -> Writing<'_> {
        let one = self.one_write.lock().unwrap_or_else(PoisonError::into_inner);
        self.writes.fetch_add(1, Ordering::SeqCst);
        Writing { writes: &self.writes, _one: one }
    }

    pub(super) fn wait_once(&self) {
        self.waits_once.store(true, Ordering::SeqCst);
    }

    pub(super) fn waits_once(&self) -> bool {
        self.waits_once.load(Ordering::SeqCst)
    }

    /// Waits until all that anybody may have seen so far is on the disk: a write under way, too.
    ///
    /// # Errors
    /// What the disk says; from then on, always.
    pub(super) async fn wait(&self) -> Result<(), String> {
        let seen = self.writes.load(Ordering::SeqCst).next_multiple_of(2);
        if self.is_safe(seen)? {
            return Ok(());
        }
        let _one = self.one_wait.lock().await;
        if self.is_safe(seen)? {
            return Ok(());
        }
        off_the_reactor(|| {
            if self.writes.load(Ordering::SeqCst) < seen {
                drop(self.one_write.lock().unwrap_or_else(PoisonError::into_inner));
            }
            let ended = self.writes.load(Ordering::SeqCst) & !1;
            match self.log.sync_data() {
                Ok(()) => {
                    self.safe.store(ended, Ordering::SeqCst);
                    Ok(())
                }
                Err(e) => {
                    self.has_failed.store(true, Ordering::SeqCst);
                    Err(e.to_string())
                }
            }
        })
    }

    fn is_safe(&self, seen: u64) -> Result<bool, String> {
        if self.has_failed.load(Ordering::SeqCst) {
            return Err("an earlier write may not be on the disk; check the disk, and start again".to_owned());
        }
        Ok(self.safe.load(Ordering::SeqCst) >= seen)
    }
}

/// Has the name of a file in its folder on the disk. Windows does so when it creates the file.
fn synchronise_folder(file: &Path) -> std::io::Result<()> {
    if cfg!(windows) {
        return Ok(());
    }
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty());
    File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
}

/// Does what waits for the disk, or for others who do; other requests go on meanwhile where the runtime has other threads.
pub(super) fn off_the_reactor<T>(work: impl FnOnce() -> T) -> T {
    let flavor = tokio::runtime::Handle::try_current().map(|handle| handle.runtime_flavor());
    match flavor {
        Ok(tokio::runtime::RuntimeFlavor::MultiThread) => tokio::task::block_in_place(work),
        _ => work(),
    }
}
