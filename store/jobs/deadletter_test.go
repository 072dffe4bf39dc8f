package jobs_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/orgkit/orgkit/store"
	"github.com/orgkit/orgkit/store/jobs"
	"github.com/orgkit/orgkit/store/storetest"
)

func TestRetriesBackOffUntilTheJobIsDead(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store, clock *storetest.Clock) {
		w, did := noting(s, &jobs.KindOptions{MaxAttempts: 5, MinBackoff: 10 * time.Second, MaxBackoff: 25 * time.Second})
		did.err = errors.New("boom " + strings.Repeat("ä", jobs.MaxError) + "\x00")
		id, _ := enqueue(t, s, jobs.NewJob{Kind: "note", OrgID: "org_1"})
		for attempt, most := range []time.Duration{0, 10 * time.Second, 20 * time.Second, 25 * time.Second, 25 * time.Second} {
			clock.Advance(most)
			ran, err := w.RunDue(t.Context())
			require.ErrorIs(t, err, did.err)
			require.Equal(t, 1, ran, "after its longest wait it is due, and then not at once")
			require.Len(t, did.ids(), attempt+1)
		}
		clock.Advance(1000 * time.Hour)
		require.Zero(t, runDue(t, w))

		letters := deadLetters(t, s, jobs.DeadQuery{OrgID: "org_1"})
		require.Len(t, letters, 1)
		require.Equal(t, []any{id, 5, clock.Now().Add(-1000 * time.Hour)}, []any{letters[0].ID, letters[0].Attempt, letters[0].DiedAt})
		require.True(t, strings.HasPrefix(letters[0].LastError, "boom ää"))
		require.LessOrEqual(t, len(letters[0].LastError), jobs.MaxError)
	})
}

func TestBackOffIsRandomBelowItsBound(t *testing.T) {
	clock := storetest.NewClock()
	s := storetest.Open(t, "memory", store.Options{Now: clock.Now})
	w, did := noting(s, &jobs.KindOptions{MinBackoff: 8 * time.Second})
	did.err = errors.New("boom")
	for range 200 {
		enqueue(t, s, jobs.NewJob{Kind: "note"})
	}
	w.RunDue(t.Context())
	var quarters [4]int
	for i := range quarters {
		clock.Advance(2 * time.Second)
		before := len(did.ids())
		did.err = nil
		runDue(t, w)
		quarters[i] = len(did.ids()) - before
	}
	for _, n := range quarters { // 50 expected, and no more than one run in 10^9 is that far off
		require.InDelta(t, 50, n, 40)
	}
	require.Len(t, did.ids(), 400)
}

func TestAHandlerSaysWhatBecomesOfAFailure(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store, clock *storetest.Clock) {
		w, did := noting(s, &jobs.KindOptions{MaxAttempts: 3})
		enqueue(t, s, jobs.NewJob{Kind: "note"})
		boom := errors.New("boom")
		did.err = jobs.RetryAfter(time.Hour, boom)
		_, err := w.RunDue(t.Context())
		require.ErrorIs(t, err, boom)
		clock.Advance(time.Hour - time.Microsecond)
		require.Zero(t, runDue(t, w))
		clock.Advance(time.Microsecond)
		did.err = jobs.Permanent(boom)
		ran, err := w.RunDue(t.Context())
		require.ErrorIs(t, err, boom)
		require.Equal(t, 1, ran)
		require.Equal(t, "boom", did.jobs[1].LastError)
		require.Len(t, deadLetters(t, s, jobs.DeadQuery{}), 1)
	})
}

func TestAPanicIsAFailure(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store, _ *storetest.Clock) {
		w := jobs.NewWorker(s, nil)
		w.Handle("note", func(context.Context, jobs.Job) error { panic("boom") }, &jobs.KindOptions{MaxAttempts: 1})
		enqueue(t, s, jobs.NewJob{Kind: "note"})
		_, err := w.RunDue(t.Context())
		var p *jobs.PanicError
		require.ErrorAs(t, err, &p)
		require.Equal(t, "boom", p.Value)
		require.Contains(t, string(p.Stack), "deadletter_test.go")
		require.Equal(t, "panic: boom", deadLetters(t, s, jobs.DeadQuery{})[0].LastError)
	})
}

func TestADeadLetterGoesBackOrOut(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store, clock *storetest.Clock) {
		w, did := noting(s, &jobs.KindOptions{MaxAttempts: 1})
		did.err = errors.New("boom")
		back, _ := enqueue(t, s, jobs.NewJob{Kind: "note", OrgID: "org_1", Key: "back"})
		out, _ := enqueue(t, s, jobs.NewJob{Kind: "note", OrgID: "org_1", Key: "out"})
		w.RunDue(t.Context())
		try := func(fn func(context.Context, *store.Tx, string, string) error, org, id string) error {
			return s.Update(t.Context(), func(ctx context.Context, tx *store.Tx) error { return fn(ctx, tx, org, id) })
		}
		for _, fn := range []func(context.Context, *store.Tx, string, string) error{jobs.Retry, jobs.Discard} {
			require.ErrorIs(t, try(fn, "org_2", back), store.ErrNotFound, "of another organization")
			require.ErrorIs(t, try(fn, "org_1", "job_x"), store.ErrNotFound)
		}
		for _, key := range []string{"back", "out"} {
			_, fresh := enqueue(t, s, jobs.NewJob{Kind: "note", OrgID: "org_1", Key: key})
			require.False(t, fresh, "a dead letter keeps its key")
		}
		require.NoError(t, try(jobs.Retry, "org_1", back))
		require.NoError(t, try(jobs.Discard, "org_1", out))
		require.ErrorIs(t, try(jobs.Retry, "org_1", back), store.ErrNotFound, "once")
		require.Empty(t, deadLetters(t, s, jobs.DeadQuery{OrgID: "org_1"}))
		_, fresh := enqueue(t, s, jobs.NewJob{Kind: "note", OrgID: "org_1", Key: "out"})
		require.False(t, fresh, "as if it had been done")

		did.err = nil
		require.Equal(t, 1, runDue(t, w))
		j := did.jobs[2]
		require.Equal(t, []any{back, 1, "boom"}, []any{j.ID, j.Attempt, j.LastError})
		clock.Advance(jobs.DefaultKeepKey)
		_, fresh = enqueue(t, s, jobs.NewJob{Kind: "note", OrgID: "org_1", Key: "out"})
		require.True(t, fresh)
	})
}

func TestDeadLettersAreListedByOrganizationAndKind(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store, clock *storetest.Clock) {
		w, did := noting(s, &jobs.KindOptions{MaxAttempts: 1})
		w.Handle("other", did.handle, &jobs.KindOptions{MaxAttempts: 1})
		did.err = errors.New("boom")
		var want []string
		for _, in := range []jobs.NewJob{{Kind: "note", OrgID: "org_1"}, {Kind: "other", OrgID: "org_1"}, {Kind: "note", OrgID: "org_2"}, {Kind: "note"}} {
			id, _ := enqueue(t, s, in)
			want = append(want, id)
			w.RunDue(t.Context())
			clock.Advance(time.Second)
		}
		list := func(q jobs.DeadQuery) (ids []string) {
			q.Limit = 1
			for {
				var page store.Page[jobs.DeadLetter]
				view(t, s, func(ctx context.Context, tx *store.Tx) (err error) {
					page, err = jobs.DeadLetters(ctx, tx, q)
					return err
				})
				for _, l := range page.Items {
					ids = append(ids, l.ID)
				}
				if q.After = page.Next; q.After == "" {
					return ids
				}
			}
		}
		require.Equal(t, []string{want[1], want[0]}, list(jobs.DeadQuery{OrgID: "org_1"}))
		require.Equal(t, []string{want[0]}, list(jobs.DeadQuery{OrgID: "org_1", Kind: "note"}))
		require.Equal(t, []string{want[2]}, list(jobs.DeadQuery{OrgID: "org_2"}))
		require.Equal(t, []string{want[3]}, list(jobs.DeadQuery{}))
		require.Equal(t, []string{want[3], want[2], want[1], want[0]}, list(jobs.DeadQuery{AnyOrg: true}))
	})
}
