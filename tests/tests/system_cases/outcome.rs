//! How a case ended, as the guest recorded it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{self, Write as _};
use std::sync::LazyLock;

use crate::case::Case;
use crate::supervisor::{CONTROL, DUMP, DUMPED, EFLAGS, ESP, GENERAL, KEPT, LDTR, SELECTORS, TR, VECTOR};
use crate::tables::Low;

/// A record.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outcome(pub Vec<u32>);

impl Outcome {
    fn word(&self, number: u32) -> u32 {
        self.0.get(number as usize).copied().unwrap_or_default()
    }

    /// The vector that ended it.
    pub fn vector(&self) -> u8 {
        self.word(VECTOR).to_le_bytes()[0]
    }

    /// What lay on the stack, from the top.
    pub fn stack(&self) -> &[u32] {
        &self.0[DUMP as usize..(DUMP + DUMPED) as usize]
    }

    /// The words of tables that have changed, by their addresses.
    pub fn changes(&self) -> BTreeMap<u32, u32> {
        self.0[(DUMP + DUMPED) as usize + 1..].chunks_exact(2).map(|pair| (pair[0], pair[1])).collect()
    }
}

impl Outcome {
    /// What of it is other than in this one, as "here > there".
    pub fn differences(&self, other: &Self) -> String {
        let names = [
            "vector", "ESP", "SS", "DS", "ES", "FS", "GS", "EFLAGS", "TR", "LDTR", "CR0", "CR2", "CR3", "CR4", "EAX",
            "ECX", "EDX", "EBX", "EBP", "ESI", "EDI",
        ];
        let mut text = String::new();
        for number in 0..=DUMP + DUMPED {
            let (our, their) = (self.word(number), other.word(number));
            if our != their {
                let name = names
                    .get(number as usize)
                    .map_or_else(|| format!("stack {}", number - DUMP), |name| (*name).to_owned());
                write!(text, " {name} {our:x} > {their:x}").unwrap();
            }
        }
        let (our, their) = (self.changes(), other.changes());
        let addresses: BTreeSet<&u32> = our.keys().chain(their.keys()).collect();
        for at in addresses {
            if our.get(at) != their.get(at) {
                write!(text, " [{at:x}] {:x?} > {:x?}", our.get(at), their.get(at)).unwrap();
            }
        }
        text
    }
}

static LOW: LazyLock<Low> = LazyLock::new(Low::new);

/// An outcome in its parts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parts {
    /// All but the changes.
    pub head: Vec<u32>,
    pub changes: BTreeMap<u32, u32>,
    /// The tables before the case, with its own changes.
    tables: BTreeMap<u32, u32>,
}

impl Parts {
    pub fn of(case: &Case, outcome: &Outcome) -> Self {
        let head = outcome.0[..(DUMP + DUMPED) as usize].to_vec();
        Self { head, changes: outcome.changes(), tables: case.changed(&LOW) }
    }

    /// The vector that ended the case.
    pub fn vector(&self) -> u8 {
        self.head[VECTOR as usize].to_le_bytes()[0]
    }

    /// A word of the stack.
    pub fn stack(&self, place: usize) -> u32 {
        self.head[DUMP as usize + place]
    }

    pub fn set_stack(&mut self, place: usize, word: u32) {
        self.head[DUMP as usize + place] = word;
    }

    /// A word of the tables before the case.
    pub fn before(&self, at: u32) -> u32 {
        self.tables.get(&at).copied().unwrap_or_else(|| LOW.word(at))
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = |number| self.word(number);
        let [ss, ds, es, fs, gs] = [0, 1, 2, 3, 4].map(|at| word(SELECTORS + at));
        let mut stack = String::new();
        for word in self.stack() {
            write!(stack, " {word:x}")?;
        }
        write!(
            f,
            "vector {:#x} ESP {:x} SS {ss:x} DS {ds:x} ES {es:x} FS {fs:x} GS {gs:x} EFLAGS {:x} TR {:x} LDTR {:x} CR0 {:x} CR2 {:x} CR3 \
             {:x} CR4 {:x} general {:x?}\n    stack{stack}\n    changed ({}) {:x?}",
            word(VECTOR),
            word(ESP),
            word(EFLAGS),
            word(TR),
            word(LDTR),
            word(CONTROL),
            word(CONTROL + 1),
            word(CONTROL + 2),
            word(CONTROL + 3),
            &self.0[GENERAL as usize..DUMP as usize],
            word(DUMP + DUMPED),
            self.changes(),
        )
    }
}

/// What a guest printed: how many cases it executed, the sum of all its records, and the records that it printed.
pub struct Printed {
    pub cases: u32,
    pub sum: u32,
    pub records: BTreeMap<u32, Outcome>,
}

impl Printed {
    /// Reads what the guest printed; none when it is damaged.
    pub fn read(bytes: &[u8]) -> Option<Self> {
        let words: Vec<u32> = bytes.as_chunks().0.iter().map(|word| u32::from_le_bytes(*word)).collect();
        let ([cases, sum, rest @ ..], []) = (&*words, bytes.as_chunks::<4>().1) else { return None };
        let (mut rest, mut records) = (rest, BTreeMap::new());
        while let [number, length, behind @ ..] = rest {
            let (record, behind) = behind.split_at_checked(*length as usize)?;
            let outcome = Outcome(record.to_vec());
            assert!(outcome.word(DUMP + DUMPED) <= KEPT, "case {number} changes more than is kept: {outcome}");
            records.insert(*number, outcome);
            rest = behind;
        }
        rest.is_empty().then_some(Self { cases: *cases, sum: *sum, records })
    }
}

/// The sum of records as the guest makes it, with the length before each.
pub fn sum<'a>(records: impl IntoIterator<Item = &'a Outcome>) -> u32 {
    let mut sum = 0_u32;
    for Outcome(words) in records {
        let length = u32::try_from(words.len()).unwrap();
        for word in [length].iter().chain(words) {
            sum = sum.rotate_left(1).wrapping_add(*word);
        }
    }
    sum
}
