# SPDX-License-Identifier: BSD-2-Clause
# bash's completion for v2m. Commands and options come from `v2m --help`, machines from `v2m list`.

_v2m()
{
	local current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD - 1]} on=() i
	COMPREPLY=()
	for ((i = 1; i < COMP_CWORD - 1; i++)); do
		[ "${COMP_WORDS[i]}" = --on ] && on=(--on "${COMP_WORDS[i + 1]}")
	done
	case $previous in
	--on) COMPREPLY=($(compgen -W "$(v2m backends | sed 's/ .*//')" -- "$current")) ;;
	check | create | convert | restore) COMPREPLY=($(compgen -f -- "$current")) ;;
	set) COMPREPLY=($(compgen -W "start stop pause resume destroy" -- "$current")) ;;
	start | stop | pause | resume | destroy | show | console | checkpoint | migrate)
		if [ "${COMP_WORDS[COMP_CWORD - 2]}" = set ]; then
			COMPREPLY=($(compgen -f -- "$current"))
		else
			COMPREPLY=($(compgen -W "$(v2m "${on[@]}" list 2>/dev/null | sed 's/ .*//')" -- "$current"))
		fi
		;;
	*)
		COMPREPLY=($(compgen -W "$(v2m --help | sed -n 's/^  v2m \([a-z]*\).*/\1/p; s/^  \(--[a-z-]*\).*/\1/p; s/.*, \(--version\)/\1/p')" -- "$current"))
		;;
	esac
}
complete -o filenames -F _v2m v2m
