#include "auth/admin_int.h"

#include "base/json.h"
#include "base/obj.h"

/*
 * Policies: managed ones of an account, inline ones of a user or a group,
 * what is attached, and the registry's own.
 */

/* --- of whom ------------------------------------------------------------- */

/* The user or the group that a request names. */
struct owner {
	const struct dir_holder *holder; /* NULL: none named */
	const struct dir_user *user;	 /* of one of these */
	const struct dir_group *group;
	enum entity_kind kind;
};

static enum rc
owner_find(struct admin *x, bool required, struct owner *owner_r)
{
	struct dir_user *u;
	struct dir_group *g;
	enum rc rc;

	*owner_r = (struct owner){ 0 };
	if (x->in[M_USER] != NULL && x->in[M_GROUP] != NULL)
		return (
		    admin_fail(x, RC_INVALID, "a user or a group, not both"));
	if (x->in[M_USER] != NULL) {
		if ((rc = admin_user(x, M_USER, &u)) != RC_OK)
			return (rc);
		*owner_r = (struct owner){
			.holder = &u->holder, .user = u, .kind = ENTITY_USER
		};
	} else if (x->in[M_GROUP] != NULL) {
		if ((rc = admin_group(x, M_GROUP, &g)) != RC_OK)
			return (rc);
		*owner_r = (struct owner){
			.holder = &g->holder, .group = g, .kind = ENTITY_GROUP
		};
	} else if (required) {
		return (admin_fail(
		    x, RC_INVALID, "a user or a group must be named"));
	}
	return (RC_OK);
}

static enum rc
no_policy(struct admin *x, struct span name)
{

	return (admin_fail(x, RC_NOTFOUND,
	    "there is no policy \"" SPAN_FMT "\" here", SPAN_ARG(name)));
}

static enum rc
document_check(struct admin *x, enum policy_kind kind, struct span *text_r)
{
	char why[POLICY_WHY_BYTES] = "";
	struct policy *p = NULL;
	enum rc rc;

	*text_r = admin_str(x, M_DOCUMENT);
	rc = policy_parse(kind, *text_r, why, &p);
	policy_unref(&p);
	if (rc == RC_TOOBIG)
		return (admin_fail(x, RC_INVALID,
		    "a policy has at most %d characters",
		    POLICY_TEXT_MAX_BYTES));
	if (rc != RC_OK)
		return (admin_fail(x, RC_INVALID, "%s", why));
	return (RC_OK);
}

/* --- inline -------------------------------------------------------------- */

static enum rc
inline_put(
    struct admin *x, const struct owner *w, struct span name, struct span text)
{
	struct span key = w->holder->node.key;
	json_t *o, *map;
	enum rc rc;

	if ((rc = admin_get(x, w->kind, key, &o)) != RC_OK)
		return (rc);
	map = json_object_get(o, "inline");
	if (!json_is_object(map)) {
		admin_set(o, "inline", json_object());
		map = json_object_get(o, "inline");
	}
	must(json_object_setn_new(map, name.p, name.n, admin_text(text)) == 0);
	admin_answer(x, "Policy", admin_inline_json(name, w->holder->arn));
	return (admin_put(x, w->kind, key, o, false));
}

static bool
inline_has(const struct dir_holder *h, struct span name)
{
	size_t i;

	for (i = 0; i < h->n_inlines; i++)
		if (span_eq(h->inlines[i].name, name))
			return (true);
	return (false);
}

static enum rc
inline_get(struct admin *x, const struct owner *w, struct span name)
{
	json_t *o, *policy, *text;
	enum rc rc;

	if (!inline_has(w->holder, name))
		return (no_policy(x, name));
	rc = admin_get(x, w->kind, w->holder->node.key, &o);
	if (rc != RC_OK)
		return (rc);
	policy = admin_inline_json(name, w->holder->arn);
	/* The names of policies hold no NUL, nor do keys. */
	text = json_object_getn(json_object_get(o, "inline"), name.p, name.n);
	admin_set(policy, "Document", json_incref(text));
	admin_answer(x, "Policy", policy);
	json_decref(o);
	return (RC_OK);
}

static enum rc
inline_delete(struct admin *x, const struct owner *w, struct span name)
{
	json_t *o;
	enum rc rc;

	if (!inline_has(w->holder, name))
		return (no_policy(x, name));
	rc = admin_get(x, w->kind, w->holder->node.key, &o);
	if (rc != RC_OK)
		return (rc);
	(void)json_object_deln(json_object_get(o, "inline"), name.p, name.n);
	return (admin_put(x, w->kind, w->holder->node.key, o, false));
}

/* --- managed ------------------------------------------------------------- */

static json_t *
managed_json(struct admin *x, struct span name, const struct dir_policy *old)
{
	struct dir_policy p = { .name = name,
		.account = x->account,
		.created_ms = x->now_ms,
		.updated_ms = x->now_ms };
	char *arn;

	arn = arena_printf(&x->arena,
	    "arn:aws:iam::" SPAN_FMT ":policy/" SPAN_FMT, SPAN_ARG(x->account),
	    SPAN_ARG(name));
	must(arn != NULL);
	p.arn = span_of(arn);
	if (old != NULL) {
		p.created_ms = old->created_ms;
		p.n_attached = old->n_attached;
	}
	return (admin_policy_json(&p));
}

static enum rc
managed_put(struct admin *x, struct span name, struct span text)
{
	const struct dir_policy *old = dir_policy_find(x->d, x->account, name);
	int64_t created_ms = old != NULL ? old->created_ms : x->now_ms;
	json_t *o;

	if (dir_policy_find(x->d, SPAN("aws"), name) != NULL)
		return (admin_fail(x, RC_EXISTS,
		    "\"" SPAN_FMT "\" is one of AWS's: choose another name",
		    SPAN_ARG(name)));
	o = json_object();
	admin_set(o, "created_ms", json_integer(created_ms));
	admin_set(o, "updated_ms", json_integer(x->now_ms));
	admin_set(o, "document", admin_text(text));
	admin_answer(x, "Policy", managed_json(x, name, old));
	/* Not necessarily new: a damaged one is replaced, too. */
	return (admin_put(
	    x, ENTITY_POLICY, admin_key(x, x->account, name), o, false));
}

/* By name or ARN. */
static enum rc
managed_find(struct admin *x, enum admin_member m, struct dir_policy **p_r)
{
	struct span name = admin_str(x, m);
	enum rc rc;

	*p_r = dir_policy_named(x->d, x->account, name);
	if (*p_r != NULL)
		return (RC_OK);
	if (!span_has_prefix(name, SPAN("arn:")) &&
	    (rc = admin_name(x, m, POLICY_NAME_MAX_BYTES, &name)) != RC_OK)
		return (rc);
	return (admin_fail(x, RC_NOTFOUND,
	    "there is no policy \"%.*s\" for account " SPAN_FMT,
	    (int)(name.n < 256 ? name.n : 256), name.p, SPAN_ARG(x->account)));
}

static enum rc
managed_get(struct admin *x)
{
	struct dir_policy *p;
	json_t *o = NULL, *policy;
	enum rc rc;

	if ((rc = managed_find(x, M_NAME, &p)) != RC_OK)
		return (rc);
	if (!span_is(p->account, "aws") &&
	    (rc = admin_get(x, ENTITY_POLICY, p->node.key, &o)) != RC_OK)
		return (rc);
	policy = admin_policy_json(p);
	if (o != NULL)
		admin_set(policy, "Document",
		    json_incref(json_object_get(o, "document")));
	else
		admin_set(
		    policy, "Document", admin_text(policy_managed(p->name)));
	admin_answer(x, "Policy", policy);
	json_decref(o);
	return (RC_OK);
}

/* Something that names it still, for the message; NULL: nothing does. */
static const struct dir_holder *
policy_holder(const struct dir_list *l, struct span arn)
{
	const struct dir_holder *h;
	size_t i, k;

	for (i = 0; i < l->n; i++) {
		h = l->items[i];
		for (k = 0; k < h->n_attached; k++)
			if (span_eq(h->attached[k], arn))
				return (h);
	}
	return (NULL);
}

/* The htpasswd file's users have policies by the settings. */
static bool
htpasswd_has(struct admin *x, const struct dir_policy *p)
{
	struct auth *a = x->a;
	size_t i;

	for (i = 0; i < a->n_htpasswd_policies; i++)
		if (dir_policy_named(x->d, x->d->account,
			span_of(a->htpasswd_policies[i])) == p)
			return (true);
	return (false);
}

static enum rc
managed_delete(struct admin *x)
{
	const struct dir_holder *h;
	struct dir_policy *p;
	enum rc rc;

	if ((rc = managed_find(x, M_NAME, &p)) != RC_OK)
		return (rc);
	if (span_is(p->account, "aws"))
		return (admin_fail(x, RC_INVALID,
		    "\"" SPAN_FMT "\" is one of AWS's and stays",
		    SPAN_ARG(p->name)));
	if ((h = policy_holder(&x->d->users, p->arn)) == NULL)
		h = policy_holder(&x->d->groups, p->arn);
	if (h != NULL)
		return (admin_fail(x, RC_REFERENCED,
		    "\"" SPAN_FMT "\" is attached to " SPAN_FMT
		    ": detach it first",
		    SPAN_ARG(p->name), SPAN_ARG(h->arn)));
	if (htpasswd_has(x, p))
		return (admin_fail(x, RC_REFERENCED,
		    "\"" SPAN_FMT "\" is named by the setting "
		    "htpasswd.policies",
		    SPAN_ARG(p->name)));
	admin_delete(x, ENTITY_POLICY, p->node.key);
	return (RC_OK);
}

/* --- operations ---------------------------------------------------------- */

enum rc
op_policy_put(struct admin *x)
{
	struct span name, text;
	struct owner w;
	enum rc rc;

	if ((rc = admin_name(x, M_NAME, POLICY_NAME_MAX_BYTES, &name)) !=
		RC_OK ||
	    (rc = owner_find(x, false, &w)) != RC_OK ||
	    (rc = document_check(x, POLICY_IDENTITY, &text)) != RC_OK)
		return (rc);
	if (w.holder != NULL)
		return (inline_put(x, &w, name, text));
	return (managed_put(x, name, text));
}

enum rc
op_policy_get(struct admin *x)
{
	struct owner w;
	enum rc rc;

	if ((rc = owner_find(x, false, &w)) != RC_OK)
		return (rc);
	if (w.holder != NULL)
		return (inline_get(x, &w, admin_str(x, M_NAME)));
	return (managed_get(x));
}

enum rc
op_policy_delete(struct admin *x)
{
	struct owner w;
	enum rc rc;

	if ((rc = owner_find(x, false, &w)) != RC_OK)
		return (rc);
	if (w.holder != NULL)
		return (inline_delete(x, &w, admin_str(x, M_NAME)));
	return (managed_delete(x));
}

static void
owner_list(struct admin *x, const struct dir_holder *h, json_t *list)
{
	const struct dir_policy *p;
	json_t *o;
	size_t i;

	for (i = 0; i < h->n_attached; i++) {
		if ((p = dir_policy_arn(x->d, h->attached[i])) != NULL) {
			o = admin_policy_json(p);
		} else {
			o = json_object();
			admin_set(o, "Arn", admin_text(h->attached[i]));
		}
		(void)json_array_append_new(list, o);
	}
	for (i = 0; i < h->n_inlines; i++)
		(void)json_array_append_new(
		    list, admin_inline_json(h->inlines[i].name, h->arn));
}

enum rc
op_policy_list(struct admin *x)
{
	const struct dir_policy *p;
	struct owner w;
	json_t *list;
	enum rc rc;
	size_t i;

	if ((rc = owner_find(x, false, &w)) != RC_OK)
		return (rc);
	list = json_array();
	if (w.holder != NULL)
		owner_list(x, w.holder, list);
	for (i = 0; w.holder == NULL && i < x->d->policies.n; i++) {
		p = x->d->policies.items[i];
		if (x->in[M_ACCOUNT] == NULL || span_is(p->account, "aws") ||
		    span_eq(p->account, x->account))
			(void)json_array_append_new(list, admin_policy_json(p));
	}
	admin_answer(x, "Policies", list);
	return (RC_OK);
}

/* Its place among those attached, or how many there are. */
static size_t
attached_place(const struct dir_holder *h, struct span arn)
{
	size_t i;

	for (i = 0; i < h->n_attached; i++)
		if (span_eq(h->attached[i], arn))
			break;
	return (i);
}

static enum rc
attached_change(struct admin *x, const struct owner *w, struct span arn,
    size_t place, bool attach)
{
	struct span key = w->holder->node.key;
	json_t *o, *list;
	enum rc rc;

	if ((rc = admin_get(x, w->kind, key, &o)) != RC_OK)
		return (rc);
	list = json_object_get(o, "attached");
	if (!json_is_array(list)) {
		admin_set(o, "attached", json_array());
		list = json_object_get(o, "attached");
	}
	if (attach)
		(void)json_array_append_new(list, admin_text(arn));
	else
		(void)json_array_remove(list, place);
	return (admin_put(x, w->kind, key, o, false));
}

enum rc
op_policy_attach(struct admin *x)
{
	struct dir_policy *p;
	struct owner w;
	enum rc rc;

	if ((rc = owner_find(x, true, &w)) != RC_OK ||
	    (rc = managed_find(x, M_POLICY, &p)) != RC_OK)
		return (rc);
	must(w.holder != NULL);
	if (attached_place(w.holder, p->arn) < w.holder->n_attached)
		return (RC_OK);
	return (attached_change(x, &w, p->arn, 0, true));
}

static enum rc
detach_check(struct admin *x, const struct owner *w, struct span arn)
{
	const struct admin_loss loss = {
		.user = w->user,
		.group = w->group,
		.attached = w->user != NULL,
	};

	if (!span_is(arn, ADMINISTRATOR_ARN))
		return (RC_OK);
	return (admin_loss_check(x, &loss));
}

/* Also one that is gone, by its ARN: so that what is broken can be mended. */
enum rc
op_policy_detach(struct admin *x)
{
	struct dir_policy *p;
	struct owner w;
	struct span arn;
	size_t place;
	enum rc rc;

	if ((rc = owner_find(x, true, &w)) != RC_OK)
		return (rc);
	must(w.holder != NULL);
	arn = admin_str(x, M_POLICY);
	if ((p = dir_policy_named(x->d, x->account, arn)) != NULL)
		arn = p->arn;
	place = attached_place(w.holder, arn);
	if (place < w.holder->n_attached) {
		if ((rc = detach_check(x, &w, arn)) != RC_OK)
			return (rc);
		return (attached_change(x, &w, arn, place, false));
	}
	if (p == NULL && (rc = managed_find(x, M_POLICY, &p)) != RC_OK)
		return (rc);
	return (admin_fail(x, RC_NOTFOUND,
	    "\"" SPAN_FMT "\" is not attached to " SPAN_FMT, SPAN_ARG(arn),
	    SPAN_ARG(w.holder->arn)));
}

/* --- the registry's ------------------------------------------------------ */

enum rc
op_registry_put(struct admin *x)
{
	struct span text;
	json_t *o;
	enum rc rc;

	if ((rc = document_check(x, POLICY_REGISTRY, &text)) != RC_OK)
		return (rc);
	o = json_object();
	admin_set(o, "document", admin_text(text));
	return (admin_put(x, ENTITY_REGISTRY, SPAN("policy"), o, false));
}

enum rc
op_registry_get(struct admin *x)
{
	json_t *o, *policy;
	enum rc rc;

	if (x->d->registry_revision == 0)
		return (
		    admin_fail(x, RC_NOTFOUND, "the registry has no policy"));
	rc = admin_get(x, ENTITY_REGISTRY, SPAN("policy"), &o);
	if (rc != RC_OK)
		return (rc);
	policy = json_object();
	admin_set(
	    policy, "Document", json_incref(json_object_get(o, "document")));
	admin_answer(x, "Policy", policy);
	json_decref(o);
	return (RC_OK);
}

enum rc
op_registry_delete(struct admin *x)
{

	if (x->d->registry_revision == 0)
		return (
		    admin_fail(x, RC_NOTFOUND, "the registry has no policy"));
	admin_delete(x, ENTITY_REGISTRY, SPAN("policy"));
	return (RC_OK);
}
