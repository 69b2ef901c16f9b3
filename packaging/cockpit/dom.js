// SPDX-License-Identifier: GPL-2.0-or-later
/* Makes elements.  Text from disks becomes text nodes and attributes, and never markup. */
const SVG = "http://www.w3.org/2000/svg";

export const by_id = id => document.getElementById(id);

function fill(node, attributes, children) {
    for (const [name, value] of Object.entries(attributes))
        if (value !== null && value !== undefined)
            node.setAttribute(name, value);
    node.append(...children.filter(child => child !== null));
    return node;
}

export function element(tag, attributes = {}, ...children) {
    return fill(document.createElement(tag), attributes, children);
}

export function svg(tag, attributes = {}, ...children) {
    return fill(document.createElementNS(SVG, tag), attributes, children);
}

/* The element that has the focus keeps it, if there is one with its id again. */
export function replace(node, ...children) {
    const focused = document.activeElement && document.activeElement.id;

    node.replaceChildren(...children);
    if (focused && !document.activeElement.id && by_id(focused))
        by_id(focused).focus();
}

/* An empty text hides it. */
export function show_text(node, text) {
    node.textContent = text;
    node.hidden = !text;
}
