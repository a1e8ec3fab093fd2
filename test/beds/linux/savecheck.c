/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Runs in a Linux guest that is saved, restored and migrated, and checks what must survive: memory
 * that all CPUs write, vector registers, clocks, timers, interrupts on each CPU, the contents of a
 * disk and a TCP connection. Ends when a line `end` comes on its standard input.
 *
 * savecheck [-d DISK] [-t ADDRESS] [-g MS] [-m MIB]   checks; a sleep may last MS too long
 * savecheck -s                    serves the connections (control domain)
 * savecheck -f memory FILE        flips a bit of the checked memory in a saved guest, or back (control domain)
 * savecheck -f registers FILE     ... of the vector registers that the hypervisor saved
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/sysinfo.h>
#include <time.h>
#include <unistd.h>

#define MS 1000000L
#define S (1000 * MS)
#define PAGE 4096UL
#define WORDS (PAGE / 8 - 3)
#define BLOCKS 512UL	/* of the disk */
#define MAX_CPUS 16L
#define LOCKS 64UL
#define PORT 7002
#define MAGIC 0x6b63656863766173UL
#define VECTOR 0x5ec7012ec7012e00UL	/* of register i: the low byte has i and the CPU */
#define VECTORS 16
#define FLIP 8UL
#define XL_HEADER 48	/* of a saved guest; its last word is the length of what follows */

struct page {
	uint64_t magic, index, seed, words[WORDS];
};

static struct page *pages;
static uint64_t *seeds;		/* of the pages; 0: not written yet */
static pthread_mutex_t locks[LOCKS];
static unsigned long nr_pages = 8 * 256, fills, blocks, echoes;
static long cpus, most_late = 3000, latest;
static atomic_long newest;	/* latest time that any CPU read */
static atomic_bool stop, failed;
static const char *disk, *address;

#define FAIL(...)                                          \
	do {                                               \
		if (!atomic_exchange(&failed, true)) {     \
			printf("savecheck: " __VA_ARGS__); \
			putchar('\n');                     \
			fflush(stdout);                    \
		}                                          \
		stop = true;                               \
	} while (0)

static void __attribute__((noreturn)) die(const char *what)
{
	printf("savecheck: %s: %s\n", what, strerror(errno));
	exit(1);
}

static long now(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return t.tv_sec * S + t.tv_nsec;
}

static void sleep_ns(long ns)
{
	struct timespec t = { ns / S, ns % S };

	nanosleep(&t, NULL);
}

static uint64_t next_word(uint64_t x)
{
	x ^= x << 13;
	x ^= x >> 7;
	return x ^ x << 17;
}

static void fill(struct page *p, uint64_t index, uint64_t seed)
{
	p->magic = MAGIC;
	p->index = index;
	p->seed = seed;
	for (unsigned i = 0; i < WORDS; i++)
		p->words[i] = seed = next_word(seed);
}

static bool intact(const struct page *p, uint64_t index, uint64_t seed)
{
	bool good = p->magic == MAGIC && p->index == index && p->seed == seed;

	for (unsigned i = 0; i < WORDS; i++)
		good &= p->words[i] == (seed = next_word(seed));
	return good;
}

static void check_page(unsigned long i, uint64_t seed)
{
	pthread_mutex_lock(&locks[i % LOCKS]);
	if (seeds[i] && !intact(&pages[i], i, seeds[i]))
		FAIL("memory: page %lu changed", i);
	if (seed) {
		fill(&pages[i], i, seed);
		seeds[i] = seed;
		fills++;
	}
	pthread_mutex_unlock(&locks[i % LOCKS]);
}

/*
 * Holds values in all vector registers while it computes, and then sleeps. avx: 32 bytes each.
 * Returns whether they are the same afterwards.
 */
static bool hold_registers(long cpu, bool avx, long ns)
{
	uint64_t before[VECTORS][4], after[VECTORS][4];
	struct timespec t = { 0, ns };
	long rc, spin = 5000;

	for (unsigned i = 0; i < VECTORS; i++)
		for (unsigned j = 0; j < 4; j++)
			before[i][j] = VECTOR + i * 16 + (uint64_t)cpu;
	memset(after, 0, sizeof(after));
#define EACH(op)                                                                                \
	op(0) op(1) op(2) op(3) op(4) op(5) op(6) op(7) op(8) op(9) op(10) op(11) op(12) op(13) \
		op(14) op(15)
#define HOLD(load, store)                                                             \
	__asm__ volatile(EACH(load) "1: dec %[spin]\n jnz 1b\n syscall\n" EACH(store) \
			 : "=a"(rc), [spin] "+r"(spin)                                \
			 : "a"(SYS_nanosleep), "D"(&t),                               \
			   "S"(NULL), [from] "r"(before), [to] "r"(after)             \
			 : "rcx", "r11", "memory")
#define LOAD(i) "vmovdqu " #i "*32(%[from]), %%ymm" #i "\n"
#define STORE(i) "vmovdqu %%ymm" #i ", " #i "*32(%[to])\n"
#define LOAD_SSE(i) "movdqu " #i "*32(%[from]), %%xmm" #i "\n"
#define STORE_SSE(i) "movdqu %%xmm" #i ", " #i "*32(%[to])\n"
	if (avx)
		HOLD(LOAD, STORE);
	else
		HOLD(LOAD_SSE, STORE_SSE);
	for (unsigned i = 0; i < VECTORS; i++)
		if (memcmp(before[i], after[i], avx ? 32 : 16))
			return false;
	return true;
}

/* On its CPU: rewrites pages, holds registers and sleeps. */
static void *work(void *arg)
{
	long cpu = (long)arg, seen, t, wanted, late;
	uint64_t random = (uint64_t)cpu * 2 + 1;
	bool avx = __builtin_cpu_supports("avx");
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET((size_t)cpu, &set);
	if (sched_setaffinity(0, sizeof(set), &set))
		FAIL("sched_setaffinity: %s", strerror(errno));
	while (!stop) {
		for (int i = 0; i < 4; i++) {
			random = next_word(random);
			check_page(random % nr_pages, random);
		}
		seen = newest;
		t = now(CLOCK_MONOTONIC);
		if (t < seen)
			FAIL("CPU %ld: the clock is %ld ns behind", cpu, seen - t);
		while (seen < t && !atomic_compare_exchange_weak(&newest, &seen, t))
			;
		wanted = (long)(1 + random % 4) * MS;
		if (!hold_registers(cpu, avx, wanted))
			FAIL("registers of CPU %ld changed", cpu);
		late = now(CLOCK_MONOTONIC) - t - wanted;
		if (late < 0)
			FAIL("CPU %ld: a sleep ended %ld us early", cpu, -late / 1000);
		if (late > most_late * MS)
			FAIL("CPU %ld: a sleep of %ld ms ended %ld ms late", cpu, wanted / MS,
			     late / MS);
		if (late > latest)
			latest = late;
	}
	return NULL;
}

static void move(int fd, unsigned long block, struct page *buffer, bool out)
{
	off_t at = (off_t)(block * PAGE);

	if ((out ? pwrite(fd, buffer, PAGE, at) : pread(fd, buffer, PAGE, at)) != (ssize_t)PAGE)
		FAIL("disk: %s block %lu: %s", out ? "write" : "read", block, strerror(errno));
}

/* Writes blocks of the disk, past the page cache, and reads those that it wrote before. */
static void *use_disk(void *arg __attribute__((unused)))
{
	static uint64_t written[BLOCKS];
	struct page *buffer = aligned_alloc(PAGE, PAGE);
	int fd = open(disk, O_RDWR | O_DIRECT);
	uint64_t random = 7;

	if (fd < 0 || !buffer)
		die(disk);
	for (bool last = false; !last; sleep_ns(5 * MS)) {
		last = stop;	/* then all that was written */
		for (unsigned long n = 0, i; n < (last ? BLOCKS : 1); n++) {
			random = next_word(random);
			i = last ? n : random % BLOCKS;
			if (written[i]) {
				move(fd, i, buffer, false);
				if (!intact(buffer, i, written[i]))
					FAIL("disk: block %lu has other contents", i);
			}
			fill(buffer, i, random);
			move(fd, i, buffer, true);
			written[i] = random;
			blocks++;
		}
	}
	if (fsync(fd))
		FAIL("disk: %s", strerror(errno));
	close(fd);
	free(buffer);
	return NULL;
}

static struct sockaddr_in port_at(const char *ip)
{
	return (struct sockaddr_in){ .sin_family = AF_INET,
				     .sin_port = htons(PORT),
				     .sin_addr.s_addr = inet_addr(ip) };
}

/* Each number comes back on the connection. */
static void *use_network(void *arg __attribute__((unused)))
{
	struct sockaddr_in to = port_at(address);
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	if (fd < 0 || connect(fd, (struct sockaddr *)&to, sizeof(to)))
		die(address);
	for (uint64_t n = 1, back; !stop; n++, echoes++) {
		errno = 0;
		if (send(fd, &n, sizeof(n), MSG_NOSIGNAL) != sizeof(n) ||
		    recv(fd, &back, sizeof(back), MSG_WAITALL) != sizeof(back) || back != n)
			FAIL("network: %lu does not come back: %s", (unsigned long)n,
			     strerror(errno));
		sleep_ns(10 * MS);
	}
	close(fd);
	return NULL;
}

static void *echo(void *arg)
{
	int fd = (int)(intptr_t)arg;
	char buffer[4096];

	for (ssize_t n; (n = recv(fd, buffer, sizeof(buffer), 0)) > 0;)
		if (send(fd, buffer, (size_t)n, MSG_NOSIGNAL) != n)
			break;
	close(fd);
	return NULL;
}

static int serve(void)
{
	struct sockaddr_in any = port_at("0.0.0.0");
	int fd = socket(AF_INET, SOCK_STREAM, 0), client, on = 1;
	pthread_t t;

	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (bind(fd, (struct sockaddr *)&any, sizeof(any)) || listen(fd, 8))
		die("serve");
	while ((client = accept(fd, NULL, NULL)) >= 0)
		if (pthread_create(&t, NULL, echo, (void *)(intptr_t)client))
			die("pthread_create");
	die("accept");
}

/* Each CPU takes interrupts all the time. */
static void check_interrupts(void)
{
	static unsigned long before[MAX_CPUS];
	unsigned long sums[MAX_CPUS] = {};
	FILE *file = fopen("/proc/interrupts", "r");
	char line[1024], *at;

	if (!file)
		die("/proc/interrupts");
	while (fgets(line, sizeof(line), file)) {
		at = strchr(line, ':');
		for (long i = 0; at && i < cpus; i++)
			sums[i] += strtoul(at + (i == 0), &at, 10);
	}
	fclose(file);
	for (long i = 0; i < cpus; i++) {
		if (sums[i] == before[i])
			FAIL("CPU %ld takes no interrupts", i);
		before[i] = sums[i];
	}
}

/* Says each second that all goes on, until a line comes that says `end`. */
static void watch(void)
{
	struct sysinfo info;
	struct pollfd input = { .fd = STDIN_FILENO, .events = POLLIN };
	long begin = now(CLOCK_BOOTTIME), offset = now(CLOCK_REALTIME) - begin, second = 0, jump;
	char line[64];

	while (!stop) {
		if (poll(&input, 1, 100) > 0) {
			if (!fgets(line, sizeof(line), stdin))
				die("standard input");
			stop |= !strncmp(line, "end", 3);
		}
		if (now(CLOCK_MONOTONIC) / S == second)
			continue;
		second = now(CLOCK_MONOTONIC) / S;
		check_interrupts();
		jump = now(CLOCK_REALTIME) - now(CLOCK_BOOTTIME) - offset;
		if (labs(jump) > 2 * S)
			FAIL("the time of day is wrong by %ld ms", jump / MS);
		sysinfo(&info);
		printf("savecheck: %ld s, date %ld, %lu fills, %lu blocks, %lu echoes, late %ld ms, %lu KiB free\n",
		       second, now(CLOCK_REALTIME) / S, fills, blocks, echoes, latest / MS,
		       info.freeram / 1024);
		fflush(stdout);
	}
}

static int check(void)
{
	pthread_t threads[MAX_CPUS + 2];
	long n = 0;

	cpus = sysconf(_SC_NPROCESSORS_ONLN);
	pages = aligned_alloc(PAGE, nr_pages * PAGE);
	seeds = calloc(nr_pages, sizeof(*seeds));
	if (!pages || !seeds || cpus > MAX_CPUS)
		die("memory");
	for (unsigned i = 0; i < LOCKS; i++)
		pthread_mutex_init(&locks[i], NULL);
	for (n = 0; n < cpus; n++)
		if (pthread_create(&threads[n], NULL, work, (void *)n))
			die("pthread_create");
	if (disk && pthread_create(&threads[n++], NULL, use_disk, NULL))
		die("pthread_create");
	if (address && pthread_create(&threads[n++], NULL, use_network, NULL))
		die("pthread_create");
	watch();
	while (n--)
		pthread_join(threads[n], NULL);
	for (unsigned long i = 0; i < nr_pages; i++)
		check_page(i, 0);
	if (!fills || (disk && !blocks) || (address && !echoes))
		FAIL("a check did not run");
	return failed;
}

/*
 * Flips a bit of the last page (or register) in the file that has a value of this program. Behind xl's header and
 * its configuration, all is aligned to 8 bytes.
 */
static int spoil(const char *what, const char *path)
{
	bool memory = !strcmp(what, "memory");
	int fd = open(path, O_RDWR);
	off_t size = lseek(fd, 0, SEEK_END), at;
	uint32_t length;
	uint64_t word[3];
	char *file = mmap(NULL, (size_t)size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0),
	     *found = NULL;

	if (file == MAP_FAILED || size < XL_HEADER)
		die(path);
	memcpy(&length, file + XL_HEADER - sizeof(length), sizeof(length));
	length += XL_HEADER;
	for (at = length + (size - length) / 8 * 8 - (off_t)sizeof(word); !found && at > length;
	     at -= 8) {
		memcpy(word, file + at, sizeof(word));
		if (memory ? word[0] == MAGIC && word[1] < nr_pages && word[2] :
			     word[1] >> 8 == VECTOR >> 8 && !((word[0] ^ word[1]) & ~FLIP))
			found = file + at;
	}
	if (!found) {
		printf("savecheck: no %s in %s\n", what, path);
		return 1;
	}
	found[memory ? 800 : 0] ^= (char)FLIP;
	return 0;
}

int main(int argc, char **argv)
{
	for (int option; (option = getopt(argc, argv, "d:t:g:m:f:s")) != -1;) {
		switch (option) {
		case 'd': disk = optarg; break;
		case 't': address = optarg; break;
		case 'g': most_late = atol(optarg); break;
		case 'm': nr_pages = strtoul(optarg, NULL, 0) * 256; break;
		case 'f': return spoil(optarg, argv[optind]);
		case 's': return serve();
		default: return 2;
		}
	}
	return check();
}
