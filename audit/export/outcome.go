package export

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"time"

	"github.com/orgkit/orgkit/audit"
	"github.com/orgkit/orgkit/store/jobs/outbound"
	"github.com/orgkit/orgkit/store/seal"
)

// sink is a destination that something is sent to.
type sink interface {
	// load reads what is to be sent next: what was begun before, or else what there is, as far as it goes in one.
	load(ctx context.Context, a *attempt) (*batch, error)
	send(ctx context.Context, b *batch) outcome
	// probe sends something that is no event.
	probe(ctx context.Context) outcome
}

// batch is what is sent at once: the events from first on that lie below another one. An empty one ends where the
// delivery is, or behind what is pruned.
type batch struct {
	first, below int64
	events       int
	body         []byte
	last         string // the type of the last event

	manifest audit.Manifest // of an object
	name     string         // of an object, without its end
}

// outcome is what has become of a call. The zero outcome is that it was taken.
type outcome struct {
	reason  string        // why not, for the organization to read
	lasting bool          // time does not mend it
	refused bool          // it may lie in what was sent
	after   time.Duration // how long the receiver asks to wait
}

func (o outcome) failed() bool { return o.reason != "" }

func lasting(reason string) outcome { return outcome{reason: reason, lasting: true} }

// judged is the outcome of a call over HTTP.
func judged(res *http.Response, err error, now time.Time) outcome {
	verdict := outbound.Judge(res, err, now)
	if verdict.Verdict == outbound.Done {
		return outcome{}
	}
	out := outcome{lasting: verdict.Verdict != outbound.Retry, after: verdict.After}
	var e *outbound.Error
	switch {
	case errors.As(err, &e):
		out.reason = e.Error()
	case err != nil:
		out.reason = "the connection broke"
	default:
		out.reason = answered(res.StatusCode)
		switch res.StatusCode {
		case http.StatusBadRequest, http.StatusRequestEntityTooLarge, http.StatusUnprocessableEntity:
			out.refused = true
		}
	}
	return out
}

// answered is the reason of an answer. What the receiver says beside the status may hold anything.
func answered(status int) string {
	if text := http.StatusText(status); text != "" {
		return fmt.Sprintf("it answers %d %s", status, text)
	}
	return fmt.Sprintf("it answers %d", status)
}

// backoff is the wait after that many failures in a row: between half and all of what doubles with each, but what the
// receiver asks for at least.
func (x *Exporter) backoff(failures int64, asked time.Duration) time.Duration {
	most := x.opt.MaxBackoff
	if n := failures - 1; n < 16 {
		most = min(most, x.opt.MinBackoff<<n)
	}
	return max(most/2+rand.N(most/2+1), asked)
}

// secret opens a secret of a destination; set says whether it has one.
func (x *Exporter) secret(c audit.Config, d audit.Destination, field string) (s seal.Secret, set bool, out outcome) {
	sealed, set := c.Sealed[d.SecretKey(field)]
	if !set {
		return s, false, outcome{}
	}
	s, err := x.sealer.Open(seal.Sealed(sealed), d.SecretPlace(c.ID, field))
	if err != nil {
		return s, true, lasting(field + " cannot be opened with the keys that the host has: set it again")
	}
	return s, true, outcome{}
}

// caller is who calls the destinations of a configuration.
func (x *Exporter) caller(c audit.Config) *outbound.Client {
	if c.Compliance.EncryptionInTransit {
		return x.strict
	}
	return x.client
}

// sink returns the sink of a destination.
func (x *Exporter) sink(ctx context.Context, c audit.Config, d audit.Destination) (sink, outcome) {
	if d.Type == audit.S3 {
		return x.bucket(ctx, c, d)
	}
	return x.endpoint(c, d)
}
