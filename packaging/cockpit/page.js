// SPDX-License-Identifier: GPL-2.0-or-later
/* Looks when something happened, and shows what it saw. */
import * as create from "./create.js";
import { ask, list_unprivileged, order } from "./dmremap.js";
import { by_id, element, replace, show_text } from "./dom.js";
import { follow } from "./events.js";
import { history_of } from "./history.js";
import { map_of } from "./map.js";
import { scrub_of } from "./scrub.js";
import { is_active, table_of, verdict_of } from "./sets.js";
import "./theme.js";

const { cockpit } = window;
const PERIOD_MS = 60000, SCRUB_MS = 2000, SCRUB_CHANGE_MS = 20000, NEWS_MS = 1000;
const READ_ONLY = "You have no administrative access: this page shows what the kernel shows to everyone, and " +
    "changes nothing. Verdict, map, history, scrub and events need administrative access.";

const permission = cockpit.permission({ admin: true });
let sets = [], judgements = new Map(), stop_events = null;
let selected = null, shown = null;  /* names of active sets */
let news_timer = null, is_looking = false, wanted = null;
let scrub_timer = null, was_running = false, scrub_changes_until = 0;

const is_admin = () => permission.allowed === true;

function complain(error) {
    show_text(by_id("error"), error.message || String(error));
}

function draw_sets() {
    replace(by_id("sets"), table_of(sets, judgements, is_admin() ? selected : null, is_admin() ? set => {
        selected = set.name;
        draw_sets();
        look_closer();
    } : null));
}

function set_scrub_buttons(can_start, can_stop) {
    by_id("scrub-start").disabled = !can_start;
    by_id("scrub-stop").disabled = !can_stop;
}

/* Nothing of one set stays under the name of another. */
function begin_details(name) {
    if (name === shown)
        return;
    shown = name;
    clearTimeout(scrub_timer);
    was_running = false;
    by_id("details-title").textContent = name;
    for (const pane of ["verdict", "scrub", "map", "history"])
        by_id(pane).replaceChildren("Loading…");
    set_scrub_buttons(false, false);
}

/* What is to be shown of a set, or why it cannot be. */
async function show(pane, name, children) {
    let found;

    try {
        found = await children;
    } catch (error) {
        found = [element("p", { class: "wrong" }, error.message)];
    }
    if (name === shown)
        replace(by_id(pane), ...found);
}

async function look_at_scrub() {
    const name = shown;

    clearTimeout(scrub_timer);
    await show("scrub", name, ask("scrub", "--json", "--", "status", name).then(scrub => {
        const running = scrub.state === "running";

        if (name === shown) {
            set_scrub_buttons(!running, running || scrub.state === "interrupted");
            clearTimeout(scrub_timer);
            if (running || Date.now() < scrub_changes_until)
                scrub_timer = setTimeout(look_at_scrub, SCRUB_MS);
            if (was_running && !running)
                look_soon();
            was_running = running;
        }
        return scrub_of(scrub);
    }));
}

/* At the set that is selected. */
async function look_closer() {
    const name = is_admin() ? selected : null;

    by_id("details").hidden = !name;
    begin_details(name);
    if (!name)
        return;
    if (judgements.has(name))
        replace(by_id("verdict"), ...verdict_of(judgements.get(name)));
    await look_at_scrub();
    await Promise.all([
        show("map", name, ask("map", "--json", "--", name).then(map_of)),
        show("history", name, ask("history", "--json", "--", name).then(history_of)),
    ]);
}

async function look_once(with_disks) {
    const health = is_admin() ? await ask("health", "--json") : { sets: [] };

    if (!is_admin())
        sets = await list_unprivileged();
    else if (with_disks)
        sets = (await ask("list", "--json")).sets;
    judgements = new Map(health.sets.map(set => [set.name, set]));
    if (!sets.some(set => is_active(set) && set.name === selected))
        selected = sets.filter(is_active).map(set => set.name)[0] || null;
    draw_sets();
    show_text(by_id("error"), "");
    await look_closer();
}

/*
 * One look at a time, and another one after it if something happened meanwhile.  What `list` reads
 * from the disks is not read each minute: that would keep them awake.
 */
async function look(with_disks) {
    wanted = { disks: with_disks || Boolean(wanted && wanted.disks) };
    if (is_looking || permission.allowed === null)
        return;
    is_looking = true;
    while (wanted) {
        const { disks } = wanted;

        wanted = null;
        await look_once(disks).catch(complain);
    }
    is_looking = false;
}

function look_soon() {
    news_timer = news_timer || setTimeout(() => {
        news_timer = null;
        look(true);
    }, NEWS_MS);
}

async function change_scrub(what) {
    const name = shown;

    set_scrub_buttons(false, false);
    try {
        await order("scrub", "--", what, name);
        show_text(by_id("error"), "");
    } catch (error) {
        complain(error);
    }
    scrub_changes_until = Date.now() + SCRUB_CHANGE_MS;
    await look_at_scrub();
    look_soon();
}

function permission_changed() {
    if (permission.allowed === null)
        return;
    show_text(by_id("notice"), is_admin() ? "" : READ_ONLY);
    for (const control of document.querySelectorAll(".changes")) {
        control.disabled = !is_admin();
        if (is_admin())
            control.removeAttribute("title");
        else
            control.title = "needs administrative access";
    }
    begin_details(null);
    if (stop_events)
        stop_events();
    stop_events = follow(look_soon);
    look(true);
}

by_id("refresh").addEventListener("click", () => look(true));
by_id("scrub-start").addEventListener("click", () => change_scrub("start"));
by_id("scrub-stop").addEventListener("click", () => change_scrub("stop"));
create.listen(() => look(true));
permission.addEventListener("changed", permission_changed);
permission_changed();
setInterval(() => look(false), PERIOD_MS);
