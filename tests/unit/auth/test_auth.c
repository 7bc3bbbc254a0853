#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "auth_tools.h"

#include "auth/auth_int.h"
#include "auth/master_key.h"
#include "base/log.h"
#include "base/mem.h"

/* Both cost 4. */
#define HASH "$2b$04$abcdefghijklmnopqrstuu2r9OfJnfCsdneAXAGHnS4UpFFP8WIrW"
#define READ_ONLY "AmazonEC2ContainerRegistryReadOnly"
#define KEY_A "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define KEY_B "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"

static int
setup(void **state)
{
	struct place *p = calloc(1, sizeof(*p));

	place_make(p);
	*state = p;
	return (0);
}

static int
teardown(void **state)
{
	place_remove(*state);
	free(*state);
	return (0);
}

/* Close the room and open it again, as a new start does. */
static enum rc
again(struct place *p)
{
	auth_close(&p->auth);
	return (place_auth(p));
}

static void
key_make(struct place *p, char id[32], char secret[64])
{
	json_t *a;

	did(p, "{'op':'user-create','name':'bob'}");
	a = ask(p, RC_OK, "{'op':'access-key-create','user':'bob'}");
	snprintf(id, 32, "%s", str_at(a, "AccessKey.AccessKeyId"));
	snprintf(secret, 64, "%s", str_at(a, "AccessKey.SecretAccessKey"));
	json_decref(a);
}

static void
key_opens(struct place *p, const char *id, const char *secret)
{
	struct directory *d = auth_directory(p->auth);
	char out[AUTH_SECRET_MAX_BYTES];
	size_t n;

	assert_int_equal(
	    auth_secret(p->auth, directory_access_key(d, span_of(id)), out, &n),
	    RC_OK);
	assert_true(span_is((struct span){ out, n }, secret));
	directory_unref(&d);
}

/* --- the master key ------------------------------------------------------ */

static void
test_the_first_start_makes_a_master_key_that_later_ones_use(void **state)
{
	struct place *p = *state;
	char id[32], secret[64];
	char *first, *second;
	struct stat st;

	assert_int_equal(stat(p->key_file, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	first = read_file(p->key_file);
	key_make(p, id, secret);
	assert_int_equal(again(p), RC_OK);
	key_opens(p, id, secret);
	second = read_file(p->key_file);
	assert_string_equal(first, second);
	free(first);
	free(second);
}

static void
test_a_lost_master_key_is_told_and_no_new_one_made(void **state)
{
	struct place *p = *state;

	auth_close(&p->auth);
	assert_int_equal(unlink(p->key_file), 0);
	assert_int_equal(place_auth(p), RC_NOTFOUND);
	assert_non_null(strstr(p->why, p->key_file));
	assert_non_null(strstr(p->why, "put the file back"));
	assert_int_equal(access(p->key_file, F_OK), -1);
	/* Nor is another one taken. */
	write_file(p->key_file, KEY_A "\n");
	assert_int_equal(place_auth(p), RC_NOTFOUND);
	assert_non_null(strstr(p->why, "another master key"));
	assert_null(strstr(p->why, "aaaa"));
}

static enum rc
rotate(struct place *p, size_t *n_r)
{
	const struct master_key m = {
		.store = p->store,
		.file = p->key_file,
		.text = p->options.master_key_text,
	};

	return (master_key_rotate(&m, n_r, p->why));
}

static void
rotated(struct place *p)
{
	size_t n;

	assert_int_equal(rotate(p, &n), RC_OK);
}

static void
test_the_master_key_is_rotated_in_its_file(void **state)
{
	struct place *p = *state;
	char id[32], secret[64];
	char *before, *after;
	size_t n;

	key_make(p, id, secret);
	before = read_file(p->key_file);
	assert_int_equal(rotate(p, &n), RC_OK);
	assert_int_equal(n, 2);
	after = read_file(p->key_file);
	assert_string_not_equal(before, after);
	key_opens(p, id, secret);
	assert_int_equal(again(p), RC_OK);
	key_opens(p, id, secret);
	/* The old one opens nothing any more. */
	auth_close(&p->auth);
	write_file(p->key_file, before);
	assert_int_equal(place_auth(p), RC_NOTFOUND);
	write_file(p->key_file, after);
	assert_int_equal(place_auth(p), RC_OK);
	free(before);
	free(after);
}

static size_t
keys_in_file(struct place *p)
{
	char why[KEYRING_WHY_BYTES];
	struct keyring *ring;
	size_t n;

	assert_int_equal(
	    keyring_open(p->key_file, NULL, false, why, &ring), RC_OK);
	n = keyring_size(ring);
	keyring_free(&ring);
	return (n);
}

/* As a crash leaves it: behind the first step, and behind the second. */
static void
test_a_rotation_that_was_cut_off_is_finished_by_the_next(void **state)
{
	struct place *p = *state;
	char why[KEYRING_WHY_BYTES], id[32], secret[64];
	struct keyring *ring;
	char *text;
	int i;

	key_make(p, id, secret);
	for (i = 0; i < 6; i++) {
		/* A new key in front, nothing wrapped under it yet. */
		assert_int_equal(keyring_file_add(p->key_file, why), RC_OK);
		/* The start wraps under it, the next rotation drops the old. */
		assert_int_equal(again(p), RC_OK);
		key_opens(p, id, secret);
		assert_int_equal(keys_in_file(p), 2);
		rotated(p);
		assert_int_equal(keys_in_file(p), 1);
		key_opens(p, id, secret);
	}
	assert_int_equal(keyring_file_add(p->key_file, why), RC_OK);
	rotated(p);
	assert_int_equal(again(p), RC_OK);
	key_opens(p, id, secret);
	assert_int_equal(
	    keyring_open(p->key_file, NULL, false, why, &ring), RC_OK);
	keyring_free(&ring);
	text = read_file(p->key_file);
	assert_int_equal(keyring_file_trim(p->key_file, why), RC_OK);
	free(text);
	assert_int_equal(again(p), RC_OK);
}

/* Another folder may share the file. */
static void
test_a_start_drops_no_master_key_a_rotation_does(void **state)
{
	struct place *p = *state;
	char why[KEYRING_WHY_BYTES], id[32], secret[64];

	key_make(p, id, secret);
	assert_int_equal(keyring_file_add(p->key_file, why), RC_OK);
	assert_int_equal(again(p), RC_OK);
	key_opens(p, id, secret);
	assert_int_equal(keys_in_file(p), 2);
	rotated(p);
	assert_int_equal(keys_in_file(p), 1);
	assert_int_equal(again(p), RC_OK);
	key_opens(p, id, secret);
}

/* Somebody keeps the folder locked. */
static void
test_a_rotation_that_cannot_have_the_file_is_refused(void **state)
{
	struct place *p = *state;
	char id[32], secret[64];
	size_t n;
	int fd;

	key_make(p, id, secret);
	fd = open(p->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_true(fd >= 0);
	assert_int_equal(flock(fd, LOCK_EX), 0);
	(void)alarm(120);
	/* Once, and not tried for minutes. */
	assert_int_equal(rotate(p, &n), RC_LIMIT);
	assert_non_null(strstr(p->why, "locked"));
	(void)alarm(0);
	assert_int_equal(close(fd), 0);
	assert_int_equal(again(p), RC_OK);
	key_opens(p, id, secret);
	assert_int_equal(keys_in_file(p), 1);
}

static void
test_a_key_in_the_environment_is_replaced_by_a_start_with_both(void **state)
{
	struct place *p = *state;
	char id[32], secret[64];

	/* From the file into the environment is such a change, too. */
	char *text = read_file(p->key_file), *line = strstr(text, "\n") + 1;
	char both[160];
	size_t n;

	key_make(p, id, secret);
	line = strlen(text) > 65 && text[0] == '#' ? line : text;
	while (line[0] == '#')
		line = strchr(line, '\n') + 1;
	snprintf(both, sizeof(both), KEY_A ",%.64s", line);
	p->options.master_key_text = both;
	assert_int_equal(again(p), RC_OK);
	assert_int_equal(rotate(p, &n), RC_INVALID);
	assert_non_null(strstr(p->why, "REGISTRYD_MASTER_KEY=new,old"));
	p->options.master_key_text = KEY_A;
	assert_int_equal(again(p), RC_OK);
	p->options.master_key_text = KEY_B "," KEY_A;
	assert_int_equal(again(p), RC_OK);
	/* The file is none of its business. */
	line = read_file(p->key_file);
	assert_string_equal(line, text);
	free(line);
	p->options.master_key_text = KEY_B;
	assert_int_equal(again(p), RC_OK);
	key_opens(p, id, secret);
	p->options.master_key_text = KEY_A;
	assert_int_equal(again(p), RC_NOTFOUND);
	free(text);
}

static void
test_damaged_seal_keys_do_not_open(void **state)
{
	struct place *p = *state;
	struct entity_change c = { .entity = { ENTITY_SEAL_KEY, SPAN("secrets"),
				       SPAN("damaged") } };
	uint64_t generation;

	auth_close(&p->auth);
	assert_int_equal(meta_entity_generation(p->meta, &generation), RC_OK);
	assert_int_equal(
	    meta_entities_change(p->meta, generation, &c, 1, &generation),
	    RC_OK);
	assert_int_equal(place_auth(p), RC_CORRUPT);
	assert_non_null(strstr(p->why, "secrets"));
	c.entity.record = SPAN_NONE;
	assert_int_equal(
	    meta_entities_change(p->meta, generation, &c, 1, &generation),
	    RC_OK);
	assert_int_equal(place_auth(p), RC_CORRUPT);
}

static void
test_an_account_has_twelve_digits(void **state)
{
	struct place *p = *state;

	p->options.account_id = "12";
	assert_int_equal(again(p), RC_INVALID);
	assert_non_null(strstr(p->why, "12 digits"));
}

static void
test_a_master_key_that_has_no_folder_yet_cannot_be_made(void **state)
{
	struct place *p = *state;
	char folder[600], file[620];

	place_stop(p);
	snprintf(folder, sizeof(folder), "%s/etc", p->dir);
	snprintf(file, sizeof(file), "%s/master.key", folder);
	snprintf(p->data, sizeof(p->data), "%.200s/fresh", p->dir);
	p->options.master_key_file = file;
	place_store(p);
	assert_int_equal(place_auth(p), RC_NOTFOUND);
	assert_non_null(strstr(p->why, "cannot be made"));
	assert_non_null(strstr(p->why, folder));
	assert_non_null(strstr(p->why, "does not exist"));
	assert_null(strstr(p->why, "put the file back"));
	/* With its folder it is; then, without, it is lost. */
	assert_int_equal(mkdir(folder, 0700), 0);
	assert_int_equal(place_auth(p), RC_OK);
	auth_close(&p->auth);
	assert_int_equal(unlink(file), 0);
	assert_int_equal(rmdir(folder), 0);
	assert_int_equal(place_auth(p), RC_NOTFOUND);
	assert_non_null(strstr(p->why, "put the file back"));
	p->options.master_key_file = p->key_file;
}

/* --- the account --------------------------------------------------------- */

static void
account_record(struct place *p, struct span record)
{
	struct entity_change c = { .entity = { ENTITY_REGISTRY, SPAN("account"),
				       record } };
	uint64_t generation;

	assert_int_equal(meta_entity_generation(p->meta, &generation), RC_OK);
	assert_int_equal(
	    meta_entities_change(p->meta, generation, &c, 1, &generation),
	    RC_OK);
}

static void
account_is(struct place *p, const char *want)
{
	struct directory *d = auth_directory(p->auth);

	assert_true(span_is(directory_account(d), want));
	directory_unref(&d);
}

static void
test_a_folder_keeps_its_account(void **state)
{
	struct place *p = *state;

	did(p, "{'op':'user-create','name':'bob'}");
	p->options.account_id = OTHER_ACCOUNT;
	assert_int_equal(again(p), RC_INVALID);
	assert_non_null(strstr(p->why,
	    "this folder is of account " ACCOUNT ", but account-id "
	    "says " OTHER_ACCOUNT));
	p->options.account_id = NULL;
	assert_int_equal(place_auth(p), RC_OK);
	account_is(p, ACCOUNT);
	p->options.account_id = ACCOUNT;
	assert_int_equal(again(p), RC_OK);
	rotated(p);
	p->options.account_id = NULL;
	assert_int_equal(again(p), RC_OK);
	account_is(p, ACCOUNT);
}

static void
test_a_folder_that_does_not_say_its_account_is_told_it(void **state)
{
	struct place *p = *state;
	char id[32], secret[64];

	key_make(p, id, secret);
	account_record(p, SPAN_NONE);
	p->options.account_id = NULL;
	assert_int_equal(again(p), RC_MISSING);
	assert_non_null(strstr(p->why, "which account"));
	p->options.account_id = ACCOUNT;
	assert_int_equal(place_auth(p), RC_OK);
	key_opens(p, id, secret);
	p->options.account_id = NULL;
	assert_int_equal(again(p), RC_OK);
	account_is(p, ACCOUNT);
	key_opens(p, id, secret);
}

static void
test_a_damaged_account_does_not_open(void **state)
{
	static const char *const records[] = { "{}", "damaged", "[]",
		"{\"account\":\"12\"}", "{\"account\":7}" };
	struct place *p = *state;
	size_t i;

	auth_close(&p->auth);
	for (i = 0; i < sizeof(records) / sizeof(records[0]); i++) {
		account_record(p, span_of(records[i]));
		assert_int_equal(place_auth(p), RC_CORRUPT);
		assert_non_null(strstr(p->why, "account"));
	}
}

/* --- the first administrator --------------------------------------------- */

static void
test_the_first_administrator_gets_a_credentials_file(void **state)
{
	struct place *p = *state;
	char file[600], id[32] = "", secret[64] = "";
	const char *found;
	struct stat st;
	char *text;
	bool made;

	snprintf(file, sizeof(file), "%s/admin-credentials", p->dir);
	assert_int_equal(
	    auth_first_admin(p->auth, file, "eu-west-1", &made, p->why), RC_OK);
	assert_true(made);
	assert_int_equal(stat(file, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	text = read_file(file);
	assert_non_null(strstr(text, "[default]\n"));
	assert_non_null(strstr(text, "\nregion = eu-west-1\n"));
	found = strstr(text, "aws_access_key_id = ");
	assert_non_null(found);
	snprintf(id, 21, "%s", found + strlen("aws_access_key_id = "));
	found = strstr(text, "aws_secret_access_key = ");
	assert_non_null(found);
	snprintf(secret, 41, "%s", found + strlen("aws_secret_access_key = "));
	free(text);
	key_opens(p, id, secret);
	assert_true(may(p, "admin", "ecr:DeleteRepository"));
	/* Once. */
	assert_int_equal(
	    auth_first_admin(p->auth, file, "x", &made, p->why), RC_OK);
	assert_false(made);
	key_opens(p, id, secret);
}

static void
test_a_credentials_file_without_its_user_is_replaced(void **state)
{
	struct place *p = *state;
	char file[600], fresh[610];
	char *text;
	bool made;

	snprintf(file, sizeof(file), "%s/admin-credentials", p->dir);
	snprintf(fresh, sizeof(fresh), "%s.new", file);
	write_file(file, "[default]\naws_access_key_id = AKIAOLD\n");
	write_file(fresh, "half");
	assert_int_equal(chmod(fresh, 0666), 0);
	assert_int_equal(
	    auth_first_admin(p->auth, file, "x", &made, p->why), RC_OK);
	assert_true(made);
	text = read_file(file);
	assert_null(strstr(text, "AKIAOLD"));
	free(text);
	assert_int_equal(access(fresh, F_OK), -1);
}

static void
test_a_credentials_file_with_a_key_of_somebody_stays(void **state)
{
	struct place *p = *state;
	char file[600], text[200], *after;
	struct directory *d;
	json_t *a;
	bool made;

	snprintf(file, sizeof(file), "%s/admin-credentials", p->dir);
	did(p, "{'op':'user-create','name':'eve','account':'%s'}",
	    OTHER_ACCOUNT);
	a = ask(p, RC_OK,
	    "{'op':'access-key-create','user':'eve','account':'%s'}",
	    OTHER_ACCOUNT);
	snprintf(text, sizeof(text),
	    "[old]\naws_access_key_id = AKIAOLD\n[default]\n"
	    "aws_access_key_id=%s\r\nregion = x\n",
	    str_at(a, "AccessKey.AccessKeyId"));
	write_file(file, text);
	assert_int_equal(
	    auth_first_admin(p->auth, file, "x", &made, p->why), RC_EXISTS);
	assert_false(made);
	assert_non_null(strstr(p->why, file));
	assert_non_null(strstr(p->why, OTHER_ACCOUNT ":user/eve"));
	after = read_file(file);
	assert_string_equal(after, text);
	free(after);
	d = auth_directory(p->auth);
	assert_null(user_of(p, d, "admin"));
	directory_unref(&d);
	/* Gone, it is nobody's. */
	did(p, "{'op':'access-key-delete','id':'%s'}",
	    str_at(a, "AccessKey.AccessKeyId"));
	json_decref(a);
	assert_int_equal(
	    auth_first_admin(p->auth, file, "x", &made, p->why), RC_OK);
	assert_true(made);
}

static void
test_no_user_is_made_when_the_file_cannot_be_written(void **state)
{
	struct place *p = *state;
	struct directory *d;
	char file[600];
	bool made;

	snprintf(file, sizeof(file), "%s/none/admin-credentials", p->dir);
	assert_int_equal(
	    auth_first_admin(p->auth, file, "x", &made, p->why), RC_NOTFOUND);
	assert_non_null(strstr(p->why, file));
	assert_false(made);
	d = auth_directory(p->auth);
	assert_null(user_of(p, d, "admin"));
	directory_unref(&d);
}

/* --- passwords ----------------------------------------------------------- */

static enum rc
login_from(struct place *p, const char *address, const char *name,
    const char *password, bool may_block)
{
	struct directory *d = auth_directory(p->auth);
	const struct auth_try t = {
		.name = span_of(name),
		.password = span_of(password),
		.address = span_of(address),
		.now_ms = 1000,
	};
	const struct principal *principal;
	uint8_t mark[16], zeros[16] = { 0 };
	unsigned wait;
	enum rc rc;

	rc = may_block
		 ? auth_password_try(p->auth, d, &t, &principal, mark, &wait)
		 : auth_password(p->auth, d, &t, &principal, mark, &wait);
	if (rc == RC_OK) {
		assert_true(span_is(principal->name, name));
		assert_memory_not_equal(mark, zeros, 16);
	} else {
		assert_null(principal);
		assert_memory_equal(mark, zeros, 16);
	}
	directory_unref(&d);
	return (rc);
}

static enum rc
login(struct place *p, const char *name, const char *password, bool may_block)
{
	return (login_from(p, "10.0.0.1", name, password, may_block));
}

/* What somebody has shown is no oracle for who guesses, wherever. */
static void
test_who_is_held_up_is_not_told_of_a_right_guess(void **state)
{
	static const char *const from[] = { "10.0.0.1", "10.0.0.2" };
	struct place *p = *state;
	size_t i, k;

	did(p, "{'op':'user-create','name':'bob','password':'secret'}");
	assert_int_equal(login(p, "bob", "secret", true), RC_OK);
	for (i = 0; i < 2; i++) {
		/* Fast is only where it was shown. */
		assert_int_equal(login_from(p, from[i], "bob", "secret", false),
		    i == 0 ? RC_OK : RC_WOULDBLOCK);
		/* From elsewhere the name is held up after one. */
		for (k = 0; k < 10; k++)
			assert_int_equal(
			    login_from(p, from[i], "bob", "wrong", true),
			    i == 0 || k == 0 ? RC_DENIED : RC_LIMIT);
		assert_int_equal(
		    login_from(p, from[i], "bob", "secret", false), RC_LIMIT);
		assert_int_equal(
		    login_from(p, from[i], "bob", "secret", true), RC_LIMIT);
	}
}

static void
test_passwords_of_built_in_users(void **state)
{
	struct place *p = *state;

	did(p, "{'op':'user-create','name':'bob','password':'secret'}");
	did(p, "{'op':'user-create','name':'ada'}");
	/* A loop cannot hash; whoever it is about, it has to ask again. */
	assert_int_equal(login(p, "bob", "secret", false), RC_WOULDBLOCK);
	assert_int_equal(login(p, "bob", "wrong", false), RC_WOULDBLOCK);
	assert_int_equal(login(p, "nobody", "secret", false), RC_WOULDBLOCK);
	assert_int_equal(login(p, "ada", "secret", false), RC_WOULDBLOCK);
	assert_int_equal(login(p, "bob", "wrong", true), RC_DENIED);
	assert_int_equal(login(p, "nobody", "secret", true), RC_DENIED);
	assert_int_equal(login(p, "ada", "", true), RC_DENIED);
	assert_int_equal(login(p, "bob", "", false), RC_DENIED);
	assert_int_equal(login(p, "bob", "secret", true), RC_OK);
	/* From then on a loop can answer, but only that. */
	assert_int_equal(login(p, "bob", "secret", false), RC_OK);
	assert_int_equal(login(p, "bob", "wrong", false), RC_WOULDBLOCK);
	assert_int_equal(login(p, "ada", "secret", false), RC_WOULDBLOCK);
}

static void
test_a_changed_password_is_not_remembered(void **state)
{
	struct place *p = *state;

	did(p, "{'op':'user-create','name':'bob','password':'secret'}");
	assert_int_equal(login(p, "bob", "secret", true), RC_OK);
	did(p, "{'op':'user-password','name':'bob','password':'other'}");
	assert_int_equal(login(p, "bob", "secret", false), RC_WOULDBLOCK);
	assert_int_equal(login(p, "bob", "secret", true), RC_DENIED);
	assert_int_equal(login(p, "bob", "other", true), RC_OK);
	did(p, "{'op':'user-delete','name':'bob'}");
	assert_int_equal(login(p, "bob", "other", true), RC_DENIED);
}

/* Whose hash a stranger's password is held against must not be told apart
 * from that user's own. */
static void
test_a_strangers_password_never_fits(void **state)
{
	struct place *p = *state;

	write_file(p->htpasswd, "bob:" HASH "\n");
	p->options.htpasswd_file = p->htpasswd;
	assert_int_equal(again(p), RC_OK);
	assert_int_equal(login(p, "stranger", "secret", true), RC_DENIED);
	assert_int_equal(login(p, "stranger", "secret", true), RC_DENIED);
	assert_int_equal(login(p, "stranger", "secret", false), RC_WOULDBLOCK);
	assert_int_equal(login(p, "bob", "secret", true), RC_OK);
	assert_int_equal(login(p, "stranger", "secret", false), RC_WOULDBLOCK);
}

static void
test_too_many_passwords_at_once_are_put_off(void **state)
{
	struct place *p = *state;

	did(p, "{'op':'user-create','name':'bob','password':'secret'}");
	p->auth->gate.running_max = 0;
	p->auth->gate.wait_ms = 1;
	assert_int_equal(login(p, "bob", "secret", true), RC_LIMIT);
	assert_int_equal(login(p, "nobody", "secret", true), RC_LIMIT);
	p->auth->gate.running_max = 1;
	assert_int_equal(login(p, "bob", "secret", true), RC_OK);
}

/* --- the same password many times at once --------------------------------- */

#define CROWD_MAX 32

struct crowd {
	struct place *p;
	const char *password, *address;
	unsigned n;
	_Atomic unsigned good, denied, held, put_off;
};

static void *
crowd_one(void *arg)
{
	struct crowd *c = arg;
	struct directory *d = auth_directory(c->p->auth);
	const struct auth_try t = { .name = SPAN("bob"),
		.password = span_of(c->password),
		.address = span_of(c->address),
		.now_ms = 1000 };
	const struct principal *principal;
	uint8_t mark[16];
	unsigned wait;

	switch ((int)auth_password_try(
	    c->p->auth, d, &t, &principal, mark, &wait)) {
	case RC_OK:
		assert_true(span_is(principal->name, "bob"));
		c->good++;
		break;
	case RC_DENIED:
		c->denied++;
		break;
	case RC_LIMIT:
		if (wait > 0)
			c->held++;
		else
			c->put_off++;
		break;
	default:
		fail();
	}
	directory_unref(&d);
	return (NULL);
}

static unsigned
joined_now(struct auth *a)
{
	unsigned n;

	pthread_mutex_lock(&a->flights.lock);
	n = a->flights.joined;
	pthread_mutex_unlock(&a->flights.lock);
	return (n);
}

/* The first one waits at the gate, where only one may, until ${joined} others
 * wait for it. */
static void
crowd_comes(struct crowd *c, unsigned joined)
{
	struct password_gate *g = &c->p->auth->gate;
	pthread_t threads[CROWD_MAX];
	unsigned i, max = g->running_max;

	c->good = c->denied = c->held = c->put_off = 0;
	g->running_max = 0;
	g->waiting_max = 1;
	g->wait_ms = 600 * 1000;
	(void)alarm(120);
	for (i = 0; i < c->n; i++)
		assert_int_equal(
		    pthread_create(&threads[i], NULL, crowd_one, c), 0);
	while (joined_now(c->p->auth) < joined ||
	       joined + 1 + c->held + c->put_off < c->n)
		usleep(1000);
	pthread_mutex_lock(&g->lock);
	g->running_max = max;
	pthread_cond_signal(&g->room);
	pthread_mutex_unlock(&g->lock);
	for (i = 0; i < c->n; i++)
		pthread_join(threads[i], NULL);
	(void)alarm(0);
}

/* Would be let in, of one address, until it is refused. */
static int
guesses_left(struct place *p, const char *address)
{
	unsigned wait;
	int in = 0;

	while (auth_attempt(p->auth, SPAN("bob"), span_of(address), 1000,
		   &wait) == RC_OK)
		in++;
	return (in);
}

static void
workers_are(struct place *p, unsigned workers)
{

	p->options.workers = workers;
	assert_int_equal(again(p), RC_OK);
	did(p, "{'op':'user-create','name':'bob','password':'secret'}");
}

static void
test_who_comes_with_the_same_password_joins_and_is_let_in(void **state)
{
	struct place *p = *state;
	struct crowd c = { p, "secret", "10.0.0.1", 20, 0, 0, 0, 0 };

	workers_are(p, 32);
	crowd_comes(&c, 19);
	assert_int_equal(c.good, 20);
	/* Nothing is left pending of any of them. */
	assert_int_equal(guesses_left(p, "10.0.0.1"), 10);
}

static void
test_thirteen_requests_of_a_client_get_through_a_small_server(void **state)
{
	struct place *p = *state;
	struct crowd c = { p, "secret", "10.0.0.1", 13, 0, 0, 0, 0 };

	workers_are(p, 2);
	crowd_comes(&c, 12);
	assert_int_equal(c.good, 13);
}

static void
test_a_wrong_password_of_parallel_requests_counts_for_each(void **state)
{
	struct place *p = *state;
	struct crowd c = { p, "wrong", "10.0.0.1", 8, 0, 0, 0, 0 };

	workers_are(p, 32);
	crowd_comes(&c, 7);
	assert_int_equal(c.denied, 8);
	assert_int_equal(guesses_left(p, "10.0.0.1"), 2);
}

static void
test_no_more_wrong_ones_are_answered_at_once_than_in_turn(void **state)
{
	struct place *p = *state;
	struct crowd c = { p, "wrong", "10.0.0.1", 20, 0, 0, 0, 0 };
	unsigned wait;

	workers_are(p, 32);
	crowd_comes(&c, 19);
	assert_int_equal(c.denied, 10);
	assert_int_equal(c.held, 10);
	assert_int_equal(
	    auth_attempt(p->auth, SPAN("bob"), SPAN("10.0.0.1"), 1000, &wait),
	    RC_LIMIT);
	assert_int_equal(wait, 1);
	/* In back-off there is no joining, either. */
	c.n = 1;
	crowd_one(&c);
	assert_int_equal(c.held, 11);
	c.address = "10.0.0.2";
	c.password = "secret";
	crowd_comes(&c, 0);
	assert_int_equal(c.good, 1);
}

static void
test_not_all_workers_wait_for_one_password(void **state)
{
	struct place *p = *state;
	struct crowd c = { p, "secret", "10.0.0.1", 30, 0, 0, 0, 0 };

	workers_are(p, 32);
	/* A quarter of them is left, with the one that hashes. */
	crowd_comes(&c, 23);
	assert_int_equal(c.good, 24);
	assert_int_equal(c.put_off, 6);
}

static void
test_another_password_does_not_join(void **state)
{
	struct place *p = *state;
	struct crowd c = { p, "secret", "10.0.0.1", 1, 0, 0, 0, 0 };
	struct crowd other = { p, "wrong", "10.0.0.2", 1, 0, 0, 0, 0 };
	uint8_t tag[AUTH_MAC_BYTES] = { 1 };
	struct password_flight *flight;

	workers_are(p, 32);
	pthread_mutex_lock(&p->auth->flights.lock);
	flight = password_flight_begin(&p->auth->flights, tag);
	pthread_mutex_unlock(&p->auth->flights.lock);
	crowd_one(&c);
	crowd_one(&other);
	assert_int_equal(c.good, 1);
	assert_int_equal(other.denied, 1);
	password_flight_end(&p->auth->flights, flight, RC_OK, true);
}

/* --- htpasswd ------------------------------------------------------------ */

static void
htpasswd_on(struct place *p, const char *text)
{
	static const char *const policies[] = { READ_ONLY };

	write_file(p->htpasswd, text);
	p->options.htpasswd_file = p->htpasswd;
	p->options.htpasswd_policies = policies;
	p->options.n_htpasswd_policies = 1;
	assert_int_equal(again(p), RC_OK);
}

static void
test_htpasswd_users_have_the_policies_of_the_settings(void **state)
{
	struct place *p = *state;
	json_t *a;

	htpasswd_on(p, "bob:" HASH "\nada:" HASH "\nzoe:" HASH "\n");
	assert_int_equal(login(p, "bob", "secret", true), RC_OK);
	assert_true(may(p, "bob", "ecr:BatchGetImage"));
	assert_false(may(p, "bob", "ecr:PutImage"));
	/* A user of that name: its policies hold, the password is still the
	 * file's, until it has its own. */
	did(p, "{'op':'user-create','name':'ada'}");
	assert_false(may(p, "ada", "ecr:BatchGetImage"));
	assert_int_equal(login(p, "ada", "secret", true), RC_OK);
	did(p, "{'op':'user-password','name':'ada','password':'own'}");
	assert_int_equal(login(p, "ada", "secret", true), RC_DENIED);
	assert_int_equal(login(p, "ada", "own", true), RC_OK);
	a = ask(p, RC_OK, "{'op':'user-list'}");
	assert_int_equal(json_array_size(at(a, "Users")), 1);
	json_decref(a);
	refused(p, RC_NOTFOUND, "htpasswd",
	    "{'op':'access-key-create','user':'bob'}");
	refused(p, RC_NOTFOUND, "htpasswd",
	    "{'op':'token-revoke-all','user':'bob'}");
}

static void
test_a_changed_htpasswd_file_is_read_again_and_a_bad_one_is_not(void **state)
{
	struct place *p = *state;
	uint64_t was, is;
	struct directory *d;

	htpasswd_on(p, "bob:" HASH "\n");
	d = auth_directory(p->auth);
	was = directory_generation(d);
	directory_unref(&d);
	write_file(p->htpasswd, "ada:" HASH "\n");
	auth_refresh(p->auth);
	assert_int_equal(login(p, "bob", "secret", true), RC_DENIED);
	assert_int_equal(login(p, "ada", "secret", true), RC_OK);
	d = auth_directory(p->auth);
	is = directory_generation(d);
	assert_true(is != was);
	directory_unref(&d);
	write_file(p->htpasswd, "zoe:plain\n");
	auth_refresh(p->auth);
	auth_refresh(p->auth);
	assert_int_equal(login(p, "ada", "secret", true), RC_OK);
	assert_int_equal(unlink(p->htpasswd), 0);
	auth_refresh(p->auth);
	assert_int_equal(login(p, "ada", "secret", true), RC_OK);
	d = auth_directory(p->auth);
	assert_int_equal(directory_generation(d), is);
	directory_unref(&d);
	write_file(p->htpasswd, "zoe:" HASH "\n");
	auth_refresh(p->auth);
	assert_int_equal(login(p, "zoe", "secret", true), RC_OK);
	assert_int_equal(login(p, "ada", "secret", true), RC_DENIED);
}

static void
test_a_bad_htpasswd_file_stops_the_start(void **state)
{
	static const char *const nonsense[] = { "NoSuchPolicy" };
	struct place *p = *state;

	write_file(p->htpasswd, "bob:" HASH "\nada:plain\n");
	p->options.htpasswd_file = p->htpasswd;
	assert_int_equal(again(p), RC_INVALID);
	assert_non_null(strstr(p->why, p->htpasswd));
	assert_non_null(strstr(p->why, "line 2"));
	assert_int_equal(unlink(p->htpasswd), 0);
	assert_int_equal(place_auth(p), RC_NOTFOUND);
	write_file(p->htpasswd, "bob:" HASH "\n");
	p->options.htpasswd_policies = nonsense;
	p->options.n_htpasswd_policies = 1;
	assert_int_equal(place_auth(p), RC_INVALID);
	assert_non_null(strstr(p->why, "NoSuchPolicy"));
}

static void
test_an_htpasswd_file_can_be_checked_alone(void **state)
{
	struct place *p = *state;

	write_file(p->htpasswd, "bob:" HASH "\n");
	assert_int_equal(auth_htpasswd_check(p->htpasswd, p->why), RC_OK);
	assert_string_equal(p->why, "");
	write_file(p->htpasswd, "bob:" HASH "\n\nada:plain\n");
	assert_int_equal(auth_htpasswd_check(p->htpasswd, p->why), RC_INVALID);
	assert_non_null(strstr(p->why, p->htpasswd));
	assert_non_null(strstr(p->why, "line 3"));
	assert_int_equal(
	    auth_htpasswd_check("/nowhere/htpasswd", p->why), RC_NOTFOUND);
	assert_non_null(strstr(p->why, "/nowhere/htpasswd"));
}

static void
test_a_reload_takes_all_or_nothing(void **state)
{
	static const char *const nonsense[] = { "NoSuchPolicy" };
	struct place *p = *state;

	htpasswd_on(p, "bob:" HASH "\n");
	p->options.htpasswd_policies = nonsense;
	assert_int_equal(auth_reload(p->auth, &p->options, p->why), RC_INVALID);
	assert_int_equal(login(p, "bob", "secret", true), RC_OK);
	assert_true(may(p, "bob", "ecr:BatchGetImage"));
	p->options.n_htpasswd_policies = 0;
	assert_int_equal(auth_reload(p->auth, &p->options, p->why), RC_OK);
	assert_false(may(p, "bob", "ecr:BatchGetImage"));
	p->options.htpasswd_file = "";
	assert_int_equal(auth_reload(p->auth, &p->options, p->why), RC_OK);
	assert_int_equal(login(p, "bob", "secret", true), RC_DENIED);
	p->options.htpasswd_file = "/nowhere/htpasswd";
	assert_int_equal(
	    auth_reload(p->auth, &p->options, p->why), RC_NOTFOUND);
}

static void
test_a_prepared_reload_holds_when_it_is_committed(void **state)
{
	struct place *p = *state;
	struct auth_reload *r;

	htpasswd_on(p, "bob:" HASH "\n");
	p->options.n_htpasswd_policies = 0;
	assert_int_equal(
	    auth_reload_prepare(p->auth, &p->options, p->why, &r), RC_OK);
	assert_non_null(r);
	auth_refresh(p->auth);
	assert_true(may(p, "bob", "ecr:BatchGetImage"));
	/* Users that are made meanwhile are there afterwards. */
	did(p, "{'op':'user-create','name':'eve'}");
	assert_true(may(p, "bob", "ecr:BatchGetImage"));
	auth_reload_commit(p->auth, &r);
	assert_null(r);
	assert_false(may(p, "bob", "ecr:BatchGetImage"));
	assert_false(may(p, "eve", "ecr:BatchGetImage"));
	auth_reload_commit(p->auth, &r);
}

static void
test_an_aborted_reload_was_never_there(void **state)
{
	struct place *p = *state;
	struct auth_reload *r;

	htpasswd_on(p, "bob:" HASH "\n");
	p->options.htpasswd_file = "";
	assert_int_equal(
	    auth_reload_prepare(p->auth, &p->options, p->why, &r), RC_OK);
	auth_reload_abort(&r);
	assert_null(r);
	auth_reload_abort(&r);
	auth_refresh(p->auth);
	assert_int_equal(login(p, "bob", "secret", true), RC_OK);
	/* The file is still looked after. */
	write_file(p->htpasswd, "bob:" HASH "\nzoe:" HASH "\n");
	auth_refresh(p->auth);
	assert_int_equal(login(p, "zoe", "secret", true), RC_OK);
	p->options.htpasswd_file = "/nowhere/htpasswd";
	assert_int_equal(
	    auth_reload_prepare(p->auth, &p->options, p->why, &r), RC_NOTFOUND);
	assert_null(r);
}

static void
test_a_policy_that_the_settings_name_stays(void **state)
{
	static const char *const mine[] = { "mine" };
	struct place *p = *state;

	did(p, "{'op':'policy-put','name':'mine','document':"
	       "'{\\\"Version\\\":\\\"2012-10-17\\\",\\\"Statement\\\":{"
	       "\\\"Effect\\\":\\\"Allow\\\",\\\"Action\\\":\\\"*\\\","
	       "\\\"Resource\\\":\\\"*\\\"}}'}");
	p->options.htpasswd_policies = mine;
	p->options.n_htpasswd_policies = 1;
	write_file(p->htpasswd, "bob:" HASH "\n");
	p->options.htpasswd_file = p->htpasswd;
	assert_int_equal(auth_reload(p->auth, &p->options, p->why), RC_OK);
	assert_true(may(p, "bob", "ecr:PutImage"));
	refused(p, RC_REFERENCED, "htpasswd.policies",
	    "{'op':'policy-delete','name':'mine'}");
}

/* --- brute force through the room's door --------------------------------- */

static void
test_attempts_are_counted_by_the_room(void **state)
{
	struct place *p = *state;
	unsigned wait;
	int i;

	for (i = 0; i < 10; i++)
		auth_attempted(
		    p->auth, SPAN("bob"), SPAN("10.0.0.1"), false, 1000);
	assert_int_equal(
	    auth_attempt(p->auth, SPAN("bob"), SPAN("10.0.0.1"), 1000, &wait),
	    RC_LIMIT);
	assert_int_equal(wait, 1);
}

static void
test_pending_attempts_are_counted_and_given_back(void **state)
{
	struct place *p = *state;
	unsigned wait;
	int i, in = 0;

	for (i = 0; i < 60; i++)
		in += auth_attempt(p->auth, SPAN("bob"), SPAN("10.0.0.1"), 1000,
			  &wait) == RC_OK;
	assert_int_equal(in, 10);
	assert_int_equal(wait, 1);
	auth_attempt_cancel(p->auth, SPAN("bob"), SPAN("10.0.0.1"), 1000);
	assert_int_equal(
	    auth_attempt(p->auth, SPAN("bob"), SPAN("10.0.0.1"), 1000, &wait),
	    RC_OK);
}

static void
test_few_workers_hash_few_passwords(void **state)
{
	struct place *p = *state;

	p->options.workers = 4;
	assert_int_equal(again(p), RC_OK);
	assert_int_equal(p->auth->gate.running_max, 1);
	assert_int_equal(p->auth->gate.waiting_max, 1);
}

/* --- notes --------------------------------------------------------------- */

static void
test_notes_are_bounded(void **state)
{
	struct place *p = *state;
	char id[32];
	int i;

	for (i = 0; i < 3 * NOTES_PLACES; i++) {
		snprintf(id, sizeof(id), "AKIA%016d", i);
		auth_key_used(p->auth, span_of(id), SPAN("ecr"), SPAN("r"), i);
	}
	auth_key_used(p->auth, SPAN(""), SPAN("ecr"), SPAN("r"), 1);
	auth_key_used(p->auth, SPAN("AKIA0123456789012345678901234567890"),
	    SPAN("a service of a very long name"),
	    SPAN("a region of a name that is far too long to be kept"), 1);
	auth_flush(p->auth);
	auth_flush(p->auth);
}

/* --- threads ------------------------------------------------------------- */

struct herd {
	struct place *p;
	_Atomic bool stop;
};

static void *
reads(void *arg)
{
	struct herd *h = arg;
	const struct principal *u;
	struct directory *d;
	unsigned wait;

	while (!h->stop) {
		d = auth_directory(h->p->auth);
		u = user_of(h->p, d, "bob");
		assert_non_null(u);
		assert_true(span_is(u->name, "bob"));
		auth_key_used(h->p->auth, SPAN("AKIAAAAAAAAAAAAAAAAA"),
		    SPAN("ecr"), SPAN("r"), 1);
		auth_attempted(
		    h->p->auth, SPAN("bob"), SPAN("::1"), true, 1000);
		if (auth_attempt(h->p->auth, SPAN("bob"), SPAN("::1"), 1000,
			&wait) == RC_OK)
			auth_attempt_cancel(
			    h->p->auth, SPAN("bob"), SPAN("::1"), 1000);
		directory_unref(&d);
		(void)login(h->p, "bob", "secret", false);
	}
	return (NULL);
}

static void *
refreshes(void *arg)
{
	struct herd *h = arg;

	while (!h->stop) {
		auth_refresh(h->p->auth);
		auth_flush(h->p->auth);
	}
	return (NULL);
}

static void
test_readers_and_changes_at_the_same_time(void **state)
{
	struct place *p = *state;
	struct herd h = { .p = p };
	pthread_t threads[4];
	int i;

	did(p, "{'op':'user-create','name':'bob','password':'secret'}");
	for (i = 0; i < 4; i++)
		assert_int_equal(pthread_create(&threads[i], NULL,
				     i < 3 ? reads : refreshes, &h),
		    0);
	for (i = 0; i < 10; i++) {
		did(p, "{'op':'user-create','name':'u%d'}", i);
		did(p, "{'op':'access-key-create','user':'u%d'}", i);
		did(p, "{'op':'user-tag','name':'bob','tags':{'n':'%d'}}", i);
	}
	rotated(p);
	h.stop = true;
	for (i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(
		    test_the_first_start_makes_a_master_key_that_later_ones_use),
		TEST(test_a_lost_master_key_is_told_and_no_new_one_made),
		TEST(test_the_master_key_is_rotated_in_its_file),
		TEST(test_a_rotation_that_was_cut_off_is_finished_by_the_next),
		TEST(test_a_start_drops_no_master_key_a_rotation_does),
		TEST(test_a_rotation_that_cannot_have_the_file_is_refused),
		TEST(
		    test_a_key_in_the_environment_is_replaced_by_a_start_with_both),
		TEST(test_damaged_seal_keys_do_not_open),
		TEST(test_an_account_has_twelve_digits),
		TEST(test_a_master_key_that_has_no_folder_yet_cannot_be_made),
		TEST(test_a_folder_keeps_its_account),
		TEST(test_a_folder_that_does_not_say_its_account_is_told_it),
		TEST(test_a_damaged_account_does_not_open),
		TEST(test_the_first_administrator_gets_a_credentials_file),
		TEST(test_a_credentials_file_without_its_user_is_replaced),
		TEST(test_a_credentials_file_with_a_key_of_somebody_stays),
		TEST(test_no_user_is_made_when_the_file_cannot_be_written),
		TEST(test_who_is_held_up_is_not_told_of_a_right_guess),
		TEST(test_passwords_of_built_in_users),
		TEST(test_a_changed_password_is_not_remembered),
		TEST(test_a_strangers_password_never_fits),
		TEST(test_too_many_passwords_at_once_are_put_off),
		TEST(test_who_comes_with_the_same_password_joins_and_is_let_in),
		TEST(
		    test_thirteen_requests_of_a_client_get_through_a_small_server),
		TEST(
		    test_a_wrong_password_of_parallel_requests_counts_for_each),
		TEST(test_no_more_wrong_ones_are_answered_at_once_than_in_turn),
		TEST(test_not_all_workers_wait_for_one_password),
		TEST(test_another_password_does_not_join),
		TEST(test_htpasswd_users_have_the_policies_of_the_settings),
		TEST(
		    test_a_changed_htpasswd_file_is_read_again_and_a_bad_one_is_not),
		TEST(test_a_bad_htpasswd_file_stops_the_start),
		TEST(test_an_htpasswd_file_can_be_checked_alone),
		TEST(test_a_reload_takes_all_or_nothing),
		TEST(test_a_prepared_reload_holds_when_it_is_committed),
		TEST(test_an_aborted_reload_was_never_there),
		TEST(test_a_policy_that_the_settings_name_stays),
		TEST(test_attempts_are_counted_by_the_room),
		TEST(test_pending_attempts_are_counted_and_given_back),
		TEST(test_few_workers_hash_few_passwords),
		TEST(test_notes_are_bounded),
		TEST(test_readers_and_changes_at_the_same_time),
	};

	log_set_level(LOG_LVL_WARN);
	return (cmocka_run_group_tests_name("auth", tests, NULL, NULL));
}
