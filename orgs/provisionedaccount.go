package orgs

import (
	"context"
	"errors"
	"slices"

	"github.com/orgkit/orgkit/rbac"
	"github.com/orgkit/orgkit/store"
)

// account finds or makes the account of a person. One that another user of the provider has is in the way.
func (p *Provisioner) account(ctx context.Context, in ProvisionedUser, person Person) (u User, made bool, err error) {
	u, made, err = p.knownAccount(ctx, in, person)
	if errors.Is(err, store.ErrNotFound) {
		u = User{Email: person.Email, EmailKey: emailKey(person.Email), Name: person.Name, EmailVerified: p.Settings.owns(person.Email), State: rbac.Active}
		err := users.Insert(ctx, p.tx, &u)
		if errors.Is(err, store.ErrExists) { // made at the same time
			err = uniqueness("address", "")
		}
		return u, true, err
	} else if err != nil {
		return u, false, err
	}
	_, err = provisionedUsers.Find(ctx, p.tx, store.Eq("org_id", p.orgID), store.Eq("user_id", u.ID))
	switch {
	case err == nil:
		return u, false, uniqueness("address", "")
	case errors.Is(err, store.ErrNotFound):
		return u, made, nil
	}
	return u, false, err
}

// knownAccount finds the account of a person whom the provider knew, or that may be theirs.
func (p *Provisioner) knownAccount(ctx context.Context, in ProvisionedUser, person Person) (u User, made bool, err error) {
	if in.ExternalID != nil {
		was, err := departures.Find(ctx, p.tx, store.Eq("org_id", p.orgID), store.Eq("external_id", *in.ExternalID))
		if err == nil {
			if u, err = users.Get(ctx, p.tx, was.UserID); err == nil {
				return u, was.Made, departures.Delete(ctx, p.tx, was.ID)
			}
		}
		if err != nil && !errors.Is(err, store.ErrNotFound) {
			return u, false, err
		}
	}
	if u, err = users.Find(ctx, p.tx, store.Eq("email_key", emailKey(person.Email))); err != nil {
		return u, false, err
	}
	for was, err := range departures.All(ctx, p.tx, store.Query{Where: []store.Cond{store.Eq("user_id", u.ID)}}) {
		if err != nil {
			return u, false, err
		}
		if was.OrgID == p.orgID && was.Made {
			return u, true, departures.Delete(ctx, p.tx, was.ID)
		}
	}
	return u, false, p.mayLink(ctx, u)
}

// mayLink refuses an account that may not be taken to be that of a person of the provider, see [LinkVerified].
func (p *Provisioner) mayLink(ctx context.Context, u User) error {
	taken := uniqueness("address", "")
	if p.Settings.Link == LinkNever {
		return taken
	}
	for other, err := range provisionedUsers.All(ctx, p.tx, store.Query{Where: []store.Cond{store.Eq("user_id", u.ID)}}) {
		if err != nil {
			return err
		}
		if other.OrgID != p.orgID {
			return taken
		}
	}
	if u.EmailVerified && p.Settings.Link == LinkVerified && p.Settings.owns(u.Email) {
		return nil
	}
	_, err := rbac.Assignments.Find(ctx, p.tx, store.Eq("subject", u.ID), store.Eq("org_id", p.orgID), store.Eq("team_id", ""))
	switch {
	case err == nil && u.EmailVerified:
		return nil
	case err == nil || errors.Is(err, store.ErrNotFound) && p.Settings.Link != LinkInvite:
		return taken
	case errors.Is(err, store.ErrNotFound):
		return &toInvite{email: u.Email}
	}
	return err
}

// updateAccount gives an account that was made for the provider the name and, where it may, the address.
func (p *Provisioner) updateAccount(ctx context.Context, u ProvisionedUser, person Person) error {
	if err := rbac.CheckText("displayName", person.Name, 0, rbac.MaxName); err != nil {
		return err
	}
	account, err := users.Lock(ctx, p.tx, u.UserID)
	if err != nil {
		return err
	}
	before := account
	account.Name = person.Name
	theirs := account.EmailVerified && !p.Settings.owns(account.Email)
	if emailKey(person.Email) != account.EmailKey && !theirs {
		held, err := everywhere(ctx, p.tx, u.UserID)
		if err != nil {
			return err
		}
		theirs = slices.ContainsFunc(held, func(a rbac.Assignment) bool { return a.OrgID != p.orgID })
	}
	if emailKey(person.Email) != account.EmailKey && !theirs {
		if account.Email, err = checkEmail("emails", person.Email); err != nil {
			return err
		}
		account.EmailKey = emailKey(account.Email)
		if account.EmailVerified = p.Settings.owns(account.Email); before.counts() && !account.counts() {
			if err := p.m.keepOwners(ctx, p.tx, account.ID); err != nil {
				return err
			}
		}
	}
	if account == before {
		return nil
	}
	err = users.Update(ctx, p.tx, &account)
	if errors.Is(err, store.ErrExists) {
		err = uniqueness("address", "")
	}
	return err
}
