//! The interrupt controllers as QEMU's monitor prints them.

use super::registers::field;
use crate::devices::{Controller, Interrupts, Pics};

/// From what it prints for `info pic` and `info lapic`. Its machine has no I/O APIC.
pub fn interrupts(pics_text: &str, apic_text: &str) -> Option<Interrupts> {
    let mut timer =
        apic_text.lines().map(str::split_ascii_whitespace).find(|words| words.clone().next() == Some("LVTT"))?;
    let is_apic_used = !timer.any(|word| word == "masked");
    Some(Interrupts { pics: pics(pics_text)?, is_apic_used })
}

fn pics(text: &str) -> Option<Pics> {
    let of = |name: &str| text.lines().find_map(|line| controller(line.strip_prefix(name)?));
    Some(Pics { first: of("pic0:")?, second: of("pic1:")? })
}

/// Such as ` irr=11 imr=fe isr=01 hprio=0 irq_base=20 rr_sel=0 elcr=00 fnm=0`.
fn controller(line: &str) -> Option<Controller> {
    let field = |name: &str| u8::from_str_radix(field(line, name)?, 16).ok();
    Some(Controller {
        requested: field("irr")?,
        masked: field("imr")?,
        in_service: field("isr")?,
        highest: field("hprio")?,
        // The monitor does not tell.
        may_special_mask: true,
        is_fully_nested: field("fnm")? != 0,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_emulators_text_is_read() {
        let text = "pic1: irr=00 imr=ff isr=00 hprio=3 irq_base=28 rr_sel=0 elcr=0c fnm=1\r\n\
                    pic0: irr=11 imr=fe isr=01 hprio=0 irq_base=20 rr_sel=0 elcr=00 fnm=0\r\n";
        let nothing = Controller::default();
        let expected = Pics {
            first: Controller { requested: 0x11, masked: 0xfe, in_service: 1, may_special_mask: true, ..nothing },
            second: Controller { masked: 0xff, highest: 3, may_special_mask: true, is_fully_nested: true, ..nothing },
        };
        assert_eq!(self::pics(text), Some(expected));
        assert_eq!(self::pics("unknown command"), None);
    }

    #[test]
    fn an_apic_timer_that_is_turned_on_can_wake_the_cpu() {
        let pics = "pic1: irr=00 imr=ff isr=00 hprio=0 fnm=0\r\npic0: irr=00 imr=ff isr=00 hprio=0 fnm=0\r\n";
        let apic = "LVTTHMR\t 0x00010000 active-hi edge  masked  Fixed  (vec 0)\r\n\
                    LVTT\t 0x00010000 active-hi edge  masked         one-shot     Fixed  (vec 0)\r\n";
        let found = interrupts(pics, apic).unwrap();
        assert!(!found.is_apic_used && !found.can_wake());
        let apic = "LVTTHMR\t 0x00010000 masked\r\nLVTT\t 0x00020030 active-hi edge periodic Fixed (vec 48)\r\n";
        let found = interrupts(pics, apic).unwrap();
        assert!(found.is_apic_used && found.can_wake());
    }
}
