#include "auth/directory_int.h"

#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/obj.h"

/*
 * What was read is joined: policies to groups, both to users, users to keys,
 * the htpasswd file to users.
 */

static void
tables_fill(struct directory *d, struct dir_table *t, const struct dir_list *l)
{
	size_t i;

	dir_table_init(t, &d->arena, l->n);
	for (i = 0; i < l->n; i++)
		dir_table_add(t, l->items[i]);
}

/* --- policies of groups and users ---------------------------------------- */

static void
policy_add(struct dir_holder *h, const struct policy *p, const char *label)
{

	if (p == NULL && h->broken == NULL)
		h->broken = label;
	h->policies[h->n_policies++] =
	    (struct attached_policy){ .policy = p, .label = label };
}

/* A policy that is attached and not there may have been a denial. */
static void
attached_add(struct directory *d, struct dir_holder *h, struct span arn,
    const char *suffix)
{
	struct dir_policy *p = dir_policy_arn(d, arn);
	struct span label;

	if (p == NULL) {
		label = dir_printf(
		    d, SPAN_FMT "%s, which is missing", SPAN_ARG(arn), suffix);
		log_error("policy " SPAN_FMT " of " SPAN_FMT
			  " is missing; who is subject to it may do nothing",
		    SPAN_ARG(arn), SPAN_ARG(h->arn));
		policy_add(h, NULL, label.p);
		return;
	}
	p->n_attached++;
	label = dir_printf(d, SPAN_FMT "%s", SPAN_ARG(p->name), suffix);
	policy_add(h, p->policy, label.p);
	h->administrator |= span_is(p->arn, ADMINISTRATOR_ARN);
}

/* Of its own; ${more}: room for those of groups. */
static void
own_add(
    struct directory *d, struct dir_holder *h, size_t more, const char *suffix)
{
	size_t i;

	h->policies = dir_alloc(
	    d, h->n_attached + h->n_inlines + more, sizeof(*h->policies));
	for (i = 0; i < h->n_attached; i++)
		attached_add(d, h, h->attached[i], suffix);
	for (i = 0; i < h->n_inlines; i++)
		policy_add(h, h->inlines[i].policy, h->inlines[i].label);
}

bool
dir_administrator_attached(const struct dir_holder *h)
{
	size_t i;

	for (i = 0; i < h->n_attached; i++)
		if (span_is(h->attached[i], ADMINISTRATOR_ARN))
			return (true);
	return (false);
}

static void
group_link(struct directory *d, struct dir_group *g)
{
	struct span suffix;

	suffix = dir_printf(d, " of group " SPAN_FMT, SPAN_ARG(g->holder.name));
	own_add(d, &g->holder, 0, suffix.p);
}

static size_t
groups_policies(const struct directory *d, const struct dir_user *u)
{
	const struct dir_group *g;
	size_t n = 0, i;

	for (i = 0; i < u->n_groups; i++) {
		g = dir_group_find(d, u->holder.account, u->groups[i]);
		n += g != NULL ? g->holder.n_policies : 1;
	}
	return (n);
}

static void
group_add(struct directory *d, struct dir_user *u, struct span name)
{
	struct dir_group *g = dir_group_find(d, u->holder.account, name);
	struct span label;
	size_t i;

	if (g == NULL) {
		log_error("group " SPAN_FMT " of " SPAN_FMT
			  " is missing; the user may do nothing",
		    SPAN_ARG(name), SPAN_ARG(u->holder.arn));
		label = dir_printf(
		    d, "group " SPAN_FMT ", which is missing", SPAN_ARG(name));
		policy_add(&u->holder, NULL, label.p);
		return;
	}
	dir_list_add(&g->members, u);
	for (i = 0; i < g->holder.n_policies; i++)
		policy_add(&u->holder, g->holder.policies[i].policy,
		    g->holder.policies[i].label);
	u->holder.administrator |= g->holder.administrator;
}

static void
broken_close(struct directory *d, struct dir_holder *h)
{
	struct span label;

	if (h->broken == NULL)
		return;
	label = dir_printf(d, "%s (cannot be read)", h->broken);
	h->policies[0] =
	    (struct attached_policy){ .policy = d->deny_all, .label = label.p };
	h->n_policies = 1;
	h->administrator = false;
}

static void
user_link(struct directory *d, struct dir_user *u)
{
	struct dir_holder *h = &u->holder;
	size_t i;

	own_add(d, h, groups_policies(d, u), "");
	for (i = 0; i < u->n_groups; i++)
		group_add(d, u, u->groups[i]);
	broken_close(d, h);
	u->principal = (struct principal){
		.kind = PRINCIPAL_USER,
		.account = h->account,
		.name = h->name,
		.arn = h->arn,
		.id = h->id,
		.tags = u->tags,
		.n_tags = u->n_tags,
		.policies = h->policies,
		.n_policies = h->n_policies,
	};
}

/* --- access keys --------------------------------------------------------- */

/* From the last to the first, so that each user's list is in order. */
static void
keys_link(struct directory *d)
{
	struct dir_key *k;
	size_t i;

	for (i = d->keys.n; i-- > 0;) {
		k = d->keys.items[i];
		k->user = dir_user_find(d, k->account, k->user_name);
		if (k->user == NULL || k->user->of_htpasswd) {
			log_error("access key " SPAN_FMT
				  " is of a user who does not exist",
			    SPAN_ARG(k->key.id));
			memmove(&d->keys.items[i], &d->keys.items[i + 1],
			    (d->keys.n - i - 1) * sizeof(*d->keys.items));
			d->keys.n--;
			continue;
		}
		k->next = k->user->keys;
		k->user->keys = k;
		k->principal = k->user->principal;
		k->principal.access_key = k->key.id;
		k->key.user = &k->principal;
	}
	tables_fill(d, &d->key_table, &d->keys);
}

/* --- passwords ----------------------------------------------------------- */

static void
proof_set(struct directory *d, struct dir_user *u, struct span proof)
{
	const struct span parts[] = { SPAN("password"), u->holder.node.key,
		proof };
	uint8_t mac[AUTH_MAC_BYTES];

	u->proof = proof;
	auth_mac(d->mark_key, parts, ARRAY_LEN(parts), mac);
	memcpy(u->mark, mac, sizeof(u->mark));
	dir_list_add(&d->proofs, u);
}

/* The htpasswd file's users that are no others'. */
static struct dir_user *
htpasswd_user(struct directory *d, struct span name)
{
	struct dir_user *u = dir_alloc(d, 1, sizeof(*u));
	struct dir_holder *h = &u->holder;
	char id[IAM_ID_BYTES];

	h->node.key = dir_printf(
	    d, SPAN_FMT "/" SPAN_FMT, SPAN_ARG(d->account), SPAN_ARG(name));
	h->account = d->account;
	h->name = dir_span(d, name);
	h->arn = dir_printf(d, "arn:aws:iam::" SPAN_FMT ":user/" SPAN_FMT,
	    SPAN_ARG(d->account), SPAN_ARG(name));
	iam_id_of("AIDA", h->arn, id);
	h->id = dir_span(d, span_of(id));
	u->of_htpasswd = true;
	u->principal = (struct principal){ .kind = PRINCIPAL_USER,
		.account = h->account,
		.name = h->name,
		.arn = h->arn,
		.id = h->id };
	return (u);
}

/* What they may do is the same for all of them. */
static void
htpasswd_policies(struct directory *d, const struct directory_source *source,
    struct dir_holder *h)
{
	struct dir_policy *p;
	struct span name;
	size_t i;

	h->arn = SPAN("the users of the htpasswd file");
	h->policies =
	    dir_alloc(d, source->n_htpasswd_policies + 1, sizeof(*h->policies));
	for (i = 0; i < source->n_htpasswd_policies; i++) {
		name = span_of(source->htpasswd_policies[i]);
		p = dir_policy_named(d, d->account, name);
		if (p != NULL)
			attached_add(d, h, p->arn, "");
		else
			attached_add(d, h, name, "");
	}
	broken_close(d, h);
}

static void
htpasswd_link(struct directory *d, const struct directory_source *source)
{
	const struct htpasswd *file = source->htpasswd;
	struct dir_holder all = { 0 };
	struct dir_user *u;
	size_t i;

	if (file == NULL)
		return;
	htpasswd_policies(d, source, &all);
	for (i = 0; i < file->n; i++) {
		u = dir_user_find(d, d->account, file->users[i].name);
		if (u == NULL) {
			u = htpasswd_user(d, file->users[i].name);
			u->principal.policies = all.policies;
			u->principal.n_policies = all.n_policies;
			dir_table_add(&d->user_table, &u->holder.node);
		}
		if (u->password.n == 0)
			proof_set(d, u, dir_span(d, file->users[i].hash));
	}
}

static void
passwords_link(struct directory *d, const struct directory_source *source)
{
	struct dir_user *u;
	size_t i;

	for (i = 0; i < d->users.n; i++) {
		u = d->users.items[i];
		if (u->password.n > 0)
			proof_set(d, u, u->password);
	}
	htpasswd_link(d, source);
}

void
dir_link(struct directory *d, const struct directory_source *source)
{
	size_t i;

	tables_fill(d, &d->policy_table, &d->policies);
	tables_fill(d, &d->group_table, &d->groups);
	tables_fill(d, &d->user_table, &d->users);
	for (i = 0; i < d->groups.n; i++)
		group_link(d, d->groups.items[i]);
	for (i = 0; i < d->users.n; i++)
		user_link(d, d->users.items[i]);
	keys_link(d);
	passwords_link(d, source);
}
