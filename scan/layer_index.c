#include "base/obj.h"
#include "scan/layer_int.h"

/*
 * The form of an index: what layer_int.h says of it, written and read.  The
 * reader believes nothing: what it takes is exactly what the writer writes.
 */

/* --- writing -------------------------------------------------------------- */

static void
put(struct buf *out, uint64_t n, unsigned n_bytes)
{
	while (n_bytes-- > 0) {
		buf_char(out, (char)(uint8_t)n);
		n >>= 8;
	}
}

static void
put_text(struct buf *out, struct span s)
{
	must(s.n <= PACKAGE_TEXT_MAX_BYTES);
	put(out, s.n, 2);
	buf_span(out, s);
}

void
index_write_begin(struct buf *out, size_t n_files, size_t n_packages)
{
	buf_str(out, INDEX_MAGIC);
	put(out, LAYER_READER, 4);
	put(out, n_files, 4);
	put(out, n_packages, 4);
}

void
index_write_file(
    struct buf *out, const struct layer_file *f, const uint64_t *owned)
{
	put(out, f->kind, 1);
	put_text(out, f->path);
	put_text(out, f->unread);
	if (f->kind != FILE_OS_RELEASE) {
		put(out, f->n_packages, 4);
		index_write_hashes(out, owned, f->n_owned);
		return;
	}
	put_text(out, f->os.id);
	put_text(out, f->os.version_id);
	put_text(out, f->os.codename);
	put_text(out, f->os.pretty_name);
}

void
index_write_package(struct buf *out, const struct package *p)
{
	put_text(out, p->name);
	put_text(out, p->version);
	put_text(out, p->arch);
	put_text(out, p->source_name);
	put_text(out, p->source_version);
	put_text(out, p->license);
}

void
index_write_hashes(struct buf *out, const uint64_t *hashes, size_t n)
{
	size_t i;

	put(out, n, 4);
	for (i = 0; i < n; i++)
		put(out, hashes[i], 8);
}

/* --- reading -------------------------------------------------------------- */

static uint64_t
number(const char *p, unsigned n_bytes)
{
	uint64_t n = 0;

	while (n_bytes-- > 0)
		n = n << 8 | (uint8_t)p[n_bytes];
	return (n);
}

static bool
get(struct span *rest, unsigned n_bytes, uint64_t *n_r)
{
	if (rest->n < n_bytes)
		return (false);
	*n_r = number(rest->p, n_bytes);
	rest->p += n_bytes;
	rest->n -= n_bytes;
	return (true);
}

static bool
get_u32(struct span *rest, uint32_t *n_r)
{
	uint64_t n;

	if (!get(rest, 4, &n))
		return (false);
	*n_r = (uint32_t)n;
	return (true);
}

static bool
get_text(struct span *rest, struct span *s_r)
{
	uint64_t n;
	size_t i;

	if (!get(rest, 2, &n) || n > rest->n || n > PACKAGE_TEXT_MAX_BYTES)
		return (false);
	*s_r = (struct span){ rest->p, (size_t)n };
	for (i = 0; i < s_r->n; i++)
		if ((uint8_t)s_r->p[i] < ' ' || s_r->p[i] == '\x7f')
			return (false);
	rest->p += n;
	rest->n -= (size_t)n;
	return (true);
}

uint64_t
index_hash(struct span hashes, size_t i)
{
	return (number(hashes.p + i * 8, 8));
}

static bool
get_hashes(struct span *rest, struct span *hashes_r, size_t *n_r)
{
	uint32_t n;
	size_t i;

	if (!get_u32(rest, &n) || n > rest->n / 8)
		return (false);
	*hashes_r = (struct span){ rest->p, (size_t)n * 8 };
	*n_r = n;
	rest->p += hashes_r->n;
	rest->n -= hashes_r->n;
	for (i = 1; i < n; i++)
		if (index_hash(*hashes_r, i - 1) >= index_hash(*hashes_r, i))
			return (false);
	return (true);
}

enum rc
index_begin(struct index_reader *r, struct span bytes)
{
	uint32_t reader;

	*r = (struct index_reader){ .rest = bytes };
	if (bytes.n > LAYER_INDEX_MAX_BYTES ||
	    !span_has_prefix(bytes, SPAN(INDEX_MAGIC)))
		return (RC_INVALID);
	r->rest = (struct span){ bytes.p + sizeof(INDEX_MAGIC) - 1,
		bytes.n - (sizeof(INDEX_MAGIC) - 1) };
	if (!get_u32(&r->rest, &reader) || reader != LAYER_READER ||
	    !get_u32(&r->rest, &r->n_files) ||
	    !get_u32(&r->rest, &r->n_packages) ||
	    r->n_files > LAYER_FILES_MAX || r->n_packages > PACKAGES_MAX)
		return (RC_INVALID);
	return (RC_OK);
}

static bool
path_sound(struct span path)
{
	char normal[LAYER_PATH_MAX_BYTES + 1];
	struct span again;

	return (path.n > 0 && layer_path(path, normal, &again) == RC_OK &&
		span_eq(again, path));
}

/* An os-release has no packages, nor has what cannot be read. */
static bool
counts_sound(const struct index_reader *r, const struct layer_file *f)
{
	enum package_type type;

	return (f->n_packages <= r->n_packages &&
		(f->n_packages + f->n_owned == 0 ||
		    file_kind_type(f->kind, &type)));
}

enum rc
index_file(struct index_reader *r, struct layer_file *f_r)
{
	uint64_t kind;

	must(r->n_files > 0 && r->n_packages_file == 0);
	memset(f_r, 0, sizeof(*f_r));
	if (!get(&r->rest, 1, &kind) || kind == FILE_OTHER ||
	    kind >= FILE_KINDS || !get_text(&r->rest, &f_r->path) ||
	    !get_text(&r->rest, &f_r->unread) || !path_sound(f_r->path))
		return (RC_INVALID);
	f_r->kind = (enum file_kind)kind;
	if (file_kind_of(f_r->path) != f_r->kind)
		return (RC_INVALID);
	if (kind != FILE_OS_RELEASE) {
		if (!get_u32(&r->rest, &f_r->n_packages) ||
		    !get_hashes(&r->rest, &f_r->owned, &f_r->n_owned) ||
		    !counts_sound(r, f_r))
			return (RC_INVALID);
	} else if (!get_text(&r->rest, &f_r->os.id) ||
		   !get_text(&r->rest, &f_r->os.version_id) ||
		   !get_text(&r->rest, &f_r->os.codename) ||
		   !get_text(&r->rest, &f_r->os.pretty_name)) {
		return (RC_INVALID);
	}
	r->n_files--;
	r->n_packages_file = f_r->n_packages;
	r->n_packages -= f_r->n_packages;
	return (RC_OK);
}

enum rc
index_package(struct index_reader *r, enum file_kind kind, struct package *p_r)
{
	must(r->n_packages_file > 0);
	memset(p_r, 0, sizeof(*p_r));
	if (!file_kind_type(kind, &p_r->type) ||
	    !get_text(&r->rest, &p_r->name) ||
	    !get_text(&r->rest, &p_r->version) ||
	    !get_text(&r->rest, &p_r->arch) ||
	    !get_text(&r->rest, &p_r->source_name) ||
	    !get_text(&r->rest, &p_r->source_version) ||
	    !get_text(&r->rest, &p_r->license) || p_r->name.n == 0 ||
	    p_r->version.n == 0)
		return (RC_INVALID);
	r->n_packages_file--;
	return (RC_OK);
}

enum rc
index_hashes(struct index_reader *r, struct span *hashes_r, size_t *n_r)
{
	if (r->n_files > 0 || r->n_packages > 0 || r->n_packages_file > 0 ||
	    !get_hashes(&r->rest, hashes_r, n_r))
		return (RC_INVALID);
	return (RC_OK);
}

static enum rc
files_check(struct index_reader *r)
{
	struct layer_file f, last = { .path = SPAN_NONE };
	struct package p;
	enum rc rc;

	while (r->n_files > 0) {
		if ((rc = index_file(r, &f)) != RC_OK)
			return (rc);
		if (span_cmp(last.path, f.path) >= 0)
			return (RC_INVALID);
		while (r->n_packages_file > 0)
			if ((rc = index_package(r, f.kind, &p)) != RC_OK)
				return (rc);
		last = f;
	}
	return (RC_OK);
}

enum rc
layer_index_check(struct span bytes)
{
	struct index_reader r;
	struct span hashes;
	enum rc rc;
	size_t n;

	if ((rc = index_begin(&r, bytes)) != RC_OK ||
	    (rc = files_check(&r)) != RC_OK ||
	    (rc = index_hashes(&r, &hashes, &n)) != RC_OK ||
	    (rc = index_hashes(&r, &hashes, &n)) != RC_OK)
		return (rc);
	return (r.rest.n == 0 ? RC_OK : RC_INVALID);
}
