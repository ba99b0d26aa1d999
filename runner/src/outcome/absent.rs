//! What is said of hardware that a guest looked for in vain, and of what it drew and nobody could see.

use std::collections::BTreeSet;

use crate::devices::Absent;
use crate::screen::{Drawn, GRAPHICS_MEMORY, UnshownRows};

/// Lines about what a guest has `drawn` and can't be seen, on a machine that lacks what is `absent`.
pub fn unseen(drawn: &Drawn, absent: &BTreeSet<Absent>) -> Vec<String> {
    let mut lines = Vec::new();
    if let Some(UnshownRows { first, last, text }) = &drawn.unshown {
        let rows = if first == last {
            format!("row {first} of the text memory, which is not shown: `{text}`")
        } else {
            format!("rows {first} to {last} of the text memory, which are not shown, the last of it `{text}`")
        };
        let why = if absent.contains(&Absent::StartAddress) {
            "the guest sets where the screen begins (CRTC registers 0x0c and 0x0d), which the emulator does not know: see \
             --backend kvm"
        } else {
            "a screen has 25 rows, and scrolls when the guest moves them up"
        };
        lines.push(format!("there is text in {rows}; {why}"));
    }
    if absent.contains(&Absent::CursorLocation) && !drawn.is_shown {
        lines.push(
            "the guest uses the cursor's registers (CRTC registers 0x0e and 0x0f), which the emulator does not have: it reads \
             0xffff there, and what it writes at that place is not on the screen: see --backend kvm"
                .to_owned(),
        );
    }
    let has_set_mode = absent.contains(&Absent::Graphics);
    if has_set_mode || drawn.in_graphics_memory {
        let memory = format!("written to {GRAPHICS_MEMORY:#x}, the memory of graphics modes");
        let what = if has_set_mode { "set a graphics mode" } else { &memory };
        lines.push(format!("the guest has {what}; this machine shows text only, 80 columns and 25 rows at 0xb8000"));
    }
    lines
}

/// Lines about the rest of what is `absent`; `exit_port` is what ends a guest here.
pub fn sought(absent: &BTreeSet<Absent>, exit_port: u16) -> Vec<String> {
    let line = |absent: &Absent| match absent {
        Absent::Pci => Some(
            "the guest looked for PCI (port 0xcf8); this machine has none, and docs/machine.md lists what it has"
                .to_owned(),
        ),
        Absent::ShutDown => Some(format!(
            "the guest wrote to a port that shuts other virtual machines down (0x604, 0xb004 or 0x4004); here, 0 written to port \
             {exit_port:#x} ends the run with success"
        )),
        Absent::Graphics | Absent::StartAddress | Absent::CursorLocation => None,
    };
    absent.iter().filter_map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(drawn: &Drawn, absent: &[Absent]) -> String {
        unseen(drawn, &absent.iter().copied().collect()).join("\n")
    }

    #[test]
    fn a_cursor_is_only_spoken_of_where_nothing_is_shown() {
        let nothing = Drawn::default();
        assert!(said(&nothing, &[Absent::CursorLocation]).contains("it reads 0xffff there"));
        assert_eq!(said(&Drawn { is_shown: true, ..nothing.clone() }, &[Absent::CursorLocation]), "");
        assert_eq!(said(&nothing, &[Absent::StartAddress]), "", "no text is missing");
    }

    #[test]
    fn rows_that_are_not_shown_have_a_reason() {
        let unshown = UnshownRows { first: 26, last: 26, text: "last words".to_owned() };
        let drawn = Drawn { unshown: Some(unshown), is_shown: true, ..Drawn::default() };
        assert!(said(&drawn, &[]).contains("text in row 26 of the text memory"));
        assert!(said(&drawn, &[]).ends_with("when the guest moves them up"));
        assert!(said(&drawn, &[Absent::StartAddress]).ends_with("see --backend kvm"));
    }

    #[test]
    fn the_exit_port_is_the_images() {
        let said = sought(&[Absent::ShutDown, Absent::Graphics].into(), 0x501);
        assert_eq!(said.len(), 1);
        assert!(said[0].contains("port 0x501 ends the run"), "{said:?}");
    }
}
