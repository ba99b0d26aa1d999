#!/nested/busybox sh
# First program of the nested VM: loads KVM, runs the cases one after the other, reports, powers off.
#
# /nested/busybox        every tool that is used here
# /nested/modules/N.ko   in the order of N
# /nested/cases/N/       run: a shell script; limit: seconds; stdin: what it reads; hide-sys: present or not
#
# The report goes to the second serial port, so that nothing the kernel says can get into it:
#
#   ready                                   KVM is there, the cases begin
#   case N END STDOUT-LENGTH STDERR-LENGTH  then both outputs as they are, then a newline;
#                                           END is the exit status, or "limit"
#   done                                    after the last case
#   failed TEXT                             in place of all that would follow

/nested/busybox mkdir -p /nested/applets /nested/out /proc /sys /dev /tmp
/nested/busybox mount -t proc proc /proc
/nested/busybox --install -s /nested/applets
export PATH=/bin:/nested/applets HOME=/tmp
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
mkdir -p /dev/shm
mount -t tmpfs shm /dev/shm
# A case that prints without end gets "no space left" and does not eat the machine's memory.
mount -t tmpfs -o size=4m out /nested/out
chmod 1777 /tmp /dev/shm

exec 3<>/dev/ttyS1
stty -F /dev/ttyS1 115200 raw -echo

finish() {
    # Closing waits until the port has sent everything.
    exec 3>&-
    poweroff -f
    # Not reached; the end of this program would be a kernel panic, which ends the VM as well.
    exit 1
}

fail() {
    printf 'failed %s\n' "$*" >&3
    finish
}

for module in $(ls /nested/modules | sort -n); do
    complaint=$(insmod "/nested/modules/$module" 2>&1) || fail "cannot load module $module: $complaint"
done
[ -c /dev/kvm ] || fail 'the modules are loaded, but there is no /dev/kvm'
printf 'ready\n' >&3

n=0
while [ -d "/nested/cases/$n" ]; do
    case_dir=/nested/cases/$n
    [ ! -e $case_dir/hide-sys ] || umount /sys || fail "case $n: cannot unmount /sys"

    rm -f /nested/expired
    setsid sh $case_dir/run <$case_dir/stdin >/nested/out/stdout 2>/nested/out/stderr 3>&- &
    job=$!
    # Signal to -1: everything but this program (process 1) and the sender. Nothing that a case starts outlives it.
    (
        exec 3>&-
        sleep "$(cat $case_dir/limit)"
        echo >/nested/expired
        kill -KILL -1
    ) &
    wait $job
    end=$?
    kill -KILL -1
    [ ! -e /nested/expired ] || end=limit
    wait

    [ ! -e $case_dir/hide-sys ] || mount -t sysfs sys /sys || fail "case $n: cannot mount /sys again"
    # Not written by this program itself: a process that a run has left behind may end just then, in this one's care, and busybox
    # loses what it writes to a terminal when a signal comes.
    {
        printf 'case %s %s %s %s\n' $n $end $(wc -c </nested/out/stdout) $(wc -c </nested/out/stderr)
        cat /nested/out/stdout /nested/out/stderr
        printf '\n'
    } | cat >&3
    rm /nested/out/stdout /nested/out/stderr
    n=$((n + 1))
done
printf 'done\n' >&3
finish
