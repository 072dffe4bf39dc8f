package jobs_test

import (
	"cmp"
	"context"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/orgkit/orgkit/store"
	"github.com/orgkit/orgkit/store/jobs"
	"github.com/orgkit/orgkit/store/postgres"
	"github.com/orgkit/orgkit/store/sqlite"
	"github.com/orgkit/orgkit/store/storetest"
)

// both opens two stores on one database, as two processes have.
func both(t *testing.T, name string, o store.Options) (s [2]*store.Store) {
	path, dsn := filepath.Join(t.TempDir(), "jobs.db"), ""
	if name == "postgres" {
		dsn = storetest.Postgres(t)
	}
	for i := range s {
		var err error
		if name == "postgres" {
			s[i], err = postgres.Open(t.Context(), dsn, &postgres.Options{Store: o})
		} else {
			s[i], err = sqlite.Open(t.Context(), path, &sqlite.Options{Store: o})
		}
		require.NoError(t, err)
		t.Cleanup(func() { s[i].Close() })
	}
	return s
}

func TestTwoProcessesNeverRunAJobAtTheSameTime(t *testing.T) {
	for _, name := range []string{"sqlite", "postgres"} {
		t.Run(name, func(t *testing.T) {
			s := both(t, name, store.Options{})
			const total = 200
			var mu sync.Mutex
			running, done, twice := map[string]bool{}, map[string]int{}, 0 // running by job, or by lane
			var by [2]int
			for i := range s {
				w := jobs.NewWorker(s[i], &jobs.Options{Concurrency: 4})
				w.Handle("note", func(_ context.Context, j jobs.Job) error {
					what := cmp.Or(j.Lane, j.ID)
					mu.Lock()
					if running[what] {
						twice++
					}
					running[what] = true
					mu.Unlock()
					time.Sleep(time.Millisecond)
					mu.Lock()
					defer mu.Unlock()
					running[what] = false
					done[j.ID]++
					by[i]++
					return nil
				}, nil)
				stop := background(t, w)
				defer stop()
			}
			var wg sync.WaitGroup
			for i := range s {
				wg.Go(func() {
					for n := range total / 2 {
						enqueue(t, s[i], jobs.NewJob{Kind: "note", Lane: []string{"", "", "a", "b"}[n%4]})
					}
				})
			}
			wg.Wait()
			require.Eventually(t, func() bool {
				mu.Lock()
				defer mu.Unlock()
				return len(done) == total
			}, time.Minute, 10*time.Millisecond)
			mu.Lock()
			defer mu.Unlock()
			require.Zero(t, twice)
			for id, n := range done {
				require.Equal(t, 1, n, id)
			}
			require.NotZero(t, by[0])
			require.NotZero(t, by[1])
		})
	}
}

func TestAnotherProcessRespectsALeaseThatIsExtended(t *testing.T) {
	for _, name := range []string{"sqlite", "postgres"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := both(t, name, store.Options{})
			var ran, lost atomic.Int64
			for i := range s {
				w := jobs.NewWorker(s[i], &jobs.Options{Lease: 2 * time.Second, Poll: 20 * time.Millisecond})
				w.Handle("note", func(ctx context.Context, j jobs.Job) error {
					ran.Add(1)
					select {
					case <-time.After(3 * time.Second):
					case <-ctx.Done(): // where the machine stands still for so long
						lost.Add(1)
					}
					return ctx.Err()
				}, nil)
				stop := background(t, w)
				defer stop()
			}
			enqueue(t, s[0], jobs.NewJob{Kind: "note"})
			require.Eventually(t, func() bool { return ran.Load() > 0 }, time.Minute, time.Millisecond)
			time.Sleep(3500 * time.Millisecond)
			require.EqualValues(t, 1, ran.Load()-lost.Load())
		})
	}
}
