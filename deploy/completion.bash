# Completion of ixnctl, ixnd, ixn-router, ixn-app and ixn-bench for bash. What may be typed is asked
# of the program itself (--describe), which answers from the tables that it parses with.
#
# Installed as share/bash-completion/completions/ixnctl, and under the other names.

# The commands of ixnctl that begin with these words; the next word of each.
_ixn_commands() { # WORD…
    local name first=${1-}
    while IFS=$'\t' read -r name _; do
        if [ -z "$first" ]; then
            printf '%s\n' "${name%% *}"
        elif [ "$name" != "${name#"$first "}" ]; then
            printf '%s\n' "${name#"$first "}"
        fi
    done < <("$program" --describe=commands 2>/dev/null) | sort -u
}

# What can stand where an option or a command takes an argument.
_ixn_values() { # ARGUMENT CURRENT
    case $1 in
    *'|'*) compgen -W "${1//|/ }" -- "$2" ;;
    *FILE* | *FOLDER* | *DIR* | *PATH*) compgen -f -- "$2" ;;
    ENDPOINT) compgen -W 'tcp://127.0.0.1:7420' -- "$2" ;;
    esac
}

_ixn() {
    local program=$1 current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD - 1]}
    local long short argument arguments=- takes=- word skip=
    local -a words=() options=()
    COMPREPLY=()
    # bash cuts at "=" and ":": a value behind "=" is completed as if it stood alone.
    if [ "$current" = '=' ]; then
        current=
    elif [ "$previous" = '=' ]; then
        previous=${COMP_WORDS[COMP_CWORD - 2]}
    fi
    # The words of the command: what is no option, nor the value of one (-c FILE, --config FILE).
    if [ "${program##*/}" = ixnctl ]; then
        for word in "${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
            if [ "$word" = '=' ]; then
                skip=1
            elif [ -n "$skip" ]; then
                skip=
            elif [[ $word = -* ]]; then
                [[ $(_ixn_takes "$program" "$word") = - ]] || skip=1
            elif [ ${#words[@]} -lt 2 ]; then
                words+=("$word")
            fi
        done
        [ -n "$skip" ] || [ ${#words[@]} -gt 0 ] || [[ $current = -* ]] ||
            mapfile -t COMPREPLY < <(compgen -W "$(_ixn_commands)" -- "$current")
        [ ${#COMPREPLY[@]} -eq 0 ] || return 0
        if [ ${#words[@]} -eq 1 ] && [[ $current != -* ]]; then
            mapfile -t COMPREPLY < <(compgen -W "$(_ixn_commands "${words[0]}")" -- "$current")
            [ ${#COMPREPLY[@]} -eq 0 ] || return 0
        fi
        # A command of two words, or of one: the second may be an argument.
        [ ${#words[@]} -lt 2 ] || [ -n "$(_ixn_commands "${words[0]}")" ] || words=("${words[0]}")
    fi
    while read -r long short argument; do
        if [ "$long" = ARGUMENTS ]; then
            arguments="$short $argument"
            continue
        fi
        options+=("$long")
        [ "$short" = - ] || options+=("$short")
        if [ "$previous" = "$long" ] || [ "$previous" = "$short" ]; then takes=${argument#=}; fi
    done < <("$program" "${words[@]}" --describe=options 2>/dev/null)
    if [ "$takes" != - ]; then
        mapfile -t COMPREPLY < <(_ixn_values "$takes" "$current")
    elif [[ $current = -* ]]; then
        mapfile -t COMPREPLY < <(compgen -W "${options[*]} --help --usage --version" -- "$current")
    else
        mapfile -t COMPREPLY < <(_ixn_values "$arguments" "$current")
    fi
}

# What one of the options for all commands takes; "-": nothing, or it is none of them.
_ixn_takes() { # PROGRAM OPTION
    local long short argument
    while read -r long short argument; do
        if [ "$2" = "$long" ] || [ "$2" = "$short" ]; then
            printf '%s' "$argument"
            return
        fi
    done < <("$1" --describe=options 2>/dev/null)
    printf -- -
}

complete -o filenames -F _ixn ixnctl ixnd ixn-router ixn-app ixn-bench
