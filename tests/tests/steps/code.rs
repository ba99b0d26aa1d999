//! What the guest executes. EDI is where it goes on after an exception.

use iced_x86::IcedError;
use iced_x86::code_asm::{
    AsmRegister32, CodeAssembler, CodeLabel, ah, al, ax, bl, bx, byte_ptr, cr0, cr3, dl, ds, dword_ptr, eax, ebp, ebx,
    ecx, edi, edx, es, esi, esp, fs, ptr, ss, word_ptr,
};

use crate::tables::{
    CALL_GATE, CODE, CODE_0, CODE_3, DATA, DATA_3, DIRECTORY, GATE, GDT, IDT, MISSING, NOT_PRESENT, READ_ONLY,
    RETURNING, STACK, SUPERVISOR, TASK, TASK_A, TASK_B, TASK_GATE, TO_KERNEL, USER_STACK, V86,
};

/// It has more steps than that.
pub const LEAST_STEPS: usize = 10_000;
/// How often it computes.
const ROUNDS: u32 = 200;

type Emitted = Result<(), IcedError>;

/// The code, in pieces with their addresses.
///
/// # Errors
/// When an instruction does not exist.
pub fn system() -> Result<Vec<(u32, Vec<u8>)>, IcedError> {
    let mut asm = CodeAssembler::new(32)?;
    asm.mov(esp, STACK)?;
    // What LGDT and LIDT read.
    for (at, base, limit) in [(DATA, GDT, 0x4f), (DATA + 8, IDT, 0x1ff)] {
        asm.mov(word_ptr(at), limit)?;
        asm.mov(dword_ptr(at + 2), base.cast_signed())?;
    }
    asm.lgdt(ptr(DATA))?;
    asm.lidt(ptr(DATA + 8))?;
    compute(&mut asm)?;
    exceptions(&mut asm)?;
    paging(&mut asm)?;
    asm.mov(eax, TASK_A)?;
    asm.ltr(ax)?;
    tasks(&mut asm)?;
    user(&mut asm)?;
    virtual_8086(&mut asm)?;
    compute(&mut asm)?;
    asm.out(0xf4, al)?;
    let code = asm.assemble(CODE.into())?;

    // Each time it is called it goes on behind its IRET.
    let mut task = CodeAssembler::new(32)?;
    let mut again = task.create_label();
    task.set_label(&mut again)?;
    task.inc(eax)?;
    task.pushfd()?;
    task.pop(ecx)?;
    task.iretd()?;
    task.jmp(again)?;

    // MOV AX, 0x1234; PUSH AX; POP BX; MOV DS, AX; LEA SI, [BX + 3]; PUSHF; POP DX; MOV DI, 0x10; HLT, which is refused; NOP; CLI;
    // MOV EDI, EBP; INT.
    let mut real = b"\xb8\x34\x12\x50\x5b\x8e\xd8\x8d\x77\x03\x9c\x5a\xbf\x10\0\xf4\x90\xfa\x66\x89\xef\xcd".to_vec();
    real.push(TO_KERNEL);
    // INC EAX; RETF.
    Ok(vec![(CODE, code), (TASK, task.assemble(TASK.into())?), (GATE, b"\x40\xcb".to_vec()), (V86, real)])
}

/// Arithmetic, bits and strings, some rounds of it.
fn compute(asm: &mut CodeAssembler) -> Emitted {
    let mut round = asm.create_label();
    asm.mov(ecx, ROUNDS)?;
    asm.mov(eax, 0x1234_5678)?;
    asm.mov(ebx, 0x9abc_def1_u32)?;
    asm.cld()?;
    asm.set_label(&mut round)?;
    asm.imul_3(eax, eax, 0x41c6_4e6d)?;
    asm.add(eax, 12345)?;
    asm.adc(ebx, eax)?;
    asm.rol(ebx, 1)?;
    asm.sbb(bl, ah)?;
    asm.xor(edx, edx)?;
    asm.mov(esi, 77)?;
    asm.push(eax)?;
    asm.div(esi)?;
    asm.cmp(eax, ebx)?;
    asm.setl(al)?;
    asm.cmovb(edx, ebx)?;
    asm.pop(eax)?;
    asm.test(eax, eax)?;
    asm.bt(ebx, eax)?;
    asm.bswap(edx)?;
    asm.movsx(esi, dl)?;
    asm.movzx(ebp, bx)?;
    asm.lea(ebp, ptr(ebp + esi * 4 + 9))?;
    asm.neg(ebp)?;
    asm.xadd(ebp, edx)?;
    asm.cmpxchg(ebp, ebx)?;
    asm.sar(edx, 1)?;
    asm.rcl(edx, 1)?;
    asm.not(edx)?;
    asm.add(al, 0x37)?;
    asm.daa()?;
    asm.add(bl, dl)?;
    asm.mov(dword_ptr(DATA + 0x40), edx)?;
    asm.sub(word_ptr(DATA + 0x42), 0x77)?;
    // Strings.
    asm.push(ecx)?;
    asm.mov(ecx, 5)?;
    asm.mov(edi, DATA + 0x80)?;
    asm.rep().stosd()?;
    asm.mov(ecx, 7)?;
    asm.mov(esi, DATA + 0x82)?;
    asm.mov(edi, DATA + 0xa0)?;
    asm.rep().movsw()?;
    asm.mov(ecx, 9)?;
    asm.mov(edi, DATA + 0xa0)?;
    asm.repne().scasb()?;
    asm.pop(ecx)?;
    asm.dec(ecx)?;
    asm.jne(round)
}

/// Gives a register the address of a jump to a label.
fn address(asm: &mut CodeAssembler, register: AsmRegister32, label: CodeLabel) -> Emitted {
    let mut behind = asm.create_label();
    asm.call(behind)?;
    asm.jmp(label)?;
    asm.set_label(&mut behind)?;
    asm.pop(register)
}

/// An instruction that raises an exception, after which it goes on behind it.
fn raised(asm: &mut CodeAssembler, emit: impl FnOnce(&mut CodeAssembler) -> Emitted) -> Emitted {
    let mut after = asm.create_label();
    address(asm, edi, after)?;
    emit(asm)?;
    asm.set_label(&mut after)?;
    asm.nop()
}

fn exceptions(asm: &mut CodeAssembler) -> Emitted {
    asm.xor(ecx, ecx)?;
    raised(asm, |asm| asm.div(ecx))?;
    raised(asm, CodeAssembler::ud2)?;
    raised(asm, CodeAssembler::int3)?;
    asm.mov(al, 0x7f)?;
    asm.inc(al)?;
    raised(asm, CodeAssembler::into)?;
    asm.mov(eax, 5)?;
    raised(asm, |asm| asm.bound(eax, ptr(DATA + 0x200)))?;
    // Vectors whose gates are empty or beyond the limit.
    raised(asm, |asm| asm.int(0x34))?;
    raised(asm, |asm| asm.int(0x80))?;
    for selector in [0x1238_u32, NOT_PRESENT, CODE_0, 3] {
        asm.mov(eax, selector)?;
        raised(asm, |asm| asm.mov(fs, eax))?;
        asm.mov(eax, selector)?;
        raised(asm, |asm| asm.mov(ss, eax))?;
        // QEMU loads a null selector into TR, where the manual has #GP (Intel SDM volume 2A, "LTR").
        if selector > 3 {
            asm.mov(eax, selector)?;
            raised(asm, |asm| asm.ltr(ax))?;
        }
        asm.mov(eax, selector)?;
        raised(asm, |asm| asm.lldt(ax))?;
    }
    Ok(())
}

fn paging(asm: &mut CodeAssembler) -> Emitted {
    asm.mov(eax, DIRECTORY)?;
    asm.mov(cr3, eax)?;
    asm.mov(eax, cr0)?;
    asm.or(eax, 0x8001_0000_u32.cast_signed())?;
    asm.mov(cr0, eax)?;
    touch(asm)?;
    asm.mov(dword_ptr(DIRECTORY + 0x1000 + (MISSING >> 10)), (MISSING | 7).cast_signed())?;
    asm.invlpg(ptr(MISSING))?;
    touch(asm)?;
    asm.mov(dword_ptr(DIRECTORY + 0x1000 + (MISSING >> 10)), 0)?;
    asm.invlpg(ptr(MISSING))
}

/// Reads and writes to pages of every kind.
fn touch(asm: &mut CodeAssembler) -> Emitted {
    for page in [MISSING, READ_ONLY, SUPERVISOR, 0x40_0000, u32::MAX - 3] {
        raised(asm, |asm| asm.mov(edx, dword_ptr(page)))?;
        raised(asm, |asm| asm.mov(dword_ptr(page), edx))?;
    }
    // Of a page that may not be read either, QEMU says that it was read; a processor, that it was to be written.
    raised(asm, |asm| asm.inc(byte_ptr(READ_ONLY)))?;
    // Two pages, the second of which is missing.
    raised(asm, |asm| asm.mov(edx, dword_ptr(MISSING - 2)))?;
    raised(asm, |asm| asm.push(dword_ptr(MISSING + 4)))?;
    raised(asm, |asm| asm.jmp(dword_ptr(MISSING + 8)))
}

/// To another task and back: by its TSS, by a task gate, and by one that is busy.
fn tasks(asm: &mut CodeAssembler) -> Emitted {
    for selector in [TASK_B, TASK_GATE, TASK_B] {
        far(asm, 0x9a, selector)?;
    }
    raised(asm, |asm| far(asm, 0x9a, TASK_A))?;
    asm.clts()
}

/// CALL or JMP to a selector.
fn far(asm: &mut CodeAssembler, opcode: u8, selector: u32) -> Emitted {
    let [low, high, ..] = selector.to_le_bytes();
    asm.db(&[opcode, 0, 0, 0, 0, low, high])
}

fn user(asm: &mut CodeAssembler) -> Emitted {
    let (mut inside, mut after) = (asm.create_label(), asm.create_label());
    asm.push(DATA_3)?;
    asm.push(USER_STACK)?;
    asm.pushfd()?;
    asm.push(CODE_3)?;
    address(asm, eax, inside)?;
    asm.push(eax)?;
    asm.iretd()?;
    asm.set_label(&mut inside)?;
    asm.mov(eax, DATA_3)?;
    asm.mov(ds, eax)?;
    asm.mov(es, eax)?;
    touch(asm)?;
    raised(asm, CodeAssembler::cli)?;
    raised(asm, CodeAssembler::hlt)?;
    raised(asm, CodeAssembler::clts)?;
    raised(asm, |asm| asm.mov(eax, cr0))?;
    raised(asm, |asm| asm.in_(al, 0x60))?;
    raised(asm, |asm| asm.mov(ax, 0x10).and_then(|()| asm.mov(ds, eax)))?;
    raised(asm, |asm| asm.int(8))?;
    raised(asm, CodeAssembler::int3)?;
    asm.int(u32::from(RETURNING))?;
    far(asm, 0x9a, CALL_GATE)?;
    raised(asm, |asm| far(asm, 0x9a, TASK_A))?;
    // What POPF may not change here.
    asm.push(0x3202)?;
    asm.popfd()?;
    asm.pushfd()?;
    asm.pop(edx)?;
    address(asm, edi, after)?;
    asm.int(u32::from(TO_KERNEL))?;
    asm.set_label(&mut after)?;
    asm.nop()
}

fn virtual_8086(asm: &mut CodeAssembler) -> Emitted {
    let mut after = asm.create_label();
    address(asm, ebp, after)?;
    // GS, FS, DS, ES, SS, ESP, EFLAGS with VM and IOPL 3, CS, EIP.
    for word in [4, 3, 2, 1, 0, USER_STACK, 0x2_3002, V86 >> 4, 0] {
        asm.push(word)?;
    }
    asm.iretd()?;
    asm.set_label(&mut after)?;
    asm.nop()
}
