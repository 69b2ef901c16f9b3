// SPDX-License-Identifier: GPL-2.0-or-later
/* What `dmremap scrub status` says. */
import { element } from "./dom.js";
import { count_of, duration_of, time_of } from "./text.js";

const WORDS = {
    never: "This set was never scrubbed.",
    running: "A scrub is running.",
    interrupted: "The scrub was interrupted; dm-remapd continues it.",
    stopped: "The scrub was stopped; Start continues it.",
    finished: "The last scrub came to its end.",
};

function result_of(last) {
    const found = [[last.unreadable, "unreadable sector"], [last.salvaged, "salvaged sector"],
                   [last.spare_unreadable, "unreadable sector of the spare"], [last.slow, "suspicious place"]]
        .filter(([nr]) => nr).map(([nr, word]) => count_of(nr, word));

    return found.length ? found.join(", ") : "all could be read";
}

function progress_of(scrub) {
    const percent = `${(scrub.permille / 10).toFixed(1)} %`;
    const left = scrub.seconds_left === null ? "" : `, ${duration_of(scrub.seconds_left)} left`;

    return element("p", {},
                   element("progress", { max: 1000, value: scrub.permille, "aria-label": "Scrub" }),
                   element("span", { id: "scrub-progress" }, `${percent}${left}`));
}

export function scrub_of(scrub) {
    const unreadable = scrub.set.unreadable.reduce((sum, span) => sum + span.nr_sectors, 0);

    return [
        element("p", { id: "scrub-state" }, WORDS[scrub.state] || scrub.state),
        ["running", "interrupted", "stopped"].includes(scrub.state) ? progress_of(scrub) : "",
        scrub.begun ? element("p", {}, `Begun: ${time_of(scrub.begun)}`) : "",
        scrub.last.ended
            ? element("p", {}, `Ended: ${time_of(scrub.last.ended)}: ${result_of(scrub.last)}`) : "",
        unreadable
            ? element("p", {}, `${count_of(unreadable, "sector")} cannot be read. To see which files they hit, ` +
                               "type: ", element("code", {}, `dmremap files ${scrub.name} --unreadable`)) : "",
    ];
}
