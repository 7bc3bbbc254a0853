#include <dirent.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/mem.h"
#include "base/obj.h"
#include "tests/unit/http/fixture.h"

/* Answers out of files. */

static int
setup(void **state)
{
	struct fixture *fx = xcalloc(1, sizeof(*fx));

	fixture_init(fx);
	fixture_start(fx);
	*state = fx;
	return (0);
}

static int
teardown(void **state)
{
	struct fixture *fx = *state;

	fixture_fini(fx);
	free(fx);
	return (0);
}

static char *
get(struct fixture *fx, const char *method, size_t from, size_t n, size_t *n_r)
{
	int fd = client_connect(fx, 0);
	char text[200], *p;

	snprintf(text, sizeof(text),
	    "%s /file?from=%zu&n=%zu HTTP/1.1\r\nHost: h\r\n"
	    "Connection: close\r\n\r\n",
	    method, from, n);
	client_say(fd, text);
	p = client_read(fd, n_r);
	close(fd);
	return (p);
}

static void
any_part_of_a_file_arrives_as_it_is(void **state)
{
	static const size_t parts[][2] = { { 0, 1 }, { 0, 0 }, { 1, 4095 },
		{ 4095, 2 }, { 0, 5000001 }, { 1234567, 2345678 },
		{ 5000000, 1 }, { 1048575, 1048578 } };
	struct fixture *fx = *state;
	size_t i, k, n;
	char *p, *body;

	fixture_file(fx, 5000001);
	for (i = 0; i < ARRAY_LEN(parts); i++) {
		p = get(fx, "GET", parts[i][0], parts[i][1], &n);
		body = strstr(p, "\r\n\r\n") + 4;
		assert_int_equal(n - (size_t)(body - p), parts[i][1]);
		for (k = 0; k < parts[i][1]; k++) {
			if ((unsigned char)body[k] !=
			    fixture_file_byte(parts[i][0] + k))
				fail_msg("part %zu differs at %zu", i, k);
		}
		free(p);
		assert_true(fixture_settle(&fx->dones, (unsigned)i + 1));
		assert_int_equal(atomic_load(&fx->bytes_out), parts[i][1]);
	}
	assert_int_equal(atomic_load(&fx->aborts), 0);
}

static unsigned
open_descriptors(void)
{
	DIR *d = opendir("/proc/self/fd");
	unsigned n = 0;

	must(d != NULL);
	while (readdir(d) != NULL)
		n++;
	closedir(d);
	return (n);
}

static void
descriptors_are_closed_in_the_end(void **state)
{
	struct fixture *fx = *state;
	unsigned before, i;
	char *p;

	fixture_file(fx, 3000000);
	free(get(fx, "GET", 0, 10, NULL));
	assert_true(fixture_settle(&fx->dones, 1));
	assert_true(fixture_connections(fx, 0));
	before = open_descriptors();
	for (i = 0; i < 10; i++) {
		p = get(fx, "HEAD", 0, 1000, NULL);
		assert_non_null(strstr(p, "\r\nContent-Length: 1000\r\n"));
		assert_string_equal(strstr(p, "\r\n\r\n"), "\r\n\r\n");
		free(p);
		free(get(fx, "GET", 0, 0, NULL));
		free(get(fx, "GET", 0, 3000000, NULL));
	}
	assert_true(fixture_settle(&fx->dones, 31));
	assert_true(fixture_connections(fx, 0));
	/* One may be about to be closed, before as well as now; but each of
	 * the thirty would have left its own. */
	assert_in_range(open_descriptors(), before - 1, before + 1);
}

static void
a_file_that_is_too_short_ends_the_connection(void **state)
{
	struct fixture *fx = *state;
	size_t n;
	char *p;

	fixture_file(fx, 100000);
	p = get(fx, "GET", 0, 100001, &n);
	assert_non_null(strstr(p, "\r\nContent-Length: 100001\r\n"));
	assert_int_equal(n - (size_t)(strstr(p, "\r\n\r\n") + 4 - p), 100000);
	free(p);
	assert_true(fixture_settle(&fx->aborts, 1));
	assert_int_equal(atomic_load(&fx->bytes_out), 100000);
}

static void
slow_readers_get_it_all_and_do_not_hold_up_others(void **state)
{
	struct fixture *fx = *state;
	int slow[4], small = 65536;
	size_t i, total = 0;
	char piece[65536];
	ssize_t got;
	int64_t start;

	fixture_file(fx, 20000000);
	for (i = 0; i < ARRAY_LEN(slow); i++) {
		slow[i] = client_connect(fx, 0);
		(void)setsockopt(
		    slow[i], SOL_SOCKET, SO_RCVBUF, &small, sizeof(small));
		client_say(slow[i], "GET /file HTTP/1.1\r\nHost: h\r\n"
				    "Connection: close\r\n\r\n");
	}
	assert_true(fixture_settle(&fx->requests, ARRAY_LEN(slow)));
	start = now_ms();
	free(client_talk(fx, "GET /bytes HTTP/1.1\r\nHost: h\r\n"
			     "Connection: close\r\n\r\n"));
	assert_in_range(now_ms() - start, 0, FIXTURE_AT_ONCE_MS);
	for (i = 1; i < ARRAY_LEN(slow); i++)
		close(slow[i]);
	while ((got = recv(slow[0], piece, sizeof(piece), 0)) > 0)
		total += (size_t)got;
	assert_int_equal(got, 0);
	assert_in_range(total, 20000000, 20001000);
	close(slow[0]);
	assert_true(fixture_settle(&fx->aborts, 3));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(any_part_of_a_file_arrives_as_it_is),
		TEST(descriptors_are_closed_in_the_end),
		TEST(a_file_that_is_too_short_ends_the_connection),
		TEST(slow_readers_get_it_all_and_do_not_hold_up_others),
	};

	return (cmocka_run_group_tests_name("http/files", tests, NULL, NULL));
}
