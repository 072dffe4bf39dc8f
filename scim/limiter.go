package scim

import (
	"sync"
	"time"
)

// limiter has a bucket of tokens for each organization.
type limiter struct {
	mu      sync.Mutex
	buckets map[string]bucket
}

type bucket struct {
	left float64
	at   time.Time
}

// maxBuckets bounds what is remembered; beyond it everybody begins anew.
const maxBuckets = 10_000

// take takes n tokens out, or says how long to wait for them. More than a bucket holds are taken from a full one.
func (l *limiter) take(orgID string, n int, now time.Time, o Options) (wait time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.buckets == nil || len(l.buckets) >= maxBuckets {
		l.buckets = map[string]bucket{}
	}
	rate, burst := float64(o.RequestsPerSecond), float64(o.Burst)
	b, ok := l.buckets[orgID]
	if !ok {
		b.left = burst
	} else if gone := now.Sub(b.at); gone > 0 {
		b.left = min(burst, b.left+rate*gone.Seconds())
	}
	b.at = now
	need := min(float64(n), burst)
	if b.left < need {
		l.buckets[orgID] = b
		return time.Duration((need - b.left) / rate * float64(time.Second))
	}
	b.left -= float64(n)
	l.buckets[orgID] = b
	return 0
}
