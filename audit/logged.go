package audit

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/orgkit/orgkit/store"
	"github.com/orgkit/orgkit/store/seal"
)

// loggedFrom is what an organization has logged from one of its events on. Of an organization without any all is logged.
type loggedFrom struct {
	OrgID string `store:"word"`
	Seq   int64  // the event of the change itself; the filter counts from the next one on
	At    time.Time
	Globs string // with spaces between them; "" is the mandatory events only
}

// What is logged is read where events get their place, and a change of it is kept there, by its own event: so it
// divides the log exactly, on databases too where events are put in order behind the commit, and no process can have
// an old one in memory.
var filters = store.DefineLog[loggedFrom]("audit_filters", []string{"org_id", "seq"})

// ConfigChangedType is the type of the event of a new [Config].
const ConfigChangedType = "audit.config_changed"

// logged are globs of the types that are written.
type logged []string

var everything = logged{"*"}

func (l logged) names(eventType string) bool {
	return Mandatory(eventType) || slices.ContainsFunc(l, func(glob string) bool { return MatchType(glob, eventType) })
}

// mandatory are the nouns and types that no organization can do without: the log itself, how one signs in, keys,
// roles and policies. The settings of an organization say how one signs in.
var mandatory = []string{
	"sso.*", "scim.*", "role.*", "policy.*", "token.*",
	"api_key.created", "api_key.updated", "api_key.rotated", "api_key.revoked", "api_key.disabled", "api_key.enabled",
	"member.role_changed", "team.role_override", "organization.updated", "organization.transferred", "security.break_glass",
}

// Mandatory says whether events of the type are written whatever an organization logs (F273). All deletions are.
func Mandatory(eventType string) bool {
	noun, verb, _ := strings.Cut(eventType, ".")
	switch {
	case noun == "audit":
		return verb != "read"
	case verb == "deleted":
		return true
	}
	return slices.Contains(mandatory, eventType) || slices.Contains(mandatory, noun+".*")
}

// loggedBy are what the event of a change says is logged from then on. That it is sealed by a key which is not there is
// an error.
func (l *Log) loggedBy(r *row) (logged, error) {
	e, err := r.eventBy(l.opt.Seal)
	if errors.Is(err, seal.ErrNoKey) || errors.Is(err, seal.ErrUnknownKey) {
		return nil, err
	}
	var data struct {
		Logged *logged `json:"logged"`
	}
	if err != nil || json.Unmarshal(e.Data, &data) != nil || data.Logged == nil {
		return everything, nil // what cannot be read must not hide anything
	}
	return *data.Logged, nil
}

// sift says which of the rows are to be written, in their order.
func (l *Log) sift(ctx context.Context, tx *store.Tx, rows []row) (write []bool, err error) {
	orgIDs, _ := organizations(rows)
	orgIDs = slices.DeleteFunc(orgIDs, func(id string) bool { return id == "" }) // of the platform all is logged
	now, err := filtersOf(ctx, tx, orgIDs)
	if err != nil {
		return nil, err
	}
	write = make([]bool, len(rows))
	for i := range rows {
		filter, filtered := now[rows[i].OrgID]
		write[i] = !filtered || filter.names(rows[i].Type)
		if rows[i].Type == ConfigChangedType {
			if now[rows[i].OrgID], err = l.loggedBy(&rows[i]); err != nil {
				return nil, err
			}
		}
	}
	return write, nil
}

// filtersOf are the filters in force of those organizations that have one.
func filtersOf(ctx context.Context, tx *store.Tx, orgIDs []string) (map[string]logged, error) {
	found, err := newest(ctx, tx, filters, orgIDs...)
	if err != nil {
		return nil, err
	}
	now := map[string]logged{}
	for i, id := range orgIDs {
		if len(found[i]) > 0 {
			now[id] = strings.Fields(found[i][0].Globs)
		}
	}
	return now, nil
}

// refilter keeps what the rows, which have their place, say is logged behind them.
func (l *Log) refilter(ctx context.Context, tx *store.Tx, rows []row) error {
	for i := range rows {
		r := &rows[i]
		if r.Type != ConfigChangedType || r.OrgID == "" {
			continue
		}
		by, err := l.loggedBy(r)
		if err != nil {
			return err
		}
		if err := filters.Append(ctx, tx, loggedFrom{r.OrgID, r.Seq, r.At, strings.Join(by, " ")}); err != nil {
			return err
		}
	}
	return nil
}

// only are the items that are wanted.
func only[T any](items []T, wanted []bool) (out []T) {
	if !slices.Contains(wanted, false) { // as mostly
		return items
	}
	for i := range items {
		if wanted[i] {
			out = append(out, items[i])
		}
	}
	return out
}
