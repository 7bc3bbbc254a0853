#include "auth/admin_int.h"

#include <string.h>

#include "base/mem.h"
#include "base/obj.h"

/*
 * Users.
 */
#define TAGS_MAX 50
#define TAG_KEY_MAX_BYTES 128
#define TAG_VALUE_MAX_BYTES 256

json_t *
admin_record(const struct admin *x, const char *prefix)
{
	char id[IAM_ID_BYTES];
	json_t *o = json_object();

	iam_id_new(prefix, id);
	admin_set(o, "id", json_string(id));
	admin_set(o, "created_ms", json_integer(x->now_ms));
	return (o);
}

/* --- parts of a record --------------------------------------------------- */

static enum rc
tag_check(struct admin *x, const char *key, const json_t *value)
{
	size_t n = strlen(key);

	if (n == 0 || n > TAG_KEY_MAX_BYTES || strncmp(key, "aws:", 4) == 0)
		return (admin_fail(x, RC_INVALID,
		    "\"%.128s\" is no key of a tag: it has 1 to %d bytes and "
		    "does not begin with \"aws:\"",
		    key, TAG_KEY_MAX_BYTES));
	if (!json_is_string(value) ||
	    json_string_length(value) > TAG_VALUE_MAX_BYTES)
		return (admin_fail(x, RC_INVALID,
		    "the value of tag \"%s\" must be a string of up to %d "
		    "bytes",
		    key, TAG_VALUE_MAX_BYTES));
	return (RC_OK);
}

static enum rc
tags_apply(struct admin *x, json_t *o)
{
	json_t *tags = (json_t *)(uintptr_t)x->in[M_TAGS], *value;
	const char *key;
	enum rc rc;

	if (tags == NULL)
		return (RC_OK);
	if (json_object_size(tags) > TAGS_MAX)
		return (
		    admin_fail(x, RC_INVALID, "more than %d tags", TAGS_MAX));
	json_object_foreach(tags, key,
	    value) if ((rc = tag_check(x, key, value)) != RC_OK) return (rc);
	admin_set(o, "tags", json_deep_copy(tags));
	return (RC_OK);
}

static enum rc
password_apply(struct admin *x, json_t *o)
{
	char hash[PASSWORD_HASH_BYTES], why[256] = "";
	enum rc rc;

	if (x->in[M_PASSWORD] == NULL)
		return (RC_OK);
	if (json_is_null(x->in[M_PASSWORD])) {
		(void)json_object_del(o, "password");
		return (RC_OK);
	}
	rc = password_new(admin_str(x, M_PASSWORD), hash, why, sizeof(why));
	if (rc != RC_OK)
		return (admin_fail(x, rc, "%s", why));
	admin_set(o, "password", json_string(hash));
	mem_wipe(hash, sizeof(hash));
	return (RC_OK);
}

/* --- operations ---------------------------------------------------------- */

/* A new user as it will be read again, to be answered before it is. */
static json_t *
record_json(struct admin *x, const json_t *o, struct span name)
{
	struct dir_user u = { .holder = {
				  .account = x->account, .name = name } };
	json_t *answer, *tags;
	char *arn;

	arn =
	    arena_printf(&x->arena, "arn:aws:iam::" SPAN_FMT ":user/" SPAN_FMT,
		SPAN_ARG(x->account), SPAN_ARG(name));
	must(arn != NULL);
	u.holder.arn = span_of(arn);
	u.holder.id = span_of(json_string_value(json_object_get(o, "id")));
	u.holder.created_ms = x->now_ms;
	answer = admin_user_json(&u);
	if ((tags = json_object_get(o, "tags")) != NULL)
		admin_set(answer, "Tags", json_deep_copy(tags));
	admin_set(answer, "HasPassword",
	    json_boolean(json_object_get(o, "password") != NULL));
	return (answer);
}

enum rc
op_user_create(struct admin *x)
{
	const struct dir_user *u;
	struct span name;
	json_t *o;
	enum rc rc;

	if ((rc = admin_name(x, M_NAME, USER_NAME_MAX_BYTES, &name)) != RC_OK)
		return (rc);
	if (span_is(name, LOGIN_NAME))
		return (admin_fail(x, RC_INVALID,
		    "a user cannot be named \"" LOGIN_NAME
		    "\": that name means a login token"));
	u = dir_user_find(x->d, x->account, name);
	if (u != NULL && !u->of_htpasswd)
		return (admin_fail(x, RC_EXISTS,
		    "there is a user \"" SPAN_FMT "\" already",
		    SPAN_ARG(name)));
	o = admin_record(x, "AIDA");
	if ((rc = tags_apply(x, o)) != RC_OK ||
	    (rc = password_apply(x, o)) != RC_OK) {
		json_decref(o);
		return (rc);
	}
	admin_answer(x, "User", record_json(x, o, name));
	return (
	    admin_put(x, ENTITY_USER, admin_key(x, x->account, name), o, true));
}

enum rc
op_user_list(struct admin *x)
{
	json_t *users = json_array();
	const struct dir_user *u;
	size_t i;

	for (i = 0; i < x->d->users.n; i++) {
		u = x->d->users.items[i];
		if (x->in[M_ACCOUNT] == NULL ||
		    span_eq(u->holder.account, x->account))
			(void)json_array_append_new(users, admin_user_json(u));
	}
	admin_answer(x, "Users", users);
	return (RC_OK);
}

enum rc
op_user_show(struct admin *x)
{
	json_t *user, *keys;
	const struct dir_key *k;
	struct dir_user *u;
	enum rc rc;

	if ((rc = admin_user(x, M_NAME, &u)) != RC_OK)
		return (rc);
	keys = json_array();
	for (k = u->keys; k != NULL; k = k->next)
		(void)json_array_append_new(keys, admin_key_json(x, k));
	user = admin_user_json(u);
	admin_set(user, "AccessKeys", keys);
	admin_answer(x, "User", user);
	return (RC_OK);
}

/* --- the last administrator ---------------------------------------------- */

static bool
is_administrator(const struct admin *x, const struct dir_user *u)
{

	return (u->holder.administrator &&
		span_is(u->holder.account, x->a->account));
}

/* By its groups without ${but}. */
static bool
keeps_by_group(const struct admin *x, const struct dir_user *u,
    const struct dir_group *but)
{
	const struct dir_group *g;
	size_t i;

	for (i = 0; i < u->n_groups; i++) {
		g = dir_group_find(x->d, u->holder.account, u->groups[i]);
		if (g != NULL && g != but && g->holder.administrator)
			return (true);
	}
	return (false);
}

static bool
keeps_administrator(const struct admin *x, const struct dir_user *u,
    const struct admin_loss *loss)
{

	if (loss->user != NULL && loss->user != u)
		return (true);
	if (loss->group == NULL && !loss->attached)
		return (false);
	if (!loss->attached && dir_administrator_attached(&u->holder))
		return (true);
	return (keeps_by_group(x, u, loss->group));
}

/* Somebody must be left who could make an administrator again. */
enum rc
admin_loss_check(struct admin *x, const struct admin_loss *loss)
{
	const struct dir_user *u, *last = NULL;
	size_t i;

	if (admin_bool(x, M_FORCE, false))
		return (RC_OK);
	for (i = 0; i < x->d->users.n; i++) {
		u = x->d->users.items[i];
		if (!is_administrator(x, u))
			continue;
		if (keeps_administrator(x, u, loss))
			return (RC_OK);
		last = u;
	}
	if (last == NULL)
		return (RC_OK);
	return (admin_fail(x, RC_REFERENCED,
	    "\"" SPAN_FMT "\" is the last user with AdministratorAccess in "
	    "account " SPAN_FMT ": done only by force",
	    SPAN_ARG(last->holder.name), SPAN_ARG(last->holder.account)));
}

/* --- operations on one there is ------------------------------------------ */

enum rc
op_user_delete(struct admin *x)
{
	const struct dir_key *k;
	struct dir_user *u;
	enum rc rc;

	if ((rc = admin_user(x, M_NAME, &u)) != RC_OK)
		return (rc);
	rc = admin_loss_check(x, &(struct admin_loss){ .user = u });
	if (rc != RC_OK)
		return (rc);
	for (k = u->keys; k != NULL; k = k->next) {
		admin_delete(x, ENTITY_ACCESS_KEY, k->key.id);
		admin_delete(x, ENTITY_NOTE, k->key.id);
	}
	admin_delete(x, ENTITY_USER, u->holder.node.key);
	return (RC_OK);
}

/* The record of the user in ${m}, edited by ${edit}. */
static enum rc
user_edit(struct admin *x, enum admin_member m,
    enum rc (*edit)(struct admin *, json_t *))
{
	struct dir_user *u;
	json_t *o;
	enum rc rc;

	if ((rc = admin_user(x, m, &u)) != RC_OK ||
	    (rc = admin_get(x, ENTITY_USER, u->holder.node.key, &o)) != RC_OK)
		return (rc);
	if ((rc = edit(x, o)) != RC_OK) {
		json_decref(o);
		return (rc);
	}
	return (admin_put(x, ENTITY_USER, u->holder.node.key, o, false));
}

enum rc
op_user_password(struct admin *x)
{

	return (user_edit(x, M_NAME, password_apply));
}

enum rc
op_user_tag(struct admin *x)
{

	return (user_edit(x, M_NAME, tags_apply));
}

static enum rc
revoke_apply(struct admin *x, json_t *o)
{

	admin_set(o, "revoked_ms", json_integer(x->now_ms));
	return (RC_OK);
}

enum rc
op_token_revoke_all(struct admin *x)
{

	return (user_edit(x, M_USER, revoke_apply));
}
