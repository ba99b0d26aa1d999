//! ELF32 files for i386: kernels, modules, their symbols and source lines. (System V ABI, chapters 4 and 5, and its i386
//! supplement.)

mod constructors;
mod entry;
mod file_section;
mod header;
mod kernel;
mod layout;
mod lines;
mod link;
mod module;
mod names;
mod physical;
mod section;
mod section_table;
mod segment;
mod symbols;
mod unneeded;

pub use file_section::{FileSection, file_sections, section_at};
pub use header::is_relocatable;
pub use kernel::KernelElf;
pub use link::undefined_symbols;
pub use module::ModuleElf;
pub use names::Names;
pub use section::at_addresses_of;
pub use section_table::{SECTION_HEADER_SIZE, SectionTable};
pub use segment::LoadSegment;
pub use symbols::{Label, large_variables};
