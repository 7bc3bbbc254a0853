#include "base/keyring.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/obj.h"

#define KEY_A "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"
#define KEY_B "ffeeddccbbaa99887766554433221100ffeeddccbbaa99887766554433221100"
#define KEY_C "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define KEY_D "1111111111111111111111111111111111111111111111111111111111111111"
#define KEY_E "2222222222222222222222222222222222222222222222222222222222222222"
#define LABEL SPAN("secrets")

static char folder[] = "/tmp/test_keyring.XXXXXX";
static char file[64], file_new[80];
static char why[KEYRING_WHY_BYTES];

static int
setup(void **state)
{
	(void)state;
	if (mkdtemp(folder) == NULL)
		return (-1);
	(void)snprintf(file, sizeof(file), "%s/master.key", folder);
	(void)snprintf(file_new, sizeof(file_new), "%s.new", file);
	return (0);
}

static int
clean(void **state)
{
	(void)state;
	(void)unlink(file);
	(void)unlink(file_new);
	why[0] = '\0';
	return (0);
}

static int
teardown(void **state)
{
	(void)clean(state);
	return (rmdir(folder));
}

static void
write_text(const char *path, const char *text, mode_t mode)
{
	int fd;

	(void)unlink(path);
	fd = open(path, O_WRONLY | O_CREAT | O_EXCL, 0600);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	assert_int_equal(fchmod(fd, mode), 0);
	assert_int_equal(close(fd), 0);
}

static const char *
read_text(void)
{
	static char text[2 * KEYRING_FILE_MAX_BYTES];
	ssize_t n;
	int fd;

	fd = open(file, O_RDONLY);
	assert_true(fd >= 0);
	n = read(fd, text, sizeof(text) - 1);
	assert_true(n >= 0);
	text[n] = '\0';
	assert_int_equal(close(fd), 0);
	return (text);
}

static mode_t
mode_of(const char *path)
{
	struct stat st;

	assert_int_equal(stat(path, &st), 0);
	return (st.st_mode & 07777);
}

/* No message tells a key. */
static void
assert_why(const char *part)
{
	if (strstr(why, part) == NULL)
		fail_msg("\"%s\" does not say \"%s\"", why, part);
	assert_null(strstr(why, "0011223344"));
	assert_null(strstr(why, "ffeeddccbb"));
}

static struct keyring *
ring_of(const char *text)
{
	struct keyring *ring;

	if (keyring_open(text == NULL ? file : "/nowhere", text, false, why,
		&ring) != RC_OK)
		fail_msg("%s", why);
	return (ring);
}

static enum rc
unwrap(const char *text, const uint8_t *wrapped, bool *old_r)
{
	struct keyring *ring = ring_of(text);
	struct seal_key k;
	enum rc rc;

	rc = keyring_unwrap(ring, LABEL,
	    (struct span){ (const char *)wrapped, WRAPPED_KEY_BYTES }, &k,
	    old_r);
	keyring_free(&ring);
	return (rc);
}

static void
wrap(const char *text, const struct seal_key *k, uint8_t *wrapped)
{
	struct keyring *ring = ring_of(text);

	keyring_wrap(ring, LABEL, k, wrapped);
	keyring_free(&ring);
	assert_null(ring);
	keyring_free(&ring);
	keyring_free(NULL);
}

static void
a_key_is_unwrapped_as_it_was_wrapped(void **state)
{
	uint8_t wrapped[WRAPPED_KEY_BYTES];
	struct seal_key k, back;
	struct keyring *ring;
	bool old = true;

	(void)state;
	seal_key_make(&k);
	ring = ring_of(KEY_A "," KEY_B);
	keyring_wrap(ring, LABEL, &k, wrapped);
	assert_null(memmem(wrapped, sizeof(wrapped), k.bytes, sizeof(k.bytes)));
	assert_int_equal(
	    keyring_unwrap(ring, LABEL,
		(struct span){ (char *)wrapped, sizeof(wrapped) }, &back, &old),
	    RC_OK);
	assert_memory_equal(&k, &back, sizeof(k));
	assert_false(old);
	keyring_free(&ring);
}

static void
the_first_key_wraps_and_all_unwrap(void **state)
{
	uint8_t wrapped[WRAPPED_KEY_BYTES];
	struct seal_key k;
	bool old;

	(void)state;
	seal_key_make(&k);
	wrap(KEY_B, &k, wrapped);
	assert_int_equal(unwrap(KEY_B, wrapped, &old), RC_OK);
	assert_false(old);
	assert_int_equal(unwrap(KEY_B "," KEY_A, wrapped, &old), RC_OK);
	assert_false(old);
	assert_int_equal(
	    unwrap(KEY_A "," KEY_C "," KEY_D "," KEY_B, wrapped, &old), RC_OK);
	assert_true(old);
	assert_int_equal(unwrap(KEY_A "," KEY_C, wrapped, &old), RC_NOTFOUND);
}

static void
a_wrapped_key_that_was_changed_is_refused(void **state)
{
	uint8_t wrapped[WRAPPED_KEY_BYTES];
	struct span s = { (const char *)wrapped, 0 };
	struct keyring *ring;
	struct seal_key k;
	size_t i, bit;
	enum rc want;
	bool old;

	(void)state;
	seal_key_make(&k);
	wrap(KEY_A, &k, wrapped);
	for (i = 0; i < sizeof(wrapped); i++)
		for (bit = 0; bit < 8; bit++) {
			wrapped[i] ^= (uint8_t)(1 << bit);
			want = i < 8 ? RC_NOTFOUND : RC_INVALID;
			assert_int_equal(unwrap(KEY_A, wrapped, &old), want);
			wrapped[i] ^= (uint8_t)(1 << bit);
		}
	ring = ring_of(KEY_A);
	for (; s.n < sizeof(wrapped); s.n++)
		assert_int_equal(
		    keyring_unwrap(ring, LABEL, s, &k, &old), RC_INVALID);
	assert_int_equal(
	    keyring_unwrap(ring, SPAN("tokens"), s, &k, &old), RC_INVALID);
	assert_int_equal(keyring_unwrap(ring, LABEL, s, &k, &old), RC_OK);
	keyring_free(&ring);
}

static void
a_file_that_is_missing_is_made_when_asked(void **state)
{
	uint8_t wrapped[WRAPPED_KEY_BYTES];
	struct keyring *ring;
	struct seal_key k;
	bool old;

	(void)state;
	assert_int_equal(
	    keyring_open(file, NULL, false, why, &ring), RC_NOTFOUND);
	assert_null(ring);
	assert_why(file);
	assert_int_equal(keyring_open(file, "", true, why, &ring), RC_OK);
	assert_int_equal(mode_of(file), 0600);
	assert_int_equal(access(file_new, F_OK), -1);
	seal_key_make(&k);
	keyring_wrap(ring, LABEL, &k, wrapped);
	keyring_free(&ring);
	/* The next time it is read, not made anew. */
	assert_int_equal(keyring_open(file, NULL, true, why, &ring), RC_OK);
	keyring_free(&ring);
	assert_int_equal(unwrap(NULL, wrapped, &old), RC_OK);
}

static void
programs_that_start_at_once_make_one_file(void **state)
{
	uint8_t wrapped[WRAPPED_KEY_BYTES], theirs[WRAPPED_KEY_BYTES];
	struct seal_key k;
	struct keyring *ring;
	int pipes[2], i;
	bool old;

	(void)state;
	seal_key_make(&k);
	assert_int_equal(pipe(pipes), 0);
	for (i = 0; i < 4; i++) {
		if (fork() != 0)
			continue;
		if (keyring_open(file, NULL, true, why, &ring) != RC_OK)
			_exit(1);
		keyring_wrap(ring, LABEL, &k, wrapped);
		keyring_free(&ring);
		_exit(write(pipes[1], wrapped, sizeof(wrapped)) !=
		      (ssize_t)sizeof(wrapped));
	}
	for (i = 0; i < 4; i++) {
		assert_int_equal(
		    read(pipes[0], theirs, sizeof(theirs)), sizeof(theirs));
		assert_int_equal(unwrap(NULL, theirs, &old), RC_OK);
	}
	while (wait(NULL) > 0)
		continue;
	(void)close(pipes[0]);
	(void)close(pipes[1]);
}

static void
a_file_that_others_may_read_is_denied(void **state)
{
	static const mode_t bad[] = { 0640, 0604, 0620, 0602, 0610, 0644,
		0666 };
	struct keyring *ring;
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(bad); i++) {
		write_text(file, KEY_A "\n", bad[i]);
		assert_int_equal(
		    keyring_open(file, NULL, true, why, &ring), RC_DENIED);
		assert_why("chmod 600");
		assert_int_equal(keyring_file_add(file, why), RC_DENIED);
		assert_string_equal(read_text(), KEY_A "\n");
	}
	write_text(file, KEY_A "\n", 0400);
	ring = ring_of(NULL);
	keyring_free(&ring);
}

static void
a_file_holds_keys_and_comments(void **state)
{
	static const char *const same[] = {
		KEY_A "\n" KEY_B "\n",
		KEY_A "\n" KEY_B,
		"# first\n\n \t" KEY_A " \n  # second\n" KEY_B "\n\n",
		KEY_A "\r\n" KEY_B "\r\n",
		"00112233445566778899AABBCCDDEEFF"
		"00112233445566778899aabbccddeeff\n" KEY_B,
	};
	uint8_t by_a[WRAPPED_KEY_BYTES], by_b[WRAPPED_KEY_BYTES];
	struct seal_key k;
	bool old;
	size_t i;

	(void)state;
	seal_key_make(&k);
	wrap(KEY_A, &k, by_a);
	wrap(" " KEY_B " ,", &k, by_b);
	for (i = 0; i < ARRAY_LEN(same); i++) {
		write_text(file, same[i], 0600);
		assert_int_equal(unwrap(NULL, by_a, &old), RC_OK);
		assert_false(old);
		assert_int_equal(unwrap(NULL, by_b, &old), RC_OK);
		assert_true(old);
	}
}

static void
what_is_not_a_key_is_refused_and_not_shown(void **state)
{
	static const char *const rows[][2] = {
		{ "", "holds no key" },
		{ "# nothing\n\n", "holds no key" },
		{ KEY_A "0\n", "line 1 is not a key" },
		{ "#\n" KEY_A "\n" KEY_A KEY_B, "line 3 is not a key" },
		{ "0x" KEY_A, "line 1 is not a key" },
		{ "00112233445566778899aabbccddeeff", "line 1 is not a key" },
		{ KEY_A "," KEY_B, "line 1 is not a key" },
		{ KEY_A "\n" KEY_B " # old", "line 2 is not a key" },
		{ KEY_A "\n" KEY_B "\n" KEY_C "\n" KEY_D "\n" KEY_E,
		    "more than 4 keys" },
	};
	struct keyring *ring;
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(rows); i++) {
		write_text(file, rows[i][0], 0600);
		assert_int_equal(
		    keyring_open(file, NULL, true, why, &ring), RC_INVALID);
		assert_null(ring);
		assert_why(file);
		assert_why(rows[i][1]);
		assert_string_equal(read_text(), rows[i][0]);
	}
}

static void
what_is_not_a_key_in_the_environment_is_refused(void **state)
{
	static const char *const rows[][2] = {
		{ ",", "holds no key" },
		{ KEY_A "x", "part 1 is not a key" },
		{ KEY_A ",zz", "part 2 is not a key" },
		{ KEY_A "\n" KEY_B, "part 1 is not a key" },
		{ KEY_A "," KEY_B "," KEY_C "," KEY_D "," KEY_E,
		    "more than 4 keys" },
	};
	struct keyring *ring;
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(rows); i++) {
		assert_int_equal(
		    keyring_open(file, rows[i][0], true, why, &ring),
		    RC_INVALID);
		assert_why("in the environment");
		assert_why(rows[i][1]);
		assert_int_equal(access(file, F_OK), -1);
	}
}

static void
what_is_not_a_small_file_is_refused(void **state)
{
	static char text[KEYRING_FILE_MAX_BYTES + 2];
	struct keyring *ring;

	(void)state;
	memset(text, '#', sizeof(text) - 1);
	write_text(file, text, 0600);
	assert_int_equal(keyring_open(file, NULL, true, why, &ring), RC_TOOBIG);
	memset(text, '\n', sizeof(text) - 1);
	memcpy(text, KEY_A, sizeof(KEY_A) - 1);
	text[KEYRING_FILE_MAX_BYTES] = '\0';
	write_text(file, text, 0600);
	ring = ring_of(NULL);
	keyring_free(&ring);
	assert_int_equal(keyring_file_add(file, why), RC_TOOBIG);
	assert_string_equal(read_text(), text);
	assert_int_equal(
	    keyring_open(folder, NULL, true, why, &ring), RC_INVALID);
	assert_why("not a regular file");
	(void)unlink(file);
	assert_int_equal(mkfifo(file, 0600), 0);
	assert_int_equal(
	    keyring_open(file, NULL, true, why, &ring), RC_INVALID);
}

static void
a_folder_that_is_missing_is_named(void **state)
{
	struct keyring *ring;

	(void)state;
	assert_int_equal(
	    keyring_open("/nowhere/at/all/master.key", NULL, true, why, &ring),
	    RC_NOTFOUND);
	assert_why("/nowhere/at/all/master.key");
	assert_int_equal(keyring_file_add(file, why), RC_NOTFOUND);
	assert_int_equal(keyring_file_trim(file, why), RC_NOTFOUND);
	assert_why(file);
}

static void
a_rotation_goes_through_at_each_step(void **state)
{
	uint8_t wrapped[WRAPPED_KEY_BYTES], anew[WRAPPED_KEY_BYTES];
	struct seal_key k;
	bool old;

	(void)state;
	seal_key_make(&k);
	write_text(file, KEY_A "\n", 0600);
	wrap(NULL, &k, wrapped);
	assert_int_equal(keyring_file_add(file, why), RC_OK);
	assert_int_equal(mode_of(file), 0600);
	/* As a start after a crash here finds it. */
	assert_int_equal(unwrap(NULL, wrapped, &old), RC_OK);
	assert_true(old);
	wrap(NULL, &k, anew);
	assert_int_equal(unwrap(NULL, anew, &old), RC_OK);
	assert_false(old);
	assert_int_equal(unwrap(KEY_A, anew, &old), RC_NOTFOUND);
	assert_int_equal(keyring_file_trim(file, why), RC_OK);
	assert_int_equal(unwrap(NULL, anew, &old), RC_OK);
	assert_int_equal(unwrap(NULL, wrapped, &old), RC_NOTFOUND);
	assert_null(strstr(read_text(), KEY_A));
	/* Once more changes nothing. */
	assert_int_equal(keyring_file_trim(file, why), RC_OK);
	assert_int_equal(unwrap(NULL, anew, &old), RC_OK);
	assert_int_equal(access(file_new, F_OK), -1);
}

static void
a_crash_before_the_rename_leaves_the_old_file(void **state)
{
	uint8_t wrapped[WRAPPED_KEY_BYTES];
	struct keyring *ring;
	struct seal_key k;
	bool old;

	(void)state;
	seal_key_make(&k);
	write_text(file, KEY_A "\n", 0600);
	wrap(NULL, &k, wrapped);
	write_text(file_new, "0123", 0600);
	assert_int_equal(unwrap(NULL, wrapped, &old), RC_OK);
	assert_false(old);
	assert_int_equal(keyring_file_add(file, why), RC_OK);
	assert_int_equal(access(file_new, F_OK), -1);
	assert_int_equal(unwrap(NULL, wrapped, &old), RC_OK);
	assert_true(old);
	/* The first start, cut short. */
	(void)unlink(file);
	write_text(file_new, "0123", 0600);
	assert_int_equal(keyring_open(file, NULL, true, why, &ring), RC_OK);
	keyring_free(&ring);
	assert_int_equal(access(file_new, F_OK), -1);
}

static void
a_rotation_keeps_comments_and_mode(void **state)
{
	const char *text;

	(void)state;
	write_text(file, "# ours\n" KEY_A "\n# older\n" KEY_B "\n", 0400);
	assert_int_equal(keyring_file_add(file, why), RC_OK);
	text = read_text();
	assert_int_equal(strncmp(text, "# ours\n", 7), 0);
	assert_string_equal(text + 7 + 65, KEY_A "\n# older\n" KEY_B "\n");
	assert_int_equal(mode_of(file), 0400);
	write_text(file, "# ours\n" KEY_A "\n# older\n" KEY_B "\n", 0600);
	assert_int_equal(keyring_file_trim(file, why), RC_OK);
	assert_string_equal(read_text(), "# ours\n" KEY_A "\n# older\n");
}

static void
a_rotation_follows_a_symbolic_link(void **state)
{
	char target[80];
	struct stat st;

	(void)state;
	(void)snprintf(target, sizeof(target), "%s/elsewhere", folder);
	write_text(target, KEY_A "\n", 0600);
	assert_int_equal(symlink("elsewhere", file), 0);
	assert_int_equal(keyring_file_add(file, why), RC_OK);
	assert_int_equal(lstat(file, &st), 0);
	assert_true(S_ISLNK(st.st_mode));
	assert_int_equal(strlen(read_text()), 2 * 65);
	assert_int_equal(unlink(target), 0);
}

static void
a_rotation_does_not_touch_what_it_does_not_understand(void **state)
{
	static const char *const rows[] = { (KEY_A "\nwhat\n"),
		("what\n" KEY_A), "", "#\n" };
	static const char four[] = KEY_A "\n" KEY_B "\n" KEY_C "\n" KEY_D "\n";
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(rows); i++) {
		write_text(file, rows[i], 0600);
		assert_int_equal(keyring_file_add(file, why), RC_INVALID);
		assert_why(file);
		assert_int_equal(keyring_file_trim(file, why), RC_INVALID);
		assert_string_equal(read_text(), rows[i]);
	}
	write_text(file, four, 0600);
	assert_int_equal(keyring_file_add(file, why), RC_LIMIT);
	assert_string_equal(read_text(), four);
	assert_int_equal(keyring_file_trim(file, why), RC_OK);
	assert_string_equal(read_text(), KEY_A "\n");
}

/* A lock belongs to what was opened, so this is as good as another program. */
static void
a_locked_folder_is_not_waited_for_without_end(void **state)
{
	static const char two[] = KEY_A "\n" KEY_B "\n";
	struct keyring *ring;
	int fd;

	(void)state;
	write_text(file, two, 0600);
	fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_true(fd >= 0);
	assert_int_equal(flock(fd, LOCK_EX), 0);
	(void)alarm(60);
	assert_int_equal(keyring_file_trim(file, why), RC_BUSY);
	assert_why(file);
	assert_why("locked");
	assert_string_equal(read_text(), two);
	/* To read needs no lock; to make one does. */
	ring = ring_of(NULL);
	assert_int_equal(keyring_size(ring), 2);
	keyring_free(&ring);
	assert_int_equal(unlink(file), 0);
	assert_int_equal(keyring_open(file, NULL, true, why, &ring), RC_BUSY);
	(void)alarm(0);
	assert_int_equal(close(fd), 0);
	write_text(file, two, 0600);
	assert_int_equal(keyring_file_trim(file, why), RC_OK);
	assert_string_equal(read_text(), KEY_A "\n");
}

int
main(void)
{
#define test(f) cmocka_unit_test_setup(f, clean)
	const struct CMUnitTest tests[] = {
		test(a_key_is_unwrapped_as_it_was_wrapped),
		test(the_first_key_wraps_and_all_unwrap),
		test(a_wrapped_key_that_was_changed_is_refused),
		test(a_file_that_is_missing_is_made_when_asked),
		test(programs_that_start_at_once_make_one_file),
		test(a_file_that_others_may_read_is_denied),
		test(a_file_holds_keys_and_comments),
		test(what_is_not_a_key_is_refused_and_not_shown),
		test(what_is_not_a_key_in_the_environment_is_refused),
		test(what_is_not_a_small_file_is_refused),
		test(a_folder_that_is_missing_is_named),
		test(a_rotation_goes_through_at_each_step),
		test(a_crash_before_the_rename_leaves_the_old_file),
		test(a_rotation_keeps_comments_and_mode),
		test(a_rotation_follows_a_symbolic_link),
		test(a_rotation_does_not_touch_what_it_does_not_understand),
		test(a_locked_folder_is_not_waited_for_without_end),
	};

	return (cmocka_run_group_tests_name(
	    "base/keyring", tests, setup, teardown));
}
