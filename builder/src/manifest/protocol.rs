//! The boot protocols, and which keys of a manifest each has a use for.

/// Most bytes that are read of one input: room for a kernel's debug information, and far more than fits into the 4 MiB that
/// stos loads. Linux may have a larger initramfs, and a Multiboot kernel larger modules.
pub const INPUT_LIMIT: u64 = 256 << 20;

/// The boot protocols that images can be built for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Protocol {
    /// LSE's modular 32-bit teaching kernel. What a manifest begins with while nothing is known of the kernel.
    #[default]
    Stos,
    /// Multiboot, version 1.
    Multiboot,
    /// Linux/x86, the 32-bit boot protocol.
    Linux,
    /// None: the manifest says how the kernel is entered.
    Elf,
}

impl Protocol {
    /// Every protocol with its name in the manifest.
    pub const ALL: &[(&str, Self)] =
        &[("stos", Self::Stos), ("multiboot", Self::Multiboot), ("linux", Self::Linux), ("elf", Self::Elf)];

    /// Name in the manifest.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Stos => "stos",
            Self::Multiboot => "multiboot",
            Self::Linux => "linux",
            Self::Elf => "elf",
        }
    }

    /// Smallest guest memory in MiB that a manifest may declare.
    pub const fn least_memory_mib(self) -> u64 {
        match self {
            Self::Stos => 16,
            Self::Multiboot | Self::Elf => 2,
            Self::Linux => 32,
        }
    }

    /// The smallest guest memory in bytes that any protocol takes.
    pub const fn least_memory_of_all() -> u64 {
        let mut least = u64::MAX;
        let mut index = 0;
        while index < Self::ALL.len() {
            let bytes = Self::ALL[index].1.least_memory_mib() << 20;
            least = if bytes < least { bytes } else { least };
            index += 1;
        }
        least
    }

    /// Where kernels are usually linked.
    pub const fn link_address(self) -> u32 {
        match self {
            Self::Stos => 0xc010_0000,
            Self::Multiboot | Self::Linux | Self::Elf => 0x10_0000,
        }
    }

    /// What the smallest memory is needed for.
    pub const fn memory_note(self) -> &'static str {
        match self {
            Self::Stos => {
                "kernel, modules, initramfs, early heap and stack take the first 4 MiB; the frame array begins there"
            }
            Self::Multiboot => "kernels are mostly loaded at 1 MiB, and the modules behind them",
            Self::Linux => "the kernel unpacks itself, and needs room for that beside the initramfs",
            Self::Elf => "the first MiB is mostly the PC's, so that most kernels begin at 1 MiB",
        }
    }

    /// True when kernels get a command line.
    pub const fn takes_cmdline(self) -> bool {
        match self {
            Self::Stos | Self::Multiboot | Self::Linux => true,
            Self::Elf => false,
        }
    }

    /// True when kernels get an initramfs.
    pub const fn takes_initramfs(self) -> bool {
        match self {
            Self::Stos | Self::Linux => true,
            Self::Multiboot | Self::Elf => false,
        }
    }

    /// True when kernels get modules.
    pub const fn takes_modules(self) -> bool {
        match self {
            Self::Stos | Self::Multiboot => true,
            Self::Linux | Self::Elf => false,
        }
    }

    /// True when a module comes with a text of its own.
    pub const fn takes_module_cmdline(self) -> bool {
        match self {
            Self::Stos | Self::Linux | Self::Elf => false,
            Self::Multiboot => true,
        }
    }

    /// True when the manifest, and not the protocol, says how the kernel is entered.
    pub const fn takes_entry(self) -> bool {
        match self {
            Self::Stos | Self::Multiboot | Self::Linux => false,
            Self::Elf => true,
        }
    }
}
