#ifndef STORAGE_RECORDS_H
#define STORAGE_RECORDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/digest.h"
#include "base/rc.h"
#include "base/span.h"
#include "storage/entities.h"
#include "storage/findings.h"
#include "storage/images.h"
#include "storage/lifecycles.h"
#include "storage/meta.h"
#include "storage/repositories.h"

/*
 * What is written in meta.mdb, byte by byte.  One table per noun.
 *
 * Notation: u8, u32, u64 unsigned integers, big-endian; i64 milliseconds since
 * 1970 as u64; digest = u8 algorithm, then its 32 or 64 bytes; str = u32
 * length, then the bytes; rest = bytes up to the end; repo = u64, the id of a
 * repository (names are long and may change some day); blob = u32 key domain,
 * digest.  Every value but those of "content" begins with a u8 version, 1
 * where nothing else is said; what is behind the last member is damage, not an
 * extension.
 *
 * No part of a key that has another part behind it is of unknown length, so
 * keys with one prefix lie together, and no key is longer than KEY_MAX_BYTES
 * (LMDB takes 511).
 *
 *  table             key                         value (behind the version)
 *  registry          "format"                    u32
 *                    "counts"                    u64 x META_COUNTS
 *                    "generation"                u64, of the entities
 *                    "policy_revision"           u64, the last one taken
 *                    "replication_id"            u64, the last one taken
 *                    "key_domain"                u64, the last one taken
 *                    "key_ring"                  u64, changes of the master key
 *                    "archive"                   u64, of the archive's marker
 *                    "advisory_set",
 *                    "advisory_revision"         u64, the last one taken
 *                                                counts: version 2 (1 is
 *                                                read) has those of the
 *                                                archive
 *  repositories      name                        repo, i64 created
 *  repository_names  repo                        rest: name
 *  tags              repo, tag                   i64 tagged, digest
 *  digest_tags       repo, digest, tag           -
 *  manifests         repo, digest                u8 flags, u64 size,
 *                                                i64 pushed, i64 pulled,
 *                                                str media type, str artifact
 *                                                type, [digest subject]
 *                                                version 2 (1 is read): and
 *                                                u64 image bytes (all bits
 *                                                set: not known), u8 status,
 *                                                i64 archived, i64 activated
 *  blob_links        repo, digest                version 2 (1 is read, as of
 *                                                unknown use): i64 linked,
 *                                                i64 idle, u64 users, u8 (1:
 *                                                queued, 2: hidden, 3: both);
 *                                                of 1: i64 linked
 *  blobs             blob                        version 2 (1 is read, as not
 *                                                in the archive): u8
 *                                                location, u8 encoding, u8
 *                                                state, u64 size, i64 created,
 *                                                i64 unheld, u64 stored
 *  content           blob                        the bytes, no version: what
 *                                                they are says the row in
 *                                                "blobs"
 *  holders           blob, u8 kind, repo         -
 *  edges             repo, parent, u8 edge kind,
 *                    child                       u8 flags, u64 size
 *  parents           repo, child, u8 edge kind,
 *                    parent                      -
 *  referrers         repo, subject, referrer     u64 size, str media type,
 *                                                str artifact type,
 *                                                str annotations
 *  uploads           id (32 hex digits)          version 2 (1 is read, as
 *                                                without parts): u8 algorithm,
 *                                                i64 started, u32 parts, u8
 *                                                flags, rest: repository's
 *                                                name; of 1: no parts, flags
 *  unheld            i64 since, blob             rest: name of the repository
 *                                                that held it last (of an
 *                                                older format: none)
 *  repository_settings
 *                    repo                        u8 mutability, u8 scan on
 *                                                push, u8 encryption,
 *                                                str KMS key, u32 n,
 *                                                n x str filter
 *  repository_tags   repo                        u32 n, n x (str key, str
 *                                                value), by key
 *  repository_policies
 *                    repo                        u64 revision, rest: text
 *  doomed            repo                        version 2 (1 is read, as
 *                                                being purged): i64 deleted,
 *                                                i64 created, u8 purging,
 *                                                rest: name; of 1: i64
 *                                                deleted, rest: name
 *  entities          u8 kind, name               rest: record
 *  image_counts      repo                        u64 images
 *  image_scans       repo, digest                u8 status, i64 started,
 *                                                i64 ended, str reason (of
 *                                                another key domain than 0,
 *                                                sealed), rest:
 *                                                i64 of each of those that
 *                                                were started before it
 *  scan_queue        i64 started, repo, digest   -
 *  lifecycle_policies
 *                    repo                        u64 revision, i64 set,
 *                                                i64 evaluated, rest: text
 *  lifecycle_previews
 *                    repo                        u64 run, u8 status, i64
 *                                                started, i64 ended, u64
 *                                                expiring, u64 transitioning,
 *                                                rest: text
 *  preview_queue     repo                        -
 *  lifecycle_preview_results
 *                    repo, u64 run, u32 sequence digest, u8 action, u8 status,
 *                                                i64 priority, i64 pushed
 *  idle_links        i64 since, repo, digest     -
 *  orphan_subjects   i64 since, repo, digest     nothing, or digest of the
 *                                                referrer looked at last;
 *                                                version 2 (when it is looked
 *                                                at again): i64 gone, u8 (1:
 *                                                held, 2: back), and that
 *  deleted_images    repo, digest                i64 deleted, u8 why, i64
 *                                                priority, u64 revision, u32
 *                                                n, n x str tag
 *  deleted_queue     i64 deleted, repo, digest   -
 *  removals          u8 location, blob           i64 since
 *  archive_queue     blob                        i64 since
 *  activations       repo, digest                i64 asked for
 *  lifecycle_runs    repo                        u64 revision, u8 outcome, i64
 *                                                started, i64 ended, u64
 *                                                images, u64 expired, u64
 *                                                archived, u64 held, u64
 *                                                changed, rest: why
 *  lifecycle_queue   i64 basis, repo             -
 *  import_images     repo, digest                i64 imported
 *  import_tags       repo, tag                   i64 checked, digest
 *  import_referrers  repo, subject               i64 checked
 *  replication_tasks repo, digest, u64 id        i64 due, i64 queued, u32
 *                                                attempts, str destination,
 *                                                rest: tag
 *  replication_queue i64 due, u64 id             repo, digest
 *  replication_status
 *                    repo, digest, destination   u8 state, i64 changed, str
 *                                                code, rest: why
 *  layer_indexes     blob                        i64 indexed, u32 reader, rest:
 *                                                what scan/ found in that
 *                                                layer, compressed with zstd
 *                                                and, of another key domain
 *                                                than 0, sealed
 *  scan_findings     repo, digest                i64 completed, u64 revision
 *                                                of the advisories, i64 of
 *                                                their source, u32 x 6 counts
 *                                                by severity, u32 n, n x str
 *                                                ecosystem, rest: findings,
 *                                                as above
 *  scanned_systems   str8 ecosystem, repo,
 *                    digest                      -
 *  advisories        u64 set, str8 ecosystem,
 *                    str8 package, u32 sequence  rest: record (advisories.h)
 *
 * Those from repository_settings on came with format 2, those from
 * image_counts on with format 3, those from idle_links on with format 4, those
 * from import_images on with format 5, those from layer_indexes on with format
 * 6; a folder of an older format that is only read is one where they are empty.
 * A repository without a row in image_counts is one whose images have not
 * changed since format 2, or that never had any: they are counted when they do,
 * and when somebody asks.
 *
 * Since format 6 a repository's id is u32 key domain, u32 number; older ones
 * are of domain 0, which is not encrypted.  What a repository holds is of its
 * domain.  Of others than 0 rows of content, and annotations among the
 * referrers, are sealed values (storage/sealed.h), bound to their row.
 *
 * A repository whose id is in doomed has been deleted: it has no name any
 * more, so that nobody finds it.  Until it is being purged it can be restored,
 * as it was; then its rows, all that begin with its id and what it holds, go
 * bit by bit, and need not agree with each other.
 *
 * A link counts the images of its repository that need it and are neither
 * archived nor deleted (its users; an edge each, so one that needs it as config
 * and as layer is two).  While there are none it is idle, since when stands in
 * it, and it waits in idle_links (queued) until the collector has looked at it.
 * What the collector finds needed by archived or deleted images only leaves the
 * queue and stays idle.  If all of these are deleted it is hidden from then on:
 * whoever reads finds no blob there, until it is uploaded or mounted again, or
 * one of the images comes back.  It stays hidden when these go for good, and it
 * is queued once more.
 *
 * An image with MANIFEST_DELETED among its flags has been deleted and can be
 * restored: it has no tags, is no referrer and is not counted, nobody but
 * undelete sees it, and it has rows in deleted_images and deleted_queue.  Its
 * edges stay, so that what it needs does.
 *
 * removals has content that is to be removed from where the location says
 * (enum blob_location): its record is gone, or says another place; a crash
 * between the two loses nothing.
 *
 * An image with a row in import_images came from another registry and was never
 * pushed by anybody here; while it is one of the deleted images the row stays.
 * A row in import_tags is of a tag that is there and points at that digest, of
 * an image that somebody may have pushed meanwhile.  Those in import_referrers
 * are of subjects that may not be here.
 *
 * A task of replication has a place in the queue by when it is due, and its
 * image has a status for the destination.  They go with the image.
 *
 * digest_tags, parents, holders, referrers, unheld and the queues are indexes:
 * they could be made anew from the others.
 */
enum meta_table {
	TABLE_REGISTRY,
	TABLE_REPOSITORIES,
	TABLE_REPOSITORY_NAMES,
	TABLE_TAGS,
	TABLE_DIGEST_TAGS,
	TABLE_MANIFESTS,
	TABLE_BLOB_LINKS,
	TABLE_BLOBS,
	TABLE_CONTENT,
	TABLE_HOLDERS,
	TABLE_EDGES,
	TABLE_PARENTS,
	TABLE_REFERRERS,
	TABLE_UPLOADS,
	TABLE_UNHELD,
	TABLE_REPOSITORY_SETTINGS, /* from here on: format 2 */
	TABLE_REPOSITORY_TAGS,
	TABLE_REPOSITORY_POLICIES,
	TABLE_DOOMED,
	TABLE_ENTITIES,
	TABLE_IMAGE_COUNTS, /* from here on: format 3 */
	TABLE_IMAGE_SCANS,
	TABLE_SCAN_QUEUE,
	TABLE_LIFECYCLE_POLICIES,
	TABLE_LIFECYCLE_PREVIEWS,
	TABLE_PREVIEW_QUEUE,
	TABLE_LIFECYCLE_PREVIEW_RESULTS,
	TABLE_IDLE_LINKS, /* from here on: format 4 */
	TABLE_ORPHAN_SUBJECTS,
	TABLE_DELETED_IMAGES,
	TABLE_DELETED_QUEUE,
	TABLE_REMOVALS,
	TABLE_ARCHIVE_QUEUE,
	TABLE_ACTIVATIONS,
	TABLE_LIFECYCLE_RUNS,
	TABLE_LIFECYCLE_QUEUE,
	TABLE_IMPORT_IMAGES, /* from here on: format 5 */
	TABLE_IMPORT_TAGS,
	TABLE_IMPORT_REFERRERS,
	TABLE_REPLICATION_TASKS,
	TABLE_REPLICATION_QUEUE,
	TABLE_REPLICATION_STATUS,
	TABLE_LAYER_INDEXES, /* from here on: format 6 */
	TABLE_SCAN_FINDINGS,
	TABLE_SCANNED_SYSTEMS,
	TABLE_ADVISORIES,
	META_TABLES
};

#define META_TABLES_OF_FORMAT_1 TABLE_REPOSITORY_SETTINGS
#define META_TABLES_OF_FORMAT_2 TABLE_IMAGE_COUNTS
#define META_TABLES_OF_FORMAT_3 TABLE_IDLE_LINKS
#define META_TABLES_OF_FORMAT_4 TABLE_IMPORT_IMAGES
#define META_TABLES_OF_FORMAT_5 TABLE_LAYER_INDEXES

/** repo_domain(repo): the key domain that a repository's content is of. */
static inline uint32_t
repo_domain(uint64_t repo)
{
	return ((uint32_t)(repo >> 32));
}

/** meta_table_name(table): as it is called in the database. */
const char *meta_table_name(enum meta_table);

#define RECORD_VERSION 1

/*
 * Keys.
 */
#define KEY_MAX_BYTES 272

struct rec_key {
	size_t n;
	uint8_t p[KEY_MAX_BYTES];
};

static inline struct span
key_span(const struct rec_key *k)
{
	return ((struct span){ (const char *)k->p, k->n });
}

/* The builders write the key anew; what is too long for a key (a client's
 * tag of 10 KiB) gives an empty one, which no table holds. */
void key_str(struct rec_key *, struct span name);
void key_repo(struct rec_key *, uint64_t repo);
void key_tag(struct rec_key *, uint64_t repo, struct span tag);
void key_repo_digest(struct rec_key *, uint64_t repo, const struct digest *);
void key_digest_tag(
    struct rec_key *, uint64_t repo, const struct digest *, struct span tag);
void key_blob(struct rec_key *, uint32_t key_domain, const struct digest *);
void key_holder(struct rec_key *, uint32_t key_domain, const struct digest *,
    uint8_t kind, uint64_t repo);
/* kind 0: the prefix of all kinds; other NULL: the prefix of that kind. */
void key_edge(struct rec_key *, uint64_t repo, const struct digest *from,
    uint8_t kind, const struct digest *other);
void key_referrer(struct rec_key *, uint64_t repo, const struct digest *subject,
    const struct digest *referrer);
void key_unheld(struct rec_key *, int64_t since_ms, uint32_t key_domain,
    const struct digest *);
void key_entity(struct rec_key *, uint8_t kind, struct span name);
/* Of the queues that are in order of time. */
void
key_timed(struct rec_key *, int64_t ms, uint64_t repo, const struct digest *);
void key_timed_repo(struct rec_key *, int64_t ms, uint64_t repo);
void key_removal(struct rec_key *, uint8_t location, uint32_t key_domain,
    const struct digest *);
/* Of replication. */
void
key_task(struct rec_key *, uint64_t repo, const struct digest *, uint64_t id);
void key_task_due(struct rec_key *, int64_t due_ms, uint64_t id);
void key_status(struct rec_key *, uint64_t repo, const struct digest *,
    struct span destination);
void key_preview_run(struct rec_key *, uint64_t repo, uint64_t run);
void key_preview_result(
    struct rec_key *, uint64_t repo, uint64_t run, uint32_t sequence);

/* Of the advisory database: the prefix of a set; that of a package in it, false
 * for names that are too long; and the whole key of it. */
void key_advisory_set(struct rec_key *, uint64_t set);
bool key_advisory(
    struct rec_key *, uint64_t set, struct span ecosystem, struct span package);
void key_advisory_sequence(struct rec_key *, uint32_t sequence);

/* The readers: false if the bytes are not such a key.  Spans borrow. */
/* The first also of a key that has more behind it. */
bool key_read_advisory_set(struct span, uint64_t *set_r);
bool key_read_advisory(struct span, uint64_t *set_r, struct span *ecosystem_r,
    struct span *package_r);
bool key_read_repo(struct span, uint64_t *repo_r);
bool key_read_tag(struct span, uint64_t *repo_r, struct span *tag_r);
bool key_read_repo_digest(struct span, uint64_t *repo_r, struct digest *);
bool key_read_digest_tag(
    struct span, uint64_t *repo_r, struct digest *, struct span *tag_r);
bool key_read_blob(struct span, uint32_t *domain_r, struct digest *);
bool key_read_holder(struct span, uint32_t *domain_r, struct digest *,
    uint8_t *kind_r, uint64_t *repo_r);
bool key_read_edge(struct span, uint64_t *repo_r, struct digest *from_r,
    uint8_t *kind_r, struct digest *other_r);
bool key_read_referrer(struct span, uint64_t *repo_r, struct digest *subject_r,
    struct digest *referrer_r);
bool key_read_unheld(
    struct span, int64_t *since_r, uint32_t *domain_r, struct digest *);
bool key_read_entity(struct span, uint8_t *kind_r, struct span *name_r);
bool
key_read_timed(struct span, int64_t *ms_r, uint64_t *repo_r, struct digest *);
bool key_read_timed_repo(struct span, int64_t *ms_r, uint64_t *repo_r);
bool key_read_removal(
    struct span, uint8_t *location_r, uint32_t *domain_r, struct digest *);
bool
key_read_task(struct span, uint64_t *repo_r, struct digest *, uint64_t *id_r);
bool key_read_task_due(struct span, int64_t *due_r, uint64_t *id_r);
bool key_read_status(
    struct span, uint64_t *repo_r, struct digest *, struct span *destination_r);
bool key_read_preview_result(
    struct span, uint64_t *repo_r, uint64_t *run_r, uint32_t *sequence_r);

/*
 * Values.  ..._size() bytes are written by ..._write(); ..._read() is false
 * for bytes that are not such a value.  Spans in what was read borrow.
 */

/* The value of an index's row, where the key says it all. */
struct span rec_none(void);
bool rec_none_read(struct span);

#define REC_FORMAT_BYTES 5
void rec_format_write(unsigned format, uint8_t *p);
bool rec_format_read(struct span, unsigned *format_r);

/* What cannot be known from the number of rows in a table. */
struct meta_counts {
	uint64_t next_repository;	     /* ids below are or were taken */
	uint64_t inline_blobs, inline_bytes; /* rows with BLOB_IN_META */
	uint64_t file_blobs, file_bytes;     /* rows with BLOB_IN_FILE */
	uint64_t unheld_blobs, unheld_bytes; /* rows with .unheld_ms */
	uint64_t archived_blobs, archived_bytes; /* with BLOB_IN_ARCHIVE: their
						    sizes, */
	uint64_t archived_stored_bytes;		 /* and as they lie there */
};
#define META_COUNTS 10
#define META_COUNTS_OF_VERSION_1 7
#define REC_COUNTS_BYTES (1 + 8 * META_COUNTS)
void rec_counts_write(const struct meta_counts *, uint8_t *p);
bool rec_counts_read(struct span, struct meta_counts *);

/* A number that only grows, in the registry's own table. */
#define REC_NUMBER_BYTES 9
void rec_number_write(uint64_t, uint8_t *p);
bool rec_number_read(struct span, uint64_t *);

#define REC_REPOSITORY_BYTES 17
void rec_repository_write(const struct repository_row *, uint8_t *p);
bool rec_repository_read(struct span, struct repository_row *);

size_t rec_repository_name_size(struct span name);
void rec_repository_name_write(struct span name, uint8_t *p);
bool rec_repository_name_read(struct span, struct span *name_r);

struct tag_rec {
	int64_t tagged_ms;
	struct digest digest;
};
#define REC_TAG_MAX_BYTES (1 + 8 + 1 + DIGEST_BYTES_MAX)
size_t rec_tag_size(const struct tag_rec *);
void rec_tag_write(const struct tag_rec *, uint8_t *p);
bool rec_tag_read(struct span, struct tag_rec *);

enum {
	MANIFEST_HAS_SUBJECT = 1,
	MANIFEST_QUARANTINED = 2, /* its text is damaged: as if not here */
	MANIFEST_DELETED = 4,	  /* and may be restored: as if not here */
};
struct manifest_rec {
	uint8_t flags;
	uint64_t size_bytes;
	int64_t pushed_ms;
	int64_t pulled_ms;
	struct span media_type;
	struct span artifact_type;
	struct digest subject;
	uint64_t image_bytes; /* MANIFEST_BYTES_UNKNOWN: of version 1, and of
				 an index while children are missing */
	uint8_t status;	      /* enum image_status */
	int64_t archived_ms, activated_ms;
};
#define MANIFEST_BYTES_UNKNOWN UINT64_MAX
size_t rec_manifest_size(const struct manifest_rec *);
void rec_manifest_write(const struct manifest_rec *, uint8_t *p);
bool rec_manifest_read(struct span, struct manifest_rec *);

struct link_rec {
	int64_t linked_ms;
	int64_t idle_ms; /* since when it has no users; 0: it has */
	uint64_t users;	 /* LINK_USERS_UNKNOWN: of version 1 */
	bool queued;	 /* in idle_links, with .idle_ms */
	bool hidden;	 /* only deleted images need it: as if not here */
};
#define LINK_USERS_UNKNOWN UINT64_MAX
#define REC_LINK_BYTES 26
void rec_link_write(const struct link_rec *, uint8_t *p);
bool rec_link_read(struct span, struct link_rec *);

enum blob_state { BLOB_SERVED = 1, BLOB_QUARANTINED = 2 };
struct blob_rec {
	enum blob_location location;
	enum blob_encoding encoding;
	enum blob_state state;
	uint64_t size_bytes;
	int64_t created_ms;
	int64_t unheld_ms;     /* since when nobody holds it; 0: held */
	uint64_t stored_bytes; /* as it lies there; .size_bytes but for what
				  was compressed, or sealed, in the archive */
};
#define REC_BLOB_BYTES 36
void rec_blob_write(const struct blob_rec *, uint8_t *p);
bool rec_blob_read(struct span, struct blob_rec *);

enum holder_kind { HOLDER_LINK = 1, HOLDER_MANIFEST = 2 };

enum {
	EDGE_ABSENT = 1, /* the child was not here and did not need to be */
};
struct edge_rec {
	uint8_t flags;
	uint64_t size_bytes;
};
#define REC_EDGE_BYTES 10
void rec_edge_write(const struct edge_rec *, uint8_t *p);
bool rec_edge_read(struct span, struct edge_rec *);

struct referrer_rec {
	uint64_t size_bytes;
	struct span media_type;
	struct span artifact_type;
	struct span annotations;
};
size_t rec_referrer_size(const struct referrer_rec *);
void rec_referrer_write(const struct referrer_rec *, uint8_t *p);
bool rec_referrer_read(struct span, struct referrer_rec *);

enum {
	UPLOAD_SHORT_PART = 1,
	UPLOAD_SHORT_INNER = 2,
};
struct upload_rec {
	uint8_t alg;
	int64_t started_ms;
	uint32_t parts;
	uint8_t part_flags;
	struct span repository;
};
size_t rec_upload_size(const struct upload_rec *);
void rec_upload_write(const struct upload_rec *, uint8_t *p);
bool rec_upload_read(struct span, struct upload_rec *);

size_t rec_settings_size(const struct repository_settings *);
void rec_settings_write(const struct repository_settings *, uint8_t *p);
/* The filters are in ${room}. */
bool rec_settings_read(struct span, struct span room[REPOSITORY_EXCLUSIONS_MAX],
    struct repository_settings *);

/* Sorted by key, none twice. */
size_t rec_resource_tags_size(const struct resource_tag *, size_t n);
void rec_resource_tags_write(const struct resource_tag *, size_t n, uint8_t *p);
bool rec_resource_tags_read(
    struct span, struct resource_tag room[REPOSITORY_TAGS_MAX], size_t *n_r);

struct policy_rec {
	uint64_t revision; /* not 0 */
	struct span text;
};
size_t rec_policy_size(const struct policy_rec *);
void rec_policy_write(const struct policy_rec *, uint8_t *p);
bool rec_policy_read(struct span, struct policy_rec *);

struct doomed_rec {
	int64_t deleted_ms;
	struct span name;
	int64_t created_ms;
	bool purging; /* rows of it may be gone: it cannot be restored */
};
size_t rec_doomed_size(const struct doomed_rec *);
void rec_doomed_write(const struct doomed_rec *, uint8_t *p);
bool rec_doomed_read(struct span, struct doomed_rec *);

/* Starts of scans of an image that are remembered, besides the last one. */
#define SCAN_EARLIER_MAX (SCAN_QUOTA_MAX - 1)
struct scan_rec {
	uint8_t status; /* enum scan_status, not SCAN_NONE */
	int64_t started_ms, ended_ms;
	struct span reason;
	int64_t earlier_ms[SCAN_EARLIER_MAX]; /* starts, the latest first */
	size_t n_earlier;
};
size_t rec_scan_size(const struct scan_rec *);
void rec_scan_write(const struct scan_rec *, uint8_t *p);
bool rec_scan_read(struct span, struct scan_rec *);

/* Texts are not empty. */
size_t rec_lifecycle_size(const struct lifecycle_row *);
void rec_lifecycle_write(const struct lifecycle_row *, uint8_t *p);
bool rec_lifecycle_read(struct span, struct lifecycle_row *);

size_t rec_preview_size(const struct preview_row *);
void rec_preview_write(const struct preview_row *, uint8_t *p);
bool rec_preview_read(struct span, struct preview_row *);

#define REC_PREVIEW_RESULT_MAX_BYTES (1 + 1 + DIGEST_BYTES_MAX + 1 + 1 + 8 + 8)
size_t rec_preview_result_size(const struct preview_result *);
void rec_preview_result_write(const struct preview_result *, uint8_t *p);
bool rec_preview_result_read(struct span, struct preview_result *);

/* The value of a row in "unheld"; read of older formats, too. */
size_t rec_unheld_size(struct span repository);
void rec_unheld_write(struct span repository, uint8_t *p);
bool rec_unheld_read(struct span, struct span *repository_r);

/* A moment: in removals, archive_queue, activations, import_images,
 * import_referrers. */
#define REC_MOMENT_BYTES 9
void rec_moment_write(int64_t ms, uint8_t *p);
bool rec_moment_read(struct span, int64_t *ms_r);

struct deleted_rec {
	int64_t deleted_ms;
	uint8_t why;		 /* enum deleted_why */
	int64_t priority;	 /* of the rule, with DELETED_EXPIRED; else 0 */
	uint64_t revision;	 /* of its policy; else 0 */
	const struct span *tags; /* what is written */
	size_t n_tags;
	struct span tag_bytes; /* what was read: rec_deleted_tag() */
};
size_t rec_deleted_size(const struct deleted_rec *);
void rec_deleted_write(const struct deleted_rec *, uint8_t *p);
/* Every tag has been looked at. */
bool rec_deleted_read(struct span, struct deleted_rec *);
/* The next of .tag_bytes, which it shortens; false: there are no more. */
bool rec_deleted_tag(struct span *tag_bytes, struct span *tag_r);

/* The value of a row in "orphan_subjects". */
struct orphan_rec {
	bool begun;	  /* up to and with this one all have been looked at: */
	struct digest at; /* a referrer */
	bool held;	  /* an index held one of them */
	bool back; /* not held: the subject is, and those are restored that
			     were archived since .gone_ms */
	int64_t gone_ms; /* when the subject went; 0: as the key says, which of
			     a second look says when that is due */
};
#define REC_ORPHAN_MAX_BYTES (1 + 8 + 1 + 1 + DIGEST_BYTES_MAX)
size_t rec_orphan_size(const struct orphan_rec *);
void rec_orphan_write(const struct orphan_rec *, uint8_t *p);
bool rec_orphan_read(struct span, struct orphan_rec *);

size_t rec_lifecycle_run_size(const struct lifecycle_result *);
void rec_lifecycle_run_write(const struct lifecycle_result *, uint8_t *p);
bool rec_lifecycle_run_read(struct span, struct lifecycle_result *);

/* The value of a row in "import_tags". */
struct import_tag;
#define REC_IMPORT_TAG_MAX_BYTES (1 + 8 + 1 + DIGEST_BYTES_MAX)
size_t rec_import_tag_size(const struct import_tag *);
void rec_import_tag_write(const struct import_tag *, uint8_t *p);
bool rec_import_tag_read(struct span, struct import_tag *);

struct task_rec {
	int64_t due_ms, queued_ms;
	uint32_t attempts;
	struct span destination; /* not empty */
	struct span tag;	 /* may be */
};
size_t rec_task_size(const struct task_rec *);
void rec_task_write(const struct task_rec *, uint8_t *p);
bool rec_task_read(struct span, struct task_rec *);

/* The value of a row in "replication_queue": whose task it is. */
#define REC_TASK_OF_MAX_BYTES (1 + 8 + 1 + DIGEST_BYTES_MAX)
size_t rec_task_of_size(const struct digest *);
void rec_task_of_write(uint64_t repo, const struct digest *, uint8_t *p);
bool rec_task_of_read(struct span, uint64_t *repo_r, struct digest *);

struct status_rec {
	uint8_t state; /* enum replication_state */
	int64_t changed_ms;
	struct span code, why;
};
size_t rec_status_size(const struct status_rec *);
void rec_status_write(const struct status_rec *, uint8_t *p);
bool rec_status_read(struct span, struct status_rec *);

/* Not empty. */
size_t rec_advisory_size(struct span record);
void rec_advisory_write(struct span record, uint8_t *p);
bool rec_advisory_read(struct span, struct span *record_r);

/* Not empty. */
size_t rec_entity_size(struct span record);
void rec_entity_write(struct span record, uint8_t *p);
bool rec_entity_read(struct span, struct span *record_r);

/* What scans found: meta_records_findings.c.  Sizes and writers are of what
 * stands before the stored bytes, which the caller puts where the writer ends. */
struct layer_index_rec {
	int64_t indexed_ms;
	uint32_t reader; /* of the layer: scan/layer.h */
	struct span stored;
};
size_t rec_layer_index_size(size_t stored_bytes);
uint8_t *
rec_layer_index_write(int64_t indexed_ms, uint32_t layer_reader, uint8_t *p);
bool rec_layer_index_read(struct span, struct layer_index_rec *);

#define SYSTEM_MAX_BYTES 64 /* of an ecosystem's name */
struct findings_rec {
	int64_t completed_ms;
	uint64_t revision;
	int64_t updated_ms;
	uint32_t counts[FINDING_SEVERITIES];
	struct span ecosystems[FINDINGS_ECOSYSTEMS_MAX];
	size_t n_ecosystems;
	struct span stored;
};
/* With .stored. */
size_t rec_findings_size(const struct findings_rec *);
uint8_t *rec_findings_write(const struct findings_rec *, uint8_t *p);
bool rec_findings_read(struct span, struct findings_rec *);

/* ${d} NULL: the prefix of an ecosystem. */
void key_system(struct rec_key *, struct span ecosystem, uint64_t repo,
    const struct digest *d);
bool key_read_system(
    struct span, struct span *ecosystem_r, uint64_t *repo_r, struct digest *);

#endif
