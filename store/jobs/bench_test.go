package jobs_test

import (
	"context"
	"sync"
	"testing"

	"github.com/orgkit/orgkit/store"
	"github.com/orgkit/orgkit/store/jobs"
	"github.com/orgkit/orgkit/store/storetest"
)

var stores = []string{"memory", "sqlite", "postgres"}

// payload is about what a mail or a webhook needs.
var payload = map[string]string{"to": "ann@example.com", "org": "Acme", "url": "https://example.com/invitations/inv_000001"}

// BenchmarkEnqueue is one job in a unit of its own: what a job costs whose unit holds nothing else.
func BenchmarkEnqueue(b *testing.B) {
	for _, name := range stores {
		b.Run(name, func(b *testing.B) {
			s := storetest.Open(b, name, store.Options{})
			enqueue(b, s, jobs.NewJob{Kind: "note", OrgID: "org_1"}) // the words are known
			for b.Loop() {
				enqueue(b, s, jobs.NewJob{Kind: "note", OrgID: "org_1", Payload: payload})
			}
		})
	}
}

// BenchmarkEnqueueMany is one of 1000 jobs in a unit: what a job adds to its unit.
func BenchmarkEnqueueMany(b *testing.B) {
	for _, key := range []string{"", "key"} {
		for _, name := range stores {
			b.Run("key="+key+"/"+name, func(b *testing.B) {
				s := storetest.Open(b, name, store.Options{})
				enqueue(b, s, jobs.NewJob{Kind: "note", OrgID: "org_1"})
				n := 0
				for b.Loop() {
					if n++; n%1000 != 1 {
						continue
					}
					update(b, s, func(ctx context.Context, tx *store.Tx) error {
						for range 1000 {
							in := jobs.NewJob{Kind: "note", OrgID: "org_1", Payload: payload}
							if key != "" {
								in.Key = tx.NewID(key)
							}
							if _, _, err := jobs.Enqueue(ctx, tx, in); err != nil {
								return err
							}
						}
						return nil
					})
				}
			})
		}
	}
}

// BenchmarkRunDue is one job from its enqueueing to its end.
func BenchmarkRunDue(b *testing.B) {
	for _, name := range stores {
		b.Run(name, func(b *testing.B) {
			s := storetest.Open(b, name, store.Options{})
			w := jobs.NewWorker(s, nil)
			w.Handle("note", func(context.Context, jobs.Job) error { return nil }, nil)
			for b.Loop() {
				enqueue(b, s, jobs.NewJob{Kind: "note", OrgID: "org_1", Payload: payload})
				runDue(b, w)
			}
		})
	}
}

// BenchmarkRun is one of many jobs that wait for a worker.
func BenchmarkRun(b *testing.B) {
	for _, name := range stores {
		b.Run(name, func(b *testing.B) {
			s := storetest.Open(b, name, store.Options{})
			for range b.N {
				enqueue(b, s, jobs.NewJob{Kind: "note", OrgID: "org_1", Payload: payload})
			}
			var left sync.WaitGroup
			left.Add(b.N)
			w := jobs.NewWorker(s, nil)
			w.Handle("note", func(context.Context, jobs.Job) error {
				left.Done()
				return nil
			}, nil)
			b.ResetTimer()
			stop := background(b, w)
			left.Wait()
			stop()
		})
	}
}
