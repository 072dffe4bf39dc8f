package audit_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/orgkit/orgkit/audit"
	"github.com/orgkit/orgkit/store"
	"github.com/orgkit/orgkit/store/storetest"
)

var aKey = audit.Actor{Type: audit.APIKey, ID: "key_1", Label: "deploy", IP: netip.MustParseAddr("203.0.113.9"), RequestID: "req_7"}

// decided is a decision; a code makes it a refusal.
func decided(org, id, code string) *audit.Decision {
	return &audit.Decision{OrgID: org, TeamID: "team_1", ID: id, Action: "models.use", Resource: "model:gpt-4", Code: code, Actor: aKey}
}

// wish sets which decisions an organization wants in its log.
func wish(t *testing.T, s *store.Store, l *audit.Log, org string, d audit.Decisions, globs ...string) {
	t.Helper()
	require.NoError(t, s.Update(as(t, alice), func(ctx context.Context, tx *store.Tx) error {
		before, err := audit.Configs.Get(ctx, tx, org)
		missing := errors.Is(err, store.ErrNotFound)
		if err != nil && !missing {
			return err
		}
		c := audit.DefaultConfig(org)
		c.Meta, c.Decisions = before.Meta, d
		c.ID = org
		if globs != nil {
			c.EventsToLog = globs
		}
		if _, err := c.Validate(nil); err != nil {
			return err
		}
		if missing {
			err = audit.Configs.Insert(ctx, tx, &c)
		} else {
			err = audit.Configs.Update(ctx, tx, &c)
		}
		if err != nil {
			return err
		}
		_, err = l.Append(ctx, tx, org, "audit.update", c.Changed(before))
		return err
	}))
}

// eventsOf are all events of the organization of some types, oldest first.
func eventsOf(t *testing.T, l *audit.Log, org string, types ...string) (all []audit.Event) {
	t.Helper()
	for f := (audit.Filter{Types: types, Ascending: true, Limit: audit.MaxPage}); ; {
		page, err := l.List(t.Context(), org, f)
		require.NoError(t, err)
		all = append(all, page.Items...)
		if f.After = page.Next; f.After == "" {
			return all
		}
	}
}

// dataOf is what belongs to the type of an event.
func dataOf(t *testing.T, e audit.Event) (data map[string]any) {
	t.Helper()
	require.NoError(t, json.Unmarshal(e.Data, &data))
	return data
}

func TestDecisionsAreLoggedAsTheOrganizationWants(t *testing.T) { // F277
	storetest.Each(t, func(t *testing.T, s *store.Store, clock *storetest.Clock) {
		for i, c := range []struct {
			set     audit.Decisions
			globs   []string
			denied  int
			allowed [2]int // at least and at most
		}{
			{audit.Decisions{}, nil, 3, [2]int{0, 0}},
			{audit.Decisions{Record: audit.RecordOff}, nil, 0, [2]int{0, 0}},
			{audit.Decisions{Record: audit.RecordFull}, nil, 3, [2]int{600, 600}},
			{audit.Decisions{Record: audit.RecordSampled, PerMille: 200}, nil, 3, [2]int{60, 200}},
			{audit.Decisions{Record: audit.RecordFull}, []string{"team.*"}, 0, [2]int{0, 0}},
			{audit.Decisions{Record: audit.RecordFull}, []string{"authorization.denied"}, 3, [2]int{0, 0}},
		} {
			l, org := logs(s), fmt.Sprint("org_", i)
			if i > 0 { // the first has the default
				wish(t, s, l, org, c.set, c.globs...)
			}
			for n := range 600 {
				l.Decided(decided(org, fmt.Sprint("dec_", n), ""))
				if n%200 == 0 {
					l.Decided(decided(org, fmt.Sprint("dec_no_", n), "policy_denied"))
					clock.Advance(time.Millisecond)
				}
			}
			denied, allowed := eventsOf(t, l, org, audit.DeniedType), eventsOf(t, l, org, audit.AllowedType)
			require.Len(t, denied, c.denied, c.set)
			require.GreaterOrEqual(t, len(allowed), c.allowed[0], c.set)
			require.LessOrEqual(t, len(allowed), c.allowed[1], c.set)
			for n, e := range denied {
				require.Equal(t, fmt.Sprint("dec_no_", 200*n), dataOf(t, e)["decision_id"], "in the order in which they were made")
				require.Equal(t, "policy_denied", dataOf(t, e)["code"])
				require.Equal(t, []any{audit.Denied, "authorization", "models.use", "model", "gpt-4", "team_1", "203.0.113.9", "key_1", "req_7"},
					[]any{e.Outcome, e.Category, e.Action, e.ResourceType, e.ResourceID, e.TeamID, e.IP, e.ActorID, e.RequestID})
			}
			for _, e := range allowed {
				require.Equal(t, audit.Success, e.Outcome)
			}

			again := logs(s) // a sample is the same wherever it is taken
			for n := range 600 {
				again.Decided(decided(org, fmt.Sprint("dec_", n), ""))
			}
			require.Len(t, eventsOf(t, again, org, audit.AllowedType), 2*len(allowed))
		}
	})
}

func TestADecisionHasTheTimeAtWhichItWasMade(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store, clock *storetest.Clock) {
		l := logs(s)
		at := clock.Now()
		l.Decided(decided("org_1", "dec_1", "policy_denied"))
		clock.Advance(time.Hour)
		e := eventsOf(t, l, "org_1")[0]
		require.True(t, at.Equal(e.OccurredAt))
		require.True(t, at.Equal(e.Time))
	})
}

func TestASettingCountsForTheNextDecision(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store, _ *storetest.Clock) {
		l := logs(s)
		want := 0
		for i, record := range []string{audit.RecordDenied, audit.RecordFull, audit.RecordOff, audit.RecordFull, audit.RecordDenied} {
			wish(t, s, l, "org_1", audit.Decisions{Record: record})
			for n := range 5 {
				l.Decided(decided("org_1", fmt.Sprint(i, n), ""))
			}
			if record == audit.RecordFull {
				want += 5
			}
			require.Len(t, eventsOf(t, l, "org_1", audit.AllowedType), want, record)
		}
	})
}

// Another process hears of it within five seconds.
func TestASettingOfAnotherProcess(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := storetest.Open(t, "memory", store.Options{})
		here, there := audit.New(s, nil), audit.New(s, nil)
		defer here.Close()
		defer there.Close()
		list := func() int { return len(eventsOf(t, logs(s), "org_1", audit.AllowedType)) }
		here.Decided(decided("org_1", "dec_1", ""))
		time.Sleep(time.Second)
		require.Zero(t, list())
		wish(t, s, there, "org_1", audit.Decisions{Record: audit.RecordFull})
		time.Sleep(5 * time.Second)
		here.Decided(decided("org_1", "dec_2", ""))
		time.Sleep(time.Second)
		require.Equal(t, 1, list())
	})
}

// Whatever finds no room is counted, and the number is in the log.
func TestWhatFindsNoRoomIsCounted(t *testing.T) { // F277
	storetest.Each(t, func(t *testing.T, s *store.Store, _ *storetest.Clock) {
		l := audit.New(s, &audit.Options{NoBackground: true, Waiting: 64})
		wish(t, s, l, "org_1", audit.Decisions{Record: audit.RecordFull})
		wish(t, s, l, "org_2", audit.Decisions{Record: audit.RecordDenied})
		wish(t, s, l, "org_3", audit.Decisions{Record: audit.RecordOff})
		const each = 500
		var wg sync.WaitGroup
		for worker := range 4 {
			wg.Go(func() {
				for n := range each {
					for _, org := range []string{"org_1", "org_2", "org_3"} {
						l.Decided(decided(org, fmt.Sprint("dec_", worker, n), ""))
						l.Decided(decided(org, fmt.Sprint("dec_no_", worker, n), "policy_denied"))
					}
					if n == each/2 {
						require.NoError(t, l.Flush(t.Context()))
					}
				}
			})
		}
		wg.Wait()
		require.NoError(t, l.Flush(t.Context()))
		for org, want := range map[string][2]int{"org_1": {4 * each, 4 * each}, "org_2": {0, 4 * each}, "org_3": {}} {
			allowed, denied := len(eventsOf(t, l, org, audit.AllowedType)), len(eventsOf(t, l, org, audit.DeniedType))
			dropped := eventsOf(t, l, org, audit.DroppedType)
			require.Equal(t, want[1] > 0, len(dropped) > 0)
			for _, e := range dropped {
				require.Equal(t, []any{audit.Failure, "decisions"}, []any{e.Outcome, e.ActorID})
				allowed += int(dataOf(t, e)["allowed"].(float64))
				denied += int(dataOf(t, e)["denied"].(float64))
			}
			require.Equal(t, want, [2]int{allowed, denied}, org)
		}
	})
}

// failing makes commits fail for as long as it is told to.
type failing struct {
	store.Driver
	on *atomic.Bool
}

func (f failing) Begin(ctx context.Context, writable bool) (store.DriverTx, error) {
	if writable && f.on.Load() {
		return nil, errors.New("the disk is full")
	}
	return f.Driver.Begin(ctx, writable)
}

// Sequential is that of the memory store.
func (failing) Sequential() bool { return true }

func TestWhatCannotBeWrittenWaits(t *testing.T) {
	var on atomic.Bool
	s := storetest.Open(t, "memory", store.Options{Wrap: func(d store.Driver) store.Driver { return failing{d, &on} }})
	l := audit.New(s, &audit.Options{NoBackground: true, Waiting: 64})
	var want []string
	for round := range 4 {
		on.Store(round%2 == 0)
		for n := range 4 {
			id := fmt.Sprint("dec_", round, n)
			want = append(want, id)
			l.Decided(decided("org_1", id, "policy_denied"))
		}
		if err := l.Flush(t.Context()); on.Load() {
			require.Error(t, err)
		} else {
			require.NoError(t, err)
		}
	}
	var got []string
	for _, e := range eventsOf(t, l, "org_1", audit.DeniedType) {
		got = append(got, dataOf(t, e)["decision_id"].(string))
	}
	slices.Sort(got)
	require.Equal(t, want, got, "each once")
	require.Empty(t, eventsOf(t, l, "org_1", audit.DroppedType))
}

// The background writes by itself, says so when it cannot, and goes on when it can; Close writes what waits.
func TestDecisionsInTheBackground(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var on atomic.Bool
		var alarms atomic.Int64
		s := storetest.Open(t, "memory", store.Options{Wrap: func(d store.Driver) store.Driver { return failing{d, &on} }})
		l := audit.New(s, &audit.Options{Alarm: func(error) { alarms.Add(1) }})
		written := func() int { return len(eventsOf(t, logs(s), "org_1", audit.DeniedType)) }
		l.Decided(decided("org_1", "dec_1", "policy_denied"))
		time.Sleep(time.Second)
		require.Equal(t, 1, written())

		on.Store(true)
		l.Decided(decided("org_1", "dec_2", "policy_denied"))
		time.Sleep(time.Minute)
		require.EqualValues(t, 1, alarms.Load())
		on.Store(false)
		l.Decided(decided("org_1", "dec_3", "policy_denied"))
		time.Sleep(time.Second)
		require.Equal(t, 3, written())

		l.Decided(decided("org_1", "dec_4", "policy_denied"))
		l.Close()
		require.Equal(t, 4, written())
		l.Decided(decided("org_1", "dec_5", "policy_denied")) // the log can still be used
		require.NoError(t, l.Flush(t.Context()))
		require.Equal(t, 5, written())
		l.Close()
	})
}

// A flood of uses of one dead key leaves one event at once and one with the number (F278).
func TestAFloodLeavesTwoEvents(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store, clock *storetest.Clock) {
		l := logs(s)
		use := func(key, code string) {
			d := decided("org_1", "", code)
			d.Type, d.Actor.ID = "api_key.denied", key
			l.Decided(d)
		}
		counts := func() (all []float64) {
			for _, e := range eventsOf(t, l, "org_1", "api_key.denied") {
				require.Equal(t, audit.Denied, e.Outcome)
				all = append(all, dataOf(t, e)["count"].(float64))
			}
			return all
		}
		var wg sync.WaitGroup
		for range 4 {
			wg.Go(func() {
				for range 250 {
					use("key_1", "revoked")
				}
			})
		}
		wg.Wait()
		require.Equal(t, []float64{1}, counts())
		require.NoError(t, l.Flush(t.Context()))
		require.Equal(t, []float64{1, 999}, counts())
		use("key_1", "revoked")
		require.Equal(t, []float64{1, 999}, counts(), "it is the same minute")
		use("key_2", "revoked")
		use("key_1", "ip_denied")
		require.Equal(t, []float64{1, 999, 1, 1}, counts(), "another key, another reason")
		clock.Advance(time.Minute)
		use("key_1", "revoked")
		require.Equal(t, []float64{1, 999, 1, 1, 2}, counts(), "with the one that was not written")
	})
}

// Without a reader or a flush the number is written a minute later.
func TestAFloodThatEndsIsCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := storetest.Open(t, "memory", store.Options{})
		l := audit.New(s, nil)
		defer l.Close()
		for range 10 {
			d := decided("org_1", "", "revoked")
			d.Type = "api_key.denied"
			l.Decided(d)
		}
		time.Sleep(2 * time.Minute)
		list := eventsOf(t, logs(s), "org_1")
		require.Len(t, list, 2)
		require.EqualValues(t, 9, dataOf(t, list[1])["count"])
	})
}

// What is not to be written costs a look at a table, and a sample a hash.
func TestADecisionThatIsNotWantedAllocatesNothing(t *testing.T) {
	s := storetest.Open(t, "memory", store.Options{})
	l := logs(s)
	wish(t, s, l, "org_2", audit.Decisions{Record: audit.RecordSampled, PerMille: 1})
	for _, org := range []string{"org_1", "org_2"} {
		d := decided(org, "dec_1", "")
		l.Decided(d)
		require.Empty(t, eventsOf(t, l, org, audit.AllowedType))
		require.Zero(t, testing.AllocsPerRun(1000, func() { l.Decided(d) }), org)
	}
}

func BenchmarkDecided(b *testing.B) {
	for _, record := range []string{audit.RecordDenied, audit.RecordFull} {
		b.Run(record, func(b *testing.B) {
			s := storetest.Open(b, "memory", store.Options{})
			l := audit.New(s, &audit.Options{NoBackground: true})
			c := audit.DefaultConfig("org_1")
			c.Decisions.Record = record
			ctx := audit.WithActor(b.Context(), alice)
			require.NoError(b, s.Update(ctx, func(ctx context.Context, tx *store.Tx) error { return audit.Configs.Insert(ctx, tx, &c) }))
			l.Decided(decided("org_1", "dec_0", ""))
			require.NoError(b, l.Flush(ctx))
			d := decided("org_1", "dec_1", "")
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					l.Decided(d)
				}
			})
		})
	}
}
