// SPDX-License-Identifier: GPL-2.0-or-later
/* Making a set: what would be done is shown before it can be confirmed. */
import { block_devices, order } from "./dmremap.js";
import { by_id, show_text } from "./dom.js";

const CHANGED = "What would be done has changed since the plan was shown. Read the new plan.";
let shown = null;   /* {words, text}: the plan that can be confirmed */

function words_of(form) {
    const { name, main, spare, wipe } = form.elements;

    return [...wipe.checked ? ["--wipe-spare"] : [], "--", name.value, main.value, spare.value];
}

function hide() {
    shown = null;
    by_id("plan").hidden = true;
}

async function show(words) {
    const text = await order("create", "--dry-run", ...words);

    shown = { words, text };
    by_id("plan-text").textContent = text;
    by_id("plan").hidden = false;
    by_id("plan-text").focus();
}

async function confirm(changed) {
    const { words, text } = shown;

    await show(words);
    if (shown.text !== text)
        throw new Error(CHANGED);
    const told = await order("create", "--yes", "--quiet", ...words);

    hide();
    show_text(by_id("create-result"), told || "The set was made, and is active.");
    by_id("create").reset();
    changed();
}

/* One at a time; CHANGED is called when there is a new set. */
export function listen(changed) {
    const form = by_id("create"), result = by_id("create-result");
    let busy = false;

    async function only_one(text, job) {
        if (busy)
            return;
        busy = true;
        by_id("plan").inert = true;
        show_text(result, text);
        try {
            await job();
            if (result.textContent === text)
                show_text(result, "");
        } catch (error) {
            show_text(result, error.message);
        }
        by_id("plan").inert = false;
        busy = false;
    }

    form.addEventListener("submit", event => {
        event.preventDefault();
        hide();
        only_one("Examining the disks…", () => show(words_of(form)));
    });
    /* the plan is of other words now */
    form.addEventListener("input", hide);
    by_id("create-cancel").addEventListener("click", hide);
    by_id("create-confirm").addEventListener("click",
                                             () => only_one("Making the set…", () => confirm(changed)));
    form.addEventListener("focusin", () => block_devices().then(
        options => by_id("disks").replaceChildren(...options), () => undefined));
}
