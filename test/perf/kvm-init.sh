#!/bin/busybox sh
# SPDX-License-Identifier: BSD-2-Clause
# The first process of the Linux that runs another Linux under KVM. Its arguments, which follow `--`
# on the kernel's command line, are the other one's command line.
b=/bin/busybox
$b mount -t devtmpfs dev /dev
$b mount -t proc proc /proc
$b mount -t sysfs sys /sys
for module in irqbypass ccp kvm kvm-amd; do
	$b insmod /$module.ko || echo "FAIL kvm: module $module"
done
/usr/bin/qemu -machine microvm -accel kvm -cpu host -smp 1 -m 512M -nodefaults -no-user-config -display none \
	-no-reboot -chardev stdio,id=serial,signal=off -serial chardev:serial \
	-kernel /kernel -initrd /initrd -append "$*" </dev/console >/dev/console 2>&1
echo "kvm: qemu has ended with status $?"
$b poweroff -f
