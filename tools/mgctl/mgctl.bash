# SPDX-License-Identifier: BSD-2-Clause
# bash's completion for mgctl. Commands and options come from `mgctl --help`, names of loaded modules
# and of their parameters from Margay itself, so that nothing here has to follow a change there.

# Prints the second, third, ... word N of each command that begins with the words before it.
_mgctl_commands()
{
	mgctl --help 2>/dev/null | sed -n 's/^  mgctl //p' |
		awk -v before="$1" '
			{
				sub(/ +[A-Z].*/, ""); sub(/   .*/, ""); $1 = $1
				n = split($0, word)
				if (before == "") print word[1]
				else if (n > 1 && word[1] == before) print word[2]
			}' | sort -u
}

_mgctl()
{
	local current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD - 1]}
	local i list= words=()

	COMPREPLY=()
	case $previous in
	-e | --events)
		# The last of a list, behind the comma.
		local done= && [[ $current == *,* ]] && done=${current%,*},
		list=$(mgctl --help 2>/dev/null | sed -n '/--events/,/^  -s/p' | tr -s ', ' '\n' |
			grep -xE '[a-z]+' | grep -vxE 'trace|record|of')
		mapfile -t COMPREPLY < <(compgen -P "$done" -W "$list" -- "${current##*,}")
		return ;;
	-c | --cpus | -d | --domain | -n | --count | -s | --seconds | -p | --pages) return ;;
	esac
	if [[ $current == -* ]]; then
		list=$(mgctl --help 2>/dev/null | sed -n 's/^  -., \(--[a-z]*\).*/\1/p')
		mapfile -t COMPREPLY < <(compgen -W "$list" -- "$current")
		return
	fi
	for ((i = 1; i < COMP_CWORD; i++)); do
		case ${COMP_WORDS[i]} in
		-c | --cpus | -d | --domain | -n | --count | -e | --events | -s | --seconds | -p | --pages) ((i++)) ;;
		-*) ;;
		*) words+=("${COMP_WORDS[i]}") ;;
		esac
	done
	case "${#words[@]} ${words[*]:0:2}" in
	"0 "*) list=$(_mgctl_commands "") ;;
	"1 "*) list=$(_mgctl_commands "${words[0]}") ;;
	"2 policy load" | "2 trace "*)
		mapfile -t COMPREPLY < <(compgen -f -- "$current")
		compopt -o filenames 2>/dev/null
		return ;;
	"2 policy select") list="sched idle exit place" ;;
	"2 pci assign" | "2 pci revoke")
		list=$(mgctl pci list 2>/dev/null | grep -oE '^[0-9a-f]{4}:[0-9a-f:.]+')
		# A colon ends a word for bash.
		local colon= && [[ $current == *:* ]] && colon=${current%:*}:
		mapfile -t COMPREPLY < <(compgen -W "$list" -- "$current" | sed "s/^$colon//")
		return ;;
	"2 policy unload" | "2 policy set" | "2 policy counters" | "3 policy select")
		list=$(mgctl policy list --json 2>/dev/null | grep -oE '"name": *"[^"]*"' | cut -d '"' -f 4)
		[ "${words[1]}" != select ] || list="$list built-in" ;;
	esac
	mapfile -t COMPREPLY < <(compgen -W "$list" -- "$current")
}

complete -F _mgctl mgctl
