package billing_test

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"

	"github.com/orgkit/orgkit/billing"
	"github.com/orgkit/orgkit/store"
	"github.com/orgkit/orgkit/store/memory"
	"github.com/orgkit/orgkit/store/storetest"
)

// callAt is a call of org_1.
func callAt(id string, at time.Time) billing.UsageEvent {
	return billing.UsageEvent{Source: "gate", ID: id, Time: at, OrgID: "org_1", TeamID: "team_1", ProjectID: "proj_1", UserID: "usr_1", KeyID: "key_1",
		Model: "gpt-4", Endpoint: "/v1/chat/completions", Method: "POST", Status: 200, Latency: 1500 * time.Millisecond, TTFT: 200 * time.Millisecond,
		InputTokens: 1000, CachedTokens: 100, OutputTokens: 200, Cost: decimal.New(25_000_000_000, -12), PriceVersion: "gpt-4@1",
		Tags: map[string]string{"team": "eng", "environment": "prod"}}
}

// metering is one over the store, closed with the test.
func metering(t testing.TB, s *store.Store, o *billing.MeteringOptions) *billing.Metering {
	m := billing.NewMetering(s, o)
	t.Cleanup(func() { m.Close() })
	return m
}

// events are all of an organization.
func events(t testing.TB, s *store.Store, m *billing.Metering, orgID string) (list []billing.UsageEvent) {
	t.Helper()
	require.NoError(t, s.View(t.Context(), func(ctx ctx, tx *store.Tx) error {
		list = nil
		for e, err := range m.Events(ctx, tx, orgID, time.Unix(0, 0), time.Unix(1<<36, 0)) {
			if err != nil {
				return err
			}
			list = append(list, e)
		}
		return nil
	}))
	return list
}

func TestWhatIsRecordedIsWrittenInTheBackground(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store, clock *storetest.Clock) {
		m := metering(t, s, &billing.MeteringOptions{Flush: time.Millisecond})
		want := callAt("evt_1", clock.Now())
		require.NoError(t, m.Record(t.Context(), &want))
		require.Eventually(t, func() bool { return m.State().Written == 1 }, 20*time.Second, time.Millisecond)
		require.Equal(t, []billing.UsageEvent{want}, events(t, s, m, "org_1"))
		require.Equal(t, billing.MeteringState{Written: 1}, m.State())
	})
}

func TestFlushAndCloseWriteWhatWaits(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store, clock *storetest.Clock) {
		m := metering(t, s, &billing.MeteringOptions{Flush: time.Hour})
		for i := range 3 {
			e := callAt(fmt.Sprint("evt_", i), clock.Now())
			require.NoError(t, m.Record(t.Context(), &e))
		}
		require.Equal(t, 3, m.State().Waiting)
		require.NoError(t, m.Flush(t.Context()))
		require.Equal(t, billing.MeteringState{Written: 3}, m.State())
		late := callAt("evt_9", clock.Now())
		require.NoError(t, m.Record(t.Context(), &late))
		require.NoError(t, m.Close())
		require.Len(t, events(t, s, m, "org_1"), 4)
		require.ErrorIs(t, m.Record(t.Context(), &late), store.ErrClosed)
		require.Equal(t, int64(1), m.State().Dropped, "what comes too late is counted")
		require.NoError(t, m.Close(), "twice")
	})
}

// away is a database that cannot be reached.
type away struct {
	store.Driver
	mu  sync.Mutex
	err error
}

func (d *away) set(err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.err = err
}

func (d *away) Begin(ctx context.Context, writable bool) (store.DriverTx, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.err != nil {
		return nil, d.err
	}
	return d.Driver.Begin(ctx, writable)
}

func TestWhatFindsNoRoomIsCounted(t *testing.T) { // what is lost has its cost
	for _, name := range []string{"memory", "sqlite", "postgres"} {
		t.Run(name, func(t *testing.T) {
			driver := &away{}
			s := storetest.Open(t, name, store.Options{Wrap: func(d store.Driver) store.Driver {
				driver.Driver = d
				return driver
			}})
			var alarms int
			m := metering(t, s, &billing.MeteringOptions{Flush: time.Hour, Waiting: 2, MaxWait: -1, Alarm: func(error) { alarms++ }})
			driver.set(errCut)
			for i := range 2 {
				e := callAt(fmt.Sprint("evt_", i), s.Now())
				require.NoError(t, m.Record(t.Context(), &e))
			}
			third := callAt("evt_3", s.Now())
			require.ErrorIs(t, m.Record(t.Context(), &third), billing.ErrDropped)
			require.Equal(t, 1, alarms)
			require.ErrorIs(t, m.Flush(t.Context()), errCut)
			require.Equal(t, 2, m.State().Waiting, "what could not be written waits on")
			driver.set(nil)
			require.NoError(t, m.Flush(t.Context()))
			state := m.State()
			require.Equal(t, []any{0, int64(2), int64(1), "0.025"}, []any{state.Waiting, state.Written, state.Dropped, state.DroppedCost.String()})
			require.Len(t, events(t, s, m, "org_1"), 2)
		})
	}
}

func TestACallWaitsForRoom(t *testing.T) {
	s := storetest.Open(t, "memory", store.Options{})
	m := metering(t, s, &billing.MeteringOptions{Flush: time.Hour, Waiting: 1, MaxWait: time.Minute})
	first, second := callAt("evt_1", s.Now()), callAt("evt_2", s.Now())
	require.NoError(t, m.Record(t.Context(), &first))
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	require.ErrorIs(t, m.Record(gone, &second), context.Canceled)
	done := make(chan error)
	go func() { done <- m.Record(t.Context(), &second) }()
	for {
		select {
		case err := <-done:
			require.NoError(t, err)
			require.NoError(t, m.Flush(t.Context()))
			require.Len(t, events(t, s, m, "org_1"), 2)
			return
		default:
			require.NoError(t, m.Flush(t.Context()))
		}
	}
}

func TestRecordingAllocatesNothing(t *testing.T) {
	s := storetest.Open(t, "memory", store.Options{})
	m := metering(t, s, &billing.MeteringOptions{Flush: time.Hour})
	e := callAt("evt_1", s.Now())
	for range 5000 { // so that there is room
		require.NoError(t, m.Record(t.Context(), &e))
	}
	require.NoError(t, m.Flush(t.Context()))
	require.NoError(t, m.Record(t.Context(), &e))
	require.NoError(t, m.Flush(t.Context()))
	ctx := t.Context()
	require.Zero(t, testing.AllocsPerRun(1000, func() { _ = m.Record(ctx, &e) }))
}

func TestManyRecordAtOnce(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store, clock *storetest.Clock) {
		one, two := metering(t, s, &billing.MeteringOptions{Flush: time.Millisecond}), metering(t, s, &billing.MeteringOptions{Flush: time.Millisecond})
		var all sync.WaitGroup
		for g := range 8 {
			all.Go(func() {
				for i := range 50 {
					e := callAt(fmt.Sprintf("evt_%d_%d", g, i), clock.Now().Add(-time.Duration(i)*time.Hour))
					e.UserID = fmt.Sprint("usr_", (g*50+i)%90)
					for _, m := range []*billing.Metering{one, two} { // both, as after a lost answer
						if err := m.Record(context.Background(), &e); err != nil {
							t.Error(err)
						}
					}
				}
			})
		}
		all.Wait()
		require.NoError(t, one.Flush(t.Context()))
		require.NoError(t, two.Flush(t.Context()))
		require.Len(t, events(t, s, one, "org_1"), 400)
		a, b := one.State(), two.State()
		require.Equal(t, []int64{400, 400, 0}, []int64{a.Written + b.Written, a.Duplicates + b.Duplicates, a.Conflicts + b.Conflicts})
		wrong, err := one.Check(t.Context(), "org_1", clock.Now().Add(-50*time.Hour), clock.Now())
		require.NoError(t, err)
		require.Empty(t, wrong)
	})
}

func TestWhoWaitsInVainHasNobodyElseWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := memory.New(nil)
		m := billing.NewMetering(s, &billing.MeteringOptions{Flush: time.Hour, Waiting: 1, MaxWait: time.Second})
		e := callAt("evt_1", s.Now())
		require.NoError(t, m.Record(t.Context(), &e))
		for _, waits := range []time.Duration{time.Second, 0, 0} {
			began := time.Now()
			require.ErrorIs(t, m.Record(t.Context(), &e), billing.ErrDropped)
			require.Equal(t, waits, time.Since(began))
		}
		require.NoError(t, m.Flush(t.Context()))
		require.NoError(t, m.Record(t.Context(), &e), "there is room again")
		require.NoError(t, m.Close())
		require.Equal(t, billing.MeteringState{Written: 1, Duplicates: 1, Dropped: 3, DroppedCost: m.State().DroppedCost}, m.State())
		require.Equal(t, "0.075", m.State().DroppedCost.String())
	})
}

func TestAnIdleProcessHasNoTransactions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var units atomic.Int64
		s := memory.New(&memory.Options{Store: store.Options{Wrap: func(d store.Driver) store.Driver { return counted{d, &units} }}})
		m := billing.NewMetering(s, nil)
		for range 250 { // in 2.5 seconds
			e := callAt(s.NewID("evt"), s.Now())
			require.NoError(t, m.Record(t.Context(), &e))
			time.Sleep(10 * time.Millisecond)
		}
		time.Sleep(time.Second)
		require.Equal(t, int64(250), m.State().Written)
		require.LessOrEqual(t, units.Load(), int64(26), "one in 100 ms at most")
		before := units.Load()
		time.Sleep(time.Hour)
		require.Equal(t, before, units.Load())
		require.NoError(t, m.Close())
	})
}

// counted counts transactions that write.
type counted struct {
	store.Driver
	units *atomic.Int64
}

func (d counted) Begin(ctx context.Context, writable bool) (store.DriverTx, error) {
	d.units.Add(1)
	return d.Driver.Begin(ctx, writable)
}
