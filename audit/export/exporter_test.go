package export_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io/fs"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/orgkit/orgkit/audit"
	"github.com/orgkit/orgkit/audit/export"
	"github.com/orgkit/orgkit/audit/export/exporttest"
	"github.com/orgkit/orgkit/orgs"
	"github.com/orgkit/orgkit/store"
	"github.com/orgkit/orgkit/store/jobs"
	"github.com/orgkit/orgkit/store/jobs/outbound"
	"github.com/orgkit/orgkit/store/memory"
	"github.com/orgkit/orgkit/store/storetest"
)

func TestLagsSayWhatADestinationHasNotGot(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store, clock *storetest.Clock) {
		r := newRig(t, s, clock, nil)
		to := newReceiver(t)
		lag := func() audit.Lag {
			list, err := r.Audit().Lags(t.Context())
			require.NoError(t, err)
			require.Len(t, list, 1)
			return list[0]
		}
		list, err := r.Audit().Lags(t.Context())
		require.NoError(t, err)
		require.Empty(t, list)
		d := r.configure(siem(to.URL)).Destinations[0]
		require.EqualValues(t, 1, lag().Events)
		r.round()
		require.Zero(t, lag().Events)
		require.True(t, lag().Since.IsZero())

		began := clock.Now()
		r.write(1)
		clock.Advance(time.Minute)
		r.write(2)
		l := lag()
		require.Equal(t, []any{d.ID, r.org.ID, audit.SIEM, int64(3)}, []any{l.ID, l.OrgID, l.Type, l.Events})
		require.WithinDuration(t, began, l.Since, time.Millisecond)
	})
}

// TestOneAtATimeSends: several processes look for what there is to send, and none sends beside another.
func TestOneAtATimeSends(t *testing.T) {
	for _, name := range []string{"memory", "sqlite", "postgres"} {
		t.Run(name, func(t *testing.T) {
			s := storetest.Open(t, name, store.Options{})
			o := &export.Options{Every: 3 * time.Millisecond, Events: 5}
			r := newRig(t, s, nil, o)
			guard, err := outbound.New(&outbound.Options{Allow: []string{"127.0.0.1"}})
			require.NoError(t, err)
			other := *r // of another process
			other.x, other.worker = export.New(s, guard, r.sealer, o), jobs.NewWorker(s, nil)
			other.x.Register(other.worker, audit.New(s, nil))
			to := newReceiver(t)
			var mu sync.Mutex
			busy := false
			to.answers(func(_ http.ResponseWriter, q request) {
				if q.records[0]["type"] == "audit.probe" {
					return
				}
				mu.Lock()
				if busy {
					t.Error("two send at once")
				}
				busy = true
				mu.Unlock()
				time.Sleep(time.Millisecond) // so that another one would be seen
				mu.Lock()
				busy = false
				mu.Unlock()
			})
			begin := r.size()
			d := r.configure(siem(to.URL)).Destinations[0]
			stop, stopOther := r.background(), other.background()
			for range 30 {
				r.write(4)
			}
			end := r.size()
			require.Eventually(t, func() bool { return r.delivery(d.ID).Next == end }, 30*time.Second, 5*time.Millisecond)
			stop()
			stopOther()
			require.Equal(t, span(begin, end), to.seqs(), "each once, as nothing broke")
		})
	}
}

// TestADestinationIsInStepSoon: goal 9 asks for a second in half of the cases, and 5 in nearly all.
func TestADestinationIsInStepSoon(t *testing.T) {
	s := storetest.Open(t, "sqlite", store.Options{})
	r := newRig(t, s, nil, nil)
	to := newReceiver(t)
	d := r.configure(siem(to.URL)).Destinations[0]
	defer r.background()()
	var took []time.Duration
	for range 9 {
		began := time.Now()
		r.write(100)
		end := r.size()
		require.Eventually(t, func() bool { return r.delivery(d.ID).Next >= end }, 10*time.Second, 5*time.Millisecond)
		took = append(took, time.Since(began))
	}
	slices.Sort(took)
	t.Logf("half of them within %v, all within %v", took[4], took[8])
}

// TestWhereNothingIsToBeSentNothingIsWritten: looking costs no unit that writes.
func TestWhereNothingIsToBeSentNothingIsWritten(t *testing.T) {
	writes := 0
	s := memory.New(&memory.Options{Store: store.Options{Wrap: func(d store.Driver) store.Driver { return counting{d, &writes} }}})
	r := newRig(t, s, nil, nil)
	to := newReceiver(t)
	r.configure(siem(to.URL))
	r.round()
	before := writes
	for range 10 {
		require.NoError(t, r.x.Sweep(t.Context()))
	}
	require.Equal(t, before, writes)
	r.write(1)
	require.NoError(t, r.x.Sweep(t.Context()))
	require.Equal(t, before+3, writes, "of the event, of its place, and of the job")
}

type counting struct {
	store.Driver
	writes *int
}

func (c counting) Begin(ctx context.Context, writable bool) (store.DriverTx, error) {
	if writable {
		*c.writes++
	}
	return c.Driver.Begin(ctx, writable)
}

// Sequential is that of the memory store.
func (c counting) Sequential() bool { return true }

// TestSecretsOfDestinationsAreNowhere: in no file of the database, event, job, status, object or line of a log.
func TestSecretsOfDestinationsAreNowhere(t *testing.T) { // F291, F336
	store3 := exporttest.S3(t, "us-east-1")
	path := filepath.Join(t.TempDir(), "orgkit.db")
	var lines bytes.Buffer
	log := slog.New(slog.NewTextHandler(&lines, &slog.HandlerOptions{Level: slog.LevelDebug}))
	s := openSQLite(t, path)
	clock := storetest.NewClock()
	r := newRig(t, s, clock, &export.Options{Age: time.Nanosecond, Log: log})
	to := newReceiver(t)
	to.answers(func(w http.ResponseWriter, q request) { // it says back what it was told
		w.WriteHeader(http.StatusBadRequest)
		fmt.Fprint(w, q.Get("Authorization"))
	})
	dir := store3.Bucket(t, "secrets")
	wrong := bucket(store3, store3.Endpoint, "secrets")
	wrong.Prefix, wrong.Secrets["secret_access_key"] = "wrong", secret("canary-that-is-wrong")
	c := r.configure(siem(to.URL), bucket(store3, store3.Endpoint, "secrets"), wrong)
	for range 20 {
		r.round()
	}
	shown := lines.String()
	for _, d := range c.Destinations {
		kept := r.delivery(d.ID)
		text, err := json.Marshal(kept)
		require.NoError(t, err)
		shown += string(text)
	}
	require.Contains(t, shown, string(audit.Failing))
	page, err := r.Audit().List(t.Context(), r.org.ID, audit.Filter{Limit: 200})
	require.NoError(t, err)
	text, err := json.Marshal(page)
	require.NoError(t, err)
	shown += string(text) + fmt.Sprintf("%v %+v", c, c)
	require.NoError(t, s.Close())
	for _, root := range []string{filepath.Dir(path), dir} {
		require.NoError(t, filepath.WalkDir(root, func(name string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			b, err := os.ReadFile(name)
			shown += string(b)
			return err
		}))
	}
	require.NotEmpty(t, names(t, dir))
	for _, canary := range []string{apiKey, store3.SecretAccessKey, store3.AccessKeyID, "canary"} {
		require.False(t, strings.Contains(strings.ToLower(shown), strings.ToLower(canary)), canary)
	}
}

var _ orgs.Exports = (*export.Exporter)(nil)
