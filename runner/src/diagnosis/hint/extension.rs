//! Instructions that the CPU has, and that control bits switch off: those of the FPU, MMX, SSE and AVX.

use iced_x86::{CpuidFeature, Instruction, InstructionInfoFactory, Mnemonic, Register};
use stos_x86::interrupts::{ControlBit, Extension};

use super::super::instruction::{at_eip, mnemonic, vector_at_eip};
use super::super::scene::Scene;

/// Options of gcc and clang that keep compilers from using any of them.
const WITHOUT: &str = "compile the kernel with `-mgeneral-regs-only` (or `-mno-sse -mno-mmx -mno-80387`)";

/// An instruction that control bits refuse.
struct Refused {
    name: String,
    extension: Extension,
    /// What the extension is called: for SSE, the version that the instruction came with.
    family: String,
    bits: Vec<ControlBit>,
}

/// The family that an instruction belongs to, by the registers that it uses.
pub fn extension_of(instruction: &Instruction) -> Option<Extension> {
    match instruction.mnemonic() {
        Mnemonic::Wait => return Some(Extension::Wait),
        Mnemonic::Fxsave | Mnemonic::Fxrstor => return Some(Extension::X87),
        Mnemonic::Ldmxcsr | Mnemonic::Stmxcsr => return Some(Extension::Sse),
        Mnemonic::Emms => return Some(Extension::Mmx),
        Mnemonic::Xgetbv | Mnemonic::Xsetbv | Mnemonic::Xsave | Mnemonic::Xrstor | Mnemonic::Xsaveopt => {
            return Some(Extension::Xsave);
        }
        _ => {}
    }
    let features = instruction.cpuid_features();
    if features.iter().any(|feature| matches!(feature, CpuidFeature::FPU | CpuidFeature::FPU287 | CpuidFeature::FPU387))
    {
        return Some(Extension::X87);
    }
    let mut factory = InstructionInfoFactory::new();
    let used = factory.info(instruction).used_registers();
    let uses = |is: fn(Register) -> bool| used.iter().any(|register| is(register.register()));
    if uses(Register::is_st) {
        Some(Extension::X87)
    } else if uses(Register::is_vector_register) {
        Some(Extension::Sse)
    } else if uses(Register::is_mm) {
        Some(Extension::Mmx)
    } else {
        None
    }
}

/// The instruction at EIP, when the control registers alone make it raise the exception that came.
fn refused(scene: &Scene<'_>) -> Option<Refused> {
    let vectors = vector_at_eip(scene).filter(|vector| vector.has_vectors);
    let (name, extension, family) = if let Some(vector) = vectors {
        (vector.text(), Extension::Avx, vector.family.to_owned())
    } else {
        let instruction = at_eip(scene)?;
        let extension = extension_of(&instruction)?;
        (mnemonic(&instruction), extension, family(&instruction, extension))
    };
    let (vector, bits) = extension.refusal(scene.cpu.cr0, scene.cpu.cr4)?;
    (u32::from(vector) == scene.vector).then_some(Refused { name, extension, family, bits })
}

fn family(instruction: &Instruction, extension: Extension) -> String {
    match extension {
        Extension::X87 | Extension::Wait => "the x87 FPU".to_owned(),
        Extension::Mmx => "MMX".to_owned(),
        Extension::Xsave => "XSAVE".to_owned(),
        Extension::Sse | Extension::Avx => {
            let feature = instruction.cpuid_features().first();
            feature.map_or_else(|| "SIMD".to_owned(), |feature| format!("{feature:?}").replace('_', "."))
        }
    }
}

fn join(bits: &[ControlBit], word: &str, text: impl Fn(&ControlBit) -> String) -> String {
    bits.iter().map(text).collect::<Vec<_>>().join(word)
}

/// Why it was refused, as the end of the sentence.
pub fn cause(scene: &Scene<'_>) -> Option<String> {
    let refused = refused(scene)?;
    let state = join(&refused.bits, " and ", |bit| {
        let (register, name, _) = bit.name();
        format!("{register}.{name} is {}", 1 - bit.needed())
    });
    Some(format!("`{}` is an instruction of {}, and {state}", refused.name, refused.family))
}

/// What the exception means here.
pub fn meaning(scene: &Scene<'_>) -> Option<String> {
    let refused = refused(scene)?;
    let bits = join(&refused.bits, " and ", |bit| {
        let (register, name, number) = bit.name();
        format!("bit {number} of {register} ({name}) is {}", bit.needed())
    });
    Some(format!("the CPU has this instruction, but executes it only when {bits}"))
}

/// What to do about it.
pub fn hint(scene: &Scene<'_>) -> Option<String> {
    let Refused { extension, bits, .. } = refused(scene)?;
    let is_switched = bits == [ControlBit::Ts];
    Some(match extension {
        _ if is_switched => format!(
            "CR0.TS is set by a task switch of the CPU, or by a kernel that loads the FPU's registers only when they are \
             used: the handler of #NM executes `clts` and loads them. A kernel that does neither: {WITHOUT}"
        ),
        Extension::Sse | Extension::Mmx => format!(
            "compilers use these registers by themselves, to copy and to clear structures: {WITHOUT}. A kernel that is to use \
             them clears CR0.EM (bit 2), sets CR0.MP (bit 1), and for SSE sets CR4.OSFXSR (bit 9) and CR4.OSXMMEXCPT (bit 10) first"
        ),
        Extension::Avx => {
            format!("compile the kernel for a CPU without AVX (no `-mavx`, no `-march=native`), or rather {WITHOUT}")
        }
        Extension::Xsave => "CPUID tells whether there is XSAVE; CR4.OSXSAVE (bit 18) turns it on".to_owned(),
        Extension::X87 | Extension::Wait => format!(
            "{WITHOUT}, which refuses `float` and `double`. A kernel that is to use the FPU clears CR0.EM (bit 2) and executes \
             `fninit` first"
        ),
    })
}
