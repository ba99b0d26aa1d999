//! What there is to say of the keys of a file.

use stos_image::TEXT_LIMIT;

use super::quantity::{ADDRESS, Notation};
use super::yaml::Node;

/// A mapping: the keys that stand together.
#[derive(Debug)]
pub struct Mapping {
    /// Its name among the definitions of the schema.
    pub name: &'static str,
    /// What it is, for editors.
    pub about: &'static str,
    /// The keys, in the order in which messages list them and images have them.
    pub keys: &'static [Key],
    /// Whether there must be exactly one of the keys. A mapping that is laid over such a one replaces it.
    pub exclusive: bool,
    /// Whether images have the keys sorted by name instead.
    pub sorted: bool,
}

impl Mapping {
    /// The key at `path`, such as `run.expect`. What is in lists has no path.
    pub fn find(&self, path: &str) -> Option<&'static Key> {
        let (name, rest) = path.split_once('.').map_or((path, None), |(name, rest)| (name, Some(rest)));
        let key = self.keys.iter().find(|key| key.name == name)?;
        match (rest, key.kind) {
            (None, _) => Some(key),
            (Some(rest), Kind::Mapping(inner)) => inner.find(rest),
            (Some(_), _) => None,
        }
    }

    /// What a profile may change, with the keys that add to something.
    pub fn keys_in_profiles(&self) -> Vec<String> {
        let mut names = Vec::new();
        for key in self.keys.iter().filter(|key| key.in_profile.is_some()) {
            names.push(key.name.to_owned());
            names.extend(key.addition_in_profile.map(|_| format!("{}+", key.name)));
        }
        names
    }
}

/// A key.
#[derive(Debug)]
pub struct Key {
    /// The key.
    pub name: &'static str,
    /// A value that a person could write.
    pub example: &'static str,
    /// What its value can be.
    pub kind: Kind,
    /// What it is, for editors.
    pub about: &'static str,
    /// Whether it must be there when bases and profile have been applied.
    pub required: bool,
    /// What it is when it is not there, if that is a value; the keys before it may have a part in that.
    pub default: Option<fn(&Siblings) -> Node>,
    /// Whether images have it even when it is the default.
    pub always_written: bool,
    /// What the key with a `+` behind it is, for editors, if it can be added to.
    pub addition: Option<&'static str>,
    /// What it is in a profile, for editors, if profiles can change it.
    pub in_profile: Option<&'static str>,
    /// What the key with a `+` is in a profile.
    pub addition_in_profile: Option<&'static str>,
}

/// The keys of a mapping with their values in the written form, those that are not written included.
pub type Siblings = [(&'static str, Node)];

/// What a value can be.
#[derive(Clone, Copy, Debug)]
pub enum Kind {
    /// The number of the manifest's form.
    Version,
    /// So many bytes of plain text.
    Text { least: usize, most: usize },
    /// Path of an input. Images have another one: its recorded path.
    Path,
    /// Path of a directory of inputs. Images have an archive of it instead, under the key `path`.
    Directory,
    /// One of these words.
    Word(fn() -> Vec<&'static str>),
    /// `true` or `false`.
    Flag,
    /// A multiple of `step`. The limits are those of a plain number, which has the notation's usual unit.
    Number { notation: &'static Notation, least: u64, most: u64, step: u64 },
    /// An address, or the name of a symbol.
    AddressOrSymbol,
    /// A mapping.
    Mapping(&'static Mapping),
    /// A list of at most so many items.
    List { of: &'static Kind, most: usize },
    /// Profiles by their names.
    Profiles,
    /// The name of a profile.
    ProfileName,
}

impl Kind {
    /// Least and most bytes of such a text.
    pub fn text_limits(self) -> (usize, usize) {
        match self {
            Self::Text { least, most } => (least, most),
            _ => (1, TEXT_LIMIT),
        }
    }

    /// How such a number is written.
    pub fn notation(self) -> &'static Notation {
        match self {
            Self::Number { notation, .. } => notation,
            _ => &ADDRESS,
        }
    }
}

/// A mapping whose keys don't exclude each other.
pub const fn mapping(name: &'static str, about: &'static str, keys: &'static [Key]) -> Mapping {
    Mapping { name, about, keys, exclusive: false, sorted: false }
}

/// A kind of number.
pub const fn number(notation: &'static Notation, least: u64, most: u64, step: u64) -> Kind {
    Kind::Number { notation, least, most, step }
}

/// A key that need not be there.
pub const fn key(name: &'static str, example: &'static str, kind: Kind) -> Key {
    Key {
        name,
        example,
        kind,
        about: "",
        required: false,
        default: None,
        always_written: false,
        addition: None,
        in_profile: None,
        addition_in_profile: None,
    }
}

impl Key {
    /// The key with its example, as a person could write it.
    pub fn line(&self) -> String {
        format!("{}: {}", self.name, self.example)
    }

    pub const fn about(self, about: &'static str) -> Self {
        Self { about, ..self }
    }

    pub const fn required(self) -> Self {
        Self { required: true, ..self }
    }

    pub const fn default(self, default: fn(&Siblings) -> Node) -> Self {
        Self { default: Some(default), ..self }
    }

    pub const fn always_written(self) -> Self {
        Self { always_written: true, ..self }
    }

    pub const fn addition(self, about: &'static str) -> Self {
        Self { addition: Some(about), ..self }
    }

    pub const fn in_profile(self, about: &'static str) -> Self {
        Self { in_profile: Some(about), ..self }
    }

    pub const fn addition_in_profile(self, about: &'static str) -> Self {
        Self { addition_in_profile: Some(about), ..self }
    }
}
