/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Reads guest kernels: 32-bit or 64-bit ELF files (System V ABI, chapters 4 and 5) with a PVH entry
 * note. Checks every value from the file against its size.
 */
#include <margay/bytes.h>
#include <margay/elf.h>
#include <margay/errno.h>

#include <xen/elfnote.h>

#define EI_CLASS 4
#define EI_DATA 5
#define ELFCLASS32 1
#define ELFCLASS64 2
#define ELFDATA2LSB 1
#define ET_EXEC 2
#define EM_386 3
#define EM_X86_64 62
#define PT_LOAD 1
#define PT_NOTE 4
#define NOTE_HEADER 12

/* Limit of a kernel image's guest-physical addresses, far above any guest's memory. */
#define GPADDR_TOP (1UL << 46)

/* The fields of Elf32_Phdr and Elf64_Phdr used here. */
struct phdr {
	u32 type;
	u64 offset, paddr, filesz, memsz;
};

static struct phdr read_phdr(const u8 *p, bool is64)
{
	if (is64)
		return (struct phdr){ get_u32(p), get_u64(p + 8), get_u64(p + 24), get_u64(p + 32),
				      get_u64(p + 40) };
	return (struct phdr){ get_u32(p), get_u32(p + 4), get_u32(p + 12), get_u32(p + 16),
			      get_u32(p + 20) };
}

/* Finds the PVH entry in `len` bytes of notes; 0 if there is none. */
static u64 find_pvh_note(const u8 *p, u64 len)
{
	while (len >= NOTE_HEADER) {
		u64 namesz = get_u32(p), descsz = get_u32(p + 4);
		u64 desc = NOTE_HEADER + ALIGN_UP(namesz, 4);

		if (desc > len || descsz > len - desc)
			return 0;
		if (get_u32(p + 8) == XEN_ELFNOTE_PHYS32_ENTRY && namesz == 4 &&
		    !memcmp(p + NOTE_HEADER, "Xen", 4)) {
			if (descsz == 8)
				return get_u64(p + desc);
			return descsz == 4 ? get_u32(p + desc) : 0;
		}
		if (ALIGN_UP(descsz, 4) > len - desc)
			return 0;
		p += desc + ALIGN_UP(descsz, 4);
		len -= desc + ALIGN_UP(descsz, 4);
	}
	return 0;
}

static const char *add_segment(struct elf_image *out, const struct phdr *ph)
{
	struct elf_segment *s = &out->seg[out->nr_segs];

	if (!ph->memsz)
		return NULL;
	if (ph->filesz > ph->memsz)
		return "a segment's file size exceeds its memory size";
	if (ph->paddr >= GPADDR_TOP || ph->memsz > GPADDR_TOP - ph->paddr)
		return "a segment's physical address is out of range";
	if (out->nr_segs == ELF_MAX_SEGMENTS)
		return "too many segments";

	*s = (struct elf_segment){ph->paddr, ph->offset, ph->filesz, ph->memsz};
	out->start = out->nr_segs ? min(out->start, s->paddr) : s->paddr;
	out->end = max(out->end, s->paddr + s->memsz);
	out->nr_segs++;
	return NULL;
}

static bool in_segment(const struct elf_image *out, u64 addr)
{
	for (unsigned int i = 0; i < out->nr_segs; i++) {
		if (addr >= out->seg[i].paddr && addr - out->seg[i].paddr < out->seg[i].filesz)
			return true;
	}
	return false;
}

static const char *check_header(const u8 *p, size_t size, struct elf_image *out)
{
	u16 machine;

	if (size < 20 || memcmp(p, "\177ELF", 4))
		return "not an ELF file";
	if ((p[EI_CLASS] != ELFCLASS32 && p[EI_CLASS] != ELFCLASS64) || p[EI_DATA] != ELFDATA2LSB)
		return "not a little-endian ELF file of 32 or 64 bits";
	out->is64 = p[EI_CLASS] == ELFCLASS64;
	if (size < (out->is64 ? 64 : 52))
		return "file ends within the ELF header";
	machine = get_u16(p + 18);
	if (machine != EM_X86_64 && (machine != EM_386 || out->is64))
		return "not for x86";
	if (get_u16(p + 16) != ET_EXEC)
		return "not an executable with fixed addresses (ET_EXEC)";
	return NULL;
}

static const char *parse(const u8 *p, size_t size, struct elf_image *out)
{
	const char *why = check_header(p, size, out);
	unsigned int phentsize, phnum, i;
	u64 phoff, pvh = 0;
	struct phdr ph;

	if (why)
		return why;
	phoff = out->is64 ? get_u64(p + 32) : get_u32(p + 28);
	phentsize = get_u16(p + (out->is64 ? 54 : 42));
	phnum = get_u16(p + (out->is64 ? 56 : 44));
	if (phentsize != (out->is64 ? 56 : 32))
		return "wrong size of program headers";
	if (phoff > size || phnum > (size - phoff) / phentsize)
		return "program headers beyond the end of the file";

	for (i = 0; i < phnum; i++) {
		ph = read_phdr(p + phoff + (u64)i * phentsize, out->is64);
		if (ph.type != PT_LOAD && ph.type != PT_NOTE)
			continue;
		if (ph.offset > size || ph.filesz > size - ph.offset)
			return "a segment lies beyond the end of the file";
		if (ph.type == PT_LOAD)
			why = add_segment(out, &ph);
		else if (!pvh)
			pvh = find_pvh_note(p + ph.offset, ph.filesz);
		if (why)
			return why;
	}
	if (!out->nr_segs)
		return "no loadable segment";
	if (!pvh)
		return "no PVH note (XEN_ELFNOTE_PHYS32_ENTRY)";
	if (pvh > 0xffffffffUL || !in_segment(out, pvh))
		return "PVH entry is outside of the loaded segments";
	out->pvh_entry = pvh;
	return NULL;
}

int elf_parse(const void *img, size_t size, struct elf_image *out)
{
	memset(out, 0, sizeof(*out));
	out->why = parse(img, size, out);
	return out->why ? -ENOEXEC : 0;
}
