#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# Makes the initramfs of the control domain: the Debian programs that scripts/control-root collected,
# busybox for all others, test/beds/control, and FILEs: kernel modules (.ko) in /lib/modules/KERNEL,
# policy modules (.mod) in /modules, our tools in /usr/sbin, all others (kernels and initial memory
# disks that `xl create` starts) in /guests. `NAME=FILE` names one otherwise.
# Usage: mkcontrol BUSYBOX ROOT.tar OUTPUT.gz [[NAME=]FILE...]
set -eu

if [ $# -lt 3 ]; then
	echo "usage: mkcontrol BUSYBOX ROOT.tar OUTPUT.gz [[NAME=]FILE...]" >&2
	exit 2
fi
busybox=$1
tar=$2
output=$3
shift 3
source=$(dirname "$0")/control

root=$(mktemp -d)
trap 'rm -rf "$root" "$output.new"' EXIT
chmod 755 "$root"
tar -C "$root" -xf "$tar"
for directory in dev guests mnt modules proc root run sys tests tmp var/lib/xen var/log/xen/console; do
	mkdir -p "$root/$directory"
done
ln -s ../run "$root/var/run"
ln -s ../run/lock "$root/var/lock"
cp "$busybox" "$root/usr/bin/busybox"
ln -s bash "$root/usr/bin/sh"
for applet in $("$busybox" --list); do
	[ -e "$root/usr/sbin/$applet" ] || [ -e "$root/usr/bin/$applet" ] || ln -s busybox "$root/usr/bin/$applet"
done
cp "$source/init" "$root/init"
cp "$(dirname "$0")"/../../scripts/node/root/etc/xen/*.cfg "$root/etc/xen/"
mkdir -p "$root/usr/lib/margay"
ln -s ../../../guests "$root/usr/lib/margay/guests"
cp "$source"/tests/* "$root/tests/"
chmod 755 "$root/init"
for file in "$@"; do
	name=${file%%=*}
	file=${file#*=}
	case $file in
	*.ko)	# "vermagic=6.1.0-9-amd64 SMP ..." is among the strings of its section .modinfo
		kernel=$(tr '\0' '\n' <"$file" | sed -n 's/^.*vermagic=\([^ ]*\).*/\1/p' | sed 1q)
		[ "$kernel" ] || { echo "mkcontrol: $file is for no kernel" >&2; exit 1; }
		mkdir -p "$root/lib/modules/$kernel"
		cp "$file" "$root/lib/modules/$kernel/"
		;;
	*.mod) cp "$file" "$root/modules/" ;;
	*/mgctl | */margay-checkpoint | */*check) cp "$file" "$root/usr/sbin/" ;;
	*) cp "$file" "$root/guests/${name##*/}" ;;
	esac
done
find "$root" -exec touch -h -d @0 {} +
# Little of it compresses well, and the guest shall not take long to start.
(cd "$root" && find . | LC_ALL=C sort | cpio -o -H newc -R 0:0 --reproducible --quiet) |
	gzip -1n >"$output.new"
mv "$output.new" "$output"
