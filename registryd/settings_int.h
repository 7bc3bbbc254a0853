#ifndef REGISTRYD_SETTINGS_INT_H
#define REGISTRYD_SETTINGS_INT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/rc.h"
#include "registryd/settings.h"

/*
 * How settings are made.  One table (settings_keys.c) has a row for each key.
 * Each layer gives texts for some keys: defaults from the table, the file
 * (settings_file.c), the environment, the flags.  The upper layer's text
 * wins, is parsed strictly by the kind of its key into the field of struct
 * settings (settings_value.c), and what concerns several keys is checked at
 * the end (settings_check.c, settings_who.c).  The documentation is made from
 * the same rows (settings_reference.c).
 */
enum setting_kind {
	SETTING_TEXT,
	SETTING_LIST, /* of texts; kept as the value only, see settings_check */
	SETTING_WORD, /* one of .words, its number being the field's value */
	SETTING_COUNT,
	SETTING_SIZE,
	SETTING_DURATION,
};

#define SETTING_WORDS_MAX 5

struct setting_key {
	const char *name; /* "limits.header-bytes": at most one dot */
	enum setting_kind kind;
	bool restart;		   /* a reload does not change it */
	size_t offset, size_bytes; /* of the field in struct settings */
	const char *preset;	   /* the default, as one would write it; NULL:
				      a member that has to be said */
	const char *preset_help;   /* what the default means, or NULL */
	uint64_t min, max;	   /* COUNT; SIZE in bytes; DURATION in ms */
	bool zero;		   /* 0 is allowed too, below min */
	bool secret;		   /* its value is shown nowhere */
	const char *words[SETTING_WORDS_MAX];
	const char *allowed; /* TEXT, LIST: in words */
	const char *help;
};

#define SETTING_KEYS 94
extern const struct setting_key setting_keys[SETTING_KEYS];

/** setting_find(name): its number, SETTING_KEYS if there is none. */
size_t setting_find(struct span name);

/** setting_is_group(name): is ${name} what stands before some key's dot? */
bool setting_is_group(struct span name);

/** setting_nearest(name): the key most like ${name}; NULL if none is. */
const char *setting_nearest(struct span name);

/** setting_distance(a, b): insertions, deletions and changes that make ${b} of
 * ${a}, which are not longer than SETTING_NAME_BYTES. */
#define SETTING_NAME_BYTES 64
size_t setting_distance(struct span a, struct span b);

/** setting_env_name(key, out): "REGISTRYD_LIMITS_HEADER_BYTES". */
#define SETTING_ENV_BYTES 64
const char *
setting_env_name(const struct setting_key *, char out[SETTING_ENV_BYTES]);

/** setting_allowed(key, out): "none, index or all", "a size from 4KiB ...". */
#define SETTING_ALLOWED_BYTES 256
const char *
setting_allowed(const struct setting_key *, char out[SETTING_ALLOWED_BYTES]);

/* What a layer says of a key; all memory in the snapshot's arena. */
struct setting_value {
	const char **items; /* one, but of a list; NULL: says nothing */
	size_t n;
	const char *origin; /* "the flag --data" */
};

/** setting_value_split(a, text, origin, v_r): a list written with commas. */
void setting_value_split(struct arena *, const char *text, const char *origin,
    struct setting_value *v_r);

/** setting_value_one(a, text, origin, v_r): a single text. */
void setting_value_one(struct arena *, const char *text, const char *origin,
    struct setting_value *v_r);

bool
setting_value_eq(const struct setting_value *, const struct setting_value *);

/*
 * Lists of mappings, which the file alone can say.  The members of an entry
 * are described as keys are, with the offset in the struct of an entry.
 */
struct settings_all;
struct setting_entry {
	size_t line;
	struct setting_value *values; /* of each member; .n 0, .items NULL: it
					 says nothing of it */
};

struct setting_entries {
	struct setting_entry *items;
	size_t n, room;
};

struct setting_table {
	const char *name;  /* "upstreams" */
	const char *title; /* the member that says which one it is */
	const char *help;
	const struct setting_key *members;
	size_t n_members;
	size_t entry_bytes;
	/* Of the entries and their number in struct settings. */
	size_t offset, n_offset;
	/* What concerns several members, or entry number ${i} and those before
	 * it; may be NULL. */
	enum rc (*check)(
	    struct settings_all *, size_t i, char why[SETTINGS_WHY_BYTES]);
};

#define SETTING_TABLES 3
#define SETTING_ENTRIES_MAX 1000
extern const struct setting_table setting_tables[SETTING_TABLES];

/** setting_table_find(name): its number, SETTING_TABLES if there is none. */
size_t setting_table_find(struct span name);
/** setting_member_find(table, name): its number, .n_members if there is
 * none. */
size_t setting_member_find(const struct setting_table *, struct span name);
/** setting_member_nearest(table, name): NULL if none is like it. */
const char *
setting_member_nearest(const struct setting_table *, struct span name);

/* A snapshot, whole; struct settings is what others see of it. */
struct settings_all {
	struct settings s; /* first */
	_Atomic unsigned refs;
	struct arena arena;
	struct setting_value values[SETTING_KEYS];
	struct setting_entries tables[SETTING_TABLES];
};

/**
 * settings_file_read(path, arena, values, tables, why):
 * What the file says, into ${values} of SETTING_KEYS and ${tables} of
 * SETTING_TABLES; others are left alone.  RC_IO, RC_INVALID.
 */
RC_MUST_USE enum rc settings_file_read(const char *path, struct arena *,
    struct setting_value *values, struct setting_entries *tables,
    char why[SETTINGS_WHY_BYTES]);

/** settings_file_bad(path, line, why, fmt, ...): "PATH line 7: ..."; returns
 * RC_INVALID. */
RC_MUST_USE enum rc
settings_file_bad(const char *path, size_t line, char why[SETTINGS_WHY_BYTES],
    const char *fmt, ...) __attribute__((format(printf, 4, 5)));

/*
 * Reads the entries of a table from the events of the file, from the value of
 * its key on.
 */
enum entries_where {
	ENTRIES_VALUE,
	ENTRIES_LIST,
	ENTRIES_KEY,
	ENTRIES_MEMBER,
	ENTRIES_ITEM
};
struct entries_reader {
	const char *path;
	struct arena *arena;
	const struct setting_table *table; /* NULL: in none */
	struct setting_entries *to;
	enum entries_where where;
	size_t member;
	bool says_something;
};

struct yaml_event_s;
/** entries_event(r, e, why): ${r}->table is NULL again when it has ended. */
RC_MUST_USE enum rc entries_event(struct entries_reader *,
    const struct yaml_event_s *, char why[SETTINGS_WHY_BYTES]);

/** settings_parse(all, why): the texts into the fields.  RC_INVALID. */
RC_MUST_USE enum rc
settings_parse(struct settings_all *, char why[SETTINGS_WHY_BYTES]);

/** setting_store(base, key, v): the text into its field, at ${base} plus its
 * offset.  False: it is not allowed. */
bool setting_store(
    void *base, const struct setting_key *, const struct setting_value *);

/** settings_check_upstreams(all, why): the part of settings_check() about
 * other registries, and the lists of mappings.  RC_INVALID. */
RC_MUST_USE enum rc
settings_check_upstreams(struct settings_all *, char why[SETTINGS_WHY_BYTES]);

/** settings_entry_bad(all, table, i, member, why, fmt, ...): the form of a
 * complaint about a member of entry number ${i}; ${member} NULL: about all of
 * it.  Returns RC_INVALID. */
RC_MUST_USE enum rc
settings_entry_bad(const struct settings_all *, const struct setting_table *,
    size_t i, const char *member, char why[SETTINGS_WHY_BYTES], const char *fmt,
    ...) __attribute__((format(printf, 6, 7)));

/** settings_check(all, why): what concerns lists and several keys, and the
 * files of the certificate.  RC_INVALID. */
RC_MUST_USE enum rc
settings_check(struct settings_all *, char why[SETTINGS_WHY_BYTES]);

/** settings_check_who(all, why): the part of settings_check() about who may do
 * what; settles what follows from `auth`.  After the listeners. */
RC_MUST_USE enum rc
settings_check_who(struct settings_all *, char why[SETTINGS_WHY_BYTES]);

/** settings_check_lifecycle(all, why): the part of settings_check() about what
 * goes, and when. */
RC_MUST_USE enum rc
settings_check_lifecycle(struct settings_all *, char why[SETTINGS_WHY_BYTES]);

/* What an address speaks, by what stands in front of it. */
enum setting_scheme { SCHEME_UNSAID, SCHEME_HTTP, SCHEME_HTTPS, SCHEME_MTLS };

/**
 * setting_address(text, address_r, scheme_r):
 * One address of `listen`: ${address_r} is the part behind the scheme, within
 * ${text}.  False: malformed.
 */
bool setting_address(
    const char *text, const char **address_r, enum setting_scheme *scheme_r);

/** setting_address_loopback(address): only this machine reaches it. */
bool setting_address_loopback(const char *address);

/** settings_bad(all, key, value, why, fmt, ...): the form of every complaint:
 * KEY: "VALUE" (ORIGIN): ...  Returns RC_INVALID. */
RC_MUST_USE enum rc settings_bad(const struct settings_all *, size_t key,
    const char *value, char why[SETTINGS_WHY_BYTES], const char *fmt, ...)
    __attribute__((format(printf, 5, 6)));

/** settings_warn(all, fmt, ...): keep a warning. */
void settings_warn(struct settings_all *, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

#endif
