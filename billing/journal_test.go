//go:build linux

package billing_test

import (
	"bufio"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/orgkit/orgkit/billing"
	"github.com/orgkit/orgkit/rbac"
	"github.com/orgkit/orgkit/store"
	"github.com/orgkit/orgkit/store/sqlite"
)

// spenderFile names the database for a child process of this test.
const spenderFile = "ORGKIT_TEST_SPENDER"

// What the child is about to write when it is killed, and the moment.
const (
	spenderWrite  = "ORGKIT_TEST_SPENDER_WRITE"
	spenderMoment = "ORGKIT_TEST_SPENDER_MOMENT"
)

// TestMain is the child that holds money and is killed, a process of the rig, or one that races for alerts.
func TestMain(m *testing.M) {
	for variable, run := range map[string]func() error{rigDatabase: runRigProcess, raceDatabase: runAlertRacer} {
		if os.Getenv(variable) != "" {
			if err := run(); err != nil {
				panic(err)
			}
			return
		}
	}
	if os.Getenv(spenderFile) == "" {
		os.Exit(m.Run())
	}
	must := func(err error) {
		if err != nil {
			panic(err)
		}
	}
	last := lastWrite{moment: os.Getenv(spenderMoment), come: new(atomic.Bool)}
	s, err := sqlite.Open(context.Background(), os.Getenv(spenderFile), &sqlite.Options{Store: store.Options{Wrap: func(inner store.Driver) store.Driver {
		last.Driver = inner
		return last
	}}})
	must(err)
	g, err := rbac.NewGuard(s, nil)
	must(err)
	j, err := billing.OpenJournal(filepath.Dir(os.Getenv(spenderFile)))
	must(err)
	l := billing.NewLedger(s, g, &billing.Options{Journal: j})
	p := l.Purse(path)
	var open, done, closed billing.Hold
	must(p.Reserve(context.Background(), &open, 3e12))
	must(p.Reserve(context.Background(), &done, 2e12))
	must(p.Reserve(context.Background(), &closed, 1e12))
	must(l.Flush(context.Background())) // the reservations stand in the lease
	must(p.Reserve(context.Background(), new(billing.Hold), 1))
	must(done.Settle(1.5e12)) // and this one is not written any more
	closed.Release()
	last.come.Store(true)
	switch os.Getenv(spenderWrite) {
	case "grants":
		must(p.Reserve(context.Background(), new(billing.Hold), 60e12))
	case "returns":
		must(l.Flush(context.Background()))
	}
	os.Stdout.WriteString("ready\n")
	time.Sleep(time.Hour)
}

// lastWrite is a driver that comes to no end with a write: before the commit or after it.
type lastWrite struct {
	store.Driver
	moment string
	come   *atomic.Bool
}

func (d lastWrite) Begin(ctx context.Context, writable bool) (store.DriverTx, error) {
	tx, err := d.Driver.Begin(ctx, writable)
	if err == nil && writable && d.come.Load() {
		tx = lastCommit{tx, d.moment}
	}
	return tx, err
}

type lastCommit struct {
	store.DriverTx
	moment string
}

func (c lastCommit) Commit(ctx context.Context) error {
	if c.moment == "written" {
		if err := c.DriverTx.Commit(ctx); err != nil {
			return err
		}
	}
	os.Stdout.WriteString("ready\n")
	time.Sleep(time.Hour)
	return nil
}

// spender starts the child and returns when it holds 3 USD, has spent 1.5, and has much more in its memory.
func spender(t *testing.T, file string, env ...string) *exec.Cmd {
	exe, err := os.Executable()
	require.NoError(t, err)
	cmd := exec.Command(exe)
	cmd.Env = append(os.Environ(), spenderFile+"="+file)
	cmd.Env = append(cmd.Env, env...)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
	line, err := bufio.NewReader(out).ReadString('\n')
	require.NoError(t, err)
	require.Equal(t, "ready\n", line)
	return cmd
}

func TestAKilledProcessGivesBackWhatNobodyHeld(t *testing.T) { // billing edge 17
	file := filepath.Join(t.TempDir(), "billing.db")
	s, err := sqlite.Open(t.Context(), file, nil)
	require.NoError(t, err)
	defer s.Close()
	b := newBooks(t, s)
	b.budget(billing.Budget{Scope: billing.ScopeOrg, ScopeID: "org_1", Limit: usd("100"), Hard: true})
	child := spender(t, file)
	before := b.states()[billing.ScopeOrg]
	require.True(t, before.Reserved.GreaterThan(usd("4.5")), before.Reserved)

	j, err := billing.OpenJournal(filepath.Dir(file))
	require.NoError(t, err)
	l := billing.NewLedger(s, b.guard, &billing.Options{Journal: j})
	heir := books{l, t, s, b.guard}
	require.NoError(t, l.Reclaim(t.Context()))
	require.Equal(t, "0", heir.states()[billing.ScopeOrg].Forfeited.String(), "it lives, and holds the lock")
	require.NoError(t, child.Process.Kill())
	child.Wait()
	require.NoError(t, l.Reclaim(t.Context()))
	is := heir.states()[billing.ScopeOrg]
	require.Equal(t, "0", is.Reserved.String())
	require.Equal(t, "4.500000000001", is.Spent.String(), "3 were held, one pico was, 1.5 are spent, nothing else")
	require.Equal(t, "3.000000000001", is.Forfeited.String(), "of which nobody knows")
	require.NoError(t, l.Reclaim(t.Context()), "once")
	require.Equal(t, is.Spent, heir.states()[billing.ScopeOrg].Spent)
	require.NoError(t, l.Close())
	left, err := filepath.Glob(filepath.Join(filepath.Dir(file), "*.journal"))
	require.NoError(t, err)
	require.Empty(t, left)
}

// TestAProcessKilledInAWriteGivesBackWhatNobodyHeld has the database know of a grant that the process does not know of, and
// the other way round.
func TestAProcessKilledInAWriteGivesBackWhatNobodyHeld(t *testing.T) { // billing edge 17
	for _, write := range []string{"grants", "returns"} {
		for _, moment := range []string{"unwritten", "written"} {
			t.Run(write+"/"+moment, func(t *testing.T) {
				file := filepath.Join(t.TempDir(), "billing.db")
				s, err := sqlite.Open(t.Context(), file, nil)
				require.NoError(t, err)
				defer s.Close()
				b := newBooks(t, s)
				b.budget(billing.Budget{Scope: billing.ScopeOrg, ScopeID: "org_1", Limit: usd("100"), Hard: true})
				child := spender(t, file, spenderWrite+"="+write, spenderMoment+"="+moment)
				require.NoError(t, child.Process.Kill())
				child.Wait()
				require.Equal(t, moment == "written", b.states()[billing.ScopeOrg].Spent.Equal(usd("1.5")))
				j, err := billing.OpenJournal(filepath.Dir(file))
				require.NoError(t, err)
				l := billing.NewLedger(s, b.guard, &billing.Options{Journal: j})
				defer l.Close()
				require.NoError(t, l.Reclaim(t.Context()))
				is := books{l, t, s, b.guard}.states()[billing.ScopeOrg]
				require.Equal(t, "0", is.Reserved.String())
				require.Equal(t, "4.500000000001", is.Spent.String())
				require.Equal(t, "3.000000000001", is.Forfeited.String())
			})
		}
	}
}

func TestWithoutAJournalADeadProcessHasSpentItAll(t *testing.T) {
	file := filepath.Join(t.TempDir(), "billing.db")
	s, err := sqlite.Open(t.Context(), file, nil)
	require.NoError(t, err)
	defer s.Close()
	b := newBooks(t, s)
	b.budget(billing.Budget{Scope: billing.ScopeOrg, ScopeID: "org_1", Limit: usd("100"), Hard: true})
	child := spender(t, file)
	require.NoError(t, child.Process.Kill())
	child.Wait()
	held := b.states()[billing.ScopeOrg].Reserved
	l := billing.NewLedger(s, b.guard, &billing.Options{Silence: 30 * time.Millisecond})
	defer l.Close()
	heir := books{l, t, s, b.guard}
	require.Eventually(t, func() bool {
		require.NoError(t, l.Reclaim(t.Context()))
		return heir.states()[billing.ScopeOrg].Reserved.IsZero()
	}, 20*time.Second, 5*time.Millisecond)
	is := heir.states()[billing.ScopeOrg]
	require.Equal(t, held, is.Spent)
	require.Equal(t, held, is.Forfeited)
}
