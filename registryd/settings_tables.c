#include <string.h>

#include "base/obj.h"
#include "registryd/settings_int.h"
#include "registryd/settings_upstreams.h"

/*
 * The lists of mappings: a row for each member of an entry, as settings_keys.c
 * has one for each key.
 */
#define OF(type, member) \
	.offset = offsetof(struct type, member), \
	.size_bytes = sizeof(((struct type *)0)->member)

#define SECOND ((uint64_t)1000)
#define DAY (SECOND * 24 * 60 * 60)

/* clang-format off */
static const struct setting_key upstream_members[] = {
	{ .name = "registry", .kind = SETTING_TEXT,
	    OF(upstream_setting, registry),
	    .allowed = "HOST[:PORT], http://HOST[:PORT] or https://HOST[:PORT]",
	    .help = "Which registry: `docker.io`, `ghcr.io`, "
	    "`http://10.0.0.5:5000`." },
	{ .name = "username", .kind = SETTING_TEXT,
	    OF(upstream_setting, username), .preset = "",
	    .preset_help = "nobody", .allowed = "a name",
	    .help = "Who we are there." },
	{ .name = "password", .kind = SETTING_TEXT, .secret = true,
	    OF(upstream_setting, password), .preset = "",
	    .preset_help = "none", .allowed = "a text",
	    .help = "The password or token. `password-file` is the better "
	    "place for it." },
	{ .name = "password-file", .kind = SETTING_TEXT,
	    OF(upstream_setting, password_file), .preset = "",
	    .preset_help = "none", .allowed = "the path of a file",
	    .help = "A file that holds the password; the end of its last line "
	    "does not belong to it." },
	{ .name = "access-key-id", .kind = SETTING_TEXT,
	    OF(upstream_setting, access_key_id), .preset = "",
	    .preset_help = "none", .allowed = "the id of an access key",
	    .help = "For Amazon ECR, or another registryd, instead of a name "
	    "and a password: passwords that expire are asked for by the ECR "
	    "API." },
	{ .name = "secret-access-key-file", .kind = SETTING_TEXT,
	    OF(upstream_setting, secret_file), .preset = "",
	    .preset_help = "none", .allowed = "the path of a file",
	    .help = "A file that holds the secret of `access-key-id`." },
	{ .name = "region", .kind = SETTING_TEXT,
	    OF(upstream_setting, region), .preset = "",
	    .preset_help = "as the host's name says, else `us-east-1`",
	    .allowed = "2 to 25 of a-z, 0-9 and -",
	    .help = "The region that requests with `access-key-id` are signed "
	    "for." },
	{ .name = "ca-file", .kind = SETTING_TEXT,
	    OF(upstream_setting, ca_file), .preset = "",
	    .preset_help = "`upstream.ca-file`",
	    .allowed = "the path of a PEM file",
	    .help = "The authorities that may sign its certificate." },
	{ .name = "proxy", .kind = SETTING_TEXT,
	    OF(upstream_setting, proxy_said), .preset = "",
	    .preset_help = "`upstream.proxy`",
	    .allowed = "\"\", none, or http://HOST[:PORT] (or https://, "
	    "socks5h://), without credentials",
	    .help = "The proxy by which it is reached." },
	{ .name = "connections", .kind = SETTING_COUNT,
	    OF(upstream_setting, connections), .preset = "0",
	    .preset_help = "`upstream.connections`",
	    .min = 1, .max = 256, .zero = true,
	    .help = "Connections to it, at most." },
	{ .name = "requests-per-second", .kind = SETTING_COUNT,
	    OF(upstream_setting, requests_per_second), .preset = "0",
	    .preset_help = "any number",
	    .min = 1, .max = 1000000, .zero = true,
	    .help = "Requests to it in a second, at most." },
	{ .name = "bytes-per-second", .kind = SETTING_SIZE,
	    OF(upstream_setting, bytes_per_second), .preset = "0",
	    .preset_help = "any number",
	    .min = 1024, .max = (uint64_t)1 << 40, .zero = true,
	    .help = "Bytes of content from and to it in a second, at most." },
};

static const struct setting_key mirror_members[] = {
	{ .name = "name", .kind = SETTING_TEXT, OF(mirror_spec, name),
	    .allowed = "1 to 128 of letters, digits and ._-",
	    .help = "What it is called." },
	{ .name = "source", .kind = SETTING_TEXT, OF(mirror_spec, source),
	    .allowed = "HOST[:PORT]/NAME, without a tag",
	    .help = "The repository elsewhere: `docker.io/library/alpine`. "
	    "`http://` in front of it for a registry without TLS." },
	{ .name = "destination", .kind = SETTING_TEXT,
	    OF(mirror_spec, destination),
	    .allowed = "the name of a repository",
	    .help = "The repository here. It is created when it is missing, "
	    "by the creation template that applies, if one does." },
	{ .name = "tags", .kind = SETTING_LIST, OF(mirror_spec, tags),
	    .preset = "", .preset_help = "all, unless `tags-regex` is set",
	    .allowed = "patterns with *, ? and [a-z]",
	    .help = "Which tags, by patterns of the whole tag." },
	{ .name = "tags-regex", .kind = SETTING_LIST,
	    OF(mirror_spec, regexes), .preset = "", .preset_help = "none",
	    .allowed = "POSIX extended regular expressions",
	    .help = "Also those that one of these describes, from their first "
	    "character to the last." },
	{ .name = "exclude", .kind = SETTING_LIST, OF(mirror_spec, excludes),
	    .preset = "", .preset_help = "none",
	    .allowed = "patterns with *, ? and [a-z]",
	    .help = "But none of these." },
	{ .name = "semver", .kind = SETTING_TEXT, OF(mirror_spec, semver),
	    .preset = "", .preset_help = "any",
	    .allowed = "a range such as \">=1.2 <2 || 3.x\", ^1.4 or ~1.4.2",
	    .help = "Only versions in this range; a `v` in front of a tag does "
	    "not count." },
	{ .name = "newest", .kind = SETTING_COUNT, OF(mirror_spec, newest),
	    .preset = "0", .preset_help = "all",
	    .min = 1, .max = 1000000, .zero = true,
	    .help = "Of all these, so many with the highest versions." },
	{ .name = "platforms", .kind = SETTING_LIST,
	    OF(mirror_spec, platforms), .preset = "", .preset_help = "all",
	    .allowed = "OS/ARCHITECTURE[/VARIANT], such as linux/arm64",
	    .help = "Of multi-architecture images only these. The index comes "
	    "as it is, and says of the others what it said." },
	{ .name = "interval", .kind = SETTING_DURATION,
	    OF(mirror_spec, interval_ms), .preset = "24h",
	    .min = 1 * SECOND, .max = 365 * DAY, .zero = true,
	    .help = "How often, and a tenth of it more at most, so that "
	    "mirrors do not all run at once. 0: only when somebody asks for "
	    "it with `registryctl mirror run`." },
	{ .name = "delete", .kind = SETTING_WORD, OF(mirror_spec, deletes),
	    .preset = "keep", .words = { "keep", "missing", "force" },
	    .help = "What becomes of tags here that are selected and that the "
	    "source has no more: `keep`; `missing`, they go, but not when the "
	    "source lists no tag at all or when it would be more than half of "
	    "them and more than 5, which counts as a failure; `force`, they "
	    "go." },
	{ .name = "referrers", .kind = SETTING_WORD,
	    OF(mirror_spec, referrers), .preset = "true",
	    .words = { "false", "true" },
	    .help = "Whether signatures and whatever else refers to an image "
	    "come with it." },
	{ .name = "credential", .kind = SETTING_TEXT,
	    OF(mirror_spec, credential), .preset = "",
	    .preset_help = "those of the registry",
	    .allowed = "the name of a secret",
	    .help = "The credentials for the source, by the name under which "
	    "`registryctl secret put` stored them." },
};

static const struct setting_key destination_members[] = {
	{ .name = "region", .kind = SETTING_TEXT,
	    OF(replication_setting, region),
	    .allowed = "2 to 25 of a-z, 0-9 and -",
	    .help = "The region of the destination, as the replication "
	    "configuration calls it." },
	{ .name = "registry-id", .kind = SETTING_TEXT,
	    OF(replication_setting, registry_id), .allowed = "12 digits",
	    .help = "Its account, likewise." },
	{ .name = "url", .kind = SETTING_TEXT,
	    OF(replication_setting, address),
	    .allowed = "HOST[:PORT], http://HOST[:PORT] or https://HOST[:PORT]",
	    .help = "The registry that is meant." },
	{ .name = "credential", .kind = SETTING_TEXT,
	    OF(replication_setting, credential), .preset = "",
	    .preset_help = "those of the registry",
	    .allowed = "the name of a secret",
	    .help = "The credentials for it, by the name under which "
	    "`registryctl secret put` stored them." },
};

const struct setting_table setting_tables[SETTING_TABLES] = {
	{ .name = "upstreams", .title = "registry",
	    .help = "How single registries are reached, by the pull through "
	    "cache, mirrors, and replication: credentials, limits, and what "
	    "differs from the keys `upstream.*`. Credentials are kept "
	    "encrypted in the data folder from the start, or reload, on; those "
	    "of an entry that is gone, go with it.",
	    .members = upstream_members,
	    .n_members = ARRAY_LEN(upstream_members),
	    .entry_bytes = sizeof(struct upstream_setting),
	    .offset = offsetof(struct settings, upstreams),
	    .n_offset = offsetof(struct settings, n_upstreams),
	    .check = settings_upstream_check },
	{ .name = "mirrors", .title = "name",
	    .help = "Repositories elsewhere that are kept in step here. More "
	    "can be added with `registryctl mirror add`.",
	    .members = mirror_members,
	    .n_members = ARRAY_LEN(mirror_members),
	    .entry_bytes = sizeof(struct mirror_spec),
	    .offset = offsetof(struct settings, mirrors),
	    .n_offset = offsetof(struct settings, n_mirrors),
	    .check = settings_mirror_check },
	{ .name = "replication-destinations", .title = "url",
	    .help = "Where the destinations of the replication configuration "
	    "(`aws ecr put-replication-configuration`) are: it names them by "
	    "region and account.",
	    .members = destination_members,
	    .n_members = ARRAY_LEN(destination_members),
	    .entry_bytes = sizeof(struct replication_setting),
	    .offset = offsetof(struct settings, destinations),
	    .n_offset = offsetof(struct settings, n_destinations),
	    .check = settings_destination_check },
};
/* clang-format on */

_Static_assert(SYNC_KEEP == 0 && SYNC_DELETE == 1 && SYNC_DELETE_FORCE == 2,
    "the words of a member stand in the order of its enum");

size_t
setting_table_find(struct span name)
{
	size_t i;

	for (i = 0; i < SETTING_TABLES; i++)
		if (span_is(name, setting_tables[i].name))
			break;
	return (i);
}

size_t
setting_member_find(const struct setting_table *t, struct span name)
{
	size_t i;

	for (i = 0; i < t->n_members; i++)
		if (span_is(name, t->members[i].name))
			break;
	return (i);
}

const char *
setting_member_nearest(const struct setting_table *t, struct span name)
{
	const char *nearest = NULL;
	size_t best = name.n / 3 + 1, d, i;

	if (name.n > SETTING_NAME_BYTES)
		return (NULL);
	for (i = 0; i < t->n_members; i++) {
		d = setting_distance(name, span_of(t->members[i].name));
		if (d < best) {
			best = d;
			nearest = t->members[i].name;
		}
	}
	return (nearest);
}
