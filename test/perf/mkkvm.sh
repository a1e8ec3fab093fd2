#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# Makes the initramfs of a Linux that runs another one under KVM: busybox, Debian's QEMU for the
# machine microvm with its libraries and firmware, KVM's modules, and the other one's kernel and
# initramfs.
# Usage: mkkvm BUSYBOX OUTPUT.cpio KERNEL INITRD MODULE.ko...
set -eu

if [ $# -lt 5 ]; then
	echo "usage: mkkvm BUSYBOX OUTPUT.cpio KERNEL INITRD MODULE.ko..." >&2
	exit 2
fi
busybox=$1
output=$2
kernel=$3
initrd=$4
shift 4
firmware=/usr/share/qemu
qemu=$(command -v qemu-system-x86_64-microvm) || {
	echo "mkkvm: no qemu-system-x86_64-microvm (package qemu-system-x86)" >&2
	exit 1
}

root=$(mktemp -d)
trap 'rm -rf "$root" "$output.new"' EXIT
chmod 755 "$root"
mkdir -p "$root/bin" "$root/usr/bin" "$root/dev" "$root/proc" "$root/sys" "$root/tmp" "$root$firmware"
cp "$busybox" "$root/bin/busybox"
install -m 755 "$(dirname "$0")/kvm-init.sh" "$root/init"
# QEMU looks for its firmware relative to its own location.
cp "$qemu" "$root/usr/bin/qemu"
for library in $(ldd "$qemu" | grep -o '/[^ ]*'); do
	mkdir -p "$root/$(dirname "$library")"
	cp -L "$library" "$root$library"
done
for file in bios-microvm.bin qboot.rom pvh.bin linuxboot_dma.bin kvmvapic.bin; do
	cp -L "$firmware/$file" "$root$firmware/$file"
done
cp "$kernel" "$root/kernel"
cp "$initrd" "$root/initrd"
cp "$@" "$root"
find "$root" -exec touch -h -d @0 {} +
# Not compressed: decompression would delay every run, and nobody measures it.
(cd "$root" && find . | LC_ALL=C sort | cpio -o -H newc -R 0:0 --reproducible --quiet) >"$output.new"
mv "$output.new" "$output"
