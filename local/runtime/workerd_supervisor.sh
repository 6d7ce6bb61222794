#!/bin/sh
# Runs workerd so that it dies with its parent, even when the parent is killed with SIGKILL.
# Called in workerd's place: workerd_supervisor.sh ARGUMENT...  Needs WORKERD_BINARY; writes its pid to WORKERD_PID_FILE,
# clears the paths in WORKERD_SOCKETS, and has workerd listen for RPC on WORKERD_DEBUG_SOCKET, if they are set.

[ -z "$WORKERD_PID_FILE" ] || echo $$ > "$WORKERD_PID_FILE"
for socket in $WORKERD_SOCKETS; do rm -f "$socket"; done
[ -z "$WORKERD_DEBUG_SOCKET" ] || set -- "$@" "--debug-port=unix:$WORKERD_DEBUG_SOCKET"

# Linux: the kernel does it.
if setpriv --pdeathsig KILL true 2> /dev/null; then
  exec setpriv --pdeathsig KILL "$WORKERD_BINARY" "$@"
fi

# Elsewhere: a watcher, until one of the two is gone. exec keeps the pid, so $$ is workerd's.
parent=$PPID
(
  while kill -0 "$parent" && kill -0 $$; do sleep 0.2; done
  kill -9 $$
) < /dev/null > /dev/null 2>&1 3>&- &
exec "$WORKERD_BINARY" "$@"
