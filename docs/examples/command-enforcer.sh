#!/bin/sh
# An enforcer of kind "command" to start from: one JSON line in, one out, a process per line (docs/PLATFORMS.md).
#
# Replace the five functions below by calls of your hypervisor, and the three lists by questions to it. What stands
# here keeps notes in a folder and switches nothing, so it says "asserted" and must not be used as it is.
set -eu

notes=${BATON_NOTES:?folder for notes}
running=${BATON_RUNNING:-android vault}
devices=${BATON_DEVICES:-touch display}

reach() { REPLY=blocked; [ ! -f "$notes/$1" ] || read -r REPLY <"$notes/$1"; } # resource -> VM, blocked, unknown
block() { echo unknown >"$notes/$1"; } # resource; need not be visible before settle
settle() { # returns when everything blocked is really out of reach
  for note in "$notes"/*; do
    [ ! -f "$note" ] || { read -r was <"$note" && [ "$was" != unknown ]; } || echo blocked >"$note"
  done
}
reset() { :; } # device: clears its residual states and its interrupts
grant() { echo "$2" >"$notes/$1"; } # resource, VM, kind, physical number, number as the VM sees it

# Puts a field of the call into REPLY; empty if it has none.
field() {
  REPLY=
  case $call in *"\"$1\":"*) REPLY=${call#*"\"$1\":"} REPLY=${REPLY#\"} REPLY=${REPLY%%[\",\}]*} ;; esac
}
ok() { answers="$answers${answers:+,}{\"ok\":true${1:-}}"; }
refuse() { answers="$answers${answers:+,}{\"ok\":false,\"error\":\"$1\"}"; }
listed() { case " $2 " in *" $1 "*) ;; *) return 1 ;; esac }

# Carries out one call. Returns 1 when it was refused: what comes after it must not be done.
carry_out() {
  field op; op=$REPLY
  field resource; resource=$REPLY
  field device; device=$REPLY
  field vm; vm=$REPLY
  field kind; kind=$REPLY
  field physical; physical=$REPLY
  field view; view=$REPLY
  # A resource that Baton does not know comes without its numbers.
  if [ -n "$resource" ] && [ -z "$kind" ]; then refuse "unknown resource $resource"; return 1; fi
  if [ -n "$device" ] && ! listed "$device" "$devices"; then refuse "unknown device $device"; return 1; fi
  case $op in
    fence) block "$resource"; ok ;;
    settle) settle; ok ',"syncs":1' ;;
    reset) reset "$device"; ok ;;
    drained) ok ',"idle":true' ;;
    inspect) reach "$resource"; ok ",\"reach\":\"$REPLY\"" ;;
    grant)
      if ! listed "$vm" "$running"; then refuse "VM $vm is not running"; return 1; fi
      reach "$resource"
      case $REPLY in
        blocked | "$vm") grant "$resource" "$vm" "$kind" "$physical" "$view"; ok ;;
        *) refuse "$resource is not fenced and settled"; return 1 ;;
      esac ;;
    *) refuse "unknown call $op"; return 1 ;;
  esac
}

IFS= read -r line
case $line in
  '{"hello"'*)
    printf '{"name":"example","kind":"central","evidence":"asserted","machineBoot":"%s","running":["%s"],' \
      "$(cat /proc/sys/kernel/random/boot_id)" "$(echo "$running" | sed 's/ /","/g')"
    printf '"capabilities":{"forceRevoke":true,"reset":true,"faultReport":false}}\n'
    ;;
  '{"bundle"'*)
    answers=
    calls=${line#*'"calls":['}
    # One call a line: calls are flat objects.
    split=$(printf '%s' "${calls%]*}" | sed 's/},{/}\n{/g')
    while IFS= read -r call; do
      [ -z "$call" ] || carry_out || break
    done <<END
$split
END
    printf '{"answers":[%s]}\n' "$answers"
    ;;
  *) printf '{}\n' ;; # acknowledgeStart, acknowledgeExit, poll: here go "running", "events" and "faults".
esac
