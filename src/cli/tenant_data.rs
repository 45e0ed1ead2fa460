//! `rollcall verify`, `count`, `export` and `import`: the data of a tenant as a whole.

use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use http::Method;
use serde_json::{Value, json};

use super::operator::{OperatorClient, OperatorOptions};
use super::output::{items, text};
use super::progress::Progress;
use crate::limits::{MAX_BODY_BYTES, MAX_IMPORTED_RECORDS};
use crate::tenant::TenantName;

/// Most bytes of the records of one request: with their frame, they stay below the longest body.
const IMPORT_BYTES: usize = MAX_BODY_BYTES / 2;

/// Attempts at a request of an export or import before the command gives up.
const ATTEMPTS: u32 = 5;

/// The pause before the second attempt. It doubles with each.
const PAUSE: Duration = Duration::from_millis(500);

/// Printed below the help of `export`.
pub(super) const EXPORT_EXAMPLES: &str = "\
Examples:
  rollcall export acme > acme.ndjson
  rollcall export acme --cursor CURSOR >> acme.ndjson

The first line is the tenant, then come users, groups and memberships, one a line. The last line says that
the file is whole. Keys are not in it.";

/// Printed below the help of `import`.
pub(super) const IMPORT_EXAMPLES: &str = "\
Examples:
  rollcall import acme acme.ndjson
  rollcall import acme-test acme.ndjson --data ./test

If the tenant does not exist, the command creates it with the profile and settings of the file. It leaves
records that are there already, so you can run an import that has stopped again.";

/// Printed below the help of `verify`.
pub(super) const VERIFY_EXAMPLES: &str = "\
Examples:
  rollcall verify acme
  rollcall verify acme --repair
  rollcall verify acme --json | jq '.damages[].check'

Exit status:
  0  the data is sound
  1  damage was found, also where --repair has mended it
  2  the data could not be examined";

#[derive(Debug, Args)]
pub(super) struct VerifyOptions {
    /// The tenant
    tenant: TenantName,
    /// Repair the damage that it finds
    #[arg(long)]
    repair: bool,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    operator: OperatorOptions,
}

#[derive(Debug, Args)]
pub(super) struct CountOptions {
    /// The tenant
    tenant: TenantName,
    #[command(flatten)]
    operator: OperatorOptions,
}

#[derive(Debug, Args)]
pub(super) struct ExportOptions {
    /// The tenant
    tenant: TenantName,
    /// Continue an export that stopped, with the cursor that its error names
    #[arg(long, value_name = "CURSOR")]
    cursor: Option<String>,
    #[command(flatten)]
    operator: OperatorOptions,
}

#[derive(Debug, Args)]
pub(super) struct ImportOptions {
    /// The tenant
    tenant: TenantName,
    /// The file that export has printed
    file: PathBuf,
    #[command(flatten)]
    operator: OperatorOptions,
}

/// Prints the data of a tenant, one record a line.
pub(super) async fn export(options: ExportOptions) -> Result<(), String> {
    let ExportOptions { tenant, cursor, operator } = options;
    let client = operator.open().await?;
    let mut out = std::io::stdout().lock();
    let mut print = |record: &Value| writeln!(out, "{record}").map_err(|e| e.to_string());
    let mut counts = [("user", 0_u64), ("group", 0), ("member", 0)];
    let is_whole = cursor.is_none();
    let mut cursor = cursor.unwrap_or_default();
    let progress = Progress::counting();
    loop {
        let path = format!("/tenants/{tenant}/export?cursor={cursor}");
        let stopped = |why: String| match cursor.is_empty() {
            true => why,
            false => format!("{why}; to go on, append the output of: rollcall export {tenant} --cursor {cursor}"),
        };
        let answer = persist(&client, (Method::GET, &path), None, &progress).await.map_err(stopped)?;
        progress.aside(|| items(&answer, "records").try_for_each(&mut print))?;
        for record in items(&answer, "records") {
            let of_kind = counts.iter_mut().find(|(kind, _)| *kind == text(record, "type"));
            of_kind.into_iter().for_each(|(_, count)| *count += 1);
        }
        let [(_, users), (_, groups), (_, members)] = counts;
        progress.set(format!("{users} users, {groups} groups, {members} memberships"));
        match answer.get("nextCursor").and_then(Value::as_str) {
            Some(next) => next.clone_into(&mut cursor),
            None => break,
        }
    }
    drop(progress);
    let [(_, users), (_, groups), (_, members)] = counts;
    print(&match is_whole {
        true => json!({"type": "end", "users": users, "groups": groups, "members": members}),
        false => json!({"type": "end"}),
    })?;
    errln!("Exported {users} users, {groups} groups and {members} memberships of {tenant}.");
    Ok(())
}

/// What an import has come to.
#[derive(Debug, Default)]
struct Import {
    created: u64,
    unchanged: u64,
    refused: u64,
    is_whole: bool,
}

/// Takes the records of a file.
pub(super) async fn import(options: ImportOptions) -> Result<(), String> {
    let ImportOptions { tenant, file, operator } = options;
    let name = file.display();
    let records = File::open(&file).map_err(|e| format!("{name}: {e}"))?;
    let progress = Progress::of_bytes(records.metadata().map_or(0, |file| file.len()));
    let lines = BufReader::new(records).lines();
    let client = operator.open().await?;
    let mut import = Import::default();
    let (mut batch, mut bytes): (Vec<(usize, Value)>, _) = (Vec::new(), 0);
    for (number, line) in (1..).zip(lines) {
        let line = line.map_err(|e| {
            format!("{name}, line {number} is no record of an export ({e}); correct the line or leave it out")
        })?;
        let record: Value = serde_json::from_str(&line)
            .map_err(|e| format!("{name}, line {number} is not JSON ({e}); export again"))?;
        match text(&record, "type") {
            "tenant" => create(&client, &tenant, &record, &progress).await?,
            "end" => import.is_whole = true,
            _ => {
                if batch.len() == MAX_IMPORTED_RECORDS || bytes + line.len() > IMPORT_BYTES {
                    import.send(&client, &tenant, std::mem::take(&mut batch), &progress).await?;
                    progress.advance(u64::try_from(bytes).unwrap_or(u64::MAX));
                    bytes = 0;
                }
                bytes += line.len();
                batch.push((number, record));
            }
        }
    }
    import.send(&client, &tenant, batch, &progress).await?;
    drop(progress);
    let Import { created, unchanged, refused, is_whole } = import;
    errln!("Imported {created} records into {tenant}; {unchanged} were there already, {refused} were refused.");
    match (refused, is_whole) {
        (0, true) => Ok(()),
        (0, false) => Err(format!("{name} has no last line; the export had stopped, so records are missing")),
        _ => Err("some records were refused; see the lines above".to_owned()),
    }
}

impl Import {
    async fn send(
        &mut self,
        client: &OperatorClient,
        tenant: &TenantName,
        batch: Vec<(usize, Value)>,
        progress: &Progress,
    ) -> Result<(), String> {
        if batch.is_empty() {
            return Ok(());
        }
        let (numbers, records): (Vec<usize>, Vec<Value>) = batch.into_iter().unzip();
        let path = format!("/tenants/{tenant}/import");
        let answer = persist(client, (Method::POST, &path), Some(&json!({"records": records})), progress).await?;
        self.created += number(&answer, "created");
        self.unchanged += number(&answer, "unchanged");
        for error in items(&answer, "errors") {
            self.refused += 1;
            let place = error.get("record").and_then(Value::as_u64).and_then(|at| usize::try_from(at).ok());
            let line = place.and_then(|at| numbers.get(at)).copied().unwrap_or(0);
            progress.aside(|| outln!("line {line}: {}", text(error, "detail")));
        }
        progress.set(format!("{} records", self.created + self.unchanged));
        Ok(())
    }
}

/// Creates the tenant as it was, if it does not exist.
async fn create(
    client: &OperatorClient,
    tenant: &TenantName,
    record: &Value,
    progress: &Progress,
) -> Result<(), String> {
    match client.ask(Method::GET, &format!("/tenants/{tenant}"), None).await {
        Err(why) if why.ends_with("(status 404)") => {}
        there => return there.map(drop),
    }
    let body = json!({"name": tenant.as_str(), "profile": record.get("profile"), "settings": record.get("settings")});
    client.ask(Method::POST, "/tenants", Some(&body)).await.map(drop)?;
    progress.aside(|| errln!("Created the tenant {tenant}, with the profile and settings of the file."));
    Ok(())
}

/// Asks until there is an answer, some times.
async fn persist(
    client: &OperatorClient,
    (method, path): (Method, &str),
    body: Option<&Value>,
    progress: &Progress,
) -> Result<Value, String> {
    let mut pause = PAUSE;
    for _ in 1..ATTEMPTS {
        match client.ask(method.clone(), path, body).await {
            // What is wrong with the request stays wrong.
            Err(why)
                if !["(status 400)", "(status 401)", "(status 403)", "(status 404)"]
                    .iter()
                    .any(|s| why.ends_with(s)) =>
            {
                progress.aside(|| errln!("rollcall: {why}; trying again"));
                tokio::time::sleep(pause).await;
                pause *= 2;
            }
            answer => return answer,
        }
    }
    client.ask(method, path, body).await
}

/// Compares the stored number of users with the users, corrects it, and prints the number.
pub(super) async fn count(options: CountOptions) -> Result<(), String> {
    let tenant = options.tenant;
    let answer = options.operator.open().await?.ask(Method::POST, &format!("/tenants/{tenant}/count"), None).await?;
    outln!("{}", number(&answer, "users"));
    match number(&answer, "drift") {
        0 => errln!("The stored number of users of {tenant} is right."),
        drift => errln!("The stored number of users of {tenant} was off by {drift}; it is corrected."),
    }
    Ok(())
}

/// Examines the data of a tenant; the status to exit with.
pub(super) async fn verify(options: VerifyOptions) -> ExitCode {
    let examined = async {
        let client = options.operator.open().await?;
        examine(&client, &options.tenant, options.repair, options.json).await
    };
    match examined.await {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(why) => {
            errln!("rollcall: {why}");
            ExitCode::from(2)
        }
    }
}

/// Whether the data is sound.
async fn examine(client: &OperatorClient, tenant: &TenantName, is_repair: bool, is_json: bool) -> Result<bool, String> {
    let method = if is_repair { Method::POST } else { Method::GET };
    let (mut damages, mut examined) = (Vec::new(), [0_u64; 3]);
    let mut cursor = String::new();
    let progress = Progress::counting();
    loop {
        let path = format!("/tenants/{tenant}/verify?cursor={cursor}");
        let answer = client.ask(method.clone(), &path, None).await?;
        for (sum, name) in examined.iter_mut().zip(["users", "groups", "rows"]) {
            *sum += answer.get("examined").map_or(0, |part| number(part, name));
        }
        for damage in items(&answer, "damages") {
            if !is_json {
                progress.aside(|| outln!("{}", line(damage, is_repair)));
            }
            damages.push(damage.clone());
        }
        let [users, groups, rows] = examined;
        progress.set(format!("{users} users, {groups} groups, {rows} rows"));
        match answer.get("nextCursor").and_then(Value::as_str) {
            Some(next) => next.clone_into(&mut cursor),
            None => break,
        }
    }
    drop(progress);
    let [users, groups, rows] = examined;
    if is_json {
        let examined = json!({"users": users, "groups": groups, "rows": rows});
        outln!("{}", json!({"sound": damages.is_empty(), "damages": damages, "examined": examined}));
    } else {
        let found = match damages.len() {
            0 => "sound".to_owned(),
            count => format!("damaged: {count}"),
        };
        outln!("{tenant}: {found}; examined {users} users, {groups} groups, {rows} rows");
    }
    Ok(damages.is_empty())
}

/// A damage as a line for people.
fn line(damage: &Value, is_repair: bool) -> String {
    let outcome = match (is_repair, damage.get("isMended").and_then(Value::as_bool)) {
        (false, _) => "",
        (true, Some(true)) => "  mended",
        (true, _) => "  not mended",
    };
    format!("{}  {}  {}{outcome}", text(damage, "check"), text(damage, "target"), text(damage, "detail"))
}

fn number(answer: &Value, name: &str) -> u64 {
    answer.get(name).and_then(Value::as_u64).unwrap_or(0)
}
