package billing_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/stretchr/testify/require"
)

func (r *rig) one() int { return r.rand.IntN(len(r.processes)) }

// killOne kills a process as kill -9 does, and starts another in its place.
func (r *rig) killOne() {
	i := r.one()
	p := r.processes[i]
	p.kill()
	r.require(p.errors.Len() == 0, "a process complains: %s", &p.errors)
	r.processes[i] = r.start(r.fresh())
	r.say("process %d is killed", i)
}

// stopOne stops a process in the middle of whatever it does, most of the time for longer than it takes others to think that
// it is dead (billing edge 28).
func (r *rig) stopOne() {
	p := r.processes[r.one()]
	if !p.stopped.IsZero() || time.Now().Before(r.calm) {
		r.killOne()
		return
	}
	r.stop(p, 200*time.Millisecond+time.Duration(r.rand.Int64N(int64(3*time.Second))))
}

func (r *rig) stop(p *process, last time.Duration) {
	require.NoError(r.t, p.cmd.Process.Signal(syscall.SIGSTOP))
	p.stopped = time.Now().Add(last)
	r.say("process %s is stopped", filepath.Base(p.record))
}

// wake lets processes go on whose time it is, or all.
func (r *rig) wake(all bool) {
	for _, p := range r.processes {
		if !p.stopped.IsZero() && (all || time.Now().After(p.stopped)) {
			require.NoError(r.t, p.cmd.Process.Signal(syscall.SIGCONT))
			p.stopped = time.Time{}
			r.say("process %s goes on", filepath.Base(p.record))
		}
	}
}

// stepOne sets the clock of a process by an hour (billing edge 27).
func (r *rig) stepOne() {
	p := r.processes[r.one()]
	step := int64(3600)
	if p.hours > 0 || p.hours == 0 && r.rand.IntN(2) == 0 {
		step = -step
	}
	p.hours += step / 3600
	fmt.Fprintf(p.input, "clock %d\n", step)
	r.say("the clock of %s is set by %d seconds", filepath.Base(p.record), step)
}

// cutSessions ends all sessions of the database.
func (r *rig) cutSessions() {
	n := r.query("SELECT pg_terminate_backend(pid)::text FROM pg_stat_activity WHERE application_name = 'orgkit'")
	r.say("%d sessions are ended", len(n))
}

// cutCommits ends sessions in the middle of COMMIT: it is done, and nobody hears of it, for the server waits for another
// one that is not there (billing edge 30).
func (r *rig) cutCommits() {
	r.query("ALTER SYSTEM SET synchronous_standby_names = 'nobody'")
	r.query("SELECT pg_reload_conf()::text")
	n := 0
	for end := time.Now().Add(400 * time.Millisecond); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		n += len(r.query("SELECT pg_terminate_backend(pid)::text FROM pg_stat_activity WHERE application_name = 'orgkit' AND wait_event = 'SyncRep'"))
	}
	r.query("ALTER SYSTEM RESET synchronous_standby_names")
	r.query("SELECT pg_reload_conf()::text")
	r.say("%d commits are cut off", n)
}

// restart ends the server, as kill -9 does or at once, or one of its sessions, so that it restarts by itself.
func (r *rig) restart() {
	if time.Now().Before(r.calm) {
		r.killOne()
		return
	}
	switch r.rand.IntN(3) {
	case 0:
		r.server.Kill(r.t)
		r.server.Start(r.t)
		r.say("the server was killed")
	case 1:
		r.server.KillSession(r.t)
		r.say("a session of the server was killed")
	default:
		dir := r.query("SHOW data_directory")
		require.Len(r.t, dir, 1)
		b, err := os.ReadFile(filepath.Join(dir[0], "postmaster.pid"))
		require.NoError(r.t, err)
		first, _, _ := strings.Cut(string(b), "\n")
		pid, err := strconv.Atoi(first)
		require.NoError(r.t, err)
		require.NoError(r.t, syscall.Kill(pid, syscall.SIGQUIT))
		require.Eventually(r.t, func() bool { return syscall.Kill(pid, 0) != nil }, time.Minute, 5*time.Millisecond)
		r.server.Start(r.t)
		r.say("the server was shut down at once")
	}
}
