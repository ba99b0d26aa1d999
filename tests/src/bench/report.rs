//! What comes out: a table to read, and files with everything.

use std::fs;
use std::path::PathBuf;

use serde_json::{Value, json};

use super::chart::chart;
use super::comparison::{Comparison, Lane, Measure, Result};
use super::host::Host;
use super::settings::Settings;
use super::table::table;

/// Prints comparisons and writes them as text, JSON and picture; gives the three paths. The files of one begin with the first one's
/// name and the date.
///
/// # Panics
/// When the files can't be written.
pub fn publish(settings: &Settings, comparisons: &[Comparison]) -> [PathBuf; 3] {
    let host = Host::now(&settings.program);
    let name = comparisons.first().map_or("nothing", |comparison| comparison.name);
    let tables: Vec<String> = comparisons.iter().map(table).collect();
    let failures = match comparisons.iter().map(Comparison::failures).sum() {
        0 => String::new(),
        count @ 1_usize.. => format!("\n{count} failed, as told above.\n"),
    };
    let text = format!("{}\n\n{}{failures}", host.line(), tables.join("\n\n"));
    let json = json!({
        "host": host.json(),
        "rounds": settings.rounds,
        "quick": settings.is_quick,
        "comparisons": comparisons.iter().map(in_json).collect::<Vec<_>>(),
    });
    fs::create_dir_all(&settings.results)
        .unwrap_or_else(|error| panic!("{} can't be made: {error}", settings.results.display()));
    let stem = format!("{name}-{}", host.date.replace(':', ""));
    let write = |extension: &str, content: String| {
        let path = settings.results.join(&stem).with_extension(extension);
        fs::write(&path, content).unwrap_or_else(|error| panic!("{} can't be written: {error}", path.display()));
        path
    };
    let paths =
        [write("txt", text.clone()), write("json", format!("{json:#}\n")), write("svg", chart(&host, comparisons))];
    println!("{text}");
    for path in &paths {
        println!("{}", path.display());
    }
    paths
}

fn in_json(comparison: &Comparison) -> Value {
    json!({
        "name": comparison.name,
        "title": comparison.title,
        "contestants": comparison.lanes.iter().map(|lane| lane_in_json(comparison, lane)).collect::<Vec<_>>(),
    })
}

fn lane_in_json(comparison: &Comparison, lane: &Lane) -> Value {
    let told = |measure: &Measure| {
        let summary = lane.summary(measure)?;
        let numbers = json!({
            "unit": measure.unit.name(),
            "p5": summary.p5, "p50": summary.p50, "p95": summary.p95, "min": summary.minimum,
            "against": measure.against, "ratio": comparison.ratio(measure, &summary),
        });
        Some((measure.name.to_owned(), numbers))
    };
    let measures: serde_json::Map<String, Value> = comparison.measures.iter().filter_map(told).collect();
    let samples: Vec<Value> = match &lane.result {
        Result::Measured(samples) => samples.iter().map(|sample| json!(sample.0)).collect(),
        Result::Failed { .. } | Result::Absent(_) => Vec::new(),
    };
    json!({
        "name": lane.name,
        "command": lane.command,
        "result": match &lane.result {
            Result::Measured(_) => "measured",
            Result::Failed { .. } => "failed",
            Result::Absent(_) => "absent",
        },
        "why": lane.complaint(),
        "measures": measures,
        "samples": samples,
    })
}
