package orgs

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/orgkit/orgkit/audit"
	"github.com/orgkit/orgkit/billing"
	"github.com/orgkit/orgkit/rbac"
	"github.com/orgkit/orgkit/store"
)

// AnalyticsQuery asks what an organization has used.
type AnalyticsQuery struct {
	Period  billing.Period
	Metrics []string // names of billing.Metrics; none are all
	Teams   []string // ids or slugs; none are all that the actor may see
	Models  []string // as they are charged, not aliases; none are all
	GroupBy string   // see billing.AnalyticsQuery
}

// Analytics are what an organization has used, as far as the actor may see it.
type Analytics struct {
	billing.Analytics
	OrgID     string
	Period    billing.Period
	Zone      *time.Location // of the organization, in which the period was resolved
	Metrics   []billing.Metric
	TeamNames map[string]Team // by id, those that there still are
	OfTeams   bool            // of the teams of the actor alone
	Own       bool            // of the actor alone
}

// Analytics returns what an organization has used in a time. Who holds usage.read in it sees all of it; who holds it in teams
// sees these; who holds usage.read:own sees what is theirs. It leaves the event analytics.read.
func (m *Manager) Analytics(ctx context.Context, org string, in AnalyticsQuery) (a Analytics, err error) {
	orgID, err := m.OrgID(ctx, org)
	if err != nil {
		return a, err
	}
	if err := m.metering.Flush(ctx); err != nil {
		return a, err
	}
	err = m.seesUsage(ctx, orgID, func(ctx context.Context, tx *store.Tx, see sight) (err error) {
		a, _, err = m.analyse(ctx, tx, orgID, in, see)
		return err
	})
	if err != nil {
		return Analytics{}, err
	}
	return a, m.usageWasRead(ctx, orgID, map[string]any{"period": a.Period, "metrics": a.Metrics})
}

// analyse answers for what may be seen, with what it has asked for that.
func (m *Manager) analyse(ctx context.Context, tx *store.Tx, orgID string, in AnalyticsQuery, see sight) (a Analytics, q billing.AnalyticsQuery, err error) {
	a = Analytics{OrgID: orgID, Period: in.Period, OfTeams: see.teams != nil, Own: see.own != ""}
	q = billing.AnalyticsQuery{User: see.own, GroupBy: in.GroupBy}
	if q.Metrics, err = billing.ParseMetrics(in.Metrics); err != nil {
		return a, q, err
	}
	if a.Zone, q.Span, err = spanOf(ctx, tx, orgID, in.Period); err != nil {
		return a, q, err
	}
	if q.Teams, q.Models, err = see.narrow(ctx, tx, orgID, in); err != nil {
		return a, q, err
	}
	if err := q.CheckGroupBy(); err != nil {
		return a, q, err
	}
	q.Zone, a.Metrics = a.Zone, q.Metrics
	if a.Analytics, err = m.metering.Analytics(ctx, tx, orgID, q); err != nil {
		return a, q, err
	}
	a.TeamNames, err = teamsOf(ctx, tx, orgID)
	return a, q, err
}

func (m *Manager) usageWasRead(ctx context.Context, orgID string, data map[string]any) error {
	return m.Audit().Record(ctx, orgID, "usage.read", audit.Change{Type: "analytics.read", Resource: audit.Resource{Type: "organization", ID: orgID}, Data: data})
}

// spanOf resolves a period in the zone of the organization.
func spanOf(ctx context.Context, tx *store.Tx, orgID string, p billing.Period) (*time.Location, billing.Span, error) {
	if err := p.Validate(); err != nil {
		return nil, billing.Span{}, err
	}
	zone, err := zoneOf(ctx, tx, orgID)
	if err != nil {
		return nil, billing.Span{}, err
	}
	return zone, p.Resolve(zone, tx.Now()), nil
}

func zoneOf(ctx context.Context, tx *store.Tx, orgID string) (*time.Location, error) {
	scope, err := rbac.Scopes.Get(ctx, tx, orgID)
	if err != nil {
		return nil, err
	}
	return time.LoadLocation(scope.Zone)
}

// sight is whose usage somebody may see: the whole of the organization where neither is set.
type sight struct {
	teams []string
	own   string
}

// seesUsage runs fn on a snapshot for an actor who may see any usage of the organization.
func (m *Manager) seesUsage(ctx context.Context, orgID string, fn func(ctx context.Context, tx *store.Tx, see sight) error) error {
	op := rbac.Op{Action: "usage.read", OrgID: orgID}
	var whole bool
	var in []string
	err := m.View(ctx, func(ctx context.Context, tx *store.Tx) (err error) {
		whole, in, err = m.usageTeams(ctx, tx, orgID)
		return err
	})
	if err != nil {
		return err
	}
	if !whole && len(in) > 0 {
		op.TeamID = in[0]
		return m.Read(ctx, op, func(ctx context.Context, tx *store.Tx) error {
			_, in, err := m.usageTeams(ctx, tx, orgID) // on the snapshot that is read
			if err != nil {
				return err
			}
			return fn(ctx, tx, sight{teams: in})
		})
	}
	return m.Visible(ctx, op, func(ctx context.Context, tx *store.Tx, all bool) error {
		if all {
			return fn(ctx, tx, sight{})
		}
		return fn(ctx, tx, sight{own: actor(ctx).Person()})
	})
}

// usageTeams says whether the actor may see the usage of the whole organization, or else of which teams.
func (m *Manager) usageTeams(ctx context.Context, tx *store.Tx, orgID string) (whole bool, in []string, err error) {
	by, is := audit.ActorFrom(ctx)
	if !is || by.Sovereign() {
		return is, nil, nil
	}
	may := func(teamID, resource string) (bool, error) {
		d, err := m.Check(ctx, tx, by.ID, rbac.Request{OrgID: orgID, TeamID: teamID, Action: "usage.read", Person: by.Person(),
			Call: rbac.Call{Resource: resource, At: tx.Now(), IP: by.IP, MFAAt: by.MFAAt}})
		if errors.Is(err, store.ErrNotFound) {
			return false, nil
		}
		return d.Allowed, err
	}
	if whole, err = may("", "organization:"+orgID); err != nil || whole {
		return whole, nil, err
	}
	held, err := rbac.Held(ctx, tx, orgID, by.ID)
	if err != nil {
		return false, nil, err
	}
	for _, a := range held {
		if a.TeamID == "" || (Place{orgID, a.TeamID}).IsProject() {
			continue
		}
		allowed, err := may(a.TeamID, "team:"+a.TeamID)
		if err != nil {
			return false, nil, err
		}
		if allowed {
			in = append(in, a.TeamID)
		}
	}
	return false, in, nil
}

// narrow brings what is asked for within what may be seen.
func (see sight) narrow(ctx context.Context, tx *store.Tx, orgID string, in AnalyticsQuery) (ids, models []string, err error) {
	if see.own != "" && (len(in.Teams) > 0 || len(in.Models) > 0) {
		return nil, nil, store.Invalid("teams", "range", "teams and models are chosen by those who may see the usage of others")
	}
	if len(in.Models) > 0 {
		models = in.Models
	}
	if len(in.Teams) == 0 {
		return see.teams, models, nil
	}
	for _, ref := range in.Teams {
		t, err := findTeam(ctx, tx, orgID, ref)
		if errors.Is(err, store.ErrNotFound) || err == nil && see.teams != nil && !slices.Contains(see.teams, t.ID) {
			return nil, nil, store.Invalid("teams", "unknown", "has one that does not exist here")
		} else if err != nil {
			return nil, nil, err
		}
		ids = append(ids, t.ID)
	}
	return ids, models, nil
}

// findTeam returns a team of the organization by its id or slug.
func findTeam(ctx context.Context, tx *store.Tx, orgID, ref string) (Team, error) {
	if !strings.HasPrefix(ref, teams.Kind().Prefix+"_") {
		return teams.Find(ctx, tx, store.Eq("org_id", orgID), store.Eq("slug_key", store.SlugKey(ref)))
	}
	t, err := teams.Get(ctx, tx, ref)
	if err == nil && t.OrgID != orgID {
		return Team{}, store.ErrNotFound
	}
	return t, err
}

// teamsOf are the teams of an organization by their ids.
func teamsOf(ctx context.Context, tx *store.Tx, orgID string) (map[string]Team, error) {
	all := map[string]Team{}
	for t, err := range teams.All(ctx, tx, store.Query{Where: []store.Cond{store.Eq("org_id", orgID)}}) {
		if err != nil {
			return nil, err
		}
		all[t.ID] = t
	}
	return all, nil
}

// Consumption returns what an organization and all below it have used in a month of its zone, such as 2024-01; "" is that of
// now. It needs usage.read, and leaves the event analytics.read.
func (m *Manager) Consumption(ctx context.Context, org, month string) (c billing.Consumption, err error) {
	orgID, err := m.OrgID(ctx, org)
	if err != nil {
		return c, err
	}
	if err := m.metering.Flush(ctx); err != nil {
		return c, err
	}
	err = m.Read(ctx, rbac.Op{Action: "usage.read", OrgID: orgID}, func(ctx context.Context, tx *store.Tx) error {
		zone, err := zoneOf(ctx, tx, orgID)
		if err != nil {
			return err
		}
		span, err := billing.MonthOf(month, zone, tx.Now())
		if err != nil {
			return err
		}
		below, err := rbac.Descendants(ctx, tx, orgID)
		if err != nil {
			return err
		}
		ids := []string{orgID}
		for _, scope := range slices.Concat(below...) {
			ids = append(ids, scope.ID)
		}
		c, err = m.metering.Consumption(ctx, tx, ids, span)
		return err
	})
	if err != nil {
		return billing.Consumption{}, err
	}
	return c, m.usageWasRead(ctx, orgID, map[string]any{"from": c.From, "below": c.Below})
}

// CostCenters returns what belongs to the cost centres of an organization in a time: those of the allocation, or with none
// of its settings ([Manager.SetBilling]). It needs usage.read, and leaves the event analytics.read.
func (m *Manager) CostCenters(ctx context.Context, org string, p billing.Period, a billing.CostAllocation) (list []billing.CostCenter, err error) {
	orgID, err := m.OrgID(ctx, org)
	if err != nil {
		return nil, err
	}
	if err := m.metering.Flush(ctx); err != nil {
		return nil, err
	}
	err = m.Read(ctx, rbac.Op{Action: "usage.read", OrgID: orgID}, func(ctx context.Context, tx *store.Tx) error {
		_, span, err := spanOf(ctx, tx, orgID, p)
		if err != nil {
			return err
		}
		named, err := teamsOf(ctx, tx, orgID)
		if err != nil {
			return err
		}
		slugs := make(map[string]string, len(named))
		for id, t := range named {
			slugs[id] = t.Slug
		}
		by := a
		if by.Strategy == "" && len(by.CostCenters) == 0 {
			s, err := billing.SettingsOf(ctx, tx, orgID)
			if err != nil {
				return err
			}
			by = s.CostAllocation
		}
		list, err = m.metering.Allocate(ctx, tx, orgID, span, by, slugs)
		return err
	})
	if err != nil {
		return nil, err
	}
	return list, m.usageWasRead(ctx, orgID, map[string]any{"period": p, "cost_centers": len(list)})
}

// UsageTags lists the tags that the usage of an organization has had. It needs usage.read.
func (m *Manager) UsageTags(ctx context.Context, org string, limit int, after string) (page store.Page[billing.UsageTag], err error) {
	orgID, err := m.OrgID(ctx, org)
	if err != nil {
		return page, err
	}
	err = m.Read(ctx, rbac.Op{Action: "usage.read", OrgID: orgID}, func(ctx context.Context, tx *store.Tx) error {
		page, err = m.metering.Tags(ctx, tx, orgID, limit, after)
		return err
	})
	return page, err
}

// IngestUsage keeps events of an organization that the host reports, at most store.MaxAppend of them. Of an event that names
// a key the team, the project and the person are those of the key, and the tags team and project those of both, whatever
// else it says. It is the platform's, and leaves the event billing.usage_ingested; see [billing.Metering.Ingest].
func (m *Manager) IngestUsage(ctx context.Context, org string, events []billing.UsageEvent) (done billing.Ingested, err error) {
	orgID, err := m.OrgID(ctx, org)
	if err != nil {
		return done, err
	}
	own := slices.Clone(events)
	op := rbac.Op{Action: "usage.write", OrgID: orgID, Platform: true}
	err = m.Read(ctx, op, func(ctx context.Context, tx *store.Tx) error {
		known := usagePlaces{keys: map[string]*APIKey{}, slugs: map[string]string{}}
		for i := range own {
			own[i] = events[i]
			own[i].OrgID = orgID
			if err := known.attribute(ctx, tx, &own[i]); err != nil {
				var field *store.FieldError
				if errors.As(err, &field) {
					return store.Invalid(fmt.Sprintf("events[%d].%s", i, field.Field), field.Code, "%s", field.Message)
				}
				return err
			}
		}
		return nil
	})
	if err != nil {
		return done, err
	}
	if done, err = m.metering.Ingest(ctx, own); err != nil {
		return done, err
	}
	return done, m.Audit().Record(ctx, orgID, "usage.write", audit.Change{Type: "billing.usage_ingested", Resource: audit.Resource{Type: "organization", ID: orgID},
		Data: map[string]any{"accepted": done.Accepted, "duplicates": done.Duplicates, "conflicts": len(done.Conflicts)}})
}

// usagePlaces are the keys, teams and projects of a batch.
type usagePlaces struct {
	keys  map[string]*APIKey
	slugs map[string]string // by the id of a team or project
}

// attribute says whose an event is.
func (p *usagePlaces) attribute(ctx context.Context, tx *store.Tx, e *billing.UsageEvent) error {
	if e.Corrects != "" { // it is whose the other is
		return nil
	}
	tags := map[string]string{}
	if e.KeyID != "" {
		k := p.keys[e.KeyID]
		if k == nil {
			found, err := apiKeys.Get(ctx, tx, e.KeyID)
			if errors.Is(err, store.ErrNotFound) || err == nil && found.OrgID != e.OrgID {
				return store.Invalid("key_id", "unknown", "is no key of the organization")
			} else if err != nil {
				return err
			}
			k = &found
			p.keys[e.KeyID] = k
		}
		e.TeamID, e.ProjectID, e.UserID = k.TeamID, k.ProjectID, k.UserID
		maps.Copy(tags, k.DefaultTags)
	}
	maps.Copy(tags, e.Tags)
	for _, place := range []struct{ field, tag, id string }{{"team_id", "team", e.TeamID}, {"project_id", "project", e.ProjectID}} {
		if place.id == "" {
			continue
		}
		slug, err := p.slug(ctx, tx, e.OrgID, place.id)
		if err != nil {
			return err
		}
		switch {
		case slug != "":
			tags[place.tag] = slug
		case e.KeyID == "": // of a key it may be gone
			return store.Invalid(place.field, "unknown", "is none of the organization")
		}
	}
	if e.Tags = tags; len(tags) == 0 {
		e.Tags = nil
	}
	return nil
}

// slug is that of a team or project of the organization, "" where there is none.
func (p *usagePlaces) slug(ctx context.Context, tx *store.Tx, orgID, id string) (slug string, err error) {
	if slug, known := p.slugs[id]; known {
		return slug, nil
	}
	if (Place{orgID, id}).IsProject() {
		var found Project
		if found, err = projects.Get(ctx, tx, id); err == nil && found.OrgID == orgID {
			slug = found.Slug
		}
	} else {
		var found Team
		if found, err = teams.Get(ctx, tx, id); err == nil && found.OrgID == orgID {
			slug = found.Slug
		}
	}
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return "", err
	}
	p.slugs[id] = slug
	return slug, nil
}
