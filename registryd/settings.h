#ifndef REGISTRYD_SETTINGS_H
#define REGISTRYD_SETTINGS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/log.h"
#include "base/rc.h"
#include "base/span.h"
#include "registryd/http/server.h"
#include "registryd/mirror_spec.h"
#include "storage/meta.h"

/*
 * What an operator can say, after defaults, file, environment and flags were
 * laid over each other, each value parsed strictly.  A snapshot is immutable
 * and counted: a reload makes a new one, a request keeps the one it began
 * with.
 */
enum access_log { ACCESS_LOG_OFF, ACCESS_LOG_TEXT, ACCESS_LOG_JSON };
enum auth_mode { AUTH_NONE, AUTH_TOKEN };
enum encryption_default { ENCRYPT_NONE, ENCRYPT_AES256 };
enum missing_keys { MISSING_KEYS_REFUSE, MISSING_KEYS_SERVE };
enum token_challenge { CHALLENGE_BASIC, CHALLENGE_BEARER };
enum create_on_push { CREATE_AUTO, CREATE_ALWAYS, CREATE_NEVER };
/* When the pull through cache asks the upstream for a tag that is here. */
enum cache_mode {
	CACHE_BY_TTL,	   /* once it was not asked for .freshness_ms */
	CACHE_BY_UPSTREAM, /* always */
	CACHE_LOCAL_FIRST, /* never */
};

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

/* Looking for packages in images, and for what is known against them. */
struct scan_settings {
	unsigned jobs; /* images at once; 0: none is scanned */
	int64_t timeout_ms;
	uint64_t memory_bytes; /* of the process that reads a layer */
	uint64_t layer_bytes;  /* uncompressed */
};

/* Requests in a second; 0: any number.  registryd/rates.h */
struct rate_limits {
	unsigned authorization_token, check_layers, get_image, download_url,
	    initiate_upload, upload_part, complete_upload, put_image;
};

/* The pull through cache. */
struct caching {
	enum cache_mode mode;
	int64_t freshness_ms, negative_ms, patience_ms;
	uint64_t max_bytes; /* 0: any number */
	bool all_children;  /* of indexes, at once */
};

/* For other registries of which `upstreams` says nothing else. */
struct upstream_defaults {
	const char *proxy; /* NULL: of the environment; "": none */
	const char *proxy_said;
	const char *ca_file; /* "" : the system's */
	int64_t connect_ms, stall_ms;
	unsigned connections;
};

/* One of `upstreams`. */
struct upstream_setting {
	const char *registry; /* as it was written */
	const char *url;      /* as mirror/reference.h has it */
	const char *username; /* "" : none */
	const char *password_file, *secret_file;
	/* Until settings_credentials_wipe(); NULL: none. */
	char *password, *secret_access_key;
	const char *access_key_id, *region;
	const char *ca_file;	/* "" : the default */
	const char *proxy;	/* NULL: of the environment; "": none */
	const char *proxy_said; /* "" : the default */
	unsigned connections;	/* 0: the default */
	unsigned requests_per_second;
	uint64_t bytes_per_second;
};

/* One of `replication-destinations`. */
struct replication_setting {
	const char *region, *registry_id;
	const char *name; /* "REGION/ACCOUNT", as storage/replication.h */
	const char *address;
	const char *url;	/* as mirror/reference.h has it */
	const char *credential; /* "" : the registry's own */
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
	struct scan_settings scan;
	/* who */
	enum auth_mode auth;
	const char *tls_cert, *tls_key; /* "" : none */
	const char *tls_client_ca;	/* "" : none */
	const char *account_id;		/* 12 digits */
	const char *region;
	/* What stands before "/NAME"; has {host}, {account}, {region}. */
	const char *repository_uri_format;
	const char *master_key_file; /* never "": DATA/master.key */
	enum encryption_default encryption_default;
	enum missing_keys missing_keys;
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
	/* other registries */
	struct caching cache;
	int64_t replication_give_up_ms;
	struct upstream_defaults upstream;
	struct upstream_setting *upstreams;
	size_t n_upstreams;
	struct mirror_spec *mirrors;
	size_t n_mirrors;
	struct replication_setting *destinations;
	size_t n_destinations;
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

/** settings_credentials_wipe(s): those of `upstreams`, once they are sealed;
 * before others have a reference. */
void settings_credentials_wipe(struct settings *);

/** settings_upstream(s, url): what `upstreams` says of it; NULL: nothing. */
const struct upstream_setting *
settings_upstream(const struct settings *, const char *url);

/** settings_destination(s, name): of `replication-destinations`, by
 * "REGION/ACCOUNT"; NULL: it is not one. */
const struct replication_setting *
settings_destination(const struct settings *, struct span name);

struct settings *settings_ref(struct settings *);
/** settings_unref(s): takes NULL; sets it to NULL. Any thread. */
void settings_unref(struct settings **);

/** settings_reference(out): the part of docs/configuration.md that lists the
 * keys, made from the same rows that the loader uses. */
struct buf;
void settings_reference(struct buf *out);

#endif
