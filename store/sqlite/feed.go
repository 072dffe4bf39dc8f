package sqlite

import (
	"context"
	"sync"
	"time"

	"github.com/uptrace/bun"

	"github.com/orgkit/orgkit/store"
)

// feed notices that another process has written to the file. SQLite carries no words, so every change
// is a gap.
type feed struct {
	writer  *bun.DB
	ctx     context.Context // ends with the store
	cancel  context.CancelFunc
	running sync.WaitGroup
}

// pollEvery is how often the file is looked at: a read of one number in its header.
const pollEvery = 200 * time.Millisecond

func newFeed(writer *bun.DB) *feed {
	f := &feed{writer: writer}
	f.ctx, f.cancel = context.WithCancel(context.Background())
	return f
}

// Publish implements store.Feed: the change of the file says it all.
func (f *feed) Publish([]string) {}

// Subscribe implements store.Feed.
func (f *feed) Subscribe(deliver func(store.Notice)) {
	f.running.Go(func() {
		tick := time.NewTicker(pollEvery)
		defer tick.Stop()
		last := int64(-1)
		for {
			// Asked on the connection that this process writes by, data_version tells of writes of all
			// others only.
			var now int64
			if err := f.writer.QueryRowContext(f.ctx, "PRAGMA data_version").Scan(&now); err == nil && now != last {
				last = now
				deliver(store.Notice{Gap: true})
			}
			select {
			case <-f.ctx.Done():
				return
			case <-tick.C:
			}
		}
	})
}

// Close ends the feed.
func (f *feed) Close() {
	f.cancel()
	f.running.Wait()
}
