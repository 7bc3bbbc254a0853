#include "lifecycle_tools.h"

struct arena arena;

int
arena_begin(void **state)
{
	(void)state;
	arena_init(&arena, ARENA_BYTES);
	return (0);
}

int
arena_end(void **state)
{
	(void)state;
	arena_reset(&arena);
	return (0);
}
