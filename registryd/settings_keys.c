#include "registryd/settings_int.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "base/num.h"
#include "base/obj.h"

/*
 * Every key there is.  A new one needs a row here, a field in settings.h, a
 * line in configs/registryd.yml, and docs/configuration.md made anew; a unit
 * test holds them together.  Keys of one group (the part before the dot)
 * stand together.
 */
#define FIELD(member) \
	.offset = offsetof(struct settings, member), \
	.size_bytes = sizeof(((struct settings *)0)->member)

#define KiB ((uint64_t)1 << 10)
#define MiB ((uint64_t)1 << 20)
#define GiB ((uint64_t)1 << 30)
#define TiB ((uint64_t)1 << 40)
#define SECOND ((uint64_t)1000)
#define MINUTE (60 * SECOND)
#define HOUR (60 * MINUTE)
#define DAY (24 * HOUR)

#define LISTEN_ALLOWED \
	"ADDR:PORT or [ADDR]:PORT with an IP address, or unix:PATH; with " \
	"http://, https:// or mtls:// in front if that is not to follow " \
	"tls.cert"

#define COUNT_MAX 1000000000

/* clang-format off */
const struct setting_key setting_keys[SETTING_KEYS] = {
	/* where */
	{ .name = "data", .kind = SETTING_TEXT, .restart = true,
	    FIELD(data), .preset = "./data",
	    .allowed = "the path of a folder",
	    .help = "The folder that holds everything: blobs, metadata, the "
	    "control socket. It is created when it is missing. One process "
	    "serves a folder; put it on a local filesystem." },
	{ .name = "listen", .kind = SETTING_LIST, .restart = true,
	    .preset = "127.0.0.1:5000",
	    .allowed = "addresses, each " LISTEN_ALLOWED,
	    .help = "Where to listen: one address or a list. Port 0 picks a "
	    "free port, which the log tells. An address speaks TLS when "
	    "`tls.cert` is set; `http://` or `https://` in front decides for "
	    "that address alone, so `http://127.0.0.1:5000` and "
	    "`https://0.0.0.0:5443` can stand side by side, and "
	    "`https://unix:/run/registryd.sock` is a UNIX socket with TLS. "
	    "`mtls://` is TLS for clients that show a certificate signed by "
	    "`tls.client-ca`; all others are cut off in the handshake. "
	    "All addresses of the machine are `0.0.0.0:5000` and "
	    "`[::]:5000`." },
	{ .name = "tls.cert", .kind = SETTING_TEXT,
	    FIELD(tls_cert), .preset = "", .preset_help = "no TLS",
	    .allowed = "the path of a PEM file",
	    .help = "The server's certificate, with the intermediate ones "
	    "behind it, in PEM. `registryctl tls init` makes one. A reload "
	    "reads the file again, so a renewed certificate needs no "
	    "restart." },
	{ .name = "tls.key", .kind = SETTING_TEXT,
	    FIELD(tls_key), .preset = "", .preset_help = "no TLS",
	    .allowed = "the path of a PEM file",
	    .help = "The private key of `tls.cert`, in PEM, not encrypted. "
	    "Prefer ECDSA P-256: docker, podman and skopeo make a handshake "
	    "for every request, and RSA signs thirty times slower." },
	{ .name = "tls.client-ca", .kind = SETTING_TEXT,
	    FIELD(tls_client_ca), .preset = "",
	    .preset_help = "no client certificates",
	    .allowed = "the path of a PEM file",
	    .help = "The authorities, in PEM, that sign the certificates of "
	    "clients on `mtls://` addresses. The name (CN) in the subject of "
	    "such a certificate is the name of a user of the registry's "
	    "account, who then needs no other credentials. A certificate "
	    "without exactly one name of at most 64 bytes opens the "
	    "connection and says nobody's name; so does any that comes from "
	    "one of `trusted-proxies`, since it is the proxy's and not the "
	    "client's. A reload reads the file again, for new connections." },
	/* who */
	{ .name = "auth", .kind = SETTING_WORD, .restart = true,
	    FIELD(auth), .preset = "token",
	    .words = { "none", "token" },
	    .help = "Who may do what. `token`: users, with what their "
	    "policies allow; the first start makes the administrator `admin` "
	    "and writes the credentials to `admin-credentials` in the data "
	    "folder. `none`: everybody who reaches a listener may do "
	    "everything, so listen on addresses that only friends reach." },
	{ .name = "account-id", .kind = SETTING_TEXT, .restart = true,
	    FIELD(account_id), .preset = "000000000000",
	    .allowed = "12 digits",
	    .help = "The account that this registry belongs to, as it stands "
	    "in ARNs and in `registryId`. Users are of this account unless "
	    "they were made for another one." },
	{ .name = "region", .kind = SETTING_TEXT, .restart = true,
	    FIELD(region), .preset = "us-east-1",
	    .allowed = "2 to 25 of a-z, 0-9 and -",
	    .help = "The region that this registry says it is in." },
	{ .name = "repository-uri-format", .kind = SETTING_TEXT,
	    FIELD(repository_uri_format), .preset = "{host}",
	    .preset_help = "as the client named the server",
	    .allowed = "HOST[:PORT][/PATH] of at most 255 bytes, in which "
	    "{host}, {account} and {region} may stand",
	    .help = "What stands before the name of a repository in its "
	    "`repositoryUri`. `{host}` is the host and port by which the "
	    "client reached the server (or those of `external-url`), "
	    "`{account}` is `account-id`, `{region}` is the region that the "
	    "request was signed for, else `region`: "
	    "`{account}.dkr.ecr.{region}.example.com`. With `{account}` or "
	    "`{region}` in it, it is the `proxyEndpoint` of login tokens too, "
	    "before `external-url` and always with https://, as ECR's "
	    "credential helper wants it." },
	{ .name = "master-key-file", .kind = SETTING_TEXT, .restart = true,
	    FIELD(master_key_file), .preset = "",
	    .preset_help = "`master.key` in the data folder",
	    .allowed = "the path of a file",
	    .help = "The file, of mode 0600, with the master key, under which "
	    "the secrets of access keys are encrypted, the credentials for "
	    "other registries, and the keys of encrypted repositories. It is made when it is missing. Keep it outside "
	    "of the data folder, best on another disk: where both are together, whoever has one has the other. "
	    "Without it what is encrypted is lost. The environment variable "
	    "`REGISTRYD_MASTER_KEY` can hold the key itself, and then no file "
	    "is used. With `auth: none` it is made when there is something to "
	    "encrypt." },
	{ .name = "encryption.default", .kind = SETTING_WORD,
	    FIELD(encryption_default), .preset = "none",
	    .words = { "none", "aes256" },
	    .help = "How repositories keep their content that are made from "
	    "now on and do not say: `none`, as it is, or `aes256`, encrypted "
	    "under the registry's own key. An `encryptionConfiguration` that "
	    "was given, to `CreateRepository` or in a creation template, is "
	    "always followed, and a repository stays as it was made. The keys "
	    "are under the master key (`master-key-file`), which is made when "
	    "it is missing: keep a copy of it elsewhere, since without it "
	    "what is encrypted is lost." },
	{ .name = "encryption.missing-keys", .kind = SETTING_WORD,
	    .restart = true,
	    FIELD(missing_keys), .preset = "refuse",
	    .words = { "refuse", "serve" },
	    .help = "What to do at the start when the keys of encrypted "
	    "repositories cannot be had, because the master key is missing, "
	    "or is another one: `refuse` to start and say which keys are "
	    "lost, or `serve` the other repositories, and refuse each request "
	    "that needs such a key. With `auth: token` the master key is "
	    "needed in any case." },
	{ .name = "token.lifetime", .kind = SETTING_DURATION,
	    FIELD(token_lifetime_ms), .preset = "12h",
	    .min = 1 * SECOND, .max = 12 * HOUR,
	    .help = "How long a login token (`aws ecr get-login-password`) "
	    "lives. Those given out already keep theirs." },
	{ .name = "token.refresh-lifetime", .kind = SETTING_DURATION,
	    FIELD(token_refresh_ms), .preset = "30d",
	    .min = 1 * MINUTE, .max = 365 * DAY,
	    .help = "How long a refresh token of the Bearer protocol lives." },
	{ .name = "token.challenge", .kind = SETTING_WORD,
	    FIELD(token_challenge), .preset = "basic",
	    .words = { "basic", "bearer" },
	    .help = "Which way to log in a client without credentials is "
	    "told: `basic`, as ECR does, or `bearer`, the token protocol of "
	    "other registries. Both ways work whatever is told." },
	{ .name = "sigv4.region", .kind = SETTING_WORD,
	    FIELD(sigv4_region_strict), .preset = "any",
	    .words = { "any", "strict" },
	    .help = "Whose signed requests are taken: `any`, of clients "
	    "configured for whatever region, or `strict`, of those "
	    "configured for `region` only." },
	{ .name = "htpasswd.file", .kind = SETTING_TEXT,
	    FIELD(htpasswd_file), .preset = "", .preset_help = "none",
	    .allowed = "the path of a file that can be read",
	    .help = "More users with passwords, as `htpasswd -B` writes them "
	    "(bcrypt only). A user of the registry that has a password and "
	    "the same name comes first." },
	{ .name = "htpasswd.policies", .kind = SETTING_LIST,
	    .preset = "AmazonEC2ContainerRegistryPowerUser",
	    .allowed = "names of policies, each 1 to 128 of letters, digits "
	    "and _+=.@-",
	    .help = "The managed policies that hold for users of "
	    "`htpasswd.file` of whom the registry knows no user of the same "
	    "name; where it does, that user's policies hold." },
	/* where, for clients */
	{ .name = "external-url", .kind = SETTING_TEXT,
	    FIELD(external_url), .preset = "",
	    .preset_help = "Locations are relative",
	    .allowed = "http://HOST[:PORT] or https://HOST[:PORT]",
	    .help = "The address under which clients know this registry, for "
	    "the Location headers of its answers and the `proxyEndpoint` of "
	    "login tokens, unless a `repository-uri-format` with `{account}` "
	    "or `{region}` in it says that one. Rarely needed: without it "
	    "Locations are relative, which is right behind any proxy, and the "
	    "endpoint is the address by which the client came." },
	{ .name = "trusted-proxies", .kind = SETTING_LIST,
	    .preset = "", .preset_help = "none",
	    .allowed = "addresses, or networks such as 10.0.0.0/8 and fd00::/8 "
	    "(zeros behind the prefix), or unix",
	    .help = "Proxies whose X-Forwarded-For, X-Forwarded-Proto and "
	    "X-Forwarded-Host are believed. From all others these headers are "
	    "ignored. `unix` means whoever connects over a UNIX socket." },
	{ .name = "metrics.listen", .kind = SETTING_TEXT, .restart = true,
	    FIELD(metrics_listen), .preset = "",
	    .preset_help = "`/metrics` is served on the public addresses",
	    .allowed = "\"\", off, or " LISTEN_ALLOWED,
	    .help = "Where `/metrics` is served: nothing for the public "
	    "addresses, `off` for nowhere, or an address of its own, as in "
	    "`listen`." },
	/* how much */
	{ .name = "limits.header-bytes", .kind = SETTING_SIZE,
	    FIELD(limits.header_bytes), .preset = "16KiB",
	    .min = 1 * KiB, .max = 256 * KiB,
	    .help = "The request line and all headers of a request together. "
	    "Beyond it: 431." },
	{ .name = "limits.headers", .kind = SETTING_COUNT,
	    FIELD(limits.headers), .preset = "100", .min = 16, .max = 1000,
	    .help = "Headers of a request. Beyond it: 431." },
	{ .name = "limits.uri-bytes", .kind = SETTING_SIZE,
	    FIELD(limits.uri_bytes), .preset = "8KiB",
	    .min = 512, .max = 64 * KiB,
	    .help = "The target of a request, its query included. Beyond it: "
	    "414. At most `limits.header-bytes`." },
	{ .name = "limits.manifest-bytes", .kind = SETTING_SIZE,
	    FIELD(manifest_bytes), .preset = "4MiB",
	    .min = 16 * KiB, .max = 64 * MiB,
	    .help = "A manifest that is pushed. Beyond it: 413." },
	{ .name = "limits.upload-bytes", .kind = SETTING_SIZE,
	    .restart = true, FIELD(upload_bytes), .preset = "52000MiB",
	    .preset_help = "ECR's quota of the size of a layer",
	    .min = 1 * KiB, .max = 1024 * TiB, .zero = true,
	    .help = "A blob that is pushed. Beyond it: 413. 0: no limit." },
	{ .name = "limits.upload-sessions", .kind = SETTING_COUNT,
	    .restart = true, FIELD(upload_sessions), .preset = "10000",
	    .min = 1, .max = 10000000,
	    .help = "Unfinished uploads, those of clients that went away "
	    "included. Beyond it: 429." },
	{ .name = "limits.connections", .kind = SETTING_COUNT,
	    FIELD(limits.connections), .preset = "10000",
	    .min = 1, .max = 10000000,
	    .help = "Open connections in total. Further ones are refused with "
	    "503. Each may need two file descriptors: the server raises its "
	    "own limit of them, and where the system does not let it, it says "
	    "so and serves as many connections as fit." },
	{ .name = "limits.connections-per-address", .kind = SETTING_COUNT,
	    FIELD(limits.connections_per_address), .preset = "8192",
	    .min = 1, .max = 10000000, .zero = true,
	    .help = "Open connections from one address. 0: only "
	    "`limits.connections` counts. Connections from "
	    "`trusted-proxies` and over UNIX sockets are not counted." },
	{ .name = "limits.gathered-bytes", .kind = SETTING_SIZE,
	    FIELD(limits.gathered_bytes), .preset = "256MiB",
	    .min = 1 * MiB, .max = 1 * TiB, .zero = true,
	    .help = "Memory for bodies that are gathered before they are "
	    "handled (manifests, short uploads), of all requests together. "
	    "Beyond it they get 503. 0: no limit." },
	{ .name = "limits.part-bytes", .kind = SETTING_SIZE, .restart = true,
	    FIELD(part_bytes), .preset = "1GiB",
	    .min = 20 * MiB, .max = 1 * TiB, .zero = true,
	    .help = "Disk for parts of layers (UploadLayerPart) that are on "
	    "their way, of all requests together: whose they are is known "
	    "when all of a part is here. Beyond it they get 503. 0: no "
	    "limit." },
	/* Quotas, as ECR has them. */
	{ .name = "quotas.repositories", .kind = SETTING_COUNT,
	    FIELD(quotas.repositories), .preset = "100000",
	    .min = 1, .max = COUNT_MAX, .zero = true,
	    .help = "Repositories of the registry. Beyond it none is made: "
	    "`LimitExceededException`, to a push 403. 0: no limit." },
	{ .name = "quotas.images-per-repository", .kind = SETTING_COUNT,
	    FIELD(quotas.images), .preset = "100000",
	    .min = 1, .max = COUNT_MAX, .zero = true,
	    .help = "Images of a repository, those without a tag included. "
	    "Beyond it none is pushed: `LimitExceededException`, or 403. 0: no "
	    "limit." },
	{ .name = "quotas.tags-per-image", .kind = SETTING_COUNT,
	    FIELD(quotas.tags), .preset = "1000",
	    .min = 1, .max = COUNT_MAX, .zero = true,
	    .help = "Tags of one image. Beyond it none is set: "
	    "`LimitExceededException`, or 403. 0: no limit." },
	{ .name = "quotas.layer-parts", .kind = SETTING_COUNT,
	    FIELD(quotas.layer_parts), .preset = "4200",
	    .min = 1, .max = COUNT_MAX, .zero = true,
	    .help = "Parts (`UploadLayerPart`) of one upload of a layer. "
	    "Beyond it: `LimitExceededException`. Pushes of clients such as "
	    "docker are not made of parts. 0: no limit." },
	{ .name = "quotas.layer-part-bytes", .kind = SETTING_SIZE,
	    FIELD(quotas.layer_part_bytes), .preset = "5MiB",
	    .min = 1, .max = 20 * MiB, .zero = true,
	    .help = "The least that a part of a layer has, but for the last "
	    "one. With less the layer is not made: "
	    "`LayerPartTooSmallException`. 0: parts of any size." },
	{ .name = "quotas.cache-rules", .kind = SETTING_COUNT,
	    FIELD(quotas.cache_rules), .preset = "50",
	    .min = 1, .max = COUNT_MAX, .zero = true,
	    .help = "Pull through cache rules. Beyond it: "
	    "`LimitExceededException`. 0: no limit." },
	{ .name = "quotas.creation-templates", .kind = SETTING_COUNT,
	    FIELD(quotas.creation_templates), .preset = "50",
	    .min = 1, .max = COUNT_MAX, .zero = true,
	    .help = "Repository creation templates. Beyond it: "
	    "`LimitExceededException`. 0: no limit." },
	{ .name = "quotas.pull-exclusions", .kind = SETTING_COUNT,
	    FIELD(quotas.pull_exclusions), .preset = "100",
	    .min = 1, .max = COUNT_MAX, .zero = true,
	    .help = "Principals whose pulls do not count as the last of an "
	    "image. Beyond it: `LimitExceededException`. 0: no limit." },
	{ .name = "quotas.scans-per-image", .kind = SETTING_COUNT,
	    FIELD(quotas.scans), .preset = "1",
	    .min = 1, .max = 64, .zero = true,
	    .help = "Scans of one image that are asked for in 24 hours "
	    "(`StartImageScan`). Beyond it: `LimitExceededException`. 0: no "
	    "limit." },
	{ .name = "quotas.lifecycle-rules", .kind = SETTING_COUNT,
	    FIELD(quotas.lifecycle_rules), .preset = "50",
	    .min = 1, .max = COUNT_MAX, .zero = true,
	    .help = "Rules of a lifecycle policy. A policy with more is "
	    "refused: `InvalidParameterException`. 0: no limit." },
	{ .name = "quotas.replication-rules", .kind = SETTING_COUNT,
	    FIELD(quotas.replication_rules), .preset = "10",
	    .min = 1, .max = 10,
	    .help = "Rules of the replication configuration. One with more is "
	    "refused: `InvalidParameterException`." },
	{ .name = "quotas.replication-destinations", .kind = SETTING_COUNT,
	    FIELD(quotas.replication_destinations), .preset = "25",
	    .min = 1, .max = COUNT_MAX, .zero = true,
	    .help = "Different destinations in the rules of the replication "
	    "configuration. One with more is refused: "
	    "`InvalidParameterException`. 0: no limit." },
	{ .name = "quotas.signing-rules", .kind = SETTING_COUNT,
	    FIELD(quotas.signing_rules), .preset = "10",
	    .min = 1, .max = 10,
	    .help = "Rules of the signing configuration. One with more is "
	    "refused: `InvalidParameterException`." },
	/* How often, as ECR has it if one wants it. */
	{ .name = "rates.authorization-token", .kind = SETTING_COUNT,
	    FIELD(rates.authorization_token), .preset = "0",
	    .preset_help = "no limit",
	    .min = 1, .max = COUNT_MAX, .zero = true,
	    .help = "Requests in a second, of all clients together, for login "
	    "tokens: `GetAuthorizationToken` and `/token`. Beyond it: "
	    "`ThrottlingException`, or 429. ECR allows 500." },
	{ .name = "rates.check-layers", .kind = SETTING_COUNT,
	    FIELD(rates.check_layers), .preset = "0",
	    .preset_help = "no limit",
	    .min = 1, .max = COUNT_MAX, .zero = true,
	    .help = "Requests in a second, of all clients together, that ask "
	    "whether layers are there: `BatchCheckLayerAvailability`, HEAD of "
	    "a blob. Beyond it: `ThrottlingException`, or 429. ECR allows "
	    "1000." },
	{ .name = "rates.get-image", .kind = SETTING_COUNT,
	    FIELD(rates.get_image), .preset = "0",
	    .preset_help = "no limit",
	    .min = 1, .max = COUNT_MAX, .zero = true,
	    .help = "Requests in a second, of all clients together, for "
	    "manifests: `BatchGetImage`, GET and HEAD of a manifest. Beyond "
	    "it: `ThrottlingException`, or 429. ECR allows 2000." },
	{ .name = "rates.download-url", .kind = SETTING_COUNT,
	    FIELD(rates.download_url), .preset = "0",
	    .preset_help = "no limit",
	    .min = 1, .max = COUNT_MAX, .zero = true,
	    .help = "Requests in a second, of all clients together, for "
	    "layers: `GetDownloadUrlForLayer`, GET of a blob. Beyond it: "
	    "`ThrottlingException`, or 429. ECR allows 3000." },
	{ .name = "rates.initiate-upload", .kind = SETTING_COUNT,
	    FIELD(rates.initiate_upload), .preset = "0",
	    .preset_help = "no limit",
	    .min = 1, .max = COUNT_MAX, .zero = true,
	    .help = "Requests in a second, of all clients together, that "
	    "begin an upload: `InitiateLayerUpload`, POST of an upload. Beyond "
	    "it: `ThrottlingException`, or 429. ECR allows 100." },
	{ .name = "rates.upload-part", .kind = SETTING_COUNT,
	    FIELD(rates.upload_part), .preset = "0",
	    .preset_help = "no limit",
	    .min = 1, .max = COUNT_MAX, .zero = true,
	    .help = "Requests in a second, of all clients together, that "
	    "bring a part of an upload: `UploadLayerPart`, PATCH of an upload. "
	    "Beyond it: `ThrottlingException`, or 429. ECR allows 500." },
	{ .name = "rates.complete-upload", .kind = SETTING_COUNT,
	    FIELD(rates.complete_upload), .preset = "0",
	    .preset_help = "no limit",
	    .min = 1, .max = COUNT_MAX, .zero = true,
	    .help = "Requests in a second, of all clients together, that end "
	    "an upload: `CompleteLayerUpload`, PUT of an upload. Beyond it: "
	    "`ThrottlingException`, or 429. ECR allows 100." },
	{ .name = "rates.put-image", .kind = SETTING_COUNT,
	    FIELD(rates.put_image), .preset = "0",
	    .preset_help = "no limit",
	    .min = 1, .max = COUNT_MAX, .zero = true,
	    .help = "Requests in a second, of all clients together, that push "
	    "an image: `PutImage`, PUT of a manifest. Beyond it: "
	    "`ThrottlingException`, or 429. ECR allows 10." },
	{ .name = "timeouts.idle", .kind = SETTING_DURATION,
	    FIELD(limits.idle_ms), .preset = "75s",
	    .min = 1 * SECOND, .max = 1 * DAY,
	    .help = "How long a connection may stay open between requests." },
	{ .name = "timeouts.header", .kind = SETTING_DURATION,
	    FIELD(limits.header_ms), .preset = "15s",
	    .min = 100, .max = 1 * HOUR,
	    .help = "How long a request's head, and a TLS handshake, may take "
	    "to arrive." },
	{ .name = "timeouts.body", .kind = SETTING_DURATION,
	    FIELD(limits.body_ms), .preset = "30s",
	    .min = 100, .max = 1 * HOUR,
	    .help = "How long a body, in or out, may make no progress at all. "
	    "A slow client that keeps moving is not cut off." },
	{ .name = "shutdown-timeout", .kind = SETTING_DURATION,
	    FIELD(shutdown_ms), .preset = "10s",
	    .min = 1, .max = 1 * HOUR, .zero = true,
	    .help = "After SIGTERM, how long requests that are under way may "
	    "take to end. Idle connections are closed at once." },
	{ .name = "upload.buffers", .kind = SETTING_COUNT, .restart = true,
	    FIELD(limits.upload_buffers), .preset = "32",
	    .min = 2, .max = 65536,
	    .help = "Buffers of 256 KiB that all uploads share. They bound the "
	    "memory that uploads take, however many and large they are." },
	{ .name = "upload.lifetime", .kind = SETTING_DURATION,
	    .restart = true, FIELD(upload_lifetime_ms), .preset = "24h",
	    .min = 1 * SECOND, .max = 365 * DAY,
	    .help = "How long an unfinished upload that nobody touches can be "
	    "resumed, before it is removed." },
	{ .name = "download.lifetime", .kind = SETTING_DURATION,
	    FIELD(download_lifetime_ms), .preset = "1h",
	    .min = 1 * SECOND, .max = 7 * DAY,
	    .help = "How long the URL of a layer (`GetDownloadUrlForLayer`) "
	    "can be fetched. Whoever has it needs no other credentials. Those "
	    "given out already keep theirs." },
	{ .name = "storage.inline-bytes", .kind = SETTING_SIZE,
	    .restart = true, FIELD(inline_bytes), .preset = "128KiB",
	    .max = 4 * MiB, .zero = true,
	    .help = "Blobs up to this size live in the database, larger ones "
	    "in files. Counts for new blobs; what is stored stays where it "
	    "is." },
	{ .name = "storage.reserve", .kind = SETTING_SIZE, .restart = true,
	    FIELD(reserve_bytes), .preset = "0",
	    .preset_help = "the smaller of 256MiB and 5 % of the filesystem",
	    .min = 1 * MiB, .max = 1024 * TiB, .zero = true,
	    .help = "Free space that is kept. Uploads that would eat into it "
	    "are refused with 507, so that the database never meets a full "
	    "disk." },
	{ .name = "storage.map-size", .kind = SETTING_SIZE, .restart = true,
	    FIELD(map_bytes), .preset = "16GiB",
	    .min = 16 * MiB, .max = 64 * TiB,
	    .help = "Address space for the database at start. It takes neither "
	    "memory nor disk, and grows by itself when it has to." },
	{ .name = "threads.loops", .kind = SETTING_COUNT, .restart = true,
	    FIELD(loops), .preset = "0", .preset_help = "one for each core",
	    .min = 1, .max = 256, .zero = true,
	    .help = "Threads that serve connections." },
	{ .name = "threads.workers", .kind = SETTING_COUNT, .restart = true,
	    FIELD(workers), .preset = "32", .min = 2, .max = 512,
	    .help = "Threads, at most, for what may wait for the disk. They "
	    "are started when needed." },
	/* what goes */
	{ .name = "gc.grace", .kind = SETTING_DURATION,
	    FIELD(gc_grace_ms), .preset = "1h",
	    .min = 1 * SECOND, .max = 30 * DAY, .zero = true,
	    .help = "How long what nobody needs any more is kept before it is "
	    "removed, and how long a push that was told that a layer is there "
	    "can rely on it: longer than the longest pause between the layers "
	    "of an image and its manifest. After a start nothing is removed "
	    "for so long. With 0 nothing is promised: a push that goes on "
	    "meanwhile can fail." },
	{ .name = "lifecycle.interval", .kind = SETTING_DURATION,
	    FIELD(lifecycle.interval_ms), .preset = "24h",
	    .min = 1 * SECOND, .max = 365 * DAY, .zero = true,
	    .help = "How often each lifecycle policy is carried out. A new or "
	    "changed one is for the first time so long after it was set, and "
	    "none is at the start of the server: one that is overdue then "
	    "waits a minute, or an interval if that is less. One that failed "
	    "because the disk is full, or the like, is tried again after five "
	    "minutes. With 0 none is carried out by itself, but by "
	    "`registryctl lifecycle run` alone." },
	{ .name = "lifecycle.jitter", .kind = SETTING_TEXT,
	    FIELD(lifecycle.jitter), .preset = "",
	    .preset_help = "a tenth of `lifecycle.interval`",
	    .allowed = "a duration of at most lifecycle.interval, or 0",
	    .help = "By how much more, at most, the policy of a repository "
	    "waits, so that those that were set together are not carried out "
	    "together. It is always the same for the same repository." },
	{ .name = "lifecycle.window", .kind = SETTING_TEXT,
	    FIELD(lifecycle.window), .preset = "",
	    .preset_help = "at any time",
	    .allowed = "\"\", or HH:MM-HH:MM from 00:00 to 23:59, such as "
	    "01:30-05:00",
	    .help = "The time of the day, in the time zone of the server (the "
	    "environment variable `TZ`), in which lifecycle policies are "
	    "carried out; it may go across midnight: `22:00-04:00`. What is "
	    "not through at its end goes on in the next one. What is asked for "
	    "with `registryctl lifecycle run` does not wait for it." },
	{ .name = "lifecycle.rate", .kind = SETTING_COUNT,
	    FIELD(lifecycle.rate), .preset = "500",
	    .min = 1, .max = COUNT_MAX, .zero = true,
	    .help = "How many images in a second lifecycle policies remove or "
	    "archive, at most; 0: any number." },
	{ .name = "lifecycle.extensions", .kind = SETTING_WORD,
	    FIELD(lifecycle.extensions), .preset = "false",
	    .words = { "false", "true" },
	    .help = "Whether lifecycle policies may say what those of ECR "
	    "cannot: `keepLast`, `protectTags`, `sinceImagePushedAndPulled`, "
	    "and `sinceImagePulled` with `expire`. Once it is `false` again, "
	    "policies that do are not carried out any more." },
	{ .name = "lifecycle.undelete-window", .kind = SETTING_DURATION,
	    FIELD(lifecycle.undelete_ms), .preset = "0",
	    .preset_help = "nothing can be restored",
	    .min = 1 * SECOND, .max = 365 * DAY, .zero = true,
	    .help = "How long images and repositories that were deleted, by "
	    "whomever or by a lifecycle policy, can be restored with "
	    "`registryctl undelete`. Nobody can pull them meanwhile, and they "
	    "take their space. A change counts for what was deleted before, "
	    "too." },
	{ .name = "archive.dir", .kind = SETTING_TEXT, .restart = true,
	    FIELD(archive_dir), .preset = "",
	    .preset_help = "`archive` in the data folder",
	    .allowed = "the path of a folder",
	    .help = "Where content lies that only archived images need. It can "
	    "be on another, slower disk, and belongs to the data folder: back "
	    "up both together." },
	{ .name = "scan.jobs", .kind = SETTING_COUNT, .restart = true,
	    FIELD(scan.jobs), .preset = "1",
	    .min = 1, .max = 64, .zero = true,
	    .help = "How many images are scanned for vulnerable packages at "
	    "once. A scan takes what the machine has to spare: its process is "
	    "of the lowest priority there is. With 0 none is scanned, and a "
	    "scan that is asked for ends as `FAILED`." },
	{ .name = "scan.timeout", .kind = SETTING_DURATION,
	    FIELD(scan.timeout_ms), .preset = "10m",
	    .min = 1 * SECOND, .max = 1 * DAY,
	    .help = "How long the scan of an image may take. One that takes "
	    "longer ends as `FAILED`; layers that were read are not read again "
	    "when it is scanned once more." },
	{ .name = "scan.memory", .kind = SETTING_SIZE,
	    FIELD(scan.memory_bytes), .preset = "512MiB",
	    .min = 128 * MiB, .max = 1 * TiB,
	    .help = "Address space of the process that reads a layer for a "
	    "scan. One that needs more ends, and the scan as `FAILED`." },
	{ .name = "scan.layer-bytes", .kind = SETTING_SIZE,
	    FIELD(scan.layer_bytes), .preset = "8GiB",
	    .min = 1 * MiB, .max = 1024 * TiB,
	    .help = "How large a layer may be that is scanned, uncompressed. "
	    "The scan of an image with a larger one ends as `FAILED`." },
	/* what */
	{ .name = "manifests.sparse", .kind = SETTING_WORD,
	    FIELD(sparse), .preset = "none",
	    .words = { "none", "index", "all" },
	    .help = "What a pushed manifest may reference without its being "
	    "in the repository: nothing; the images of an index; anything." },
	{ .name = "repositories.create-on-push", .kind = SETTING_WORD,
	    FIELD(create_on_push_said), .preset = "auto",
	    .preset_help = "`true` with `auth: none`, else `false`",
	    .words = { "auto", "true", "false" },
	    .help = "Whether a push to a repository that does not exist "
	    "creates it, for those who may create it. ECR does not: there "
	    "`aws ecr create-repository` comes first. A repository creation "
	    "template for `CREATE_ON_PUSH` has what it is for created "
	    "whatever stands here." },
	/* other registries */
	{ .name = "cache.mode", .kind = SETTING_WORD,
	    FIELD(cache.mode), .preset = "ttl",
	    .words = { "ttl", "upstream", "local-first" },
	    .help = "When the pull through cache asks the upstream whether a "
	    "tag that is here still points at the same image: `ttl`, when it "
	    "was not asked for `cache.freshness`, as ECR does; `upstream`, at "
	    "each pull; `local-first`, never. What is asked for by digest is "
	    "never looked for again. When the upstream fails, what is here is "
	    "served, with a Warning header." },
	{ .name = "cache.freshness", .kind = SETTING_DURATION,
	    FIELD(cache.freshness_ms), .preset = "24h",
	    .min = 1 * SECOND, .max = 365 * DAY, .zero = true,
	    .help = "How long a tag that the upstream was asked for counts as "
	    "fresh, with `cache.mode: ttl`; so do lists of referrers." },
	{ .name = "cache.negative", .kind = SETTING_DURATION,
	    FIELD(cache.negative_ms), .preset = "30s",
	    .min = 100, .max = 1 * DAY, .zero = true,
	    .help = "How long it is remembered that the upstream has no such "
	    "image, or does not let us have it; 0: not at all." },
	{ .name = "cache.patience", .kind = SETTING_DURATION,
	    FIELD(cache.patience_ms), .preset = "15s",
	    .min = 100, .max = 1 * HOUR,
	    .help = "How long the upstream may take to answer before what is "
	    "here is served instead, or, with nothing here, the client is told "
	    "that the upstream does not answer." },
	{ .name = "cache.max-bytes", .kind = SETTING_SIZE,
	    FIELD(cache.max_bytes), .preset = "0", .preset_help = "no limit",
	    .min = 1 * MiB, .max = 1024 * TiB, .zero = true,
	    .help = "How many bytes of content the images that the pull "
	    "through cache brought may need together. Beyond it those go that "
	    "were not pulled for the longest time, until a tenth is free; "
	    "their content follows with the next collection. What somebody "
	    "pushed himself never goes for it." },
	{ .name = "cache.children", .kind = SETTING_WORD,
	    FIELD(cache.all_children), .preset = "on-demand",
	    .words = { "on-demand", "all" },
	    .help = "Which images of a multi-architecture index the pull "
	    "through cache fetches: those that somebody asks for, or all at "
	    "once, in the background." },
	{ .name = "replication.give-up", .kind = SETTING_DURATION,
	    .restart = true,
	    FIELD(replication_give_up_ms), .preset = "24h",
	    .min = 1 * SECOND, .max = 365 * DAY,
	    .help = "How long it is tried to send an image to a destination "
	    "of the replication configuration that cannot be reached." },
	{ .name = "upstream.proxy", .kind = SETTING_TEXT,
	    FIELD(upstream.proxy_said), .preset = "",
	    .preset_help = "as the environment says",
	    .allowed = "\"\", none, or http://HOST[:PORT] (or https://, "
	    "socks5h://), without credentials",
	    .help = "The proxy by which other registries are reached. Empty: "
	    "what `https_proxy`, `http_proxy` and `no_proxy` in the "
	    "environment of the server say, which is the place for a proxy "
	    "that wants credentials. `none`: no proxy, whatever they say." },
	{ .name = "upstream.ca-file", .kind = SETTING_TEXT,
	    FIELD(upstream.ca_file), .preset = "",
	    .preset_help = "the authorities of the system",
	    .allowed = "the path of a PEM file",
	    .help = "The authorities that may sign the certificates of other "
	    "registries, instead of those of the system." },
	{ .name = "upstream.connect-timeout", .kind = SETTING_DURATION,
	    FIELD(upstream.connect_ms), .preset = "10s",
	    .min = 100, .max = 1 * HOUR,
	    .help = "How long a connection to another registry may take to be "
	    "made, the TLS handshake included." },
	{ .name = "upstream.stall-timeout", .kind = SETTING_DURATION,
	    FIELD(upstream.stall_ms), .preset = "30s",
	    .min = 100, .max = 1 * HOUR,
	    .help = "How long another registry may make no progress at all "
	    "before the connection is given up, and made anew." },
	{ .name = "upstream.connections", .kind = SETTING_COUNT,
	    FIELD(upstream.connections), .preset = "8",
	    .min = 1, .max = 256,
	    .help = "Connections to one other registry, at most." },
	/* logs */
	{ .name = "log.level", .kind = SETTING_WORD, FIELD(log_level),
	    .preset = "info",
	    .words = { "debug", "info", "warn", "error" },
	    .help = "The least important messages that the log, which is "
	    "standard error, shows." },
	{ .name = "log.format", .kind = SETTING_WORD, FIELD(log_format),
	    .preset = "text", .words = { "text", "json" },
	    .help = "The form of the log's lines." },
	{ .name = "access-log", .kind = SETTING_WORD, FIELD(access_log),
	    .preset = "text", .words = { "off", "text", "json" },
	    .help = "One line for each request, on standard error." },
	{ .name = "audit-log", .kind = SETTING_TEXT,
	    FIELD(audit_log), .preset = "",
	    .preset_help = "`audit.log` in the data folder",
	    .allowed = "off, stderr, or the path of a file",
	    .help = "What was deleted, expired, archived, restored or "
	    "reclaimed, one JSON object on a line for each image: a file of "
	    "mode 0600, `stderr`, or `off`. The file grows; a reload opens it "
	    "anew, so it can be moved away before. With a file that cannot be "
	    "opened the server does not start, and a reload is refused. "
	    "Lines that cannot be written, as the disk is full, are kept in "
	    "memory, up to 32 MiB, until they can be." },
};
/* clang-format on */

_Static_assert(LOG_LVL_ERROR == 3 && LOG_FMT_JSON == 1 &&
		   ACCESS_LOG_JSON == 2 && SPARSE_ALL == 2 && AUTH_TOKEN == 1 &&
		   CHALLENGE_BEARER == 1 && CREATE_NEVER == 2 &&
		   CACHE_BY_UPSTREAM == 1 && CACHE_LOCAL_FIRST == 2,
    "the words of a key stand in the order of its enum");

size_t
setting_find(struct span name)
{
	size_t i;

	for (i = 0; i < SETTING_KEYS; i++)
		if (span_is(name, setting_keys[i].name))
			break;
	return (i);
}

bool
setting_is_group(struct span name)
{
	const char *key;
	size_t i;

	for (i = 0; i < SETTING_KEYS; i++) {
		key = setting_keys[i].name;
		if (strncmp(key, name.p, name.n) == 0 && key[name.n] == '.')
			return (true);
	}
	return (false);
}

size_t
setting_distance(struct span a, struct span b)
{
	size_t row[SETTING_NAME_BYTES + 1], diagonal, above, best, i, j;

	for (j = 0; j <= b.n; j++)
		row[j] = j;
	for (i = 1; i <= a.n; i++) {
		diagonal = row[0];
		row[0] = i;
		for (j = 1; j <= b.n; j++) {
			above = row[j];
			best = diagonal + (a.p[i - 1] != b.p[j - 1]);
			if (above + 1 < best)
				best = above + 1;
			if (row[j - 1] + 1 < best)
				best = row[j - 1] + 1;
			diagonal = above;
			row[j] = best;
		}
	}
	return (row[b.n]);
}

/* The end of a key without its group, which people forget to write. */
static struct span
short_name(const char *name)
{
	const char *dot = strchr(name, '.');

	return (span_of(dot != NULL ? dot + 1 : name));
}

const char *
setting_nearest(struct span name)
{
	const char *nearest = NULL;
	size_t best = name.n / 3 + 1, d, i;

	if (name.n > SETTING_NAME_BYTES)
		return (NULL);
	for (i = 0; i < SETTING_TABLES; i++) {
		d = setting_distance(name, span_of(setting_tables[i].name));
		if (d < best) {
			best = d;
			nearest = setting_tables[i].name;
		}
	}
	for (i = 0; i < SETTING_KEYS; i++) {
		d = setting_distance(name, span_of(setting_keys[i].name));
		if (span_eq(name, short_name(setting_keys[i].name)))
			d = 0;
		if (d < best) {
			best = d;
			nearest = setting_keys[i].name;
		}
	}
	return (nearest);
}

const char *
setting_env_name(const struct setting_key *key, char out[SETTING_ENV_BYTES])
{
	char *p;

	must(snprintf(out, SETTING_ENV_BYTES, "REGISTRYD_%s", key->name) <
	     SETTING_ENV_BYTES);
	for (p = out; *p != '\0'; p++)
		*p = *p == '.' || *p == '-' ? '_'
					    : (char)toupper((unsigned char)*p);
	return (out);
}

static void
number_text(enum setting_kind kind, uint64_t n, char *out, size_t n_out)
{
	static const struct unit {
		const char *name;
		uint64_t factor;
	} sizes[] = { { "TiB", TiB }, { "GiB", GiB }, { "MiB", MiB },
		{ "KiB", KiB }, { "", 1 } },
	  times[] = { { "d", DAY }, { "h", HOUR }, { "m", MINUTE },
		  { "s", SECOND }, { "ms", 1 } };
	const struct unit *u = kind == SETTING_SIZE ? sizes : times;

	if (kind == SETTING_COUNT) {
		(void)snprintf(out, n_out, "%llu", (unsigned long long)n);
		return;
	}
	while (n % u->factor != 0 || (n == 0 && u->factor != 1))
		u++;
	(void)snprintf(
	    out, n_out, "%llu%s", (unsigned long long)(n / u->factor), u->name);
}

static void
words_text(const struct setting_key *key, char *out, size_t n_out)
{
	size_t i, n = 0;
	const char *before;

	for (i = 0; i < SETTING_WORDS_MAX && key->words[i] != NULL; i++) {
		before = i == 0 ? "" : ", ";
		if (i > 0 &&
		    (i + 1 == SETTING_WORDS_MAX || key->words[i + 1] == NULL))
			before = " or ";
		n += (size_t)snprintf(
		    out + n, n_out - n, "%s%s", before, key->words[i]);
		must(n < n_out);
	}
}

static void
range_text(const struct setting_key *key, const char *what, char *out)
{
	char min[32], max[32];

	number_text(key->kind, key->min, min, sizeof(min));
	number_text(key->kind, key->max, max, sizeof(max));
	must(snprintf(out, SETTING_ALLOWED_BYTES, "%s from %s to %s%s", what,
		 min, max, key->zero && key->min > 0 ? ", or 0" : "") <
	     SETTING_ALLOWED_BYTES);
}

const char *
setting_allowed(const struct setting_key *key, char out[SETTING_ALLOWED_BYTES])
{
	switch (key->kind) {
	case SETTING_TEXT:
	case SETTING_LIST:
		must(snprintf(out, SETTING_ALLOWED_BYTES, "%s", key->allowed) <
		     SETTING_ALLOWED_BYTES);
		break;
	case SETTING_WORD:
		words_text(key, out, SETTING_ALLOWED_BYTES);
		break;
	case SETTING_COUNT:
		range_text(key, "a number", out);
		break;
	case SETTING_SIZE:
		range_text(key, "a size", out);
		break;
	case SETTING_DURATION:
		range_text(key, "a duration", out);
		break;
	}
	return (out);
}
