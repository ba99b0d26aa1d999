//! Guests that mean harm: what each attack must end with. None may make the runner panic, hang, or end in a way that has no
//! status.

use super::guest::Guest;
use super::text::Text;

/// A guest that attacks as the first of `words` says, with what the others say, and ends with `status`.
fn attack(kernel: &str, words: &str, status: i32) -> Guest {
    ends_after(kernel, words, status, "")
}

/// An attack that nothing stops, and that stops nothing.
fn survived(kernel: &str, words: &str) -> Guest {
    ends_after(kernel, words, 0, "survived\n")
}

fn ends_after(kernel: &str, words: &str, status: i32, last_words: &str) -> Guest {
    let attack = words.split(' ').next().unwrap_or_default();
    let stdout = format!("attack: {attack}\n{last_words}");
    Guest::tiny(&format!("{kernel} {words}"), &format!("guests/{kernel}"), status, &stdout).cmdline(words)
}

/// The same guest, which ends with one of these on KVM.
fn on_kvm(statuses: &'static [i32], guest: Guest) -> Guest {
    Guest { stdout: Text::With(&["attack: "], &[]), ..guest.on_kvm(statuses) }
}

/// How a guest may end on KVM when the processor looks for its tables where no memory is: that is up to the processor and to
/// KVM, which may try again without end.
pub(super) const TABLES_NOWHERE: &[i32] = &[100, 103, 124];

/// A short time for guests that go on for ever.
pub(super) const SHORT: &[&str] = &["--timeout", "2s"];

/// A long time for guests that use every port: in the nested VM each takes half a millisecond when the machine is busy.
const LONG: &[&str] = &["--timeout", "85s"];

/// Every attack.
pub fn all() -> Vec<Guest> {
    [ports(), tables(), instructions(), memory()].concat()
}

/// Attacks on each of the 65536 ports, in each width.
pub fn every_port() -> Vec<Guest> {
    vec![
        survived("hostile_ports", "write8 1"),
        survived("hostile_ports", "write16 1"),
        survived("hostile_ports", "write32 1"),
        survived("hostile_ports", "read8 1"),
        survived("hostile_ports", "read16 1"),
        survived("hostile_ports", "read32 1"),
    ]
}

fn ports() -> Vec<Guest> {
    vec![
        survived("hostile_ports", "write8").options(LONG),
        survived("hostile_ports", "write16"),
        survived("hostile_ports", "write32"),
        survived("hostile_ports", "read8").options(LONG),
        survived("hostile_ports", "read16"),
        survived("hostile_ports", "read32"),
        attack("hostile_ports", "up8", 106),
        attack("hostile_ports", "down8", 42).options(LONG),
        survived("hostile_ports", "exit_unaligned"),
        attack("hostile_ports", "exit_middle", 47),
        // The emulator's serial port has no ninth register, and dies of it.
        on_kvm(&[0], attack("hostile_ports", "com1_end", 103)),
        survived("hostile_ports", "com1"),
        survived("hostile_ports", "strings"),
        survived("hostile_ports", "strings_past_memory"),
        on_kvm(&[124], attack("hostile_ports", "flood_serial", 124)).options(SHORT),
        attack("hostile_ports", "flood_debug", 124).options(SHORT).says(&["xxx"]),
        survived("hostile_ports", "controllers"),
        survived("hostile_ports", "keyboard_controller"),
        survived("hostile_ports", "display_adapter").options(&["--timeout", "60s", "--screen", "final"]),
    ]
}

fn tables() -> Vec<Guest> {
    vec![
        attack("hostile_cpu", "gdt_nowhere", 100),
        attack("hostile_cpu", "gdt_empty", 100),
        // Where nothing answers, the embedded machine reads ones: a descriptor of code that DS may be loaded with.
        on_kvm(TABLES_NOWHERE, attack("hostile_cpu", "gdt_beyond_memory", 100)).on_embedded(&[0]).options(SHORT),
        attack("hostile_cpu", "gdt_random", 100),
        attack("hostile_cpu", "idt_nowhere", 100),
        on_kvm(TABLES_NOWHERE, attack("hostile_cpu", "idt_beyond_memory", 100)).options(SHORT),
        attack("hostile_cpu", "idt_random", 100),
        attack("hostile_cpu", "idt_interrupt", 100),
        attack("hostile_cpu", "cr3_zero", 100),
        on_kvm(TABLES_NOWHERE, attack("hostile_cpu", "cr3_beyond_memory", 100)).options(SHORT),
        on_kvm(TABLES_NOWHERE, attack("hostile_cpu", "cr3_highest", 100)).options(SHORT),
        attack("hostile_cpu", "tr_past_table", 102).says(&["through selector 0xfff8 (entry 8191 of the GDT)"]),
        attack("hostile_cpu", "ldt_is_code", 102).says(&["through selector 0x8 (entry 1 of the GDT)"]),
        survived("hostile_cpu", "selectors"),
        attack("hostile_cpu", "tss_random", 100),
    ]
}

fn instructions() -> Vec<Guest> {
    vec![
        attack("hostile_cpu", "jump", 102).says(&["supervisor instruction fetch from 0xdead0000"]),
        // KVM has nothing to execute there; the emulator executes zeros to the end of the page; of ones, the embedded machine makes #UD.
        on_kvm(&[103], attack("hostile_cpu", "jump_beyond_memory", 102)).on_embedded(&[102]),
        // The emulator's CPU takes what real ones refuse.
        on_kvm(&[102], attack("hostile_cpu", "cr0_without_protection", 0)),
        on_kvm(&[102], attack("hostile_cpu", "cr4_reserved", 124)).options(SHORT),
        on_kvm(&[102], attack("hostile_cpu", "pae", 100)),
        survived("hostile_cpu", "msrs"),
        survived("hostile_cpu", "apic_base"),
        survived("hostile_cpu", "long_mode"),
        attack("hostile_cpu", "halt_off", 104),
        attack("hostile_cpu", "halt_masked", 104),
        Guest {
            stdout: Text::Exactly("attack: self_modify\n12497500 7\nsurvived\n".to_owned()),
            ..attack("hostile_cpu", "self_modify", 0)
        },
    ]
}

fn memory() -> Vec<Guest> {
    vec![
        attack("hostile_memory", "wipe_boot_pages", 100),
        attack("hostile_memory", "spoil_boot_pages 1", 100),
        attack("hostile_memory", "spoil_boot_pages 2", 100),
        on_kvm(TABLES_NOWHERE, attack("hostile_memory", "spoil_boot_pages 3", 100)).options(SHORT),
        attack("hostile_memory", "spoil_fault_catcher 1", 100),
        attack("hostile_memory", "spoil_fault_catcher 2", 100),
        attack("hostile_memory", "forged_record 1", 102),
        attack("hostile_memory", "forged_record 4", 102),
        attack("hostile_memory", "forged_record 8", 102),
        attack("hostile_memory", "forged_frames 6", 102),
        attack("hostile_memory", "forged_then_exit 5", 102),
        attack("hostile_memory", "forged_then_halt 5", 102),
        attack("hostile_memory", "no_record", 45),
        survived("hostile_memory", "mmio"),
        survived("hostile_memory", "io_apic"),
        // A local APIC that was told to takes the timer's ticks for NMIs.
        on_kvm(&[0, 102], attack("hostile_memory", "local_apic", 0)),
        // There is no firmware at KVM's reset vector. The emulator's begins the guest once more, on what is left of it.
        on_kvm(&[103], attack("hostile_memory", "init_to_self", 100)),
        survived("hostile_memory", "tame 1"),
        survived("hostile_memory", "tame 2"),
        survived("hostile_memory", "wild 4"),
        survived("hostile_memory", "wild 7"),
    ]
}
