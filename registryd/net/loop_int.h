#ifndef NET_LOOP_INT_H
#define NET_LOOP_INT_H

#include <event2/event.h>

#include "registryd/net/loop.h"

/** loop_base(l): what the events of this room are made on. */
struct event_base *loop_base(struct loop *);

#endif
