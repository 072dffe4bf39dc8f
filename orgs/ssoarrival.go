package orgs

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/orgkit/orgkit/audit"
	"github.com/orgkit/orgkit/rbac"
	"github.com/orgkit/orgkit/store"
)

// arrival is a sign-in under way.
type arrival struct {
	Asserted
	m        *Manager
	tx       *store.Tx
	lifetime time.Duration

	config  SSO
	settled Provisioning
	known   bool // by a link
	made    bool // the account was, for this provider
	out     AssertedSignIn
}

func (a *arrival) arrive(ctx context.Context) (err error) {
	if a.config, err = ssoConfigs.Get(ctx, a.tx, a.OrgID); errors.Is(err, store.ErrNotFound) || err == nil && !a.config.Enabled {
		return refuse("disabled")
	} else if err != nil {
		return err
	}
	if a.config.Issuer != a.Issuer {
		return refuse("issuer")
	}
	if gone, err := isGone(ctx, a.tx, a.OrgID); err != nil || gone {
		return errors.Join(err, refuse("organization_gone"))
	}
	if a.settled, err = provisioningOf(ctx, a.tx, a.OrgID); err != nil {
		return err
	}
	if a.Transient {
		a.Subject = "email:" + emailKey(a.Email)
	}
	if err := a.find(ctx); err != nil {
		return err
	}
	if err := a.lock(ctx); err != nil {
		return err
	}
	if err := a.once(ctx); err != nil {
		return err
	}
	if err := a.settle(audit.WithActor(ctx, audit.System("single sign-on").From(ctx))); err != nil {
		return err
	}
	by := audit.WithActor(ctx, audit.Actor{Type: audit.User, ID: a.out.User.ID, Label: a.out.User.Email}.From(ctx))
	return a.m.Change(by, rbac.Op{Action: "sessions.create", OrgID: a.OrgID, Open: true}, a.start)
}

// vouched says whether the address is the person's, as far as anybody can: the provider says so, and the domain is the
// organization's.
func (a *arrival) vouched() bool { return a.EmailVerified && a.settled.owns(a.Email) }

// unvouched says what is missing, since each is mended elsewhere: by the mapping, at the provider, or by the platform.
func (a *arrival) unvouched() error {
	switch {
	case a.Email == "":
		return refuse("no_email")
	case !a.EmailVerified:
		return refuse("email_unverified")
	}
	return refuse("domain_unverified")
}

// find finds the account, if there is one.
func (a *arrival) find(ctx context.Context) (err error) {
	link, err := ssoLinks.Find(ctx, a.tx, store.Eq("org_id", a.OrgID), store.Eq("issuer", a.Issuer), store.Eq("subject", a.Subject))
	switch {
	case err == nil:
		if a.Transient && !a.vouched() {
			return a.unvouched()
		}
		a.known, a.made = true, link.Made
		a.out.User, err = users.Get(ctx, a.tx, link.UserID)
		return err
	case !errors.Is(err, store.ErrNotFound):
		return err
	case !a.vouched():
		return a.unvouched()
	}
	if a.Email, err = checkEmail("email", a.Email); err != nil {
		return refuse("bad_email")
	}
	a.out.User, err = users.Find(ctx, a.tx, store.Eq("email_key", emailKey(a.Email)))
	if errors.Is(err, store.ErrNotFound) {
		return nil
	} else if err != nil {
		return err
	}
	return a.mayLink(ctx)
}

// mayLink refuses an account that may be somebody else's, or that another organization manages.
func (a *arrival) mayLink(ctx context.Context) error {
	u := a.out.User
	switch {
	case a.settled.Link == LinkNever:
		return refuse("account_exists")
	case !u.EmailVerified && a.settled.Link == LinkVerified: // whoever made it has not shown that the address is theirs
		return refuse("account_unverified")
	}
	for p, err := range provisionedUsers.All(ctx, a.tx, store.Query{Where: []store.Cond{store.Eq("user_id", u.ID)}}) {
		if err != nil {
			return err
		}
		if p.OrgID != a.OrgID {
			return refuse("managed_elsewhere")
		}
	}
	for l, err := range ssoLinks.All(ctx, a.tx, store.Query{Where: []store.Cond{store.Eq("user_id", u.ID)}}) {
		switch {
		case err != nil:
			return err
		case l.OrgID != a.OrgID:
			return refuse("managed_elsewhere")
		case l.Issuer == a.Issuer: // another subject has the account: an address was given to somebody else
			return refuse("subject_changed")
		}
	}
	if a.settled.Link != LinkInvite {
		return nil
	}
	_, err := rbac.Assignments.Find(ctx, a.tx, store.Eq("subject", u.ID), store.Eq("org_id", a.OrgID), store.Eq("team_id", ""))
	switch {
	case errors.Is(err, store.ErrNotFound):
		if err := a.stayed(ctx); err != nil {
			return err
		}
		return refuse(whyInvited)
	case err == nil && !u.EmailVerified:
		return refuse("account_unverified")
	}
	return err
}

// whyInvited is the code of who is asked by an invitation, see [LinkInvite].
const whyInvited = "invited"

// lock locks what is locked before people: this organization and all of the person's, in their order.
func (a *arrival) lock(ctx context.Context) error {
	ids := []string{a.OrgID}
	if a.out.User.ID != "" {
		others, err := OrganizationsOf(ctx, a.tx, a.out.User.ID)
		if err != nil {
			return err
		}
		ids = append(ids, others...)
	}
	slices.Sort(ids)
	for _, id := range slices.Compact(ids) {
		if _, err := rbac.Scopes.Lock(ctx, a.tx, id); err != nil {
			return err
		}
	}
	return nil
}

// once remembers what must not be seen a second time.
func (a *arrival) once(ctx context.Context) error {
	for _, o := range a.Once {
		sum := sha256.Sum256([]byte(strings.Join([]string{a.OrgID, a.Issuer, o.Key}, "\x00")))
		seen := ssoSeen{Meta: store.Meta{ID: "ssn_" + hex.EncodeToString(sum[:16])}, ForgetAt: o.Until.UTC().Truncate(time.Microsecond)}
		if fresh, err := ssoSeenOnce.InsertNew(ctx, a.tx, &seen); err != nil {
			return err
		} else if !fresh {
			return refuse("replayed")
		}
	}
	return nil
}

// settle makes what there is not yet: account, link and membership. Whoever was a member does not become one again.
func (a *arrival) settle(ctx context.Context) (err error) {
	u := &a.out.User
	if u.ID == "" {
		if !a.settled.AutoProvision {
			return refuse("provisioning_off")
		}
		*u = User{Email: a.Email, EmailKey: emailKey(a.Email), Name: a.Name, EmailVerified: true, State: rbac.Active}
		if err := users.Insert(ctx, a.tx, u); err != nil {
			return err
		}
		a.out.Made = true
	}
	if u.State != rbac.Active {
		return refuse(whyUserSuspended)
	}
	held, err := rbac.Assignments.Find(ctx, a.tx, store.Eq("subject", u.ID), store.Eq("org_id", a.OrgID), store.Eq("team_id", ""))
	switch {
	case errors.Is(err, store.ErrNotFound):
		held, err = a.join(ctx)
	case err == nil && held.State != rbac.Active:
		err = refuse("membership_suspended")
	}
	if err != nil {
		return err
	}
	if !a.known {
		link := ssoLink{OrgID: a.OrgID, Issuer: a.Issuer, Subject: a.Subject, UserID: u.ID, Made: a.out.Made}
		if err := ssoLinks.Insert(ctx, a.tx, &link); err != nil {
			return err
		}
	}
	if err := a.follow(ctx); err != nil {
		return err
	}
	return a.grant(ctx, held)
}

// follow takes over the name and address of a person whose account was made for this provider, the latter from one address
// of the organization's domains to another that nobody has, and while the person is in no other organization. Else
// the account stays as it is, and the sign-in works.
func (a *arrival) follow(ctx context.Context) error {
	if !a.made {
		return nil
	}
	u, err := users.Lock(ctx, a.tx, a.out.User.ID)
	if err != nil {
		return err
	}
	before := u
	if a.Name != "" {
		u.Name = a.Name
	}
	if emailKey(a.Email) != u.EmailKey && a.vouched() && a.settled.owns(u.Email) {
		in, err := OrganizationsOf(ctx, a.tx, u.ID)
		if err != nil {
			return err
		}
		email, wrong := checkEmail("email", a.Email)
		_, err = users.Find(ctx, a.tx, store.Eq("email_key", emailKey(a.Email)))
		if err != nil && !errors.Is(err, store.ErrNotFound) {
			return err
		}
		if free := err != nil; free && wrong == nil && slices.Equal(in, []string{a.OrgID}) {
			u.Email, u.EmailKey, u.EmailVerified = email, emailKey(email), true
			if err := dropReset(ctx, a.tx, u.ID); err != nil {
				return err
			}
		}
	}
	if u == before {
		return nil
	}
	if err := users.Update(ctx, a.tx, &u); err != nil {
		return err
	}
	a.out.User = u
	_, err = a.m.Audit().Append(ctx, a.tx, a.OrgID, "sessions.create", audit.Updated(before, &u))
	return err
}

func (a *arrival) join(ctx context.Context) (held rbac.Assignment, err error) {
	u := a.out.User
	if a.known {
		return held, refuse("membership_ended")
	}
	if err := a.stayed(ctx); err != nil {
		return held, err
	}
	if !a.settled.AutoProvision {
		return held, refuse("provisioning_off")
	}
	a.out.Joined = true
	return admit(ctx, a.tx, rbac.Assignment{OrgID: a.OrgID, Subject: u.ID, RoleID: a.settled.DefaultRole, Source: "sso"})
}

// stayed refuses whom the provider has deleted by SCIM: by that alone they come back.
func (a *arrival) stayed(ctx context.Context) error {
	for d, err := range departures.All(ctx, a.tx, store.Query{Where: []store.Cond{store.Eq("user_id", a.out.User.ID)}}) {
		if err != nil {
			return err
		}
		if d.OrgID == a.OrgID {
			return refuse("membership_ended")
		}
	}
	return nil
}

// grant gives the roles of the groups, and takes back what groups gave before.
func (a *arrival) grant(ctx context.Context, held rbac.Assignment) error {
	a.out.Roles, a.out.GroupsUnknown = held.Given, a.GroupsUnknown
	if a.settled.SyncGroups || a.GroupsUnknown {
		return nil
	}
	owner, err := rbac.FindRole(ctx, a.tx, a.OrgID, rbac.OwnerRole)
	if err != nil {
		return err
	}
	var given []string
	for _, r := range a.settled.RoleMapping {
		if slices.Contains(a.Groups, r.Group) && a.settled.allows(r.RoleID, owner.ID) {
			given = append(given, r.RoleID)
		}
	}
	slices.Sort(given)
	given = slices.Compact(given)
	if slices.Equal(given, held.Given) {
		return nil
	}
	held.Given, a.out.Roles = given, given
	return rbac.Assignments.Update(ctx, a.tx, &held)
}

// start starts the session, and tells the logs.
func (a *arrival) start(ctx context.Context, tx *store.Tx) (c audit.Change, err error) {
	now := tx.Now()
	in := NewSession{UserID: a.out.User.ID, Methods: append([]string{"sso"}, a.Methods...), Lifetime: a.lifetime,
		By: &SessionIdP{OrgID: a.OrgID, Context: a.Context, Index: a.SessionIndex}}
	if !a.AuthenticatedAt.IsZero() {
		in.By.AuthenticatedAt = micros(&a.AuthenticatedAt)
	}
	if a.MFAVerifiedAt != nil {
		at := *a.MFAVerifiedAt
		if at.After(now) { // its clock is ahead of ours
			at = now
		}
		in.MFAVerifiedAt = &at
	}
	if !a.EndsAt.IsZero() {
		in.Lifetime = min(in.Lifetime, a.EndsAt.Sub(now).Truncate(time.Microsecond))
	}
	if in.Lifetime <= 0 {
		return c, refuse("session_over")
	}
	a.out.Session, a.out.Token, err = StartSession(ctx, tx, in)
	if errors.Is(err, store.ErrNotFound) {
		err = refuse(whyUserSuspended)
	}
	if err != nil {
		return c, err
	}
	if a.out.Made || a.out.Joined {
		joined := audit.Created(&a.out.User).As("user.provisioned")
		joined.Data = map[string]any{"by": "sso", "account_made": a.out.Made}
		if _, err := a.m.Audit().Append(ctx, tx, a.OrgID, "sessions.create", joined); err != nil {
			return c, err
		}
	}
	if a.config.ProvedAt == nil {
		if err := a.prove(ctx); err != nil {
			return c, err
		}
	}
	c = audit.Created(&a.out.Session).As(LoginType)
	c.Data = map[string]any{"issuer": a.Issuer, "protocol": a.config.Protocol, "roles": a.out.Roles, "groups_unknown": a.out.GroupsUnknown}
	others, err := OrganizationsOf(ctx, tx, a.out.User.ID)
	if err != nil {
		return c, err
	}
	for _, id := range append(others, "") {
		if id == a.OrgID {
			continue
		}
		if _, err := a.m.Audit().Append(ctx, tx, id, "sessions.create", c); err != nil {
			return c, err
		}
	}
	return c, nil
}

// prove notes that the configuration works. From now on it may be that passwords are refused for its sake.
func (a *arrival) prove(ctx context.Context) error {
	before, err := ssoConfigs.Lock(ctx, a.tx, a.OrgID)
	if err != nil || before.ProvedAt != nil {
		return err
	}
	now, c := a.tx.Now(), before
	c.ProvedAt = &now
	if err := ssoConfigs.Update(ctx, a.tx, &c); err != nil {
		return err
	}
	_, err = a.m.Audit().Append(ctx, a.tx, a.OrgID, "sso.update", audit.Updated(before, &c).As("sso.proved"))
	return err
}
