#include "layer_help.h"

#include <stdlib.h>
#include <string.h>

#include "scan/layer_int.h"

/*
 * The readers of what package managers leave behind.
 */
struct fixture {
	struct arena arena;
	struct package_list list;
	char why[READ_WHY_BYTES];
	struct buf text;
};

static struct fixture fx;

static int
setup(void **state)
{
	(void)state;
	memset(&fx, 0, sizeof(fx));
	arena_init(&fx.arena, (size_t)64 << 20);
	buf_init(&fx.text, (size_t)64 << 20);
	fx.list = (struct package_list){ .arena = &fx.arena, .why = fx.why };
	return (0);
}

static int
teardown(void **state)
{
	(void)state;
	free(fx.list.rows);
	free(fx.list.owned);
	buf_free(&fx.text);
	arena_reset(&fx.arena);
	return (0);
}

static enum rc
read_span(package_reader_fn *reader, struct span text)
{
	enum rc rc;

	fx.list.n = 0;
	fx.why[0] = '\0';
	rc = reader(text, &fx.list);
	assert_true(rc == RC_OK || fx.why[0] != '\0');
	buf_clear(&fx.text);
	packages_text(fx.list.rows, fx.list.n, &fx.text);
	return (rc);
}

static void
yields(package_reader_fn *reader, const char *text, const char *want)
{
	enum rc rc = read_span(reader, span_of(text));

	if (rc != RC_OK)
		fail_msg("%s: %s", rc_name(rc), fx.why);
	assert_string_equal(fx.text.p, want);
}

static void
refuses(package_reader_fn *reader, const char *text)
{
	assert_int_equal(read_span(reader, span_of(text)), RC_INVALID);
}

/* --- dpkg ------------------------------------------------------------------ */

static void
dpkg_lists_what_is_installed(void **state)
{
	(void)state;
	yields(dpkg_status_read,
	    "Package: bash\nEssential: yes\nStatus: install ok installed\n"
	    "Architecture: amd64\nVersion: 5.2.15-2+b2\n"
	    "Source: bash (5.2.15-2)\nDescription: GNU\n Version: 9\n .\n"
	    " Package: no\n\n"
	    "Package: libc6\nStatus: install ok installed\nSource: glibc\n"
	    "Version: 2.36-9\nArchitecture: amd64\n",
	    "bash 5.2.15-2+b2 amd64 bash=5.2.15-2 ; "
	    "libc6 2.36-9 amd64 glibc= ; ");
}

static void
dpkg_leaves_out_what_is_not_installed(void **state)
{
	(void)state;
	yields(dpkg_status_read,
	    "Package: gone\nStatus: deinstall ok config-files\nVersion: 1\n\n"
	    "Package: never\nStatus: unknown ok not-installed\n\n"
	    "Package: half\nStatus: install reinstreq half-installed\n"
	    "Version: 1\n\n"
	    "Package: silent\nVersion: 1\n\n"
	    "Package: nothing\nStatus: install ok installed\n\n"
	    "Package: u\nStatus: install ok unpacked\nVersion: 1\n\n"
	    "Package: h\nStatus: install ok half-configured\nVersion: 2\n\n"
	    "Package: t\nStatus: hold ok triggers-awaited\nVersion: 3\n\n\n"
	    "Package: p\nStatus: install ok triggers-pending\nVersion: 4",
	    "u 1  = ; h 2  = ; t 3  = ; p 4  = ; ");
}

static void
dpkg_of_images_without_it_has_no_status(void **state)
{
	(void)state;
	yields(dpkg_status_d_read,
	    "Package: tzdata\nVersion: 2024a-0+deb12u1\r\nArchitecture: all\n",
	    "tzdata 2024a-0+deb12u1 all = ; ");
}

static void
dpkg_refuses_another_file(void **state)
{
	(void)state;
	refuses(dpkg_status_read, "colour: red\n");
	yields(dpkg_status_read, "\n\n", "");
}

/* --- apk ------------------------------------------------------------------- */

static void
apk_lists_packages(void **state)
{
	(void)state;
	yields(apk_installed_read,
	    "C:Q1abc=\nP:musl\nV:1.2.4-r2\nA:x86_64\nT:the libc\no:musl\n"
	    "L:MIT\nF:lib\nR:ld-musl.so\nZ:Q1\n\n"
	    "P:ssl_client\nV:1.36.1-r15\nA:x86_64\no:busybox\nL:GPL-2.0-only\n"
	    "\nP:.build-deps\nV:20240101.000000\nA:noarch\n\n"
	    "P:last\nV:1-r0\n",
	    "musl 1.2.4-r2 x86_64 musl= MIT; "
	    "ssl_client 1.36.1-r15 x86_64 busybox= GPL-2.0-only; "
	    "last 1-r0  = ; ");
}

static void
apk_refuses_another_file(void **state)
{
	(void)state;
	refuses(apk_installed_read, "hello\n");
	yields(apk_installed_read, "", "");
}

/* --- rpm ------------------------------------------------------------------- */

static const struct rpm_made bash_rpm = { "bash", "5.1.8", "6.el9", "x86_64",
	"bash-5.1.8-6.el9.src.rpm", "GPLv3+", 0, NULL, NULL };
static const struct rpm_made epoch_rpm = { "openssl-libs", "3.0.7", "24.el9",
	"x86_64", "openssl-3.0.7-20.el9.src.rpm", "ASL 2.0", 1, NULL, NULL };
static const struct rpm_made key_rpm = { "gpg-pubkey", "fd431d51", "4ae0493b",
	NULL, NULL, "pubkey", 0, NULL, NULL };

static void
rpm_file(
    const struct rpm_made *const *made, size_t n, bool wal, struct buf *out)
{
	struct buf blobs[8] = { 0 };
	size_t i;

	for (i = 0; i < n; i++) {
		buf_init(&blobs[i], (size_t)1 << 20);
		rpm_header(made[i], &blobs[i]);
	}
	rpm_db(blobs, n, wal, out);
	for (i = 0; i < n; i++)
		buf_free(&blobs[i]);
}

static void
rpm_lists_packages(void **state)
{
	static const struct rpm_made *const all[] = { &bash_rpm, &epoch_rpm,
		&key_rpm };
	struct buf db;
	bool wal;

	(void)state;
	for (wal = false;; wal = true) {
		buf_init(&db, (size_t)16 << 20);
		rpm_file(all, 3, wal, &db);
		assert_int_equal(
		    read_span(rpm_sqlite_read, buf_as_span(&db)), RC_OK);
		assert_string_equal(fx.text.p,
		    "bash 5.1.8-6.el9 x86_64 bash= GPLv3+; "
		    "openssl-libs 1:3.0.7-24.el9 x86_64 "
		    "openssl=3.0.7-20.el9 ASL 2.0; ");
		buf_free(&db);
		if (wal)
			break;
	}
}

static void
rpm_refuses_a_damaged_header(void **state)
{
	struct buf blob, db;
	size_t cut;

	(void)state;
	for (cut = 0; cut < 4; cut++) {
		buf_init(&blob, (size_t)1 << 20);
		buf_init(&db, (size_t)16 << 20);
		rpm_header(&bash_rpm, &blob);
		if (cut == 0)
			blob.n -= 1;
		else if (cut == 1)
			memset(blob.p, 0xff, 4);
		else if (cut == 2)
			memset(blob.p + 12, 0x7f, 4);
		else
			blob.n = 4;
		rpm_db(&blob, 1, false, &db);
		assert_int_equal(
		    read_span(rpm_sqlite_read, buf_as_span(&db)), RC_INVALID);
		buf_free(&blob);
		buf_free(&db);
	}
}

static void
rpm_refuses_what_is_no_table_of_packages(void **state)
{
	static const char *const by[] = {
		"CREATE TABLE Other (x)",
		"CREATE VIEW Packages AS WITH RECURSIVE n(x) AS (SELECT 1 "
		"UNION ALL SELECT x + 1 FROM n) SELECT x AS blob FROM n",
		"CREATE VIRTUAL TABLE Packages USING fts4(blob)",
		"CREATE TABLE Packages (a, b AS (1)); "
		"INSERT INTO Packages (a) VALUES (1)",
		"CREATE TABLE Packages (hnum, blob); "
		"INSERT INTO Packages VALUES (1, 'text')",
		"CREATE TABLE Packages (hnum, blob AS (zeroblob(1 << 29))); "
		"INSERT INTO Packages (hnum) VALUES (1)",
	};
	struct buf db;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(by) / sizeof(by[0]); i++) {
		buf_init(&db, (size_t)16 << 20);
		rpm_db_by(by[i], &db);
		assert_int_equal(
		    read_span(rpm_sqlite_read, buf_as_span(&db)), RC_INVALID);
		assert_int_equal(fx.list.n, 0);
		buf_free(&db);
	}
	refuses(rpm_sqlite_read, "SQLite format 3");
}

static void
rpm_refuses_a_damaged_database(void **state)
{
	static const struct rpm_made *const all[] = { &bash_rpm };
	struct buf db;

	(void)state;
	buf_init(&db, (size_t)16 << 20);
	rpm_file(all, 1, false, &db);
	memset(db.p + 100, 0x5a, db.n - 100);
	assert_int_equal(
	    read_span(rpm_sqlite_read, buf_as_span(&db)), RC_INVALID);
	buf_free(&db);
}

/* --- npm ------------------------------------------------------------------- */

static const char lock_v3[] =
    "{\"name\":\"app\",\"lockfileVersion\":3,\"packages\":{"
    "\"\":{\"name\":\"app\",\"version\":\"1.0.0\"},"
    "\"node_modules/left-pad\":{\"version\":\"1.3.0\",\"license\":\"WTFPL\"},"
    "\"node_modules/a/node_modules/@b/c\":{\"version\":\"2.0.0-rc.1\"},"
    "\"node_modules/\\u0040d/e\":{\"version\":\"5.0.0\"},"
    "\"node_modules/alias\":{\"name\":\"real\",\"version\":\"3.0.0\"},"
    "\"node_modules/here\":{\"resolved\":\"packages/here\",\"link\":true},"
    "\"packages/here\":{\"version\":\"1.0.0\"},"
    "\"node_modules/git\":{\"version\":\"git+ssh://x/y.git#1\"},"
    "\"node_modules/test\":{\"version\":\"4.0.0\",\"dev\":true}},"
    "\"dependencies\":{\"no\":{\"version\":\"9.0.0\"}}}";

static void
npm_lists_what_is_locked(void **state)
{
	(void)state;
	yields(npm_lock_read, lock_v3,
	    "left-pad 1.3.0  = WTFPL; @b/c 2.0.0-rc.1  = ; @d/e 5.0.0  = ; "
	    "real 3.0.0  = ; ");
}

static void
npm_lists_all_that_is_installed(void **state)
{
	(void)state;
	yields(npm_installed_read, lock_v3,
	    "left-pad 1.3.0  = WTFPL; @b/c 2.0.0-rc.1  = ; @d/e 5.0.0  = ; "
	    "real 3.0.0  = ; test 4.0.0  = ; ");
}

static void
npm_reads_the_tree_of_version_1(void **state)
{
	(void)state;
	yields(npm_lock_read,
	    "{ \"lockfileVersion\" : 1 , \"requires\" : true,\n"
	    "\"dependencies\": {\"a\": {\"version\": \"1.0.0\", "
	    "\"requires\": {\"b\": \"^2\"}, \"dependencies\": {"
	    "\"b\": {\"version\": \"2.1.0\", \"dependencies\": {"
	    "\"c\": {\"version\": \"3.0.0\"}}}}}, "
	    "\"d\": {\"version\": \"4.0.0\", \"dev\": true}, "
	    "\"e\": {\"version\": \"npm:@x/real@5.0.0\"}, "
	    "\"f\": {\"version\": \"file:../f\"}}}",
	    "a 1.0.0  = ; b 2.1.0  = ; c 3.0.0  = ; @x/real 5.0.0  = ; ");
}

static void
npm_refuses_what_is_no_lock_file(void **state)
{
	static const char *const bad[] = { "", "[]", "{", "{\"a\"}", "{\"a\":}",
		"{\"a\":1 \"b\":2}", "{}", "{\"name\":\"x\"}",
		"{\"packages\":{\"node_modules/a\":{]}}", "{\"packages\":[]}",
		"{\"dependencies\":3}",
		"{\"packages\":{\"node_modules/a\":{\"a\":1,\"a\":2}}}",
		"{\"packages\":{\"node_modules/a", "{\"a\":\"\\" };
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		refuses(npm_lock_read, bad[i]);
	yields(npm_lock_read, "{\"lockfileVersion\":3}", "");
}

/* --- Python ----------------------------------------------------------------- */

static void
python_metadata_names_one_package(void **state)
{
	(void)state;
	yields(python_metadata_read,
	    "Metadata-Version: 2.1\nName: Flask_SQL.-Alchemy\nVersion: 3.0.5\n"
	    "License: BSD-3-Clause\nSummary: x\n\nName: no\nVersion: 0\n",
	    "flask-sql-alchemy 3.0.5  = BSD-3-Clause; ");
	yields(python_metadata_read,
	    "Name: a\nLicense: Long\n  text\nLicense-Expression: MIT\n"
	    "Version: 1!2.0.post1+local\n",
	    "a 1!2.0.post1+local  = MIT; ");
}

static void
python_metadata_without_a_package_is_refused(void **state)
{
	(void)state;
	refuses(python_metadata_read, "Name: a\n\nVersion: 1\n");
	refuses(python_metadata_read, "Name: ../a\nVersion: 1\n");
	refuses(python_metadata_read, "Version: 1\n");
}

static void
python_requirements_count_where_pinned(void **state)
{
	(void)state;
	yields(python_requirements_read,
	    "\xef\xbb\xbf# pinned\nDjango==4.2.1\n"
	    "requests[security, socks] == 2.31.0 ; python_version > '3'\n"
	    "urllib3==2.0.4 --hash=sha256:abc\n"
	    "cryptography==41.0.3 \\\n    --hash=sha256:abc \\\n"
	    "    --hash=sha256:def\n"
	    "PyYAML === 6.0 # comment\n"
	    "split\\\n==1.0\n"
	    "flask>=2.0\nnumpy==1.*\nscipy==1.0,<2\njinja2\nx==\n=="
	    "\n-r other.txt\n--index-url https://x\n"
	    "git+https://github.com/a/b@v1\n./local\npkg @ https://x/y.whl\n"
	    "last==1.0",
	    "django 4.2.1  = ; requests 2.31.0  = ; urllib3 2.0.4  = ; "
	    "cryptography 41.0.3  = ; pyyaml 6.0  = ; split 1.0  = ; "
	    "last 1.0  = ; ");
}

/* --- os-release -------------------------------------------------------------- */

static void
os_release_is_read_as_a_shell_does(void **state)
{
	struct os_release os;

	(void)state;
	assert_int_equal(
	    os_release_read(
		SPAN("# x\nPRETTY_NAME=\"A \\\"B\\\" 1\"\r\nID=debian\n"
		     "VERSION_ID='12'\nVERSION_CODENAME=bookworm\n"
		     "ID_LIKE=no\nXID=no\nVERSION\n"),
		&fx.arena, &os),
	    RC_OK);
	assert_true(span_is(os.id, "debian"));
	assert_true(span_is(os.version_id, "12"));
	assert_true(span_is(os.codename, "bookworm"));
	assert_true(span_is(os.pretty_name, "A \"B\" 1"));
	assert_int_equal(os_release_read(SPAN(""), &fx.arena, &os), RC_OK);
	assert_int_equal(os.id.n, 0);
}

/* --- bounds ------------------------------------------------------------------- */

static void
text_of_a_package_is_one_line_and_bounded(void **state)
{
	struct package p = { .type = PACKAGE_DEB, .version = SPAN("1") };
	static char text[PACKAGE_TEXT_MAX_BYTES + 1];

	(void)state;
	p.name = SPAN("a\x1b[31m\tb");
	assert_int_equal(package_add(&fx.list, &p), RC_OK);
	assert_true(span_is(fx.list.rows[0].name, "a [31m b"));
	memset(text, 'x', sizeof(text));
	p.license = (struct span){ text, sizeof(text) };
	assert_int_equal(package_add(&fx.list, &p), RC_OK);
	assert_true(span_is(fx.list.rows[1].license, "see its text"));
	p.name = p.license;
	assert_int_equal(package_add(&fx.list, &p), RC_TOOBIG);
	assert_non_null(strstr(fx.why, "4096"));
}

static void
number_of_packages_is_bounded(void **state)
{
	struct package p = {
		.type = PACKAGE_DEB, .name = SPAN("n"), .version = SPAN("1")
	};
	size_t i;

	(void)state;
	for (i = 0; i < PACKAGES_MAX; i++)
		assert_int_equal(package_add(&fx.list, &p), RC_OK);
	assert_int_equal(package_add(&fx.list, &p), RC_TOOBIG);
	assert_int_equal(fx.list.n, PACKAGES_MAX);
}

#define T(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(dpkg_lists_what_is_installed),
		T(dpkg_leaves_out_what_is_not_installed),
		T(dpkg_of_images_without_it_has_no_status),
		T(dpkg_refuses_another_file),
		T(apk_lists_packages),
		T(apk_refuses_another_file),
		T(rpm_lists_packages),
		T(rpm_refuses_a_damaged_header),
		T(rpm_refuses_what_is_no_table_of_packages),
		T(rpm_refuses_a_damaged_database),
		T(npm_lists_what_is_locked),
		T(npm_lists_all_that_is_installed),
		T(npm_reads_the_tree_of_version_1),
		T(npm_refuses_what_is_no_lock_file),
		T(python_metadata_names_one_package),
		T(python_metadata_without_a_package_is_refused),
		T(python_requirements_count_where_pinned),
		T(os_release_is_read_as_a_shell_does),
		T(text_of_a_package_is_one_line_and_bounded),
		T(number_of_packages_is_bounded),
	};

	return (cmocka_run_group_tests_name("packages", tests, NULL, NULL));
}
