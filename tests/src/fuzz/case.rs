//! One input: a manifest and the four files that it can name, and how they are one string of bytes for a fuzzer.

use super::parts;

/// Names that a manifest of a case can use. Nothing else lies in its folder, but for [`DIRECTORY`].
pub const FILES: [(&str, Part); 5] = [
    ("manifest.yaml", Part::Manifest),
    ("kernel.elf", Part::Kernel),
    ("module.ko", Part::Module),
    ("archive.cpio", Part::Archive),
    ("base.yaml", Part::Base),
];

/// A directory with the same few files in every case.
pub const DIRECTORY: &str = "tree";

/// The parts of a case, in the order of its encoding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// The manifest, which need not be UTF-8.
    Manifest,
    /// The kernel.
    Kernel,
    /// The module; a manifest can name it more than once.
    Module,
    /// The cpio archive.
    Archive,
    /// A manifest that the first one can extend.
    Base,
}

/// One input of the fuzzer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Case {
    parts: [Vec<u8>; 5],
}

impl Case {
    /// A case of these files; `base` is empty.
    pub fn new(manifest: impl Into<Vec<u8>>, kernel: Vec<u8>, module: Vec<u8>, archive: Vec<u8>) -> Self {
        Self { parts: [manifest.into(), kernel, module, archive, Vec::new()] }
    }

    /// The case with another manifest below its own.
    #[must_use]
    pub fn on(mut self, base: impl Into<Vec<u8>>) -> Self {
        *self.part_mut(Part::Base) = base.into();
        self
    }

    /// The bytes of one part.
    pub fn part(&self, part: Part) -> &Vec<u8> {
        &self.parts[part as usize]
    }

    /// The bytes of one part, to change them.
    pub fn part_mut(&mut self, part: Part) -> &mut Vec<u8> {
        &mut self.parts[part as usize]
    }

    /// Reads a case; every string of bytes is one.
    pub fn decode(bytes: &[u8]) -> Self {
        Self { parts: parts::decode(bytes) }
    }

    /// The bytes that [`Case::decode`] reads.
    pub fn encode(&self) -> Vec<u8> {
        parts::encode(&self.parts)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_encoded_is_decoded_and_any_bytes_are_a_case() {
        let case = Case::new("name: x", vec![1; 300], Vec::new(), vec![2, 3]).on("name: y");
        let bytes = case.encode();
        assert_eq!(Case::decode(&bytes), case);
        assert_eq!(Case::decode(b""), Case::default());
        let cut = Case::decode(&bytes[..100]);
        assert_eq!(cut.part(Part::Manifest), case.part(Part::Manifest));
        assert_eq!(cut.part(Part::Kernel).len(), 100 - 4 - 7 - 4);
    }
}
