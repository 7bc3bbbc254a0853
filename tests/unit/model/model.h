#ifndef TESTS_MODEL_H
#define TESTS_MODEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/digest.h"
#include "base/manifest.h"
#include "base/span.h"
#include "storage/blob_file.h"
#include "storage/gc.h"
#include "storage/lifecycles.h"
#include "storage/store.h"

/*
 * A whole store against a reference model of it: what a client was told holds,
 * whatever else happens.
 *
 * A sequence is a list of small steps, made from a number (its seed), and all
 * that happens is decided by it: one thread drives, and time is a number in
 * memory.  It runs in a child process on a folder of its own; the model lies in
 * memory that is shared with the parent.  A crash is an _exit() in the middle
 * of a system call; then the next child opens the folder, finds out whether the
 * change that was under way happened or not (both are right, half of it is
 * not), and goes on.
 *
 * Steps can run inside of a collection: where it rests, where it removes a
 * file, and while a commit of it is under way (model_sys.c).
 *
 * What the model knows of a link that no image needs is "perhaps", since the
 * collector comes when it comes; but what was promised to be there must be for
 * a grace, and when all is quiet nothing is left that is not needed.
 */
#define REPOS 3
#define BLOBS 6
#define MANIFESTS 8
#define TAGS 4
#define CLIENTS 3
#define READERS 2
#define DOOMED_MAX 4
#define STEPS_MAX 160

/* The tag that cosign would give to a signature of manifest 0. */
#define TAG_ABOUT_0 3

#define GRACE_MS ((int64_t)3600 * 1000)
#define LIFETIME_MS (2 * GRACE_MS)
#define INLINE_MAX 1000

/* What is the same for all of a sequence: model_world.c. */

struct world_blob {
	char *bytes;
	size_t n;
	struct digest digest;
};

struct world_manifest {
	struct span text;
	struct digest digest;
	struct manifest manifest;
	bool index;
	unsigned blobs;	   /* that it needs, a bit each */
	unsigned children; /* manifests */
	int subject;	   /* a manifest, or -1 */
};

struct world {
	struct arena arena;
	struct world_blob blobs[BLOBS];
	struct world_manifest manifests[MANIFESTS];
	unsigned order[MANIFESTS]; /* by digest */
	char tags[TAGS][96];
};

void world_make(struct world *, uint64_t seed);
void world_free(struct world *);
struct span world_repo(unsigned repo);

/* The model. */

enum image_state { IMAGE_NONE, IMAGE_LIVE, IMAGE_GONE }; /* can be restored */

struct m_image {
	uint8_t state;	/* enum image_state */
	uint8_t status; /* enum image_status */
	bool pulled;	/* since it was evaluated */
	uint8_t follow; /* what must become of it after its subject: an enum
			   follow */
	unsigned tags;	/* that it had, of one that is gone */
	int64_t deleted_ms;
	int64_t left_ms;  /* since when it is NONE, or archived */
	int64_t first_ms; /* when it was that for the first time */
	int64_t pushed_ms;
	uint32_t pushes, classes; /* changes of its times */
};

enum follow { FOLLOW_PERHAPS, FOLLOW_REMOVED, FOLLOW_ARCHIVED };

struct m_act {
	uint8_t manifest;
	unsigned tags;
	uint32_t pushes, classes;
	struct lifecycle_act act;
};

struct m_repo {
	bool exists;
	struct m_image images[MANIFESTS];
	int8_t tags[TAGS]; /* a manifest, or -1 */
	int64_t tagged_ms[TAGS];
	bool ever[BLOBS];	    /* linked, perhaps still */
	int64_t promised_ms[BLOBS]; /* when a client was told of it; 0: not */
	uint64_t policy;	    /* its revision; 0: none */
	/* What an evaluation has decided. */
	uint64_t evaluated;
	struct m_act acts[MANIFESTS];
	size_t n_acts;
};

struct m_doomed {
	struct m_repo repo;
	int64_t deleted_ms;
};

struct m_state {
	struct m_repo repos[REPOS];
	struct m_doomed doomed[REPOS][DOOMED_MAX];
	size_t n_doomed[REPOS];
};

/* Steps: what a sequence consists of. */

enum step_kind {
	STEP_BEGIN,	    /* client, repo, manifest, tag: begin to push */
	STEP_CLIENT,	    /* client, way: the next thing it does */
	STEP_HEAD,	    /* repo, blob */
	STEP_MOUNT,	    /* repo, blob, from */
	STEP_TAG,	    /* repo, manifest, tag: push what is there */
	STEP_UNTAG,	    /* repo, tag */
	STEP_DELETE,	    /* repo, manifest */
	STEP_IMAGE_DELETE,  /* repo, tag */
	STEP_BLOB_DELETE,   /* repo, blob */
	STEP_REPO_DELETE,   /* repo */
	STEP_REPO_UNDELETE, /* repo */
	STEP_POLICY,	    /* repo, text */
	STEP_EVALUATE,	    /* repo, manifests, to be archived, by pull */
	STEP_APPLY,	    /* repo */
	STEP_PULL,	    /* repo, manifest */
	STEP_ARCHIVE,	    /* repo, manifest */
	STEP_RESTORE,	    /* repo, manifest */
	STEP_UNDELETE,	    /* repo, manifest */
	STEP_OPEN,	    /* reader, repo, blob */
	STEP_READ,	    /* reader */
	STEP_TIME,	    /* which */
	STEP_COLLECT,	    /* at which pause, how many steps run then */
	STEP_CRASH,	    /* at which system call of the steps behind it */
	STEP_REOPEN,
	STEP_CHECK,
	STEP_KINDS
};

struct step {
	uint8_t kind, a, b, c, d;
};

/* Changes: what steps do to the store, one transaction each. */

enum change_kind {
	CHANGE_NONE,
	CHANGE_LOOK,   /* repo, blob */
	CHANGE_UPLOAD, /* repo, blob */
	CHANGE_MOUNT,  /* repo, blob, other: from */
	CHANGE_PUT,    /* repo, manifest, tag or -1 */
	CHANGE_UNTAG,
	CHANGE_DELETE,
	CHANGE_IMAGE_DELETE,
	CHANGE_BLOB_DELETE,
	CHANGE_REPO_DELETE,
	CHANGE_REPO_UNDELETE,
	CHANGE_POLICY,
	CHANGE_APPLY,
	CHANGE_STATUS, /* repo, manifest, other: status */
	CHANGE_UNDELETE,
	CHANGE_KINDS
};

struct change {
	enum change_kind kind;
	int repo, manifest, tag, blob, other;
	int64_t now_ms;
};

enum client_state { CLIENT_IDLE, CLIENT_PUSHING, CLIENT_UPLOADING };

struct m_client {
	uint8_t state;
	uint8_t repo, target, manifest; /* the one at hand, below the target */
	int8_t tag;
	uint8_t blob;  /* that is being uploaded */
	uint8_t phase; /* of an upload */
	unsigned told; /* blobs */
	char upload[33];
};

/* How much happened, over all sequences: a model that is never asked anything
 * is always right. */
struct tally {
	uint64_t sequences, steps, inside, crashes;
	uint64_t done[CHANGE_KINDS], refused[CHANGE_KINDS];
	struct gc_totals collected;
};

/* What parent and children share. */
struct shared {
	/* Given. */
	uint64_t seed;
	int64_t undelete_ms;
	struct step steps[STEPS_MAX];
	size_t n_steps;
	char dir[512];
	/* Where it is. */
	int64_t now_ms;
	size_t at;
	bool done; /* all steps: at the end of it */
	bool collecting;
	struct change change; /* under way */
	struct m_state state;
	struct m_client clients[CLIENTS];
	/* A crash that is to come. */
	bool crash_armed;
	unsigned crash_after; /* so many calls */
	unsigned crashes;
	char why[2048]; /* it failed */
	struct tally tally;
};

/* One child at work. */
struct model {
	struct shared *sh;
	struct world world;
	struct store_options options;
	struct store *store;
	struct meta *meta;
	struct arena arena;
	struct blob_file readers[READERS];
	uint8_t reader_blobs[READERS];
	/* Steps inside of a collection. */
	unsigned pause, pause_at;
	size_t nested;
	bool spread;	      /* one at each pause */
	bool inside, claimed; /* where nothing may wait */
};

#define MODEL_CRASHED 42
#define CRASHES_MAX 8

/** model_fail(m, fmt, ...): says so to the parent and ends the child. */
_Noreturn void model_fail(struct model *, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/* model_state.c: what changes do to the model, and what may be. */

void repo_clear(struct m_repo *);
bool repo_tagged(const struct m_repo *, unsigned manifest);
unsigned repo_tags_of(const struct m_repo *, unsigned manifest);
/** blob_sure(m, r, b): told to be there, or needed by an active image. */
bool blob_sure(const struct model *, const struct m_repo *, unsigned blob);
/** blob_used(m, r, b): by images that are there; blob_needed(): or deleted. */
bool blob_used(const struct model *, const struct m_repo *, unsigned blob);
bool blob_needed(const struct model *, const struct m_repo *, unsigned blob);
/** image_held(m, r, i, active): by an index, or one that is not archived. */
bool image_held(const struct model *, const struct m_repo *, unsigned manifest,
    bool active);
/** act_end(m, r, act): what is to come of it. */
enum lifecycle_act_end
act_end(const struct model *, const struct m_repo *, const struct m_act *);
/** act_apply(m, r, act, now_ms): what comes of it. */
void act_apply(const struct model *, struct m_repo *, const struct m_act *,
    int64_t now_ms);
/** change_apply(m, state, change): it happened. */
void
change_apply(const struct model *, struct m_state *, const struct change *);
void image_status_note(const struct model *, struct m_repo *, unsigned manifest,
    enum image_status, int64_t now_ms);
void image_left_note(
    const struct model *, struct m_repo *, unsigned manifest, int64_t now_ms);
int64_t model_now(const struct model *);

/* model_check.c: what the store says. */

/** model_sync(m, state, change): take over what ${change} left open: classes,
 * and what the collector did, as far as it may. */
void model_sync(struct model *, struct m_state *, const struct change *);
/** model_same(m, state, why): does the store show that state? */
#define MODEL_WHY 1024
bool model_same(struct model *, const struct m_state *, char why[MODEL_WHY]);
void model_check(struct model *);
/** model_fsck(m, left_overs): left-overs of a crash may be there. */
void model_fsck(struct model *, bool left_overs);
/** model_leaks(m): all is quiet: nothing is there that is not needed. */
void model_leaks(struct model *);
/** model_empty(m): no row is left. */
void model_empty(struct model *);
/** model_scratches_age(m): files of uploads have the time of the model. */
void model_scratches_age(struct model *);

/* model_steps.c */

void steps_make(struct shared *, size_t n);
void step_print(const struct step *);
/** steps_run(m): from where it is to the end. */
void steps_run(struct model *);
/** model_collect(m): without steps inside of it. */
void model_collect(struct model *, struct gc_totals *);
/** model_pause(m, committing): a collection has come to where steps may run. */
void model_pause(struct model *, bool committing);

/* model_changes.c: what steps are made of.  Each begins, looks whether the
 * answer is one that the model knows, and ends. */

void change_begin(struct model *, struct change);
void change_end(struct model *, bool happened);
bool blob_look(struct model *, unsigned repo, unsigned blob);
void blob_upload(struct model *, unsigned repo, unsigned blob);
bool blob_mount(struct model *, unsigned from, unsigned to, unsigned blob);
bool manifest_push(struct model *, unsigned repo, unsigned manifest, int tag);
void tag_delete(struct model *, unsigned repo, unsigned tag);
void manifest_delete(struct model *, unsigned repo, unsigned manifest);
void image_delete(struct model *, unsigned repo, unsigned tag);
void blob_delete(struct model *, unsigned repo, unsigned blob);
void repo_delete(struct model *, unsigned repo);
void repo_undelete(struct model *, unsigned repo);
void policy_set(struct model *, unsigned repo, unsigned text);
void policy_evaluate(struct model *, unsigned repo, unsigned manifests,
    unsigned archive, unsigned by_pull);
void policy_apply(struct model *, unsigned repo);
void image_pull(struct model *, unsigned repo, unsigned manifest);
void image_class(
    struct model *, unsigned repo, unsigned manifest, enum image_status);
void image_undelete(struct model *, unsigned repo, unsigned manifest);
void reader_open(struct model *, unsigned reader, unsigned repo, unsigned blob);
void reader_read(struct model *, unsigned reader);

/* model_client.c: pushes, bit by bit. */

void client_begin(struct model *, const struct step *);
void client_step(struct model *, unsigned client, unsigned way);

/* model_sys.c: the system, as the children see it. */

/** sys_begin(m): from now on time is the model's, and calls are counted. */
void sys_begin(struct model *);
void sys_end(void);

/* model_run.c */

void model_open(struct model *);
void model_close(struct model *);

struct model_result {
	bool failed;
	char why[2048];
	size_t at; /* the step it was at */
};

/** tally_print(t): a few lines. */
void tally_print(const struct tally *);

/** sequence_run(sh, r): all of it, children as needed. */
void sequence_run(struct shared *, struct model_result *r);
/** sequence_tell(sh, r): make it as short as is easy, and print it. */
void sequence_tell(struct shared *, const struct model_result *);

#endif
