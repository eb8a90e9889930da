//! `livekit-webhook store`: keeps a store in order and moves what is in it.

use super::now;
use super::place::Place;
use super::print::{self, Table};
use crate::app::stores;
use crate::store::url::Url;
use crate::transfer::{self, Counts, Moved};
use anyhow::Context as _;
use serde_json::{Map, Value, json};
use std::fs::File;
use std::io::{BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

const EXAMPLES: &str = "Examples:
  livekit-webhook store migrate --config gateway.toml
  livekit-webhook store export backup.jsonl --config gateway.toml
  livekit-webhook store import backup.jsonl --store sqlite:new.db
  livekit-webhook store import --from sqlite:livekit-webhook.db --store postgres://db/webhooks

To move from SQLite to PostgreSQL: stop the host, run the last of these, change [store] url,
start the hosts. It can be begun again after an interruption, and counts both sides at its end.
An export holds bodies and sealed secrets: keep it as you keep the store.

Exit codes: 0 done and well, 1 not, 64 wrong usage.";

/// Migrate, check, vacuum, export and import a store
#[derive(clap::Args, Clone, Debug)]
#[command(after_help = EXAMPLES)]
#[group(id = "store_what")]
pub struct Options {
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand, Clone, Debug)]
enum Command {
    /// Make the store, or bring it to this binary's schema
    Migrate(Common),
    /// Look whether what is stored is whole; reads everything
    Check(Common),
    /// Give free space back to the system
    Vacuum(Common),
    /// Write everything to a file (`-`: standard output)
    Export(Export),
    /// Read an export, or another store, into this one
    Import(Import),
}

#[derive(clap::Args, Clone, Debug)]
struct Common {
    #[command(flatten)]
    place: Place,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

#[derive(clap::Args, Clone, Debug)]
struct Export {
    /// The file; it must not be there yet
    #[arg(value_name = "FILE")]
    file: PathBuf,
    #[command(flatten)]
    common: Common,
}

#[derive(clap::Args, Clone, Debug)]
struct Import {
    /// An export (`-`: standard input)
    #[arg(value_name = "FILE", required_unless_present = "from")]
    file: Option<PathBuf>,
    /// Another store, from which no host serves
    #[arg(long, value_name = "URL", value_parser = stores::parse, conflicts_with = "file")]
    from: Option<Url>,
    #[command(flatten)]
    common: Common,
}

/// Runs it.
///
/// # Errors
/// No store, one that a host serves from where none may, or a file that cannot be used.
pub async fn run(options: Options, out: &mut dyn Write) -> anyhow::Result<ExitCode> {
    match options.command {
        Command::Migrate(common) => migrate(common, out).await,
        Command::Check(common) => check(common, out).await,
        Command::Vacuum(common) => vacuum(common, out).await,
        Command::Export(options) => export(options, out).await,
        Command::Import(options) => import(options, out).await,
    }
}

async fn migrate(common: Common, out: &mut dyn Write) -> anyhow::Result<ExitCode> {
    let (url, _) = common.place.resolve()?;
    stores::open_alone(&url).await?.close().await?;
    tell(out, common.json, &json!({ "migrated": true }), "the store has this binary's schema")
}

async fn check(common: Common, out: &mut dyn Write) -> anyhow::Result<ExitCode> {
    let store = common.place.read().await?.store;
    let findings = store.check().await?;
    if common.json {
        let texts: Vec<&str> = findings.iter().map(|finding| finding.0.as_str()).collect();
        print::json_line(out, &json!({ "is_well": texts.is_empty(), "findings": texts }))?;
    } else if findings.is_empty() {
        writeln!(out, "all is well")?;
    } else {
        for finding in &findings {
            writeln!(out, "{}", print::clean(&finding.0))?;
        }
    }
    Ok(if findings.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

async fn vacuum(common: Common, out: &mut dyn Write) -> anyhow::Result<ExitCode> {
    let opened = common.place.open_alone().await?;
    opened.store.vacuum().await?;
    let bytes = opened.store.size_bytes().await?;
    opened.store.close().await?;
    let text = format!("{bytes} bytes are in use");
    tell(out, common.json, &json!({ "size_bytes": bytes }), &text)
}

async fn export(options: Export, out: &mut dyn Write) -> anyhow::Result<ExitCode> {
    let store = options.common.place.read().await?.store;
    if options.file == Path::new("-") {
        let mut stdout = BufWriter::new(std::io::stdout());
        transfer::export(&*store, now(), &mut stdout).await?;
        return Ok(ExitCode::SUCCESS);
    }
    let create = File::create_new(&options.file);
    let file = create.with_context(|| format!("cannot create {}", options.file.display()))?;
    let mut writer = BufWriter::new(&file);
    let counts = transfer::export(&*store, now(), &mut writer).await?;
    drop(writer);
    file.sync_all().with_context(|| format!("cannot sync {}", options.file.display()))?;
    if options.common.json {
        print::json_line(out, &members(&counts))?;
    } else {
        table(&[("rows", &counts)]).write(out, "")?;
    }
    Ok(ExitCode::SUCCESS)
}

async fn import(options: Import, out: &mut dyn Write) -> anyhow::Result<ExitCode> {
    let common = &options.common;
    let (url, _) = common.place.resolve()?;
    let source = match &options.from {
        Some(from) if *from == url => anyhow::bail!("--from and the store are the same"),
        Some(from) => Some(stores::open_source(from).await?),
        None => None,
    };
    let target = stores::open_alone(&url).await?;
    let (moved, there) = match (&source, &options.file) {
        (Some(source), _) => {
            let (moved, there) = transfer::copy(&**source, &*target, |_| {}).await?;
            (moved, Some(there))
        }
        (None, Some(file)) if file == Path::new("-") => {
            let mut stdin = BufReader::new(std::io::stdin());
            (transfer::import(&*target, &mut stdin).await?, None)
        }
        (None, Some(file)) => {
            let open = File::open(file);
            let open = open.with_context(|| format!("cannot open {}", file.display()))?;
            (transfer::import(&*target, &mut BufReader::new(open)).await?, None)
        }
        // The command line asks for one of the two.
        (None, None) => anyhow::bail!("give FILE or --from URL"),
    };
    target.close().await?;
    if let Some(source) = source {
        source.close().await?;
    }
    imported(common.json, &moved, there.as_ref(), out)
}

fn imported(
    is_json: bool,
    moved: &Moved,
    there: Option<&Counts>,
    out: &mut dyn Write,
) -> anyhow::Result<ExitCode> {
    if is_json {
        let target = there.map(members);
        let value = json!({ "read": members(&moved.read), "new": moved.new, "target": target });
        print::json_line(out, &value)?;
        return Ok(ExitCode::SUCCESS);
    }
    match there {
        Some(there) => table(&[("source", &moved.read), ("target", there)]).write(out, "")?,
        None => table(&[("read", &moved.read)]).write(out, "")?,
    }
    let here = moved.read.total() - moved.new.min(moved.read.total());
    writeln!(out, "\n{} new, {here} were here already", print::counted(moved.new, "row"))?;
    Ok(ExitCode::SUCCESS)
}

fn members(counts: &Counts) -> Value {
    let rows = counts.rows().into_iter();
    Value::Object(rows.map(|(kind, count)| (kind.to_owned(), count.into())).collect::<Map<_, _>>())
}

fn table(columns: &[(&'static str, &Counts)]) -> Table {
    let headings: Vec<&'static str> =
        std::iter::once("kind").chain(columns.iter().map(|(name, _)| *name)).collect();
    let mut table = Table::new(&headings);
    for (index, (kind, _)) in Counts::default().rows().into_iter().enumerate() {
        let counts = columns.iter().filter_map(|(_, counts)| counts.rows().get(index).copied());
        let cells = counts.map(|(_, count)| count.to_string());
        table.row(std::iter::once(kind.to_owned()).chain(cells));
    }
    table
}

fn tell(out: &mut dyn Write, is_json: bool, value: &Value, text: &str) -> anyhow::Result<ExitCode> {
    if is_json {
        print::json_line(out, value)?;
    } else {
        writeln!(out, "{text}")?;
    }
    Ok(ExitCode::SUCCESS)
}
