#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "archive_help.h"
#include "base/buf.h"
#include "base/manifest.h"
#include "base/mem.h"
#include "base/obj.h"
#include "mirror/archive.h"
#include "mirror/copy.h"

/*
 * Archives are written and read again, by places in memory; and what nobody
 * should have written is refused with a word about which entry it was.
 */
#define PATH_BYTES 256
#define ID_A "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define ID_B "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"

struct at {
	char dir[64];
	char path[PATH_BYTES], path2[PATH_BYTES];
	struct held app, web, app2, web2;
	char why[ARCHIVE_WHY_BYTES];
	struct upstream_error error;
	/* What the last import was told. */
	uint64_t done;
	bool one_place; /* all of it goes to .app2 */
	bool leave_web;
};

static int
setup(void **state)
{
	struct at *t = xcalloc(1, sizeof(*t));

	(void)snprintf(t->dir, sizeof(t->dir), "/tmp/test_archive.XXXXXX");
	assert_non_null(mkdtemp(t->dir));
	(void)snprintf(t->path, PATH_BYTES, "%s/a.tar", t->dir);
	(void)snprintf(t->path2, PATH_BYTES, "%s/b.tar", t->dir);
	held_init(&t->app);
	held_init(&t->web);
	held_init(&t->app2);
	held_init(&t->web2);
	*state = t;
	return (0);
}

static int
teardown(void **state)
{
	struct at *t = *state;

	(void)unlink(t->path);
	(void)unlink(t->path2);
	/* Nothing else was left there. */
	assert_int_equal(rmdir(t->dir), 0);
	held_clear(&t->app);
	held_clear(&t->web);
	held_clear(&t->app2);
	held_clear(&t->web2);
	free(t);
	return (0);
}

/* --- writing ------------------------------------------------------------- */

static void
export_tags(struct archive_writer *w, struct held *h, const char *name)
{
	const struct copy_options options = { .referrers = true };
	struct upstream_error error;
	struct copy_result result;
	struct reference ref = { 0 };
	struct place *to = archive_writer_place(w, span_of(name));
	size_t i;

	for (i = 0; i < h->n_tags; i++) {
		ref.tag = span_of(h->tags[i].name);
		assert_int_equal(copy_image(&h->base, &ref, to, ref.tag,
				     &options, &result, &error),
		    RC_OK);
	}
	place_free(&to);
}

static void
export_both(struct at *t, struct held *app, struct held *web, const char *path,
    enum archive_compression c)
{
	struct archive_writer *w;

	assert_int_equal(archive_writer_new(path, -1, c, &w, t->why), RC_OK);
	export_tags(w, app, "team/app");
	export_tags(w, web, "web");
	assert_int_equal(archive_writer_finish(&w, t->why), RC_OK);
	assert_null(w);
}

static struct place *
place_choose(void *arg, const struct archive_image *i)
{
	struct at *t = arg;

	if (t->one_place || span_is(i->name, "team/app"))
		return (&t->app2.base);
	if (t->leave_web)
		return (NULL);
	assert_true(span_is(i->name, "web"));
	return (&t->web2.base);
}

static enum rc
try_import(struct at *t, const char *path)
{
	struct archive_reader *r;
	enum rc rc;

	t->done = 0;
	rc = archive_reader_open(path, NULL, &r, t->why);
	if (rc != RC_OK) {
		assert_null(r);
		return (rc);
	}
	rc = archive_reader_import(
	    r, place_choose, t, NULL, &t->done, &t->error);
	if (rc != RC_OK)
		(void)snprintf(t->why, sizeof(t->why), "%.500s", t->error.why);
	archive_reader_close(&r);
	return (rc);
}

static void
import(struct at *t, const char *path)
{
	if (try_import(t, path) != RC_OK)
		fail_msg("%s", t->why);
}

/* Two repositories that share an image, an index, two tags of one image, and a
 * signature. */
static void
registry_fill(struct at *t)
{
	struct made a, b, c;
	struct digest index, signature;

	image_add(&t->app, "a", &a);
	image_add(&t->app, "b", &b);
	index_add(&t->app, &a, &b, &index);
	held_tag(&t->app, "1.0", &index);
	held_tag(&t->app, "latest", &index);
	signature_add(
	    &t->app, "signed", &a.manifest, a.manifest_bytes, &signature);
	image_add(&t->web, "a", &a);
	image_add(&t->web, "c", &c);
	held_tag(&t->web, "1.0", &a.manifest);
	held_tag(&t->web, "c", &c.manifest);
}

static void
round_trip(struct at *t, enum archive_compression c)
{
	char *first, *second;
	size_t n1, n2;

	registry_fill(t);
	export_both(t, &t->app, &t->web, t->path, c);
	import(t, t->path);
	/* Two tags each, and the signature. */
	assert_int_equal(t->done, 5);
	held_same(&t->app, &t->app2);
	held_same(&t->web, &t->web2);
	export_both(t, &t->app2, &t->web2, t->path2, c);
	first = file_read(t->path, &n1);
	second = file_read(t->path2, &n2);
	assert_int_equal(n1, n2);
	assert_memory_equal(first, second, n1);
	free(first);
	free(second);
}

static void
test_what_was_exported_is_imported_and_exported_as_the_same_bytes(void **state)
{
	round_trip(*state, ARCHIVE_PLAIN);
}

static void
test_the_same_through_gzip(void **state)
{
	struct at *t = *state;
	char *bytes;
	size_t n;

	round_trip(t, ARCHIVE_GZIP);
	bytes = file_read(t->path, &n);
	assert_memory_equal(bytes, "\x1f\x8b", 2);
	free(bytes);
}

static void
test_the_same_through_zstd(void **state)
{
	struct at *t = *state;
	char *bytes;
	size_t n;

	round_trip(t, ARCHIVE_ZSTD);
	bytes = file_read(t->path, &n);
	assert_memory_equal(bytes, "\x28\xb5\x2f\xfd", 4);
	free(bytes);
}

static void
test_shared_blobs_stand_there_once(void **state)
{
	struct at *t = *state;
	size_t n = 0;
	char *names, *p;

	registry_fill(t);
	export_both(t, &t->app, &t->web, t->path, ARCHIVE_PLAIN);
	names = tar_names(t->path);
	for (p = names; (p = strchr(p, '\n')) != NULL; p++)
		n++;
	/* oci-layout, two folders, index.json, manifest.json; of three images
	 * three blobs each, an index, three of a signature. */
	assert_int_equal(n, 5 + 3 * 3 + 1 + 3);
	free(names);
}

static void
test_a_second_import_moves_nothing(void **state)
{
	struct at *t = *state;
	unsigned puts;

	registry_fill(t);
	export_both(t, &t->app, &t->web, t->path, ARCHIVE_PLAIN);
	import(t, t->path);
	puts = t->app2.blob_puts + t->web2.blob_puts;
	t->app2.n_tags = t->web2.n_tags = 0;
	import(t, t->path);
	assert_int_equal(t->app2.blob_puts + t->web2.blob_puts, puts);
	held_same(&t->app, &t->app2);
}

static void
test_what_several_places_need_comes_from_the_first(void **state)
{
	struct at *t = *state;

	registry_fill(t);
	export_both(t, &t->app, &t->web, t->path, ARCHIVE_PLAIN);
	import(t, t->path);
	/* The layer and the configuration of the image that both have. */
	assert_int_equal(t->app2.blob_opens + t->web2.blob_opens, 2);
}

static void
test_images_that_are_left_out_leave_nothing(void **state)
{
	struct at *t = *state;

	registry_fill(t);
	export_both(t, &t->app, &t->web, t->path, ARCHIVE_PLAIN);
	t->leave_web = true;
	import(t, t->path);
	assert_int_equal(t->done, 3);
	held_same(&t->app, &t->app2);
	assert_int_equal(t->web2.n, 0);
}

static void
test_a_signature_stays_in_its_repository(void **state)
{
	struct at *t = *state;
	const struct archive_image *images;
	struct archive_reader *r;
	size_t i, n, untagged = 0;

	registry_fill(t);
	export_both(t, &t->app, &t->web, t->path, ARCHIVE_PLAIN);
	assert_int_equal(archive_reader_open(t->path, NULL, &r, t->why), RC_OK);
	n = archive_reader_images(r, &images);
	assert_int_equal(n, 5);
	for (i = 0; i < n; i++) {
		if (images[i].tag.n > 0)
			continue;
		untagged++;
		assert_true(span_is(images[i].name, "team/app"));
	}
	assert_int_equal(untagged, 1);
	archive_reader_close(&r);
}

static void
test_docker_load_finds_images_of_one_platform(void **state)
{
	struct at *t = *state;
	char *text;
	size_t n;

	registry_fill(t);
	export_both(t, &t->app, &t->web, t->path, ARCHIVE_PLAIN);
	text = tar_get(t->path, "manifest.json", &n);
	/* Of the index the child for this machine, under both of its tags. */
	assert_non_null(
	    strstr(text, "\"RepoTags\":[\"team/app:1.0\",\"team/app:latest\""));
	assert_non_null(strstr(text, "\"RepoTags\":[\"web:c\"]"));
	free(text);
}

static void
test_an_image_by_digest_keeps_its_repository(void **state)
{
	struct at *t = *state;
	struct reference ref = { .is_digest = true };
	const struct copy_options options = { 0 };
	struct copy_result result;
	struct archive_writer *w;
	struct place *to;
	struct made a;

	image_add(&t->app, "a", &a);
	ref.digest = a.manifest;
	assert_int_equal(
	    archive_writer_new(t->path, -1, ARCHIVE_PLAIN, &w, t->why), RC_OK);
	to = archive_writer_place(w, SPAN("team/app"));
	assert_int_equal(copy_image(&t->app.base, &ref, to, SPAN(""), &options,
			     &result, &t->error),
	    RC_OK);
	place_free(&to);
	assert_int_equal(archive_writer_finish(&w, t->why), RC_OK);
	import(t, t->path);
	assert_int_equal(t->done, 1);
	held_same(&t->app, &t->app2);
}

static void
test_nothing_is_left_of_an_archive_that_is_given_up(void **state)
{
	struct at *t = *state;
	struct archive_writer *w;

	registry_fill(t);
	assert_int_equal(
	    archive_writer_new(t->path, -1, ARCHIVE_PLAIN, &w, t->why), RC_OK);
	export_tags(w, &t->app, "team/app");
	assert_int_equal(access(t->path, F_OK), -1);
	archive_writer_abort(&w);
	assert_null(w);
	/* teardown() sees that the folder is empty. */
}

static void
test_content_with_another_digest_ends_the_archive(void **state)
{
	struct at *t = *state;
	const struct copy_options options = { 0 };
	struct reference ref = { .tag = SPAN("1") };
	struct copy_result result;
	struct archive_writer *w;
	struct place *to;
	struct made a;

	image_add(&t->app, "a", &a);
	held_tag(&t->app, "1", &a.manifest);
	((struct held_blob *)held_find(&t->app, &a.layer))->p[5] = '?';
	assert_int_equal(
	    archive_writer_new(t->path, -1, ARCHIVE_PLAIN, &w, t->why), RC_OK);
	to = archive_writer_place(w, SPAN("team/app"));
	assert_int_not_equal(copy_image(&t->app.base, &ref, to, SPAN("1"),
				 &options, &result, &t->error),
	    RC_OK);
	place_free(&to);
	assert_int_not_equal(archive_writer_finish(&w, t->why), RC_OK);
	assert_non_null(strstr(t->why, "something else"));
}

static void
test_an_archive_takes_the_place_of_an_older_one_only_when_complete(void **state)
{
	struct at *t = *state;
	struct archive_writer *w;
	char *bytes;
	size_t n;

	file_write(t->path, "old", 3);
	assert_int_equal(
	    archive_writer_new(t->path, -1, ARCHIVE_PLAIN, &w, t->why), RC_OK);
	bytes = file_read(t->path, &n);
	assert_int_equal(n, 3);
	free(bytes);
	assert_int_equal(archive_writer_finish(&w, t->why), RC_OK);
	bytes = file_read(t->path, &n);
	assert_true(n > 3);
	free(bytes);
}

static void
test_what_is_no_file_is_not_replaced(void **state)
{
	struct at *t = *state;
	struct archive_writer *w;

	assert_int_equal(
	    archive_writer_new("/dev/null", -1, ARCHIVE_PLAIN, &w, t->why),
	    RC_INVALID);
	assert_null(w);
	assert_string_equal(t->why, "it is not a file");
}

static void
test_the_suffix_says_how_it_is_compressed(void **state)
{
	static const struct {
		const char *path;
		enum archive_compression c;
	} good[] = {
		{ "a.tar", ARCHIVE_PLAIN },
		{ "/x/a.tar.gz", ARCHIVE_GZIP },
		{ "a.tgz", ARCHIVE_GZIP },
		{ "a.tar.zst", ARCHIVE_ZSTD },
		{ "a.tzst", ARCHIVE_ZSTD },
	};
	enum archive_compression c;
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(good); i++) {
		assert_true(archive_compression_of(good[i].path, &c));
		assert_int_equal(c, good[i].c);
	}
	assert_false(archive_compression_of("a.zip", &c));
	assert_false(archive_compression_of("tar", &c));
	assert_false(archive_compression_of("", &c));
}

/* --- reading what others write ------------------------------------------- */

#define LAYOUT "{\"imageLayoutVersion\":\"1.0.0\"}"

struct put_name {
	const char *annotations; /* of index.json, after the colon */
	const char *registry, *name, *tag;
};

/* A layout of one image, with names as tar makes them. */
static void
layout_write(struct at *t, const char *path, const char *prefix,
    const char *annotations, struct made *m)
{
	char digest[DIGEST_STR_BYTES], *text, *name;
	struct tarring *tar = tar_begin(path, TAR_PLAIN);
	struct held h;
	size_t i;

	held_init(&h);
	image_add(&h, "a", m);
	if (prefix[0] != '\0')
		tar_entry(tar, prefix, S_IFDIR, NULL);
	name = xasprintf("%sindex.json", prefix);
	text = xasprintf("{\"schemaVersion\":2,\"manifests\":[{\"mediaType\":"
			 "\"%s\",\"digest\":\"%s\",\"size\":%zu%s%s}]}",
	    MEDIA_OCI_MANIFEST, digest_str(&m->manifest, digest),
	    m->manifest_bytes, annotations != NULL ? ",\"annotations\":" : "",
	    annotations != NULL ? annotations : "");
	tar_text(tar, name, text);
	free(name);
	free(text);
	for (i = 0; i < h.n; i++) {
		name = xasprintf("%sblobs/sha256/%s", prefix,
		    digest_str(&h.rows[i].digest, digest) + 7);
		tar_file(tar, name, (struct span){ h.rows[i].p, h.rows[i].n });
		free(name);
	}
	name = xasprintf("%soci-layout", prefix);
	tar_text(tar, name, LAYOUT);
	free(name);
	tar_end(tar);
	held_clear(&h);
	(void)t;
}

static void
test_names_are_found_where_others_put_them(void **state)
{
	static const struct put_name table[] = {
		{ NULL, "", "", "" },
		{ "{}", "", "", "" },
		{ "{\"org.opencontainers.image.ref.name\":\"v1\"}", "", "",
		    "v1" },
		{ "{\"org.opencontainers.image.ref.name\":"
		  "\"docker.io/team/app:v1\"}",
		    "docker.io", "team/app", "v1" },
		{ "{\"io.containerd.image.name\":"
		  "\"localhost:5000/team/app:v1\","
		  "\"org.opencontainers.image.ref.name\":\"v1\"}",
		    "localhost:5000", "team/app", "v1" },
		{ "{\"io.containerd.image.name\":\"team/app:v1@sha256:00\"}",
		    "", "team/app", "v1" },
		{ "{\"io.containerd.image.name\":\"NOT A NAME\"}", "", "", "" },
		{ "{\"io.containerd.image.name\":\"../../etc:v1\"}", "", "",
		    "" },
		{ "{\"registryd.repository\":\"team/app\"}", "", "team/app",
		    "" },
	};
	struct at *t = *state;
	const struct archive_image *images;
	struct archive_reader *r;
	struct made m;
	size_t i;

	for (i = 0; i < ARRAY_LEN(table); i++) {
		layout_write(t, t->path, "", table[i].annotations, &m);
		assert_int_equal(
		    archive_reader_open(t->path, NULL, &r, t->why), RC_OK);
		assert_int_equal(archive_reader_images(r, &images), 1);
		assert_true(span_is(images->registry, table[i].registry));
		assert_true(span_is(images->name, table[i].name));
		assert_true(span_is(images->tag, table[i].tag));
		assert_true(digest_eq(&images->digest, &m.manifest));
		assert_true(span_is(images->media_type, MEDIA_OCI_MANIFEST));
		archive_reader_close(&r);
	}
}

static void
test_a_dot_and_slash_in_front_is_as_nothing(void **state)
{
	struct at *t = *state;
	struct made m;

	layout_write(t, t->path, "./", NULL, &m);
	t->one_place = true;
	import(t, t->path);
	assert_non_null(held_find(&t->app2, &m.manifest));
	assert_non_null(held_find(&t->app2, &m.layer));
}

static void
test_what_refers_to_an_image_comes_with_it(void **state)
{
	struct at *t = *state;
	struct digest d, signature, again;
	struct tarring *tar = tar_begin(t->path, TAR_PLAIN);
	char a[DIGEST_STR_BYTES], b[DIGEST_STR_BYTES], c[DIGEST_STR_BYTES];
	const struct held_blob *row, *row2;
	struct made m;
	char *text;
	size_t i;

	image_add(&t->app, "a", &m);
	signature_add(&t->app, "s", &m.manifest, m.manifest_bytes, &signature);
	row = held_find(&t->app, &signature);
	signature_add(&t->app, "of a signature", &signature, row->n, &again);
	row2 = held_find(&t->app, &again);
	/* The one that comes last first, and only the image has a name. */
	text = xasprintf("{\"schemaVersion\":2,\"manifests\":["
			 "{\"digest\":\"%s\",\"size\":%zu},"
			 "{\"digest\":\"%s\",\"size\":%zu},"
			 "{\"digest\":\"%s\",\"size\":%zu,\"annotations\":"
			 "{\"io.containerd.image.name\":\"team/app:1\"}}]}",
	    digest_str(&again, a), row2->n, digest_str(&signature, b), row->n,
	    digest_str(&m.manifest, c), m.manifest_bytes);
	tar_text(tar, "oci-layout", LAYOUT);
	tar_text(tar, "index.json", text);
	free(text);
	for (i = 0; i < t->app.n; i++)
		tar_blob(tar,
		    (struct span){ t->app.rows[i].p, t->app.rows[i].n }, &d);
	tar_end(tar);
	held_tag(&t->app, "1", &m.manifest);
	import(t, t->path);
	assert_int_equal(t->done, 1);
	held_same(&t->app, &t->app2);
}

/* --- saved images -------------------------------------------------------- */

struct saved {
	struct digest layer[2];
	char *config;
	char config_name[80];
};

static void
saved_make(struct saved *s)
{
	char a[DIGEST_STR_BYTES], b[DIGEST_STR_BYTES];
	struct digest d;

	digest_of(DIGEST_SHA256, "layer one", 9, &s->layer[0]);
	digest_of(DIGEST_SHA256, "layer two", 9, &s->layer[1]);
	s->config = xasprintf("{\"os\":\"linux\",\"rootfs\":{\"type\":"
			      "\"layers\",\"diff_ids\":[\"%s\",\"%s\","
			      "\"%s\"]}}",
	    digest_str(&s->layer[0], a), digest_str(&s->layer[1], b), a);
	digest_of(DIGEST_SHA256, s->config, strlen(s->config), &d);
	(void)snprintf(s->config_name, sizeof(s->config_name), "%s.json",
	    digest_str(&d, a) + 7);
}

/* As docker wrote it until it came to write layouts: a folder for each layer,
 * one that is there already is a link. */
static void
saved_write(const char *path, const char *link, const char *tags)
{
	struct tarring *tar = tar_begin(path, TAR_PLAIN);
	struct saved s;
	char *text;

	saved_make(&s);
	tar_entry(tar, ID_A "/", S_IFDIR, NULL);
	tar_text(tar, ID_A "/VERSION", "1.0");
	tar_text(tar, ID_A "/json", "{}");
	tar_text(tar, ID_A "/layer.tar", "layer one");
	tar_text(tar, "two.tar", "layer two");
	tar_entry(tar, ID_B "/layer.tar", S_IFLNK, link);
	tar_text(tar, s.config_name, s.config);
	text = xasprintf("[{\"Config\":\"%s\",\"RepoTags\":%s,\"Layers\":["
			 "\"" ID_A "/layer.tar\",\"two.tar\","
			 "\"" ID_B "/layer.tar\"]}]",
	    s.config_name, tags);
	tar_text(tar, "manifest.json", text);
	tar_text(tar, "repositories", "{\"anything\":1}");
	tar_end(tar);
	free(text);
	free(s.config);
}

static void
test_a_saved_image_becomes_a_manifest(void **state)
{
	struct at *t = *state;
	const struct held_blob *m, *c;
	char why[MANIFEST_WHY_BYTES];
	struct manifest manifest;
	struct arena arena;
	struct saved s;

	saved_write(t->path, "../" ID_A "/layer.tar",
	    "[\"team/app:1\",\"localhost:5000/web:2\"]");
	import(t, t->path);
	assert_int_equal(t->done, 2);
	m = held_find(&t->app2, held_tag_of(&t->app2, "1"));
	assert_non_null(held_tag_of(&t->web2, "2"));
	arena_init(&arena, 1 << 20);
	assert_int_equal(
	    manifest_parse(SPAN(MEDIA_DOCKER_MANIFEST),
		(struct span){ m->p, m->n }, &arena, &manifest, why),
	    RC_OK);
	assert_int_equal(manifest.n_edges, 4);
	/* The configuration is as it was; a link is what it points to. */
	saved_make(&s);
	c = held_find(&t->app2, &manifest.edges[0].digest);
	assert_memory_equal(c->p, s.config, strlen(s.config));
	free(s.config);
	assert_true(
	    digest_eq(&manifest.edges[1].digest, &manifest.edges[3].digest));
	c = held_find(&t->app2, &manifest.edges[2].digest);
	assert_int_equal(c->n, manifest.edges[2].size_bytes);
	/* gzip, without a time. */
	assert_memory_equal(c->p, "\x1f\x8b\x08\x00\x00\x00\x00\x00", 8);
	arena_reset(&arena);
}

static void
test_the_same_saved_image_becomes_the_same_manifest(void **state)
{
	struct at *t = *state;

	saved_write(
	    t->path, "../" ID_A "/layer.tar", "[\"docker.io/team/app:1\"]");
	saved_write(t->path2, "../" ID_A "/layer.tar", "[\"web:1\"]");
	import(t, t->path);
	import(t, t->path2);
	assert_true(
	    digest_eq(held_tag_of(&t->app2, "1"), held_tag_of(&t->web2, "1")));
}

static void
test_a_saved_image_may_have_no_name(void **state)
{
	struct at *t = *state;

	saved_write(t->path, "../" ID_A "/layer.tar", "null");
	t->one_place = true;
	import(t, t->path);
	assert_int_equal(t->done, 1);
	assert_int_equal(t->app2.n_tags, 0);
	assert_int_equal(t->app2.n, 4);
}

/* --- what is refused ----------------------------------------------------- */

/* ${entry} and ${word} stand in the message, and nothing was stored. */
static void
refused(struct at *t, const char *entry, const char *word)
{
	enum rc rc = try_import(t, t->path);

	if (rc != RC_INVALID)
		fail_msg("it gave %s", rc_name(rc));
	if (strstr(t->why, entry) == NULL || strstr(t->why, word) == NULL)
		fail_msg("\"%s\" does not say \"%s\" and \"%s\"", t->why, entry,
		    word);
	assert_int_equal(t->app2.n + t->web2.n, 0);
}

static void
test_links_of_saved_images_lead_to_layers_only(void **state)
{
	static const char *const bad[] = {
		"/etc/passwd",
		"../../" ID_A "/layer.tar",
		"../" ID_A "/json",
		"../" ID_A "/../x.tar",
		"../manifest.json",
		"../.././x.tar",
		".././x.tar",
		"layer.tar",
		"../",
		"..",
	};
	struct at *t = *state;
	size_t i;

	for (i = 0; i < ARRAY_LEN(bad); i++) {
		saved_write(t->path, bad[i], "null");
		refused(t, ID_B "/layer.tar", "link");
	}
}

static void
test_links_that_lead_nowhere_or_round_are_refused(void **state)
{
	struct at *t = *state;

	saved_write(t->path, "../missing.tar", "null");
	refused(t, "missing.tar", "not in the archive");
	saved_write(t->path, "../" ID_B "/layer.tar", "null");
	refused(t, ID_B "/layer.tar", "links");
}

static void
test_a_saved_layer_has_to_be_what_its_configuration_says(void **state)
{
	struct tarring *tar;
	struct at *t = *state;
	struct saved s;
	char *text;

	saved_make(&s);
	tar = tar_begin(t->path, TAR_PLAIN);
	tar_text(tar, "one.tar", "layer one");
	tar_text(tar, "two.tar", "layer 2");
	tar_text(tar, s.config_name, s.config);
	text = xasprintf("[{\"Config\":\"%s\",\"RepoTags\":null,\"Layers\":["
			 "\"one.tar\",\"two.tar\",\"one.tar\"]}]",
	    s.config_name);
	tar_text(tar, "manifest.json", text);
	tar_end(tar);
	t->one_place = true;
	refused(t, "two.tar", "not what the configuration says");
	free(text);
	free(s.config);
}

static void
test_a_saved_configuration_has_to_be_what_its_name_says(void **state)
{
	struct at *t = *state;
	struct tarring *tar = tar_begin(t->path, TAR_PLAIN);

	tar_text(tar, ID_A ".json", "{}");
	tar_text(tar, "manifest.json",
	    "[{\"Config\":\"" ID_A ".json\",\"Layers\":[]}]");
	tar_end(tar);
	refused(t, ID_A ".json", "not what its name says");
}

struct bad_entry {
	const char *name;
	unsigned type;
	const char *link, *word;
};

static void
test_entries_that_do_not_belong_there_are_refused(void **state)
{
	static const struct bad_entry table[] = {
		{ "/oci-layout", S_IFREG, NULL, "absolute" },
		{ "/etc/passwd", S_IFREG, NULL, "absolute" },
		{ "../oci-layout", S_IFREG, NULL, "nothing that belongs" },
		{ "blobs/../../x", S_IFREG, NULL, "nothing that belongs" },
		{ "blobs/sha256/../x", S_IFREG, NULL, "nothing that belongs" },
		{ "././oci-layout", S_IFREG, NULL, "nothing that belongs" },
		{ "blobs//sha256/x", S_IFREG, NULL, "nothing that belongs" },
		{ "blobs/sha256/x", S_IFREG, NULL, "nothing that belongs" },
		{ "blobs/sha384/" ID_A, S_IFREG, NULL, "algorithm" },
		{ "blobs/sha256/" ID_A "/x", S_IFREG, NULL,
		    "nothing that belongs" },
		{ ".hidden.json", S_IFREG, NULL, "nothing that belongs" },
		{ "a b.json", S_IFREG, NULL, "nothing that belongs" },
		{ "virus.exe", S_IFREG, NULL, "nothing that belongs" },
		{ ID_A "/extra", S_IFREG, NULL, "nothing that belongs" },
		{ "elsewhere/", S_IFDIR, NULL, "nothing that belongs" },
		{ "../", S_IFDIR, NULL, "nothing that belongs" },
		{ "index.json", S_IFLNK, "/etc/passwd", "link" },
		{ "x.tar", S_IFLNK, "../" ID_A "/layer.tar", "link" },
		{ "index.json", 0, "oci-layout", "hard link" },
		{ "index.json", S_IFCHR, NULL, "device" },
		{ "index.json", S_IFBLK, NULL, "device" },
		{ "index.json", S_IFIFO, NULL, "pipe" },
	};
	struct at *t = *state;
	struct tarring *tar;
	size_t i;

	for (i = 0; i < ARRAY_LEN(table); i++) {
		tar = tar_begin(t->path, TAR_PLAIN);
		tar_entry(tar, table[i].name, table[i].type, table[i].link);
		tar_end(tar);
		refused(t, table[i].name, table[i].word);
	}
}

static void
test_control_characters_of_names_are_not_shown(void **state)
{
	struct at *t = *state;
	struct tarring *tar = tar_begin(t->path, TAR_PLAIN);

	tar_text(tar, "a\033[31m", "");
	tar_end(tar);
	refused(t, "a?[31m", "nothing that belongs");
}

static void
test_long_names_are_refused(void **state)
{
	struct at *t = *state;
	struct tarring *tar = tar_begin(t->path, TAR_PLAIN);
	char name[5000];

	memset(name, 'a', sizeof(name));
	memcpy(name + sizeof(name) - 6, ".json", 6);
	tar_text(tar, name, "{}");
	tar_end(tar);
	refused(t, "aaaa...", "more than 255 bytes");
}

static void
test_a_name_stands_there_once_however_it_is_written(void **state)
{
	struct at *t = *state;
	struct tarring *tar = tar_begin(t->path, TAR_PLAIN);

	tar_text(tar, "oci-layout", LAYOUT);
	tar_text(tar, "./oci-layout", LAYOUT);
	tar_end(tar);
	refused(t, "./oci-layout", "twice");
}

static void
test_content_has_to_be_what_its_name_says(void **state)
{
	struct at *t = *state;
	struct tarring *tar = tar_begin(t->path, TAR_PLAIN);

	tar_text(tar, "blobs/sha256/" ID_A, "something");
	tar_end(tar);
	refused(t, "blobs/sha256/" ID_A, "not what its name says");
}

static void
test_holes_are_refused(void **state)
{
	struct at *t = *state;
	struct tarring *tar = tar_begin(t->path, TAR_PLAIN);

	tar_sparse(tar, "x.tar");
	tar_end(tar);
	refused(t, "x.tar", "holes");
}

static void
test_large_json_is_refused(void **state)
{
	static const char *const names[] = { "oci-layout", "index.json",
		"x.json" };
	struct at *t = *state;
	struct tarring *tar;
	size_t i;

	for (i = 0; i < ARRAY_LEN(names); i++) {
		tar = tar_begin(t->path, TAR_PLAIN);
		tar_zeros(tar, names[i], ARCHIVE_JSON_MAX_BYTES + 1);
		tar_end(tar);
		refused(t, names[i], "JSON of 16777217 bytes");
	}
	tar = tar_begin(t->path, TAR_PLAIN);
	tar_zeros(tar, "manifest.json", ARCHIVE_JSON_MAX_BYTES + 1);
	tar_end(tar);
	refused(t, "manifest.json", "larger");
}

static void
test_a_bomb_is_refused(void **state)
{
	struct at *t = *state;
	struct tarring *tar = tar_begin(t->path, TAR_ZSTD);

	tar_zeros(tar, "x.tar", (size_t)256 * 1024 * 1024);
	tar_end(tar);
	refused(t, "x.tar", "more than 1000-fold");
}

static void
test_what_is_compressed_twice_is_refused(void **state)
{
	struct at *t = *state;
	struct tarring *tar = tar_begin(t->path, TAR_GZIP_TWICE);

	tar_text(tar, "oci-layout", LAYOUT);
	tar_end(tar);
	refused(t, "", "compressed more than once");
}

static void
test_what_is_no_archive_is_refused(void **state)
{
	struct at *t = *state;
	struct tarring *tar;

	file_write(t->path, "", 0);
	refused(t, "", "");
	file_write(t->path, "{\"what\":\"else\"}", 15);
	refused(t, "", "not a tar archive");
	tar = tar_begin(t->path, TAR_PLAIN);
	tar_text(tar, "VERSION.json", "{}");
	tar_end(tar);
	refused(t, "index.json", "neither");
	tar = tar_begin(t->path, TAR_PLAIN);
	tar_text(tar, "index.json", "{}");
	tar_end(tar);
	refused(t, "index.json", "no oci-layout");
}

static void
test_pipes_and_what_is_not_there(void **state)
{
	struct at *t = *state;
	struct archive_reader *r;

	assert_int_equal(try_import(t, t->path2), RC_NOTFOUND);
	assert_int_equal(mkfifo(t->path, 0600), 0);
	assert_int_equal(
	    archive_reader_open(t->path, NULL, &r, t->why), RC_INVALID);
	assert_non_null(strstr(t->why, "not a file"));
}

static void
test_a_truncated_archive_is_refused_wherever_it_ends(void **state)
{
	struct at *t = *state;
	size_t n, at;
	char *bytes;

	registry_fill(t);
	export_both(t, &t->app, &t->web, t->path2, ARCHIVE_PLAIN);
	bytes = file_read(t->path2, &n);
	/* Up to the end of the lists; behind them stand zeros. */
	for (at = 0; at < n - 8192; at += 1717) {
		file_write(t->path, bytes, at);
		refused(t, "", "");
	}
	free(bytes);
}

static void
test_a_truncated_gzip_is_refused(void **state)
{
	struct at *t = *state;
	char *bytes;
	size_t n;

	registry_fill(t);
	export_both(t, &t->app, &t->web, t->path2, ARCHIVE_GZIP);
	bytes = file_read(t->path2, &n);
	file_write(t->path, bytes, n / 2);
	refused(t, "", "");
	free(bytes);
}

/* One that says ${said} of the bytes that the manifest has. */
static void
index_write(const char *path, const char *fmt, const char *layout)
{
	struct tarring *tar = tar_begin(path, TAR_PLAIN);
	char digest[DIGEST_STR_BYTES], *text;
	struct digest d;
	struct held h;
	struct made m;
	size_t i;

	held_init(&h);
	image_add(&h, "a", &m);
	tar_text(tar, "oci-layout", layout);
	text = xasprintf(
	    "{\"schemaVersion\":2,\"manifests\":[{\"size\":%zu,\"digest\":"
	    "\"%s\",%s}]}",
	    m.manifest_bytes, digest_str(&m.manifest, digest), fmt);
	tar_text(tar, "index.json", text);
	for (i = 0; i < h.n; i++)
		tar_blob(tar, (struct span){ h.rows[i].p, h.rows[i].n }, &d);
	tar_end(tar);
	free(text);
	held_clear(&h);
}

static void
test_lists_have_to_be_sound(void **state)
{
	struct at *t = *state;

	index_write(t->path, "\"mediaType\":1", LAYOUT);
	refused(t, "index.json", "mediaType");
	index_write(t->path, "\"mediaType\":\"text/plain\"", LAYOUT);
	refused(t, "sha256:", "text/plain");
	index_write(t->path, "\"mediaType\":\"" MEDIA_OCI_INDEX "\"", LAYOUT);
	refused(t, "sha256:", "");
	index_write(t->path, "\"size\":1", LAYOUT);
	refused(t, "index.json", "JSON");
	index_write(t->path, "]", LAYOUT);
	refused(t, "index.json", "JSON");
	index_write(t->path, "\"a\":1", "{\"imageLayoutVersion\":\"2.0.0\"}");
	refused(t, "oci-layout", "imageLayoutVersion");
	index_write(t->path, "\"a\":1", "[]");
	refused(t, "oci-layout", "imageLayoutVersion");
}

/* ${path} again, with another size in the header of an entry. */
static void
header_lie(const char *path, const char *name, size_t size)
{
	size_t n, i;
	char *bytes = file_read(path, &n), *head;
	unsigned sum = 0;

	head = memmem(bytes, n, name, strlen(name));
	assert_non_null(head);
	assert_int_equal((head - bytes) % 512, 0);
	/* ustar: size at 124, checksum, taken as spaces, at 148. */
	(void)snprintf(head + 124, 12, "%011zo", size);
	memset(head + 148, ' ', 8);
	for (i = 0; i < 512; i++)
		sum += (unsigned char)head[i];
	(void)snprintf(head + 148, 8, "%06o", sum);
	file_write(path, bytes, n);
	free(bytes);
}

static void
test_sizes_that_lie_are_refused(void **state)
{
	static const size_t sizes[] = { 0, 1, 511, 513, 300000, 400000,
		(size_t)1 << 32 };
	struct at *t = *state;
	char digest[DIGEST_STR_BYTES], *name;
	struct made m;
	size_t i;

	for (i = 0; i < ARRAY_LEN(sizes); i++) {
		layout_write(t, t->path, "", NULL, &m);
		name = xasprintf("blobs/sha256/%s",
		    digest_str(&m.layer, digest) + strlen("sha256:"));
		header_lie(t->path, name, sizes[i]);
		refused(t, name, "");
		free(name);
	}
}

/* An archive of an index of two images, without one's manifest or layer, if
 * that is to be left out; ${size}: more digits behind the index's size. */
static void
part_write(struct at *t, const char *path, const char *left_out,
    const char *size, struct digest *missing_r)
{
	struct tarring *tar = tar_begin(path, TAR_PLAIN);
	char digest[DIGEST_STR_BYTES], *text;
	struct digest index, d;
	struct made a, b;
	size_t i;

	held_clear(&t->app);
	image_add(&t->app, "a", &a);
	image_add(&t->app, "b", &b);
	index_add(&t->app, &a, &b, &index);
	memset(missing_r, 0, sizeof(*missing_r));
	if (strcmp(left_out, "child") == 0)
		*missing_r = b.manifest;
	else if (strcmp(left_out, "layer") == 0)
		*missing_r = b.layer;
	tar_text(tar, "oci-layout", LAYOUT);
	text = xasprintf("{\"manifests\":[{\"digest\":\"%s\",\"size\":%zu%s,"
			 "\"annotations\":{\"io.containerd.image.name\":"
			 "\"team/app:1\"}}]}",
	    digest_str(&index, digest), held_find(&t->app, &index)->n, size);
	tar_text(tar, "index.json", text);
	for (i = 0; i < t->app.n; i++)
		if (!digest_eq(&t->app.rows[i].digest, missing_r))
			tar_blob(tar,
			    (struct span){ t->app.rows[i].p, t->app.rows[i].n },
			    &d);
	tar_end(tar);
	free(text);
}

static void
test_lists_that_lie_about_sizes_are_refused(void **state)
{
	struct at *t = *state;
	struct digest missing;

	/* The last of two members of that name would win. */
	index_write(t->path, "\"size\":1", LAYOUT);
	refused(t, "index.json", "duplicate");
	part_write(t, t->path, "none", "0", &missing);
	refused(t, "index.json", "\"size\" is not the one");
	part_write(t, t->path, "none", "", &missing);
	import(t, t->path);
}

/* Of an image whose layer is longer than its manifest says. */
static void
test_a_manifest_that_lies_about_sizes_is_refused(void **state)
{
	char a[DIGEST_STR_BYTES], b[DIGEST_STR_BYTES], c[DIGEST_STR_BYTES];
	struct at *t = *state;
	struct tarring *tar = tar_begin(t->path, TAR_PLAIN);
	struct digest config, layer, manifest;
	char *text, *index;

	tar_blob(tar, SPAN("{}"), &config);
	tar_blob(tar, SPAN("a layer"), &layer);
	text = xasprintf("{\"schemaVersion\":2,\"mediaType\":\"%s\","
			 "\"config\":{\"digest\":\"%s\",\"size\":2},"
			 "\"layers\":[{\"digest\":\"%s\",\"size\":6}]}",
	    MEDIA_OCI_MANIFEST, digest_str(&config, a), digest_str(&layer, b));
	tar_blob(tar, span_of(text), &manifest);
	tar_text(tar, "oci-layout", LAYOUT);
	index = xasprintf("{\"manifests\":[{\"digest\":\"%s\",\"size\":%zu}]}",
	    digest_str(&manifest, c), strlen(text));
	tar_text(tar, "index.json", index);
	tar_end(tar);
	refused(t, digest_str(&layer, b), "7 bytes");
	free(text);
	free(index);
}

static void
test_a_child_with_a_tag_of_its_own_comes_before_its_index(void **state)
{
	struct at *t = *state;
	struct digest index;
	struct made a, b;

	image_add(&t->app, "a", &a);
	image_add(&t->app, "b", &b);
	index_add(&t->app, &a, &b, &index);
	held_tag(&t->app, "1", &index);
	held_tag(&t->app, "z", &b.manifest);
	export_both(t, &t->app, &t->web, t->path, ARCHIVE_PLAIN);
	import(t, t->path);
	held_same(&t->app, &t->app2);
}

static void
test_a_child_that_is_missing_is_named(void **state)
{
	struct at *t = *state;
	char digest[DIGEST_STR_BYTES];
	struct digest missing;

	part_write(t, t->path, "child", "", &missing);
	assert_int_equal(try_import(t, t->path), RC_MISSING);
	assert_non_null(strstr(t->why, digest_str(&missing, digest)));
	assert_int_equal(t->app2.n_tags, 0);
}

static void
test_a_place_may_take_an_index_without_it(void **state)
{
	struct at *t = *state;
	struct digest missing;

	part_write(t, t->path, "child", "", &missing);
	t->app2.sparse = true;
	import(t, t->path);
	assert_non_null(held_tag_of(&t->app2, "1"));
	assert_null(held_find(&t->app2, &missing));
}

static void
test_a_layer_that_is_missing_is_named_and_nothing_is_stored(void **state)
{
	struct at *t = *state;
	char digest[DIGEST_STR_BYTES];
	struct digest missing;

	part_write(t, t->path, "layer", "", &missing);
	assert_int_equal(try_import(t, t->path), RC_MISSING);
	assert_non_null(strstr(t->why, digest_str(&missing, digest)));
	assert_int_equal(t->app2.n, 0);
}

static void
test_a_layer_that_the_place_has_need_not_come(void **state)
{
	struct at *t = *state;
	const struct held_blob *row;
	struct digest missing, d;

	part_write(t, t->path, "layer", "", &missing);
	row = held_find(&t->app, &missing);
	held_add(&t->app2, NULL, (struct span){ row->p, row->n }, &d);
	import(t, t->path);
	assert_non_null(held_tag_of(&t->app2, "1"));
}

static void
test_it_can_be_cancelled(void **state)
{
	struct at *t = *state;
	atomic_bool cancel = false;
	struct archive_reader *r;

	registry_fill(t);
	export_both(t, &t->app, &t->web, t->path, ARCHIVE_PLAIN);
	assert_int_equal(
	    archive_reader_open(t->path, &cancel, &r, t->why), RC_OK);
	cancel = true;
	assert_int_equal(archive_reader_import(
			     r, place_choose, t, NULL, &t->done, &t->error),
	    RC_CANCELLED);
	archive_reader_close(&r);
	assert_int_equal(
	    archive_reader_open(t->path, &cancel, &r, t->why), RC_CANCELLED);
	assert_int_equal(t->app2.n, 0);
}

static void
test_progress_says_what_moves(void **state)
{
	struct at *t = *state;
	struct copy_progress p = { 0 };
	struct archive_reader *r;

	registry_fill(t);
	export_both(t, &t->app, &t->web, t->path, ARCHIVE_PLAIN);
	assert_int_equal(archive_reader_open(t->path, NULL, &r, t->why), RC_OK);
	assert_int_equal(
	    archive_reader_import(r, place_choose, t, &p, &t->done, &t->error),
	    RC_OK);
	archive_reader_close(&r);
	assert_int_equal(p.images, 5);
	assert_int_equal(p.images_total, 5);
	/* Two of each of four images, and two of the signature. */
	assert_int_equal(p.blobs, 10);
	assert_int_equal(p.blobs_total, 10);
	assert_int_equal(p.bytes, p.bytes_total);
	assert_true(p.bytes > 4 * 300000);
}

static void
test_a_file_that_changes_meanwhile_stores_nothing_wrong(void **state)
{
	struct at *t = *state;
	struct archive_reader *r;
	char *bytes, *layer;
	size_t n;

	registry_fill(t);
	export_both(t, &t->app, &t->web, t->path, ARCHIVE_PLAIN);
	assert_int_equal(archive_reader_open(t->path, NULL, &r, t->why), RC_OK);
	bytes = file_read(t->path, &n);
	layer = memmem(bytes, n, "xxxxxxxx", 8);
	assert_non_null(layer);
	layer[1000] = '?';
	file_write(t->path, bytes, n);
	free(bytes);
	assert_int_equal(archive_reader_import(
			     r, place_choose, t, NULL, &t->done, &t->error),
	    RC_DIGEST);
	assert_int_equal(t->app2.n_tags + t->web2.n_tags, 0);
	archive_reader_close(&r);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(
		    test_what_was_exported_is_imported_and_exported_as_the_same_bytes),
		TEST(test_the_same_through_gzip),
		TEST(test_the_same_through_zstd),
		TEST(test_shared_blobs_stand_there_once),
		TEST(test_a_second_import_moves_nothing),
		TEST(test_what_several_places_need_comes_from_the_first),
		TEST(test_images_that_are_left_out_leave_nothing),
		TEST(test_a_signature_stays_in_its_repository),
		TEST(test_docker_load_finds_images_of_one_platform),
		TEST(test_an_image_by_digest_keeps_its_repository),
		TEST(test_nothing_is_left_of_an_archive_that_is_given_up),
		TEST(test_content_with_another_digest_ends_the_archive),
		TEST(
		    test_an_archive_takes_the_place_of_an_older_one_only_when_complete),
		TEST(test_what_is_no_file_is_not_replaced),
		TEST(test_the_suffix_says_how_it_is_compressed),
		TEST(test_names_are_found_where_others_put_them),
		TEST(test_a_dot_and_slash_in_front_is_as_nothing),
		TEST(test_what_refers_to_an_image_comes_with_it),
		TEST(test_a_saved_image_becomes_a_manifest),
		TEST(test_the_same_saved_image_becomes_the_same_manifest),
		TEST(test_a_saved_image_may_have_no_name),
		TEST(test_links_of_saved_images_lead_to_layers_only),
		TEST(test_links_that_lead_nowhere_or_round_are_refused),
		TEST(test_a_saved_layer_has_to_be_what_its_configuration_says),
		TEST(test_a_saved_configuration_has_to_be_what_its_name_says),
		TEST(test_entries_that_do_not_belong_there_are_refused),
		TEST(test_control_characters_of_names_are_not_shown),
		TEST(test_long_names_are_refused),
		TEST(test_a_name_stands_there_once_however_it_is_written),
		TEST(test_content_has_to_be_what_its_name_says),
		TEST(test_holes_are_refused),
		TEST(test_large_json_is_refused),
		TEST(test_a_bomb_is_refused),
		TEST(test_what_is_compressed_twice_is_refused),
		TEST(test_what_is_no_archive_is_refused),
		TEST(test_pipes_and_what_is_not_there),
		TEST(test_a_truncated_archive_is_refused_wherever_it_ends),
		TEST(test_a_truncated_gzip_is_refused),
		TEST(test_lists_have_to_be_sound),
		TEST(test_sizes_that_lie_are_refused),
		TEST(test_lists_that_lie_about_sizes_are_refused),
		TEST(test_a_manifest_that_lies_about_sizes_is_refused),
		TEST(test_a_child_with_a_tag_of_its_own_comes_before_its_index),
		TEST(test_a_child_that_is_missing_is_named),
		TEST(test_a_place_may_take_an_index_without_it),
		TEST(
		    test_a_layer_that_is_missing_is_named_and_nothing_is_stored),
		TEST(test_a_layer_that_the_place_has_need_not_come),
		TEST(test_it_can_be_cancelled),
		TEST(test_progress_says_what_moves),
		TEST(test_a_file_that_changes_meanwhile_stores_nothing_wrong),
	};

	return (cmocka_run_group_tests_name("archive", tests, NULL, NULL));
}
