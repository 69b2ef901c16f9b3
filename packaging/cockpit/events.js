// SPDX-License-Identifier: GPL-2.0-or-later
/* What dm-remapd and scrubs write to the journal, and what systemd says of dm-remapd, the newest first. */
import { by_id, element } from "./dom.js";

const { cockpit } = window;
const SHOWN = 200;
/* Of root alone: everyone can write to the journal under any name. */
const JOURNAL = ["journalctl", "--follow", "--lines=30", "--output=json",
                 "_UID=0", "SYSLOG_IDENTIFIER=dm-remapd", "SYSLOG_IDENTIFIER=dmremap",
                 "+", "_PID=1", "UNIT=dm-remapd.service"];

/* A message that is no UTF-8 is a list of bytes. */
function text_of(value) {
    if (Array.isArray(value))
        return new TextDecoder().decode(new Uint8Array(value));
    return String(value ?? "");
}

function entry_of(entry) {
    const time = new Date(Number(entry.__REALTIME_TIMESTAMP) / 1000);
    const level = Number(entry.PRIORITY ?? 6);

    return element("li", { class: level <= 3 ? "bad" : level === 4 ? "warning" : null },
                   element("time", { datetime: isNaN(time) ? null : time.toISOString() },
                           isNaN(time) ? "" : time.toLocaleString()), " ", text_of(entry.MESSAGE));
}

/* Calls NEWS after each batch.  Returns what ends it. */
export function follow(news) {
    const list = by_id("events");
    const decoder = new TextDecoder();
    let rest = "";

    list.replaceChildren();
    const process = cockpit.spawn(JOURNAL, { superuser: "try", err: "ignore", binary: true });

    process.stream(chunk => {
        const lines = (rest + decoder.decode(chunk, { stream: true })).split("\n");

        rest = lines.pop();
        for (const line of lines.filter(Boolean))
            list.prepend(entry_of(JSON.parse(line)));
        while (list.children.length > SHOWN)
            list.lastElementChild.remove();
        news();
    });
    process.catch(error => {
        if (error.problem !== "cancelled")
            list.prepend(element("li", { class: "small" },
                                 "The journal cannot be read without administrative access or the group " +
                                 `systemd-journal (${error.message}).`));
    });
    return () => process.close("cancelled");
}
