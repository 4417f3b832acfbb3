#!/bin/sh
# Redirects a workload's TCP connections to its sidecar by iptables: outgoing ones to 15001, incoming ones to 15006.
# Running it again replaces the rules, so it may be repeated; `--remove` takes them away.
set -eu

usage() {
  cat <<'TEXT'
Usage: capture.sh [--remove] [option ...]

Needs root (NET_ADMIN) and iptables, in the network namespace of the workload.

  --proxy-uid UID              whose outgoing connections are the sidecar's own (default 1337)
  --exclude-outbound-ports P,  destination ports that are left alone
  --exclude-inbound-ports P,   own ports that are left alone (default 15000,15010,15020,15021,15090)
  --exclude-outbound-cidrs C,  destinations that are left alone, IPv4 and IPv6
  --include-outbound-cidrs C,  destinations that are captured (default: all)
  --no-ipv6                    leave IPv6 alone
  --remove                     take the rules away again
TEXT
}

proxy_uid=1337
exclude_outbound_ports=
exclude_inbound_ports=15000,15010,15020,15021,15090
exclude_outbound_cidrs=
include_outbound_cidrs=
ipv6=yes
remove=no

fail() {
  echo "capture.sh: $1" >&2
  exit 2
}

while [ $# -gt 0 ]; do
  case "$1" in
    --no-ipv6) ipv6=no ;;
    --remove) remove=yes ;;
    -h | --help)
      usage
      exit 0
      ;;
    --proxy-uid | --exclude-outbound-ports | --exclude-inbound-ports | \
      --exclude-outbound-cidrs | --include-outbound-cidrs)
      [ $# -ge 2 ] || fail "$1 needs a value"
      case "$1" in
        --proxy-uid) proxy_uid=$2 ;;
        --exclude-outbound-ports) exclude_outbound_ports=$2 ;;
        --exclude-inbound-ports) exclude_inbound_ports=$2 ;;
        --exclude-outbound-cidrs) exclude_outbound_cidrs=$2 ;;
        --include-outbound-cidrs) include_outbound_cidrs=$2 ;;
      esac
      shift
      ;;
    *) fail "unknown option $1; see --help" ;;
  esac
  shift
done

numbers() {
  for number in $(echo "$2" | tr ',' ' '); do
    case "$number" in
      '' | *[!0-9]*) fail "$1: \"$number\" is no number" ;;
    esac
  done
}

numbers --proxy-uid "$proxy_uid"
numbers --exclude-outbound-ports "$exclude_outbound_ports"
numbers --exclude-inbound-ports "$exclude_inbound_ports"

words() {
  echo "$1" | tr ',' ' '
}

# The addresses of a list that are of the family of $1: those with a colon are IPv6.
cidrs() {
  for cidr in $(words "$2"); do
    case "$1 $cidr" in
      ip6tables\ *:*) echo "$cidr" ;;
      ip6tables\ *) ;;
      *:*) ;;
      *) echo "$cidr" ;;
    esac
  done
}

nat() {
  "$tables" -w 10 -t nat "$@"
}

# Chains of ours are made anew each time; the hooks come last, so that no half of the rules is ever in force.
clean() {
  while nat -D OUTPUT -p tcp -j HEADGATE_OUTPUT 2>/dev/null; do :; done
  while nat -D PREROUTING -p tcp -j HEADGATE_INBOUND 2>/dev/null; do :; done
  for chain in HEADGATE_OUTPUT HEADGATE_INBOUND; do
    nat -F "$chain" 2>/dev/null || true
    nat -X "$chain" 2>/dev/null || true
  done
}

# $1 loopback as a block, $2 the address from which the sidecar passes incoming connections on to the workload.
install() {
  nat -N HEADGATE_OUTPUT
  nat -N HEADGATE_INBOUND

  for port in $(words "$exclude_inbound_ports"); do nat -A HEADGATE_INBOUND -p tcp --dport "$port" -j RETURN; done
  nat -A HEADGATE_INBOUND -p tcp -j REDIRECT --to-ports 15006

  # What the sidecar passes on to its workload must not come back to it.
  nat -A HEADGATE_OUTPUT -s "$2" -o lo -j RETURN
  # A workload that calls its own service by the pod's address goes through both halves of the sidecar.
  nat -A HEADGATE_OUTPUT ! -d "$1" -o lo -p tcp -m owner --uid-owner "$proxy_uid" \
    -j REDIRECT --to-ports 15006
  nat -A HEADGATE_OUTPUT -m owner --uid-owner "$proxy_uid" -j RETURN
  nat -A HEADGATE_OUTPUT -o lo -j RETURN
  for port in $(words "$exclude_outbound_ports"); do nat -A HEADGATE_OUTPUT -p tcp --dport "$port" -j RETURN; done
  for cidr in $(cidrs "$tables" "$exclude_outbound_cidrs"); do nat -A HEADGATE_OUTPUT -d "$cidr" -j RETURN; done
  if [ -z "$include_outbound_cidrs" ]; then
    nat -A HEADGATE_OUTPUT -p tcp -j REDIRECT --to-ports 15001
  else
    for cidr in $(cidrs "$tables" "$include_outbound_cidrs"); do
      nat -A HEADGATE_OUTPUT -d "$cidr" -p tcp -j REDIRECT --to-ports 15001
    done
  fi

  nat -A PREROUTING -p tcp -j HEADGATE_INBOUND
  nat -A OUTPUT -p tcp -j HEADGATE_OUTPUT
}

tables=iptables
clean
[ "$remove" = yes ] || install 127.0.0.0/8 127.0.0.6/32

# A kernel without IPv6 has nothing to capture there.
if [ "$ipv6" = yes ] && [ -e /proc/net/if_inet6 ]; then
  tables=ip6tables
  clean
  if [ "$remove" = no ]; then
    install ::1/128 ::6/128
    ip -6 address replace ::6/128 dev lo
  else
    ip -6 address del ::6/128 dev lo 2>/dev/null || true
  fi
fi
