package export_test

import (
	"fmt"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/orgkit/orgkit/audit/export"
	"github.com/orgkit/orgkit/store"
	"github.com/orgkit/orgkit/store/storetest"
)

// TestWhateverAReceiverDoesNothingIsPassedOver: it takes, refuses, fails and breaks off as it likes, while events come.
// In the end it has taken each, and none before the one in front of it.
func TestWhateverAReceiverDoesNothingIsPassedOver(t *testing.T) { // audit goal 10
	to := newReceiver(t)
	rapid.Check(t, func(p *rapid.T) {
		clock := storetest.NewClock()
		r := newRig(t, storetest.Open(t, "memory", store.Options{Now: clock.Now}), clock, &export.Options{Events: rapid.IntRange(1, 20).Draw(p, "batch"), Refusals: 1000})
		to.answers(nil)
		d := r.configure(siem(to.URL)).Destinations[0]
		r.round()
		to.take(true)
		next := r.size()
		does := rapid.SliceOfN(rapid.SampledFrom([]int{200, 200, 200, 204, 400, 401, 413, 422, 429, 500, 503, 0, 1}), 1, 40).Draw(p, "answers")
		keys, wrong := map[string]string{}, []string{}
		var mu sync.Mutex
		to.answers(func(w http.ResponseWriter, q request) {
			mu.Lock()
			defer mu.Unlock()
			status := 200
			if len(does) > 0 {
				status, does = does[0], does[1:]
			}
			if q.records[0]["type"] != "audit.probe" {
				if was, again := keys[q.Get("Idempotency-Key")]; again && was != q.body {
					wrong = append(wrong, "what has the same key is not the same")
				}
				keys[q.Get("Idempotency-Key")] = q.body
				if taken := status == 1 || status/100 == 2; taken {
					if q.seqs()[0] > next {
						wrong = append(wrong, fmt.Sprintf("event %d is passed over", next))
					}
					next = max(next, q.seqs()[len(q.records)-1]+1)
				}
			}
			if status < 2 { // it breaks off, and has it or not
				panic(http.ErrAbortHandler)
			}
			w.WriteHeader(status)
		})
		for range rapid.IntRange(1, 6).Draw(p, "rounds") {
			r.write(rapid.IntRange(1, 15).Draw(p, "events"))
			r.round()
			clock.Advance(time.Duration(rapid.IntRange(0, 120).Draw(p, "seconds")) * time.Second)
		}
		mu.Lock()
		does = nil
		mu.Unlock()
		for range 4 {
			clock.Advance(2 * time.Hour)
			r.round()
		}
		mu.Lock()
		defer mu.Unlock()
		require.Empty(p, wrong)
		require.Equal(p, r.size(), next)
		require.Equal(p, next, r.delivery(d.ID).Next)
	})
}
