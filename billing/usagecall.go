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

// ownTags are the tags of a call that come from what it is for.
type ownTags struct{ team, project, org string }

// completion makes what the events of one batch lack. Those of calls that were for the same have the same map of tags.
type completion struct {
	store  *store.Store
	shared map[ownTags]map[string]string
}

func (m *completion) complete(c *UsageCall) {
	e := &c.UsageEvent
	if e.ID == "" {
		e.ID = m.store.NewID("use")
	}
	e.Cost = c.Charged.Decimal()
	e.Endpoint, e.Method = storable(e.Endpoint, maxEventText), storable(e.Method, maxEventText)
	if e.Status != 0 && (e.Status < 100 || e.Status > 599) {
		e.Status = 0
	}
	e.Latency, e.TTFT = min(max(e.Latency, 0), 24*time.Hour), min(max(e.TTFT, 0), 24*time.Hour)
	own := ownTags{c.Team, c.Project, c.OrgTags}
	if len(c.Sent)+len(c.Defaults) > 0 {
		e.Tags = c.tags(own)
		return
	}
	tags, made := m.shared[own]
	if !made {
		tags = c.tags(own)
		m.shared[own] = tags
	}
	e.Tags = tags
}

// tags are those of the call, nil where there are none.
func (c *UsageCall) tags(own ownTags) map[string]string {
	n := len(c.Sent) + len(c.Defaults)
	if n == 0 && own == (ownTags{}) {
		return nil
	}
	named := [...]struct{ name, value string }{{"team", own.team}, {"project", own.project}, {"organization_tags", own.org}}
	tags := make(map[string]string, n+len(named))
	for _, some := range [...]map[string]string{c.Defaults, c.Sent} {
		for name, value := range some {
			name = storable(name, MaxTagName)
			if name != "" && (value != "" || name != named[0].name && name != named[1].name && name != named[2].name) {
				tags[name] = storable(value, MaxTagValue)
			}
		}
	}
	for _, tag := range named {
		if tag.value != "" {
			tags[tag.name] = storable(tag.value, MaxTagValue)
		}
	}
	return tags
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
