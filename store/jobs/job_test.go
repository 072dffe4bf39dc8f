package jobs_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/orgkit/orgkit/store"
	"github.com/orgkit/orgkit/store/jobs"
	"github.com/orgkit/orgkit/store/storetest"
)

func TestAJobIsThereIfAndOnlyIfItsUnitCommits(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store, _ *storetest.Clock) {
		w, did := noting(s, nil)
		boom := errors.New("boom")
		err := s.Update(t.Context(), func(ctx context.Context, tx *store.Tx) error {
			_, _, err := jobs.Enqueue(ctx, tx, jobs.NewJob{Kind: "note", Key: "k"})
			return errors.Join(err, boom)
		})
		require.ErrorIs(t, err, boom)
		require.Zero(t, runDue(t, w))

		id, fresh := enqueue(t, s, jobs.NewJob{Kind: "note", Key: "k"})
		require.True(t, fresh, "the key went with its unit")
		require.Equal(t, 1, runDue(t, w))
		require.Equal(t, []string{id}, did.ids())
		require.Zero(t, runDue(t, w), "once done it is gone")
	})
}

func TestAHandlerGetsWhatWasEnqueued(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store, clock *storetest.Clock) {
		w, did := noting(s, nil)
		at := clock.Now().Add(time.Hour)
		id, _ := enqueue(t, s, jobs.NewJob{Kind: "note", OrgID: "org_1", Payload: map[string]int{"n": 7}, RunAt: at, Key: "k", Lane: "l"})
		enqueue(t, s, jobs.NewJob{Kind: "other"})
		require.Zero(t, runDue(t, w), "not before its time, and no kind that is not handled")
		clock.Advance(time.Hour)
		require.Equal(t, 1, runDue(t, w))

		j := did.jobs[0]
		var payload map[string]int
		require.NoError(t, j.Decode(&payload))
		require.Equal(t, map[string]int{"n": 7}, payload)
		require.Equal(t, []any{id, "note", "org_1", "k", "l", 1, at, ""}, []any{j.ID, j.Kind, j.OrgID, j.Key, j.Lane, j.Attempt, j.RunAt, j.LastError})
		require.Equal(t, at.Add(-time.Hour), j.EnqueuedAt)
	})
}

func TestEnqueueNamesWhatIsWrong(t *testing.T) {
	s := storetest.Open(t, "memory", store.Options{})
	for field, in := range map[string]jobs.NewJob{
		"kind":     {},
		"org_id":   {Kind: "k", OrgID: "a\x00b"},
		"key":      {Kind: "k", Key: strings.Repeat("x", jobs.MaxText+1)},
		"lane":     {Kind: "k", Lane: "\xff"},
		"payload":  {Kind: "k", Payload: strings.Repeat("x", jobs.MaxPayload)},
		"keep_key": {Kind: "k", KeepKey: -1},
		"run_at":   {Kind: "k", RunAt: time.Date(9999, 12, 31, 0, 0, 0, 0, time.UTC)},
	} {
		err := s.Update(t.Context(), func(ctx context.Context, tx *store.Tx) error {
			_, _, err := jobs.Enqueue(ctx, tx, in)
			return err
		})
		var wrong *store.FieldError
		require.ErrorAs(t, err, &wrong, field)
		require.Equal(t, field, wrong.Field)
	}
	err := s.Update(t.Context(), func(ctx context.Context, tx *store.Tx) error {
		_, _, err := jobs.Enqueue(ctx, tx, jobs.NewJob{Kind: "k", Payload: make(chan int)})
		return err
	})
	require.ErrorIs(t, err, store.ErrInvalid)
}

func TestAPayloadComesBackAsItWas(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store, _ *storetest.Clock) {
		w, did := noting(s, nil)
		for i, want := range []string{"", "\x00", `\u0000`, "漢字 ' \" ? $1 %", "<&>"} {
			enqueue(t, s, jobs.NewJob{Kind: "note", Payload: want})
			runDue(t, w)
			var got string
			require.NoError(t, did.jobs[i].Decode(&got))
			require.Equal(t, want, got)
		}
		enqueue(t, s, jobs.NewJob{Kind: "note"})
		runDue(t, w)
		require.Equal(t, "null", string(did.jobs[5].Payload))
	})
}

func TestAKeyIsKnownUntilItsTimeAfterTheJobIsOver(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store, clock *storetest.Clock) {
		w, _ := noting(s, nil)
		in := jobs.NewJob{Kind: "note", OrgID: "org_1", Key: "k", KeepKey: time.Hour}
		id, fresh := enqueue(t, s, in)
		require.True(t, fresh)
		again := func() string {
			t.Helper()
			other, fresh := enqueue(t, s, in)
			require.False(t, fresh)
			return other
		}
		require.Equal(t, id, again(), "while it waits")
		clock.Advance(100 * time.Hour)
		require.Equal(t, id, again(), "however long")
		require.Equal(t, 1, runDue(t, w))
		require.Equal(t, id, again(), "after it was done")
		clock.Advance(time.Hour - time.Microsecond)
		require.Equal(t, id, again())

		other := in
		other.OrgID = "org_2"
		_, fresh = enqueue(t, s, other)
		require.True(t, fresh, "the same key of another organization is another one")

		clock.Advance(time.Microsecond)
		next, fresh := enqueue(t, s, in)
		require.True(t, fresh, "its time is over, swept or not")
		require.NotEqual(t, id, next)
		require.Equal(t, next, again())
		require.Equal(t, 2, runDue(t, w))
		require.Equal(t, next, again(), "and the sweep left it alone")
	})
}

func TestManyEnqueuersOfOneKeyEnqueueOne(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store, clock *storetest.Clock) {
		w, did := noting(s, nil)
		for round := range 2 { // the second finds a key whose time is over
			var fresh atomic.Int64
			var ids sync.Map
			var wg sync.WaitGroup
			for range 50 {
				wg.Go(func() {
					var id string
					var is bool
					err := s.Update(t.Context(), func(ctx context.Context, tx *store.Tx) (err error) {
						id, is, err = jobs.Enqueue(ctx, tx, jobs.NewJob{Kind: "note", Key: "k", KeepKey: time.Hour})
						return err
					})
					if err != nil {
						t.Error(err)
					}
					if ids.Store(id, true); is {
						fresh.Add(1)
					}
				})
			}
			wg.Wait()
			require.EqualValues(t, 1, fresh.Load())
			n := 0
			ids.Range(func(any, any) bool { n++; return true })
			require.Equal(t, 1, n, "all of them heard of the same job")
			require.Equal(t, 1, runDue(t, w))
			require.Len(t, did.ids(), round+1)
			clock.Advance(time.Hour)
		}
	})
}

func TestALaneRunsInTheOrderOfCommitsAndOneAtATime(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store, clock *storetest.Clock) {
		w, did := noting(s, &jobs.KindOptions{MaxAttempts: 2})
		lane := func(name string, at time.Time) string {
			id, _ := enqueue(t, s, jobs.NewJob{Kind: "note", Lane: name, RunAt: at})
			return id
		}
		first := lane("a", clock.Now().Add(time.Minute))
		second := lane("a", time.Time{})
		third := lane("a", time.Time{})
		other := lane("b", time.Time{})
		runDue(t, w)
		require.Equal(t, []string{other}, did.ids(), "who comes first is waited for")

		clock.Advance(time.Minute)
		did.err = errors.New("boom")
		_, err := w.RunDue(t.Context())
		require.ErrorContains(t, err, first)
		require.Equal(t, []string{other, first}, did.ids(), "and so are its attempts")

		clock.Advance(time.Hour)
		_, err = w.RunDue(t.Context()) // the last attempt of the first, and one of the second
		require.ErrorContains(t, err, second)
		did.err = nil
		clock.Advance(time.Hour)
		runDue(t, w)
		require.Equal(t, []string{other, first, first, second, second, third}, did.ids())

		update(t, s, func(ctx context.Context, tx *store.Tx) error { return jobs.Retry(ctx, tx, "", first) })
		fourth := lane("a", time.Time{})
		runDue(t, w)
		require.Equal(t, []string{first, fourth}, did.ids()[6:], "a dead letter comes back at the end")
	})
}

func TestALaneOfConcurrentEnqueuersLosesNothing(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store, _ *storetest.Clock) {
		var busy, overlaps, ran atomic.Int64
		w := jobs.NewWorker(s, nil)
		w.Handle("note", func(context.Context, jobs.Job) error {
			if busy.Add(1) > 1 {
				overlaps.Add(1)
			}
			defer busy.Add(-1)
			ran.Add(1)
			return nil
		}, nil)
		stop := background(t, w)
		var wg sync.WaitGroup
		for range 10 {
			wg.Go(func() {
				for range 5 {
					enqueue(t, s, jobs.NewJob{Kind: "note", Lane: "a"})
				}
			})
		}
		wg.Wait()
		require.Eventually(t, func() bool { return ran.Load() == 50 }, 30*time.Second, 5*time.Millisecond)
		stop()
		require.Zero(t, overlaps.Load())
	})
}
