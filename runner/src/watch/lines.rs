//! Lines out of bytes that come in any pieces.

/// A line longer than this many bytes is taken as several.
const LIMIT: usize = 64 * 1024;

/// Appends the next `bytes` to `line`, without carriage returns, and calls `ended` with each line that ends. Whatever pieces it comes
/// in, the lines are the same.
pub fn split(line: &mut Vec<u8>, bytes: &[u8], mut ended: impl FnMut(&[u8])) {
    for chunk in bytes.split_inclusive(|&byte| byte == b'\n') {
        let mut rest = chunk;
        while let Some(&first) = rest.first() {
            let room = LIMIT.saturating_sub(line.len());
            if room == 0 && first != b'\n' && first != b'\r' {
                ended(line);
                line.clear();
                continue;
            }
            let (piece, more) = rest.split_at(rest.len().min(room.max(1)));
            line.extend(piece.iter().filter(|&&byte| byte != b'\n' && byte != b'\r'));
            rest = more;
        }
        if chunk.ends_with(b"\n") {
            ended(line);
            line.clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_has_at_most_64_kib_whatever_pieces_it_comes_in() {
        let line = |count: usize| [&vec![b'x'; count][..], b"y\r\n"].concat();
        for (output, expected) in [
            (line(1), &[2][..]),
            (line(LIMIT - 1), &[LIMIT]),
            (line(LIMIT), &[LIMIT, 1]),
            (line(3 * LIMIT - 1), &[LIMIT, LIMIT, LIMIT]),
            (b"\n\r\n\n".to_vec(), &[0, 0, 0]),
        ] {
            for piece in [1, 1000, LIMIT - 1, LIMIT, LIMIT + 1, usize::MAX] {
                let (mut line, mut found) = (Vec::new(), Vec::new());
                output.chunks(piece).for_each(|piece| split(&mut line, piece, |line| found.push(line.len())));
                assert_eq!((&*found, line.len()), (expected, 0), "pieces of {piece}");
            }
        }
    }
}
