#include "ctl_tools.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/obj.h"

#define ARGS_MAX 24

/* --- commands ------------------------------------------------------------ */

static int
scratch(const char *text)
{
	char path[] = "/tmp/test-ctl-XXXXXX";
	size_t n = strlen(text);
	int fd = mkstemp(path);

	must(fd != -1);
	(void)unlink(path);
	must(write(fd, text, n) == (ssize_t)n);
	must(lseek(fd, 0, SEEK_SET) == 0);
	return (fd);
}

static void
scratch_read(int fd, char *out, size_t n)
{
	ssize_t got = pread(fd, out, n - 1, 0);

	must(got >= 0);
	out[got] = '\0';
	(void)close(fd);
}

/* Before the leak sanitizer's, which stumbles over the threads that did not
 * come along. */
static void
leave(int code, void *arg)
{
	(void)arg;
	(void)fflush(NULL);
	_exit(code);
}

__attribute__((noreturn)) static void
child(const struct command *command, const char *data, int fds[3], int argc,
    char **argv)
{
	struct ctl ctl = { .data = data, .command = command };
	int i;

	for (i = 0; i < 3; i++)
		must(dup2(fds[i], i) == i);
	optind = 0;
	must(on_exit(leave, NULL) == 0);
	exit(command->run(&ctl, argc, argv));
}

const struct ran *
run(const struct command *command, const char *data, const char *input, ...)
{
	static struct ran ran;
	char *argv[ARGS_MAX + 1] = { xstrdup(command->name) };
	int fds[3], argc = 1, status;
	const char *word;
	va_list ap;
	pid_t pid;

	va_start(ap, input);
	while ((word = va_arg(ap, const char *)) != NULL) {
		must(argc < ARGS_MAX);
		argv[argc++] = xstrdup(word);
	}
	va_end(ap);
	fds[0] = scratch(input);
	fds[1] = scratch("");
	fds[2] = scratch("");
	(void)fflush(NULL);
	pid = fork();
	must(pid != -1);
	if (pid == 0)
		child(command, data, fds, argc, argv);
	must(waitpid(pid, &status, 0) == pid);
	ran.code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
	(void)close(fds[0]);
	scratch_read(fds[1], ran.out, sizeof(ran.out));
	scratch_read(fds[2], ran.err, sizeof(ran.err));
	while (argc > 0)
		free(argv[--argc]);
	return (&ran);
}

/* --- a server ------------------------------------------------------------ */

static size_t
body_length(const char *head)
{
	const char *at = strcasestr(head, "\r\ncontent-length:");
	size_t n = 0;

	if (at == NULL)
		return (0);
	for (at = strchr(at + 2, ':') + 1; *at == ' '; at++)
		continue;
	for (; *at >= '0' && *at <= '9'; at++)
		n = n * 10 + (size_t)(*at - '0');
	return (n);
}

/* One request; false at the end of the connection. */
static bool
request_read(struct stub *s, int fd)
{
	static char all[sizeof(s->head) + sizeof(s->body)];
	size_t n = 0, head = 0;
	char *end;
	ssize_t got;

	for (;;) {
		all[n] = '\0';
		end = strstr(all, "\r\n\r\n");
		if (end != NULL) {
			head = (size_t)(end - all) + 4;
			if (n >= head + body_length(all))
				break;
		}
		must(n + 1 < sizeof(all));
		got = read(fd, all + n, sizeof(all) - n - 1);
		if (got <= 0)
			return (false);
		n += (size_t)got;
	}
	must(head < sizeof(s->head) && n - head < sizeof(s->body));
	memcpy(s->body, all + head, n - head);
	s->body[n - head] = '\0';
	memcpy(s->head, all, head);
	s->head[head] = '\0';
	if (strncmp(s->head, "POST ", 5) == 0)
		memcpy(s->posted, s->body, n - head + 1);
	s->n_requests++;
	return (true);
}

/* As servers do that speak no TLS. */
static bool
is_handshake(int fd)
{
	char first = 0;

	return (recv(fd, &first, 1, MSG_PEEK) == 1 && first == 0x16);
}

static void
peer_interrupt(int fd)
{
	struct ucred peer;
	socklen_t n = sizeof(peer);

	must(getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &n) == 0);
	must(kill(peer.pid, SIGINT) == 0);
}

static void
answer_write(int fd, int status, const char *body)
{
	char *answer = xasprintf("HTTP/1.1 %d OK\r\nContent-Length: %zu\r\n"
				 "Connection: close\r\n\r\n%s",
	    status, strlen(body), body);
	size_t n = strlen(answer);

	must(write(fd, answer, n) == (ssize_t)n);
	free(answer);
}

static void
turn_answer(struct stub *s, int fd)
{
	const struct stub_turn *t = s->turns + s->turn;
	char wrong[512];

	if (t->request == NULL ||
	    strncmp(s->head, t->request, strlen(t->request)) != 0) {
		(void)snprintf(wrong, sizeof(wrong),
		    "{\"errors\":[{\"message\":\"turn %zu: %.*s\"}]}", s->turn,
		    (int)strcspn(s->head, "\r"), s->head);
		answer_write(fd, 500, wrong);
		return;
	}
	s->turn++;
	if (t->interrupt)
		peer_interrupt(fd);
	answer_write(fd, t->status, t->answer);
}

static void
connection_serve(struct stub *s, int fd)
{
	if (!is_handshake(fd) && request_read(s, fd)) {
		if (s->turns != NULL)
			turn_answer(s, fd);
		else
			answer_write(fd, s->status, s->answer);
	}
	(void)close(fd);
}

static void *
stub_serve(void *arg)
{
	struct stub *s = arg;
	int fd;

	/* stub_stop() shuts the listening socket down, which ends this. */
	while ((fd = accept(s->fd, NULL, NULL)) != -1)
		connection_serve(s, fd);
	return (NULL);
}

static int
listen_at(struct stub *s, const char *path)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	struct sockaddr_in sin = {
		.sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	socklen_t n = sizeof(sin);
	int fd;

	fd = socket(path != NULL ? AF_UNIX : AF_INET, SOCK_STREAM, 0);
	must(fd != -1);
	if (path != NULL) {
		(void)snprintf(s->path, sizeof(s->path), "%s", path);
		(void)snprintf(sun.sun_path, sizeof(sun.sun_path), "%s", path);
		must(bind(fd, (struct sockaddr *)&sun, sizeof(sun)) == 0);
	} else {
		must(bind(fd, (struct sockaddr *)&sin, sizeof(sin)) == 0);
		must(getsockname(fd, (struct sockaddr *)&sin, &n) == 0);
		s->port = ntohs(sin.sin_port);
	}
	must(listen(fd, 8) == 0);
	return (fd);
}

void
stub_start(struct stub *s, const char *path)
{
	pthread_t *thread = xcalloc(1, sizeof(*thread));

	s->path[0] = '\0';
	s->n_requests = 0;
	stub_expect(s, NULL);
	s->fd = listen_at(s, path);
	s->thread = thread;
	must(pthread_create(thread, NULL, stub_serve, s) == 0);
}

void
stub_stop(struct stub *s)
{
	pthread_t *thread = s->thread;

	(void)shutdown(s->fd, SHUT_RDWR);
	must(pthread_join(*thread, NULL) == 0);
	(void)close(s->fd);
	free(thread);
	if (s->path[0] != '\0')
		(void)unlink(s->path);
}

void
stub_expect(struct stub *s, const struct stub_turn *turns)
{
	s->turns = turns;
	s->turn = 0;
	s->posted[0] = '\0';
}

bool
stub_satisfied(const struct stub *s)
{
	return (s->turns[s->turn].request == NULL);
}

const char *
stub_header(const struct stub *s, const char *name, char *out, size_t n)
{
	const char *at = s->head;
	size_t len = strlen(name);

	out[0] = '\0';
	while ((at = strstr(at, "\r\n")) != NULL) {
		at += 2;
		if (strncasecmp(at, name, len) != 0 || at[len] != ':')
			continue;
		at += len + 1;
		at += strspn(at, " ");
		(void)snprintf(out, n, "%.*s", (int)strcspn(at, "\r"), at);
		break;
	}
	return (out);
}

/* --- files --------------------------------------------------------------- */

void
file_put(const char *path, const char *text)
{
	FILE *f = fopen(path, "we");

	must(f != NULL);
	must(fputs(text, f) >= 0);
	must(fclose(f) == 0);
}

void
environment_clear(void)
{
	static const char *const names[] = { "AWS_ACCESS_KEY_ID",
		"AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE",
		"AWS_SHARED_CREDENTIALS_FILE", "AWS_CONFIG_FILE", "AWS_REGION",
		"AWS_DEFAULT_REGION", "AWS_CA_BUNDLE", "SSL_CERT_FILE",
		"CURL_CA_BUNDLE", "AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_ECR",
		"REGISTRYD_ENDPOINT", "REGISTRYD_ACCOUNT_ID",
		"REGISTRYD_MASTER_KEY", "REGISTRYD_MASTER_KEY_FILE", "HOME",
		"http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY",
		"HTTPS_PROXY", "ALL_PROXY" };
	size_t i;

	for (i = 0; i < ARRAY_LEN(names); i++)
		must(unsetenv(names[i]) == 0);
}
