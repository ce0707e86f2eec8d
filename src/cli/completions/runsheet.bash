# Completion of runsheet for bash: source this, or put it where bash-completion looks for `runsheet`.
_runsheet() {
    local -a words=()
    local word line value last=-1 i glue='' prefix='' plain=''
    COMPREPLY=()
    # Readline takes `name=value` apart at the `=`; here it is put together again.
    for ((i = 1; i <= COMP_CWORD; i++)); do
        word=${COMP_WORDS[i]}
        if [[ -z $word && ${COMP_LINE:0:COMP_POINT} == *[[:space:]] ]]; then glue=''; fi
        if ((last >= 0)) && [[ -n $glue || $word == [=:] ]]; then
            words[last]+=$word
        else
            words[++last]=$word
        fi
        glue=''
        if [[ $word == [=:] ]]; then glue=1; fi
    done
    word=${words[last]}
    # It replaces what stands behind the last of them.
    if [[ $word == *[=:]* && $COMP_WORDBREAKS == *[=:]* ]]; then prefix=${word%"${word##*[=:]}"}; fi
    while IFS= read -r line; do
        value=${line%%$'\t'*}
        case $value in
            :files | :folders)
                compopt -o filenames 2>/dev/null
                plain=${word#"$prefix"}
                if [[ $value == :files ]]; then line=-f; else line=-d; fi
                while IFS= read -r value; do COMPREPLY+=("$value"); done < <(compgen "$line" -- "$plain")
                ;;
            ?*)
                value=${value#"$prefix"}
                if [[ $value == *= ]]; then compopt -o nospace 2>/dev/null; else printf -v value %q "$value"; fi
                COMPREPLY+=("$value")
                ;;
        esac
    done < <("${COMP_WORDS[0]/#\~/$HOME}" __complete -- "${words[@]}" 2>/dev/null </dev/null)
}
complete -F _runsheet runsheet
