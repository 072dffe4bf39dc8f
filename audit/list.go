package audit

import (
	"context"
	"fmt"
	"regexp"
	"strings"
	"time"

	"github.com/orgkit/orgkit/store"
)

// Filter says which events of an organization to list. Values of one field are alternatives, the
// fields all have to hold.
type Filter struct {
	Start, End time.Time // both inclusive; zero is open
	Types      []string  // exact types, "noun.*" or "category.*", or "*"
	Actors     []string  // "type:value"; the value is an id or a label such as an e-mail address
	Resources  []string  // "type:value"; the value is an id or a slug
	Outcome    Outcome   // "" is any
	Limit      int       // of a page, 1 to MaxPage; 0 is 50
	After      string    // the Next of the page before
	Ascending  bool      // oldest first
}

// MaxPage is the most events of one page.
const MaxPage = 200

var typeGlob = regexp.MustCompile(`^(\*|[a-z_]+\.(\*|[a-z_]+))$`)

// Validate names the first field that is wrong.
func (f Filter) Validate() error {
	if !f.Start.IsZero() && !f.End.IsZero() && f.End.Before(f.Start) {
		return store.Invalid("end_time", "range", "lies before start_time")
	}
	for i, t := range f.Types {
		if !typeGlob.MatchString(t) {
			return store.Invalid(fmt.Sprintf("event_types[%d]", i), "pattern", "must be noun.verb, noun.* or *")
		}
	}
	if err := pairs("actors", f.Actors); err != nil {
		return err
	}
	if err := pairs("resources", f.Resources); err != nil {
		return err
	}
	switch f.Outcome {
	case "", Success, Failure, Denied:
	default:
		return store.Invalid("outcome", "enum", "must be success, failure or denied")
	}
	if f.Limit < 0 || f.Limit > MaxPage {
		return store.Invalid("limit", "range", "must be from 1 to %d", MaxPage)
	}
	return nil
}

func pairs(field string, values []string) error {
	for i, v := range values {
		if typ, value, ok := strings.Cut(v, ":"); !ok || typ == "" || value == "" {
			return store.Invalid(fmt.Sprintf("%s[%d]", field, i), "pattern", "must be type:value")
		}
	}
	return nil
}

// List returns a page of the organization's events, newest first unless the filter says
// otherwise. It walks the organization's events of the time range and tests the rest in memory.
func List(ctx context.Context, tx *store.Tx, orgID string, f Filter) (store.Page[Event], error) {
	if err := f.Validate(); err != nil {
		return store.Page[Event]{}, err
	}
	limit := f.Limit
	if limit == 0 {
		limit = 50
	}
	r := store.Range{Equal: []any{orgID}, Desc: !f.Ascending, Limit: limit}
	if !f.Start.IsZero() {
		r.From = f.Start
	}
	if !f.End.IsZero() { // rows are kept in microseconds, the bound is inclusive
		r.Below = f.End.Truncate(time.Microsecond).Add(time.Microsecond)
	}
	return events.List(ctx, tx, r, f.After, f.matches)
}

func (f Filter) matches(e *Event) bool {
	return (f.Outcome == "" || f.Outcome == e.Outcome) &&
		matchesAny(f.Types, func(glob string) bool { return MatchType(glob, e.Type) }) &&
		matchesAny(f.Actors, func(a string) bool {
			typ, value, _ := strings.Cut(a, ":")
			return typ == string(e.ActorType) && (value == e.ActorID || strings.EqualFold(value, e.ActorLabel))
		}) &&
		matchesAny(f.Resources, func(r string) bool {
			typ, value, _ := strings.Cut(r, ":")
			return typ == e.ResourceType && (value == e.ResourceID || store.SlugKey(value) == store.SlugKey(e.ResourceSlug))
		})
}

func matchesAny(values []string, test func(string) bool) bool {
	if len(values) == 0 {
		return true
	}
	for _, v := range values {
		if test(v) {
			return true
		}
	}
	return false
}

// MatchType says whether a glob of event types names the type: the type itself, the types that
// begin with its noun, or every type of its category.
func MatchType(glob, eventType string) bool {
	if glob == "*" || glob == eventType {
		return true
	}
	noun, ok := strings.CutSuffix(glob, ".*")
	return ok && (strings.HasPrefix(eventType, noun+".") || Category(eventType) == noun)
}
