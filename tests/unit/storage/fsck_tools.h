#ifndef TESTS_FSCK_TOOLS_H
#define TESTS_FSCK_TOOLS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/digest.h"
#include "base/span.h"
#include "storage/fsck.h"
#include "storage/meta_int.h"
#include "storage/store.h"
#include "storage/upload.h"
#include "storage_tools.h"

/*
 * What the tests of the check share: a folder with one of everything that is
 * pushed, and the course of a test: damage it, find that, mend it, find nothing
 * any more.
 */
#define FT_REPO SPAN("team/app")
#define FT_OTHER SPAN("team/other")
#define FT_LAYER_BYTES 20000
#define FT_REPO_ID 1 /* the first repository's */

struct ft {
	char dir[TOOL_PATH_BYTES];
	struct store_options options;
	struct store *s;
	struct meta *m;
	char *layer_bytes;
	struct digest config, layer, image, index, artifact, unheld;
	char upload[UPLOAD_ID_BYTES];
	void *more; /* of a test's own; freed with it */
};

/* For cmocka: *state is a struct ft. */
int ft_setup(void **state);
int ft_teardown(void **state);
/** ft_open(f): as its options say. */
void ft_open(struct ft *);

void ft_blob_push(
    struct store *, struct span repo, const char *p, size_t n, struct digest *);
enum rc ft_manifest_push(struct store *, struct span repo, const char *text,
    const char *tag, struct digest *);
const char *ft_descriptor(
    const char *media_type, const struct digest *, size_t n, char out[512]);
/** ft_image_text(config, layer, layer_n, more, out): ${more}: members. */
size_t ft_image_text(const struct digest *config, const struct digest *layer,
    size_t layer_n, const char *more, char out[2048]);

bool ft_has_blob(struct ft *, const struct digest *);
bool ft_has_manifest(struct ft *, const char *ref);
/** ft_has_all(f): can all that was pushed be pulled? */
bool ft_has_all(struct ft *);

/* Checks. */

struct ft_result {
	unsigned n, repaired;
	unsigned kinds[FSCK_COUNT + 1];
	struct fsck_progress progress;
	char texts[4096];
};

/** ft_result_add(r, problem): for fsck_options. */
void ft_result_add(void *arg, const struct fsck_problem *);
enum rc ft_fsck(struct store *, bool repair, struct ft_result *);
void ft_assert_clean(struct store *, const char *when);

/* Damage. */

enum rc
ft_row_delete(struct meta_txn *, enum meta_table, const struct rec_key *);
enum rc
ft_row_spoil(struct meta_txn *, enum meta_table, const struct rec_key *);
/** ft_row_add(t, table, key): without a value. */
enum rc ft_row_add(struct meta_txn *, enum meta_table, const struct rec_key *);

/* ${kept}: all that was pushed can be pulled after the repair. */
struct ft_damage {
	const char *name;
	meta_change_fn *change;
	enum fsck_problem_kind kind; /* at least one is of this */
	bool kept;
};

/** ft_damages_check(state, damages, n, setup): each on a folder of its own. */
void ft_damages_check(void **state, const struct ft_damage *, size_t n,
    int (*setup)(void **state));

#endif
