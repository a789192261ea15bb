#!/bin/sh
# What the VM of `ferry stage --via vm` does when it has started, on Container-Optimized OS: pulls the image, runs
# ferry in it with the words of the instance's metadata, says how it ended as the guest attribute ferry/result ("ok",
# or what went wrong), and deletes the VM it runs in. It writes to the serial port, or to what its argument names.
#
# It never powers off: a machine that is stopped is kept, with its disk, and its maxRunDuration no longer counts.
exec >>"${1:-/dev/ttyS0}" 2>&1

PATIENCE=60 # seconds in which whoever follows can read the result, and will delete the VM at once
server=http://metadata.google.internal/computeMetadata/v1

metadata() {
    curl -sf -H 'Metadata-Flavor: Google' "$server/$1"
}

# A string of a JSON answer that has one of that name.
text_of() {
    sed -n 's/.*"'"$1"'" *: *"\([^"]*\)".*/\1/p'
}

# The token goes through a pipe: arguments can be read by every process.
google() {
    printf 'Authorization: Bearer %s' "$(metadata instance/service-accounts/default/token | text_of access_token)" |
        curl -sf -H @- "$@"
}

end() {
    echo "ferry's VM: $1"
    curl -sf -X PUT -H 'Metadata-Flavor: Google' --data-binary "$1" "$server/instance/guest-attributes/ferry/result"
    sleep $PATIENCE
    while :; do # without the right to it until Compute Engine does it
        google -X DELETE "https://compute.googleapis.com/compute/v1/projects/$project/zones/$zone/instances/$name"
        sleep $PATIENCE
    done
}

pull() {
    for wait in 2 5 10 20 0; do
        docker pull "$image" >"$HOME/pull" 2>&1 && return
        cat "$HOME/pull"
        sleep $wait
    done
    end "the image could not be pulled: $(tail -n 1 "$HOME/pull")"
}

HOME=$(mktemp -d) # the root is read-only
export HOME
project=$(metadata project/project-id)
zone=$(metadata instance/zone)
zone=${zone##*/}
name=$(metadata instance/name)
image=$(metadata instance/attributes/ferry-image)
secret=$(metadata instance/attributes/ferry-token-secret)

case $image in
*.pkg.dev/* | *gcr.io/*) docker-credential-gcr configure-docker --registries="${image%%/*}" ;;
esac
pull

if [ -n "$secret" ]; then
    HF_TOKEN=$(google "https://secretmanager.googleapis.com/v1/projects/$project/secrets/$secret/versions/latest:access" |
        text_of data | base64 -d)
    [ -n "$HF_TOKEN" ] || end "secret $secret could not be read: has the VM's account roles/secretmanager.secretAccessor on it?"
    export HF_TOKEN
fi

set --
while IFS= read -r word; do
    set -- "$@" "$word"
done <<END
$(metadata instance/attributes/ferry-words)
END

{
    docker run --rm --network=host --env HF_TOKEN --entrypoint=/ferry "$image" "$@" 2>&1
    echo $? >"$HOME/code"
} | tee "$HOME/said"
if [ "$(cat "$HOME/code")" = 0 ]; then
    end ok
else
    # which step comes next is for the follower to say: not the container's command
    end "$(tail -n 1 "$HOME/said" | sed 's/^ferry: stage: //; s/; to go on: .*//')"
fi
