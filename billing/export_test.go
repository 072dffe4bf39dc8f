package billing

import (
	"context"
	"time"

	"github.com/orgkit/orgkit/store"
)

// EachClaim walks what is claimed of windows.
func EachClaim(ctx context.Context, tx *store.Tx, fn func(counter string, claimed int64)) error {
	for row, err := range windows.All(ctx, tx, store.Range{}) {
		if err != nil {
			return err
		}
		fn(row.Counter, row.Claimed)
	}
	return nil
}

// Settled waits until nothing is claimed in the background.
func (l *Limiter) Settled() {
	for {
		l.writer.mu.Lock()
		b, running := l.writer.next, l.writer.running
		l.writer.mu.Unlock()
		if b != nil {
			<-b.done
		} else if running {
			time.Sleep(100 * time.Microsecond)
		} else {
			return
		}
	}
}

// Sweep is a round of the sweep.
func (l *Limiter) Sweep() { l.sweep() }
