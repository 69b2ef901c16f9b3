// SPDX-License-Identifier: GPL-2.0-or-later
/* The file for Prometheus: a child writes it once a minute, and after each new verdict. */
#include <errno.h>
#include <systemd/sd-journal.h>

#include "journal.h"
#include "state.h"

#define METRICS_SECONDS 60
#define BUSY_SECONDS 5
#define NEVER_SECONDS 3600
/* It is of all sets: this stands for the name of one. */
#define METRICS "metrics"
#define EXIT_OK 0

static void on_metrics(void *userdata, const struct job *job)
{
	struct manager *m = userdata;

	if (job->code != EXIT_OK && !m->metrics_failed)
		journal_job_failed(job);
	m->metrics_failed = job->code != EXIT_OK;
	action_came_back(m, job);
}

unsigned int write_metrics(struct manager *m, uint64_t now)
{
	const char *arguments[] = { "--write", m->config.metrics_path, NULL };
	int r;

	if (!*m->config.metrics_path)
		return NEVER_SECONDS;
	if (now < m->metrics_at)
		return (unsigned int)(m->metrics_at - now);
	r = job_start(&m->jobs, METRICS, METRICS, arguments, JOB_BESIDE, 0, on_metrics);
	if (r == -EBUSY)
		return BUSY_SECONDS;
	if (r < 0)
		sd_journal_print(LOG_ERR, "cannot run `dmremap metrics`: %s", strerror(-r));
	m->metrics_at = now + METRICS_SECONDS;
	return METRICS_SECONDS;
}
