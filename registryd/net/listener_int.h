#ifndef NET_LISTENER_INT_H
#define NET_LISTENER_INT_H

#include "registryd/net/listener.h"

#define LISTENER_MAGIC 0x4c697374u

struct listener {
	unsigned magic;
	int fd;
	char *name;
	char *path; /* of the socket file, or NULL */
};

#endif
