//! The stable codes of diagnostics, and the exit status that each leads to.

/// Exit status for input that is wrong (`EX_DATAERR` of sysexits.h).
pub const STATUS_DATA: u8 = 65;
/// Exit status for an input file that is missing or can't be read (`EX_NOINPUT`).
pub const STATUS_NO_INPUT: u8 = 66;
/// Exit status for output that can't be written (`EX_IOERR`).
pub const STATUS_IO: u8 = 74;

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// No image can be built.
    Error,
    /// The image is built, but the guest will probably not do what its author means.
    Warning,
}

macro_rules! codes {
    ($($(#[doc = $doc:literal])+ $name:ident = $text:literal, $status:expr;)*) => {
        /// What sort of mistake a diagnostic is about. A code keeps its meaning for ever; new mistakes get new codes.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Code {
            $($(#[doc = $doc])+ $name,)*
        }

        impl Code {
            /// Every code, in order.
            pub const ALL: &[Self] = &[$(Self::$name),*];

            /// The code as it is printed, such as `E0012`.
            pub const fn text(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }

            /// A page that explains it: what it means, how it comes about, how to mend it.
            pub const fn page(self) -> &'static str {
                match self { $(Self::$name => include_str!(concat!("explain/", $text, ".md")),)* }
            }

            /// How bad it is: codes of warnings begin with `W`.
            pub const fn severity(self) -> Severity {
                match self.text().as_bytes() {
                    [b'W', ..] => Severity::Warning,
                    _ => Severity::Error,
                }
            }

            /// The codes of warnings, by what is printed.
            pub fn warnings() -> Vec<(&'static str, Self)> {
                let warnings = Self::ALL.iter().filter(|code| code.severity() == Severity::Warning);
                warnings.map(|code| (code.text(), *code)).collect()
            }

            /// The exit status of a run that ends with this diagnostic; 0 for warnings.
            pub const fn status(self) -> u8 {
                match self { $(Self::$name => $status,)* }
            }
        }
    };
}

codes! {
    /// An input file is missing or can't be read.
    Unreadable = "E0001", STATUS_NO_INPUT;
    /// The manifest is not valid YAML.
    Syntax = "E0002", STATUS_DATA;
    /// A mapping has the same key twice.
    DuplicateKey = "E0003", STATUS_DATA;
    /// A key that the manifest does not know.
    UnknownKey = "E0004", STATUS_DATA;
    /// A key that must be there is not.
    MissingKey = "E0005", STATUS_DATA;
    /// A value of the wrong type.
    WrongType = "E0006", STATUS_DATA;
    /// A number, size or duration that can't be understood.
    BadNumber = "E0007", STATUS_DATA;
    /// A number, size or duration outside its range.
    OutOfRange = "E0008", STATUS_DATA;
    /// A word that is not one of those that the key allows.
    UnknownWord = "E0009", STATUS_DATA;
    /// A text with characters that it must not have, or of a length that it must not have.
    BadText = "E0010", STATUS_DATA;
    /// A regular expression that does not compile.
    BadRegex = "E0011", STATUS_DATA;
    /// A manifest that extends itself, or a chain of manifests that is too long.
    ExtendsLoop = "E0012", STATUS_DATA;
    /// A profile that the manifest does not have.
    UnknownProfile = "E0013", STATUS_DATA;
    /// A key that the boot protocol has no use for.
    KeyNotForProtocol = "E0014", STATUS_DATA;
    /// A file that is not an ELF file at all.
    NotElf = "E0020", STATUS_DATA;
    /// An ELF file for 64-bit machines.
    Elf64 = "E0021", STATUS_DATA;
    /// An ELF file for another machine or byte order.
    WrongMachine = "E0022", STATUS_DATA;
    /// An ELF file of the wrong type: a kernel must be `ET_EXEC`, a module `ET_REL`.
    WrongElfType = "E0023", STATUS_DATA;
    /// An ELF file whose headers or contents end too early, or make no sense.
    MalformedElf = "E0024", STATUS_DATA;
    /// A segment with more bytes in the file than in memory.
    FileSizeAboveMemorySize = "E0025", STATUS_DATA;
    /// Two segments that claim the same addresses.
    SegmentsOverlap = "E0026", STATUS_DATA;
    /// An entry point that is not inside the bytes of an executable segment.
    EntryNotExecutable = "E0027", STATUS_DATA;
    /// A segment whose virtual address the boot page directory does not map.
    SegmentOutsideWindow = "E0028", STATUS_DATA;
    /// A kernel without any loadable segment.
    NothingToLoad = "E0029", STATUS_DATA;
    /// A module with common symbols, which no linker has given a place yet.
    CommonSymbols = "E0030", STATUS_DATA;
    /// A kernel that would be loaded in the first page or in the PC's hole.
    LoadedWhereNoneMay = "E0031", STATUS_DATA;
    /// Kernel, modules, initramfs and heap do not fit where they must lie.
    DoesNotFit = "E0040", STATUS_DATA;
    /// Two things claim the same guest memory.
    Collision = "E0041", STATUS_DATA;
    /// Guest memory that is too small for the kernel's frame array.
    FrameArrayTooLarge = "E0042", STATUS_DATA;
    /// A reserved segment outside guest memory.
    SegmentOutsideMemory = "E0043", STATUS_DATA;
    /// An initramfs that is not a cpio archive in newc format.
    NotNewc = "E0050", STATUS_DATA;
    /// A directory entry that can't go into an initramfs.
    UnsupportedEntry = "E0051", STATUS_DATA;
    /// The image, a picture of it, what it is exported to, a lock file or a new manifest can't be written.
    OutputFailed = "E0060", STATUS_IO;
    /// The image or the lock file would replace an input, or what is made of an image that image.
    OutputIsInput = "E0061", STATUS_DATA;
    /// The image breaks a limit of the image format.
    FormatLimit = "E0062", STATUS_DATA;
    /// An input that is not the one in the lock file.
    InputDiffersFromLock = "E0070", STATUS_DATA;
    /// An input that the lock file does not have.
    InputNotLocked = "E0071", STATUS_DATA;
    /// A lock file that is missing or can't be understood.
    BadLock = "E0072", STATUS_DATA;
    /// An input that does not lie below a folder of `--inputs-below`.
    InputOutside = "E0073", STATUS_DATA;
    /// A kernel without a Multiboot header.
    NoMultibootHeader = "E0080", STATUS_DATA;
    /// A Multiboot header that does not end within the first 8192 bytes of the file.
    MultibootHeaderTooFar = "E0081", STATUS_DATA;
    /// A Multiboot header whose checksum is wrong.
    WrongMultibootChecksum = "E0082", STATUS_DATA;
    /// A Multiboot header that demands what no loader knows.
    UnknownMultibootFlags = "E0083", STATUS_DATA;
    /// Address fields of a Multiboot header that contradict each other or the file.
    BadAddressFields = "E0084", STATUS_DATA;
    /// A kernel for a boot protocol that is not spoken here, or that begins in another mode of the CPU.
    OtherProtocol = "E0085", STATUS_DATA;
    /// A Linux kernel that is not a bzImage.
    NotBzImage = "E0090", STATUS_DATA;
    /// A Linux kernel that follows a boot protocol before 2.06.
    OldBootProtocol = "E0091", STATUS_DATA;
    /// A Linux kernel that is loaded below 1 MiB: a zImage.
    LoadedLow = "E0092", STATUS_DATA;
    /// A Linux kernel for 64-bit CPUs.
    Kernel64 = "E0093", STATUS_DATA;
    /// A bzImage that is shorter than its header says.
    TruncatedKernel = "E0094", STATUS_DATA;
    /// A command line that is longer than the Linux kernel takes.
    CommandLineTooLong = "E0095", STATUS_DATA;
    /// A Linux kernel that needs more memory than there is, or memory where there is none.
    KernelDoesNotFit = "E0096", STATUS_DATA;
    /// An initramfs without room below the end of memory and the Linux kernel's limit.
    InitramfsDoesNotFit = "E0097", STATUS_DATA;
    /// A symbol that is to be the entry point, and that the kernel does not have.
    EntrySymbolMissing = "E0101", STATUS_DATA;
    /// Two mappings of the same virtual addresses.
    MappingsOverlap = "E0102", STATUS_DATA;
    /// A mapping that does not consist of whole pages.
    MisalignedMapping = "E0103", STATUS_DATA;
    /// An entry address that the page tables do not map.
    EntryNotMapped = "E0104", STATUS_DATA;
    /// A segment of the kernel that is writable and executable.
    WritableCode = "W0001", 0;
    /// Segments of the kernel with different permissions on one page.
    SharedPage = "W0002", 0;
    /// A module that uses names which nobody defines.
    UndefinedSymbols = "W0003", 0;
    /// A module that does not say what it is.
    NoModuleInformation = "W0004", 0;
    /// A module with relocations that teaching kernels do not know.
    ForeignRelocations = "W0005", 0;
    /// A kernel that asks for a video mode, which there is none of.
    NoVideoMode = "W0006", 0;
    /// A stack at entry that can't be written.
    StackNowhere = "W0007", 0;
    /// A segment of nothing but ELF headers or notes that can't be loaded, and is left out.
    SegmentLeftOut = "W0008", 0;
    /// Segments that are loaded at different distances below their linked addresses.
    SegmentDistances = "W0009", 0;
    /// Constructors that nothing in the kernel calls.
    ConstructorsNotCalled = "W0010", 0;
    /// A first program of Linux that is missing, or that Linux can't start.
    FirstProgram = "W0011", 0;
    /// A Linux kernel that is not told to write to the serial port.
    NoSerialConsole = "W0012", 0;
    /// A Multiboot kernel that takes hardware interrupts and has no GDT of its own.
    NoOwnGdt = "W0013", 0;
}

impl std::fmt::Display for Code {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.text())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_codes_share_a_text_and_they_are_in_order() {
        assert!(Code::ALL.windows(2).all(|pair| pair[0].text() < pair[1].text()));
    }
}
