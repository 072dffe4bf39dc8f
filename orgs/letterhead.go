package orgs

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/orgkit/orgkit/rbac"
	"github.com/orgkit/orgkit/store"
)

// Letterhead is what a message of an organization needs to know of it.
type Letterhead struct {
	Organization string // its name
	Place        string // name of the team or project; "" for the organization itself, and for one that is gone
	Language     string // BCP 47 (F033); en where none is set
	Zone         *time.Location
	DateFormat   string            // as DefaultSettings has it (F034)
	People       map[string]string // the names, or else addresses, of the users that were asked for
}

// LetterheadOf returns the letterhead of a place, of a deleted organization too. It asks nobody: it is for who sends
// what somebody else was allowed to cause.
func LetterheadOf(ctx context.Context, tx *store.Tx, at Place, people ...string) (l Letterhead, err error) {
	o, err := organizations.Get(ctx, tx, at.OrgID)
	if err != nil {
		return l, err
	}
	return o.letterhead(ctx, tx, at, people...)
}

// PersonalLetterhead is that of a message to a person alone: in the language of the first organization that they are a
// member of, English where there is none, and with no name. store.ErrNotFound: there is no such user.
func PersonalLetterhead(ctx context.Context, tx *store.Tx, userID string) (l Letterhead, err error) {
	if _, err := users.Get(ctx, tx, userID); err != nil {
		return l, err
	}
	var o Organization
	held, err := everywhere(ctx, tx, userID)
	if err != nil {
		return l, err
	}
	if len(held) > 0 {
		first := slices.MinFunc(held, func(a, b rbac.Assignment) int { return a.CreatedAt.Compare(b.CreatedAt) })
		if o, err = organizations.Get(ctx, tx, first.OrgID); err != nil {
			return l, err
		}
	}
	l, err = o.letterhead(ctx, tx, Place{OrgID: o.ID}, userID)
	l.Organization = ""
	return l, err
}

func (o Organization) letterhead(ctx context.Context, tx *store.Tx, at Place, people ...string) (l Letterhead, err error) {
	d := o.Settings.Defaults
	if d == nil {
		d = &DefaultSettings{}
	}
	l = Letterhead{Organization: o.Name, Language: cmp.Or(d.Language, "en"), DateFormat: cmp.Or(d.DateFormat, defaultDateFormat), People: map[string]string{}}
	if l.Zone, err = time.LoadLocation(d.Timezone); err != nil { // which this machine does not know
		l.Zone = time.UTC
	}
	if l.Place, err = partName(ctx, tx, at); err != nil {
		return l, err
	}
	for _, id := range people {
		u, err := users.Get(ctx, tx, id)
		switch {
		case err == nil:
			l.People[id] = cmp.Or(u.Name, u.Email)
		case !errors.Is(err, store.ErrNotFound):
			return l, err
		}
	}
	return l, nil
}

// partName is the name of a team or project of the organization, "" where there is none.
func partName(ctx context.Context, tx *store.Tx, at Place) (name string, err error) {
	var orgID string
	switch {
	case at.TeamID == "":
		return "", nil
	case at.IsProject():
		var p Project
		p, err = projects.Get(ctx, tx, at.TeamID)
		name, orgID = p.Name, p.OrgID
	default:
		var t Team
		t, err = teams.Get(ctx, tx, at.TeamID)
		name, orgID = t.Name, t.OrgID
	}
	if errors.Is(err, store.ErrNotFound) || err == nil && orgID != at.OrgID {
		return "", nil
	}
	return name, err
}

// defaultDateFormat is that of ISO 8601, which nobody takes for another day.
const defaultDateFormat = "YYYY-MM-DD"

var dateFormats = strings.NewReplacer("YYYY", "2006", "YY", "06", "MM", "01", "M", "1", "DD", "02", "D", "2")

// Date writes the day of a time in the zone and format of the organization.
func (l Letterhead) Date(t time.Time) string {
	return t.In(l.Zone).Format(dateFormats.Replace(l.DateFormat))
}
