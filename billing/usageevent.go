package billing

import (
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/shopspring/decimal"

	"github.com/orgkit/orgkit/rbac"
	"github.com/orgkit/orgkit/store"
)

// UsageEvent is what one call has used, as [Metering] keeps it. It never changes: what was wrong with it is put right by
// another event that names it in Corrects.
type UsageEvent struct {
	// Source and ID are its identity within the organization, as in CloudEvents 1.0: whoever reports it, and the id that
	// they give it. Ids that sort by time are kept faster and smaller.
	Source string
	ID     string
	Time   time.Time // when the call was made; whole microseconds

	OrgID     string
	TeamID    string // as all that follow "" where there is none, or it is not known
	ProjectID string
	UserID    string
	KeyID     string
	Model     string
	Endpoint  string // such as /v1/chat/completions
	Method    string // of HTTP

	// Status is that of HTTP. From 400 on the call has failed, and so has one of status 0, which nobody has answered.
	Status  int
	Latency time.Duration // until the answer was there; 0: unknown. Whole microseconds
	TTFT    time.Duration // until its first token; 0: unknown

	InputTokens  int64           // cached included
	CachedTokens int64           //
	OutputTokens int64           //
	Cost         decimal.Decimal // USD, at most 12 places
	PriceVersion string          // that the cost is by; see [PriceVersion]
	Tags         map[string]string

	// Unit says of what Quantity is, where the event is no call but tells how much there is of something: of Resource, from
	// Time on until the next such event. "" is a call.
	Unit     string
	Quantity decimal.Decimal // at most 9 places
	Resource string

	// Corrects is the id of the event, of the same source and organization, that this one corrects: it adds its tokens and
	// its cost, which are negative where the other said too much, and is no call. Who it was, where and with which model it
	// has from the other one, and both count in the hours of their own times (billing edges 19 and 57).
	Corrects string
}

// UnitGigabyte is the unit of storage.
const UnitGigabyte = "gb"

// Bounds of events.
const (
	MaxEventTags = 48 // billing edge 59
	MaxTagName   = 64
	MaxTagValue  = 256

	maxEventText   = 256
	maxQuantity    = 1_000_000_000
	quantityPlaces = 9
	eventAhead     = 5 * time.Minute // how far in the future an event may lie
)

// eventBegins is before any event.
var eventBegins = time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)

// validate names what cannot be. Amounts are checked before anything is computed with them.
func (e *UsageEvent) validate(now time.Time) error {
	if err := e.checkTexts(); err != nil {
		return err
	}
	switch {
	case e.Time.Before(eventBegins):
		return store.Invalid("time", "range", "must not lie before the year 2000")
	case e.Time.After(now.Add(eventAhead)): // billing edge 58
		return store.Invalid("time", "range", "lies more than five minutes in the future")
	case e.Status != 0 && (e.Status < 100 || e.Status > 599):
		return store.Invalid("status", "range", "must be from 100 to 599")
	case e.Latency < 0 || e.Latency > 24*time.Hour:
		return store.Invalid("latency_ms", "range", "must be from 0 to a day")
	case e.TTFT < 0 || e.TTFT > 24*time.Hour:
		return store.Invalid("ttft_ms", "range", "must be from 0 to a day")
	}
	if err := e.checkTokens(); err != nil {
		return err
	}
	if _, err := e.pico(); err != nil {
		return err
	}
	return e.checkUnit()
}

func (e *UsageEvent) checkTexts() error {
	for _, f := range [...]struct {
		name, text string
		needed     bool
	}{{"organization_id", e.OrgID, true}, {"source", e.Source, true}, {"id", e.ID, true}, {"team_id", e.TeamID, false}, {"project_id", e.ProjectID, false},
		{"user_id", e.UserID, false}, {"key_id", e.KeyID, false}, {"model", e.Model, false}, {"endpoint", e.Endpoint, false}, {"method", e.Method, false},
		{"price_version", e.PriceVersion, false}, {"resource", e.Resource, false}, {"corrects", e.Corrects, false}} {
		switch {
		case f.needed && f.text == "":
			return store.Invalid(f.name, "required", "is required")
		case !oneLine(f.text, maxEventText):
			return store.Invalid(f.name, "pattern", "must be a line of at most %d bytes", maxEventText)
		}
	}
	if len(e.Tags) > MaxEventTags {
		return store.Invalid("tags", "range", "must have at most %d entries", MaxEventTags)
	}
	for name, value := range e.Tags {
		if name == "" || !plain(name, MaxTagName) || !plain(value, MaxTagValue) {
			return store.Invalid("tags", "pattern", "must have names of 1 to %d and values of at most %d bytes", MaxTagName, MaxTagValue)
		}
	}
	return nil
}

// oneLine says whether a text is one, of UTF-8 without control characters. It mostly is ASCII, which is seen at once.
func oneLine(s string, most int) bool {
	if len(s) > most {
		return false
	}
	for i := range len(s) {
		if c := s[i]; c < ' ' || c > '~' {
			return utf8.ValidString(s) && !strings.ContainsFunc(s, unicode.IsControl)
		}
	}
	return true
}

// plain says whether a text can be kept: what is no UTF-8 or has a NUL cannot.
func plain(s string, most int) bool {
	return len(s) <= most && utf8.ValidString(s) && strings.IndexByte(s, 0) < 0
}

func (e *UsageEvent) checkTokens() error {
	least := int64(0)
	if e.Corrects != "" {
		least = -maxUnits
	}
	for _, f := range [...]struct {
		name string
		n    int64
	}{{"input_tokens", e.InputTokens}, {"cached_tokens", e.CachedTokens}, {"output_tokens", e.OutputTokens}} {
		if f.n < least || f.n > maxUnits {
			return store.Invalid(f.name, "range", "must be from 0 to 2^50, and is negative in corrections only")
		}
	}
	if e.Corrects == "" && e.CachedTokens > e.InputTokens {
		return store.Invalid("cached_tokens", "range", "must not be more than input_tokens")
	}
	return nil
}

// pico is the cost, exactly.
func (e *UsageEvent) pico() (Pico, error) {
	if e.Cost.IsNegative() && e.Corrects == "" { // billing edge 19
		return 0, store.Invalid("cost", "range", "is negative in corrections only")
	}
	n, rest, err := scale(e.Cost.Abs(), 12)
	if err != nil || rest {
		return 0, store.Invalid("cost", "range", "must be less than 9 million USD with at most 12 places")
	}
	if e.Cost.IsNegative() {
		n = -n
	}
	return Pico(n), nil
}

func (e *UsageEvent) checkUnit() error {
	switch {
	case e.Unit == "" && (!e.Quantity.IsZero() || e.Resource != ""):
		return store.Invalid("unit", "required", "is required beside a quantity or resource")
	case e.Unit != "" && e.Unit != UnitGigabyte:
		return store.Invalid("unit", "enum", "must be %s", UnitGigabyte)
	case e.Unit != "" && e.Corrects != "":
		return store.Invalid("corrects", "range", "a quantity is corrected by a later one")
	case e.Unit != "" && (e.InputTokens != 0 || e.OutputTokens != 0):
		return store.Invalid("unit", "range", "has no tokens beside it")
	}
	_, err := e.quantity()
	return err
}

// quantity is the Quantity in units of 1e-9.
func (e *UsageEvent) quantity() (int64, error) {
	n, rest, err := scale(e.Quantity, quantityPlaces)
	if err != nil || rest || n > maxQuantity*1e9 {
		return 0, store.Invalid("quantity", "range", "must be from 0 to a billion with at most 9 places")
	}
	return n, nil
}

// call says whether the event is one: it then counts as a request.
func (e *UsageEvent) call() bool { return e.Unit == "" && e.Corrects == "" }

// failed says whether the call came to nothing.
func (e *UsageEvent) failed() bool { return e.Status == 0 || e.Status >= 400 }

// statusClass is what calls are counted by: 2xx, or none where nobody has answered.
func (e *UsageEvent) statusClass() string {
	if e.Status == 0 {
		return "none"
	}
	return string(rune('0'+e.Status/100)) + "xx"
}

// tagNames adds the names of the tags to a list, in their order.
func (e *UsageEvent) tagNames(names []string) []string {
	for name := range e.Tags {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// ParseSignedAmount is rbac.ParseAmount for what may be negative, as the cost of a correction.
func ParseSignedAmount(s string) (decimal.Decimal, error) {
	digits, negative := strings.CutPrefix(s, "-")
	d, err := rbac.ParseAmount(digits)
	if negative {
		d = d.Neg()
	}
	return d, err
}
