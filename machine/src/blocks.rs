//! Instructions that were decoded, in the order in which they follow each other, kept by the page of memory that they lie in.

use crate::cpu::operands::Op;
use crate::dead_flags::leave_alone;
use crate::decode::{Then, decode};
use crate::state::core::Parts;

/// The most instructions of a block.
const LONGEST_BLOCK: usize = 64;
/// How many branches a block goes on behind: what comes behind the first of them is executed less often than what comes before.
const MOST_BRANCHES: usize = 3;
/// When there are so many decoded instructions, all of them are dropped.
const MOST: usize = 1 << 20;

/// A run of instructions that are executed one after the other, up to a branch that is taken.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Block {
    start: u32,
    /// How many bytes they take.
    pub bytes: u16,
    /// How many there are; none where nothing was decoded yet.
    count: u8,
    /// What comes after them is executed in the same way.
    pub goes_on: bool,
}

/// Pages of memory that are looked up together: little is spent on memory without instructions.
const GROUP: usize = 1024;

/// The block that begins at each byte of a page.
pub(crate) type Starts = [Block; 0x1000];

/// Those of a page, for code of 16 and of 32 bits.
type Page = [Option<Box<Starts>>; 2];

/// Pages side by side.
type Group = Option<Box<[Page]>>;

/// All that was decoded.
pub(crate) struct Blocks<P: Parts> {
    ops: Vec<Op<P>>,
    groups: Vec<Group>,
}

impl Block {
    /// False where nothing was decoded yet.
    pub const fn is_there(self) -> bool {
        self.count != 0
    }
}

impl<P: Parts> Blocks<P> {
    /// None, of a memory of so many bytes.
    pub fn new(size: u64) -> Self {
        let count = usize::try_from(size.div_ceil(GROUP as u64 * 0x1000)).unwrap_or(0);
        Self { ops: Vec::new(), groups: (0..count).map(|_| None).collect() }
    }

    /// The instructions of a block.
    pub fn ops(&self, block: Block) -> &[Op<P>] {
        let start = block.start as usize;
        self.ops.get(start..start + usize::from(block.count)).unwrap_or_default()
    }

    /// The blocks of the page at a guest-physical address, by where they begin.
    #[inline]
    pub fn page(&self, address: usize, is_32: bool) -> Option<&Starts> {
        let group = self.groups.get((address >> 12) / GROUP)?.as_ref()?;
        group[(address >> 12) % GROUP][usize::from(is_32)].as_deref()
    }

    /// Decodes the block at an address of which `bytes` are what is left of the page; `None` when the first instruction is not whole.
    pub fn decode(&mut self, address: usize, bytes: &[u8], is_32: bool) -> Option<Block> {
        if self.ops.len() + LONGEST_BLOCK > MOST {
            self.ops.clear();
            self.groups.iter_mut().for_each(|group| *group = None);
        }
        let (start, mut at, mut goes_on, mut branches) = (self.ops.len(), 0, true, 0);
        let mut flags = Vec::with_capacity(LONGEST_BLOCK);
        while self.ops.len() < start + LONGEST_BLOCK {
            let Some(mut decoded) = bytes.get(at..).and_then(|bytes| decode(bytes, is_32)) else { break };
            // A block whose branch is taken goes on.
            if branches > 0 && decoded.then == Then::Anything {
                break;
            }
            decoded.op.place = u16::try_from(address % 0x1000 + at).ok()?;
            decoded.op.number = u8::try_from(self.ops.len() - start).ok()?;
            at += usize::from(decoded.op.length);
            if decoded.then == Then::Either {
                let end = u32::from(decoded.op.place) + u32::from(decoded.op.length);
                decoded.op.displacement = end.wrapping_add(decoded.op.immediate);
                branches += 1;
            }
            self.ops.push(decoded.op);
            flags.push(decoded.flags);
            goes_on = decoded.then != Then::Anything;
            if !(decoded.then == Then::Next || decoded.then == Then::Either && branches <= MOST_BRANCHES) {
                break;
            }
        }
        let ops = self.ops.get_mut(start..)?;
        leave_alone(ops, &flags);
        for at in 1..ops.len() {
            ops[at - 1].behind = ops[at].chained;
        }
        let count = u8::try_from(ops.len()).ok().filter(|count| *count != 0)?;
        let block = Block { start: u32::try_from(start).ok()?, count, bytes: u16::try_from(at).ok()?.max(1), goes_on };
        let group = self.groups.get_mut((address >> 12) / GROUP)?;
        let group = group.get_or_insert_with(|| (0..GROUP).map(|_| [None, None]).collect());
        let page = &mut group[(address >> 12) % GROUP][usize::from(is_32)];
        if page.is_none() {
            *page = Box::try_from(vec![Block::default(); 0x1000]).ok();
        }
        page.as_mut()?[address & 0xfff] = block;
        Some(block)
    }

    /// Drops what was decoded from a page.
    pub fn forget(&mut self, frame: u32) {
        let page = frame as usize >> 12;
        if let Some(Some(group)) = self.groups.get_mut(page / GROUP) {
            group[page % GROUP] = [None, None];
        }
    }
}
