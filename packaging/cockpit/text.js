// SPDX-License-Identifier: GPL-2.0-or-later
/* Numbers and times for people. */
const UNITS = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];

export function size_of(nr_sectors) {
    let value = nr_sectors * 512, unit = 0;

    while (value >= 1024 && unit < UNITS.length - 1) {
        value /= 1024;
        unit++;
    }
    return `${value >= 100 || Number.isInteger(value) ? Math.round(value) : value.toFixed(1)} ${UNITS[unit]}`;
}

export function count_of(nr, word) {
    return `${nr} ${word}${nr === 1 ? "" : "s"}`;
}

/* Local time; what is not known is a dash. */
export function time_of(text) {
    const date = new Date(text);

    return text && !isNaN(date) ? date.toLocaleString() : "–";
}

export function date_of(text) {
    const date = new Date(text);

    return text && !isNaN(date) ? date.toLocaleDateString() : "–";
}

export function duration_of(seconds) {
    if (seconds < 90)
        return count_of(Math.round(seconds), "second");
    if (seconds < 90 * 60)
        return count_of(Math.round(seconds / 60), "minute");
    if (seconds < 36 * 3600)
        return count_of(Math.round(seconds / 3600), "hour");
    return count_of(Math.round(seconds / 86400), "day");
}
