#!/bin/bash
# Stands in for what a build machine of Socorro has besides make and git: rpm, packer, manage_repo.sh. Called by its name.
# The clouds' own stand-in, or the real `aws` with a local API, is asked for images and objects. Faults are files in
# $CLOUD/machine; what was called stands in $CLOUD/machine/calls.
set -euo pipefail
own=$CLOUD/machine
printf "%s\n" "$CALLED $*" >>"$own/calls"
fault() { [ -e "$own/$1" ]; }

case $CALLED in
rpm)
    case $1 in
    --addsign)
        passphrase=$(cat)
        fault unsigned || printf 'signed with %s\n' "${#passphrase}" >>"$2"
        ;;
    -qp)
        if grep -q '^signed' "${!#}"; then printf '(none)\nRSA/SHA256, Sat Nov 21 2026, Key ID 0123456789abcdef\n'
        else printf '(none)\n(none)\n'; fi
        ;;
    -K) printf '%s: digests OK\n' "$2" ;;
    *) exit 1 ;;
    esac
    ;;
packer)
    if [ "$1" = version ]; then printf 'Packer v0.7.5\n\nYour version of Packer is out of date!\n'; exit; fi
    printf 'amazon-ebs output will be in this color.\n\n==> amazon-ebs: Creating the AMI: socorro_centos7__1\n'
    if fault packer-fails; then printf 'Build "amazon-ebs" errored: timeout\n'; exit 1; fi
    if [ -p "$own/gate" ]; then cat "$own/gate" >/dev/null; fi
    # It holds what lies in the Yum repository, whatever was meant.
    holds=$(cat "$own"/published/*.rpm | sed -n 's/^commit //p' | tail -n 1)
    image=$("$own/make-image" "$holds")
    printf '==> Builds finished. The artifacts of successful builds are:\n--> amazon-ebs: AMIs were created:\n\n'
    fault packer-no-id || printf 'us-west-2: %s\n' "$image"
    ;;
manage_repo.sh)
    if [ "$1" = update ] && ! fault update-nothing; then
        mkdir -p "$own/published"
        cp "$PACKAGES"/x86_64/*.rpm "$own/published/"
        for file in "$own"/published/*.rpm; do
            aws s3 cp "$file" "s3://org.mozilla.crash-stats.packages-public/x86_64/$(basename "$file")" >/dev/null
        done
    fi
    ;;
git)
    # The whole of git, but a checkout that does not happen.
    if fault checkout-nothing && [[ " $* " == *" checkout "* ]]; then exit 0; fi
    exec /usr/bin/git "$@"
    ;;
esac
