// SPDX-License-Identifier: GPL-2.0-or-later
/* Where on the disks something is: each is one long line, cut into rows of equal length. */
import { element, svg } from "./dom.js";
import { count_of } from "./text.js";

const WIDTH = 640, ROW = 14, LEAST = 4;
/* what is drawn last is seen: the worst */
const MARKS = [
    ["scrubbed", "scrubbed"],
    ["own", "moved for dm-remap itself"],
    ["used", "remapped, or a used slot"],
    ["suspicious", "suspicious: slow or unreadable"],
    ["worst", "lost, or a bad slot"],
];

function marks_of(cell, is_main) {
    return {
        scrubbed: cell.scrubbed,
        own: is_main ? cell.own : 0,
        used: is_main ? cell.remapped : cell.used,
        suspicious: cell.suspicious,
        worst: is_main ? cell.lost : cell.bad,
    };
}

function describe(first, nr, cell, is_main) {
    const words = is_main
        ? [[cell.remapped, "remapped"], [cell.lost, "lost"], [cell.own, "of dm-remap"]]
        : [[cell.used, "used"], [cell.bad, "bad"]];

    return `${is_main ? "sectors" : "slots"} ${first} to ${first + nr - 1}: ` +
        [...words, [cell.suspicious, "suspicious"], [cell.scrubbed, "scrubbed"]]
            .filter(([number]) => number).map(([number, word]) => `${number} ${word}`).join(", ");
}

/* The parts of a span, one in each row that it touches. */
function parts_of(first, nr, total, rows) {
    const per_row = total / rows, parts = [];

    for (let row = Math.floor(first / per_row); row < rows && row * per_row < first + nr; row++) {
        const begin = Math.max(first - row * per_row, 0);
        const end = Math.min(first + nr - row * per_row, per_row);

        parts.push({ row, x: begin / per_row * WIDTH, width: (end - begin) / per_row * WIDTH });
    }
    return parts;
}

function strip_of(cells, total, rows, is_main, label) {
    const drawn = svg("g", {});

    for (let row = 0; row < rows; row++)
        drawn.append(svg("rect", { x: 0, y: row * ROW, width: WIDTH, height: ROW - 2, class: "empty" }));
    for (const [mark] of MARKS) {
        for (const cell of cells) {
            const first = is_main ? cell.sector : cell.slot;
            const nr = is_main ? cell.nr_sectors : cell.nr_slots;

            if (!marks_of(cell, is_main)[mark])
                continue;
            for (const part of parts_of(first, nr, total, rows))
                drawn.append(svg("rect", {
                    x: Math.min(part.x, WIDTH - LEAST), y: part.row * ROW, height: ROW - 2,
                    width: mark === "scrubbed" ? part.width : Math.max(part.width, LEAST), class: mark,
                }, svg("title", {}, describe(first, nr, cell, is_main))));
        }
    }
    return svg("svg", { viewBox: `0 0 ${WIDTH} ${rows * ROW}`, role: "img", "aria-label": label,
                        class: "map" }, drawn);
}

const sum_of = (cells, key) => cells.reduce((sum, cell) => sum + cell[key], 0);

export function map_of(map) {
    const main = `Main: ${count_of(sum_of(map.main, "remapped"), "sector")} remapped, ` +
        `${sum_of(map.main, "lost")} lost, ${sum_of(map.main, "suspicious")} suspicious`;
    const spare = `Spare: ${sum_of(map.spare, "used")} of ${count_of(map.total_slots, "slot")} used, ` +
        `${sum_of(map.spare, "bad")} bad`;

    return [
        element("p", {}, main),
        strip_of(map.main, map.nr_sectors, 16, true, main),
        element("p", {}, spare),
        strip_of(map.spare, map.total_slots, 4, false, spare),
        element("ul", { class: "legend" }, ...MARKS.map(([mark, text]) => element(
            "li", {}, svg("svg", { viewBox: "0 0 10 10", "aria-hidden": "true" },
                          svg("rect", { width: 10, height: 10, class: mark })), text))),
    ];
}
