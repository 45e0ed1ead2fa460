//! Commands that change something, or with `--dry-run` say what they would do.

use clap::Args;
use http::Method;
use serde_json::Value;

use super::operator::{OperatorClient, OperatorOptions};
use crate::tenant::{OPERATOR_TENANT, TenantName};

/// On which deployment a command changes something.
#[derive(Debug, Args)]
pub(super) struct ChangeOptions {
    /// Check everything and print what would happen, but change nothing
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    operator: OperatorOptions,
}

/// The way to that deployment.
pub(super) struct ChangeClient {
    client: OperatorClient,
    is_dry: bool,
}

impl ChangeOptions {
    /// Finds the way.
    pub(super) async fn open(self) -> Result<ChangeClient, String> {
        Ok(ChangeClient { is_dry: self.dry_run, client: self.operator.open().await? })
    }
}

impl ChangeClient {
    /// Asks for a change below `/admin/v1`, or to try it.
    ///
    /// # Errors
    /// What the answer says is wrong, or that there was none.
    pub(super) async fn ask(&self, method: Method, path: &str, body: Option<&Value>) -> Result<Value, String> {
        self.client.ask_with(method, path, body, self.is_dry).await
    }

    /// Creates the operators' tenant if it does not exist, before its first key.
    pub(super) async fn need_operators(&self, tenant: &TenantName) -> Result<(), String> {
        match tenant.as_str() == OPERATOR_TENANT && !self.is_dry {
            true => self.client.need_operators().await,
            false => Ok(()),
        }
    }

    /// Whether nothing is changed.
    pub(super) fn is_dry(&self) -> bool {
        self.is_dry
    }

    /// Prints what was done, or what would have been.
    pub(super) fn report(&self, text: &str) {
        match self.is_dry {
            true => errln!("Dry run: nothing is changed. Without --dry-run: {text}"),
            false => errln!("{text}"),
        }
    }
}
