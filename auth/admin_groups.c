#include "auth/admin_int.h"

#include "base/obj.h"

/*
 * Groups.  Who is a member stands in the users' records.
 */

enum rc
op_group_create(struct admin *x)
{
	struct dir_group g = { .holder = { .account = x->account } };
	struct dir_holder *h = &g.holder;
	json_t *o;
	char *arn;
	enum rc rc;

	rc = admin_name(x, M_NAME, POLICY_NAME_MAX_BYTES, &h->name);
	if (rc != RC_OK)
		return (rc);
	if (dir_group_find(x->d, x->account, h->name) != NULL)
		return (admin_fail(x, RC_EXISTS,
		    "there is a group \"" SPAN_FMT "\" already",
		    SPAN_ARG(h->name)));
	o = admin_record(x, "AGPA");
	arn =
	    arena_printf(&x->arena, "arn:aws:iam::" SPAN_FMT ":group/" SPAN_FMT,
		SPAN_ARG(x->account), SPAN_ARG(h->name));
	must(arn != NULL);
	h->arn = span_of(arn);
	h->id = span_of(json_string_value(json_object_get(o, "id")));
	h->created_ms = x->now_ms;
	admin_answer(x, "Group", admin_group_json(&g));
	return (admin_put(
	    x, ENTITY_GROUP, admin_key(x, x->account, h->name), o, true));
}

enum rc
op_group_list(struct admin *x)
{
	json_t *groups = json_array();
	const struct dir_group *g;
	size_t i;

	for (i = 0; i < x->d->groups.n; i++) {
		g = x->d->groups.items[i];
		if (x->in[M_ACCOUNT] == NULL ||
		    span_eq(g->holder.account, x->account))
			(void)json_array_append_new(
			    groups, admin_group_json(g));
	}
	admin_answer(x, "Groups", groups);
	return (RC_OK);
}

enum rc
op_group_show(struct admin *x)
{
	struct dir_group *g;
	enum rc rc;

	if ((rc = admin_group(x, M_NAME, &g)) != RC_OK)
		return (rc);
	admin_answer(x, "Group", admin_group_json(g));
	return (RC_OK);
}

static size_t
group_place(const json_t *groups, struct span name)
{
	size_t i;

	for (i = 0; i < json_array_size(groups); i++)
		if (span_is(name, json_string_value(json_array_get(groups, i))))
			break;
	return (i);
}

/* Membership stands with the user. */
static enum rc
member_set(
    struct admin *x, const struct dir_user *u, struct span group, bool member)
{
	json_t *o, *groups;
	enum rc rc;
	size_t i;

	rc = admin_get(x, ENTITY_USER, u->holder.node.key, &o);
	if (rc != RC_OK)
		return (rc);
	groups = json_object_get(o, "groups");
	if (!json_is_array(groups)) {
		admin_set(o, "groups", json_array());
		groups = json_object_get(o, "groups");
	}
	i = group_place(groups, group);
	if (!member)
		(void)json_array_remove(groups, i);
	else if (i == json_array_size(groups))
		(void)json_array_append_new(groups, admin_text(group));
	return (admin_put(x, ENTITY_USER, u->holder.node.key, o, false));
}

static enum rc
group_loss_check(
    struct admin *x, const struct dir_user *u, const struct dir_group *g)
{
	const struct admin_loss loss = { .user = u, .group = g };

	return (g->holder.administrator ? admin_loss_check(x, &loss) : RC_OK);
}

enum rc
op_group_delete(struct admin *x)
{
	struct dir_group *g;
	enum rc rc;
	size_t i;

	if ((rc = admin_group(x, M_NAME, &g)) != RC_OK ||
	    (rc = group_loss_check(x, NULL, g)) != RC_OK)
		return (rc);
	for (i = 0; rc == RC_OK && i < g->members.n; i++)
		rc = member_set(x, g->members.items[i], g->holder.name, false);
	admin_delete(x, ENTITY_GROUP, g->holder.node.key);
	return (rc);
}

static enum rc
member_change(struct admin *x, bool member)
{
	struct dir_group *g;
	struct dir_user *u;
	bool is = false;
	enum rc rc;
	size_t i;

	if ((rc = admin_group(x, M_NAME, &g)) != RC_OK ||
	    (rc = admin_user(x, M_USER, &u)) != RC_OK)
		return (rc);
	for (i = 0; i < u->n_groups; i++)
		is |= span_eq(u->groups[i], g->holder.name);
	if (is == member && member)
		return (RC_OK);
	if (is == member)
		return (admin_fail(x, RC_NOTFOUND,
		    "\"" SPAN_FMT "\" is no member of \"" SPAN_FMT "\"",
		    SPAN_ARG(u->holder.name), SPAN_ARG(g->holder.name)));
	if (!member && (rc = group_loss_check(x, u, g)) != RC_OK)
		return (rc);
	return (member_set(x, u, g->holder.name, member));
}

enum rc
op_group_add(struct admin *x)
{

	return (member_change(x, true));
}

enum rc
op_group_remove(struct admin *x)
{

	return (member_change(x, false));
}
