// SPDX-License-Identifier: GPL-2.0-or-later
/* The table of sets, and the verdict on one of them. */
import { element } from "./dom.js";
import { size_of, time_of } from "./text.js";

const HEADINGS = ["Set", "Verdict", "State", "Size", "Main", "Spare", "Spare used", "Lost sectors",
                  "Spare full on"];

export const is_active = set => set.mode !== null && set.mode !== undefined;

export function verdict_badge(verdict) {
    return element("span", { class: `verdict ${verdict || "unknown"}` }, verdict || "not known");
}

function state_of(set) {
    return is_active(set) ? `${set.state}, ${set.mode}` : set.state;
}

function used_of(set) {
    return is_active(set) && set.total_slots
        ? `${set.used_slots} of ${set.total_slots}`
        : "–";
}

function full_of(judged) {
    return judged && judged.forecast.full ? time_of(judged.forecast.full).split(",")[0] : "–";
}

/* Of an inactive set there is no more to show. */
function name_cell(set, index, selected, select) {
    if (!select || !is_active(set))
        return set.name || set.uuid || "without a name";

    const button = element("button", { type: "button", class: "link", id: `set-${index}`,
                                       "aria-pressed": String(selected) }, set.name);

    button.addEventListener("click", () => select(set));
    return button;
}

function row_of(set, index, judged, selected, select) {
    return element("tr", { class: selected ? "selected" : null },
                   element("th", { scope: "row" }, name_cell(set, index, selected, select)),
                   element("td", {}, verdict_badge(judged ? judged.verdict : set.verdict)),
                   element("td", { class: "state" }, state_of(set), set.reason && !judged
                       ? element("div", { class: "small" }, set.reason) : null),
                   element("td", { class: "number" }, set.sectors ? size_of(set.sectors) : "–"),
                   element("td", {}, set.main || "–"),
                   element("td", {}, set.spare || "–"),
                   element("td", { class: "number" }, used_of(set)),
                   element("td", { class: "number" }, is_active(set) ? String(set.lost_sectors ?? "–") : "–"),
                   element("td", { class: "number" }, full_of(judged)));
}

/* JUDGEMENTS: what `dmremap health` says of each, by name.  Without SELECT there is no choice. */
export function table_of(sets, judgements, selected_name, select) {
    if (!sets.length)
        return element("p", {}, "No set is attached. Make one below, or type: dmremap doctor");
    return element("div", { class: "scrolls", tabindex: "0", role: "group", "aria-label": "Table of sets" },
                   element("table", {},
                           element("thead", {}, element("tr", {}, ...HEADINGS.map(
                               heading => element("th", { scope: "col" }, heading)))),
                           element("tbody", {}, ...sets.map((set, index) => row_of(
                               set, index, is_active(set) ? judgements.get(set.name) : undefined,
                               is_active(set) && set.name === selected_name, select)))));
}

function reason_of(reason) {
    return element("li", {}, verdict_badge(reason.verdict), " ", reason.text,
                   reason.evidence ? element("div", { class: "small" }, `seen: ${reason.evidence}`) : null,
                   reason.advice ? element("div", { class: "small" }, `do: ${reason.advice}`) : null);
}

export function verdict_of(judged) {
    return [
        element("p", {}, verdict_badge(judged.verdict)),
        judged.reasons.length ? element("ul", { class: "reasons" }, ...judged.reasons.map(reason_of))
            : element("p", {}, "There is nothing to report."),
        element("p", {}, element("strong", {}, "Forecast: "), judged.forecast.text),
    ];
}
