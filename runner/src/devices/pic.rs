//! The two 8259A interrupt controllers as a look from outside finds them, and why a CPU that waits is never woken by them.

use kvm_bindings::{kvm_lapic_state, kvm_pic_state};

/// Request line of the first controller that the second is connected to.
const CASCADE: u8 = 2;
/// Request lines of each controller.
pub const LINES: u8 = 8;

/// One controller's registers. Bit n stands for request line n.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Controller {
    /// Requests that wait.
    pub requested: u8,
    /// Requests that are not passed on.
    pub masked: u8,
    /// Requests that the CPU has taken and whose end it has not told.
    pub in_service: u8,
}

impl Controller {
    /// From what KVM gives.
    pub fn from_kvm(state: &kvm_pic_state) -> Self {
        Self { requested: state.irr, masked: state.imr, in_service: state.isr }
    }

    fn from_words(line: &str) -> Option<Self> {
        let field = |name: &str| {
            let word = line.split_ascii_whitespace().find_map(|word| word.strip_prefix(name)?.strip_prefix('='))?;
            u8::from_str_radix(word, 16).ok()
        };
        Some(Self { requested: field("irr")?, masked: field("imr")?, in_service: field("isr")? })
    }

    /// True when a request on `line` would be passed on, had the second controller nothing to do with it: it is not masked,
    /// and nothing of the same or a higher priority is in service. Line 0 has the highest, unless a kernel rotates them.
    fn passes(self, line: u8) -> bool {
        let as_high = u8::MAX >> (LINES - 1 - line);
        self.masked >> line & 1 == 0 && self.in_service & as_high == 0
    }
}

/// Both controllers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pics {
    /// IRQ 0 to 7.
    pub first: Controller,
    /// IRQ 8 to 15.
    pub second: Controller,
}

impl Pics {
    /// Reads what QEMU's monitor prints for `info pic`.
    pub fn from_qemu(text: &str) -> Option<Self> {
        let controller = |name: &str| text.lines().find_map(|line| Controller::from_words(line.strip_prefix(name)?));
        Some(Self { first: controller("pic0:")?, second: controller("pic1:")? })
    }

    /// True when a request on some line would reach the CPU.
    pub fn can_interrupt(&self) -> bool {
        (0..LINES)
            .any(|line| self.first.passes(line) && (line != CASCADE || (0..LINES).any(|line| self.second.passes(line))))
    }

    /// The requests that the CPU has taken and whose end it has not told, as IRQ numbers.
    pub fn in_service(&self) -> Vec<u8> {
        let both = u16::from_le_bytes([self.first.in_service, self.second.in_service]);
        (0..2 * LINES).filter(|irq| both >> irq & 1 == 1).collect()
    }
}

/// Everything that can wake a CPU from HLT.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Interrupts {
    /// The 8259As.
    pub pics: Pics,
    /// The guest has turned on a source of interrupts in the local APIC or the I/O APIC.
    pub is_apic_used: bool,
}

/// Offset of the timer's entry in the local APIC's registers (Intel SDM volume 3A, table 11-1).
const LVT_TIMER: usize = 0x320;
/// Mask bit of an entry of the local vector table and of the I/O APIC's redirection table (Intel SDM volume 3A, figure 11-8;
/// 82093AA data sheet, section 3.2.4).
const APIC_MASK: u32 = 1 << 16;

impl Interrupts {
    /// From what KVM gives: both controllers, the local APIC's registers, and the low halves of the I/O APIC's redirection table.
    pub fn from_kvm(
        first: &kvm_pic_state,
        second: &kvm_pic_state,
        apic: &kvm_lapic_state,
        redirections: &[u32],
    ) -> Self {
        let pics = Pics { first: Controller::from_kvm(first), second: Controller::from_kvm(second) };
        let timer = apic.regs[LVT_TIMER..]
            .iter()
            .take(4)
            .rev()
            .fold(0, |word, &byte| word << 8 | u32::from(byte.to_le_bytes()[0]));
        let is_open = |entry: u32| entry & APIC_MASK == 0;
        Self { pics, is_apic_used: is_open(timer) || redirections.iter().any(|&entry| is_open(entry)) }
    }

    /// From what QEMU's monitor prints for `info pic` and `info lapic`. Its machine has no I/O APIC.
    pub fn from_qemu(pics: &str, apic: &str) -> Option<Self> {
        let mut timer =
            apic.lines().map(str::split_ascii_whitespace).find(|words| words.clone().next() == Some("LVTT"))?;
        let is_apic_used = !timer.any(|word| word == "masked");
        Some(Self { pics: Pics::from_qemu(pics)?, is_apic_used })
    }

    /// True when something can wake a CPU that takes interrupts.
    pub fn can_wake(&self) -> bool {
        self.is_apic_used || self.pics.can_interrupt()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pics(first: (u8, u8), second: (u8, u8)) -> Pics {
        let controller = |(masked, in_service)| Controller { requested: 0, masked, in_service };
        Pics { first: controller(first), second: controller(second) }
    }

    #[test]
    fn the_emulators_text_is_read() {
        let text = "pic1: irr=00 imr=ff isr=00 hprio=0 irq_base=28 rr_sel=0 elcr=0c fnm=0\r\n\
                    pic0: irr=11 imr=fe isr=01 hprio=0 irq_base=20 rr_sel=0 elcr=00 fnm=0\r\n";
        let expected = Pics {
            first: Controller { requested: 0x11, masked: 0xfe, in_service: 1 },
            second: Controller { requested: 0, masked: 0xff, in_service: 0 },
        };
        assert_eq!(Pics::from_qemu(text), Some(expected));
        assert_eq!(Pics::from_qemu("unknown command"), None);
    }

    #[test]
    fn an_apic_timer_that_is_turned_on_can_wake_the_cpu() {
        let pics = "pic1: irr=00 imr=ff isr=00\r\npic0: irr=00 imr=ff isr=00\r\n";
        let apic = "LVTTHMR\t 0x00010000 active-hi edge  masked  Fixed  (vec 0)\r\n\
                    LVTT\t 0x00010000 active-hi edge  masked         one-shot     Fixed  (vec 0)\r\n";
        let interrupts = Interrupts::from_qemu(pics, apic).unwrap();
        assert!(!interrupts.is_apic_used && !interrupts.can_wake());
        let apic = "LVTTHMR\t 0x00010000 masked\r\nLVTT\t 0x00020030 active-hi edge periodic Fixed (vec 48)\r\n";
        let interrupts = Interrupts::from_qemu(pics, apic).unwrap();
        assert!(interrupts.is_apic_used && interrupts.can_wake());
    }

    #[test]
    fn what_kvm_gives_is_read() {
        let pic = kvm_pic_state { irr: 1, imr: 0xff, isr: 2, ..Default::default() };
        let mut apic = kvm_lapic_state { regs: [0; 1024] };
        assert!(Interrupts::from_kvm(&pic, &pic, &apic, &[]).is_apic_used, "its timer is open");
        apic.regs[0x322] = 1;
        let interrupts = Interrupts::from_kvm(&pic, &pic, &apic, &[APIC_MASK]);
        let controller = Controller { requested: 1, masked: 0xff, in_service: 2 };
        assert_eq!(
            interrupts,
            Interrupts { pics: Pics { first: controller, second: controller }, is_apic_used: false }
        );
        assert!(Interrupts::from_kvm(&pic, &pic, &apic, &[APIC_MASK, 0x30]).is_apic_used);
    }

    #[test]
    fn masks_and_what_is_in_service_hold_requests_back() {
        for (first, second, can_interrupt) in [
            ((0, 0), (0, 0), true),
            ((0xff, 0), (0, 0), false),
            ((0xfe, 0), (0xff, 0), true),
            ((0xfe, 1), (0xff, 0), false),
            ((0, 1), (0, 0), false),
            ((0, 2), (0, 0), true),
            // Only the line to the second controller is open.
            ((0xfb, 0), (0xff, 0), false),
            ((0xfb, 0), (0x7f, 0), true),
            ((0xfb, 4), (0x7f, 0), false),
            ((0xf8, 2), (0xff, 0), true),
            ((0xfd, 0), (0xff, 0), true),
        ] {
            assert_eq!(pics(first, second).can_interrupt(), can_interrupt, "{first:?} {second:?}");
        }
    }
}
