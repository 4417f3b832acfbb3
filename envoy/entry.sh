#!/bin/sh
# The entry of a sidecar's container: captures the workload's traffic as root, then runs Envoy as a user of its own,
# whose connections the rules let through. Arguments are those of `headgate proxy`; HEADGATE_CAPTURE_ARGS are those of
# capture.sh, and HEADGATE_PROXY_UID is the user (1337 by default). A kubelet asks for /healthz/ready at port 15021.
set -eu

here=$(dirname "$0")
uid=${HEADGATE_PROXY_UID:-1337}

# Words are split on purpose: they are options.
# shellcheck disable=SC2086
"$here/capture.sh" --proxy-uid "$uid" ${HEADGATE_CAPTURE_ARGS:-}

exec setpriv --reuid "$uid" --regid "$uid" --clear-groups --no-new-privs -- \
  node "$here/../bin/headgate.mjs" proxy --interception-mode REDIRECT --status 0.0.0.0:15021 "$@"
