package orgs

import (
	"context"
	"errors"

	"github.com/orgkit/orgkit/audit"
	"github.com/orgkit/orgkit/rbac"
	"github.com/orgkit/orgkit/store"
)

// ErrUnchanged says that there is nothing to change: [Manager.Provision] then stores nothing, not even an event, and
// answers nil.
var ErrUnchanged = errors.New("nothing to change")

// Provisioner is an organization as its identity provider sees it, inside of one unit. Users and groups of the provider have
// ids of their own; those of people and teams are never the provider's to choose. It is for package scim, and for whoever
// provisions in another way.
type Provisioner struct {
	// Settings are those of the organization. They are read only.
	Settings Provisioning

	m     *Manager
	tx    *store.Tx
	orgID string
	roles map[string]string // ids of roles by their slugs, once they were asked for
}

// Provision changes an organization for its identity provider, the actor, who may do nothing else: in one unit, with the one
// event that fn describes. action is what the log says was done. Of anybody else it is store.ErrNotFound. fn may run twice,
// see rbac.Guard.Change.
func (m *Manager) Provision(ctx context.Context, action string, fn func(ctx context.Context, p *Provisioner) (audit.Change, error)) error {
	orgID, err := provider(ctx)
	if err != nil {
		return err
	}
	op := rbac.Op{Action: action, OrgID: orgID, Open: true} // who may is asked above
	var kept *Provisioner
	var asked *toInvite
	err = m.Change(ctx, op, func(ctx context.Context, tx *store.Tx) (audit.Change, error) {
		p, err := m.provisioner(ctx, tx, orgID)
		if err != nil {
			return audit.Change{}, err
		}
		kept = p
		return fn(ctx, p)
	})
	switch {
	case errors.Is(err, ErrUnchanged):
		return nil
	case errors.As(err, &asked) && !m.store.InUnit(ctx):
		if failed := m.inviteToLink(ctx, orgID, action, asked.email); failed != nil {
			err = errors.Join(err, failed)
		}
	case isCode(err, "last_owner") && kept != nil && !m.store.InUnit(ctx):
		refused := audit.Change{Type: "security.last_owner_kept", Resource: kept.Settings.AuditResource(), Outcome: audit.Denied}
		if failed := m.Audit().Record(ctx, orgID, action, refused); failed != nil {
			err = errors.Join(err, failed)
		}
	}
	return err
}

// Provisioned reads an organization for its identity provider, on one snapshot.
func (m *Manager) Provisioned(ctx context.Context, fn func(ctx context.Context, p *Provisioner) error) error {
	orgID, err := provider(ctx)
	if err != nil {
		return err
	}
	return m.Read(ctx, rbac.Op{Action: "scim.read", OrgID: orgID, Open: true}, func(ctx context.Context, tx *store.Tx) error {
		p, err := m.provisioner(ctx, tx, orgID)
		if err != nil {
			return err
		}
		return fn(ctx, p)
	})
}

// provider is the organization whose identity provider the actor is.
func provider(ctx context.Context) (orgID string, err error) {
	by, ok := audit.ActorFrom(ctx)
	switch {
	case !ok:
		return "", rbac.ErrNoActor
	case by.Type != audit.SCIM || by.OrgID == "":
		return "", store.ErrNotFound
	}
	return by.OrgID, nil
}

func (m *Manager) provisioner(ctx context.Context, tx *store.Tx, orgID string) (*Provisioner, error) {
	p := &Provisioner{m: m, tx: tx, orgID: orgID}
	var err error
	if p.Settings, err = provisioningOf(ctx, tx, orgID); err != nil {
		return nil, err
	}
	if !p.Settings.Enabled {
		return nil, store.ErrNotFound
	}
	return p, nil
}

// role is the id of a role that every organization has.
func (p *Provisioner) role(ctx context.Context, slug string) (string, error) {
	if id := p.roles[slug]; id != "" {
		return id, nil
	}
	r, err := rbac.FindRole(ctx, p.tx, p.orgID, slug)
	if err != nil {
		return "", err
	}
	if p.roles == nil {
		p.roles = map[string]string{}
	}
	p.roles[slug] = r.ID
	return r.ID, nil
}

// OrgID is the id of the organization.
func (p *Provisioner) OrgID() string { return p.orgID }

// Revision is that of the organization: another one after each change in it.
func (p *Provisioner) Revision(ctx context.Context) (int64, error) {
	s, err := rbac.Scopes.Get(ctx, p.tx, p.orgID)
	return s.Revision, err
}

// managed refuses others what is the identity provider's of a member or team.
func (m *Manager) managed(ctx context.Context, tx *store.Tx, orgID string, is func() (bool, error)) error {
	p, err := provisioningOf(ctx, tx, orgID)
	if err != nil || p.Version == 0 || !p.Enabled || p.LocalEdits || actor(ctx).Sovereign() || actor(ctx).Type == audit.SCIM {
		return err
	}
	if held, err := is(); err != nil || !held {
		return err
	}
	return &store.ConflictError{Code: "scim_managed", Message: "the identity provider of the organization manages this; change it there"}
}

func (m *Manager) managedMember(ctx context.Context, tx *store.Tx, a rbac.Assignment) error {
	return m.managed(ctx, tx, a.OrgID, func() (bool, error) {
		if a.TeamID != "" {
			return a.Source == sourceSCIM, nil
		}
		_, err := provisionedUsers.Find(ctx, tx, store.Eq("org_id", a.OrgID), store.Eq("user_id", a.Subject))
		if errors.Is(err, store.ErrNotFound) {
			return false, nil
		}
		return err == nil, err
	})
}

func (m *Manager) managedTeam(ctx context.Context, tx *store.Tx, t Team) error {
	return m.managed(ctx, tx, t.OrgID, func() (bool, error) {
		_, err := provisionedGroups.Find(ctx, tx, store.Eq("team_id", t.ID))
		if errors.Is(err, store.ErrNotFound) {
			return false, nil
		}
		return err == nil, err
	})
}

// sourceSCIM is the source of memberships that the identity provider gives.
const sourceSCIM = "scim"
