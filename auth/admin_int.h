#ifndef AUTH_ADMIN_INT_H
#define AUTH_ADMIN_INT_H

#include "auth/auth_int.h"
#include "storage/entities.h"

/*
 * One run of an operation.  It looks at the directory, which is of the
 * metadata's present generation, lists what is to be changed, and describes
 * the answer.  admin_run() commits the list in one transaction, if still
 * nobody else has changed anything, or runs the operation anew.
 */

/* Members of requests; each has one meaning and type wherever it stands. */
enum admin_member {
	M_OP,
	M_ACCOUNT,
	M_NAME,
	M_USER,
	M_GROUP,
	M_POLICY,
	M_ID,
	M_PASSWORD,
	M_TAGS,
	M_DOCUMENT,
	M_FORCE,
	M_PRINCIPAL,
	M_ACTION,
	M_RESOURCE,
	M_SOURCE_IP,
	M_SECURE,
	M_USER_AGENT,
	M_TIME,
	M_MEMBERS
};

#define M_BIT(m) (1u << (m))

struct admin {
	struct auth *a;
	struct directory *d;
	const json_t *in[M_MEMBERS]; /* NULL: not given */
	struct span account;
	int64_t now_ms;
	void *state; /* of who runs it */
	char *why;

	struct arena arena; /* what the changes point into */
	struct entity_change *changes;
	size_t n_changes, room;
	json_t *answer;
};

typedef enum rc admin_fn(struct admin *);

/** admin_run(a, fn, x): ${x} with .in, .account and .state filled in; the
 * caller calls admin_fini() in any case.  Takes change_lock. */
RC_MUST_USE enum rc admin_run(
    struct auth *, admin_fn *fn, struct admin *x, char why[AUTH_WHY_BYTES]);
/** admin_fini(x): wipes what it held. */
void admin_fini(struct admin *);

/** admin_fail(x, rc, fmt, ...): why, unless there is a reason already. */
enum rc admin_fail(struct admin *, enum rc, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/** admin_str(x, member): empty if it was not given. */
struct span admin_str(const struct admin *, enum admin_member);
bool admin_bool(const struct admin *, enum admin_member, bool preset);

/** admin_name(x, member, max, name_r): RC_INVALID: not a name. */
RC_MUST_USE enum rc admin_name(
    struct admin *, enum admin_member, size_t max_bytes, struct span *name_r);
/** admin_user(x, member, u_r), admin_group(x, member, g_r): RC_NOTFOUND. */
RC_MUST_USE enum rc
admin_user(struct admin *, enum admin_member, struct dir_user **u_r);
RC_MUST_USE enum rc
admin_group(struct admin *, enum admin_member, struct dir_group **g_r);

/** admin_key(x, account, name): "ACCOUNT/NAME" in the arena. */
struct span admin_key(struct admin *, struct span account, struct span name);

/** admin_get(x, kind, key, o_r): a record to be edited; json_decref() it. */
RC_MUST_USE enum rc
admin_get(struct admin *, enum entity_kind, struct span key, json_t **o_r);
/** admin_put(x, kind, key, o, must_be_new): a change; ${o} is taken over. */
RC_MUST_USE enum rc admin_put(struct admin *, enum entity_kind, struct span key,
    json_t *o, bool must_be_new);
/** admin_delete(x, kind, key): a change. */
void admin_delete(struct admin *, enum entity_kind, struct span key);

/** admin_answer(x, key, value): a member of the answer; ${value} is taken
 * over. */
void admin_answer(struct admin *, const char *key, json_t *value);

/** admin_text(s): a JSON string, of anything; the caller's. */
json_t *admin_text(struct span);
/** admin_date(ms): ISO 8601. */
json_t *admin_date(int64_t ms);
/** admin_set(o, key, value): ${value} is taken over; NULL: null. */
void admin_set(json_t *o, const char *key, json_t *value);

/* Users, groups and policies as answers (admin_show.c). */
json_t *admin_user_json(const struct dir_user *);
json_t *admin_group_json(const struct dir_group *);
json_t *admin_policy_json(const struct dir_policy *);
/** admin_key_json(x, k): with its last use, if there was one. */
json_t *admin_key_json(struct admin *, const struct dir_key *);
json_t *admin_inline_json(struct span name, struct span owner);
/** admin_attached_json(h): [{PolicyName, PolicyArn}]. */
json_t *admin_attached_json(const struct dir_holder *);
/** admin_used_json(x, id): {Date, ServiceName, Region}, or null. */
json_t *admin_used_json(struct admin *, struct span id);

/* New records (admin_users.c, admin_keys.c). */
/** admin_record(x, prefix): what a new record of a user ("AIDA") or a group
 * ("AGPA") begins with; the caller's. */
json_t *admin_record(const struct admin *, const char *prefix);
/** admin_key_make(x, account, user, id, secret): list a new active access key
 * and tell it; wipe ${secret}. */
RC_MUST_USE enum rc admin_key_make(struct admin *, struct span account,
    struct span user, char id[IAM_ID_BYTES], char secret[SECRET_KEY_BYTES]);

/* What a change takes away (admin_users.c). */
struct admin_loss {
	const struct dir_user *user;   /* of whom; NULL: of all members */
	const struct dir_group *group; /* what this group gives; NULL: ... */
	bool attached; /* ... what is attached to ${user}, or all it has */
};

/** admin_loss_check(x, loss): RC_REFERENCED: no user of the registry's account
 * would be left with AdministratorAccess, and "force" does not say so. */
RC_MUST_USE enum rc admin_loss_check(struct admin *, const struct admin_loss *);

/* The operations. */
admin_fn op_user_create, op_user_list, op_user_show, op_user_delete,
    op_user_password, op_user_tag, op_token_revoke_all;
admin_fn op_group_create, op_group_list, op_group_show, op_group_delete,
    op_group_add, op_group_remove;
admin_fn op_key_create, op_key_list, op_key_activate, op_key_deactivate,
    op_key_delete, op_key_last_used;
admin_fn op_policy_put, op_policy_get, op_policy_delete, op_policy_list,
    op_policy_attach, op_policy_detach;
admin_fn op_registry_put, op_registry_get, op_registry_delete;
admin_fn op_simulate;

#endif
