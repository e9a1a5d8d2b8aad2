#!/usr/bin/env bash
# two_hosts.sh: runs a program under mpirun with one rank on each of two network namespaces, as on two hosts.
#
#   benches/two_hosts.sh [--rate 1gbit] [--delay 500us] [--ranks 1] python train.py
#
# The namespaces are joined by a virtual cable. --rate limits it in each direction, --delay adds a delay in each direction; the
# words are those of tc, and --delay needs a kernel with netem. --ranks is the number of ranks on each host. Needs root, and
# Open MPI from the extra `distributed`. The namespaces are removed at the end.
set -euo pipefail

net=10.77.0 # the addresses of the cable: $net.1 and $net.2

if [ "${1:-}" = --ssh ]; then # mpirun calls the script so in place of ssh: --ssh PREFIX OPTION... ADDRESS COMMAND...
  prefix=$2
  shift 2
  while [[ $1 == -* ]]; do shift; done
  host=$prefix${1##*.}
  shift
  exec ip netns exec "$host" unshare --uts sh -c "hostname $host; $*"
fi

rate='' delay='' ranks=1
while [[ ${1:-} == --* ]]; do
  case $1 in
    --rate) rate=$2 ;;
    --delay) delay=$2 ;;
    --ranks) ranks=$2 ;;
    *) echo "two_hosts.sh: unknown option $1; there are --rate, --delay and --ranks" >&2 && exit 2 ;;
  esac
  shift 2
done
[ $# -gt 0 ] || { sed -n '2,/^set/{/^#/s/^# \?//p}' "$0" && exit 2; }
[ "$(id -u)" = 0 ] || { echo "two_hosts.sh: network namespaces need root" >&2 && exit 1; }

prefix=host$$x # names of their own, so that several runs do not meet
remove() {
  for host in 1 2; do ip netns del $prefix$host 2>/dev/null || true; done
}
trap remove EXIT
trap 'exit 130' INT TERM

ip netns add ${prefix}1
ip netns add ${prefix}2
ip link add cable netns ${prefix}1 type veth peer name cable netns ${prefix}2
for host in 1 2; do
  ip -n $prefix$host link set lo up
  ip -n $prefix$host link set cable up
  ip -n $prefix$host addr add $net.$host/24 dev cable
  if [ -n "$delay" ]; then
    ip netns exec $prefix$host tc qdisc add dev cable root netem delay "$delay" ${rate:+rate "$rate"} limit 10000 ||
      { echo "two_hosts.sh: this kernel has no netem, which --delay needs" >&2 && exit 1; }
  elif [ -n "$rate" ]; then
    ip netns exec $prefix$host tc qdisc add dev cable root tbf rate "$rate" burst 128kb latency 50ms
  fi
done

script=$(realpath "$0")
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 PRTE_ALLOW_RUN_AS_ROOT=1 PRTE_ALLOW_RUN_AS_ROOT_CONFIRM=1
ip netns exec ${prefix}1 unshare --uts bash -c 'hostname "$0"; exec "$@"' ${prefix}1 \
  mpirun --prtemca plm_ssh_agent "$script --ssh $prefix" --prtemca prte_if_include $net.0/24 \
  --host "$net.1:$ranks,$net.2:$ranks" -n $((2 * ranks)) --bind-to none \
  --mca pml ob1 --mca btl tcp,self,sm --mca btl_tcp_if_include $net.0/24 "$@"
