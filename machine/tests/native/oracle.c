/*
 * Executes instructions on the processor itself: in a 32-bit code segment of this 64-bit process, at privilege level 3.
 *
 * The file that is named as argument has cases, and gets what has become of each, both as the structures below, in the host's byte order.
 * Standard input says how many cases there are, standard output repeats it when they are done.
 * The addresses are the ones that the other side uses, too: see case.rs.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/personality.h>
#include <ucontext.h>
#include <unistd.h>

enum {
    CODE = 0x10000000, /* the instructions, each in a slot of its own */
    SLOT = 32, /* the bytes of a slot */
    SLOTS = 1024,
    DATA = 0x10010000, /* a page of data, with nothing before and behind it */
    STATE = 0x10020000, /* the registers, and the code around the instruction */
    WINDOW = 0x600, /* the bytes of the data page that are told */
    WINDOW_SIZE = 512,
    MARGIN = 256, /* bytes before and behind them that a case may write to */
    RESULTS = 0x200000, /* where results begin in the file, which is twice as long */
    HAS_FLOATS = 0x100, /* in the length: a structure as FXSAVE writes it follows, of what is given and of what is found */
};

struct registers {
    uint32_t general[8]; /* EAX, ECX, EDX, EBX, ESP, EBP, ESI, EDI */
    uint32_t eflags;
};

struct given {
    struct registers registers;
    uint32_t length;
    uint8_t code[16];
    uint8_t data[WINDOW_SIZE];
};

struct found {
    struct registers registers;
    uint32_t eip; /* from the slot's start */
    int32_t trap; /* -1 without one */
    uint32_t error;
    uint32_t cr2;
    uint8_t data[WINDOW_SIZE];
};

/* What the 32-bit code reads and writes, at STATE. */
struct state {
    struct registers in, out;
    uint64_t rsp;
    uint32_t back[2]; /* far pointer to the 64-bit code */
    uint32_t slot; /* where the instruction is */
    uint32_t spare[15];
    uint8_t floats[512] __attribute__((aligned(16))); /* before, and then after the instruction */
    uint8_t enter_with_floats[16], leave_with_floats[16];
    uint8_t enter[128]; /* loads the registers and goes to the slot */
    uint8_t leave[128]; /* saves them and goes back */
};

static struct state *const state = (struct state *)(uintptr_t)STATE;
static volatile struct found found;
static int has_floats;
extern char back[]; /* in 64-bit code, below 4 GiB: this program is linked without -pie */

static uint8_t *put(uint8_t *at, const void *bytes, size_t count) {
    memcpy(at, bytes, count);
    return at + count;
}

static uint8_t *with_address(uint8_t *at, const char *opcode, size_t count, const volatile void *address) {
    uint32_t low = (uint32_t)(uintptr_t)address;
    return put(put(at, opcode, count), &low, 4);
}

static uint8_t *jump(uint8_t *at, uintptr_t target) {
    int32_t distance = (int32_t)(target - (uintptr_t)at - 5);
    return put(put(at, "\xe9", 1), &distance, 4);
}

static void make_code(void) {
    uint8_t *at = state->enter;
    at = with_address(at, "\xbc", 1, &state->in.eflags); /* mov $, %esp */
    at = put(at, "\x9d", 1); /* popf */
    for (int number = 7; number >= 0; number--) {
        char opcode[2] = {'\x8b', (char)(0x05 | number << 3)}; /* mov address, %register */
        at = with_address(at, opcode, 2, &state->in.general[number]);
    }
    with_address(at, "\xff\x25", 2, &state->slot); /* jmp *slot */
    at = state->leave;
    for (int number = 0; number < 8; number++) {
        char opcode[2] = {'\x89', (char)(0x05 | number << 3)}; /* mov %register, address */
        at = with_address(at, opcode, 2, &state->out.general[number]);
    }
    at = with_address(at, "\xbc", 1, &state->out.eflags + 1); /* mov $, %esp */
    at = put(at, "\x9c", 1); /* pushf */
    with_address(at, "\xff\x2d", 2, &state->back); /* ljmp *back */
    at = with_address(state->enter_with_floats, "\x0f\xae\x0d", 3, state->floats); /* fxrstor */
    jump(at, (uintptr_t)state->enter);
    at = with_address(state->leave_with_floats, "\x0f\xae\x05", 3, state->floats); /* fxsave */
    jump(at, (uintptr_t)state->leave);
    state->back[0] = (uint32_t)(uintptr_t)back;
    state->back[1] = 0x33;
}

static void on_signal(int number, siginfo_t *information, void *context) {
    (void)number;
    (void)information;
    greg_t *registers = ((ucontext_t *)context)->uc_mcontext.gregs;
    static const int order[8] = {REG_RAX, REG_RCX, REG_RDX, REG_RBX, REG_RSP, REG_RBP, REG_RSI, REG_RDI};
    if ((registers[REG_CSGSFS] & 0xffff) != 0x23)
        _exit(3);
    for (int at = 0; at < 8; at++)
        state->out.general[at] = (uint32_t)registers[order[at]];
    state->out.eflags = (uint32_t)registers[REG_EFL];
    found.trap = (int32_t)registers[REG_TRAPNO];
    found.error = (uint32_t)registers[REG_ERR];
    found.cr2 = (uint32_t)registers[REG_CR2];
    found.eip = (uint32_t)registers[REG_RIP] - state->slot;
    if (has_floats)
        memcpy(state->floats, ((ucontext_t *)context)->uc_mcontext.fpregs, sizeof state->floats);
    /* No signal is masked, and whoever goes on restores all that the case has changed: the kernel need not be asked to go back. */
    __asm__ volatile("jmp back");
    __builtin_unreachable();
}

static void execute(void) {
    static uint32_t there[2];
    there[0] = (uint32_t)(uintptr_t)(has_floats ? state->enter_with_floats : state->enter);
    there[1] = 0x23;
    /* Everything that may be changed is saved here; the compiler hears of all of it. */
    __asm__ volatile("push %%rbx\n push %%rbp\n"
                     "mov %%rsp, (%0)\n"
                     "mov $0x2b, %%eax\n mov %%eax, %%ds\n mov %%eax, %%es\n"
                     "ljmp *(%1)\n"
                     ".global back\nback:\n"
                     "mov $%c2, %%eax\n mov (%%rax), %%rsp\n"
                     "cld\n pop %%rbp\n pop %%rbx\n"
                     :
                     : "S"(&state->rsp), "D"(there), "i"(STATE + offsetof(struct state, rsp))
                     : "rax", "rcx", "rdx", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15", "memory", "cc", "xmm0", "xmm1", "xmm2", "xmm3",
                       "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm10", "xmm11", "xmm12", "xmm13", "xmm14", "xmm15");
    if (has_floats) {
        static const uint32_t masked = 0x1f80;
        __asm__ volatile("fninit\n ldmxcsr %0" : : "m"(masked));
    }
}

static void map(uintptr_t address, size_t size) {
    if (mmap((void *)address, size, PROT_READ | PROT_WRITE | PROT_EXEC,
             MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0) != (void *)address) {
        perror("oracle: memory at a fixed address");
        exit(2);
    }
}

static size_t size_of_floats(const struct given *given) {
    return given->length & HAS_FLOATS ? sizeof state->floats : 0;
}

static void *slot(uint32_t number) {
    return (void *)(uintptr_t)(CODE + number * SLOT);
}

/* Instructions are written all at once: the processor is slow where code is executed that was just written. */
static void place(const uint8_t *from, uint32_t count) {
    for (uint32_t number = 0; number < count; number++) {
        const struct given *given = (const struct given *)from;
        uint8_t *end = put(slot(number), given->code, given->length & ~(uint32_t)HAS_FLOATS);
        jump(end, (uintptr_t)(size_of_floats(given) ? state->leave_with_floats : state->leave));
        from += sizeof *given + size_of_floats(given);
    }
}

static void execute_all(const uint8_t *from, uint8_t *to, uint32_t count) {
    uint8_t *const window = (uint8_t *)(uintptr_t)(DATA + WINDOW);
    for (uint32_t number = 0; number < count; number++) {
        const struct given *given = (const struct given *)from;
        const size_t floats = size_of_floats(given);
        from += sizeof *given;
        has_floats = floats != 0;
        memcpy(state->floats, from, floats);
        from += floats;
        memset(window - MARGIN, 0, MARGIN);
        memcpy(window, given->data, WINDOW_SIZE);
        memset(window + WINDOW_SIZE, 0, MARGIN);
        state->in = given->registers;
        state->slot = (uint32_t)(uintptr_t)slot(number);
        found.trap = -1;
        found.error = found.cr2 = 0;
        found.eip = given->length & ~(uint32_t)HAS_FLOATS;
        execute();
        found.registers = state->out;
        memcpy((void *)found.data, window, WINDOW_SIZE);
        to = put(to, (const void *)&found, sizeof found);
        to = put(to, state->floats, floats);
    }
}

int main(int count, char **arguments) {
    // Else its heap may be anywhere, also where a case looks for nothing.
    const int persona = personality(0xffffffff);
    if (count > 0 && !(persona & ADDR_NO_RANDOMIZE) && personality((unsigned long)persona | ADDR_NO_RANDOMIZE) != -1) {
        execv("/proc/self/exe", arguments);
    }
    static uint8_t stack[65536];
    stack_t alternate = {.ss_sp = stack, .ss_size = sizeof stack};
    struct sigaction action = {.sa_sigaction = on_signal, .sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER};
    static const int signals[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP};

    const int file = count == 2 ? open(arguments[1], O_RDWR) : -1;
    uint8_t *cases = mmap(NULL, 2 * RESULTS, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    if (cases == MAP_FAILED) {
        perror("oracle: the file of cases");
        return 2;
    }
    map(CODE, SLOT * SLOTS);
    map(DATA, 4096);
    map(STATE, 4096);
    make_code();
    sigaltstack(&alternate, NULL);
    for (size_t at = 0; at < sizeof signals / sizeof *signals; at++)
        sigaction(signals[at], &action, NULL);
    uint32_t there;
    while (read(STDIN_FILENO, &there, sizeof there) == sizeof there) {
        place(cases, there);
        execute_all(cases, cases + RESULTS, there);
        if (write(STDOUT_FILENO, &there, sizeof there) != sizeof there)
            return 1;
    }
    return 0;
}
