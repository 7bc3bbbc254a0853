#include "registryd/net/listener.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/num.h"
#include "base/obj.h"
#include "base/span.h"
#include "registryd/net/listener_int.h"

#define BACKLOG 4096

union socket_address {
	struct sockaddr sa;
	struct sockaddr_in in;
	struct sockaddr_in6 in6;
	struct sockaddr_un un;
};

/* What is being opened, and where to complain. */
struct opening {
	const char *address;
	union socket_address sa;
	socklen_t n_sa;
	bool private;
	char *why;
	size_t n_why;
};

static enum rc __attribute__((format(printf, 3, 4)))
complain(struct opening *o, enum rc rc, const char *fmt, ...)
{
	char text[256];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	(void)snprintf(o->why, o->n_why, "%s: %s", o->address, text);
	return (rc);
}

static enum rc
complain_errno(struct opening *o, const char *what)
{
	int err = errno;
	enum rc rc = rc_of_errno(err);

	if (err == EADDRINUSE)
		return (complain(o, RC_BUSY, "the address is in use"));
	if (err == EADDRNOTAVAIL)
		return (complain(
		    o, RC_INVALID, "this machine has no such address"));
	return (complain(o, rc, "%s: %s", what, strerror(err)));
}

/* "ADDRESS:PORT" or "[ADDRESS]:PORT". */
static enum rc
parse_inet(struct opening *o)
{
	const char *colon = strrchr(o->address, ':');
	struct span host;
	struct addr a;
	uint64_t port;

	if (colon == NULL || num_u64(span_of(colon + 1), 65535, &port) != RC_OK)
		return (complain(o, RC_INVALID,
		    "not ADDRESS:PORT, [ADDRESS]:PORT or unix:PATH"));
	host = (struct span){ o->address, (size_t)(colon - o->address) };
	if (host.n > 2 && host.p[0] == '[' && host.p[host.n - 1] == ']')
		host = (struct span){ host.p + 1, host.n - 2 };
	if (addr_parse(host, &a) != RC_OK || a.kind == ADDR_UNIX)
		return (complain(o, RC_INVALID, "not an IP address"));
	if (a.kind == ADDR_V4) {
		o->sa.in.sin_family = AF_INET;
		o->sa.in.sin_port = htons((uint16_t)port);
		memcpy(&o->sa.in.sin_addr, a.bytes, 4);
		o->n_sa = sizeof(o->sa.in);
	} else {
		o->sa.in6.sin6_family = AF_INET6;
		o->sa.in6.sin6_port = htons((uint16_t)port);
		memcpy(&o->sa.in6.sin6_addr, a.bytes, 16);
		o->n_sa = sizeof(o->sa.in6);
	}
	return (RC_OK);
}

static enum rc
parse(struct opening *o)
{
	struct span s = span_of(o->address);

	if (!span_has_prefix(s, SPAN("unix:")))
		return (parse_inet(o));
	s = (struct span){ s.p + 5, s.n - 5 };
	if (s.n == 0 || s.n >= sizeof(o->sa.un.sun_path))
		return (complain(o, RC_INVALID,
		    "a socket's path has 1 to %zu bytes",
		    sizeof(o->sa.un.sun_path) - 1));
	o->sa.un.sun_family = AF_UNIX;
	memcpy(o->sa.un.sun_path, s.p, s.n + 1);
	o->n_sa = sizeof(o->sa.un);
	return (RC_OK);
}

/*
 * Options are inherited by the connections.  TCP_NODELAY: an answer goes out
 * in one piece or, before a file, with MSG_MORE, so there is nothing to wait
 * for.
 */
static void
set_options(struct opening *o, int fd)
{
	static const int one = 1;

	if (o->sa.sa.sa_family == AF_UNIX) {
		/* On the socket, before it is bound: there is no moment
		 * with another mode. */
		if (o->private)
			(void)fchmod(fd, S_IRUSR | S_IWUSR);
		return;
	}
	(void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	if (o->sa.sa.sa_family == AF_INET6)
		(void)setsockopt(
		    fd, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof(one));
}

/* Is there a socket file that nobody listens on? */
static bool
is_dead(struct opening *o)
{
	struct stat st;
	bool dead;
	int fd;

	if (o->sa.sa.sa_family != AF_UNIX ||
	    lstat(o->sa.un.sun_path, &st) == -1 || !S_ISSOCK(st.st_mode))
		return (false);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd == -1)
		return (false);
	dead = connect(fd, &o->sa.sa, o->n_sa) == -1 && errno == ECONNREFUSED;
	(void)close(fd);
	return (dead);
}

static enum rc
bind_it(struct opening *o, int fd)
{
	if (bind(fd, &o->sa.sa, o->n_sa) == 0)
		return (RC_OK);
	if (errno != EADDRINUSE)
		return (complain_errno(o, "cannot bind"));
	if (!is_dead(o))
		return (complain(o, RC_BUSY, "the address is in use"));
	if (unlink(o->sa.un.sun_path) == -1 ||
	    bind(fd, &o->sa.sa, o->n_sa) == -1)
		return (complain_errno(o, "cannot take the socket file over"));
	return (RC_OK);
}

/* A socket that is not private is open to all, as a TCP port is: the umask,
 * which keeps others out of the data, is not meant for it. */
static enum rc
open_to_all(struct opening *o)
{
	if (o->sa.sa.sa_family != AF_UNIX || o->private)
		return (RC_OK);
	if (chmod(o->sa.un.sun_path, 0666) == -1)
		return (complain_errno(o, "cannot open the socket to others"));
	return (RC_OK);
}

static char *
name_of(struct opening *o, int fd)
{
	socklen_t n = sizeof(o->sa);
	char text[ADDR_TEXT_BYTES];
	struct addr a;

	if (o->sa.sa.sa_family == AF_UNIX)
		return (xstrdup(o->address));
	must(getsockname(fd, &o->sa.sa, &n) == 0);
	/* Not addr_of(): a mapped address is bound as IPv6. */
	if (o->sa.sa.sa_family == AF_INET6) {
		must(inet_ntop(AF_INET6, &o->sa.in6.sin6_addr, text,
			 sizeof(text)) != NULL);
		return (xasprintf("[%s]:%u", text, ntohs(o->sa.in6.sin6_port)));
	}
	a = addr_of(&o->sa.sa);
	return (
	    xasprintf("%s:%u", addr_text(&a, text), ntohs(o->sa.in.sin_port)));
}

enum rc
listener_open(const char *address, bool private, char *why, size_t n_why,
    struct listener **l_r)
{
	struct opening o = { .address = address,
		.private = private,
		.why = why,
		.n_why = n_why };
	struct listener *l;
	enum rc rc;
	int fd;

	why[0] = '\0';
	if ((rc = parse(&o)) != RC_OK)
		return (rc);
	fd = socket(
	    o.sa.sa.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd == -1)
		return (complain_errno(&o, "cannot make a socket"));
	set_options(&o, fd);
	if ((rc = bind_it(&o, fd)) != RC_OK)
		goto err;
	if ((rc = open_to_all(&o)) != RC_OK)
		goto err;
	if (listen(fd, BACKLOG) == -1) {
		rc = complain_errno(&o, "cannot listen");
		goto err;
	}
	l = xcalloc(1, sizeof(*l));
	l->magic = LISTENER_MAGIC;
	l->fd = fd;
	l->name = name_of(&o, fd);
	if (o.sa.sa.sa_family == AF_UNIX)
		l->path = xstrdup(o.sa.un.sun_path);
	*l_r = l;
	return (RC_OK);

err:
	(void)close(fd);
	return (rc);
}

void
listener_close(struct listener **lp)
{
	struct listener *l = *lp;

	*lp = NULL;
	if (l == NULL)
		return;
	OBJ_CHECK(l, LISTENER_MAGIC);
	if (l->path != NULL)
		(void)unlink(l->path);
	(void)close(l->fd);
	free(l->path);
	free(l->name);
	l->magic = 0;
	free(l);
}

const char *
listener_name(const struct listener *l)
{
	OBJ_CHECK(l, LISTENER_MAGIC);
	return (l->name);
}
