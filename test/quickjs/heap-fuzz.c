/*
 * Takes, changes and gives back blocks of the engine's heap at random; each keeps what was written to it. Argument: a
 * seed.
 */

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../targets/quickjs/heap.h"

#define BLOCKS 2000
#define ROUNDS 600000
#define LIMIT (640u * 1024)

static struct {
  uint8_t *at;
  size_t bytes;
  uint8_t mark;
} blocks[BLOCKS];

static void check(int holds, const char *what) {
  if (holds) return;
  printf("%s\n", what);
  exit(1);
}

static size_t random_size(void) {
  int kind = rand() % 20;
  return (size_t)(kind == 0 ? rand() % 20000 : kind < 4 ? rand() % 1200 : 1 + rand() % 100);
}

int main(int argc, char **argv) {
  JSMallocState state = {.malloc_limit = LIMIT};
  size_t most = 0;
  srand((unsigned)(argc > 1 ? atoi(argv[1]) : 1));
  for (int round = 0; round < ROUNDS; round++) {
    int i = rand() % BLOCKS;
    for (size_t b = 0; b < blocks[i].bytes; b++) check(blocks[i].at[b] == blocks[i].mark, "a block was overwritten");
    int is_given = rand() % 3 == 0;
    size_t bytes = is_given ? 0 : random_size();
    uint8_t *block = baton_heap.js_realloc(&state, blocks[i].at, bytes);
    if (bytes == 0) {
      check(block == NULL, "nothing was asked for");
      blocks[i].at = NULL;
      blocks[i].bytes = 0;
      continue;
    }
    check(state.malloc_size <= LIMIT + 16 * BLOCKS, "beyond the limit");
    if (block == NULL) continue;
    check((uintptr_t)block % 16 == 0, "not aligned");
    check(baton_heap.js_malloc_usable_size(block) >= bytes, "smaller than asked for");
    for (size_t b = 0; b < (bytes < blocks[i].bytes ? bytes : blocks[i].bytes); b++)
      check(block[b] == blocks[i].mark, "what was there is not kept");
    blocks[i].at = block;
    blocks[i].bytes = bytes;
    blocks[i].mark = (uint8_t)rand();
    memset(block, blocks[i].mark, bytes);
    if (state.malloc_size > most) most = state.malloc_size;
  }
  check(most > LIMIT / 2, "the limit was never near");
  check(baton_heap.js_malloc(&state, LIMIT) == NULL && baton_heap.js_malloc(&state, SIZE_MAX) == NULL,
        "a block beyond the limit");
  for (int i = 0; i < BLOCKS; i++) baton_heap.js_free(&state, blocks[i].at);
  check(state.malloc_size == 0 && state.malloc_count == 0, "the account does not end at nothing");
  printf("sound\n");
  return 0;
}
