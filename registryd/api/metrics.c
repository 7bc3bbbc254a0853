#include "registryd/api/service.h"

#include <dirent.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/metrics.h"
#include "base/num.h"
#include "base/obj.h"
#include "mirror/cache.h"
#include "registryd/api/metrics_upstreams.h"
#include "registryd/jobs.h"
#include "registryd/mirrors.h"
#include "registryd/route.h"
#include "registryd/service.h"
#include "registryd/traffic.h"
#include "storage/images.h"
#include "storage/replication.h"

/*
 * The figures that are found when somebody asks.  What is counted as it
 * happens (requests, latency, bytes) is registered where it happens.
 */
#define METRICS_TYPE "text/plain; version=0.0.4; charset=utf-8"
#define METRICS_MAX_BYTES ((size_t)4 << 20)

/* All that a scrape looks at, asked once for all. */
struct figures {
	struct store_stats store;
	struct http_server_stats http;
	uint64_t store_failed, map_used_pages;
	uint64_t collections, collections_failed, gc_running;
	uint64_t links, blobs, bytes, collected_s;
	uint64_t runs, runs_failed, runs_stopped, run_running;
	uint64_t expired, archived, ran_s;
	struct cache_stats cache;
	struct mirrors_counts mirrors;
	uint64_t mirrors_running, mirrored_s;
	uint64_t replications, replicated, replications_failed;
	uint64_t scans_waiting, scans_completed, scans_failed;
	uint64_t scans_unsupported, scans_again, scan_layers, scan_bytes;
	struct service_scan_state scan;
	uint64_t started_s, rss_bytes, open_fds, max_fds;
	uint64_t one;
};

struct figure {
	struct metric metric;
	size_t offset, size_bytes; /* in struct figures */
};

#define FROM(member) \
	.offset = offsetof(struct figures, member), \
	.size_bytes = sizeof(((struct figures *)0)->member)

#define ROW(kind_, name_, labels_, member, help_) \
	{ \
		.metric = { .name = name_, \
			.help = help_, \
			.labels = labels_, \
			.kind = METRIC_##kind_ }, \
		FROM(member) \
	}

/* clang-format off */
static struct figure figures[] = {
	ROW(GAUGE, "registryd_build_info",
	    "version=\"" REGISTRYD_VERSION "\"", one,
	    "1; the version is the label"),

	ROW(GAUGE, "registryd_connections", "", http.connections,
	    "Open connections"),
	ROW(GAUGE, "registryd_connections_idle", "", http.connections_idle,
	    "Open connections between two requests"),
	ROW(COUNTER, "registryd_connections_accepted_total", "", http.accepted,
	    "Connections accepted"),
	ROW(COUNTER, "registryd_connections_refused_total", "",
	    http.refused_limit, "Connections refused because of a limit"),
	ROW(COUNTER, "registryd_tls_handshakes_total", "",
	    http.tls_handshakes, "TLS handshakes completed"),
	ROW(COUNTER, "registryd_tls_handshake_failures_total", "",
	    http.tls_failures, "TLS handshakes that failed"),
	ROW(GAUGE, "registryd_uploads_streaming", "", http.uploads_streaming,
	    "Bodies that are arriving now"),
	ROW(GAUGE, "registryd_upload_buffers_used", "", http.buffers_used,
	    "Buffers of 256 KiB in use by arriving bodies"),
	ROW(GAUGE, "registryd_upload_buffers_waiting", "",
	    http.buffers_waiting, "Arriving bodies that wait for a buffer"),
	ROW(GAUGE, "registryd_worker_queue_depth", "", http.worker_queue,
	    "Work that waits for a worker thread"),

	ROW(GAUGE, "registryd_repositories", "", store.repositories,
	    "Repositories"),
	ROW(GAUGE, "registryd_manifests", "", store.manifests, "Manifests"),
	ROW(GAUGE, "registryd_tags", "", store.tags, "Tags"),
	ROW(GAUGE, "registryd_referrers", "", store.referrers,
	    "Manifests that refer to a subject"),
	ROW(GAUGE, "registryd_upload_sessions", "", store.upload_sessions,
	    "Unfinished uploads"),
	ROW(GAUGE, "registryd_blobs", "location=\"database\"",
	    store.inline_blobs, "Blobs stored"),
	ROW(GAUGE, "registryd_blobs", "location=\"file\"", store.file_blobs,
	    "Blobs stored"),
	ROW(GAUGE, "registryd_blobs", "location=\"archive\"",
	    store.archived_blobs, "Blobs stored"),
	ROW(GAUGE, "registryd_stored_bytes", "location=\"database\"",
	    store.inline_bytes, "Bytes of the blobs stored"),
	ROW(GAUGE, "registryd_stored_bytes", "location=\"file\"",
	    store.file_bytes, "Bytes of the blobs stored"),
	ROW(GAUGE, "registryd_stored_bytes", "location=\"archive\"",
	    store.archived_stored_bytes, "Bytes of the blobs stored"),
	ROW(GAUGE, "registryd_archived_content_bytes", "",
	    store.archived_bytes,
	    "Bytes of the blobs in the archive before they were compressed"),
	ROW(GAUGE, "registryd_blob_links", "", store.blob_links,
	    "Blobs counted once for each repository they are in"),
	ROW(GAUGE, "registryd_unreferenced_blobs", "",
	    store.unreferenced_blobs, "Blobs that nothing references"),
	ROW(GAUGE, "registryd_unreferenced_bytes", "",
	    store.unreferenced_bytes,
	    "Bytes of the blobs that nothing references"),

	ROW(GAUGE, "registryd_idle_links", "", store.idle_links,
	    "Blobs of a repository that no image needs, before a collection"),
	ROW(GAUGE, "registryd_deleted_images", "", store.deleted_images,
	    "Deleted images that can be restored"),

	ROW(COUNTER, "registryd_gc_collections_total", "outcome=\"done\"",
	    collections, "Collections of what nobody needs any more"),
	ROW(COUNTER, "registryd_gc_collections_total", "outcome=\"failed\"",
	    collections_failed, "Collections of what nobody needs any more"),
	ROW(COUNTER, "registryd_gc_links_total", "", links,
	    "Blobs removed from a repository by collections"),
	ROW(COUNTER, "registryd_gc_blobs_total", "", blobs,
	    "Blobs removed from the store by collections"),
	ROW(COUNTER, "registryd_gc_bytes_total", "", bytes,
	    "Bytes of the blobs removed from the store by collections"),
	ROW(GAUGE, "registryd_gc_running", "", gc_running,
	    "1 while a collection runs"),
	ROW(GAUGE, "registryd_gc_last_success_timestamp_seconds", "",
	    collected_s, "When a collection was done last, in seconds since "
	    "1970; 0: not since the start"),

	ROW(COUNTER, "registryd_lifecycle_runs_total", "outcome=\"done\"",
	    runs, "Lifecycle policies carried out, of one repository each"),
	ROW(COUNTER, "registryd_lifecycle_runs_total", "outcome=\"failed\"",
	    runs_failed,
	    "Lifecycle policies carried out, of one repository each"),
	ROW(COUNTER, "registryd_lifecycle_runs_total", "outcome=\"stopped\"",
	    runs_stopped,
	    "Lifecycle policies carried out, of one repository each"),
	ROW(COUNTER, "registryd_lifecycle_expired_total", "", expired,
	    "Images that lifecycle policies expired"),
	ROW(COUNTER, "registryd_lifecycle_archived_total", "", archived,
	    "Images that lifecycle policies archived"),
	ROW(GAUGE, "registryd_lifecycle_running", "", run_running,
	    "1 while a lifecycle policy is carried out"),
	ROW(GAUGE, "registryd_lifecycle_last_success_timestamp_seconds", "",
	    ran_s, "When a lifecycle policy was carried out last, in seconds "
	    "since 1970; 0: not since the start"),

	ROW(COUNTER, "registryd_cache_requests_total", "outcome=\"hit\"",
	    cache.hits, "Pulls below a rule of the pull through cache that "
	    "asked no upstream, and those served stale as it failed"),
	ROW(COUNTER, "registryd_cache_requests_total", "outcome=\"stale\"",
	    cache.stale, "Pulls below a rule of the pull through cache that "
	    "asked no upstream, and those served stale as it failed"),
	ROW(COUNTER, "registryd_cache_imports_total", "what=\"manifest\"",
	    cache.manifests, "What the pull through cache fetched"),
	ROW(COUNTER, "registryd_cache_imports_total", "what=\"referrers\"",
	    cache.referrers, "What the pull through cache fetched"),
	ROW(COUNTER, "registryd_cache_imports_total", "what=\"blob\"",
	    cache.blobs, "What the pull through cache fetched"),
	ROW(COUNTER, "registryd_cache_import_bytes_total", "",
	    cache.blob_bytes, "Bytes of the blobs that it fetched"),
	ROW(COUNTER, "registryd_cache_checks_same_total", "",
	    cache.manifests_same,
	    "Tags that the upstream was asked for and that were the same"),
	ROW(GAUGE, "registryd_cache_fills", "", cache.fills,
	    "Blobs that are being fetched now"),
	ROW(COUNTER, "registryd_cache_fills_joined_total", "", cache.joined,
	    "Requests that joined the fetching of a blob by others"),
	ROW(COUNTER, "registryd_cache_fills_resumed_total", "", cache.resumed,
	    "Times that the fetching of a blob went on after it broke off"),
	ROW(COUNTER, "registryd_cache_blobs_adopted_total", "", cache.adopted,
	    "Blobs that were in the registry already and were only linked"),
	ROW(COUNTER, "registryd_cache_failures_total", "why=\"failed\"",
	    cache.failed, "What could not be fetched from an upstream"),
	ROW(COUNTER, "registryd_cache_failures_total",
	    "why=\"wrong-digest\"", cache.wrong_digest,
	    "What could not be fetched from an upstream"),
	ROW(COUNTER, "registryd_cache_negative_total", "", cache.negative,
	    "Requests answered by what an upstream refused shortly before"),
	ROW(COUNTER, "registryd_cache_evicted_total", "", cache.evicted,
	    "Imported images given up as the cache was full"),
	ROW(COUNTER, "registryd_cache_evicted_bytes_total", "",
	    cache.evicted_bytes, "Bytes that these needed"),

	ROW(COUNTER, "registryd_mirror_runs_total", "outcome=\"done\"",
	    mirrors.done, "Runs of mirrors"),
	ROW(COUNTER, "registryd_mirror_runs_total", "outcome=\"incomplete\"",
	    mirrors.incomplete, "Runs of mirrors"),
	ROW(COUNTER, "registryd_mirror_runs_total", "outcome=\"failed\"",
	    mirrors.failed, "Runs of mirrors"),
	ROW(COUNTER, "registryd_mirror_runs_total", "outcome=\"stopped\"",
	    mirrors.stopped, "Runs of mirrors"),
	ROW(COUNTER, "registryd_mirror_images_total", "outcome=\"copied\"",
	    mirrors.images, "Tags that runs of mirrors changed"),
	ROW(COUNTER, "registryd_mirror_images_total", "outcome=\"deleted\"",
	    mirrors.deleted, "Tags that runs of mirrors changed"),
	ROW(COUNTER, "registryd_mirror_bytes_total", "", mirrors.bytes,
	    "Bytes that runs of mirrors moved"),
	ROW(GAUGE, "registryd_mirror_running", "", mirrors_running,
	    "1 while a mirror is carried out"),
	ROW(GAUGE, "registryd_mirror_last_success_timestamp_seconds", "",
	    mirrored_s, "When a mirror was in step last, in seconds since "
	    "1970; 0: not since the start"),

	ROW(GAUGE, "registryd_replication_queue", "", replications,
	    "Images that wait to be sent to a destination"),
	ROW(COUNTER, "registryd_replication_images_total", "outcome=\"sent\"",
	    replicated, "Images sent to a destination, or given up"),
	ROW(COUNTER, "registryd_replication_images_total",
	    "outcome=\"failed\"", replications_failed,
	    "Images sent to a destination, or given up"),

	ROW(GAUGE, "registryd_scan_queue", "", scans_waiting,
	    "Images whose scan has been started and has not ended"),
	ROW(GAUGE, "registryd_scan_running", "", scan.running,
	    "Images that are being scanned"),
	ROW(COUNTER, "registryd_scans_total", "outcome=\"complete\"",
	    scans_completed, "Scans that ended"),
	ROW(COUNTER, "registryd_scans_total", "outcome=\"failed\"",
	    scans_failed, "Scans that ended"),
	ROW(COUNTER, "registryd_scans_total", "outcome=\"unsupported\"",
	    scans_unsupported, "Scans that ended"),
	ROW(COUNTER, "registryd_scan_layers_total", "", scan_layers,
	    "Layers read for scans"),
	ROW(COUNTER, "registryd_scan_layer_bytes_total", "", scan_bytes,
	    "Bytes of these, as they are stored"),
	ROW(COUNTER, "registryd_scan_matched_again_total", "", scans_again,
	    "Images matched with advisories that came after their scan"),

	ROW(GAUGE, "registryd_lmdb_map_bytes", "", store.map_bytes,
	    "Size of the database's memory map"),
	ROW(GAUGE, "registryd_lmdb_used_bytes", "", store.map_used_bytes,
	    "Bytes of the database in use"),
	ROW(GAUGE, "registryd_lmdb_used_pages", "", map_used_pages,
	    "Pages of the database in use"),
	ROW(GAUGE, "registryd_lmdb_page_bytes", "", store.page_bytes,
	    "Size of a page of the database"),
	ROW(GAUGE, "registryd_commit_queue_depth", "", store.commit_queue,
	    "Changes that wait for the committer"),
	ROW(COUNTER, "registryd_commits_total", "", store.commits,
	    "Commits of the database"),
	ROW(COUNTER, "registryd_commit_operations_total", "",
	    store.commit_ops, "Changes committed; many share one commit"),
	ROW(GAUGE, "registryd_disk_free_bytes", "", store.disk_free_bytes,
	    "Free bytes of the filesystem that holds the data"),
	ROW(GAUGE, "registryd_disk_reserve_bytes", "",
	    store.disk_reserve_bytes,
	    "Free bytes below which uploads are refused"),
	ROW(GAUGE, "registryd_ballast_bytes", "", store.ballast_bytes,
	    "Set aside for deleting when the disk is full; 0: given up"),
	ROW(GAUGE, "registryd_archive_away", "", store.archive_away,
	    "1 while the archive with the content of this registry is not "
	    "there"),
	ROW(GAUGE, "registryd_store_failed", "", store_failed,
	    "1 after a failed sync: nothing is written until a restart"),

	ROW(GAUGE, "process_start_time_seconds", "", started_s,
	    "When the process started, in seconds since 1970"),
	ROW(GAUGE, "process_resident_memory_bytes", "", rss_bytes,
	    "Resident memory"),
	ROW(GAUGE, "process_open_fds", "", open_fds, "Open file descriptors"),
	ROW(GAUGE, "process_max_fds", "", max_fds,
	    "Most file descriptors that may be open"),
};
/* clang-format on */

void
metrics_init(void)
{
	size_t i;

	for (i = 0; i < ARRAY_LEN(figures); i++)
		metric_register(&figures[i].metric);
}

/* The second number of /proc/self/statm, in pages. */
static uint64_t
resident_bytes(void)
{
	char text[128];
	struct span rest = { text, 0 }, word;
	uint64_t pages = 0;
	ssize_t n;
	int fd;

	if ((fd = open("/proc/self/statm", O_RDONLY | O_CLOEXEC)) == -1)
		return (0);
	n = read(fd, text, sizeof(text));
	(void)close(fd);
	if (n > 0)
		rest.n = (size_t)n;
	(void)span_split(&rest, ' ', &word); /* the whole size */
	if (!span_split(&rest, ' ', &word) ||
	    num_u64(word, UINT32_MAX, &pages) != RC_OK)
		return (0);
	return (pages * (uint64_t)sysconf(_SC_PAGESIZE));
}

/* Not counting ".", "..", and the one that counts. */
static uint64_t
descriptors_open(void)
{
	uint64_t n = 0;
	DIR *d = opendir("/proc/self/fd");

	if (d == NULL)
		return (0);
	while (readdir(d) != NULL)
		n++;
	(void)closedir(d);
	return (n > 3 ? n - 3 : 0);
}

static void
figures_ask_counts(struct service *svc, struct figures *f)
{
	struct service_counts *n = &svc->counts;
	char now[NAME_REPOSITORY_MAX_BYTES + 1];

	f->collections = atomic_load(&n->collections);
	f->collections_failed = atomic_load(&n->collections_failed);
	f->gc_running = jobs_gc_running(svc->jobs);
	f->links = atomic_load(&n->links);
	f->blobs = atomic_load(&n->blobs);
	f->bytes = atomic_load(&n->bytes);
	f->collected_s = (uint64_t)(atomic_load(&n->collected_ms) / 1000);
	f->runs = atomic_load(&n->runs);
	f->runs_failed = atomic_load(&n->runs_failed);
	f->runs_stopped = atomic_load(&n->runs_stopped);
	service_lifecycle_now(svc, now);
	f->run_running = now[0] != '\0';
	f->expired = atomic_load(&n->expired);
	f->archived = atomic_load(&n->archived);
	f->ran_s = (uint64_t)(atomic_load(&n->ran_ms) / 1000);
}

static void
figures_ask_others(struct service *svc, struct figures *f)
{
	struct service_counts *n = &svc->counts;

	if (svc->cache != NULL)
		cache_stats(svc->cache, &f->cache);
	mirrors_count(svc->mirrors, &f->mirrors);
	f->mirrors_running = f->mirrors.running;
	f->mirrored_s = (uint64_t)(f->mirrors.done_ms / 1000);
	if (meta_replication_count(store_meta(svc->store), &f->replications) !=
	    RC_OK)
		f->replications = 0;
	f->replicated = atomic_load(&n->replicated);
	f->replications_failed = atomic_load(&n->replications_failed);
}

static void
figures_ask_scans(struct service *svc, struct figures *f)
{
	struct service_counts *n = &svc->counts;

	service_scan_state(svc, &f->scan);
	f->scans_waiting = meta_scan_waiting(store_meta(svc->store));
	f->scans_completed = atomic_load(&n->scans_completed);
	f->scans_failed = atomic_load(&n->scans_failed);
	f->scans_unsupported = atomic_load(&n->scans_unsupported);
	f->scans_again = f->scan.matched;
	f->scan_layers = atomic_load(&n->scan_layers);
	f->scan_bytes = atomic_load(&n->scan_bytes);
}

static void
figures_ask(struct service *svc, struct figures *f)
{
	struct http_server *server = atomic_load(&svc->server);
	struct rlimit lim;

	memset(f, 0, sizeof(*f));
	store_stats(svc->store, &f->store);
	if (server != NULL)
		http_server_stats(server, &f->http);
	f->store_failed = store_failed(svc->store);
	if (f->store.page_bytes > 0)
		f->map_used_pages =
		    f->store.map_used_bytes / f->store.page_bytes;
	figures_ask_counts(svc, f);
	figures_ask_scans(svc, f);
	figures_ask_others(svc, f);
	f->started_s = (uint64_t)(svc->started_ms / 1000);
	f->rss_bytes = resident_bytes();
	f->open_fds = descriptors_open();
	if (getrlimit(RLIMIT_NOFILE, &lim) == 0)
		f->max_fds = lim.rlim_cur;
	f->one = 1;
}

static void
figures_set(const struct figures *f)
{
	const char *base = (const char *)f;
	struct figure *to;
	unsigned narrow;
	uint64_t n;
	size_t i;

	for (i = 0; i < ARRAY_LEN(figures); i++) {
		to = &figures[i];
		if (to->size_bytes == sizeof(narrow)) {
			memcpy(&narrow, base + to->offset, sizeof(narrow));
			n = narrow;
		} else {
			must(to->size_bytes == sizeof(n));
			memcpy(&n, base + to->offset, sizeof(n));
		}
		atomic_store_explicit(
		    &to->metric.value, (int64_t)n, memory_order_relaxed);
	}
}

/* The one that is no whole number. */
static void
cpu_render(struct buf *out)
{
	struct rusage u;

	if (getrusage(RUSAGE_SELF, &u) == -1)
		return;
	buf_printf(out,
	    "# HELP process_cpu_seconds_total Processor time used\n"
	    "# TYPE process_cpu_seconds_total counter\n"
	    "process_cpu_seconds_total %.6f\n",
	    (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
		(double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6);
}

enum rc
metrics_show(struct call *c)
{
	struct figures now;
	struct buf out;

	if (c->x->role == ROLE_PUBLIC && c->settings->metrics_listen[0] != '\0')
		return (call_fail(c, OCI_NOT_FOUND, NULL,
		    "metrics are not served here (metrics.listen)"));
	figures_ask(c->service, &now);
	figures_set(&now);
	buf_init(&out, METRICS_MAX_BYTES);
	metric_render(&out);
	traffic_render(&out);
	metrics_upstreams(c->service, &out);
	cpu_render(&out);
	return (call_json_take(c, 200, METRICS_TYPE, &out));
}
