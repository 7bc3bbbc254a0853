#include "base/obj.h"
#include "scan/layer_int.h"

/*
 * Paths of a layer, and which of them are worth reading.
 */

/* --- their form ----------------------------------------------------------- */

/* Without the last part, and the '/' before it. */
static size_t
part_drop(const char *path, size_t n)
{
	while (n > 0 && path[n - 1] != '/')
		n--;
	return (n > 0 ? n - 1 : 0);
}

enum rc
layer_path(
    struct span in, char out[LAYER_PATH_MAX_BYTES + 1], struct span *path_r)
{
	struct span part;
	size_t n = 0;

	while (span_split(&in, '/', &part)) {
		if (part.n == 0 || span_is(part, "."))
			continue;
		if (span_is(part, "..")) {
			if (n == 0)
				return (RC_INVALID);
			n = part_drop(out, n);
			continue;
		}
		if (part.n + 1 > LAYER_PATH_MAX_BYTES - n)
			return (RC_TOOBIG);
		if (n > 0)
			out[n++] = '/';
		memcpy(out + n, part.p, part.n);
		n += part.n;
	}
	out[n] = '\0';
	*path_r = (struct span){ out, n };
	return (RC_OK);
}

struct span
path_base(struct span path)
{
	size_t at = path.n;

	while (at > 0 && path.p[at - 1] != '/')
		at--;
	return ((struct span){ path.p + at, path.n - at });
}

struct span
path_dir(struct span path)
{
	return ((struct span){ path.p, part_drop(path.p, path.n) });
}

/* --- their hash ------------------------------------------------------------ */

#define FNV_BASIS 0xcbf29ce484222325U
#define FNV_PRIME 0x100000001b3U

/* FNV-1a leaves the upper bits of short texts alike. */
static uint64_t
hash_mix(uint64_t h)
{
	h ^= h >> 33;
	h *= 0xff51afd7ed558ccdU;
	h ^= h >> 33;
	h *= 0xc4ceb9fe1a85ec53U;
	return (h ^ h >> 33);
}

void
path_walk_begin(struct path_walk *w, struct span path)
{
	*w = (struct path_walk){ .path = path, .state = 0 };
}

bool
path_walk_next(struct path_walk *w, uint64_t *hash_r)
{
	if (w->state == 0) {
		w->state = FNV_BASIS;
		*hash_r = hash_mix(w->state);
		return (true);
	}
	if (w->at == w->path.n)
		return (false);
	do
		w->state = (w->state ^ (uint8_t)w->path.p[w->at++]) * FNV_PRIME;
	while (w->at < w->path.n && w->path.p[w->at] != '/');
	*hash_r = hash_mix(w->state);
	return (true);
}

bool
path_walk_last(const struct path_walk *w)
{
	return (w->at == w->path.n);
}

uint64_t
path_hash(struct span path)
{
	uint64_t hash = FNV_BASIS;
	size_t i;

	for (i = 0; i < path.n; i++)
		hash = (hash ^ (uint8_t)path.p[i]) * FNV_PRIME;
	return (hash_mix(hash));
}

/* --- what they name -------------------------------------------------------- */

static const struct {
	struct span path;
	enum file_kind kind;
} fixed_paths[] = {
	{ SPAN_INIT("etc/os-release"), FILE_OS_RELEASE },
	{ SPAN_INIT("usr/lib/os-release"), FILE_OS_RELEASE },
	{ SPAN_INIT("var/lib/dpkg/status"), FILE_DPKG_STATUS },
	{ SPAN_INIT("lib/apk/db/installed"), FILE_APK },
	{ SPAN_INIT("usr/lib/apk/db/installed"), FILE_APK },
};

static const struct span rpm_folders[] = {
	SPAN_INIT("var/lib/rpm"),
	SPAN_INIT("usr/lib/sysimage/rpm"),
	SPAN_INIT("usr/share/rpm"),
};

static enum file_kind
rpm_kind(struct span folder, struct span name)
{
	size_t i;

	for (i = 0; i < ARRAY_LEN(rpm_folders); i++) {
		if (!span_eq(folder, rpm_folders[i]))
			continue;
		if (span_is(name, "rpmdb.sqlite"))
			return (FILE_RPM_SQLITE);
		if (span_is(name, "rpmdb.sqlite-wal"))
			return (FILE_RPM_WAL);
		if (span_is(name, "Packages"))
			return (FILE_RPM_BDB);
		if (span_is(name, "Packages.db"))
			return (FILE_RPM_NDB);
	}
	return (FILE_OTHER);
}

static bool
has_part(struct span path, struct span part)
{
	struct span is;

	while (span_split(&path, '/', &is))
		if (span_eq(is, part))
			return (true);
	return (false);
}

static enum file_kind
npm_kind(struct span folder, struct span name)
{
	if (span_is(name, ".package-lock.json"))
		return (span_is(path_base(folder), "node_modules")
			    ? FILE_NPM_INSTALLED
			    : FILE_OTHER);
	if (!span_is(name, "package-lock.json") &&
	    !span_is(name, "npm-shrinkwrap.json"))
		return (FILE_OTHER);
	/* Of a package that is itself in somebody's list. */
	return (has_part(folder, SPAN("node_modules")) ? FILE_OTHER
						       : FILE_NPM_LOCK);
}

/*
 * Below Debian's own dist-packages lies what its packages brought: dpkg knows
 * it, and its versions have Debian's corrections.
 */
static enum file_kind
python_kind(struct span path, struct span folder, struct span name)
{
	struct span in = path_base(folder);

	if (span_has_prefix(path, SPAN("usr/lib/python3/dist-packages/")) ||
	    span_has_prefix(path, SPAN("usr/lib/python2.7/dist-packages/")))
		return (FILE_OTHER);
	if (span_is(name, "METADATA") &&
	    span_has_suffix(in, SPAN(".dist-info")))
		return (FILE_PYTHON_METADATA);
	if (span_is(name, "PKG-INFO") &&
	    (span_has_suffix(in, SPAN(".egg-info")) || span_is(in, "EGG-INFO")))
		return (FILE_PYTHON_METADATA);
	if (span_has_suffix(name, SPAN(".egg-info")))
		return (FILE_PYTHON_METADATA);
	if (span_is(name, "requirements.txt") &&
	    !has_part(folder, SPAN("site-packages")) &&
	    !has_part(folder, SPAN("dist-packages")))
		return (FILE_REQUIREMENTS);
	return (FILE_OTHER);
}

static enum file_kind
kind_of(struct span path)
{
	struct span name = path_base(path), folder = path_dir(path);
	enum file_kind kind;
	size_t i;

	for (i = 0; i < ARRAY_LEN(fixed_paths); i++)
		if (span_eq(path, fixed_paths[i].path))
			return (fixed_paths[i].kind);
	if (span_is(folder, "var/lib/dpkg/status.d"))
		return (span_has_suffix(name, SPAN(".md5sums"))
			    ? FILE_OTHER
			    : FILE_DPKG_STATUS_D);
	if ((kind = rpm_kind(folder, name)) != FILE_OTHER ||
	    (kind = npm_kind(folder, name)) != FILE_OTHER)
		return (kind);
	return (python_kind(path, folder, name));
}

/* Nobody's tool makes one of a name that no line can show. */
static bool
name_shows(struct span path)
{
	size_t i;

	for (i = 0; i < path.n; i++)
		if ((uint8_t)path.p[i] < ' ' || path.p[i] == '\x7f')
			return (false);
	return (true);
}

enum file_kind
file_kind_of(struct span path)
{
	enum file_kind kind = kind_of(path);

	return (kind != FILE_OTHER && name_shows(path) ? kind : FILE_OTHER);
}

bool
file_kind_type(enum file_kind kind, enum package_type *type_r)
{
	static const uint8_t types[FILE_KINDS] = {
		[FILE_DPKG_STATUS] = PACKAGE_DEB,
		[FILE_DPKG_STATUS_D] = PACKAGE_DEB,
		[FILE_APK] = PACKAGE_APK,
		[FILE_RPM_SQLITE] = PACKAGE_RPM,
		[FILE_NPM_LOCK] = PACKAGE_NPM,
		[FILE_NPM_INSTALLED] = PACKAGE_NPM,
		[FILE_REQUIREMENTS] = PACKAGE_PYPI,
		[FILE_PYTHON_METADATA] = PACKAGE_PYPI,
	};

	if (types[kind] == 0)
		return (false);
	*type_r = (enum package_type)types[kind];
	return (true);
}
