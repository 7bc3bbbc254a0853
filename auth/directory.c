#include "auth/directory_int.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "base/keyring.h"
#include "base/mem.h"
#include "base/obj.h"

/*
 * Finding, once it is built.
 */
#define ARN_PREFIX "arn:aws:iam::"

/* --- memory -------------------------------------------------------------- */

void *
dir_alloc(struct directory *d, size_t n, size_t size)
{
	void *p = arena_calloc(&d->arena, n, size);

	if (p == NULL)
		wrong("out of memory");
	return (p);
}

struct span
dir_span(struct directory *d, struct span s)
{
	char *p = arena_dup(&d->arena, s.p, s.n);

	if (p == NULL)
		wrong("out of memory");
	return ((struct span){ p, s.n });
}

struct span
dir_printf(struct directory *d, const char *fmt, ...)
{
	struct span s;
	va_list ap;
	char *text;
	int n;

	va_start(ap, fmt);
	n = vasprintf(&text, fmt, ap);
	va_end(ap);
	if (n < 0)
		wrong("out of memory");
	s = dir_span(d, (struct span){ text, (size_t)n });
	free(text);
	return (s);
}

void
dir_list_add(struct dir_list *l, void *item)
{

	if (l->n == l->room) {
		l->room = l->room > 0 ? 2 * l->room : 16;
		l->items = xrealloc(l->items, l->room * sizeof(*l->items));
	}
	l->items[l->n++] = item;
}

/* --- tables -------------------------------------------------------------- */

static uint64_t
hash_bytes(uint64_t h, const char *p, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++)
		h = (h ^ (uint8_t)p[i]) * 1099511628211u;
	return (h);
}

/* FNV-1a over "ACCOUNT/NAME" in its two parts.  What stands in the tables the
 * administrator put there. */
static size_t
bucket_of(const struct dir_table *t, struct span account, struct span name)
{
	uint64_t h = 14695981039346656037u;

	if (account.n > 0) {
		h = hash_bytes(h, account.p, account.n);
		h = hash_bytes(h, "/", 1);
	}
	h = hash_bytes(h, name.p, name.n);
	return ((size_t)(h ^ (h >> 32)) & (t->n_buckets - 1));
}

void
dir_table_init(struct dir_table *t, struct arena *a, size_t n)
{

	t->n_buckets = 16;
	while (t->n_buckets < 2 * n)
		t->n_buckets *= 2;
	t->buckets = arena_calloc(a, t->n_buckets, sizeof(struct dir_node *));
	if (t->buckets == NULL)
		wrong("out of memory");
}

void
dir_table_add(struct dir_table *t, struct dir_node *node)
{
	struct dir_node **bucket;

	bucket = &t->buckets[bucket_of(t, SPAN_NONE, node->key)];
	node->next = *bucket;
	*bucket = node;
}

static bool
key_is(struct span key, struct span account, struct span name)
{

	if (account.n == 0)
		return (span_eq(key, name));
	return (key.n == account.n + 1 + name.n &&
		memcmp(key.p, account.p, account.n) == 0 &&
		key.p[account.n] == '/' &&
		span_eq((struct span){ key.p + account.n + 1, name.n }, name));
}

struct dir_node *
dir_table_find(const struct dir_table *t, struct span account, struct span name)
{
	struct dir_node *node;

	node = t->buckets[bucket_of(t, account, name)];
	while (node != NULL && !key_is(node->key, account, name))
		node = node->next;
	return (node);
}

struct dir_user *
dir_user_find(const struct directory *d, struct span account, struct span name)
{

	if (account.n == 0)
		return (NULL);
	return (
	    (struct dir_user *)dir_table_find(&d->user_table, account, name));
}

struct dir_group *
dir_group_find(const struct directory *d, struct span account, struct span name)
{

	if (account.n == 0)
		return (NULL);
	return (
	    (struct dir_group *)dir_table_find(&d->group_table, account, name));
}

struct dir_key *
dir_key_find(const struct directory *d, struct span id)
{

	return ((struct dir_key *)dir_table_find(&d->key_table, SPAN_NONE, id));
}

struct dir_policy *
dir_policy_find(
    const struct directory *d, struct span account, struct span name)
{

	if (account.n == 0)
		return (NULL);
	return ((struct dir_policy *)dir_table_find(
	    &d->policy_table, account, name));
}

/* "arn:aws:iam::ACCOUNT:" and ${what} before the name. */
static bool
arn_cut(struct span arn, struct span what, struct span *account_r,
    struct span *name_r)
{
	struct span prefix = SPAN(ARN_PREFIX), rest;

	if (!span_has_prefix(arn, prefix))
		return (false);
	rest = (struct span){ arn.p + prefix.n, arn.n - prefix.n };
	if (!span_split(&rest, ':', account_r) || account_r->n == 0 ||
	    !span_has_prefix(rest, what))
		return (false);
	*name_r = (struct span){ rest.p + what.n, rest.n - what.n };
	return (true);
}

struct dir_policy *
dir_policy_arn(const struct directory *d, struct span arn)
{
	struct span account, name;

	if (!arn_cut(arn, SPAN("policy/"), &account, &name))
		return (NULL);
	return (dir_policy_find(d, account, name));
}

struct dir_policy *
dir_policy_named(
    const struct directory *d, struct span account, struct span name)
{
	struct dir_policy *p;

	if (!span_has_prefix(name, SPAN("arn:"))) {
		p = dir_policy_find(d, account, name);
		return (p != NULL ? p : dir_policy_find(d, SPAN("aws"), name));
	}
	p = dir_policy_arn(d, name);
	if (p != NULL && !span_eq(p->account, account) &&
	    !span_is(p->account, "aws"))
		return (NULL);
	return (p);
}

const char *
dir_dummy(const struct directory *d, struct span name)
{
	const struct span parts[] = { SPAN("nobody"), name };
	const struct dir_user *u;
	uint8_t mac[AUTH_MAC_BYTES];
	uint64_t n;

	if (d->proofs.n == 0)
		return (NULL);
	auth_mac(d->mark_key, parts, ARRAY_LEN(parts), mac);
	memcpy(&n, mac, sizeof(n));
	u = d->proofs.items[n % d->proofs.n];
	return (u->proof.p);
}

/* --- what directory.h promises ------------------------------------------- */

struct directory *
directory_ref(struct directory *d)
{

	OBJ_CHECK(d, DIRECTORY_MAGIC);
	(void)atomic_fetch_add_explicit(&d->refs, 1, memory_order_relaxed);
	return (d);
}

void
directory_unref(struct directory **d_p)
{
	struct directory *d = *d_p;
	struct dir_group *g;
	size_t i;

	if (d == NULL)
		return;
	OBJ_CHECK(d, DIRECTORY_MAGIC);
	*d_p = NULL;
	if (atomic_fetch_sub_explicit(&d->refs, 1, memory_order_acq_rel) > 1)
		return;
	dir_policies_free(d);
	for (i = 0; i < d->groups.n; i++) {
		g = d->groups.items[i];
		free(g->members.items);
	}
	free(d->users.items);
	free(d->groups.items);
	free(d->policies.items);
	free(d->keys.items);
	free(d->proofs.items);
	arena_reset(&d->arena);
	mem_wipe(d, sizeof(*d));
	free(d);
}

uint64_t
directory_generation(const struct directory *d)
{

	return (d->serial);
}

struct span
directory_account(const struct directory *d)
{

	return (d->account);
}

const struct principal *
directory_anonymous(void)
{
	static const struct principal anonymous = {
		.kind = PRINCIPAL_ANONYMOUS,
		.name = SPAN_INIT("anonymous"),
		.arn = SPAN_INIT("anonymous"),
	};

	return (&anonymous);
}

const struct principal *
directory_user(const struct directory *d, struct span account, struct span name)
{
	const struct dir_user *u = dir_user_find(d, account, name);

	return (u != NULL ? &u->principal : NULL);
}

const struct principal *
directory_arn(const struct directory *d, struct span arn)
{
	struct span account, name;

	if (!arn_cut(arn, SPAN("user/"), &account, &name))
		return (NULL);
	return (directory_user(d, account, name));
}

const struct access_key *
directory_access_key(const struct directory *d, struct span id)
{
	const struct dir_key *k = dir_key_find(d, id);

	return (k != NULL ? &k->key : NULL);
}

const struct policy *
directory_registry_policy(const struct directory *d, uint64_t *revision_r)
{

	*revision_r = d->registry_revision;
	return (d->registry_policy);
}

/* --- tokens -------------------------------------------------------------- */

static bool
mark_none(const uint8_t mark[16])
{
	static const uint8_t zeros[16];

	return (memcmp(mark, zeros, sizeof(zeros)) == 0);
}

static bool
mark_good(const struct dir_user *u, const uint8_t mark[16])
{

	return (
	    u->proof.n > 0 && secret_eq((struct span){ (const char *)mark, 16 },
				  (struct span){ (const char *)u->mark, 16 }));
}

/* One of that name that was made after the token was issued is another user;
 * whole seconds, so that no rounding on the way makes a token too old. */
static bool
issued_void(const struct dir_user *u, int64_t issued_ms)
{

	return (issued_ms <= u->revoked_ms ||
		issued_ms / 1000 < u->holder.created_ms / 1000);
}

enum rc
directory_token(const struct directory *d, const struct token *t,
    const struct principal **principal_r)
{
	const struct dir_user *u;
	const struct dir_key *k;

	*principal_r = NULL;
	if (t->user.n == 0) {
		if (t->kind != TOKEN_BEARER)
			return (RC_DENIED);
		*principal_r = directory_anonymous();
		return (RC_OK);
	}
	u = dir_user_find(d, t->account, t->user);
	if (u == NULL || issued_void(u, t->issued_ms))
		return (RC_DENIED);
	if (!mark_none(t->password_mark) && !mark_good(u, t->password_mark))
		return (RC_DENIED);
	if (t->access_key.n == 0) {
		*principal_r = &u->principal;
		return (RC_OK);
	}
	k = dir_key_find(d, t->access_key);
	if (k == NULL || k->user != u || !k->key.active)
		return (RC_DENIED);
	*principal_r = &k->principal;
	return (RC_OK);
}
