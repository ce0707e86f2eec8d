# Completion of runsheet for fish: put it as `runsheet.fish` into ~/.config/fish/completions, or source it.
function __runsheet_complete
    set -l given (commandline -opc)
    set -l program $given[1]
    set -e given[1]
    for line in ($program __complete -- $given (commandline -ct) 2>/dev/null </dev/null)
        switch $line
            case :files
                __fish_complete_path (commandline -ct)
            case :folders
                __fish_complete_directories (commandline -ct)
            case '*'
                echo $line
        end
    end
end
complete -c runsheet -f -a '(__runsheet_complete)'
