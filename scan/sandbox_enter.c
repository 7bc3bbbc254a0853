#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <sched.h>
#include <seccomp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <unistd.h>

#include <linux/capability.h>

#include "base/obj.h"
#include "scan/sandbox.h"

/*
 * The side that gives up its rights.  What not every kernel, container or user
 * can have (namespaces, another user, priorities) is asked for and not insisted
 * on; the limits and the filter of system calls are.
 */
#define NOBODY 65534
#define LOWEST_NICE 19
#define MS_PER_S 1000
/* <linux/ioprio.h> is not everywhere. */
#define IOPRIO_IDLE (3 << 13)
#define IOPRIO_PROCESS 1
/* So much must be there to say that it is not the memory that has run out. */
#define PROBE_BYTES ((size_t)4 << 20)

/* The address space of a sanitizer is the whole of it. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define ADDRESS_SPACE_IS_TAKEN 1
#elif defined(__clang__)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) || \
    __has_feature(memory_sanitizer)
#define ADDRESS_SPACE_IS_TAKEN 1
#endif
#endif
#ifndef ADDRESS_SPACE_IS_TAKEN
#define ADDRESS_SPACE_IS_TAKEN 0
#endif

__attribute__((noreturn)) static void
refuse(const char *what, int err)
{
	(void)fprintf(stderr,
	    "the process for reading the layer could not give up its rights: "
	    "%s (error %d)\n",
	    what, err);
	_exit(SANDBOX_EXIT_REFUSED);
}

/* --- memory -------------------------------------------------------------- */

bool
sandbox_memory_spent(void)
{
	void *p;

	p = mmap(NULL, PROBE_BYTES, PROT_READ | PROT_WRITE,
	    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (p == MAP_FAILED)
		return (true);
	(void)munmap(p, PROBE_BYTES);
	return (false);
}

/* Who finds no memory aborts. */
static void
aborted(int number)
{
	struct sigaction plain = { .sa_handler = SIG_DFL };

	if (sandbox_memory_spent())
		_exit(SANDBOX_EXIT_NOSPACE);
	(void)sigaction(number, &plain, NULL);
}

static void
abort_watch(void)
{
	struct sigaction watch = { .sa_handler = aborted };

	must(sigaction(SIGABRT, &watch, NULL) == 0);
}

/* --- what is asked for --------------------------------------------------- */

/* That of its session among all others, where there is such a thing. */
static void
autogroup_lower(void)
{
	static const char nice_text[] = "19";
	int fd = open("/proc/self/autogroup", O_WRONLY | O_CLOEXEC);

	if (fd == -1)
		return;
	(void)!write(fd, nice_text, sizeof(nice_text) - 1);
	(void)close(fd);
}

static void
priority_lower(void)
{
	static const struct sched_param none = { 0 };

	autogroup_lower();
	(void)sched_setscheduler(0, SCHED_IDLE, &none);
	(void)setpriority(PRIO_PROCESS, 0, LOWEST_NICE);
	(void)syscall(SYS_ioprio_set, IOPRIO_PROCESS, 0, IOPRIO_IDLE);
}

static void
user_leave(void)
{
	if (geteuid() != 0)
		return;
	(void)setgroups(0, NULL);
	if (setresgid(NOBODY, NOBODY, NOBODY) == -1 ||
	    setresuid(NOBODY, NOBODY, NOBODY) == -1)
		errno = 0;
}

/* With all of the machine's others, or each by itself as far as it goes. */
static void
namespaces_leave(int with)
{
	static const int each[] = { CLONE_NEWNET, CLONE_NEWIPC, CLONE_NEWNS,
		CLONE_NEWUTS };
	size_t i;

	if (unshare(with | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWNS |
		    CLONE_NEWUTS) == 0)
		return;
	if (with != 0 && unshare(with) == -1)
		return;
	for (i = 0; i < ARRAY_LEN(each); i++)
		(void)unshare(each[i]);
}

/* Those of a user namespace of one's own among them. */
static void
capabilities_drop(void)
{
	struct __user_cap_header_struct head = {
		.version = _LINUX_CAPABILITY_VERSION_3,
	};
	struct __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3];

	memset(none, 0, sizeof(none));
	(void)syscall(SYS_capset, &head, none);
}

/* --- what is insisted on ------------------------------------------------- */

static void
descriptors_close(void)
{
	long fd, max;

	if (syscall(SYS_close_range, STDERR_FILENO + 1, ~0U, 0) == 0)
		return;
	max = sysconf(_SC_OPEN_MAX);
	for (fd = STDERR_FILENO + 1; fd < max; fd++)
		(void)close((int)fd);
}

static void
limit_set(__rlimit_resource_t what, const char *name, rlim_t soft, rlim_t hard)
{
	struct rlimit now, limit = { .rlim_cur = soft, .rlim_max = hard };

	/* One that is narrower already cannot be widened. */
	if (getrlimit(what, &now) == 0 && now.rlim_max < hard) {
		limit.rlim_max = now.rlim_max;
		if (limit.rlim_cur > now.rlim_max)
			limit.rlim_cur = now.rlim_max;
	}
	if (setrlimit(what, &limit) == -1)
		refuse(name, errno);
}

static void
limits_set(uint64_t memory_bytes, int64_t cpu_ms)
{
	rlim_t cpu_s = (rlim_t)((cpu_ms + MS_PER_S - 1) / MS_PER_S);

	limit_set(RLIMIT_CORE, "no core", 0, 0);
	limit_set(RLIMIT_CPU, "processor time", cpu_s, cpu_s + 1);
	limit_set(RLIMIT_FSIZE, "size of files", 0, 0);
	limit_set(RLIMIT_NPROC, "processes", 0, 0);
	limit_set(RLIMIT_NOFILE, "open files", 0, 0);
	if (!ADDRESS_SPACE_IS_TAKEN)
		limit_set(RLIMIT_AS, "memory", memory_bytes, memory_bytes);
}

/* Reading, writing, memory, the end; time; what malloc and abort need. */
static const int allowed[] = {
	SCMP_SYS(read),
	SCMP_SYS(readv),
	SCMP_SYS(write),
	SCMP_SYS(writev),
	SCMP_SYS(close),
	SCMP_SYS(brk),
	SCMP_SYS(munmap),
	SCMP_SYS(mremap),
	SCMP_SYS(madvise),
	SCMP_SYS(futex),
	SCMP_SYS(exit),
	SCMP_SYS(exit_group),
	SCMP_SYS(restart_syscall),
	SCMP_SYS(rt_sigreturn),
	SCMP_SYS(rt_sigprocmask),
	SCMP_SYS(rt_sigaction),
	SCMP_SYS(sigaltstack),
	SCMP_SYS(sched_yield),
	SCMP_SYS(clock_gettime),
	SCMP_SYS(gettimeofday),
	SCMP_SYS(time),
	SCMP_SYS(getrandom),
	SCMP_SYS(getpid),
	SCMP_SYS(gettid),
	SCMP_SYS(sysinfo),
};

/* Questions, which libraries ask on the way and can do without. */
static const int refused[] = {
	SCMP_SYS(open),
	SCMP_SYS(openat),
	SCMP_SYS(openat2),
	SCMP_SYS(stat),
	SCMP_SYS(lstat),
	SCMP_SYS(fstat),
	SCMP_SYS(newfstatat),
	SCMP_SYS(statx),
	SCMP_SYS(statfs),
	SCMP_SYS(access),
	SCMP_SYS(faccessat),
	SCMP_SYS(faccessat2),
	SCMP_SYS(readlink),
	SCMP_SYS(readlinkat),
	SCMP_SYS(getcwd),
	SCMP_SYS(lseek),
	SCMP_SYS(ioctl),
	SCMP_SYS(fcntl),
	SCMP_SYS(uname),
	SCMP_SYS(getrlimit),
	SCMP_SYS(prlimit64),
	SCMP_SYS(getrusage),
	SCMP_SYS(sched_getaffinity),
	SCMP_SYS(getuid),
	SCMP_SYS(geteuid),
	SCMP_SYS(getgid),
	SCMP_SYS(getegid),
	SCMP_SYS(getppid),
	SCMP_SYS(prctl),
};

/* A call that this architecture does not have is none that it can make. */
static void
rule_add(scmp_filter_ctx ctx, uint32_t action, int call)
{
	int err;

	err = seccomp_rule_add(ctx, action, call, 0);
	if (err < 0 && err != -EDOM)
		refuse("a rule of the filter", -err);
}

static void
rule_add_if(scmp_filter_ctx ctx, int call, struct scmp_arg_cmp cmp)
{
	int err;

	err = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, call, 1, cmp);
	if (err < 0 && err != -EDOM)
		refuse("a rule of the filter", -err);
}

/* Nothing that is written is ever run; signals go to oneself. */
static void
rules_add(scmp_filter_ctx ctx)
{
	size_t i;

	for (i = 0; i < ARRAY_LEN(allowed); i++)
		rule_add(ctx, SCMP_ACT_ALLOW, allowed[i]);
	for (i = 0; i < ARRAY_LEN(refused); i++)
		rule_add(ctx, SCMP_ACT_ERRNO(EPERM), refused[i]);
	rule_add_if(
	    ctx, SCMP_SYS(mmap), SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));
	rule_add_if(
	    ctx, SCMP_SYS(mmap2), SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));
	rule_add_if(
	    ctx, SCMP_SYS(mprotect), SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));
	rule_add_if(ctx, SCMP_SYS(tgkill),
	    SCMP_A0(SCMP_CMP_EQ, (scmp_datum_t)getpid()));
}

static void
filter_load(void)
{
	scmp_filter_ctx ctx;
	int err;

	/* Of kernels before 4.14 the thread, and there is only one. */
	ctx = seccomp_init(SCMP_ACT_KILL_PROCESS);
	if (ctx == NULL)
		ctx = seccomp_init(SCMP_ACT_KILL);
	if (ctx == NULL)
		refuse("the filter of system calls", ENOMEM);
	rules_add(ctx);
	if ((err = seccomp_load(ctx)) < 0)
		refuse("the filter of system calls", -err);
	seccomp_release(ctx);
}

void
sandbox_enter(uint64_t memory_bytes, int64_t cpu_ms)
{
	(void)prctl(PR_SET_NAME, SANDBOX_NAME);
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	descriptors_close();
	priority_lower();
	if (geteuid() == 0)
		namespaces_leave(0);
	user_leave();
	namespaces_leave(CLONE_NEWUSER);
	/* Another user's process forgets it. */
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	(void)prctl(PR_SET_DUMPABLE, 0);
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == -1)
		refuse("no new privileges", errno);
	capabilities_drop();
	abort_watch();
	limits_set(memory_bytes, cpu_ms);
	filter_load();
}
