//! The command `rollcall`: a local endpoint, tenants, profiles and keys.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, CommandFactory, Parser, Subcommand};
use data_folder::{DataAccess, RunningServer};

use crate::app::Clock;
use crate::store::Store;
use crate::store::dynamo::client;
use crate::store::dynamo::embedded::{Engine, ROWS_PER_BATCH};
use crate::store::dynamo::tables::{TableNames, create_missing};
use crate::worker;

/// As `print!`, of a line, a warning, or a part of a line. A reader that is gone is no reason to panic.
macro_rules! outln { ($($text:tt)*) => { $crate::cli::output::write(anstream::stdout(), format_args!("{}\n", format_args!($($text)*))) } }
macro_rules! errln { ($($text:tt)*) => { $crate::cli::output::write(anstream::stderr(), format_args!("{}\n", format_args!($($text)*))) } }
macro_rules! out { ($($text:tt)*) => { $crate::cli::output::write(std::io::stdout(), format_args!($($text)*)) } }

mod automation;
mod change;
mod data_folder;
mod demo;
mod doctor;
mod events;
mod explain;
mod fair_queue;
mod history;
mod hold;
mod keys;
mod link;
mod listener;
mod local_operator;
mod log;
mod metrics;
pub mod openapi;
mod operator;
mod output;
mod platform;
mod progress;
pub mod reference;
mod request_line;
mod resources;
mod restore;
mod serve;
pub mod template;
mod tenant_data;
mod tenants;

/// Printed below the help, and in the reference.
const EXAMPLES: &str = "\
Examples:
  rollcall demo                                         see it at work, without an identity provider
  rollcall serve                                        run an endpoint here
  rollcall tenant create acme --profile jostle          create a tenant
  rollcall key create acme --description 'Entra ID'     create its key
  rollcall events acme --follow                         print what happens to its users
  rollcall doctor URL                                   check an endpoint

Exit status:
  0  the command did what it should; for doctor: nothing to change
  1  the command failed; for doctor: something to change; for log verify: the log is broken; for verify: damage was found
  2  the command line is wrong; for doctor: the endpoint could not be checked; for log verify and verify: not examined";

/// A SCIM 2.0 provisioning endpoint for AWS Lambda and DynamoDB.
#[derive(Debug, Parser)]
#[command(name = "rollcall", version = env!("ROLLCALL_VERSION"), about, max_term_width = 100, after_help = EXAMPLES)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the endpoint on this machine; the first start creates the tenant demo and prints its key
    Serve(serve::ServeOptions),
    /// Run an endpoint and play Entra ID and Okta against it: people, groups, changes, a held deactivation
    #[command(after_help = demo::DEMO_EXAMPLES)]
    Demo(demo::DemoOptions),
    /// Create, show, change and list tenants
    #[command(subcommand)]
    Tenant(tenants::TenantCommand),
    /// List, show and check profiles
    #[command(subcommand)]
    Profile(tenants::ProfileCommand),
    /// List, show and find the users of a tenant
    #[command(subcommand)]
    User(Box<resources::UserCommand>),
    /// List, show and find the groups of a tenant, and their members
    #[command(subcommand)]
    Group(Box<resources::GroupCommand>),
    /// Create, list, rotate and revoke the keys of a tenant
    #[command(subcommand)]
    Key(Box<keys::KeyCommand>),
    /// Create a link that signs an administrator in to the page of a tenant, once
    #[command(after_help = link::LINK_EXAMPLES)]
    Link(Box<link::LinkOptions>),
    /// Create, activate and list automation users
    #[command(subcommand)]
    Automation(automation::AutomationCommand),
    /// Show what the protection against mass deprovisioning holds, and decide
    #[command(subcommand)]
    Hold(hold::HoldCommand),
    /// Print what has happened to a tenant's users and groups, one event a line
    #[command(after_help = events::EVENTS_EXAMPLES)]
    Events(Box<events::EventsOptions>),
    /// Run a command for each event of a tenant, and store the position in a file
    #[command(after_help = events::CONSUME_EXAMPLES)]
    Consume(Box<events::ConsumeOptions>),
    /// Print what happened at a tenant, what was refused and what operators did, newest first
    #[command(after_help = log::LOG_EXAMPLES)]
    Log(Box<log::LogOptions>),
    /// Print what happened to a user or group, newest first, or how it was at a time
    #[command(after_help = history::HISTORY_EXAMPLES)]
    History(Box<history::HistoryOptions>),
    /// Undo what a key did, what a hold has counted, or what happened to some users
    #[command(after_help = restore::RESTORE_EXAMPLES)]
    Restore(Box<restore::RestoreOptions>),
    /// Examine the data of a tenant, and repair it
    #[command(after_help = tenant_data::VERIFY_EXAMPLES)]
    Verify(Box<tenant_data::VerifyOptions>),
    /// Count the users of a tenant, and correct the stored number
    Count(Box<tenant_data::CountOptions>),
    /// Print the users, groups and memberships of a tenant, one a line
    #[command(after_help = tenant_data::EXPORT_EXAMPLES)]
    Export(Box<tenant_data::ExportOptions>),
    /// Import what export has printed, into this tenant or another
    #[command(after_help = tenant_data::IMPORT_EXAMPLES)]
    Import(Box<tenant_data::ImportOptions>),
    /// Explain which index answers a filter, and how much it reads
    Explain(explain::ExplainOptions),
    /// Check a SCIM endpoint as Entra ID and Okta use it, and report what to change
    #[command(after_help = doctor::DOCTOR_EXAMPLES)]
    Doctor(doctor::DoctorOptions),
    /// Run the deferred jobs that the worker has given up
    Work {
        #[command(flatten)]
        store: StoreOptions,
    },
    /// Create the tables that are missing, on an engine without CloudFormation
    Tables {
        #[command(flatten)]
        store: StoreOptions,
    },
    /// Serve the embedded engine as DynamoDB, for `sam local invoke` and other Lambda emulators
    Engine(serve::EngineOptions),
    /// Print the OpenAPI description of the endpoint
    Openapi,
    /// Print a completion script: source it from your shell's configuration
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
    /// Write the reference pages that are generated from the code
    #[command(hide = true)]
    Reference {
        /// The folder of the pages
        #[arg(default_value = "docs/src/reference")]
        folder: PathBuf,
    },
    /// Regenerate the functions in a SAM template from the route table
    Template {
        /// The template
        #[arg(default_value = "template.yaml")]
        file: PathBuf,
    },
}

/// Which tables to work on.
#[derive(Debug, Args)]
struct StoreOptions {
    /// The folder of the local store
    #[arg(long, value_name = "DIR", default_value = ".rollcall", conflicts_with_all = ["aws", "endpoint_url"])]
    data: PathBuf,
    /// Work on DynamoDB in the account and region of the AWS environment (AWS_PROFILE, AWS_REGION, …)
    #[arg(long)]
    aws: bool,
    /// Work on another DynamoDB endpoint, with the credentials and region of the AWS environment
    #[arg(long, value_name = "URL")]
    endpoint_url: Option<String>,
    /// The tables are named PREFIX-users and so on; in the cloud the prefix is the stack's name
    #[arg(long, value_name = "PREFIX", default_value = "rollcall")]
    table_prefix: String,
}

impl Cli {
    /// Whether the command goes on when nobody reads its output any more: the doctor has to clean up, and servers have
    /// clients.
    #[must_use]
    pub fn outlives_its_reader(&self) -> bool {
        matches!(self.command, Command::Doctor(_) | Command::Serve(_) | Command::Engine(_) | Command::Demo(_))
    }

    /// Whether the log leaves out warnings: the demo prints the refusals that it plays.
    #[must_use]
    pub fn logs_errors_alone(&self) -> bool {
        matches!(self.command, Command::Demo(_))
    }
}

impl StoreOptions {
    /// Opens the store in this process; a local one is created if it is not there.
    async fn open(&self) -> Result<Store, String> {
        if self.is_remote() {
            return self.connect().await;
        }
        self.store_on(&data_folder::open_alone(&self.data).await?).await
    }

    /// Opens the store, or finds the server that has it open.
    async fn access(&self) -> Result<StoreAccess, String> {
        if self.is_remote() {
            return self.connect().await.map(StoreAccess::Here);
        }
        match data_folder::access(&self.data).await? {
            DataAccess::Opened(engine) => self.store_on(&engine).await.map(StoreAccess::Here),
            DataAccess::Served(server) => Ok(StoreAccess::Served(server)),
        }
    }

    async fn connect(&self) -> Result<Store, String> {
        let client = client::from_aws_environment(self.endpoint_url.clone()).await?;
        Ok(Store::new(client, TableNames::prefixed(&self.table_prefix)))
    }

    async fn store_on(&self, engine: &Engine) -> Result<Store, String> {
        let client = client::of_engine(engine);
        let names = TableNames::prefixed(&self.table_prefix);
        let store = Store::new(client, names).with_rows_per_batch(ROWS_PER_BATCH);
        create_missing(store.client(), store.names()).await?;
        Ok(store)
    }

    fn is_remote(&self) -> bool {
        self.aws || self.endpoint_url.is_some()
    }
}

/// How a command gets to the store.
enum StoreAccess {
    /// In its own process.
    Here(Store),
    /// By the `rollcall serve` that has it open.
    Served(RunningServer),
}

/// A part of a path.
fn segment(text: &str) -> String {
    percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC).to_string()
}

fn unusable(file: &std::path::Path, error: &std::io::Error) -> String {
    format!("{} cannot be read or written ({error}); check its path and permissions", file.display())
}

/// Does what the command line says; the status to exit with.
///
/// # Errors
/// What went wrong, for people to read.
pub async fn run(cli: Cli) -> Result<ExitCode, String> {
    match cli.command {
        Command::Doctor(options) => return Ok(doctor::run(options).await),
        Command::Log(options) => return log::run(*options).await,
        Command::Verify(options) => return Ok(tenant_data::verify(*options).await),
        Command::Export(options) => tenant_data::export(*options).await,
        Command::Import(options) => tenant_data::import(*options).await,
        Command::Count(options) => tenant_data::count(*options).await,
        Command::Serve(options) => serve::run(options).await,
        Command::Demo(options) => demo::run(options).await,
        Command::Tenant(command) => tenants::tenant(command).await,
        Command::Profile(command) => tenants::profile(&command),
        Command::User(command) => resources::user(*command).await,
        Command::Group(command) => resources::group(*command).await,
        Command::Key(command) => keys::key(*command).await,
        Command::Link(options) => link::run(*options).await,
        Command::Automation(command) => automation::run(command).await,
        Command::Hold(command) => hold::run(command).await,
        Command::Events(options) => events::events(*options).await,
        Command::Consume(options) => events::consume(*options).await,
        Command::History(options) => history::run(*options).await,
        Command::Restore(options) => restore::run(*options).await,
        Command::Explain(options) => explain::run(options).await,
        Command::Work { store } => {
            let worker::Sweep { done, failed, unreadable, unread_lanes, .. } =
                worker::sweep_all(&store.open().await?, &Clock::System).await;
            outln!("{done} deferred jobs ran, {failed} failed, {unreadable} rows cannot be read");
            match unread_lanes {
                0 => Ok(()),
                lanes => Err(format!(
                    "{lanes} lanes of jobs cannot be read; correct what the log above states, then run it again"
                )),
            }
        }
        Command::Tables { store } => {
            let store = store.open().await?;
            create_missing(store.client(), store.names()).await
        }
        Command::Engine(options) => serve::engine(options).await,
        Command::Openapi => {
            out!("{}", openapi::description()?);
            Ok(())
        }
        Command::Completions { shell } => {
            clap_complete::generate(shell, &mut Cli::command(), "rollcall", &mut std::io::stdout());
            Ok(())
        }
        Command::Reference { folder } => reference::pages().into_iter().try_for_each(|(file, text)| {
            let file = folder.join(file);
            std::fs::write(&file, text).map_err(|e| unusable(&file, &e))
        }),
        Command::Template { file } => {
            let text = std::fs::read_to_string(&file).map_err(|e| unusable(&file, &e))?;
            std::fs::write(&file, template::renewed(&text)?).map_err(|e| unusable(&file, &e))
        }
    }?;
    Ok(ExitCode::SUCCESS)
}
