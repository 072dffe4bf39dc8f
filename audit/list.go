package audit

import (
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
	if len(f.Types) > maxValues {
		return store.Invalid("event_types", "range", "must have at most %d values", maxValues)
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

// maxValues is how many alternatives a filter may have of one kind.
const maxValues = 100

func pairs(field string, values []string) error {
	if len(values) > maxValues {
		return store.Invalid(field, "range", "must have at most %d values", maxValues)
	}
	for i, v := range values {
		if typ, value, ok := strings.Cut(v, ":"); !ok || typ == "" || value == "" {
			return store.Invalid(fmt.Sprintf("%s[%d]", field, i), "pattern", "must be type:value")
		}
	}
	return nil
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
