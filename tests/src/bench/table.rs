//! A comparison as text.

use std::fmt::Write as _;

use super::comparison::{Comparison, Lane, Measure, show_ratio};
use super::statistics::Summary;

/// Columns of a number.
const WIDTH: usize = 9;

/// The comparison, as people read it in a terminal.
pub fn table(comparison: &Comparison) -> String {
    let mut text = format!("{}\n{}\n", comparison.title, comparison.remark);
    let (main, rest): (Vec<&Measure>, Vec<&Measure>) = comparison.measures.iter().partition(|measure| measure.is_main);
    rows(&mut text, comparison, &main);
    if !rest.is_empty() {
        rows(&mut text, comparison, &rest);
    }
    for note in comparison.notes() {
        let _ = writeln!(text, "{note}");
    }
    text
}

/// One table.
fn rows(text: &mut String, comparison: &Comparison, measures: &[&Measure]) {
    let name_width = comparison.lanes.iter().map(|lane| lane.name.chars().count()).max().unwrap_or(0);
    let columns: Vec<Vec<&str>> = measures.iter().map(|measure| columns(measure)).collect();
    let mut heads = format!("\n{:name_width$}", "");
    let mut names = format!("{:name_width$}", "");
    for (measure, columns) in measures.iter().zip(&columns) {
        let unit = measure.unit.name();
        let head = if unit.is_empty() { measure.name.to_owned() } else { format!("{}, {unit}", measure.name) };
        let width = (columns.len() * WIDTH).max(head.len() + 2);
        let _ = write!(heads, "{head:>width$}");
        let spare = width - columns.len() * WIDTH;
        let _ = write!(names, "{:spare$}", "");
        for column in columns {
            let _ = write!(names, "{column:>WIDTH$}");
        }
    }
    let _ = writeln!(text, "{heads}\n{names}");
    for lane in &comparison.lanes {
        if let Some(row) = row(comparison, lane, measures) {
            let _ = writeln!(text, "{:name_width$}{row}", lane.name);
        }
    }
}

fn columns(measure: &Measure) -> Vec<&'static str> {
    let mut columns = if measure.is_main { vec!["p50", "p95", "min"] } else { vec!["p50"] };
    columns.extend(measure.against.map(|_| "ratio"));
    columns
}

/// What stands in the columns of a measure.
fn cells(comparison: &Comparison, measure: &Measure, summary: &Summary) -> Vec<String> {
    let shown = if measure.is_main { vec![summary.p50, summary.p95, summary.minimum] } else { vec![summary.p50] };
    let mut cells: Vec<String> = shown.into_iter().map(|value| measure.unit.show(value)).collect();
    if measure.against.is_some() {
        cells.push(comparison.ratio(measure, summary).map_or("-".to_owned(), show_ratio));
    }
    cells
}

/// A lane's numbers; none when it was not measured.
fn row(comparison: &Comparison, lane: &Lane, measures: &[&Measure]) -> Option<String> {
    if lane.complaint().is_some() {
        return None;
    }
    let mut row = String::new();
    for measure in measures {
        let cells = lane.summary(measure).map_or_else(
            || columns(measure).iter().map(|_| "-".to_owned()).collect(),
            |summary| cells(comparison, measure, &summary),
        );
        let unit = measure.unit.name();
        let head = measure.name.len() + if unit.is_empty() { 0 } else { unit.len() + 2 };
        let spare = (head + 2).saturating_sub(cells.len() * WIDTH);
        let _ = write!(row, "{:spare$}", "");
        for cell in cells {
            let _ = write!(row, "{cell:>WIDTH$}");
        }
    }
    Some(row)
}
