/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * An alert as the environment of a hook: variables whose values are words, numbers, or text of
 * printable ASCII without quotes, backslash, backtick and dollar, which a "?" replaces.  So
 * whatever a disk is called, a careless script takes it for no more than text.
 */
#ifndef DM_REMAP_ALERT_TEXT_H
#define DM_REMAP_ALERT_TEXT_H

#include "alert.h"

#define ALERT_VARIABLES_MAX 16

/**
 * struct alert_variables - "NAME=value" each
 * @at: the variables, ended by NULL
 * @nr: how many
 * @nr_numbers: the first of them, whose values are numbers
 */
struct alert_variables {
	char *at[ALERT_VARIABLES_MAX + 1];
	unsigned int nr;
	unsigned int nr_numbers;
};

/* @time: seconds since 1970.  -ENOMEM: none of them. */
int alert_variables(const struct alert *alert, const char *host, uint64_t time,
		    struct alert_variables *variables);
void alert_variables_done(struct alert_variables *variables);
/* Whether @text is a variable that alert_variables() may have made. */
bool alert_is_variable(const char *text);

#endif /* DM_REMAP_ALERT_TEXT_H */
