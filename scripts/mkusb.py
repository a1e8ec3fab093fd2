#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Make the image with which somebody tries Margay on a PC or server: `make usb`.

    scripts/mkusb.py -o build/margay-usb.img [--only NAME]... build/margay

It boots by BIOS and UEFI. GRUB starts Margay with the scenario guests that need nothing but a
machine. They run one after another. Margay keeps its log in RAM and reboots; GRUB then reads the
log from RAM and writes it to REPORT.TXT on the image's own file system. GRUB writes only into the
blocks of that file and of state.env, which exist already: whatever boots GRUB can store a report,
without drivers, and nothing else on the machine is written to.
"""
import argparse
import importlib.machinery
import importlib.util
import os
import subprocess
import sys
import tempfile

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, '../test/beds'))
# pylint: disable=wrong-import-position
import scenarios  # noqa: E402

LOG_MIB = 64                    # where Margay keeps its log: option report=
LOG_BASE = LOG_MIB << 20
LOG_BLOCKS = '0 1 2 3 4 5 6 7'  # of 64 KiB: common/kept_log.c
SECONDS = 60                    # for each guest
BLOCK_HEADER = b'# GRUB Environment Block\n'
REPORT_SIZE = 768 << 10
HEX = '0 1 2 3 4 5 6 7 8 9 a b c d e f'
EVERYWHERE = {'qemu', 'ryzen', 'broadwell'}


def load_mkimage():
    loader = importlib.machinery.SourceFileLoader('mkimage', os.path.join(HERE, 'mkimage'))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader('mkimage', loader))
    loader.exec_module(module)
    return module


mkimage = load_mkimage()


def needs_only_a_machine(scenario):
    """Does it pass on any machine, with one guest of ours and nothing typed or counted?"""
    special = ('qemu', 'grub', 'bochs', 'debugger', 'modules', 'input', 'count', 'same', 'options',
               'panics', 'long')
    guests = scenario['guests']
    return (EVERYWHERE <= set(scenario['beds']) and len(guests) == 1 and guests[0]['pass']
            and not any(scenario[field] for field in special) and scenario['ends'] == 'off'
            and not guests[0]['elf'].startswith('linux-'))


def chosen(only):
    """Return the (file, arguments) of the guests, each named by its scenario."""
    result = []
    for scenario in scenarios.load():
        if scenario['name'] in only if only else needs_only_a_machine(scenario):
            guest = dict(scenario['guests'][0], name=scenario['name'])
            result += scenarios.modules(dict(scenario, guests=[guest]))
    return result


def version():
    done = subprocess.run([os.path.join(HERE, 'version')], text=True, capture_output=True, check=True)
    return done.stdout.strip()


def tables():
    """GRUB variables that turn a byte's two hexadecimal digits into its character."""
    lines = []
    for code in range(0x20, 0x7f):
        char = chr(code)
        lines.append(f'set c{code:02x}=' + (f'"{char}"' if char == "'" else f"'{char}'"))
    return '\n'.join(lines)


STORE = '''\
# Reads Margay's log from RAM and stores it: scripts/mkusb.py.
@TABLES@
set nl="
"
set line=""
set block=""
set blocks=""
set passed=" "

function end_line {
	set block="$block$line$nl"
	if regexp --set 1:name '^.([a-z0-9_-]+). PASS ' "$line"; then
		set passed="$passed$name "
	elif regexp '(^.[^ ]+. FAIL )|(panic)|(ended: (crash|watchdog))' "$line"; then
		echo "$line"
	fi
	set line=""
}

# A log ends with a zero, so the last word of it has fewer digits or does not match.
function read_block {
	for c in @HEX@; do
		if [ -n "$end" ]; then break; fi
		for d in @HEX@; do
			for e in 0 4 8 c; do
				read_dword -v v 0x40$a$b$c$d$e
				if regexp --set 1:z --set 2:y --set 3:x --set 4:w '^(..)(..)(..)(..)$' "$v"; then
					if regexp '1e' "$v"; then
						for h in $w $x $y $z; do
							if [ $h = 1e ]; then
								end_line
							else
								eval "set line=\\"\\$line\\$c$h\\""
							fi
						done
					else
						eval "set line=\\"\\$line\\$c$w\\$c$x\\$c$y\\$c$z\\""
					fi
				else
					set end=1
					break
				fi
			done
			if [ -n "$end" ]; then break; fi
		done
	done
}

read_dword -v m0 @BASE@
read_dword -v m1 @BASE1@
if [ "$m0" = 6772614d -a "$m1" = 674c7961 ]; then
	echo "Reading the log, which takes some seconds ..."
	set end=""
	for a in @BLOCKS@; do
		for b in @HEX@; do
			if [ -z "$end" ]; then
				read_block
				eval "set log$a$b=\\"\\$nl\\$block\\""
				set blocks="$blocks log$a$b"
				set block=""
			fi
		done
	done
	end_line
	set log_end="$nl$block"
	set block=""
	set tests_failed=""
	for name in $guests; do
		if regexp " $name " "$passed"; then true; else set tests_failed="$tests_failed $name"; fi
	done
	set tests_passed="$passed"
	set firmware=$grub_platform
	smbios --type 1 --get-string 4 --set system_vendor
	smbios --type 1 --get-string 5 --set system_product
	smbios --type 2 --get-string 5 --set board_product
	smbios --type 0 --get-string 4 --set firmware_vendor
	smbios --type 0 --get-string 5 --set firmware_version
	smbios --type 0 --get-string 8 --set firmware_date
	if save_env --file /REPORT.TXT margay_version firmware firmware_vendor firmware_version firmware_date system_vendor system_product board_product tests_passed tests_failed $blocks log_end; then
		write_dword @BASE@ 0
		echo "Passed:$tests_passed"
		if [ -n "$tests_failed" ]; then
			echo "NOT PASSED:$tests_failed"
		else
			echo "All tests passed."
		fi
		echo "REPORT STORED in REPORT.TXT on this drive: please send it to Margay's authors."
	else
		echo "REPORT NOT STORED: this drive cannot be written to. Please take a photograph."
	fi
else
	echo "NO REPORT IN MEMORY: the firmware clears memory when it reboots, or the run ended early."
	echo "Please run the tests that keep the screen, and take a photograph."
fi
set stage=none
save_env --file $prefix/state.env stage
echo "Power-off in 60 seconds; any key shows the menu."
if sleep --interruptible 60; then halt; fi
'''

MENU = '''\
# Made by scripts/mkusb.py.
if serial --unit=0 --speed=115200; then
	terminal_input console serial
	terminal_output console serial
fi
set margay_version="@VERSION@"
set guests="@GUESTS@"
set timeout=5
set default=tests
set stage=none
load_env --file $prefix/state.env stage
if [ "$stage" = running ]; then
	set default=store
	set timeout=0
fi
menuentry "Run Margay's tests, reboot, and store the report" --id tests {
	set stage=running
	save_env --file $prefix/state.env stage
	multiboot2 /boot/margay report=@MIB@ one_by_one=@SECONDS@ when_empty=reboot
@MODULES@
}
menuentry "Run Margay's tests and keep the screen (nothing is stored)" --id screen {
	multiboot2 /boot/margay report=@MIB@ one_by_one=@SECONDS@
@MODULES@
}
menuentry "Run one guest that says hello" --id hello {
	multiboot2 /boot/margay
	module2 /boot/hello guest name=hello mem=32M
}
menuentry "Show the last report" --id show {
	set pager=1
	cat /REPORT.TXT
	set pager=0
	sleep --interruptible 600
}
menuentry "Store the report of the last run" --id store {
	source $prefix/store.cfg
}
'''


def fill(text, **values):
    for name, value in values.items():
        text = text.replace(f'@{name}@', str(value))
    return text


def configs(guests, names, seconds):
    """Return the text of grub.cfg and of store.cfg."""
    modules = '\n'.join(f'\tmodule2 /boot/{names[os.path.realpath(path)]} {mkimage.quoted(mkimage.with_file(path, args))}'
                        for path, args in guests)
    tests = ' '.join(args.split()[1].removeprefix('name=') for _, args in guests)
    menu = fill(MENU, VERSION=version(), GUESTS=tests, MIB=LOG_MIB, SECONDS=seconds, MODULES=modules)
    store = fill(STORE, TABLES=tables(), HEX=HEX, BLOCKS=LOG_BLOCKS, BASE=f'{LOG_BASE:#x}',
                 BASE1=f'{LOG_BASE + 4:#x}')
    return menu, store


def block(size, text=b''):
    """A file for GRUB's save_env."""
    return (BLOCK_HEADER + text).ljust(size, b'#')


def make_usb(output, hypervisor, guests, cache, seconds):
    names = mkimage.module_names([*guests, (scenarios.guest_file('hello'), '')])
    menu, store = configs(guests, names, seconds)
    contents = {'REPORT.TXT': block(REPORT_SIZE), 'boot/grub/state.env': block(1024, b'stage=none\n'),
                'boot/grub/grub.cfg': menu.encode(), 'boot/grub/store.cfg': store.encode()}
    with tempfile.TemporaryDirectory() as work:
        files = [('boot/margay', hypervisor)]
        files += [(f'boot/{name}', path) for path, name in names.items()]
        for target, content in contents.items():
            path = os.path.join(work, os.path.basename(target))
            with open(path, 'wb') as file:
                file.write(content)
            files.append((target, path))
        os.makedirs(os.path.dirname(os.path.abspath(output)), exist_ok=True)
        mkimage.make_disk(cache, output, files, 'usb')


def main():
    parser = argparse.ArgumentParser(description=__doc__.split('\n', maxsplit=1)[0])
    parser.add_argument('-o', '--output', required=True)
    parser.add_argument('--only', action='append', default=[], metavar='SCENARIO',
                        help='only these, whatever they need')
    parser.add_argument('--guest', action='append', default=[], metavar='FILE=ARGUMENTS',
                        help='one more, before the others')
    parser.add_argument('--seconds', type=int, default=SECONDS, help='limit of each guest')
    parser.add_argument('--cache', default=os.path.join(os.environ.get('O', 'build'), 'cache/grub'))
    parser.add_argument('hypervisor')
    parser.error = lambda why: parser.exit(2, f'mkusb: {why}\n')
    args = parser.parse_args()
    os.environ['SOURCE_DATE_EPOCH'] = '1767225600'     # the same files make the same image
    try:
        guests = [tuple(text.split('=', 1)) for text in args.guest] + chosen(args.only)
        make_usb(args.output, args.hypervisor, guests, args.cache, args.seconds)
    except (mkimage.ImageError, scenarios.TableError) as error:
        print(f'mkusb: {args.output}: {error}', file=sys.stderr)
        return 1
    except OSError as error:
        print(f'mkusb: {error.filename}: {error.strerror}', file=sys.stderr)
        return 1
    return 0


if __name__ == '__main__':
    sys.exit(main())
