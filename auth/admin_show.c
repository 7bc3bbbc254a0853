#include "auth/admin_int.h"

/*
 * What there is, as answers show it: in the words of AWS's IAM.
 */

static json_t *
names_json(const struct span *names, size_t n)
{
	json_t *a = json_array();
	size_t i;

	for (i = 0; i < n; i++)
		(void)json_array_append_new(a, admin_text(names[i]));
	return (a);
}

static json_t *
inlines_json(const struct dir_holder *h)
{
	json_t *a = json_array();
	size_t i;

	for (i = 0; i < h->n_inlines; i++)
		(void)json_array_append_new(a, admin_text(h->inlines[i].name));
	return (a);
}

/* What stands behind the last '/' of an ARN. */
static struct span
arn_name(struct span arn)
{
	const char *slash = memrchr(arn.p, '/', arn.n);

	if (slash == NULL)
		return (arn);
	return (
	    (struct span){ slash + 1, (size_t)(arn.p + arn.n - slash) - 1 });
}

json_t *
admin_attached_json(const struct dir_holder *h)
{
	json_t *a = json_array(), *o;
	size_t i;

	for (i = 0; i < h->n_attached; i++) {
		o = json_object();
		admin_set(
		    o, "PolicyName", admin_text(arn_name(h->attached[i])));
		admin_set(o, "PolicyArn", admin_text(h->attached[i]));
		(void)json_array_append_new(a, o);
	}
	return (a);
}

static json_t *
tags_json(const struct dir_user *u)
{
	json_t *o = json_object();
	size_t i;

	for (i = 0; i < u->n_tags; i++)
		admin_set(o, u->tags[i].name.p, admin_text(u->tags[i].value));
	return (o);
}

static json_t *
holder_json(const struct dir_holder *h, const char *name, const char *id)
{
	json_t *o = json_object();

	admin_set(o, name, admin_text(h->name));
	admin_set(o, id, admin_text(h->id));
	admin_set(o, "Arn", admin_text(h->arn));
	admin_set(o, "Account", admin_text(h->account));
	admin_set(o, "CreateDate", admin_date(h->created_ms));
	admin_set(o, "AttachedPolicies", admin_attached_json(h));
	admin_set(o, "InlinePolicies", inlines_json(h));
	return (o);
}

json_t *
admin_user_json(const struct dir_user *u)
{
	json_t *o = holder_json(&u->holder, "UserName", "UserId");

	admin_set(o, "Tags", tags_json(u));
	admin_set(o, "HasPassword", json_boolean(u->password.n > 0));
	admin_set(o, "Groups", names_json(u->groups, u->n_groups));
	return (o);
}

json_t *
admin_group_json(const struct dir_group *g)
{
	json_t *o = holder_json(&g->holder, "GroupName", "GroupId");
	json_t *users = json_array();
	const struct dir_user *u;
	size_t i;

	for (i = 0; i < g->members.n; i++) {
		u = g->members.items[i];
		(void)json_array_append_new(users, admin_text(u->holder.name));
	}
	admin_set(o, "Users", users);
	return (o);
}

json_t *
admin_policy_json(const struct dir_policy *p)
{
	json_t *o = json_object();

	admin_set(o, "PolicyName", admin_text(p->name));
	admin_set(o, "Arn", admin_text(p->arn));
	admin_set(
	    o, "AttachmentCount", json_integer((json_int_t)p->n_attached));
	if (p->created_ms == 0) /* AWS's: of no date here */
		return (o);
	admin_set(o, "CreateDate", admin_date(p->created_ms));
	admin_set(o, "UpdateDate", admin_date(p->updated_ms));
	return (o);
}

json_t *
admin_inline_json(struct span name, struct span owner)
{
	json_t *o = json_object();

	admin_set(o, "PolicyName", admin_text(name));
	admin_set(o, "InlineOf", admin_text(owner));
	return (o);
}

json_t *
admin_used_json(struct admin *x, struct span id)
{
	struct note note;
	json_t *o;

	if (auth_note_get(x->a, id, &note) != RC_OK)
		return (json_null());
	o = json_object();
	admin_set(o, "Date", admin_date(note.used_ms));
	admin_set(o, "ServiceName", admin_text(span_of(note.service)));
	admin_set(o, "Region", admin_text(span_of(note.region)));
	return (o);
}

json_t *
admin_key_json(struct admin *x, const struct dir_key *k)
{
	json_t *o = json_object(), *used;

	admin_set(o, "AccessKeyId", admin_text(k->key.id));
	admin_set(o, "UserName", admin_text(k->user->holder.name));
	admin_set(o, "Account", admin_text(k->user->holder.account));
	admin_set(
	    o, "Status", json_string(k->key.active ? "Active" : "Inactive"));
	admin_set(o, "CreateDate", admin_date(k->key.created_ms));
	used = admin_used_json(x, k->key.id);
	if (json_is_null(used))
		json_decref(used);
	else
		admin_set(o, "LastUsed", used);
	return (o);
}
