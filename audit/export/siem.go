package export

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math"
	"net/http"

	"github.com/orgkit/orgkit/audit"
	"github.com/orgkit/orgkit/store"
	"github.com/orgkit/orgkit/store/jobs/outbound"
	"github.com/orgkit/orgkit/store/seal"
)

// endpoint is a log sink.
type endpoint struct {
	x      *Exporter
	client *outbound.Client
	orgID  string
	to     audit.Destination
	key    seal.Secret
}

func (x *Exporter) endpoint(c audit.Config, d audit.Destination) (sink, outcome) {
	key, _, out := x.secret(c, d, "api_key")
	return &endpoint{x: x, client: x.caller(c), orgID: c.ID, to: d, key: key}, out
}

// maxBody is how many bytes of records a batch has before no further event is added.
const maxBody = 1 << 20

func (s *endpoint) load(ctx context.Context, a *attempt) (*batch, error) {
	d := a.delivery
	if d.Until > d.Next {
		return s.read(ctx, d.Next, d.Until, math.MaxInt, math.MaxInt)
	}
	limit := s.x.opt.Events
	if a.limit > 0 {
		limit = min(limit, a.limit)
	}
	b, err := s.read(ctx, d.Next, math.MaxInt64, limit, maxBody)
	if err == nil && b.events == 0 {
		b.below = d.Next
	}
	return b, err
}

// read makes a batch of the events from one on that lie below another one, as far as the limits go.
func (s *endpoint) read(ctx context.Context, from, below int64, events, size int) (b *batch, err error) {
	err = s.x.store.View(ctx, func(ctx context.Context, tx *store.Tx) error {
		b = &batch{first: from, below: below}
		var body bytes.Buffer
		for e, err := range s.x.log.Entries(ctx, tx, s.orgID, from) {
			if err != nil {
				return err
			}
			if e.Seq >= below || b.events >= events || body.Len() >= size {
				break
			}
			if b.events == 0 {
				b.first = e.Seq
			}
			if err := s.add(&body, e.Event); err != nil {
				return err
			}
			b.events++
			b.below, b.last = e.Seq+1, e.Type
		}
		b.body = append(body.Bytes(), ']')
		return nil
	})
	return b, err
}

// add adds the records of an event to a body.
func (s *endpoint) add(body *bytes.Buffer, e audit.Event) error {
	records, err := Render(s.to.Format, e)
	for _, r := range records {
		if body.Len() == 0 {
			body.WriteByte('[')
		} else {
			body.WriteByte(',')
		}
		body.Write(r)
	}
	return err
}

func (s *endpoint) send(ctx context.Context, b *batch) outcome {
	return s.post(ctx, fmt.Sprintf("%s-%s-%d-%d", s.to.ID, s.to.Format, b.first, b.below), b.body)
}

// probe sends an event that is in no log: its sequence is -1.
func (s *endpoint) probe(ctx context.Context) outcome {
	now := s.x.store.Now()
	id := s.x.store.NewID("probe")
	var body bytes.Buffer
	err := s.add(&body, audit.Event{OrgID: s.orgID, Seq: -1, Time: now, OccurredAt: now, ID: id, Type: "audit.probe", Category: audit.Category("audit.probe"),
		ActorType: audit.Internal, ActorID: "export", ActorLabel: "export", ResourceType: "audit_destination", ResourceID: s.to.ID, Outcome: audit.Success})
	if err != nil {
		return lasting("what is sent cannot be written in its format")
	}
	return s.post(ctx, id, append(body.Bytes(), ']'))
}

// maxAnswer is how much of an answer is read, so that its connection can be kept.
const maxAnswer = 64 << 10

func (s *endpoint) post(ctx context.Context, key string, body []byte) outcome {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, s.to.Endpoint, bytes.NewReader(body))
	if err != nil {
		return lasting("its endpoint is no URL")
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Idempotency-Key", key)
	if !s.key.IsZero() {
		req.Header.Set("Authorization", "Bearer "+s.key.Reveal())
	}
	res, err := s.client.Do(req)
	if err == nil {
		_, _ = io.CopyN(io.Discard, res.Body, maxAnswer)
		res.Body.Close()
	}
	return judged(res, err, s.x.store.Now())
}
