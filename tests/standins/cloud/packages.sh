#!/bin/bash
# Stands in for yum, rpm and systemctl with a system below a folder: what is installed are files in ROOT/var/lib/rpm, keys are
# known by the last digits of their fingerprint, and Jenkins is started by systemd as its drop-in says. Faults are files in
# $CLOUD/machine; what was called stands in $CLOUD/machine/calls.
set -euo pipefail
own=$CLOUD/machine
printf '%s\n' "$CALLED $*" >>"$own/calls"
fault() { [ -e "$own/$1" ]; }

case $CALLED in
yum)
    root=${1#--installroot=}
    if [ -e "$root/etc/yum.repos.d/Jenkins.repo" ]; then echo 'Cannot find a valid baseurl for repo: Jenkins' >&2; exit 1; fi
    shift 3
    mkdir -p "$root/var/lib/rpm"
    if [ -p "$own/gate" ]; then cat "$own/gate" >/dev/null; fi
    for name in "$@"; do
        # It goes on without a package that it does not find, and says so only in words.
        if fault "no-$name"; then echo "No package $name available."; continue; fi
        touch "$root/var/lib/rpm/$name"
        if [ "$name" = jenkins ] && [ ! -e "$root/etc/sysconfig/jenkins" ]; then
            mkdir -p "$root/etc/sysconfig" "$root/var/lib/jenkins/jobs" "$root/usr/lib/jenkins"
            printf 'JENKINS_HOME="/var/lib/jenkins"\nJENKINS_USER="jenkins"\nJENKINS_PORT="8080"\n' >"$root/etc/sysconfig/jenkins"
        fi
    done
    ;;
rpm)
    root=$2
    mkdir -p "$root/var/lib/rpm"
    case "$3 $4" in
    "--import "*)
        fault import-nothing ||
            gpg --batch --no-options --homedir "$own" --show-keys --with-colons "$4" 2>/dev/null |
            sed -n 's/^fpr:.*\(........\):$/\1/p' | head -n 1 | tr 'A-F' 'a-f' >"$root/var/lib/rpm/key"
        ;;
    "-q gpg-pubkey") cat "$root/var/lib/rpm/key" 2>/dev/null || { echo 'package gpg-pubkey is not installed'; exit 1; } ;;
    "-q --quiet") [ -e "$root/var/lib/rpm/$5" ] ;;
    *) exit 1 ;;
    esac
    ;;
systemctl)
    case $1 in
    restart) touch "$own/restarted" ;;
    show)
        state=active pid=$PPID
        if [ ! -e "$own/restarted" ] || fault stays-down; then state=failed pid=0; fi
        if fault late-start; then rm "$own/late-start"; state=activating pid=0; fi
        for property in "$@"; do
            case $property in
            --property=ActiveState) echo "ActiveState=$state" ;;
            --property=MainPID) echo "MainPID=$pid" ;;
            esac
        done
        ;;
    esac
    ;;
esac
