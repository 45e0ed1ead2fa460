//! What differs between operating systems: who may read a file, and how a process is asked to stop.

use std::fs::OpenOptions;
use std::future::Future;
use std::path::Path;

/// Options of a file that its own user alone reads. On Windows the folder's access list decides; that of a user's
/// profile names this user.
#[must_use]
pub(super) fn private_file() -> OpenOptions {
    #[cfg(unix)]
    return std::os::unix::fs::OpenOptionsExt::mode(&mut OpenOptions::new(), 0o600).clone();
    #[cfg(not(unix))]
    OpenOptions::new()
}

/// Creates a folder, and those above it, that its own user alone reads.
///
/// # Errors
/// When the system refuses it.
pub(super) fn create_private_folder(folder: &Path) -> std::io::Result<()> {
    let mut builder = std::fs::DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.recursive(true).create(folder)
}

/// Takes the access to a file from everybody but its own user. A file that is not there is no error.
pub(super) fn restrict_to_owner(file: &Path) {
    #[cfg(unix)]
    {
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o600);
        let _ = std::fs::set_permissions(file, mode);
    }
    #[cfg(not(unix))]
    let _ = file;
}

/// Waits for Ctrl-C or SIGTERM; on Windows for Ctrl-C, Ctrl-Break or the end of the session.
///
/// # Errors
/// When the process cannot listen for signals.
pub(super) fn stopped() -> Result<impl Future<Output = ()>, String> {
    let failed = |e: std::io::Error| format!("the signals cannot be listened for ({e}); try again");
    #[cfg(unix)]
    let (mut first, mut second) = {
        use tokio::signal::unix::{SignalKind, signal};
        let on = |kind| signal(kind).map_err(failed);
        (on(SignalKind::interrupt())?, on(SignalKind::terminate())?)
    };
    #[cfg(windows)]
    let (mut first, mut second, mut third) = {
        use tokio::signal::windows::{ctrl_break, ctrl_c, ctrl_shutdown};
        (ctrl_c().map_err(failed)?, ctrl_break().map_err(failed)?, ctrl_shutdown().map_err(failed)?)
    };
    Ok(async move {
        #[cfg(windows)]
        let third = third.recv();
        #[cfg(not(windows))]
        let third = std::future::pending::<Option<()>>();
        tokio::select! {
            _ = first.recv() => {}
            _ = second.recv() => {}
            _ = third => {}
        }
    })
}
