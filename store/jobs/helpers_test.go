package jobs_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/orgkit/orgkit/store"
	"github.com/orgkit/orgkit/store/jobs"
)

func update(t testing.TB, s *store.Store, fn func(ctx context.Context, tx *store.Tx) error) {
	t.Helper()
	require.NoError(t, s.Update(t.Context(), fn))
}

func view(t testing.TB, s *store.Store, fn func(ctx context.Context, tx *store.Tx) error) {
	t.Helper()
	require.NoError(t, s.View(t.Context(), fn))
}

func enqueue(t testing.TB, s *store.Store, in jobs.NewJob) (id string, fresh bool) {
	t.Helper()
	update(t, s, func(ctx context.Context, tx *store.Tx) (err error) {
		id, fresh, err = jobs.Enqueue(ctx, tx, in)
		return err
	})
	return id, fresh
}

func runDue(t testing.TB, w *jobs.Worker) int {
	t.Helper()
	n, err := w.RunDue(t.Context())
	require.NoError(t, err)
	return n
}

func deadLetters(t testing.TB, s *store.Store, q jobs.DeadQuery) []jobs.DeadLetter {
	t.Helper()
	var page store.Page[jobs.DeadLetter]
	view(t, s, func(ctx context.Context, tx *store.Tx) (err error) {
		page, err = jobs.DeadLetters(ctx, tx, q)
		return err
	})
	return page.Items
}

// diary is a handler that writes down what it was given.
type diary struct {
	mu   sync.Mutex
	jobs []jobs.Job
	err  error
}

func (d *diary) handle(_ context.Context, j jobs.Job) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.jobs = append(d.jobs, j)
	return d.err
}

func (d *diary) ids() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	ids := []string{}
	for _, j := range d.jobs {
		ids = append(ids, j.ID)
	}
	return ids
}

// noting returns a worker whose handler of "note" is a diary.
func noting(s *store.Store, o *jobs.KindOptions) (*jobs.Worker, *diary) {
	d := &diary{}
	w := jobs.NewWorker(s, nil)
	w.Handle("note", d.handle, o)
	return w, d
}

// background runs a worker; stop ends it and waits for it.
func background(t testing.TB, w *jobs.Worker) (stop func()) {
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- w.Run(ctx) }()
	return func() {
		cancel()
		select {
		case err := <-done:
			require.NoError(t, err)
		case <-time.After(time.Minute):
			t.Fatal("the worker does not stop")
		}
	}
}
