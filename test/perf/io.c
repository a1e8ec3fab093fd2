/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Work for guests with a disk and a network, and for their control domain. The emulator's plugin count.c counts
 * the instructions between the marks; the line `io NAME TIMES` names the row that it writes.
 *
 * io disk DEVICE NAME       reads of 4 KiB, one and 32 at a time, and of 1 MiB (NAME_4k, NAME_4k_32, NAME_1m)
 * io each DEVICE NAME       reads of 4 KiB, each of them an interval (NAME_4k_each)
 * io poll DEVICE NAME       reads of 4 KiB without interrupts (NAME_4k_polled)
 * io wire CARD CARD NAME    frames from one network card to another (NAME)
 * io serve                  a TCP server for these two:
 * io talk ADDRESS NAME      round trips (NAME_trip)
 * io send ADDRESS NAME      1 MiB at a time (NAME_mib)
 * io sleep SECONDS NAME     sleep
 * io mark                   begin or end an interval, for a shell
 * io row NAME               name an interval that two marks delimited
 * io dirty PAGES            write so many pages each 10 ms, of 40 MiB, and print each longest gap of CLOCK_REALTIME
 * io memory DOMAIN          print KiB: what is free, and the domain's own (control domain)
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/aio_abi.h>
#include <linux/if_packet.h>
#include <linux/io_uring.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define __XEN_TOOLS__
#include <xen/xen.h>
#include <xen/sysctl.h>

#define KIB 1024UL
#define MIB (KIB * KIB)
#define PORT 7001
#define DEPTH 32
#define SPAN (8 * MIB)		/* of the disk, read again and again */
#define FRAME_TYPE 0x88b5	/* for experiments */
#define FRAME_TYPE_BYTES "\x88\xb5"

static void __attribute__((noreturn)) die(const char *what)
{
	fprintf(stderr, "FAIL io: %s: %s\n", what, strerror(errno));
	exit(1);
}

/* count.c looks for these two instructions, which change nothing. */
static void mark(void)
{
	__asm__ volatile("xchg %%bx, %%bx" : : : "memory");
}

static void row(const char *name, unsigned int times)
{
	__asm__ volatile("xchg %%dx, %%dx" : : : "memory");
	printf("io %s %u\n", name, times);
	fflush(stdout);
}

static aio_context_t aio;
static struct iocb blocks[DEPTH];
static char *buffers;
static int disk;

static void read_one(unsigned int i, size_t size, uint64_t at)
{
	struct iocb *block = &blocks[i];

	*block = (struct iocb){
		.aio_lio_opcode = IOCB_CMD_PREAD,
		.aio_fildes = (uint32_t)disk,
		.aio_data = i,
		.aio_buf = (uintptr_t)(buffers + i * size),
		.aio_nbytes = size,
		.aio_offset = (int64_t)at,
	};
	if (syscall(SYS_io_submit, aio, 1, &block) != 1)
		die("io_submit");
}

/* Reads `times` times, always with `depth` requests under way. */
static void reads(unsigned int depth, size_t size, unsigned int times)
{
	struct io_event events[DEPTH];
	unsigned int begun = 0, done = 0;

	while (begun < depth)
		read_one(begun, size, begun * size % SPAN), begun++;
	while (done < times) {
		long n = syscall(SYS_io_getevents, aio, 1, depth, events, NULL);

		if (n < 1)
			die("io_getevents");
		for (long i = 0; i < n; i++) {
			if ((size_t)events[i].res != size) {
				errno = (int)-events[i].res;
				die("read");
			}
			done++;
			if (begun < times) {
				read_one((unsigned int)events[i].data, size, begun * size % SPAN);
				begun++;
			}
		}
	}
}

/* A ring of the kernel's (io_uring) whose requests have no interrupts. */
static struct io_uring_sqe *requests;
static unsigned int *tail, *filled, *taken;
static struct io_uring_cqe *results;
static unsigned int ring_mask;
static int ring;

static void *map_ring(size_t size, off_t what)
{
	void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, ring, what);

	if (p == MAP_FAILED)
		die("ring");
	return p;
}

/* The ring has one entry, so its index is always 0. */
static void open_ring(void)
{
	struct io_uring_params p = { .flags = IORING_SETUP_IOPOLL };
	char *sq, *cq;

	ring = (int)syscall(SYS_io_uring_setup, 1, &p);
	if (ring < 0)
		die("io_uring");
	sq = map_ring(p.sq_off.array + sizeof(unsigned int), IORING_OFF_SQ_RING);
	cq = map_ring(p.cq_off.cqes + p.cq_entries * sizeof(*results), IORING_OFF_CQ_RING);
	requests = map_ring(sizeof(*requests), IORING_OFF_SQES);
	tail = (unsigned int *)(sq + p.sq_off.tail);
	filled = (unsigned int *)(cq + p.cq_off.tail);
	taken = (unsigned int *)(cq + p.cq_off.head);
	results = (struct io_uring_cqe *)(cq + p.cq_off.cqes);
	ring_mask = p.cq_entries - 1;
}

/* Reads one after the other. The kernel asks the disk again and again whether it is done. */
static void polled_reads(unsigned int depth, size_t size, unsigned int times)
{
	(void)depth;
	for (unsigned int i = 0; i < times; i++) {
		requests[0] = (struct io_uring_sqe){
			.opcode = IORING_OP_READ,
			.fd = disk,
			.addr = (uintptr_t)buffers,
			.len = (uint32_t)size,
			.off = i * size % SPAN,
		};
		__atomic_store_n(tail, *tail + 1, __ATOMIC_RELEASE);
		/* The call also returns when the kernel wants to run something else. */
		for (unsigned int begin = 1; __atomic_load_n(filled, __ATOMIC_ACQUIRE) == *taken;
		     begin = 0)
			if (syscall(SYS_io_uring_enter, ring, begin, 1, IORING_ENTER_GETEVENTS,
				    NULL, 0) < 0)
				die("io_uring_enter");
		errno = -results[*taken & ring_mask].res;
		if (errno != -(int)size)
			die("polled read");
		__atomic_store_n(taken, *taken + 1, __ATOMIC_RELEASE);
	}
}

static void measure_reads(void (*read)(unsigned int depth, size_t size, unsigned int times),
			  const char *name, const char *what, unsigned int depth, size_t size,
			  unsigned int times)
{
	char text[64];

	read(depth, size, depth * 2);	/* grants and buffers get ready */
	mark();
	read(depth, size, times);
	mark();
	snprintf(text, sizeof(text), "%s_%s", name, what);
	row(text, times);
}

static void open_disk(const char *device)
{
	disk = open(device, O_RDONLY | O_DIRECT);
	if (disk < 0)
		die(device);
	buffers = mmap(NULL, DEPTH * MIB, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	if (buffers == MAP_FAILED || syscall(SYS_io_setup, DEPTH, &aio))
		die("memory");
}

static int run_disk(char **arg)
{
	open_disk(arg[0]);
	measure_reads(reads, arg[1], "4k", 1, 4 * KIB, 500);
	measure_reads(reads, arg[1], "4k_32", DEPTH, 4 * KIB, 8192);
	measure_reads(reads, arg[1], "1m", 1, MIB, 64);
	return 0;
}

/* The emulator's plugin leaves out the first of several intervals. */
static int run_each(char **arg)
{
	enum { TIMES = 500 };
	char name[64];

	open_disk(arg[0]);
	for (unsigned int i = 0; i <= TIMES; i++) {
		mark();
		reads(1, 4 * KIB, 1);
		mark();
	}
	snprintf(name, sizeof(name), "%s_4k_each", arg[1]);
	row(name, TIMES);
	return 0;
}

static int run_poll(char **arg)
{
	open_disk(arg[0]);
	open_ring();
	measure_reads(polled_reads, arg[1], "4k_polled", 1, 4 * KIB, 500);
	return 0;
}

static int open_card(const char *name)
{
	struct sockaddr_ll a = { .sll_family = AF_PACKET,
				 .sll_protocol = htons(FRAME_TYPE),
				 .sll_ifindex = (int)if_nametoindex(name) };
	int fd = socket(AF_PACKET, SOCK_RAW, htons(FRAME_TYPE));

	if (fd < 0 || !a.sll_ifindex || bind(fd, (struct sockaddr *)&a, sizeof(a)))
		die(name);
	return fd;
}

/* Sends frames by one card and takes each from the other. */
static void frames(int from, int to, unsigned int times)
{
	static char frame[KIB] = "\xff\xff\xff\xff\xff\xff\x02\0\0\0\0\1" FRAME_TYPE_BYTES,
		    back[KIB];

	for (unsigned int i = 0; i < times; i++)
		if (send(from, frame, sizeof(frame), 0) != sizeof(frame) ||
		    recv(to, back, sizeof(back), 0) != sizeof(frame))
			die("frame");
}

static int run_wire(char **arg)
{
	int from = open_card(arg[0]), to = open_card(arg[1]);

	frames(from, to, 50);
	mark();
	frames(from, to, 500);
	mark();
	row(arg[2], 500);
	return 0;
}

static struct sockaddr_in address_of(const char *text)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons(PORT) };

	if (text && !inet_aton(text, &a.sin_addr))
		die(text);
	return a;
}

static void no_delay(int fd)
{
	int one = 1;

	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
}

/* Takes a length and as many bytes, again and again, and answers each with a byte. */
static void serve_one(int fd)
{
	static char buffer[64 * KIB];
	uint32_t left;

	no_delay(fd);
	while (recv(fd, &left, sizeof(left), MSG_WAITALL) == sizeof(left)) {
		while (left) {
			ssize_t n =
				recv(fd, buffer, left < sizeof(buffer) ? left : sizeof(buffer), 0);

			if (n <= 0)
				return;
			left -= (uint32_t)n;
		}
		if (send(fd, "", 1, 0) != 1)
			return;
	}
}

static int run_serve(char **arg)
{
	struct sockaddr_in a = address_of(NULL);
	int one = 1, fd = socket(AF_INET, SOCK_STREAM, 0), c;

	(void)arg;
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (fd < 0 || bind(fd, (struct sockaddr *)&a, sizeof(a)) || listen(fd, 1))
		die("listen");
	while ((c = accept(fd, NULL, NULL)) >= 0) {
		serve_one(c);
		close(c);
	}
	die("accept");
}

/* Sends `length` bytes and takes the answer, `times` times. */
static void sends(int fd, uint32_t length, unsigned int times)
{
	static char buffer[sizeof(length) + MIB];
	char answer;

	memcpy(buffer, &length, sizeof(length));
	for (unsigned int i = 0; i < times; i++) {
		for (size_t at = 0; at < sizeof(length) + length;) {
			ssize_t n = send(fd, buffer + at, sizeof(length) + length - at, 0);

			if (n <= 0)
				die("send");
			at += (size_t)n;
		}
		if (recv(fd, &answer, 1, 0) != 1)
			die("recv");
	}
}

static int talk(char **arg, const char *what, uint32_t length, unsigned int times)
{
	struct sockaddr_in a = address_of(arg[0]);
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	char name[64];

	if (fd < 0 || connect(fd, (struct sockaddr *)&a, sizeof(a)))
		die("connect");
	no_delay(fd);
	sends(fd, length, times / 4);	/* the congestion window opens */
	mark();
	sends(fd, length, times);
	mark();
	snprintf(name, sizeof(name), "%s_%s", arg[1], what);
	row(name, times);
	return 0;
}

static int run_talk(char **arg)
{
	return talk(arg, "trip", 0, 400);
}

static int run_send(char **arg)
{
	return talk(arg, "mib", MIB, 32);
}

static int run_sleep(char **arg)
{
	unsigned int seconds = (unsigned int)atoi(arg[0]);

	mark();
	sleep(seconds);
	mark();
	row(arg[1], seconds);
	return 0;
}

static int run_mark(char **arg)
{
	(void)arg;
	mark();
	return 0;
}

static int run_row(char **arg)
{
	row(arg[0], 1);
	return 0;
}

static uint64_t realtime(void)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static int run_dirty(char **arg)
{
	const size_t size = 40 * MIB;
	unsigned int pages = (unsigned int)atoi(arg[0]);
	volatile char *memory =
		mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	uint64_t longest = 0, before = realtime(), now;

	if (memory == MAP_FAILED)
		die("mmap");
	for (size_t at = 0;;) {
		for (unsigned int i = 0; i < pages; i++, at = (at + 4 * KIB) % size)
			memory[at]++;
		usleep(10000);
		now = realtime();
		if (now - before > longest) {
			longest = now - before;
			printf("io: gap %lu\n", longest);
			fflush(stdout);
		}
		before = now;
	}
}

static void sysctl(int fd, struct xen_sysctl *op)
{
	struct {
		uint64_t op, arg[5];
	} call = { __HYPERVISOR_sysctl, { (uintptr_t)op } };

	op->interface_version = XEN_SYSCTL_INTERFACE_VERSION;
	if (ioctl(fd, _IOC(_IOC_NONE, 'P', 0, sizeof(call)), &call) < 0)
		die("sysctl");
}

static int run_memory(char **arg)
{
	int fd = open("/dev/xen/privcmd", O_RDWR);
	struct xen_sysctl *op = mmap(NULL, 4 * KIB, PROT_READ | PROT_WRITE,
				     MAP_SHARED | MAP_ANONYMOUS | MAP_LOCKED | MAP_POPULATE, -1, 0);
	struct xen_domctl_getdomaininfo *info = (void *)(op + 1);
	uint64_t free_pages;

	if (fd < 0 || op == MAP_FAILED)
		die("privcmd");
	op->cmd = XEN_SYSCTL_physinfo;
	sysctl(fd, op);
	free_pages = op->u.physinfo.free_pages;
	*op = (struct xen_sysctl){ .cmd = XEN_SYSCTL_getdomaininfolist };
	op->u.getdomaininfolist.first_domain = (uint16_t)atoi(arg[0]);
	op->u.getdomaininfolist.max_domains = 1;
	set_xen_guest_handle(op->u.getdomaininfolist.buffer, info);
	sysctl(fd, op);
	printf("%lu %lu\n", free_pages * 4,
	       op->u.getdomaininfolist.num_domains ? (uint64_t)info->tot_pages * 4 : 0);
	return 0;
}

static const struct {
	const char *name;
	int arguments;
	int (*run)(char **arg);
} commands[] = {
	{ "disk", 2, run_disk },
	{ "each", 2, run_each },
	{ "poll", 2, run_poll },
	{ "wire", 3, run_wire },
	{ "serve", 0, run_serve },
	{ "talk", 2, run_talk },
	{ "send", 2, run_send },
	{ "sleep", 2, run_sleep },
	{ "mark", 0, run_mark },
	{ "row", 1, run_row },
	{ "dirty", 1, run_dirty },
	{ "memory", 1, run_memory },
};

int main(int argc, char **argv)
{
	for (size_t i = 0; i < sizeof(commands) / sizeof(*commands); i++)
		if (argc > 1 && !strcmp(argv[1], commands[i].name) &&
		    argc == 2 + commands[i].arguments)
			return commands[i].run(argv + 2);
	fputs("FAIL io: wrong arguments\n", stderr);
	return 1;
}
