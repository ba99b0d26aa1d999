//! The languages that a project can be begun in.

/// A language that kernels are written in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Language {
    /// C, with gcc and make
    #[default]
    C,
    /// Rust, with cargo
    Rust,
    /// Assembly, with gcc and make
    Asm,
}

impl Language {
    /// Every language.
    pub const ALL: [Self; 3] = [Self::C, Self::Rust, Self::Asm];
}
