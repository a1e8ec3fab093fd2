/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Performs the same work on the bare machine and in a guest, as the first process of a Linux
 * kernel. Prints `work NAME TICKS` for each part, and `work NAME VALUE` for other figures, then
 * powers off. Under QEMU's -icount a tick is an instruction, including those of the kernel and the
 * hypervisor. `work two` is the work of two interacting CPUs; a tick is then an instruction of
 * either. The parts hpc_* are the kernels of the HPC Challenge (https://hpcchallenge.org) with sizes
 * that fit: STREAM, DGEMM, FFT, RandomAccess; and what MPI does within a node, by shared memory.
 */
#include <fcntl.h>
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define MIB (1UL << 20)
#define PING_PONGS 2000
#define SLEEPS 200
#define SPIN_TICKS 400000000UL	/* 0.4 s at one tick per nanosecond */
#define GAP 200			/* ticks; an iteration of the spinning loop takes about ten */

static volatile uint64_t sink;

static inline uint64_t ticks(void)
{
	return __builtin_ia32_rdtsc();
}

static void *memory(size_t size)
{
	void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED) {
		perror("work: mmap");
		_exit(1);
	}
	return p;
}

static void arithmetic(void)
{
	uint64_t x = 1;

	for (unsigned i = 0; i < 45000000; i++) {
		x = x * 6364136223846793005UL + 1442695040888963407UL;
		x ^= x >> 29;
	}
	sink = x;
}

static double *a, *b, *c;

static void streaming(void)
{
	const size_t n = 2 * MIB / sizeof(double);

	for (unsigned round = 0; round < 160; round++)
		for (size_t i = 0; i < n; i++)
			a[i] = b[i] + 3.0 * c[i];
}

static uint32_t *chain;

/* Links all of 8 MiB into a chain in random order. */
static void make_chain(void)
{
	const uint32_t n = 8 * MIB / sizeof(*chain);
	uint32_t at = 0;

	chain = memory(8 * MIB);
	for (uint32_t i = 0; i < n; i++) {
		uint32_t next = (at * 1664525U + 1013904223U) & (n - 1);

		chain[at] = next;
		at = next;
	}
}

static void random_access(void)
{
	uint32_t at = 0;

	for (unsigned i = 0; i < 100000000; i++)
		at = chain[at];
	sink = at;
}

/* STREAM: copy, scale, add, triad. */
static void hpc_stream(void)
{
	const size_t n = 2 * MIB / sizeof(double);

	for (unsigned round = 0; round < 40; round++) {
		for (size_t i = 0; i < n; i++)
			c[i] = a[i];
		for (size_t i = 0; i < n; i++)
			b[i] = 3.0 * c[i];
		for (size_t i = 0; i < n; i++)
			c[i] = a[i] + b[i];
		for (size_t i = 0; i < n; i++)
			a[i] = b[i] + 3.0 * c[i];
	}
}

#define DGEMM_N 256u

static void hpc_dgemm(void)
{
	for (unsigned i = 0; i < DGEMM_N; i++)
		for (unsigned k = 0; k < DGEMM_N; k++) {
			double x = a[i * DGEMM_N + k];

			for (unsigned j = 0; j < DGEMM_N; j++)
				c[i * DGEMM_N + j] += x * b[k * DGEMM_N + j];
		}
}

#define FFT_N (1u << 16)

/* Radix 2, in place, a real and b imaginary; the roots of unity by recurrence from the half's. */
static void hpc_fft(void)
{
	double cosine = -1, sine = 0;

	for (unsigned i = 0, j = 0; i < FFT_N; i++) {
		if (i < j) {
			double t = a[i];

			a[i] = a[j];
			a[j] = t;
			t = b[i];
			b[i] = b[j];
			b[j] = t;
		}
		for (unsigned bit = FFT_N >> 1; (j ^= bit) < bit; bit >>= 1)
			;
	}
	for (unsigned half = 1; half < FFT_N; half *= 2) {
		double wr = 1, wi = 0;

		for (unsigned k = 0; k < half; k++) {
			double t = wr;

			for (unsigned i = k; i < FFT_N; i += 2 * half) {
				double xr = wr * a[i + half] - wi * b[i + half];
				double xi = wr * b[i + half] + wi * a[i + half];

				a[i + half] = a[i] - xr;
				b[i + half] = b[i] - xi;
				a[i] += xr;
				b[i] += xi;
			}
			wr = wr * cosine - wi * sine;
			wi = wi * cosine + t * sine;
		}
		/* Half the angle. */
		sine = half == 1 ? -1 : -__builtin_sqrt((1 - cosine) / 2);
		cosine = half == 1 ? 0 : __builtin_sqrt((1 + cosine) / 2);
	}
}

static void hpc_random_access(void)
{
	uint64_t *table = (uint64_t *)(void *)chain, x = 1;
	const size_t n = 8 * MIB / sizeof(*table);

	for (unsigned i = 0; i < 4 * MIB; i++) {
		x = x << 1 ^ ((int64_t)x < 0 ? 7 : 0);
		table[x & (n - 1)] ^= x;
	}
}

static void system_calls(void)
{
	for (unsigned i = 0; i < 50000; i++)
		syscall(SYS_getppid);
}

static void page_faults(void)
{
	for (unsigned round = 0; round < 4; round++) {
		char *p = memory(16 * MIB);

		for (size_t at = 0; at < 16 * MIB; at += 4096)
			p[at] = 1;
		munmap(p, 16 * MIB);
	}
}

static void fork_exec(void)
{
	for (unsigned i = 0; i < 40; i++) {
		pid_t pid = fork();

		if (!pid) {
			execl("/bin/work", "work", "end", NULL);
			_exit(1);
		}
		waitpid(pid, NULL, 0);
	}
}

static void pipes(void)
{
	int there[2], back[2];
	char byte = 0;
	pid_t pid;

	if (pipe(there) || pipe(back))
		return;
	pid = fork();
	for (unsigned i = 0; i < PING_PONGS; i++) {
		if (pid) {
			if (write(there[1], &byte, 1) != 1 || read(back[0], &byte, 1) != 1)
				return;
		} else if (read(there[0], &byte, 1) != 1 || write(back[1], &byte, 1) != 1) {
			_exit(1);
		}
	}
	if (!pid)
		_exit(0);
	waitpid(pid, NULL, 0);
}

static uint32_t turn;

static void wait_turn(uint32_t mine)
{
	uint32_t now;

	while ((now = __atomic_load_n(&turn, __ATOMIC_ACQUIRE)) % 2 != mine)
		syscall(SYS_futex, &turn, FUTEX_WAIT_PRIVATE, now, NULL, NULL, 0);
}

static void *player(void *arg)
{
	uint32_t mine = (uint32_t)(uintptr_t)arg;

	for (unsigned i = 0; i < PING_PONGS; i++) {
		wait_turn(mine);
		__atomic_add_fetch(&turn, 1, __ATOMIC_RELEASE);
		syscall(SYS_futex, &turn, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
	}
	return NULL;
}

static void futexes(void)
{
	pthread_t other;

	turn = 0;
	if (pthread_create(&other, NULL, player, (void *)1UL))
		return;
	player((void *)0UL);
	pthread_join(other, NULL);
}

static void run_on(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	if (sched_setaffinity(0, sizeof(set), &set)) {
		perror("work: CPU");
		_exit(1);
	}
}

static void *player_on_1(void *arg)
{
	run_on(1);
	return player(arg);
}

/* One CPU for each: a waiting thread sleeps, and the other's interrupt wakes it. */
static void futexes_on_two(void)
{
	pthread_t other;

	turn = 0;
	run_on(0);
	if (pthread_create(&other, NULL, player_on_1, (void *)1UL))
		return;
	player((void *)0UL);
	pthread_join(other, NULL);
}

static volatile unsigned box[2][16];	/* a cache line for each side */

static void pause_cpu(void)
{
	__builtin_ia32_pause();
}

/* Sends PING_PONGS messages of a line there and back, and waits by polling, as MPI does. */
static void side(unsigned me)
{
	for (unsigned i = 1; i <= PING_PONGS; i++) {
		if (me)
			while (box[0][0] != i)
				pause_cpu();
		box[me][0] = i;
		if (!me)
			while (box[1][0] != i)
				pause_cpu();
	}
}

static unsigned arrived, passed;

/* A barrier PING_PONGS times. */
static void barriers(void)
{
	for (unsigned i = 1; i <= PING_PONGS; i++) {
		if (__atomic_add_fetch(&arrived, 1, __ATOMIC_ACQ_REL) == 2 * i)
			__atomic_store_n(&passed, i, __ATOMIC_RELEASE);
		while (__atomic_load_n(&passed, __ATOMIC_ACQUIRE) < i)
			pause_cpu();
	}
}

static void *side_on_1(void *arg)
{
	run_on(1);
	if (arg)
		barriers();
	else
		side(1);
	return NULL;
}

static void hpc_latency(void)
{
	pthread_t other;

	run_on(0);
	if (pthread_create(&other, NULL, side_on_1, NULL))
		return;
	side(0);
	pthread_join(other, NULL);
}

static void hpc_barrier(void)
{
	pthread_t other;

	run_on(0);
	if (pthread_create(&other, NULL, side_on_1, &arrived))
		return;
	barriers();
	pthread_join(other, NULL);
}

static void measure(const char *name, void (*work)(void))
{
	uint64_t start = ticks();

	work();
	printf("work %s %lu\n", name, ticks() - start);
}

/* Measures by how much a sleep of 1 ms is too long, in nanoseconds, on average. */
static void sleeps(void)
{
	const struct timespec ms = { .tv_nsec = 1000000 };
	struct timespec from, to;
	int64_t ns;

	prctl(PR_SET_TIMERSLACK, 1UL);	/* 50 us by default */
	clock_gettime(CLOCK_MONOTONIC, &from);
	for (unsigned i = 0; i < SLEEPS; i++)
		clock_nanosleep(CLOCK_MONOTONIC, 0, &ms, NULL);
	clock_gettime(CLOCK_MONOTONIC, &to);
	ns = (to.tv_sec - from.tv_sec) * 1000000000L + to.tv_nsec - from.tv_nsec;
	printf("work sleep_excess %ld\n", ns / SLEEPS - ms.tv_nsec);
}

/* Measures the time that is taken from a loop that only spins. */
static void gaps(void)
{
	uint64_t start = ticks(), last = start, sum = 0, largest = 0, nr = 0, bucket[64] = { 0 };

	while (last - start < SPIN_TICKS) {
		uint64_t t = ticks();

		if (t - last > GAP) {
			nr++;
			sum += t - last;
			largest = t - last > largest ? t - last : largest;
			bucket[63 - __builtin_clzl(t - last)]++;
		}
		last = t;
	}
	printf("work gaps_count %lu\nwork gaps_sum %lu\nwork gaps_largest %lu\n", nr, sum, largest);
	for (unsigned i = 0; i < 64; i++)
		if (bucket[i])
			printf("work detours_from_%lu %lu\n", 1UL << i, bucket[i]);
}

/*
 * A process of Xen's initial domain may have no console to open; the kernel's messages do appear.
 */
static void open_console(void)
{
	struct stat st;
	int fd;

	if (!fstat(STDOUT_FILENO, &st))
		return;
	mkdir("/dev", 0755);
	mount("dev", "/dev", "devtmpfs", 0, NULL);
	/* The three descriptors of a normal process. */
	do
		fd = open("/dev/kmsg", O_RDWR);
	while (fd >= 0 && fd < STDERR_FILENO);
}

static void __attribute__((noreturn)) finish(void)
{
	puts("PASS work");
	sync();
	reboot(RB_POWER_OFF);
	_exit(0);
}

int main(int argc, char **argv)
{
	if (argc > 1 && !strcmp(argv[1], "end"))
		return 0;
	open_console();
	setvbuf(stdout, NULL, _IOLBF, 0);
	/* The kernel passes unknown options too: before those that follow its "--". */
	if (argc > 1 && !strcmp(argv[argc - 1], "two")) {
		sleep(1);
		measure("futex_two", futexes_on_two);
		measure("hpc_latency_two", hpc_latency);
		measure("hpc_barrier_two", hpc_barrier);
		finish();
	}
	a = memory(2 * MIB);
	b = memory(2 * MIB);
	c = memory(2 * MIB);
	memset(b, 1, 2 * MIB);
	memset(c, 2, 2 * MIB);
	streaming();	/* the pages of a come */
	make_chain();
	/* The kernel's late boot work. */
	sleep(1);
	measure("arithmetic", arithmetic);
	measure("streaming", streaming);
	measure("random_access", random_access);
	measure("hpc_stream", hpc_stream);
	measure("hpc_dgemm", hpc_dgemm);
	measure("hpc_fft", hpc_fft);
	measure("hpc_random_access", hpc_random_access);
	measure("system_calls", system_calls);
	measure("page_faults", page_faults);
	measure("fork_exec", fork_exec);
	measure("pipe", pipes);
	measure("futex", futexes);
	sleeps();
	gaps();
	finish();
}
