/*
 * Owns the floor of the benchmarks: the calls without which no guest starts on KVM, and nothing else.
 *
 *   floor FILE            runs FILE, which is loaded at 1 MiB and entered there, in flat 32-bit segments without paging
 *   floor --clone FILE    the same, but a clone that outlives this process takes the virtual machine down
 *
 * The machine is the one that stos-run makes: 16 MiB, interrupt controllers and timer in the kernel, one CPU. Nothing is
 * verified, nobody watches, and of the devices there are only COM1's data (0x3F8) and line status (0x3FD), the debug
 * console (0xE9) and the exit port (0xF4).
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/kvm.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>

#define MEMORY (16 << 20)
#define CODE 0x100000
#define STACK_TOP 0x9000
/* KVM's api.rst, sections 4.42 and 4.84: pages that Intel's KVM needs for itself, above all memory. */
#define TSS_ADDRESS 0xfffbd000
#define IDENTITY_MAP_ADDRESS 0xfffbc000
/* Mode 3 of the 8254. */
#define SQUARE_WAVE 3

static char keeper_stack[4096] __attribute__((aligned(16)));
static pid_t parent;

static int checked(const char *what, int result)
{
	if (result < 0) {
		perror(what);
		_exit(125);
	}
	return result;
}

/*
 * Shares memory and files with the process that made the machine, so the kernel takes the machine down when this one ends:
 * just after that one, whose death kills it. What it calls must not touch errno, which it shares as well.
 */
static int keep(void *unused)
{
	(void)unused;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	/* The parent may have died before that took effect. */
	while (getppid() == parent)
		pause();
	return 0;
}

static void write_all(int file, const char *bytes, size_t size)
{
	while (size != 0) {
		int written = checked("write", (int)write(file, bytes, size));

		bytes += written;
		size -= (size_t)written;
	}
}

/* Answers one access to a port. */
static void serve(struct kvm_run *run)
{
	char *data = (char *)run + run->io.data_offset;
	size_t size = (size_t)run->io.size * run->io.count;

	if (run->io.direction == KVM_EXIT_IO_IN) {
		/* Transmitter and holding register are empty. */
		memset(data, run->io.port == 0x3fd ? 0x60 : 0xff, size);
	} else if (run->io.port == 0x3f8) {
		write_all(STDOUT_FILENO, data, size);
	} else if (run->io.port == 0xe9) {
		write_all(STDERR_FILENO, data, size);
	} else if (run->io.port == 0xf4) {
		/* Shared with the keeper, and a reader waits for their end. */
		close(STDOUT_FILENO);
		close(STDERR_FILENO);
		_exit(*data);
	}
}

static void make_cpuid(int cpu)
{
	/* "GenuineIntel", and what every 64-bit PC has, as stos-run gives it. */
	struct { struct kvm_cpuid2 head; struct kvm_cpuid_entry2 entries[2]; } table = {
		.head.nent = 2,
		.entries = {
			{ .function = 0, .eax = 1, .ebx = 0x756e6547, .edx = 0x49656e69, .ecx = 0x6c65746e },
			{ .function = 1, .eax = 0x600, .ebx = 0x800, .edx = 0x078bfbfd },
		},
	};

	checked("KVM_SET_CPUID2", ioctl(cpu, KVM_SET_CPUID2, &table));
}

static void make_registers(int cpu)
{
	struct kvm_sregs system;
	struct kvm_segment code = {
		.limit = ~0u, .selector = 8, .type = 11, .present = 1, .db = 1, .s = 1, .g = 1,
	};
	struct kvm_segment data = code;
	struct kvm_regs general = { .rip = CODE, .rsp = STACK_TOP, .rflags = 2 };
	struct kvm_fpu fpu = { .fcw = 0x37f, .mxcsr = 0x1f80 };

	checked("KVM_GET_SREGS", ioctl(cpu, KVM_GET_SREGS, &system));
	data.selector = 16;
	data.type = 3;
	system.cs = code;
	system.ds = system.es = system.fs = system.gs = system.ss = data;
	system.cr0 = 0x11; /* PE, ET */
	checked("KVM_SET_SREGS", ioctl(cpu, KVM_SET_SREGS, &system));
	checked("KVM_SET_REGS", ioctl(cpu, KVM_SET_REGS, &general));
	checked("KVM_SET_FPU", ioctl(cpu, KVM_SET_FPU, &fpu));
}

int main(int count, char **words)
{
	int is_cloned = count == 3 && strcmp(words[1], "--clone") == 0;
	struct kvm_pit_config timer = { .flags = KVM_PIT_SPEAKER_DUMMY };
	struct kvm_pit_state2 counters;
	uint64_t identity_map = IDENTITY_MAP_ADDRESS;
	struct kvm_userspace_memory_region slot = { .memory_size = MEMORY };
	struct kvm_run *run;
	char *memory;
	int file, kvm, vm, cpu, size;

	if (count != 2 + is_cloned) {
		fputs("usage: floor [--clone] FILE\n", stderr);
		return 125;
	}
	parent = getpid();
	if (is_cloned) {
		int flags = CLONE_VM | CLONE_FILES;

		checked("clone", clone(keep, keeper_stack + sizeof keeper_stack, flags, NULL));
	}

	memory = mmap(NULL, MEMORY, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	checked("mmap of memory", memory == MAP_FAILED ? -1 : 0);
	file = checked(words[count - 1], open(words[count - 1], O_RDONLY | O_CLOEXEC));
	checked("read", (int)read(file, memory + CODE, MEMORY - CODE));
	close(file);

	kvm = checked("/dev/kvm", open("/dev/kvm", O_RDWR | O_CLOEXEC));
	vm = checked("KVM_CREATE_VM", ioctl(kvm, KVM_CREATE_VM, 0));
	checked("KVM_SET_TSS_ADDR", ioctl(vm, KVM_SET_TSS_ADDR, TSS_ADDRESS));
	checked("KVM_SET_IDENTITY_MAP_ADDR", ioctl(vm, KVM_SET_IDENTITY_MAP_ADDR, &identity_map));
	slot.userspace_addr = (uintptr_t)memory;
	checked("KVM_SET_USER_MEMORY_REGION", ioctl(vm, KVM_SET_USER_MEMORY_REGION, &slot));
	checked("KVM_CREATE_IRQCHIP", ioctl(vm, KVM_CREATE_IRQCHIP, 0));
	checked("KVM_CREATE_PIT2", ioctl(vm, KVM_CREATE_PIT2, &timer));
	checked("KVM_GET_PIT2", ioctl(vm, KVM_GET_PIT2, &counters));
	for (int i = 0; i < 3; i++)
		counters.channels[i].mode = SQUARE_WAVE;
	checked("KVM_SET_PIT2", ioctl(vm, KVM_SET_PIT2, &counters));
	cpu = checked("KVM_CREATE_VCPU", ioctl(vm, KVM_CREATE_VCPU, 0));
	size = checked("KVM_GET_VCPU_MMAP_SIZE", ioctl(kvm, KVM_GET_VCPU_MMAP_SIZE, 0));
	run = mmap(NULL, (size_t)size, PROT_READ | PROT_WRITE, MAP_SHARED, cpu, 0);
	checked("mmap of the CPU", run == MAP_FAILED ? -1 : 0);
	make_cpuid(cpu);
	make_registers(cpu);

	for (;;) {
		checked("KVM_RUN", ioctl(cpu, KVM_RUN, 0));
		if (run->exit_reason != KVM_EXIT_IO) {
			fprintf(stderr, "floor: the guest left for reason %u\n", run->exit_reason);
			return 125;
		}
		serve(run);
	}
}
