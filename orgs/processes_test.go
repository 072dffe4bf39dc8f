package orgs_test

import (
	"bufio"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/orgkit/orgkit/audit"
	"github.com/orgkit/orgkit/orgs"
	"github.com/orgkit/orgkit/orgs/orgstest"
	"github.com/orgkit/orgkit/rbac"
	"github.com/orgkit/orgkit/store"
	"github.com/orgkit/orgkit/store/storetest"
)

// never is a poll that does not come while a test runs: what is heard was told.
var never = &rbac.WatchOptions{Poll: time.Hour}

// heard is what a watch reported, by organization the newest.
type heard struct {
	mu      sync.Mutex
	newest  rbac.Revision
	changed chan struct{} // closed and made anew by each report
}

func watch(m *orgs.Manager, o *rbac.WatchOptions) (h *heard, stop func()) {
	h = &heard{newest: rbac.Revision{}, changed: make(chan struct{})}
	return h, m.Watch(o, func(c rbac.Changed) {
		h.mu.Lock()
		defer h.mu.Unlock()
		h.newest[c.OrgID] = max(c.Revision, h.newest[c.OrgID])
		close(h.changed)
		h.changed = make(chan struct{})
	})
}

func (h *heard) of(orgID string) (int64, chan struct{}) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.newest[orgID], h.changed
}

// await waits until the watch has reported the revision. Twenty seconds are for slow machines: it takes
// milliseconds on PostgreSQL and a fifth of a second on SQLite.
func (h *heard) await(orgID string, revision int64) error {
	for end := time.After(20 * time.Second); ; {
		is, changed := h.of(orgID)
		if is >= revision {
			return nil
		}
		select {
		case <-changed:
		case <-end:
			return fmt.Errorf("heard of revision %d, waited for %d", is, revision)
		}
	}
}

// peerProgram is another process that has dials of the parent's organization in its memory:
//
//	turn ORG STEP TO             turns the role's dial, from step to step; answers "turned STEP TOKEN" for each
//	look ORG SUBJECT STEP TOKEN  answers what is shown to a reader who demands the token
//	await ORG REVISION           answers when its watch, which does not poll, has heard of it
//	recall ORG SUBJECT STEP TOKEN  looks into memory, which has to be of the token; "-" waits until it shows the step
func peerProgram(ctx context.Context, m *orgs.Manager, input *bufio.Scanner) error {
	ctx = audit.WithActor(ctx, audit.PlatformAdmin())
	hears, stop := watch(m, never)
	defer stop()
	if err := warm(ctx, m); err != nil {
		return err
	}
	say("ready")
	for input.Scan() {
		var verb, org, subject, token string
		var n, to int64
		switch verb, _, _ = strings.Cut(input.Text(), " "); verb {
		case "turn":
			fmt.Sscanf(input.Text(), "turn %s %d %d", &org, &n, &to)
			for ; n <= to; n++ {
				ctx, receipt := rbac.WithReceipt(ctx)
				if err := turnRole(ctx, m, org, n); err != nil {
					return err
				}
				say("turned %d %s", n, receipt.Revision())
			}
		case "look":
			fmt.Sscanf(input.Text(), "look %s %s %d %s", &org, &subject, &n, &token)
			least, err := rbac.ParseRevision("revision", token)
			if err != nil {
				return err
			}
			d := dial{name: "of the parent", orgID: org, subject: subject}
			is, _, err := d.look(rbac.WithRevision(ctx, least), m, max(0, n-1), n+1)
			if err != nil {
				return err
			}
			say("shows %d", is)
		case "recall":
			fmt.Sscanf(input.Text(), "recall %s %s %d %s", &org, &subject, &n, &token)
			request := rbac.Request{OrgID: org, Action: shown(n), Call: rbac.Call{Resource: "organization:" + org}}
			if token != "-" {
				var err error
				if request.Least, err = rbac.ParseRevision("revision", token); err != nil {
					return err
				}
			}
			for end := time.Now().Add(20 * time.Second); ; time.Sleep(time.Millisecond) {
				a, err := m.Allows(ctx, subject, &request)
				if err != nil {
					return err
				}
				if a.Allowed || token != "-" || time.Now().After(end) {
					say("recalls %d %t", n, a.Allowed)
					break
				}
			}
		case "await":
			fmt.Sscanf(input.Text(), "await %s %d", &org, &n)
			if err := hears.await(org, n); err != nil {
				return err
			}
			say("heard")
		}
	}
	return nil
}

func turnRole(ctx context.Context, m *orgs.Manager, orgID string, n int64) error {
	_, err := m.UpdateRole(ctx, orgID, "turned", rbac.RoleUpdate{Permissions: &[]string{shown(n)}})
	return err
}

// warm opens a few connections at once, which a pool keeps.
func warm(ctx context.Context, m *orgs.Manager) error {
	const some = 4
	var together, opened sync.WaitGroup
	opened.Add(some)
	failed := make(chan error, some)
	for range some {
		together.Go(func() {
			var once sync.Once
			defer once.Do(opened.Done)
			failed <- m.Store().View(ctx, func(context.Context, *store.Tx) error {
				once.Do(opened.Done)
				opened.Wait()
				return nil
			})
		})
	}
	together.Wait()
	close(failed)
	var err error
	for e := range failed {
		err = errors.Join(err, e)
	}
	return err
}

// turned has the child turn its dial and returns the token that it answers.
func (c *child) turned(orgID string, n int64) rbac.Revision {
	c.t.Helper()
	return c.tokenOf(c.ask("turn %s %d %d", orgID, n, n), n)
}

func (c *child) tokenOf(line string, n int64) rbac.Revision {
	c.t.Helper()
	token, ok := strings.CutPrefix(line, fmt.Sprintf("turned %d ", n))
	require.True(c.t, ok, line)
	rev, err := rbac.ParseRevision("revision", token)
	require.NoError(c.t, err)
	return rev
}

// neighbours are this process, with dials, and another one on the same database.
func neighbours(t *testing.T, database string) (w *orgstest.World, dials []dial, c *child) {
	s, err := openDatabase(t.Context(), database, nil)
	require.NoError(t, err)
	t.Cleanup(func() { s.Close() })
	w = orgstest.New(t, s, withDials())
	dials, _, _ = newDials(t, w)
	require.NoError(t, warm(t.Context(), w.Manager))
	for _, d := range dials {
		require.NoError(t, d.turn(w.Platform(), w.Manager, 0))
		_, err := d.must(w.Platform(), w.Manager, 0) // and has it in memory
		require.NoError(t, err)
	}
	return w, dials, startChild(t, "peer", database)
}

func TestTwoProcessesSeeEachOthersChanges(t *testing.T) {
	shared(t, func(t *testing.T, fresh func() string) {
		w, dials, other := neighbours(t, fresh())
		role, member, org := dials[0], dials[1], dials[0].orgID
		hears, stop := watch(w.Manager, never)
		defer stop()
		// What was never asked about in a process is not looked for: it has to have asked before the first change.
		_, now, err := role.look(w.Platform(), w.Manager, 0, 0)
		require.NoError(t, err)
		require.Equal(t, "shows 0", other.ask("look %s %s %d %s", org, member.subject, 0, now))
		for n := int64(1); n <= 6; n++ {
			// The other one changes. The token is a promise, and without it what is committed is seen as well.
			token := other.turned(org, n)
			ctx := w.Platform()
			if n%2 == 0 {
				ctx = rbac.WithRevision(ctx, token)
			}
			by, err := role.must(ctx, w.Manager, n)
			require.NoError(t, err)
			require.GreaterOrEqual(t, by[org], token[org])
			require.NoError(t, hears.await(org, token[org]))

			// And this one.
			ctx, receipt := rbac.WithReceipt(w.Platform())
			require.NoError(t, member.turn(ctx, w.Manager, n))
			mine := receipt.Revision()
			require.Equal(t, token[org]+1, mine[org])
			require.Equal(t, fmt.Sprint("shows ", n), other.ask("look %s %s %d %s", org, member.subject, n, mine))
			require.Equal(t, "heard", other.ask("await %s %d", org, mine[org]))
		}
	})
}

func TestTwoProcessesThatChangeAtOnceAreNeverStale(t *testing.T) {
	shared(t, func(t *testing.T, fresh func() string) {
		w, dials, other := neighbours(t, fresh())
		role, member, org := dials[0], dials[1], dials[0].orgID
		_, before, err := role.look(w.Platform(), w.Manager, 0, 0)
		require.NoError(t, err)
		const turns = 30
		mine := make(chan error, 1)
		go func() {
			for n := int64(1); n <= turns; n++ {
				err := member.turn(w.Platform(), w.Manager, n)
				if err == nil {
					_, err = member.must(w.Platform(), w.Manager, n)
				}
				if err != nil {
					mine <- err
					return
				}
			}
			mine <- nil
		}()
		line := other.ask("turn %s %d %d", org, 1, turns)
		for n := int64(1); ; n++ {
			token := other.tokenOf(line, n)
			is, by, err := role.look(rbac.WithRevision(w.Platform(), token), w.Manager, n, n+steps-1)
			require.NoError(t, err)
			require.GreaterOrEqual(t, is, n, "older than what was answered")
			require.GreaterOrEqual(t, by[org], token[org])
			if n == turns {
				break
			}
			line = other.hear()
		}
		require.NoError(t, <-mine)
		_, after, err := role.look(w.Platform(), w.Manager, turns, turns)
		require.NoError(t, err)
		require.Equal(t, before[org]+2*turns, after[org], "no change is lost and none counts twice")
	})
}

// What another process has changed is in memory at once for who has its token, and soon for everybody: by being
// told, or, where nothing is told, by comparing.
func TestMemoryFollowsOtherProcesses(t *testing.T) {
	shared(t, func(t *testing.T, fresh func() string) {
		database := fresh()
		w, dials, other := neighbours(t, database)
		member, org := dials[1], dials[1].orgID
		var inner store.Driver
		s, err := openDatabase(t.Context(), database, func(d store.Driver) store.Driver { inner = d; return d })
		require.NoError(t, err)
		defer s.Close()
		o := withDials()
		o.Memory.Poll = 5 * time.Millisecond
		deaf := orgstest.New(t, store.New(silent{inner}, nil), o)
		defer deaf.Close()
		byID, kept, err := member.memory(t.Context(), deaf.Manager)
		require.NoError(t, err)
		for n := int64(1); n <= 6; n++ {
			ctx, receipt := rbac.WithReceipt(w.Platform())
			require.NoError(t, member.turn(ctx, w.Manager, n))
			token := receipt.Revision()
			if n%2 == 0 {
				require.Equal(t, fmt.Sprintf("recalls %d true", n), other.ask("recall %s %s %d %s", org, member.subject, n, token))
				a, err := deaf.Allows(ctx, member.subject, &rbac.Request{OrgID: org, Action: shown(n), Call: rbac.Call{Resource: "organization:" + org, Least: token}})
				require.NoError(t, err)
				require.True(t, a.Allowed)
				continue
			}
			require.Equal(t, fmt.Sprintf("recalls %d true", n), other.ask("recall %s %s %d -", org, member.subject, n))
			for _, allows := range []func(string) (bool, error){byID, kept} {
				require.Eventually(t, func() bool {
					is, err := allows(shown(n))
					return err == nil && is
				}, 20*time.Second, time.Millisecond)
			}
		}
	})
}

// silent is a driver without a feed.
type silent struct{ store.Driver }

func TestPollingIsEnoughWhereNothingIsTold(t *testing.T) {
	shared(t, func(t *testing.T, fresh func() string) {
		database := fresh()
		_, dials, other := neighbours(t, database)
		var inner store.Driver
		s, err := openDatabase(t.Context(), database, func(d store.Driver) store.Driver { inner = d; return d })
		require.NoError(t, err)
		defer s.Close()
		var deaf store.Driver = silent{inner}
		_, tells := deaf.(store.Feed)
		require.False(t, tells)
		w := orgstest.New(t, store.New(deaf, nil), withDials())
		role, org := dials[0], dials[0].orgID
		_, err = role.must(w.Platform(), w.Manager, 0) // what is in memory is compared
		require.NoError(t, err)
		hears, stop := watch(w.Manager, &rbac.WatchOptions{Poll: 5 * time.Millisecond})
		defer stop()
		for n := int64(1); n <= 5; n++ {
			require.NoError(t, hears.await(org, other.turned(org, n)[org]))
			_, err := role.must(w.Platform(), w.Manager, n)
			require.NoError(t, err)
		}
	})
}

func TestWhatHappenedWhileNothingCouldBeHeardIsReported(t *testing.T) {
	database := storetest.Postgres(t)
	w, dials, other := neighbours(t, database)
	role, org := dials[0], dials[0].orgID
	u, err := url.Parse(database)
	require.NoError(t, err)
	name := strings.TrimPrefix(u.Path, "/")
	admin, err := sql.Open("pgx", storetest.Postgres(t)) // a database cannot be closed from within
	require.NoError(t, err)
	defer admin.Close()
	listening := func() (pids []int64) {
		rows, err := admin.Query("SELECT pid FROM pg_stat_activity WHERE datname = $1 AND query LIKE 'LISTEN%'", name)
		require.NoError(t, err)
		defer rows.Close()
		for rows.Next() {
			var pid int64
			require.NoError(t, rows.Scan(&pid))
			pids = append(pids, pid)
		}
		return pids
	}
	hears, stop := watch(w.Manager, never)
	defer stop()
	require.NoError(t, hears.await(org, other.turned(org, 1)[org]))
	require.Eventually(t, func() bool { return len(listening()) == 2 }, 20*time.Second, 5*time.Millisecond) // this one and the other

	_, err = admin.Exec("ALTER DATABASE " + name + " ALLOW_CONNECTIONS false")
	require.NoError(t, err)
	for _, pid := range listening() {
		_, err = admin.Exec("SELECT pg_terminate_backend($1)", pid)
		require.NoError(t, err)
	}
	require.Eventually(t, func() bool { return len(listening()) == 0 }, 20*time.Second, 5*time.Millisecond)
	last, _ := hears.of(org)
	var token rbac.Revision
	for n := int64(2); n <= 4; n++ {
		token = other.turned(org, n)
		_, err := role.must(w.Platform(), w.Manager, n) // who asks needs no news
		require.NoError(t, err)
	}
	is, _ := hears.of(org)
	require.Equal(t, last, is, "nothing can be heard")

	_, err = admin.Exec("ALTER DATABASE " + name + " ALLOW_CONNECTIONS true")
	require.NoError(t, err)
	require.NoError(t, hears.await(org, token[org]), "the full compare after the gap")
	require.NoError(t, hears.await(org, other.turned(org, 5)[org]), "and words are heard again")
}
