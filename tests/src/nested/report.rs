//! The report that the VM's first program writes. `init.sh` says what it looks like.

use super::NestedError;

/// What was reported before the VM ended.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Report {
    /// KVM was there and the cases began.
    pub(super) ready: bool,
    /// The cases that have ended, in order.
    pub(super) records: Vec<Record>,
    /// All cases have ended.
    pub(super) done: bool,
    /// Why the first program gave up.
    pub(super) failure: Option<String>,
}

/// One case's end.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Record {
    /// The exit status; none when the time limit ended the case.
    pub(super) status: Option<i32>,
    pub(super) stdout: Vec<u8>,
    pub(super) stderr: Vec<u8>,
}

/// Reads a report. One that just stops, as when the VM was killed, is read as far as it is whole.
pub(super) fn parse(bytes: &[u8]) -> Result<Report, NestedError> {
    let mut report = Report::default();
    let mut rest = bytes;
    while let Some((line, after)) = split_line(rest) {
        let damaged = |reason: String| NestedError::Report { offset: bytes.len() - rest.len(), reason };
        if report.done || report.failure.is_some() {
            return Err(damaged("something after the end".to_owned()));
        }
        let line = String::from_utf8_lossy(line);
        rest = match line.split(' ').collect::<Vec<_>>()[..] {
            ["ready"] if !report.ready => {
                report.ready = true;
                after
            }
            ["case", number, end, stdout, stderr] if report.ready => {
                let expected = report.records.len();
                let header = parse_header(number, expected, end, stdout, stderr)
                    .ok_or_else(|| damaged(format!("{line:?} in place of case {expected}'s end")))?;
                let Some((record, after)) = read_record(&header, after) else { return Ok(report) };
                report.records.push(record.ok_or_else(|| damaged(format!("{line:?} has wrong lengths")))?);
                after
            }
            ["done"] if report.ready => {
                report.done = true;
                after
            }
            ["failed", ..] => {
                report.failure = line.strip_prefix("failed ").map(str::to_owned);
                after
            }
            _ => return Err(damaged(format!("{line:?} means nothing here"))),
        };
    }
    Ok(report)
}

/// The numbers of a `case` line.
struct Header {
    status: Option<i32>,
    stdout: usize,
    stderr: usize,
}

fn parse_header(number: &str, expected: usize, end: &str, stdout: &str, stderr: &str) -> Option<Header> {
    if number.parse() != Ok(expected) {
        return None;
    }
    let status = if end == "limit" { None } else { Some(end.parse().ok()?) };
    Some(Header { status, stdout: stdout.parse().ok()?, stderr: stderr.parse().ok()? })
}

/// Takes both outputs and the newline that must follow from the front of `bytes`. None when they are not all there; an
/// inner none when the newline is something else.
fn read_record<'a>(header: &Header, bytes: &'a [u8]) -> Option<(Option<Record>, &'a [u8])> {
    let (stdout, rest) = bytes.split_at_checked(header.stdout)?;
    let (stderr, rest) = rest.split_at_checked(header.stderr)?;
    let (newline, rest) = rest.split_first()?;
    let record =
        (*newline == b'\n').then(|| Record { status: header.status, stdout: stdout.into(), stderr: stderr.into() });
    Some((record, rest))
}

/// The first line without its end, and what follows. None when the line has no end.
fn split_line(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = bytes.iter().position(|byte| *byte == b'\n')?;
    Some((&bytes[..end], &bytes[end + 1..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outputs_that_look_like_a_report_stay_outputs() {
        let report = parse(b"ready\ncase 0 3 5 9\ndone\ncase 1 0 \ncase 1 limit 0 1\n\xff\ndone\n").unwrap();
        assert!(report.ready && report.done);
        assert_eq!(
            report.records[0],
            Record { status: Some(3), stdout: b"done\n".to_vec(), stderr: b"case 1 0 ".to_vec() }
        );
        assert_eq!(report.records[1], Record { status: None, stdout: Vec::new(), stderr: b"\xff".to_vec() });
    }

    #[test]
    fn a_report_that_stops_is_read_as_far_as_it_is_whole() {
        let whole = b"ready\ncase 0 0 2 0\nhi\ncase 1 7 0 3\nbad\ndone\n";
        for length in 0..whole.len() {
            let report = parse(&whole[..length]).unwrap();
            assert!(!report.done, "{length}");
            assert!(report.records.len() <= 2, "{length}");
        }
        assert!(parse(whole).unwrap().done);
    }

    #[test]
    fn the_reason_for_giving_up_is_kept() {
        assert_eq!(parse(b"failed no /dev/kvm\n").unwrap().failure.unwrap(), "no /dev/kvm");
    }

    #[test]
    fn damage_is_found_and_placed() {
        for (bytes, place) in [
            (b"what\n".as_slice(), 0),
            (b"done\n", 0),
            (b"ready\ncase 1 0 0 0\n\n", 6),
            (b"ready\ncase 0 zero 0 0\n\n", 6),
            (b"ready\ncase 0 0 1 0\nab\n", 6),
            (b"ready\ndone\nready\n", 11),
        ] {
            match parse(bytes) {
                Err(NestedError::Report { offset, .. }) => assert_eq!(offset, place, "{bytes:?}"),
                other => panic!("{bytes:?}: {other:?}"),
            }
        }
    }
}
