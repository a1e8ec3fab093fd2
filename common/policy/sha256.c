/* SPDX-License-Identifier: BSD-2-Clause */
/* SHA-256 (FIPS 180-4, section 6.2), for the list of allowed modules. */
#include <margay/lib.h>
#include <margay/module.h>

#define BLOCK 64
#define STEP_BLOCKS 8
#define ROR(x, n) ((x) >> (n) | (x) << (32 - (n)))

/* The first 32 bits of the fractional parts of the cube roots of the first 64 primes (4.2.2). */
static const u32 k[64] = {
	0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4,
	0xab1c5ed5, 0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe,
	0x9bdc06a7, 0xc19bf174, 0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f,
	0x4a7484aa, 0x5cb0a9dc, 0x76f988da, 0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7,
	0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967, 0x27b70a85, 0x2e1b2138, 0x4d2c6dfc,
	0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85, 0xa2bfe8a1, 0xa81a664b,
	0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070, 0x19a4c116,
	0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
	0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7,
	0xc67178f2,
};

static u32 get_be32(const u8 *p)
{
	return (u32)p[0] << 24 | (u32)p[1] << 16 | (u32)p[2] << 8 | p[3];
}

static void put_be32(u8 *p, u32 v)
{
	for (unsigned i = 0; i < 4; i++)
		p[i] = (u8)(v >> (24 - 8 * i));
}

static void add_block(u32 h[8], const u8 *p)
{
	u32 w[64], s[8], t1, t2;

	for (unsigned i = 0; i < 16; i++)
		w[i] = get_be32(p + 4 * i);
	for (unsigned i = 16; i < 64; i++)
		w[i] = (ROR(w[i - 2], 17) ^ ROR(w[i - 2], 19) ^ w[i - 2] >> 10) + w[i - 7] +
		       (ROR(w[i - 15], 7) ^ ROR(w[i - 15], 18) ^ w[i - 15] >> 3) + w[i - 16];
	memcpy(s, h, sizeof(s));
	for (unsigned i = 0; i < 64; i++) {
		t1 = s[7] + (ROR(s[4], 6) ^ ROR(s[4], 11) ^ ROR(s[4], 25)) +
		     ((s[4] & s[5]) ^ (~s[4] & s[6])) + k[i] + w[i];
		t2 = (ROR(s[0], 2) ^ ROR(s[0], 13) ^ ROR(s[0], 22)) +
		     ((s[0] & s[1]) ^ (s[0] & s[2]) ^ (s[1] & s[2]));
		for (unsigned j = 7; j; j--)
			s[j] = s[j - 1];
		s[4] += t1;
		s[0] = t1 + t2;
	}
	for (unsigned i = 0; i < 8; i++)
		h[i] += s[i];
}

bool sha256_step(struct sha256 *s, const void *data, size_t len)
{
	static const u32 start[8] = { 0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
				      0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19 };
	const u8 *p = (const u8 *)data + s->done;
	u8 last[2 * BLOCK] = { 0 };
	size_t rest = len % BLOCK, end = rest < BLOCK - 8 ? BLOCK : 2 * BLOCK;

	if (!s->done)
		memcpy(s->h, start, sizeof(start));
	for (unsigned i = 0; len - s->done >= BLOCK; i++, s->done += BLOCK, p += BLOCK) {
		if (i == STEP_BLOCKS)
			return false;
		add_block(s->h, p);
	}
	if (rest)
		memcpy(last, p, rest);
	last[rest] = 0x80;
	put_be32(last + end - 8, (u32)((u64)len >> 29));
	put_be32(last + end - 4, (u32)len << 3);
	add_block(s->h, last);
	if (end > BLOCK)
		add_block(s->h, last + BLOCK);
	for (unsigned i = 0; i < 8; i++)
		put_be32(s->digest + 4 * i, s->h[i]);
	return true;
}
