#ifndef TESTS_META_TOOLS_H
#define TESTS_META_TOOLS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/arena.h"
#include "base/digest.h"
#include "storage/meta.h"
#include "storage/repositories.h"
#include "storage/store.h"
#include "storage_tools.h"

/*
 * What the tests of the metadata share: a registry of their own, and short
 * words for pushing into it.  It has a master key.  The text of a manifest need
 * not be JSON here: the metadata take its meaning from elsewhere.
 */
struct mt {
	char dir[TOOL_PATH_BYTES];
	struct store_options options;
	struct store *s;
	struct meta *m;
	struct arena arena; /* of what was read; reset at will */
};

/* For cmocka: *state is a struct mt. */
int mt_setup(void **state);
int mt_teardown(void **state);
/** mt_reopen(t): close and open again. */
void mt_reopen(struct mt *);

/** mt_sealed(t, repo, kms_key): make it, encrypted with that key; NULL: with
 * the registry's own. */
void mt_sealed(struct mt *, const char *repo, const char *kms_key);
/** mt_preset(repo): what those here are made as that are not there: "k1/..."
 * and "k2/..." are encrypted with a key each. */
const struct repository_preset *mt_preset(const char *repo);
/** mt_domain(t, repo): its key domain. */
uint32_t mt_domain(struct mt *, const char *repo);

struct digest mt_digest(const char *text);
struct span mt_span(const char *text);

/** mt_blob(t, repo, text): put it inline, linked there. */
struct digest mt_blob(struct mt *, const char *repo, const char *text);
/** mt_has_blob(t, repo, digest): and its content is right. */
bool mt_has_blob(struct mt *, const char *repo, const struct digest *);

struct mt_image {
	const char *repo, *text;
	const char *tag; /* or NULL */
	const struct descriptor *edges;
	size_t n_edges;
	const struct digest *subject;		 /* or NULL */
	const char *artifact_type, *annotations; /* or NULL */
	enum sparse sparse;
	bool index; /* else an image, and as large as its edges */
	bool no_create;
	bool must_change, scan, scannable;
	struct manifest_quota quota;
	bool import;
	const struct span *destinations;
	size_t n_destinations;
	int64_t now_ms; /* 0: 1000 */
};

struct descriptor mt_edge(enum edge_kind, const struct digest *);
enum rc mt_put(struct mt *, const struct mt_image *, struct digest *d_r,
    struct manifest_put_result *result_r);
/** mt_image(t, image): the same; a failure ends the test. */
struct digest mt_image(struct mt *, const struct mt_image *);
/** mt_plain(t, repo, text, tag): without edges. */
struct digest
mt_plain(struct mt *, const char *repo, const char *text, const char *tag);

/** mt_get(t, repo, ref, row_r): tag or "sha256:...", with its text. */
enum rc mt_get(
    struct mt *, const char *repo, const char *ref, struct manifest_row *row_r);
enum rc mt_get_digest(struct mt *, const char *repo, const struct digest *,
    struct manifest_row *row_r);

struct store_stats mt_stats(struct mt *);

/** mt_check(t): every index and count agrees with what it is made from. */
void mt_check(struct mt *);

#endif
