package postgres

import (
	"context"
	"crypto/rand"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/uptrace/bun"

	"github.com/orgkit/orgkit/store"
)

// feed carries words between processes by LISTEN and NOTIFY. NOTIFY inside of a transaction takes a lock
// of the whole database at commit, so words go out after it, on a connection of the pool.
type feed struct {
	db     *bun.DB
	config *pgx.ConnConfig
	self   string // begins what this process sends, which it need not hear
	off    bool   // neither sends nor hears

	once sync.Once
	out  chan string
	lost atomic.Bool // a word did not fit: the next message is a gap

	ctx     context.Context // ends with the store
	cancel  context.CancelFunc
	running sync.WaitGroup
}

const (
	channel    = "orgkit"
	outQueue   = 4096
	maxPayload = 7000 // bytes; the server takes less than 8000
	maxBackoff = 5 * time.Second
	// silence is after how long without a word the connection is tested: one that a firewall dropped
	// looks like one on which nothing happens.
	silence = 30 * time.Second
)

func newFeed(db *bun.DB, config *pgx.ConnConfig) *feed {
	f := &feed{db: db, config: config, self: rand.Text(), out: make(chan string, outQueue)}
	f.ctx, f.cancel = context.WithCancel(context.Background())
	return f
}

// Publish implements store.Feed.
func (f *feed) Publish(words []string) {
	if f.off {
		return
	}
	f.once.Do(func() { f.running.Go(f.send) })
	for _, w := range words {
		select {
		case f.out <- w:
		default:
			f.lost.Store(true)
		}
	}
}

// send sends what is queued, as much as fits into one message. What fails becomes a gap.
func (f *feed) send() {
	for {
		select {
		case <-f.ctx.Done():
			f.notify(context.Background(), f.batch("")) // nobody waits for it longer than a second
			return
		case w := <-f.out:
			for wait := 50 * time.Millisecond; !f.notify(f.ctx, f.batch(w)) && f.ctx.Err() == nil; wait = min(2*wait, maxBackoff) {
				f.lost.Store(true)
				pause(f.ctx, wait)
				w = ""
			}
		}
	}
}

func (f *feed) batch(first string) []string {
	var words []string
	size := 0
	for w := first; ; {
		if w != "" {
			words = append(words, w)
			size += len(w) + 1
		}
		if size > maxPayload/2 {
			return words
		}
		select {
		case w = <-f.out:
		default:
			return words
		}
	}
}

func (f *feed) notify(ctx context.Context, words []string) bool {
	gap := f.lost.Swap(false)
	if len(words) == 0 && !gap {
		return true
	}
	payload := f.self
	if text := strings.Join(words, "\n"); !gap && len(text) < maxPayload {
		payload += "\n" + text
	}
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	_, err := f.db.ExecContext(ctx, "SELECT pg_notify(?, ?)", channel, payload)
	return err == nil
}

// Subscribe implements store.Feed.
func (f *feed) Subscribe(deliver func(store.Notice)) {
	if f.off {
		deliver(store.Notice{Gap: true})
		return
	}
	f.running.Go(func() {
		for wait := 50 * time.Millisecond; f.ctx.Err() == nil; wait = min(2*wait, maxBackoff) {
			if f.listen(deliver) {
				wait = 50 * time.Millisecond
			}
			pause(f.ctx, wait)
		}
	})
}

// listen listens on a connection until it breaks, and says whether there was one.
func (f *feed) listen(deliver func(store.Notice)) bool {
	conn, err := pgx.ConnectConfig(f.ctx, f.config)
	if err != nil {
		return false
	}
	defer conn.Close(context.Background())
	if _, err := conn.Exec(f.ctx, "LISTEN "+channel); err != nil {
		return false
	}
	deliver(store.Notice{Gap: true})
	for {
		ctx, cancel := context.WithTimeout(f.ctx, silence)
		n, err := conn.WaitForNotification(ctx)
		late := ctx.Err() != nil
		cancel()
		switch {
		case err == nil:
			f.hear(n.Payload, deliver)
		case f.ctx.Err() != nil || !late || conn.Ping(f.ctx) != nil:
			return true
		}
	}
}

func (f *feed) hear(payload string, deliver func(store.Notice)) {
	words := strings.Split(payload, "\n")
	if words[0] == f.self {
		return
	}
	if len(words) == 1 {
		deliver(store.Notice{Gap: true})
	}
	for _, w := range words[1:] {
		deliver(store.Notice{Word: w})
	}
}

// Close ends the feed.
func (f *feed) Close() {
	f.cancel()
	f.running.Wait()
}

func pause(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}
