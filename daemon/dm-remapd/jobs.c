// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>

#include "jobs.h"
#include "remap_format.h"
#include "systemd-run.h"

#define SECOND_US 1000000ULL
#define SYSTEMD_RUN "/usr/bin/systemd-run"

int jobs_init(struct jobs *jobs, sd_event *loop, unsigned int timeout_seconds, job_late_f on_late,
	      void *userdata)
{
	char path[PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", path, sizeof(path) - 1);
	char *slash;

	*jobs = (struct jobs){ .loop = loop,
			       .timeout_seconds = timeout_seconds,
			       .on_late = on_late,
			       .userdata = userdata };
	if (n < 0)
		return -errno;
	path[n] = '\0';
	slash = strrchr(path, '/');
	if (!slash)
		return -EINVAL;
	jobs->daemon = strdup(path);
	if (!jobs->daemon)
		return -ENOMEM;
	*slash = '\0';
	return asprintf(&jobs->command, "%s/dmremap", path) < 0 ? -ENOMEM : 0;
}

static void job_free(struct job *job)
{
	sd_event_source_disable_unref(job->child);
	sd_event_source_disable_unref(job->deadline);
	close_p(&job->output);
	free(job);
}

void jobs_done(struct jobs *jobs)
{
	while (jobs->first) {
		struct job *job = jobs->first;

		jobs->first = job->next;
		job_free(job);
	}
	free(jobs->command);
	free(jobs->daemon);
	jobs->command = NULL;
	jobs->daemon = NULL;
}

bool jobs_at_work(const struct jobs *jobs)
{
	for (const struct job *job = jobs->first; job; job = job->next)
		if (job->is_awaited)
			return true;
	return false;
}

bool jobs_busy(const struct jobs *jobs, const char *set)
{
	for (const struct job *job = jobs->first; job; job = job->next)
		if (!job->is_beside && streq(job->set, set))
			return true;
	return false;
}

unsigned int jobs_nr(const struct jobs *jobs, bool is_beside)
{
	unsigned int nr = 0;

	for (const struct job *job = jobs->first; job; job = job->next)
		nr += job->is_beside == is_beside && !job->late;
	return nr;
}

static const struct job *find_beside(const struct jobs *jobs, const char *set, const char *verb,
				     uint64_t number)
{
	for (const struct job *job = jobs->first; job; job = job->next)
		if (job->is_beside && streq(job->set, set) && streq(job->verb, verb) &&
		    job->number == number)
			return job;
	return NULL;
}

bool jobs_late(const struct jobs *jobs, const char *set, const char *verb, uint64_t number)
{
	const struct job *job = find_beside(jobs, set, verb, number);

	return job && job->late;
}

/* Of a failure the reason is the last line: others may be about a copy that is ignored. */
static void keep_last_line(char *text)
{
	char *end = text + strlen(text), *line;

	while (end > text && end[-1] == '\n')
		*--end = '\0';
	line = strrchr(text, '\n');
	if (line)
		memmove(text, line + 1, strlen(line));
}

/* One line of what the child said, or all; it has ended, so all of it is in the pipe. */
static void read_output(struct job *job)
{
	static const char prefix[] = "dmremap: ";
	ssize_t n = read(job->output, job->text, sizeof(job->text) - 1);

	job->text[n > 0 ? n : 0] = '\0';
	if (job->is_hooks || job->keeps_lines)
		return;
	if (job->code && !job->answers)
		keep_last_line(job->text);
	job->text[JOB_LINE_BYTES - 1] = '\0';
	job->text[strcspn(job->text, "\n")] = '\0';
	if (!strncmp(job->text, prefix, strlen(prefix)))
		memmove(job->text, job->text + strlen(prefix),
			strlen(job->text) - strlen(prefix) + 1);
}

static int on_child(sd_event_source *source, const siginfo_t *info, void *userdata)
{
	struct job *job = userdata, **at = &job->jobs->first;
	struct jobs *jobs = job->jobs;

	while (*at != job)
		at = &(*at)->next;
	*at = job->next;
	job->code = info->si_code == CLD_EXITED ? info->si_status : -1;
	read_output(job);
	job->done(jobs->userdata, job);
	job_free(job);
	return 0;
}

static int on_deadline(sd_event_source *source, uint64_t at, void *userdata)
{
	struct job *job = userdata;

	job->late = true;
	job->jobs->on_late(job->jobs->userdata, job);
	return 0;
}

/* Nothing of the daemon's is inherited: a hung child would go on listening to events. */
static int spawn(const struct job *job, char *const *argv, int output, pid_t *pid)
{
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attr;
	sigset_t none;
	int r;

	sigemptyset(&none);
	posix_spawn_file_actions_init(&actions);
	posix_spawnattr_init(&attr);
	posix_spawnattr_setsigmask(&attr, &none);
	posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGMASK);
	r = posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
	if (!r)
		r = posix_spawn_file_actions_adddup2(&actions, output, 1);
	if (!r)
		r = posix_spawn_file_actions_adddup2(&actions, output, 2);
	if (!r)
		r = posix_spawn_file_actions_addclosefrom_np(&actions, 3);
	if (!r)
		r = posix_spawn(pid, argv[0], &actions, &attr, argv, environ);
	posix_spawnattr_destroy(&attr);
	posix_spawn_file_actions_destroy(&actions);
	return -r;
}

static bool has_systemd(void)
{
	return access("/run/systemd/system", F_OK) == 0;
}

int job_hooks_prefix(const char *argv[JOB_PREFIX_MAX], char *limit, size_t nr_bytes,
		     unsigned int timeout_seconds)
{
	static const char *const by_systemd[] = {
		SYSTEMD_RUN,
		"--quiet",
		"--wait",
		"--pipe",
		"--collect",
		"--property=SyslogIdentifier=dm-remapd-hooks",
		"--property=TimeoutStopSec=2s",
		"--description=Hooks of dm-remapd",
	};
	int nr = 0;

	if (!has_systemd())
		return 0;
	for (size_t i = 0; i < ARRAY_SIZE(by_systemd); i++)
		argv[nr++] = by_systemd[i];
	snprintf(limit, nr_bytes, "--property=RuntimeMaxSec=%us", timeout_seconds);
	argv[nr++] = limit;
	return nr;
}

static int command_prefix(const char *argv[JOB_PREFIX_MAX])
{
	static const char *const by_systemd[] = {
		SYSTEMD_RUN,
		"--quiet",
		"--wait",
		"--pipe",
		"--collect",
		"--property=DefaultDependencies=no",
		"--property=SyslogIdentifier=dmremap",
		/* a child of it that waits for a disk is killed already: the unit does not wait */
		"--property=KillMode=process",
		/*
		 * An exit code is an answer to the daemon, which reports what is wrong; systemd would
		 * log "Failed with result".  With SuccessExitStatus= systemd-run would exit with 0.
		 */
		"--property=LogLevelMax=err",
		"--description=A command of dm-remapd that opens disks",
	};

	for (size_t i = 0; i < ARRAY_SIZE(by_systemd); i++)
		argv[i] = by_systemd[i];
	return ARRAY_SIZE(by_systemd);
}

static int run(struct job *job, const char *const *arguments, bool outside)
{
	const char *argv[JOB_ARGUMENTS_MAX + JOB_PREFIX_MAX];
	struct jobs *jobs = job->jobs;
	_cleanup_close_ int output = -1;
	_cleanup_free_ char *room = NULL;
	int pipes[2], nr = 0, own, r;
	char limit[64];
	uint64_t now;
	pid_t pid;

	if (job->is_hooks)
		nr = job_hooks_prefix(argv, limit, sizeof(limit), job->timeout_seconds);
	else if (outside && has_systemd())
		nr = command_prefix(argv);
	own = nr;
	argv[nr++] = job->is_hooks ? jobs->daemon : jobs->command;
	argv[nr++] = job->verb;
	for (int i = 0; arguments[i] && i < JOB_ARGUMENTS_MAX - 3; i++)
		argv[nr++] = arguments[i];
	argv[nr] = NULL;
	r = own ? systemd_run_quote(argv + own, &room) : 0;
	if (r < 0)
		return r;
	if (pipe2(pipes, O_CLOEXEC | O_NONBLOCK) < 0)
		return -errno;
	job->output = pipes[0];
	output = pipes[1];
	r = spawn(job, (char *const *)argv, output, &pid);
	if (r < 0)
		return r;
	r = sd_event_add_child(jobs->loop, &job->child, pid, WEXITED, on_child, job);
	if (r < 0)
		return r; /* it continues, and its end is not noticed */
	sd_event_now(jobs->loop, CLOCK_BOOTTIME, &now);
	return sd_event_add_time(jobs->loop, &job->deadline, CLOCK_BOOTTIME,
				 now + job->timeout_seconds * SECOND_US, SECOND_US, on_deadline,
				 job);
}

static int begin(struct jobs *jobs, struct job *wanted, const char *const *arguments, bool outside)
{
	struct job *job = malloc(sizeof(*job));
	int r;

	if (!job)
		return -ENOMEM;
	*job = *wanted;
	job->jobs = jobs;
	job->output = -1;
	r = run(job, arguments, outside);
	if (r < 0) {
		job_free(job);
		return r;
	}
	job->next = jobs->first;
	jobs->first = job;
	return 0;
}

int job_start(struct jobs *jobs, const char *set, const char *verb, const char *const *arguments,
	      unsigned int flags, uint64_t number, job_done_f done)
{
	struct job job = {
		.verb = verb,
		.is_beside = flags & JOB_BESIDE,
		.is_awaited = !(flags & JOB_BESIDE) || flags & JOB_AWAITED,
		.keeps_lines = flags & JOB_LINES,
		.answers = flags & JOB_ANSWERS,
		.number = number,
		.timeout_seconds = jobs->timeout_seconds,
		.done = done,
	};

	if (flags & JOB_BESIDE ? find_beside(jobs, set, verb, number) != NULL :
				 jobs_busy(jobs, set))
		return -EBUSY;
	snprintf(job.set, sizeof(job.set), "%s", set);
	return begin(jobs, &job, arguments, flags & JOB_OUTSIDE);
}

int job_start_hooks(struct jobs *jobs, const char *const *arguments, unsigned int timeout_seconds,
		    bool is_awaited, job_done_f done)
{
	struct job job = {
		.set = "hooks",
		.verb = "--run-hooks",
		.is_beside = true,
		.is_awaited = is_awaited,
		.timeout_seconds = timeout_seconds,
		.is_hooks = true,
		.done = done,
	};

	if (find_beside(jobs, job.set, job.verb, 0))
		return -EBUSY;
	return begin(jobs, &job, arguments, true);
}
