#include "registryd/sdnotify.h"

#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"

/* A path, or with '@' in front a name of the abstract space. */
static socklen_t
address_make(const char *name, struct sockaddr_un *sun)
{
	size_t n = strlen(name);

	if ((name[0] != '/' && name[0] != '@') || n < 2 ||
	    n > sizeof(sun->sun_path))
		return (0);
	memset(sun, 0, sizeof(*sun));
	sun->sun_family = AF_UNIX;
	memcpy(sun->sun_path, name, n);
	if (name[0] == '@')
		sun->sun_path[0] = '\0';
	return ((socklen_t)(offsetof(struct sockaddr_un, sun_path) + n));
}

static void
notify(const char *text)
{
	const char *name = getenv("NOTIFY_SOCKET");
	struct sockaddr_un sun;
	socklen_t n_sun;
	int fd;

	if (name == NULL || (n_sun = address_make(name, &sun)) == 0)
		return;
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd == -1 || sendto(fd, text, strlen(text), MSG_NOSIGNAL,
			    (struct sockaddr *)&sun, n_sun) == -1)
		log_errno("cannot tell the service manager (%s)", name);
	if (fd != -1)
		(void)close(fd);
}

void
sdnotify_ready(void)
{
	notify("READY=1");
}

/* A manager that waits for a reload wants to know when it began. */
void
sdnotify_reloading(void)
{
	char text[64];

	(void)snprintf(text, sizeof(text),
	    "RELOADING=1\nMONOTONIC_USEC=%" PRId64, clock_mono_ns() / 1000);
	notify(text);
}

void
sdnotify_stopping(void)
{
	notify("STOPPING=1");
}
