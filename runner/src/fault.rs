//! Tells a person what a fault record means.

use std::fmt;

use stos_image::{CR0_PG, EFLAGS_IF, FaultRecord, Symbols};

/// A caught exception, with the names of the addresses in it.
#[derive(Clone, Debug, Default)]
pub struct Diagnosis {
    record: FaultRecord,
    place: String,
}

/// Mnemonic and name of an exception, and what its error code is.
struct Exception {
    mnemonic: &'static str,
    name: &'static str,
    code: ErrorCode,
}

#[derive(Clone, Copy)]
enum ErrorCode {
    None,
    Selector,
    Zero,
    PageFault,
    ControlProtection,
}

/// Intel SDM volume 3A, table 6-1.
fn exception(vector: u32) -> Exception {
    use ErrorCode::{ControlProtection, None, PageFault, Selector, Zero};
    let (mnemonic, name, code) = match vector {
        0 => ("#DE", "divide error", None),
        1 => ("#DB", "debug exception", None),
        2 => ("NMI", "non-maskable interrupt", None),
        3 => ("#BP", "breakpoint", None),
        4 => ("#OF", "overflow", None),
        5 => ("#BR", "bound range exceeded", None),
        6 => ("#UD", "invalid opcode", None),
        7 => ("#NM", "no floating-point unit", None),
        8 => ("#DF", "double fault", Zero),
        9 => ("vector 9", "coprocessor segment overrun", None),
        10 => ("#TS", "invalid task state segment", Selector),
        11 => ("#NP", "segment not present", Selector),
        12 => ("#SS", "stack segment fault", Selector),
        13 => ("#GP", "general protection", Selector),
        14 => ("#PF", "page fault", PageFault),
        16 => ("#MF", "floating-point error", None),
        17 => ("#AC", "alignment check", Zero),
        18 => ("#MC", "machine check", None),
        19 => ("#XM", "SIMD floating-point error", None),
        21 => ("#CP", "control protection", ControlProtection),
        _ => ("reserved vector", "reserved exception", None),
    };
    Exception { mnemonic, name, code }
}

/// `address` in hexadecimal and, as far as `symbols` know them, as symbol and offset and as source file and line.
pub fn describe_address(symbols: &Symbols, address: u32) -> String {
    let name = symbols.find(address).map(|(symbol, offset)| format!(" ({}+{offset:#x})", symbol.shown_name()));
    let line = symbols.line(address).map(|(file, line)| format!(" ({file}:{line})"));
    format!("{address:#010x}{}{}", name.unwrap_or_default(), line.unwrap_or_default())
}

/// The letters of the EFLAGS bits that are set, most significant first (Intel SDM volume 1, section 3.4.3).
fn flag_letters(eflags: u32) -> String {
    const FLAGS: [(u32, &str); 15] = [
        (21, "ID"),
        (20, "VIP"),
        (19, "VIF"),
        (18, "AC"),
        (17, "VM"),
        (16, "RF"),
        (14, "NT"),
        (11, "OF"),
        (10, "DF"),
        (9, "IF"),
        (8, "TF"),
        (7, "SF"),
        (6, "ZF"),
        (4, "AF"),
        (2, "PF"),
    ];
    let mut letters: Vec<&str> =
        FLAGS.iter().filter(|(bit, _)| eflags >> bit & 1 == 1).map(|(_, name)| *name).collect();
    letters.extend((eflags & 1 == 1).then_some("CF"));
    if eflags >> 12 & 3 != 0 {
        letters.push(["IOPL=0", "IOPL=1", "IOPL=2", "IOPL=3"][(eflags >> 12 & 3) as usize]);
    }
    if letters.is_empty() { "none set".to_owned() } else { letters.join(" ") }
}

/// Intel SDM volume 3A, section 4.7.
fn describe_page_fault(record: &FaultRecord, symbols_of_cr2: &str) -> String {
    let bit = |number: u32| record.error_code >> number & 1 == 1;
    let access = match (bit(4), bit(1)) {
        (true, _) => "instruction fetch from",
        (false, true) => "write to",
        (false, false) => "read of",
    };
    let mode = if bit(2) { "user" } else { "supervisor" };
    let why = match (bit(3), bit(0)) {
        (true, _) => "a reserved bit is set in its page table entry",
        (false, true) => "the page's protection forbids it",
        (false, false) => "no page is mapped there",
    };
    format!("{mode} {access} {symbols_of_cr2}: {why}")
}

/// Intel SDM volume 3A, section 6.13.
fn describe_selector_error(code: u32) -> String {
    if code == 0 {
        return "no segment is involved".to_owned();
    }
    let index = code >> 3 & 0x1fff;
    let external = if code & 1 == 1 { ", while an interrupt or an earlier exception was being delivered" } else { "" };
    if code >> 1 & 1 == 1 {
        return format!("through entry {index:#x} of the IDT{external}");
    }
    let table = if code >> 2 & 1 == 1 { "LDT" } else { "GDT" };
    format!("through selector {:#x} (entry {index} of the {table}){external}", code & 0xfffc)
}

impl Diagnosis {
    /// Looks up the addresses of `record` in `symbols`.
    pub fn new(record: FaultRecord, symbols: &Symbols) -> Self {
        Self { place: describe_address(symbols, record.eip), record }
    }

    /// Until the 8259s are programmed, their interrupts come with vectors that belong to exceptions.
    fn possible_interrupt(&self) -> Option<String> {
        let FaultRecord { vector, eflags, .. } = self.record;
        (eflags & EFLAGS_IF != 0 && vector < 16).then(|| {
            let line = vector % 8;
            format!("or hardware interrupt {line}, as interrupts are on: program the 8259s before `sti`")
        })
    }

    fn cause(&self) -> Option<String> {
        match exception(self.record.vector).code {
            ErrorCode::PageFault => Some(describe_page_fault(&self.record, &format!("{:#010x}", self.record.cr2))),
            ErrorCode::Selector => Some(describe_selector_error(self.record.error_code)),
            ErrorCode::ControlProtection => Some(format!("error code {:#x}", self.record.error_code)),
            ErrorCode::Zero | ErrorCode::None => self.possible_interrupt(),
        }
    }

    /// All registers, line by line.
    pub fn details(&self) -> String {
        let FaultRecord {
            magic: _,
            vector,
            error_code,
            eip,
            cs,
            eflags,
            eax,
            ecx,
            edx,
            ebx,
            esp,
            ebp,
            esi,
            edi,
            cr0,
            cr2,
            cr3,
            cr4,
            ds,
            es,
            fs,
            gs,
            ss,
            gdtr_base,
            gdtr_limit,
            idtr_base,
            idtr_limit,
            ldtr,
            tr,
        } = self.record;
        let paging = if cr0 & CR0_PG == 0 { "off" } else { "on" };
        let flags = flag_letters(eflags);
        format!(
            "  vector {vector}, error code {error_code:#x}, paging {paging}\n\
             \x20 EIP {eip:08x}  EFLAGS {eflags:08x} ({flags})\n\
             \x20 EAX {eax:08x}  EBX {ebx:08x}  ECX {ecx:08x}  EDX {edx:08x}\n\
             \x20 ESI {esi:08x}  EDI {edi:08x}  EBP {ebp:08x}  ESP {esp:08x}\n\
             \x20 CR0 {cr0:08x}  CR2 {cr2:08x}  CR3 {cr3:08x}  CR4 {cr4:08x}\n\
             \x20 CS {cs:04x}  DS {ds:04x}  ES {es:04x}  FS {fs:04x}  GS {gs:04x}  SS {ss:04x}\n\
             \x20 GDTR {gdtr_base:08x} limit {gdtr_limit:04x}  IDTR {idtr_base:08x} limit {idtr_limit:04x}  \
             LDTR {ldtr:04x}  TR {tr:04x}\n"
        )
    }

    /// True when the CPU refused `mov cr0` with paging in it although the guest did nothing wrong: `instruction` is what
    /// EIP points at. Some hosts' KVM can't page 32-bit guests and say so in this way.
    pub fn is_refused_paging(&self, instruction: [u8; 3]) -> bool {
        let record = &self.record;
        // 0F 22 /r is MOV CR, r32; the reg field names the control register, the r/m field the general one
        // (Intel SDM volume 2B, "MOV - Move to/from Control Registers").
        let [0x0f, 0x22, operands] = instruction else { return false };
        let general = [record.eax, record.ecx, record.edx, record.ebx, record.esp, record.ebp, record.esi, record.edi];
        let value = general[usize::from(operands & 7)];
        let protected = value & stos_image::CR0_PE != 0;
        record.vector == 13 && operands & 0x38 == 0 && record.cr0 & CR0_PG == 0 && value & CR0_PG != 0 && protected
    }

    /// EIP at the exception.
    pub fn eip(&self) -> u32 {
        self.record.eip
    }
}

impl fmt::Display for Diagnosis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Exception { mnemonic, name, .. } = exception(self.record.vector);
        write!(f, "{mnemonic} ({name}) at {} before the kernel had its own IDT", self.place)?;
        self.cause().map_or(Ok(()), |cause| write!(f, ": {cause}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use stos_image::{Line, Symbol};

    fn diagnosis(record: FaultRecord) -> Diagnosis {
        let symbol = Symbol { address: 0xc010_0500, size: 0x100, module: 0, name: "kernel_main".to_owned() };
        Diagnosis::new(record, &Symbols::new(vec![symbol]))
    }

    #[test]
    fn a_page_fault_is_told_in_words() {
        let record =
            FaultRecord { vector: 14, error_code: 2, eip: 0xc010_0516, cr2: 0xdead_beef, ..FaultRecord::default() };
        assert_eq!(
            diagnosis(record).to_string(),
            "#PF (page fault) at 0xc0100516 (kernel_main+0x16) before the kernel had its own IDT: \
             supervisor write to 0xdeadbeef: no page is mapped there"
        );
    }

    #[test]
    fn an_address_is_told_with_what_is_known_about_it() {
        let symbol = |address, name: &str| Symbol { address, size: 0x100, module: 0, name: name.to_owned() };
        let encoded = symbol(0x200, "_ZN5video5clearEjj");
        let symbols = Symbols::new(vec![symbol(0x100, "kernel_main"), encoded]).with_lines(
            &["kernel/main.c".to_owned()],
            vec![
                Line { address: 0x100, file: 0, line: 12 },
                Line { address: 0x110, file: 0, line: 0 },
                Line { address: 0x300, file: 0, line: 99 },
            ],
        );
        for (address, text) in [
            (0x10f, "0x0000010f (kernel_main+0xf) (kernel/main.c:12)"),
            (0x110, "0x00000110 (kernel_main+0x10)"),
            (0x204, "0x00000204 (video::clear(unsigned int, unsigned int)+0x4)"),
            (0x304, "0x00000304 (kernel/main.c:99)"),
            (0x0, "0x00000000"),
        ] {
            assert_eq!(describe_address(&symbols, address), text);
        }
    }

    #[test]
    fn each_page_fault_bit_has_its_words() {
        let cause =
            |error_code| diagnosis(FaultRecord { vector: 14, error_code, ..FaultRecord::default() }).cause().unwrap();
        assert_eq!(cause(0), "supervisor read of 0x00000000: no page is mapped there");
        assert_eq!(cause(7), "user write to 0x00000000: the page's protection forbids it");
        assert_eq!(cause(0x11), "supervisor instruction fetch from 0x00000000: the page's protection forbids it");
        assert_eq!(cause(9), "supervisor read of 0x00000000: a reserved bit is set in its page table entry");
    }

    #[test]
    fn a_selector_error_names_table_and_entry() {
        let cause =
            |error_code| diagnosis(FaultRecord { vector: 13, error_code, ..FaultRecord::default() }).cause().unwrap();
        assert_eq!(cause(0), "no segment is involved");
        assert_eq!(cause(0x28), "through selector 0x28 (entry 5 of the GDT)");
        assert_eq!(cause(0x2c), "through selector 0x2c (entry 5 of the LDT)");
        assert_eq!(
            cause(0x103),
            "through entry 0x20 of the IDT, while an interrupt or an earlier exception was being delivered"
        );
    }

    #[test]
    fn flags_are_named() {
        assert_eq!(flag_letters(2), "none set");
        assert_eq!(flag_letters(0x0001_0246), "RF IF ZF PF");
        assert_eq!(flag_letters(0x3003), "CF IOPL=3");
    }

    #[test]
    fn an_unknown_address_is_only_a_number() {
        let record = FaultRecord { vector: 6, eip: 0x1234, ..FaultRecord::default() };
        assert_eq!(
            diagnosis(record).to_string(),
            "#UD (invalid opcode) at 0x00001234 before the kernel had its own IDT"
        );
    }

    #[test]
    fn a_host_that_refuses_paging_is_told_from_a_guest_that_is_wrong() {
        let mov_cr0_eax = [0x0f, 0x22, 0xc0];
        let mov_cr3_eax = [0x0f, 0x22, 0xd8];
        let refused = FaultRecord { vector: 13, eax: 0x8000_0011, cr0: 0x11, ..FaultRecord::default() };
        assert!(diagnosis(refused.clone()).is_refused_paging(mov_cr0_eax));
        assert!(!diagnosis(refused.clone()).is_refused_paging(mov_cr3_eax));
        assert!(!diagnosis(FaultRecord { vector: 14, ..refused.clone() }).is_refused_paging(mov_cr0_eax));
        assert!(!diagnosis(FaultRecord { eax: 0x8000_0000, ..refused }).is_refused_paging(mov_cr0_eax));
    }
}
