#include "storage/replication.h"

#include <string.h>

#include "base/clock.h"
#include "base/obj.h"
#include "storage/meta_ops_int.h"

/*
 * Images that are to be sent to other registries.  A task lies with its image,
 * where all that waits of it is found, and has a place in a queue in order of
 * when it is due.  Of each destination of an image it is kept how that went.
 *
 * Pushed once more with the same tag, to the same destination, the image gets a
 * new task in place of the old one: who is just sending that finds it gone, and
 * what he has missed is sent after it.
 */

/* Places in the queue that are looked at in one read, or change. */
#define READ_ROWS 512

static struct span
text_cut(struct span s, size_t max)
{

	if (s.n <= max)
		return (s);
	/* Not in the middle of a character. */
	for (s.n = max; s.n > 0; s.n--)
		if (((uint8_t)s.p[s.n] & 0xc0) != 0x80)
			break;
	return (s);
}

/* Tasks. */

/* One with what its row says, taken out of the map. */
struct task {
	uint64_t repo, id;
	struct digest digest;
	struct task_rec rec;
	char destination[REPLICATION_DESTINATION_MAX_BYTES];
	char tag[NAME_TAG_MAX_BYTES];
};

static struct span
text_keep(struct span s, char *room)
{

	if (s.n > 0)
		memcpy(room, s.p, s.n);
	return ((struct span){ room, s.n });
}

static bool
task_take(struct span value, struct task *task)
{

	if (!rec_task_read(value, &task->rec))
		return (false);
	task->rec.destination =
	    text_keep(task->rec.destination, task->destination);
	task->rec.tag = text_keep(task->rec.tag, task->tag);
	return (true);
}

static enum rc
task_save(struct meta_txn *t, uint64_t repo, const struct digest *d,
    uint64_t id, const struct task_rec *rec)
{
	struct rec_key k;
	uint8_t *p;
	enum rc rc;

	key_task(&k, repo, d, id);
	rc = kv_reserve(
	    t, TABLE_REPLICATION_TASKS, key_span(&k), rec_task_size(rec), &p);
	if (rc != RC_OK)
		return (rc);
	rec_task_write(rec, p);
	return (replication_queue_put(t, repo, d, rec->due_ms, id));
}

enum rc
replication_queue_put(struct meta_txn *t, uint64_t repo, const struct digest *d,
    int64_t due_ms, uint64_t id)
{
	uint8_t value[REC_TASK_OF_MAX_BYTES];
	struct rec_key k;

	key_task_due(&k, due_ms, id);
	rec_task_of_write(repo, d, value);
	return (kv_put(t, TABLE_REPLICATION_QUEUE, key_span(&k),
	    (struct span){ (const char *)value, rec_task_of_size(d) }));
}

static enum rc
queue_drop(struct meta_txn *t, int64_t due_ms, uint64_t id)
{
	struct rec_key k;
	enum rc rc;

	key_task_due(&k, due_ms, id);
	rc = kv_delete(t, TABLE_REPLICATION_QUEUE, key_span(&k));
	return (rc == RC_NOTFOUND ? RC_OK : rc);
}

static enum rc
task_drop_walked(struct kv_walk *w)
{
	struct task_rec rec;
	struct digest d;
	uint64_t repo, id;
	bool known = key_read_task(w->key, &repo, &d, &id) &&
		     rec_task_read(w->value, &rec);
	enum rc rc;

	/* A place in the queue that leads nowhere is for fsck. */
	if (!known)
		(void)meta_corrupt(w->table, w->key);
	if ((rc = kv_walk_delete(w)) != RC_OK || !known)
		return (rc);
	return (queue_drop(w->t, rec.due_ms, id));
}

/* Those of that tag and destination, or, with NULL, all of an image. */
static enum rc
tasks_drop(struct meta_txn *t, uint64_t repo, const struct digest *d,
    const struct task_rec *like)
{
	struct task_rec rec;
	struct rec_key prefix;
	struct kv_walk w;
	enum rc rc;

	key_repo_digest(&prefix, repo, d);
	rc = kv_walk_begin(
	    t, TABLE_REPLICATION_TASKS, key_span(&prefix), SPAN_NONE, &w);
	if (rc != RC_OK)
		return (rc);
	while ((rc = kv_walk_next(&w)) == RC_OK) {
		if (like != NULL &&
		    (!rec_task_read(w.value, &rec) ||
			!span_eq(rec.tag, like->tag) ||
			!span_eq(rec.destination, like->destination)))
			continue;
		if ((rc = task_drop_walked(&w)) != RC_OK)
			break;
	}
	kv_walk_end(&w);
	return (rc == RC_NOTFOUND ? RC_OK : rc);
}

enum rc
replication_pending(struct meta_txn *t, uint64_t repo, const struct digest *d,
    struct span destination, uint64_t *n_r)
{
	struct task_rec rec;
	struct rec_key prefix;
	struct kv_walk w;
	enum rc rc;

	*n_r = 0;
	key_repo_digest(&prefix, repo, d);
	rc = kv_walk_begin(
	    t, TABLE_REPLICATION_TASKS, key_span(&prefix), SPAN_NONE, &w);
	if (rc != RC_OK)
		return (rc);
	while ((rc = kv_walk_next(&w)) == RC_OK)
		if (rec_task_read(w.value, &rec) &&
		    span_eq(rec.destination, destination))
			(*n_r)++;
	kv_walk_end(&w);
	return (rc == RC_NOTFOUND ? RC_OK : rc);
}

/* By its place in the queue.  RC_NOTFOUND: it is not there any more, or has
 * another place. */
static enum rc
task_find(
    struct meta_txn *t, const struct replication_task *of, struct task *task)
{
	struct rec_key k;
	struct span value;
	enum rc rc;

	task->id = of->id;
	key_task_due(&k, of->due_ms, of->id);
	rc = kv_get(t, TABLE_REPLICATION_QUEUE, key_span(&k), &value);
	if (rc != RC_OK)
		return (rc);
	if (!rec_task_of_read(value, &task->repo, &task->digest))
		return (meta_corrupt(TABLE_REPLICATION_QUEUE, key_span(&k)));
	key_task(&k, task->repo, &task->digest, task->id);
	rc = kv_get(t, TABLE_REPLICATION_TASKS, key_span(&k), &value);
	if (rc == RC_OK && !task_take(value, task))
		rc = meta_corrupt(TABLE_REPLICATION_TASKS, key_span(&k));
	if (rc == RC_OK && task->rec.due_ms != of->due_ms)
		rc = RC_NOTFOUND;
	return (rc);
}

static enum rc
task_leave(struct meta_txn *t, const struct task *task)
{
	struct rec_key k;
	enum rc rc;

	key_task(&k, task->repo, &task->digest, task->id);
	rc = kv_delete(t, TABLE_REPLICATION_TASKS, key_span(&k));
	if (rc != RC_OK)
		return (rc);
	return (queue_drop(t, task->rec.due_ms, task->id));
}

/* How it went. */

struct status {
	struct status_rec rec;
	char code[REPLICATION_CODE_MAX_BYTES];
	char why[REPLICATION_WHY_MAX_BYTES];
};

/* One that is not there, or cannot be read, is one that has just begun. */
static enum rc
status_load(struct meta_txn *t, uint64_t repo, const struct digest *d,
    struct span destination, struct status *s)
{
	struct rec_key k;
	struct span value;
	enum rc rc;

	s->rec = (struct status_rec){ .state = REPLICATION_IN_PROGRESS };
	key_status(&k, repo, d, destination);
	rc = kv_get(t, TABLE_REPLICATION_STATUS, key_span(&k), &value);
	if (rc != RC_OK)
		return (rc == RC_NOTFOUND ? RC_OK : rc);
	if (!rec_status_read(value, &s->rec)) {
		(void)meta_corrupt(TABLE_REPLICATION_STATUS, key_span(&k));
		s->rec =
		    (struct status_rec){ .state = REPLICATION_IN_PROGRESS };
		return (RC_OK);
	}
	s->rec.code = text_keep(s->rec.code, s->code);
	s->rec.why = text_keep(s->rec.why, s->why);
	return (RC_OK);
}

enum rc
replication_status_put(struct meta_txn *t, uint64_t repo,
    const struct digest *d, struct span destination,
    const struct status_rec *rec)
{
	struct rec_key k;
	uint8_t *p;
	enum rc rc;

	key_status(&k, repo, d, destination);
	rc = kv_reserve(t, TABLE_REPLICATION_STATUS, key_span(&k),
	    rec_status_size(rec), &p);
	if (rc == RC_OK)
		rec_status_write(rec, p);
	return (rc);
}

/* A new task begins it anew, whatever became of those before it. */
static enum rc
status_begin(struct meta_txn *t, uint64_t repo, const struct digest *d,
    struct span destination, int64_t now_ms)
{
	struct status s;
	enum rc rc;

	rc = status_load(t, repo, d, destination, &s);
	if (rc != RC_OK)
		return (rc);
	if (s.rec.state == REPLICATION_IN_PROGRESS && s.rec.changed_ms != 0)
		return (RC_OK);
	s.rec = (struct status_rec){
		.state = REPLICATION_IN_PROGRESS,
		.changed_ms = now_ms > 0 ? now_ms : 1,
	};
	return (replication_status_put(t, repo, d, destination, &s.rec));
}

/* Adding. */

/* A push is not to fail for a number that cannot be read: one that counting has
 * never come to will do. */
static enum rc
id_take(struct meta_txn *t, uint64_t *id_r)
{
	enum rc rc;

	rc = meta_number_get(t, NUMBER_REPLICATION_ID, id_r);
	if (rc == RC_CORRUPT)
		*id_r = (uint64_t)clock_real_ms() * 1000;
	else if (rc != RC_OK)
		return (rc);
	return (meta_number_set(t, NUMBER_REPLICATION_ID, ++*id_r));
}

enum rc
replication_add(struct meta_txn *t, uint64_t repo, const struct digest *d,
    struct span tag, struct span destination, int64_t now_ms)
{
	const struct task_rec rec = {
		.due_ms = now_ms > 0 ? now_ms : 0,
		.queued_ms = now_ms,
		.destination = destination,
		.tag = tag,
	};
	uint64_t id;
	enum rc rc;

	if ((tag.n > 0 && !name_tag_ok(tag)) || destination.n == 0 ||
	    destination.n > REPLICATION_DESTINATION_MAX_BYTES)
		return (RC_INVALID);
	if ((rc = tasks_drop(t, repo, d, &rec)) != RC_OK)
		return (rc);
	if ((rc = id_take(t, &id)) != RC_OK)
		return (rc);
	if ((rc = task_save(t, repo, d, id, &rec)) != RC_OK)
		return (rc);
	return (status_begin(t, repo, d, destination, now_ms));
}

struct add_arg {
	struct span repository;
	const struct digest *digest;
	struct span tag, destination;
	int64_t now_ms;
};

static enum rc
task_add(struct meta_txn *t, void *arg)
{
	const struct add_arg *aa = arg;
	struct repository_row repo;
	struct manifest_rec rec;
	enum rc rc;

	if ((rc = repo_find(t, aa->repository, &repo)) != RC_OK)
		return (rc);
	if ((rc = manifest_find(t, repo.id, aa->digest, &rec)) != RC_OK)
		return (rc);
	return (replication_add(
	    t, repo.id, aa->digest, aa->tag, aa->destination, aa->now_ms));
}

enum rc
meta_replication_add(struct meta *m, struct span repository,
    const struct digest *d, struct span tag, struct span destination,
    int64_t now_ms)
{
	struct add_arg arg = { repository, d, tag, destination, now_ms };

	return (meta_change(m, task_add, &arg, 0));
}

enum rc
replication_drop(struct meta_txn *t, uint64_t repo, const struct digest *d)
{
	struct rec_key prefix;
	struct kv_walk w;
	enum rc rc;

	if ((rc = tasks_drop(t, repo, d, NULL)) != RC_OK)
		return (rc);
	key_repo_digest(&prefix, repo, d);
	rc = kv_walk_begin(
	    t, TABLE_REPLICATION_STATUS, key_span(&prefix), SPAN_NONE, &w);
	if (rc != RC_OK)
		return (rc);
	while ((rc = kv_walk_next(&w)) == RC_OK)
		if ((rc = kv_walk_delete(&w)) != RC_OK)
			break;
	kv_walk_end(&w);
	return (rc == RC_NOTFOUND ? RC_OK : rc);
}

/* The queue. */

/* Of one that is gone: empty. */
static enum rc
name_of(struct meta_txn *t, uint64_t repo, struct arena *a, struct span *name_r)
{
	struct span value, name;
	struct rec_key k;
	enum rc rc;

	*name_r = SPAN_NONE;
	key_repo(&k, repo);
	rc = kv_get(t, TABLE_REPOSITORY_NAMES, key_span(&k), &value);
	if (rc != RC_OK)
		return (rc == RC_NOTFOUND ? RC_OK : rc);
	if (!rec_repository_name_read(value, &name))
		return (meta_corrupt(TABLE_REPOSITORY_NAMES, key_span(&k)));
	return (copy_out(a, name, name_r));
}

static enum rc
task_tell(struct meta_txn *t, const struct task *task, struct arena *a,
    struct replication_task *row)
{
	enum rc rc;

	row->id = task->id;
	row->digest = task->digest;
	row->attempts = task->rec.attempts;
	row->queued_ms = task->rec.queued_ms;
	row->due_ms = task->rec.due_ms;
	if ((rc = name_of(t, task->repo, a, &row->repository)) != RC_OK)
		return (rc);
	if ((rc = copy_out(a, task->rec.tag, &row->tag)) != RC_OK)
		return (rc);
	return (copy_out(a, task->rec.destination, &row->destination));
}

struct pager {
	int64_t due_ms;
	size_t max, n;
	struct arena *arena;
	struct replication_task *rows;
	int64_t at_ms; /* looked at last */
	uint64_t at_id;
	bool strays;
};

/* A place in the queue that leads nowhere, or to what cannot be read, would be
 * due for ever: it goes, which fsck mends. */
static enum rc
stray_drop(struct kv_walk *w)
{
	struct replication_task of = { 0 };
	struct task task;
	enum rc rc;

	if (key_read_task_due(w->key, &of.due_ms, &of.id)) {
		rc = task_find(w->t, &of, &task);
		if (rc != RC_NOTFOUND && rc != RC_CORRUPT)
			return (rc);
	}
	return (kv_walk_delete(w));
}

static enum rc
strays_drop(struct meta_txn *t, void *arg)
{
	const struct pager *p = arg;
	struct kv_walk w;
	int64_t due_ms = 0;
	uint64_t id;
	unsigned n;
	enum rc rc;

	rc =
	    kv_walk_begin(t, TABLE_REPLICATION_QUEUE, SPAN_NONE, SPAN_NONE, &w);
	if (rc != RC_OK)
		return (rc);
	for (n = 0; n < READ_ROWS && rc == RC_OK; n++) {
		if ((rc = kv_walk_next(&w)) != RC_OK)
			break;
		if (key_read_task_due(w.key, &due_ms, &id) &&
		    due_ms > p->due_ms)
			break;
		rc = stray_drop(&w);
	}
	kv_walk_end(&w);
	return (rc == RC_NOTFOUND ? RC_OK : rc);
}

static enum rc
page_row(struct pager *p, struct meta_txn *t)
{
	const struct replication_task of = {
		.id = p->at_id,
		.due_ms = p->at_ms,
	};
	struct task task;
	enum rc rc;

	rc = task_find(t, &of, &task);
	if (rc == RC_OK)
		rc = task_tell(t, &task, p->arena, &p->rows[p->n]);
	if (rc == RC_OK)
		p->n++;
	if (rc != RC_NOTFOUND && rc != RC_CORRUPT)
		return (rc);
	p->strays = true;
	return (RC_OK);
}

/* RC_NOTFOUND: there are no others. */
static enum rc
page_rows(struct pager *p, struct kv_walk *w)
{
	int64_t due_ms;
	uint64_t id;
	unsigned n;
	enum rc rc;

	for (n = 0; n < READ_ROWS; n++) {
		if (p->n == p->max)
			return (RC_NOTFOUND);
		if ((rc = kv_walk_next(w)) != RC_OK)
			return (rc);
		if (!key_read_task_due(w->key, &due_ms, &id)) {
			(void)meta_corrupt(w->table, w->key);
			continue;
		}
		if (due_ms > p->due_ms)
			return (RC_NOTFOUND);
		if (due_ms == p->at_ms && id == p->at_id)
			continue;
		p->at_ms = due_ms;
		p->at_id = id;
		if ((rc = page_row(p, w->t)) != RC_OK)
			return (rc);
	}
	return (RC_OK);
}

static enum rc
page_read(struct pager *p, struct meta *m)
{
	struct rec_key from;
	struct meta_txn t;
	struct kv_walk w;
	enum rc rc;

	if ((rc = meta_read_begin(m, &t)) != RC_OK)
		return (rc);
	key_task_due(&from, p->at_ms, p->at_id);
	rc = kv_walk_begin(
	    &t, TABLE_REPLICATION_QUEUE, SPAN_NONE, key_span(&from), &w);
	if (rc == RC_OK) {
		rc = page_rows(p, &w);
		kv_walk_end(&w);
	}
	meta_read_end(&t);
	return (rc);
}

enum rc
meta_replication_page(struct meta *m, int64_t after_due_ms, uint64_t after_id,
    int64_t due_ms, size_t n, struct arena *a,
    struct replication_task **tasks_r, size_t *n_r)
{
	struct pager p = {
		.due_ms = due_ms,
		.max = n,
		.arena = a,
		.at_ms = after_due_ms > 0 ? after_due_ms : 0,
		.at_id = after_due_ms >= 0 ? after_id : 0,
	};
	enum rc rc;

	*n_r = 0;
	p.rows = arena_calloc(a, n + 1, sizeof(*p.rows));
	if (p.rows == NULL)
		return (RC_TOOBIG);
	do {
		rc = page_read(&p, m);
	} while (rc == RC_OK);
	if (rc == RC_NOTFOUND && p.strays)
		rc = meta_change(m, strays_drop, &p, 0);
	if (rc != RC_NOTFOUND && rc != RC_OK)
		return (rc);
	*tasks_r = p.rows;
	*n_r = p.n;
	return (RC_OK);
}

enum rc
meta_replication_due(struct meta *m, int64_t *due_ms_r)
{
	struct meta_txn t;
	struct kv_walk w;
	uint64_t id;
	enum rc rc;

	if ((rc = meta_read_begin(m, &t)) != RC_OK)
		return (rc);
	rc = kv_walk_begin(
	    &t, TABLE_REPLICATION_QUEUE, SPAN_NONE, SPAN_NONE, &w);
	if (rc == RC_OK) {
		while ((rc = kv_walk_next(&w)) == RC_OK)
			if (key_read_task_due(w.key, due_ms_r, &id))
				break;
		kv_walk_end(&w);
	}
	meta_read_end(&t);
	return (rc);
}

enum rc
meta_replication_count(struct meta *m, uint64_t *n_r)
{
	struct meta_txn t;
	enum rc rc;

	if ((rc = meta_read_begin(m, &t)) != RC_OK)
		return (rc);
	*n_r = kv_count(&t, TABLE_REPLICATION_TASKS);
	meta_read_end(&t);
	return (RC_OK);
}

/* Attempts. */

struct attempt_arg {
	const struct replication_task *of;
	int64_t due_ms, now_ms;
	enum replication_state state;
	struct span code, why;
};

/* Of an image that went meanwhile there is nothing to be told. */
static enum rc
status_save(
    struct meta_txn *t, const struct task *task, const struct status_rec *rec)
{
	struct manifest_rec manifest;
	enum rc rc;

	rc = manifest_row_any(t, task->repo, &task->digest, &manifest);
	if (rc != RC_OK && rc != RC_CORRUPT)
		return (rc == RC_NOTFOUND ? RC_OK : rc);
	return (replication_status_put(
	    t, task->repo, &task->digest, task->rec.destination, rec));
}

static enum rc
task_later(struct meta_txn *t, void *arg)
{
	const struct attempt_arg *aa = arg;
	struct status s;
	struct task task;
	enum rc rc;

	if ((rc = task_find(t, aa->of, &task)) != RC_OK)
		return (rc);
	if ((rc = task_leave(t, &task)) != RC_OK)
		return (rc);
	task.rec.due_ms = aa->due_ms > 0 ? aa->due_ms : 0;
	if (task.rec.attempts < UINT32_MAX)
		task.rec.attempts++;
	rc = task_save(t, task.repo, &task.digest, task.id, &task.rec);
	if (rc != RC_OK)
		return (rc);
	rc = status_load(t, task.repo, &task.digest, task.rec.destination, &s);
	if (rc != RC_OK)
		return (rc);
	s.rec.why = aa->why;
	return (status_save(t, &task, &s.rec));
}

enum rc
meta_replication_later(struct meta *m, const struct replication_task *of,
    int64_t due_ms, struct span why)
{
	struct attempt_arg arg = {
		.of = of,
		.due_ms = due_ms,
		.why = text_cut(why, REPLICATION_WHY_MAX_BYTES),
	};

	return (meta_change(m, task_later, &arg, 0));
}

/* One that failed stays so while others of the image have still to be sent, and
 * when these were. */
static void
status_end(
    struct status_rec *rec, const struct attempt_arg *aa, uint64_t pending)
{

	if (aa->state == REPLICATION_FAILED) {
		rec->code = aa->code;
		rec->why = aa->why;
	} else if (rec->state == REPLICATION_FAILED || pending > 0) {
		return;
	} else {
		rec->code = SPAN_NONE;
		rec->why = SPAN_NONE;
	}
	rec->state = (uint8_t)aa->state;
	rec->changed_ms = aa->now_ms;
}

static enum rc
task_end(struct meta_txn *t, void *arg)
{
	const struct attempt_arg *aa = arg;
	uint64_t pending;
	struct status s;
	struct task task;
	enum rc rc;

	if ((rc = task_find(t, aa->of, &task)) != RC_OK)
		return (rc);
	if ((rc = task_leave(t, &task)) != RC_OK)
		return (rc);
	rc = replication_pending(
	    t, task.repo, &task.digest, task.rec.destination, &pending);
	if (rc != RC_OK)
		return (rc);
	rc = status_load(t, task.repo, &task.digest, task.rec.destination, &s);
	if (rc != RC_OK)
		return (rc);
	status_end(&s.rec, aa, pending);
	return (status_save(t, &task, &s.rec));
}

enum rc
meta_replication_end(struct meta *m, const struct replication_task *of,
    enum replication_state state, struct span code, struct span why,
    int64_t now_ms)
{
	struct attempt_arg arg = {
		.of = of,
		.now_ms = now_ms,
		.state = state,
		.code = text_cut(code, REPLICATION_CODE_MAX_BYTES),
		.why = text_cut(why, REPLICATION_WHY_MAX_BYTES),
	};

	must(state == REPLICATION_COMPLETE || state == REPLICATION_FAILED);
	return (meta_change_freeing(m, task_end, &arg));
}

/* Telling. */

struct teller {
	uint64_t repo;
	const struct digest *digest;
	struct arena *arena;
	struct replication_status *rows;
	size_t n;
};

static enum rc
status_tell(struct teller *l, const struct kv_walk *w)
{
	struct replication_status *row = &l->rows[l->n];
	struct span destination;
	struct status_rec rec;
	struct digest d;
	uint64_t repo;
	enum rc rc;

	/* What cannot be read is for fsck. */
	if (!key_read_status(w->key, &repo, &d, &destination) ||
	    !rec_status_read(w->value, &rec)) {
		(void)meta_corrupt(w->table, w->key);
		return (RC_OK);
	}
	row->state = (enum replication_state)rec.state;
	row->changed_ms = rec.changed_ms;
	if ((rc = copy_out(l->arena, destination, &row->destination)) != RC_OK)
		return (rc);
	if ((rc = copy_out(l->arena, rec.code, &row->code)) != RC_OK)
		return (rc);
	if ((rc = copy_out(l->arena, rec.why, &row->why)) != RC_OK)
		return (rc);
	l->n++;
	return (RC_OK);
}

static enum rc
pending_tell(struct teller *l, const struct kv_walk *w)
{
	struct task_rec rec;
	size_t i;

	if (!rec_task_read(w->value, &rec))
		return (RC_OK);
	for (i = 0; i < l->n; i++)
		if (span_eq(l->rows[i].destination, rec.destination))
			l->rows[i].pending++;
	return (RC_OK);
}

static enum rc
row_count(struct teller *l, const struct kv_walk *w)
{

	(void)w;
	l->n++;
	return (RC_OK);
}

static enum rc
rows_of_image(struct teller *l, struct meta_txn *t, enum meta_table table,
    enum rc (*fn)(struct teller *, const struct kv_walk *))
{
	struct rec_key prefix;
	struct kv_walk w;
	enum rc rc;

	key_repo_digest(&prefix, l->repo, l->digest);
	rc = kv_walk_begin(t, table, key_span(&prefix), SPAN_NONE, &w);
	if (rc != RC_OK)
		return (rc);
	while ((rc = kv_walk_next(&w)) == RC_OK)
		if ((rc = fn(l, &w)) != RC_OK)
			break;
	kv_walk_end(&w);
	return (rc == RC_NOTFOUND ? RC_OK : rc);
}

static enum rc
status_read(struct teller *l, struct meta_txn *t, struct span repository)
{
	struct repository_row repo;
	struct manifest_rec rec;
	enum rc rc;

	if ((rc = repo_find(t, repository, &repo)) != RC_OK)
		return (rc);
	l->repo = repo.id;
	if ((rc = manifest_find(t, repo.id, l->digest, &rec)) != RC_OK)
		return (rc);
	rc = rows_of_image(l, t, TABLE_REPLICATION_STATUS, row_count);
	if (rc != RC_OK)
		return (rc);
	l->rows = arena_calloc(l->arena, l->n + 1, sizeof(*l->rows));
	l->n = 0;
	if (l->rows == NULL)
		return (RC_TOOBIG);
	rc = rows_of_image(l, t, TABLE_REPLICATION_STATUS, status_tell);
	if (rc != RC_OK)
		return (rc);
	return (rows_of_image(l, t, TABLE_REPLICATION_TASKS, pending_tell));
}

enum rc
meta_replication_status(struct meta *m, struct span repository,
    const struct digest *d, struct arena *a, struct replication_status **rows_r,
    size_t *n_r)
{
	struct teller l = { .digest = d, .arena = a };
	struct meta_txn t;
	enum rc rc;

	*rows_r = NULL;
	*n_r = 0;
	if ((rc = meta_read_begin(m, &t)) != RC_OK)
		return (rc);
	rc = status_read(&l, &t, repository);
	meta_read_end(&t);
	if (rc != RC_OK)
		return (rc == RC_NOTFOUND ? RC_OK : rc);
	*rows_r = l.rows;
	*n_r = l.n;
	return (RC_OK);
}
