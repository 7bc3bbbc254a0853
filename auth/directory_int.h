#ifndef AUTH_DIRECTORY_INT_H
#define AUTH_DIRECTORY_INT_H

#include <jansson.h>
#include <stdatomic.h>

#include "auth/auth_tools_int.h"
#include "auth/directory.h"
#include "auth/htpasswd_int.h"
#include "base/arena.h"
#include "base/digest.h"
#include "storage/meta.h"

/*
 * How a directory is built.  It is read by directory_read.c (rows into
 * structs, directory_record.c knows the form of the records), then joined by
 * directory_link.c: groups and policies to users, users to keys, passwords.
 *
 * All of it lies in one arena.  Policies are parsed at most once over the life
 * of the process: a new directory takes from the one before what it holds
 * already (directory_policies.c).
 *
 * What is damaged closes and never opens: a user with a policy or a group that
 * cannot be read or does not parse any more may do nothing (.broken), and a
 * user or key that cannot be read does not exist.
 *
 *	records, JSON objects, by entity:
 *	user	id, created_ms, revoked_ms?, password?, tags{}, groups[],
 *		attached[] (ARNs), inline{name: text}
 *	group	id, created_ms, attached[], inline{}
 *	policy	created_ms, updated_ms, document
 *	key	account, user, active, created_ms, sealed (base64)
 *	"policy" of the registry	document
 *	"account" of the registry	account (12 digits): of what is here
 *	note	last_used_ms, service, region
 */

#define ADMINISTRATOR_ARN "arn:aws:iam::aws:policy/AdministratorAccess"

/* A row of a hash table; the first member of what stands in it. */
struct dir_node {
	struct dir_node *next;
	struct span key;
};

struct dir_table {
	struct dir_node **buckets;
	size_t n_buckets; /* a power of two */
};

/* A growing list of pointers. */
struct dir_list {
	void **items;
	size_t n, room;
};

struct dir_inline {
	struct span name;
	const char *label;
	const struct policy *policy; /* NULL: does not parse */
};

/* What users and groups have in common. */
struct dir_holder {
	struct dir_node node; /* "ACCOUNT/NAME" */
	struct span account, name, arn, id;
	int64_t created_ms;
	struct span *attached; /* ARNs */
	size_t n_attached;
	struct dir_inline *inlines;
	size_t n_inlines;
	struct attached_policy *policies;
	size_t n_policies;
	const char *broken; /* what of its policies cannot be read, or NULL */
	bool administrator; /* has AdministratorAccess, also by a group */
};

struct dir_group {
	struct dir_holder holder;
	struct dir_list members; /* users, by name */
};

struct dir_key;

struct dir_user {
	struct dir_holder holder;
	struct principal principal;
	struct name_value *tags;
	size_t n_tags;
	struct span *groups; /* names */
	size_t n_groups;
	struct span password; /* its own; NUL behind; empty: none */
	struct span proof;    /* what a password is held against: its own, or
				 the htpasswd file's */
	uint8_t mark[16];     /* of the proof */
	int64_t revoked_ms;   /* tokens issued until then are void */
	bool of_htpasswd;     /* has no record */
	struct dir_key *keys; /* in order of id */
};

struct dir_policy {
	struct dir_node node; /* "ACCOUNT/NAME", "aws/NAME" */
	struct span account, name, arn;
	int64_t created_ms, updated_ms;
	const struct policy *policy; /* NULL: does not parse */
	size_t n_attached;
};

struct dir_key {
	struct dir_node node; /* "AKIA..." */
	struct access_key key;
	struct principal principal;
	struct span account, user_name;
	struct dir_user *user;
	struct dir_key *next;
};

/* Parsed policies by kind and text. */
struct policy_pool {
	struct dir_table table;
	struct pool_row *rows; /* in order of use, newest first */
	size_t n;
};

struct directory {
	unsigned magic;
	_Atomic unsigned refs;
	struct arena arena;
	uint64_t serial;     /* directory_generation() */
	uint64_t generation; /* of the entities */
	struct span account;
	struct dir_list users, groups, policies, keys; /* by name */
	struct dir_list proofs;			       /* users with one */
	struct dir_table user_table, group_table, policy_table, key_table;
	struct policy_pool pool;
	const struct policy *deny_all;
	const struct policy *registry_policy;
	uint64_t registry_revision; /* 0: no policy */
	uint8_t mark_key[AUTH_MAC_BYTES];
	const struct directory *before; /* while it is built */
};

#define DIRECTORY_MAGIC 0x44495259u

struct directory_source {
	struct meta *meta;
	struct span account;
	uint8_t mark_key[AUTH_MAC_BYTES];
	const struct htpasswd *htpasswd; /* or NULL */
	char *const *htpasswd_policies;
	size_t n_htpasswd_policies;
	const struct directory *before; /* or NULL */
};

/** directory_read(source, d_r): the caller owns it.  RC_BUSY: changed again
 * and again meanwhile.  May block. */
RC_MUST_USE enum rc
directory_read(const struct directory_source *, struct directory **d_r);

/* Lookups of the room's own; NULL: none. */
struct dir_user *
dir_user_find(const struct directory *, struct span account, struct span name);
struct dir_group *
dir_group_find(const struct directory *, struct span account, struct span name);
struct dir_key *dir_key_find(const struct directory *, struct span id);
struct dir_policy *dir_policy_find(
    const struct directory *, struct span account, struct span name);
/** dir_policy_arn(d, arn): of "arn:aws:iam::ACCOUNT:policy/NAME", also with
 * "aws" for the account. */
struct dir_policy *dir_policy_arn(const struct directory *, struct span arn);
/** dir_policy_named(d, account, name): by ARN, or by name: the account's or
 * AWS's.  Of another account: NULL. */
struct dir_policy *dir_policy_named(
    const struct directory *, struct span account, struct span name);

/** dir_administrator_attached(h): AdministratorAccess, to itself? */
bool dir_administrator_attached(const struct dir_holder *);

/** dir_dummy(d, name): what the password of one that does not exist is held
 * against: one of the proofs here, so that costs do not tell, always the same
 * for one name. */
const char *dir_dummy(const struct directory *, struct span name);

/* Tables. */
void dir_table_init(struct dir_table *, struct arena *, size_t n);
void dir_table_add(struct dir_table *, struct dir_node *);
/** dir_table_find(t, account, name): empty account: by name alone. */
struct dir_node *
dir_table_find(const struct dir_table *, struct span account, struct span name);
void dir_list_add(struct dir_list *, void *item);

/* Memory of a directory; never NULL: the arena has no cap. */
void *dir_alloc(struct directory *, size_t n, size_t size);
struct span dir_span(struct directory *, struct span);
struct span dir_printf(struct directory *, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/* Records.  RC_CORRUPT: not of that form. */
RC_MUST_USE enum rc
dir_user_decode(struct directory *, const json_t *, struct dir_user *);
RC_MUST_USE enum rc
dir_group_decode(struct directory *, const json_t *, struct dir_group *);
RC_MUST_USE enum rc
dir_policy_decode(struct directory *, const json_t *, struct dir_policy *);
RC_MUST_USE enum rc
dir_key_decode(struct directory *, const json_t *, struct dir_key *);

/** dir_policy_take(d, kind, text, label): parsed, or of the directory before;
 * NULL: it does not parse, which is logged the first time. */
const struct policy *dir_policy_take(
    struct directory *, enum policy_kind, struct span text, const char *label);
void dir_policies_free(struct directory *);
/** dir_registry_set(d, text). */
void dir_registry_set(struct directory *, struct span text);
/** dir_deny_all_set(d). */
void dir_deny_all_set(struct directory *);
/** dir_aws_add(d): AWS's managed policies. */
void dir_aws_add(struct directory *);

/** dir_link(d, source): join what was read. */
void dir_link(struct directory *, const struct directory_source *);

#endif
