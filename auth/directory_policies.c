#include "auth/directory_int.h"

#include <string.h>

#include "base/log.h"
#include "base/obj.h"

/*
 * The policies of a directory, each parsed once: users that have the same
 * text share it, and so do a directory and the one before it.
 */
#define POOL_KEY_BYTES 33 /* the kind and the SHA-256 of the text */

struct pool_row {
	struct dir_node node;
	struct policy *policy; /* NULL: it does not parse */
	struct pool_row *next;
};

static void
pool_key(enum policy_kind kind, struct span text, char key[POOL_KEY_BYTES])
{
	struct digest digest;

	digest_of(DIGEST_SHA256, text.p, text.n, &digest);
	key[0] = (char)kind;
	memcpy(key + 1, digest.bytes, POOL_KEY_BYTES - 1);
}

static struct pool_row *
pool_find(const struct policy_pool *pool, struct span key)
{

	if (pool->table.n_buckets == 0)
		return (NULL);
	return (
	    (struct pool_row *)dir_table_find(&pool->table, SPAN_NONE, key));
}

/* Twice as many places when it gets full; the old ones stay in the arena. */
static void
pool_add(struct directory *d, struct pool_row *row)
{
	struct policy_pool *pool = &d->pool;
	struct pool_row *r;

	row->next = pool->rows;
	pool->rows = row;
	if (++pool->n <= pool->table.n_buckets) {
		dir_table_add(&pool->table, &row->node);
		return;
	}
	dir_table_init(&pool->table, &d->arena, 2 * pool->n);
	for (r = pool->rows; r != NULL; r = r->next)
		dir_table_add(&pool->table, &r->node);
}

static struct policy *
parse(enum policy_kind kind, struct span text, const char *label)
{
	char why[POLICY_WHY_BYTES] = "";
	struct policy *p = NULL;
	enum rc rc;

	rc = policy_parse(kind, text, why, &p);
	if (rc == RC_OK)
		return (p);
	log_error("%s is not a policy any more: %s: %s; who is subject to it "
		  "may do nothing until it is replaced",
	    label, rc_text(rc), why);
	return (NULL);
}

const struct policy *
dir_policy_take(struct directory *d, enum policy_kind kind, struct span text,
    const char *label)
{
	const struct pool_row *old = NULL;
	char key[POOL_KEY_BYTES];
	struct pool_row *row;
	struct span k = { key, sizeof(key) };

	pool_key(kind, text, key);
	if ((row = pool_find(&d->pool, k)) != NULL)
		return (row->policy);
	if (d->before != NULL)
		old = pool_find(&d->before->pool, k);
	row = dir_alloc(d, 1, sizeof(*row));
	row->node.key = dir_span(d, k);
	if (old == NULL)
		row->policy = parse(kind, text, label);
	else if (old->policy != NULL)
		row->policy = policy_ref(old->policy);
	pool_add(d, row);
	return (row->policy);
}

void
dir_policies_free(struct directory *d)
{
	struct pool_row *row;

	for (row = d->pool.rows; row != NULL; row = row->next)
		policy_unref(&row->policy);
}

void
dir_deny_all_set(struct directory *d)
{
	const struct span text = SPAN("{\"Version\":\"2012-10-17\","
				      "\"Statement\":{\"Effect\":\"Deny\","
				      "\"Action\":\"*\",\"Resource\":\"*\"}}");

	d->deny_all = dir_policy_take(
	    d, POLICY_IDENTITY, text, "the policy that denies everything");
	must(d->deny_all != NULL);
}

/* The revision is of the text: the same one decides the same. */
void
dir_registry_set(struct directory *d, struct span text)
{
	const struct span closed = SPAN(
	    "{\"Version\":\"2012-10-17\",\"Statement\":{\"Effect\":\"Deny\","
	    "\"Principal\":\"*\",\"Action\":\"ecr:*\",\"Resource\":\"*\"}}");
	struct digest digest;

	digest_of(DIGEST_SHA256, text.p, text.n, &digest);
	memcpy(
	    &d->registry_revision, digest.bytes, sizeof(d->registry_revision));
	if (d->registry_revision == 0)
		d->registry_revision = 1;
	d->registry_policy = dir_policy_take(
	    d, POLICY_REGISTRY, text, "the policy of the registry");
	if (d->registry_policy == NULL)
		d->registry_policy = dir_policy_take(d, POLICY_REGISTRY, closed,
		    "the registry policy that denies everything");
	must(d->registry_policy != NULL);
}

void
dir_aws_add(struct directory *d)
{
	struct dir_policy *p;
	const char *name;
	size_t i;

	for (i = 0; (name = policy_managed_name(i)) != NULL; i++) {
		p = dir_alloc(d, 1, sizeof(*p));
		p->node.key = dir_printf(d, "aws/%s", name);
		p->account = SPAN("aws");
		p->name = span_of(name);
		p->arn = dir_printf(d, "arn:aws:iam::aws:policy/%s", name);
		p->policy = dir_policy_take(
		    d, POLICY_IDENTITY, policy_managed(p->name), name);
		must(p->policy != NULL);
		dir_list_add(&d->policies, p);
	}
}
