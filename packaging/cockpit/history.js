// SPDX-License-Identifier: GPL-2.0-or-later
/* The use of the spare over time, and what came in the last day, week and month. */
import { element, svg } from "./dom.js";
import { date_of, time_of } from "./text.js";

const WIDTH = 640, HEIGHT = 180, LEFT = 60, BELOW = 28, ABOVE = 14;
const SPANS = [["day", "last day"], ["week", "last week"], ["month", "last 30 days"]];
const GROWTH = [["relocations", "relocations"], ["lost_sectors", "lost sectors"], ["main_errors", "errors of main"],
                ["spare_errors", "errors of the spare"]];

function text_at(x, y, anchor, text) {
    return svg("text", { x, y, "text-anchor": anchor }, text);
}

function plot_of(points) {
    const times = points.map(point => Date.parse(point.time));
    const first = times[0], last = times[times.length - 1];
    const most = Math.max(...points.map(point => point.used_slots), 1);
    const x_of = time => LEFT + (time - first) / Math.max(last - first, 1) * (WIDTH - LEFT - 4);
    const y_of = used => HEIGHT - BELOW - used / most * (HEIGHT - BELOW - ABOVE);
    /* it stays as it was until the next point */
    const steps = points.map((point, i) => (i ? `H${x_of(times[i]).toFixed(1)}V` : `M${LEFT},`) +
                                           y_of(point.used_slots).toFixed(1)).join("");
    const now = points[points.length - 1];
    const label = `Slots of the spare in use: ${points[0].used_slots} on ${date_of(points[0].time)}, ` +
        `${now.used_slots} of ${now.total_slots} on ${date_of(now.time)}`;

    return svg("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img", "aria-label": label, class: "plot" },
               svg("path", { class: "axis", d: `M${LEFT},${ABOVE}V${HEIGHT - BELOW}H${WIDTH - 4}` }),
               svg("path", { class: "line", d: steps }),
               ...points.map((point, i) => svg(
                   "circle", { cx: x_of(times[i]), cy: y_of(point.used_slots), r: 3, class: point.verdict },
                   svg("title", {}, `${time_of(point.time)}: ${point.used_slots} slots used, ` +
                                    `${point.lost_sectors} lost sectors, ${point.verdict}`))),
               text_at(LEFT - 6, y_of(most) + 6, "end", String(most)),
               text_at(LEFT - 6, y_of(0), "end", "0"),
               text_at(LEFT, HEIGHT - 6, "start", time_of(points[0].time)),
               text_at(WIDTH - 4, HEIGHT - 6, "end", time_of(now.time)));
}

export function history_of(history) {
    if (!history.points.length)
        return [element("p", {}, "Nothing is recorded yet: dm-remapd adds a point each hour, and one of " +
                                 "each change.")];
    return [
        element("p", {}, "Slots of the spare in use:"),
        plot_of(history.points),
        element("table", {},
                element("thead", {}, element("tr", {}, element("td", {}), ...SPANS.map(
                    ([, heading]) => element("th", { scope: "col" }, heading)))),
                element("tbody", {}, ...GROWTH.map(([key, heading]) => element(
                    "tr", {}, element("th", { scope: "row" }, heading), ...SPANS.map(
                        ([span]) => element("td", {}, String(history.growth[span][key]))))))),
    ];
}
