#include "layer_help.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "scan/layer_int.h"

/*
 * Layers as they come, and images put together of them.
 */
#define LAYERS_MAX 4
#define MIB ((size_t)1 << 20)

#define STATUS(name, version) \
	"Package: " name "\nStatus: install ok installed\nVersion: " version \
	"\n"

struct fixture {
	struct buf tar[LAYERS_MAX];
	struct buf index[LAYERS_MAX];
	struct layer_limits limits;
	struct arena arena;
	struct inventory inventory;
	struct buf text;
	char why[LAYER_WHY_BYTES];
};

static struct fixture fx;
static const char *const digests[LAYERS_MAX] = { "sha256:0", "sha256:1",
	"sha256:2", "sha256:3" };

static int
setup(void **state)
{
	size_t i;

	(void)state;
	memset(&fx, 0, sizeof(fx));
	for (i = 0; i < LAYERS_MAX; i++) {
		buf_init(&fx.tar[i], 64 * MIB);
		buf_init(&fx.index[i], LAYER_INDEX_MAX_BYTES);
	}
	fx.limits = layer_limits_default;
	arena_init(&fx.arena, 64 * MIB);
	buf_init(&fx.text, 64 * MIB);
	return (0);
}

static int
teardown(void **state)
{
	size_t i;

	(void)state;
	for (i = 0; i < LAYERS_MAX; i++) {
		buf_free(&fx.tar[i]);
		buf_free(&fx.index[i]);
	}
	buf_free(&fx.text);
	arena_reset(&fx.arena);
	return (0);
}

static enum rc
index_of(const struct buf *layer, struct buf *out)
{
	struct bytes_read r = { .rest = buf_as_span(layer), .piece = 7000 };
	enum rc rc;

	buf_clear(out);
	memset(fx.why, 'w', sizeof(fx.why));
	rc = layer_index_make(bytes_read_next, &r, &fx.limits, out, fx.why);
	assert_non_null(memchr(fx.why, '\0', sizeof(fx.why)));
	if (rc == RC_OK) {
		assert_string_equal(fx.why, "");
		assert_int_equal(layer_index_check(buf_as_span(out)), RC_OK);
	} else {
		assert_int_equal(out->n, 0);
		assert_string_not_equal(fx.why, "");
	}
	return (rc);
}

/* The layer ends here; its index is made. */
static void
layer_ok(size_t i)
{
	enum rc rc;

	tar_end(&fx.tar[i]);
	rc = index_of(&fx.tar[i], &fx.index[i]);
	if (rc != RC_OK)
		fail_msg("layer %zu: %s: %s", i, rc_name(rc), fx.why);
}

static void
layer_refused(enum rc rc, const char *why)
{
	enum rc is = index_of(&fx.tar[0], &fx.index[0]);

	if (is != rc || strstr(fx.why, why) == NULL)
		fail_msg("%s: %s", rc_name(is), fx.why);
}

static void
image_ok(size_t n)
{
	struct layer_index layers[LAYERS_MAX];
	enum rc rc;
	size_t i;

	for (i = 0; i < n; i++)
		layers[i] = (struct layer_index){ span_of(digests[i]),
			buf_as_span(&fx.index[i]) };
	arena_reset(&fx.arena);
	rc = inventory_make(layers, n, &fx.arena, fx.why, &fx.inventory);
	if (rc != RC_OK)
		fail_msg("%s: %s", rc_name(rc), fx.why);
}

/* "name version path layer; " of each. */
static void
image_has(size_t n, const char *want)
{
	const struct package *p;
	size_t i;

	image_ok(n);
	buf_clear(&fx.text);
	for (i = 0; i < fx.inventory.n_packages; i++) {
		p = &fx.inventory.packages[i];
		buf_printf(&fx.text,
		    SPAN_FMT " " SPAN_FMT " " SPAN_FMT " " SPAN_FMT "; ",
		    SPAN_ARG(p->name), SPAN_ARG(p->version), SPAN_ARG(p->path),
		    SPAN_ARG(p->layer));
	}
	buf_char(&fx.text, '\0');
	assert_string_equal(fx.text.p, want);
}

static void
unread_is(const char *want)
{
	size_t i;

	buf_clear(&fx.text);
	for (i = 0; i < fx.inventory.n_unread; i++)
		buf_printf(
		    &fx.text, SPAN_FMT "; ", SPAN_ARG(fx.inventory.unread[i]));
	buf_char(&fx.text, '\0');
	assert_string_equal(fx.text.p, want);
}

/* --- what is in a layer ------------------------------------------------------- */

static void
every_kind_of_list_is_found(void **state)
{
	struct buf *t = &fx.tar[0], blob, db;
	struct rpm_made made = { "rpm-one", "1", "2", "noarch", NULL, NULL, 0,
		NULL, NULL };

	(void)state;
	buf_init(&blob, MIB);
	buf_init(&db, MIB);
	rpm_header(&made, &blob);
	rpm_db(&blob, 1, true, &db);
	tar_dir(t, "./");
	tar_file(t, "./etc/os-release", "ID=debian\nVERSION_ID=12\n");
	tar_file(t, "/var/lib/dpkg/status", STATUS("deb-one", "1"));
	tar_file(t, "var//lib/dpkg/./status.d/two",
	    "Package: deb-two\nVersion: 2\n");
	tar_file(t, "var/lib/dpkg/status.d/two.md5sums", "abc usr/x\n");
	tar_file(t, "lib/apk/db/installed", "P:apk-one\nV:1-r0\n");
	tar_file(t, "usr/lib/apk/db/installed", "P:apk-two\nV:2-r0\n");
	tar_add(t, TAR_FILE, "var/lib/rpm/rpmdb.sqlite", buf_as_span(&db));
	tar_file(t, "srv/package-lock.json",
	    "{\"packages\":{\"node_modules/"
	    "npm-one\":{\"version\":\"1.0.0\"}}}");
	tar_file(t, "srv/requirements.txt", "pip-one==1.0\n");
	tar_file(t,
	    "usr/local/lib/python3.11/site-packages/a-2.dist-info/METADATA",
	    "Name: pip-two\nVersion: 2\n");
	tar_file(t, "opt/b.egg-info/PKG-INFO", "Name: pip-3\nVersion: 3\n");
	tar_file(t, "opt/c-4.egg-info", "Name: pip-4\nVersion: 4\n");
	layer_ok(0);
	image_has(1,
	    "deb-one 1 var/lib/dpkg/status sha256:0; "
	    "deb-two 2 var/lib/dpkg/status.d/two sha256:0; "
	    "apk-one 1-r0 lib/apk/db/installed sha256:0; "
	    "apk-two 2-r0 usr/lib/apk/db/installed sha256:0; "
	    "rpm-one 1-2 var/lib/rpm/rpmdb.sqlite sha256:0; "
	    "npm-one 1.0.0 srv/package-lock.json sha256:0; "
	    "pip-3 3 opt/b.egg-info/PKG-INFO sha256:0; "
	    "pip-4 4 opt/c-4.egg-info sha256:0; "
	    "pip-one 1.0 srv/requirements.txt sha256:0; "
	    "pip-two 2 usr/local/lib/python3.11/site-packages/a-2.dist-info/"
	    "METADATA sha256:0; ");
	assert_true(span_is(fx.inventory.os.id, "debian"));
	assert_true(span_is(fx.inventory.os.version_id, "12"));
	unread_is("");
	buf_free(&blob);
	buf_free(&db);
}

static void
other_files_are_passed_over(void **state)
{
	static const char *const names[] = { "var/lib/dpkg/status-old",
		"srv/var/lib/dpkg/status", "node_modules/a/package-lock.json",
		"srv/.package-lock.json", "a/METADATA", "a/PKG-INFO",
		"usr/lib/python3/dist-packages/a.dist-info/METADATA",
		"a/site-packages/b/requirements.txt", "var/lib/dpkg/status.d",
		"home/rpmdb.sqlite", "a\nb/requirements.txt" };
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		tar_file(&fx.tar[0], names[i],
		    STATUS("no", "1") "Name: no\nno==1\n");
	layer_ok(0);
	image_has(1, "");
	unread_is("");
}

static void
what_cannot_be_read_is_told(void **state)
{
	(void)state;
	tar_file(&fx.tar[0], "var/lib/rpm/Packages", "bdb");
	tar_file(&fx.tar[0], "usr/lib/sysimage/rpm/Packages.db", "ndb");
	tar_file(&fx.tar[0], "usr/share/rpm/rpmdb.sqlite", "text");
	tar_file(&fx.tar[0], "var/lib/rpm/rpmdb.sqlite-wal", "changes");
	tar_file(&fx.tar[0], "usr/lib/sysimage/rpm/rpmdb.sqlite-wal", "");
	tar_file(&fx.tar[0], "srv/package-lock.json", "<html>");
	layer_ok(0);
	image_has(1, "");
	unread_is(
	    "lock file of npm that is not JSON: srv/package-lock.json; "
	    "rpm database in ndb format: "
	    "usr/lib/sysimage/rpm/Packages.db; "
	    "rpm database that is none of SQLite: usr/share/rpm/rpmdb.sqlite; "
	    "rpm database in Berkeley DB format: var/lib/rpm/Packages; "
	    "changes of an rpm database that were not written into it: "
	    "var/lib/rpm/rpmdb.sqlite-wal; ");
}

static void
any_compression_of_a_layer_gives_the_same_index(void **state)
{
	static const char *const filters[] = { "gzip", "zstd" };
	struct buf layer;
	size_t i;

	(void)state;
	tar_file(&fx.tar[0], "var/lib/dpkg/status", STATUS("a", "1"));
	layer_ok(0);
	for (i = 0; i < 2; i++) {
		buf_init(&layer, MIB);
		packed(&fx.tar[0], filters[i], &layer);
		assert_int_equal(index_of(&layer, &fx.index[1]), RC_OK);
		assert_true(span_eq(
		    buf_as_span(&fx.index[0]), buf_as_span(&fx.index[1])));
		buf_free(&layer);
	}
}

static void
another_compression_is_not_supported(void **state)
{
	struct buf layer;

	(void)state;
	tar_file(&fx.tar[1], "a", "b");
	tar_end(&fx.tar[1]);
	packed(&fx.tar[1], "xz", &fx.tar[0]);
	layer_refused(RC_UNSUPPORTED, "compressed with xz");
	buf_clear(&fx.tar[0]);
	buf_init(&layer, MIB);
	packed(&fx.tar[1], "gzip", &layer);
	packed(&layer, "gzip", &fx.tar[0]);
	layer_refused(RC_INVALID, "more than once");
	buf_free(&layer);
}

/* --- order within a layer ------------------------------------------------------ */

static void
later_entry_of_a_layer_replaces_an_earlier_one(void **state)
{
	struct buf *t = &fx.tar[0];

	(void)state;
	tar_file(t, "var/lib/dpkg/status", STATUS("old", "1"));
	tar_file(t, "var/lib/dpkg/status", STATUS("new", "2"));
	tar_file(t, "a/requirements.txt", "gone==1\n");
	tar_link(t, TAR_SYM, "a", "b");
	tar_file(t, "b/requirements.txt", "gone==1\n");
	tar_link(t, TAR_SYM, "b/requirements.txt", "../x");
	tar_file(t, "c/requirements.txt", "gone==1\n");
	tar_dir(t, "c/requirements.txt");
	tar_link(t, TAR_SYM, "lib", "usr/lib");
	tar_file(t, "lib/apk/db/installed", "P:below-link\nV:1\n");
	tar_dir(t, "var/lib");
	layer_ok(0);
	image_has(1, "new 2 var/lib/dpkg/status sha256:0; "
		     "below-link 1 lib/apk/db/installed sha256:0; ");
}

static void
hard_link_has_what_its_target_has(void **state)
{
	struct buf *t = &fx.tar[0];

	(void)state;
	tar_file(t, "cache/a.dist-info/METADATA", "Name: a\nVersion: 1\n");
	tar_link(t, TAR_HARD, "app/a.dist-info/METADATA",
	    "./cache/a.dist-info/METADATA");
	tar_file(t, "cache/a.dist-info/METADATA", "Name: a\nVersion: 2\n");
	tar_file(t, "other", STATUS("b", "1"));
	tar_link(t, TAR_HARD, "var/lib/dpkg/status", "other");
	layer_ok(0);
	image_has(1, "a 1 app/a.dist-info/METADATA sha256:0; "
		     "a 2 cache/a.dist-info/METADATA sha256:0; ");
	unread_is("hard link to a file under another name, which is not "
		  "read: var/lib/dpkg/status; ");
}

/* --- layers upon layers --------------------------------------------------------- */

static void
file_of_a_later_layer_replaces_an_earlier_one(void **state)
{
	(void)state;
	tar_file(&fx.tar[0], "var/lib/dpkg/status", STATUS("old", "1"));
	tar_file(&fx.tar[0], "srv/requirements.txt", "stays==1\n");
	layer_ok(0);
	tar_dir(&fx.tar[1], "srv/");
	tar_file(&fx.tar[1], "var/lib/dpkg/status", STATUS("new", "2"));
	layer_ok(1);
	image_has(2, "new 2 var/lib/dpkg/status sha256:1; "
		     "stays 1 srv/requirements.txt sha256:0; ");
}

static void
whiteout_hides_a_file_and_a_folder_below_only(void **state)
{
	(void)state;
	tar_file(&fx.tar[0], "a/requirements.txt", "a==1\n");
	tar_file(&fx.tar[0], "b/c/requirements.txt", "b==1\n");
	tar_file(&fx.tar[0], "bb/requirements.txt", "bb==1\n");
	layer_ok(0);
	tar_file(&fx.tar[1], "a/.wh.requirements.txt", "");
	tar_file(&fx.tar[1], "a/requirements.txt", "again==1\n");
	tar_file(&fx.tar[1], "./.wh.b", "");
	layer_ok(1);
	image_has(2, "again 1 a/requirements.txt sha256:1; "
		     "bb 1 bb/requirements.txt sha256:0; ");
}

static void
opaque_folder_hides_what_is_below(void **state)
{
	(void)state;
	tar_file(&fx.tar[0], "a/b/requirements.txt", "a==1\n");
	tar_file(&fx.tar[0], "c/requirements.txt", "c==1\n");
	layer_ok(0);
	tar_file(&fx.tar[1], "a/d/requirements.txt", "d==1\n");
	tar_file(&fx.tar[1], "a/.wh..wh..opq", "");
	tar_dir(&fx.tar[1], ".wh..wh.plnk");
	layer_ok(1);
	image_has(2, "c 1 c/requirements.txt sha256:0; "
		     "d 1 a/d/requirements.txt sha256:1; ");
	tar_file(&fx.tar[2], ".wh..wh..opq", "");
	tar_file(&fx.tar[2], "e/requirements.txt", "e==1\n");
	layer_ok(2);
	image_has(3, "e 1 e/requirements.txt sha256:2; ");
}

static void
file_or_link_in_place_of_a_folder_hides_what_was_in_it(void **state)
{
	(void)state;
	tar_file(&fx.tar[0], "a/b/requirements.txt", "a==1\n");
	tar_file(&fx.tar[0], "c/requirements.txt", "c==1\n");
	tar_file(&fx.tar[0], "d/requirements.txt", "d==1\n");
	layer_ok(0);
	tar_file(&fx.tar[1], "a", "now a file");
	tar_link(&fx.tar[1], TAR_SYM, "c", "d");
	layer_ok(1);
	image_has(2, "d 1 d/requirements.txt sha256:0; ");
}

static void
folder_in_place_of_a_file_hides_it(void **state)
{
	(void)state;
	tar_file(&fx.tar[0], "var/lib/dpkg/status", STATUS("a", "1"));
	layer_ok(0);
	tar_dir(&fx.tar[1], "var/lib/dpkg/status/");
	layer_ok(1);
	image_has(2, "");
}

static void
what_an_upper_layer_deletes_a_third_can_bring_back(void **state)
{
	(void)state;
	tar_file(&fx.tar[0], "var/lib/rpm/Packages", "bdb");
	tar_file(&fx.tar[0], "etc/os-release", "ID=centos\n");
	layer_ok(0);
	tar_file(&fx.tar[1], ".wh.var", "");
	tar_file(&fx.tar[1], ".wh.etc", "");
	layer_ok(1);
	image_has(2, "");
	unread_is("");
	assert_int_equal(fx.inventory.os.id.n, 0);
	tar_file(&fx.tar[2], "usr/lib/os-release", "ID=alpine\n");
	tar_file(&fx.tar[2], "lib/apk/db/installed", "P:a\nV:1\n");
	layer_ok(2);
	image_has(3, "a 1 lib/apk/db/installed sha256:2; ");
	assert_true(span_is(fx.inventory.os.id, "alpine"));
}

static void
os_release_of_etc_comes_first(void **state)
{
	(void)state;
	tar_file(&fx.tar[0], "usr/lib/os-release", "ID=lib\n");
	tar_file(&fx.tar[0], "etc/os-release", "ID=etc\n");
	layer_ok(0);
	image_ok(1);
	assert_true(span_is(fx.inventory.os.id, "etc"));
	tar_link(
	    &fx.tar[1], TAR_SYM, "etc/os-release", "../usr/lib/os-release");
	layer_ok(1);
	image_ok(2);
	assert_true(span_is(fx.inventory.os.id, "lib"));
}

static void
lock_file_yields_to_what_was_installed_of_it(void **state)
{
	(void)state;
	tar_file(&fx.tar[0], "srv/package-lock.json",
	    "{\"packages\":{\"node_modules/a\":{\"version\":\"1.0.0\"}}}");
	tar_file(&fx.tar[0], "opt/package-lock.json",
	    "{\"packages\":{\"node_modules/a\":{\"version\":\"1.0.0\"},"
	    "\"node_modules/b/node_modules/a\":{\"version\":\"1.0.0\"}}}");
	layer_ok(0);
	tar_file(&fx.tar[1], "srv/node_modules/.package-lock.json",
	    "{\"packages\":{\"node_modules/a\":{\"version\":\"1.0.1\"}}}");
	layer_ok(1);
	image_has(2, "a 1.0.0 opt/package-lock.json sha256:0; "
		     "a 1.0.1 srv/node_modules/.package-lock.json sha256:1; ");
}

static void
metadata_of_python_yields_to_the_package_that_brought_it(void **state)
{
	static const char meta[] = "Name: p\nVersion: 1\n";
	struct rpm_made made = { .name = "python3-a",
		.version = "1",
		.release = "2",
		.folder = "/usr/lib/python3.9/site-packages/a.dist-info/",
		.file = "METADATA" };
	struct buf blob, db;

	(void)state;
	buf_init(&blob, MIB);
	buf_init(&db, MIB);
	rpm_header(&made, &blob);
	rpm_db(&blob, 1, false, &db);
	tar_add(&fx.tar[0], TAR_FILE, "usr/lib/sysimage/rpm/rpmdb.sqlite",
	    buf_as_span(&db));
	tar_file(&fx.tar[0],
	    "usr/lib/python3.9/site-packages/a.dist-info/METADATA", meta);
	tar_file(&fx.tar[0], "lib/apk/db/installed",
	    "P:py3-b\nV:1\nF:usr/lib/b.egg-info\nR:top\nR:PKG-INFO\n");
	tar_file(&fx.tar[0], "usr/lib/b.egg-info/PKG-INFO", meta);
	tar_file(&fx.tar[0], "opt/c.egg-info/PKG-INFO", meta);
	layer_ok(0);
	image_has(1,
	    "py3-b 1 lib/apk/db/installed sha256:0; "
	    "python3-a 1-2 usr/lib/sysimage/rpm/rpmdb.sqlite sha256:0; "
	    "p 1 opt/c.egg-info/PKG-INFO sha256:0; ");
	tar_file(&fx.tar[1], "lib/apk/.wh.db", "");
	layer_ok(1);
	image_has(2,
	    "python3-a 1-2 usr/lib/sysimage/rpm/rpmdb.sqlite sha256:0; "
	    "p 1 opt/c.egg-info/PKG-INFO sha256:0; "
	    "p 1 usr/lib/b.egg-info/PKG-INFO sha256:0; ");
	buf_free(&blob);
	buf_free(&db);
}

static void
image_of_no_layers_has_nothing(void **state)
{
	(void)state;
	image_has(0, "");
}

/* --- hostile ones --------------------------------------------------------------- */

static void
what_is_no_tar_is_refused(void **state)
{
	(void)state;
	layer_refused(RC_INVALID, "empty");
	buf_str(&fx.tar[0], "hello, this is no archive of any kind at all");
	layer_refused(RC_INVALID, "no tar archive");
}

static void
cut_layer_is_refused(void **state)
{
	static char text[100000];
	struct buf layer;

	(void)state;
	memset(text, 'x', sizeof(text) - 1);
	tar_file(&fx.tar[0], "a", text);
	fx.tar[0].n -= 70000;
	layer_refused(RC_INVALID, "damaged");
	fx.tar[0].n += 70000;
	tar_end(&fx.tar[0]);
	buf_init(&layer, MIB);
	packed(&fx.tar[0], "gzip", &layer);
	layer.n -= 30;
	assert_int_equal(index_of(&layer, &fx.index[0]), RC_INVALID);
	buf_clear(&layer);
	packed(&fx.tar[0], "zstd", &layer);
	layer.n -= 10;
	assert_int_equal(index_of(&layer, &fx.index[0]), RC_INVALID);
	buf_free(&layer);
}

static void
damaged_header_is_refused(void **state)
{
	(void)state;
	tar_file(&fx.tar[0], "a", "b");
	tar_file(&fx.tar[0], "c", "d");
	fx.tar[0].p[1024 + 1] ^= 1;
	tar_end(&fx.tar[0]);
	layer_refused(RC_INVALID, "damaged after 1 entries");
}

static void
names_that_leave_the_root_are_refused(void **state)
{
	static const char *const names[] = { "../a", "a/../../b",
		"/../etc/passwd", "a/.wh..", "b/.wh...", ".wh." };
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		buf_clear(&fx.tar[0]);
		tar_file(&fx.tar[0], names[i], "");
		tar_end(&fx.tar[0]);
		layer_refused(RC_INVALID, names[i]);
	}
	buf_clear(&fx.tar[0]);
	tar_link(&fx.tar[0], TAR_HARD, "a", "../../etc/passwd");
	tar_end(&fx.tar[0]);
	layer_refused(RC_INVALID, "leaves the root");
	buf_clear(&fx.tar[0]);
	tar_link(&fx.tar[0], TAR_SYM, "a", "../../etc/passwd");
	tar_file(&fx.tar[0], "x/../y/requirements.txt", "a==1\n");
	layer_ok(0);
	image_has(1, "a 1 y/requirements.txt sha256:0; ");
}

static void
size_that_lies_is_refused(void **state)
{
	(void)state;
	tar_head(&fx.tar[0], TAR_FILE, "var/lib/dpkg/status", 07777777777);
	buf_str(&fx.tar[0], "x");
	layer_refused(RC_INVALID, "damaged");
}

static void
list_of_packages_that_is_too_large_is_refused(void **state)
{
	static char text[200000];

	(void)state;
	fx.limits.max_file_bytes = 100000;
	memset(text, '\n', sizeof(text) - 1);
	tar_file(&fx.tar[0], "lib/a", text);
	tar_file(&fx.tar[0], "lib/apk/db/installed", text);
	tar_end(&fx.tar[0]);
	layer_refused(RC_TOOBIG, "lib/apk/db/installed");
}

static void
number_of_entries_is_bounded(void **state)
{
	char name[16];
	unsigned i;

	(void)state;
	fx.limits.max_entries = 99;
	for (i = 0; i < 100; i++) {
		(void)snprintf(name, sizeof(name), "%u", i);
		tar_dir(&fx.tar[0], name);
	}
	tar_end(&fx.tar[0]);
	layer_refused(RC_TOOBIG, "more than 99 entries");
}

static void
uncompressed_bytes_are_bounded(void **state)
{
	static char zeros[MIB];
	size_t i;

	(void)state;
	memset(zeros, '0', sizeof(zeros) - 1);
	for (i = 0; i < 40; i++)
		tar_file(&fx.tar[1], "a", zeros);
	tar_end(&fx.tar[1]);
	packed(&fx.tar[1], "gzip", &fx.tar[0]);
	assert_int_equal(index_of(&fx.tar[0], &fx.index[0]), RC_OK);
	fx.limits.max_bytes = 8 * MIB;
	layer_refused(RC_TOOBIG, "more than 8388608 bytes");
	fx.limits.max_bytes = 64 * MIB;
	fx.limits.max_ratio = 10;
	layer_refused(RC_TOOBIG, "more than 10-fold");
	fx.limits.max_ratio = 0;
	assert_int_equal(index_of(&fx.tar[0], &fx.index[0]), RC_OK);
}

/* A file that goes on for ever, of a layer that does not end. */
static long
endless(void *arg, const void **p_r)
{
	static char zeros[65536];
	struct span *head = arg, first = *head;

	*head = (struct span){ zeros, sizeof(zeros) };
	*p_r = first.p;
	return ((long)first.n);
}

static void
endless_layer_ends(void **state)
{
	struct span head;

	(void)state;
	tar_head(&fx.tar[0], TAR_FILE, "a", 077777777777);
	head = buf_as_span(&fx.tar[0]);
	fx.limits.max_bytes = 32 * MIB;
	assert_int_equal(
	    layer_index_make(endless, &head, &fx.limits, &fx.index[0], fx.why),
	    RC_TOOBIG);
}

static void
failure_to_read_is_told_apart(void **state)
{
	struct bytes_read r = { .fails = true };

	(void)state;
	tar_file(&fx.tar[0], "a", "b");
	r.rest = buf_as_span(&fx.tar[0]);
	assert_int_equal(layer_index_make(bytes_read_next, &r, &fx.limits,
			     &fx.index[0], fx.why),
	    RC_IO);
}

static void
number_of_packages_of_links_is_bounded(void **state)
{
	static char text[1200000];
	char name[32];
	size_t i, n = 0;

	(void)state;
	for (i = 0; i < 50000; i++)
		n += (size_t)snprintf(
		    text + n, sizeof(text) - n, "a%zu==1\n", i);
	tar_file(&fx.tar[0], "requirements.txt", text);
	for (i = 0; i < 3; i++) {
		(void)snprintf(name, sizeof(name), "%zu/requirements.txt", i);
		tar_link(&fx.tar[0], TAR_HARD, name, "requirements.txt");
	}
	layer_ok(0);
	fx.tar[0].n -= 1024;
	tar_link(
	    &fx.tar[0], TAR_HARD, "x/requirements.txt", "requirements.txt");
	tar_end(&fx.tar[0]);
	layer_refused(RC_TOOBIG, "more packages");
}

/* --- indexes ---------------------------------------------------------------------- */

static void
index_that_was_altered_is_refused(void **state)
{
	struct layer_index layer;
	struct span s;
	size_t i;

	(void)state;
	tar_file(&fx.tar[0], "etc/os-release", "ID=x\n");
	tar_file(&fx.tar[0], "var/lib/dpkg/status", STATUS("a", "1"));
	tar_file(&fx.tar[0], "var/lib/rpm/Packages", "1");
	layer_ok(0);
	s = buf_as_span(&fx.index[0]);
	for (i = 0; i < s.n; i++)
		assert_int_equal(
		    layer_index_check((struct span){ s.p, i }), RC_INVALID);
	buf_char(&fx.index[0], 'x');
	assert_int_equal(
	    layer_index_check(buf_as_span(&fx.index[0])), RC_INVALID);
	layer =
	    (struct layer_index){ SPAN("sha256:0"), buf_as_span(&fx.index[0]) };
	assert_int_equal(
	    inventory_make(&layer, 1, &fx.arena, fx.why, &fx.inventory),
	    RC_INVALID);
	fx.index[0].n--;
	/* The number of the reader. */
	fx.index[0].p[8]++;
	assert_int_equal(
	    layer_index_check(buf_as_span(&fx.index[0])), RC_INVALID);
}

static void
memory_of_an_inventory_is_bounded(void **state)
{
	struct layer_index layer;
	struct arena small;
	enum rc rc;
	size_t cap;

	(void)state;
	tar_file(&fx.tar[0], "etc/os-release", "ID=x\n");
	tar_file(&fx.tar[0], "var/lib/dpkg/status", STATUS("a", "1"));
	layer_ok(0);
	layer =
	    (struct layer_index){ SPAN("sha256:0"), buf_as_span(&fx.index[0]) };
	for (cap = 0;; cap += 64) {
		arena_init(&small, cap);
		rc = inventory_make(&layer, 1, &small, fx.why, &fx.inventory);
		arena_reset(&small);
		if (rc == RC_OK)
			break;
		assert_int_equal(rc, RC_TOOBIG);
		assert_string_not_equal(fx.why, "");
	}
	assert_true(cap > 64 && cap < 65536);
}

#define T(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(every_kind_of_list_is_found),
		T(other_files_are_passed_over),
		T(what_cannot_be_read_is_told),
		T(any_compression_of_a_layer_gives_the_same_index),
		T(another_compression_is_not_supported),
		T(later_entry_of_a_layer_replaces_an_earlier_one),
		T(hard_link_has_what_its_target_has),
		T(file_of_a_later_layer_replaces_an_earlier_one),
		T(whiteout_hides_a_file_and_a_folder_below_only),
		T(opaque_folder_hides_what_is_below),
		T(file_or_link_in_place_of_a_folder_hides_what_was_in_it),
		T(folder_in_place_of_a_file_hides_it),
		T(what_an_upper_layer_deletes_a_third_can_bring_back),
		T(os_release_of_etc_comes_first),
		T(lock_file_yields_to_what_was_installed_of_it),
		T(metadata_of_python_yields_to_the_package_that_brought_it),
		T(image_of_no_layers_has_nothing),
		T(what_is_no_tar_is_refused),
		T(cut_layer_is_refused),
		T(damaged_header_is_refused),
		T(names_that_leave_the_root_are_refused),
		T(size_that_lies_is_refused),
		T(list_of_packages_that_is_too_large_is_refused),
		T(number_of_entries_is_bounded),
		T(uncompressed_bytes_are_bounded),
		T(endless_layer_ends),
		T(failure_to_read_is_told_apart),
		T(number_of_packages_of_links_is_bounded),
		T(index_that_was_altered_is_refused),
		T(memory_of_an_inventory_is_bounded),
	};

	return (cmocka_run_group_tests_name("layer", tests, NULL, NULL));
}
