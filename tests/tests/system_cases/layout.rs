//! Where everything lies in the guest's memory. Up to 4 MiB each page is where its address says.

/// Descriptor tables, and the task states.
pub const GDT: u32 = 0x1000;
pub const FIFTH_TSS: u32 = 0x1300;
pub const SIXTH_TSS: u32 = 0x1380;
pub const LDT: u32 = 0x1400;
pub const FOURTH_TSS: u32 = 0x1480;
pub const TSS: u32 = 0x1500;
pub const OTHER_TSS: u32 = 0x1600;
pub const SMALL_TSS: u32 = 0x1680;
pub const FAULT_TSS: u32 = 0x1700;
pub const THIRD_TSS: u32 = 0x1780;
pub const IDT: u32 = 0x1800;
/// The page directory, the table of the first 4 MiB, and one for cases, for what begins at [`PAGES`].
pub const DIRECTORY: u32 = 0x2000;
pub const TABLE: u32 = 0x3000;
pub const TEST_TABLE: u32 = 0x4000;
/// What a case executes.
pub const CODE: u32 = 0x5000;
/// What gates, calls and tasks lead to: [`COMPLETED`] is raised there.
pub const TARGET: u32 = 0x6000;
/// Where the stack of privilege level 3 ends.
pub const USER_STACK: u32 = 0x7f00;
/// Two pages of data.
pub const DATA: u32 = 0x8000;
/// Where the stacks end that the task state has for privilege levels 0 to 2, and that of double faults.
pub const INNER_STACKS: [u32; 3] = [0xa400, 0xa800, 0xac00];
pub const FAULT_STACK: u32 = 0xaf00;
/// Where the stack ends that cases of privilege level 0 begin with.
pub const STACK: u32 = 0xbf00;
/// The supervisor's variables, and where its stack ends.
pub const VARIABLES: u32 = 0xc000;
pub const SUPERVISOR_STACK: u32 = 0xd000;
/// The supervisor, and a stub for each vector.
pub const SUPERVISOR: u32 = 0x10_0000;
pub const STUBS: u32 = 0x10_8000;
pub const STUB_SIZE: u32 = 10;
/// How far behind a table its template lies.
pub const TEMPLATE: u32 = 0x20_0000;
/// The cases, one after the other.
pub const CASES: u32 = 0x40_0000;
/// Where memory ends, and where pages of cases begin: 4 MiB through [`TEST_TABLE`], then as a case has it.
pub const MEMORY: u32 = 0x800_0000;
pub const PAGES: u32 = MEMORY;

/// What is restored before each case and looked through after it: where it begins, and how many words it has.
pub const RANGES: [(u32, u32); 7] = [
    (GDT, 0x400),
    (DIRECTORY, 0x28),
    (TEST_TABLE, 0x20),
    (CODE, 0x20),
    (USER_STACK - 0x40, 0x20),
    (DATA, 0x10),
    (DATA + 0x1fc0, 0x10),
];

/// The vector by which a case says that it has come to its end.
pub const COMPLETED: u8 = 0xe0;

/// Selectors of flat segments of code and data by privilege level.
pub const CODES: [u16; 4] = [0x08, 0x19, 0x2a, 0x3b];
pub const DATAS: [u16; 4] = [0x10, 0x21, 0x32, 0x43];
/// Selectors of tasks, of the LDT, of a task gate.
pub const TASK: u16 = 0x48;
pub const OTHER_TASK: u16 = 0x50;
pub const SMALL_TASK: u16 = 0x58;
pub const FAULT_TASK: u16 = 0x60;
pub const THIRD_TASK: u16 = 0x68;
pub const FOURTH_TASK: u16 = 0x70;
pub const FIFTH_TASK: u16 = 0x78;
pub const SIXTH_TASK: u16 = 0x80;
pub const TABLE_LDT: u16 = 0x88;
pub const TASK_GATE: u16 = 0x90;
/// Those that cases define.
pub const FREE: u16 = 0x98;
pub const FREE_TOO: u16 = 0xa0;

/// Limits of the tables, and of the task that a case begins in, which has a bitmap of ports up to 0x3ff.
pub const GDT_LIMIT: u32 = 0x2ff;
pub const LDT_LIMIT: u32 = 0x7f;
pub const IDT_LIMIT: u32 = 0x7ff;
pub const BITMAP: u32 = 0x68;
pub const TSS_LIMIT: u32 = BITMAP + 0x80;

/// CR0 of every case that says nothing else: PG, WP, NE, ET and PE. And CR4: PSE.
pub const CR0: u32 = 0x8001_0031;
pub const CR4: u32 = 0x10;
