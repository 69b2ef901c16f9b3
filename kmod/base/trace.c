// SPDX-License-Identifier: GPL-2.0-only
/*
 * What the tracepoints in trace.h are made of.
 */
#define CREATE_TRACE_POINTS
#include "base/trace.h"
