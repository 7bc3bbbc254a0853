#include "auth/admin_int.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/obj.h"
#include "base/thread.h"

/*
 * Changes to users, groups, keys and policies: one table of operations, one
 * way to run them.
 */
struct member {
	const char *name;
	json_type type;
	bool or_null;
	const char *form;
};

/* true and false are two types of the library's. */
static const struct member members[M_MEMBERS] = {
	[M_OP] = { "op", JSON_STRING, false, "a string" },
	[M_ACCOUNT] = { "account", JSON_STRING, false, "a string" },
	[M_NAME] = { "name", JSON_STRING, false, "a string" },
	[M_USER] = { "user", JSON_STRING, false, "a string" },
	[M_GROUP] = { "group", JSON_STRING, false, "a string" },
	[M_POLICY] = { "policy", JSON_STRING, false, "a string" },
	[M_ID] = { "id", JSON_STRING, false, "a string" },
	[M_PASSWORD] = { "password", JSON_STRING, true, "a string or null" },
	[M_TAGS] = { "tags", JSON_OBJECT, false, "an object" },
	[M_DOCUMENT] = { "document", JSON_STRING, false, "a string" },
	[M_FORCE] = { "force", JSON_TRUE, false, "true or false" },
	[M_PRINCIPAL] = { "principal", JSON_STRING, false, "a string" },
	[M_ACTION] = { "action", JSON_STRING, false, "a string" },
	[M_RESOURCE] = { "resource", JSON_STRING, false, "a string" },
	[M_SOURCE_IP] = { "source_ip", JSON_STRING, false, "a string" },
	[M_SECURE] = { "secure", JSON_TRUE, false, "true or false" },
	[M_USER_AGENT] = { "user_agent", JSON_STRING, false, "a string" },
	[M_TIME] = { "time", JSON_INTEGER, false, "milliseconds since 1970" },
};

#define ALWAYS (M_BIT(M_OP) | M_BIT(M_ACCOUNT))
#define NAME M_BIT(M_NAME)
#define OWNER (M_BIT(M_USER) | M_BIT(M_GROUP))

/* What it must be given, and what it may be given beyond that. */
static const struct operation {
	const char *name;
	admin_fn *run;
	unsigned needs, takes;
} operations[] = {
	{ "user-create", op_user_create, NAME,
	    M_BIT(M_PASSWORD) | M_BIT(M_TAGS) },
	{ "user-list", op_user_list, 0, 0 },
	{ "user-show", op_user_show, NAME, 0 },
	{ "user-delete", op_user_delete, NAME, M_BIT(M_FORCE) },
	{ "user-password", op_user_password, NAME | M_BIT(M_PASSWORD), 0 },
	{ "user-tag", op_user_tag, NAME | M_BIT(M_TAGS), 0 },
	{ "group-create", op_group_create, NAME, 0 },
	{ "group-list", op_group_list, 0, 0 },
	{ "group-show", op_group_show, NAME, 0 },
	{ "group-delete", op_group_delete, NAME, M_BIT(M_FORCE) },
	{ "group-add", op_group_add, NAME | M_BIT(M_USER), 0 },
	{ "group-remove", op_group_remove, NAME | M_BIT(M_USER),
	    M_BIT(M_FORCE) },
	{ "access-key-create", op_key_create, M_BIT(M_USER), 0 },
	{ "access-key-list", op_key_list, 0, M_BIT(M_USER) },
	{ "access-key-activate", op_key_activate, M_BIT(M_ID), 0 },
	{ "access-key-deactivate", op_key_deactivate, M_BIT(M_ID), 0 },
	{ "access-key-delete", op_key_delete, M_BIT(M_ID), 0 },
	{ "access-key-last-used", op_key_last_used, M_BIT(M_ID), 0 },
	{ "policy-put", op_policy_put, NAME | M_BIT(M_DOCUMENT), OWNER },
	{ "policy-get", op_policy_get, NAME, OWNER },
	{ "policy-delete", op_policy_delete, NAME, OWNER },
	{ "policy-list", op_policy_list, 0, OWNER },
	{ "policy-attach", op_policy_attach, M_BIT(M_POLICY), OWNER },
	{ "policy-detach", op_policy_detach, M_BIT(M_POLICY),
	    OWNER | M_BIT(M_FORCE) },
	{ "token-revoke-all", op_token_revoke_all, M_BIT(M_USER), 0 },
	{ "registry-policy-put", op_registry_put, M_BIT(M_DOCUMENT), 0 },
	{ "registry-policy-get", op_registry_get, 0, 0 },
	{ "registry-policy-delete", op_registry_delete, 0, 0 },
	{ "policy-simulate", op_simulate,
	    M_BIT(M_PRINCIPAL) | M_BIT(M_ACTION) | M_BIT(M_RESOURCE),
	    M_BIT(M_SOURCE_IP) | M_BIT(M_SECURE) | M_BIT(M_USER_AGENT) |
		M_BIT(M_TIME) },
};

/* --- what was asked ------------------------------------------------------ */

static bool
member_fits(const struct member *m, const json_t *v)
{

	if (m->type == JSON_TRUE)
		return (json_is_boolean(v));
	return (json_typeof(v) == m->type || (m->or_null && json_is_null(v)));
}

static enum rc
members_check(struct admin *x, const struct operation *op)
{
	size_t i;

	for (i = 0; i < M_MEMBERS; i++) {
		if (x->in[i] == NULL && (op->needs & M_BIT(i)) != 0)
			return (admin_fail(x, RC_INVALID, "%s needs \"%s\"",
			    op->name, members[i].name));
		if (x->in[i] == NULL)
			continue;
		if (((op->needs | op->takes | ALWAYS) & M_BIT(i)) == 0)
			return (
			    admin_fail(x, RC_INVALID, "%s does not take \"%s\"",
				op->name, members[i].name));
		if (!member_fits(&members[i], x->in[i]))
			return (admin_fail(x, RC_INVALID, "\"%s\" must be %s",
			    members[i].name, members[i].form));
	}
	return (RC_OK);
}

static enum rc
members_take(struct admin *x, const json_t *request)
{
	const char *key;
	json_t *v;
	size_t i;

	json_object_foreach((json_t *)(uintptr_t)request, key, v)
	{
		for (i = 0; i < M_MEMBERS; i++)
			if (strcmp(key, members[i].name) == 0)
				break;
		if (i == M_MEMBERS)
			return (admin_fail(x, RC_INVALID,
			    "there is no member \"%.64s\"", key));
		x->in[i] = v;
	}
	return (RC_OK);
}

static enum rc
operation_find(struct admin *x, const struct operation **op_r)
{
	struct span name = admin_str(x, M_OP);
	size_t i;

	*op_r = NULL;
	for (i = 0; i < ARRAY_LEN(operations); i++)
		if (span_is(name, operations[i].name))
			*op_r = &operations[i];
	if (*op_r == NULL)
		return (
		    admin_fail(x, RC_INVALID, "there is no operation \"%.*s\"",
			(int)(name.n < 64 ? name.n : 64),
			name.p != NULL ? name.p : ""));
	return (RC_OK);
}

static enum rc
request_read(
    struct admin *x, const json_t *request, const struct operation **op_r)
{
	enum rc rc;

	*op_r = NULL;
	if (!json_is_object(request))
		return (admin_fail(x, RC_INVALID, "not an object"));
	if ((rc = members_take(x, request)) != RC_OK ||
	    (rc = operation_find(x, op_r)) != RC_OK ||
	    (rc = members_check(x, *op_r)) != RC_OK)
		return (rc);
	x->account = span_of(x->a->account);
	if (x->in[M_ACCOUNT] == NULL)
		return (RC_OK);
	x->account = admin_str(x, M_ACCOUNT);
	if (!account_ok(x->account))
		return (admin_fail(x, RC_INVALID, "an account has 12 digits"));
	return (RC_OK);
}

/* --- running ------------------------------------------------------------- */

enum rc
admin_fail(struct admin *x, enum rc rc, const char *fmt, ...)
{
	va_list ap;

	if (x->why[0] != '\0')
		return (rc);
	va_start(ap, fmt);
	(void)vsnprintf(x->why, AUTH_WHY_BYTES, fmt, ap);
	va_end(ap);
	return (rc);
}

/* The library does not wipe; the one secret that an answer can hold is. */
static void
secret_wipe(const json_t *answer)
{
	const json_t *v;

	v = json_object_get(
	    json_object_get(answer, "AccessKey"), "SecretAccessKey");
	if (v != NULL)
		mem_wipe((char *)(uintptr_t)json_string_value(v),
		    json_string_length(v));
}

/* What one run has gathered. */
static void
run_drop(struct admin *x)
{

	directory_unref(&x->d);
	secret_wipe(x->answer);
	json_decref(x->answer);
	x->answer = NULL;
	x->n_changes = 0;
	arena_reset(&x->arena);
}

static enum rc
run_once(struct admin *x, admin_fn *fn)
{
	uint64_t generation;
	enum rc rc;

	if ((rc = auth_directory_update(x->a)) != RC_OK)
		return (admin_fail(
		    x, rc, "reading users and policies: %s", rc_text(rc)));
	x->d = auth_directory(x->a);
	x->answer = json_object();
	if ((rc = fn(x)) != RC_OK || x->n_changes == 0)
		return (rc);
	rc = meta_entities_change(x->a->meta, x->d->generation, x->changes,
	    x->n_changes, &generation);
	if (rc == RC_TOOBIG)
		return (admin_fail(x, rc,
		    "too much for one record, which holds %zu bytes",
		    ENTITY_RECORD_MAX_BYTES));
	if (rc != RC_OK && rc != RC_BUSY)
		return (admin_fail(x, rc, "%s", rc_text(rc)));
	return (rc);
}

/* A reason for each, also where others gave none. */
static enum rc
run_failed(struct admin *x, enum rc rc)
{

	if (rc == RC_OK)
		return (rc);
	if (rc == RC_BUSY) {
		x->why[0] = '\0';
		return (admin_fail(x, RC_LIMIT,
		    "others change users and policies without a pause, so this "
		    "did not come through: try again"));
	}
	if (rc == RC_LIMIT)
		return (admin_fail(
		    x, rc, "something else holds what this needs: try again"));
	return (admin_fail(x, rc, "%s", rc_text(rc)));
}

enum rc
admin_run(
    struct auth *a, admin_fn *fn, struct admin *x, char why[AUTH_WHY_BYTES])
{
	enum rc rc = RC_BUSY;
	unsigned i;

	x->a = a;
	x->why = why;
	x->now_ms = clock_real_ms();
	arena_init(&x->arena, SIZE_MAX / 2);
	mutex_lock(&a->change_lock);
	for (i = 0; rc == RC_BUSY && i < AUTH_CHANGE_TRIES; i++) {
		run_drop(x);
		x->why[0] = '\0';
		rc = run_once(x, fn);
	}
	if (rc == RC_OK && x->n_changes > 0) {
		a->stale = true;
		rc = auth_directory_update(a);
		if (rc != RC_OK)
			(void)admin_fail(x, rc,
			    "changed, but users and policies could not be read "
			    "anew, which will be tried again: %s",
			    rc_text(rc));
	}
	mutex_unlock(&a->change_lock);
	return (run_failed(x, rc));
}

void
admin_fini(struct admin *x)
{

	run_drop(x);
	free(x->changes);
	x->changes = NULL;
}

/* In one piece: a buffer that grows under a secret leaves copies of it. */
static enum rc
answer_write(struct admin *x, struct buf *answer)
{
	size_t n = json_dumpb(x->answer, NULL, 0, JSON_COMPACT);
	char *text;

	must(n > 0);
	if (!buf_ok(answer) || n > answer->cap_bytes - answer->n)
		return (admin_fail(x, RC_TOOBIG, "the answer is too long"));
	text = xmalloc(n);
	must(json_dumpb(x->answer, text, n, JSON_COMPACT) == n);
	buf_add(answer, text, n);
	mem_wipe(text, n);
	free(text);
	if (!buf_ok(answer))
		return (admin_fail(x, RC_TOOBIG, "the answer is too long"));
	return (RC_OK);
}

/* What was changed, of whom; nothing of what it was changed to. */
static void
change_log(const struct admin *x, const char *op)
{
	static const enum admin_member shown[] = { M_ACCOUNT, M_NAME, M_USER,
		M_GROUP, M_POLICY, M_ID };
	struct buf b;
	size_t i;

	buf_init(&b, 4096);
	for (i = 0; i < ARRAY_LEN(shown); i++) {
		if (x->in[shown[i]] == NULL)
			continue;
		buf_printf(&b, " %s=" SPAN_FMT, members[shown[i]].name,
		    SPAN_ARG(admin_str(x, shown[i])));
	}
	log_info("administration: %s" SPAN_FMT, op, SPAN_ARG(buf_as_span(&b)));
	buf_free(&b);
}

enum rc
auth_admin(struct auth *a, const json_t *request, struct buf *answer,
    char why[AUTH_WHY_BYTES])
{
	struct admin x = { .a = a, .why = why };
	const struct operation *op;
	enum rc rc;

	OBJ_CHECK(a, AUTH_MAGIC);
	why[0] = '\0';
	if ((rc = request_read(&x, request, &op)) != RC_OK)
		return (rc);
	must(op != NULL);
	rc = admin_run(a, op->run, &x, why);
	if (rc == RC_OK)
		rc = answer_write(&x, answer);
	if (rc == RC_OK && x.n_changes > 0)
		change_log(&x, op->name);
	admin_fini(&x);
	return (rc);
}

enum rc
auth_registry_policy_set(
    struct auth *a, struct span text, char why[AUTH_WHY_BYTES])
{
	struct admin x = { 0 };
	json_t *document = admin_text(text);
	enum rc rc;

	OBJ_CHECK(a, AUTH_MAGIC);
	why[0] = '\0';
	x.in[M_DOCUMENT] = document;
	rc = admin_run(
	    a, text.n > 0 ? op_registry_put : op_registry_delete, &x, why);
	admin_fini(&x);
	json_decref(document);
	return (rc);
}

/* --- what operations are made of ----------------------------------------- */

struct span
admin_str(const struct admin *x, enum admin_member m)
{

	if (!json_is_string(x->in[m]))
		return (SPAN_NONE);
	return ((struct span){
	    json_string_value(x->in[m]), json_string_length(x->in[m]) });
}

bool
admin_bool(const struct admin *x, enum admin_member m, bool preset)
{

	return (x->in[m] == NULL ? preset : json_is_true(x->in[m]));
}

enum rc
admin_name(
    struct admin *x, enum admin_member m, size_t max_bytes, struct span *name_r)
{

	*name_r = admin_str(x, m);
	if (iam_name_ok(*name_r, max_bytes))
		return (RC_OK);
	return (admin_fail(x, RC_INVALID,
	    "\"%.*s\" is no name: it has 1 to %zu of A-Z a-z 0-9 _ + = , . @ -",
	    (int)(name_r->n < 128 ? name_r->n : 128),
	    name_r->p != NULL ? name_r->p : "", max_bytes));
}

enum rc
admin_user(struct admin *x, enum admin_member m, struct dir_user **u_r)
{
	struct span name;
	enum rc rc;

	*u_r = NULL;
	if ((rc = admin_name(x, m, USER_NAME_MAX_BYTES, &name)) != RC_OK)
		return (rc);
	*u_r = dir_user_find(x->d, x->account, name);
	if (*u_r == NULL)
		return (admin_fail(x, RC_NOTFOUND,
		    "there is no user \"" SPAN_FMT "\" in account " SPAN_FMT,
		    SPAN_ARG(name), SPAN_ARG(x->account)));
	if ((*u_r)->of_htpasswd)
		return (admin_fail(x, RC_NOTFOUND,
		    "\"" SPAN_FMT
		    "\" stands in the htpasswd file only: change it there, or "
		    "create a user of this name, whose policies hold then",
		    SPAN_ARG(name)));
	return (RC_OK);
}

enum rc
admin_group(struct admin *x, enum admin_member m, struct dir_group **g_r)
{
	struct span name;
	enum rc rc;

	*g_r = NULL;
	if ((rc = admin_name(x, m, POLICY_NAME_MAX_BYTES, &name)) != RC_OK)
		return (rc);
	*g_r = dir_group_find(x->d, x->account, name);
	if (*g_r == NULL)
		return (admin_fail(x, RC_NOTFOUND,
		    "there is no group \"" SPAN_FMT "\" in account " SPAN_FMT,
		    SPAN_ARG(name), SPAN_ARG(x->account)));
	return (RC_OK);
}

struct span
admin_key(struct admin *x, struct span account, struct span name)
{
	char *p;

	p = arena_printf(&x->arena, SPAN_FMT "/" SPAN_FMT, SPAN_ARG(account),
	    SPAN_ARG(name));
	if (p == NULL)
		wrong("out of memory");
	return (span_of(p));
}

static void
change_add(struct admin *x, const struct entity_change *change)
{

	if (x->n_changes == x->room) {
		x->room = x->room > 0 ? 2 * x->room : 8;
		x->changes =
		    xrealloc(x->changes, x->room * sizeof(*x->changes));
	}
	x->changes[x->n_changes++] = *change;
}

enum rc
admin_get(struct admin *x, enum entity_kind kind, struct span key, json_t **o_r)
{
	char why[JSON_ERROR_BYTES] = "";
	struct entity e;
	enum rc rc;

	*o_r = NULL;
	rc = meta_entity_get(x->a->meta, kind, key, &x->arena, &e);
	/* The directory has it: so it went meanwhile, and the run is stale. */
	if (rc == RC_NOTFOUND)
		return (RC_BUSY);
	if (rc != RC_OK)
		return (admin_fail(
		    x, rc, SPAN_FMT ": %s", SPAN_ARG(key), rc_text(rc)));
	if (json_read(e.record, why, o_r) != RC_OK)
		return (admin_fail(x, RC_CORRUPT,
		    "the record of " SPAN_FMT " is damaged: %s", SPAN_ARG(key),
		    why));
	return (RC_OK);
}

enum rc
admin_put(struct admin *x, enum entity_kind kind, struct span key, json_t *o,
    bool must_be_new)
{
	struct span text;
	char *dump;

	dump = json_dumps(o, JSON_COMPACT | JSON_SORT_KEYS);
	json_decref(o);
	if (dump == NULL)
		return (admin_fail(x, RC_INVALID, "it is not UTF-8"));
	text = arena_span(&x->arena, span_of(dump));
	mem_wipe(dump, strlen(dump));
	free(dump);
	if (text.p == NULL)
		wrong("out of memory");
	change_add(x, &(struct entity_change){ .entity = { kind, key, text },
			  .must_be_new = must_be_new });
	return (RC_OK);
}

void
admin_delete(struct admin *x, enum entity_kind kind, struct span key)
{

	change_add(
	    x, &(struct entity_change){ .entity = { kind, key, SPAN_NONE } });
}

void
admin_set(json_t *o, const char *key, json_t *value)
{

	must(json_object_set_new(o, key, value != NULL ? value : json_null()) ==
	     0);
}

void
admin_answer(struct admin *x, const char *key, json_t *value)
{

	admin_set(x->answer, key, value);
}

json_t *
admin_text(struct span s)
{
	json_t *v = json_stringn(s.p != NULL ? s.p : "", s.n);

	return (v != NULL ? v : json_string("(not UTF-8)"));
}

json_t *
admin_date(int64_t ms)
{
	char iso[CLOCK_ISO_BYTES];

	return (json_string(clock_iso(ms, iso)));
}
