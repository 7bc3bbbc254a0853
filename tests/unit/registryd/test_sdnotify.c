#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "registryd/sdnotify.h"

/* What a service manager hears. */
static int
manager_open(const char *name)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0);
	size_t n = strlen(name);

	assert_true(fd >= 0);
	memcpy(sun.sun_path, name, n);
	if (name[0] == '@')
		sun.sun_path[0] = '\0';
	assert_int_equal(
	    bind(fd, (struct sockaddr *)&sun,
		(socklen_t)(offsetof(struct sockaddr_un, sun_path) + n)),
	    0);
	(void)setenv("NOTIFY_SOCKET", name, 1);
	return (fd);
}

static void
assert_hears(int fd, const char *expected)
{
	char text[256];
	ssize_t n = recv(fd, text, sizeof(text) - 1, 0);

	assert_true(n > 0);
	text[n] = '\0';
	if (strncmp(text, expected, strlen(expected)) != 0)
		fail_msg("\"%s\" instead of \"%s\"", text, expected);
}

static void
the_manager_hears_each_state(void **state)
{
	char name[64];
	int fd;

	(void)state;
	(void)snprintf(name, sizeof(name), "@test-sdnotify-%d", (int)getpid());
	fd = manager_open(name);
	sdnotify_ready();
	assert_hears(fd, "READY=1");
	sdnotify_reloading();
	assert_hears(fd, "RELOADING=1\nMONOTONIC_USEC=");
	sdnotify_stopping();
	assert_hears(fd, "STOPPING=1");
	(void)close(fd);
}

static void
a_socket_may_be_a_path(void **state)
{
	char name[64];
	int fd;

	(void)state;
	(void)snprintf(
	    name, sizeof(name), "/tmp/test-sdnotify-%d", (int)getpid());
	fd = manager_open(name);
	sdnotify_ready();
	assert_hears(fd, "READY=1");
	(void)close(fd);
	(void)unlink(name);
}

static void
without_a_manager_nothing_happens(void **state)
{
	(void)state;
	(void)unsetenv("NOTIFY_SOCKET");
	sdnotify_ready();
	(void)setenv("NOTIFY_SOCKET", "", 1);
	sdnotify_ready();
	(void)setenv("NOTIFY_SOCKET", "relative", 1);
	sdnotify_ready();
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_manager_hears_each_state),
		cmocka_unit_test(a_socket_may_be_a_path),
		cmocka_unit_test(without_a_manager_nothing_happens),
	};

	return (cmocka_run_group_tests_name("sdnotify", tests, NULL, NULL));
}
