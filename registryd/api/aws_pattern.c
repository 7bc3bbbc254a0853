#include <pthread.h>
#include <regex.h>
#include <stdatomic.h>
#include <string.h>

#include "base/mem.h"
#include "base/obj.h"
#include "base/thread.h"
#include "registryd/api/aws_int.h"

/*
 * Patterns of shapes, as extended regular expressions of POSIX in the locale
 * "C".  Each is a literal of a table, so there are few of them: they stand in a
 * list that only grows, found by where the literal lies, and are compiled when
 * they are first asked for.  Readers take no lock.
 *
 * None has a back-reference, so the C library runs them as an automaton, in
 * time proportional to the text.
 */

/* No pattern takes a longer text; the shapes that have one end at 2,048. */
#define PATTERN_TEXT_MAX_BYTES 4096

struct compiled {
	const char *pattern;
	regex_t regex;
	struct compiled *next;
};

static struct compiled *_Atomic compiled_all;
static pthread_mutex_t compiled_lock = PTHREAD_MUTEX_INITIALIZER;

static struct compiled *
compiled_find(const char *pattern)
{
	struct compiled *p;

	p = atomic_load_explicit(&compiled_all, memory_order_acquire);
	while (p != NULL && p->pattern != pattern)
		p = p->next;
	return (p);
}

/* A pattern that does not compile is a mistake of the table's. */
static struct compiled *
compiled_new(const char *pattern)
{
	struct compiled *p = xcalloc(1, sizeof(*p));

	p->pattern = pattern;
	must(regcomp(&p->regex, pattern, REG_EXTENDED) == 0);
	p->next = atomic_load_explicit(&compiled_all, memory_order_relaxed);
	atomic_store_explicit(&compiled_all, p, memory_order_release);
	return (p);
}

static struct compiled *
compiled_get(const char *pattern)
{
	struct compiled *p;

	if ((p = compiled_find(pattern)) != NULL)
		return (p);
	mutex_lock(&compiled_lock);
	if ((p = compiled_find(pattern)) == NULL)
		p = compiled_new(pattern);
	mutex_unlock(&compiled_lock);
	return (p);
}

/* The longest match that begins first: it is all of the text, or the text
 * does not satisfy the pattern. */
bool
aws_pattern_ok(const char *pattern, struct span s)
{
	char text[PATTERN_TEXT_MAX_BYTES + 1];
	regmatch_t at;

	if (s.n > PATTERN_TEXT_MAX_BYTES ||
	    (s.n > 0 && memchr(s.p, '\0', s.n) != NULL))
		return (false);
	if (s.n > 0)
		memcpy(text, s.p, s.n);
	text[s.n] = '\0';
	if (regexec(&compiled_get(pattern)->regex, text, 1, &at, 0) != 0)
		return (false);
	return (at.rm_so == 0 && (size_t)at.rm_eo == s.n);
}
