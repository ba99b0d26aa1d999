//! Filters of system calls: a thread's list as a program for the kernel (seccomp(2), and networking/filter.rst of its documentation).
//!
//! The kernel tries a new filter with each number of a system call, to know which it need not ask about later. A search by halves takes
//! half the time of a list of comparisons for that, which is most of the cost.

use seccompiler::{BpfProgram, apply_filter, sock_filter};

use super::calls::{Check, Rule, rules};
use super::role::Role;

// linux/bpf_common.h
const LOAD: u16 = 0x20;
const JUMP: u16 = 0x05;
const JUMP_IF_EQUAL: u16 = 0x15;
const JUMP_IF_AT_LEAST: u16 = 0x35;
const JUMP_IF_ANY_BIT: u16 = 0x45;
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
    apply_filter(&program(rules(role))).is_ok()
}

/// From one number of a system call to the next: what becomes of these.
struct Segment {
    first: u32,
    fate: Option<Check>,
}

fn program(mut rules: Vec<Rule>) -> BpfProgram {
    rules.sort_by_key(|rule| rule.number);
    let mut segments: Vec<Segment> = vec![Segment { first: 0, fate: None }];
    let mut next = 0;
    for Rule { number, check } in rules {
        if number > next {
            segments.push(Segment { first: next, fate: None });
        }
        segments.push(Segment { first: number, fate: Some(check) });
        next = number + 1;
    }
    segments.push(Segment { first: next, fate: None });
    // The first was for a list that has no rule for 0.
    segments.dedup_by(|later, earlier| {
        earlier.first == later.first && {
            earlier.fate = later.fate.take();
            true
        }
    });
    segments.dedup_by(|later, earlier| {
        matches!((&earlier.fate, &later.fate), (None, None) | (Some(Check::Any), Some(Check::Any)))
    });

    let mut program = vec![
        statement(LOAD, ARCHITECTURE),
        jump(JUMP_IF_EQUAL, OWN_ARCHITECTURE, 1, 0),
        statement(RETURN, libc::SECCOMP_RET_KILL_PROCESS),
        statement(LOAD, NUMBER),
    ];
    search(&mut program, &segments);
    program
}

/// Appends what finds the segment of a number and does what it says.
fn search(program: &mut BpfProgram, segments: &[Segment]) {
    let (lower, upper) = segments.split_at(segments.len() / 2);
    let (Some(first), false) = (upper.first(), lower.is_empty()) else {
        return segments.iter().for_each(|segment| decide(program, segment.fate.as_ref()));
    };
    program.push(jump(JUMP_IF_AT_LEAST, first.first, 0, 1));
    let far = program.len();
    program.push(statement(JUMP, 0));
    search(program, lower);
    // Conditional jumps reach 255 instructions, this one all.
    program[far].k = u32::try_from(program.len() - far - 1).unwrap_or(u32::MAX);
    search(program, upper);
}

fn decide(program: &mut BpfProgram, fate: Option<&Check>) {
    let load = |argument: u8| statement(LOAD, ARGUMENTS + 8 * u32::from(argument));
    match fate {
        None => program.push(statement(RETURN, REFUSE)),
        Some(Check::Any) => program.push(statement(RETURN, ALLOW)),
        Some(Check::Unknown) => program.push(statement(RETURN, UNKNOWN)),
        Some(Check::OneOf(argument, values)) => {
            program.push(load(*argument));
            for value in values {
                program.extend([jump(JUMP_IF_EQUAL, *value, 0, 1), statement(RETURN, ALLOW)]);
            }
            program.push(statement(RETURN, REFUSE));
        }
        Some(Check::Not(argument, value)) => {
            let end = [jump(JUMP_IF_EQUAL, *value, 0, 1), statement(RETURN, REFUSE), statement(RETURN, ALLOW)];
            program.push(load(*argument));
            program.extend(end);
        }
        Some(Check::Without(argument, bits)) => {
            let end = [jump(JUMP_IF_ANY_BIT, *bits, 0, 1), statement(RETURN, REFUSE), statement(RETURN, ALLOW)];
            program.push(load(*argument));
            program.extend(end);
        }
    }
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
        let (mut place, mut value) = (0, 0);
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
                JUMP_IF_AT_LEAST => next(value >= k),
                JUMP_IF_ANY_BIT => next(value & k != 0),
                RETURN => return k,
                other => panic!("{other:#x}"),
            };
        }
    }

    #[test]
    fn each_role_may_make_the_calls_of_its_list_and_no_other() {
        for role in Role::ALL {
            let program = program(rules(role));
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
