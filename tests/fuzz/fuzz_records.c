#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/mem.h"
#include "base/obj.h"
#include "storage/imports.h"
#include "storage/keys_int.h"
#include "storage/records.h"

/*
 * The readers of what stands in the database.  The first byte chooses one, the
 * rest is the value (or key); what is taken for a record must be written back
 * as the very same bytes.
 */
int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

static const struct keyring *
ring(void)
{
	static struct keyring *r;
	char text[2 * SEAL_KEY_BYTES + 1], why[KEYRING_WHY_BYTES];

	if (r == NULL) {
		memset(text, 'a', sizeof(text) - 1);
		text[sizeof(text) - 1] = '\0';
		must(keyring_open(NULL, text, false, why, &r) == RC_OK);
	}
	return (r);
}

static void
same(struct span in, const uint8_t *p, size_t n)
{
	must(n == in.n && memcmp(p, in.p, n) == 0);
}

static void
same_key(struct span in, const struct rec_key *k)
{
	same(in, k->p, k->n);
}

/* What an older version wrote is written back in the new one, which
 * has more members. */
static bool
is_old(struct span in)
{
	return (in.p[0] == RECORD_VERSION);
}

/* Of an old one all but the last ${n_new} bytes. */
static void
same_or_old(struct span in, uint8_t *p, size_t n, size_t n_new)
{
	if (is_old(in)) {
		p[0] = RECORD_VERSION;
		n -= n_new;
	}
	same(in, p, n);
}

static void
manifest_check(struct span in)
{
	struct manifest_rec rec;
	uint8_t *p;

	if (!rec_manifest_read(in, &rec))
		return;
	p = xmalloc(rec_manifest_size(&rec));
	rec_manifest_write(&rec, p);
	must(!is_old(in) || rec.image_bytes == MANIFEST_BYTES_UNKNOWN);
	same_or_old(in, p, rec_manifest_size(&rec), 8 + 1 + 8 + 8);
	free(p);
}

static void
referrer_check(struct span in)
{
	struct referrer_rec rec;
	uint8_t *p;

	if (!rec_referrer_read(in, &rec))
		return;
	p = xmalloc(rec_referrer_size(&rec));
	rec_referrer_write(&rec, p);
	same(in, p, rec_referrer_size(&rec));
	free(p);
}

static void
upload_check(struct span in)
{
	struct upload_rec rec;
	uint8_t *p;

	if (!rec_upload_read(in, &rec))
		return;
	p = xmalloc(rec_upload_size(&rec));
	rec_upload_write(&rec, p);
	if (is_old(in))
		must(rec.parts == 0 && rec.part_flags == 0 &&
		     rec_upload_size(&rec) == in.n + 4 + 1);
	else
		same(in, p, rec_upload_size(&rec));
	free(p);
}

static void
scan_check(struct span in)
{
	struct scan_rec rec;
	uint8_t *p;

	if (!rec_scan_read(in, &rec))
		return;
	p = xmalloc(rec_scan_size(&rec));
	rec_scan_write(&rec, p);
	same(in, p, rec_scan_size(&rec));
	free(p);
}

static void
lifecycle_check(struct span in)
{
	struct lifecycle_row row;
	struct preview_row preview;
	struct preview_result result;
	struct lifecycle_result run;
	uint8_t *p = xmalloc(in.n + 1);

	if (rec_lifecycle_read(in, &row)) {
		rec_lifecycle_write(&row, p);
		same(in, p, rec_lifecycle_size(&row));
	}
	if (rec_preview_read(in, &preview)) {
		rec_preview_write(&preview, p);
		same(in, p, rec_preview_size(&preview));
	}
	if (rec_lifecycle_run_read(in, &run)) {
		rec_lifecycle_run_write(&run, p);
		same(in, p, rec_lifecycle_run_size(&run));
	}
	if (rec_preview_result_read(in, &result)) {
		rec_preview_result_write(&result, p);
		same(in, p, rec_preview_result_size(&result));
	}
	free(p);
}

static void
name_check(struct span in)
{
	struct span name;
	uint8_t *p;

	if (!rec_repository_name_read(in, &name))
		return;
	p = xmalloc(rec_repository_name_size(name));
	rec_repository_name_write(name, p);
	same(in, p, rec_repository_name_size(name));
	free(p);
}

static void
small_check(struct span in)
{
	struct repository_row row;
	struct meta_counts counts;
	struct edge_rec edge;
	struct tag_rec tag;
	uint8_t p[REC_COUNTS_BYTES];
	int64_t ms;

	if (rec_repository_read(in, &row)) {
		rec_repository_write(&row, p);
		same(in, p, REC_REPOSITORY_BYTES);
	}
	if (rec_counts_read(in, &counts)) {
		rec_counts_write(&counts, p);
		same_or_old(in, p, REC_COUNTS_BYTES, 3 * 8);
	}
	if (rec_edge_read(in, &edge)) {
		rec_edge_write(&edge, p);
		same(in, p, REC_EDGE_BYTES);
	}
	if (rec_tag_read(in, &tag)) {
		rec_tag_write(&tag, p);
		same(in, p, rec_tag_size(&tag));
	}
	if (rec_moment_read(in, &ms)) {
		rec_moment_write(ms, p);
		same(in, p, REC_MOMENT_BYTES);
	}
}

static void
blob_check(struct span in)
{
	struct blob_rec blob;
	struct link_rec link;
	struct orphan_rec orphan;
	struct span name;
	uint8_t *p = xmalloc(in.n + REC_BLOB_BYTES);

	if (rec_blob_read(in, &blob)) {
		rec_blob_write(&blob, p);
		same_or_old(in, p, REC_BLOB_BYTES, 8);
	}
	if (rec_link_read(in, &link)) {
		rec_link_write(&link, p);
		same_or_old(in, p, REC_LINK_BYTES, 8 + 8 + 1);
	}
	if (rec_orphan_read(in, &orphan)) {
		rec_orphan_write(&orphan, p);
		same(in, p, rec_orphan_size(&orphan));
	}
	if (rec_unheld_read(in, &name)) {
		rec_unheld_write(name, p);
		same(in, p, rec_unheld_size(name));
	}
	free(p);
}

/* Its tags are those that are written back. */
static void
deleted_check(struct span in)
{
	struct deleted_rec rec;
	struct span rest, *tags;
	uint8_t *p;
	size_t n = 0;

	if (!rec_deleted_read(in, &rec))
		return;
	must(rec.n_tags <= in.n);
	tags = xcalloc(rec.n_tags + 1, sizeof(*tags));
	rest = rec.tag_bytes;
	while (rec_deleted_tag(&rest, &tags[n]))
		n++;
	must(n == rec.n_tags && rest.n == 0);
	rec.tags = tags;
	p = xmalloc(rec_deleted_size(&rec));
	rec_deleted_write(&rec, p);
	same(in, p, rec_deleted_size(&rec));
	free(p);
	free(tags);
}

static void
mirror_check(struct span in)
{
	struct import_tag tag;
	struct task_rec task;
	struct status_rec status;
	struct digest d;
	uint64_t repo;
	uint8_t *p = xmalloc(in.n + 1);

	if (rec_import_tag_read(in, &tag)) {
		rec_import_tag_write(&tag, p);
		same(in, p, rec_import_tag_size(&tag));
	}
	if (rec_task_read(in, &task)) {
		rec_task_write(&task, p);
		same(in, p, rec_task_size(&task));
	}
	if (rec_task_of_read(in, &repo, &d)) {
		rec_task_of_write(repo, &d, p);
		same(in, p, rec_task_of_size(&d));
	}
	if (rec_status_read(in, &status)) {
		rec_status_write(&status, p);
		same(in, p, rec_status_size(&status));
	}
	free(p);
}

static void
settings_check(struct span in)
{
	struct span room[REPOSITORY_EXCLUSIONS_MAX];
	struct repository_settings s;
	uint8_t *p;

	if (!rec_settings_read(in, room, &s))
		return;
	p = xmalloc(rec_settings_size(&s));
	rec_settings_write(&s, p);
	same(in, p, rec_settings_size(&s));
	free(p);
}

static void
resource_tags_check(struct span in)
{
	struct resource_tag room[REPOSITORY_TAGS_MAX];
	uint8_t *p;
	size_t n;

	if (!rec_resource_tags_read(in, room, &n))
		return;
	p = xmalloc(rec_resource_tags_size(room, n));
	rec_resource_tags_write(room, n, p);
	same(in, p, rec_resource_tags_size(room, n));
	free(p);
}

static void
text_check(struct span in)
{
	struct policy_rec policy;
	struct doomed_rec doomed;
	struct span record;
	uint8_t *p = xmalloc(in.n + 1);
	uint64_t number;

	if (rec_policy_read(in, &policy)) {
		rec_policy_write(&policy, p);
		same(in, p, rec_policy_size(&policy));
	}
	if (rec_doomed_read(in, &doomed) && is_old(in)) {
		must(doomed.purging && doomed.created_ms == 0);
		must(doomed.name.n == in.n - 1 - 8);
	} else if (rec_doomed_read(in, &doomed)) {
		rec_doomed_write(&doomed, p);
		same(in, p, rec_doomed_size(&doomed));
	}
	if (rec_entity_read(in, &record)) {
		rec_entity_write(record, p);
		same(in, p, rec_entity_size(record));
	}
	if (rec_number_read(in, &number)) {
		rec_number_write(number, p);
		same(in, p, REC_NUMBER_BYTES);
	}
	free(p);
}

static void
result_key_check(struct span in)
{
	struct rec_key k;
	uint64_t repo, run;
	uint32_t sequence;

	if (!key_read_preview_result(in, &repo, &run, &sequence))
		return;
	key_preview_result(&k, repo, run, sequence);
	same_key(in, &k);
}

static void
mirror_key_check(struct span in)
{
	struct rec_key k;
	struct span destination;
	struct digest d;
	uint64_t repo, id;
	int64_t ms;

	if (key_read_task(in, &repo, &d, &id)) {
		key_task(&k, repo, &d, id);
		same_key(in, &k);
	}
	if (key_read_task_due(in, &ms, &id)) {
		key_task_due(&k, ms, id);
		same_key(in, &k);
	}
	if (key_read_status(in, &repo, &d, &destination)) {
		key_status(&k, repo, &d, destination);
		same_key(in, &k);
	}
}

static void
entity_key_check(struct span in)
{
	struct rec_key k;
	struct span name;
	uint8_t kind;

	if (!key_read_entity(in, &kind, &name))
		return;
	key_entity(&k, kind, name);
	same_key(in, &k);
}

static void
repo_key_check(struct span in)
{
	struct digest a, b;
	struct rec_key k;
	struct span tag;
	uint64_t repo;
	uint8_t kind;

	if (key_read_repo_digest(in, &repo, &a)) {
		key_repo_digest(&k, repo, &a);
		same_key(in, &k);
	}
	if (key_read_edge(in, &repo, &a, &kind, &b)) {
		key_edge(&k, repo, &a, kind, &b);
		same_key(in, &k);
	}
	if (key_read_referrer(in, &repo, &a, &b)) {
		key_referrer(&k, repo, &a, &b);
		same_key(in, &k);
	}
	if (in.n <= KEY_MAX_BYTES && key_read_tag(in, &repo, &tag)) {
		key_tag(&k, repo, tag);
		same_key(in, &k);
	}
	if (in.n <= KEY_MAX_BYTES && key_read_digest_tag(in, &repo, &a, &tag)) {
		key_digest_tag(&k, repo, &a, tag);
		same_key(in, &k);
	}
}

static void
blob_key_check(struct span in)
{
	struct rec_key k;
	struct digest a;
	uint64_t repo;
	uint32_t domain;
	uint8_t kind;
	int64_t ms;

	if (key_read_blob(in, &domain, &a)) {
		key_blob(&k, domain, &a);
		same_key(in, &k);
	}
	if (key_read_holder(in, &domain, &a, &kind, &repo)) {
		key_holder(&k, domain, &a, kind, repo);
		same_key(in, &k);
	}
	if (key_read_unheld(in, &ms, &domain, &a)) {
		key_unheld(&k, ms, domain, &a);
		same_key(in, &k);
	}
	if (key_read_timed(in, &ms, &repo, &a)) {
		key_timed(&k, ms, repo, &a);
		same_key(in, &k);
	}
	if (key_read_timed_repo(in, &ms, &repo)) {
		key_timed_repo(&k, ms, repo);
		same_key(in, &k);
	}
	if (key_read_removal(in, &kind, &domain, &a)) {
		key_removal(&k, kind, domain, &a);
		same_key(in, &k);
	}
}

/* JSON, which can be written in many ways: what is written is read as the same.
 * A key that is not one of ours opens nothing. */
static void
key_domain_check(struct span in)
{
	struct key_record rec = { .key_domain = 7 }, again = rec;
	struct seal_key key;
	struct arena a;
	struct buf b;
	bool old;

	arena_init(&a, 1 << 20);
	buf_init(&b, KEY_RECORD_MAX_BYTES);
	if (key_record_read(in, &a, &rec) == RC_OK) {
		must(key_record_write(&rec, &b) == RC_OK);
		must(key_record_read(buf_as_span(&b), &a, &again) == RC_OK);
		must(span_eq(rec.name, again.name));
		must(rec.created_ms == again.created_ms);
		must(
		    memcmp(rec.wrapped, again.wrapped, WRAPPED_KEY_BYTES) == 0);
		must(key_record_unwrap(ring(), &rec, &key, &old) != RC_OK);
	}
	buf_free(&b);
	arena_reset(&a);
}

static void
key_domain_key_check(struct span in)
{
	struct rec_key k;
	uint32_t domain;

	if (!key_record_domain(in, &domain))
		return;
	key_record_key(&k, domain);
	same_key(in, &k);
}

static void
found_check(struct span in)
{
	struct layer_index_rec index;
	struct findings_rec found;
	uint8_t *p, *end;

	if (rec_layer_index_read(in, &index)) {
		p = xmalloc(rec_layer_index_size(index.stored.n));
		end = rec_layer_index_write(index.indexed_ms, index.reader, p);
		if (index.stored.n > 0)
			memcpy(end, index.stored.p, index.stored.n);
		same(in, p, rec_layer_index_size(index.stored.n));
		free(p);
	}
	if (rec_findings_read(in, &found)) {
		p = xmalloc(rec_findings_size(&found));
		end = rec_findings_write(&found, p);
		if (found.stored.n > 0)
			memcpy(end, found.stored.p, found.stored.n);
		same(in, p, rec_findings_size(&found));
		free(p);
	}
}

static void
found_key_check(struct span in)
{
	struct span ecosystem;
	struct rec_key k;
	struct digest d;
	uint64_t repo;

	if (!key_read_system(in, &ecosystem, &repo, &d))
		return;
	key_system(&k, ecosystem, repo, &d);
	same_key(in, &k);
}

/* The sequence is behind the rest of the key. */
static void
advisory_key_check(struct span in)
{
	struct span ecosystem, package;
	struct rec_key k;
	uint64_t set, first;

	if (!key_read_advisory(in, &set, &ecosystem, &package))
		return;
	must(key_read_advisory_set(in, &first) && first == set);
	must(key_advisory(&k, set, ecosystem, package));
	must(span_has_prefix(in, key_span(&k)) && in.n == k.n + 4);
}

static void
advisory_check(struct span in)
{
	struct span record;
	uint8_t *p;

	if (!rec_advisory_read(in, &record))
		return;
	p = xmalloc(rec_advisory_size(record));
	rec_advisory_write(record, p);
	same(in, p, rec_advisory_size(record));
	free(p);
}

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	static void (*const checks[])(struct span) = { manifest_check,
		referrer_check, upload_check, name_check, small_check,
		repo_key_check, blob_key_check, settings_check,
		resource_tags_check, text_check, entity_key_check, scan_check,
		lifecycle_check, result_key_check, blob_check, deleted_check,
		mirror_check, mirror_key_check, key_domain_check,
		key_domain_key_check, found_check, found_key_check,
		advisory_check, advisory_key_check };
	size_t i;

	if (n == 0)
		return (0);
	i = p[0] % ARRAY_LEN(checks);
	checks[i]((struct span){ (const char *)p + 1, n - 1 });
	return (0);
}
