/* SHA-256 (FIPS 180-4) and HMAC-SHA-256 (RFC 2104), for engines in which they are slow in JavaScript. */

#include <string.h>

#include "core.h"

static const uint32_t ROUND[64] = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2,
};

static uint32_t rotate(uint32_t word, int bits) { return word >> bits | word << (32 - bits); }

/* Takes in one block of 64 bytes: FIPS 180-4, section 6.2.2. */
static void compress(uint32_t state[8], const uint8_t *block) {
  uint32_t w[64], s[8];
  for (int t = 0; t < 16; t++)
    w[t] = (uint32_t)block[4 * t] << 24 | block[4 * t + 1] << 16 | block[4 * t + 2] << 8 | block[4 * t + 3];
  for (int t = 16; t < 64; t++) {
    uint32_t early = rotate(w[t - 15], 7) ^ rotate(w[t - 15], 18) ^ w[t - 15] >> 3;
    uint32_t late = rotate(w[t - 2], 17) ^ rotate(w[t - 2], 19) ^ w[t - 2] >> 10;
    w[t] = late + w[t - 7] + early + w[t - 16];
  }
  memcpy(s, state, sizeof s);
  for (int t = 0; t < 64; t++) {
    uint32_t choice = (s[4] & s[5]) ^ (~s[4] & s[6]);
    uint32_t majority = (s[0] & s[1]) ^ (s[0] & s[2]) ^ (s[1] & s[2]);
    uint32_t one = s[7] + (rotate(s[4], 6) ^ rotate(s[4], 11) ^ rotate(s[4], 25)) + choice + ROUND[t] + w[t];
    uint32_t two = (rotate(s[0], 2) ^ rotate(s[0], 13) ^ rotate(s[0], 22)) + majority;
    memmove(s + 1, s, 7 * sizeof *s);
    s[4] += one;
    s[0] = one + two;
  }
  for (int i = 0; i < 8; i++) state[i] += s[i];
}

void baton_sha256_begin(struct baton_sha256 *hash) {
  static const uint32_t INITIAL[8] = {
      0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19,
  };
  memcpy(hash->state, INITIAL, sizeof INITIAL);
  hash->count = 0;
}

void baton_sha256_add(struct baton_sha256 *hash, const void *bytes, size_t count) {
  const uint8_t *from = bytes;
  size_t filled = hash->count % 64;
  hash->count += count;
  if (filled > 0) {
    size_t part = count < 64 - filled ? count : 64 - filled;
    memcpy(hash->block + filled, from, part);
    from += part;
    count -= part;
    if (filled + part < 64) return;
    compress(hash->state, hash->block);
  }
  for (; count >= 64; from += 64, count -= 64) compress(hash->state, from);
  if (count > 0) memcpy(hash->block, from, count);
}

void baton_sha256_end(struct baton_sha256 *hash, uint8_t digest[BATON_HASH_BYTES]) {
  static const uint8_t PADDING[64] = {0x80};
  uint64_t bits = hash->count * 8;
  size_t filled = hash->count % 64;
  uint8_t length[8];
  for (int i = 0; i < 8; i++) length[i] = (uint8_t)(bits >> (56 - 8 * i));
  baton_sha256_add(hash, PADDING, filled < 56 ? 56 - filled : 120 - filled);
  baton_sha256_add(hash, length, sizeof length);
  for (int i = 0; i < BATON_HASH_BYTES; i++) digest[i] = (uint8_t)(hash->state[i / 4] >> (24 - 8 * (i % 4)));
}

void baton_hmac_begin(struct baton_hmac *mac, const void *key, size_t count) {
  uint8_t block[64] = {0};
  if (count > sizeof block) {
    baton_sha256_begin(&mac->inner);
    baton_sha256_add(&mac->inner, key, count);
    baton_sha256_end(&mac->inner, block);
  } else if (count > 0) {
    memcpy(block, key, count);
  }
  for (size_t i = 0; i < sizeof block; i++) block[i] ^= 0x36;
  baton_sha256_begin(&mac->inner);
  baton_sha256_add(&mac->inner, block, sizeof block);
  for (size_t i = 0; i < sizeof block; i++) block[i] ^= 0x36 ^ 0x5c;
  baton_sha256_begin(&mac->outer);
  baton_sha256_add(&mac->outer, block, sizeof block);
}

void baton_hmac_add(struct baton_hmac *mac, const void *bytes, size_t count) {
  baton_sha256_add(&mac->inner, bytes, count);
}

void baton_hmac_end(struct baton_hmac *mac, uint8_t tag[BATON_HASH_BYTES]) {
  uint8_t digest[BATON_HASH_BYTES];
  baton_sha256_end(&mac->inner, digest);
  baton_sha256_add(&mac->outer, digest, sizeof digest);
  baton_sha256_end(&mac->outer, tag);
}
