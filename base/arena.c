#include "base/arena.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/obj.h"

/*
 * Blocks are cut from front to back and never given back singly.  Most
 * requests fit into the first block, so they cost one malloc and one free.
 * Each further block is twice the one before; what would waste much of a
 * block gets one of its own, and the block in use stays in use.
 */
#define BLOCK_FIRST_BYTES ((size_t)2048)
#define BLOCK_MAX_BYTES ((size_t)65536)
#define BLOCK_OWN_BYTES (BLOCK_MAX_BYTES / 4)

#define ALIGN_BYTES _Alignof(max_align_t)

/*
 * The address sanitizer sees an arena as a few big blocks only; told what is
 * handed out, with a gap behind each piece, it finds overruns in there too.
 */
#ifdef __SANITIZE_ADDRESS__
#define ARENA_ASAN 1
#endif
#ifdef __has_feature
#if __has_feature(address_sanitizer)
#define ARENA_ASAN 1
#endif
#endif

#ifdef ARENA_ASAN
#include <sanitizer/asan_interface.h>
#define GAP_BYTES ALIGN_BYTES
#define HIDE(p, n) ASAN_POISON_MEMORY_REGION((p), (n))
#define SHOW(p, n) ASAN_UNPOISON_MEMORY_REGION((p), (n))
#else
#define GAP_BYTES ((size_t)0)
#define HIDE(p, n) ((void)(p), (void)(n))
#define SHOW(p, n) ((void)(p), (void)(n))
#endif

struct arena_block {
	struct arena_block *next;
	size_t room_bytes;
	size_t used_bytes;
	_Alignas(max_align_t) unsigned char bytes[];
};

struct arena_cleanup {
	struct arena_cleanup *next;
	void (*fn)(void *);
	void *arg;
};

void
arena_init(struct arena *a, size_t cap_bytes)
{
	*a = (struct arena){ .cap_bytes = cap_bytes };
}

void
arena_reset(struct arena *a)
{
	struct arena_cleanup *c;
	struct arena_block *b;

	while ((c = a->cleanups) != NULL) {
		a->cleanups = c->next;
		c->fn(c->arg);
	}
	while ((b = a->blocks) != NULL) {
		a->blocks = b->next;
		free(b);
	}
	a->used_bytes = 0;
}

static size_t
room_next(const struct arena *a, size_t size)
{
	size_t room = BLOCK_FIRST_BYTES;

	if (a->blocks != NULL && a->blocks->room_bytes < BLOCK_MAX_BYTES)
		room = 2 * a->blocks->room_bytes;
	else if (a->blocks != NULL && a->blocks->room_bytes == BLOCK_MAX_BYTES)
		room = BLOCK_MAX_BYTES;
	if (room > BLOCK_MAX_BYTES)
		room = BLOCK_MAX_BYTES;
	while (room < size)
		room *= 2;
	return (room);
}

/* The first of the list is the one in use; a block for one stands behind. */
static void
block_link(struct arena *a, struct arena_block *b, bool own)
{
	if (own && a->blocks != NULL) {
		b->next = a->blocks->next;
		a->blocks->next = b;
	} else {
		b->next = a->blocks;
		a->blocks = b;
	}
}

static struct arena_block *
block_add(struct arena *a, size_t size)
{
	bool own = size > BLOCK_OWN_BYTES;
	struct arena_block *b;
	size_t room;

	room = own ? size : room_next(a, size);
	b = malloc(sizeof(*b) + room);
	if (b == NULL)
		return (NULL);
	b->room_bytes = room;
	b->used_bytes = 0;
	HIDE(b->bytes, room);
	block_link(a, b, own);
	return (b);
}

/* NULL only if memory is gone or ${n_bytes} is no size of this world. */
static void *
piece_take(struct arena *a, size_t n_bytes)
{
	struct arena_block *b = a->blocks;
	size_t size;
	void *p;

	if (n_bytes > SIZE_MAX / 2)
		return (NULL);
	size = (n_bytes + GAP_BYTES + ALIGN_BYTES - 1) & ~(ALIGN_BYTES - 1);
	if (size == 0)
		size = ALIGN_BYTES;
	if (b == NULL || size > b->room_bytes - b->used_bytes)
		b = block_add(a, size);
	if (b == NULL)
		return (NULL);
	p = b->bytes + b->used_bytes;
	b->used_bytes += size;
	SHOW(p, n_bytes);
	return (p);
}

void *
arena_alloc(struct arena *a, size_t n_bytes)
{
	void *p;

	if (n_bytes > a->cap_bytes - a->used_bytes)
		return (NULL);
	p = piece_take(a, n_bytes);
	if (p != NULL)
		a->used_bytes += n_bytes;
	return (p);
}

void *
arena_calloc(struct arena *a, size_t n, size_t size_bytes)
{
	size_t total;
	void *p;

	if (__builtin_mul_overflow(n, size_bytes, &total))
		return (NULL);
	p = arena_alloc(a, total);
	if (p != NULL)
		memset(p, 0, total);
	return (p);
}

char *
arena_dup(struct arena *a, const void *p, size_t n_bytes)
{
	char *copy;

	if (n_bytes == SIZE_MAX)
		return (NULL);
	copy = arena_alloc(a, n_bytes + 1);
	if (copy == NULL)
		return (NULL);
	if (n_bytes > 0)
		memcpy(copy, p, n_bytes);
	copy[n_bytes] = '\0';
	return (copy);
}

struct span
arena_span(struct arena *a, struct span s)
{
	const char *p;

	p = arena_dup(a, s.p, s.n);
	return ((struct span){ p, p != NULL ? s.n : 0 });
}

char *
arena_printf(struct arena *a, const char *fmt, ...)
{
	char text[256]; /* nearly all of them fit, and are formatted once */
	va_list ap;
	char *out;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (n < 0)
		return (NULL);
	if ((size_t)n < sizeof(text))
		return (arena_dup(a, text, (size_t)n));
	out = arena_alloc(a, (size_t)n + 1);
	if (out == NULL)
		return (NULL);
	va_start(ap, fmt);
	(void)vsnprintf(out, (size_t)n + 1, fmt, ap);
	va_end(ap);
	return (out);
}

void
arena_defer(struct arena *a, void (*fn)(void *), void *arg)
{
	struct arena_cleanup *c;

	c = piece_take(a, sizeof(*c));
	if (c == NULL)
		wrong("out of memory");
	c->fn = fn;
	c->arg = arg;
	c->next = a->cleanups;
	a->cleanups = c;
}
