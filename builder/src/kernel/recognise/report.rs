//! What is known of a kernel's file, as a report for people or programs.

use std::fmt;
use std::path::Path;

use serde::Serialize;

use super::facts::Facts;
use super::recognition::Recognition;
use crate::diagnostics::{Diagnostics, Message, Sources};
use crate::input::InputFile;
use crate::manifest::{Protocol, quoted};

/// Version of the JSON form of [`KernelReport`]. It grows by one when a field changes its meaning or goes away.
const REPORT_VERSION: u32 = 1;
/// Columns of the names of protocols.
const NAME_WIDTH: usize = 9;
/// Columns of the answers.
const ANSWER_WIDTH: usize = 8;

/// What is known of a kernel's file. Its JSON form is that of these fields.
#[derive(Debug, Serialize)]
pub struct KernelReport {
    /// `kernel`: what is reported on.
    pub report: &'static str,
    /// Version of this form.
    pub report_version: u32,
    /// The file, as it was named.
    pub path: String,
    /// Size of the file in bytes.
    pub file_size: u64,
    /// The boot protocol that it speaks.
    pub protocol: Option<&'static str>,
    /// What each boot protocol makes of it.
    pub protocols: Vec<ProtocolReport>,
    /// What is missing, when it speaks none.
    #[serde(serialize_with = "as_messages")]
    pub missing: Diagnostics,
}

/// What a boot protocol makes of a kernel's file.
#[derive(Debug, Serialize)]
pub struct ProtocolReport {
    /// The protocol's name.
    pub protocol: &'static str,
    /// What would be loaded, when the protocol accepts the file.
    pub facts: Option<Facts>,
    /// Why the protocol does not accept it.
    #[serde(serialize_with = "as_messages")]
    pub reasons: Diagnostics,
}

fn as_messages<S: serde::Serializer>(found: &Diagnostics, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(found.list.iter().map(|diagnostic| Message::new(diagnostic, &Sources::default())))
}

impl KernelReport {
    /// Recognises the file that is called `path`.
    pub fn new(path: &Path, input: &InputFile) -> Self {
        let recognition = Recognition::new(input);
        let protocol = recognition.spoken().map(Protocol::name);
        let protocols = recognition.answers.into_iter().map(|(protocol, answer)| {
            let (facts, reasons) = match answer {
                Ok(facts) => (Some(facts), Diagnostics::default()),
                Err(reasons) => (None, reasons),
            };
            ProtocolReport { protocol: protocol.name(), facts, reasons }
        });
        Self {
            report: "kernel",
            report_version: REPORT_VERSION,
            path: path.display().to_string(),
            file_size: input.size(),
            protocol,
            protocols: protocols.collect(),
            missing: recognition.missing,
        }
    }
}

impl fmt::Display for KernelReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (path, size) = (&self.path, self.file_size);
        match self.protocol {
            Some(protocol) => writeln!(f, "{path}: a kernel for the protocol {protocol}, {size} bytes")?,
            None => writeln!(f, "{path}: speaks none of the boot protocols, {size} bytes")?,
        }
        for ProtocolReport { protocol, facts, reasons } in &self.protocols {
            let (answer, why) = match (facts, reasons.list.first()) {
                (Some(facts), _) if self.protocol == Some(*protocol) => ("yes", facts.to_string()),
                (Some(facts), _) => ("possible", facts.to_string()),
                (None, reason) => ("no", reason.map(|reason| reason.message.clone()).unwrap_or_default()),
            };
            // The first line has the name.
            let why = why.strip_prefix(&format!("`{path}`")).map_or(&*why, |rest| rest.trim_start_matches([':', ' ']));
            writeln!(f, "  {protocol:NAME_WIDTH$}  {answer:ANSWER_WIDTH$}  {why}")?;
        }
        if let Some(protocol) = self.protocol {
            writeln!(f, "\nIn a manifest:")?;
            writeln!(f, "  kernel: {{path: {}, protocol: {protocol}}}", quoted(path))?;
        }
        Ok(())
    }
}
