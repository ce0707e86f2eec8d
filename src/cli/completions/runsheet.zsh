#compdef runsheet
# Completion of runsheet for zsh: put it as `_runsheet` into a folder of $fpath, or source it behind `compinit`.
_runsheet() {
    local line value
    local -a given open opened plain shown
    given=("${(@Q)words[2,CURRENT-1]}" "${(Q)PREFIX}")
    for line in "${(@f)$("${(Q)words[1]/#\~/$HOME}" __complete -- "${given[@]}" 2>/dev/null </dev/null)}"; do
        value=${line%%$'\t'*}
        case $value in
            :files) _files ;;
            :folders) _files -/ ;;
            *=) open+=("$value") opened+=("${line/$'\t'/  -- }") ;;
            ?*) plain+=("$value") shown+=("${line/$'\t'/  -- }") ;;
        esac
    done
    (( $#open )) && compadd -S '' -l -d opened -a open
    (( $#plain )) && compadd -l -d shown -a plain
    (( $#open + $#plain ))
}
if [[ $zsh_eval_context[-1] == loadautofunc ]]; then _runsheet "$@"; else compdef _runsheet runsheet; fi
