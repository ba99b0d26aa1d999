//! The emulator's command line: a machine as close as QEMU has one to what KVM gives a guest.

use std::ffi::OsString;
use std::os::fd::{AsRawFd, OwnedFd};

use stos_image::Description;
use stos_x86::ports::{CRTC_INDEX, DEBUG_CONSOLE, PVPANIC};

use crate::machine::{ClockStart, Configuration, CpuModel};

/// The machine: an ISA PC, because what runs on KVM has no PCI either. Memory below 4 GiB may reach up to 3840 MiB, above
/// the largest guest, so that all of it is one run. No
/// ports of another hypervisor's.
const MACHINE: &str = "isapc,memory-backend=ram,max-ram-below-4g=3840M,vmport=off";
/// The fixed CPU, whose CPUID is the fixed table of the KVM backend, bit for bit; so the leaves of hypervisors are zeros.
const CPU: &str = "qemu32,vendor=GenuineIntel,family=6,model=0,stepping=0,level=1,xlevel=0x80000001,\
    clflush=on,mtrr=on,mca=on,pse36=on,vme=off,acpi=off,pn=off,pni=off,hypervisor=off,x2apic=off,tsc-deadline=off,\
    tcg-cpuid=off";
/// The CPU with everything that the emulator knows.
const MOST_CAPABLE_CPU: &str = "max,tcg-cpuid=off";
/// Ports that the exit device covers: a 32-bit write must fit.
const EXIT_WIDTH: u16 = 4;
/// Ports that the device behind the fault catcher's port covers.
const FAULT_WIDTH: u16 = 1;

/// Ports that depend on the image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ports {
    /// By which the guest ends.
    pub exit: u16,
    /// The fault catcher's, where it is another.
    pub fault: Option<u16>,
}

impl Ports {
    /// Those of an image.
    pub fn of(description: &Description) -> Self {
        let exit = description.run.exit_port;
        let fault = description.fault_catcher.as_ref().map(|catcher| catcher.port).filter(|port| *port != exit);
        Self { exit, fault }
    }
}

/// What the emulator inherits.
pub struct Connections {
    /// Guest memory.
    pub memory: OwnedFd,
    /// Its size in bytes.
    pub memory_size: u64,
    /// The firmware.
    pub rom: OwnedFd,
    /// What the debug console prints.
    pub debug: OwnedFd,
    /// Which registers of a CRTC the guest selects. The machine has none.
    pub crtc: OwnedFd,
    /// The machine protocol.
    pub control: OwnedFd,
    /// The machine protocol again, for keys: they wait for a guest that is slow to take them.
    pub keys: OwnedFd,
}

impl Connections {
    /// All of the files.
    pub fn into_files(self) -> Vec<OwnedFd> {
        vec![self.memory, self.rom, self.debug, self.crtc, self.control, self.keys]
    }

    /// The same, in the same order.
    pub fn files(&self) -> [&OwnedFd; 6] {
        [&self.memory, &self.rom, &self.debug, &self.crtc, &self.control, &self.keys]
    }
}

/// The arguments for a guest with these `ports`, in a machine of this `configuration`.
pub fn arguments(connections: &Connections, ports: Ports, configuration: Configuration) -> Vec<OsString> {
    let Connections { memory, memory_size, rom, debug, crtc, control, keys } = connections;
    let path = |file: &OwnedFd| format!("/proc/self/fd/{}", file.as_raw_fd());
    let Ports { exit: exit_port, fault: fault_port } = ports;

    let mut arguments = Arguments::default();
    // Nothing from configuration files, and no device that is not named here.
    arguments.flag("-nodefaults").flag("-no-user-config");
    arguments.option("-display", "none").option("-vga", "none").option("-accel", "tcg");
    arguments.option("-machine", MACHINE).option(
        "-cpu",
        match configuration.cpu {
            CpuModel::Fixed => CPU,
            CpuModel::Host => MOST_CAPABLE_CPU,
        },
    );
    arguments.option("-m", &format!("{}k", memory_size / 1024));
    arguments.option(
        "-object",
        &format!("memory-backend-file,id=ram,mem-path={},share=on,size={memory_size}", path(memory)),
    );
    arguments.option(
        "-rtc",
        match configuration.clock {
            ClockStart::Fixed => "base=2000-01-01T00:00:00,clock=vm",
            ClockStart::Host => "base=utc,clock=host",
        },
    );
    arguments.option("-bios", &path(rom));
    // Pipes, because they hold many times as much as sockets when bytes come one by one: what the UART can't hand on, a
    // guest that doesn't wait for it loses.
    arguments.option("-chardev", "stdio,id=com1,signal=off").option("-serial", "chardev:com1");
    arguments.option("-chardev", &format!("file,id=debug,path={}", path(debug)));
    arguments.option("-device", &format!("isa-debugcon,iobase={DEBUG_CONSOLE:#x},chardev=debug"));
    arguments.option("-device", &format!("pvpanic,ioport={PVPANIC},events=1"));
    arguments.option("-device", &exit_device(exit_port, EXIT_WIDTH, fault_port));
    if let Some(fault_port) = fault_port {
        arguments.option("-device", &exit_device(fault_port, FAULT_WIDTH, None));
    }
    arguments.option("-chardev", &format!("file,id=crtc,path={}", path(crtc)));
    // Reads of a byte find what they find at a port without a device.
    arguments.option("-device", &format!("isa-debugcon,iobase={CRTC_INDEX:#x},readback=0xff,chardev=crtc"));
    // The machine protocol tells the end of the guest from that of the emulator: stopped until told to go, and kept when
    // the guest resets, so that its registers can be read.
    arguments.option("-chardev", &format!("socket,id=control,fd={}", control.as_raw_fd()));
    arguments.option("-mon", "chardev=control,mode=control");
    arguments.option("-chardev", &format!("socket,id=keys,fd={}", keys.as_raw_fd()));
    arguments.option("-mon", "chardev=keys,mode=control");
    arguments.flag("-S").flag("-no-reboot").flag("-no-shutdown");
    // It says "Triple fault" on standard error then, which no event does.
    arguments.option("-d", "cpu_reset");
    arguments.0
}

/// An exit device at `port` and the ports after it, `width` in all, that leaves `neighbour` alone.
fn exit_device(port: u16, width: u16, neighbour: Option<u16>) -> String {
    let room = u16::MAX - port;
    let gap = neighbour.filter(|neighbour| *neighbour > port).map_or(width, |neighbour| neighbour - port);
    let width = width.min(gap).min(room.saturating_add(1));
    format!("isa-debug-exit,iobase={port:#x},iosize={width}")
}

#[derive(Default)]
struct Arguments(Vec<OsString>);

impl Arguments {
    fn flag(&mut self, flag: &str) -> &mut Self {
        self.0.push(flag.into());
        self
    }

    fn option(&mut self, option: &str, value: &str) -> &mut Self {
        self.flag(option).flag(value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_exit_device_leaves_its_neighbour_alone() {
        assert_eq!(exit_device(0xf4, 4, None), "isa-debug-exit,iobase=0xf4,iosize=4");
        assert_eq!(exit_device(0xf4, 4, Some(0xf5)), "isa-debug-exit,iobase=0xf4,iosize=1");
        assert_eq!(exit_device(0xf5, 1, None), "isa-debug-exit,iobase=0xf5,iosize=1");
        assert_eq!(exit_device(0xf4, 4, Some(0xf8)), "isa-debug-exit,iobase=0xf4,iosize=4");
        assert_eq!(exit_device(0xffff, 4, None), "isa-debug-exit,iobase=0xffff,iosize=1");
    }
}
