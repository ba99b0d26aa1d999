//! Filters of system calls: a thread's list as a program for the kernel (seccomp(2), and networking/filter.rst of its documentation).
//!
//! The kernel goes through a new filter once for each number of a system call, to know which it need not ask about later, as far as it
//! meets only comparisons. That is most of what a filter costs in the beginning, and next to nothing is gained by it here: a CPU's
//! thread makes one call again and again, which has arguments to be looked at. So the calls that may be made whatever their arguments are
//! bits of a set: the kernel does not go on where one is looked for, and it has a third of the instructions to translate.

use std::collections::BTreeMap;

use seccompiler::{BpfProgram, apply_filter, sock_filter};

use super::calls::{Check, Rule, rules};
use super::role::Role;

// linux/bpf_common.h
const LOAD: u16 = 0x20;
const LOAD_VALUE: u16 = 0x00;
const JUMP: u16 = 0x05;
const JUMP_IF_EQUAL: u16 = 0x15;
const JUMP_IF_ANY_BIT: u16 = 0x45;
const AND: u16 = 0x54;
const SHIFT_RIGHT: u16 = 0x74;
const SHIFT_RIGHT_BY_X: u16 = 0x7c;
const COPY_TO_X: u16 = 0x07;
const RETURN: u16 = 0x06;

// Where `struct seccomp_data` has the number of the call, the architecture, and the low half of its first argument.
const NUMBER: u32 = 0;
const ARCHITECTURE: u32 = 4;
const ARGUMENTS: u32 = 16;

/// `AUDIT_ARCH_X86_64` and `AUDIT_ARCH_AARCH64` (linux/audit.h).
const OWN_ARCHITECTURE: u32 = if cfg!(target_arch = "x86_64") { 0xc000_003e } else { 0xc000_00b7 };

const ALLOW: u32 = libc::SECCOMP_RET_ALLOW;
/// The call is not made, and the thread gets SIGSYS.
const REFUSE: u32 = libc::SECCOMP_RET_TRAP;
/// The call is not made, and says that this kernel has none of that number.
const UNKNOWN: u32 = libc::SECCOMP_RET_ERRNO | libc::ENOSYS.unsigned_abs();

/// Restricts this thread to the system calls of `role`. False where that can't be done.
pub fn install(role: Role) -> bool {
    apply_filter(&program(&rules(role))).is_ok()
}

fn program(rules: &[Rule]) -> BpfProgram {
    let mut program = vec![
        statement(LOAD, ARCHITECTURE),
        jump(JUMP_IF_EQUAL, OWN_ARCHITECTURE, 1, 0),
        statement(RETURN, libc::SECCOMP_RET_KILL_PROCESS),
        statement(LOAD, NUMBER),
    ];
    let mut sets: BTreeMap<u32, u32> = BTreeMap::new();
    for Rule { number, check } in rules {
        let decision = match check {
            Check::Any => {
                *sets.entry(number / u32::BITS).or_default() |= 1 << (number % u32::BITS);
                continue;
            }
            Check::Unknown => vec![statement(RETURN, UNKNOWN)],
            Check::OneOf(argument, values) => decide(*argument, JUMP_IF_EQUAL, values, [REFUSE, ALLOW]),
            Check::Not(argument, value) => decide(*argument, JUMP_IF_EQUAL, &[*value], [ALLOW, REFUSE]),
            Check::Without(argument, bits) => decide(*argument, JUMP_IF_ANY_BIT, &[*bits], [ALLOW, REFUSE]),
        };
        program.push(jump(JUMP_IF_EQUAL, *number, 0, distance(decision.len())));
        program.extend(decision);
    }

    program.extend([
        statement(AND, u32::BITS - 1),
        statement(COPY_TO_X, 0),
        statement(LOAD, NUMBER),
        statement(SHIFT_RIGHT, u32::BITS.trailing_zeros()),
    ]);
    for (place, (word, set)) in sets.iter().enumerate() {
        // What is behind: those of the sets that follow, and the refusal of a number that is in none.
        let behind = 3 * (sets.len() - place - 1) + 1;
        program.extend([
            jump(JUMP_IF_EQUAL, *word, 0, 2),
            statement(LOAD_VALUE, *set),
            statement(JUMP, u32::try_from(behind).unwrap_or(u32::MAX)),
        ]);
    }
    program.extend([
        statement(RETURN, REFUSE),
        statement(SHIFT_RIGHT_BY_X, 0),
        jump(JUMP_IF_ANY_BIT, 1, 0, 1),
        statement(RETURN, ALLOW),
        statement(RETURN, REFUSE),
    ]);
    program
}

/// What looks at an argument: the first fate where no comparison holds, else the second.
fn decide(argument: u8, comparison: u16, values: &[u32], [none, any]: [u32; 2]) -> BpfProgram {
    let mut program = vec![statement(LOAD, ARGUMENTS + 8 * u32::from(argument))];
    let jumps = values.iter().enumerate();
    program.extend(jumps.map(|(place, value)| jump(comparison, *value, distance(values.len() - place), 0)));
    program.extend([statement(RETURN, none), statement(RETURN, any)]);
    program
}

/// How far a conditional jump goes: no decision is near the 255 instructions that it reaches.
fn distance(instructions: usize) -> u8 {
    u8::try_from(instructions).unwrap_or(u8::MAX)
}

fn statement(code: u16, k: u32) -> sock_filter {
    sock_filter { code, jt: 0, jf: 0, k }
}

fn jump(code: u16, k: u32, jt: u8, jf: u8) -> sock_filter {
    sock_filter { code, jt, jf, k }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the kernel would do about a call.
    fn run(program: &[sock_filter], number: u32, arguments: [u32; 6]) -> u32 {
        let (mut place, mut value, mut x) = (0, 0, 0);
        loop {
            let sock_filter { code, jt, jf, k } = program[place];
            let next = |taken: bool| 1 + usize::from(if taken { jt } else { jf });
            place += match code {
                LOAD => {
                    value = match k {
                        NUMBER => number,
                        ARCHITECTURE => OWN_ARCHITECTURE,
                        k => arguments[(k - ARGUMENTS) as usize / 8],
                    };
                    1
                }
                JUMP => 1 + k as usize,
                JUMP_IF_EQUAL => next(value == k),
                JUMP_IF_ANY_BIT => next(value & k != 0),
                RETURN => return k,
                LOAD_VALUE | AND | SHIFT_RIGHT | SHIFT_RIGHT_BY_X | COPY_TO_X => {
                    match code {
                        LOAD_VALUE => value = k,
                        AND => value &= k,
                        SHIFT_RIGHT => value >>= k,
                        SHIFT_RIGHT_BY_X => value >>= x,
                        _ => x = value,
                    }
                    1
                }
                other => panic!("{other:#x}"),
            };
        }
    }

    #[test]
    fn each_role_may_make_the_calls_of_its_list_and_no_other() {
        for role in Role::ALL {
            let program = program(&rules(role));
            for number in (0..700).chain([0x4000_0000, 0x4000_003b, u32::MAX]) {
                let expected = match rules(role).into_iter().find(|rule| rule.number == number).map(|rule| rule.check) {
                    None => REFUSE,
                    Some(Check::Unknown) => UNKNOWN,
                    Some(Check::Any) => ALLOW,
                    Some(Check::OneOf(argument, values)) => {
                        for value in &values {
                            let mut arguments = [u32::MAX; 6];
                            arguments[usize::from(argument)] = *value;
                            assert_eq!(run(&program, number, arguments), ALLOW, "{role:?} {number} {value:#x}");
                        }
                        REFUSE
                    }
                    Some(Check::Not(argument, value)) => {
                        let mut arguments = [0; 6];
                        arguments[usize::from(argument)] = value;
                        assert_eq!(run(&program, number, arguments), REFUSE, "{role:?} {number}");
                        ALLOW
                    }
                    Some(Check::Without(..)) => {
                        assert_eq!(run(&program, number, [0; 6]), ALLOW, "{role:?} {number}");
                        REFUSE
                    }
                };
                assert_eq!(run(&program, number, [u32::MAX; 6]), expected, "{role:?} {number}");
            }
        }
    }
}
