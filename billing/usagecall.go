package billing

import (
	"context"
	"strings"
	"sync/atomic"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/orgkit/orgkit/store"
)

// UsageCall is what is known of a call on its path, where nothing may be made for it: what the event still lacks is made when
// it is written.
type UsageCall struct {
	UsageEvent      // its Tags and Cost do not count; without an ID it gets one
	Charged    Pico // what it costs; below 0: more than an event can cost

	// Its tags: what the client sent, beside what its key has by default, the slugs of team and project, and the organization_tags,
	// which win. The maps must not be changed afterwards.
	Sent, Defaults         map[string]string
	Team, Project, OrgTags string
}

// RecordCall is [Metering.Record] without an allocation, for the path of a call. It takes what the client has written as it
// is: what cannot be kept of a text is left out, since what was used counts whatever it says.
func (m *Metering) RecordCall(ctx context.Context, c *UsageCall) error {
	return m.enqueue(ctx, c)
}

// Released says whether the hold was given back, and the call cost nothing.
func (h *Hold) Released() bool { return h.fund != nil && atomic.LoadInt64(&h.outcome) == freed }

// complete makes what the event lacks.
func (c *UsageCall) complete(s *store.Store) {
	e := &c.UsageEvent
	if e.ID == "" {
		e.ID = s.NewID("use")
	}
	e.Cost = c.Charged.Decimal()
	e.Endpoint, e.Method = storable(e.Endpoint, maxEventText), storable(e.Method, maxEventText)
	if e.Status != 0 && (e.Status < 100 || e.Status > 599) {
		e.Status = 0
	}
	e.Latency, e.TTFT = min(max(e.Latency, 0), 24*time.Hour), min(max(e.TTFT, 0), 24*time.Hour)
	own := [...]struct{ name, value string }{{"team", c.Team}, {"project", c.Project}, {"organization_tags", c.OrgTags}}
	e.Tags = nil
	if n := len(c.Sent) + len(c.Defaults); n > 0 || c.Team != "" || c.Project != "" || c.OrgTags != "" {
		e.Tags = make(map[string]string, n+len(own))
	}
	for _, tags := range [...]map[string]string{c.Defaults, c.Sent} {
		for name, value := range tags {
			name = storable(name, MaxTagName)
			if name != "" && (value != "" || name != own[0].name && name != own[1].name && name != own[2].name) {
				e.Tags[name] = storable(value, MaxTagValue)
			}
		}
	}
	for _, tag := range own {
		if tag.value != "" {
			e.Tags[tag.name] = storable(tag.value, MaxTagValue)
		}
	}
}

// storable is a text without what cannot be kept, and cut where it is too long. It is mostly the same.
func storable(s string, most int) string {
	if oneLine(s, most) {
		return s
	}
	s = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return -1
		}
		return r
	}, strings.ToValidUTF8(s, "\uFFFD"))
	for len(s) > most {
		_, size := utf8.DecodeLastRuneInString(s)
		s = s[:len(s)-size]
	}
	return s
}
