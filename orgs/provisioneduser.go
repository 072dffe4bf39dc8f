package orgs

import (
	"context"
	"encoding/json"
	"errors"
	"iter"
	"slices"
	"strings"

	"github.com/orgkit/orgkit/audit"
	"github.com/orgkit/orgkit/rbac"
	"github.com/orgkit/orgkit/store"
)

// ProvisionedUser is a person as the identity provider of an organization knows them: a member of it, as long as they are
// active.
type ProvisionedUser struct {
	store.Meta
	OrgID       string          `json:"organization_id"`
	UserID      string          `json:"user_id"`
	UserName    string          `json:"user_name"`
	UserNameKey string          `json:"-"` // as it is compared
	ExternalID  *string         `json:"external_id"`
	Active      bool            `json:"active"`
	Made        bool            `json:"-"`          // the account was made for the provider, which may change it
	Attributes  json.RawMessage `json:"attributes"` // all others, as they were sent
}

var provisionedUsers = store.Define[ProvisionedUser]("provisioned_users", "scu",
	store.Unique("org_id", "user_name_key"), store.Unique("org_id", "external_id"), store.Unique("org_id", "user_id"),
	store.Index("org_id"), store.Index("user_id"))

// AuditResource is how the log names the person: by the account.
func (u ProvisionedUser) AuditResource() audit.Resource {
	return audit.Resource{Type: "user", ID: u.UserID}
}

// RecordVersion is that of the record.
func (u ProvisionedUser) RecordVersion() int64 { return u.Version }

// provisionedEmail is an address of a person, to find them by.
type provisionedEmail struct {
	store.Meta
	OrgID    string
	UserID   string // of the ProvisionedUser
	ValueKey string // as it is compared
}

var provisionedEmails = store.Define[provisionedEmail]("provisioned_emails", "sce",
	store.Unique("user_id", "value_key"), store.Index("org_id", "value_key"))

// departure remembers whom the provider has deleted: should they come back, by their external id or, where their account was
// made for the provider, by their address, they are the same person, with nothing of what they had.
type departure struct {
	store.Meta
	OrgID      string
	ExternalID *string
	UserID     string
	Made       bool
}

var departures = store.Define[departure]("provisioned_departures", "scd",
	store.Unique("org_id", "external_id"), store.Index("user_id"))

// Person is what the account of a provisioned user is made of.
type Person struct {
	Email     string
	Name      string
	EmailKeys []string // all addresses, as they are compared, to find the person by
}

// uniqueness is the error of what another user or group of the provider has.
func uniqueness(field, id string) error {
	return &store.ConflictError{Code: "uniqueness", Message: "another one has this " + field, ID: id}
}

// sameText says whether both are the same text, or none.
func sameText(a, b *string) bool { return a == b || a != nil && b != nil && *a == *b }

// unused refuses a name or external id that another user has; those that they had themselves before need no look.
func (p *Provisioner) unused(ctx context.Context, before, u ProvisionedUser) error {
	for field, conds := range map[string][]store.Cond{"userName": {store.Eq("user_name_key", u.UserNameKey)}, "externalId": {store.Eq("external_id", u.ExternalID)}} {
		if field == "externalId" && (u.ExternalID == nil || sameText(before.ExternalID, u.ExternalID)) || field == "userName" && before.UserNameKey == u.UserNameKey {
			continue
		}
		other, err := provisionedUsers.Find(ctx, p.tx, append(conds, store.Eq("org_id", p.orgID))...)
		if err == nil && other.ID != u.ID {
			return uniqueness(field, other.ID)
		} else if err != nil && !errors.Is(err, store.ErrNotFound) {
			return err
		}
	}
	return nil
}

// CreateUser makes a member of the organization of a person, whose name, external id, state and attributes in says. The account is
// that of before, where the provider knew them, or one that the [LinkPolicy] lets be theirs, or a new one. An account that
// is in the way is a *store.ConflictError uniqueness; a provider that may make nobody hears provisioning_off.
func (p *Provisioner) CreateUser(ctx context.Context, in ProvisionedUser, person Person) (u ProvisionedUser, c audit.Change, err error) {
	if !p.Settings.AutoProvision {
		return u, c, &store.ConflictError{Code: "provisioning_off", Message: "automatic provisioning of users is off in this organization"}
	}
	in.Meta, in.OrgID = store.Meta{}, p.orgID
	if err := p.unused(ctx, ProvisionedUser{}, in); err != nil {
		return u, c, err
	}
	if person.Email, err = checkEmail("emails", person.Email); err != nil {
		return u, c, err
	}
	if err := rbac.CheckText("displayName", person.Name, 0, rbac.MaxName); err != nil {
		return u, c, err
	}
	account, made, err := p.account(ctx, in, person)
	if err != nil {
		return u, c, err
	}
	a := rbac.Assignment{OrgID: p.orgID, Subject: account.ID, RoleID: p.Settings.DefaultRole, Source: sourceSCIM}
	if _, err = admit(ctx, p.tx, a); err != nil && !isCode(err, "already_member") {
		return u, c, err
	}
	u = in
	u.UserID, u.Made, u.Active = account.ID, made, true
	if err := provisionedUsers.Insert(ctx, p.tx, &u); err != nil {
		return u, c, err
	}
	if err := p.addEmails(ctx, u, person.EmailKeys); err != nil {
		return u, c, err
	}
	data := map[string]any{"account": "linked"}
	if made {
		data["account"] = "made"
	}
	if !in.Active {
		ended, err := p.setActive(ctx, &u, false)
		if err != nil {
			return u, c, err
		}
		if err := provisionedUsers.Update(ctx, p.tx, &u); err != nil {
			return u, c, err
		}
		data["ended"] = ended
	}
	c = audit.Created(&u).As("user.provisioned")
	c.Data = data
	return u, c, nil
}

// UpdateUser replaces what the provider knows of a person, and what follows from it: of an account that was made for the
// provider the name and the address, the latter while the person is in no other organization and has not proved an address
// that is not of the organization's domains.
func (p *Provisioner) UpdateUser(ctx context.Context, before, u ProvisionedUser, person Person) (ProvisionedUser, audit.Change, error) {
	var c audit.Change
	if err := p.unused(ctx, before, u); err != nil {
		return u, c, err
	}
	c = audit.Updated(before, &u)
	if u.Active != before.Active {
		ended, err := p.setActive(ctx, &u, u.Active)
		if err != nil {
			return u, c, err
		}
		c.Data = map[string]any{"ended": ended}
		if c.Type = "user.reprovisioned"; !u.Active {
			c.Type = "user.deprovisioned"
		}
	}
	if u.Made {
		if err := p.updateAccount(ctx, u, person); err != nil {
			return u, c, err
		}
	}
	if err := p.putEmails(ctx, u, person.EmailKeys); err != nil {
		return u, c, err
	}
	return u, c, provisionedUsers.Update(ctx, p.tx, &u)
}

// DeleteUser ends what the provider knows of a person, and their membership with all that belongs to it, unless the
// organization keeps those whom its provider lets go.
func (p *Provisioner) DeleteUser(ctx context.Context, u ProvisionedUser) (c audit.Change, err error) {
	c = audit.Deleted(u).As("user.deprovisioned")
	for m, err := range provisionedMembers.All(ctx, p.tx, store.Query{Where: []store.Cond{store.Eq("member_id", u.ID)}}) {
		if err != nil {
			return c, err
		}
		g, err := provisionedGroups.Get(ctx, p.tx, m.GroupID)
		if err != nil {
			return c, err
		}
		if err := p.drop(ctx, g, []ProvisionedMember{m}); err != nil {
			return c, err
		}
		if err := provisionedGroups.Update(ctx, p.tx, &g); err != nil { // its members are others now
			return c, err
		}
	}
	if c.Data, err = p.endMember(ctx, u); err != nil {
		return c, err
	}
	if err := p.putEmails(ctx, u, nil); err != nil {
		return c, err
	}
	if _, err := departures.InsertNew(ctx, p.tx, &departure{OrgID: p.orgID, ExternalID: u.ExternalID, UserID: u.UserID, Made: u.Made}); err != nil {
		return c, err
	}
	return c, provisionedUsers.Delete(ctx, p.tx, u.ID)
}

// putEmails keeps by which addresses a person is found.
func (p *Provisioner) putEmails(ctx context.Context, u ProvisionedUser, keys []string) error {
	for e, err := range provisionedEmails.All(ctx, p.tx, store.Query{Where: []store.Cond{store.Eq("user_id", u.ID)}}) {
		if err != nil {
			return err
		}
		if i := slices.Index(keys, e.ValueKey); i >= 0 {
			keys = slices.Delete(slices.Clone(keys), i, i+1)
		} else if err := provisionedEmails.Delete(ctx, p.tx, e.ID); err != nil {
			return err
		}
	}
	return p.addEmails(ctx, u, keys)
}

// addEmails keeps more addresses by which a person is found.
func (p *Provisioner) addEmails(ctx context.Context, u ProvisionedUser, keys []string) error {
	for _, key := range keys {
		if _, err := provisionedEmails.InsertNew(ctx, p.tx, &provisionedEmail{OrgID: p.orgID, UserID: u.ID, ValueKey: key}); err != nil {
			return err
		}
	}
	return nil
}

// User returns a user of the provider; one of another organization is store.ErrNotFound.
func (p *Provisioner) User(ctx context.Context, id string) (ProvisionedUser, error) {
	u, err := provisionedUsers.Get(ctx, p.tx, id)
	if err == nil && u.OrgID != p.orgID {
		return ProvisionedUser{}, store.ErrNotFound
	}
	return u, err
}

// UsersWith returns the users who have one of some values in a column: id, user_name_key, external_id, email or group, in
// the order of their ids.
func (p *Provisioner) UsersWith(ctx context.Context, column string, values []string) (found []ProvisionedUser, err error) {
	switch column {
	case "email":
		values, err = ids(provisionedEmails.All(ctx, p.tx, store.Query{Where: []store.Cond{store.Eq("org_id", p.orgID), store.In("value_key", values)}}),
			func(e provisionedEmail) string { return e.UserID })
	case "group":
		values, err = ids(provisionedMembers.All(ctx, p.tx, store.Query{Where: []store.Cond{store.In("group_id", values)}}),
			func(m ProvisionedMember) string { return m.MemberID })
	}
	if err != nil {
		return nil, err
	}
	if column == "email" || column == "group" {
		column = "id"
	}
	return inChunks(column, values, func(some []string) iter.Seq2[ProvisionedUser, error] {
		return provisionedUsers.All(ctx, p.tx, p.having(column, some))
	}, func(u ProvisionedUser) string { return u.ID })
}

// having asks for records of the organization that have one of some values in a column. In the order of that column: who asks for
// another one makes SQLite read all of the organization, by the index of the order.
func (p *Provisioner) having(column string, values []string) store.Query {
	q := store.Query{Where: []store.Cond{store.Eq("org_id", p.orgID), store.In(column, values)}}
	if column != "external_id" { // which may be null, and of which one is asked for at a time
		q.Order = []store.Order{store.Asc(column)}
	}
	return q
}

// ids collects ids of records.
func ids[T any](all iter.Seq2[T, error], id func(T) string) (list []string, err error) {
	for rec, err := range all {
		if err != nil {
			return nil, err
		}
		list = append(list, id(rec))
	}
	return list, nil
}

// inChunks asks for records by values, some at a time, and returns them once each, in the order of their ids.
func inChunks[T any](column string, values []string, ask func([]string) iter.Seq2[T, error], id func(T) string) (found []T, err error) {
	atOnce := store.MaxLimit / 2
	if column == "external_id" {
		atOnce = 1
	}
	for some := range slices.Chunk(values, atOnce) {
		for rec, err := range ask(some) {
			if err != nil {
				return nil, err
			}
			found = append(found, rec)
		}
	}
	slices.SortFunc(found, func(a, b T) int { return strings.Compare(id(a), id(b)) })
	return slices.CompactFunc(found, func(a, b T) bool { return id(a) == id(b) }), nil
}

// Users are all users of the provider behind an id, "" from the first, in the order of their ids. So many are read at a time
// as are asked for; 0 is store.MaxLimit.
func (p *Provisioner) Users(ctx context.Context, after string, atOnce int) iter.Seq2[ProvisionedUser, error] {
	return provisionedUsers.All(ctx, p.tx, behind(p.orgID, after, atOnce))
}

// behind asks for records of an organization behind one.
func behind(orgID, after string, atOnce int) store.Query {
	q := store.Query{Where: []store.Cond{store.Eq("org_id", orgID)}, Limit: atOnce}
	if after != "" {
		q.Where = append(q.Where, store.From("id", after+" "))
	}
	return q
}

// addExternalIDs says of members what the identity provider of the organization calls them.
func addExternalIDs(ctx context.Context, tx *store.Tx, orgID string, members []Membership) error {
	ids := make([]string, len(members))
	for i := range members {
		ids[i] = members[i].User.ID
	}
	known := map[string]*string{}
	for u, err := range provisionedUsers.All(ctx, tx, store.Query{Where: []store.Cond{store.Eq("org_id", orgID), store.In("user_id", ids)},
		Order: []store.Order{store.Asc("user_id")}}) { // see having
		if err != nil {
			return err
		}
		known[u.UserID] = u.ExternalID
	}
	for i := range members {
		members[i].ExternalID = known[members[i].User.ID]
	}
	return nil
}

// CountUsers counts the users of the provider.
func (p *Provisioner) CountUsers(ctx context.Context) (int, error) {
	return provisionedUsers.Count(ctx, p.tx, store.Eq("org_id", p.orgID))
}
