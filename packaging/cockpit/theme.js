// SPDX-License-Identifier: GPL-2.0-or-later
/* Light or dark, as it is chosen in Cockpit's menu, else as the browser wants it. */
const dark = window.matchMedia("(prefers-color-scheme: dark)");

function apply(style) {
    const chosen = style || localStorage.getItem("shell:style") || "auto";

    document.documentElement.classList.toggle("dark", chosen === "dark" || (chosen === "auto" && dark.matches));
}

window.addEventListener("storage", event => event.key === "shell:style" && apply());
window.addEventListener("cockpit-style", event => apply(event.detail && event.detail.style));
dark.addEventListener("change", () => apply());
apply();
