package audit

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/orgkit/orgkit/store"
)

// Config says what an organization logs, for how long, and where it is sent. An organization that has set none has
// [DefaultConfig], from its first moment on.
type Config struct {
	store.Meta                 // its id is that of the organization
	Enabled       bool         `json:"enabled"` // false: only what is mandatory is logged
	RetentionDays int          `json:"retention_days"`
	HoldFrom      *time.Time   `json:"hold_from"` // a legal hold: what was recorded at that time or later is not pruned
	EventsToLog   []string     `json:"events_to_log"`
	Decisions     Decisions    `json:"decisions"`
	Destinations  Destinations `json:"export_destinations"`
	Compliance    Compliance   `json:"compliance"`

	// PruneUndelivered lets events go that a destination has not got. Else they are kept until it has.
	PruneUndelivered bool `json:"prune_undelivered"`

	// Sealed are the secrets of the destinations, by [Destination.SecretKey], as package seal has sealed them.
	Sealed map[string]string `json:"-"`
}

// Compliance is what the organization wants to be able to show.
type Compliance struct {
	Standards           []string `json:"standards"`          // SOC2, ISO27001, HIPAA
	DataResidency       string   `json:"data_residency"`     // a region of [Rules]; "" is none
	EncryptionAtRest    bool     `json:"encryption_at_rest"` // secrets, and what is personal in events, are sealed: needs keys of the host
	EncryptionInTransit bool     `json:"encryption_in_transit"`
}

// Configs are the configurations that were set.
var Configs = store.Define[Config]("audit_configs", "acf")

// AuditResource is how the log names the configuration.
func (c Config) AuditResource() Resource { return Resource{Type: "audit_config", ID: c.ID} }

// Retention is for how many days events are kept: what is the default and the most.
const (
	DefaultRetention = 365
	MaxRetention     = 3650
)

// Limits of lists.
const (
	MaxGlobs        = 100
	MaxDestinations = 10
)

// DefaultConfig logs everything, keeps it for a year and sends it nowhere.
func DefaultConfig(orgID string) Config {
	return Config{Meta: store.Meta{ID: orgID}, Enabled: true, RetentionDays: DefaultRetention, EventsToLog: familyGlobs(),
		Decisions: Decisions{Record: RecordDenied}, Destinations: Destinations{}, Compliance: Compliance{Standards: []string{}}}
}

func familyGlobs() (globs []string) {
	for _, f := range Families() {
		globs = append(globs, f+".*")
	}
	return globs
}

// Changed describes the change of a configuration. Its event tells the log too what is written behind it.
func (c Config) Changed(before Config) Change {
	if before.Version == 0 { // nobody had set it
		before.CreatedAt = c.CreatedAt
	}
	return Change{Type: ConfigChangedType, Before: before, After: c, Data: map[string]any{"logged": c.logged()}}
}

// logged is what is written beside what is mandatory. With all families it is everything: also the host's own
// events, which are in none.
func (c Config) logged() logged {
	switch {
	case !c.Enabled:
		return logged{}
	case !slices.ContainsFunc(familyGlobs(), func(glob string) bool { return !slices.Contains(c.EventsToLog, glob) }):
		return everything
	}
	return append(logged{}, c.EventsToLog...)
}

// Logs says whether events of the type are written.
func (c Config) Logs(eventType string) bool { return c.logged().names(eventType) }

// KeptFrom is the time before which events may be pruned.
func (c Config) KeptFrom(now time.Time) time.Time {
	from := now.AddDate(0, 0, -c.RetentionDays)
	if c.HoldFrom != nil {
		from = earliest(from, *c.HoldFrom)
	}
	return from
}

// Validate names the first field that is wrong, and warns of what is allowed and may not be meant. It completes what
// has a default. The rules may be nil.
func (c *Config) Validate(r *Rules) ([]store.Warning, error) {
	r = r.orDefaults()
	if c.RetentionDays < 1 || c.RetentionDays > MaxRetention {
		return nil, store.Invalid("retention_days", "range", "must be from 1 to %d", MaxRetention)
	}
	if err := checkGlobs(c.EventsToLog); err != nil {
		return nil, err
	}
	if err := c.Decisions.validate(); err != nil {
		return nil, err
	}
	warnings, err := c.Compliance.validate(r, c.RetentionDays)
	if err != nil {
		return nil, err
	}
	more, err := c.Destinations.validate(r, c.Compliance)
	return append(warnings, more...), err
}

var oneGlob = regexp.MustCompile(`^(\*|[a-z][a-z0-9_]{0,40}\.(\*|[a-z][a-z0-9_]{0,40}))$`)

// checkGlobs refuses what can match nothing, such as a family that is written wrongly. The host may have nouns of its
// own, so a whole type is taken as it is.
func checkGlobs(globs []string) error {
	if len(globs) > MaxGlobs {
		return store.Invalid("events_to_log", "range", "must have at most %d entries", MaxGlobs)
	}
	for i, g := range globs {
		field := fmt.Sprintf("events_to_log[%d]", i)
		if !oneGlob.MatchString(g) {
			return store.Invalid(field, "pattern", "must be *, family.*, noun.* or noun.verb")
		}
		if noun, all := strings.CutSuffix(g, ".*"); all && !named(noun) {
			return store.Invalid(field, "unknown", "is no family or noun of events")
		}
	}
	return nil
}

// named says whether there are events of a family or noun.
func named(noun string) bool {
	_, is := families[noun]
	return is || noun == "audit" || slices.Contains(Families(), noun)
}

func (c *Compliance) validate(r *Rules, days int) (warnings []store.Warning, err error) {
	for i, s := range c.Standards {
		field := fmt.Sprintf("compliance.standards[%d]", i)
		floor, is := r.Floors[s]
		switch {
		case !is:
			return nil, store.Invalid(field, "enum", "must be %s", alternatives(r.standards()))
		case slices.Contains(c.Standards[:i], s):
			return nil, store.Invalid(field, "duplicate", "is there already")
		case days < floor:
			warnings = append(warnings, store.Warning{Code: "retention_below_floor", Field: "retention_days", Message: fmt.Sprintf("for %s events are usually kept for %d days", s, floor)})
		}
	}
	if c.DataResidency != "" && !slices.Contains(r.Regions, c.DataResidency) {
		return nil, store.Invalid("compliance.data_residency", "enum", "must be %s", alternatives(r.Regions))
	}
	return warnings, nil
}

func alternatives(of []string) string { return strings.Join(of, " or ") }
