#include "base/mem.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/obj.h"

/* malloc(0) may give NULL, which here means that memory is gone. */
static size_t
at_least_one(size_t n_bytes)
{
	return (n_bytes > 0 ? n_bytes : 1);
}

void *
xmalloc(size_t n_bytes)
{
	void *p;

	p = malloc(at_least_one(n_bytes));
	if (p == NULL)
		wrong("out of memory");
	return (p);
}

void *
xcalloc(size_t n, size_t size_bytes)
{
	void *p;

	p = calloc(at_least_one(n), at_least_one(size_bytes));
	if (p == NULL)
		wrong("out of memory");
	return (p);
}

void *
xrealloc(void *p, size_t n_bytes)
{
	void *grown;

	grown = realloc(p, at_least_one(n_bytes));
	if (grown == NULL)
		wrong("out of memory");
	return (grown);
}

char *
xstrdup(const char *s)
{
	return (xstrndup(s, strlen(s)));
}

char *
xstrndup(const char *s, size_t n)
{
	size_t len;
	char *copy;

	len = strnlen(s, n);
	copy = xmalloc(len + 1);
	memcpy(copy, s, len);
	copy[len] = '\0';
	return (copy);
}

char *
xasprintf(const char *fmt, ...)
{
	va_list ap;
	char *s;
	int n;

	va_start(ap, fmt);
	n = vasprintf(&s, fmt, ap);
	va_end(ap);
	if (n < 0)
		wrong("out of memory");
	return (s);
}

void
mem_wipe(void *p, size_t n)
{
	if (n > 0)
		explicit_bzero(p, n);
}
