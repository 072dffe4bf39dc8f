package export_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/orgkit/orgkit/audit"
	"github.com/orgkit/orgkit/audit/export"
	"github.com/orgkit/orgkit/orgs"
	"github.com/orgkit/orgkit/store"
	"github.com/orgkit/orgkit/store/jobs"
	"github.com/orgkit/orgkit/store/jobs/outbound"
	"github.com/orgkit/orgkit/store/seal"
	"github.com/orgkit/orgkit/store/storetest"
)

func TestAnEndpointGetsEachEventInOrder(t *testing.T) { // F289, F291, F292
	storetest.Each(t, func(t *testing.T, s *store.Store, clock *storetest.Clock) {
		r := newRig(t, s, clock, &export.Options{Events: 7})
		to := newReceiver(t)
		begin := r.size()
		d := r.configure(siem(to.URL + "/logs?source=acme")).Destinations[0]
		r.write(20)
		r.round()
		requests := to.take(true)
		var got []int64
		for i, q := range requests {
			require.Equal(t, "Bearer "+apiKey, q.Get("Authorization"))
			require.Equal(t, "application/json", q.Get("Content-Type"))
			if q.records[0]["type"] == "audit.probe" {
				require.EqualValues(t, -1, q.records[0]["sequence"], "it is in no log")
				continue
			}
			first, below := q.seqs()[0], q.seqs()[len(q.records)-1]+1
			require.Equal(t, fmt.Sprintf("%s-json-%d-%d", d.ID, first, below), q.Get("Idempotency-Key"), "request %d", i)
			require.LessOrEqual(t, len(q.records), 7)
			for _, record := range q.records {
				require.NotEmpty(t, record["id"])
				require.Equal(t, r.org.ID, record["organization_id"])
			}
			got = append(got, q.seqs()...)
		}
		require.Len(t, requests, 1+3)
		require.Equal(t, span(begin, begin+21), got, "what came behind the configuration, and the event of that itself")
		kept := r.delivery(d.ID)
		require.Equal(t, audit.Working, kept.Status)
		require.Equal(t, r.size(), kept.Next)
		require.Equal(t, clock.Now(), *kept.SentAt)

		r.round()
		require.Empty(t, to.take(true), "there is nothing to send")
		r.write(1)
		r.round()
		require.Equal(t, span(begin+21, begin+22), to.seqs())
	})
}

// TestAConnectionThatBreaksIsSentTheSame: the receiver has it and cannot say so.
func TestAConnectionThatBreaksIsSentTheSame(t *testing.T) { // F285
	storetest.Each(t, func(t *testing.T, s *store.Store, clock *storetest.Clock) {
		r := newRig(t, s, clock, nil)
		to := newReceiver(t)
		d := r.configure(siem(to.URL)).Destinations[0]
		r.round()
		to.take(true)
		begin := r.size()
		r.write(5)
		to.answers(func(w http.ResponseWriter, q request) {
			if q.records[0]["type"] != "audit.probe" {
				panic(http.ErrAbortHandler)
			}
		})
		r.round()
		first := to.take(false)
		require.NotEmpty(t, first)
		kept := r.delivery(d.ID)
		require.Equal(t, []int64{begin, begin + 5, 1}, []int64{kept.Next, kept.Until, kept.Failures})
		require.True(t, kept.RetryAt.After(clock.Now()))
		require.NotEqual(t, audit.Failing, kept.Status, "once may happen")

		r.write(3) // what comes meanwhile does not get into what was sent
		to.answers(nil)
		r.round()
		require.Empty(t, to.take(false), "not before its time")
		clock.Advance(2 * time.Second)
		r.round()
		again := to.take(false)
		require.Equal(t, first[0].Get("Idempotency-Key"), again[0].Get("Idempotency-Key"))
		require.Equal(t, first[0].body, again[0].body)
		require.Equal(t, span(begin+5, begin+8), again[1].seqs())
		require.Zero(t, r.delivery(d.ID).Failures)
	})
}

func TestAReceiverThatFailsIsTriedLessOftenAndRecovers(t *testing.T) { // F290
	storetest.Each(t, func(t *testing.T, s *store.Store, clock *storetest.Clock) {
		r := newRig(t, s, clock, nil)
		to := newReceiver(t)
		d := r.configure(siem(to.URL)).Destinations[0]
		r.round()
		to.take(true)
		at := r.size()
		r.write(1)
		to.status(http.StatusServiceUnavailable)
		var waits []time.Duration
		for range 12 {
			r.round()
			wait := r.delivery(d.ID).RetryAt.Sub(clock.Now())
			waits = append(waits, wait)
			clock.Advance(wait)
		}
		for i, wait := range waits {
			most := min(time.Second<<i, 5*time.Minute)
			require.LessOrEqual(t, wait, most, i)
			require.GreaterOrEqual(t, wait, most/2, i)
		}
		kept := r.delivery(d.ID)
		require.Equal(t, audit.Failing, kept.Status)
		require.Equal(t, "it answers 503 Service Unavailable", kept.Reason)
		require.Equal(t, []string{"team.updated", audit.DeliveryFailingType}, r.types(at), "one event, when it began to fail")
		require.Len(t, to.take(true), 12)

		to.answers(nil)
		r.round()
		r.round()
		require.Equal(t, []int64{at, at + 1, at + 2}, to.seqs(), "that it has recovered, too")
		require.Equal(t, audit.Working, r.delivery(d.ID).Status)
		require.Equal(t, []string{"team.updated", audit.DeliveryFailingType, audit.DeliveryRecoveredType}, r.types(at))
		page, err := r.Audit().List(t.Context(), r.org.ID, audit.Filter{Types: []string{audit.DeliveryFailingType}})
		require.NoError(t, err)
		e := page.Items[0]
		require.Equal(t, []string{"system", "export", "audit_destination", d.ID, kept.Reason}, []string{string(e.ActorType), e.ActorID, e.ResourceType, e.ResourceID, e.Reason})
	})
}

func TestAReceiverSaysWhenToComeBack(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store, clock *storetest.Clock) {
		r := newRig(t, s, clock, nil)
		to := newReceiver(t)
		d := r.configure(siem(to.URL)).Destinations[0]
		r.round()
		to.take(true)
		r.write(1)
		to.answers(func(w http.ResponseWriter, _ request) {
			w.Header().Set("Retry-After", "120")
			w.WriteHeader(http.StatusTooManyRequests)
		})
		r.round()
		require.Equal(t, clock.Now().Add(2*time.Minute), *r.delivery(d.ID).RetryAt)
		clock.Advance(2*time.Minute - time.Second)
		r.round()
		require.Len(t, to.take(true), 1)
		clock.Advance(time.Second)
		r.round()
		require.Len(t, to.take(true), 1)
	})
}

// TestWhatTimeDoesNotMendIsFailingAtOnce and is kept, in order, until somebody mends it.
func TestWhatTimeDoesNotMendIsFailingAtOnce(t *testing.T) { // F290
	for _, code := range []int{http.StatusUnauthorized, http.StatusForbidden, http.StatusNotFound, http.StatusGone, http.StatusMovedPermanently} {
		r := newRig(t, storetest.Open(t, "memory", store.Options{}), storetest.NewClock(), nil)
		to := newReceiver(t)
		d := r.configure(siem(to.URL)).Destinations[0]
		r.round()
		to.take(true)
		at := r.size()
		r.write(2)
		to.answers(func(w http.ResponseWriter, _ request) {
			w.Header().Set("Location", "http://169.254.169.254/latest/meta-data")
			w.WriteHeader(code)
		})
		r.round()
		kept := r.delivery(d.ID)
		require.Equal(t, audit.Failing, kept.Status)
		require.Equal(t, fmt.Sprintf("it answers %d %s", code, http.StatusText(code)), kept.Reason)
		require.Equal(t, at, kept.Next)
		require.Len(t, to.take(true), 1, "no redirect is followed")

		to.answers(nil)
		_, kept, err := r.RetryDestination(r.Platform(), r.org.ID, d.ID) // F290: the way back
		require.NoError(t, err)
		require.Nil(t, kept.RetryAt)
		r.round()
		r.round()
		require.Equal(t, span(at, r.size()), to.seqs())
		require.Equal(t, []string{"team.updated", "team.updated", audit.DeliveryFailingType, audit.DeliveryRetriedType, audit.DeliveryRecoveredType}, r.types(at))
	}
}

// refuses answers 413 where a body has more than that many records, and 422 where one of them has the reason.
func refuses(most int, reason string) func(w http.ResponseWriter, q request) {
	return func(w http.ResponseWriter, q request) {
		if len(q.records) > most {
			w.WriteHeader(http.StatusRequestEntityTooLarge)
			return
		}
		for _, record := range q.records {
			if record["reason"] == reason {
				w.WriteHeader(http.StatusUnprocessableEntity)
				return
			}
		}
	}
}

func TestWhatIsTooLargeIsCutInHalves(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store, clock *storetest.Clock) {
		r := newRig(t, s, clock, nil)
		to := newReceiver(t)
		d := r.configure(siem(to.URL)).Destinations[0]
		r.round()
		to.take(true)
		at := r.size()
		r.write(40)
		var taken []int64
		to.answers(func(w http.ResponseWriter, q request) {
			if refuses(3, "")(w, q); len(q.records) <= 3 {
				taken = append(taken, q.seqs()...)
			}
		})
		r.round()
		require.Equal(t, span(at, at+40), taken)
		require.Zero(t, r.delivery(d.ID).Failures)
	})
}

// TestAnEventThatIsRefusedForGoodIsLeftOut, the log says so, and it is kept as a dead letter with a way back.
func TestAnEventThatIsRefusedForGoodIsLeftOut(t *testing.T) { // F290
	storetest.Each(t, func(t *testing.T, s *store.Store, clock *storetest.Clock) {
		r := newRig(t, s, clock, nil)
		to := newReceiver(t)
		d := r.configure(siem(to.URL)).Destinations[0]
		r.round()
		to.take(true)
		at := r.size()
		r.write(10) // of which "change 6" is refused
		to.answers(refuses(100, "change 6"))
		for range 6 {
			r.round()
			clock.Advance(time.Minute)
		}
		r.round()
		r.round()
		require.Equal(t, r.size(), r.delivery(d.ID).Next)
		seen := map[int64]bool{}
		for _, q := range to.take(false) {
			for _, seq := range q.seqs() {
				seen[seq] = true
			}
		}
		for seq := range r.size() - at {
			require.True(t, seen[at+seq], seq)
		}
		page, err := r.Audit().List(t.Context(), r.org.ID, audit.Filter{Types: []string{audit.ExportGapType}})
		require.NoError(t, err)
		require.Len(t, page.Items, 1)
		require.JSONEq(t, fmt.Sprintf(`{"sequence": %d, "event_type": "team.updated"}`, at+6), string(page.Items[0].Data))
		require.Equal(t, "it answers 422 Unprocessable Entity", page.Items[0].Reason)

		for range 12 { // it is sent by itself
			clock.Advance(2 * time.Hour)
			_, _ = r.worker.RunDue(t.Context())
		}
		for _, q := range to.take(false) {
			require.Equal(t, []int64{at + 6}, q.seqs())
		}
		require.Len(t, r.dead(), 1)
		require.Equal(t, "it answers 422 Unprocessable Entity", r.dead()[0].LastError)
		to.answers(nil)
		_, _, err = r.RetryDestination(r.Platform(), r.org.ID, d.ID)
		require.NoError(t, err)
		_, err = r.worker.RunDue(t.Context())
		require.NoError(t, err)
		require.Equal(t, []int64{at + 6}, to.seqs())
		require.Empty(t, r.dead())
	})
}

func (r *rig) dead() (list []jobs.DeadLetter) {
	require.NoError(r.t, r.s.View(r.t.Context(), func(ctx context.Context, tx *store.Tx) error {
		page, err := jobs.DeadLetters(ctx, tx, jobs.DeadQuery{OrgID: r.org.ID})
		list = page.Items
		return err
	}))
	return list
}

// TestAReceiverThatRefusesEverythingLosesNothing: it has a wrong setting, and the events are not to blame.
func TestAReceiverThatRefusesEverythingLosesNothing(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store, clock *storetest.Clock) {
		r := newRig(t, s, clock, nil)
		to := newReceiver(t)
		begin := r.size()
		to.status(http.StatusBadRequest)
		d := r.configure(siem(to.URL)).Destinations[0]
		r.write(5)
		for range 30 {
			r.round()
			clock.Advance(10 * time.Minute)
		}
		require.Equal(t, begin, r.delivery(d.ID).Next)
		require.Equal(t, audit.Failing, r.delivery(d.ID).Status)
		require.Empty(t, r.types(begin, audit.ExportGapType))
		to.take(true)
		to.answers(nil)
		for range 10 {
			r.round()
		}
		require.Equal(t, span(begin, r.size()), to.seqs())
	})
}

func TestAKeyThatIsReplacedIsUsedAtOnce(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store, clock *storetest.Clock) {
		r := newRig(t, s, clock, nil)
		to := newReceiver(t)
		in := siem(to.URL)
		d := r.configure(in).Destinations[0]
		clock.Advance(time.Minute)
		in.ID, in.Secrets = d.ID, map[string]*seal.Secret{"api_key": secret("another")}
		r.configure(in)
		r.round()
		requests := to.take(true)
		require.NotEmpty(t, requests)
		for _, q := range requests {
			require.Equal(t, "Bearer another", q.Get("Authorization"))
		}
		in.Secrets = map[string]*seal.Secret{"api_key": nil}
		r.configure(in)
		r.round()
		for _, q := range to.take(true) {
			require.Empty(t, q.Get("Authorization"))
		}
	})
}

// TestWhatIsSentToTheFormerPlaceIsNotNotedForTheNewOne: the destination changes while something is under way.
func TestWhatIsSentToTheFormerPlaceIsNotNotedForTheNewOne(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store, clock *storetest.Clock) {
		r := newRig(t, s, clock, nil)
		old, fresh := newReceiver(t), newReceiver(t)
		in := siem(old.URL)
		d := r.configure(in).Destinations[0]
		r.round()
		at := r.size()
		r.write(3)
		moved := false
		old.answers(func(w http.ResponseWriter, q request) {
			if !moved {
				moved = true
				in.ID, in.Endpoint = d.ID, fresh.URL
				r.configure(in)
			}
			w.WriteHeader(http.StatusNoContent)
		})
		r.round()
		require.True(t, moved)
		kept := r.delivery(d.ID)
		require.LessOrEqual(t, kept.Next, at)
		r.round()
		require.Equal(t, span(at, r.size()), fresh.seqs(), "the new place gets what the former one had got alone")
	})
}

// TestPlainHTTPIsRefusedWhereEncryptionIsDemanded, also where it was configured before.
func TestPlainHTTPIsRefusedWhereEncryptionIsDemanded(t *testing.T) { // F296, F337
	r := newRig(t, storetest.Open(t, "memory", store.Options{}), storetest.NewClock(), nil)
	to := newReceiver(t)
	in := orgs.NewAuditConfig{Destinations: []orgs.NewDestination{siem(to.URL)}, Compliance: audit.Compliance{EncryptionInTransit: true}}
	_, _, err := r.SetAuditConfig(r.Platform(), r.org.ID, in)
	require.ErrorContains(t, err, "https")
	c := r.configure(siem(to.URL))
	c.Compliance.EncryptionInTransit = true // as somebody could write past the service
	require.Contains(t, r.x.Probe(t.Context(), c.Config, c.Destinations[0]), "must be an https URL")
	require.Empty(t, to.take(true))
}

// TestPlacesInsideAreNotCalled: neither by a literal, by a name that leads there, nor by a redirect.
func TestPlacesInsideAreNotCalled(t *testing.T) { // F290, F337
	to := newReceiver(t)
	r := newRigBehind(t, storetest.Open(t, "memory", store.Options{}), storetest.NewClock(), nil, nil)
	for _, url := range []string{to.URL, strings.Replace(to.URL, "127.0.0.1", "localhost", 1), "https://169.254.169.254/"} {
		for _, kind := range []string{audit.SIEM, audit.S3} {
			reason := r.x.Probe(t.Context(), audit.Config{}, audit.Destination{ID: "dst_1", Type: kind, Endpoint: url, Bucket: "bucket"})
			require.NotEmpty(t, reason)
			require.NotContains(t, reason, "127.0.0.1")
		}
	}
	require.Empty(t, to.take(true))
}

// TestAReceiverThatStallsIsGivenUpOn, and others are served meanwhile.
func TestAReceiverThatStallsIsGivenUpOn(t *testing.T) {
	s := storetest.Open(t, "sqlite", store.Options{})
	r := newRig(t, s, nil, &export.Options{Every: 10 * time.Millisecond, Limits: &outbound.Limits{Total: 300 * time.Millisecond}})
	good := newReceiver(t)
	var list []orgs.NewDestination
	release := make(chan struct{})
	for range 9 {
		stalls := newReceiver(t)
		stalls.answers(func(http.ResponseWriter, request) { <-release })
		list = append(list, siem(stalls.URL))
	}
	t.Cleanup(func() { close(release) }) // before the servers are closed
	begin := r.size()
	c := r.configure(append(list, siem(good.URL))...)
	stop := r.background()
	defer stop()
	for range 5 {
		r.write(1)
		at := r.size()
		require.Eventually(t, func() bool { return r.delivery(c.Destinations[9].ID).Next >= at }, 20*time.Second, 5*time.Millisecond)
	}
	require.Equal(t, span(begin, begin+6), good.seqs()[:6])
	require.Eventually(t, func() bool { return r.delivery(c.Destinations[0].ID).Status == audit.Failing }, 20*time.Second, 5*time.Millisecond)
	require.Contains(t, r.delivery(c.Destinations[0].ID).Reason, "it took too long")
}

// background runs the exporter and the worker; stop ends both.
func (r *rig) background() (stop func()) {
	ctx, cancel := context.WithCancel(r.t.Context())
	ended := make(chan error, 2)
	go func() { ended <- r.x.Run(ctx) }()
	go func() { ended <- r.worker.Run(ctx) }()
	return func() {
		cancel()
		require.NoError(r.t, <-ended)
		require.NoError(r.t, <-ended)
	}
}
