#ifndef REGISTRYD_SETTINGS_H
#define REGISTRYD_SETTINGS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/log.h"
#include "base/rc.h"
#include "registryd/http/server.h"
#include "storage/meta.h"

/*
 * What an operator can say, after defaults, file, environment and flags were
 * laid over each other, each value parsed strictly.  A snapshot is immutable
 * and counted: a reload makes a new one, a request keeps the one it began
 * with.
 */
enum access_log { ACCESS_LOG_OFF, ACCESS_LOG_TEXT, ACCESS_LOG_JSON };
enum auth_mode { AUTH_NONE, AUTH_TOKEN };
enum token_challenge { CHALLENGE_BASIC, CHALLENGE_BEARER };
enum create_on_push { CREATE_AUTO, CREATE_ALWAYS, CREATE_NEVER };

#define AUDIT_LOG_OFF "off"
#define AUDIT_LOG_STDERR "stderr"

struct setting_listener {
	const char *address; /* as http_listener_config wants it */
	bool tls;
	const char *cert_file, *key_file; /* NULL without TLS */
	const char *client_ca_file;	  /* mtls://; else NULL */
};

/* Limits of the service; 0: none. */
struct quotas {
	uint64_t repositories;
	uint64_t images; /* of a repository */
	uint64_t tags;	 /* of an image */
	unsigned layer_parts;
	uint64_t layer_part_bytes; /* at least, of all but the last */
	unsigned cache_rules, creation_templates, pull_exclusions;
	unsigned scans; /* of an image in 24 hours */
	unsigned lifecycle_rules;
	unsigned replication_rules, replication_destinations;
	unsigned signing_rules;
};

/* When lifecycle policies are carried out, and how. */
struct lifecycle_settings {
	int64_t interval_ms; /* 0: only when somebody asks for it */
	const char *jitter;  /* "" : a tenth of the interval */
	int64_t jitter_ms;   /* what that means */
	const char *window;  /* "HH:MM-HH:MM", local time; "" : always */
	bool windowed;	     /* what that means, in minutes of the day; the
				end, which is not of it, may be before the
				beginning */
	unsigned window_from, window_to;
	unsigned rate;	 /* images in a second; 0: any number */
	bool extensions; /* of the grammar */
	int64_t undelete_ms;
};

/* Requests in a second; 0: any number.  registryd/rates.h */
struct rate_limits {
	unsigned authorization_token, check_layers, get_image, download_url,
	    initiate_upload, upload_part, complete_upload, put_image;
};

struct settings {
	/* where */
	const char *data;
	struct setting_listener *listeners;
	size_t n_listeners;
	const char *metrics_listen; /* "" : on the public listeners; "off" */
	struct setting_listener metrics; /* .address NULL: no listener of its
					    own */
	const char *external_url;	 /* "" : Locations are relative */
	struct span *trusted_proxies;
	size_t n_trusted_proxies;
	/* how much */
	struct http_limits limits;
	uint64_t manifest_bytes;
	uint64_t upload_bytes; /* 0: no limit */
	uint64_t part_bytes;   /* of all parts on their way; 0: no limit */
	unsigned upload_sessions;
	int64_t upload_lifetime_ms;
	struct quotas quotas;
	struct rate_limits rates;
	unsigned loops, workers;
	uint64_t inline_bytes, reserve_bytes, map_bytes;
	int64_t shutdown_ms;
	/* what goes */
	int64_t gc_grace_ms;
	const char *archive_dir; /* "" : DATA/archive */
	struct lifecycle_settings lifecycle;
	/* who */
	enum auth_mode auth;
	const char *tls_cert, *tls_key; /* "" : none */
	const char *tls_client_ca;	/* "" : none */
	const char *account_id;		/* 12 digits */
	const char *region;
	/* What stands before "/NAME"; has {host}, {account}, {region}. */
	const char *repository_uri_format;
	const char *master_key_file; /* never "": DATA/master.key */
	int64_t token_lifetime_ms, token_refresh_ms;
	int64_t download_lifetime_ms; /* of the URLs of layers */
	enum token_challenge token_challenge;
	bool sigv4_region_strict;  /* else any region's signature counts */
	const char *htpasswd_file; /* "" : none */
	const char *const *htpasswd_policies; /* names of policies */
	size_t n_htpasswd_policies;
	/* what */
	enum sparse sparse;
	enum create_on_push create_on_push_said;
	bool create_on_push; /* what that means with ${auth} */
	/* logs */
	enum log_level log_level;
	enum log_format log_format;
	enum access_log access_log;
	const char *audit_log; /* never "": a path, AUDIT_LOG_... */
	/* What an operator should hear though it is no error: for the log,
	 * once it is as the settings want it. */
	const char **warnings;
	size_t n_warnings;
};

#define SETTINGS_WHY_BYTES 1024

/* Of the environment, but no key: it holds the master key itself, which no
 * file or command line should. */
#define SETTINGS_MASTER_KEY_VARIABLE "REGISTRYD_MASTER_KEY"

/* The command line, as far as it says settings; NULL where it was silent. */
struct settings_flags {
	const char *config_file, *data, *auth, *tls_cert, *tls_key, *log_level;
	const char **listen;
	size_t n_listen;
};

/**
 * settings_load(flags, why, s_r):
 * Flags over environment (REGISTRYD_<KEY>) over file over defaults; the
 * caller owns one reference.  RC_INVALID: ${why} names the key, the value,
 * where it came from, and what is allowed.  RC_IO: the file cannot be read.
 */
RC_MUST_USE enum rc settings_load(const struct settings_flags *,
    char why[SETTINGS_WHY_BYTES], struct settings **s_r);

/**
 * settings_reload(now, flags, why, s_r):
 * Load again beside ${now}.  Keys that only a restart can change keep their
 * value of ${now}, and a warning names them.  As settings_load.
 */
RC_MUST_USE enum rc
settings_reload(const struct settings *now, const struct settings_flags *,
    char why[SETTINGS_WHY_BYTES], struct settings **s_r);

struct settings *settings_ref(struct settings *);
/** settings_unref(s): takes NULL; sets it to NULL. Any thread. */
void settings_unref(struct settings **);

/** settings_reference(out): the part of docs/configuration.md that lists the
 * keys, made from the same rows that the loader uses. */
struct buf;
void settings_reference(struct buf *out);

#endif
