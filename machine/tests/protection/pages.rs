//! What pages allow, and what is noted in their entries (Intel SDM volume 3A, sections 4.6 to 4.10).

use stos_x86::registers::{CR0_PG, CR0_WP};

use crate::guest::{DONE, Guest, IDT, OTHER_TSS, SAYS_DONE, gate};

const DIRECTORY: u32 = 0x8000;
const TABLE: u32 = 0x9000;
/// The page that is used, and what its entry says: for everybody, and writable.
const PAGE: u32 = 0xc000;
const ENTRY: u32 = TABLE + 4 * (PAGE >> 12);
const ALL: u32 = 7;
const ACCESSED: u32 = 1 << 5;
const DIRTY: u32 = 1 << 6;
/// MOV EAX, [PAGE], and MOV [PAGE], EAX.
const READS: &[u8] = &[0xa1, 0, 0xc0, 0, 0];
const WRITES: &[u8] = &[0xa3, 0, 0xc0, 0, 0];

/// A guest whose pages are where they are without paging; the last entry of the path to [`PAGE`] ends so.
fn paged(level: u16, code: &[u8], directory: u32, entry: u32) -> Guest {
    let mut guest = Guest::new(level, &[code, SAYS_DONE].concat());
    let entries: Vec<u32> = (0..16).map(|page| page << 12 | ALL).collect();
    guest.put_words(TABLE, &entries);
    guest.put_words(DIRECTORY, &[TABLE | directory]);
    guest.put_words(ENTRY, &[PAGE | entry]);
    guest.0.core.cr3 = DIRECTORY;
    guest.0.core.cr0 |= CR0_PG;
    guest
}

/// Section 4.8.
#[test]
fn reads_are_noted_as_accesses_and_writes_as_dirt() {
    for (code, noted) in [(READS, ACCESSED), (WRITES, ACCESSED | DIRTY)] {
        let mut guest = paged(0, code, ALL, ALL);
        assert_eq!(guest.run(), Some(DONE));
        assert_eq!(guest.word(ENTRY), PAGE | ALL | noted);
        assert_eq!(guest.word(DIRECTORY), TABLE | ALL | ACCESSED);
    }
    // A read first: the write is noted all the same.
    let mut guest = paged(0, &[READS, WRITES].concat(), ALL, ALL);
    assert_eq!((guest.run(), guest.word(ENTRY) & DIRTY), (Some(DONE), DIRTY));
}

/// Section 4.6.1.
#[test]
fn the_kernel_writes_to_pages_that_are_read_only_unless_wp_forbids_it() {
    let mut guest = paged(0, WRITES, ALL, 5);
    assert_eq!(guest.run(), Some(DONE));
    let mut guest = paged(0, WRITES, ALL, 5);
    guest.0.core.cr0 |= CR0_WP;
    assert_eq!((guest.fault(), guest.0.core.cr2), ((Some(14), 3), PAGE));
    assert_eq!(paged(3, WRITES, ALL, 5).fault(), (Some(14), 7));
}

/// Section 4.6.1: rights are those that all entries on the way give.
#[test]
fn the_directory_can_take_rights_away() {
    assert_eq!(paged(3, READS, ALL, ALL).run(), Some(DONE));
    assert_eq!(paged(3, READS, ALL, 3).fault(), (Some(14), 5));
    assert_eq!(paged(0, READS, 1, ALL).run(), Some(DONE));
    let mut guest = paged(0, WRITES, 5, ALL);
    guest.0.core.cr0 |= CR0_WP;
    assert_eq!(guest.0.run(1000), stos_machine::machine::Stop::TripleFault);
    assert_eq!(guest.0.core.cr2 & !0xfff, 0x5000, "the stack is read-only, too");
}

/// Section 4.10.4.1.
#[test]
fn a_page_that_has_moved_is_found_after_invlpg() {
    // MOV EAX, [PAGE]; MOV DWORD [ENTRY], 0xd007; INVLPG [PAGE]; MOV EAX, [PAGE].
    let moves = [0xc7, 0x05, 0x30, 0x90, 0, 0, 0x07, 0xd0, 0, 0];
    let mut guest = paged(0, &[READS, &moves, &[0x0f, 0x01, 0x3d, 0, 0xc0, 0, 0], READS].concat(), ALL, ALL);
    guest.put_words(0xd000, &[0x600d]);
    assert_eq!((guest.run(), guest.0.core.general[0]), (Some(DONE), 0x600d));
}

/// Volume 3A, section 6.15, interrupt 8, table 6-5.
#[test]
fn a_page_fault_while_one_is_delivered_is_a_double_fault() {
    let mut guest = paged(0, READS, ALL, 0);
    guest.0.core.general[4] = PAGE + 0x800;
    guest.put(IDT + 8 * 8, &gate(0, OTHER_TSS, 0x85, 0));
    guest.put_words(crate::guest::OTHER_TASK + 28, &[DIRECTORY]);
    assert_eq!(guest.run(), None);
    assert_eq!((guest.0.core.tr.selector, guest.top::<1>()), (OTHER_TSS, [0]));
}

/// Section 4.7: eight bytes are one operand, whose first byte in a page that can't be written is told of.
#[test]
fn an_exchange_of_eight_bytes_across_pages_tells_where_the_second_page_begins() {
    for offset in 1..8 {
        // CMPXCHG8B.
        let [low, high, ..] = (PAGE - 8 + offset).to_le_bytes();
        let mut guest = paged(3, &[0x0f, 0xc7, 0x0d, low, high, 0, 0], ALL, 5);
        assert_eq!((guest.fault(), guest.0.core.cr2), ((Some(14), 7), PAGE), "{offset}");
    }
}
