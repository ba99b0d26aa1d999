//! Guests without a boot protocol.

use super::guest::Guest;
use super::measured::as_the_page_says;
use super::text::Text;

/// What the guest that looks at its registers expects.
const REGISTERS: &str = "registers: {eax: 0x11111111, ebx: 0x22222222, ecx: 0x33333333, edx: 0x44444444, esi: 0x55555555, \
                         edi: 0x66666666, ebp: 0x77777777, esp: 0x180000}";
const HELLO: &str = "hello: without a boot protocol\n";
const RETURNED: &[&str] = &["the kernel's entry function returned, which a kernel must never do"];

fn guest(name: &'static str, kernel: &'static str, entry: &str, status: i32, stdout: &'static str) -> Guest {
    let lines = if entry.is_empty() { String::new() } else { format!("entry: {{{entry}}}\n") };
    Guest { protocol: "elf", memory: "2MiB", lines, ..Guest::tiny(name, kernel, status, stdout) }
}

/// All of them.
pub fn all() -> Vec<Guest> {
    let stack = "map: [{virtual: 0x170000, physical: 0x170000, size: 64KiB, write: true, user: true}]";
    let right = "registers: as the manifest says\n";
    vec![
        guest("elf", "elf/hello", "", 0, HELLO),
        guest("elf registers", "elf/registers", REGISTERS, 104, right).says(RETURNED),
        guest("elf on 4 KiB pages", "elf/hello", "paging: {}", 0, HELLO),
        guest("elf in the upper half", "elf/hello_high", "paging: {segments: virtual}", 0, HELLO),
        guest("elf in the upper half on 4 MiB pages", "elf/hello_high", "paging: {page_size: 4MiB}", 0, HELLO),
        guest("elf on pages at physical addresses", "elf/hello", "paging: {segments: identity}", 0, HELLO),
        guest(
            "elf mapped by its manifest",
            "elf/hello_high",
            "eip: start, paging: {page_size: 4MiB, segments: none, map: [{virtual: 3GiB, physical: 0, size: 4MiB}]}",
            0,
            HELLO,
        ),
        guest("elf registers with paging", "elf/registers", &format!("{REGISTERS}, paging: {{{stack}}}"), 104, right)
            .says(RETURNED),
        guest("elf writes to its code", "elf/write_text", "paging: {}", 102, "write_text: writing to its code\n").says(
            &[
                "#PF (page fault) at 0x0010000a (start+0xa) (elf/write_text.S:5)",
                ": supervisor write to 0x00100000: the page's protection forbids it\n",
                "  page table entry 256 at 0xb400 = 0x00100021: present, read-only, supervisor\n",
                "it is read-only, for the kernel too as CR0.WP is set\n",
            ],
        ),
        guest("elf stack overflow", "elf/overflow", "paging: {}", 102, "overflow: recursing\n").says(&[
            "#DF (double fault) at 0x0010000a (recurse+0x0)",
            "(0x00005ffc below ESP 0x00006000 is not mapped)",
            "  page table entry 5 at 0xb014 = 0x00000000: not present\n",
            "  hint: stack overflow: the stack has grown down to ESP 0x00006000",
        ]),
        as_the_page_says("examples/elf/machine.c", guest("elf machine", "elf/machine", "", 0, "")),
        guest("elf at 0x1000", "elf/hello_low", "", 0, HELLO),
        guest("elf at 0x1000 with paging", "elf/hello_low", "paging: {}", 0, HELLO),
        guest("elf stack overflow at 0x1000", "elf/overflow_low", "paging: {}", 102, "overflow: recursing\n").says(&[
            "#DF (double fault) at 0x0000100a (recurse+0x0)",
            "  hint: stack overflow: the stack has grown down to ESP 0x",
        ]),
        guest("elf ticks", "elf/ticks", "", 0, "ticks: lost ones are lost\n"),
        Guest {
            stdout: Text::With(&["write_text: writing to its code\n"], &[]),
            ..guest("elf writes to its code without paging", "elf/write_text", "", 0, "")
        },
    ]
}
