//! What the engine lacks for its streams: an index by sequence number, without which each write looks at every record of
//! its table, and an end of each record, as DynamoDB ends it after a day. The newest record of those that end stays: a
//! reader whose place is before it knows that records are gone.

use rusqlite::Connection;

use crate::limits::LOCAL_STREAM_SECONDS;

/// Creates both where they are not there. The engine has created its tables, and no call of it is under way.
///
/// # Errors
/// What SQLite says.
pub(super) fn create(path: &str) -> Result<(), String> {
    // The engine numbers the records of a table by microseconds, or by one more than the last.
    let kept = LOCAL_STREAM_SECONDS * 1_000_000;
    let statements = format!(
        "CREATE INDEX IF NOT EXISTS rollcall_stream_records
             ON _stream_records (table_name, CAST(sequence_number AS INTEGER));
         DROP TRIGGER IF EXISTS rollcall_stream_records_end;
         CREATE TRIGGER rollcall_stream_records_end AFTER INSERT ON _stream_records BEGIN
             DELETE FROM _stream_records WHERE table_name = NEW.table_name
                 AND CAST(sequence_number AS INTEGER) < (
                     SELECT MAX(CAST(sequence_number AS INTEGER)) FROM _stream_records
                     WHERE table_name = NEW.table_name
                         AND CAST(sequence_number AS INTEGER) < CAST(NEW.sequence_number AS INTEGER) - {kept});
         END;"
    );
    let connection = Connection::open(path).map_err(|e| e.to_string())?;
    connection.execute_batch(&statements).map_err(|e| e.to_string())
}
