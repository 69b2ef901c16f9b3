# SPDX-License-Identifier: GPL-2.0-or-later
# Fills a template (*.in) from the tables of the headers: a line that has one of these words is
# repeated for each row.
#
#   awk -f common/expand.awk common/dm_remap_counters.h common/dm_remap.h TEMPLATE.in
#
#   @COUNTER@    read_errors    counters that are kept
#   @ATTRIBUTE@  read-errors    the same and those since activation, as attributes of netlink
#   @EVENT@      loaded         kinds of event

function dashes(word) { word = tolower(word); gsub("_", "-", word); return word }
function repeat(word, rows, nr, i, line) {
	for (i = 1; i <= nr; i++) {
		line = $0
		gsub(word, rows[i], line)
		print line
	}
}

FILENAME !~ /\.in$/ && /^COUNTER\(/ { split($0, part, /[(,] */); counter[++counters] = part[3] }
FILENAME !~ /\.in$/ && /^(COUNTER|SINCE_LOAD)\(/ {
	split($0, part, /[(,)] */)
	attribute[++attributes] = dashes(part[2])
}
FILENAME !~ /\.in$/ && /^\tDM_REMAP_EVENT_[A-Z_]+,/ && !/UNSPEC/ {
	sub(/^\tDM_REMAP_EVENT_/, "")
	sub(/,.*/, "")
	event[++events] = dashes($0)
}
FILENAME !~ /\.in$/ { next }
/@COUNTER@/ { repeat("@COUNTER@", counter, counters); next }
/@ATTRIBUTE@/ { repeat("@ATTRIBUTE@", attribute, attributes); next }
/@EVENT@/ { repeat("@EVENT@", event, events); next }
{ print }
