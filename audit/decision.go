package audit

import (
	"math/rand/v2"
	"strings"
	"time"

	"github.com/orgkit/orgkit/store"
)

// Decision is an answer to whether somebody may do something, as whoever has decided tells the log of it by
// [Log.Decided].
type Decision struct {
	OrgID    string // in whose log it belongs; "" is that of the platform
	TeamID   string
	ID       string // of the decision: the refusal names it too
	Action   string
	Resource string // "type:id"
	Code     string // why not; "" is allowed
	Reasons  any    // what a refusal rests on, for JSON; without secrets
	Actor    Actor

	// Type is that of an event of its own, such as api_key.denied, for a refusal before anything was decided. "" is
	// [AllowedType] or [DeniedType].
	Type string
}

// The types of the events of decisions.
const (
	AnomalyType = "security.anomaly" // refused for the anomaly score

	AllowedType = "authorization.allowed"
	DeniedType  = "authorization.denied"
	DroppedType = "authorization.dropped" // decisions for which there was no room, with their numbers
)

// Decisions says which decisions of the data path, and which of those that let somebody read, an organization wants in
// its log.
//
// The default is every refusal and nothing that was allowed. A refusal is rare, tells of an attack or of a mistake, and
// is left by nothing else. What was allowed is as frequent as the calls themselves, most of which leave a trace where
// they are charged; who has to show it asks for all of it, and who wants to see what is usual for a sample.
//
// What refuses a change or a reading is logged whatever this says, and a change that is allowed is its own event.
type Decisions struct {
	Record   string `json:"record"`           // off, denied, sampled (every refusal and a part of the rest) or full
	PerMille int    `json:"sample_per_mille"` // of sampled: how many of a thousand that are allowed, 1 to 999, 0 is 10; else it is 0
}

// The values of Decisions.Record.
const (
	RecordOff     = "off"
	RecordDenied  = "denied"
	RecordSampled = "sampled"
	RecordFull    = "full"
)

// defaultPerMille is the sample of who names none.
const defaultPerMille = 10

func (d *Decisions) validate() error {
	switch d.Record {
	case "":
		d.Record = RecordDenied
	case RecordOff, RecordDenied, RecordSampled, RecordFull:
	default:
		return store.Invalid("decisions.record", "enum", "must be off, denied, sampled or full")
	}
	switch {
	case d.PerMille < 0 || d.PerMille > 999:
		return store.Invalid("decisions.sample_per_mille", "range", "must be from 1 to 999")
	case d.Record != RecordSampled:
		d.PerMille = 0
	case d.PerMille == 0:
		d.PerMille = defaultPerMille
	}
	return nil
}

// wish is which decisions an organization has written.
type wish struct {
	allowed uint64 // of a thousand
	denied  bool
}

// wish is what the configuration asks for: also by its globs, so that nothing waits that would not be written.
func (c Config) wish() (w wish) {
	d := c.Decisions
	if d.validate() != nil { // of an older or newer program: what is not understood hides nothing
		d = Decisions{Record: RecordFull}
	}
	w.denied = d.Record != RecordOff && c.Logs(DeniedType)
	switch {
	case !c.Logs(AllowedType):
	case d.Record == RecordSampled:
		w.allowed = uint64(d.PerMille)
	case d.Record == RecordFull:
		w.allowed = 1000
	}
	return w
}

// wants says whether the decision is written. A sample goes by the id: whoever looks at one twice sees the same.
func (w wish) wants(d *Decision) bool {
	switch {
	case d.Type != "":
		return true
	case d.Code != "":
		return w.denied
	case w.allowed == 0 || w.allowed == 1000:
		return w.allowed == 1000
	case d.ID == "":
		return rand.Uint64N(1000) < w.allowed
	}
	h := uint64(14695981039346656037) // FNV-1a
	for i := range len(d.ID) {
		h = (h ^ uint64(d.ID[i])) * 1099511628211
	}
	return h%1000 < w.allowed
}

// waiter is a decision on its way into the log.
type waiter struct {
	Decision
	n     uint64 // of the order
	at    time.Time
	count int64     // how many of its kind it stands for; 0 is itself
	since time.Time // of the first of them
}

func (w *waiter) event() Event {
	typ, outcome := w.Type, Denied
	switch {
	case w.Code == "":
		typ, outcome = AllowedType, Success
	case typ == "":
		typ = DeniedType
	}
	data := map[string]any{"code": w.Code, "reasons": w.Reasons, "decision_id": w.ID}
	if w.Code == "" {
		data = map[string]any{"decision_id": w.ID}
	}
	if w.count > 0 {
		data["count"], data["since"] = w.count, w.since
	}
	c := Change{Type: typ, Outcome: outcome, TeamID: w.TeamID, Data: data}
	c.Resource.Type, c.Resource.ID, _ = strings.Cut(w.Resource, ":")
	e, err := eventOf(w.Actor, w.OrgID, w.Action, c)
	if err != nil { // the reasons are of a host and no JSON
		data["reasons"] = nil
		e, _ = eventOf(w.Actor, w.OrgID, w.Action, c)
	}
	e.OccurredAt = w.at
	return e
}
