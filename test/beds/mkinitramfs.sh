#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# Makes the initramfs of the Linux guests: a static busybox, test/beds/initramfs, and FILEs: policy
# modules (.mod) in /modules, the tests' bad ones in /modules/hostile, kernel modules (.ko) in
# /lib/modules/KERNEL, the contents of a .tar in /, programs in /bin.
# Usage: mkinitramfs BUSYBOX OUTPUT.gz [FILE...]
set -eu

if [ $# -lt 2 ]; then
	echo "usage: mkinitramfs BUSYBOX OUTPUT.gz [FILE...]" >&2
	exit 2
fi
busybox=$1
output=$2
shift 2
source=$(dirname "$0")/initramfs
if ! [ -x "$busybox" ]; then
	echo "mkinitramfs: no busybox at $busybox; run scripts/setup" >&2
	exit 1
fi

root=$(mktemp -d)
trap 'rm -rf "$root" "$output.new"' EXIT
chmod 755 "$root"
mkdir -p "$root/bin" "$root/dev" "$root/proc" "$root/sys" "$root/tmp" "$root/root" "$root/tests"
cp "$busybox" "$root/bin/busybox"
for applet in $("$busybox" --list); do
	[ "$applet" = busybox ] || ln -s busybox "$root/bin/$applet"
done
cp "$source/init" "$root/init"
cp "$source"/tests/* "$root/tests/"
for file in "$@"; do
	mode=644
	case $file in
	*.tar)
		tar -C "$root" -xf "$file"
		continue
		;;
	*/test/modules/*.mod) to=modules/hostile ;;
	*.mod) to=modules ;;
	*.ko)	# "vermagic=6.1.0-9-amd64 SMP ..." is among the strings of its section .modinfo
		kernel=$(tr '\0' '\n' <"$file" | sed -n 's/^.*vermagic=\([^ ]*\).*/\1/p' | sed 1q)
		[ "$kernel" ] || { echo "mkinitramfs: $file is for no kernel" >&2; exit 1; }
		to=lib/modules/$kernel
		;;
	*) to=bin mode=755 ;;
	esac
	mkdir -p "$root/$to"
	install -m $mode "$file" "$root/$to"
done
chmod 755 "$root/init" "$root"/tests/*
find "$root" -exec touch -h -d @0 {} +
(cd "$root" && find . | LC_ALL=C sort | cpio -o -H newc -R 0:0 --reproducible --quiet) |
	gzip -9n >"$output.new"
mv "$output.new" "$output"
