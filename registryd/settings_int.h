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
	const char *preset;	   /* the default, as one would write it */
	const char *preset_help;   /* what the default means, or NULL */
	uint64_t min, max;	   /* COUNT; SIZE in bytes; DURATION in ms */
	bool zero;		   /* 0 is allowed too, below min */
	const char *words[SETTING_WORDS_MAX];
	const char *allowed; /* TEXT, LIST: in words */
	const char *help;
};

#define SETTING_KEYS 76
extern const struct setting_key setting_keys[SETTING_KEYS];

/** setting_find(name): its number, SETTING_KEYS if there is none. */
size_t setting_find(struct span name);

/** setting_is_group(name): is ${name} what stands before some key's dot? */
bool setting_is_group(struct span name);

/** setting_nearest(name): the key most like ${name}; NULL if none is. */
const char *setting_nearest(struct span name);

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

/* A snapshot, whole; struct settings is what others see of it. */
struct settings_all {
	struct settings s; /* first */
	_Atomic unsigned refs;
	struct arena arena;
	struct setting_value values[SETTING_KEYS];
};

/**
 * settings_file_read(path, arena, values, why):
 * What the file says, into ${values} of SETTING_KEYS; others are left alone.
 * RC_IO, RC_INVALID.
 */
RC_MUST_USE enum rc settings_file_read(const char *path, struct arena *,
    struct setting_value *values, char why[SETTINGS_WHY_BYTES]);

/** settings_parse(all, why): the texts into the fields.  RC_INVALID. */
RC_MUST_USE enum rc
settings_parse(struct settings_all *, char why[SETTINGS_WHY_BYTES]);

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
