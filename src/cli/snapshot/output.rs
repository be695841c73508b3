//! How an answer is written.

use std::io::{self, BufWriter, Write as _};

use clap::ValueEnum;
use serde::Serialize;

/// The exit code where a question has no answer: bad usage, no snapshot, a store that fails.
pub const NO_ANSWER: u8 = 2;

/// The forms of an answer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people; may change between versions
    #[default]
    Table,
    /// Stable
    Json,
    /// As json
    Yaml,
}

/// The answer to a question. Serialised it is the stable form.
pub trait Answer: Serialize {
    /// For people; ends with a new line.
    fn table(&self) -> String;

    /// 0: as it should be, or the same. 1: not so.
    fn exit_code(&self) -> u8;
}

/// Writes an answer to standard output, and gives the exit code.
pub fn print(answer: &impl Answer, format: Format) -> u8 {
    match write(answer, format, &mut BufWriter::new(io::stdout().lock())) {
        Ok(()) => answer.exit_code(),
        // Whoever read it has seen enough, as `head` does.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => answer.exit_code(),
        Err(error) => {
            complain(&format!("the answer can't be written: {error}"));
            NO_ANSWER
        }
    }
}

fn write(answer: &impl Answer, format: Format, out: &mut impl io::Write) -> io::Result<()> {
    match format {
        Format::Table => out.write_all(answer.table().as_bytes())?,
        Format::Json => {
            serde_json::to_writer_pretty(&mut *out, answer)?;
            writeln!(out)?;
        }
        Format::Yaml => {
            let text = serde_yaml::to_string(answer).map_err(io::Error::other)?;
            out.write_all(text.as_bytes())?;
        }
    }
    out.flush()
}

/// Writes an error to standard error, in one line.
pub fn complain(error: &str) {
    // If nobody can read it there is nobody to tell that to.
    let _ = writeln!(io::stderr(), "error: {}", super::words::plain(error));
}
