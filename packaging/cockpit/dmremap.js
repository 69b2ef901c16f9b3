// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Calls of the command dmremap, which needs root; and what the kernel shows to everyone.  The forms
 * of its JSON are in dmremap.schema.json.
 */
import { element } from "./dom.js";

const { cockpit } = window;
const JSON_VERSION = 1;
const KERNEL_FILES = ["mode", "health", "uuid", "used_slots", "total_slots", "lost_sectors"];
const SHOW_KERNEL_FILES = "cd /sys/block && grep -s '' dm-*/dm/name dm-*/size " +
    KERNEL_FILES.map(name => `dm-*/remap/${name}`).join(" ") + "; :";

/* {code, out, err}; rejected if it could not be run. */
export function run(...words) {
    return new Promise((resolve, reject) => {
        cockpit.spawn(["dmremap", ...words], { superuser: "require", err: "message" })
            .then(out => resolve({ code: 0, out, err: "" }),
                  (error, out) => {
                      if (error.exit_status === null || error.exit_status === undefined)
                          reject(new Error(`dmremap cannot be run: ${error.message || error.problem}`));
                      else
                          resolve({ code: error.exit_status, out: out || "", err: error.message });
                  });
    });
}

/* An exit code may say how a set is, and not that something failed: what was printed decides. */
export async function ask(...words) {
    const told = await run(...words);
    let found;

    try {
        found = JSON.parse(told.out);
    } catch (error) {
        throw new Error(told.err || `dmremap ${words.join(" ")} printed no JSON`);
    }
    if (found.version !== JSON_VERSION)
        throw new Error(`dmremap prints version ${found.version} of its JSON, and this page knows ` +
                        `version ${JSON_VERSION}: upgrade the package dm-remap-cockpit`);
    return found;
}

/* It must have exit code 0. */
export async function order(...words) {
    const told = await run(...words);

    if (told.code)
        throw new Error(told.err || `exit code ${told.code}`);
    return told.out;
}

/* Device-mapper writes most bytes of a name as \xNN. */
function plain_name(name) {
    try {
        return decodeURIComponent(name.replace(/%/g, "%25").replace(/\\x([0-9a-f]{2})/gi, "%$1"));
    } catch (error) {
        return name;
    }
}

/* Active sets as everyone may see them, in the form of `dmremap list`. */
export async function list_unprivileged() {
    const out = await cockpit.spawn(["sh", "-c", SHOW_KERNEL_FILES], { err: "ignore" });
    const devices = new Map();

    for (const line of out.split("\n")) {
        const match = /^(dm-[0-9]+)\/(?:dm\/|remap\/)?([a-z_]+):(.*)$/.exec(line);

        if (match)
            devices.set(match[1], { ...devices.get(match[1]), [match[2]]: match[3] });
    }
    return [...devices.values()].filter(device => device.mode).map(device => ({
        name: plain_name(device.name),
        uuid: device.uuid,
        state: "active",
        mode: device.mode,
        health: device.health,
        sectors: Number(device.size),
        used_slots: Number(device.used_slots),
        total_slots: Number(device.total_slots),
        lost_sectors: Number(device.lost_sectors),
    }));
}

/* Block devices as options of a list to choose from. */
export async function block_devices() {
    const out = await cockpit.spawn(["lsblk", "--json", "--list", "--paths",
                                     "--output=PATH,SIZE,TYPE,FSTYPE,MODEL"], { err: "ignore" });

    return JSON.parse(out).blockdevices
        .filter(device => ["disk", "part", "lvm", "raid1"].includes(device.type))
        .map(device => element("option", {
            value: device.path,
            label: [device.path, device.size, device.fstype, device.model].filter(Boolean).join(", "),
        }));
}
