//! What keeps interrupts from a CPU that waits for one.

use crate::devices::{Interrupts, LINES};

/// Why nothing can wake a CPU that takes interrupts, as a clause; `None` when something can.
pub fn obstacle(interrupts: Interrupts) -> Option<String> {
    if interrupts.can_wake() {
        return None;
    }
    let pics = interrupts.pics;
    let masks = format!("their masks are {:#04x} and {:#04x}", pics.first.masked, pics.second.masked);
    Some(match pics.holding().first() {
        None => format!("the interrupt controllers mask every request that could arrive: {masks}"),
        Some(irq) => format!(
            "IRQ {irq} is still in service, so the controllers hold back what could arrive: its handler has not sent \
             the end of interrupt (0x20 to port {})",
            if *irq < LINES { "0x20" } else { "0xA0, then to port 0x20" }
        ),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::devices::{Controller, Pics};

    fn obstacle_of(first: (u8, u8), second: (u8, u8)) -> Option<String> {
        let controller = |(masked, in_service)| Controller { masked, in_service, ..Controller::default() };
        let pics = Pics { first: controller(first), second: controller(second) };
        obstacle(Interrupts { pics, is_apic_used: false })
    }

    #[test]
    fn the_obstacle_is_named() {
        assert_eq!(obstacle_of((0xfe, 0), (0xff, 0)), None);
        let masked = obstacle_of((0xff, 0), (0xff, 0)).unwrap();
        assert!(masked.contains("masks are 0xff and 0xff"), "{masked}");
        let unended = obstacle_of((0, 1), (0, 0)).unwrap();
        assert!(unended.contains("IRQ 0 is still in service") && unended.ends_with("(0x20 to port 0x20)"), "{unended}");
    }
}
