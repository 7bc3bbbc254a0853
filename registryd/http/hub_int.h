#ifndef HTTP_HUB_INT_H
#define HTTP_HUB_INT_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "base/clock.h"
#include "registryd/http/proxy.h"
#include "registryd/http/server.h"
#include "registryd/net/bufpool.h"
#include "registryd/net/caps.h"
#include "registryd/net/deadline.h"
#include "registryd/net/listener.h"
#include "registryd/net/loop.h"
#include "registryd/net/workers.h"

/*
 * What the connections of one loop share, and what all loops share.
 */
struct tls_context;
struct http_conn;
struct msg;

/* Settings at one moment; immutable, one reference for each hub that uses
 * it, the last of which frees it. */
struct conf {
	atomic_uint references;
	struct http_limits limits;
	struct proxies proxies;
	struct tls_context **tls; /* for each listener; NULL: plain */
	size_t n_listeners;
	size_t msg_bytes; /* of a struct msg with its headers and bytes */
};

/** conf_new(config, why, conf_r): RC_INVALID. */
RC_MUST_USE enum rc conf_new(const struct http_server_config *,
    char why[HTTP_WHY_BYTES], struct conf **conf_r);
struct conf *conf_use(struct conf *);
/** conf_drop(c): takes NULL. */
void conf_drop(struct conf **);

/* Kinds of deadlines. */
enum wait_kind {
	WAIT_IDLE,
	WAIT_HEADER,
	WAIT_BODY,
	WAIT_DRAIN,
	WAIT_FLUSH, /* of a buffer that fills slowly */
	WAIT_TRIM,  /* of memory that was not needed lately */
};

#define DRAIN_BYTES ((size_t)1024 * 1024)
#define DRAIN_MS 1000
#define FLUSH_MS 250
#define TRIM_MS 2000
/* So many connections less, and the heap is worth a look. */
#define TRIM_CONNECTIONS 200

/* Memory that a step may use until it returns. */
#define SCRATCH_BYTES ((size_t)64 * 1024)

/* Figures, written by the hub's thread and read by any. */
struct hub_stats {
	atomic_uint connections, idle, streaming;
	_Atomic uint64_t accepted, refused, handshakes, handshake_failures;
};

#define HUB_MAGIC 0x48756230u

struct hub {
	unsigned magic;
	unsigned index;
	struct http_server *server;
	struct loop *loop;
	struct deadlines *deadlines;
	struct conf *conf;
	pthread_t thread;
	bool started;
	bool stopping;
	struct acceptor **acceptors;
	struct accept_point *accept_points;
	LIST_HEAD(conn_list, http_conn) conns;
	char *scratch;

	/* kept for the next */
	struct msg *free_msgs;
	unsigned n_free_msgs, low_free_msgs;
	struct http_conn *free_conns;
	unsigned n_free_conns;
	struct deadline trim;
	unsigned most_conns; /* since memory was last given back */

	/* the second of the Date header, and when it was last looked at */
	char date[CLOCK_HTTP_BYTES];
	int64_t date_s, date_read_ns;
	uint64_t random[2];

	atomic_bool pressed; /* the pressure task is out */
	struct loop_task pressure;
	struct hub_stats stats;
};

/* A listener as one hub accepts from it. */
struct accept_point {
	struct hub *hub;
	unsigned listener;
};

#define SERVER_MAGIC 0x53657276u

struct http_server {
	unsigned magic;
	struct http_app app;
	struct http_listener_config *configs; /* deep copies */
	struct listener **listeners;
	char **urls;
	uid_t uid;
	size_t n_listeners;
	struct conf *conf; /* the newest; by whoever calls start and reload */
	struct hub *hubs;
	unsigned n_hubs;
	struct workers *workers; /* handlers, which may wait for a commit */
	struct workers *lanes;	 /* bodies on their way to the disk */
	struct bufpool *buffers;
	struct caps *caps;
	_Atomic uint64_t gathered_bytes; /* by bodies in memory */
	atomic_uint connections, max_connections;
	struct job heap_trim; /* one at a time: */
	atomic_bool heap_trimming;
	atomic_bool stopping;
	atomic_uint parked; /* messages that wait to be woken, and wakers that
			       have not yet let go of their loop */

	pthread_mutex_t lock; /* of what follows */
	pthread_cond_t change;
	unsigned calls_out; /* hub_call_all() */
};

/* hub.c */

/** hub_init(h, server, index): RC_LIMIT. */
RC_MUST_USE enum rc
hub_init(struct hub *, struct http_server *, unsigned index);
RC_MUST_USE enum rc hub_start(struct hub *);
/** hub_fini(h): its thread has ended. */
void hub_fini(struct hub *);
void hub_use_conf(struct hub *, struct conf *);
/** hub_call_all(s, fn): run ${fn} on each hub's thread; returns when all
 * have. */
void hub_call_all(struct http_server *, void (*fn)(struct hub *));
/** hub_date(h): for the Date header. */
struct span hub_date(struct hub *);
/** hub_random_id(h, out): 32 hex digits and a NUL. */
void hub_random_id(struct hub *, char out[HTTP_REQUEST_ID_BYTES]);
/** hub_press(h): a body waits for a buffer: let nobody sit on one. */
void hub_press_all(struct http_server *);
void hub_trim_later(struct hub *);
void hub_stop(struct hub *);
void hub_cut(struct hub *);
void hub_quit(struct hub *);
void hub_reload(struct hub *);

/* server_accept.c */

/* A connection that was let in. */
struct arrival {
	unsigned listener;
	int fd;
	bool counted; /* in the caps */
	struct addr peer;
};

/** server_accept(point, fd, peer): the accept_fn of all listeners. */
void server_accept(void *point, int fd, const struct addr *peer);
/** server_left(h, peer, counted): a connection that was let in is over. */
void server_left(struct hub *, const struct addr *, bool counted);

static inline void
stat_add(_Atomic uint64_t *n)
{
	atomic_fetch_add_explicit(n, 1, memory_order_relaxed);
}

#endif
