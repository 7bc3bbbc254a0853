#include "registryd/net/caps.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "base/mem.h"
#include "base/obj.h"
#include "base/thread.h"

#define CAPS_MAGIC 0x43617073u
#define CAPS_BUCKETS 1024u

struct entry {
	struct entry *next;
	struct addr addr;
	unsigned n;
};

struct caps {
	unsigned magic;
	uint64_t seed; /* clients choose addresses, not buckets */
	pthread_mutex_t lock;
	struct entry *buckets[CAPS_BUCKETS];
};

struct caps *
caps_new(void)
{
	struct caps *c = xcalloc(1, sizeof(*c));

	c->magic = CAPS_MAGIC;
	must(getrandom(&c->seed, sizeof(c->seed), 0) == sizeof(c->seed));
	mutex_init(&c->lock);
	return (c);
}

void
caps_free(struct caps **cp)
{
	struct caps *c = *cp;
	unsigned i;

	*cp = NULL;
	if (c == NULL)
		return;
	OBJ_CHECK(c, CAPS_MAGIC);
	for (i = 0; i < CAPS_BUCKETS; i++)
		must(c->buckets[i] == NULL);
	pthread_mutex_destroy(&c->lock);
	c->magic = 0;
	free(c);
}

static struct addr
key_of(const struct addr *a)
{
	struct addr key = *a;

	if (key.kind == ADDR_V6)
		memset(key.bytes + 8, 0, 8);
	return (key);
}

/* The place where ${key} is linked, or would be. */
static struct entry **
find(struct caps *c, const struct addr *key)
{
	uint64_t h = c->seed ^ key->kind, part;
	struct entry **ep;
	size_t i;

	for (i = 0; i < sizeof(key->bytes); i += sizeof(part)) {
		memcpy(&part, key->bytes + i, sizeof(part));
		h = (h ^ part) * 0x9e3779b97f4a7c15u;
		h ^= h >> 32;
	}
	ep = &c->buckets[h % CAPS_BUCKETS];
	while (*ep != NULL && !addr_eq(&(*ep)->addr, key))
		ep = &(*ep)->next;
	return (ep);
}

enum rc
caps_enter(struct caps *c, const struct addr *a, unsigned max)
{
	struct addr key = key_of(a);
	struct entry **ep;
	enum rc rc = RC_OK;

	OBJ_CHECK(c, CAPS_MAGIC);
	mutex_lock(&c->lock);
	ep = find(c, &key);
	if (*ep == NULL) {
		*ep = xcalloc(1, sizeof(**ep));
		(*ep)->addr = key;
	}
	if ((*ep)->n >= max)
		rc = RC_LIMIT;
	else
		(*ep)->n++;
	mutex_unlock(&c->lock);
	return (rc);
}

void
caps_leave(struct caps *c, const struct addr *a)
{
	struct addr key = key_of(a);
	struct entry **ep, *e;

	OBJ_CHECK(c, CAPS_MAGIC);
	mutex_lock(&c->lock);
	ep = find(c, &key);
	e = *ep;
	must(e != NULL && e->n > 0);
	if (--e->n == 0) {
		*ep = e->next;
		free(e);
	}
	mutex_unlock(&c->lock);
}
