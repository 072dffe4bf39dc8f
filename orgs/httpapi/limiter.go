package httpapi

import (
	"sync"
	"time"
)

// Limiter bounds how often something is asked for, such as by an organization or an address: a bucket of tokens for each,
// in this process. The zero value is ready; it is safe for concurrent use.
type Limiter struct {
	mu      sync.Mutex
	buckets map[string]bucket
}

type bucket struct {
	left float64
	at   time.Time
}

// maxBuckets bounds what is remembered; beyond it everybody begins anew.
const maxBuckets = 10_000

// Take takes n tokens out of the bucket of key, which holds burst and is filled by perSecond, or says how long to wait for
// them. More than a bucket holds are taken from one that is full but for a token, which asking for them may have taken; what it
// then lacks has to come in before anybody gets the next.
func (l *Limiter) Take(key string, n int, now time.Time, perSecond float64, burst int) (wait time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.buckets == nil || len(l.buckets) >= maxBuckets {
		l.buckets = map[string]bucket{}
	}
	full := float64(burst)
	b, ok := l.buckets[key]
	if !ok {
		b.left = full
	} else if gone := now.Sub(b.at); gone > 0 {
		b.left = min(full, b.left+perSecond*gone.Seconds())
	}
	b.at = now
	need := min(float64(n), max(1, full-1))
	if b.left < need {
		l.buckets[key] = b
		return time.Duration((need - b.left) / perSecond * float64(time.Second))
	}
	b.left -= float64(n)
	l.buckets[key] = b
	return 0
}
