package jobs_test

import (
	"context"
	"errors"
	"runtime"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/orgkit/orgkit/store"
	"github.com/orgkit/orgkit/store/jobs"
	"github.com/orgkit/orgkit/store/memory"
	"github.com/orgkit/orgkit/store/storetest"
)

func TestAnotherWorkerTakesOverWhenTheLeaseRunsOut(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store, clock *storetest.Clock) {
		second, did := noting(s, nil)
		id, _ := enqueue(t, s, jobs.NewJob{Kind: "note", Lane: "a", Key: "k"})
		enqueue(t, s, jobs.NewJob{Kind: "note", Lane: "a"})
		first := jobs.NewWorker(s, nil)
		first.Handle("note", func(ctx context.Context, j jobs.Job) error {
			clock.Advance(time.Minute - time.Microsecond)
			require.Zero(t, runDue(t, second), "while the lease holds nobody else runs it")
			clock.Advance(time.Microsecond)
			require.Equal(t, 2, runDue(t, second), "the job, and the next of its lane")
			err := s.Update(ctx, func(ctx context.Context, tx *store.Tx) error { return j.Complete(ctx, tx) })
			require.ErrorIs(t, err, jobs.ErrLeaseLost)
			return nil
		}, nil)
		ran, err := first.RunDue(t.Context())
		require.ErrorIs(t, err, jobs.ErrLeaseLost, "what it did is known to be in doubt")
		require.Equal(t, 1, ran)
		require.Equal(t, id, did.jobs[0].ID)
		require.Equal(t, 2, did.jobs[0].Attempt)
		require.Zero(t, runDue(t, second))
	})
}

func TestAJobThatKillsItsWorkersIsDead(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store, clock *storetest.Clock) {
		second, did := noting(s, &jobs.KindOptions{MaxAttempts: 1})
		first := jobs.NewWorker(s, nil)
		first.Handle("note", func(context.Context, jobs.Job) error {
			clock.Advance(time.Minute)
			require.Equal(t, 1, runDue(t, second), "only the job behind it")
			return nil
		}, &jobs.KindOptions{MaxAttempts: 1})
		killer, _ := enqueue(t, s, jobs.NewJob{Kind: "note", RunAt: clock.Now().Add(-time.Second)})
		behind, _ := enqueue(t, s, jobs.NewJob{Kind: "note", RunAt: clock.Now().Add(time.Second)})
		_, err := first.RunDue(t.Context())
		require.ErrorIs(t, err, jobs.ErrLeaseLost)
		require.Equal(t, []string{behind}, did.ids())
		letters := deadLetters(t, s, jobs.DeadQuery{})
		require.Len(t, letters, 1)
		require.Equal(t, killer, letters[0].ID)
		require.Contains(t, letters[0].LastError, "died")
	})
}

func TestCompleteEndsTheJobWithTheEffectsOfItsHandler(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store, clock *storetest.Clock) {
		w, boom := jobs.NewWorker(s, nil), errors.New("boom")
		_, did := noting(s, nil)
		w.Handle("effect", did.handle, nil)
		w.Handle("note", func(ctx context.Context, j jobs.Job) error {
			return s.Update(ctx, func(ctx context.Context, tx *store.Tx) error {
				_, _, err := jobs.Enqueue(ctx, tx, jobs.NewJob{Kind: "effect"})
				if err = errors.Join(err, j.Complete(ctx, tx)); err == nil && j.Attempt == 1 {
					err = boom
				}
				return err
			})
		}, nil)
		enqueue(t, s, jobs.NewJob{Kind: "note"})
		_, err := w.RunDue(t.Context())
		require.ErrorIs(t, err, boom)
		require.Empty(t, did.ids())
		clock.Advance(time.Minute)
		require.Equal(t, 2, runDue(t, w))
		require.Len(t, did.ids(), 1)
		clock.Advance(time.Hour)
		require.Zero(t, runDue(t, w))
	})
}

func TestTheLeaseIsExtendedWhileTheHandlerRuns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := memory.New(nil)
		w, other := jobs.NewWorker(s, nil), jobs.NewWorker(s, nil)
		var ran atomic.Int64
		slow := func(ctx context.Context, j jobs.Job) error {
			ran.Add(1)
			time.Sleep(time.Hour) // a fake one
			return ctx.Err()
		}
		w.Handle("note", slow, &jobs.KindOptions{Timeout: -1})
		other.Handle("note", slow, &jobs.KindOptions{Timeout: -1})
		enqueue(t, s, jobs.NewJob{Kind: "note"})
		stop, stopOther := background(t, w), background(t, other)
		time.Sleep(2 * time.Hour)
		stop()
		stopOther()
		require.EqualValues(t, 1, ran.Load())
		require.Zero(t, runDue(t, w), "it was done")
	})
}

// broken is a driver that fails every unit that writes, once told to.
type broken struct {
	store.Driver
	on *atomic.Bool
}

func (b broken) Begin(ctx context.Context, writable bool) (store.DriverTx, error) {
	if writable && b.on.Load() {
		return nil, errors.New("the store is gone")
	}
	return b.Driver.Begin(ctx, writable)
}

func TestAHandlerWhoseLeaseCannotBeExtendedEndsBeforeItRunsOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var gone atomic.Bool
		s := memory.New(&memory.Options{Store: store.Options{Wrap: func(d store.Driver) store.Driver { return broken{d, &gone} }}})
		w := jobs.NewWorker(s, nil)
		var held time.Duration
		var cause error
		w.Handle("note", func(ctx context.Context, j jobs.Job) error {
			began := time.Now()
			gone.Store(true)
			<-ctx.Done()
			held, cause = time.Since(began), context.Cause(ctx)
			return ctx.Err()
		}, nil)
		enqueue(t, s, jobs.NewJob{Kind: "note"})
		stop := background(t, w)
		time.Sleep(time.Hour)
		stop()
		require.ErrorIs(t, cause, jobs.ErrLeaseLost)
		require.Less(t, held, time.Minute)
		require.Greater(t, held, 30*time.Second)
		gone.Store(false)
		ran, _ := jobs.NewWorker(s, nil).RunDue(t.Context())
		require.Zero(t, ran)
	})
}

func TestAnAttemptHasATimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := memory.New(nil)
		w := jobs.NewWorker(s, nil)
		w.Handle("note", func(ctx context.Context, j jobs.Job) error {
			<-ctx.Done()
			return ctx.Err()
		}, &jobs.KindOptions{Timeout: time.Second, MaxAttempts: 1})
		enqueue(t, s, jobs.NewJob{Kind: "note"})
		_, err := w.RunDue(t.Context())
		require.ErrorIs(t, err, context.DeadlineExceeded)
	})
}

func TestRunStopsGracefully(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := memory.New(nil)
		w := jobs.NewWorker(s, &jobs.Options{Grace: 10 * time.Second})
		var finished, interrupted, begun atomic.Int64
		var cause error
		w.Handle("quick", func(ctx context.Context, j jobs.Job) error {
			begun.Add(1)
			time.Sleep(5 * time.Second)
			finished.Add(1)
			return ctx.Err()
		}, nil)
		w.Handle("slow", func(ctx context.Context, j jobs.Job) error {
			begun.Add(1)
			select {
			case <-ctx.Done():
				interrupted.Add(1)
				cause = context.Cause(ctx)
				return ctx.Err()
			case <-time.After(time.Minute):
				return nil
			}
		}, nil)
		enqueue(t, s, jobs.NewJob{Kind: "quick"})
		enqueue(t, s, jobs.NewJob{Kind: "slow"})
		stop := background(t, w)
		time.Sleep(time.Second)
		began := time.Now()
		go func() {
			time.Sleep(time.Second)
			enqueue(t, s, jobs.NewJob{Kind: "quick"}) // too late for this worker
		}()
		stop()
		require.Equal(t, 10*time.Second, time.Since(began), "the grace period, no longer")
		require.Equal(t, []int64{2, 1, 1}, []int64{begun.Load(), finished.Load(), interrupted.Load()})

		require.ErrorIs(t, cause, jobs.ErrStopped)
		next := jobs.NewWorker(s, nil)
		var attempts []int
		note := func(ctx context.Context, j jobs.Job) error {
			attempts = append(attempts, j.Attempt)
			return nil
		}
		next.Handle("quick", note, nil)
		next.Handle("slow", note, nil)
		require.Equal(t, 2, runDue(t, next), "the lease was given back")
		require.Equal(t, []int{1, 1}, attempts, "an interruption is no attempt")
	})
}

func TestRunHasAtMostSoManyHandlersAtATime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := memory.New(nil)
		w := jobs.NewWorker(s, &jobs.Options{Concurrency: 3})
		var busy, most, ran atomic.Int64
		w.Handle("note", func(context.Context, jobs.Job) error {
			most.Store(max(most.Load(), busy.Add(1)))
			time.Sleep(time.Second)
			busy.Add(-1)
			ran.Add(1)
			return nil
		}, nil)
		for range 12 {
			enqueue(t, s, jobs.NewJob{Kind: "note"})
		}
		began := time.Now()
		stop := background(t, w)
		time.Sleep(4*time.Second + time.Millisecond)
		stop()
		require.EqualValues(t, 12, ran.Load())
		require.EqualValues(t, 3, most.Load())
		require.Less(t, time.Since(began), 5*time.Second, "slots are filled as they become free")
	})
}

func TestAKindThatNeverEndsStarvesNoOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := memory.New(nil)
		w := jobs.NewWorker(s, &jobs.Options{Concurrency: 1})
		w.Handle("a", func(ctx context.Context, j jobs.Job) error {
			time.Sleep(time.Second)
			return s.Update(ctx, func(ctx context.Context, tx *store.Tx) error {
				_, _, err := jobs.Enqueue(ctx, tx, jobs.NewJob{Kind: "a"})
				return err
			})
		}, nil)
		var b diary
		w.Handle("b", b.handle, nil)
		for _, kind := range []string{"a", "a", "b"} {
			enqueue(t, s, jobs.NewJob{Kind: kind})
		}
		stop := background(t, w)
		time.Sleep(10 * time.Second)
		stop()
		require.Len(t, b.ids(), 1)
	})
}

func TestRunHearsOfAJobAtOnce(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store, _ *storetest.Clock) {
		w := jobs.NewWorker(s, &jobs.Options{Poll: time.Hour})
		heard := make(chan string, 1)
		w.Handle("note", func(_ context.Context, j jobs.Job) error {
			heard <- j.ID
			return nil
		}, nil)
		stop := background(t, w)
		defer stop()
		for range 10 {
			id, _ := enqueue(t, s, jobs.NewJob{Kind: "note"})
			select {
			case got := <-heard:
				require.Equal(t, id, got)
			case <-time.After(20 * time.Second):
				t.Fatal("nobody told the worker")
			}
		}
	})
}

func TestRunLeavesNoGoroutine(t *testing.T) {
	s := storetest.Open(t, "memory", store.Options{})
	before := runtime.NumGoroutine()
	w, did := noting(s, nil)
	stop := background(t, w)
	for range 20 {
		enqueue(t, s, jobs.NewJob{Kind: "note"})
	}
	require.Eventually(t, func() bool { return len(did.ids()) == 20 }, 20*time.Second, time.Millisecond)
	stop()
	for range 1000 { // a goroutine that has said that it ends may take a moment
		if runtime.NumGoroutine() <= before {
			return
		}
		time.Sleep(time.Millisecond)
	}
	t.Fatal(runtime.NumGoroutine(), "goroutines instead of", before)
}

func TestRunEndsWhenTheStoreIsClosed(t *testing.T) {
	s := memory.New(nil)
	w, _ := noting(s, nil)
	require.NoError(t, s.Close())
	require.ErrorIs(t, w.Run(t.Context()), store.ErrClosed)
}

func TestAKindIsHandledOnce(t *testing.T) {
	w, did := noting(memory.New(nil), nil)
	require.Panics(t, func() { w.Handle("note", did.handle, nil) })
	require.Panics(t, func() { w.Handle("", did.handle, nil) })
}
