#include "auth/admin_int.h"

#include "base/hex.h"
#include "base/mem.h"
#include "base/obj.h"

/*
 * Access keys, and the master key.
 */
#define KEYS_PER_USER_MAX 5

/* --- making one ---------------------------------------------------------- */

static json_t *
key_record(struct admin *x, struct span account, struct span user,
    const char *id, const char *secret)
{
	uint8_t sealed[SECRET_KEY_BYTES - 1 + SEAL_OVERHEAD_BYTES];
	char text[BASE64_LEN(sizeof(sealed)) + 1];
	json_t *o = json_object();

	auth_secret_seal(x->a, span_of(id), span_of(secret), sealed);
	base64_encode(sealed, sizeof(sealed), text);
	admin_set(o, "account", admin_text(account));
	admin_set(o, "user", admin_text(user));
	admin_set(o, "active", json_true());
	admin_set(o, "created_ms", json_integer(x->now_ms));
	admin_set(o, "sealed", json_string(text));
	return (o);
}

enum rc
admin_key_make(struct admin *x, struct span account, struct span user,
    char id[IAM_ID_BYTES], char secret[SECRET_KEY_BYTES])
{
	struct span key;

	access_key_id_new(id);
	secret_key_new(secret);
	key = arena_span(&x->arena, span_of(id));
	must(key.p != NULL);
	return (admin_put(x, ENTITY_ACCESS_KEY, key,
	    key_record(x, account, user, id, secret), true));
}

enum rc
op_key_create(struct admin *x)
{
	char id[IAM_ID_BYTES], secret[SECRET_KEY_BYTES];
	const struct dir_key *k;
	struct dir_user *u;
	json_t *key;
	unsigned n = 0;
	enum rc rc;

	if ((rc = admin_user(x, M_USER, &u)) != RC_OK)
		return (rc);
	for (k = u->keys; k != NULL; k = k->next)
		n++;
	if (n >= KEYS_PER_USER_MAX)
		return (admin_fail(x, RC_INVALID,
		    "\"" SPAN_FMT "\" has %u access keys, which is the most: "
		    "delete one",
		    SPAN_ARG(u->holder.name), n));
	rc = admin_key_make(x, u->holder.account, u->holder.name, id, secret);
	if (rc == RC_OK) {
		key = json_object();
		admin_set(key, "AccessKeyId", json_string(id));
		admin_set(key, "SecretAccessKey", json_string(secret));
		admin_set(key, "UserName", admin_text(u->holder.name));
		admin_set(key, "Account", admin_text(u->holder.account));
		admin_set(key, "Status", json_string("Active"));
		admin_set(key, "CreateDate", admin_date(x->now_ms));
		admin_answer(x, "AccessKey", key);
	}
	mem_wipe(secret, sizeof(secret));
	return (rc);
}

/* --- the others ---------------------------------------------------------- */

enum rc
op_key_list(struct admin *x)
{
	const struct dir_key *k;
	struct dir_user *u = NULL;
	json_t *list;
	enum rc rc;
	size_t i;

	if (x->in[M_USER] != NULL && (rc = admin_user(x, M_USER, &u)) != RC_OK)
		return (rc);
	list = json_array();
	for (i = 0; i < x->d->keys.n; i++) {
		k = x->d->keys.items[i];
		if ((u == NULL || k->user == u) &&
		    (x->in[M_ACCOUNT] == NULL ||
			span_eq(k->account, x->account)))
			(void)json_array_append_new(list, admin_key_json(x, k));
	}
	admin_answer(x, "AccessKeys", list);
	return (RC_OK);
}

static enum rc
key_find(struct admin *x, struct dir_key **k_r)
{
	struct span id = admin_str(x, M_ID);

	*k_r = dir_key_find(x->d, id);
	if (*k_r != NULL)
		return (RC_OK);
	return (admin_fail(x, RC_NOTFOUND, "there is no access key \"%.*s\"",
	    (int)(id.n < 128 ? id.n : 128), id.p != NULL ? id.p : ""));
}

static enum rc
key_activity(struct admin *x, bool active)
{
	struct dir_key *k;
	json_t *o;
	enum rc rc;

	if ((rc = key_find(x, &k)) != RC_OK ||
	    (rc = admin_get(x, ENTITY_ACCESS_KEY, k->key.id, &o)) != RC_OK)
		return (rc);
	admin_set(o, "active", json_boolean(active));
	return (admin_put(x, ENTITY_ACCESS_KEY, k->key.id, o, false));
}

enum rc
op_key_activate(struct admin *x)
{

	return (key_activity(x, true));
}

enum rc
op_key_deactivate(struct admin *x)
{

	return (key_activity(x, false));
}

enum rc
op_key_delete(struct admin *x)
{
	struct dir_key *k;
	enum rc rc;

	if ((rc = key_find(x, &k)) != RC_OK)
		return (rc);
	admin_delete(x, ENTITY_ACCESS_KEY, k->key.id);
	admin_delete(x, ENTITY_NOTE, k->key.id);
	return (RC_OK);
}

enum rc
op_key_last_used(struct admin *x)
{
	struct dir_key *k;
	enum rc rc;

	if ((rc = key_find(x, &k)) != RC_OK)
		return (rc);
	admin_answer(x, "AccessKeyId", admin_text(k->key.id));
	admin_answer(x, "UserName", admin_text(k->user->holder.name));
	admin_answer(x, "LastUsed", admin_used_json(x, k->key.id));
	return (RC_OK);
}
