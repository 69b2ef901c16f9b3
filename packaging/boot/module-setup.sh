#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Of dracut: what an image needs to put sets together.

is_set() {
	local uuid
	read -r uuid 2>/dev/null <"/sys/dev/block/$1/dm/uuid"
	[[ $uuid == REMAP-* ]]
}

# called by dracut
check() {
	require_binaries /usr/sbin/dmremap || return 1
	if [[ $hostonly ]] || [[ $mount_needs ]]; then
		for_each_host_dev_and_slaves is_set || return 255
	fi
	return 0
}

# called by dracut
depends() {
	echo dm rootfs-block
}

# called by dracut: a failure ends it, and the previous image is kept
installkernel() {
	local FALLBACK=no

	if modinfo -k "$kernel" dm-remap &>/dev/null; then
		instmods dm-remap
		return
	fi
	if [[ -r /etc/dm-remap/initramfs.conf ]]; then
		. /etc/dm-remap/initramfs.conf
	fi
	if [[ $FALLBACK != yes ]] && [[ $hostonly ]]; then
		derror "dm-remap: the root file system is on a set, and there is no module dm-remap" \
			"for Linux $kernel, so it would not boot. Install the headers of this kernel and" \
			"check \"dkms status\", or set FALLBACK=yes in /etc/dm-remap/initramfs.conf."
		return 1
	fi
	dwarn "dm-remap: the image has no module dm-remap for Linux $kernel"
	return 0
}

# called by dracut
install() {
	inst_multiple /usr/sbin/dmremap cat
	inst_multiple -o systemd-run
	inst_binary /usr/lib/udev/dm-remap-probe
	inst_rules 66-dm-remap.rules
	inst_multiple -o /etc/udev/rules.d/65-dm-remap-*.rules
	inst_script /usr/lib/dm-remap/boot /usr/lib/dm-remap/boot
	inst_simple /etc/dm-remap/initramfs.conf
	# Sets of another host are not put together by themselves, and this is how a host knows
	# itself. dracut's own module for systemd leaves an empty one.
	if [[ -s /etc/machine-id ]]; then
		rm -f "$initdir/etc/machine-id"
		inst_simple /etc/machine-id
	fi
	# Without this, systemd skips the queue, and with it the hook, and waits for the device for ever.
	dracut_need_initqueue
	inst_hook initqueue/settled 40 "$moddir/dm-remap-activate.sh"
	inst_hook emergency 50 "$moddir/dm-remap-tell.sh"
}
