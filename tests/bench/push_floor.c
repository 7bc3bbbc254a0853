/*
 * push_floor DIR: the least that a push can cost.
 *
 * Receive on a socket, SHA-256, write, fsync, answer with the digest: one
 * thread for each client, nothing else.  No HTTP, no sessions, no metadata, no
 * rename, no folder sync.  A registry that comes near it wastes little.
 *
 * On a connection a push is eight bytes of length (native order), the content,
 * and then 32 bytes of digest back; pushes follow one another.  Prints
 * "listening on PORT" and runs until it is killed.
 */

#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>

#include "base/thread.h"
#include "tests/bench/bench.h"

#define FLOOR_BUFFER_BYTES ((size_t)256 * 1024)

struct floor_client {
	int fd;
	const char *dir;
	char *buf;
	EVP_MD_CTX *ctx;
};

static _Atomic unsigned floor_files;

static void
floor_write(int fd, const char *p, size_t n)
{
	ssize_t done;

	while (n > 0) {
		if ((done = write(fd, p, n)) < 0)
			bench_die("write: %s", strerror(errno));
		p += done;
		n -= (size_t)done;
	}
}

static void
floor_take(struct floor_client *c, int file, uint64_t left)
{
	ssize_t got;

	while (left > 0) {
		got = recv(c->fd, c->buf,
		    left < FLOOR_BUFFER_BYTES ? left : FLOOR_BUFFER_BYTES,
		    MSG_WAITALL);
		if (got <= 0)
			bench_die("recv: %s", strerror(errno));
		EVP_DigestUpdate(c->ctx, c->buf, (size_t)got);
		floor_write(file, c->buf, (size_t)got);
		left -= (uint64_t)got;
	}
}

static void
floor_push(struct floor_client *c, uint64_t length)
{
	char path[4096];
	uint8_t md[32];
	int file;

	snprintf(path, sizeof(path), "%s/%u", c->dir,
	    atomic_fetch_add(&floor_files, 1));
	file = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (file == -1)
		bench_die("%s: %s", path, strerror(errno));
	EVP_DigestInit_ex(c->ctx, EVP_sha256(), NULL);
	floor_take(c, file, length);
	EVP_DigestFinal_ex(c->ctx, md, NULL);
	if (fsync(file) == -1 || close(file) == -1)
		bench_die("%s: %s", path, strerror(errno));
	if (send(c->fd, md, sizeof(md), MSG_NOSIGNAL) != sizeof(md))
		bench_die("send: %s", strerror(errno));
}

static void
floor_serve(void *arg)
{
	struct floor_client *c = arg;
	uint64_t length;

	while (
	    recv(c->fd, &length, sizeof(length), MSG_WAITALL) == sizeof(length))
		floor_push(c, length);
	close(c->fd);
	EVP_MD_CTX_free(c->ctx);
	free(c->buf);
	free(c);
}

static void
floor_accept(int listener, const char *dir)
{
	struct floor_client *c = xcalloc(1, sizeof(*c));
	pthread_t thread;

	if ((c->fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC)) == -1)
		bench_die("accept: %s", strerror(errno));
	c->dir = dir;
	c->buf = xmalloc(FLOOR_BUFFER_BYTES);
	if ((c->ctx = EVP_MD_CTX_new()) == NULL ||
	    thread_start("client", floor_serve, c, &thread) != RC_OK)
		bench_die("no thread for a client");
	pthread_detach(thread);
}

int
main(int argc, char **argv)
{
	struct sockaddr_in at = {
		.sin_family = AF_INET,
		.sin_addr = { htonl(INADDR_LOOPBACK) },
	};
	socklen_t n = sizeof(at);
	int fd;

	if (argc != 2)
		bench_die("usage: push_floor DIR");
	if ((fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) == -1 ||
	    bind(fd, (struct sockaddr *)&at, sizeof(at)) == -1 ||
	    listen(fd, 1024) == -1 ||
	    getsockname(fd, (struct sockaddr *)&at, &n) == -1)
		bench_die("listen: %s", strerror(errno));
	printf("listening on %u\n", ntohs(at.sin_port));
	fflush(stdout);
	for (;;)
		floor_accept(fd, argv[1]);
}
