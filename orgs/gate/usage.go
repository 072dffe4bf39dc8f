package gate

import (
	"context"
	"strings"
	"sync/atomic"
	"unicode"
	"unicode/utf8"

	"github.com/orgkit/orgkit/billing"
)

// UsageSource is the source of the events of calls that were admitted. Their ids are those of the decisions.
const UsageSource = "gate"

// record tells what a call has used that was settled. Nothing of it fails the call, which was made: what finds no room in
// time is counted, see billing.Metering.State.
func (a *Admission) record(ctx context.Context, u billing.Usage, s billing.Settlement, err error) {
	if err != nil || s.Again || !atomic.CompareAndSwapUint32(&a.recorded, 0, 1) {
		return
	}
	if u.Status == 0 {
		u.Status = statusOK
	}
	e := a.event(u)
	e.Cost = s.Actual // what was charged, so that reports and budgets show one figure
	_ = a.gate.m.Metering().Record(ctx, &e)
}

// recordReleased tells of a call that was made, and of which nothing came back (F236).
func (a *Admission) recordReleased(ctx context.Context) {
	if !atomic.CompareAndSwapUint32(&a.recorded, 0, 1) {
		return
	}
	e := a.event(billing.Usage{})
	_ = a.gate.m.Metering().Record(context.WithoutCancel(ctx), &e)
}

// event is the event of the call. It counts at the time at which the call was made.
func (a *Admission) event(u billing.Usage) billing.UsageEvent {
	k, s := a.Caller.Key, a.gate.m.Store()
	e := billing.UsageEvent{Source: UsageSource, ID: a.DecisionID, Time: s.Now().Add(-u.Latency), OrgID: k.OrgID, TeamID: k.TeamID, ProjectID: k.ProjectID,
		UserID: a.Caller.Actor.Person(), KeyID: k.ID, Model: a.Model.ID, Endpoint: line(u.Endpoint), Method: line(u.Method), Status: u.Status, Latency: u.Latency, TTFT: u.TTFT,
		InputTokens: u.InputTokens, CachedTokens: u.CachedTokens, OutputTokens: u.OutputTokens, Tags: storable(a.Tags)}
	if a.hold.Price != nil {
		e.PriceVersion = a.hold.Price.ID
	}
	return e
}

// statusOK is that of a call that was settled and of which nothing else is known.
const statusOK = 200

// maxLine is how long a text of an event may be.
const maxLine = 256

// line is a text without what cannot be kept, and cut where it is too long: what was used counts whatever its client has
// written.
func line(s string) string {
	if len(s) <= maxLine && utf8.ValidString(s) && !strings.ContainsFunc(s, unicode.IsControl) {
		return s
	}
	s = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return -1
		}
		return r
	}, strings.ToValidUTF8(s, "\uFFFD"))
	for len(s) > maxLine {
		_, size := utf8.DecodeLastRuneInString(s)
		s = s[:len(s)-size]
	}
	return s
}

// storable are the tags without what cannot be kept. They are mostly the same map.
func storable(tags map[string]string) map[string]string {
	clean := true
	for name, value := range tags {
		clean = clean && storableText(name) && storableText(value)
	}
	if clean {
		return tags
	}
	out := make(map[string]string, len(tags))
	for name, value := range tags {
		if !storableText(name) || !storableText(value) {
			name, value = line(name), line(value)
		}
		if name != "" && len(name) <= billing.MaxTagName {
			out[name] = value
		}
	}
	return out
}

func storableText(s string) bool { return utf8.ValidString(s) && strings.IndexByte(s, 0) < 0 }
